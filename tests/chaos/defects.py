"""Defects to put into the real command, in the process that is to have it alone. They prove that the judge would see one."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

from amsctl.model import Outcome


def plant(name: str) -> None:
    """Put one in."""
    {
        "no-intent": _no_intent,
        "late-intent": _late_intent,
        "intent-taken-lightly": _intent_taken_lightly,
        "sent-twice": _sent_twice,
        "loosen-first": _loosen_first,
        "too-much": _too_much,
        "wrong-outcome": _wrong_outcome,
        "settled-blindly": _settled_blindly,
    }[name]()


def _no_intent() -> None:
    """Nothing is recorded before a call leaves."""
    from amsctl.ledger.recorder import LedgerRecorder

    async def intended(*arguments: object, **named: object) -> None:
        return

    LedgerRecorder.intended = intended  # type: ignore[method-assign, assignment]


def _late_intent() -> None:
    """The intent is recorded when the answer is there."""
    from amsctl.ams.writer import Writer
    from amsctl.ledger.recorder import LedgerRecorder

    intended, post = LedgerRecorder.intended, Writer.post
    waiting: list[Any] = []

    async def later(*arguments: Any, **named: Any) -> None:
        waiting.append((arguments, named))

    async def posted(*arguments: Any, **named: Any) -> Any:
        try:
            return await post(*arguments, **named)
        finally:
            while waiting:
                first, second = waiting.pop()
                await intended(*first, **second)

    LedgerRecorder.intended = later  # type: ignore[method-assign, assignment]
    Writer.post = posted  # type: ignore[method-assign, assignment]


def _intent_taken_lightly() -> None:
    """A ledger that fails keeps no call from leaving."""
    from amsctl.errors import LedgerFailed
    from amsctl.ledger.recorder import LedgerRecorder

    intended = LedgerRecorder.intended

    async def tried(*arguments: Any, **named: Any) -> None:
        with suppress(LedgerFailed):
            await intended(*arguments, **named)

    LedgerRecorder.intended = tried  # type: ignore[method-assign]


def _sent_twice() -> None:
    """Each call is sent once more, to be on the safe side."""
    from amsctl.ams.writer import Writer

    post = Writer.post

    async def posted(*arguments: Any, **named: Any) -> Any:
        await post(*arguments, **named)
        return await post(*arguments, **named)

    Writer.post = posted  # type: ignore[method-assign, assignment]


def _loosen_first() -> None:
    """The last step of an account comes first, and nothing is asked of the order, nor of the plan."""
    from amsctl.applying import account, executor, freshness

    jobs = executor._jobs

    def turned(*arguments: Any) -> Any:
        return [replace(job, steps=tuple(reversed([replace(step, after=()) for step in job.steps]))) for job in jobs(*arguments)]

    def nothing(*arguments: Any) -> tuple[()]:
        return ()

    executor._jobs = turned
    account.check = nothing
    freshness.check = nothing


def _too_much() -> None:
    """A tightening lets through a hundred more than it should."""
    from amsctl.ams.writer import Writer

    post = Writer.post

    async def posted(writer: Writer, path: str, query: Any, body: Any, **named: Any) -> Any:
        rows = [{**row, "efLimits": {**row["efLimits"], "long": row["efLimits"]["long"] + 100}} for row in body["limits"]]
        return await post(writer, path, query, {**body, "limits": rows}, **named)

    Writer.post = posted  # type: ignore[method-assign, assignment]


def _wrong_outcome() -> None:
    """What was verified is recorded as failed."""
    from amsctl.ledger.recorder import LedgerRecorder

    settled = LedgerRecorder.settled

    async def told(recorder: LedgerRecorder, report: Any, at: str) -> None:
        await settled(recorder, replace(report, outcome=Outcome.FAILED), at)

    LedgerRecorder.settled = told  # type: ignore[method-assign]


def _settled_blindly() -> None:
    """A call that a crash left open is taken for done."""
    from amsctl.applying.settlement import Settlement
    from amsctl.operations import runs

    def settled(*arguments: object) -> Settlement:
        return Settlement(outcome=Outcome.VERIFIED, message="surely")

    runs.settlement = settled
