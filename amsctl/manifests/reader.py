"""Bytes to documents of positioned values: strict, without implicit typing, without recursion, with a limit on everything.

libyaml's events are read one at a time. What YAML offers beyond mappings, sequences and text (tags, anchors, aliases, merge keys, keys that are
not text, directives) is refused with its position, and so are duplicate keys, text over several lines and characters that cannot be seen.
"""

from __future__ import annotations

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

from amsctl.manifests.findings import (
    LINE_END,
    MAX_DEPTH,
    MAX_ITEMS,
    MAX_NODES,
    MAX_SCALAR,
    UNSEEN_CHARACTER,
    Findings,
    character_name,
    shown,
)
from amsctl.manifests.nodes import Map, Node, Seq, position, source
from amsctl.manifests.syntax import Phrase, phrase

_HINT_ANCHOR: Final = "write the value out, or use a LimitProfile for limits that several accounts share"

_CONFLICT: Final = ("<<<<<<< ", ">>>>>>> ")
_HINT_CONFLICT: Final = "keep what is meant, and remove the lines that begin with <<<<<<<, ======= and >>>>>>>"


def read(text: str, findings: Findings) -> Iterator[Node]:
    """Each document of a file in order; empty documents are left out.

    ``text`` is what ``findings.decode`` returned. What is wrong goes to ``findings``; after a syntax error, or beyond a limit, nothing more comes.
    """
    try:
        yield from _documents(text.encode(), findings)
    except MarkedYAMLError as error:
        _syntax_error(error, text, findings)
    except YAMLError as error:
        findings.add("yaml-syntax", "not valid YAML", position(1, 1), found=type(error).__name__)


def _syntax_error(error: MarkedYAMLError, text: str, findings: Findings) -> None:
    """Says where and why libyaml stopped."""
    mark, context = error.problem_mark, error.context_mark
    character = _character_at(text, mark.line, mark.column) if mark is not None else ""
    said: Phrase = phrase(error.problem or "", character)
    for number, line in enumerate(LINE_END.split(text), start=1):
        if line.startswith(_CONFLICT):
            findings.add("yaml-syntax", "a merge conflict that nobody resolved", position(number, 1), hint=_HINT_CONFLICT)
            return
    if context is not None and (said.at_context or mark is None):
        mark = context
    pos = position(mark.line + 1, mark.column + 1) if mark is not None else position(1, 1)
    findings.add("yaml-syntax", said.what, pos, hint=said.hint)


def _character_at(text: str, line: int, column: int) -> str:
    """The character at a place counted from 0, or an empty text beyond the end."""
    lines = LINE_END.split(text)
    return lines[line][column : column + 1] if line < len(lines) else ""


def _check_scalar(event: Any, pos: int, findings: Findings) -> None:
    """Refuses what a scalar may not be: anchored, tagged, long, or spread over several lines."""
    _check_properties(event, pos, findings)
    if len(event.value) > MAX_SCALAR:
        findings.add("too-long", f"a text of {len(event.value)} characters", pos, expected=f"at most {MAX_SCALAR}")
    elif event.end_mark.line != event.start_mark.line and (event.style or event.value):
        findings.add("several-lines", "a text over several lines", pos, expected="text on one line", hint="write it on one line")
    elif (unseen := UNSEEN_CHARACTER.search(event.value)) is not None:
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
