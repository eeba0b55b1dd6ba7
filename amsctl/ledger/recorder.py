"""What an apply does, written into the ledger as it happens: an intent before each call, an outcome after it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from amsctl.ledger.leases import Leases, Offload
from amsctl.ledger.points import LET_THROUGH
from amsctl.ledger.values import Draft, Kind
from amsctl.planning.codec import encode_change, text_of
from amsctl.planning.guards import let_through
from amsctl.planning.plan import Change, Plan, Step
from amsctl.wire.bodies import request_bytes

if TYPE_CHECKING:
    from amsctl.applying.report import Report, StepReport
    from amsctl.config import GuardName
    from amsctl.ledger.store import Ledger

_TOGETHER: Final = 64
"""How many intents share a transaction at most: they came while the one before was written."""


_Waiting = tuple[Draft, "asyncio.Future[None]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Who runs, and why: the bodies ``who`` and ``why`` of a run's first record, how it was agreed to, which run it resumes, and the inverse plan
    of the run that it resumes. ``barrier`` is what a failure keeps from loosening: a resume keeps to it. ``overrides`` are the guards that
    held the plan up and were overridden by name.
    """

    who: Mapping[str, object] = field(default_factory=dict)
    why: Mapping[str, object] = field(default_factory=dict)
    consent: str = ""
    approvals: tuple[Mapping[str, object], ...] = ()
    resumes: str | None = None
    inverse_digest: str = ""
    barrier: str = "account"
    overrides: tuple[GuardName, ...] = ()


class LedgerRecorder:
    """``applying.ports.Recorder`` on a ledger. Every exception of it is a RecordingFailed: LedgerFailed, LockLost or Frozen.

    ``sent_at`` gives the machine and its monotonic milliseconds: by these, a later run on the same machine knows how long ago a call may have left,
    whatever was done to the wall clock meanwhile.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        ams: str,
        run: str,
        leases: Leases,
        cause: Cause,
        offload: Offload,
        sent_at: Callable[[], Mapping[str, object]],
    ) -> None:
        self._sent_at = sent_at
        self._ledger = ledger
        self._ams = ams
        self._run = run
        self._leases = leases
        self._cause = cause
        self._offload = offload
        self._url = ""
        self._changes: Mapping[str, Change] = {}
        self._let_through: Collection[str] = ()
        self._places: dict[str, tuple[str, str]] = {}
        self._waiting: dict[str, list[_Waiting]] = {}
        self._writing: dict[str, asyncio.Task[None]] = {}

    async def started(self, plan: Plan, inverse: Plan | None, at: str) -> None:
        """The run's first record, with the plan (which has steps) and its inverse kept whole."""
        self._url = plan.target.url
        self._changes = {change.id: change for change in plan.changes}
        self._let_through = let_through(plan, self._cause.overrides)
        self._places = {step.id: (step.clearing_firm, step.account) for step in plan.steps}
        plans = {plan.digest: "".join(text_of(plan)).encode("ascii")}
        if inverse is not None:
            plans[inverse.digest] = "".join(text_of(inverse)).encode("ascii")
        firms = sorted({step.clearing_firm for step in plan.steps})
        body = {
            "environment": plan.target.environment,
            "plan_digest": plan.digest,
            "inverse_digest": inverse.digest if inverse is not None else self._cause.inverse_digest,
            "steps": len(plan.steps),
            "firms": firms,
            "who": dict(self._cause.who),
            "why": dict(self._cause.why),
            "barrier": self._cause.barrier,
            "consent": self._cause.consent,
            "overrides": list(self._cause.overrides),
            "approvals": [dict(approval) for approval in self._cause.approvals],
            "resumes": self._cause.resumes,
            "tool": plan.tool_version,
        }
        draft = Draft(
            kind=Kind.RUN_STARTED, ams=self._ams, url=self._url, firm=firms[0] if len(firms) == 1 else "", run=self._run, body=body
        )
        _, lease = await self._offload(self._ledger.append, [draft], lease=self._leases.of(firms[0]), plans=plans)
        self._leases.renewed(lease)

    async def intended(self, step: Step, attempt: int, at: str, *, previous_status: int | None) -> None:
        """Durable before it returns, in one transaction with the look at the lock and at freezes."""
        lease = self._leases.of(step.clearing_firm)
        body = {
            "step": step.id,
            "attempt": attempt,
            "phase": step.phase.value,
            "method": step.method,
            "path": step.path,
            "query": dict(step.query),
            "request_sha256": sha256(request_bytes(step.body)).hexdigest(),
            "previous": None if previous_status is None else {"http_status": previous_status},
            "changes": [encode_change(self._changes[number]) for number in step.changes],
            LET_THROUGH: [number for number in step.changes if number in self._let_through],
            "fence": lease.fence,
            "clock": dict(self._sent_at()),
        }
        draft = Draft(
            kind=Kind.INTENT, ams=self._ams, url=self._url, firm=step.clearing_firm, account=step.account, run=self._run, body=body
        )
        await self._together(draft)

    async def _together(self, draft: Draft) -> None:
        """One transaction for all intents of a firm that wait for it, so that accounts side by side do not wait for each other's disk."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(draft.firm, []).append((draft, done))
        if draft.firm not in self._writing:
            self._writing[draft.firm] = asyncio.create_task(self._write(draft.firm))
        await done

    async def _write(self, firm: str) -> None:
        waiting = self._waiting[firm]
        batch: list[_Waiting] = []
        try:
            while waiting:
                batch = waiting[:_TOGETHER]
                del waiting[:_TOGETHER]
                try:
                    _, lease = await self._offload(self._ledger.append, [draft for draft, _ in batch], lease=self._leases.of(firm))
                except Exception as problem:  # whatever it is, it belongs to those who wait
                    for _, done in batch:
                        if not done.done():
                            done.set_exception(problem)
                else:
                    self._leases.renewed(lease)
                    for _, done in batch:
                        if not done.done():
                            done.set_result(None)
        finally:
            del self._writing[firm]
            for _, done in (*batch, *waiting):  # not one is left but when this task itself was cancelled
                done.cancel()

    async def settled(self, report: StepReport, at: str) -> None:
        """The outcome of a step that was announced or sent; any other leaves no record but its place in the run's counts."""
        if not (report.announced or report.attempts):
            return
        rows = None if report.rows is None else {"done": list(report.rows.done), "not_done": list(report.rows.not_done)}
        body = {
            "step": report.id,
            "outcome": report.outcome.value,
            "http_status": report.http_status,
            "attempts": report.attempts,
            "message": report.message,
            "response_sha256": report.response_sha256,
            "rows": rows,
            "done": None if report.done is None else list(report.done),
        }
        firm, account = self._places[report.id]
        # Without a look at the lock: what happened has happened, whoever holds it now.
        await self._offload(
            self._ledger.append,
            [Draft(kind=Kind.OUTCOME, ams=self._ams, url=self._url, firm=firm, account=account, run=self._run, body=body)],
        )

    async def finished(self, report: Report) -> None:
        """The run's last record."""
        counts = {outcome.value: count for outcome, count in report.counts.items()}
        body = {"exit_code": int(report.exit_code), "counts": counts, "stale": list(report.stale), "postponed": report.postponed}
        await self._offload(self._ledger.append, [Draft(kind=Kind.RUN_FINISHED, ams=self._ams, url=self._url, run=self._run, body=body)])
