"""A row that is written twice: the second write keeps what the first one did, also where the AMS told the row in a form of its own."""

from __future__ import annotations

from amsctl.config import UnlimitedShownAs
from amsctl.model import UNLIMITED, Phase
from amsctl.planning.diff import Rules
from tests.planning.test_diff import CJ, live, made, row, want


def test_the_second_write_of_a_row_does_not_take_back_the_first() -> None:
    """The tightened side must not be echoed as it was read before it was tightened."""
    raw = ({"long": 100, "short": 10}, {"long": None, "short": 5})
    found = live({("3N1", CJ): (100, 10, UNLIMITED, 5)}, wire=raw)
    tighten, loosen = made(want(row(CJ, 100, 1, 5, UNLIMITED)), found).steps
    assert (tighten.phase, loosen.phase) == (Phase.TIGHTEN, Phase.LOOSEN)
    first, second = tighten.body["limits"][0], loosen.body["limits"][0]  # type: ignore[index]
    assert (first["efLimits"], first["cmfLimits"]) == ({"short": 1, "long": 100}, {"short": 5, "long": 5})
    assert (second["efLimits"], second["cmfLimits"]) == ({"short": 1, "long": 100}, {"short": None, "long": 5})


def test_a_side_that_no_write_touches_goes_back_as_it_came_in_both() -> None:
    word = {"short": "Unlimited", "long": "unlimited"}
    found = live({("3N1", CJ): (100, 10, UNLIMITED, UNLIMITED)}, wire=({"long": 100, "short": 10}, word))
    steps = made(want(row(CJ, 200, 1, None, None)), found, Rules(unlimited_shown_as=UnlimitedShownAs.WORD)).steps
    assert [step.body["limits"][0]["cmfLimits"] for step in steps] == [word, word]  # type: ignore[index]
