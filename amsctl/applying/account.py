"""One account of a plan, carried out: read again, compared again, then its steps in order, each proven before the next."""

from __future__ import annotations

from typing import Final

from amsctl.applying.attempt import Hand, Result, attempt, kept_back, read_back
from amsctl.applying.course import GOOD, LETS_MORE_THROUGH, Course, Job
from amsctl.applying.freshness import stale
from amsctl.applying.means import stamp
from amsctl.applying.report import StepReport
from amsctl.applying.resuming import proven
from amsctl.applying.state import AccountState, Call, LimitsCall, call_of, check, compare, state_of
from amsctl.errors import AmsError, RecordingFailed
from amsctl.model import LiveAccount, Phase
from amsctl.planning.plan import Step

ANNOUNCED_PART: Final = 4
"""The part of ``fresh_seconds`` within which a call must leave once it was announced."""
_TURNS: Final = 5
"""How often a call is brought up to date while it waits for its turn, before it is given up."""


async def carry_out(course: Course, job: Job, live: LiveAccount | None = None, *, read_at: float | None = None) -> None:
    """One account, to its end. ``live`` is what it held at ``read_at``, where it was just read.

    A defect of ours in one must not cut off the calls of the others, nor be told as "nothing written".
    """
    try:
        await _carry_out(course, job, live, read_at)
    except Exception as defect:
        await course.defective(job, defect)


async def _carry_out(course: Course, job: Job, live: LiveAccount | None, read_at: float | None) -> None:
    means = course.means
    closed = means.closed_to_us.get(job.key)
    if closed is not None or means.stop.reason is not None:
        await course.block(job.steps, closed or means.stop.reason or "")
        return
    if live is None:
        try:
            live = await means.reader.account(job.firm, job.key.number)
        except AmsError as problem:
            if job.key in course.written:  # by the first half of a run behind one barrier: somebody may have changed it since
                course.cannot_read(job.key, problem)
            await course.block(job.steps, f"the account could not be read right before its writes: {problem}")
            return
        moved = stale(job.observed, job.steps, course.changes, live, job.done)
        if moved:
            course.moved(moved)
            await course.block(job.steps, moved[0])
            return
        read_at = None
    await _Account(course, job, state_of(live), read_at).carry_out()


class _Account:
    """The steps of one account, in order, on a model of what it holds."""

    def __init__(self, course: Course, job: Job, state: AccountState, read_at: float | None = None) -> None:
        self.course = course
        self.job = job
        self.state = state
        self.limits_are_fresh = True
        self.read_at = course.means.clock.monotonic() if read_at is None else read_at
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
                await self.course.block([step], obstacle)
            else:
                await self._step(step, last=number == len(self.job.steps) - 1)
            if self.unproven is None and self.course.outcomes[step.id].outcome not in GOOD:
                self.unproven = step.id
        if not self.proven:
            await self._final_read()

    async def _final_read(self) -> None:
        """The account read once more, whole, when its last step was not the one that did so."""
        try:
            live = await self.course.means.reader.account(self.job.firm, self.job.key.number)
        except AmsError as problem:
            self.course.cannot_read(self.job.key, problem)
            return
        moved = compare(self.state, state_of(live))
        if moved:
            self.course.moved(str(item) for item in moved)

    def _obstacle(self, step: Step) -> str | None:
        """Why a step may not be sent: the account is over, the run forbids it, or a step that must come first did not verify.

        Nothing of an account loosens after anything in it failed to verify, whether or not the plan made the one wait for the other.
        """
        forbidden = self.ended or self.course.obstacle(step)
        if forbidden is not None:
            return forbidden
        unproven = (self.unproven,) if self.unproven is not None and step.phase in LETS_MORE_THROUGH else ()
        for earlier in (*step.after, *unproven):
            report = self.course.outcomes.get(earlier)
            if report is None or report.outcome not in GOOD:
                return f"step {earlier} must be verified first and is {'missing' if report is None else report.outcome.value}"
        return None

    async def _stale_limits(self, step: Step) -> str | None:
        """The foreign side is read right before its row is written: again, when another kind of call came in between."""
        if self.limits_are_fresh or not isinstance(call_of(step), LimitsCall):
            return None
        return await self._look_again(step)

    async def _look_again(self, step: Step) -> str | None:
        """What a step is about to write, read once more; why it must not be sent, when it cannot be read or is not what it was.

        The whole account before a release: that lets orders through only on the strength of all its limits.
        """
        call = call_of(step)
        whole = step.phase is Phase.RELEASE
        try:
            found = await read_back(call, self.state, self.job.firm, self.course.means.reader, whole=whole)
        except AmsError as problem:
            self.ended = f"what is to be written could not be read right before: {problem}"
            return self.ended
        self.read_at = self.course.means.clock.monotonic()
        moved = compare(self.state, found, call)
        if moved:
            self.course.moved(str(item) for item in moved)
            self.ended = str(moved[0])
            return self.ended
        self.limits_are_fresh = self.limits_are_fresh or whole or isinstance(call, LimitsCall)
        return None

    def _hand(self, step: Step) -> Hand:
        means = self.course.means

        announced_at = 0.0

        async def announce(number: int, previous_status: int | None) -> None:
            nonlocal announced_at
            announced_at = means.clock.monotonic()
            await means.recorder.intended(step, number, stamp(means.clock), previous_status=previous_status)

        def too_old() -> bool:
            # The lock and freezes were looked at when the call was announced: that must not be long ago either.
            now = means.clock.monotonic()
            return now - self.read_at > means.fresh_seconds or now - announced_at > means.fresh_seconds / ANNOUNCED_PART

        return Hand(
            reader=means.reader,
            writer=means.writer,
            clock=means.clock,
            settle_seconds=means.settle_seconds,
            unlimited_shown_as=means.unlimited_shown_as,
            stopping=lambda: means.stop.reason is not None,
            forbidden=lambda: self.course.forbids(step),
            too_old=too_old,
            announce=announce,
            tally=self.course.tallies[step.id],
        )

    async def _step(self, step: Step, *, last: bool) -> None:
        course, call = self.course, call_of(step)
        found = check(step, call, course.changes, self.state)
        if found:
            # Every value was as planned when the account was read and each step has verified since: the model is wrong, so nothing may be sent.
            self.ended = f"the state does not fit the plan: {found[0]}"
            await course.block([step], self.ended)
            return
        try:
            result = await self._attempt(step, call, last=last)
        except RecordingFailed as problem:
            self.ended = course.forbidden(problem)
            await course.block([step], self.ended)
            return
        if course.tallies[step.id].sent:
            course.written.add(self.job.key)
        await course.settle(
            StepReport(
                id=step.id,
                outcome=result.outcome,
                http_status=result.http_status,
                attempts=course.tallies[step.id].sent,
                message=result.message,
                rows=result.rows,
                response_sha256=result.response_sha256,
                done=self._done(step, result),
                announced=True,
            )
        )
        self.limits_are_fresh = result.was_read and (isinstance(call, LimitsCall) or last)
        if self.limits_are_fresh:
            self.read_at = course.means.clock.monotonic()
        if result.state is None:
            self.proven = True  # the account could not be read: asking once more would not make it known
        else:
            self.state = result.state
            self.proven = last if result.was_read else self.proven
        if result.ends_account:
            self.ended = f"step {step.id} is {result.outcome.value}: nothing more is written to this account"
        if result.moved:
            course.moved(str(item) for item in result.moved)

    def _done(self, step: Step, result: Result) -> tuple[str, ...] | None:
        """The changes of a step that are done, as far as they were read back."""
        if not result.was_read:
            return ()  # it never left
        return None if result.state is None else proven((self.course.changes[number] for number in step.changes), result.state)

    async def _attempt(self, step: Step, call: Call, *, last: bool) -> Result:
        """The step, tried again after a fresh look as often as it had to wait so long for its turn that what it stands on was old by then."""
        tally, waited = self.course.tallies[step.id], ""
        obstacle: str | None
        while True:
            hand = self._hand(step)
            try:
                result = await attempt(step, call, self.state, self.job.firm, hand, whole=last)
            except RecordingFailed as problem:
                if not waited:
                    raise
                # Announced before: what became of that has to be told, or the announcement stays open.
                self.ended = obstacle = self.course.forbidden(problem)
            else:
                if not result.too_old:
                    return result
                waited = result.message
                obstacle = "it had to wait too often" if tally.announced >= _TURNS else await self._renewed(step)
            if obstacle is not None:
                return await kept_back(call, self.state, self.job.firm, hand, f"{waited}; {obstacle}", whole=last)

    async def _renewed(self, step: Step) -> str | None:
        """What a step stands on, brought up to date; why it may not be sent after all."""
        return self._obstacle(step) or await self._look_again(step) or self._obstacle(step)
