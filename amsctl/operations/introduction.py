"""Which steps of the branch of record brought a value in: who made a change is who made these steps, however long ago, and not who came after them.

A change that was merged and never applied is part of the next plan. Its makers are then not among the commits that the base lacks, and would otherwise be
free to approve it. The same goes for what gives a value without any effect, as a profile whose number an account's own number hides: the change that takes
the account's own number away brings in what the profile's author wrote.

On the way back a commit *has* the value, *lacks* it, or it is *unclear* which, where what stands there cannot be read or names its firm in another way. The
way ends at the newest commit that certainly lacks it. Every step from there on whose older commit does not certainly have the value may have brought it in.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Final, TypeAlias, assert_never

from amsctl.config import PROJECT_FILE, Project
from amsctl.manifests.records import Layer
from amsctl.model import LEGS, UNSET, Amount, DesiredAccount, DesiredRow, LegRef, Undeclared
from amsctl.operations.record import Sources
from amsctl.operations.stated import Stated, below, contents, stated_at
from amsctl.planning.plan import Change, ChangeKind, Plan
from amsctl.provenance.commits import Commit, commit_at, commits_between, is_ancestor
from amsctl.provenance.facts import Unknown
from amsctl.provenance.merging import is_plain_merge, is_squash_of
from amsctl.provenance.repository import Repository
from amsctl.provenance.trees import Entry, Tree

_MOST_VERSIONS: Final = 2_000
"""Different versions of the documents of an account that are read on the way back."""
_MOST_STEPS: Final = 100_000
_WAY_OUT: Final = "merge what the AMS has now, and then the value that is wanted: its makers are those of that merge; or fetch the whole history, if it is cut"


@dataclass(frozen=True, slots=True)
class _Step:
    """A step of the branch: the commit that it stood at before, ``None`` before its first, and the one after."""

    before: str | None
    after: str


class _State(Enum):
    """What a commit says of a fact."""

    HAS = auto()
    LACKS = auto()
    UNCLEAR = auto()


Test: TypeAlias = Callable[[DesiredAccount, Stated], bool | None]
"""Whether an account has something; ``None`` where that hangs on a project file that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fact:
    """One thing that makes a change what it is. ``firms`` are the texts that certainly name the account's firm, ``profile`` is the one that is asked about.
    ``only_if``: it counts only where the base has, or may have, that other fact.
    """

    account: str
    firms: frozenset[str]
    where: str
    test: Test
    profile: str = ""
    only_if: _Fact | None = None

    def state(self, stated: Sequence[Stated] | Unknown) -> _State:
        """What a commit that states this says of it."""
        if isinstance(stated, Unknown):
            return _State.UNCLEAR
        certain: list[bool | None] = []
        maybe: list[bool | None] = []
        for one in stated:
            for account in one.accounts:
                if account.key.number == self.account:
                    answers = certain if account.key.firm in self.firms else maybe
                    answers.append(self.test(account, one))
        if certain and all(certain) and len(stated) == 1:
            return _State.HAS
        # Of an account that is declared under a name that is certain, another text names another firm: one account is not declared twice.
        return _State.LACKS if all(answer is False for answer in certain or maybe) else _State.UNCLEAR


# --- the way back ---


def introducing(plan: Plan, sources: Sources) -> tuple[Commit, ...] | Unknown:
    """The commits of the steps of the branch, up to the plan's base, that brought in what the plan changes and the base has already. None where the base lacks
    all of it. Unknown where they cannot be found.
    """
    base, git = plan.origin.base, plan.origin.git
    if base is None or sources.repository is None or not plan.changes:
        return ()
    folders = (sources.rules[0].folder, sources.repository.folder)
    head = base.commit if git is None else git.commit
    here = stated_at(sources.repository, head, folders[::-1], {change.account for change in plan.changes}, otherwise=sources.project)
    if isinstance(here, Unknown):
        return here
    facts = [fact for change in plan.changes for fact in _facts(change, here, sources.project)]
    steps = _Way(sources.repository, folders, here, sources.rules[0].project).back(base.commit, facts)
    if isinstance(steps, Unknown):
        return steps.because(f"who brought in what the plan changes is not known from the history of {sources.branch}")
    return _commits(steps, sources.repository, head)


class _Way:
    """The way back along the branch: what each commit says of the accounts, read only where one of their documents is another than in the commit after it."""

    def __init__(self, repository: Repository, folders: Sequence[str], here: Sequence[Stated], rules: Project) -> None:
        self._repository = repository
        self._rules = rules
        self._folders = folders
        self._first = {path for one in here for path in one.documents}
        self._stated: Sequence[Stated] | Unknown | None = None
        self._documents: Mapping[str, str] = {}
        self._whole = ""
        self._versions = 0

    def back(self, base: str, facts: Iterable[_Fact]) -> list[_Step] | Unknown:
        """The steps that may have brought in one of the facts that ``base`` has."""
        left = list(facts)
        steps: dict[_Step, None] = {}
        at, newer = base, ""
        for _ in range(_MOST_STEPS):
            commit = commit_at(self._repository, at)
            if isinstance(commit, Unknown):
                return commit
            stated = self._at(commit, left)
            if stated is None:
                return _too_many(left, f"{_MOST_VERSIONS} versions of its documents")
            if not newer:
                left = [fact for fact in left if fact.only_if is None or fact.only_if.state(stated) is not _State.LACKS]
            states = [fact.state(stated) for fact in left]
            if newer and any(state is not _State.HAS for state in states):
                steps[_Step(at, newer)] = None
            left = [fact for fact, state in zip(left, states, strict=True) if state is not _State.LACKS]
            if not left:
                return list(steps)
            if not commit.parents:
                return [*steps, _Step(None, at)]
            at, newer = commit.parents[0], at
        return _too_many(left, f"{_MOST_STEPS} commits")

    def _at(self, commit: Commit, facts: Sequence[_Fact]) -> Sequence[Stated] | Unknown | None:
        """What a commit says of what is asked; ``None`` where too many were read already."""
        tree = Tree(self._repository, commit.id, commit.tree)
        if self._stated is not None and self._is_the_same(tree, commit):
            return self._stated
        self._versions += 1
        if self._versions > _MOST_VERSIONS:
            return None
        numbers, profiles = {fact.account for fact in facts}, {fact.profile for fact in facts} - {""}
        found = stated_at(self._repository, commit.id, self._folders, numbers, profiles=profiles, first=self._first, otherwise=self._rules)
        self._stated, self._whole, self._documents = found, self._key(tree, commit), {}
        if not isinstance(found, Unknown) and [one.folder for one in found] == [self._folders[0]]:
            (one,) = found
            self._first = set(one.documents)
            if numbers <= {account.key.number for account in one.accounts}:
                self._documents = one.documents
        return found

    def _is_the_same(self, tree: Tree, commit: Commit) -> bool:
        """Whether a commit has the very documents that were read last; where those are not known, the very folder."""
        if self._documents:
            return contents(tree, self._documents) == self._documents
        return self._key(tree, commit) == self._whole

    def _key(self, tree: Tree, commit: Commit) -> str:
        """What is the same where all manifests are: the project's folder, which none of them lies outside of; where it has no project file, the whole tree."""
        top, folder = self._repository.top, self._folders[0]
        entries = [tree.entry(below(top, path)) for path in (os.path.join(folder, PROJECT_FILE), folder)]
        return entries[1].object_id if all(isinstance(entry, Entry) for entry in entries) and isinstance(entries[1], Entry) else commit.tree


def _too_many(left: Sequence[_Fact], what: str) -> Unknown:
    return Unknown(reason=f"{left[0].where} has been there for more than {what}", hint=_WAY_OUT)


def _commits(steps: Sequence[_Step], repository: Repository, head: str) -> tuple[Commit, ...] | Unknown:
    """The commits of these steps. A merge that git makes of itself is left out, and in the place of a squash merge of the planned commit are the commits that
    it squashed: whoever merged made nothing.
    """
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
        for commit in made:
            if commit.id not in found and is_plain_merge(repository, commit) is not True:
                found.update({one.id: one for one in _squashed(repository, commit, head)})
    return tuple(found.values())


def _squashed(repository: Repository, commit: Commit, head: str) -> Sequence[Commit]:
    """The commits of ``head`` that a commit squashes; else itself. One that ``head`` has is no squash of it, though their files may be the same."""
    if is_ancestor(repository, commit.id, head) is not False or is_squash_of(repository, commit, head) is not True:
        return (commit,)
    made = commits_between(repository, commit.parents[0], head)
    return (commit,) if isinstance(made, Unknown) else made


# --- what makes a change what it is ---


def _facts(change: Change, here: Sequence[Stated], rules: Project) -> list[_Fact]:
    """The facts that a change follows from: that its value is in effect; that it is written, whatever the project file makes of it; and what gives it: a
    profile, the one that has the last word at the commit that is planned, or the setting for rows that no manifest names.
    """
    found = [(account, one) for one in here for account in one.accounts if account.key.number == change.account]
    mine = [(account, one) for account, one in found if account.key.firm == change.clearing_firm] or found
    firms = frozenset({change.clearing_firm, *(account.key.firm for account, _ in mine if len(mine) == 1)})

    def fact(test: Test, *, profile: str = "", only_if: _Fact | None = None) -> _Fact:
        return _Fact(account=change.account, firms=firms, where=change.where, test=test, profile=profile, only_if=only_if)

    facts = [fact(partial(_in_effect, change))]
    if change.kind is not ChangeKind.LIMIT:
        return facts
    facts.append(fact(partial(_written, change)))
    for account, one in mine:
        if _row_of(account, change) is not None:
            for profile in _givers(account, one, change):
                uses = fact(partial(_gives, profile, change), profile=profile)
                facts += [uses, fact(partial(_says, profile, change), profile=profile, only_if=uses)]
        elif _undeclared(account, rules) is Undeclared.UNSET:
            facts.append(fact(_unsets))
    return facts


def _in_effect(change: Change, account: DesiredAccount, stated: Stated) -> bool | None:
    if stated.borrowed and change.kind is ChangeKind.LIMIT:
        row = _row_of(account, change)
        return False if row is not None and not _row_wants(row, change) else None
    return wants(account, change, stated.project)


def _written(change: Change, account: DesiredAccount, _: Stated) -> bool:
    """Whether the value is written, whatever the project file makes of it."""
    return _row_wants(_row_of(account, change), change)


def _unsets(account: DesiredAccount, stated: Stated) -> bool | None:
    """Whether rows that no manifest names lose their limits."""
    if stated.borrowed and account.undeclared is None:
        return None
    return _undeclared(account, stated.project) is Undeclared.UNSET


def _givers(account: DesiredAccount, stated: Stated, change: Change) -> list[str]:
    """The profiles whose word a leg is; none where it is the account's own."""
    row = _row_of(account, change)
    assert row is not None
    place = row.source if row.unset else row.sources[_leg(change)]
    return [
        layer.profile
        for layer in stated.layers[account.key]
        if layer.execution_firm == change.execution_firm
        for one in stated.profile(layer.profile, layer.execution_firm)
        if one.product == change.product and place == (one.source if row.unset else one.sources[_leg(change)])
    ]


def _gives(profile: str, change: Change, account: DesiredAccount, stated: Stated) -> bool:
    """Whether an account uses a profile that says what a change does, whether or not the account's own number hides it."""
    assert change.execution_firm is not None
    return Layer(change.execution_firm, profile) in stated.layers[account.key] and _says(profile, change, account, stated)


def _says(profile: str, change: Change, _: DesiredAccount, stated: Stated) -> bool:
    """Whether a profile says what a change does, whoever uses it."""
    assert change.execution_firm is not None
    return any(_row_wants(row, change) for row in stated.profile(profile, change.execution_firm) if row.product == change.product)


def wants(account: DesiredAccount, change: Change, project: Project) -> bool:
    """Whether a manifest wants what a change does, by the project file beside it."""
    match change.kind:
        case ChangeKind.STATUS:
            return account.status is not None and account.status.value == change.after
        case ChangeKind.SUSPENSION:
            return any(firm.id == change.execution_firm and firm.suspended is change.after for firm in account.execution_firms)
        case ChangeKind.LIMIT:
            row = _row_of(account, change)
            if change.owner not in project.ownership:
                return False
            if row is None:
                return not isinstance(change.after, int) and _undeclared(account, project) is Undeclared.UNSET
            return _row_wants(row, change)
        case _:
            assert_never(change.kind)


def _undeclared(account: DesiredAccount, project: Project) -> Undeclared:
    """What becomes of rows that no manifest names."""
    return account.undeclared if account.undeclared is not None else project.undeclared


def _row_of(account: DesiredAccount, change: Change) -> DesiredRow | None:
    return next((row for firm in account.execution_firms for row in firm.rows if row.key == change.row_key), None)


def _leg(change: Change) -> int:
    assert change.owner is not None
    assert change.leg is not None
    return LEGS.index(LegRef(change.owner, change.leg))


def _row_wants(row: DesiredRow | None, change: Change) -> bool:
    """Whether a row wants a leg to be what a change makes of it. A leg without a limit is unset or unlimited as its row has others with one or not."""
    if row is None:
        return False
    wish: Amount | None = UNSET if row.unset else row.legs[_leg(change)]
    if isinstance(wish, int) or isinstance(change.after, int):
        return wish == change.after
    return wish is not None
