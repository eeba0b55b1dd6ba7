"""A file as it is laid out: entries in their order, flow or block, quotes and every comment. What ``format`` rearranges and writes again.

Only files that the strict reader has accepted come here, so there are no anchors, tags, complex keys or texts over several lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from yaml import DocumentStartEvent, MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent, SequenceStartEvent
from yaml._yaml import CParser


@dataclass(slots=True)
class Word:
    """A text, and whether it stands without quotes."""

    text: str
    plain: bool


@dataclass(slots=True)
class Entry:
    """A key with its value, or an item of a sequence (``key`` is then ``None``), with the comments that belong to it.

    ``leading`` are the lines above it (an empty one is a blank line), ``eol`` the comment behind it with its column from 0, ``after`` the lines below
    all that it holds. ``begin`` is its place in the file, ``column`` its column from 0.
    """

    key: Word | None
    value: Value
    begin: int
    column: int
    line: int
    in_flow: bool
    leading: list[str] = field(default_factory=list)
    eol: tuple[str, int] | None = None
    after: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Group:
    """A mapping or a sequence."""

    entries: list[Entry]
    flow: bool
    is_map: bool


Value: TypeAlias = Word | Group


@dataclass(slots=True)
class Document:
    """One document: its value, the comment lines above and below all of it, and whether it began with ``---``."""

    value: Value
    begin: int
    explicit: bool
    header: list[str] = field(default_factory=list)
    footer: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Layout:
    """A whole file. ``comments`` are all its comments in order; ``orphans`` the lines of a file without any document."""

    documents: list[Document]
    comments: list[str]
    orphans: list[str]


_EOL: Final = re.compile("[^\n]*")


class _Builder:
    def __init__(self, text: str) -> None:
        self.parser = CParser(text)
        self.words: list[tuple[int, int]] = []
        self.entries: list[tuple[Entry, tuple[Entry, ...]]] = []

    def documents(self) -> list[Document]:
        found = []
        event: Any = self.parser.get_event()
        while event is not None:
            if event.__class__ is DocumentStartEvent:
                mark: Any = event.start_mark
                begin, explicit = mark.index, event.explicit
                first: Any = self.parser.get_event()
                value = self.value(first, ())
                if not (isinstance(value, Word) and value.plain and not value.text):
                    found.append(Document(value, begin, bool(explicit)))
            event = self.parser.get_event()
        return found

    @staticmethod
    def _span(event: Any) -> tuple[int, int]:
        return event.start_mark.index, event.end_mark.index

    def value(self, event: Any, path: tuple[Entry, ...]) -> Value:
        if event.__class__ is ScalarEvent:
            self.words.append(self._span(event))
            return Word(event.value, not event.style)
        group = Group([], bool(event.flow_style), isinstance(event, MappingStartEvent))
        assert event.__class__ in (MappingStartEvent, SequenceStartEvent)
        while True:
            first: Any = self.parser.get_event()
            if isinstance(first, MappingEndEvent | SequenceEndEvent):
                return group
            mark = first.start_mark
            column = mark.column if group.is_map or group.flow else max(mark.column - 2, 0)
            entry = Entry(None, Word("", True), mark.index, column, mark.line, group.flow)
            self.entries.append((entry, path))
            inner = (*path, entry)
            if group.is_map:
                self.words.append(self._span(first))
                entry.key = Word(first.value, not first.style)
                entry.value = self.value(self.parser.get_event(), inner)
            else:
                entry.value = self.value(first, inner)
            group.entries.append(entry)


def layout(text: str) -> Layout:
    """The layout of ``text``, whose line ends are ``\\n``."""
    builder = _Builder(text)
    documents = builder.documents()
    lines = _Lines(text, builder.words)
    result = Layout(documents, lines.comments(), [])
    _attach(result, builder.entries, lines)
    return result


@dataclass(slots=True)
class _Line:
    """A comment or a blank line: ``text`` (empty for a blank one), where it stands, and whether it has the line for itself."""

    text: str
    begin: int
    line: int
    column: int
    whole: bool


class _Lines:
    """The comments and blank lines between the words of a file."""

    def __init__(self, text: str, words: list[tuple[int, int]]) -> None:
        self.items: list[_Line] = []
        spans = iter(sorted(words))
        span = next(spans, None)
        offset = 0
        for number, line in enumerate(text.split("\n")):
            end = offset + len(line)
            at = offset
            while True:
                while span is not None and span[1] <= at:
                    span = next(spans, None)
                stop = min(span[0], end) if span is not None else end
                mark = self._comment(text, offset, at, stop)
                if mark is not None:
                    before = text[offset:mark]
                    self.items.append(_Line(text[mark:end].rstrip(), mark, number, mark - offset, not before.strip()))
                    break
                if span is None or span[0] >= end:
                    if not line.strip():
                        self.items.append(_Line("", offset, number, 0, True))
                    break
                at = max(span[1], at + 1)
            offset = end + 1

    @staticmethod
    def _comment(text: str, line: int, at: int, stop: int) -> int | None:
        """Where a comment begins between ``at`` and ``stop``: a ``#`` at the start of a line or behind a blank."""
        while True:
            mark = text.find("#", at, stop)
            if mark < 0:
                return None
            if mark == line or text[mark - 1] in " \t":
                return mark
            at = mark + 1

    def comments(self) -> list[str]:
        return [item.text for item in self.items if item.text]


def _attach(result: Layout, entries: list[tuple[Entry, tuple[Entry, ...]]], lines: _Lines) -> None:
    """Gives each comment to the entry that it speaks of."""
    if not result.documents:
        result.orphans = [item.text for item in lines.items]
        return
    for item in lines.items:
        if item.whole:
            _attach_line(result, entries, item)
        else:
            _attach_behind(result, entries, item)


def _position(entries: list[tuple[Entry, tuple[Entry, ...]]], begin: int) -> int:
    """How many entries begin before ``begin``."""
    low, high = 0, len(entries)
    while low < high:
        middle = (low + high) // 2
        if entries[middle][0].begin < begin:
            low = middle + 1
        else:
            high = middle
    return low


def _attach_behind(result: Layout, entries: list[tuple[Entry, tuple[Entry, ...]]], item: _Line) -> None:
    """A comment behind something on its line: to the outermost entry that begins on this line, else above the block entry around it."""
    index = _position(entries, item.begin)
    here = entries[index - 1] if index else None
    document = _document_of(result, item.begin)
    if here is None or here[0].begin < document.begin:
        document.header.append(item.text)
        return
    entry, path = here
    chain = [one for one in (*path, entry) if not one.in_flow]
    on_line = [one for one in chain if one.line == item.line]
    if on_line and on_line[-1].eol is None:
        on_line[-1].eol = (item.text, item.column)
    elif chain:
        chain[-1].leading.append(item.text)
    else:
        document.header.append(item.text)


def _attach_line(result: Layout, entries: list[tuple[Entry, tuple[Entry, ...]]], item: _Line) -> None:
    """A comment on a line of its own: above the entry that follows, or below the one before it when it is indented deeper than what follows."""
    index = _position(entries, item.begin)
    document = _document_of(result, item.begin)
    before = entries[index - 1] if index and entries[index - 1][0].begin >= document.begin else None
    following = entries[index] if index < len(entries) and _document_of(result, entries[index][0].begin) is document else None
    if before is None:
        document.header.append(item.text)
        return
    entry, path = before
    if following is not None and following[0].in_flow:
        chain = [one for one in following[1] if not one.in_flow]
        if item.text and chain:
            chain[-1].leading.append(item.text)
        elif item.text:
            document.header.append(item.text)
        return
    column = item.column if item.text else 0
    if following is not None and (not item.text or column <= following[0].column):
        following[0].leading.append(item.text)
        return
    chain = [one for one in (*path, entry) if not one.in_flow and one.column <= column]
    if chain and (following is not None or column > 0):
        chain[-1].after.append(item.text)
    else:
        document.footer.append(item.text)


def _document_of(result: Layout, begin: int) -> Document:
    """The document that holds a place; what stands before the first belongs to the first."""
    chosen = result.documents[0]
    for document in result.documents[1:]:
        if document.begin <= begin:
            chosen = document
    return chosen
