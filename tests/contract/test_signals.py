"""SIGINT and SIGTERM during an apply: what is under way is finished and recorded, nothing more is sent, and the exit code tells which it was."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
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
from tests.patience import Elapsed


def when(condition: Callable[[], bool], act: Callable[[], None]) -> threading.Thread:
    """Act as soon as the condition holds, from another thread."""

    def watch() -> None:
        deadline = time.monotonic() + 20
        while not condition():
            if time.monotonic() > deadline:
                return
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_drains(project: Path, sandbox: Sandbox, run: Run, number: signal.Signals, code: int) -> None:
    write(project)
    plan = saved(project, run)
    sandbox.faults.add(Rule(kind="slow", method="POST", seconds=0.5))
    watcher = when(lambda: len(posts(sandbox)) == 1, lambda: os.kill(os.getpid(), number))
    ran = run("-C", str(project), "apply", str(plan), "--format", "json")
    watcher.join()
    report = json.loads(ran.out)
    assert ran.code == code
    assert [step["outcome"] for step in report["steps"]] == ["verified", "blocked"]
    assert report["interrupted"] == code
    assert f"{number.name}: no further write is started" in ran.err
    assert legs(sandbox)[:2] == (300, 567)
    assert len(posts(sandbox)) == 1


def test_the_second_signal_stops_at_once(project: Path, sandbox: Sandbox, run: Run) -> None:
    write(project)
    plan = saved(project, run)
    # Stored first, answered late: nothing lands when this test is over.
    sandbox.faults.add(Rule(kind="slow", method="POST", seconds=5, when="after"))

    def twice() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    watcher = when(lambda: len(posts(sandbox)) == 1, twice)
    with Elapsed() as took:
        ran = run("-C", str(project), "apply", str(plan))
        watcher.join()
    assert ran.code == 130
    assert took.seconds < 4
    assert "stopped at once; calls under way may still take effect" in ran.err
    assert "Traceback" not in ran.err


def test_a_real_process_ends_with_the_signal_s_exit_code(project: Path, sandbox: Sandbox, run: Run) -> None:
    write(project)
    plan = saved(project, run)
    sandbox.faults.add(Rule(kind="slow", method="POST", seconds=0.5))
    process = subprocess.Popen(
        [sys.executable, "-m", "amsctl", "-C", str(project), "apply", str(plan)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    watcher = when(lambda: len(posts(sandbox)) == 1, lambda: process.send_signal(signal.SIGTERM))
    out, err = process.communicate(timeout=30)
    watcher.join()
    assert process.returncode == 143
    assert "1 verified" in out
    assert "1 blocked" in out
    assert "Traceback" not in out + err


@pytest.mark.parametrize(("path", "number", "code"), [("/myFirms*", signal.SIGINT, 130), ("/efStatus/*", signal.SIGTERM, 143)])
def test_a_signal_before_the_first_write_cuts_the_reads_off(
    project: Path, sandbox: Sandbox, run: Run, path: str, number: signal.Signals, code: int
) -> None:
    """Nothing depends on a read yet: the run ends at once, sends nothing, and leaves no record of a run."""
    write(project)
    plan = saved(project, run)
    sandbox.faults.add(Rule(kind="slow", method="GET", path=path, seconds=6))
    began: list[float] = []

    def stop() -> None:
        began.append(time.monotonic())
        os.kill(os.getpid(), number)

    watcher = when(lambda: any(entry.faults for entry in sandbox.log), stop)
    ran = run("-C", str(project), "apply", str(plan), "--format", "json")
    took = time.monotonic() - began[0]
    watcher.join()
    report = json.loads(ran.out)
    assert ran.code == code
    assert took < 4
    assert (report["interrupted"], [(step["outcome"], step["attempts"]) for step in report["steps"]]) == (code, [("blocked", 0)] * 2)
    assert f"stopped while reading: found the run was stopped by {number.name}; nothing was sent" in ran.err
    assert posts(sandbox) == []
    exported = run("-C", str(project), "ledger", "export", "--format", "jsonl")
    assert "run-started" not in exported.out
    sandbox.faults.clear()
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
            await asyncio.sleep(0.05)
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


def test_two_signals_after_the_lock_was_lost_end_with_the_signal_s_exit_code(project: Path, sandbox: Sandbox, run: Run) -> None:
    patient(project)
    write(project)
    plan = saved(project, run)
    sandbox.faults.add(Rule(kind="drop_before", method="POST"))

    def lose_and_stop() -> None:
        break_locks(project)
        time.sleep(2)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGTERM)

    watcher = when(lambda: len(posts(sandbox)) == 1, lose_and_stop)
    ran = run("-C", str(project), "apply", str(plan))
    watcher.join()
    assert ran.code == 143


def patient(project: Path) -> None:
    """A late write may take eight seconds to land; locks are renewed every second."""
    config = project / "amsctl.yaml"
    text = config.read_text().replace("settleSeconds: 0.2", "settleSeconds: 8, timeoutSeconds: 1")
    config.write_text(text + "  ledger: {leaseSeconds: 3}\n", encoding="utf-8")


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
