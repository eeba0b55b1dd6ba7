"""One step, sent once and proven: the answer is compared with what was asked, and what the AMS holds is read back before an outcome is named.

A 200 is not proof, and no answer is not a failure: what was read back decides.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final, assert_never

from amsctl.applying.ports import Clock, Reader, Writer
from amsctl.applying.report import RowsDone
from amsctl.applying.state import (
    AccountState,
    Call,
    Discrepancy,
    LimitsCall,
    StatusCall,
    SuspensionCall,
    after_call,
    compare,
    legs_of,
    state_of,
)
from amsctl.errors import AmsError, AmsRefused, AmsUnreachable, IncompleteRead, RecordingFailed
from amsctl.model import Firm, Outcome
from amsctl.planning.plan import Step
from amsctl.wire import answers

_SHOWN_DISCREPANCIES: Final = 12
_FIRST_UNCLEAR_STATUS: Final = 500


class Reply(Enum):
    """What came back for a POST, as far as it tells whether the call took effect."""

    AGREED = auto()
    DIFFERED = auto()
    REFUSED = auto()
    UNCLEAR = auto()
    NEVER_SENT = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A POST and its reply. ``settles``: the call may still take effect after this moment."""

    reply: Reply
    http_status: int | None = None
    message: str = ""
    settles: bool = False
    credential_refreshed: bool = False
    response_sha256: str | None = None
    too_old: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a step. ``state`` is what was read back, ``None`` when it could not be.

    ``ends_account``: nothing more may be written to the account, whatever the next steps do. ``moved`` are values that somebody else changed.
    ``was_read``: the account was read after the call; not so when the call never left, and the state is then as old as it was. ``too_old``: it never
    left because the account was read too long ago.
    """

    outcome: Outcome
    http_status: int | None
    attempts: int
    message: str
    state: AccountState | None
    ends_account: bool
    moved: tuple[Discrepancy, ...] = ()
    was_read: bool = True
    too_old: bool = False
    rows: RowsDone | None = None
    response_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """What one step needs: where to read and write, how long a late write may take to land, whether the run is to stop, and what else forbids a write.

    ``announce`` is told the number of each sending, and the HTTP status of the one before it, right before it leaves. ``too_old`` tells whether what was
    read of the account was read too long ago to be written on.
    """

    reader: Reader
    writer: Writer
    clock: Clock
    settle_seconds: float
    stopping: Callable[[], bool]
    forbidden: Callable[[], str | None]
    too_old: Callable[[], bool]
    announce: Callable[[int, int | None], Awaitable[None]]


async def attempt(step: Step, call: Call, state: AccountState, firm: Firm, hand: Hand, *, whole: bool, first: int = 1) -> Result:
    """Send a step and prove what it did. ``whole``: read the whole account back (its last step), else what the call wrote. ``first`` is the number
    under which the first sending is announced.

    A call is sent a second time in one case only: the AMS turned the credential down (401), a fresh one was obtained, a fresh read shows that the call
    is still wanted, and nobody has asked the run to stop. RecordingFailed when the first sending could not be announced: nothing was sent.
    """
    await hand.announce(first, None)
    sent = await _send(step, call, state, firm, hand)
    attempts = 1
    if sent.credential_refreshed and await _still_wanted(call, state, firm, hand) and not hand.stopping():
        with suppress(RecordingFailed):  # then the first, refused sending stands
            await hand.announce(first + 1, sent.http_status)
            sent = await _send(step, call, state, firm, hand)
            attempts = 2
    if sent.reply is Reply.NEVER_SENT:
        return Result(
            outcome=Outcome.FAILED,
            http_status=None,
            attempts=attempts,
            message=sent.message,
            state=state,
            ends_account=False,
            was_read=False,
            too_old=sent.too_old,
        )
    found = await _settled(call, state, firm, hand, whole=whole, sent=sent)
    if isinstance(found, AmsError):
        return Result(
            outcome=Outcome.UNKNOWN,
            http_status=sent.http_status,
            attempts=attempts,
            message=_joined(sent.message, f"and the account could not be read back: {found}"),
            state=None,
            ends_account=True,
            response_sha256=sent.response_sha256,
        )
    return _judge(call, state, found, sent, attempts)


# --- sending ---


class _TooOld(AmsUnreachable):
    """Nothing was sent, because it would have been sent on the strength of an old read."""


async def _send(step: Step, call: Call, state: AccountState, firm: Firm, hand: Hand) -> Sent:
    left = False

    def leaving() -> None:
        nonlocal left
        if hand.too_old():
            raise _TooOld("the account was read too long ago: the call had to wait for its turn")
        reason = hand.forbidden()
        if reason is not None:
            raise AmsUnreachable(reason)
        left = True

    try:
        answer = await hand.writer.post(step.path, step.query, step.body, leaving=leaving)
    except AmsUnreachable as problem:
        return Sent(reply=Reply.NEVER_SENT, message=f"never sent: {problem}", too_old=isinstance(problem, _TooOld))
    except AmsRefused as problem:
        unclear = problem.http_status >= _FIRST_UNCLEAR_STATUS
        return Sent(
            reply=Reply.UNCLEAR if unclear else Reply.REFUSED,
            http_status=problem.http_status,
            message=str(problem),
            settles=unclear,
            credential_refreshed=problem.credential_refreshed,
            response_sha256=problem.response_sha256,
        )
    except AmsError as problem:
        if not left:  # time ran out before the first byte
            return Sent(reply=Reply.NEVER_SENT, message=f"never sent: {problem}")
        status = getattr(problem, "http_status", None)
        digest = getattr(problem, "response_sha256", None)
        return Sent(reply=Reply.UNCLEAR, http_status=status, message=f"no usable answer: {problem}", settles=True, response_sha256=digest)
    status, digest = answer.http_status, answer.response_sha256
    try:
        differences = _answer_differences(call, after_call(state, call), answer.body, firm, state.key.number)
    except AmsError as problem:
        message = f"the answer cannot be compared: {problem}"
        return Sent(reply=Reply.DIFFERED, http_status=status, message=message, response_sha256=digest)
    if differences:
        message = f"the answer differs: {_listed(differences)}"
        return Sent(reply=Reply.DIFFERED, http_status=status, message=message, response_sha256=digest)
    return Sent(reply=Reply.AGREED, http_status=status, response_sha256=digest)


def _answer_differences(call: Call, expected: AccountState, body: answers.JsonObject, firm: Firm, number: str) -> tuple[Discrepancy, ...]:
    """What the answer says otherwise than asked, in the rows, execution firms or status that the call wrote."""
    match call:
        case StatusCall():
            words = answers.account_status_answer(body, where=str(expected.key))
            word = words.get(number)
            if word is not None and answers.is_successful(word):
                return ()
            return (Discrepancy(f"{expected.key} status", "Successful", "no word" if word is None else word, True),)
        case SuspensionCall():
            found = replace(expected, execution_firms=answers.suspensions_answer(body, firm=firm, number=number))
        case LimitsCall():
            found = replace(expected, rows=legs_of(answers.limits_answer(body, firm=firm, number=number)))
        case _:
            assert_never(call)
    return tuple(item for item in compare(expected, found, call) if item.planned)


# --- reading back ---


async def read_back(call: Call, state: AccountState, firm: Firm, reader: Reader, *, whole: bool) -> AccountState:
    """The state with what a call wrote read anew; the whole account when ``whole``."""
    number = state.key.number
    if whole:
        return state_of(await reader.account(firm, number))
    match call:
        case LimitsCall():
            return replace(state, rows=legs_of(await reader.limits(firm, number)))
        case SuspensionCall():
            return replace(state, execution_firms=dict(await reader.suspensions(firm, number)))
        case StatusCall():
            entry = (await reader.statuses(firm, [number])).get(number)
            if entry is None:
                raise IncompleteRead("the account is no longer listed", where=str(state.key))
            return replace(state, status=entry.status)
        case _:
            assert_never(call)


async def _still_wanted(call: Call, state: AccountState, firm: Firm, hand: Hand) -> bool:
    try:
        found = await read_back(call, state, firm, hand.reader, whole=False)
    except AmsError:
        return False
    return not compare(state, found, call)


async def _settled(call: Call, state: AccountState, firm: Firm, hand: Hand, *, whole: bool, sent: Sent) -> AccountState | AmsError:
    """What the AMS holds once the call can no longer take effect; the error when it cannot be read.

    A call without a clear answer may land late: unless the first look shows it done, the time a late write may take is waited out and the
    account is read again.
    """
    expected = after_call(state, call)

    async def look() -> AccountState | AmsError:
        return await _caught(read_back(call, state, firm, hand.reader, whole=whole))

    found = await look()
    landed = isinstance(found, AccountState) and not _planned(compare(expected, found, call))
    if landed or not (sent.settles or isinstance(found, AmsError)):
        return found
    await hand.clock.sleep(hand.settle_seconds)
    return await look()


async def _caught(reading: Awaitable[AccountState]) -> AccountState | AmsError:
    try:
        return await reading
    except AmsError as problem:
        return problem


# --- judging ---


def _judge(call: Call, before: AccountState, found: AccountState, sent: Sent, attempts: int) -> Result:
    """The outcome, from the reply and from what was read back."""
    after = compare(after_call(before, call), found, call)
    missed, moved = _planned(after), tuple(item for item in after if not item.planned)
    untouched = not _planned(compare(before, found, call))
    outcome, message, ends = _verdict(call, sent, missed, untouched=untouched)
    if moved:
        message = _joined(message, f"meanwhile somebody else changed: {_listed(moved)}")
    return Result(
        outcome=outcome,
        http_status=sent.http_status,
        attempts=attempts,
        message=message,
        state=found,
        ends_account=ends or bool(moved),
        moved=moved,
        rows=rows_done(call, missed) if missed and not untouched else None,
        response_sha256=sent.response_sha256,
    )


def _verdict(call: Call, sent: Sent, missed: tuple[Discrepancy, ...], *, untouched: bool) -> tuple[Outcome, str, bool]:
    if not missed:
        match sent.reply:
            case Reply.AGREED:
                return (Outcome.VERIFIED, "", False)
            case Reply.DIFFERED:
                return (Outcome.DIVERGED, _joined(sent.message, "read back, the AMS holds what was asked"), True)
            case _:
                return (Outcome.VERIFIED, _joined(sent.message, "read back, the AMS holds what was asked"), False)
    if untouched and sent.reply in {Reply.REFUSED, Reply.UNCLEAR}:
        return (Outcome.FAILED, _joined(sent.message, "read back, nothing was stored"), sent.reply is Reply.UNCLEAR)
    stored = "nothing was stored" if untouched else _stored(call, missed)
    return (Outcome.DIVERGED, _joined(sent.message, f"read back, {stored}: {_listed(missed)}"), True)


def rows_done(call: Call, missed: tuple[Discrepancy, ...]) -> RowsDone | None:
    """Which rows of a limits call are as asked, given what is not; ``None`` for the other calls."""
    if not isinstance(call, LimitsCall):
        return None
    wrong = {item.row for item in missed}
    return RowsDone(
        done=tuple(str(key) for key in call.rows if key not in wrong), not_done=tuple(str(key) for key in call.rows if key in wrong)
    )


def _stored(call: Call, missed: tuple[Discrepancy, ...]) -> str:
    """How much of a call took effect."""
    rows = rows_done(call, missed)
    return "it is not as asked" if rows is None else f"{len(rows.done)} of {len(rows.done) + len(rows.not_done)} rows are as asked"


def _planned(found: tuple[Discrepancy, ...]) -> tuple[Discrepancy, ...]:
    return tuple(item for item in found if item.planned)


def _listed(found: tuple[Discrepancy, ...]) -> str:
    shown = "; ".join(str(item) for item in found[:_SHOWN_DISCREPANCIES])
    more = len(found) - _SHOWN_DISCREPANCIES
    return shown if more <= 0 else f"{shown}; and {more} more"


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)
