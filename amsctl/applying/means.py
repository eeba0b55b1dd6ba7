"""What an apply works with, and how it is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from amsctl.applying.ports import Clock, Gate, NoGate, Reader, Recorder, Writer
from amsctl.config import UnlimitedShownAs
from amsctl.errors import ExitCode, Later, NotBegun
from amsctl.model import AccountKey, Firm, LiveAccount
from amsctl.planning.arrange import AccountPlan
from amsctl.planning.plan import Change, Plan, Step

T = TypeVar("T")


class Stop:
    """Asked before every write. ``request`` stops all further ones; calls in flight are drained and recorded.

    ``exit_code`` is that of the signal that stopped the run, ``signalled`` that of the first signal, whatever had stopped the run before it.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.exit_code: ExitCode | None = None
        self.signalled: ExitCode | None = None
        self.postponed: str | None = None
        self._requested = asyncio.Event()

    def request(self, reason: str, exit_code: ExitCode | None = None) -> None:
        """Stop before the next write. The first reason stays."""
        if self.reason is None:
            self.reason, self.exit_code = reason, exit_code
        self.signalled = self.signalled or exit_code
        self._requested.set()

    def postpone(self, reason: str) -> None:
        """Stop before the next write, because of something that may be otherwise later: the lock is lost."""
        self.postponed = self.postponed or reason
        self.request(reason)

    def check(self, doing: str) -> None:
        """Nothing, as long as the run goes on; else the error of a run that ends before its first write: NotBegun of a signal, Later of a lost lock."""
        if self.reason is None:
            return
        what, hint = f"stopped while {doing}", "nothing was sent"
        if self.exit_code is not None:
            raise NotBegun(what, exit_code=self.exit_code, found=self.reason, hint=hint)
        raise Later(what, found=self.reason, hint=hint)

    async def before(self, reading: Coroutine[Any, Any, T]) -> T:
        """What a read before the first write gives. A stop cuts it off, since nothing depends on it yet: the error of ``check``."""
        task = asyncio.create_task(reading)
        requested = asyncio.create_task(self._requested.wait())
        try:
            if self.reason is None:
                await asyncio.wait((task, requested), return_when=asyncio.FIRST_COMPLETED)
            self.check("reading")
            return await task
        finally:
            for one in (task, requested):
                one.cancel()
            await asyncio.gather(task, requested, return_exceptions=True)


class Barrier(StrEnum):
    """What a step that did not verify keeps from loosening: the rest of its account, or the rest of the run."""

    ACCOUNT = "account"
    RUN = "run"


class Inversion(Protocol):
    """How the plan that would undo a run is made, account by account, from what was read right before the run."""

    def part(self, live: LiveAccount, changes: Iterable[Change]) -> AccountPlan:
        """What undoes ``changes`` on an account that holds ``live`` before them."""
        ...

    def whole(self, parts: Iterable[AccountPlan]) -> Plan:
        """The plan of all of them."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is to be done on one account. ``pages``: how many calls it takes to read its limits."""

    steps: tuple[Step, ...]
    pages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What an apply works with. ``firms`` maps the AMS's name of a clearing firm to the firm.

    ``unlimited_shown_as`` is how the AMS shows a leg without a limit. ``fresh_seconds``: what was read longer ago than this is read again before a call
    leaves that is made on its strength. ``sent`` names the steps that earlier runs of the same plan have sent (a resume), ``made`` the changes that were
    proven then to be done; ``closed_to_us`` the accounts that may not be written, with the reason. ``may_begin`` is called once, after everything was
    read and before the first write, with what is to be done; what it raises stops the run with nothing written.
    """

    reader: Reader
    writer: Writer
    clock: Clock
    firms: Mapping[str, Firm]
    recorder: Recorder
    settle_seconds: float
    concurrency: int
    fresh_seconds: float = 10.0
    unlimited_shown_as: UnlimitedShownAs = UnlimitedShownAs.NULL
    stop: Stop = field(default_factory=Stop)
    gate: Gate = field(default_factory=NoGate)
    barrier: Barrier = Barrier.ACCOUNT
    sent: Collection[str] | None = None
    made: Collection[str] = ()
    closed_to_us: Mapping[AccountKey, str] = field(default_factory=dict)
    inversion: Inversion | None = None
    may_begin: Callable[[Sequence[Work]], None] = lambda work: None
    progress: Callable[[int, int], None] = lambda done, total: None
    run: str = ""


def lifetime(clock: Clock, seconds: int) -> tuple[str, str]:
    """Now, and so many seconds later: of one look at the clock, which may turn to the next second between two."""
    now = int(clock.wall())
    return _written(now), _written(now + seconds)


def stamp(clock: Clock, *, later_seconds: int = 0) -> str:
    """Now, or so many seconds later, in UTC, as plans and reports write it."""
    return _written(int(clock.wall()) + later_seconds)


def _written(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
