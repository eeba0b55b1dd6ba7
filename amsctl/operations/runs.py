"""A run: the locks taken, what an earlier crash left open settled, a plan carried out and recorded, the locks given back.

There is no other way to write to the AMS. ``carry_out`` and ``resume`` write; ``resolve`` and ``roll_back`` only read it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from amsctl.applying.account import ANNOUNCED_PART
from amsctl.applying.estimate import Speed, seconds_needed
from amsctl.applying.executor import execute
from amsctl.applying.means import Barrier, Means, Stop, lifetime, stamp
from amsctl.applying.recorders import Recorders
from amsctl.applying.settlement import Settlement, settlement
from amsctl.applying.state import state_of
from amsctl.config import GuardName
from amsctl.errors import AmsctlError, AmsError, Later, PlanFileError, Stale, UsageError
from amsctl.ledger.evidence import Earlier, earlier_of
from amsctl.ledger.leases import Leases, Offload, held
from amsctl.ledger.recorder import Cause, LedgerRecorder
from amsctl.ledger.values import Attempt, Draft, Kind, Run, Scope
from amsctl.model import AccountKey, Firm, Phase
from amsctl.operations.authorise import Reviewed, authorise
from amsctl.operations.flow import (
    Progress,
    check_findings,
    quiet_windows,
    rules_of,
    silent,
)
from amsctl.operations.points import points_now
from amsctl.operations.spending import reviews_of, spent_at
from amsctl.planning.codec import decode_changes
from amsctl.planning.inverse import Inversion
from amsctl.planning.plan import Change, Plan
from amsctl.planning.points import Rank
from amsctl.version import version

if TYPE_CHECKING:
    from amsctl.ams.channel import Statistics
    from amsctl.ams.client import Reader
    from amsctl.ams.clock import Clock
    from amsctl.ams.transport import Transport
    from amsctl.ams.writer import Writer
    from amsctl.applying.means import Work
    from amsctl.applying.ports import Recorder
    from amsctl.applying.report import Report
    from amsctl.config import Environment, Project, Requests
    from amsctl.ledger.store import Ledger
    from amsctl.ledger.values import Holder
    from amsctl.planning.plan import Step
    from amsctl.windows.hours import Hours

MOST_CLOCK_OFFSET_SECONDS: Final = 300.0
"""Between this machine's clock and the server's: windows, expiry and the ledger's times mean nothing beyond it."""
_MOMENT_SECONDS: Final = 0.001
_LOOK_UP_SECONDS: Final = 1.0
"""How soon a signal is heeded while this waits."""


async def in_a_thread(work: Callable[..., Any], *arguments: object, **named: object) -> Any:
    """Run a function that blocks in a thread of its own."""
    return await asyncio.to_thread(work, *arguments, **named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a simulator replaces: the clock, the connections, chance, the names of runs, and threads."""

    clock: Clock | None = None
    transport: Transport | None = None
    draw: Callable[[], float] | None = None
    token: Callable[[], str] = lambda: secrets.token_hex(3)
    offload: Offload = in_a_thread
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A call that an earlier run left open, and what reading the account shows of it; ``settlement`` is ``None`` when it could not be read."""

    attempt: Attempt
    settlement: Settlement | None
    problem: str = ""

    def __str__(self) -> str:
        told = (
            f"{self.settlement.outcome.value}: {self.settlement.message}" if self.settlement is not None else f"still open: {self.problem}"
        )
        return f"{self.attempt.account_key}: step {self.attempt.step} of run {self.attempt.run} is {told}"


Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Undertaking:
    """Everything that a run needs to know besides its plan."""

    project: Project
    environment: Environment
    ledger: Ledger
    cause: Cause = field(default_factory=Cause)
    barrier: Barrier = Barrier.ACCOUNT
    recorders: Sequence[Recorder] = ()
    stop: Stop = field(default_factory=Stop)
    progress: Progress = silent
    tell: Tell = lambda line: None
    surroundings: Surroundings = field(default_factory=Surroundings)


def cause_of(
    plan: Plan | None,
    project: Project,
    environment: Environment,
    environ: Mapping[str, str],
    *,
    consent: str,
    reason: str | None,
    resumed: Run | None = None,
    overrides: Sequence[GuardName] = (),
    approvals: Sequence[Mapping[str, object]] = (),
) -> Cause:
    """Who and why, as far as the plan's commit, the surroundings and the command line tell."""
    from amsctl.operations.reasons import why
    from amsctl.provenance.people import who

    git = None if plan is None else plan.origin.git
    commit = None if git is None else git.commit
    return Cause(
        who=who(environ, principal=environment.auth.principal, git_author=None if git is None else git.author),
        why=why(commit=commit, message=None if git is None else git.message, reason=reason),
        consent=consent,
        resumes=None if resumed is None else resumed.id,
        inverse_digest="" if resumed is None else resumed.inverse_digest,
        overrides=tuple(overrides) if resumed is None else overridden(resumed),
        approvals=tuple(approvals) if resumed is None else approvals_of(resumed),
    )


def approvals_of(run: Run) -> tuple[Mapping[str, object], ...]:
    """The approvals under which a run began: whoever resumes it goes on under them."""
    listed = run.body.get("approvals")
    return tuple(one for one in listed if isinstance(one, Mapping)) if isinstance(listed, list) else ()


def overridden(run: Run) -> tuple[GuardName, ...]:
    """The guards that were overridden by name when a run began."""
    named = run.body.get("overrides")
    return tuple(GuardName(name) for name in named if name in list(GuardName)) if isinstance(named, list) else ()


# --- writing ---


async def carry_out(reviewed: Reviewed, undertaking: Undertaking) -> Report:
    """Carry out a plan that was reviewed, once it is authorised on what is live, and report on every step of it.

    Refused when a finding blocks it; Stale when a run has carried it out already; Locked, Frozen or WindowClosed when nothing may be written now.
    """
    return await _Conduct(reviewed, undertaking).carry_out(resumed=None)


async def resume(run: Run, reviewed: Reviewed, undertaking: Undertaking) -> Report:
    """Go on with an earlier run: read everything again, send what is still wanted of its plan, and report on every step of that.

    Calls of which nobody knew what became are settled by reading first. A plan whose accounts moved otherwise is stale and nothing is written.
    """
    if reviewed.plan.digest != run.plan_digest:
        raise PlanFileError("this is not the plan of the run", where=f"run {run.id}", expected=run.plan_digest, found=reviewed.plan.digest)
    return await _Conduct(reviewed, undertaking).carry_out(resumed=run)


class _Conduct:
    """One run of one plan."""

    def __init__(self, reviewed: Reviewed, undertaking: Undertaking) -> None:
        from amsctl.ams.clock import SystemClock
        from amsctl.ledger.holder import this_holder
        from amsctl.windows.hours import Hours

        self.holder = this_holder(undertaking.surroundings.environ)
        self.reviewed = reviewed
        self.plan = reviewed.plan
        self.u = replace(undertaking, cause=replace(undertaking.cause, overrides=reviewed.overrides, approvals=reviewed.approvals))
        self.clock: Clock = undertaking.surroundings.clock or SystemClock()
        environment = undertaking.environment
        project = undertaking.project
        sets = [project, *(rules.project for rules in reviewed.rules)]
        windows = tuple(dict.fromkeys(window for one in sets for window in (*one.windows, *quiet_windows(one.safeguards))))
        self.hours = Hours(calendar=environment.calendar, windows=windows, environment=environment.name)
        self.run = _run_name(self.clock, undertaking.surroundings)

    async def carry_out(self, resumed: Run | None) -> Report:
        plan, u = self.plan, self.u
        points = await u.surroundings.offload(points_now, plan, u.project, u.ledger, self.clock)
        # Where the branch of record has a history, it may say more than a ledger that does not know a leg for as long: that is asked once the AMS is read.
        sure = {key: point for key, point in points.items() if self.reviewed.past is None or point.rank is not Rank.FIRST}
        for rules in self.reviewed.rules:
            check_findings(plan, rules.project.guards, u.cause.overrides, points=sure)
        self._check_hours(0.0)
        async with _writer(u, self.clock) as writer:
            reader = writer.reader
            firms = await u.stop.before(self._firms(reader))
            check_clock(reader)
            self._check_time_is_known(reader)
            scopes = [Scope(u.environment.ams_name, name) for name in firms]
            async with _locks(firms, scopes, self.run, u, self.clock, self.holder) as leases:
                # Under the lock: nobody can send anything of this plan between this look and our own first call.
                earlier = await u.surroundings.offload(self._earlier, resumed)
                await u.surroundings.offload(self._spend)
                closed = await settle_earlier(
                    reader, firms, scopes, u, clock=self.clock, holder=self.holder, run=self.run, lift=resumed is not None
                )
                if resumed is not None:
                    # Once more: what this settling has just proven to be done, and somebody takes back from now on, is not done again either.
                    earlier = await u.surroundings.offload(self._earlier, resumed)
                before = replace(reader.statistics)
                authorised = await u.stop.before(
                    authorise(self.reviewed, reader, firms, self.clock, earlier=earlier, leave=frozenset(closed), points=points)
                )
                return await execute(authorised, self._means(writer, reader, firms, leases, closed, earlier, before))

    def _check_time_is_known(self, reader: Reader) -> None:
        """Later where the server names no time, and windows or approvals go by one: this machine's clock alone proves nothing."""
        if reader.clock_offset_seconds is not None or (self.hours.always and not self.reviewed.approvals):
            return
        raise Later(
            "the AMS names no time, so this machine's clock cannot be checked",
            where=self.u.environment.url,
            expected="an answer with a Date, since windows or approvals depend on the time",
            found="none",
            hint="try again; where this AMS never sends a Date, a plan needs neither windows nor approvals to be applied",
        )

    async def _firms(self, reader: Reader) -> dict[str, Firm]:
        """The clearing firms that are written, and those that were read and have calls that an earlier run left open, by the AMS's name.

        PlanFileError when the plan calls one of its firms otherwise: locks, open calls and quarantine are kept by that name, and would be passed by.
        """
        plan = self.plan
        written, read = {step.clearing_firm for step in plan.steps}, {seen.clearing_firm for seen in plan.observed}
        for name in sorted(written | read | {change.clearing_firm for change in plan.changes}) if written else ():
            firm = await reader.resolve(name)
            if firm.name != name:
                raise PlanFileError(
                    "the plan calls a clearing firm otherwise than the AMS",
                    where=f"clearing firm {name}",
                    expected=firm.name,
                    found=name,
                    hint="the plan file was not written by amsctl plan; plan again",
                )
        left = await self.u.surroundings.offload(self.u.ledger.attempts, open_only=True)
        waiting = {attempt.scope.firm for attempt in left if attempt.scope.ams == self.u.environment.ams_name}
        return {name: await reader.resolve(name) for name in sorted(written | (waiting & read))}

    def _earlier(self, resumed: Run | None) -> Earlier | None:
        """What was made of this plan before; ``None`` when this is no resume, and Stale when it should be one."""
        runs, earlier = earlier_of(self.plan, self.u.ledger)
        if resumed is not None:
            return earlier
        refuse_second(runs, earlier)
        return None

    def _spend(self) -> None:
        """The approvals that count once what was carried out under the same reviews is known; ApprovalMissing where they are not enough."""
        reviewed_at = reviews_of(self.reviewed.approvals)
        spent = spent_at(self.plan, self.u.environment.ams_name, self.u.ledger, reviewed_at) if reviewed_at else None
        if spent is not None:
            approvals = self.reviewed.agree_again(spent)
            self.reviewed = replace(self.reviewed, approvals=approvals)
            self.u = replace(self.u, cause=replace(self.u.cause, approvals=approvals))

    def _sent_at(self) -> dict[str, object]:
        return {"machine": self.holder.machine, "monotonic_ms": int(self.clock.monotonic() * 1000)}

    def _check_hours(self, needs_seconds: float) -> None:
        self.hours.check(self.clock.wall(), needs_seconds, dict.fromkeys(step.phase for step in self.plan.steps))

    def _may_begin(self, reader: Reader, before: Statistics, work: Sequence[Work]) -> None:
        """WindowClosed when the run would not be done before one closes. The margin is what the gate demands of the last call, and one late answer."""
        requests, so_far = self.u.project.requests, reader.statistics
        gets, seconds = so_far.gets - before.gets, so_far.get_seconds - before.get_seconds
        speed = Speed(answer_seconds=seconds / gets if gets else 0.0, per_second=requests.per_second, concurrency=requests.concurrency)
        self._check_hours(seconds_needed(work, speed, self.u.barrier) + requests.timeout_seconds + requests.settle_seconds)

    def _means(
        self,
        writer: Writer,
        reader: Reader,
        firms: Mapping[str, Firm],
        leases: Leases,
        closed: Mapping[AccountKey, str],
        earlier: Earlier | None,
        before: Statistics,
    ) -> Means:
        u = self.u
        recorder = LedgerRecorder(
            u.ledger,
            ams=u.environment.ams_name,
            run=self.run,
            leases=leases,
            cause=replace(u.cause, barrier=u.barrier.value),
            offload=u.surroundings.offload,
            sent_at=self._sent_at,
        )
        requests = u.project.requests
        return Means(
            reader=reader,
            writer=writer,
            clock=self.clock,
            firms=firms,
            # The ledger last: an intent that it keeps is then known to have been told to everybody else. A plan without steps leaves no trace in it.
            recorder=Recorders([*u.recorders, *([recorder] if self.plan.steps else [])]),
            unlimited_shown_as=self.u.environment.assumptions.unlimited_shown_as,
            settle_seconds=requests.settle_seconds,
            concurrency=requests.concurrency,
            fresh_seconds=fresh_seconds(requests),
            stop=u.stop,
            gate=_Gate(
                leases, self.hours, reader, self.clock, post_seconds=requests.timeout_seconds, settle_seconds=requests.settle_seconds
            ),
            barrier=u.barrier,
            sent=None if earlier is None else earlier.sent,
            made=() if earlier is None else earlier.made,
            closed_to_us=closed,
            inversion=None if earlier is not None else self._inversion(),
            may_begin=partial(self._may_begin, reader, before),
            progress=lambda done, total: u.progress(done, total, reader.calls),
            run=self.run,
        )

    def _inversion(self) -> Inversion:
        created_at, expires_at = lifetime(self.clock, self.u.project.plan_valid_hours * 3600)
        return Inversion(
            rules=rules_of(self.u.project, self.u.environment),
            target=self.plan.target,
            origin=self.plan.origin,
            created_at=created_at,
            expires_at=expires_at,
            tool_version=version(),
            safeguards=self.u.project.safeguards,
            protected=frozenset(seen.account_key for seen in self.plan.observed if seen.protected),
            labels={seen.account_key: seen.labels for seen in self.plan.observed if seen.labels},
        )


def fresh_seconds(requests: Requests) -> float:
    """How old a read may be that a call is made on the strength of: ten seconds, or four turns of every account side by side where calls are slow."""
    turn = 0.0 if requests.per_second is None else requests.concurrency / requests.per_second
    return max(10.0, 4 * turn)


def _run_name(clock: Clock, surroundings: Surroundings) -> str:
    """``20261123T231726Z-ab12cd``: sorts by time, and two that start in the same second differ."""
    return f"{stamp(clock).replace('-', '').replace(':', '')}-{surroundings.token()}"


def check_clock(reader: Reader) -> None:
    """AmsctlError when this machine's clock and the server's are too far apart for times to mean anything."""
    wrong = _wrong_clock(reader, "nothing was written")
    if wrong is not None:
        raise wrong


def _wrong_clock(reader: Reader, so_far: str) -> AmsctlError | None:
    offset = reader.clock_offset_seconds
    if offset is None or abs(offset) <= MOST_CLOCK_OFFSET_SECONDS:
        return None
    return AmsctlError(
        "this machine's clock and the server's differ",
        expected=f"at most {MOST_CLOCK_OFFSET_SECONDS:.0f} s",
        found=f"{abs(offset):.0f} s {'behind' if offset > 0 else 'ahead of'} the server",
        hint=f"set the clock: windows, the plan's expiry and the ledger's times depend on it; {so_far}",
    )


@asynccontextmanager
async def _writer(u: Undertaking, clock: Clock) -> AsyncIterator[Writer]:
    from amsctl.ams.writer import open_writer

    around = u.surroundings
    async with open_writer(u.environment, u.project.requests, clock=clock, transport=around.transport, draw=around.draw) as writer:
        yield writer


@asynccontextmanager
async def _locks(
    firms: Mapping[str, Firm], scopes: Iterable[Scope], run: str, u: Undertaking, clock: Clock, holder: Holder, *, writes: bool = True
) -> AsyncIterator[Leases]:
    async with held(
        u.ledger,
        scopes,
        url=u.environment.url,
        run=run,
        holder=holder,
        environment=u.environment.name,
        seconds=u.project.ledger.lease_seconds,
        clock=clock,
        offload=u.surroundings.offload,
        lost=u.stop.postpone,
        writes=writes,
        # A firm is written by its name or by its clearing id (AMS §3.6), also by whoever stops it in a hurry.
        also=lambda firm: (firms[firm].clearing_id,),
    ) as leases:
        yield leases


class _Gate:
    """Forbids a write that the lock might not outlast, that a window forbids or would cut off, or whose time nobody knows: a clock that is set while a
    run is under way shows at once, by the answers of the AMS and the clock that nobody can set.
    """

    def __init__(self, leases: Leases, hours: Hours, reader: Reader, clock: Clock, *, post_seconds: float, settle_seconds: float) -> None:
        self._leases = leases
        self._reader = reader
        self._hours = hours
        self._clock = clock
        self._post_seconds = post_seconds
        self._needs_seconds = post_seconds + settle_seconds

    def obstacle(self, step: Step) -> str | None:
        """See ``applying.ports.Gate``."""
        # The AMS cannot check a fence: a call must be over before anybody else can hold the lock.
        if self._leases.seconds_left(step.clearing_firm) <= self._post_seconds:
            return f"the lock on {step.clearing_firm} could not be renewed in time; another run may hold it by now"
        wrong = _wrong_clock(self._reader, "nothing further is written meanwhile")
        return str(wrong) if wrong is not None else self._closing(step.phase)

    def _closing(self, phase: Phase) -> str | None:
        if self._hours.always:
            return None
        try:
            self._hours.check(self._clock.wall(), self._needs_seconds, (phase,))
        except Later as closed:
            return str(closed)
        return None


# --- what an earlier run left open ---


async def settle_earlier(
    reader: Reader,
    firms: Mapping[str, Firm],
    scopes: Iterable[Scope],
    u: Undertaking,
    *,
    clock: Clock,
    holder: Holder,
    run: str,
    lift: bool,
) -> dict[AccountKey, str]:
    """Settle, by reading, what earlier runs left open, and give the accounts that must not be written now, each with the reason.

    A call without a recorded outcome (its run died) is always settled. One that was recorded as unknown is settled only with ``lift``: its account is
    in quarantine until somebody asks for it to be looked at (``resume``, ``resolve``).
    """
    opened = [attempt for scope in scopes for attempt in await u.surroundings.offload(u.ledger.attempts, scope=scope, open_only=True)]
    closed = {attempt.account_key: _quarantine(attempt) for attempt in opened if attempt.outcome is not None and not lift}
    wanted = [attempt for attempt in opened if attempt.account_key not in closed]
    for settled in await settle(reader, firms, wanted, u, clock=clock, holder=holder, run=run):
        u.tell(str(settled))
        if settled.settlement is None:
            closed[settled.attempt.account_key] = (
                f"an earlier call is still open (step {settled.attempt.step} of run {settled.attempt.run}): {settled.problem}"
            )
    return closed


def _quarantine(attempt: Attempt) -> str:
    return (
        f"in quarantine: nobody knows what became of step {attempt.step} of run {attempt.run}; "
        f"amsctl resolve {attempt.account_key} (or amsctl resume {attempt.run}) reads the account and lifts it"
    )


async def settle(
    reader: Reader, firms: Mapping[str, Firm], attempts: Sequence[Attempt], u: Undertaking, *, clock: Clock, holder: Holder, run: str
) -> list[Settled]:
    """What became of each open call, recorded. Waits first until none of them can take effect any more."""
    latest: dict[tuple[AccountKey, str, str], Attempt] = {}
    for attempt in attempts:
        latest[attempt.account_key, attempt.run, attempt.step] = attempt
    if not latest:
        return []
    await _wait_until_settled(latest.values(), u, clock, holder.machine)
    by_account: dict[AccountKey, list[Attempt]] = {}
    for attempt in latest.values():
        by_account.setdefault(attempt.account_key, []).append(attempt)
    found: list[Settled] = []
    for key, listed in sorted(by_account.items()):
        found += await _settle_account(reader, firms[key.firm], key, listed, u, run)
    return found


async def _wait_until_settled(attempts: Iterable[Attempt], u: Undertaking, clock: Clock, machine: str) -> None:
    """A call may wait a little after it was announced, be on its way for as long as a request may take, and land for as long as a late write may."""
    requests = u.project.requests
    patience = requests.timeout_seconds + requests.settle_seconds + fresh_seconds(requests) / ANNOUNCED_PART
    youngest = min(_seconds_since(attempt, clock, machine) for attempt in attempts)
    # Bounded on both sides: a clock that was set back must not make this wait for ever.
    wait = min(max(0.0, patience - youngest), patience)
    if wait > 0:
        u.tell(f"an earlier run left calls open; waiting {wait:.0f} s until none of them can take effect any more")
    until = clock.monotonic() + wait
    while (left := until - clock.monotonic()) > 0:
        u.stop.check("waiting for an earlier run's calls to settle")
        # At least a moment: one that is smaller than what a clock can tell apart would never pass.
        await clock.sleep(min(max(left, _MOMENT_SECONDS), _LOOK_UP_SECONDS))


def _seconds_since(attempt: Attempt, clock: Clock, machine: str) -> float:
    """How long ago a call was announced, at least: by the monotonic clock on the machine that did it, else by the wall clocks.

    Two machines that may write are each as far from the server's clock as may be, at most.
    """
    told = attempt.intent.get("clock")
    if isinstance(told, dict) and machine and told.get("machine") == machine and isinstance(told.get("monotonic_ms"), int):
        return clock.monotonic() - float(told["monotonic_ms"]) / 1000
    return clock.wall() - moment(attempt.at) - 2 * MOST_CLOCK_OFFSET_SECONDS


def moment(text: str) -> float:
    """A UTC time of the ledger as seconds since 1970."""
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


async def _settle_account(
    reader: Reader, firm: Firm, key: AccountKey, attempts: Sequence[Attempt], u: Undertaking, run: str
) -> list[Settled]:
    try:
        state = state_of(await u.stop.before(reader.account(firm, key.number)))
    except AmsError as problem:
        return [Settled(attempt=attempt, settlement=None, problem=f"the account cannot be read: {problem}") for attempt in attempts]
    settled = []
    for attempt in attempts:
        changes: tuple[Change, ...] = decode_changes(attempt.intent["changes"])
        judged = settlement(changes, state)
        body = {
            "step": attempt.step,
            "outcome": judged.outcome.value,
            "message": judged.message,
            "by_run": run,
            "done": list(judged.done),
            "found": list(judged.found),
        }
        ams, url = u.environment.ams_name, u.environment.url
        draft = Draft(kind=Kind.RESOLVED, ams=ams, url=url, firm=key.firm, account=key.number, run=attempt.run, body=body)
        await u.surroundings.offload(u.ledger.append, [draft])
        settled.append(Settled(attempt=attempt, settlement=judged))
    return settled


# --- reading only ---


async def resolve(undertaking: Undertaking, accounts: Sequence[str] = ()) -> list[Settled]:
    """Read every account with an open or unknown call (or those of ``accounts``, ``NUMBER`` or ``FIRM/NUMBER``), record what became of it, and lift the
    quarantine. Writes nothing to the AMS.
    """
    from amsctl.ams.client import open_reader
    from amsctl.ams.clock import SystemClock
    from amsctl.ledger.holder import this_holder

    u, around = undertaking, undertaking.surroundings
    clock = around.clock or SystemClock()
    ams = u.environment.ams_name
    offload = around.offload
    attempts = [
        one for one in await offload(u.ledger.attempts, open_only=True) if one.scope.ams == ams and _named(one.account_key, accounts)
    ]
    if not attempts:
        return []
    run, holder = _run_name(clock, around), this_holder(around.environ)
    async with open_reader(u.environment, u.project.requests, clock=clock, transport=around.transport, draw=around.draw) as reader:
        scopes = sorted({attempt.scope for attempt in attempts})
        firms = {scope.firm: await reader.resolve(scope.firm) for scope in scopes}
        check_clock(reader)
        # Under the lock: a run that is under way settles its calls itself.
        async with _locks(firms, scopes, run, u, clock, holder, writes=False):
            left = [one for scope in scopes for one in await offload(u.ledger.attempts, scope=scope, open_only=True)]
            still = [one for one in left if _named(one.account_key, accounts)]
            return await settle(reader, firms, still, u, clock=clock, holder=holder, run=run)


def _named(key: AccountKey, accounts: Sequence[str]) -> bool:
    return not accounts or key.number in accounts or str(key) in accounts


# --- choosing a run ---


def find_run(ledger: Ledger, name: str | None, *, ams: str | None = None) -> Run:
    """The run of that name (or an unambiguous beginning of it); without a name the newest. UsageError when there is none."""
    if name is not None:
        run = ledger.run(name)
        if run is None:
            raise UsageError("the ledger has no such run", found=name, hint="amsctl ledger log lists the runs")
        return run
    for run in ledger.runs(ams=ams):
        return run
    raise UsageError("the ledger has no run yet", hint="amsctl apply makes one")


def refuse_second(runs: Sequence[Run], earlier: Earlier) -> None:
    """Stale when something of a plan was sent already, by the newest of its ``runs``."""
    if earlier.sent:
        last = runs[0]
        hint = "plan again: a saved plan is good for one apply"
        if not finished_well(last):
            hint = f"amsctl resume {last.id} goes on with it; otherwise plan again"
        raise Stale("this plan was carried out already", where=f"run {last.id}, {last.at}", hint=hint)


def finished_well(run: Run) -> bool:
    """Whether nothing is left to resume."""
    return run.exit_code == 0
