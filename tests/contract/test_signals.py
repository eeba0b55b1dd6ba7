"""SIGINT and SIGTERM during an apply: what is under way is finished and recorded, nothing more is sent, and the exit code tells which it was."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from amsctl.ams.clock import SystemClock
from amsctl.cli.signals import stopping
from amsctl.errors import AmsctlError, ExitCode
from amsctl.ledger.store import Ledger, open_ledger
from amsctl.manifests.project import load_project, resolve_ledger
from amsctl.sandbox.faults import Rule
from amsctl.sandbox.server import Sandbox
from tests.cli.conftest import Run
from tests.contract.test_plan_and_apply import legs, posts, saved, write
from tests.order import HANG_SECONDS, at_call, comes, happens, in_flight, until


def unhurried(project: Path) -> None:
    """A call that nobody answers is waited for until the test has ended."""
    config = project / "amsctl.yaml"
    text = config.read_text().replace("settleSeconds: 0.2", f"settleSeconds: 0.2, timeoutSeconds: {HANG_SECONDS:.0f}")
    config.write_text(text + f"  ledger: {{leaseSeconds: {2 * HANG_SECONDS + 1:.0f}}}\n", encoding="utf-8")


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_drains(
    project: Path, sandbox: Sandbox, run: Run, draining: threading.Event, number: signal.Signals, code: int
) -> None:
    """It is heeded while the first call is under way: that one is finished, the second is not sent."""
    write(project)
    plan = saved(project, run)

    def stop() -> None:
        send(number)
        happens(draining)

    with at_call(sandbox, stop):
        ran = run("-C", str(project), "apply", str(plan), "--format", "json")
    report = json.loads(ran.out)
    assert ran.code == code
    assert [step["outcome"] for step in report["steps"]] == ["verified", "blocked"]
    assert report["interrupted"] == code
    assert f"{number.name}: no further write is started" in ran.err
    assert legs(sandbox)[:2] == (300, 567)
    assert len(posts(sandbox)) == 1


def test_the_second_signal_stops_at_once(project: Path, sandbox: Sandbox, run: Run, draining: threading.Event) -> None:
    """While the call is still under way: nobody answers it before the command has ended."""
    unhurried(project)
    write(project)
    plan = saved(project, run)

    def twice() -> None:
        send(signal.SIGINT)
        happens(draining)
        send(signal.SIGINT)

    with in_flight(sandbox, then=twice):
        ran = run("-C", str(project), "apply", str(plan))
    assert ran.code == 130
    assert "stopped at once; calls under way may still take effect" in ran.err
    assert "Traceback" not in ran.err


def test_a_real_process_ends_with_the_signal_s_exit_code(project: Path, sandbox: Sandbox, run: Run, tmp_path: Path) -> None:
    write(project)
    plan = saved(project, run)
    said = tmp_path / "said"
    with said.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "amsctl", "-C", str(project), "apply", str(plan)],
            stdout=subprocess.PIPE,
            stderr=stream,
            stdin=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        )

        def stop() -> None:
            process.send_signal(signal.SIGTERM)
            until(lambda: "no further write is started" in said.read_text())

        with at_call(sandbox, stop):
            out, _ = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 143
    assert "1 verified" in out
    assert "1 blocked" in out
    assert "Traceback" not in out + said.read_text()


@pytest.mark.parametrize(("path", "number", "code"), [("/myFirms", signal.SIGINT, 130), ("/efStatus/", signal.SIGTERM, 143)])
def test_a_signal_before_the_first_write_cuts_the_reads_off(
    project: Path, sandbox: Sandbox, run: Run, path: str, number: signal.Signals, code: int
) -> None:
    """Nothing depends on a read yet: the run ends while it is under way, sends nothing, and leaves no record of a run."""
    unhurried(project)
    write(project)
    plan = saved(project, run)
    with in_flight(sandbox, method="GET", containing=path, then=lambda: send(number)):
        ran = run("-C", str(project), "apply", str(plan), "--format", "json")
    report = json.loads(ran.out)
    assert ran.code == code
    assert (report["interrupted"], [(step["outcome"], step["attempts"]) for step in report["steps"]]) == (code, [("blocked", 0)] * 2)
    assert f"stopped while reading: found the run was stopped by {number.name}; nothing was sent" in ran.err
    assert posts(sandbox) == []
    exported = run("-C", str(project), "ledger", "export", "--format", "jsonl")
    assert "run-started" not in exported.out
    assert run("-C", str(project), "apply", str(plan)).code == 0


def test_a_signal_is_remembered_though_the_run_was_stopping_already() -> None:
    """The second one stops at once, and the exit code is that of the signal; the report keeps to what stopped the run."""

    class Quiet:
        def warn(self, text: str) -> None:
            pass

    async def work() -> tuple[ExitCode | None, ExitCode | None]:
        with stopping(Quiet()) as stop:  # type: ignore[arg-type]
            stop.request("the live state moved")
            os.kill(os.getpid(), signal.SIGTERM)
            await comes(lambda: stop.signalled is not None)
            return stop.exit_code, stop.signalled

    assert asyncio.run(work()) == (None, ExitCode.TERMINATED)


def test_afterwards_a_signal_means_what_it_meant_before() -> None:
    """A SIGTERM that arrives while the ledger is let go unwinds the command; it does not kill the process."""

    class Quiet:
        def warn(self, text: str) -> None:
            pass

    async def work() -> None:
        meanings = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        with stopping(Quiet()):  # type: ignore[arg-type]
            assert all(signal.getsignal(number) is not meaning for number, meaning in meanings.items())
        assert {number: signal.getsignal(number) for number in meanings} == meanings

    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        asyncio.run(work())
    finally:
        signal.signal(signal.SIGTERM, before)


def test_two_signals_after_the_lock_was_lost_end_with_the_signal_s_exit_code(
    project: Path, sandbox: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch, draining: threading.Event, stopped: threading.Event
) -> None:
    """The run waits whether its call still lands; the lock is lost, then the first signal is heeded, then the second ends it."""
    patient(project, monkeypatch)
    write(project)
    plan = saved(project, run)
    sandbox.faults.add(Rule(kind="drop_before", method="POST"))

    def signals() -> None:
        happens(stopped)
        send(signal.SIGTERM)
        happens(draining)
        send(signal.SIGTERM)

    later = threading.Thread(target=signals)
    later.start()
    with at_call(sandbox, lambda: break_locks(project)):
        ran = run("-C", str(project), "apply", str(plan))
    later.join()
    assert ran.code == 143


def patient(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A late write may take minutes to land, and a lock outlasts them; but the loss of a lock is noticed within a second."""
    config = project / "amsctl.yaml"
    text = config.read_text().replace("settleSeconds: 0.2", f"settleSeconds: {HANG_SECONDS:.0f}, timeoutSeconds: 20")
    config.write_text(text + f"  ledger: {{leaseSeconds: {HANG_SECONDS:.0f}}}\n", encoding="utf-8")
    monkeypatch.setattr("amsctl.ledger.leases.RENEWALS_PER_LEASE", 2 * HANG_SECONDS)


@contextmanager
def ledger_of(project: Path) -> Iterator[Ledger | None]:
    """The project's ledger, beside the command that uses it; nothing as long as there is none."""
    with ExitStack() as stack:
        ledger = None
        with suppress(AmsctlError):
            settings = resolve_ledger(load_project(project), {})
            ledger = stack.enter_context(open_ledger(settings, clock=SystemClock(), create=False))
        yield ledger


def break_locks(project: Path) -> int:
    """Every lock that is held is broken by a person; how many there were."""
    with ledger_of(project) as ledger:
        return len([ledger.break_lock(lock.id, by="somebody", reason="in the way") for lock in ledger.locks()] if ledger else ())


def has_begun(project: Path) -> bool:
    """Whether the ledger has a run."""
    with ledger_of(project) as ledger:
        return ledger is not None and any(True for _ in ledger.runs())
