"""What stops a run from outside: a disk that is full, a ledger that is gone, a freeze, a window that closes, a database that is not there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.chaos.killed import WALL_VARIABLE
from tests.chaos.processes import PATIENCE_SECONDS, REPOSITORY, Ended, cold
from tests.chaos.proxy import Strike
from tests.chaos.stage import TIMEOUT_SECONDS, Stage, eventually, side_by_side
from tests.chaos.test_killed import LONG, judged
from tests.chaos.test_paused import PIPELINE
from tests.chaos.worlds import WORLDS
from tests.hostile.canaries import CANARIES
from tests.wants import missing

NOBODY = 65534


def told(ran: Ended) -> str | None:
    """What is wrong with how a run ended, if anything: 1 says that nothing was written, and a person must understand it."""
    if "Traceback" in ran.err or "internal error" in ran.err:
        return ran.err
    if ran.code != 0 and "ledger" not in ran.out + ran.err:
        return f"the ledger is not spoken of: {ran}"
    return None


# --- a full disk ---


def full(stage: Stage, size: int) -> str | None:
    """No file may grow beyond ``size``."""
    stage.play(WORLDS["accounts"], concurrency=1).planned()
    ran = stage.run("apply", "plan.json", file_bytes=size)
    found = [*filter(None, [told(ran)]), *stage.breaches(finished=False)]
    if ran.code not in (0, 1, 5) or (ran.code == 1 and stage.posts):
        found.append(f"exit code {ran.code} after {len(stage.posts)} calls: {ran.err}")
    stage.finish("resume")
    ended = judged(stage)
    return "; ".join([*found, *([ended] if ended else [])]) or None


def test_a_disk_that_is_full_at_any_moment(stages: list[Stage]) -> None:
    """The n-th growth of the ledger fails, n = 1…: 1 and nothing sent, or 5; no call without a durable intent."""
    stage = stages[0]
    stage.play(WORLDS["accounts"], concurrency=1).plan()
    first = stage.start("apply", "plan.json", at=10_000)
    largest = 0
    while not first.ended.is_set():
        for path in (stage.folder / ".amsctl").glob("ledger.db*"):
            try:
                largest = max(largest, path.stat().st_size)
            except FileNotFoundError:
                continue
        time.sleep(0.002)
    assert first.wait().code == 0
    assert largest > 40_000
    sizes = [0, *range(4096, largest + 8192, 4096)]
    assert side_by_side(sizes if LONG else sizes[3::14], stages, full) == []


def test_a_small_disk(stage: Stage) -> None:
    """A file system of its own that is really full."""
    stage.play(WORLDS["mixed"]).planned()
    folder = stage.folder / ".amsctl"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)], capture_output=True, check=False).returncode != 0:
        missing("mount", "no file system can be mounted here")
    try:
        ran = stage.run("apply", "plan.json")
        assert told(ran) is None
        assert ran.code in (1, 5)
        assert "disk" in ran.out + ran.err
        assert stage.breaches(finished=False) == []
        assert ran.code == 5 or not stage.posts
    finally:
        subprocess.run(["umount", str(folder)], check=True, capture_output=True)
    shutil.rmtree(folder)


# --- a ledger that may not be written, or is gone ---


@contextmanager
def theirs(stage: Stage, mode: int) -> Iterator[None]:
    """The ledger's folder belongs to somebody else, who lets us do so much with it."""
    if os.getuid() != 0:
        missing("root", "only root can become somebody else")
    folder = stage.folder / ".amsctl"
    opened = [path for path in (stage.folder, *stage.folder.parents) if path != Path("/")]
    modes = {path: path.stat().st_mode for path in opened}
    before = {path: path.stat().st_mode for path in (folder, *folder.iterdir())}
    try:
        for path, found in modes.items():
            path.chmod(found | 0o055)
        for path in stage.folder.rglob("*.yaml"):
            path.chmod(0o644)
        (stage.folder / "plan.json").chmod(0o644)
        for path in before:
            path.chmod(mode if path.is_dir() else mode & 0o666)
        yield
    finally:
        for path, found in {**modes, **before}.items():
            if path.exists():
                path.chmod(found)


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_that_may_not_be_written(stage: Stage, there: bool) -> None:
    """1, nothing sent, and the message says to look at owner and mode."""
    stage.play(WORLDS["mixed"]).plan()
    if there:
        assert stage.run("freeze", "--reason", "x").code == 0
        assert stage.run("thaw", "--reason", "x").code == 0
    else:
        (stage.folder / ".amsctl").mkdir()
    stage.forget()
    with theirs(stage, 0o555):
        ran = stage.run("apply", "plan.json", user=NOBODY)
    assert (ran.code, stage.posts) == (1, []), ran
    assert told(ran) is None
    assert "owner" in ran.err
    stage.finish("resume" if there else "fresh")


@pytest.mark.parametrize("replaced", [False, True])
def test_a_ledger_that_is_taken_away_in_the_middle(stages: list[Stage], replaced: bool) -> None:
    """By an unlucky hand or a clean-up job: a call whose intent nobody can find any more is not sent."""

    def play(stage: Stage, at: int) -> str | None:
        stage.play(WORLDS["accounts"], concurrency=1).planned()
        started = stage.start("apply", "plan.json", at=at, label="after commit", action="stop")
        assert started.stopped()
        sent = len(stage.posts)
        shutil.rmtree(stage.folder / ".amsctl")
        if replaced:
            assert stage.run("freeze", "--reason", "x").code == 0
            assert stage.run("thaw", "--reason", "x").code == 0
        started.send(signal.SIGCONT)
        ran = started.wait()
        found = list(filter(None, [told(ran)]))
        # One call may have its intent in the ledger that was there; it cannot be called back.
        if len(stage.posts) > sent + 1:
            found.append(f"{len(stage.posts) - sent} calls were sent without a ledger that anybody could find ({ran.code})")
        if ran.code not in (1, 5) or (ran.code == 1 and stage.posts):
            found.append(f"exit code {ran.code} after {len(stage.posts)} calls")
        return "; ".join(found) or None

    # From the start of the run (the 3rd commit: the tables, the lock, the start) to the 3rd account.
    assert side_by_side([*range(3, 13)] if LONG else [3, 8], stages, play) == []


# --- a freeze ---


def test_a_freeze_in_the_middle(stages: list[Stage]) -> None:
    """From another process, at any point: not one call more, the reason is told, and after the thaw resume finishes."""

    def play(stage: Stage, at: int) -> str | None:
        stage.play(WORLDS["accounts"], concurrency=1).planned()
        started = stage.start("apply", "plan.json", at=at, label="after commit", action="stop")
        assert started.stopped()
        frozen = stage.run("freeze", "--reason", "desk is closed")
        if frozen.code != 0:
            return f"freeze: {frozen.err}"
        sent, intents = len(stage.posts), [record for record in stage.records() if record["kind"] == "intent"]
        started.send(signal.SIGCONT)
        ran = started.wait()
        found = []
        # An intent that was durable before the freeze may still be on its way; nothing is added to it.
        if len(stage.posts) > max(sent, len(intents)):
            found.append(f"{len(stage.posts)} calls were sent, {len(intents)} were intended before the freeze")
        if ran.code != (5 if stage.posts else 7) or "desk is closed" not in ran.out + ran.err:
            found.append(f"{len(stage.posts)} calls sent: {ran}")
        held = stage.run(*stage.going_on())
        if held.code != 7 or "desk is closed" not in held.err:
            found.append(f"a resume while it is frozen: {held}")
        thawed = stage.run("thaw", "--reason", "open again")
        if thawed.code != 0:
            found.append(f"thaw: {thawed.err}")
        stage.finish("resume")
        ended = judged(stage)
        return "; ".join([*found, *([ended] if ended else [])]) or None

    # From the lock (the 2nd commit) to the last but one of 6 calls.
    assert side_by_side([*range(2, 12)] if LONG else [2, 4, 9], stages, play) == []


# --- a window ---

WINDOW = """\
  windows:
    - {{name: close of business, effect: deny, timeZone: UTC, rrule: FREQ=DAILY, start: "{start}", duration: PT{seconds}S}}
"""


def window(in_seconds: int, seconds: int) -> tuple[str, float]:
    """A window that closes so soon, for so long; and when that is."""
    close = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=in_seconds)
    return WINDOW.format(start=close.strftime("%Y-%m-%dT%H:%M:%S"), seconds=seconds), close.timestamp()


@pytest.mark.parametrize("left_seconds", [0.9 * TIMEOUT_SECONDS, -1.0])
def test_a_window_that_closes_in_the_middle(stage: Stage, left_seconds: float) -> None:
    """Once a call might not be over before it closes, none is sent any more; what was not is told, and resume does it once it is open again.

    While the second call is under way the clock jumps to a moment where less is left than one call may take, or to one after it.
    """
    stage.play(WORLDS["accounts"], concurrency=1).planned()
    stage.more, close = window(200, 20)
    stage.write_project()
    ahead = stage.folder / "ahead"
    stage.environ[WALL_VARIABLE] = str(ahead)

    def jump_to(seconds: float) -> None:
        moved = ahead.with_suffix(".new")
        moved.write_text(str(close + seconds - time.time()))
        moved.replace(ahead)

    ahead.write_text("0")
    stage.proxy.strike(Strike(kind="act", where="after", nth=2, call=lambda: jump_to(-left_seconds)))
    ran = stage.run("apply", "plan.json", "--format", "json")
    assert ran.code == 5, ran
    assert ran.outcomes.count("verified") == len(stage.posts) == 2
    # What was not sent is blocked; one whose intent was written already when the clock jumped has failed, with no attempt made.
    left = [step for step in ran.report["steps"] if step["outcome"] != "verified"]
    assert [step["outcome"] for step in left[1:]] == ["blocked"] * (len(left) - 1)
    assert left[0]["outcome"] in ("blocked", "failed")
    assert {step["attempts"] for step in left} == {0}
    assert "close of business" in ran.report["postponed"]
    jump_to(1)
    shut = stage.run("resume")
    assert (shut.code, len(stage.posts)) == (7, 2)
    assert "close of business" in shut.err
    jump_to(25)
    stage.finish("resume")
    assert judged(stage) is None


def test_a_plan_that_cannot_finish_in_time_does_not_start(stage: Stage) -> None:
    """7, and nothing is sent."""
    stage.play(WORLDS["mixed"], timeoutSeconds=2000, settleSeconds=30, lease_seconds=4001).plan()
    stage.more, _ = window(1500, 30)
    stage.write_project()
    stage.forget()
    ran = stage.run("apply", "plan.json", "--format", "json")
    assert (ran.code, stage.posts) == (7, [])
    assert "close of business" in ran.err
    assert set(ran.outcomes) == {"blocked"}
    stage.more = ""
    stage.write_project()
    assert stage.run("apply", "plan.json").code == 0
    assert judged(stage) is None


# --- no ledger to speak of ---


def test_the_variable_of_the_ledger_s_address_is_missing(stage: Stage) -> None:
    """In a pipeline 1, the variable is named, nothing is sent."""
    stage.play(WORLDS["mixed"], ledger_url="postgresql://not-asked").plan()
    stage.environ.clear()
    stage.forget()
    ran = stage.run("apply", "plan.json", environ=PIPELINE)
    assert (ran.code, stage.posts) == (1, [])
    assert "AMSCTL_TEST_LEDGER" in ran.err


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere.invalid:5432"])
def test_a_postgresql_that_cannot_be_reached(stage: Stage, address: str) -> None:
    """1, the server is named and the password is not, nothing is sent."""
    password = quote(CANARIES["the ledger's password"], safe="")
    stage.play(WORLDS["mixed"], ledger_url=f"postgresql://amsctl:{password}@{address}/risk").planned()
    ran = stage.run("apply", "plan.json")
    assert (ran.code, stage.posts) == (1, [])
    assert address.partition(":")[0] in ran.err
    assert "ledger" in ran.err
    assert password not in ran.err + ran.out
    assert "Traceback" not in ran.err


# --- as a person starts it ---


def test_a_command_that_is_started_cold(stage: Stage) -> None:
    """``python -m amsctl apply``, killed with a call on the wire, and resumed: nothing here hangs on how the other processes are started."""
    stage.play(WORLDS["mixed"]).planned()
    stage.proxy.strike(Strike(kind="swallow", where="after"))
    first = cold(stage.folder, "apply", "plan.json")
    assert eventually(lambda: bool(stage.posts))
    first.kill()
    first.communicate(timeout=PATIENCE_SECONDS)
    second = cold(stage.folder, "resume")
    out, err = second.communicate(timeout=PATIENCE_SECONDS)
    assert second.returncode == 0, err
    assert "2 verified" in out or "1 skipped" in out
    assert judged(stage) is None
    assert (REPOSITORY / "amsctl" / "__main__.py").exists()
