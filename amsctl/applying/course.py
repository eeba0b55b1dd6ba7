"""The course of one run: every step's outcome as it comes in, and everything that keeps the next from being sent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from amsctl.applying.attempt import Tally
from amsctl.applying.means import Barrier, Means, stamp
from amsctl.applying.report import Report, StepReport
from amsctl.errors import AmsError, Later, RecordingFailed
from amsctl.model import AccountKey, Firm, Outcome, Phase
from amsctl.planning.plan import Change, Observed, Plan, Step

GOOD: Final = frozenset({Outcome.VERIFIED, Outcome.SKIPPED})
LETS_MORE_THROUGH: Final = frozenset({Phase.LOOSEN, Phase.RELEASE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One account's part of a plan. ``done`` names changes that were carried out already, by an earlier run or an earlier pass of this one."""

    key: AccountKey
    firm: Firm
    observed: Observed
    steps: tuple[Step, ...]
    done: frozenset[str] = frozenset()


class Course:
    """The outcomes of one run."""

    def __init__(self, means: Means, changes: Mapping[str, Change], started_at: str, *, total: int) -> None:
        self.means = means
        self.changes = changes
        self.outcomes: dict[str, StepReport] = {}
        self.tallies: defaultdict[str, Tally] = defaultdict(Tally)
        """By step: how often it was announced and sent."""
        self.unread: list[str] = []
        self.written: set[AccountKey] = set()
        """Accounts to which a call has left."""
        self._total = total
        self._started_at = started_at
        self._stale: dict[str, None] = {}
        self._postponed: str | None = None
        self._unrecorded: str | None = None
        self.broken: str | None = None
        """The first step of the run that did not verify."""

    async def settle(self, report: StepReport) -> None:
        """The outcome of a step is known: keep it, record it."""
        self.outcomes[report.id] = report
        if self.broken is None and report.outcome not in GOOD:
            self.broken = f"step {report.id} is {report.outcome.value}"
        try:
            await self.means.recorder.settled(report, stamp(self.means.clock))
        except RecordingFailed as problem:
            self.cannot_record(problem)
        self.means.progress(len(self.outcomes), self._total)

    def cannot_record(self, problem: RecordingFailed) -> None:
        """Something that happened can no longer be written down: nothing further is sent."""
        reason = f"what happens can no longer be recorded: {problem}"
        self._unrecorded = self._unrecorded or reason
        self.means.stop.request(reason)

    def forbidden(self, problem: RecordingFailed) -> str:
        """A call could not be recorded before it left, or a lock or freeze forbade it: nothing further is sent."""
        reason = f"not sent, because it could not be recorded first: {problem}"
        if isinstance(problem, Later):
            reason = f"not sent: {problem}"
            self._postponed = self._postponed or str(problem)
        self.means.stop.request(reason)
        return reason

    async def block(self, steps: Iterable[Step], why: str) -> None:
        """Steps that are not sent."""
        for step in steps:
            await self.settle(StepReport(id=step.id, outcome=Outcome.BLOCKED, message=why))

    def cannot_read(self, key: AccountKey, problem: AmsError) -> None:
        """An account that was written to and is not known any more."""
        self.unread.append(f"{key}: could not be read at the end: {problem}")

    def moved(self, lines: Iterable[str], reason: str = "the live state moved while the plan was carried out") -> None:
        """Somebody else writes while we do: no further write anywhere."""
        self._stale.update(dict.fromkeys(lines))
        self.means.stop.request(reason)

    def obstacle(self, step: Step) -> str | None:
        """Why a step may not be sent, as far as the whole run knows: it stops, something outside forbids it, or the run's barrier holds."""
        forbidden = self.forbids(step)
        if forbidden is not None:
            return forbidden
        if self.means.barrier is Barrier.RUN and self.broken is not None and step.phase in LETS_MORE_THROUGH:
            return self.barrier
        return None

    def forbids(self, step: Step) -> str | None:
        """Why nothing may be sent now, whatever became of other steps: the run stops, or a lock, a window or the clock is in the way."""
        if self.means.stop.reason is not None:
            return self.means.stop.reason
        forbidden = self.means.gate.obstacle(step)
        if forbidden is not None:
            self._postponed = self._postponed or forbidden
        return forbidden

    @property
    def barrier(self) -> str | None:
        """Why nothing loosens any more in the whole run, where its barrier is drawn round the run."""
        return None if self.broken is None else f"nothing loosens any more in this run: {self.broken}"

    async def defective(self, job: Job, defect: Exception) -> None:
        """An account whose steps can no longer be followed: what has left is unknown, the rest is not sent, and no further write starts."""
        why = f"internal error: {type(defect).__name__}; this is a defect, please report it"
        self.means.stop.request(why)
        for step in job.steps:
            if step.id not in self.outcomes:
                tally = self.tallies[step.id]
                outcome = Outcome.UNKNOWN if tally.sent else Outcome.FAILED if tally.announced else Outcome.BLOCKED
                await self.settle(StepReport(id=step.id, outcome=outcome, attempts=tally.sent, message=why, announced=tally.announced > 0))

    async def report(self, plan: Plan) -> Report:
        """The report of the run, which is over."""
        report = Report(
            plan_digest=plan.digest,
            started_at=self._started_at,
            finished_at=stamp(self.means.clock),
            steps=tuple(self.outcomes[step.id] for step in plan.steps),
            stale=tuple(self._stale),
            interrupted=self.means.stop.exit_code,
            postponed=self._postponed or self.means.stop.postponed,
            unread=tuple(self.unread),
            unrecorded=self._unrecorded,
            run=self.means.run,
        )
        try:
            await self.means.recorder.finished(report)
        except RecordingFailed as problem:  # everything is sent and settled: the report itself must still reach the user
            return replace(report, unrecorded=report.unrecorded or f"the end of the run could not be recorded: {problem}")
        return report
