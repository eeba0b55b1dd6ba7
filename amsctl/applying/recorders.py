"""Who writes down what happens while a plan is carried out. The events file is one; others stand beside it in one row."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Final, TextIO

from amsctl.applying.ports import Recorder
from amsctl.applying.report import Report, StepReport, encode_report, encode_step_report
from amsctl.errors import RecordingFailed
from amsctl.inert import inert_json
from amsctl.planning.plan import Plan, Step

EVENTS_FORMAT: Final = "amsctl.events/v1"


class Recorders:
    """Several recorders, told in order. Of a beginning, the first that cannot record stops the telling, and so the call; of what has happened, all are
    told, whichever cannot record it.
    """

    def __init__(self, recorders: Iterable[Recorder] = ()) -> None:
        self._recorders = tuple(recorders)

    async def started(self, plan: Plan, inverse: Plan | None, at: str) -> None:
        """See ``ports.Recorder``."""
        for recorder in self._recorders:
            await recorder.started(plan, inverse, at)

    async def intended(self, step: Step, attempt: int, at: str, *, previous_status: int | None) -> None:
        """See ``ports.Recorder``."""
        for recorder in self._recorders:
            await recorder.intended(step, attempt, at, previous_status=previous_status)

    async def settled(self, report: StepReport, at: str) -> None:
        """See ``ports.Recorder``."""
        await self._all(lambda recorder: recorder.settled(report, at))

    async def finished(self, report: Report) -> None:
        """See ``ports.Recorder``."""
        await self._all(lambda recorder: recorder.finished(report))

    async def _all(self, tell: Callable[[Recorder], Awaitable[None]]) -> None:
        """Every recorder, then the first failure: a disk that is full for one must not cost another an outcome."""
        failed: RecordingFailed | None = None
        for recorder in self._recorders:
            try:
                await tell(recorder)
            except RecordingFailed as problem:
                failed = failed or problem
        if failed is not None:
            raise failed


def _private(path: str, flags: int) -> int:
    descriptor = os.open(path, flags, _OWNER_ALONE)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):  # a device or a pipe is the user's to guard
            os.fchmod(descriptor, _OWNER_ALONE)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


_OWNER_ALONE: Final = 0o600


class EventsFile:
    """One JSON object a line, written as it happens (``amsctl.events/v1``): start, each step's outcome, finish. Readable by its owner alone, like the
    plan, whatever its mode was.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self._file: TextIO = open(path, "w", encoding="ascii", opener=_private)  # noqa: SIM115  closed by __exit__
        except OSError as problem:
            raise RecordingFailed("the events file cannot be written", where=path, found=problem.strerror) from None

    def __enter__(self) -> EventsFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with suppress(OSError):  # what could not be written has been told already
            self._file.close()

    def _write(self, event: dict[str, object]) -> None:
        try:
            self._file.write(inert_json(json.dumps(event)) + "\n")
            self._file.flush()
        except OSError as problem:
            raise RecordingFailed("the events file cannot be written", where=self._path, found=problem.strerror) from None

    async def started(self, plan: Plan, inverse: Plan | None, at: str) -> None:
        """The first line: which plan, how many steps."""
        self._write({"event": "start", "format": EVENTS_FORMAT, "plan_digest": plan.digest, "started_at": at, "steps": len(plan.steps)})

    async def intended(self, step: Step, attempt: int, at: str, *, previous_status: int | None) -> None:
        """Intentions are the ledger's to keep: a reader of events wants outcomes."""

    async def settled(self, report: StepReport, at: str) -> None:
        """One line a step, as in the report."""
        self._write({"event": "step", **encode_step_report(report), "at": at})

    async def finished(self, report: Report) -> None:
        """The last line: the counts."""
        self._write({"event": "finish", "finished_at": report.finished_at, "summary": encode_report(report)["summary"]})
