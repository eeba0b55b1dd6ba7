"""The simulator's own time: a hang of the real world, or of the simulator, is an error that tells itself, and never a run that does not end."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults import loop as virtual
from tests.faults.history import History
from tests.faults.loop import RESOLUTION_SECONDS, Deadlock, Machine, SimClock, run
from tests.faults.process import Process


def test_waiting_for_nothing_is_a_deadlock() -> None:
    """No timer is set and everybody waits."""

    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock, match="nothing will ever happen"):
        run(wait())


def test_turning_round_at_one_moment_is_a_deadlock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sleep too short for the loop to tell is over at the same time, however often."""
    monkeypatch.setattr(virtual, "TURNS_AT_MOST", 1_000)

    async def turn() -> None:
        while True:  # noqa: ASYNC110 -- what is shown here
            await asyncio.sleep(RESOLUTION_SECONDS / 1e7)

    with pytest.raises(Deadlock, match="1,000 turns, and it is still 1000"):
        run(turn())


@pytest.mark.parametrize("boot", [0.0, 5.1, -994.9, 1e6 / 3])
@pytest.mark.parametrize("seconds", [0.1, 1e-7, 9.1e-13, 120.3])
def test_a_stopped_process_goes_on(boot: float, seconds: float) -> None:
    """Whatever its machine's clock and however short the stop (seeds 4,937 and others turned for ever in the last billionth of a millisecond)."""

    async def stop_and_go() -> float:
        machine = Machine(name="m", boot=boot)
        clock = SimClock(machine)
        process = Process(1, machine, History(clock.monotonic), pause_at=1, pause_seconds=seconds)
        await asyncio.sleep(1 / 3)
        process.point("here")
        before = clock.monotonic()
        await process.awake()
        return clock.monotonic() - before

    assert run(stop_and_go()) == pytest.approx(seconds, abs=3 * RESOLUTION_SECONDS)
