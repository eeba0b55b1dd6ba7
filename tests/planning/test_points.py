"""Guards across plans: raises are measured against the values of some days ago as well, whatever way a leg took since."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsctl.config import USUAL_GUARDS, GuardName, Guards, Threshold
from amsctl.model import MAX_LIMIT, NO_LIMIT, UNLIMITED, UNSET, Amount, Leg, Owner, UnsetMeans, lets_through
from amsctl.planning.codec import decode, encode, sealed
from amsctl.planning.consistency import contradiction, summary_of
from amsctl.planning.guards import Sight, got_worse, guard_findings, judge, let_through, unmeasured
from amsctl.planning.plan import Against, Change, Plan, PointSource
from amsctl.planning.points import (
    Courses,
    Known,
    Point,
    PointKey,
    Points,
    Version,
    days_before,
    history_points,
    measured_keys,
    no_past,
    points_of,
    references,
    wanted_keys,
)
from tests.applying.test_executor import wish, world
from tests.applying.world import plan_of
from tests.planning.ordinary import ordinary, plan_between
from tests.planning.test_guards import leg, seen

DAY = 86_400.0
NOW = 1_795_000_000.0
BLOCKED, OPEN = UnsetMeans.BLOCKED, UnsetMeans.UNLIMITED
RAISES = {GuardName.RAISED, GuardName.JUMPS_UP}


def at(days: float) -> str:
    """A moment so many days ago."""
    return days_before(NOW - days * DAY, 0)


def both(change: Change) -> tuple[PointKey, PointKey]:
    """What both sides let through, and the side that the change writes."""
    of = PointKey(change.account_key, change.row_key, change.leg or Leg.LONG)
    return of, of._replace(owner=change.owner)


def at_points(change: Change, value: int) -> Points:
    return {key: Point(value, "2026-10-29T00:00:00Z", PointSource.LEDGER) for key in both(change)}


def held(change: Change, points: Points, guards: Guards = USUAL_GUARDS, unset_means: UnsetMeans = OPEN) -> set[GuardName]:
    verdicts = judge([change], seen(400, 1), guards, unset_means=unset_means, points=points)
    return {verdict.guard for verdict in verdicts if verdict.passed}


# --- the measure ---


def test_by_way_of_zero_is_as_large_as_at_once() -> None:
    """10 -> 0 -> 10,000: the plan from zero alone is silent, against the 10 before it both guards that measure a raise hold it up."""
    back = leg(0, 0, 0, 10_000)
    assert held(back, {}) == set()
    assert held(back, at_points(back, 10)) == RAISES


def test_in_pieces_is_as_large_as_at_once() -> None:
    """250 -> 1,250 is five times, and no more; against the 10 of some days ago it is 125 times."""
    piece = leg(0, 0, 250, 1_250)
    assert held(piece, {}) == set()
    assert held(piece, at_points(piece, 10)) == RAISES


@pytest.mark.parametrize("before", [0, 1, 50])
def test_a_return_to_the_value_of_then_is_no_raise(before: int) -> None:
    """What was let through some days ago may be let through again."""
    back = leg(0, 0, before, 60 if before else 1_000)
    assert held(back, at_points(back, back.after)) == held(back, {})  # type: ignore[arg-type]


def test_both_sides_of_the_factor() -> None:
    """More than 5 times is a raise, 10 times or more a jump: 50 and 51, 99 and 100 against 10."""
    for after, expected in ((50, set()), (51, {GuardName.RAISED}), (99, {GuardName.RAISED}), (100, RAISES)):
        change = leg(0, 0, 49, after)
        assert held(change, at_points(change, 10)) == expected


@pytest.mark.parametrize(("before", "after"), [(2_000, 1_000), (1_000, 0), (1_000, UNSET), (UNLIMITED, UNLIMITED)])
def test_what_tightens_is_not_held_against_the_past(before: Amount, after: Amount) -> None:
    """A leg that is lowered to a number far above the point passes: taking back a raise needs nobody's word."""
    change = leg(0, 0, before, after, other=5_000, unset_means=BLOCKED)
    assert held(change, at_points(change, 10), unset_means=BLOCKED) == held(change, {}, unset_means=BLOCKED)


@pytest.mark.parametrize("gone", [UNLIMITED, UNSET])
def test_by_way_of_no_limit_is_as_large_as_at_once(gone: Amount) -> None:
    """10 -> no limit -> 10,000: the second step names a number a thousand times that of before; back to 10 it is nothing."""
    change = leg(0, 0, gone, 10_000)
    assert held(change, {}) == set()
    assert held(change, at_points(change, 10)) == RAISES
    assert held(leg(0, 0, gone, 10), at_points(change, 10)) == set()


def test_a_point_that_is_larger_or_missing_takes_nothing_away() -> None:
    """The plan's own before-value counts as it did: ten times at once is held up, whatever was some days ago."""
    change = leg(0, 0, 10, 100)
    assert held(change, at_points(change, MAX_LIMIT)) == held(change, {}) == RAISES


def test_each_guard_keeps_to_its_own_amount() -> None:
    """raised measures what both sides let through, jumpsUp what one side writes: a point of the one says nothing to the other."""
    change = leg(0, 0, 250, 1_250)
    effective, written = both(change)
    point = Point(10, "2026-10-29T00:00:00Z", PointSource.LEDGER)
    assert held(change, {effective: point}) == {GuardName.RAISED}
    assert held(change, {written: point}) == {GuardName.JUMPS_UP}
    assert held(change, {written._replace(owner=Owner.CMF): point, effective._replace(leg=Leg.SHORT): point}) == set()


def test_contracts_in_all_count_from_the_lower_of_both() -> None:
    """raisedLots: 60,000 more than some days ago by two legs; each of the two plans raised 60,001 in all."""
    guards: Guards = {GuardName.RAISED_LOTS: (Threshold(amount=100_000),)}
    one = leg(0, 0, 60_010, 120_010)
    (alone,) = judge([one], seen(1, 1), guards, unset_means=OPEN)
    (against,) = judge([one], seen(1, 1), guards, unset_means=OPEN, points=at_points(one, 10))
    assert (alone.measured, alone.of, alone.passed) == (60_000, 60_010, False)
    assert (against.measured, against.of, against.passed) == (120_000, 10, True)
    _, (finding,) = guard_findings([one], seen(1, 1), guards, unset_means=OPEN, points=at_points(one, 10))
    assert "at worst ×12,001 against 10 on 2026-10-29" in finding.message


def test_a_finding_says_against_what() -> None:
    """Value, day and how many times: only where the past is what the leg is held against."""
    change = leg(0, 0, 0, 10_000)
    _, findings = guard_findings([change], seen(400, 1), USUAL_GUARDS, unset_means=OPEN, points=at_points(change, 10))
    assert [finding.code for finding in findings] == ["guard-raised", "guard-jumps-up"]
    assert all("; at worst ×1,000 against 10 on 2026-10-29; " in finding.message for finding in findings)
    at_once = leg(0, 0, 10, 25_000)
    _, findings = guard_findings([at_once], seen(400, 1), USUAL_GUARDS, unset_means=OPEN, points=at_points(at_once, 10))
    assert not any("against" in finding.message for finding in findings)
    odd = leg(0, 0, 49, 105)
    _, (finding, _) = guard_findings([odd], seen(400, 1), USUAL_GUARDS, unset_means=OPEN, points=at_points(odd, 10))
    assert "×10.5 against 10" in finding.message


# --- values over time ---


def course(*values: tuple[float, int], starts: tuple[int, ...] = (), days: int = 30) -> tuple[int, str] | None:
    """The point of a leg with these values, so many days ago each."""
    key = both(leg(0, 0, 1, 2))[0]
    courses = Courses([key], now=NOW, days=days, source=PointSource.LEDGER)
    for number, (ago, value) in enumerate(values):
        courses.take(key, value, at(ago), starts=number in starts)
    found = courses.points().get(key)
    return None if found is None else (found.value, found.at)


@pytest.mark.parametrize(
    ("values", "value", "since"),
    [
        ((), None, None),
        (((40, 10),), 10, 30),
        (((40, 10), (35, 20)), 20, 30),
        (((30, 10), (29, 20)), 10, 30),
        (((29.9, 10), (29, 20)), 10, 29.9),
        (((40, 10), (35, 0), (3, 500)), 10, 40),
        (((40, 10), (35, 0), (34, 0)), 10, 40),
        (((40, 0), (3, 500), (2, 900)), 500, 3),
        (((3, 0), (2, 500)), 500, 2),
        (((3, 0),), None, None),
        (((40, NO_LIMIT), (3, 10)), None, None),
        (((40, 10), (35, NO_LIMIT), (3, 10)), None, None),
        (((3, NO_LIMIT), (2, 10)), None, None),
    ],
)
def test_which_value_is_the_point(values: tuple[tuple[float, int], ...], value: int | None, since: float | None) -> None:
    """That of 30 days ago, exactly 30 included; a zero is the last above zero before it; the first one where none is as old; nothing of no limit."""
    assert course(*values) == (None if value is None else (value, at(since or 0)[:19] + "Z"))


def test_an_override_starts_a_new_point() -> None:
    """From there on it counts, and only what is newer; once it is as old as the setting, values are the leg's again."""
    assert course((40, 10), (5, 1_000), (4, 500), starts=(1,)) == (1_000, at(5)[:19] + "Z")
    assert course((20, 10), (5, 1_000), (3, 2_000), starts=(1, 2)) == (2_000, at(3)[:19] + "Z")
    assert course((40, 1_000), (35, 10), (5, 20), starts=(0,)) == (10, at(30)[:19] + "Z")


FACTOR = 5
STEPS = st.lists(st.tuples(st.integers(0, 9), st.one_of(st.sampled_from([0, NO_LIMIT]), st.integers(1, 20_000))), min_size=1, max_size=12)


@given(st.integers(1, 40), STEPS)
def test_no_way_of_a_leg_is_unseen(first: int, steps: list[tuple[int, int]]) -> None:
    """Over days, by zero, by no limit, in pieces: wherever a leg stands at a number more than five times that of 30 days ago, and the plan that brought it
    there raised it (or gave it a number again), a guard held that plan up. Its values are told as the ledger tells them.
    """
    guards: Guards = {GuardName.RAISED: (Threshold(amount=0, factor=FACTOR),)}
    key = both(leg(0, 0, 1, 2))[0]
    now, value = NOW, first
    told: list[tuple[float, int]] = []
    for days, wanted in steps:
        now += days * DAY
        if wanted == value:
            continue
        courses = Courses([key], now=now, days=30, source=PointSource.LEDGER)
        for when, known in told:
            courses.take(key, known, days_before(when, 0))
        change = leg(0, 0, _amount(value), _amount(wanted))
        (verdict,) = judge([change], seen(1, 1), guards, unset_means=OPEN, points=courses.points())
        then = _value_then(told, now, value)
        if wanted < NO_LIMIT and (wanted > value or value == NO_LIMIT) and then is not None and wanted > FACTOR * then:
            assert verdict.passed, (told, value, wanted)
        told += [(now, value), (now, wanted)]
        value = wanted


def _amount(value: int) -> Amount:
    return UNLIMITED if value == NO_LIMIT else value


def _value_then(told: list[tuple[float, int]], now: float, value: int) -> int | None:
    """By the issue's words, in a second way: what the leg was at 30 days ago, over zeros backwards, else the first number that was told above zero."""
    old = [known for when, known in told if when <= now - 30 * DAY and known]
    new = [known for when, known in told if when > now - 30 * DAY and known]
    found = old[-1] if old else new[0] if new else value or None
    return None if found is None or found >= NO_LIMIT else found


# --- what a plan says ---


def planned(change: Change, points: Points, against: Against | None) -> Plan:
    """A plan of one change, measured on points."""
    made = plan_of(world(), {"A": wish()})
    observed = tuple(seen(1, 1))
    told = references([change], points, OPEN)
    verdicts, held_up = guard_findings([change], observed, USUAL_GUARDS, unset_means=OPEN, points=points_of(told))
    plan = replace(
        made,
        changes=(replace(change, id="c1"),),
        steps=(),
        observed=observed,
        against=against,
        references=told,
        guards=verdicts,
        findings=(*unmeasured(against), *held_up),
    )
    return replace(plan, summary=summary_of(plan))


LEDGER = Against(days=30, sources=(PointSource.LEDGER,))


def guards_contradict(plan: Plan) -> str | None:
    """The first part that contradicts the guards; the plan has no steps."""
    found = contradiction(plan)
    return found if found in {"references", "guards", "findings"} else None


def test_a_plan_records_what_it_was_measured_on() -> None:
    """It comes back from its file, and a reader measures the same again."""
    change = leg(0, 0, 250, 1_250)
    plan = sealed(
        planned(change, {**at_points(change, 10), both(leg(1, 1, 1, 2))[0]: Point(7, "2026-01-01T00:00:00Z", PointSource.LEDGER)}, LEDGER)
    )
    plan = replace(plan, created_at="2026-11-28T00:00:00Z")
    assert [(one.owner, one.value, one.source) for one in plan.references] == [(None, 10, "ledger"), (Owner.EF, 10, "ledger")]
    assert decode(encode(sealed(plan))) == sealed(plan)
    assert guards_contradict(plan) is None


def test_what_says_no_more_is_not_recorded() -> None:
    """A point at or above the before-value, or of a leg that is only lowered."""
    change = leg(0, 0, 250, 1_250)
    assert references([change], at_points(change, 250), OPEN) == ()
    assert references([leg(0, 0, 250, 20)], at_points(change, 10), OPEN) == ()
    assert wanted_keys([leg(0, 0, 250, 20), leg(0, 0, 250, UNLIMITED), leg(0, 0, 5, 0)], OPEN) == set()


@pytest.mark.parametrize(
    "forged",
    [
        lambda plan: replace(plan, references=()),
        lambda plan: replace(plan, references=plan.references[:1]),
        lambda plan: replace(plan, references=plan.references[::-1]),
        lambda plan: replace(plan, references=(*plan.references, plan.references[-1])),
        lambda plan: replace(plan, references=tuple(replace(one, value=1_250) for one in plan.references)),
        lambda plan: replace(plan, references=tuple(replace(one, value=0) for one in plan.references)),
        lambda plan: replace(plan, references=tuple(replace(one, account="A000009") for one in plan.references)),
        lambda plan: replace(plan, references=tuple(replace(one, at="2099-01-01T00:00:00Z") for one in plan.references)),
        lambda plan: replace(plan, references=tuple(replace(one, source=PointSource.HISTORY) for one in plan.references)),
        lambda plan: replace(plan, against=None),
        lambda plan: replace(plan, against=replace(LEDGER, days=0)),
        lambda plan: replace(plan, against=replace(LEDGER, unread="its disk is full")),
        lambda plan: replace(plan, guards=judge(plan.changes, plan.observed, USUAL_GUARDS, unset_means=OPEN)),
    ],
)
def test_a_reader_sees_what_does_not_follow(forged: object) -> None:
    """A point that was taken out, moved, doubled, or that no record could have given; and verdicts measured without the points."""
    change = leg(0, 0, 250, 1_250)
    plan = replace(planned(change, at_points(change, 10), LEDGER), created_at="2026-11-28T00:00:00Z")
    assert guards_contradict(plan) is None
    assert guards_contradict(forged(plan)) is not None  # type: ignore[operator]


def test_a_ledger_that_cannot_be_read_is_told() -> None:
    """A warning, as apply measures again; a plan that has no record to compare with says so as a member and in no finding."""
    change = leg(0, 0, 250, 1_250)
    (finding,) = unmeasured(Against(days=30, unread="the disk is gone"))
    assert (finding.code, finding.blocks) == ("guards-unmeasured", False)
    assert "the disk is gone" in finding.message
    assert list(unmeasured(Against(days=30))) == list(unmeasured(None)) == []
    assert planned(change, {}, Against(days=30)).findings == ()
    assert no_past([change]) == Known(against=None)


def test_what_an_override_lets_through() -> None:
    """The legs that the overridden guard found, both sides of them: not another leg of the plan, not by another guard, nothing without an override."""
    large, small, other = (
        replace(leg(0, 0, 10, 60), id="c1"),
        replace(leg(0, 1, 10, 40), id="c2"),
        replace(leg(0, 0, 10, 60, owner=Owner.CMF), id="c3"),
    )
    plan = planned(large, {}, LEDGER)
    verdicts = judge([large, small, other], seen(100, 2), USUAL_GUARDS, unset_means=OPEN)
    plan = replace(plan, changes=(large, small, other), observed=tuple(seen(100, 2)), guards=verdicts)
    assert let_through(plan, [GuardName.RAISED]) == {"c1", "c3"}
    assert let_through(plan, [GuardName.JUMPS_UP, GuardName.ACCOUNTS_CHANGED, GuardName.PROTECTED]) == set()
    assert let_through(plan, []) == set()


@pytest.mark.parametrize(
    ("guard", "change"),
    [
        (GuardName.RAISED_LOTS, leg(0, 0, 10, 200_000)),
        (GuardName.UNLIMITED, leg(0, 0, 10, UNLIMITED)),
        (GuardName.JUMPS_UP, leg(0, 0, 10, 100, other=5)),
    ],
)
def test_each_guard_of_a_raise_lets_its_legs_through(guard: GuardName, change: Change) -> None:
    """Whichever of the guards it is that was overridden: from here on the leg is measured against what it was raised to."""
    verdicts = judge([change], seen(1, 1), {guard: (Threshold(amount=0, factor=2),)}, unset_means=OPEN)
    assert let_through(replace(planned(change, {}, LEDGER), guards=verdicts), [guard]) == {"c1"}


# --- history ---


def said(ago: float, *wishes: Amount | None, change: Change = leg(0, 0, 250, 1_250)) -> Version:  # noqa: B008  frozen
    """What a commit says of the row of the change: ef long, ef short, cmf long, cmf short; ``None`` alone: the row must not exist."""
    rows = {(change.account_key, change.row_key): None if wishes == (None,) else (*wishes, *[None] * (4 - len(wishes)))[:4]}
    return Version(at(ago), rows)  # type: ignore[arg-type]


def by_history(older: list[Version], newer: list[Version] = [], unset_means: UnsetMeans = OPEN) -> tuple[object, object]:  # noqa: B006
    """The points of what both sides let through, and of the side that is written."""
    change = leg(0, 0, 250, 1_250)
    found = history_points([change], older, newer, now=NOW, days=30, unset_means=unset_means)
    first, second = (found.get(key) for key in both(change))
    return first and (first.value, first.at), second and (second.value, second.at)


def test_history_gives_what_the_branch_said_then() -> None:
    """The newest commit that is old enough, both sides of the row; a zero is followed backwards, and nothing else is."""
    now, then = at(30)[:19] + "Z", at(90)[:19] + "Z"
    assert by_history([said(31, 10, None, 7)], [said(5, 50)]) == ((7, now), (10, now))
    assert by_history([said(31, 0), said(60, 0), said(90, 10)]) == ((10, then), (10, then))
    assert by_history([Version(at(31), {}), said(60, 10)], [said(5, 50)]) == ((50, at(5)[:19] + "Z"),) * 2
    assert by_history([said(31, 0)], [said(5, 0), said(4, 60)]) == ((60, at(4)[:19] + "Z"),) * 2
    assert by_history([said(31, UNLIMITED)], [said(5, 10)]) == (None, None)
    assert by_history([]) == (None, None)


def test_a_row_that_had_to_be_gone_is_zero_or_no_limit() -> None:
    """As the project says that unset means."""
    assert by_history([said(31, None), said(60, 10)]) == (None, None)
    assert by_history([said(31, None), said(60, 10)], unset_means=BLOCKED)[0] == (10, at(60)[:19] + "Z")


def test_history_is_read_no_further_than_needed() -> None:
    """Reading a commit costs: nothing is read where no leg is raised, and no more once every leg has a point."""
    read: list[float] = []

    def versions(*ago: float) -> object:
        for one in ago:
            read.append(one)
            yield said(one, 10)

    history_points([leg(0, 0, 9, 5)], versions(40), versions(3), now=NOW, days=30, unset_means=OPEN)  # type: ignore[arg-type]
    assert read == []
    history_points([leg(0, 0, 250, 1_250)], versions(40, 50), versions(3), now=NOW, days=30, unset_means=OPEN)  # type: ignore[arg-type]
    assert read == [40]


# --- ordinary days ---


@pytest.mark.parametrize("seed", range(200))
def test_ordinary_days_pass_against_the_day_before(seed: int) -> None:
    """An ordinary plan is none the less one where the values of 30 days ago are those of the book, as it was or with every limit a fifth lower."""
    before, after = ordinary(seed)
    plan = plan_between(before, after)
    for share in (1.0, 0.8):
        points = {
            key: Point(max(1, round(value * share)), "2025-12-03T00:00:00Z", PointSource.LEDGER)
            for change in plan.changes
            for key, value, _ in measured_keys(change, OPEN)
            if 0 < value < NO_LIMIT
        }
        verdicts = judge(plan.changes, plan.observed, USUAL_GUARDS, unset_means=OPEN, points=points)
        assert [verdict.guard for verdict in verdicts if verdict.passed] == []
    assert lets_through(0, OPEN) == 0


# --- what an override was given for ---


def worse(then: Points, now: Points, *changes: Change, guards: Guards = USUAL_GUARDS, used: tuple[Change, ...] = ()) -> GuardName | None:
    """The guard that says worse of the changes than it did."""
    observed = tuple(seen(400, 1))
    was = Sight(changes=changes, observed=observed, points=then)
    found = got_worse(was, Sight(changes=used or changes, observed=observed, points=now), guards, unset_means=OPEN)
    return None if found is None else found[0].guard


def test_an_override_is_of_what_the_plan_said() -> None:
    """Less to measure against, more legs, another threshold, or a guard that held nothing up: none of it was overridden."""
    large = leg(0, 0, 9, 90)
    small = leg(0, 1, 9, 36)
    assert worse({}, {}, large) is None
    assert worse({}, at_points(large, 2), large) is GuardName.RAISED
    assert worse(at_points(large, 2), at_points(large, 2), large) is None
    assert worse(at_points(large, 2), at_points(large, 3), large) is None
    assert worse({}, {both(large)[1]: at_points(large, 2)[both(large)[1]]}, large) is GuardName.JUMPS_UP
    assert worse({}, at_points(small, 8), large, small) is None
    assert worse({}, at_points(small, 2), large, small) is GuardName.RAISED
    assert worse({}, at_points(small, 8), small) is None
    from_zero = leg(0, 0, 0, 90)
    assert worse({}, at_points(from_zero, 2), from_zero) is GuardName.RAISED
    lots: Guards = {GuardName.RAISED_LOTS: (Threshold(amount=10),)}
    assert worse({}, at_points(large, 2), large, guards=lots) is GuardName.RAISED_LOTS


def test_use_that_moves_is_worse_only_where_more_legs_are_above_it() -> None:
    guards: Guards = {GuardName.ABOVE_USE: (Threshold(amount=0, factor=2),)}
    one, two = replace(leg(0, 0, 9, 90), usage=40), replace(leg(0, 1, 9, 90), usage=50)
    assert worse({}, {}, one, two, guards=guards, used=(replace(one, usage=3), two)) is None
    assert worse({}, {}, one, two, guards=guards, used=(one, replace(two, usage=44))) is GuardName.ABOVE_USE
