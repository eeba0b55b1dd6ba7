"""One run of amsctl as a process of its own: it has an identity and a clock, and it can crash or be stopped at any point.

A crashed process runs none of its cleanup: whatever it does afterwards (give locks back, record, send) is refused by everything it could do it with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar

from tests.faults.history import History
from tests.faults.loop import RESOLUTION_SECONDS, Machine, SimClock


class Crashed(BaseException):
    """The process is gone. No ``except Exception`` may catch it."""


class Process:
    """``crash_at`` is the number of the point at which it dies (of those called ``crash_on`` alone, when that is given), ``pause_at`` that at which it is
    stopped for ``pause_seconds`` (SIGSTOP).
    """

    def __init__(
        self,
        number: int,
        machine: Machine,
        history: History,
        *,
        crash_at: int | None = None,
        crash_on: str | None = None,
        pause_at: int | None = None,
        pause_seconds: float = 0.0,
    ) -> None:
        self.number = number
        self.machine = machine
        self.clock = SimClock(machine, self.check)
        self.history = history
        self.crash_at, self.crash_on = crash_at, crash_on
        self.pause_at, self.pause_seconds = pause_at, pause_seconds
        self.dead = False
        self.points = 0
        self._crash_points = 0
        self.task: asyncio.Task[object] | None = None
        self.on_crash: list[Callable[[Process], None]] = []
        self.falls: Callable[[str], None] = self.crash
        """What happens at the point of its crash: it dies alone, or with its whole machine."""
        self.ended = False
        self._paused_until = 0.0

    def check(self) -> None:
        """Crashed when it is."""
        if self.dead:
            raise Crashed

    def point(self, name: str) -> None:
        """A point at which a process may die."""
        self.check()
        self.points += 1
        if self.points == self.pause_at:
            self._paused_until = self.clock.monotonic() + self.pause_seconds
            self.history.add("pause", p=self.number, point=name, seconds=self.pause_seconds)
        if self.crash_on in (None, name):
            self._crash_points += 1
            if self._crash_points == self.crash_at:
                self.falls(name)
                raise Crashed

    def crash(self, name: str) -> None:
        """Die here and now."""
        if self.dead:
            return
        self.dead = True
        self.history.add("crash", p=self.number, point=name)
        for told in self.on_crash:
            told(self)
        if self.task is not None:
            self.task.cancel()

    async def awake(self) -> None:
        """Return when the process is not stopped; time goes on meanwhile."""
        self.check()
        # What is shorter than the loop can tell is over: a timer set for it fires at once, at the same time, and so for ever.
        while (left := self._paused_until - self.clock.monotonic()) > 2 * RESOLUTION_SECONDS:
            await asyncio.sleep(left)
            self.check()


CURRENT: ContextVar[Process] = ContextVar("process")
"""The process that a coroutine belongs to."""
