"""Reviews of a pull or merge request, as ``amsctl ci reviews`` wrote them (``amsctl.reviews/v1``), as a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from amsctl.errors import ApprovalMissing

REVIEWS_FORMAT: Final = "amsctl.reviews/v1"


class ReviewState(StrEnum):
    """What a review says."""

    APPROVED = "approved"
    CHANGES_REQUESTED = "changes-requested"
    DISMISSED = "dismissed"
    COMMENTED = "commented"


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One review: whose, of which commit (``None`` where the forge does not tell), when."""

    by: str
    state: ReviewState
    commit: str | None
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviews:
    """A request, who made it, and its reviews from the oldest on."""

    forge: str
    url: str
    number: int
    state: str
    base: str
    head_commit: str
    merge_commit: str | None
    author: str
    contributors: tuple[str, ...]
    pusher: str | None
    read_at: str
    reviews: tuple[Review, ...]


def decode_reviews(value: object, file: str) -> Reviews:
    """The reviews that a file holds; ApprovalMissing tells what is not as it must be."""
    outer = _members(value, ("format", *Reviews.__slots__), file)
    if outer.pop("format") != REVIEWS_FORMAT:
        raise _not_as(file, "format", REVIEWS_FORMAT)
    listed = outer.pop("reviews")
    if not isinstance(listed, list):
        raise _not_as(file, "reviews", "a list")
    for name, is_right in _RIGHT.items():
        if not is_right(outer[name]):
            raise _not_as(file, name, "what amsctl ci reviews writes")
    reviews = tuple(_review(item, f"{file}: reviews[{number}]") for number, item in enumerate(listed))
    contributors = tuple(outer.pop("contributors"))
    return Reviews(**outer, contributors=contributors, reviews=tuple(sorted(reviews, key=lambda review: review.at)))


def _review(value: object, where: str) -> Review:
    members = _members(value, tuple(Review.__slots__), where)
    if not (all(_is_text(members[name]) for name in ("by", "at")) and _is_text_or_none(members["commit"])):
        raise _not_as(where, "by, commit, at", "texts")
    if members["state"] not in list(ReviewState):
        raise _not_as(where, "state", "one of " + ", ".join(ReviewState))
    return Review(by=members["by"], state=ReviewState(members["state"]), commit=members["commit"], at=members["at"])


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
    **dict.fromkeys(("merge_commit", "pusher"), _is_text_or_none),
    "number": _is_number,
    "contributors": _is_texts,
}


def _members(value: object, names: tuple[str, ...], where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != set(names):
        raise _not_as(where, "top level", "an object of " + ", ".join(names))
    return dict(value)


def _not_as(where: str, member: str, expected: str) -> ApprovalMissing:
    return ApprovalMissing(
        "these are not reviews that this version reads", where=f"{where}: {member}", expected=expected, hint="amsctl ci reviews -o FILE"
    )
