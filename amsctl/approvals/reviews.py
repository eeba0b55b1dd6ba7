"""A pull or merge request, its commits, pushes, plans and reviews, as ``amsctl ci reviews`` wrote them (``amsctl.reviews/v1``), as a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

from amsctl.errors import ApprovalMissing

REVIEWS_FORMAT: Final = "amsctl.reviews/v1"


class ReviewState(StrEnum):
    """What a review says."""

    APPROVED = "approved"
    CHANGES_REQUESTED = "changes-requested"
    DISMISSED = "dismissed"
    COMMENTED = "commented"


class Standing(StrEnum):
    """Whether an account may write to the repository, by the forge. ``unknown`` counts for nothing."""

    WRITES = "writes"
    READS = "reads"
    BOT = "bot"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One review: whose, of which commit (``None`` where the forge does not say), when, and what the account may do."""

    by: str
    state: ReviewState
    commit: str | None
    at: str
    standing: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRecord:
    """A commit as the forge lists it: the accounts to which it counts the addresses of author and committer (``None``: none), and the account whose
    signature it verified.
    """

    id: str
    author: str | None
    committer: str | None
    verified: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRecord:
    """One push to the request's branch: the commits before and after, the account, and when."""

    before: str
    after: str
    by: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRecord:
    """A plan that the request showed: its content (``planning.content``), since when by the forge's clock, and what says so."""

    content: str
    at: str
    seen_in: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviews:
    """A request and everything that the forge says of it. ``unknown`` tells what could not be read whole: nothing counts as long as it says anything.
    ``bots`` are the accounts among those of commits and pushes that are no persons' by the forge, beside those whose names say so.
    ``reviews`` and ``pushes`` are sorted, the oldest first; ``plans`` likewise.
    """

    forge: str
    url: str
    number: int
    state: str
    base: str
    head_commit: str
    merge_commit: str | None
    author: str
    commits: tuple[CommitRecord, ...]
    pushes: tuple[PushRecord, ...]
    plans: tuple[PlanRecord, ...]
    unknown: tuple[str, ...]
    read_at: str
    reviews: tuple[Review, ...]
    bots: tuple[str, ...] = ()


def decode_reviews(value: object, file: str) -> Reviews:
    """The reviews that a file holds; ApprovalMissing tells what is not as it must be."""
    outer = _members({"bots": [], **value} if isinstance(value, dict) else value, ("format", *Reviews.__slots__), file)
    if outer.pop("format") != REVIEWS_FORMAT:
        raise _not_as(file, "format", REVIEWS_FORMAT)
    for name, is_right in _RIGHT.items():
        if not is_right(outer[name]):
            raise _not_as(file, name, "what amsctl ci reviews writes")
    outer["unknown"], outer["bots"] = tuple(outer["unknown"]), tuple(outer["bots"])
    outer["commits"] = _all(outer["commits"], CommitRecord, f"{file}: commits")
    outer["pushes"] = tuple(sorted(_all(outer["pushes"], PushRecord, f"{file}: pushes"), key=lambda one: one.at))
    outer["plans"] = tuple(sorted(_all(outer["plans"], PlanRecord, f"{file}: plans"), key=lambda one: one.at))
    outer["reviews"] = tuple(sorted(_all(outer["reviews"], Review, f"{file}: reviews"), key=lambda one: one.at))
    return Reviews(**outer)


_T = TypeVar("_T", CommitRecord, PushRecord, PlanRecord, Review)
_WORDS: Final[Mapping[str, type[StrEnum]]] = {"state": ReviewState, "standing": Standing}
_OPTIONAL: Final = frozenset({(CommitRecord, "author"), (CommitRecord, "committer"), (CommitRecord, "verified"), (Review, "commit")})


def _all(listed: object, kind: type[_T], where: str) -> tuple[_T, ...]:
    if not isinstance(listed, list):
        raise _not_as(where, "top level", "a list")
    return tuple(_one(item, kind, f"{where}[{number}]") for number, item in enumerate(listed))


def _one(value: object, kind: type[_T], where: str) -> _T:
    members = _members(value, tuple(kind.__slots__), where)
    for name, text in members.items():
        if not (isinstance(text, str) or (text is None and (kind, name) in _OPTIONAL)):
            raise _not_as(where, name, "a text")
        if kind is Review and name in _WORDS:
            if text not in list(_WORDS[name]):
                raise _not_as(where, name, "one of " + ", ".join(_WORDS[name]))
            members[name] = _WORDS[name](text)
    return kind(**members)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_text_or_none(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


_RIGHT: Final[Mapping[str, Callable[[object], bool]]] = {
    **dict.fromkeys(("forge", "url", "state", "base", "head_commit", "author", "read_at"), _is_text),
    "merge_commit": _is_text_or_none,
    "number": _is_number,
    "unknown": _is_texts,
    "bots": _is_texts,
}


def _members(value: object, names: tuple[str, ...], where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != set(names):
        raise _not_as(where, "top level", "an object of " + ", ".join(names))
    return dict(value)


def _not_as(where: str, member: str, expected: str) -> ApprovalMissing:
    return ApprovalMissing(
        "these are not reviews that this version reads", where=f"{where}: {member}", expected=expected, hint="amsctl ci reviews -o FILE"
    )
