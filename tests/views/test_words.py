"""The words for amounts, differences and effects; and what must never be said of money."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsctl.model import UNLIMITED, UNSET, Amount, Direction, UnsetMeans
from amsctl.views.layout import cells, count, left, right, widths, wrap
from amsctl.views.style import Look
from amsctl.views.words import (
    amount_words,
    difference_words,
    direction_words,
    effect_words,
    leg_words,
    share_words,
    step_words,
    subject_words,
    usage_words,
)
from tests.views.samples import leg, status, suspension

LOOK = Look()
ASCII = Look(unicode=False)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (567, 600, ("+33", "+5.8%")),
        (324, 300, ("-24", "-7.4%")),
        (9000, 12000, ("+3,000", "+33.3%")),
        (3, 2, ("-1", "-33.3%")),
        (0, 40, ("+40", "from 0")),
        (40, 0, ("-40", "blocks")),
        (1, 2_147_483_647, ("+2,147,483,646", ">+9,999%")),
        (2_147_483_647, 2_147_483_646, ("-1", "<-0.1%")),
        (2000, 2001, ("+1", "+0.1%")),
        (UNSET, 100, ("", "from unset")),
        (UNLIMITED, 100, ("", "from unlimited")),
        (UNSET, 0, ("", "blocks")),
        (100, UNLIMITED, ("", "to unlimited")),
        (UNSET, UNLIMITED, ("", "to unlimited")),
    ],
)
def test_difference(before: Amount, after: Amount, expected: tuple[str, str]) -> None:
    """Difference and percent where both are numbers above 0; words where a percentage would be a lie."""
    assert difference_words(before, after, UnsetMeans.UNLIMITED) == expected


def test_unsetting_says_what_it_lets_through() -> None:
    """The same tombstone opens or closes trading, by what unset means at the firm."""
    assert difference_words(100, UNSET, "unlimited") == ("", "no limit")
    assert difference_words(100, UNSET, "blocked") == ("", "blocks")


@given(st.integers(1, 2**31 - 1), st.integers(1, 2**31 - 1))
def test_share_agrees_with_arithmetic(before: int, after: int) -> None:
    """The percentage has the sign of the move and is within half a tenth of the true one."""
    text = share_words(before, after)
    true = (after - before) / before * 100
    if text.startswith("<"):
        assert abs(true) < 0.05 + 1e-9
    elif text.startswith(">"):
        assert true > 9999
    else:
        assert text.endswith("%")
        assert abs(float(text[:-1].replace(",", "")) - true) <= 0.05 + 1e-6


def test_effects() -> None:
    """Where the effective limit moves it is shown from → to; where it does not, which side binds."""
    assert effect_words(leg("c1", "A", "3N1/X.FUT.CME", "ef.long", 1, 2, other=9), LOOK) == "effective 1 → 2"
    assert effect_words(leg("c1", "A", "3N1/X.FUT.CME", "ef.long", 10, 2, other=9), ASCII) == "effective 9 -> 2"
    assert effect_words(leg("c1", "A", "3N1/X.FUT.CME", "cmf.long", 9000, 12000, other=324), LOOK) == "not binding (ef 324 binds)"
    assert effect_words(leg("c1", "A", "3N1/X.FUT.CME", "ef.long", 500, 324, other=324), LOOK) == "not binding (effective stays 324)"
    assert effect_words(suspension("c1", "A", "350", True), LOOK) == ""


def test_usage() -> None:
    """Known use is told, use above the new limit loudly, unknown use not at all (unknown is not zero)."""
    assert usage_words(leg("c1", "A", "3N1/X.FUT.CME", "ef.long", 10, 5, other=9, usage=5)) == "use 5"
    assert usage_words(leg("c1", "A", "3N1/X.FUT.CME", "ef.long", 10, 5, other=9, usage=6)) == "use 6 is above it"
    assert usage_words(leg("c1", "A", "3N1/X.FUT.CME", "ef.long", 10, 5, other=9, usage=0)) == "use 0"
    assert usage_words(leg("c1", "A", "3N1/X.FUT.CME", "ef.long", 10, 5, other=9)) == ""


def test_subjects() -> None:
    """Plans use imperatives for suspensions and statuses."""
    assert subject_words(suspension("c1", "A", "350", True)) == "suspend execution firm 350"
    assert subject_words(suspension("c1", "A", "350", False)) == "release execution firm 350"
    assert subject_words(status("c1", "A", "Active")) == "activate account"
    assert subject_words(status("c1", "A", "Inactive")) == "deactivate account"


def test_one_line_of_a_step() -> None:
    """A change on one line names row, leg and both amounts."""
    assert (
        step_words(leg("c1", "A", "3N1/CJ.FUT.NYMEX", "ef.short", 567, 1600, other=UNSET), LOOK) == "3N1 CJ.FUT.NYMEX ef short 567 → 1,600"
    )
    assert step_words(suspension("c1", "A", "350", False), ASCII) == "release execution firm 350: suspended -> trading"


def test_direction_has_sign_and_word() -> None:
    """Colour is never the only carrier, and ASCII terminals get a sign too."""
    assert [direction_words(direction, LOOK) for direction in Direction] == ["▼ tightens", "▲ loosens", "• neutral"]
    assert [direction_words(direction, ASCII) for direction in Direction] == ["v tightens", "^ loosens", "- neutral"]
    assert leg_words(None, None) == ""


def test_amounts() -> None:
    """Thousands are separated; the two words stay words."""
    assert [amount_words(amount) for amount in (0, 2147483647, UNLIMITED, UNSET)] == ["0", "2,147,483,647", "unlimited", "unset"]


def test_layout() -> None:
    """Columns count what a terminal shows, and words are never broken."""
    assert [cells(text) for text in ("abc", "東京", "e\u0301")] == [3, 4, 1]
    assert (left("東", 4), right("東", 4)) == ("東  ", "  東")
    assert widths([]) == []
    assert widths([("a", "bbb"), ("cc", "d")]) == [2, 3]
    assert wrap("", width=40, indent="  ", first="- ") == ["-"]
    assert wrap("A-very-long-identifier-that-stays-whole next", width=20, indent=" ") == [
        " A-very-long-identifier-that-stays-whole",
        " next",
    ]
    assert [count(1, "entry", "entries"), count(1200, "entry", "entries"), count(0, "change")] == ["1 entry", "1,200 entries", "0 changes"]
