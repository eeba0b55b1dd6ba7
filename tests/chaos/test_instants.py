"""Signals at random instants: SIGKILL leaves something to go on with, SIGINT and SIGTERM leave everything drained, recorded and given back."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass

import pytest

from tests.chaos.processes import Ended
from tests.chaos.proxy import Strike
from tests.chaos.stage import Stage, eventually, side_by_side
from tests.chaos.test_killed import LONG, WAYS, judged, points_of
from tests.chaos.worlds import WORLDS


@dataclass(frozen=True)
class Instant:
    """A moment after a process has passed so many points: spread over the whole of a run, however long one takes here."""

    world: str
    points: int
    then_seconds: float
    way: str
    number: signal.Signals = signal.SIGKILL


def instants(stage: Stage, count: int, seed: int, *numbers: signal.Signals) -> list[Instant]:
    chance = random.Random(seed)

    def one() -> Instant:
        world = chance.choice(list(WORLDS))
        points = int(chance.random() * (len(points_of(stage, world)) + 1))
        return Instant(world, points, round(chance.uniform(0, 0.03), 4), chance.choice(WAYS), chance.choice(numbers))

    return [one() for _ in range(count)]


def hit(stage: Stage, case: Instant) -> Ended:
    stage.play(WORLDS[case.world]).planned()
    stage.slow(0.02)
    started = stage.start("apply", "plan.json", "--format", "json", "--events", "events.jsonl")
    started.passes(case.points)
    time.sleep(case.then_seconds)
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

    assert side_by_side(instants(stages[0], 200 if LONG else 10, 4, signal.SIGKILL), stages, play) == []


def misreported(stage: Stage, ran: Ended) -> list[str]:
    """Steps whose outcome does not fit what was sent. A call that was announced and then kept back has failed without an attempt: that nothing of it
    ever arrived is what makes it so.
    """
    arrived = {post.sha256 for post in stage.sent()}
    announced = {
        record["body"]["step"]: record["body"]["request_sha256"]
        for record in stage.records()
        if record["kind"] == "intent" and record["run"] == ran.report["run"]
    }
    fitting = {
        "verified": lambda step: step["attempts"] > 0 and announced.get(step["id"]) in arrived,
        "blocked": lambda step: step["attempts"] == 0 and step["id"] not in announced,
        "failed": lambda step: step["attempts"] == 0 and step["id"] in announced and announced[step["id"]] not in arrived,
    }
    return [
        f"{step['id']} is {step['outcome']} after {step['attempts']} attempts"
        for step in ran.report["steps"]
        if step["outcome"] not in fitting or not fitting[step["outcome"]](step)
    ]


def stopped_well(stage: Stage, ran: Ended, number: signal.Signals) -> str | None:
    """What is wrong with how a run ended that was asked to, if anything."""
    if ran.code not in (128 + number, 0) and ran.points:
        return f"ended with {ran.code}: {ran.err}"
    if "Traceback" in ran.err or "internal error" in ran.err:
        return ran.err
    if ran.out and (strange := misreported(stage, ran)):
        return f"it reports {strange}"
    ledger = stage.recorded()
    if ledger is not None and (left := [*ledger.locks, *ledger.open]):
        return f"it left {left}"
    unanswered = [entry.number for entry in stage.posts if stage.journal.passage(entry).answered is None]
    return f"calls were cut off: {unanswered}" if unanswered else None


def test_sigint_and_sigterm(stages: list[Stage]) -> None:
    """Whenever one arrives: 130 or 143, every call answered and recorded, the lock given back, and resume goes on."""

    def play(stage: Stage, case: Instant) -> str | None:
        problem = stopped_well(stage, hit(stage, case), case.number)
        if problem is None:
            stage.finish("resume")
            problem = judged(stage)
        return problem

    assert side_by_side(instants(stages[0], 100 if LONG else 8, 5, signal.SIGINT, signal.SIGTERM), stages, play) == []


@dataclass(frozen=True)
class Paused:
    """The signal is there the moment that a process goes on from a point."""

    world: str
    at: int
    number: signal.Signals


def test_sigint_and_sigterm_at_every_point(stages: list[Stage]) -> None:
    """The same at each commit and each POST, the one between an intent and its call among them: there a call is announced and kept back."""
    kept_back = []

    def play(stage: Stage, case: Paused) -> str | None:
        stage.play(WORLDS[case.world], concurrency=1).planned()
        started = stage.start("apply", "plan.json", "--format", "json", at=case.at, action="stop")
        assert started.stopped()
        started.send(case.number)
        started.send(signal.SIGCONT)
        ran = started.wait()
        problem = stopped_well(stage, ran, case.number)
        if problem is None:
            kept_back.extend(step for step in ran.report["steps"] if step["outcome"] == "failed") if ran.out else None
            stage.finish("resume")
            problem = judged(stage)
        return problem

    worlds = ("mixed", "suspension", "status") if LONG else ("mixed",)
    cases = [
        Paused(world, at, number)
        for world in worlds
        for at, _ in enumerate(points_of(stages[0], world), 1)
        for number in ((signal.SIGINT, signal.SIGTERM) if LONG else ((signal.SIGINT, signal.SIGTERM)[at % 2],))
    ]
    assert side_by_side(cases, stages, play) == []
    assert kept_back, "no case met a call that was announced and kept back"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_stops_at_once(stage: Stage, number: signal.Signals) -> None:
    """Not after the call that is under way, which nobody answers as long as the process is there: it is settled by the run that goes on."""
    stage.play(WORLDS["accounts"], timeoutSeconds=200, lease_seconds=401).planned()
    stage.proxy.strike(Strike(kind="swallow", where="after", nth=None))
    started = stage.start("apply", "plan.json")
    assert eventually(lambda: bool(stage.posts))
    started.send(number)
    assert started.says("no further write is started")
    started.send(number)
    ran = started.wait(150)
    assert "stopped at once" in ran.err
    assert ran.code == 128 + number
    stage.proxy.calm()
    stage.requests = {}
    stage.write_project()
    stage.finish("resume")
    assert judged(stage) is None
