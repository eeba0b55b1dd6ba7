"""``python -m tests.faults --seeds 10000 --workers 2``: play many seeds, judge each, and say what was met. Exits with 1 when a promise was broken.

``--seed N -v`` plays one seed and shows its history; ``--bug NAME`` plants a defect first; ``--save DIR`` keeps the history of every seed that failed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.checker import judge
from tests.faults.simulate import run_seed
from tests.hostile.canaries import HUNT

_CHUNK = 25
_COUNTED = {
    "process": "processes",
    "post": "POSTs",
    "get": "GETs",
    "ledger": "ledger records",
    "crash": "crashes",
    "pause": "pauses",
    "power": "power failures",
    "jump": "clock jumps",
}


@dataclass
class Tally:
    """What a number of seeds met."""

    seeds: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    failing: dict[int, list[str]] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        """Put another tally to this one."""
        self.seeds += other.seeds
        for name in ("counts", "faults", "outcomes", "rules"):
            getattr(self, name).update(getattr(other, name))
        self.failing.update(other.failing)


def play(seeds: list[int], bug: str | None = None, save: str | None = None, *, hiding: bool = False) -> Tally:
    """Play and judge some seeds."""
    tally = Tally()
    for seed in seeds:
        tally.seeds += 1
        try:
            played = run_seed(seed, bug=bug, hiding=hiding)
        except Exception as problem:  # a defect of the simulator, or a deadlock
            tally.failing[seed] = [f"[simulator] {type(problem).__name__}: {problem}"]
            tally.rules["simulator"] += 1
            continue
        events = played.history.events
        tally.faults.update(played.faults)
        tally.counts.update(_COUNTED[event["kind"]] for event in events if event["kind"] in _COUNTED)
        tally.counts["edits by others"] += sum(event["kind"] == "effect" and event["by"] == "third" for event in events)
        tally.counts["runs"] += sum(event["kind"] == "ledger" and event["record"]["kind"] == "run-started" for event in events)
        tally.outcomes.update(step["outcome"] for event in events if event["kind"] == "report" for step in event["report"]["steps"])
        tally.counts["seeds that wrote"] += any(event["kind"] == "post" for event in events)
        tally.counts["seeds that got all wishes"] += events[-1] == {**events[-1], "kind": "converged", "steps": 0, "blocked": False}
        breaches = judge(events)
        HUNT.search(played.history.lines(), f"the history of seed {seed}: plans, calls, records, errors, reports")
        told = HUNT.taken()
        if breaches or told:
            tally.failing[seed] = [*map(str, breaches), *(f"[secret] {one}" for one in told)]
            tally.rules.update([*(breach.rule for breach in breaches), *("secret" for _ in told)])
            if save is not None:
                Path(save).mkdir(parents=True, exist_ok=True)
                Path(save, f"seed-{seed}.jsonl").write_text(played.history.lines(), encoding="utf-8")
    return tally


Job = tuple[list[int], str | None, str | None, bool]


def _work(job: Job) -> Tally:
    seeds, bug, save, hiding = job
    return play(seeds, bug, save, hiding=hiding)


def _tallies(jobs: list[Job], workers: int) -> Iterator[Tally]:
    if workers == 1:
        yield from map(_work, jobs)
        return
    from tests.faults import __main__ as itself  # by its name: a worker process cannot find what is in "__main__"

    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(itself._work, jobs)


def campaign(first: int, count: int, *, workers: int, bug: str | None = None, save: str | None = None, hiding: bool = False) -> Tally:
    """Many seeds, side by side."""
    seeds = range(first, first + count)
    jobs = [(list(seeds[start : start + _CHUNK]), bug, save, hiding) for start in range(0, count, _CHUNK)]
    whole, begun = Tally(), time.monotonic()
    for tally in _tallies(jobs, workers):
        whole.add(tally)
        for seed, breaches in tally.failing.items():
            print(f"seed {seed}: {breaches[0]}" + (f" (and {len(breaches) - 1} more)" if len(breaches) > 1 else ""), flush=True)
        if whole.seeds % 1000 < _CHUNK and sys.stderr.isatty():
            print(f"{whole.seeds} of {count} seeds, {time.monotonic() - begun:.0f} s", file=sys.stderr)
    return whole


def show(tally: Tally, seconds: float) -> None:
    """The summary."""
    counted = ", ".join(f"{count} {name}" for name, count in sorted(tally.counts.items(), key=lambda item: -item[1]))
    print(f"{tally.seeds} seeds in {seconds:.0f} s: {counted}")
    print("outcomes: " + ", ".join(f"{name} {count}" for name, count in tally.outcomes.most_common()))
    print("faults: " + ", ".join(f"{name} {count}" for name, count in sorted(tally.faults.items())))
    if tally.failing:
        print(f"BREACHES in {len(tally.failing)} seeds: " + ", ".join(f"{rule} {count}" for rule, count in tally.rules.most_common()))
    else:
        print("0 breaches")


def _one(seed: int, bug: str | None, verbose: bool, hiding: bool) -> int:
    history = run_seed(seed, bug=bug, hiding=hiding).history
    if verbose:
        for event in history.events:
            print(_line(event))
    breaches = judge(history.events)
    for breach in breaches:
        print(breach)
    print(f"seed {seed}: {len(history.events)} events, {len(breaches)} breaches, history {history.digest()}")
    return int(bool(breaches))


def _line(event: dict[str, Any]) -> str:
    """One event as a person reads it."""
    head = f"{event['n']:4} {event['t']:10.3f} {event['kind']:9}"
    rest = {name: value for name, value in event.items() if name not in ("n", "t", "kind")}
    match event["kind"]:
        case "setup":
            rest = {name: value for name, value in rest.items() if name not in ("accounts", "wishes")}
        case "plan":
            steps = event["plan"]["steps"]
            rest = {
                "p": event["p"],
                "steps": [f"{step['id']} {step['phase']} {step['path'].split('/')[1]} {step['changes']}" for step in steps],
            }
        case "ledger":
            record = event["record"]
            body = {
                name: value
                for name, value in record["body"].items()
                if name in ("step", "attempt", "outcome", "fence", "message", "exit_code")
            }
            rest = {"p": event["p"], "record": f"{record['seq']} {record['kind']} {record['account']} {record['run']}", **body}
        case "read":
            rest.pop("left")
    return f"{head} {json.dumps(rest)[:600]}"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=1000, metavar="N", help="how many seeds")
    parser.add_argument("--from", type=int, default=0, dest="first", metavar="N", help="the first seed")
    parser.add_argument("--workers", type=int, default=2, metavar="N")
    parser.add_argument("--seed", type=int, metavar="N", help="this one seed alone")
    parser.add_argument("--bug", metavar="NAME", help="plant a defect (tests/faults/bugs.py)")
    parser.add_argument("--hiding", action="store_true", help="the AMS hides sides of the rows that it lists, until the faults end")
    parser.add_argument("--save", metavar="DIR", help="keep the histories that failed")
    parser.add_argument("-v", "--verbose", action="store_true", help="with --seed: show what happened")
    asked = parser.parse_args()
    if asked.seed is not None:
        return _one(asked.seed, asked.bug, asked.verbose, asked.hiding)
    begun = time.monotonic()
    tally = campaign(asked.first, asked.seeds, workers=asked.workers, bug=asked.bug, save=asked.save, hiding=asked.hiding)
    show(tally, time.monotonic() - begun)
    return int(bool(tally.failing))


if __name__ == "__main__":
    sys.exit(main())
