"""Virtual time: an event loop that jumps to the next timer instead of waiting for it, and clocks that disagree about the wall time.

Nothing here sleeps, opens a descriptor or asks the machine for the time, so the same coroutines give the same course, to the last step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

RESOLUTION_SECONDS: Final = 1e-6
"""Times that are nearer to each other than this are the same to the loop."""
TURNS_AT_MOST: Final = 200_000
"""More turns of the loop than any seed needs at one moment."""
T = TypeVar("T")


class Deadlock(RuntimeError):
    """Everybody waits and no timer is set, or somebody turns round and round at one moment: in the real world this would hang for ever."""


class _Selector:
    """What the loop asks to wait for input: there is none, so waiting is letting the time pass."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._moment, self._turns = 0.0, 0

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Deadlock(f"nothing will ever happen after {self._loop.now} s")
        self._turns += 1
        self._loop.now += max(timeout, 0.0)
        if self._loop.now - self._moment >= RESOLUTION_SECONDS:
            self._moment, self._turns = self._loop.now, 0
        elif self._turns > TURNS_AT_MOST:
            self._turns = 0
            raise Deadlock(f"{TURNS_AT_MOST:,} turns, and it is still {self._loop.now:.3f} s")
        return []

    def close(self) -> None:
        """Nothing to close."""


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop whose time passes only while nobody has anything to do. Timers of one moment run in the order they were set."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self._clock_resolution = RESOLUTION_SECONDS
        self._selector = _Selector(self)

    def time(self) -> float:
        """Virtual seconds."""
        return self.now

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps, so nobody must be woken."""


def run(main: Coroutine[Any, Any, T]) -> T:
    """``main`` to its end in virtual time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


@dataclass
class Machine:
    """A computer: its processes share its clocks. ``boot`` is what its monotonic clock is ahead of the loop's, ``skew`` what its wall clock is off,
    ``starts`` how often it was started.
    """

    name: str
    boot: float = 0.0
    skew: float = 0.0
    starts: int = 1

    def start_again(self, now: float) -> None:
        """The power was away: the monotonic clock begins anew, the wall clock went on."""
        self.starts += 1
        self.boot = 5.0 - now


class SimClock:
    """The clocks of a machine as one process sees them: ``monotonic`` follows the loop, ``wall`` may jump.

    ``alive`` is asked when a sleep begins and when it ends: a process that has crashed does not wake up.
    """

    EPOCH = 1_795_000_000.0

    def __init__(self, machine: Machine, alive: Callable[[], None] = lambda: None) -> None:
        self._machine = machine
        self._alive = alive

    def monotonic(self) -> float:
        """Seconds since this machine was started."""
        return asyncio.get_running_loop().time() + self._machine.boot

    def wall(self) -> float:
        """Seconds since 1970, as this machine believes."""
        return self.EPOCH + asyncio.get_running_loop().time() + self._machine.skew

    async def sleep(self, seconds: float) -> None:
        """Wait in virtual time."""
        self._alive()
        await asyncio.sleep(seconds)
        self._alive()
