"""Calls keep to the cap and the rate, in the order they came; a 429 slows all of them."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from amsctl.ams.clock import SystemClock
from amsctl.ams.pacing import FORGET_SECONDS, Pace
from amsctl.ams.retrying import (
    BUDGET_FLOOR,
    MOST_RETRY_AFTER_SECONDS,
    MOST_SECONDS,
    RetryBudget,
    backoff_seconds,
    retry_after_seconds,
)
from tests.ams.doubles import JumpingClock, run


async def starts(pace: Pace, clock: JumpingClock, calls: int) -> list[float]:
    found = []
    for _ in range(calls):
        async with pace.slot():
            found.append(clock.now)
    return found


@pytest.mark.parametrize("rate", [1.0, 20.0, 250.0])
def test_no_second_holds_more_than_the_rate(rate: float) -> None:
    """In any window of a second at most 10 % (and one call) above the rate, also after idleness."""

    async def scenario() -> None:
        clock = JumpingClock()
        pace = Pace(concurrency=4, per_second=rate, clock=clock)
        times = await starts(pace, clock, 300)
        clock.now += 100
        times += await starts(pace, clock, 300)
        for index, start in enumerate(times):
            window = sum(1 for at in times[index:] if at < start + 1.0)
            assert window <= rate * 1.1 + 1
        assert times[299] - times[0] == pytest.approx(299 / rate, rel=0.1, abs=0.1)

    run(scenario())


def test_without_a_rate_nothing_waits() -> None:
    """perSecond off: only the cap holds."""

    async def scenario() -> None:
        clock = JumpingClock()
        assert len(set(await starts(Pace(concurrency=2, per_second=None, clock=clock), clock, 100))) == 1
        assert clock.slept == []

    run(scenario())


@pytest.mark.parametrize("width", [1, 3, 8])
def test_no_more_than_the_cap_are_under_way_and_none_overtakes(width: int) -> None:
    """First come, first served; a place is given back when a call fails."""

    async def scenario() -> None:
        pace = Pace(concurrency=width, per_second=None, clock=JumpingClock())
        under_way = most = 0
        order: list[int] = []

        async def call(number: int) -> None:
            nonlocal under_way, most
            async with pace.slot():
                order.append(number)
                under_way += 1
                most = max(most, under_way)
                await asyncio.sleep(0)
                under_way -= 1
                if number % 3 == 0:
                    raise ValueError

        await asyncio.gather(*(call(number) for number in range(40)), return_exceptions=True)
        assert most == width
        assert order == list(range(40))

    run(scenario())


def test_a_429_halves_the_rate_which_grows_back() -> None:
    """Once for all calls that were under way; back at the configured rate after ten seconds."""
    clock = JumpingClock()
    pace = Pace(concurrency=4, per_second=20.0, clock=clock)

    async def scenario() -> None:
        await starts(pace, clock, 60)
        for _ in range(8):
            pace.slow_down()
        assert pace.rate(clock.now) == pytest.approx(10.0, rel=0.1)
        clock.now += 5
        assert pace.rate(clock.now) == pytest.approx(15.0, rel=0.1)
        pace.slow_down()
        slow = pace.rate(clock.now)
        assert slow is not None
        assert slow <= 7.5
        clock.now += 60
        assert pace.rate(clock.now) == 20.0

    run(scenario())


def test_an_uncapped_client_is_capped_by_a_429_for_a_while() -> None:
    """At half of what it did in the last second."""
    clock = JumpingClock()
    pace = Pace(concurrency=4, per_second=None, clock=clock)

    async def scenario() -> None:
        await starts(pace, clock, 100)
        pace.slow_down()
        assert pace.rate(clock.now) == 50.0
        before = clock.now
        await starts(pace, clock, 20)
        assert clock.now - before > 0.3
        clock.now += FORGET_SECONDS
        assert pace.rate(clock.now) is None

    run(scenario())


@pytest.mark.parametrize("rate", [None, 20.0])
def test_a_hold_stops_all_calls_for_its_time(rate: float | None) -> None:
    """Retry-After of a 429."""

    async def scenario() -> None:
        clock = JumpingClock()
        pace = Pace(concurrency=4, per_second=rate, clock=clock)
        pace.hold(7)
        assert (await starts(pace, clock, 1))[0] == pytest.approx(1007)

    run(scenario())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 12 ", 12.0),
        ("99999999999999999999", MOST_RETRY_AFTER_SECONDS),
        ("Sat, 21 Nov 2026 12:00:30 GMT", 30.0),
        ("Sat, 21 Nov 2026 12:00:30 -0000", 30.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0.0),
        ("Tue, 21 Nov 2028 12:00:00 GMT", MOST_RETRY_AFTER_SECONDS),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("\u0663", None),
        ("Sat, 99 Nov 2026 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date_and_capped(text: str, seconds: float | None) -> None:
    """RFC 9110 §10.2.3; at most 15 minutes; nonsense is as if it were not there."""
    assert retry_after_seconds(text, 1_795_262_400.0) == seconds


def test_backoff_is_full_jitter_below_a_doubling_bound() -> None:
    """Anywhere from 0 to the bound, so that callers who failed together do not come back together."""
    rng = random.Random(1)
    for attempt, bound in ((0, 0.25), (1, 0.5), (3, 2.0), (9, MOST_SECONDS), (5000, MOST_SECONDS)):
        waits = [backoff_seconds(attempt, rng.random) for _ in range(500)]
        assert 0 <= min(waits) < bound * 0.1
        assert bound * 0.9 < max(waits) < bound


def test_the_retry_budget_is_a_tenth_of_the_calls_or_a_floor() -> None:
    """A storm of failures does not multiply the load."""
    budget = RetryBudget()
    assert sum(budget.spend() for _ in range(1000)) == BUDGET_FLOOR
    for _ in range(1000):
        budget.call()
    assert sum(budget.spend() for _ in range(1000)) == 100 - BUDGET_FLOOR


def test_the_machine_s_clock_goes_on_while_it_is_suspended() -> None:
    """Where the system has such a clock: a lease that ran out meanwhile is not taken for one that still holds."""
    first, clock = SystemClock().monotonic(), getattr(time, "CLOCK_BOOTTIME", None)
    assert SystemClock().monotonic() >= first
    if clock is not None:
        assert abs(time.clock_gettime(clock) - SystemClock().monotonic()) < 5
