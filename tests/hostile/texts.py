"""Texts of an enemy of terminals, and what may reach one."""

from __future__ import annotations

import random
import re
import unicodedata
from typing import Final

SPITEFUL: Final = (
    "\x1b[2J", "\x1b[31m", "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\", "\x1b]0;title\x07", "\x1b]52;c;ZXZpbA==\x07", "\x1bP$q\x1b\\",
    "\x1b[6n", "\x1b(0", "\x1b[?1049h", "\x9b31m", "\x9d0;t\x9c", "\x90q\x9c", "\x85", "\x84", "\r", "\n", "\r\n", "\t", "\x00", "\x07", "\x08", "\x0b",
    "\x0c", "\x7f", "\u202a", "\u202e", "\u2066", "\u2069", "\u200e", "\u200f", "\u061c", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad",
    "\u034f", "\u115f", "\u3164", "\uffa0", "\u180e", "\u2028", "\u2029", "\u00a0", "\u3000", "\u2800", "\ufe0f", "\U000e0041", "\U000e0100", "\ufff9",
    "\ue000", "\U0010ffff", "\ud800", "\udfff", "\u0430\u0441\u0441", "\uff21", "\u05d0\u05d1", "\u0627\u0644", "e\u0301", "\u6f22", "::error::x", "##[group]x",
    "<script>", "|", "`", "=cmd()", "{{7*7}}", "%s%n", "${AMS_SECRET}",
)  # fmt: skip
BIDI: Final = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
ZERO_WIDTH: Final = frozenset(
    "\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064\ufeff\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u3164\uffa0"
)
OUR_COLORS: Final = re.compile("\x1b\\[(?:1;31|33|32|2|1|0)m")


def spiteful(chance: random.Random) -> str:
    """One text: plain and spiteful parts mixed, now and then a very long one."""
    length = chance.randrange(1, 9) if chance.random() < 0.998 else chance.randrange(200, 2000)
    plain = ("A", "9", " ", "-", "Long name", chr(chance.randrange(0x110000)))
    return "".join(chance.choice(SPITEFUL if chance.random() < 0.6 else plain) for _ in range(length))


def offending(text: str, *, colored: bool = False) -> list[str]:
    """The characters that must not be on a terminal: controls, C1, surrogates, formats, bidirectional and zero-width ones. Line ends may be."""
    return _OFFENDING.findall(OUR_COLORS.sub("", text) if colored else text)


def _offends(char: str) -> bool:
    return unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} or char in BIDI or char in ZERO_WIDTH


def _ranges() -> str:
    """The offending characters as the inside of a character class."""
    found: list[list[int]] = []
    for number in range(0x110000):
        if number == 10 or not _offends(chr(number)):
            continue
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in found)


_OFFENDING: Final = re.compile(f"[{_ranges()}]")
