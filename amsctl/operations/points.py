"""The past of a plan's legs: by the ledger, and, of the legs that it does not name for as long, by the history of the branch of record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from amsctl.config import PROJECT_FILE
from amsctl.errors import AmsctlError, LedgerFailed
from amsctl.ledger.points import reference_points
from amsctl.manifests.load import load
from amsctl.manifests.project import load_project, resolve_ledger
from amsctl.model import AccountKey, FourWishes, RowKey, UnsetMeans
from amsctl.planning.plan import Against, Change, PointSource
from amsctl.planning.points import (
    NOTHING_KNOWN,
    Known,
    Past,
    Points,
    Version,
    both_records,
    days_before,
    history_points,
    open_keys,
    wanted_keys,
)
from amsctl.provenance.commits import MOST_COMMITS, commit_at
from amsctl.provenance.facts import Unknown
from amsctl.provenance.trees import Kind, Tree, TreeFiles, tree_of

if TYPE_CHECKING:
    from amsctl.config import Environment, Project
    from amsctl.ledger.store import Clock, Ledger
    from amsctl.planning.plan import Plan
    from amsctl.provenance.repository import Repository

_LAST_SECOND: Final = 253_402_300_799
"""Of the year 9999: a commit may name a later one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """The branch of record as a source of the past: ``tip`` is its newest commit that lacks the change; ``named`` gives an account under the AMS's name of
    its firm, of which manifests may write the clearing id.
    """

    repository: Repository
    tip: str
    named: Callable[[AccountKey], AccountKey]


def past_of(
    *,
    days: int,
    unset_means: UnsetMeans,
    ams: str,
    now: float,
    ledger: Ledger | None = None,
    unread: str = "",
    branch: Branch | None = None,
    strict: bool = False,
) -> Past:
    """What gives the points of a plan ``days`` days before ``now``; with 0 days it gives none. ``unread`` is why there is no ``ledger`` where there should be.

    A record that cannot be read is told in ``Against.unread``; with ``strict`` (apply, which must not go by less than there is) it is LedgerFailed.
    """

    def past(changes: Sequence[Change]) -> Known:
        if days == 0:
            return NOTHING_KNOWN
        wanted = wanted_keys(changes, unset_means)
        sources: list[PointSource] = []
        points: Points = {}
        problem = unread
        if ledger is not None:
            sources.append(PointSource.LEDGER)
            try:
                points = reference_points(ledger, changes, ams, now=now, days=days, unset_means=unset_means)
            except LedgerFailed as failed:
                sources.clear()
                problem = str(failed)
        if branch is not None:
            sources.append(PointSource.HISTORY)
        if branch is not None and open_keys(wanted, points):
            told, why = branch_points(branch, changes, now=now, days=days, unset_means=unset_means)
            points = both_records(points, told)
            problem = problem or why
        if problem and strict:
            raise LedgerFailed(
                f"guards cannot measure against the values of {days} days ago",
                found=problem,
                hint="amsctl ledger verify; or guardsAgainst: {days: 0} on the branch of record, which each plan then shows",
            )
        return Known(against=Against(days=days, sources=tuple(sources), unread=problem), points=points)

    return past


def points_now(plan: Plan, project: Project, ledger: Ledger, clock: Clock) -> Points:
    """The values of the past as the ledger has them now, by which a plan is signed and applied: another run may have written since it was made. LedgerFailed
    where a record cannot be read.
    """
    past = past_of(
        days=project.measured_days,
        unset_means=UnsetMeans(plan.target.unset_means),
        ams=plan.target.ams,
        now=clock.wall(),
        ledger=ledger,
        strict=True,
    )
    return past(plan.changes).points


@contextmanager
def past_in(
    project: Project, environment: Environment, environ: Mapping[str, str], clock: Clock, *, branch: Branch | None = None
) -> Iterator[Past]:
    """The past for a plan of a project: by its ledger, where there is one. A ledger that cannot be opened is told by the plan; it is made by no plan."""
    ledger, unread = None, ""
    if project.guards_days:
        from amsctl.ledger.store import exists, open_ledger  # with a database's libraries: not where nothing is looked up

        try:
            url = resolve_ledger(project, environ)
            ledger = open_ledger(url, clock=clock, create=False) if exists(url) else None
        except AmsctlError as problem:
            unread = str(problem)
    with ledger or nullcontext():
        yield past_of(
            days=project.guards_days,
            unset_means=project.unset_means,
            ams=environment.ams_name,
            now=clock.wall(),
            ledger=ledger,
            unread=unread,
            branch=branch,
        )


# --- the branch of record ---


def branch_points(branch: Branch, changes: Sequence[Change], *, now: float, days: int, unset_means: UnsetMeans) -> tuple[Points, str]:
    """The points by the branch's own commits, along first parents, and why some of them could not be read (empty where all could)."""
    path = _path(branch)
    if isinstance(path, Unknown):
        return {}, f"the history of the base branch is unknown: {path.reason}"
    moment = days_before(now, days)
    reading = _Reading(branch, {key.account for key in wanted_keys(changes, unset_means)})
    older = [one for one in path if one.at <= moment]
    points = history_points(
        changes,
        reading.versions(older),
        reading.versions([one for one in reversed(path) if one.at > moment]),
        now=now,
        days=days,
        unset_means=unset_means,
        earlier=lambda accounts: reading.versions(older, near=frozenset(key.number for key in accounts)),
    )
    return points, reading.problem


@dataclass(frozen=True, slots=True)
class _Stood:
    """A commit that the branch stood at, and since when."""

    id: str
    at: str


def _path(branch: Branch) -> list[_Stood] | Unknown:
    """Newest first. A commit is no older than those before it, whatever time it names: the branch did not stand at it earlier."""
    found: list[tuple[str, int]] = []
    at: str | None = branch.tip
    while at is not None:
        commit = commit_at(branch.repository, at)
        if isinstance(commit, Unknown):
            return commit
        if len(found) >= MOST_COMMITS:
            return Unknown(reason=f"the branch has more than {MOST_COMMITS} commits")
        found.append((at, commit.committer.seconds))
        at = commit.parents[0] if commit.parents else None
    path: list[_Stood] = []
    latest = 0
    for name, seconds in reversed(found):
        latest = min(max(latest, seconds), _LAST_SECOND)
        path.append(_Stood(name, datetime.fromtimestamp(latest, UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"))
    return path[::-1]


@dataclass(slots=True)
class _Reading:
    """Reads what commits say of some accounts. ``problem`` is why the first of those that could not be read could not."""

    branch: Branch
    accounts: set[AccountKey]
    problem: str = ""
    _far: dict[str, bool] = field(default_factory=dict)

    def versions(self, commits: Sequence[_Stood], *, near: frozenset[str] = frozenset()) -> Iterator[Version]:
        """What each commit says, as it is asked for; one whose folder is that of another of them is passed over, as it says the same. With ``near`` (account
        numbers), so is one that differs from another only in files that are surely about other accounts.
        """
        seen: set[object] = set()
        for commit in commits:
            try:
                rows = self._rows(commit.id, seen, near)
            except AmsctlError as problem:
                self.problem = self.problem or f"the manifests of {commit.id[:12]} on the base branch cannot be read: {problem}"
                continue
            if rows is not None:
                yield Version(commit.at, rows)

    def _rows(self, commit: str, seen: set[object], near: frozenset[str]) -> dict[tuple[AccountKey, RowKey], FourWishes | None] | None:
        repository = self.branch.repository
        tree = tree_of(repository, commit)
        if isinstance(tree, Unknown):
            raise tree.as_error("git cannot read it")
        folder = tree.entry(repository.prefix)
        if isinstance(folder, Unknown):
            raise folder.as_error("git cannot read it")
        if folder is None or folder.object_id in seen:
            return None
        seen.add(folder.object_id)
        if near:
            same = self._near(tree, near)
            if same in seen:
                return None
            seen.add(same)
        files = TreeFiles(tree)
        if not files.exists(files.real(f"{repository.folder}/{PROJECT_FILE}")):
            return None  # from before the project
        return self._of(load_project(repository.folder, files), files)

    def _near(self, tree: Tree, numbers: frozenset[str]) -> frozenset[tuple[str, str]]:
        """The files of a commit that may be about these accounts: all but those that name other accounts alone, in plain letters."""
        entries = tree.walk(self.branch.repository.prefix)
        if isinstance(entries, Unknown):
            raise entries.as_error("git cannot read it")
        new = [entry for entry in entries if entry.kind is Kind.FILE and entry.object_id not in self._far]
        for entry, content in zip(new, tree.contents(new), strict=True):
            self._far[entry.object_id] = not isinstance(content, Unknown) and _is_far(content, numbers)
        kept = (entry for entry in entries if entry.kind is not Kind.FOLDER and not self._far.get(entry.object_id, False))
        return frozenset((entry.path, entry.object_id) for entry in kept)

    def _of(self, project: Project, files: TreeFiles) -> dict[tuple[AccountKey, RowKey], FourWishes | None]:
        rows: dict[tuple[AccountKey, RowKey], FourWishes | None] = {}
        for account in load(project, files=files).accounts():
            key = self.branch.named(account.key)
            if key in self.accounts:
                for firm in account.execution_firms:
                    rows.update({(key, row.key): None if row.unset else row.legs for row in firm.rows})
        return rows


def _is_far(content: bytes, numbers: frozenset[str]) -> bool:
    """Whether a file is a manifest of other accounts alone: it names some, none of these, and nothing in it is written by its number or holds a profile."""
    if b"accountNumber" not in content or any(sign in content for sign in (b"\\", b"\0", b"Profile")):
        return False
    return not any(number.encode() in content for number in numbers)
