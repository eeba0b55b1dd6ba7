"""SIGKILL at every point of the ledger and around every POST: nothing is lost, nothing happens twice, and a later run comes to the end."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from tests.chaos.proxy import Strike
from tests.chaos.stage import Stage, side_by_side
from tests.chaos.worlds import WORLDS
from tests.conftest import CAMPAIGN

WAYS = ("resume", "resume", "fresh", "saved")
LONG = CAMPAIGN > 1


@dataclass(frozen=True)
class Kill:
    """Killed at point ``at`` of the apply and, when there is one, at point ``again`` of the run that goes on."""

    world: str
    at: int
    way: str
    again: int = 0


@cache
def _points() -> dict[str, tuple[str, ...]]:
    return {}


def points_of(stage: Stage, world: str) -> tuple[str, ...]:
    """The points of an apply that is left alone."""
    known = _points()
    if world in known:
        return known[world]
    stage.play(WORLDS[world]).planned()
    ran = stage.run("apply", "plan.json")
    assert ran.code == 0, ran.err
    known[world] = ran.points
    return ran.points


def judged(stage: Stage) -> str | None:
    """What is wrong at the end, if anything."""
    found = stage.breaches()
    # That every value is as wished for is known by now; that a plan says so, too, is asked now and then.
    if (LONG or len(stage.records()) % 3 == 0) and not stage.nothing_left():
        found.append("the plan is not empty")
    return "; ".join(found) or None


def play(stage: Stage, kill: Kill) -> str | None:
    """One case; what is wrong with it."""
    stage.play(WORLDS[kill.world]).planned()
    ran = stage.run("apply", "plan.json", at=kill.at)
    # Accounts side by side share a commit or not, as it comes: the last points are not always there.
    if ran.code != -signal.SIGKILL and not (ran.code == 0 and len(ran.points) < kill.at):
        return f"it was not killed: {ran.code} {ran.err}"
    found = stage.breaches(finished=False)
    if found:
        return f"right after: {found}"
    if kill.again:
        stage.run(*stage.going_on(), at=kill.again)
    stage.finish(kill.way)
    return judged(stage)


def single(stage: Stage) -> Iterator[Kill]:
    """Every point of every world."""
    chance = random.Random(1)
    for world in WORLDS:
        for number, _ in enumerate(points_of(stage, world), 1):
            yield Kill(world, number, chance.choice(WAYS))


def double(singles: list[Kill]) -> Iterator[Kill]:
    """The same, killed once more on the way."""
    chance = random.Random(2)
    for kill in singles:
        yield Kill(kill.world, kill.at, kill.way, chance.randint(1, 24))


def test_at_every_point(stages: list[Stage]) -> None:
    """At each commit and each POST of the apply: no breach, nothing lost, nothing twice, nothing left behind."""
    cases = list(single(stages[0]))
    assert len(cases) >= 200
    chosen = cases if LONG else cases[3::9]
    assert side_by_side(chosen, stages, play) == []


def test_twice(stages: list[Stage]) -> None:
    """Killed again on the way to the end."""
    cases = list(double(list(single(stages[0]))))
    chosen = cases if LONG else cases[5::30]
    assert side_by_side(chosen, stages, play) == []


@dataclass(frozen=True)
class Underway:
    """Killed while its ``nth`` POST is on the wire: the server has it already (``sent``), or gets it only when the process is gone (``late``)."""

    world: str
    nth: int
    late: bool
    way: str


def play_underway(stage: Stage, case: Underway) -> str | None:
    stage.play(WORLDS[case.world]).planned()
    started = []

    def kill() -> None:
        started[0].send(signal.SIGKILL)
        started[0].ended.wait(10)
        if case.late:
            time.sleep(0.15)

    strike = stage.proxy.strike(Strike(kind="act", where="before" if case.late else "after", nth=case.nth, call=kill))
    started.append(stage.start("apply", "plan.json"))
    ran = started[0].wait()
    if not strike.struck.is_set():
        return f"not killed: {ran}"
    stage.proxy.calm()
    stage.finish(case.way)
    return judged(stage)


def test_on_the_wire(stages: list[Stage]) -> None:
    """A call that was sent when the process died counts once, whether it had landed by then or lands a moment later."""
    chance = random.Random(3)
    counts = {"mixed": 2, "accounts": 6, "suspension": 4, "status": 5, "unset": 3, "rows": 5, "firms": 4}
    cases = [
        Underway(world, nth, late, chance.choice(WAYS))
        for world, count in counts.items()
        for nth in range(1, count + 1)
        for late in (False, True)
    ]
    chosen = cases if LONG else cases[1::7]
    assert side_by_side(chosen, stages, play_underway) == []
