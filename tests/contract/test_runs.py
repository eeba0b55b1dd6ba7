"""Runs from end to end over real HTTP: what the ledger keeps, what a second run may do, how one goes on after another, and how it is taken back."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from amsctl.config import Auth
from amsctl.ledger.recorder import LedgerRecorder
from amsctl.sandbox.server import Sandbox
from tests.cli.conftest import Ran, Run
from tests.contract.test_plan_and_apply import fault, legs, posts, quick, saved, write
from tests.contract.test_signals import break_locks, has_begun, patient, send
from tests.hostile.canaries import API_ID
from tests.order import at_call, happens, until

THREE_ROWS = (
    "executionFirms: {3N1: {limits: {CJ.FUT.NYMEX: {ef: {long: 300, short: 500}}, "
    "DRS.FUT.CBT: {ef: {long: 1, short: 1}}, CC.FUT.NYMEX: {ef: {long: 2, short: 2}}}}}"
)


def amsctl(run: Run, project: Path, *arguments: str, **more: Any) -> Ran:
    return run("-C", str(project), *arguments, **more)


def log(run: Run, project: Path, *arguments: str) -> list[dict[str, Any]]:
    ran = amsctl(run, project, "ledger", "export", "--format", "jsonl", *arguments)
    assert ran.code == 0, ran.err
    return [json.loads(line) for line in ran.out.splitlines()]


def report_of(ran: Ran) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ran.out)
    return found


def outcomes(ran: Ran) -> list[str]:
    return [step["outcome"] for step in report_of(ran)["steps"]]


def applied(run: Run, project: Path, plan: Path, *options: str) -> Ran:
    return amsctl(run, project, "apply", str(plan), "--format", "json", *options)


def left_unknown(run: Run, project: Path, sandbox: Sandbox, plan: Path, **rule: object) -> Ran:
    """An apply whose first call meets a fault that hides what became of it, and after which nothing can be read: its outcome is unknown."""
    fault(sandbox, method="POST", **rule)
    with at_call(sandbox, lambda: fault(sandbox, kind="unavailable", method="GET")):
        ran = applied(run, project, plan)
    assert outcomes(ran)[0] == "unknown"
    sandbox.faults.clear()
    return ran


def test_every_call_has_an_intent_before_it_and_an_outcome_after(project: Path, sandbox: Sandbox, run: Run) -> None:
    write(project)
    plan = saved(project, run)
    ran = applied(run, project, plan, "--reason", "RISK-77 client asked")
    assert ran.code == 0, ran.err
    records = log(run, project)
    kinds = [record["kind"] for record in records]
    assert kinds == ["lock-taken", "run-started", "intent", "outcome", "intent", "outcome", "run-finished", "lock-released"]
    started = records[1]["body"]
    assert started["plan_digest"] == json.loads(plan.read_text())["digest"]
    assert started["why"]["ticket"] == "RISK-77"
    assert (started["who"]["principal"], Auth().principal) == (API_ID, "anonymous")
    assert started["consent"] == "saved plan plan.json"
    assert {record["run"] for record in records} == {report_of(ran)["run"]}
    assert amsctl(run, project, "ledger", "verify").code == 0


def test_a_saved_plan_is_good_for_one_apply(project: Path, sandbox: Sandbox, run: Run) -> None:
    """Even when somebody has put every value back: what was approved was one change, not a licence."""
    write(project)
    plan = saved(project, run)
    assert applied(run, project, plan).code == 0
    sandbox.reset()
    again = applied(run, project, plan)
    assert again.code == 4
    assert "carried out already" in again.err
    assert posts(sandbox) == []


def test_a_plan_that_sent_nothing_may_be_tried_again(project: Path, sandbox: Sandbox, run: Run) -> None:
    write(project)
    plan = saved(project, run)
    assert amsctl(run, project, "freeze", "--reason", "moving house").code == 0
    refused = applied(run, project, plan)
    assert refused.code == 7
    assert report_of(refused)["postponed"]
    assert "moving house" in refused.err
    assert posts(sandbox) == []
    assert amsctl(run, project, "thaw", "--reason", "moved").code == 0
    assert applied(run, project, plan).code == 0


def test_a_lock_held_by_another_is_told_with_its_holder(project: Path, sandbox: Sandbox, run: Run) -> None:
    from amsctl.ams.clock import SystemClock
    from amsctl.ledger.store import open_ledger
    from amsctl.ledger.values import Holder, Scope
    from amsctl.manifests.project import load_project, resolve_ledger

    write(project)
    plan = saved(project, run)
    other = Holder(user="ann", host="elsewhere", pid=4242, process_started="", machine="", run_url="https://ci.example/runs/7")
    with open_ledger(resolve_ledger(load_project(project), {}), clock=SystemClock()) as ledger:
        scope = Scope("sandbox", "GREENTEA_API_CLEARING2")
        lease = ledger.acquire(scope, url=sandbox.url, run="r1", holder=other, seconds=60, environment="sandbox")
        ran = applied(run, project, plan)
        assert ran.code == 7
        for told in ("ann", "elsewhere", "4242", "https://ci.example/runs/7", lease.id):
            assert told in ran.err
        assert posts(sandbox) == []
        status = amsctl(run, project, "lock", "status")
        assert "elsewhere" in status.out
        assert amsctl(run, project, "lock", "break", "not-that-one", "--reason", "x").code != 0
        assert amsctl(run, project, "lock", "break", lease.id, "--reason", "she went home").code == 0
    assert applied(run, project, plan).code == 0


def test_a_run_that_was_stopped_goes_on_where_it_was(project: Path, sandbox: Sandbox, run: Run, draining: threading.Event) -> None:
    write(project)
    plan = saved(project, run)

    def stop() -> None:
        send(signal.SIGTERM)
        happens(draining)

    with at_call(sandbox, stop):
        assert applied(run, project, plan).code == 143
    ran = amsctl(run, project, "resume", "--format", "json")
    assert ran.code == 0, ran.err
    assert outcomes(ran) == ["skipped", "verified"]
    assert legs(sandbox)[:2] == (300, 600)
    assert len(posts(sandbox)) == 2
    done = amsctl(run, project, "resume")
    assert (done.code, len(posts(sandbox))) == (0, 2)
    assert "nothing is left" in done.err


def test_a_resume_refuses_what_moved_meanwhile(project: Path, sandbox: Sandbox, run: Run) -> None:
    write(project)
    plan = saved(project, run)
    fault(sandbox, kind="error_before", method="POST", status=400, nth=2, body={"errorType": "400", "error": "Bad Request"})
    assert applied(run, project, plan).code == 5
    sandbox.faults.clear()
    sandbox.book.put("DV10121801A", "3N1", "CJ.FUT.NYMEX", (300, 567, 1, 1))
    ran = amsctl(run, project, "resume", "--format", "json")
    assert ran.code == 4
    assert len(posts(sandbox)) == 2


def test_an_account_whose_call_is_unknown_is_in_quarantine_until_it_is_resolved(project: Path, sandbox: Sandbox, run: Run) -> None:
    write(project)
    quick(project)
    plan = saved(project, run)
    ran = left_unknown(run, project, sandbox, plan, kind="drop_after")
    assert ran.code == 6
    write(project, THREE_ROWS)
    held = amsctl(run, project, "apply", "--auto-approve", "--format", "json")
    assert held.code == 5
    assert set(outcomes(held)) == {"blocked"}
    assert "amsctl resolve" in held.out
    before = len(posts(sandbox))
    resolved = amsctl(run, project, "resolve", "--format", "json")
    assert resolved.code == 0, resolved.err
    assert [item["outcome"] for item in json.loads(resolved.out)["calls"]] == ["verified"]
    assert len(posts(sandbox)) == before
    assert amsctl(run, project, "apply", "--auto-approve").code == 0


def test_rows_that_landed_and_rows_that_did_not_are_listed_and_only_the_latter_are_sent_again(
    project: Path, sandbox: Sandbox, run: Run
) -> None:
    write(project, THREE_ROWS)
    plan = saved(project, run)
    fault(sandbox, kind="partial", method="POST", rows=1, nth=1)
    ran = applied(run, project, plan)
    assert ran.code == 6
    (rows,) = [step["rows"] for step in report_of(ran)["steps"] if "rows" in step]
    assert len(rows["done"]) == 1
    assert len(rows["not_done"]) == 2
    sandbox.faults.clear()
    resumed = amsctl(run, project, "resume", "--format", "json")
    assert resumed.code == 0, resumed.err
    sent = json.loads(sandbox.log.calls("POST")[1].body)
    assert [f"{row['efId']}/{row['product']}" for row in sent["limits"]] == rows["not_done"]
    assert amsctl(run, project, "plan", "--detailed-exitcode").code == 0


def test_a_rollback_is_a_plan_that_restores_what_the_run_changed(project: Path, sandbox: Sandbox, run: Run) -> None:
    write(project, THREE_ROWS)
    first = amsctl(run, project, "get", "limits", "DV10121801A", "--format", "csv").out
    ran = applied(run, project, saved(project, run))
    assert ran.code == 0, ran.err
    back = project / "back.json"
    rolled = amsctl(run, project, "rollback", report_of(ran)["run"], "-o", str(back))
    assert rolled.code == 0, rolled.err
    assert "revert their commit too" in rolled.err
    done = applied(run, project, back)
    assert done.code == 0, done.err
    assert amsctl(run, project, "get", "limits", "DV10121801A", "--format", "csv").out == first


def test_blame_tells_who_moved_a_limit_when_and_why(project: Path, sandbox: Sandbox, run: Run) -> None:
    write(project)
    ran = applied(run, project, saved(project, run), "--reason", "RISK-77 client asked")
    told = amsctl(run, project, "ledger", "blame", "DV10121801A", "3N1", "CJ.FUT.NYMEX")
    assert told.code == 0, told.err
    for word in ("RISK-77", report_of(ran)["run"], "300", "600"):
        assert word in told.out


def test_a_window_that_is_closed_refuses_before_anything_is_asked(project: Path, sandbox: Sandbox, run: Run) -> None:
    write(project)
    plan = saved(project, run)
    config = project / "amsctl.yaml"
    config.write_text(config.read_text() + WINDOW, encoding="utf-8")
    asked = len(sandbox.log)
    ran = applied(run, project, plan)
    assert ran.code == 7
    assert "never open" in ran.err
    assert len(sandbox.log) == asked


WINDOW = """\
  windows:
    - {name: never open, effect: deny, timeZone: UTC, rrule: "FREQ=DAILY", start: "2026-01-01T00:00", duration: P1D}
"""


def test_a_ledger_that_cannot_be_written_means_nothing_is_sent(project: Path, sandbox: Sandbox, run: Run) -> None:
    write(project)
    plan = saved(project, run)
    config = project / "amsctl.yaml"
    config.write_text(config.read_text() + "  ledger: {url: sqlite:////proc/nowhere/ledger.db}\n", encoding="utf-8")
    ran = applied(run, project, plan)
    assert ran.code == 1
    assert "ledger" in ran.err
    assert posts(sandbox) == []


def test_a_clock_that_is_wrong_means_nothing_is_sent(project: Path, sandbox: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from amsctl.ams.client import Reader

    write(project)
    plan = saved(project, run)
    monkeypatch.setattr(Reader, "clock_offset_seconds", property(lambda self: -3700.0))
    ran = applied(run, project, plan)
    assert ran.code == 1
    assert "ahead of the server" in ran.err
    assert posts(sandbox) == []


def test_a_call_that_never_left_is_told_as_sent_no_time_and_a_resume_sends_it(
    project: Path, sandbox: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from amsctl.ams.writer import Writer
    from amsctl.errors import AmsUnreachable

    async def unreachable(self: Writer, path: str, query: object, body: object, *, leaving: Any = None) -> None:
        leaving()
        raise AmsUnreachable("no connection to the AMS", hint="nothing was sent")

    write(project)
    plan = saved(project, run)
    with monkeypatch.context() as patched:
        patched.setattr(Writer, "post", unreachable)
        ran = applied(run, project, plan)
    assert [(step["outcome"], step["attempts"]) for step in report_of(ran)["steps"]] == [("failed", 0), ("blocked", 0)]
    kept = [(record["kind"], record["body"].get("attempts")) for record in log(run, project) if record["kind"] in ("intent", "outcome")]
    assert kept == [("intent", None), ("outcome", 0)]
    assert amsctl(run, project, "ledger", "verify").code == 0
    assert outcomes(amsctl(run, project, "resume", "--format", "json")) == ["verified", "verified"]


def test_a_lock_that_is_broken_while_the_run_still_reads_is_a_reason_to_try_later(
    project: Path, sandbox: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch, stopped: threading.Event
) -> None:
    """The renewal finds it while a read is under way, before anything was sent: 7, and why."""
    patient(project, monkeypatch)
    write(project)
    plan = saved(project, run)

    def lose() -> None:
        assert break_locks(project) > 0
        happens(stopped)

    with at_call(sandbox, lose, method="GET", containing="/efStatus/"):
        ran = applied(run, project, plan)
    assert (ran.code, posts(sandbox)) == (7, [])
    assert "no longer its own" in ran.err
    assert "no longer its own" in report_of(ran)["postponed"]
    assert outcomes(ran) == ["blocked", "blocked"]


def test_a_lock_that_is_broken_between_the_first_record_and_the_first_call(
    project: Path, sandbox: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch, stopped: threading.Event
) -> None:
    """The run has begun, and the renewal finds the lock gone before any call has left."""
    patient(project, monkeypatch)
    write(project)
    firm = next(iter(sandbox.book.account("DV101218B").execution_firms))
    other = (project / "accounts" / "dv.yaml").read_text().replace("DV10121801A", "DV101218B")
    spec = f"  executionFirms: {{{firm}: {{suspended: true}}}}\n"
    (project / "accounts" / "other.yaml").write_text(other[: other.index("  executionFirms")] + spec, encoding="utf-8")
    plan = saved(project, run)

    add = LedgerRecorder.started

    async def started(self: LedgerRecorder, *arguments: Any, **named: Any) -> Any:
        result = await add(self, *arguments, **named)
        if not stopped.is_set():
            assert break_locks(project) > 0
            await asyncio.to_thread(happens, stopped)
        return result

    monkeypatch.setattr(LedgerRecorder, "started", started)
    ran = applied(run, project, plan)
    assert (ran.code, posts(sandbox)) == (7, [])
    assert "no longer its own" in report_of(ran)["postponed"]
    assert applied(run, project, plan).code == 0, "try later means: the same plan is still good"


def test_a_lock_that_is_broken_while_earlier_calls_are_waited_for(
    project: Path, sandbox: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch, draining: threading.Event
) -> None:
    patient(project, monkeypatch)
    write(project)
    plan = saved(project, run)
    fault(sandbox, kind="drop_before", method="POST")

    def twice() -> None:
        send(signal.SIGTERM)
        happens(draining)
        send(signal.SIGTERM)

    with at_call(sandbox, twice):
        assert applied(run, project, plan).code == 143
    sandbox.faults.clear()
    breaking = threading.Thread(target=until, args=(lambda: break_locks(project) > 0,))
    breaking.start()
    ran = amsctl(run, project, "resume", "--format", "json")
    breaking.join()
    assert (ran.code, len(posts(sandbox))) == (7, 1)
    assert "stopped while waiting for an earlier run's calls to settle: found the lock of this run is no longer its own" in ran.err
    assert report_of(ran)["postponed"]


@pytest.mark.parametrize("refusal", ["stale", "frozen"])
def test_a_resume_that_is_refused_prints_a_report_where_json_is_wanted(project: Path, sandbox: Sandbox, run: Run, refusal: str) -> None:
    """As apply does: every step, untouched."""
    write(project)
    plan = saved(project, run)
    fault(sandbox, kind="error_before", method="POST", status=400, nth=2, body={"errorType": "400", "error": "Bad Request"})
    assert applied(run, project, plan).code == 5
    sandbox.faults.clear()
    if refusal == "stale":
        manifest = project / "accounts" / "dv.yaml"
        manifest.write_text(manifest.read_text().replace("600", "601"), encoding="utf-8")
    else:
        assert amsctl(run, project, "freeze", "--reason", "moving house").code == 0
    ran = amsctl(run, project, "resume", "--format", "json")
    assert ran.code == (4 if refusal == "stale" else 7)
    assert [(step["outcome"], step["attempts"]) for step in report_of(ran)["steps"]] == [("blocked", 0), ("blocked", 0)]
    assert bool(report_of(ran)["stale"]) is (refusal == "stale")
    assert bool(report_of(ran)["postponed"]) is (refusal == "frozen")


@pytest.mark.parametrize(
    ("after", "seconds", "code", "told"), [(1, -7200, 5, ["verified", "blocked"]), (0, 7200, 7, ["blocked", "blocked"])]
)
def test_a_clock_that_is_set_while_the_run_is_under_way_keeps_the_next_call_from_leaving(
    project: Path, sandbox: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch, after: int, seconds: int, code: int, told: list[str]
) -> None:
    """Windows mean nothing by a wrong clock: set back, the run would go on into the closure."""
    from amsctl.ams.clock import SystemClock

    write(project)
    plan = saved(project, run)
    monkeypatch.setattr(
        SystemClock, "wall", lambda self: time.time() + (seconds if has_begun(project) and len(posts(sandbox)) >= after else 0)
    )
    ran = applied(run, project, plan)
    assert (ran.code, outcomes(ran), len(posts(sandbox))) == (code, told, after)
    assert "this machine's clock and the server's differ" in report_of(ran)["postponed"]


@pytest.mark.parametrize(("seconds", "code", "sent"), [(8, 7, 0), (30, 0, 14)])
def test_a_run_that_would_be_cut_off_by_the_close_of_a_window_does_not_begin(
    project: Path, sandbox: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch, seconds: int, code: int, sent: int
) -> None:
    """Fourteen steps at three calls a second take ten seconds: in eight it is not begun, in thirty it is."""
    from amsctl.ams.clock import SystemClock

    config = project / "amsctl.yaml"
    text = config.read_text().replace(
        "perSecond: unlimited, settleSeconds: 0.2", "perSecond: 3, rowsPerPost: 1, timeoutSeconds: 1, settleSeconds: 0.2"
    )
    close = (int(time.time()) // 60 + 120) * 60
    start = datetime.fromtimestamp(close - 43_200 - 30 * 86_400, UTC).strftime("%Y-%m-%dT%H:%M")
    allowed = f'  windows:\n    - {{name: w, effect: allow, timeZone: UTC, rrule: FREQ=DAILY, start: "{start}", duration: PT12H}}\n'
    config.write_text(text + allowed, encoding="utf-8")
    products = [f"X{number:02}.FUT.CBT" for number in range(14)]
    held = sandbox.book.account("DV10121801A")
    eligible = {firm: (*sandbox.book.products_of(held, firm), *products) for firm in held.execution_firms}
    monkeypatch.setattr(held, "eligible", eligible)
    for product in products:
        sandbox.book.put("DV10121801A", "3N1", product, (100, 100, 100, 100))
    limits = ", ".join(f"{product}: {{ef: {{long: 99}}}}" for product in products)
    write(project, f"executionFirms: {{3N1: {{limits: {{{limits}}}}}}}")
    plan = saved(project, run)
    monkeypatch.setattr(SystemClock, "wall", lambda self: close - seconds)  # it stands still: how long the run takes here is no matter
    monkeypatch.setattr("amsctl.operations.runs.MOST_CLOCK_OFFSET_SECONDS", 90_000.0)
    ran = applied(run, project, plan)
    assert (ran.code, len(posts(sandbox))) == (code, sent), ran.err + ran.out
    assert set(outcomes(ran)) == ({"blocked"} if code else {"verified"})
    assert ("the run cannot finish before" in ran.err) is (code == 7)
