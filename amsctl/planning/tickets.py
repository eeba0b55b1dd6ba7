"""Tickets that a text names."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

_TICKET: Final = re.compile(r"(?<![\w-])([A-Z][A-Z0-9]{1,15})-[1-9][0-9]{0,9}(?![\w-])")
_STANDARDS: Final = frozenset(
    {"UTF", "UCS", "ISO", "IEC", "IEEE", "RFC", "CVE", "CWE", "SHA", "MD", "AES", "RSA", "X86", "ARM", "FIPS", "ECMA", "KOI8"}
)
"""What stands before the number in names of standards: a text without known keys names no ticket by one of these."""


def tickets_in(text: str, keys: Collection[str] | None = None) -> tuple[str, ...]:
    """Each ``ABC-123`` in a text, in their order: of these ``keys`` alone, or of any but those of standards (``UTF-8``) where none are known."""
    found = ((match[0], match[1]) for match in _TICKET.finditer(text))
    return tuple(ticket for ticket, key in found if (key not in _STANDARDS if keys is None else key in keys))
