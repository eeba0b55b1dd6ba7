"""A fact, or that it is unknown and why. Standard library and the error tree only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from amsctl.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """There is no answer. ``reason`` is that of the program that did not give one, in its own words; ``hint`` says what to do.

    Unknown is never a fact: not "none", not "no", not "nobody". Text in it may come from a repository: it is escaped where it is printed.
    """

    reason: str
    hint: str = ""

    def __bool__(self) -> bool:
        """Never asked: ``if answer`` would take what is unknown for "no"."""
        raise TypeError("an answer that may be unknown has no truth value: compare with isinstance")

    def as_error(self, what: str, *, where: str | None = None) -> ConfigError:
        """The failure of a run that cannot go on without the answer."""
        return ConfigError(what, where=where, found=self.reason, hint=self.hint or None)

    def because(self, what: str) -> Unknown:
        """The same, for a question that this one stood behind: ``WHAT: REASON``."""
        return Unknown(reason=f"{what}: {self.reason}", hint=self.hint)


def known(answer: T | Unknown, what: str, *, where: str | None = None) -> T:
    """The answer. ConfigError where it is unknown, of a run that cannot go on without it: ``what`` says what it is needed for."""
    if isinstance(answer, Unknown):
        raise answer.as_error(what, where=where)
    return answer
