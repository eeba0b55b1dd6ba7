"""Columns, wrapping and counting: the plain craft under every text view."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable, Sequence


def cells(text: str) -> int:
    """How many columns of a terminal a text takes: two for wide letters, none for marks that sit on another."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def left(text: str, width: int) -> str:
    """The text filled up with blanks on its right."""
    return text + " " * (width - cells(text))


def right(text: str, width: int) -> str:
    """The text filled up with blanks on its left."""
    return " " * (width - cells(text)) + text


def widths(rows: Iterable[Sequence[str]]) -> list[int]:
    """The widest cell of each column; rows are equally long."""
    widest: list[int] = []
    for row in rows:
        if not widest:
            widest = [0] * len(row)
        for index, cell in enumerate(row):
            taken = cells(cell)
            if taken > widest[index]:
                widest[index] = taken
    return widest


def wrap(text: str, *, width: int, indent: str = "", first: str | None = None) -> list[str]:
    """The lines of a paragraph. Words, which may be identifiers, are never broken, even where they are wider than the line."""
    start = indent if first is None else first
    lines = textwrap.wrap(
        text, max(width, 20), initial_indent=start, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return lines or [start.rstrip()]


def count(number: int, noun: str, plural: str | None = None) -> str:
    """``1 change``, ``1,200 changes``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
