"""Defects that are planted into the real code on purpose, one at a time, to prove that the checker would find them.

Each is what a tired colleague could write: a check left out, an order turned round, an exception swallowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from amsctl.ams import client, paging
from amsctl.ams.writer import Writer
from amsctl.applying import account, attempt, course, executor
from amsctl.applying.authorised import AuthorisedPlan
from amsctl.applying.settlement import Settlement
from amsctl.applying.state import after_call
from amsctl.errors import AmsError
from amsctl.ledger import recorder
from amsctl.ledger.database import Database
from amsctl.ledger.locks import predecessor
from amsctl.ledger.store import Ledger
from amsctl.ledger.values import Kind
from amsctl.model import Outcome, Phase
from amsctl.operations import rollback, runs
from amsctl.planning import inverse
from tests.authorised import authorised
from tests.faults.ledgers import RecordedLedger

Bug = Callable[[], AbstractContextManager[object]]
BUGS: dict[str, Bug] = {}


def planted(name: str | None) -> AbstractContextManager[object]:
    """The real code with one defect in it for as long as the block lasts; without a name, as it is."""
    return nullcontext() if name is None else BUGS[name]()


def bug(work: Callable[[], Iterator[AbstractContextManager[object]]]) -> Bug:
    """A defect: all the patches that it yields, in force together."""

    @contextmanager
    def together() -> Iterator[None]:
        with ExitStack() as stack:
            for part in work():
                stack.enter_context(part)
            yield

    BUGS[work.__name__.replace("_", "-")] = together
    return together


Patches = Iterator[AbstractContextManager[object]]


def _to(target: object, name: str, value: object) -> AbstractContextManager[object]:
    return patch.object(target, name, value)


def _nothing_moved(*arguments: object, **named: object) -> tuple[str, ...]:
    return ()


_authorise = runs.authorise


async def _door_without_a_look(reviewed: Any, *arguments: Any, **named: Any) -> AuthorisedPlan:
    """Lets the plan through without reading what is live."""
    return authorised(reviewed.plan)


# --- order and barriers ---


def _no_barrier(self: Any, step: Any) -> str | None:
    forbidden: str | None = self.ended or self.course.obstacle(step)
    return forbidden


_obstacle = account._Account._obstacle
_jobs = executor._jobs


def _no_barrier_for_release(self: Any, step: Any) -> str | None:
    return _no_barrier(self, step) if step.phase is Phase.RELEASE else _obstacle(self, step)


@bug
def skip_the_barrier() -> Patches:
    """A step that failed keeps nothing from loosening."""
    yield _to(account._Account, "_obstacle", _no_barrier)


@bug
def loosen_first() -> Patches:
    """The steps of an account run from last to first."""
    yield _to(account._Account, "_obstacle", _no_barrier)
    yield _to(executor, "_jobs", lambda plan, firms: [replace(job, steps=tuple(reversed(job.steps))) for job in _jobs(plan, firms)])
    yield _to(executor, "stale", _nothing_moved)
    yield _to(account, "stale", _nothing_moved)
    yield _to(account, "check", _nothing_moved)


@bug
def release_before_limits() -> Patches:
    """An account is activated before its limits are written."""

    def released_first(plan: Any, firms: Any) -> list[Any]:
        return [
            replace(job, steps=tuple(sorted(job.steps, key=lambda step: step.phase is not Phase.RELEASE))) for job in _jobs(plan, firms)
        ]

    yield _to(executor, "_jobs", released_first)
    yield _to(account._Account, "_obstacle", _no_barrier_for_release)


@bug
def activate_with_a_row_not_equal() -> Patches:
    """An account is activated although a row of it did not verify."""
    yield _to(account._Account, "_obstacle", _no_barrier_for_release)


@bug
def barrier_round_the_account_alone() -> Patches:
    """A barrier round the run is taken for one round each account."""
    yield _to(executor, "_two_passes", lambda jobs: (jobs, ()))


# --- intents ---

_intended, _settled = recorder.LedgerRecorder.intended, recorder.LedgerRecorder.settled


@bug
def skip_the_intent() -> Patches:
    """Nothing is recorded before a call leaves."""

    async def intended(self: Any, *arguments: Any, **named: Any) -> None:
        return None

    yield _to(recorder.LedgerRecorder, "intended", intended)


@bug
def intent_after_the_call() -> Patches:
    """The intent is recorded together with the outcome."""
    waiting: dict[str, list[Any]] = {}

    async def intended(self: Any, step: Any, number: int, at: str, *, previous_status: int | None) -> None:
        waiting.setdefault(step.id, []).append((step, number, at, previous_status))

    async def settled(self: Any, report: Any, at: str) -> None:
        for step, number, when, status in waiting.pop(report.id, ()):
            await _intended(self, step, number, when, previous_status=status)
        await _settled(self, report, at)

    yield _to(recorder.LedgerRecorder, "intended", intended)
    yield _to(recorder.LedgerRecorder, "settled", settled)


@bug
def one_intent_for_two_sendings() -> Patches:
    """The second sending of a step is not recorded."""

    async def intended(self: Any, step: Any, number: int, at: str, *, previous_status: int | None) -> None:
        if number == 1:
            await _intended(self, step, number, at, previous_status=previous_status)

    yield _to(recorder.LedgerRecorder, "intended", intended)


_begin, _append = Database._begin, Ledger.append


def _waits_for_the_disk(database: Database, waits: bool) -> None:
    """What the next commits of a ledger in SQLite do: the level of ``PRAGMA synchronous`` can only be set between transactions."""
    raw = database._engine.raw_connection()
    raw.cursor().execute(f"PRAGMA synchronous = {'FULL' if waits else 'NORMAL'}")
    raw.close()


@bug
def skip_the_fsync() -> Patches:
    """SQLite is told that a commit need not wait for the disk, as so much advice on its speed has it."""

    def begin(self: Any, options: Any) -> Any:
        _waits_for_the_disk(self, False)
        return _begin(self, options)

    yield _to(Database, "_begin", begin)


@bug
def skip_the_fsync_of_an_intent() -> Patches:
    """The intent of a call becomes durable with the outcome of it."""

    def append(self: Any, drafts: Any, **named: Any) -> Any:
        _waits_for_the_disk(self._database, all(draft.kind is not Kind.INTENT for draft in drafts))
        try:
            return _append(self, drafts, **named)
        finally:
            _waits_for_the_disk(self._database, True)

    yield _to(Ledger, "append", append)


# --- sending ---

_send = attempt._send


@bug
def repeat_a_post_blindly() -> Patches:
    """A call without a clear answer is sent again."""

    async def twice(*arguments: Any) -> Any:
        sent = await _send(*arguments)
        return await _send(*arguments) if sent.reply is attempt.Reply.UNCLEAR else sent

    yield _to(attempt, "_send", twice)


@bug
def resend_without_reading() -> Patches:
    """After a 401 a call is sent again without looking whether it is still wanted."""

    async def wanted(*arguments: Any) -> bool:
        return True

    yield _to(attempt, "_still_wanted", wanted)


@bug
def resend_under_a_new_intent() -> Patches:
    """After a lost answer a call is sent again, well recorded, but unread."""

    async def again(step: Any, call: Any, state: Any, firm: Any, hand: Any) -> Any:
        sent = await _send(step, call, state, firm, hand)
        if sent.reply is not attempt.Reply.UNCLEAR:
            return sent
        await hand.announce(2, sent.http_status)
        return await _send(step, call, state, firm, hand)

    yield _to(attempt, "_send", again)


_post = Writer.post


@bug
def write_a_row_outside_the_plan() -> Patches:
    """A row that nobody planned travels along."""

    async def post(self: Any, path: str, query: Any, body: Any, **named: Any) -> Any:
        if "limits" in body and not query:
            extra = {"product": "ZZ.FUT.CME", "efId": body["limits"][0]["efId"], "efLimits": {"long": 1, "short": 1}}
            body = {**body, "limits": [*body["limits"], {**extra, "cmfLimits": {"long": 1, "short": 1}}]}
        return await _post(self, path, query, body, **named)

    yield _to(Writer, "post", post)


@bug
def write_a_row_outside_the_plan_and_record_it() -> Patches:
    """The same, and the ledger is told of exactly these bytes."""
    true_bytes = recorder.request_bytes

    def more(body: Any) -> Any:
        if "limits" not in body:
            return body
        extra = {"product": "ZZ.FUT.CME", "efId": body["limits"][0]["efId"], "efLimits": {"long": 1, "short": 1}}
        return {**body, "limits": [*body["limits"], {**extra, "cmfLimits": {"long": 1, "short": 1}}]}

    async def post(self: Any, path: str, query: Any, body: Any, **named: Any) -> Any:
        return await _post(self, path, query, more(body), **named)

    yield _to(Writer, "post", post)
    yield _to(recorder, "request_bytes", lambda body: true_bytes(more(body)))


@bug
def echo_a_stale_foreign_side() -> Patches:
    """The other side's legs go out as they were when the plan was made, whatever was read since."""
    yield _to(runs, "authorise", _door_without_a_look)
    yield _to(executor, "stale", _nothing_moved)
    yield _to(account, "stale", _nothing_moved)
    yield _to(account, "check", _nothing_moved)


@bug
def rows_unread_after_another_call() -> Patches:
    """The rows are not read again when a suspension or a status was written in between."""

    async def never(self: Any, step: Any) -> None:
        return None

    yield _to(account._Account, "_stale_limits", never)


# --- proof ---

_judge, _attempt, _verdict = attempt._judge, attempt.attempt, attempt._verdict
_settled_attempt = attempt._settled


@bug
def drop_the_compare() -> Patches:
    """Whatever was read back, the step is verified."""
    yield _to(attempt, "_verdict", lambda call, sent, missed, *, untouched: (Outcome.VERIFIED, "", False))


@bug
def trust_a_200() -> Patches:
    """A good answer is proof enough: nothing is read back."""

    async def settled(call: Any, state: Any, firm: Any, hand: Any, *, whole: bool, sent: Any) -> Any:
        if sent.reply is attempt.Reply.AGREED:
            return after_call(state, call)
        return await _settled_attempt(call, state, firm, hand, whole=whole, sent=sent)

    yield _to(attempt, "_settled", settled)


@bug
def unknown_is_done() -> Patches:
    """A call of which nobody knows what became is told as verified."""

    async def certain(step: Any, call: Any, state: Any, *arguments: Any, **named: Any) -> Any:
        result = await _attempt(step, call, state, *arguments, **named)
        if result.outcome is not Outcome.UNKNOWN:
            return result
        return replace(result, outcome=Outcome.VERIFIED, ends_account=False, state=after_call(state, call))

    yield _to(account, "attempt", certain)


@bug
def no_settling_time() -> Patches:
    """A call without an answer that is not there at the first look has failed."""

    async def settled(call: Any, state: Any, firm: Any, hand: Any, *, whole: bool, sent: Any) -> Any:
        return await _settled_attempt(call, state, firm, hand, whole=whole, sent=replace(sent, settles=False))

    yield _to(attempt, "_settled", settled)


@bug
def no_settling_time_after_a_crash() -> Patches:
    """What an earlier run left open is judged at once."""

    async def at_once(*arguments: Any) -> None:
        return None

    yield _to(runs, "_wait_until_settled", at_once)


@bug
def failed_though_it_landed() -> Patches:
    """Without a good answer a step has failed, whatever was read back."""

    def verdict(call: Any, sent: Any, missed: Any, *, untouched: bool) -> Any:
        if sent.reply in (attempt.Reply.UNCLEAR, attempt.Reply.REFUSED):
            return (Outcome.FAILED, sent.message, False)
        return _verdict(call, sent, missed, untouched=untouched)

    yield _to(attempt, "_verdict", verdict)


@bug
def somebody_elses_change_untold() -> Patches:
    """What somebody else changed meanwhile is not told."""
    yield _to(course.Course, "moved", lambda self, lines, reason="": None)


# --- reading ---


class _Enough(Exception):
    """A page that failed ends the list."""


@bug
def swallow_a_failed_page() -> Patches:
    """Pages that cannot be read are left out."""
    whole = paging.read_whole

    async def lenient(fetch: Any, rules: Any, **named: Any) -> Any:
        got: list[Any] = []

        async def keep(offset: int) -> Any:
            if offset == 1:  # from the beginning, once more
                got.clear()
            try:
                page = await fetch(offset)
            except AmsError:
                if not got:
                    raise
                raise _Enough from None
            got.append(page)
            return page

        try:
            return await whole(keep, rules, **named)
        except _Enough:
            return paging.Whole(rows={key: value for page in got for key, value in page.rows}, pages=len(got))

    yield _to(client, "read_whole", lenient)


@bug
def ignore_that_the_plan_is_stale() -> Patches:
    """Values that moved since the plan was made are overwritten."""
    yield _to(runs, "authorise", _door_without_a_look)
    yield _to(executor, "stale", _nothing_moved)
    yield _to(account, "stale", _nothing_moved)
    yield _to(account, "check", _nothing_moved)
    yield _to(account, "compare", _nothing_moved)


@bug
def skip_the_stale_check_of_a_resume() -> Patches:
    """A resumed run does not look whether anything else has moved since."""
    stale = executor.stale

    def lenient(observed: Any, steps: Any, changes: Any, live: Any, done: Any = ()) -> Any:
        return () if done else stale(observed, steps, changes, live, done)

    async def door(*arguments: Any, earlier: Any = None, **named: Any) -> AuthorisedPlan:
        if earlier is not None:
            return await _door_without_a_look(*arguments)
        return await _authorise(*arguments, earlier=earlier, **named)

    yield _to(runs, "authorise", door)
    yield _to(executor, "stale", lenient)
    yield _to(account, "stale", lenient)
    yield _to(account, "check", _nothing_moved)


# --- resuming, rolling back ---


_earlier_of = runs.earlier_of


@bug
def forget_what_was_made() -> Patches:
    """A resume looks at what was sent, and not at what was proven to be done."""

    def forgetful(plan: Any, ledger: Any) -> Any:
        found, earlier = _earlier_of(plan, ledger)
        return found, replace(earlier, made=frozenset())

    yield _to(runs, "earlier_of", forgetful)


@bug
def take_back_what_was_never_sent() -> Patches:
    """A rollback takes every change of the plan for one that was made."""

    def generous(plan: Any, ledger: Any) -> Any:
        found, earlier = _earlier_of(plan, ledger)
        return found, replace(earlier, doubtful=frozenset(change.id for change in plan.changes))

    yield _to(rollback, "earlier_of", generous)


@bug
def take_back_what_others_made_of_it() -> Patches:
    """A rollback restores what was, whatever is there by now."""
    yield _to(inverse, "_same", lambda found, value: True)


# --- earlier runs, locks ---


@bug
def ignore_a_quarantine() -> Patches:
    """What an earlier run left open, or unknown, keeps nothing from being written."""

    async def nothing(*arguments: Any, **named: Any) -> dict[Any, str]:
        return {}

    yield _to(runs, "settle_earlier", nothing)


@bug
def resolved_as_wished() -> Patches:
    """What an earlier run left open counts as done."""
    yield _to(runs, "settlement", lambda changes, state: Settlement(outcome=Outcome.VERIFIED, message=""))


@bug
def the_ledger_always_says_verified() -> Patches:
    """The outcome that is recorded is not the one that was found."""

    async def settled(self: Any, report: Any, at: str) -> None:
        await _settled(self, replace(report, outcome=Outcome.VERIFIED), at)

    yield _to(recorder.LedgerRecorder, "settled", settled)


_committing = RecordedLedger._committing


def _without_lease(self: Any, name: str, work: Any) -> Any:
    """The ledger does not look at the lease that it is shown."""
    if name != "append":
        return _committing(self, name, work)

    def append(drafts: Any, *, lease: Any = None, plans: Any = {}) -> Any:  # noqa: B006
        records, _ = work(drafts, plans=plans)
        until = self._process.clock.monotonic() + 1e9
        return records, None if lease is None else replace(lease, until_monotonic=until)

    return _committing(self, name, append)


@bug
def ignore_the_lock() -> Patches:
    """The lock is taken and recorded, whoever has it, and nobody minds that it was taken away."""

    def contested(self: Any, connection: Any, row: Any, now: Any) -> Any:
        return predecessor(row, "it was in the way"), None

    yield _to(Ledger, "_refuse_early", lambda self, scope, holder: None)
    yield _to(Ledger, "_contested", contested)
    yield _to(Ledger, "_renewed", lambda self, connection, lease, before: replace(lease, until_monotonic=before + lease.seconds))


@bug
def ignore_the_fence() -> Patches:
    """A run that was stopped for longer than its lease goes on as if nothing had happened."""
    yield _to(RecordedLedger, "_committing", _without_lease)
    yield _to(runs._Gate, "obstacle", lambda self, step: None)
