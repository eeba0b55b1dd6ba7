"""Whether a change is behind its branch of record: what the branch has changed since the change left it is no part of the change.

A commit holds all manifests, also of accounts that it leaves alone. If the branch has changed such an account since, the commit would take that back, in the
name of an author who never touched it. So, of each account that a plan changes, the commit must have the branch's last change of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Final, TypeAlias

from amsctl.errors import Stale
from amsctl.model import DesiredAccount
from amsctl.operations.record import Sources
from amsctl.operations.stated import Stated, stated_at
from amsctl.planning.plan import Plan
from amsctl.provenance.commits import first_parent_path, merge_bases
from amsctl.provenance.facts import Unknown

if TYPE_CHECKING:
    from amsctl.manifests.load import Desired
    from amsctl.provenance.repository import Repository

_MOST_LOOKED_AT: Final = 100
"""Commits of the branch that are read to name the one that changed an account."""
_UPDATE: Final = "update the branch: merge or rebase it, and plan again"

Words: TypeAlias = dict[str, tuple[object, ...]]
"""Account number → what manifests want of it, whatever its firm is called."""


def check_not_behind(plan: Plan, wanted: Desired, sources: Sources, against: Iterable[str]) -> None:
    """Stale where the branch of record, at one of the commits ``against``, has changed an account of the plan since the planned commit left the branch, and
    ``wanted`` says something else of it; and where that is not known.
    """
    git, base = plan.origin.git, plan.origin.base
    if git is None or base is None or sources.repository is None or not plan.changes:
        return
    numbers = {change.account for change in plan.changes}
    mine = _words_of(wanted.some([key for key in wanted.keys() if key.number in numbers]), numbers)  # noqa: SIM118  no mapping
    for commit in dict.fromkeys(against):
        _check(sources, sources.repository, git.commit, commit, numbers, mine)


def _check(sources: Sources, repository: Repository, head: str, commit: str, numbers: Collection[str], mine: Words) -> None:
    left = merge_bases(repository, commit, head)
    if isinstance(left, Unknown) or not left:
        unknown = left if isinstance(left, Unknown) else Unknown(reason=f"{commit[:12]} and {head[:12]} have no commit in common")
        raise Stale(
            f"where the change left {sources.branch} is not known, so neither is what {sources.branch} has changed since",
            where=head[:12],
            found=unknown.reason,
            hint=unknown.hint or _UPDATE,
        )
    if left == (commit,):
        return
    for fork in left:
        before = _said(sources, repository, fork, numbers)
        after = _said(sources, repository, commit, numbers, first=[path for one in before for path in one.documents])
        then, now = _words(before, numbers), _words(after, numbers)
        moved = next((number for number in sorted(numbers) if then[number] != now[number] and now[number] != mine[number]), None)
        if moved is not None:
            raise Stale(
                f"{sources.branch} has changed an account since the planned commit left it at {fork[:12]}, and the plan would take that back",
                where=f"account {moved}",
                expected=f"a commit that has {_changed_in(sources, repository, fork, commit, moved, now[moved])[:12]} of {sources.branch}",
                found=head[:12],
                hint=_UPDATE,
            )


def _said(
    sources: Sources, repository: Repository, commit: str, numbers: Collection[str], *, first: Collection[str] = ()
) -> tuple[Stated, ...]:
    """What a commit says of the accounts, whatever else of it is broken."""
    ruling = sources.rules[0]
    found = stated_at(repository, commit, (ruling.folder, repository.folder), numbers, first=first, otherwise=ruling.project)
    if isinstance(found, Unknown):
        raise Stale(
            f"what {sources.branch} has changed since the planned commit left it is not known",
            where=commit[:12],
            found=found.reason,
            hint=f"if it is {sources.branch} that is broken, mend it first; then {_UPDATE}",
        )
    return found


def _changed_in(sources: Sources, repository: Repository, fork: str, commit: str, number: str, now: tuple[object, ...]) -> str:
    """The newest commit of the branch that changed an account; the branch's newest where that is further back than is looked."""
    path = first_parent_path(repository, fork, commit)
    changed = commit
    for older in () if isinstance(path, Unknown) else (*path[1:], fork)[:_MOST_LOOKED_AT]:
        found = stated_at(repository, older, (sources.rules[0].folder, repository.folder), (number,))
        if isinstance(found, Unknown) or _words(found, (number,))[number] != now:
            return changed
        changed = older
    return commit


def _words(stated: Iterable[Stated], numbers: Collection[str]) -> Words:
    return _words_of((account for one in stated for account in one.accounts), numbers)


def _words_of(accounts: Iterable[DesiredAccount], numbers: Collection[str]) -> Words:
    found: dict[str, list[tuple[object, ...]]] = {number: [] for number in numbers}
    for account in accounts:
        found[account.key.number].append(_written(account))
    return {number: tuple(sorted(said, key=repr)) for number, said in found.items()}


def _written(account: DesiredAccount) -> tuple[object, ...]:
    """What a manifest wants written of an account."""
    firms = sorted(
        (firm.id, firm.suspended, tuple(sorted((row.key, row.legs, row.unset) for row in firm.rows))) for firm in account.execution_firms
    )
    return account.status, account.undeclared, tuple(firms)
