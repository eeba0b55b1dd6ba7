"""The system's own calls on the ledger's files fail, one after the other, through a whole apply (E4): write, sync and truncation of the database, of its
log, of the memory that processes share, and of the folder; with EIO and ENOSPC; once and from then on.

Whichever it is: no call without a durable intent, a clean exit code, words for a person, and a later run that comes to the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest

from tests.chaos.disk import compiled
from tests.chaos.processes import Ended, processes
from tests.chaos.stage import Stage, opened, side_by_side
from tests.chaos.test_killed import LONG, judged
from tests.chaos.worlds import WORLDS
from tests.wants import missing

STAGES = 8
"""A run that goes on after a call waits for seconds, whether it may still land: others are played meanwhile."""
WAYS = (("EIO", False), ("ENOSPC", True), ("EIO", True), ("ENOSPC", False))
WORDS = ("disk", "No space left on device", "Input/output error")


@dataclass(frozen=True)
class Failure:
    """The ``number``-th call on the disk fails, and with ``lasting`` all after it."""

    world: str
    number: int
    error: str
    lasting: bool


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Stage]]:
    """Stages whose processes have the failing disk below them."""
    library = compiled(tmp_path_factory.mktemp("disk"))
    if library is None:
        missing("compiler", "no C compiler here (Debian: apt-get install gcc libc6-dev): the ledger's disk cannot be made to fail")
    with processes(library) as server, ExitStack() as stack:
        yield [stack.enter_context(opened(tmp_path_factory.mktemp("failing"), server)) for _ in range(STAGES)]


def run(stage: Stage, case: Failure, **order: Any) -> tuple[Ended, list[str]]:
    """An apply with one failure, and the calls on the disk that it made (see ``disk.c``)."""
    stage.play(WORLDS[case.world], concurrency=1).planned()
    ran = stage.run("apply", "plan.json", disk={"number": case.number, "error": case.error, "lasting": case.lasting}, **order)
    assert ran.points, ran
    return ran, re.findall("..", ran.points[-1])


def play(stage: Stage, case: Failure) -> str | None:
    """One case; what is wrong with it."""
    ran, calls = run(stage, case)
    if len(calls) < case.number:
        return f"only {len(calls)} calls: {ran}"
    found = stage.breaches(finished=False)
    # 0: what failed was a nicety (the log is taken into the database at the end), or was done again. 1: nothing was sent. 5: a report tells what was.
    if ran.code not in (0, 1, 5) or (ran.code == 1 and stage.posts) or (ran.code == 0 and len(stage.posts) != 2 * len(stage.world.after)):
        found.append(f"exit code {ran.code} after {len(stage.posts)} calls: {ran}")
    if "Traceback" in ran.err or "internal error" in ran.err:
        found.append(f"no words for a person: {ran.err}")
    if ran.code != 0 and not ("ledger" in ran.out + ran.err and any(word in ran.out + ran.err for word in WORDS)):
        found.append(f"the ledger and its disk are not spoken of: {ran}")
    stage.finish("resume")
    ended = judged(stage)
    return "; ".join([*found, *([ended] if ended else [])]) or None


def telling(calls: list[str]) -> list[int]:
    """The first, the last and one between of every row of like calls: within a row (the pages of one transaction) one is as good as another."""
    ends = [0, *(number for number, (one, other) in enumerate(pairwise(calls), 1) if one != other), len(calls)]
    return sorted({number for before, end in pairwise(ends) for number in (before + 1, (before + 1 + end) // 2, end)})


def cases(stage: Stage, world: str) -> list[Failure]:
    """Every call in every way in the long form; the telling ones, in one way or another, in the short one."""
    _, calls = run(stage, Failure(world, 0, "EIO", False))
    # The database, its log, the shared memory; the folder (….amsctl), to make names durable.
    assert {"bw", "bs", "lw", "ls", "mw", "mt"} <= set(calls), set(calls)
    assert len(calls) > 150
    if LONG:
        return [Failure(world, number, *way) for number in range(1, len(calls) + 1) for way in WAYS]
    return [Failure(world, number, *WAYS[index % 4]) for index, number in enumerate(telling(calls))]


def test_every_call_on_the_disk_fails_once(failing: list[Stage]) -> None:
    """The n-th of an apply that makes its ledger, n = 1…N."""
    chosen = [case for world in (("mixed", "accounts") if LONG else ("mixed",)) for case in cases(failing[0], world)]
    assert len(chosen) > 50
    assert side_by_side(chosen, failing, play) == []


def test_a_call_whose_intent_was_not_kept_would_be_seen(failing: list[Stage]) -> None:
    """The proof of the above: a recorder that takes a failing disk lightly is a breach."""
    probe, calls = run(failing[0], Failure("mixed", 0, "EIO", False), label="before POST")
    assert probe.code == 0
    found = []
    for number in [number for number, call in enumerate(calls, 1) if call == "ls"][4:]:
        run(failing[0], Failure("mixed", number, "EIO", False), defect="intent-taken-lightly")
        found = [breach for breach in failing[0].breaches(finished=False) if breach.startswith("intent: ")]
        if found:
            break
    assert found
