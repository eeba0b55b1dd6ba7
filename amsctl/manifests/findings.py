"""What is found wrong in a file, and whether its bytes are text at all. No YAML here: most files are read without it."""

from __future__ import annotations

import re
from typing import Final

from amsctl.diagnostics import Diagnostic
from amsctl.manifests.nodes import position, source

MAX_FILE_BYTES: Final = 10 * 1024 * 1024
MAX_DEPTH: Final = 32
MAX_NODES: Final = 1_000_000
MAX_ITEMS: Final = 1_000
MAX_SCALAR: Final = 4096
MAX_FINDINGS: Final = 100
"""Findings per file; a file with more is wrong as a whole."""

UNSEEN: Final = (
    "\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f\\xad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e"
    "\\u2060-\\u206f\\u3164\\ud800-\\udfff\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\\ufffe\\uffff\\U000e0000-\\U000e0fff"
)
"""Inside of a character class: controls (but tab and line ends), bidirectional controls, zero-width and other characters that cannot be seen."""
UNSEEN_CHARACTER: Final = re.compile(f"[{UNSEEN}]")


class TooManyFindings(Exception):
    """The file has so many findings that reading on helps nobody."""


class Findings:
    """The findings of one file, at most one for each place, at most ``MAX_FINDINGS``."""

    __slots__ = ("_places", "file", "items")

    def __init__(self, file: str) -> None:
        self.file = file
        self.items: list[Diagnostic] = []
        self._places: set[int] = set()

    def add(
        self,
        code: str,
        what: str,
        pos: int,
        *,
        expected: str | None = None,
        found: str | None = None,
        hint: str | None = None,
        related: int | None = None,
    ) -> None:
        """Adds one finding, unless its place already has one: the first is the cause, the others are consequences."""
        if pos in self._places:
            return
        if len(self.items) >= MAX_FINDINGS:
            raise TooManyFindings
        self._places.add(pos)
        place = source(self.file, pos)
        other = source(self.file, related) if related is not None else None
        self.items.append(Diagnostic(code=code, what=what, source=place, expected=expected, found=found, hint=hint, related=other))

    def gave_up(self) -> None:
        """Says that there is more than what is shown."""
        last = self.items[-1].source
        self.items.append(
            Diagnostic(
                code="too-many-findings",
                what=f"more than {MAX_FINDINGS} errors in this file: the rest is not shown",
                source=last,
                hint="correct these first",
            )
        )


_SHOWN: Final = 64
"""Characters of a foreign text that a message repeats."""
_NOT_SHOWN: Final = re.compile(f"[{UNSEEN}\t\n\r]")


def shown(text: str) -> str:
    """A foreign text as a message repeats it: its beginning, on one line, with ``U+XXXX`` for what cannot be seen."""
    cut = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return _NOT_SHOWN.sub(lambda match: f"<{character_name(match[0])}>", cut)


def character_name(character: str) -> str:
    """``U+202E``: a character that is safe to print wherever it is named."""
    return f"U+{ord(character):04X}"


def decode(content: bytes, findings: Findings) -> str | None:
    """The text of a file without byte order mark, or ``None`` when it is not text that can be read (said in ``findings``)."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        findings.add("encoding", "the file is UTF-16", position(1, 1), expected="UTF-8", hint="save it as UTF-8")
        return None
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        pos = _place_after(before)
        byte = content[error.start]
        findings.add("encoding", "the file is not UTF-8", pos, expected="UTF-8", found=f"byte 0x{byte:02X}", hint="save it as UTF-8")
        return None
    refused = False
    for match in UNSEEN_CHARACTER.finditer(text):
        name = character_name(match[0])
        hint = "save the file as UTF-8" if match[0] == "\0" else "remove it: it cannot be seen, and it changes what a reader sees"
        findings.add("unseen-character", f"the character {name} is not allowed", _place_after(text[: match.start()]), hint=hint)
        refused = True
        if len(findings.items) >= 10:
            break
    return None if refused else text


LINE_END: Final = re.compile("\r\n|\r|\n")


def _place_after(text: str) -> int:
    """The position right after ``text``, counted from the start of the file."""
    ends = list(LINE_END.finditer(text))
    return position(len(ends) + 1, len(text) - (ends[-1].end() if ends else 0) + 1)
