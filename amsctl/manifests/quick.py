"""The plain part of YAML read line by line: keys, words, ``{a: b}`` and ``[a, b]`` on one line, comments.

Three times as fast as libyaml's events, and without the time that importing it takes. A file with anything else in it (and every file with an error) is
left to ``reader``, whose word is the only one that counts: tests hold that what is read here is read there as the same documents at the same places.
"""

from __future__ import annotations

import re
from typing import Final

from amsctl.manifests.findings import MAX_ITEMS, MAX_NODES
from amsctl.manifests.nodes import Map, Node, Seq

_WORD: Final = "[A-Za-z0-9_][A-Za-z0-9._/+-]{0,199}"
_QUOTED: Final = '"[A-Za-z0-9 ._/+:,@#${}()=-]{0,199}"'
_ADDRESS: Final = "https?://[A-Za-z0-9._/:-]{0,199}[A-Za-z0-9/_-]"
_LINE: Final = re.compile(f"( *)({_WORD}|{_QUOTED}):(?: +(?:({_WORD}|{_ADDRESS})|({_QUOTED})|([{{[].*[}}\\]])))? *(?: #.*)?").fullmatch
_IGNORED: Final = re.compile(" *(?:#.*)?").fullmatch
_MARKER: Final = re.compile("--- *").fullmatch
_INNER: Final = f"\\{{({_WORD}): +({_WORD}), +({_WORD}): +({_WORD})\\}}"
_PAIR: Final = re.compile(_INNER).fullmatch
_PAIRS: Final = re.compile(f"\\{{({_WORD}): +{_INNER}, +({_WORD}): +{_INNER}\\}}").fullmatch
"""A row as most books write it, ``{ef: {long: 1, short: 2}, cmf: {long: 3, short: 4}}``; what it does not match goes the general way."""
_TOKEN: Final = re.compile(f" *(?:({_WORD}|{_QUOTED})(:(?= ))?|([{{}}\\[\\],]))").match
_DEEPEST: Final = 16


class _Beyond(Exception):
    """There is something that is not plain."""


def quick(text: str) -> list[Node] | None:
    """The documents of ``text``, or ``None`` when it is for the reader."""
    if "\t" in text or "\r" in text or text.count(":") * 4 + text.count(",") * 3 > MAX_NODES:
        return None
    try:
        return _documents(text)
    except _Beyond:
        return None


def _documents(text: str) -> list[Node]:  # noqa: C901 - one loop over the lines, for speed
    documents: list[Node] = []
    stack: list[tuple[int, Map]] = []
    indent, container = -1, Map(0)
    waiting: tuple[str, int] | None = None
    for number, line in enumerate(text.split("\n"), 1):
        if not line:
            continue
        found = _LINE(line)
        if found is None:
            if _IGNORED(line):
                continue
            if _MARKER(line) is None or waiting is not None:
                raise _Beyond
            stack, indent = [], -1
            continue
        margin, key, word, quoted, flow = found.groups()
        column = len(margin)
        pos = number << 24 | column + 1
        if column != indent:
            if column > indent:
                if waiting is None and stack:
                    raise _Beyond
                inner = Map(pos)
                if waiting is None:
                    documents.append(inner)
                else:
                    container.entries[waiting[0]] = (waiting[1], inner)
                stack.append((column, inner))
                if len(stack) > _DEEPEST:
                    raise _Beyond
                waiting = None
            else:
                while stack and stack[-1][0] > column:
                    stack.pop()
                if not stack or stack[-1][0] != column:
                    raise _Beyond
            indent, container = stack[-1]
        if waiting is not None:
            raise _Beyond
        if key[0] == '"':
            key = key[1:-1]
        if key in container.entries:
            raise _Beyond
        if word is not None:
            container.entries[key] = (pos, (word, True, number << 24 | found.start(3) + 1))
        elif flow is not None:
            container.entries[key] = (pos, _flow(flow, number << 24 | found.start(5) + 1))
        elif quoted is not None:
            container.entries[key] = (pos, (quoted[1:-1], False, number << 24 | found.start(4) + 1))
        else:
            waiting = (key, pos)
    if waiting is not None:
        raise _Beyond
    return documents


def _flow(text: str, pos: int) -> Node:
    """A mapping or sequence in brackets that fills ``text``, which begins at ``pos``."""
    pairs = _PAIRS(text)
    if pairs is not None:
        node = Map(pos)
        node.entries = {pairs[1]: (pos + 1, _pair(pairs, 2, pos)), pairs[6]: (pos + pairs.start(6), _pair(pairs, 7, pos))}
        if len(node.entries) < 2:
            raise _Beyond
        return node
    pair = _PAIR(text)
    if pair is not None:
        return _pair(pair, 1, pos)
    node_, end = _group(text, 0, pos, 0)
    if end != len(text):
        raise _Beyond
    return node_


def _pair(found: re.Match[str], number: int, pos: int) -> Map:
    """The mapping of two words whose first key is group ``number``."""
    key = found.start(number)
    node = Map(pos + key - 1)
    node.entries = {
        found[number]: (pos + key, (found[number + 1], True, pos + found.start(number + 1))),
        found[number + 2]: (pos + found.start(number + 2), (found[number + 3], True, pos + found.start(number + 3))),
    }
    if len(node.entries) < 2:
        raise _Beyond
    return node


def _group(text: str, at: int, pos: int, depth: int) -> tuple[Node, int]:  # noqa: C901 - one loop over the tokens, for speed
    """The group whose bracket stands at ``at``, and where it ends."""
    if depth > 8:
        raise _Beyond
    is_map = text[at] == "{"
    close = "}" if is_map else "]"
    mapping, sequence = Map(pos + at), Seq(pos + at)
    end = at + 1
    while True:
        token = _TOKEN(text, end)
        if token is None:
            raise _Beyond
        word, colon, mark = token.groups()
        if mark == close and end == at + 1:
            return (mapping if is_map else sequence), token.end()
        key, key_pos = "", 0
        if is_map:
            if not colon or mark is not None:
                raise _Beyond
            key, key_pos = word[1:-1] if word[0] == '"' else word, pos + token.start(1)
            token = _TOKEN(text, token.end())
            if token is None:
                raise _Beyond
            word, colon, mark = token.groups()
        if colon or (mark is not None and mark not in "{["):
            raise _Beyond
        value: Node
        if mark is not None:
            value, end = _group(text, token.start(3), pos, depth + 1)
        else:
            value = (word[1:-1], False, pos + token.start(1)) if word[0] == '"' else (word, True, pos + token.start(1))
            end = token.end()
        if is_map:
            if key in mapping.entries:
                raise _Beyond
            mapping.entries[key] = (key_pos, value)
        else:
            sequence.items.append(value)
            if len(sequence.items) > MAX_ITEMS:
                raise _Beyond
        token = _TOKEN(text, end)
        if token is None or token[3] not in (",", close):
            raise _Beyond
        end = token.end()
        if token[3] == close:
            return (mapping if is_map else sequence), end
