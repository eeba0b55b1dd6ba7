"""What the ledger tells of the past: who last moved a limit, what each run sent, what persons did. Reads the ledger's records; decides nothing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from heapq import merge
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from amsctl.errors import LedgerFailed, UsageError
from amsctl.ledger.evidence import landed
from amsctl.ledger.plans import source_of
from amsctl.ledger.values import Kind, Record, Run
from amsctl.model import AccountKey, Outcome, Owner
from amsctl.planning.codec import decode_changes
from amsctl.planning.plan import Change, ChangeKind
from amsctl.provenance.people import who_words

if TYPE_CHECKING:
    from amsctl.ledger.store import Ledger

_AGO: Final = re.compile(r"([0-9]{1,6})([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SENT: Final = (Kind.INTENT, Kind.OUTCOME, Kind.RESOLVED)
_ACTS: Final = (Kind.FREEZE, Kind.THAW, Kind.LOCK_BROKEN)


# --- what is asked for ---


def since(text: str, now: float) -> str:
    """The moment that ``--since`` names, as records tell it (``2026-11-23T23:17:26.000Z``): ``7d``, ``12h``, ``30m``, ``2w`` before ``now`` (seconds
    since 1970), or an ISO 8601 date or time; without an offset it is UTC, as every time in the ledger. UsageError when it is neither.
    """
    ago = _AGO.fullmatch(text)
    try:
        if ago is not None:
            moment = datetime.fromtimestamp(now, UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        else:
            moment = datetime.fromisoformat(text)
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            "--since is not a time", expected="7d, 12h, 30m, 2026-11-20 or 2026-11-20T09:30:00Z (without an offset: UTC)", found=text
        ) from None
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An account as a command line names it: ``NUMBER``, or ``FIRM/NUMBER``. Numbers may hold a slash themselves."""

    text: str

    def readings(self) -> Iterator[tuple[str | None, str]]:
        """Every (firm or any, number) that the text can mean."""
        yield None, self.text
        for place, letter in enumerate(self.text):
            if letter == "/" and 0 < place < len(self.text) - 1:
                yield self.text[:place], self.text[place + 1 :]


def _records_of(
    ledger: Ledger, asked: Asked, *, kinds: Iterable[Kind], ams: str | None = None, since: str | None = None, run: str | None = None
) -> Iterator[Record]:
    """The records of an account, in the order of the chain."""
    streams = (
        ledger.records(account=number, firm=firm, ams=ams, since=since, run=run, kinds=tuple(kinds)) for firm, number in asked.readings()
    )
    return merge(*streams, key=lambda record: record.seq)


# --- sendings: one row per attempt ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One sending of one step. ``outcome`` is that of its step (``None``: not recorded yet), with what was found out later; ``http_status`` and
    ``response_sha256`` are of this very sending, where they are known.
    """

    run: Run
    seq: int
    at: str
    url: str
    firm: str
    account: str
    step: str
    phase: str
    attempt: int
    outcome: Outcome | None
    http_status: int | None
    request_sha256: str
    response_sha256: str | None
    message: str
    intended: object = field(repr=False)
    """The changes as the intent has them; ``changes`` decodes them, which takes longer than all the rest."""

    @property
    def changes(self) -> tuple[Change, ...]:
        """What was asked for."""
        return decode_changes(self.intended)


def sendings(ledger: Ledger, run: Run, account: Asked | None = None) -> list[Sending]:
    """Everything that a run sent (to an account), in the order in which it was decided."""
    records = ledger.records(run=run.id, kinds=_SENT) if account is None else _records_of(ledger, account, run=run.id, kinds=_SENT)
    found: dict[tuple[str, int], Sending] = {}
    numbers: dict[str, list[int]] = {}
    for record in records:
        body: Mapping[str, Any] = record.body
        step, of_step = body["step"], numbers.setdefault(body["step"], [])
        if record.kind is Kind.INTENT:
            if of_step and body["previous"] is not None:
                before = (step, of_step[-1])
                status = body["previous"]["http_status"]
                found[before] = replace(found[before], http_status=status, message=f"sent again as attempt {body['attempt']}")
            of_step.append(body["attempt"])
            found[step, body["attempt"]] = _sending(run, record)
            continue
        for number in of_step:
            found[step, number] = _closed(found[step, number], record, final=number == of_step[-1])
    return list(found.values())


def _sending(run: Run, record: Record) -> Sending:
    body: Mapping[str, Any] = record.body
    return Sending(
        run=run,
        seq=record.seq,
        at=record.at,
        url=record.url,
        firm=record.firm,
        account=record.account,
        step=body["step"],
        phase=body["phase"],
        attempt=body["attempt"],
        outcome=None,
        http_status=None,
        request_sha256=body["request_sha256"],
        response_sha256=None,
        message="",
        intended=body["changes"],
    )


def _closed(sending: Sending, record: Record, *, final: bool) -> Sending:
    """With what an outcome or a resolution tells of it. Answer and message belong to the last sending of the step."""
    body: Mapping[str, Any] = record.body
    if record.kind is Kind.RESOLVED:
        if sending.outcome not in (None, Outcome.UNKNOWN):
            return sending
        return replace(sending, outcome=Outcome(body["outcome"]), message=body["message"] if final else sending.message)
    told = replace(sending, outcome=Outcome(body["outcome"]))
    if not final:
        return told
    return replace(told, http_status=body["http_status"], response_sha256=body["response_sha256"], message=body["message"])


COLUMNS: Final = (
    "run", "at", "who", "environment", "url", "firm", "account", "step", "attempt", "outcome", "http_status", "request_sha256",
    "response_sha256", "plan_digest", "ticket", "commit", "message",
)  # fmt: skip
"""The columns of ``ledger export --format csv``; a change here is a breaking one."""


def attempt_rows(ledger: Ledger, *, ams: str | None = None, since: str | None = None) -> Iterator[tuple[str | int, ...]]:
    """One row per attempt under ``COLUMNS``, runs in the order in which they first sent. What is not known is empty, which is not 0."""
    wanted = dict.fromkeys(record.run for record in ledger.records(kinds=(Kind.INTENT,), ams=ams, since=since))
    for name in wanted:
        for sending in sendings(ledger, run_of(ledger, name)):
            if since is None or sending.at >= since:
                yield _row(sending)


def _row(sending: Sending) -> tuple[str | int, ...]:
    run = sending.run
    why: Mapping[str, Any] = _part(run, "why")
    return (
        run.id,
        sending.at,
        who_words(_part(run, "who")),
        run.environment,
        sending.url,
        sending.firm,
        sending.account,
        sending.step,
        sending.attempt,
        "" if sending.outcome is None else sending.outcome.value,
        "" if sending.http_status is None else sending.http_status,
        sending.request_sha256,
        sending.response_sha256 or "",
        run.plan_digest,
        why.get("ticket") or "",
        why.get("commit") or "",
        sending.message,
    )


def run_of(ledger: Ledger, name: str) -> Run:
    """The run that a record names; LedgerFailed when the ledger knows none."""
    run = ledger.run(name)
    if run is None:
        raise LedgerFailed("a record names a run that the ledger does not know", found=name, hint="amsctl ledger verify")
    return run


def _part(run: Run, name: str) -> Mapping[str, Any]:
    part = run.body.get(name)
    return part if isinstance(part, Mapping) else {}


# --- log: runs, newest first, and what persons did ---


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRun:
    """A run in the log. ``counts`` is empty and ``postponed`` is ``None`` as long as it did not finish; ``sendings`` is ``None`` where they were not
    asked for. ``source`` is what its plan says of where it came from, empty where the ledger does not keep the plan and ``None`` where the stored plan is
    another one by now.
    """

    run: Run
    counts: Mapping[str, int]
    postponed: str | None
    sendings: tuple[Sending, ...] | None
    source: Mapping[str, Any] | None = field(default_factory=dict)

    @property
    def rollback(self) -> Mapping[str, Any] | None:
        """The run that this one took back, and who asked for that; ``None`` where it took none back, or that is not known."""
        found = (self.source or {}).get("rollback")
        return found if isinstance(found, Mapping) else None

    @property
    def uncommitted(self) -> bool | None:
        """Whether its manifests were not those of its commit; ``None`` where there is no commit, or that is not known."""
        git = (self.source or {}).get("git")
        return git["dirty"] if isinstance(git, Mapping) and isinstance(git.get("dirty"), bool) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What a person did to the ledger itself: ``kind`` is ``freeze``, ``thaw`` or ``lock-broken``; ``firm`` may be ``ALL_FIRMS``."""

    seq: int
    at: str
    kind: Kind
    url: str
    firm: str
    by: str
    reason: str
    run: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Newest first. ``more``: there are older ones that the limit left out."""

    runs: tuple[LoggedRun, ...]
    acts: tuple[Act, ...]
    more: bool


def log(
    ledger: Ledger, *, ams: str | None = None, since: str | None = None, limit: int, run: Run | None = None, account: Asked | None = None
) -> Log:
    """At most ``limit`` runs and as many acts, of an AMS, begun since a moment. With a run or an account: every sending of it, and no acts."""
    if run is not None:
        runs = [run]
    elif account is not None:
        records = _records_of(ledger, account, ams=ams, since=since, kinds=(Kind.INTENT,))
        runs = [run_of(ledger, name) for name in reversed(dict.fromkeys(record.run for record in records))]
    else:
        runs = _newest(ledger, ams, since, limit + 1)
    acts = [] if run is not None or account is not None else _acts(ledger, ams, since)
    detailed = run is not None or account is not None
    return Log(
        runs=tuple(_logged(ledger, one, account, since, detailed=detailed) for one in runs[:limit]),
        acts=tuple(acts[:limit]),
        more=len(runs) > limit or len(acts) > limit,
    )


def _newest(ledger: Ledger, ams: str | None, since: str | None, most: int) -> list[Run]:
    found = []
    for run in ledger.runs(ams=ams, limit=most):
        if since is not None and run.at < since:
            break
        found.append(run)
    return found


def _logged(ledger: Ledger, run: Run, account: Asked | None, since: str | None, *, detailed: bool) -> LoggedRun:
    ending: Mapping[str, Any] = {}
    for record in ledger.records(run=run.id, kinds=(Kind.RUN_FINISHED,)):
        ending = record.body
    shown = None
    if detailed:
        shown = tuple(item for item in sendings(ledger, run, account) if since is None or item.at >= since)
    try:
        source: Mapping[str, Any] | None = source_of(ledger, run)
    except LedgerFailed:
        source = None  # the log is what is looked at then: it says so, and goes on
    return LoggedRun(run=run, source=source, counts=ending.get("counts", {}), postponed=ending.get("postponed"), sendings=shown)


def _acts(ledger: Ledger, ams: str | None, since: str | None) -> list[Act]:
    """Newest first. Persons act seldom, so all of them are looked at."""
    return [_act(record) for record in ledger.records(kinds=_ACTS, ams=ams, since=since)][::-1]


def _act(record: Record) -> Act:
    body = record.body
    return Act(
        seq=record.seq,
        at=record.at,
        kind=record.kind,
        url=record.url,
        firm=record.firm,
        by=str(body.get("by", "")),
        reason=str(body.get("reason", "")),
        run=record.run,
    )


# --- blame: who last moved it ---


class Subject(NamedTuple):
    """What can be moved: a leg of a row, the suspension of an execution firm, or the status of an account."""

    account: AccountKey
    kind: ChangeKind
    execution_firm: str = ""
    product: str = ""
    owner: str = ""
    leg: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One change that a run sent. ``at`` is when it was last sent; ``outcome`` is that of its call, ``None`` as long as none was recorded."""

    change: Change
    at: str
    run: Run
    step: str
    outcome: Outcome | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Blamed:
    """Who last moved a subject: ``moved`` is the last change that is known to have landed; ``doubtful`` those sent since of which that is not known."""

    subject: Subject
    moved: Move | None
    doubtful: tuple[Move, ...]


def blame(ledger: Ledger, account: Asked, *, ams: str, execution_firm: str | None = None, product: str | None = None) -> tuple[Blamed, ...]:
    """Who last moved each limit, suspension and status of an account (or of one execution firm, or one row of it), by account.

    A change has landed when its call was verified, at once or by reading later, or when the call diverged and the change is among those that are as asked.
    """
    tracks: dict[Subject, _Track] = {}
    runs: dict[str, Run] = {}
    calls: dict[tuple[AccountKey, str, str], Record] = {}
    for record in _records_of(ledger, account, ams=ams, since=None, kinds=_SENT):
        place = (AccountKey(record.firm, record.account), record.run, str(record.body["step"]))
        if record.kind is Kind.INTENT:
            calls[place] = record
        intent = calls.get(place)
        if intent is None:
            continue  # ``ledger verify`` tells of it
        if record.run not in runs:
            runs[record.run] = run_of(ledger, record.run)
        body: Mapping[str, Any] = intent.body
        for change in decode_changes(body["changes"]):
            if (execution_firm is None or change.execution_firm == execution_firm) and (product is None or change.product == product):
                outcome = None if record.kind is Kind.INTENT else Outcome(str(record.body["outcome"]))
                move = Move(change=change, at=intent.at, run=runs[record.run], step=place[2], outcome=outcome)
                tracks.setdefault(subject_of(change), _Track()).tell(move, landed=landed(change, record))
    return tuple(
        Blamed(subject=subject, moved=track.moved, doubtful=tuple(track.doubtful.values()))
        for subject, track in sorted(tracks.items(), key=lambda item: _place(item[0]))
        if track.moved is not None or track.doubtful
    )


def moved_since(ledger: Ledger, key: AccountKey, *, ams: str, ours: Collection[str]) -> dict[Subject, Run]:
    """What a run that is not among ``ours`` (their names) moved on an account, or may have moved, after ours last did, and which run that was."""
    found: dict[Subject, Run] = {}
    for one in blame(ledger, Asked(text=str(key)), ams=ams):
        moves = sorted([*([one.moved] if one.moved is not None else []), *one.doubtful], key=lambda move: move.at)
        if one.subject.account == key and moves and moves[-1].run.id not in ours:
            found[one.subject] = moves[-1].run
    return found


def subject_of(change: Change) -> Subject:
    """What a change moves."""
    return Subject(change.account_key, change.kind, change.execution_firm or "", change.product or "", change.owner or "", change.leg or "")


_ORDER: Final = (ChangeKind.STATUS, ChangeKind.SUSPENSION, ChangeKind.LIMIT)


def _place(subject: Subject) -> tuple[object, ...]:
    """What is wide before what is narrow; legs in the order of ``LEGS``."""
    return (
        subject.account, _ORDER.index(subject.kind), subject.execution_firm, subject.product, subject.owner == Owner.CMF, subject.leg
    )  # fmt: skip


class _Track:
    """The moves of one subject, told in the order of the chain."""

    def __init__(self) -> None:
        self.moved: Move | None = None
        self.doubtful: dict[tuple[str, str], Move] = {}

    def tell(self, move: Move, *, landed: bool | None) -> None:
        name = (move.run.id, move.step)
        if landed is None:
            self.doubtful[name] = move
            return
        self.doubtful.pop(name, None)
        if landed and (self.moved is None or move.at >= self.moved.at):
            # What was sent before this one is overtaken, whatever became of it.
            self.moved = move
            self.doubtful = {key: other for key, other in self.doubtful.items() if other.at > move.at}


# --- firms ---


def known_firms(ledger: Ledger, ams: str) -> tuple[str, ...]:
    """The clearing firms that runs against this AMS have locked, under the AMS's own names, sorted."""
    return tuple(sorted({record.firm for record in ledger.records(kinds=(Kind.LOCK_TAKEN,), ams=ams)}))
