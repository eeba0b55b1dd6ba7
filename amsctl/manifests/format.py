"""The canonical form of a manifest: keys in one order, two blanks of indentation, quotes where other YAML tools would misread, comments kept.

The order of execution firms, products and labels stays the user's own, and so does the choice between ``{a: b}`` and one entry a line. A result
that would not mean the same, or that lost a comment, is never returned.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from amsctl.diagnostics import Diagnostic, Severity, Source
from amsctl.errors import AmsctlError, ManifestErrors
from amsctl.manifests.documents import read_content
from amsctl.manifests.findings import Findings, decode
from amsctl.manifests.layout import Document, Entry, Group, Layout, Value, Word, layout
from amsctl.manifests.nodes import Map, Node, Seq
from amsctl.manifests.reader import read

_WIDTH: Final = 120
"""A mapping in braces that would end beyond this column is written one entry a line."""

_ROUNDS: Final = 4
"""A comment that moved with its entry may have found another neighbour: the form is written until it stays as it is."""

Path = tuple[str, ...]


class FormatError(AmsctlError):
    """The canonical form would not mean the same: a defect of the formatter, which leaves the file as it is."""

    code = "format"


def canonical(text: str, *, file: str) -> str:
    """``text`` in canonical form; a text in canonical form comes back as it is. ``file`` names it in errors, and ``.json`` makes it JSON.

    Raises :class:`ManifestErrors` when the text is not a sound manifest by itself.
    """
    content = text.encode(errors="surrogatepass")
    found = read_content(content, file, projects=True)
    errors = [finding for finding in found.findings if finding.severity is Severity.ERROR]
    if errors:
        raise ManifestErrors(sorted(errors, key=Diagnostic.sort_key))
    plain = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if file.lower().endswith(".json"):
        return _checked(text, _json(_trees(text)[0]) + "\n", file) if found.documents else text
    before = layout(plain)
    result = _write(before)
    for _ in range(_ROUNDS):
        again = _write(layout(result))
        if again == result:
            break
        result = again
    return _checked(text, result, file, before)


def _checked(text: str, result: str, file: str, before: Layout | None = None) -> str:
    """``result``, when it means the same as ``text`` and holds the same comments."""
    found = read_content(result.encode(), file, projects=True)
    sound = not any(finding.severity is Severity.ERROR for finding in found.findings)
    if not sound or [_meaning(tree) for tree in _trees(text)] != [_meaning(tree) for tree in _trees(result)]:
        raise FormatError(
            "the file cannot be formatted without changing its meaning", where=str(Source(file, 1, 1)), hint="it is left as it is"
        )
    if before is not None and sorted(before.comments) != sorted(layout(result).comments):
        raise FormatError(
            "the file cannot be formatted without losing a comment", where=str(Source(file, 1, 1)), hint="it is left as it is"
        )
    return result


def _trees(text: str) -> list[Node]:
    findings = Findings("")
    content = decode(text.encode(), findings)
    return list(read(content, findings)) if content is not None else []


def _meaning(node: Node) -> Any:
    """What a document says, without places, order and quotes."""
    if isinstance(node, Map):
        return {key: _meaning(value) for key, (_, value) in node.entries.items()}
    return [_meaning(item) for item in node.items] if isinstance(node, Seq) else node[0]


# --- order ---

_ORDER: Final[tuple[tuple[Path, tuple[str, ...]], ...]] = (
    ((), ("apiVersion", "kind", "metadata", "spec")),
    (("metadata",), ("clearingFirm", "accountNumber", "name", "labels")),
    (("spec", "environments", "*"), ("url", "auth", "protected", "calendar", "tls", "proxy", "assumptions")),
    (("spec", "environments", "*", "auth"), ("type", "tokenUrl", "logonPath", "clientId", "clientSecret")),
    (
        ("spec", "windows", "-"),
        ("name", "effect", "applies", "timeZone", "weekly", "rrule", "start", "duration", "environments"),
    ),
    (("spec", "windows", "-", "weekly"), ("days", "from", "to")),
    (("spec", "executionFirms", "*"), ("suspended", "profiles", "limits")),
    (("spec", "executionFirms", "*", "limits", "*"), ("ef", "cmf")),
    (("spec", "executionFirms", "*", "limits", "*", "*"), ("long", "short")),
    (("spec", "limits", "*"), ("ef", "cmf")),
    (("spec", "limits", "*", "*"), ("long", "short")),
    (
        ("spec",),
        (
            *("status", "undeclared", "protected", "executionFirms", "limits"),
            *("manifests", "ownership", "unsetMeans", "defaultEnvironment", "environments", "requests", "ledger", "windows", "guards"),
        ),
    ),
)
_PROJECT_SPEC: Final = (
    *("manifests", "ownership", "unsetMeans", "undeclared", "defaultEnvironment"),
    *("environments", "requests", "ledger", "windows", "guards"),
)


def _order(path: Path, keys: list[str]) -> tuple[str, ...]:
    if path == ("spec",) and ("environments" in keys or "ownership" in keys or "unsetMeans" in keys or "manifests" in keys):
        return _PROJECT_SPEC
    return next((order for pattern, order in _ORDER if _fits(path, pattern)), ())


def _fits(path: Path, pattern: Path) -> bool:
    return len(path) == len(pattern) and all(want in ("*", step) for step, want in zip(path, pattern, strict=True))


def _ranked(keys: list[str], path: Path) -> list[int]:
    """The indexes of ``keys`` in canonical order: known ones first, the others as they stand."""
    order = _order(path, keys)
    return sorted(range(len(keys)), key=lambda index: (order.index(keys[index]) if keys[index] in order else len(order), index))


# --- quotes ---

_MISREAD: Final = re.compile(
    "|~|null|true|false|yes|no|on|off|y|n|=|<<"
    "|[-+]?0b[01_]+|[-+]?0o?[0-7_]+|[-+]?0x[0-9a-f_]+|[-+]?[0-9][0-9_]*"
    "|[-+]?[0-9][0-9_]*(?::[0-9]+)+(?:\\.[0-9_]*)?"
    "|[-+]?(?:[0-9][0-9_]*)?\\.?[0-9_]*(?:e[-+]?[0-9]+)?|[-+]?\\.(?:inf|nan)"
    "|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*",
    re.IGNORECASE,
)
"""What YAML 1.1 or 1.2 takes for something other than text."""
_BARE: Final = re.compile("[A-Za-z0-9][A-Za-z0-9._/+-]*(?: [A-Za-z0-9][A-Za-z0-9._/+-]*)*")
"""Texts that need no quotes anywhere, if they are not misread."""
_NAMES: Final[tuple[Path, ...]] = (
    ("metadata", "clearingFirm"),
    ("metadata", "accountNumber"),
    ("metadata", "name"),
    ("metadata", "labels", "*"),
    ("spec", "executionFirms", "*", "profiles", "-"),
    ("spec", "manifests", "-"),
    ("spec", "defaultEnvironment"),
    ("spec", "environments", "*", "auth", "clientId"),
    ("spec", "environments", "*", "auth", "clientSecret"),
    ("spec", "environments", "*", "assumptions", "unlimitedAs"),
)
"""Values that are text whatever they look like; keys always are."""


def _quoted(word: Word, *, is_name: bool) -> str:
    misread = _MISREAD.fullmatch(word.text) is not None
    if word.plain:
        return json.dumps(word.text, ensure_ascii=False) if misread and is_name else word.text
    if not misread and _BARE.fullmatch(word.text):
        return word.text
    return json.dumps(word.text, ensure_ascii=False)


def _value_text(word: Word, path: Path) -> str:
    return _quoted(word, is_name=any(_fits(path, pattern) for pattern in _NAMES))


# --- writing ---


def _write(file: Layout) -> str:
    if not file.documents:
        return "".join(f"{line}\n" for line in _tidy(file.orphans))
    lines: list[str] = []
    for index, document in enumerate(file.documents):
        if index or document.explicit:
            lines.append("---")
        lines += _document(document)
    return "\n".join(_tidy(lines)) + "\n"


def _document(document: Document) -> list[str]:
    lines = _tidy(document.header)
    if lines and not document.header[-1]:
        lines.append("")
    assert isinstance(document.value, Group)
    body = _block(document.value, 0, ())
    while not lines and not body[0]:
        del body[0]
    lines += body
    return lines + _tidy(document.footer, blank_before=bool(document.footer) and not document.footer[0])


def _tidy(lines: list[str], *, blank_before: bool = False) -> list[str]:
    """Without blank lines at both ends, and never two of them in a row."""
    kept: list[str] = []
    for line in lines:
        if line or (kept and kept[-1]):
            kept.append(line)
    while kept and not kept[-1]:
        kept.pop()
    return ["", *kept] if blank_before and kept else kept


def _block(group: Group, indent: int, path: Path) -> list[str]:
    """The entries of a group, one a line or more."""
    entries = group.entries
    if group.is_map:
        keys = [entry.key.text for entry in entries if entry.key is not None]
        entries = [entries[index] for index in _ranked(keys, path)]
    margin = " " * indent
    lines: list[str] = []
    for entry in entries:
        lines += [f"{margin}{line}" if line else "" for line in entry.leading]
        lines += _entry(entry, indent, path)
        lines += [f"{margin}{line}" if line else "" for line in _tidy(entry.after)]
    return lines


def _entry(entry: Entry, indent: int, path: Path) -> list[str]:
    margin = " " * indent
    if entry.key is None:
        return _item(entry, indent, (*path, "-"))
    inner = (*path, entry.key.text)
    head = f"{margin}{_quoted(entry.key, is_name=True)}:"
    value = entry.value
    if isinstance(value, Word):
        return [_with_comment(f"{head} {_value_text(value, inner)}", entry)]
    line = f"{head} {_inline(value, inner)}"
    if not value.entries or (value.flow and len(line) <= _WIDTH):
        return [_with_comment(line, entry)]
    return [_with_comment(head, entry), *_block(value, indent + 2, inner)]


def _item(entry: Entry, indent: int, path: Path) -> list[str]:
    """An item of a sequence: on one line, or a mapping that begins behind the hyphen. What stands above its first key stands above the hyphen."""
    margin, value = " " * indent, entry.value
    line = f"{margin}- {_inline(value, path)}"
    if isinstance(value, Word) or not value.is_map or not value.entries or (value.flow and len(line) <= _WIDTH):
        return [_with_comment(line, entry)]
    lines = _block(value, indent + 2, path)
    first = next(index for index, text in enumerate(lines) if text and not text.lstrip().startswith("#"))
    above = [text[2:] for text in lines[:first]]
    return [*above, _with_comment(f"{margin}- {lines[first][indent + 2 :]}", entry), *lines[first + 1 :]]


def _with_comment(line: str, entry: Entry) -> str:
    """The line with the comment behind it, in the comment's old column when there is room."""
    if entry.eol is None:
        return line
    text, column = entry.eol
    return f"{line:<{column}}{text}" if column > len(line) else f"{line}  {text}"


def _inline(value: Value, path: Path) -> str:
    if isinstance(value, Word):
        return _value_text(value, path)
    if not value.is_map:
        return "[" + ", ".join(_inline(entry.value, (*path, "-")) for entry in value.entries) + "]"
    keys = [entry.key.text for entry in value.entries if entry.key is not None]
    parts = []
    for index in _ranked(keys, path):
        entry = value.entries[index]
        assert entry.key is not None
        parts.append(f"{_quoted(entry.key, is_name=True)}: {_inline(entry.value, (*path, entry.key.text))}")
    return "{" + ", ".join(parts) + "}"


def _json(node: Node, indent: int = 0, path: Path = ()) -> str:
    """A JSON document with two blanks of indentation; numbers stay as they were written."""
    margin, inner = " " * indent, " " * (indent + 2)
    if isinstance(node, Map):
        if not node.entries:
            return "{}"
        keys = list(node.entries)
        parts = []
        for index in _ranked(keys, path):
            key = keys[index]
            value = _json(node.entries[key][1], indent + 2, (*path, key))
            parts.append(f"{inner}{json.dumps(key, ensure_ascii=False)}: {value}")
        return "{\n" + ",\n".join(parts) + f"\n{margin}}}"
    if isinstance(node, Seq):
        items = [f"{inner}{_json(item, indent + 2, (*path, '-'))}" for item in node.items]
        return "[\n" + ",\n".join(items) + f"\n{margin}]" if items else "[]"
    return node[0] if node[1] else json.dumps(node[0], ensure_ascii=False)
