"""Text that came from a server, a manifest or a command line, made safe to look at."""

from __future__ import annotations

from typing import Final

from amsctl.inert import inert

_INVISIBLE: Final = (
    frozenset(map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0)))
    | frozenset(map(chr, range(0x180B, 0x1810)))  # Mongolian variation selectors
    | frozenset(map(chr, range(0xFE00, 0xFE10)))  # variation selectors
    | frozenset(map(chr, range(0xE0100, 0xE01F0)))  # variation selectors, second block
)
"""Letters and marks that count as printable in Unicode and yet show nothing."""


def visible(text: str) -> str:
    """The text with every character that does not show itself written as ``\\u{1B}``: controls, C1, bidirectional and zero-width formats, line and
    paragraph separators, spaces other than U+0020, surrogates, private and unassigned ones; and one character of whatever a build server would read
    as a command (``amsctl.inert``). What is printable stays as it is, so plain text comes back unchanged and a second pass changes nothing. The result
    is one line.
    """
    if text.isascii():
        if text.isprintable():
            return inert(text)
    elif text.isprintable() and _INVISIBLE.isdisjoint(text):
        return inert(text)
    return inert("".join(char if char.isprintable() and char not in _INVISIBLE else f"\\u{{{ord(char):X}}}" for char in text))


def visible_lines(text: str) -> str:
    """Like ``visible``, line by line: ``\\n`` alone stays."""
    return "\n".join(visible(line) for line in text.split("\n"))
