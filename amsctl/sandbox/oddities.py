"""The switches: every freedom the specification leaves, as one frozen value. Standard library only.

The defaults are the plain reading of the specification, and where it says nothing, the reading that is the most dangerous for a careless client.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

MAX_LIMIT = 2_147_483_647

UnlimitedAs = Literal["null", "omit", "omit_side", "Unlimited"] | int


@dataclass(frozen=True, slots=True, kw_only=True)
class Oddities:
    """How this AMS spells and behaves. ``replace(**changes)`` gives a changed copy; ``from_mapping`` reads text or JSON values."""

    ef_as_strings: bool = False
    """``/accounts`` gives execution firms as bare strings, as in the specification's status example."""
    ef_key: Literal["efId", "efID"] = "efId"
    """The spelling of the key in ``/accounts`` and ``/efStatus`` answers. Both are always accepted in bodies."""
    status_words: Literal["title", "lower", "letters"] = "title"
    """``Active``, ``active`` or ``A``. A closed account is always ``closed`` (AMS §3.2)."""
    accounts_suspended_always_n: bool = True
    """``/accounts`` says ``N`` for every execution firm, suspended or not (AMS §3.1)."""
    unlimited_as: UnlimitedAs = "null"
    """An unlimited leg in an answer: JSON null, left out, left out with its side when both legs are, the word, or this number (then read as such too)."""
    missing_means: Literal["unlimited", "unchanged", "refuse"] = "unlimited"
    """A side or leg that a posted row does not name. A row is posted whole, so the default reads it as unlimited and catches who forgets to echo."""
    foreign_side: Literal["refuse", "ignore", "apply"] = "refuse"
    """A principal posts a row whose other side differs from what is stored: an error, kept as it was without a word, or written."""
    usage: Literal["off", "object", "number"] = "off"
    """Rows with use show ``"usage": {"short", "long"}`` or the larger of both as one number."""
    trailing_blanks: bool = True
    """``productFullName`` ends in a blank, as in the specification's example."""
    links: Literal["spec", "absolute", "hostile", "none"] = "spec"
    """Hrefs as in the specification (``_/v#/…``, mostly broken), working ones, ones that a client must not follow, or none."""
    hostile_origin: str = "http://127.0.0.2:9"
    """Where hostile links and redirects point."""
    illegal_argument_status: int = 400
    """The HTTP status of ``IllegalArgumentException`` bodies; 200 is possible (AMS §2)."""
    default_page_size: int = 50
    max_page_size: int = 1000
    no_available_offsets: bool = False
    """Paged answers lack ``availableOffsets``."""
    no_paging_fields: bool = False
    """Paged answers lack ``limit``, ``offset`` and ``availableOffsets``, as the specification's limits example does. They are paged all the same."""
    offset_means: Literal["page", "row"] = "page"
    """``offset`` counts pages or rows, from 1."""
    counts_means: Literal["total", "page"] = "total"
    """``counts`` of ``/accounts``: all accounts that match, or those on this page."""
    empty_list: Literal["list", "null", "absent"] = "list"
    """An account without rows shows ``"limits": []``, ``null`` or no such key."""
    post_answers: Literal["all", "posted"] = "all"
    """A limits POST answers all rows (the specification), or only those it touched."""
    post_atomic: bool = True
    """A bad row refuses the whole POST; when off, the rows before it are stored and the POST is refused all the same."""
    delete_missing: Literal["ignore", "refuse"] = "ignore"
    """Deleting a row that does not exist."""
    extra_fields: bool = False
    """Objects carry fields that nobody announced."""
    spec_example_600: bool = False
    """The specification's worked example: posting short 567 for 3N1 CJ.FUT.NYMEX stores 600."""
    max_limit: int = MAX_LIMIT
    """The largest limit accepted."""

    def replace(self, **changes: Any) -> Oddities:
        """A copy with these switches set. Raises ``ValueError`` for an unknown switch or value."""
        return self.from_mapping(changes, base=self)

    @classmethod
    def from_mapping(cls, switches: Mapping[str, Any], *, base: Oddities | None = None) -> Oddities:
        """``base`` (default: the defaults) with ``switches`` set. Values may be text (``"true"``, ``"50"``). Raises ``ValueError`` naming the switch."""
        hints = typing.get_type_hints(cls)
        for name in switches:
            if name not in hints:
                raise ValueError(f"unknown switch {name!r}: expected one of {', '.join(sorted(hints))}")
        read = {name: _read(name, value, hints[name]) for name, value in switches.items()}
        return dataclasses.replace(base or cls(), **read)

    def to_mapping(self) -> dict[str, Any]:
        """Every switch and its value, ready for JSON."""
        return dataclasses.asdict(self)


def _read(name: str, value: Any, hint: Any) -> Any:
    if isinstance(value, str) and hint is bool and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    options = [option for part in (typing.get_args(hint) or (hint,)) for option in (typing.get_args(part) or (part,))]
    words = [option for option in options if isinstance(option, str)]
    if value in words and isinstance(value, str):
        return value
    if isinstance(value, str) and int in options and value.isascii() and value.isdigit():
        return int(value)
    kinds = tuple(option for option in options if isinstance(option, type))
    if any(type(value) is kind for kind in kinds):
        return value
    expected = ", ".join([*words, *(kind.__name__ for kind in kinds)])
    raise ValueError(f"switch {name!r}: expected {expected}, found {value!r}")
