"""SIGINT and SIGTERM during an apply: what is under way is finished and recorded, nothing more is sent, and the exit code tells which it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

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
    sandbox.faults.add(Rule(kind="slow", method="POST", seconds=5))

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
