"""Which step of the branch of record brought a value in: who made a change is who made that step, however long ago, and not who came after it.

A change that was merged and never applied is part of the next plan. Its makers are then not among the commits that the base lacks, and would otherwise be
free to approve it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from amsctl.errors import AmsctlError
from amsctl.manifests.load import load
from amsctl.manifests.project import load_project
from amsctl.model import LEGS, UNSET, DesiredAccount, DesiredRow, LegRef
from amsctl.operations.record import Sources
from amsctl.planning.plan import Change, ChangeKind, Plan
from amsctl.provenance.commits import Commit, commit_at, commits_between
from amsctl.provenance.facts import Unknown
from amsctl.provenance.trees import TreeFiles, tree_of

_MOST_VERSIONS: Final = 200
"""Different versions of the manifests that are read on the way back."""
_MOST_STEPS: Final = 20_000


@dataclass(frozen=True, slots=True)
class _Step:
    """A step of the branch: the commit that it stood at before, ``None`` before its first, and the one after."""

    before: str | None
    after: str


def introducing(plan: Plan, sources: Sources) -> tuple[Commit, ...] | Unknown:
    """The commits of the steps of the branch, up to the plan's base, that brought in values which the base has already and the AMS has not. None where the base
    lacks all that the plan changes. Unknown where they cannot be found.
    """
    base = plan.origin.base
    if base is None or sources.repository is None or not plan.changes:
        return ()
    repository, folder = sources.repository, sources.rules[0].folder
    left = {change.id: change for change in plan.changes}
    steps: list[_Step] = []
    seen: dict[str, frozenset[str]] = {}
    at, newer = base.commit, ""
    for _ in range(_MOST_STEPS):
        tree = tree_of(repository, at)
        if isinstance(tree, Unknown):
            return tree
        entry = tree.entry("" if folder == repository.top else folder[len(repository.top) :].strip("/"))
        if isinstance(entry, Unknown):
            return entry
        key = "" if entry is None else entry.object_id
        if key not in seen:
            if len(seen) >= _MOST_VERSIONS:
                return Unknown(
                    reason=f"what the plan changes has been on {sources.branch} for more than {_MOST_VERSIONS} versions of its manifests"
                )
            seen[key] = frozenset() if entry is None else _held(list(plan.changes), folder, TreeFiles(tree), sources)
        lacking = [number for number in left if number not in seen[key]]
        if lacking and newer:
            steps.append(_Step(before=at, after=newer))
        for number in lacking:
            del left[number]
        if not left:
            break
        found = commit_at(repository, at)
        if isinstance(found, Unknown):
            return found.because(f"who brought in {next(iter(left.values())).where} is not known")
        if not found.parents:
            steps.append(_Step(before=None, after=at))
            break
        at, newer = found.parents[0], at
    return _commits(steps, sources)


def _commits(steps: Sequence[_Step], sources: Sources) -> tuple[Commit, ...] | Unknown:
    repository = sources.repository
    assert repository is not None
    found: dict[str, Commit] = {}
    for step in steps:
        made: Sequence[Commit] | Unknown
        if step.before is None:
            first = commit_at(repository, step.after)
            made = first if isinstance(first, Unknown) else (first,)
        else:
            made = commits_between(repository, step.before, step.after)
        if isinstance(made, Unknown):
            return made.because("who brought in what the plan changes is not known")
        found.update({commit.id: commit for commit in made})
    return tuple(found.values())


def _held(changes: Sequence[Change], folder: str, files: TreeFiles, sources: Sources) -> frozenset[str]:
    """The changes whose value the manifests of a commit want already; all of them where they cannot be read: a commit in between proves nothing."""
    numbers = {change.account for change in changes}
    try:
        project = load_project(folder, files)
    except AmsctlError:
        project = sources.project
    try:
        desired = load(project, files=files)
        accounts: dict[str, list[DesiredAccount]] = {}
        wanted = [key for key in desired.keys() if key.number in numbers]  # noqa: SIM118  no mapping
        for account in desired.some(wanted):
            accounts.setdefault(account.key.number, []).append(account)
    except AmsctlError:
        return frozenset(change.id for change in changes)
    return frozenset(change.id for change in changes if any(wants(one, change) for one in accounts.get(change.account, ())))


def wants(account: DesiredAccount, change: Change) -> bool:
    """Whether a manifest wants what a change does."""
    match change.kind:
        case ChangeKind.STATUS:
            return account.status is not None and account.status.value == change.after
        case ChangeKind.SUSPENSION:
            return any(firm.id == change.execution_firm and firm.suspended is change.after for firm in account.execution_firms)
        case ChangeKind.LIMIT:
            rows: Mapping[object, DesiredRow] = {row.key: row for firm in account.execution_firms for row in firm.rows}
            row = rows.get(change.row_key)
            if row is None:
                return change.after is UNSET  # a row that no manifest names: undeclared rows are unset
            assert change.owner is not None
            assert change.leg is not None
            wish = UNSET if row.unset else row.legs[LEGS.index(LegRef(change.owner, change.leg))]
            return wish == change.after
        case _:
            assert_never(change.kind)
