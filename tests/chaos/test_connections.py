"""Connections that break, at every place of an exchange: what came of a call is found out by reading, and nothing is sent blindly again."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.chaos.proxy import Strike
from tests.chaos.stage import TIMEOUT_SECONDS, Stage, side_by_side
from tests.chaos.test_killed import LONG, judged
from tests.chaos.worlds import WORLDS


@dataclass(frozen=True)
class Broken:
    world: str
    name: str
    strike: Strike


STRIKES = {
    "cut before": Strike(kind="cut"),
    "cut after": Strike(kind="cut", where="after"),
    "reset before": Strike(kind="reset"),
    "reset after": Strike(kind="reset", where="after"),
    "within the status line": Strike(kind="cut", where="within", answer_bytes=7),
    "within the headers": Strike(kind="cut", where="within", answer_bytes=60),
    "within the body": Strike(kind="cut", where="within", answer_bytes=170),
    "reset within the body": Strike(kind="reset", where="within", answer_bytes=170),
    "swallowed": Strike(kind="swallow"),
    "answer swallowed": Strike(kind="swallow", where="after"),
    "answer stuck": Strike(kind="swallow", where="within", answer_bytes=100),
    "late": Strike(kind="late", seconds=0.5),
    "answer late": Strike(kind="late", where="after", seconds=0.5),
    "later than anybody waits": Strike(kind="late", seconds=TIMEOUT_SECONDS + 0.15),
    "answer later than anybody waits": Strike(kind="late", where="after", seconds=TIMEOUT_SECONDS + 0.3),
}


def cases() -> list[Broken]:
    return [
        Broken(world, f"{method} {nth} {name}", replace(strike, method=method, nth=nth))
        for world in ("mixed", "suspension", "rows")
        for name, strike in STRIKES.items()
        for method, nth in (("POST", 1), ("POST", 2), ("POST", None), ("GET", 6), ("GET", 9))
    ]


def play(stage: Stage, case: Broken) -> str | None:
    stage.play(WORLDS[case.world]).planned()
    stage.proxy.strike(replace(case.strike))
    ran = stage.run("apply", "plan.json", "--format", "json")
    if ran.code not in (0, 1, 5, 6) or "Traceback" in ran.err or "internal error" in ran.err:
        return f"ended with {ran.code}: {ran.err}"
    found = stage.breaches(finished=False, strict=False)
    if found:
        return f"right after: {found}"
    stage.proxy.calm()
    # What was seen to be unknown waits for somebody to look; what failed for the next run.
    stage.finish("resume")
    return judged(stage)


def test_a_connection_that_breaks(stages: list[Stage]) -> None:
    """Whatever happens to one call, or to all: the safety of every state, an intent for every call, and an end as wished for."""
    everything = cases()
    chosen = everything if LONG else everything[1::22]
    assert side_by_side(chosen, stages, play) == []
