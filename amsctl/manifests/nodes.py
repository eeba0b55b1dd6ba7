"""A document as positioned values, before anything is known about its meaning.

A scalar is a plain tuple ``(text, plain, position)``: the text as written, whether it stood there without quotes, and where. A position is one
integer, ``line << 24 | column``, both from 1 (a file of at most 10 MiB cannot have a longer line), because a large book has millions of them.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from amsctl.diagnostics import Source

Scalar: TypeAlias = tuple[str, bool, int]
_COLUMN_BITS: Final = 24
_COLUMN_MASK: Final = (1 << _COLUMN_BITS) - 1


class Map:
    """A mapping: key text to (position of the key, value), in the order written."""

    __slots__ = ("entries", "pos")

    def __init__(self, pos: int) -> None:
        self.entries: dict[str, tuple[int, Node]] = {}
        self.pos = pos


class Seq:
    """A sequence of values."""

    __slots__ = ("items", "pos")

    def __init__(self, pos: int) -> None:
        self.items: list[Node] = []
        self.pos = pos


Node: TypeAlias = Scalar | Map | Seq


def position(line: int, column: int) -> int:
    """Line and column, both from 1, as one integer that sorts as they do."""
    return line << _COLUMN_BITS | column


def pos_of(node: Node) -> int:
    """Where a value begins."""
    return node[2] if isinstance(node, tuple) else node.pos


def source(file: str, pos: int) -> Source:
    """A packed position as a place in ``file``."""
    # As Source(…), without the Python function between: a book has a place for each of its legs.
    return tuple.__new__(Source, (file, pos >> _COLUMN_BITS, pos & _COLUMN_MASK))


def plain(node: object) -> object:
    """A document without its places: texts, lists and maps that are equal where two documents say the same."""
    if isinstance(node, Map):
        return {key: plain(value) for key, (_, value) in node.entries.items()}
    if isinstance(node, Seq):
        return [plain(item) for item in node.items]
    return node[:2] if isinstance(node, tuple) else node
