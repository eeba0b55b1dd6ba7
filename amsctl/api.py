"""The public interface: the flow as four functions for other programs. Errors are ``AmsctlError``; nothing is printed, nobody is asked."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from amsctl import flow
from amsctl.base import base_branch
from amsctl.commit import commit_of
from amsctl.committed import held_against
from amsctl.config import Environment, Project
from amsctl.errors import ApprovalMissing
from amsctl.manifests.load import Desired, load
from amsctl.manifests.project import load_project, resolve_environment
from amsctl.model import AccountKey, DesiredAccount, Firm, LiveAccount
from amsctl.planning.arrange import arrange
from amsctl.planning.diff import added_rows, diff
from amsctl.planning.plan import Plan, Selection

if TYPE_CHECKING:
    from amsctl.applying.report import Report
    from amsctl.approving import Given


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifests:
    """A limits repository, read and found to be right: its project file and what it wants."""

    project: Project
    desired: Desired
    selection: Selection


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
    directory: str | os.PathLike[str] = ".", *, paths: Sequence[str] = (), accounts: Sequence[str] = (), labels: Sequence[str] = ()
) -> Manifests:
    """The manifests of the repository in ``directory``; ``paths``, ``accounts`` and ``labels`` (``key=value``) select a part of them.

    ManifestErrors carries every finding of every file, with positions. No network, no credentials.
    """
    project = load_project(directory)
    desired = load(project, paths, accounts=accounts, labels=labels, base=project.root)
    return Manifests(
        project=project, desired=desired, selection=Selection(paths=tuple(paths), accounts=tuple(accounts), labels=tuple(labels))
    )


def read_live(manifests: Manifests, environment: str | None = None, *, environ: Mapping[str, str] | None = None) -> Live:
    """The live state of every account in ``manifests``, each read whole. GETs only.

    ``environment`` defaults to the project's; ``${NAME}`` is looked up in ``environ`` (default: the process's). AmsError when any read fails or is
    incomplete. The whole of it is kept in memory: the command line streams instead.
    """
    from amsctl.ams.client import open_reader

    project = manifests.project
    chosen = resolve_environment(project, environment, os.environ if environ is None else environ)
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
    """The plan that turns ``live`` into what ``manifests`` say: a value, equal for equal inputs but for its times and digest. Pure but for git, and for the
    ledger, which is read where there is one.

    ``base`` is the branch (tag, commit) that the change is to be merged into: its guards, protections, policies and approvers hold. ConfigError when it
    cannot be read.
    """
    from amsctl.ams.clock import SystemClock
    from amsctl.operations.points import past_in

    project = manifests.project
    rules = flow.rules_of(project, live.environment)
    parts = (
        arrange(diff(desired, live.accounts[desired.key], rules, live.eligible.get(desired.key)), live.accounts[desired.key], rules)
        for desired in manifests.desired.accounts()
    )
    branch = None if base is None else base_branch(project, base, load(project, base=project.root))
    wish = flow.Wish(
        project=project,
        environment=live.environment,
        desired=manifests.desired,
        selection=manifests.selection,
        git=commit_of(
            project.root,
            lambda tree: held_against(tree, project, manifests.desired, paths=manifests.selection.paths, base=project.root),
            base=None if branch is None else branch.commit,
        ),
        base=branch,
    )
    protected = {live.accounts[account.key].key for account in manifests.desired.headers() if account.protected}
    labelled = manifests.desired.accounts() if project.safeguards.ask_for_labels else ()
    labels = {live.accounts[account.key].key: set(flow.labels_of(account)) for account in labelled}
    held = flow.held_by_base(branch, live.firms, protected, labels)
    with past_in(project, live.environment, os.environ if environ is None else environ, SystemClock()) as past:
        return flow.assembled(wish, parts, SystemClock(), protected=protected, labels=labels, base=held, past=past)


def apply(
    plan: Plan,
    manifests: Manifests,
    *,
    environ: Mapping[str, str] | None = None,
    approved: bool = False,
    reason: str | None = None,
    overrides: Sequence[str] = (),
    given: Given | None = None,
) -> Report:
    """Carry out ``plan``, recorded in the project's ledger, and report on every step. It is carried out exactly, or refused before the first write.

    ``approved`` must be true: calling this is the approval, and there is nobody to ask. ``overrides`` are ``GUARD@DIGEST`` texts, ``given``
    the approvals that the project asks for, where it asks for any (ApprovalMissing when they are not enough). Stale
    when the plan has expired, was carried out already, or target, manifests or the rules of the project are no longer what it saw; Refused when a
    finding blocks it; Later when a lock, a freeze or a window forbids it now; LedgerFailed when it cannot be recorded. Live state that moved is told by
    the report (``stale``), whose ``exit_code`` says how it ended.
    """
    from amsctl import runs
    from amsctl.ams.clock import SystemClock
    from amsctl.approving import Given
    from amsctl.approving import approved as approved_by
    from amsctl.operations.ledger import project_ledger

    if not approved:
        raise ApprovalMissing("apply was called without approval", expected="approved=True", found="approved=False")
    project, environ = manifests.project, os.environ if environ is None else environ
    environment = resolve_environment(project, plan.target.environment, environ)
    flow.check_age(plan, SystemClock())
    flow.check_target(plan, project, environment)
    flow.check_manifests(plan, flow.manifests_hash(manifests.desired))
    overridden = flow.overrides_of(overrides, plan)
    approvals = approved_by(plan, project, given or Given(), SystemClock(), overridden)
    with project_ledger(project, environ) as ledger:
        undertaking = runs.Undertaking(
            project=project,
            environment=environment,
            ledger=ledger,
            cause=runs.cause_of(
                plan,
                project,
                environment,
                environ,
                consent="approved by the calling program",
                reason=reason,
                overrides=overridden,
                approvals=approvals,
            ),
            surroundings=runs.Surroundings(environ=environ),
        )
        return flow.run(runs.carry_out(plan, undertaking))
