"""The public interface: the flow as four functions for other programs. Errors are ``AmsctlError``; nothing is printed, nobody is asked."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from amsctl.config import Environment, Project
from amsctl.errors import ApprovalMissing, ConfigError
from amsctl.manifests.load import Desired
from amsctl.model import AccountKey, DesiredAccount, Firm, LiveAccount
from amsctl.operations import flow
from amsctl.operations.material import Material, material_of
from amsctl.operations.plan import PlanRequest, check_request, past_for
from amsctl.operations.record import Sources, sources_of
from amsctl.planning.arrange import arrange
from amsctl.planning.diff import added_rows, diff
from amsctl.planning.plan import Plan, Selection

if TYPE_CHECKING:
    from amsctl.applying.report import Report
    from amsctl.approvals.approval import Approval
    from amsctl.approvals.reviews import Reviews
    from amsctl.planning.planfile import PlanFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifests:
    """A limits repository, read and found to be right: whose rules hold, what it wants, and where that comes from. ``directory`` and ``base`` are how it was
    asked for: whose rules hold is asked again, by them, when something is to be written.
    """

    sources: Sources
    material: Material
    selection: Selection
    directory: str
    base: str | None = None

    @property
    def project(self) -> Project:
        """The project file that rules."""
        return self.sources.project

    @property
    def desired(self) -> Desired:
        """What the manifests want."""
        return self.material.desired


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """The state of every declared account in one environment.

    ``accounts`` is keyed by the account as the manifests write it. ``eligible`` holds products by execution firm, for accounts where a row would be
    added.
    """

    environment: Environment
    accounts: Mapping[AccountKey, LiveAccount]
    eligible: Mapping[AccountKey, Mapping[str, frozenset[str]]]
    firms: tuple[Firm, ...] = ()


def load_manifests(
    directory: str | os.PathLike[str] = ".",
    *,
    paths: Sequence[str] = (),
    accounts: Sequence[str] = (),
    labels: Sequence[str] = (),
    base: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Manifests:
    """The manifests of the repository in ``directory``; ``paths``, ``accounts`` and ``labels`` (``key=value``) select a part of them.

    ``base`` names the branch of record, whose project file rules; without it the event of a pipeline's job or ``baseBranch`` does. ManifestErrors carries
    every finding of every file, with positions. No network, no credentials.
    """
    sources = sources_of(directory, os.environ if environ is None else environ, option=base)
    selection = Selection(paths=tuple(paths), accounts=tuple(accounts), labels=tuple(labels))
    material = material_of(sources, selection, folder=sources.project.root)
    return Manifests(sources=sources, material=material, selection=selection, directory=os.path.abspath(directory), base=base)


def read_live(manifests: Manifests, environment: str | None = None, *, environ: Mapping[str, str] | None = None) -> Live:
    """The live state of every account in ``manifests``, each read whole. GETs only.

    ``environment`` defaults to the project's; ``${NAME}`` is looked up in ``environ`` (default: the process's). AmsError when any read fails or is
    incomplete. The whole of it is kept in memory: the command line streams instead.
    """
    from amsctl.ams.client import open_reader

    project = manifests.project
    chosen = manifests.sources.environment(environment, os.environ if environ is None else environ)
    rules = flow.rules_of(project, chosen)

    async def read() -> Live:
        accounts: dict[AccountKey, LiveAccount] = {}
        eligible: dict[AccountKey, Mapping[str, frozenset[str]]] = {}
        async with open_reader(chosen, project.requests) as reader:

            async def keep(desired: DesiredAccount, live: LiveAccount, firm: Firm) -> None:
                accounts[desired.key] = live
                if added_rows(desired, live, rules):
                    eligible[desired.key] = await reader.eligible_products(firm, live.key.number)

            async for _ in flow.side_by_side(manifests.desired, reader, keep, concurrency=project.requests.concurrency):
                pass
            firms = tuple(await reader.firms())
        return Live(environment=chosen, accounts=accounts, eligible=eligible, firms=firms)

    return flow.run(read())


def plan(manifests: Manifests, live: Live, *, base: str | None = None, environ: Mapping[str, str] | None = None) -> Plan:
    """The plan that turns ``live`` into what ``manifests`` say: a value, equal for equal inputs but for its times and digest. Pure but for git and the
    ledger, whose past values guards measure against.

    ``base`` is the branch of record, where ``load_manifests`` did not name it. ConfigError when it cannot be read, or its project file sends to another
    AMS than the one that was read; Stale when the branch of record has changed an account of the plan since the checkout left it.
    """
    from amsctl.ams.clock import SystemClock

    environ = os.environ if environ is None else environ
    if base is not None:
        again = load_manifests(
            manifests.directory,
            paths=manifests.selection.paths,
            accounts=manifests.selection.accounts,
            labels=manifests.selection.labels,
            base=base,
            environ=environ,
        )
        manifests = again
    environment = manifests.sources.environment(live.environment.name, environ)
    if (environment.url, environment.auth.principal) != (live.environment.url, live.environment.auth.principal):
        raise ConfigError(
            "the branch of record sends to another AMS than the one that was read",
            expected=environment.url,
            found=live.environment.url,
            hint="read_live again, with manifests that were loaded with the same base",
        )
    clock = SystemClock()
    request = PlanRequest(
        sources=manifests.sources, environment=environment, material=manifests.material, selection=manifests.selection, clock=clock
    )
    wish = request.wish
    rules = flow.rules_of(wish.project, environment)
    parts = [
        arrange(diff(desired, live.accounts[desired.key], rules, live.eligible.get(desired.key)), live.accounts[desired.key], rules)
        for desired in wish.desired.accounts()
    ]
    protected = {live.accounts[account.key].key for account in wish.desired.headers() if account.protected}
    labels = {live.accounts[account.key].key: set(flow.labels_of(account)) for account in wish.desired.accounts()}
    held = flow.held_by_base(wish.base, live.firms, protected, labels)
    with past_for(request, environ, clock, flow.naming(live.firms)) as past:
        made = flow.assembled(wish, parts, clock, protected=protected, labels=labels, base=held, past=past)
    check_request(request, made)
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What was brought along: signed approvals, the reviews of the request, and the commit that was merged."""

    approvals: tuple[Approval, ...] = ()
    reviews: Reviews | None = None
    merged: str | None = None


def apply(
    plan: Plan | PlanFile,
    manifests: Manifests,
    *,
    environ: Mapping[str, str] | None = None,
    approved: bool = False,
    reason: str | None = None,
    overrides: Sequence[str] = (),
    given: Given | None = None,
    barrier: str | None = None,
) -> Report:
    """Carry out ``plan``, recorded in the project's ledger, and report on every step. It is carried out exactly, or refused before the first write, by the
    door that the command line comes through. Of ``manifests`` it takes where they are and which branch was named: whose rules hold, and what the checkout
    says, is read anew, however long ago they were loaded.

    ``approved`` must be true: calling this is the approval, and there is nobody to ask. ``overrides`` are ``GUARD@DIGEST`` texts, ``given``
    the approvals that the project asks for, where it asks for any (ApprovalMissing when they are not enough). Stale
    when the plan has expired, was carried out already, is not what its manifests give, or target, manifests or the rules of the project are no longer what
    it saw; Refused when a finding blocks it; Later when a lock, a freeze or a window forbids it now; LedgerFailed when it cannot be recorded. Live state
    that moved is told by the report (``stale``), whose ``exit_code`` says how it ended.
    """
    from amsctl.ams.clock import SystemClock
    from amsctl.operations import apply as operation
    from amsctl.operations.authorise import Evidence
    from amsctl.operations.ledger import project_ledger
    from amsctl.planning.planfile import PlanFile

    if not approved:
        raise ApprovalMissing("apply was called without approval", expected="approved=True", found="approved=False")
    environ = os.environ if environ is None else environ
    file = plan if isinstance(plan, PlanFile) else PlanFile.of(plan)
    brought = given or Given()
    sources = sources_of(manifests.directory, environ, option=manifests.base)  # not those of then: main may have become stricter
    request = operation.ApplyRequest(
        file=file,
        sources=sources,
        environment=sources.environment(file.plan.target.environment, environ),
        evidence=Evidence(
            approvals=brought.approvals,
            reviews=brought.reviews,
            overrides=flow.overrides_of(overrides, file.plan),
            merged=brought.merged,
        ),
        around=operation.Around(environ=environ, consent="approved by the calling program", reason=reason, barrier=barrier),
    )
    clock, takes_back = SystemClock(), file.plan.origin.rollback is not None
    early = None if takes_back else operation.reviewed(request, None, clock)  # refused before a ledger is made
    with project_ledger(sources.project, environ) as ledger:
        ready = early if early is not None else operation.reviewed(request, ledger, clock)
        return flow.run(operation.apply(request, ready, ledger))
