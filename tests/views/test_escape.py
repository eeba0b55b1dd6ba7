"""What reaches a terminal shows itself: nothing invisible, nothing that moves the cursor or turns the text round."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amsctl.views.escape import visible, visible_lines

SHOWN_CATEGORIES = {
    "Lu",
    "Ll",
    "Lt",
    "Lm",
    "Lo",
    "Mn",
    "Mc",
    "Me",
    "Nd",
    "Nl",
    "No",
    "Pc",
    "Pd",
    "Ps",
    "Pe",
    "Pi",
    "Pf",
    "Po",
    "Sm",
    "Sc",
    "Sk",
    "So",
}


@pytest.mark.no_cover
def test_every_code_point_is_either_kept_or_shown_as_its_number() -> None:
    """All of Unicode: printable categories stay (or are escaped as invisible), everything else is escaped; the result is always printable."""
    shown = [(char, visible(char)) for char in map(chr, range(sys.maxunicode + 1))]
    kept = [char for char, text in shown if text == char]
    assert [char for char, text in shown if text not in (char, f"\\u{{{ord(char):X}}}")] == []
    assert "".join(text for _, text in shown).isprintable()
    assert [char for char in kept if char != " " and unicodedata.category(char) not in SHOWN_CATEGORIES] == []
    assert len(kept) > 100_000


CONTROLS = ["\x00", "\n", "\r", "\t", "\x1b", "\x7f", "\x85", "\x9b"]
FORMATS = ["\u00ad", "\u200b", "\u200d", "\u200e", "\u202e", "\u2066", "\ufeff", "\U000e0001"]
SPACES = ["\u00a0", "\u2028", "\u2029", "\u3000"]
INVISIBLE = ["\ufe0f", "\u3164", "\u034f", "\u2800", "\U000e0100"]
NOBODYS = ["\ud800", "\ue000", "\uffff"]


@pytest.mark.parametrize("char", [*CONTROLS, *FORMATS, *SPACES, *INVISIBLE, *NOBODYS])
def test_dangerous_characters_are_shown_as_numbers(char: str) -> None:
    """C0, DEL, C1, bidi, zero-width, separators, fillers, variation selectors, surrogates, private and unassigned ones."""
    assert visible(f"a{char}b") == f"a\\u{{{ord(char):X}}}b"


@pytest.mark.parametrize("text", ["", "DV10121801A", "a b", "Zürich", "東京", "→ ▲ ▼", "é", "😀", "back\\slash"])
def test_plain_text_stays(text: str) -> None:
    """What people can read is not touched."""
    assert visible(text) == text


@given(st.text(st.characters(), max_size=40))
@settings(max_examples=500, deadline=None)
def test_a_second_pass_changes_nothing(text: str) -> None:
    """Escaping is idempotent and gives one line."""
    once = visible(text)
    assert visible(once) == once
    assert "\n" not in once


def test_lines_stay_lines() -> None:
    """A text of several lines keeps its line breaks and nothing else."""
    assert visible_lines("a\x1b\nb\r\n") == "a\\u{1B}\nb\\u{D}\n"
