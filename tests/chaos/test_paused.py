"""A run that is paused beyond its lease, and two runs at once: there is never a second writer, on SQLite and on PostgreSQL."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.chaos.stage import LEASE_SECONDS, Shut, Stage, side_by_side
from tests.chaos.test_killed import LONG, judged, points_of
from tests.chaos.worlds import WORLDS
from tests.postgres import Server

SQLITE = "sqlite:///.amsctl/ledger.db"
PIPELINE = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://ci.example",
    "GITHUB_REPOSITORY": "risk/limits",
    "GITHUB_RUN_ID": "4711",
    "GITHUB_ACTOR": "ann",
}


@dataclass(frozen=True)
class Pause:
    """Stopped at a point, for longer than its lease; somebody else goes on in the meantime."""

    world: str
    at: int
    label: str
    way: str


def pauses(stage: Stage) -> Iterator[Pause]:
    chance = random.Random(6)
    for world in ("mixed", "accounts", "status", "firms"):
        passed: Counter[str] = Counter()
        for point in points_of(stage, world):
            label = point.split(" ", 1)[1]
            passed[label] += 1
            # In the middle of a transaction SQLite's file is locked until the process goes on: see below.
            if label != "before commit":
                yield Pause(world, passed[label], label, chance.choice(("resume", "fresh")))


def play(stage: Stage, pause: Pause) -> str | None:
    stage.play(WORLDS[pause.world], concurrency=1).planned()
    first = stage.start("apply", "plan.json", "--format", "json", at=pause.at, label=pause.label, action="stop")
    if not first.stopped():
        ran = first.wait()
        return None if ran.code == 0 else f"it did not stop: {ran}"
    time.sleep(LEASE_SECONDS + 0.1)
    try:
        stage.finish(pause.way)
    except Shut:
        # It was just renewing its lease: nobody else comes in before it is gone.
        first.send(signal.SIGKILL)
        first.wait()
        stage.finish(pause.way)
        return judged(stage)
    sent = len(stage.posts)
    first.send(signal.SIGCONT)
    ran = first.wait()
    found = []
    if len(stage.posts) != sent:
        found.append(f"it sent {len(stage.posts) - sent} calls after somebody else had taken over")
    # Stopped between a call's answer and the look at what it did, it finds what its successor has made of the row by then.
    overtaken = pause.label == "after POST"
    if ran.code not in (0, 4, 5, 7, *((6,) if overtaken else ())) or "Traceback" in ran.err or "internal error" in ran.err:
        found.append(f"ended with {ran.code}: {ran.err}")
    if ran.out:
        mine = {record["body"]["step"] for record in stage.records() if record["kind"] == "intent" and record["run"] == ran.report["run"]}
        told = {step["id"]: step["outcome"] for step in ran.report["steps"]}
        found += [
            f"{step} is told as verified and was never sent" for step, outcome in told.items() if outcome == "verified" and step not in mine
        ]
        found += [
            f"{step} is told as {outcome}"
            for step, outcome in told.items()
            if outcome in ("unknown", *(() if overtaken else ("diverged",)))
        ]
        if ran.code == 0 and set(told.values()) != {"verified"}:
            found.append(f"0 for {told}")
    ended = judged(stage)
    return "; ".join([*found, *([ended] if ended else [])]) or None


def test_stopped_beyond_its_lease(stages: list[Stage]) -> None:
    """Nothing is sent by a run after somebody else has taken over, and what it reports is true."""
    cases = list(pauses(stages[0]))
    chosen = cases if LONG else cases[5::18]
    assert side_by_side(chosen, stages, play) == []


def test_stopped_between_the_last_look_and_the_first_byte(stage: Stage) -> None:
    """What nobody can promise: the call leaves after all. It is one, of the plan, it lets nothing more through, and both reports tell of it."""
    stage.play(WORLDS["mixed"]).planned()
    first = stage.start("apply", "plan.json", "--format", "json", at=1, label="last look", action="stop")
    assert first.stopped()
    time.sleep(LEASE_SECONDS + 0.1)
    stage.finish("resume")
    sent = len(stage.posts)
    first.send(signal.SIGCONT)
    ran = first.wait()
    assert len(stage.posts) == sent + 1
    assert ran.code == 5
    assert ran.outcomes == ["verified", "blocked"]
    found = stage.breaches(strict=False)
    assert not [breach for breach in found if breach.startswith(("safety", "order"))]
    # The echo of a leg that the successor has moved since: taken back to what it was, and seen by the next plan.
    assert [breach for breach in found if breach.startswith("lost")]
    assert not stage.nothing_left()
    stage.finish("fresh")
    assert stage.nothing_left()


def test_stopped_in_the_middle_of_a_transaction_of_sqlite(stage: Stage) -> None:
    """The file is locked as long as the process is there: others say so, write nothing, and come through when it goes on or is gone."""
    stage.play(WORLDS["mixed"]).planned()
    # The 6th commit is the second intent's: the tables, the lock, the start, an intent, its outcome, an intent.
    first = stage.start("apply", "plan.json", at=6, label="before commit", action="stop")
    assert first.stopped()
    sent = len(stage.posts)
    assert stage.run("resume").code == 7
    time.sleep(LEASE_SECONDS)
    second = stage.run("resume", database_seconds=1.5)
    assert second.code == 1
    assert "another program keeps it locked" in second.err
    assert len(stage.posts) == sent
    first.send(signal.SIGKILL)
    first.wait()
    stage.finish("resume")
    assert judged(stage) is None


def test_stopped_in_the_middle_of_a_transaction_of_postgresql(stage: Stage, postgres: Server) -> None:
    """The server ends the transaction of a process that does nothing; the next one goes on, and the first sends nothing more."""
    name = postgres.fresh()
    stage.play(WORLDS["mixed"], ledger_url=postgres.url(name)).planned()
    # The 4th commit is the first intent's: the tables, the lock, the start, an intent.
    first = stage.start("apply", "plan.json", at=4, label="before commit", action="stop", database_seconds=2)
    assert first.stopped()
    time.sleep(LEASE_SECONDS)
    stage.finish("resume")
    sent = len(stage.posts)
    first.send(signal.SIGCONT)
    ran = first.wait()
    assert ran.code in (1, 5, 7)
    assert len(stage.posts) == sent
    assert judged(stage) is None
    postgres.drop(name)


# --- two at once ---


def interleaved(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Intents of a run outside of the time in which it held the lock, in the ledger's own order."""
    holder: str | None = None
    found = []
    for record in records:
        if record["kind"] == "lock-taken":
            if holder is not None:
                found.append(f"{record['run']} took the lock while {holder} had it")
            holder = record["run"]
        elif record["kind"] == "lock-released":
            holder = None
        elif record["kind"] in ("intent", "outcome", "run-started") and record["run"] != holder:
            found.append(f"{record['kind']} of {record['run']} while {holder} had the lock")
    return found


def two_at_once(stage: Stage, seed: int, address: Callable[[], str]) -> str | None:
    chance = random.Random(seed)
    same = chance.random() < 0.5
    stage.play(WORLDS["accounts"], ledger_url=address())
    if same:
        orders = [["apply", stage.plan()]] * 2
    else:
        orders = [["apply", f"{number}.json"] for number in ("DV1", "DV2")]
        for number in ("DV1", "DV2"):
            assert stage.run("plan", "--account", number, "-o", f"{number}.json").code == 0
    stage.forget()
    stage.slow(chance.uniform(0.0, 0.15))
    first = stage.start(*orders[0], environ=PIPELINE)
    time.sleep(chance.uniform(0.0, 0.4))
    second = stage.start(*orders[1], environ=PIPELINE)
    ran = [first.wait(), second.wait()]
    codes = sorted(one.code for one in ran)
    found = interleaved(stage.records())
    if codes not in ([0, 7], [0, 4], *([] if same else [[0, 0]])):
        found.append(f"exit codes {codes}: {[one.err for one in ran]}")
    for one in ran:
        told = ("run 20", "process", "since 20", "https://ci.example/risk/limits/actions/runs/4711", "lock break")
        if one.code == 7 and not all(word in one.err for word in told):
            found.append(f"the loser is not told who: {one.err}")
        if one.code == 4 and not (same and "carried out already" in one.err):
            found.append(f"stale: {one.err}")
    stage.sandbox.faults.clear()
    stage.finish("fresh")
    ended = judged(stage)
    return "; ".join([*found, *([ended] if ended else [])]) or None


def test_two_at_once_on_sqlite(stages: list[Stage]) -> None:
    """The same plan or two plans for one firm: one writes, the other is told who does, or comes after it."""
    assert side_by_side(list(range(60 if LONG else 3)), stages, lambda stage, seed: two_at_once(stage, seed, lambda: SQLITE)) == []


def test_two_at_once_on_postgresql(stages: list[Stage], postgres: Server) -> None:
    """The same, where the lock is a row of a server."""

    def play_one(stage: Stage, seed: int) -> str | None:
        return two_at_once(stage, seed, lambda: postgres.url(postgres.fresh()))

    assert side_by_side(list(range(60 if LONG else 3)), stages, play_one) == []


# --- PostgreSQL goes away ---


@pytest.mark.parametrize("stays_away", [False, True])
def test_postgresql_restarted_in_the_middle(stage: Stage, postgres: Server, stays_away: bool) -> None:
    """At any point: no call without a durable intent, a clean end that a person understands, and resume finishes."""
    chance = random.Random(7)
    stage.play(WORLDS["mixed"], ledger_url=postgres.url(postgres.fresh())).plan()
    points = stage.run("apply", "plan.json").points
    numbers = range(1, len(points) + 1)
    for at in numbers if LONG else sorted(chance.sample(list(numbers), 2)):
        stage.play(WORLDS["mixed"], ledger_url=postgres.url(postgres.fresh())).planned()
        first = stage.start("apply", "plan.json", at=at, action="stop")
        assert first.stopped()
        postgres.stop("immediate")
        if not stays_away:
            postgres.start()
        first.send(signal.SIGCONT)
        try:
            ran = first.wait()
        finally:
            if stays_away:
                postgres.start()
        place = f"{points[at - 1]}: {ran}"
        assert ran.code in (0, 1, 5), place
        assert ran.code != 1 or not stage.posts, place
        assert "Traceback" not in ran.err, place
        assert "internal error" not in ran.err, place
        assert ran.code == 0 or "ledger" in ran.out + ran.err, place
        assert stage.breaches(finished=False) == [], place
        stage.finish("resume")
        assert judged(stage) is None, place
