"""Fixed points by the ledger: the values that a plan's legs had over time, as far as its records prove them (``planning.points``). Decides nothing.

A value is proven by the read before a write (each ``before`` of an intent, whatever its call led to) and by the read after it (each ``after`` of a change
that was verified, or read back as asked, at once or later). A call that failed, diverged or is unknown proves no ``after``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from amsctl.errors import LedgerFailed
from amsctl.ledger.evidence import took_effect
from amsctl.ledger.values import Kind, Record
from amsctl.model import AccountKey, Leg, Outcome, Owner, Phase, RowKey, Special, UnsetMeans, lets_through
from amsctl.planning.guards import RAISE_GUARDS
from amsctl.planning.plan import Change, ChangeKind, PointSource
from amsctl.planning.points import Courses, Point, PointKey, Points, wanted_keys

if TYPE_CHECKING:
    from amsctl.ledger.store import Ledger

LET_THROUGH: Final = "let_through"
"""The member of an intent that names the changes whose raise an override let through."""
_TOGETHER: Final = 64
"""Accounts whose records are asked for at once."""
_MOVING: Final = (Kind.INTENT, Kind.OUTCOME, Kind.RESOLVED)
_OPEN: Final = frozenset({Outcome.UNKNOWN, Outcome.DIVERGED})
"""Outcomes that a later reading may settle."""


def reference_points(ledger: Ledger, changes: Iterable[Change], ams: str, *, now: float, days: int, unset_means: UnsetMeans) -> Points:
    """What the legs that ``changes`` raise let through ``days`` days before ``now`` (seconds since 1970), by the records of one AMS.

    Read as a stream: memory follows the legs, not the records. LedgerFailed when the ledger cannot be read, or when a record is not what
    amsctl writes: an unknown past is not an empty one.
    """
    firms: dict[str, dict[str, list[PointKey]]] = {}
    for key in wanted_keys(changes, unset_means):
        firms.setdefault(key.account.firm, {}).setdefault(key.account.number, []).append(key)
    points: dict[PointKey, Point] = {}
    for firm, numbers in sorted(firms.items()):
        listed = sorted(numbers)
        for start in range(0, len(listed), _TOGETHER):
            some = listed[start : start + _TOGETHER]
            courses = Courses([key for number in some for key in numbers[number]], now=now, days=days, source=PointSource.LEDGER)
            telling = _Telling(ledger, courses, unset_means)
            for record in ledger.records(ams=ams, firm=firm, accounts=some, kinds=_MOVING):
                telling.take(record)
            points.update(courses.points())
    return points


class _Move(NamedTuple):
    """One change of an intent: one side of a leg, and what both sides let through, in contracts."""

    id: str
    written: PointKey
    before: int
    after: int
    effective_before: int
    effective_after: int

    @property
    def effective(self) -> PointKey:
        return self.written._replace(owner=None)


class _Intent(NamedTuple):
    phase: str
    moves: tuple[_Move, ...]
    starts: frozenset[str]
    """The moves whose raise an override let through."""


class _Telling:
    """Takes records in the order of the chain, and tells the courses of the legs what each proves."""

    def __init__(self, ledger: Ledger, courses: Courses, unset_means: UnsetMeans) -> None:
        self._ledger = ledger
        self._courses = courses
        self._unset_means = unset_means
        self._intents: dict[tuple[str, str, str], _Intent] = {}
        self._overridden: dict[str, bool] = {}
        self._now = ""

    def take(self, record: Record) -> None:
        """One more record."""
        try:
            self._take(record)
        except (KeyError, TypeError, ValueError) as problem:
            raise LedgerFailed(
                "a record of the ledger does not say what became of a limit",
                where=f"record {record.seq} ({record.firm}/{record.account})",
                expected="an intent or an outcome as amsctl writes it",
                found=f"{type(problem).__name__}: {problem}",
                hint="amsctl ledger verify",
            ) from None

    def _take(self, record: Record) -> None:
        # A chain has one order: a clock that was set back makes nothing older than what stands before it.
        self._now = max(self._now, record.at)
        place = (record.account, record.run, str(record.body.get("step")))
        if record.kind is Kind.INTENT:
            intent = self._intent(record)
            if intent.moves:
                self._intents[place] = intent
                self._tell_before(intent)
            return
        settled = self._intents.get(place)
        if settled is not None:
            self._tell_after(settled, record)
            if Outcome(str(record.body["outcome"])) not in _OPEN:
                del self._intents[place]

    def _tell_before(self, intent: _Intent) -> None:
        for move in intent.moves:
            self._tell(move.written, move.before)
            self._tell(move.effective, move.effective_before)

    def _tell_after(self, intent: _Intent, record: Record) -> None:
        legs: dict[PointKey, list[tuple[_Move, bool]]] = {}
        for move in intent.moves:
            done = took_effect(move.id, record) is True
            legs.setdefault(move.effective, []).append((move, done))
            if done:
                self._tell(move.written, move.after, starts=move.id in intent.starts)
        for key, told in legs.items():
            if all(done for _, done in told):
                moves = [move for move, _ in told]
                self._tell(key, _effective(intent.phase, moves), starts=any(move.id in intent.starts for move in moves))

    def _tell(self, key: PointKey, value: int, *, starts: bool = False) -> None:
        if key in self._courses:
            self._courses.take(key, value, self._now, starts=starts)

    # --- what an intent says ---

    def _intent(self, record: Record) -> _Intent:
        moves = tuple(self._moves(record))
        return _Intent(str(record.body["phase"]), moves, self._starts(record, moves))

    def _moves(self, record: Record) -> Iterator[_Move]:
        account = AccountKey(record.firm, record.account)
        for change in _list(record.body["changes"]):
            if change["kind"] != ChangeKind.LIMIT:
                continue
            row = RowKey(str(change["execution_firm"]), str(change["product"]))
            key = PointKey(account, row, Leg(str(change["leg"])), Owner(str(change["owner"])))
            if key in self._courses or key._replace(owner=None) in self._courses:
                amounts = (change[name] for name in ("before", "after", "effective_before", "effective_after"))
                yield _Move(str(change["id"]), key, *map(self._amount, amounts))

    def _amount(self, value: object) -> int:
        if type(value) is int and value >= 0:
            return value
        return lets_through(Special(value), self._unset_means)

    def _starts(self, record: Record, moves: tuple[_Move, ...]) -> frozenset[str]:
        if LET_THROUGH in record.body:
            return frozenset(map(str, _list(record.body[LET_THROUGH])))
        # Records of before this member was written have the names of the guards alone, with the run.
        if not moves or not self._raise_overridden(record.run):
            return frozenset()
        return frozenset(move.id for move in moves if move.after > move.before or move.effective_after > move.effective_before)

    def _raise_overridden(self, name: str) -> bool:
        if name not in self._overridden:
            run = self._ledger.run(name)
            overrides = None if run is None else run.body.get("overrides")
            self._overridden[name] = isinstance(overrides, list) and not RAISE_GUARDS.isdisjoint(overrides)
        return self._overridden[name]


def _effective(phase: str, moves: list[_Move]) -> int:
    """What both sides let through after a step, all of whose changes of the leg were proven. A row that moves both ways is written twice, what tightens
    first: until the rest is there, the leg is at the smallest of what it was, what it is to be, and what was written.
    """
    if phase != Phase.TIGHTEN:
        return moves[0].effective_after
    return min(min(move.after, move.effective_before, move.effective_after) for move in moves)


def _list(value: object) -> list[Mapping[str, object]]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value
