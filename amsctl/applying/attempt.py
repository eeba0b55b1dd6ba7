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
from amsctl.config import UnlimitedShownAs
from amsctl.errors import AmsError, AmsRefused, AmsUnreachable, IncompleteRead, RecordingFailed
from amsctl.masking import masked, quoted
from amsctl.model import Firm, Outcome
from amsctl.planning.plan import Step
from amsctl.wire import answers

_SHOWN_DISCREPANCIES: Final = 12
_FIRST_UNCLEAR_STATUS: Final = 500
_TIMED_OUT: Final = 408
"""Something on the way lost patience: with our sending, or with the AMS."""
MOST_SENDINGS: Final = 2
"""Of one step: the second only after the AMS turned the credential of the first down."""


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


@dataclass(slots=True)
class Tally:
    """How often a step was announced, and how often it has left (or may have): a call that is kept back at the last moment was announced alone.

    ``last`` is the last of those that left.
    """

    announced: int = 0
    sent: int = 0
    last: Sent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a step. ``state`` is what was read back, ``None`` when it could not be.

    ``ends_account``: nothing more may be written to the account, whatever the next steps do. ``moved`` are values that somebody else changed.
    ``was_read``: the account was read after the call; not so when the call never left, and the state is then as old as it was. ``too_old``: it was
    kept back because the account was read too long ago, and may be tried again.
    """

    outcome: Outcome
    http_status: int | None
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

    ``announce`` is told the number of each announcement, and the HTTP status of the sending before it, right before a call leaves. ``too_old`` tells
    whether what was read of the account was read too long ago to be written on. ``tally`` counts over all tries of the step.
    """

    reader: Reader
    writer: Writer
    clock: Clock
    settle_seconds: float
    unlimited_shown_as: UnlimitedShownAs
    stopping: Callable[[], bool]
    forbidden: Callable[[], str | None]
    too_old: Callable[[], bool]
    announce: Callable[[int, int | None], Awaitable[None]]
    tally: Tally


async def attempt(step: Step, call: Call, state: AccountState, firm: Firm, hand: Hand, *, whole: bool) -> Result:
    """Send a step and prove what it did. ``whole``: read the whole account back (its last step), else what the call wrote.

    A call is sent a second time in one case only: the AMS turned the credential down (401), a fresh one was obtained, a fresh read shows that the call
    is still wanted, and nobody has asked the run to stop. RecordingFailed when this try could not be announced: it sent nothing.
    """
    await _announce(hand)
    sent = await _send(step, call, state, firm, hand)
    again = sent.credential_refreshed and hand.tally.sent < MOST_SENDINGS
    if again and await _still_wanted(call, state, firm, hand) and not hand.stopping():
        with suppress(RecordingFailed):  # then the first, refused sending stands
            await _announce(hand)
            sent = await _send(step, call, state, firm, hand)
    if sent.too_old:
        return replace(_never_sent(state, sent.message), too_old=True)
    if sent.reply is Reply.NEVER_SENT:
        return await kept_back(call, state, firm, hand, sent.message, whole=whole)
    return await _proven(call, state, firm, hand, sent, whole=whole)


async def kept_back(call: Call, state: AccountState, firm: Firm, hand: Hand, why: str, *, whole: bool) -> Result:
    """The end of a step that is not sent (again). It failed, unless an earlier try of it has left: then what that one did is proven."""
    if hand.tally.last is None:
        return _never_sent(state, why)
    last = replace(hand.tally.last, message=_joined(hand.tally.last.message, why))
    return await _proven(call, state, firm, hand, last, whole=whole)


def _never_sent(state: AccountState, why: str) -> Result:
    return Result(outcome=Outcome.FAILED, http_status=None, message=why, state=state, ends_account=False, was_read=False)


async def _proven(call: Call, state: AccountState, firm: Firm, hand: Hand, sent: Sent, *, whole: bool) -> Result:
    """What a call that left has done, as read back."""
    found = await _settled(call, state, firm, hand, whole=whole, sent=sent)
    if isinstance(found, AmsError):
        return Result(
            outcome=Outcome.UNKNOWN,
            http_status=sent.http_status,
            message=_joined(sent.message, f"and the account could not be read back: {found}"),
            state=None,
            ends_account=True,
            response_sha256=sent.response_sha256,
        )
    return _judge(call, state, found, sent)


# --- sending ---


class _TooOld(AmsUnreachable):
    """Nothing was sent, because it would have been sent on the strength of an old read."""


async def _announce(hand: Hand) -> None:
    tally = hand.tally
    await hand.announce(tally.announced + 1, None if tally.last is None else tally.last.http_status)
    tally.announced += 1


async def _send(step: Step, call: Call, state: AccountState, firm: Firm, hand: Hand) -> Sent:
    """One POST and its reply, counted."""
    sent = await _post(step, call, state, firm, hand)
    if sent.reply is not Reply.NEVER_SENT:
        hand.tally.last = sent
    return sent


async def _post(step: Step, call: Call, state: AccountState, firm: Firm, hand: Hand) -> Sent:
    tally, before = hand.tally, hand.tally.sent

    def leaving() -> None:
        if hand.too_old():
            raise _TooOld("the account was read too long ago: the call had to wait for its turn")
        reason = hand.forbidden()
        if reason is not None:
            raise AmsUnreachable(reason)
        tally.sent = before + 1

    def kept(problem: AmsError) -> Sent:
        tally.sent = before
        message = f"{'not sent again' if before else 'never sent'}: {problem}"
        return Sent(reply=Reply.NEVER_SENT, message=message, too_old=isinstance(problem, _TooOld))

    try:
        answer = await hand.writer.post(step.path, step.query, step.body, leaving=leaving)
    except AmsUnreachable as problem:
        return kept(problem)
    except AmsRefused as problem:
        unclear = problem.http_status >= _FIRST_UNCLEAR_STATUS or problem.http_status == _TIMED_OUT
        return Sent(
            reply=Reply.UNCLEAR if unclear else Reply.REFUSED,
            http_status=problem.http_status,
            message=str(problem),
            settles=unclear,
            credential_refreshed=problem.credential_refreshed,
            response_sha256=problem.response_sha256,
        )
    except AmsError as problem:
        if tally.sent == before:  # time ran out before the first byte
            return kept(problem)
        status = getattr(problem, "http_status", None)
        digest = getattr(problem, "response_sha256", None)
        return Sent(reply=Reply.UNCLEAR, http_status=status, message=f"no usable answer: {problem}", settles=True, response_sha256=digest)
    status, digest = answer.http_status, answer.response_sha256
    try:
        expected = after_call(state, call)
        differences = _answer_differences(call, expected, answer.body, firm, shown_as=hand.unlimited_shown_as)
    except AmsError as problem:
        message = f"the answer cannot be compared: {masked(str(problem))}"
        return Sent(reply=Reply.DIFFERED, http_status=status, message=message, response_sha256=digest)
    if differences:
        message = f"the answer differs: {masked(_listed(differences))}"
        return Sent(reply=Reply.DIFFERED, http_status=status, message=message, response_sha256=digest)
    return Sent(reply=Reply.AGREED, http_status=status, response_sha256=digest)


def _answer_differences(
    call: Call, expected: AccountState, body: answers.JsonObject, firm: Firm, *, shown_as: UnlimitedShownAs
) -> tuple[Discrepancy, ...]:
    """What the answer says otherwise than asked, in the rows, execution firms or status that the call wrote. AmsError when it is not a whole answer."""
    number = expected.key.number
    match call:
        case StatusCall():
            words = answers.account_status_answer(body, firm=firm, where=str(expected.key))
            word = words.get(number)
            if word is not None and answers.is_successful(word):
                return ()
            return (Discrepancy(f"{expected.key} status", "Successful", "no word" if word is None else quoted(word), True),)
        case SuspensionCall():
            found = replace(expected, execution_firms=answers.suspensions_answer(body, firm=firm, number=number))
        case LimitsCall():
            found = replace(expected, rows=legs_of(answers.limits_answer(body, firm=firm, number=number, shown_as=shown_as)))
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


def _judge(call: Call, before: AccountState, found: AccountState, sent: Sent) -> Result:
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
