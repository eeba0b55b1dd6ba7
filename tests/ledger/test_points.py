"""Fixed points by the ledger, on both databases: what its records prove of a leg some days ago, and what they do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from amsctl.errors import LedgerFailed
from amsctl.ledger.points import LET_THROUGH, reference_points
from amsctl.ledger.store import Ledger
from amsctl.ledger.values import Scope
from amsctl.model import UNLIMITED, UNSET, Amount, UnsetMeans
from amsctl.planning.plan import Change
from amsctl.planning.points import PointKey
from tests.ledger.samples import AMS, TestClock, started
from tests.ledger.test_history import SCOPE, later, sent, told
from tests.views.samples import leg, suspension

DAY = 86_400.0
ROW = "3N1/CJ.FUT.NYMEX"


def change(
    before: Amount, after: Amount, *, other: Amount = 9_999, side: str = "ef.long", account: str = "A1", number: str = "c1"
) -> Change:
    return leg(number, account, ROW, side, before, after, other=other)


def run(
    ledger: Ledger,
    clock: TestClock,
    days: float,
    *changes: Change,
    word: str | None = "verified",
    done: Sequence[str] | None = None,
    phase: str = "loosen",
    through: Sequence[str] = (),
    overrides: Sequence[str] | None = None,
    scope: Scope = SCOPE,
    name: str = "",
) -> str:
    """A run of one step, so many days after the last."""
    clock.pass_(days * DAY)
    name = name or f"r{ledger.head().seq}"
    intent = sent(name, "s1", changes, scope=scope)
    body = {**intent.body, "phase": phase, LET_THROUGH: list(through)}
    first = started(name, scope=scope)
    if overrides is not None:  # as it was recorded before intents had the member
        del body[LET_THROUGH]
        first = replace(first, body={**first.body, "overrides": list(overrides)})
    drafts = [first, replace(intent, body=body)]
    if word is not None:
        drafts.append(told(name, "s1", word, account=changes[0].account, done=done, scope=scope))
    for draft in drafts:
        ledger.append([draft])
    return name


def point(
    ledger: Ledger,
    clock: TestClock,
    wanted: Change | None = None,
    *,
    days: int = 30,
    ams: str = AMS,
    unset_means: UnsetMeans = UnsetMeans.UNLIMITED,
) -> tuple[int | None, int | None]:
    """The points of what both sides let through, and of the side as written."""
    wanted = change(1, 2) if wanted is None else wanted
    found = reference_points(ledger, [wanted], ams, now=clock.now, days=days, unset_means=unset_means)
    assert wanted.leg is not None
    both = PointKey(wanted.account_key, wanted.row_key, wanted.leg)
    keys = (both, both._replace(owner=wanted.owner))
    assert found.keys() <= set(keys)
    return tuple(None if key not in found else found[key].value for key in keys)  # type: ignore[return-value]


def test_the_value_of_then_is_the_last_that_was_verified(ledger: Ledger, clock: TestClock) -> None:
    """20 at 40 days ago, 30 at 20 days ago: 20 is what it was 30 days ago, and 30 ten days later."""
    run(ledger, clock, 0, change(10, 20))
    run(ledger, clock, 20, change(20, 30))
    clock.pass_(20 * DAY)
    assert point(ledger, clock) == (20, 20)
    clock.pass_(10 * DAY)
    assert point(ledger, clock) == (30, 30)


def test_without_a_record_there_is_no_point(ledger: Ledger, clock: TestClock) -> None:
    """Nothing of an empty ledger; nothing of another account, row, leg, side, AMS or kind of change."""
    assert point(ledger, clock) == (None, None)
    run(ledger, clock, 0, change(10, 20))
    run(ledger, clock, 0, suspension("c1", "A2", "3N1", False))
    for other in (change(1, 2, account="A2"), change(1, 2, side="ef.short"), leg("c1", "A1", "3N1/CC.FUT.NYMEX", "ef.long", 1, 2, other=9)):
        assert point(ledger, clock, other) == (None, None)
    assert point(ledger, clock, change(1, 2, side="cmf.long")) == (10, None)
    assert point(ledger, clock, ams="elsewhere") == (None, None)
    assert point(ledger, clock, replace(change(1, 2), clearing_firm="MATCHA")) == (None, None)
    assert reference_points(ledger, [], AMS, now=clock.now, days=30, unset_means=UnsetMeans.UNLIMITED) == {}


def test_where_no_record_is_old_enough_the_first_value_counts(ledger: Ledger, clock: TestClock) -> None:
    """The before-value of the first record; not a zero: then the next above zero."""
    run(ledger, clock, 0, change(10, 0))
    run(ledger, clock, 1, change(0, 5_000))
    assert point(ledger, clock) == (10, 10)


def test_a_zero_is_the_last_value_above_zero_before_it(ledger: Ledger, clock: TestClock) -> None:
    run(ledger, clock, 0, change(10, 40))
    run(ledger, clock, 1, change(40, 0))
    clock.pass_(60 * DAY)
    assert point(ledger, clock) == (40, 40)


@pytest.mark.parametrize("word", ["failed", "unknown", "diverged", None])
def test_what_is_not_proven_is_no_value(ledger: Ledger, clock: TestClock, word: str | None) -> None:
    """A call that failed, diverged, is unknown or has no outcome does not make its wish the value of then: what was read before it is."""
    run(ledger, clock, 0, change(10, 20))
    run(ledger, clock, 1, change(20, 900), word=word)
    clock.pass_(60 * DAY)
    assert point(ledger, clock) == (20, 20)


def test_what_was_read_back_counts(ledger: Ledger, clock: TestClock) -> None:
    """A change that a diverged call names as done, and one that was read later; neither where its call is found to have failed."""
    run(ledger, clock, 0, change(10, 20), word="diverged", done=["c1"])
    clock.pass_(60 * DAY)
    assert point(ledger, clock) == (20, 20)
    name = run(ledger, clock, 0, change(20, 30), word="unknown")
    clock.pass_(60 * DAY)
    assert point(ledger, clock) == (20, 20)
    ledger.append([later(name, "s1", "verified", done=["c1"])])
    clock.pass_(60 * DAY)
    assert point(ledger, clock) == (30, 30)
    name = run(ledger, clock, 0, change(30, 40), word="unknown")
    ledger.append([later(name, "s1", "failed")])
    clock.pass_(60 * DAY)
    assert point(ledger, clock) == (30, 30)


def test_the_value_before_a_call_that_nobody_knows_counts(ledger: Ledger, clock: TestClock) -> None:
    """It was read: 10 before a call that landed unseen, so that 50 after it is not where the leg began."""
    run(ledger, clock, 0, change(10, 50), word="unknown")
    run(ledger, clock, 1, change(50, 250))
    assert point(ledger, clock) == (10, 10)


def test_a_row_that_is_made_or_gone(ledger: Ledger, clock: TestClock) -> None:
    """Unset lets through what the project says: nothing, so that the number counts; or all, so that no number is a raise against it."""
    run(ledger, clock, 0, change(UNSET, 10, other=UNSET))
    run(ledger, clock, 1, change(10, 20))
    assert point(ledger, clock) == (None, None)
    assert point(ledger, clock, unset_means=UnsetMeans.BLOCKED) == (10, 10)
    run(ledger, clock, 1, change(20, UNLIMITED))
    clock.pass_(60 * DAY)
    assert point(ledger, clock)[1] is None


def test_an_override_starts_a_new_point(ledger: Ledger, clock: TestClock) -> None:
    """Of the leg that it lets through, on both measures; the leg beside it keeps its own."""
    beside = change(10, 40, side="ef.short", number="c2")
    run(ledger, clock, 0, change(10, 5_000), beside, through=["c1"])
    run(ledger, clock, 1, change(5_000, 6_000))
    assert point(ledger, clock) == (5_000, 5_000)
    assert point(ledger, clock, change(40, 90, side="ef.short")) == (10, 10)


@pytest.mark.parametrize(("overrides", "expected"), [(["raised"], 5_000), (["jumpsUp", "protected"], 5_000), (["protected"], 10), ([], 10)])
def test_records_of_before_tell_overrides_by_run(ledger: Ledger, clock: TestClock, overrides: list[str], expected: int) -> None:
    """Where an intent does not name what was let through, a guard of raises that its run overrode lets all its raises through."""
    run(ledger, clock, 0, change(10, 5_000), overrides=overrides)
    run(ledger, clock, 1, change(5_000, 100), overrides=["raised"])
    assert point(ledger, clock) == (expected, expected)


def test_a_row_that_moves_both_ways_is_at_its_smallest_between(ledger: Ledger, clock: TestClock) -> None:
    """ef 1,000 -> 500 was written, cmf 10 -> 400 was not: 10 is let through, not the 400 that the plan was to end at."""
    tightened = replace(change(1_000, 500), effective_before=10, effective_after=400)
    run(ledger, clock, 0, tightened, phase="tighten")
    clock.pass_(60 * DAY)
    assert point(ledger, clock) == (10, 500)
    opened = replace(change(10, 400, side="cmf.long", number="c2"), effective_before=10, effective_after=400)
    run(ledger, clock, 0, opened)
    clock.pass_(60 * DAY)
    assert point(ledger, clock) == (400, 500)


def test_half_of_a_leg_proves_nothing_of_both_sides(ledger: Ledger, clock: TestClock) -> None:
    """Both sides raised by one call, one of them read back as asked: what both let through is not known, what the one says is."""
    first = replace(change(10, 50), effective_before=10, effective_after=50)
    second = replace(change(10, 60, side="cmf.long", number="c2"), effective_before=10, effective_after=50)
    run(ledger, clock, 0, first, second, word="diverged", done=["c1"])
    clock.pass_(60 * DAY)
    assert point(ledger, clock) == (10, 50)


def test_a_clock_that_was_set_back_makes_no_record_older(ledger: Ledger, clock: TestClock) -> None:
    """The chain has one order: 50, written by a machine forty days behind, is not what the leg was 30 days ago."""
    run(ledger, clock, 40, change(10, 20))
    run(ledger, clock, -35, change(20, 50))
    clock.pass_(36 * DAY)
    assert point(ledger, clock) == (10, 10)


@pytest.mark.parametrize(
    "broken",
    [
        {"changes": "none"},
        {"changes": [3]},
        {"changes": [{"id": "c1", "kind": "limit"}]},
        {"changes": [{**dict.fromkeys(("id", "execution_firm", "product"), "x"), "kind": "limit", "leg": "wide", "owner": "ef"}]},
        {LET_THROUGH: 7},
        {"phase": None, "changes": None},
    ],
)
def test_a_record_that_cannot_be_read_is_not_no_record(ledger: Ledger, clock: TestClock, broken: dict[str, object]) -> None:
    """Unknown is not empty: the record is named, with what is wrong."""
    intent = sent("r1", "s1", [change(10, 20)])
    ledger.append([started("r1", scope=SCOPE), replace(intent, body={**intent.body, **broken})])
    with pytest.raises(LedgerFailed, match="record 2") as failed:
        point(ledger, clock)
    assert "verify" in str(failed.value.hint)


def test_a_value_that_is_none_is_told(ledger: Ledger, clock: TestClock) -> None:
    """Neither a number nor a word of ours: not taken for no limit, nor passed over."""
    intent = sent("r1", "s1", [change(10, 20)])
    changes = [{**dict(intent.body["changes"][0]), "before": "a few"}]  # type: ignore[index]
    ledger.append([started("r1", scope=SCOPE), replace(intent, body={**intent.body, "changes": changes})])
    with pytest.raises(LedgerFailed, match="a few"):
        point(ledger, clock)


def test_many_accounts_are_read_in_few_queries(ledger: Ledger, clock: TestClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 accounts of one firm: four streams, by the index over accounts, and the points of each."""
    changes = [change(10, 20, account=f"A{number}") for number in range(200)]
    for number, one in enumerate(changes):
        ledger.append([sent(f"r{number}", "s1", [one]), told(f"r{number}", "s1", "verified", account=one.account)])
    calls: list[object] = []
    records = ledger.records
    monkeypatch.setattr(Ledger, "records", lambda self, **asked: calls.append(asked) or records(**asked))
    found = reference_points(ledger, changes, AMS, now=clock.now, days=30, unset_means=UnsetMeans.UNLIMITED)
    assert len(calls) == 4
    assert {found[PointKey(one.account_key, one.row_key, one.leg)].value for one in changes if one.leg} == {10}
    assert len(found) == 400
