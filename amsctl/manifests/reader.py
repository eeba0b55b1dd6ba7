"""Bytes to documents of positioned values: strict, without implicit typing, without recursion, with a limit on everything.

libyaml's events are read one at a time. What YAML offers beyond mappings, sequences and text (tags, anchors, aliases, merge keys, keys that are
not text, directives) is refused with its position, and so are duplicate keys, text over several lines and characters that cannot be seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from yaml import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    MarkedYAMLError,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamStartEvent,
    YAMLError,
)
from yaml._yaml import CParser

from amsctl.diagnostics import Diagnostic
from amsctl.manifests.nodes import Map, Node, Seq, position, source
from amsctl.manifests.syntax import Phrase, phrase

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
_UNSEEN: Final = re.compile(f"[{UNSEEN}]")

_HINT_ANCHOR: Final = "write the value out, or use a LimitProfile for limits that several accounts share"


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


def decode(content: bytes, findings: Findings) -> bytes | None:
    """The UTF-8 bytes of a file without byte order mark, or ``None`` when it is not text that can be read (said in ``findings``)."""
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
    for match in _UNSEEN.finditer(text):
        name = character_name(match[0])
        hint = "save the file as UTF-8" if match[0] == "\0" else "remove it: it cannot be seen, and it changes what a reader sees"
        findings.add("unseen-character", f"the character {name} is not allowed", _place_after(text[: match.start()]), hint=hint)
        refused = True
        if len(findings.items) >= 10:
            break
    return None if refused else content


_LINE_END: Final = re.compile("\r\n|\r|\n")


def _place_after(text: str) -> int:
    """The position right after ``text``, counted from the start of the file."""
    ends = list(_LINE_END.finditer(text))
    return position(len(ends) + 1, len(text) - (ends[-1].end() if ends else 0) + 1)


def read(content: bytes, findings: Findings) -> Iterator[Node]:
    """Each document of a file in order; empty documents are left out.

    ``content`` is what :func:`decode` returned. What is wrong goes to ``findings``; after a syntax error, or beyond a limit, nothing more comes.
    """
    try:
        yield from _documents(content, findings)
    except MarkedYAMLError as error:
        _syntax_error(error, content, findings)
    except YAMLError as error:
        findings.add("yaml-syntax", "not valid YAML", position(1, 1), found=type(error).__name__)


def _syntax_error(error: MarkedYAMLError, content: bytes, findings: Findings) -> None:
    """Says where and why libyaml stopped."""
    mark, context = error.problem_mark, error.context_mark
    character = _character_at(content, mark.line, mark.column) if mark is not None else ""
    said: Phrase = phrase(error.problem or "", character)
    if context is not None and (said.at_context or mark is None):
        mark = context
    pos = position(mark.line + 1, mark.column + 1) if mark is not None else position(1, 1)
    findings.add("yaml-syntax", said.what, pos, hint=said.hint)


def _character_at(content: bytes, line: int, column: int) -> str:
    """The character at a place counted from 0, or an empty text beyond the end."""
    lines = _LINE_END.split(content.decode())
    return lines[line][column : column + 1] if line < len(lines) else ""


def _check_scalar(event: Any, pos: int, findings: Findings) -> None:
    """Refuses what a scalar may not be: anchored, tagged, long, or spread over several lines."""
    _check_properties(event, pos, findings)
    if len(event.value) > MAX_SCALAR:
        findings.add("too-long", f"a text of {len(event.value)} characters", pos, expected=f"at most {MAX_SCALAR}")
    elif event.end_mark.line != event.start_mark.line and (event.style or event.value):
        findings.add("several-lines", "a text over several lines", pos, expected="text on one line", hint="write it on one line")
    elif (unseen := _UNSEEN.search(event.value)) is not None:
        findings.add("unseen-character", f"the character {character_name(unseen[0])} is not allowed", pos, hint="remove the escape")


def _check_properties(event: Any, pos: int, findings: Findings) -> None:
    """Refuses anchors and tags."""
    if event.anchor is not None:
        findings.add("anchor", f"the anchor &{shown(event.anchor)} is not allowed", pos, hint=_HINT_ANCHOR)
    elif event.tag is not None:
        findings.add("tag", "a tag is not allowed", pos, hint="remove the word that begins with !; amsctl reads text as written")


def _check_key(text: str, plain: bool, pos: int, container: Map, findings: Findings) -> str:
    """The key under which a value is kept; a second one of the same text is refused and kept apart."""
    if text == "<<" and plain:
        findings.add("merge-key", "the merge key << is not allowed", pos, hint=_HINT_ANCHOR)
    if text in container.entries:
        first = container.entries[text][0]
        where = source(findings.file, first)
        findings.add(
            "duplicate-key", f"duplicate key {shown(text)}", pos, found=f"the first at {where}", hint="keep one of them", related=first
        )
        return f"\0{pos}"
    return text


def _documents(content: bytes, findings: Findings) -> Iterator[Node]:  # noqa: C901 - one loop over one stream: taken apart it is slower
    get_event = CParser(content).get_event
    stack: list[tuple[Map | Seq | None, str | None, int]] = []
    container: Map | Seq | None = None
    key: str | None = None
    key_pos = 0
    node: Node
    for _ in range(MAX_NODES):
        event: Any = get_event()
        kind = event.__class__
        mark = event.start_mark
        pos = (mark.line + 1) << 24 | (mark.column + 1)
        if kind is ScalarEvent:
            text = event.value
            plain = not event.style
            if not plain or event.anchor is not None or event.tag is not None or " " in text or len(text) > MAX_SCALAR:
                _check_scalar(event, pos, findings)
            if key is None and isinstance(container, Map):
                key_pos = pos
                key = text if text not in container.entries and text != "<<" else _check_key(text, plain, pos, container, findings)
                continue
            node = (text, plain, pos)
        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            if event.anchor is not None or event.tag is not None:
                _check_properties(event, pos, findings)
            if key is None and isinstance(container, Map):
                findings.add("complex-key", "a key that is not text", pos, hint="put a key that begins with [ or { in quotes")
                return
            if len(stack) >= MAX_DEPTH:
                findings.add("too-deep", f"nested deeper than {MAX_DEPTH} levels", pos, hint="an amsctl manifest is at most 8 levels deep")
                return
            stack.append((container, key, key_pos))
            container, key = (Map(pos) if kind is MappingStartEvent else Seq(pos)), None
            continue
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            assert container is not None
            node = container
            container, key, key_pos = stack.pop()
        elif kind is AliasEvent:
            findings.add("alias", f"the alias *{shown(event.anchor)} is not allowed", pos, hint=_HINT_ANCHOR)
            if key is None and isinstance(container, Map):
                key, key_pos = f"\0{pos}", pos
                continue
            node = ("", True, pos)
        elif kind is DocumentStartEvent:
            if event.version is not None or event.tags:
                findings.add("directive", "a directive is not allowed", pos, hint="remove the line that begins with %")
            continue
        elif kind is DocumentEndEvent or kind is StreamStartEvent:
            continue
        else:
            return
        if container is None:
            if not isinstance(node, tuple) or node[0] or not node[1]:
                yield node
        elif isinstance(container, Map):
            assert key is not None
            container.entries[key] = (key_pos, node)
            key = None
        else:
            container.items.append(node)
            if len(container.items) > MAX_ITEMS:
                findings.add("too-many-values", f"more than {MAX_ITEMS} entries in one sequence", container.pos, hint="write fewer")
                return
    findings.add("too-many-values", f"more than {MAX_NODES} values in one file", position(1, 1), hint="split it into several files")
