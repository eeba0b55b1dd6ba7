"""Text that came from a server, a manifest or a command line, made safe to look at."""

from __future__ import annotations

import re
from typing import Final

_INVISIBLE: Final = (
    frozenset(map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0)))
    | frozenset(map(chr, range(0x180B, 0x1810)))  # Mongolian variation selectors
    | frozenset(map(chr, range(0xFE00, 0xFE10)))  # variation selectors
    | frozenset(map(chr, range(0xE0100, 0xE01F0)))  # variation selectors, second block
)
"""Letters and marks that count as printable in Unicode and yet show nothing."""


_COMMANDS: Final = re.compile(r"##(?:[A-Za-z]*)\[|(?:^|(?<=\s))::(?=\S)")
"""What a line of a job's log must not hold, because the runner obeys it: ``##[…]``, ``##vso[…]`` and ``##teamcity[…]`` anywhere, ``::…::`` at its
beginning. A line may begin wherever there is a blank: long ones are broken there.
"""


def visible(text: str) -> str:
    """The text with every character that does not show itself written as ``\\u{1B}``: controls, C1, bidirectional and zero-width formats, line and
    paragraph separators, spaces other than U+0020, surrogates, private and unassigned ones. What is printable stays as it is, so plain text comes
    back unchanged and a second pass changes nothing. The result is one line, and no command to the runner of a pipeline, whose ``[`` or first ``:``
    is written so, too.
    """
    if not (text.isprintable() and (text.isascii() or _INVISIBLE.isdisjoint(text))):
        text = _shown(text)
    return _COMMANDS.sub(_inert, text) if "##" in text or "::" in text else text


def _inert(match: re.Match[str]) -> str:
    found = match[0]
    return f"{found[:-1]}\\u{{5B}}" if found.endswith("[") else "\\u{3A}:"


def _shown(text: str) -> str:
    return "".join(char if char.isprintable() and char not in _INVISIBLE else f"\\u{{{ord(char):X}}}" for char in text)


def visible_lines(text: str) -> str:
    """Like ``visible``, line by line: ``\\n`` alone stays."""
    return "\n".join(visible(line) for line in text.split("\n"))
