"""Tables, CSV, YAML and JSON: aligned, safe in a spreadsheet, and the same again in every reader."""

from __future__ import annotations

import csv
import io
import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from amsctl.views.json_text import json_line, json_text
from amsctl.views.style import Look
from amsctl.views.tables import csv_text, grouped_table_text, table_text, yaml_text

LEXEMES = [
    *(
        "027",
        "092",
        "011",
        "010",
        "3E1",
        "1E3",
        "NO",
        "no",
        "OFF",
        "on",
        "y",
        "N",
        "12:30",
        "1_0",
        "0x1F",
        "0b11",
        "0o17",
        ".5",
        "~",
        "null",
        "true",
    ),
    *(
        "2026-11-21",
        "=",
        "-",
        "+",
        ".inf",
        ".nan",
        "1.",
        "+1",
        "-0",
        "<<",
        "!",
        "&",
        "*",
        "?",
        ":",
        "#",
        "%",
        "@",
        "`",
        "{",
        "}",
        "[",
        "]",
        ",",
        "|",
    ),
    *(">", "'", '"', "", " ", "- a", "a: b", "a #b"),
]


def test_table() -> None:
    """Two blanks between columns, numbers to the right, unknown is a word."""
    rows = [["A", 1200, None, True], ["東京", "unlimited", 5, False]]
    assert table_text(["account", "ef_long", "usage", "suspended"], rows) == (
        "ACCOUNT    EF LONG    USAGE  SUSPENDED\nA            1,200  unknown  yes\n東京     unlimited        5  no\n"
    )
    assert table_text(["a", "b"], []) == "A  B\n"
    assert table_text(["a"], [], Look(color=True)) == "\x1b[1mA\x1b[0m\n"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_spreadsheet_takes_a_text_for_a_formula(start: str) -> None:
    """A text that would be run as a formula is quoted with an apostrophe; numbers are left alone."""
    text = csv_text(["a", "b"], [[f"{start}1+cmd|' /C calc'!A0", -5]])
    cell, number = next(csv.reader(io.StringIO(text.split("\n", 1)[1])))
    assert cell.startswith("'")
    assert number == "-5"


def test_csv() -> None:
    """Commas and quotes survive; unknown is a word, and amounts have no separators."""
    assert (
        csv_text(["a", "b", "c"], [['x,"y"', None, 1200], ["z", True, "unlimited"]]) == 'a,b,c\n"x,""y""",unknown,1200\nz,yes,unlimited\n'
    )


@given(st.lists(st.lists(st.text(st.characters(), max_size=8), min_size=2, max_size=2), max_size=5))
@settings(deadline=None)
def test_csv_is_readable_and_harmless(rows: list[list[str]]) -> None:
    """Whatever the AMS names things, CSV has as many rows as it should and no control character but its line ends."""
    text = csv_text(["a", "b"], rows)
    assert all(char.isprintable() for char in text.replace("\n", ""))
    assert len(list(csv.reader(io.StringIO(text)))) == len(rows) + 1


@pytest.mark.parametrize("lexeme", LEXEMES)
def test_yaml_identifiers_survive_every_reader(lexeme: str) -> None:
    """027 stays 027, as value and as key: a YAML 1.1 reader gives it back, and no reader resolves what stands in quotes."""
    value = {"account": lexeme, "firms": {lexeme: False}, "list": [lexeme, {"product": lexeme}]}
    text = yaml_text(value)
    assert yaml.safe_load(text) == value
    assert text.count(json.dumps(lexeme)) == 4


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), inner, max_size=4)
        ),
        max_leaves=20,
    )
)
@settings(max_examples=300, deadline=None)
def test_yaml_round_trips(value: object) -> None:
    """Any value comes back as it was, and only printable ASCII is written."""
    text = yaml_text(value)
    assert yaml.safe_load(text) == value
    assert text.isascii()
    assert all(char.isprintable() for char in text.replace("\n", ""))


@given(st.text(st.characters()))
def test_json_is_printable_ascii(text: str) -> None:
    """No control, C1 or bidirectional character reaches a terminal through JSON, and nothing is lost."""
    for form in (json_text([text]), json_line({"a": text})):
        assert form.isascii()
        assert all(char.isprintable() for char in form.replace("\n", ""))
    assert json.loads(json_text([text])) == [text]
    assert "\n" not in json_line({"a": text})


def test_a_wide_table_tells_what_rows_share_once() -> None:
    """Groups in their order, numbers aligned over all of them, a column of nothing but unknowns left out and said so."""
    rows = [["F", "A", "X", 1000, None], ["F", "A", "Y", 2, None], ["F", "B\x1b", "Z", None, None]]
    text = grouped_table_text(["firm", "account", "product", "long", "usage_long"], rows, group=2)
    assert text.splitlines() == [
        "  PRODUCT     LONG",
        "F/A",
        "  X          1,000",
        "  Y              2",
        "F/B\\u{1B}",
        "  Z        unknown",
        "  usage long: unknown in every row",
    ]
    assert grouped_table_text(["firm", "product", "long"], [], group=1) == "  PRODUCT  LONG\n"


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (30, ["CLEARING FIRM  LONG  EXECUTION FIRMS".replace("EXECUTION FIRMS", "NAMES"), "ABC              12  3N1 350"]),
        (24, ["CLEARING  LONG  NAMES", "FIRM", "ABC         12  3N1 350"]),
        (22, ["CLEARING LONG NAMES", "FIRM", "ABC        12 3N1 350"]),
        (20, ["CLEARING FIRM  LONG", "  NAMES", "ABC              12", "  3N1 350"]),
        (14, ["CLEARING FIRM", "  LONG", "  NAMES", "ABC", "    12", "  3N1 350"]),
    ],
)
def test_a_table_fits_its_width(width: int, expected: list[str]) -> None:
    """A terminal would break a line in the middle of a word: headings take two lines first, then columns move closer, then they go below."""
    headers, rows = ["clearing_firm", "long", "names"], [["ABC", 12, "3N1 350"]]
    lines = table_text(headers, rows, Look(width=width)).splitlines()
    assert lines == expected
    assert max(map(len, lines)) <= width
    grouped = grouped_table_text(["account", *headers], [["A1", *rows[0]]], Look(width=width + 2), group=1).splitlines()
    assert [line for line in grouped if line != "A1"] == [f"  {line}" for line in expected]
