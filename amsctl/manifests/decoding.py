"""A part of the project file to a plain value, or :class:`Refused`: JSON Schema then says why (``explain``)."""

from __future__ import annotations

import re
from typing import Final, NoReturn

from amsctl.manifests.nodes import Map, Node, Scalar, Seq

_is_whole: Final = re.compile("(?:0|[1-9][0-9]{0,9})\\Z").match
_is_number: Final = re.compile("(?:0|[1-9][0-9]{0,17})(?:\\.[0-9]+)?\\Z").match


class Refused(Exception):
    """The document is not as the schema wants it."""


def refuse() -> NoReturn:
    """The part is not as the schema wants it."""
    raise Refused


def mapping_of(node: Node, known: tuple[str, ...], required: tuple[str, ...] = ()) -> Map:
    """The mapping that a node must be, with known keys alone and the required ones."""
    if not isinstance(node, Map) or not all(key in known for key in node.entries) or not all(key in node.entries for key in required):
        refuse()
    return node


def optional_mapping(node: Map, key: str, known: tuple[str, ...]) -> Map:
    """The mapping under a key; an empty one when the key is not written."""
    return mapping_of(node.entries[key][1], known) if key in node.entries else Map(0)


def map_at(node: Map, key: str) -> Map:
    """The mapping under a key that was decoded before."""
    found = node.entries[key][1]
    assert isinstance(found, Map)
    return found


def scalar_at(node: Map, key: str) -> Scalar:
    """The text under a key, with its quoting and place."""
    found = node.entries[key][1]
    if not isinstance(found, tuple):
        refuse()
    return found


def word_at(node: Map, key: str, words: tuple[str, ...]) -> str | None:
    """One of a few words; ``None`` when the key is not written."""
    if key not in node.entries:
        return None
    text = scalar_at(node, key)[0]
    if text not in words:
        refuse()
    return text


def free_text(node: Map, key: str) -> str | None:
    """A text that is not empty."""
    if key not in node.entries:
        return None
    text = scalar_at(node, key)[0]
    if not text:
        refuse()
    return text


def sequence_at(node: Map, key: str, most: int) -> tuple[Scalar, ...]:
    """The texts of a sequence: at least one, none empty, none twice; nothing at all when it is not written."""
    if key not in node.entries:
        return ()
    found = node.entries[key][1]
    if not isinstance(found, Seq) or not 0 < len(found.items) <= most:
        refuse()
    texts = tuple(item for item in found.items if isinstance(item, tuple) and item[0])
    if len({text for text, _, _ in texts}) < len(found.items):
        refuse()
    return texts


def switch_at(node: Map, key: str) -> bool:
    """``true`` or ``false``, which is also what is not written."""
    if key not in node.entries:
        return False
    text, plain, _ = scalar_at(node, key)
    if not plain or text not in ("true", "false"):
        refuse()
    return text == "true"


def whole_number(node: Map, key: str, least: int, most: int, usual: int) -> int:
    """A whole number within bounds."""
    if key not in node.entries:
        return usual
    text, plain, _ = scalar_at(node, key)
    if not plain or not _is_whole(text) or not least <= int(text) <= most:
        refuse()
    return int(text)


def number_at(node: Map, key: str, most: float, usual: float) -> float:
    """A number above zero."""
    if key not in node.entries:
        return usual
    text, plain, _ = scalar_at(node, key)
    if not plain or len(text) >= 20 or not _is_number(text) or not 0 < float(text) <= most:
        refuse()
    return float(text)
