"""What is read line by line is what libyaml reads: the same documents, the same texts, the same places; or it is left to libyaml."""

from __future__ import annotations

import random

import pytest

from amsctl.manifests.findings import Findings, decode
from amsctl.manifests.format import canonical
from amsctl.manifests.nodes import Map, Node, Seq
from amsctl.manifests.quick import quick
from amsctl.manifests.reader import read
from amsctl.resources import examples_folder
from tests.manifests.bad import GOOD, TABLE
from tests.manifests.test_format import TIDY, UNTIDY, _Writer
from tests.manifests.test_generated import damaged


def shape(node: Node) -> object:
    if isinstance(node, Map):
        return ("map", node.pos, [(key, pos, shape(value)) for key, (pos, value) in node.entries.items()])
    return ("seq", node.pos, [shape(item) for item in node.items]) if isinstance(node, Seq) else node


def compare(content: bytes) -> bool:
    """Whether the file was read quickly; that it was read alike is asserted."""
    text = decode(content, Findings("a.yaml"))
    if text is None:
        return False
    ours = quick(text)
    if ours is None:
        return False
    findings = Findings("a.yaml")
    theirs = list(read(text, findings))
    assert not findings.items, (content, [one.message for one in findings.items])
    assert [shape(one) for one in ours] == [shape(one) for one in theirs], content
    return True


def test_the_files_that_people_write_are_read_quickly() -> None:
    """The contract's example and the shipped ones need no libyaml."""
    for text in (GOOD, *(path.read_text() for path in examples_folder().rglob("*.yaml"))):
        assert compare(text.encode())
    assert not compare(UNTIDY.encode())


@pytest.mark.no_cover
def test_a_damaged_file_is_read_alike_or_left_alone() -> None:
    """Thousands of damaged files: never another meaning than libyaml's, never an error overlooked."""
    chance = random.Random(7)
    read_quickly = sum(compare(damaged(chance)[1]) for _ in range(12_000))
    assert read_quickly > 300


@pytest.mark.no_cover
def test_an_untidy_file_is_read_alike_or_left_alone() -> None:
    """Files from chance, as for the formatter."""
    read_quickly = 0
    for seed in range(400):
        text = _Writer(random.Random(seed)).file()
        compare(text.encode())
        read_quickly += compare(canonical(text, file="a.yaml").encode())
    assert read_quickly > 30


_PIECES = (
    *(
        "a",
        "b",
        "027",
        "x.y",
        "A-B",
        '"q"',
        '"a: b"',
        '""',
        "{",
        "}",
        "[",
        "]",
        ", ",
        ",",
        ": ",
        ":",
        " ",
        "  ",
        "\n",
        "\n  ",
        "\n    ",
        "# c",
        " # c",
    ),
    *(
        "\n---\n",
        "- ",
        "{}",
        "[]",
        "{a: b}",
        "[a, b]",
        "{a: b, c: d}",
        "{ a: b }",
        "a: b\n",
        "a:\n",
        "'s'",
        "é",
        "&",
        "*",
        "!",
        "?",
        "|",
        "<<",
        "%",
        "...",
        "\n\n",
    ),
)


@pytest.mark.no_cover
def test_pieces_thrown_together_are_read_alike_or_left_alone() -> None:
    """YAML's punctuation in any order."""
    chance = random.Random(11)
    texts = ("".join(chance.choice(_PIECES) for _ in range(chance.randrange(1, 9))) for _ in range(40_000))
    assert sum(compare(text.encode()) for text in texts) > 1_000


@pytest.mark.parametrize("bad", TABLE, ids=lambda bad: f"{bad.code}-{bad.line}-{bad.column}")
def test_no_bad_manifest_is_read_differently(bad: object) -> None:
    """The table of bad manifests again: what the reader refuses is not accepted here."""
    compare(bad.text.encode())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "a: {" + ", ".join(f"k{number}: v{number}" for number in range(3_000)) + "}",
            f"a: {'x' * 200}",
            f"{'k' * 199}: 1",
            f"{'k' * 1500}: 1",
        ),
        *("{a: " * 7 + "b" + "}" * 7, "a: " + "{a: " * 12 + "b" + "}" * 12, "\n".join(" " * depth + "a:" for depth in range(12)) + " b"),
        *(
            "a: [" + ", ".join("x" for _ in range(1001)) + "]",
            "a: {a: 1, a: 2}",
            "a: {a: 1, b: 2, a: 3}",
            "a: 1\na: 2",
            "a:\n  b: 1\n c: 2",
        ),
        *(
            "a: b\n  c: d",
            "a:\nb: c",
            "a:",
            "---\n---\na: b\n---\n# c\n",
            "  a: b\n  c: d\n",
            "  a: b\nc: d\n",
            "a: b # c}",
            "a: {b: c} # }",
            TIDY,
        ),
        *(
            "a: {b: {c: [d, {e: f}]}, g: []}",
            "a: {b: c}}",
            "a: [b]]",
            "a: {b: c]",
            "a: {b}",
            "a: [b: c]",
            "a: {b:c}",
            "a: {b: }",
            "a: {, }",
            "a: {b: c,}",
        ),
    ],
)
def test_corners(text: str) -> None:
    """Long lines, deep groups, duplicates, indentation, empty values."""
    compare(text.encode())


def test_a_large_plain_file_is_left_to_the_reader_that_counts() -> None:
    """The limit on values is the reader's to enforce."""
    assert quick("a: b\n" * 250_001) is None
