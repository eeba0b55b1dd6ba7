"""Rollback: the plan that takes back what a run changed, made from the ledger and what is live, and made again when it is applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from amsctl.applying.freshness import as_it_was
from amsctl.applying.means import lifetime
from amsctl.errors import UsageError
from amsctl.ledger.evidence import earlier_of
from amsctl.ledger.history import Subject, moved_since, subject_of
from amsctl.ledger.plans import plan_of
from amsctl.model import AccountKey
from amsctl.operations.flow import labels_of, manifests_hash, rules_of, target_of
from amsctl.operations.points import past_of
from amsctl.operations.record import Sources
from amsctl.planning.arrange import AccountPlan
from amsctl.planning.inverse import Inversion, inverted, restoring, with_warning
from amsctl.planning.plan import Base, Change, Git, Origin, Plan, Rollback
from amsctl.version import version

if TYPE_CHECKING:
    from amsctl.ams.client import Reader
    from amsctl.applying.ports import Clock
    from amsctl.config import Environment
    from amsctl.ledger.store import Ledger
    from amsctl.ledger.values import Run
    from amsctl.manifests.load import Desired


@dataclass(slots=True)
class Parts:
    """The parts of a rollback, and what is known of its accounts."""

    parts: list[AccountPlan] = field(default_factory=list)
    protected: set[AccountKey] = field(default_factory=set)
    labels: dict[AccountKey, set[str]] = field(default_factory=dict)


async def rollback_parts(
    run: Run, sources: Sources, environment: Environment, ledger: Ledger, reader: Reader, desired: Desired | None
) -> Parts:
    """What takes back what a run changed, account by account. Values that somebody changed since are left alone and told, and so are values that are as the
    run's plan wanted them although it did not write them.
    """
    # Not the inverse plan that is kept: a resume may have written accounts that the first run could not, and a run may have left half of its plan unsent.
    plan = plan_of(ledger, run)
    earlier_runs, earlier = earlier_of(plan, ledger)
    written, names = earlier.made | earlier.doubtful, {one.id for one in earlier_runs}
    rules = rules_of(sources.project, environment)
    wished = {account.key for account in desired.headers() if account.protected} if desired is not None else set()
    labelled = desired.accounts() if desired is not None and sources.project.safeguards.ask_for_labels else ()
    wished_labels = {account.key: labels_of(account) for account in labelled}
    found = Parts()
    observed = {seen.account_key: seen for seen in plan.observed}
    grouped: dict[AccountKey, list[Change]] = {}
    for change in plan.changes:
        grouped.setdefault(change.account_key, []).append(change)
    for key, changes in grouped.items():
        later = moved_since(ledger, key, ams=run.ams, ours=names)
        ours = [inverted(change) for change in changes if change.id in written and subject_of(change) not in later]
        others = [
            (inverted(change), _whose(change, later)) for change in changes if change.id not in written or subject_of(change) in later
        ]
        if any(change.id in written for change in changes):
            firm = await reader.resolve(key.firm)
            live = await reader.account(firm, key.number)
            called = (AccountKey(firm.name, key.number), AccountKey(firm.clearing_id, key.number))
            if observed[key].protected or wished & set(called):
                found.protected.add(live.key)
            found.labels[live.key] = {*observed[key].labels, *(label for name in called for label in wished_labels.get(name, ()))}
            part = restoring(live, ours, rules, others=others)
            made = [change for change in changes if change.id in earlier.made]
            found.parts.append(part if as_it_was(live, made, observed[key].sha256) else with_warning(part))
    return found


async def roll_back(
    run: Run,
    sources: Sources,
    environment: Environment,
    ledger: Ledger,
    reader: Reader,
    clock: Clock,
    *,
    desired: Desired,
    git: Git | None,
    asked_by: str,
) -> Plan:
    """The plan that takes back what a run changed: an ordinary plan on the live state, of which everything is derived again when it is applied. ``asked_by``
    is a maker of what it loosens.
    """
    check_run(run, environment)
    found = await rollback_parts(run, sources, environment, ledger, reader, desired)
    record = sources.record
    created_at, expires_at = lifetime(clock, sources.project.plan_valid_hours * 3600)
    inversion = Inversion(
        rules=rules_of(sources.project, environment),
        target=target_of(sources.project, environment),
        origin=Origin(
            manifests_sha256=manifests_hash(desired),
            git=git,
            base=None if record is None else Base(ref=record.ref or "", commit=record.tip),
            rollback=Rollback(run=run.id, asked_by=asked_by),
        ),
        created_at=created_at,
        expires_at=expires_at,
        tool_version=version(),
        safeguards=sources.project.safeguards,
        protected=found.protected,
        labels=found.labels,
        past=past_of(
            days=sources.project.guards_days,
            unset_means=sources.project.unset_means,
            ams=run.ams,
            now=clock.wall(),
            ledger=ledger,
            strict=True,
        ),
    )
    return inversion.whole(found.parts)


def check_run(run: Run, environment: Environment) -> None:
    """UsageError when a run was made at another AMS."""
    if run.ams != environment.ams_name:
        raise UsageError(
            "this run was made in another environment",
            where=f"run {run.id}",
            expected=f"{run.environment} (AMS {run.ams})",
            found=f"{environment.name} (AMS {environment.ams_name})",
            hint="leave out -e, or name a run of that environment",
        )


def _whose(change: Change, later: Mapping[Subject, Run]) -> str:
    """Why a change of a run's plan is not the run's to take back."""
    run = later.get(subject_of(change))
    if run is not None:
        return f"run {run.id} has written it since"
    return "no call of the run is known to have made it so: somebody else has, or one landed very late"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerWayBack:
    """How the plan of a rollback follows from the ledger and what is live (``authorise.WayBack``). ``desired`` are the manifests that it was made beside, for
    protections and labels.
    """

    run: Run
    sources: Sources
    environment: Environment
    ledger: Ledger
    clock: Clock
    desired: Desired | None = None

    async def parts(self, reader: Reader) -> Parts:
        """The parts of its accounts, made again."""
        check_run(self.run, self.environment)
        return await rollback_parts(self.run, self.sources, self.environment, self.ledger, reader, self.desired)
