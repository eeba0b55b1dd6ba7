"""Rows → an aligned table, CSV or YAML."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Final, TypeAlias

from amsctl.inert import inert_json
from amsctl.views.escape import visible
from amsctl.views.layout import left, right, widths
from amsctl.views.style import PLAIN, Look

Cell: TypeAlias = str | int | bool | None

UNKNOWN: Final = "unknown"
"""What a table and CSV say where JSON has null: unknown is not zero, and not empty either."""
_FORMULA: Final = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\n",
    "＝",
    "＋",
    "－",
    "＠",
)  # wide letters too: some spreadsheets read them as the narrow ones
_INDENT: Final = "  "


def table_text(headers: Sequence[str], rows: Sequence[Sequence[Cell]], look: Look = PLAIN) -> str:
    """Columns aligned two blanks apart, headings in capitals, numbers to the right; nothing is cut. Where a line would be wider than the terminal, headings
    take two lines and columns stand one blank apart; what then does not fit stands on a line of its own below. Without rows, the headings alone.
    """
    return "\n".join(line for lines in _table(headers, rows, look, look.width) for line in lines) + "\n"


def _table(headers: Sequence[str], rows: Sequence[Sequence[Cell]], look: Look, width: int) -> list[list[str]]:
    """The lines of each row, those of the headings first."""
    whole = [[header.upper().replace("_", " ") for header in headers]]
    shown = [[_shown(cell, thousands=True) for cell in row] for row in rows]
    numeric = [bool(rows) and all(_stands_right(row[column]) for row in rows) for column in range(len(headers))]
    stacked = [[title.partition(" ")[at] for title in whole[0]] for at in (0, 2)]
    for titles, gap in ((whole, _INDENT), (stacked, _INDENT), (stacked, " ")):
        wide = widths([*titles, *shown])
        if sum(wide) + len(gap) * (len(wide) - 1) <= width:
            break
    else:
        titles, gap = whole, _INDENT
        wide = widths([*whole, *shown])
    parts = _parts(wide, width, len(gap))

    def lines(cells: Sequence[str]) -> list[str]:
        return [_line(cells, wide, numeric, part, gap) for part in parts]

    return [[look.bold(line) for title in titles for line in lines(title)], *map(lines, shown)]


def _parts(wide: Sequence[int], width: int, gap: int) -> list[range]:
    """Which columns stand on which line of a row: as many as fit, one at least."""
    parts, start, taken = [], 0, 0
    for column, needed in enumerate(wide):
        if column > start and taken + needed > width:
            parts.append(range(start, column))
            start, taken = column, len(_INDENT)
        taken += needed + gap
    return [*parts, range(start, len(wide))]


def grouped_table_text(headers: Sequence[str], rows: Sequence[Sequence[Cell]], look: Look = PLAIN, *, group: int) -> str:
    """As ``table_text``, but the first ``group`` columns stand once above the rows that share them, joined by a slash: for tables that would be too
    wide. Columns that hold nothing but ``None`` are left out, and said to be unknown below.
    """
    kept = [column for column in range(group, len(headers)) if not rows or any(row[column] is not None for row in rows)]
    left_out = [headers[column].replace("_", " ") for column in range(group, len(headers)) if column not in kept]
    inner = [[row[column] for column in kept] for row in rows]
    titles, *lines = _table([headers[column] for column in kept], inner, look, look.width - len(_INDENT))
    shown = [_INDENT + title for title in titles]
    above: tuple[Cell, ...] = ()
    for row, of_row in zip(rows, lines, strict=True):
        if (head := tuple(row[:group])) != above:
            shown.append(look.bold("/".join(_shown(cell) for cell in head)))
            above = head
        shown += [_INDENT + line for line in of_row]
    if left_out and rows:
        shown.append(look.quiet(f"{_INDENT}{' and '.join(left_out)}: {UNKNOWN} in every row"))
    return "\n".join(shown) + "\n"


def _stands_right(cell: Cell) -> bool:
    """Whether a cell is a number or a word that stands among numbers."""
    return cell in ("unlimited", "unset", None) or (isinstance(cell, int) and not isinstance(cell, bool))


def _line(cells: Sequence[str], wide: Sequence[int], numeric: Sequence[bool], part: range, gap: str) -> str:
    """The columns of ``part``; those that are not the first stand a little further in."""
    indent = _INDENT if part.start else ""
    return indent + gap.join((right if numeric[column] else left)(cells[column], wide[column]) for column in part).rstrip()


def _shown(cell: Cell, *, thousands: bool = False) -> str:
    if cell is None:
        return UNKNOWN
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}" if thousands else str(cell)
    return visible(cell)


def csv_text(headers: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """RFC 4180 with ``\\n`` line ends. A text that a spreadsheet would take for a formula gets an apostrophe in front; control characters are shown as
    ``\\u{…}``.
    """
    return "".join(csv_lines(headers, rows))


def csv_lines(headers: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """As ``csv_text``, a line at a time: for what does not fit into memory."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    for cells in chain([headers], ([_csv_cell(cell) for cell in row] for row in rows)):
        writer.writerow(cells)
        yield target.getvalue()
        target.seek(0)
        target.truncate()


def _csv_cell(cell: Cell) -> str:
    shown = _shown(cell)
    return f"'{shown}" if isinstance(cell, str) and cell.startswith(_FORMULA) else shown


def yaml_text(value: object) -> str:
    """Block YAML that every YAML tool reads back as it was: all texts quoted and in ASCII, so that ``027``, ``OFF`` and ``1E3`` stay texts."""
    return "".join(line + "\n" for line in _yaml(value, ""))


def _yaml(value: object, indent: str) -> list[str]:
    if isinstance(value, Mapping) and value:
        lines = []
        for key, item in value.items():
            lines += _entry(f"{indent}{_key(str(key))}:", item, indent + _INDENT)
        return lines
    if isinstance(value, list | tuple) and value:
        lines = []
        for item in value:
            nested = _yaml(item, indent + _INDENT)
            nested[0] = f"{indent}- {nested[0].lstrip(' ')}"
            lines += nested
        return lines
    return [indent + _yaml_scalar(value)]


def _entry(key: str, item: object, indent: str) -> list[str]:
    if isinstance(item, Mapping | list | tuple) and item:
        return [key, *_yaml(item, indent)]
    return [f"{key} {_yaml_scalar(item)}"]


def _key(text: str) -> str:
    """A key of ours as it is; one that comes from elsewhere (an execution firm's id) quoted."""
    return text if text.isascii() and text.replace("_", "").isalpha() and text.islower() and text not in _YAML_WORDS else _quoted(text)


_YAML_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def _yaml_scalar(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return _quoted(value)
        case Mapping():
            return "{}"
        case _:
            assert isinstance(value, list | tuple), f"{type(value).__name__} has no YAML form here"
            return "[]"


def _quoted(text: str) -> str:
    """Double quotes with JSON's escapes; beyond the basic plane ``\\U0001F600``, since YAML knows no surrogate pairs."""
    return inert_json('"' + "".join(map(_escaped, text)) + '"')


def _escaped(char: str) -> str:
    if ord(char) > 0xFFFF:
        return f"\\U{ord(char):08X}"
    return json.dumps(char)[1:-1]
