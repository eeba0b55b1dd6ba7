"""A plan, carried out: fresh or refused, then account by account, steps in order, each proven before the next.

Whether a change runs was decided in the plan. Here it is only ever stopped: by a value that moved, a step that did not verify, or a signal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from amsctl.applying.attempt import Hand, attempt, read_back
from amsctl.applying.freshness import stale
from amsctl.applying.ports import Clock, Reader, Recorder, Writer
from amsctl.applying.report import Report, StepReport
from amsctl.applying.state import AccountState, LimitsCall, call_of, check, compare, state_of
from amsctl.concurrently import for_each
from amsctl.errors import AmsctlError, AmsError, ExitCode, RecordingFailed
from amsctl.model import AccountKey, Firm, Outcome, Phase
from amsctl.planning.plan import Change, Observed, Plan, Step

_GOOD: Final = frozenset({Outcome.VERIFIED, Outcome.SKIPPED})
_LETS_MORE_THROUGH: Final = frozenset({Phase.LOOSEN, Phase.RELEASE})


class Stop:
    """Asked before every write. ``request`` stops all further ones; calls in flight are drained and recorded."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.exit_code: ExitCode | None = None

    def request(self, reason: str, exit_code: ExitCode | None = None) -> None:
        """Stop before the next write. The first reason stays."""
        if self.reason is None:
            self.reason, self.exit_code = reason, exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What an apply works with. ``firms`` maps the AMS's name of a clearing firm to the firm."""

    reader: Reader
    writer: Writer
    clock: Clock
    firms: Mapping[str, Firm]
    recorder: Recorder
    settle_seconds: float
    concurrency: int
    stop: Stop = field(default_factory=Stop)
    progress: Callable[[int, int], None] = lambda done, total: None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One account's part of a plan."""

    key: AccountKey
    firm: Firm
    observed: Observed
    steps: tuple[Step, ...]


async def execute(plan: Plan, means: Means) -> Report:
    """Carry a plan out and tell what happened, every planned step exactly once.

    Nothing is written unless every account that would be written is exactly as the plan saw it; then accounts run side by side, up to
    ``concurrency``. AmsError when an account cannot be read before the first write; PlanFileError when a step does not do what its changes say.
    """
    started_at = stamp(means.clock)
    changes = {change.id: change for change in plan.changes}
    jobs = _jobs(plan, means.firms)
    moved = await _freshness(jobs, changes, means)
    run = _Run(means, changes, started_at, total=len(plan.steps))
    means.recorder.started(plan, started_at)
    if moved:
        run.stale.extend(moved)
        means.stop.request("the live state is no longer what the plan saw")
    await for_each(jobs, run.account, concurrency=means.concurrency)
    return run.report(plan)


def stamp(clock: Clock, *, later_seconds: int = 0) -> str:
    """Now, or so many seconds later, in UTC, as plans and reports write it."""
    return datetime.fromtimestamp(int(clock.wall()) + later_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _jobs(plan: Plan, firms: Mapping[str, Firm]) -> list[_Job]:
    observed = {item.account_key: item for item in plan.observed}
    steps: dict[AccountKey, list[Step]] = {}
    for step in plan.steps:
        steps.setdefault(step.account_key, []).append(step)
    missing = [key for key in steps if key not in observed or key.firm not in firms]
    if missing:
        raise AmsctlError("the plan writes an account that it did not read or may not use", where=str(missing[0]), hint="plan again")
    return [_Job(key=key, firm=firms[key.firm], observed=observed[key], steps=tuple(listed)) for key, listed in steps.items()]


async def _freshness(jobs: Sequence[_Job], changes: Mapping[str, Change], means: Means) -> list[str]:
    """What has moved on any account that would be written, in the order of accounts. Reads everything before anything is written."""
    numbers: dict[str, list[str]] = {}
    for job in jobs:
        numbers.setdefault(job.firm.name, []).append(job.key.number)
    statuses = {name: await means.reader.statuses(means.firms[name], listed) for name, listed in numbers.items()}
    found: dict[AccountKey, tuple[str, ...]] = {}

    async def look(job: _Job) -> None:
        entry = statuses[job.firm.name].get(job.key.number)
        if entry is None:
            found[job.key] = (f"{job.key}: the AMS no longer lists this account",)
            return
        live = await means.reader.account(job.firm, job.key.number, status=entry)
        found[job.key] = stale(job.observed, job.steps, changes, live)

    await for_each(jobs, look, concurrency=means.concurrency)
    return [line for job in jobs for line in found[job.key]]


class _Run:
    """The outcomes of one apply as they come in."""

    def __init__(self, means: Means, changes: Mapping[str, Change], started_at: str, *, total: int) -> None:
        self.means = means
        self.total = total
        self.changes = changes
        self.started_at = started_at
        self.stale: list[str] = []
        self.outcomes: dict[str, StepReport] = {}
        self.under_way: dict[AccountKey, str] = {}
        """The step of each account that was last announced: it may have been sent."""

    def settle(self, report: StepReport) -> None:
        self.outcomes[report.id] = report
        try:
            self.means.recorder.settled(report, stamp(self.means.clock))
        except RecordingFailed as problem:
            self.means.stop.request(f"what happens can no longer be recorded: {problem}")
        self.means.progress(len(self.outcomes), self.total)

    def block(self, steps: Iterable[Step], why: str) -> None:
        for step in steps:
            self.settle(StepReport(id=step.id, outcome=Outcome.BLOCKED, message=why))

    def report(self, plan: Plan) -> Report:
        report = Report(
            plan_digest=plan.digest,
            started_at=self.started_at,
            finished_at=stamp(self.means.clock),
            steps=tuple(self.outcomes[step.id] for step in plan.steps),
            stale=tuple(self.stale),
            interrupted=self.means.stop.exit_code,
        )
        with suppress(RecordingFailed):  # everything is sent and settled: the report itself must still reach the user
            self.means.recorder.finished(report)
        return report

    async def account(self, job: _Job) -> None:
        """One account, to its end. A defect of ours in one must not cut off the calls of the others, nor be told as "nothing written"."""
        try:
            await self._account(job)
        except Exception as defect:
            self.defective(job, defect)

    async def _account(self, job: _Job) -> None:
        """Read again, compare again, then the steps in order."""
        if self.means.stop.reason is not None:
            self.block(job.steps, self.means.stop.reason)
            return
        try:
            live = await self.means.reader.account(job.firm, job.key.number)
        except AmsError as problem:
            self.block(job.steps, f"the account could not be read right before its writes: {problem}")
            return
        moved = stale(job.observed, job.steps, self.changes, live)
        if moved:
            self.moved(moved)
            self.block(job.steps, moved[0])
            return
        await _Account(self, job, state_of(live)).carry_out()

    def defective(self, job: _Job, defect: Exception) -> None:
        """An account whose steps can no longer be followed: what was under way is unknown, the rest is not sent, and no further write starts."""
        why = f"internal error: {type(defect).__name__}; this is a defect, please report it"
        self.means.stop.request(why)
        for step in job.steps:
            if step.id not in self.outcomes:
                sent = step.id == self.under_way.get(job.key)
                self.settle(StepReport(id=step.id, outcome=Outcome.UNKNOWN if sent else Outcome.BLOCKED, attempts=int(sent), message=why))

    def moved(self, lines: Iterable[str]) -> None:
        """Somebody else writes while we do: no further write anywhere."""
        self.stale.extend(lines)
        self.means.stop.request("the live state moved while the plan was carried out")


class _Account:
    """The steps of one account, in order, on a model of what it holds."""

    def __init__(self, run: _Run, job: _Job, state: AccountState) -> None:
        self.run = run
        self.job = job
        self.state = state
        self.limits_are_fresh = True
        self.ended: str | None = None
        self.unproven: str | None = None
        """The first step that did not verify: nothing loosens after it."""
        self.proven = True
        """Whether the whole account was read since the last write to it."""

    async def carry_out(self) -> None:
        for number, step in enumerate(self.job.steps):
            # Asked again after the read: the run may have been stopped meanwhile.
            obstacle = self._obstacle(step) or await self._stale_limits(step) or self._obstacle(step)
            if obstacle is not None:
                self.run.block([step], obstacle)
            else:
                await self._step(step, last=number == len(self.job.steps) - 1)
            if self.unproven is None and self.run.outcomes[step.id].outcome not in _GOOD:
                self.unproven = step.id
        if not self.proven:
            await self._final_read()

    async def _final_read(self) -> None:
        """The account read once more, whole, when its last step was not the one that did so."""
        try:
            live = await self.run.means.reader.account(self.job.firm, self.job.key.number)
        except AmsError as problem:
            self.run.stale.append(f"{self.job.key}: could not be read at the end: {problem}")
            return
        moved = compare(self.state, state_of(live))
        if moved:
            self.run.moved(str(item) for item in moved)

    def _obstacle(self, step: Step) -> str | None:
        """Why a step may not be sent: the account is over, the run stops, or a step that must come first did not verify.

        Nothing of an account loosens after anything in it failed to verify, whether or not the plan made the one wait for the other.
        """
        if self.ended is not None:
            return self.ended
        if self.run.means.stop.reason is not None:
            return self.run.means.stop.reason
        unproven = (self.unproven,) if self.unproven is not None and step.phase in _LETS_MORE_THROUGH else ()
        for earlier in (*step.after, *unproven):
            report = self.run.outcomes.get(earlier)
            if report is None or report.outcome not in _GOOD:
                return f"step {earlier} must be verified first and is {'missing' if report is None else report.outcome.value}"
        return None

    async def _stale_limits(self, step: Step) -> str | None:
        """The foreign side is read right before its row is written: again, when another kind of call came in between."""
        call = call_of(step)
        if self.limits_are_fresh or not isinstance(call, LimitsCall):
            return None
        try:
            found = await read_back(call, self.state, self.job.firm, self.run.means.reader, whole=False)
        except AmsError as problem:
            self.ended = f"the limits could not be read right before they are written: {problem}"
            return self.ended
        moved = compare(self.state, found, call)
        if moved:
            self.run.moved(str(item) for item in moved)
            self.ended = str(moved[0])
            return self.ended
        self.limits_are_fresh = True
        return None

    async def _step(self, step: Step, *, last: bool) -> None:
        run, call = self.run, call_of(step)
        found = check(step, call, self.run.changes, self.state)
        if found:
            # Every value was as planned when the account was read and each step has verified since: the model is wrong, so nothing may be sent.
            self.ended = f"the state does not fit the plan: {found[0]}"
            run.block([step], self.ended)
            return
        hand = Hand(
            reader=run.means.reader,
            writer=run.means.writer,
            clock=run.means.clock,
            settle_seconds=run.means.settle_seconds,
            stopping=lambda: run.means.stop.reason is not None,
        )

        def announce(number: int) -> None:
            run.means.recorder.intended(step, number, stamp(run.means.clock))
            run.under_way[self.job.key] = step.id

        try:
            result = await attempt(step, call, self.state, self.job.firm, hand, whole=last, announce=announce)
        except RecordingFailed as problem:
            self.ended = f"not sent, because it could not be recorded first: {problem}"
            run.means.stop.request(self.ended)
            run.block([step], self.ended)
            return
        run.settle(
            StepReport(id=step.id, outcome=result.outcome, http_status=result.http_status, attempts=result.attempts, message=result.message)
        )
        self.limits_are_fresh = result.was_read and (isinstance(call, LimitsCall) or last)
        if result.state is None:
            self.proven = True  # the account could not be read: asking once more would not make it known
        else:
            self.state = result.state
            self.proven = last if result.was_read else self.proven
        if result.ends_account:
            self.ended = f"step {step.id} is {result.outcome.value}: nothing more is written to this account"
        if result.moved:
            run.moved(str(item) for item in result.moved)
