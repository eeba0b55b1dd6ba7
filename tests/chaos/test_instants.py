"""Signals at random instants: SIGKILL leaves something to go on with, SIGINT and SIGTERM leave everything drained, recorded and given back."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass

import pytest

from tests.chaos.processes import Ended
from tests.chaos.stage import Stage, eventually, side_by_side
from tests.chaos.test_killed import LONG, WAYS, judged
from tests.chaos.worlds import WORLDS
from tests.patience import Elapsed

LAST_SECONDS = 0.6
"""By then an apply has ended, most times."""


@dataclass(frozen=True)
class Instant:
    world: str
    after_seconds: float
    way: str
    number: signal.Signals = signal.SIGKILL


def instants(count: int, seed: int, *numbers: signal.Signals) -> list[Instant]:
    chance = random.Random(seed)
    return [
        Instant(chance.choice(list(WORLDS)), round(chance.uniform(0.01, LAST_SECONDS), 4), chance.choice(WAYS), chance.choice(numbers))
        for _ in range(count)
    ]


def hit(stage: Stage, case: Instant) -> Ended:
    stage.play(WORLDS[case.world]).planned()
    stage.slow(0.02)
    started = stage.start("apply", "plan.json", "--format", "json", "--events", "events.jsonl")
    time.sleep(case.after_seconds)
    started.send(case.number)
    return started.wait()


def test_sigkill(stages: list[Stage]) -> None:
    """Whenever it dies: no breach, and a later run comes to the end."""

    def play(stage: Stage, case: Instant) -> str | None:
        ran = hit(stage, case)
        if ran.code not in (-signal.SIGKILL, 0):
            return f"ended with {ran.code}: {ran.err}"
        stage.finish(case.way)
        return judged(stage)

    assert side_by_side(instants(200 if LONG else 10, 4, signal.SIGKILL), stages, play) == []


def test_sigint_and_sigterm(stages: list[Stage]) -> None:
    """Whenever one arrives: 130 or 143, every call answered and recorded, the lock given back, and resume goes on."""

    def play(stage: Stage, case: Instant) -> str | None:
        ran = hit(stage, case)
        if ran.code not in (128 + case.number, 0) and ran.points:
            return f"ended with {ran.code}: {ran.err}"
        if "Traceback" in ran.err or "internal error" in ran.err:
            return ran.err
        if ran.out and (strange := set(ran.outcomes) - {"verified", "blocked"}):
            return f"it reports {strange}"
        ledger = stage.recorded()
        if ledger is not None and (left := [*ledger.locks, *ledger.open]):
            return f"it left {left}"
        unanswered = [entry.number for entry in stage.posts if entry.finished_seconds is None]
        if unanswered:
            return f"calls were cut off: {unanswered}"
        stage.finish("resume")
        return judged(stage)

    assert side_by_side(instants(100 if LONG else 8, 5, signal.SIGINT, signal.SIGTERM), stages, play) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_stops_at_once(stage: Stage, number: signal.Signals) -> None:
    """Not after the call that is under way: that one is settled by the run that goes on."""
    stage.play(WORLDS["accounts"], timeoutSeconds=4, lease_seconds=9).planned()
    stage.slow(3.0)
    started = stage.start("apply", "plan.json")
    assert eventually(lambda: bool(stage.posts))
    with Elapsed() as took:
        started.send(number)
        time.sleep(0.2)
        started.send(number)
        ran = started.wait()
    assert took.seconds < 2
    assert "stopped at once" in ran.err
    assert ran.code == 128 + number
    stage.sandbox.faults.clear()
    stage.finish("resume")
    assert judged(stage) is None
