"""What carrying out a plan needs from outside: a reader, a writer, a clock, and somebody who writes down what happens."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from amsctl.applying.report import Report, StepReport
from amsctl.model import Firm, LiveAccount, LiveRow, RowKey
from amsctl.planning.plan import Plan, Step
from amsctl.wire.answers import AccountEntry


class Reader(Protocol):
    """Reads of the AMS, each whole or an AmsError."""

    async def statuses(self, firm: Firm, numbers: Collection[str]) -> Mapping[str, AccountEntry]:
        """Status by account number; an account that the AMS does not have is missing."""
        ...

    async def account(self, firm: Firm, number: str, *, status: AccountEntry | None = None) -> LiveAccount:
        """One account, whole."""
        ...

    async def limits(self, firm: Firm, number: str) -> Mapping[RowKey, LiveRow]:
        """The rows of one account."""
        ...

    async def suspensions(self, firm: Firm, number: str) -> Mapping[str, bool]:
        """Execution firm → suspended, of one account."""
        ...


class Answer(Protocol):
    """A successful answer to a POST."""

    @property
    def http_status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def body(self) -> Mapping[str, object]:
        """The decoded body."""
        ...

    @property
    def response_sha256(self) -> str | None:
        """Hexadecimal SHA-256 of the body as it came."""
        ...


class Writer(Protocol):
    """The one way to write to the AMS."""

    async def post(
        self, path: str, query: Mapping[str, str], body: Mapping[str, object], *, leaving: Callable[[], None] | None = None
    ) -> Answer:
        """Send once. AmsUnreachable: nothing was sent. AmsRefused: answered with a failure. Any other AmsError: it may have been applied.

        ``leaving`` is called when everything is ready and before the first byte leaves; what it raises keeps the call from being sent.
        """
        ...


class Clock(Protocol):
    """Time, as far as carrying out needs it."""

    def wall(self) -> float:
        """Seconds since 1970, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that only go forward, from an arbitrary start."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Gate(Protocol):
    """What may forbid a write from outside the plan: the lock that is held, the windows that are open."""

    def obstacle(self, step: Step) -> str | None:
        """Why a step may not be sent at this moment; ``None`` when it may. Asked before each step and again right before its bytes leave."""
        ...


class NoGate:
    """Nothing outside the plan forbids a write."""

    def obstacle(self, step: Step) -> str | None:
        """Never an obstacle."""
        return None


class Recorder(Protocol):
    """Told of everything, in order. RecordingFailed from ``intended`` keeps the call from being sent, and the run from sending another."""

    async def started(self, plan: Plan, inverse: Plan | None, at: str) -> None:
        """The run begins; nothing was sent yet. ``inverse`` is the plan that would undo all of it."""
        ...

    async def intended(self, step: Step, attempt: int, at: str, *, previous_status: int | None) -> None:
        """A call is about to leave; on return this is durable. ``previous_status`` is what the sending before it was answered with."""
        ...

    async def settled(self, report: StepReport, at: str) -> None:
        """The outcome of a step is known."""
        ...

    async def finished(self, report: Report) -> None:
        """The run is over."""
        ...
