"""Who made a change: everybody whom its commits, their signatures and the forge name, and whose authorship is not proven.

One proven person is one pair of eyes. An author who is not proven may be anybody, an approver too, so each makes one more approver necessary, and none
of the names that the commit bears may be one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, assert_never

from amsctl.approvals.names import Identities, folded, spoken_of
from amsctl.approvals.reviews import CommitRecord, PushRecord
from amsctl.approvals.signatures import Checked
from amsctl.config import MakersFrom
from amsctl.provenance.people import is_no_person

WEB_FLOW: Final = "web-flow"
"""The account under which GitHub commits what was done in a browser, for the author whom it names."""
_WEB_FLOW_NAMES: Final = frozenset({WEB_FLOW, "github", "noreply@github.com"})
_LOOKED_AT: Final = frozenset({"reviewed-by", "acked-by", "approved-by", "tested-by", "reported-by", "suggested-by", "merged-by"})
"""Lines of a message that name people who looked at a change, tried it or merged it: none of that makes one a maker."""
_SHORT: Final = 12


class NamedPerson(Protocol):
    """A person as a commit names one."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def address(self) -> str: ...  # noqa: D102


class NamedByMessage(NamedPerson, Protocol):
    """A person whom a line of a message names; ``word`` is the line's (``co-authored-by``)."""

    @property
    def word(self) -> str: ...  # noqa: D102


class CommitFacts(Protocol):
    """What is asked of a commit: ``provenance.commits.Commit`` has it."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def parents(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def author(self) -> NamedPerson: ...  # noqa: D102
    @property
    def committer(self) -> NamedPerson: ...  # noqa: D102
    @property
    def named(self) -> Sequence[NamedByMessage]: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class UnprovenAuthor:
    """An author who may be anybody: the name that the commits bear, and why it proves nothing. ``may_sign``: a signature over the commit would prove it."""

    name: str
    why: str
    may_sign: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Makers:
    """Who made a change. ``names`` are folded: all of everybody who had a hand in it. ``weak``: addresses alone were believed."""

    names: frozenset[str]
    unproven: tuple[UnprovenAuthor, ...] = ()
    weak: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownMakers:
    """Who made the change is unknown: no approval counts. ``reason`` and ``hint`` are those of the fact that is unknown."""

    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgeRecord:
    """What the forge says of a request: its author, its commits, and who pushed what to its branch, the oldest first; ``bots`` (folded) are no persons'
    accounts.
    """

    author: str
    commits: Mapping[str, CommitRecord]
    pushes: tuple[PushRecord, ...]
    bots: frozenset[str] = frozenset()

    def is_no_person(self, account: str) -> bool:
        """Whether an account is a program's, by its name or by what the forge says of it."""
        return is_no_person(account) or folded(account) in self.bots


def makers(
    commits: Sequence[CommitFacts],
    proof: MakersFrom,
    *,
    identities: Identities,
    signed: Mapping[str, Checked],
    list_number: int | None,
    forge: ForgeRecord | None,
    also: Iterable[str] = (),
) -> Makers:
    """Who made the change that ``commits`` (all between base and head) are.

    ``signed`` holds what ssh-keygen says of the commits that bear a signature, by commit; ``list_number`` tells which of the lists of these checks is the
    one that proves (that of this set of rules; ``None``: there is none). ``also`` names those who made it beside the commits: the actor who first started
    the planning job, the person who asks for a rollback that loosens.
    """
    names = set(spoken_of(also))
    for commit in commits:
        names |= _named_by(commit)
        checked = signed.get(commit.id)
        names |= spoken_of(checked.behind if checked is not None else ())
    if forge is not None:
        names |= _named_by_forge(forge, {commit.id for commit in commits})
    names = set(identities.person(names))
    match proof:
        case MakersFrom.SIGNED:
            unproven = _not_signed(commits, identities, signed, list_number)
        case MakersFrom.FORGE:
            unproven = _not_by_forge(commits, forge)
        case MakersFrom.ADDRESSES:
            unproven = ()
        case _:
            assert_never(proof)
    return Makers(names=frozenset(names), unproven=unproven, weak=proof is MakersFrom.ADDRESSES)


def _named_by(commit: CommitFacts) -> frozenset[str]:
    """Everybody whom a commit names, but the forge's own committer."""
    people: list[NamedPerson] = [commit.author, commit.committer]
    people += [one for one in commit.named if one.word.lower() not in _LOOKED_AT]
    return spoken_of(text for person in people for text in (person.name, person.address)) - _WEB_FLOW_NAMES


def _named_by_forge(forge: ForgeRecord, commits: Collection[str]) -> frozenset[str]:
    """The request's author, the accounts of its commits, and everybody who pushed since the branch was made, replaced commits too; of an earlier branch
    of the same name, who pushed one of these commits.
    """
    made = max((number for number, push in enumerate(forge.pushes) if not push.before.strip("0")), default=0)
    pushes = [push for number, push in enumerate(forge.pushes) if number >= made or push.after in commits]
    accounts = [forge.author, *(push.by for push in pushes)]
    for one in forge.commits.values():
        accounts += [name for name in (one.author, one.committer, one.verified) if name]
    return spoken_of(accounts) - _WEB_FLOW_NAMES


def _author(commit: CommitFacts) -> str:
    return commit.author.address or commit.author.name or "an author without a name"


def _each_once(found: Iterable[tuple[str, str]]) -> tuple[UnprovenAuthor, ...]:
    first: dict[str, UnprovenAuthor] = {}
    for name, why in found:
        first.setdefault(folded(name), UnprovenAuthor(name=name, why=why))
    return tuple(first.values())


# --- signed ---


def _not_signed(
    commits: Sequence[CommitFacts], identities: Identities, signed: Mapping[str, Checked], list_number: int | None
) -> tuple[UnprovenAuthor, ...]:
    """The authors whose commits bear no signature of theirs that holds by the list that proves."""
    found = []
    for commit in commits:
        why = _why_not_signed(commit, identities, signed.get(commit.id), list_number)
        if why is not None:
            found.append((_author(commit), f"commit {commit.id[:_SHORT]} {why}"))
    return tuple(replace(one, may_sign=True) for one in _each_once(found))


def _why_not_signed(commit: CommitFacts, identities: Identities, checked: Checked | None, list_number: int | None) -> str | None:
    if checked is None:
        return "is not signed with an OpenSSH key" if list_number is not None else "is not proven: there is no list of signers"
    if checked.problem or list_number is None:
        return f"is signed, and that proves nothing: {checked.problem or 'there is no list of signers'}"
    held = checked.held[list_number]
    if not held.names:
        return f"is signed, and that proves nothing: {held.reason}"
    signer = identities.person(held.names)
    if not spoken_of([commit.author.address]) & signer:
        return f"is signed by {held.names[0]}, and names another author"
    return None


# --- forge ---


def _not_by_forge(commits: Sequence[CommitFacts], forge: ForgeRecord | None) -> tuple[UnprovenAuthor, ...]:
    """The authors whom neither the record of pushes nor a signature that the forge verified names, and the account of a push that is not recorded."""
    if forge is None:
        return _each_once((_author(commit), "no forge was asked who pushed it") for commit in commits)
    pushers = pushed_by(commits, forge.pushes)
    found = []
    for commit in commits:
        record = forge.commits.get(commit.id)
        why = _why_not_by_forge(commit, record, pushers.get(commit.id), forge)
        if why is not None:
            named = (record.author if record is not None else None) or _author(commit)
            found.append((named, f"commit {commit.id[:_SHORT]} {why}"))
    lost = next((commit for commit in commits if commit.id not in pushers), None)
    if lost is not None:
        found.append((f"the account that pushed {lost.id[:_SHORT]}", "the forge has no record of that push"))
    return _each_once(found)


def _why_not_by_forge(commit: CommitFacts, record: CommitRecord | None, pusher: str | None, forge: ForgeRecord) -> str | None:
    if record is None:
        return "is not among those that the forge lists"
    if record.author is None:
        return f"is by {_author(commit)}, an address of no account that the forge knows"
    if forge.is_no_person(record.author):
        return f"is by {record.author}, which is no person: whoever let it run may have made the change"
    if record.verified is not None and folded(record.verified) == folded(record.author):
        return None
    if pusher is not None and folded(pusher) == folded(record.author):
        return None
    return f"names {record.author}, and was pushed by {pusher or 'an account that the forge does not name'}"


def pushed_by(commits: Sequence[CommitFacts], pushes: Sequence[PushRecord]) -> dict[str, str]:
    """Who pushed each commit first, by id: the push, from the oldest on, whose newest commit it is or an ancestor of. Commits that no push reaches lack."""
    parents = {commit.id: commit.parents for commit in commits}
    found: dict[str, str] = {}
    for push in pushes:
        ahead = [push.after]
        while ahead:
            at = ahead.pop()
            if at in parents and at not in found:
                found[at] = push.by
                ahead += parents[at]
    return found
