"""Where something stands in a file, and what is wrong there.

A diagnostic is a value: collected while reading, sorted, and shown all at once in the contract's one-line form.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


def compose(what: str, *, where: str | None, expected: str | None, found: str | None, hint: str | None) -> str:
    """One line in the contract's form: ``WHAT (WHERE): expected …, found …; hint``."""
    line = what if where is None else f"{what} ({where})"
    facts = [f"{word} {fact}" for word, fact in (("expected", expected), ("found", found)) if fact is not None]
    if facts:
        line += ": " + ", ".join(facts)
    return line if hint is None else f"{line}; {hint}"


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Source(NamedTuple):
    """A place in a file: path as shown to the user (relative to the repository, ``/`` between folders), line and column from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """Something wrong (or odd) in the input: what, where, expected, found, what to do.

    ``code`` is stable and short (``duplicate-key``). ``related`` names a second place, such as the first of two duplicates.
    """

    code: str
    what: str
    source: Source
    severity: Severity = Severity.ERROR
    expected: str | None = None
    found: str | None = None
    hint: str | None = None
    related: Source | None = None

    @property
    def message(self) -> str:
        """One line without the severity word: ``WHAT (file:line:col): expected …, found …; hint``."""
        return compose(self.what, where=str(self.source), expected=self.expected, found=self.found, hint=self.hint)

    def sort_key(self) -> tuple[str, int, int, str, str]:
        """By file, line, column, then code and text: the same order on every run."""
        return (self.source.file, self.source.line, self.source.column, self.code, self.what)
