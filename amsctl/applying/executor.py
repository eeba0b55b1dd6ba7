"""A plan, carried out: fresh or refused, then account by account, steps in order, each proven before the next.

Whether a change runs was decided in the plan. Here it is only ever stopped: by a value that moved, a step that did not verify, a signal, a lock, a
freeze or a window.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from amsctl.applying import account
from amsctl.applying.authorised import AuthorisedPlan
from amsctl.applying.course import LETS_MORE_THROUGH, Course, Job
from amsctl.applying.freshness import stale
from amsctl.applying.means import Barrier, Means, Work, stamp
from amsctl.applying.report import Report, StepReport
from amsctl.applying.resuming import remaining
from amsctl.applying.state import state_of
from amsctl.concurrently import for_each
from amsctl.errors import AmsctlError
from amsctl.model import AccountKey, Firm, LiveAccount, Outcome
from amsctl.planning.arrange import AccountPlan
from amsctl.planning.plan import Change, Plan, Step

_ALREADY: Final = "already as wanted"
_OURS: Final = "already as wanted: an earlier run of this plan did it"


async def execute(authorised: AuthorisedPlan, means: Means) -> Report:
    """Carry a plan out and tell what happened, every planned step exactly once.

    Nothing is written unless every account that would be written is exactly as the plan saw it (but for what an earlier run of the same plan did,
    ``means.sent``); then accounts run side by side, up to ``concurrency``. AmsError when an account cannot be read before the first write;
    PlanFileError when a step does not do what its changes say; NotBegun or Later when the run is stopped while it still reads: then it leaves no record.
    """
    plan = authorised.plan
    started_at = stamp(means.clock)
    changes = {change.id: change for change in plan.changes}
    seen = await means.stop.before(_look(_jobs(plan, means.firms), changes, means, authorised))
    ours = (job for job in seen.jobs if job.steps and job.key not in means.closed_to_us)
    means.may_begin([Work(steps=job.steps, pages=job.observed.pages) for job in ours])
    course = Course(means, changes, started_at, total=len(plan.steps))
    inverse = None if means.inversion is None else means.inversion.whole(seen.inverse)
    await means.recorder.started(plan, inverse, started_at)
    if seen.moved:
        course.moved(seen.moved, "the live state is no longer what the plan saw")
    for step in seen.skipped:
        message = _OURS if all(number in means.made for number in step.changes) else _ALREADY
        await course.settle(StepReport(id=step.id, outcome=Outcome.SKIPPED, message=message))
    await _carry_out(course, seen, means)
    return await course.report(plan)


async def _carry_out(course: Course, seen: _Seen, means: Means) -> None:
    """All jobs; with a barrier around the run, everything that tightens first, then the rest."""
    jobs = [job for job in seen.jobs if job.steps]
    fresh = means.clock.monotonic() - seen.read_at <= means.fresh_seconds
    if len(jobs) == 1 and means.barrier is Barrier.ACCOUNT and fresh:
        # The one account was read a moment ago, and the ledger was not slow since: this was the look right before its writes.
        await account.carry_out(course, jobs[0], seen.live.get(jobs[0].key), read_at=seen.read_at)
        return
    if means.barrier is Barrier.ACCOUNT:
        await for_each(jobs, lambda job: account.carry_out(course, job), concurrency=means.concurrency)
        return
    first, second = _two_passes(jobs)
    await for_each(first, lambda job: account.carry_out(course, job), concurrency=means.concurrency)
    if course.barrier is not None:
        await course.block((step for job in second for step in job.steps), course.barrier)
        return
    await for_each(second, lambda job: account.carry_out(course, job), concurrency=means.concurrency)


def _two_passes(jobs: Sequence[Job]) -> tuple[list[Job], list[Job]]:
    """What halts and tightens, of every account; then what loosens and releases, on accounts where the former is done."""
    first: list[Job] = []
    second: list[Job] = []
    for job in jobs:
        strict = tuple(step for step in job.steps if step.phase not in LETS_MORE_THROUGH)
        loose = tuple(step for step in job.steps if step.phase in LETS_MORE_THROUGH)
        if strict:
            first.append(replace(job, steps=strict))
        if loose:
            second.append(replace(job, steps=loose, done=job.done | {change for step in strict for change in step.changes}))
    return first, second


def _jobs(plan: Plan, firms: Mapping[str, Firm]) -> list[Job]:
    observed = {item.account_key: item for item in plan.observed}
    steps: dict[AccountKey, list[Step]] = {}
    for step in plan.steps:
        steps.setdefault(step.account_key, []).append(step)
    missing = [key for key in steps if key not in observed or key.firm not in firms]
    if missing:
        raise AmsctlError("the plan writes an account that it did not read or may not use", where=str(missing[0]), hint="plan again")
    return [Job(key=key, firm=firms[key.firm], observed=observed[key], steps=tuple(listed)) for key, listed in steps.items()]


@dataclass(slots=True)
class _Seen:
    """What the look at every account before the first write found, in the plan's order. ``live`` is kept of a plan of one account only."""

    jobs: list[Job]
    moved: list[str] = field(default_factory=list)
    skipped: list[Step] = field(default_factory=list)
    inverse: list[AccountPlan] = field(default_factory=list)
    live: dict[AccountKey, LiveAccount] = field(default_factory=dict)
    read_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    job: Job
    moved: tuple[str, ...] = ()
    skipped: tuple[Step, ...] = ()
    inverse: AccountPlan | None = None
    live: LiveAccount | None = None


async def _look(jobs: Sequence[Job], changes: Mapping[str, Change], means: Means, authorised: AuthorisedPlan) -> _Seen:
    """Read everything before anything is written: what has moved, what is done already, what would undo the run. What was read a moment ago to authorise
    the plan is not read again.
    """
    fresh = means.clock.monotonic() - authorised.read_at <= means.fresh_seconds
    known = authorised.read if fresh else {}
    numbers: dict[str, list[str]] = {}
    wanted = [job for job in jobs if job.key not in means.closed_to_us]
    for job in wanted:
        if job.key in known or job.key in authorised.moved:
            continue
        numbers.setdefault(job.firm.name, []).append(job.key.number)
    statuses = {name: await means.reader.statuses(means.firms[name], listed) for name, listed in numbers.items()}
    found: dict[AccountKey, _Found] = {}

    async def look(job: Job) -> None:
        if job.key in authorised.moved:
            found[job.key] = _Found(job=job, moved=authorised.moved[job.key])
            return
        if job.key in known:
            found[job.key] = _judge(job, changes, known[job.key], means)
            return
        entry = statuses[job.firm.name].get(job.key.number)
        if entry is None:
            found[job.key] = _Found(job=job, moved=(f"{job.key}: the AMS no longer lists this account",))
            return
        live = await means.reader.account(job.firm, job.key.number, status=entry)
        found[job.key] = _judge(job, changes, live, means)

    await for_each(wanted, look, concurrency=means.concurrency)
    seen = _Seen([], read_at=authorised.read_at if known else means.clock.monotonic())
    for job in jobs:
        one = found.get(job.key, _Found(job=job))
        seen.jobs.append(one.job)
        seen.moved += one.moved
        seen.skipped += one.skipped
        seen.inverse += () if one.inverse is None else (one.inverse,)
        if len(jobs) == 1 and one.live is not None:
            seen.live[job.key] = one.live
    return seen


def _judge(job: Job, changes: Mapping[str, Change], live: LiveAccount, means: Means) -> _Found:
    """One account as it was found. What undoes a run is reckoned from before the first of its calls, earlier runs of the same plan included."""
    skipped: tuple[Step, ...] = ()
    if means.sent is not None:
        left = remaining(job.steps, changes, means.sent, state_of(live))
        # What was proven to be done and is so no longer was undone by somebody since: it is not done again over their heads.
        made = frozenset(number for step in job.steps for number in step.changes if number in means.made)
        job, skipped = replace(job, steps=left.steps, done=left.done | made), left.skipped
    moved = stale(job.observed, job.steps, changes, live, job.done)
    undo = None
    if means.inversion is not None and not moved:
        undo = means.inversion.part(live, _of(job.steps, changes))
    return _Found(job=job, moved=moved, skipped=skipped, inverse=undo, live=None if moved else live)


def _of(steps: Iterable[Step], changes: Mapping[str, Change]) -> list[Change]:
    return [changes[number] for step in steps for number in step.changes]
