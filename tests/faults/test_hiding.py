"""An AMS that hides a side of its rows, now and then or always: nothing that was not read is written, and every promise is kept.

``make faults HIDING=1 SEEDS=2000`` plays many more.
"""

from __future__ import annotations

from collections import Counter

import pytest

from amsctl.config import UnlimitedShownAs
from amsctl.model import ABSENT, UNLIMITED, Amount
from amsctl.wire import answers
from tests.conftest import CAMPAIGN
from tests.faults.__main__ import play
from tests.faults.server import SHAPES

CHUNK = 12
SEEDS = 36 * CAMPAIGN
SEEDS_TO_FIND_IT = 60


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_no_promise_is_broken_by_an_ams_that_hides_a_side(first: int) -> None:
    """A side absent, null, empty, of one leg, misspelt, with misspelt legs or with its legs elsewhere; and when it shows all again, all wishes are met."""
    tally = play(list(range(first, first + CHUNK)), hiding=True)
    assert tally.failing == {}
    met = Counter({name.removeprefix("get "): count for name, count in tally.faults.items() if name.startswith("hidden ")})
    assert met.keys() <= {f"hidden {shape}" for shape in SHAPES}
    assert sum(met.values()) > CHUNK
    assert tally.counts["POSTs"] > 0


def test_the_simulator_sees_a_reader_that_takes_absent_for_unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """The defect that this is about, planted: what lacks is read as no limit, and some seed breaks a promise."""

    def generous(side: object, shown_as: UnlimitedShownAs) -> tuple[Amount, Amount]:
        legs = side if isinstance(side, dict) else {}
        found = [legs.get(leg, ABSENT) for leg in ("long", "short")]
        long, short = (value if isinstance(value, int) else UNLIMITED for value in found)
        return long, short

    monkeypatch.setattr(answers, "_amounts", generous)
    monkeypatch.setattr(answers, "_check_extra_members", lambda entry, where: None)
    for seed in range(SEEDS_TO_FIND_IT):
        if play([seed], hiding=True).failing:
            return
    pytest.fail(f"none of {SEEDS_TO_FIND_IT} seeds saw it")
