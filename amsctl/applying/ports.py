"""What carrying out a plan needs from outside: a reader, a writer, a clock, and somebody who writes down what happens."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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


class Writer(Protocol):
    """The one way to write to the AMS."""

    async def post(self, path: str, query: Mapping[str, str], body: Mapping[str, object]) -> Answer:
        """Send once. AmsUnreachable: nothing was sent. AmsRefused: answered with a failure. Any other AmsError: it may have been applied."""
        ...


class Clock(Protocol):
    """Time, as far as carrying out needs it."""

    def wall(self) -> float:
        """Seconds since 1970, UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Recorder(Protocol):
    """Told of everything, in order. An exception from ``intended`` keeps the call from being sent."""

    def started(self, plan: Plan, at: str) -> None:
        """The run begins; nothing was sent yet."""
        ...

    def intended(self, step: Step, attempt: int, at: str) -> None:
        """A call is about to leave."""
        ...

    def settled(self, report: StepReport, at: str) -> None:
        """The outcome of a step is known."""
        ...

    def finished(self, report: Report) -> None:
        """The run is over."""
        ...
