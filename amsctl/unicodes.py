"""Texts that are no Unicode: what a terminal, an environment or a JSON file hands over can hold surrogates, which no file and no ledger can be written with.

They are refused where they enter: further in, nobody knows any more whose fault they are. Standard library only.
"""

from __future__ import annotations

import re
from typing import Final

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_BYTE: Final = 0xDC00
"""Python hands over a byte that is no UTF-8 as the surrogate of this number and the byte's."""


def is_unicode(text: str) -> bool:
    """Whether a text can be written down at all."""
    return text.isascii() or _SURROGATE.search(text) is None


def readable(text: str) -> str:
    """The text with a byte that is no UTF-8 as ``\\xff``, and any other surrogate as ``\\ud800``."""
    return _SURROGATE.sub(_written, text)


def _written(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number - _BYTE:02x}" if 0x80 <= number - _BYTE <= 0xFF else f"\\u{number:04x}"
