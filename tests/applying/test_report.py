"""The report: the exit code is the worst that happened, and what is read back is what was written."""

from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path

import pytest

from amsctl.applying.recorders import EventsFile, Recorders
from amsctl.applying.report import Report, StepReport, decode_report, encode_report
from amsctl.errors import ExitCode, PlanFileError, RecordingFailed
from amsctl.model import Outcome
from tests.applying.test_executor import wish, world
from tests.applying.world import apply, plan_of


def report(*outcomes: Outcome, stale: tuple[str, ...] = (), interrupted: ExitCode | None = None) -> Report:
    steps = tuple(StepReport(id=f"s{n}", outcome=outcome, http_status=200, attempts=1) for n, outcome in enumerate(outcomes, 1))
    return Report(plan_digest="sha256:0", started_at="a", finished_at="b", steps=steps, stale=stale, interrupted=interrupted)


@pytest.mark.parametrize("several", list(itertools.product(Outcome, repeat=2)))
def test_the_exit_code_is_the_worst_that_happened(several: tuple[Outcome, Outcome]) -> None:
    worst = {Outcome.DIVERGED: 6, Outcome.UNKNOWN: 6, Outcome.FAILED: 5, Outcome.BLOCKED: 5, Outcome.VERIFIED: 0, Outcome.SKIPPED: 0}
    assert report(*several).exit_code == max(worst[outcome] for outcome in several)


def test_stale_and_interrupted_stand_between_unverified_and_partial() -> None:
    assert report(Outcome.BLOCKED, stale=("x",)).exit_code == 4
    assert report(Outcome.DIVERGED, stale=("x",)).exit_code == 6
    assert report(Outcome.BLOCKED, interrupted=ExitCode.TERMINATED).exit_code == 143
    assert report(Outcome.BLOCKED, stale=("x",), interrupted=ExitCode.INTERRUPTED).exit_code == 4
    assert report().exit_code == 0


def test_a_report_survives_being_written_and_read() -> None:
    for made in (report(), report(*Outcome, stale=("x",), interrupted=ExitCode.INTERRUPTED)):
        assert decode_report(json.loads(json.dumps(encode_report(made)))) == made


def spoiled() -> list[object]:
    good = encode_report(report(Outcome.VERIFIED))
    step = good["steps"][0]  # type: ignore[index]
    return [
        None,
        [],
        {},
        {**good, "format": "amsctl.report/v2"},
        {**good, "more": 1},
        {**good, "plan_digest": 1},
        {**good, "stale": [1]},
        {**good, "interrupted": 99},
        {**good, "steps": [{**step, "outcome": "fine"}]},
        {**good, "steps": [{**step, "attempts": "1"}]},
        {**good, "steps": [{**step, "http_status": "200"}]},
        {**good, "steps": [{**step, "more": 1}]},
        {**good, "steps": [{**step, "rows": ["3N1/CJ.FUT.NYMEX"]}]},
        {**good, "steps": 1},
        {**good, "summary": {}},
        {name: value for name, value in good.items() if name != "steps"},
    ]


@pytest.mark.parametrize("value", spoiled())
def test_what_is_no_report_is_refused(value: object) -> None:
    with pytest.raises(PlanFileError):
        decode_report(value)


def test_events_tell_the_run_as_it_happens(tmp_path: Path) -> None:
    here, path = world(), tmp_path / "events.jsonl"
    plan = plan_of(here, {"A": wish()})
    with EventsFile(str(path)) as events:
        done = apply(here, plan, notes=events)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0] == {
        "event": "start",
        "format": "amsctl.events/v1",
        "plan_digest": plan.digest,
        "started_at": done.started_at,
        "steps": 6,
    }
    assert [(line["event"], line["id"], line["outcome"]) for line in lines[1:-1]] == [("step", step.id, "verified") for step in plan.steps]
    assert lines[-1] == {"event": "finish", "finished_at": done.finished_at, "summary": encode_report(done)["summary"]}


def test_an_events_file_that_cannot_be_opened_or_written_stops_before_the_first_write(tmp_path: Path) -> None:
    with pytest.raises(RecordingFailed, match="events file cannot be written"):
        EventsFile(str(tmp_path / "none" / "events.jsonl"))
    here = world()
    with EventsFile("/dev/full") as events, pytest.raises(RecordingFailed):
        apply(here, plan_of(here, {"A": wish()}), notes=events)
    assert here.posts == []


def test_recorders_are_told_in_a_row() -> None:
    assert asyncio.run(Recorders().finished(report())) is None
