"""Approve: everything that apply will derive is derived before a person signs, as far as it can be reached, and what cannot is named.

A key that cannot approve, and a plan that no signature can help, are refused before a person is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from amsctl.approvals.foreseen import foresight
from amsctl.concurrently import for_each
from amsctl.errors import AmsError, ConfigError, LedgerFailed, Refused, Stale
from amsctl.ledger.evidence import earlier_of
from amsctl.model import AccountKey, DesiredAccount
from amsctl.operations import flow, runs
from amsctl.operations.agreement import keygen_of, signed
from amsctl.operations.apply import way_back_of
from amsctl.operations.authorise import Evidence, Reviewed, authorise, review
from amsctl.operations.derivation import findings_by_account
from amsctl.operations.ledger import project_ledger
from amsctl.operations.points import points_now
from amsctl.operations.record import Sources
from amsctl.planning.arrange import arrange, observed_of
from amsctl.planning.diff import added_rows, diff
from amsctl.planning.planfile import PlanFile

if TYPE_CHECKING:
    from amsctl.ams.client import Reader
    from amsctl.applying.ports import Clock
    from amsctl.approvals.approval import Approval
    from amsctl.config import Environment
    from amsctl.ledger.store import Ledger
    from amsctl.planning.plan import Plan
    from amsctl.planning.points import Points

MOST_OTHERS: Final = 200
"""Accounts that do not change, and are read before a person signs, since the plan says something of each. Of more it is said that they were not read: a
whole book takes minutes, and nothing that the plan says of them is sent anywhere.
"""
_BY_AMS: Final = "the live values, the calls and whether they are what the manifests give"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """How an approval is to be signed: with which key, and what it binds besides the plan."""

    key: str
    verdict_sha256: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A plan that is about to be signed, and what could not be checked of it, in words for the signer; empty where all was."""

    file: PlanFile
    sources: Sources
    reviewed: Reviewed
    unchecked: tuple[str, ...]


def checked(file: PlanFile, sources: Sources, environ: Mapping[str, str], signing: Signing, clock: Clock) -> Checked:
    """The plan, derived again as far as git, manifests, ledger and AMS can be reached. Stale or Refused where it is not what they give, or was carried out
    already; ApprovalMissing where a signature with that key would not count.
    """
    plan, unchecked = file.plan, []
    environment, unasked = _environment(file.plan, sources, environ)
    if environment is None:
        unchecked.append(f"the target, {_BY_AMS}: the AMS cannot be asked ({unasked})")
    with ExitStack() as stack:
        ledger, points, way_back = None, None, None
        try:
            ledger = _ledger(sources, environ, stack)
            points = points_now(plan, sources.project, ledger, clock)
        except (ConfigError, LedgerFailed) as problem:
            unchecked.append(f"{_by_ledger(sources)}: {problem}")
        if ledger is not None and environment is not None:
            try:
                way_back = way_back_of(plan, sources, environment, ledger, clock)
            except Stale as problem:
                unchecked.append(f"the calls of the rollback: {problem.what}")
        elif plan.origin.rollback is not None:
            unchecked.append("the calls of the rollback: they follow from the ledger, and are derived from it when the plan is applied")
        reviewed = review(
            file, sources, environment, Evidence(), clock, signing=True, way_back=way_back, resuming=plan.origin.rollback is not None
        )
        if ledger is not None:
            runs.refuse_second(*earlier_of(plan, ledger))
        _sign(reviewed, sources, signing, clock, unsigned=True)
        if environment is not None and (plan.origin.rollback is None or way_back is not None):
            unchecked += _reach(reviewed, environment, points, clock)
    return Checked(file=file, sources=sources, reviewed=reviewed, unchecked=tuple(unchecked))


def _environment(plan: Plan, sources: Sources, environ: Mapping[str, str]) -> tuple[Environment | None, ConfigError | None]:
    """The environment of the plan, or why it cannot be read: it wants variables that only the pipeline has. ConfigError where the project has none of that
    name, which is no plan of the project's.
    """
    try:
        return sources.environment(plan.target.environment, environ), None
    except ConfigError as problem:
        if plan.target.environment not in sources.project.environments:
            raise
        return None, problem


# --- by the ledger ---


def _ledger(sources: Sources, environ: Mapping[str, str], stack: ExitStack) -> Ledger:
    """The ledger. ConfigError or LedgerFailed where it cannot be read: the default file that stands for an address which is missing is another one."""
    from amsctl.manifests.project import unset_ledger

    unset = unset_ledger(sources.project, environ)
    if unset is not None:
        raise ConfigError(f"the environment variable {unset} is not set")
    return stack.enter_context(project_ledger(sources.project, environ, create=False, writes=False))


def _by_ledger(sources: Sources) -> str:
    """What is not known without the ledger."""
    twice = "whether the plan was carried out already"
    return f"{twice}, and the values of the past by the ledger" if sources.project.measured_days else twice


# --- by the AMS ---


def _reach(reviewed: Reviewed, environment: Environment, points: Points | None, clock: Clock) -> tuple[str, ...]:
    """Derive the plan again on what is live; and say what could not be derived."""
    from amsctl.ams.client import open_reader

    async def derive() -> tuple[str, ...]:
        async with open_reader(environment, reviewed.project.requests) as reader:
            found = await authorise(reviewed, reader, {}, clock, points=points)
            if found.moved:
                raise Stale(
                    "the plan is not what these manifests give on what is live now",
                    found="; ".join(next(iter(found.moved.values()))),
                    hint="plan again, and look at that plan",
                )
            return await _others(reviewed, environment, reader)

    try:
        return flow.run(derive())
    except AmsError as problem:
        return (f"{_BY_AMS}: the AMS was not read ({problem})",)


async def _others(reviewed: Reviewed, environment: Environment, reader: Reader) -> tuple[str, ...]:
    """What the plan says of the accounts that do not change, derived again; what could not be, in so many words. Stale where it says something else of one
    that is as it saw it, Refused where one is blocked by now.
    """
    plan, wanted = reviewed.plan, reviewed.wanted
    changing = {change.account_key for change in plan.changes}
    left = {seen.account_key: seen for seen in plan.observed if seen.account_key not in changing}
    if wanted is None or not left:
        return ()
    if len(left) > MOST_OTHERS:
        return (f"the findings about {_still(len(left))}: more than {MOST_OTHERS} are not read again",)
    firms = {text: await reader.resolve(text) for text, _ in wanted.firms}
    written = {flow.resolve_key(header.key, firms): header.key for header in wanted.headers()}
    stated, rules = findings_by_account(plan), flow.rules_of(reviewed.project, environment)
    moved: list[AccountKey] = []
    problems: list[AmsError] = []

    async def look(account: DesiredAccount) -> None:
        key, firm = flow.resolve_key(account.key, firms), firms[account.key.firm]
        try:
            live = await reader.account(firm, key.number)
            eligible = await reader.eligible_products(firm, key.number) if added_rows(account, live, rules) else None
            now = arrange(diff(account, live, rules, eligible), live, rules).findings
        except AmsError as problem:
            problems.append(problem)
            return
        told = stated.get(key, ())
        worse = next((one for one in now if one.blocks and one not in told), None)
        if worse is not None:
            raise Refused(f"the plan would be blocked by now: {worse.code}: {worse.message}", where=worse.where, hint="plan again")
        if now != told and observed_of(live).sha256 == left[key].sha256:
            raise Stale(
                "the plan says something else of an account that does not change than what is there",
                where=str(key),
                expected="; ".join(one.message for one in now if one not in told)[:300] or "nothing more",
                found="; ".join(one.message for one in told if one not in now)[:300] or "nothing more",
                hint="plan again, and have that plan reviewed",
            )
        if now != told:
            moved.append(key)

    accounts = list(wanted.some({written[key] for key in left if key in written}))
    await for_each(accounts, look, concurrency=reviewed.project.requests.concurrency)
    unchecked = []
    if moved:
        named = ", ".join(str(key) for key in sorted(moved)[:5])
        unchecked.append(f"the findings about {_still(len(moved))}, not as the plan saw it any more: {named}")
    if problems:
        unchecked.append(f"the findings about {_still(len(problems))}: the AMS was not read ({problems[0]})")
    return tuple(unchecked)


def _still(count: int) -> str:
    return "1 account that does not change" if count == 1 else f"{count:,} accounts that do not change"


# --- signing ---


def approve(found: Checked, sources: Sources, environ: Mapping[str, str], signing: Signing, clock: Clock) -> Approval:
    """The signed approval of a plan that was checked; whatever needs no AMS is asked again where ``sources`` are not those of then, since a person was asked
    in between. ApprovalMissing when it would not count.
    """
    reviewed = found.reviewed
    if sources is not found.sources:
        plan = found.file.plan
        environment, _ = _environment(plan, sources, environ)
        reviewed = review(found.file, sources, environment, Evidence(), clock, signing=True, resuming=plan.origin.rollback is not None)
    return _sign(reviewed, sources, signing, clock)


def _sign(reviewed: Reviewed, sources: Sources, signing: Signing, clock: Clock, *, unsigned: bool = False) -> Approval:
    keygen = keygen_of(sources)
    return signed(
        reviewed.plan,
        sources,
        reviewed.rules,
        signing.key,
        clock,
        verdict_sha256=signing.verdict_sha256,
        reason=signing.reason,
        keygen=(lambda: foresight(keygen(), signing.key)) if unsigned else keygen,
    )
