"""Fixed points: what a leg let through some days ago, so that guards see a raise that comes in pieces. Pure.

A point is the value of a leg at one moment in the past, by the ledger or by the history of the base branch. A zero says nothing of how large a limit
may be, so it counts as the last value above zero before it. Where no record is old enough, the point is the first value above zero that a record names.
A leg that no record names has no point. A leg that had no limit at that moment has none either: no number is a raise against it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias, cast

from amsctl.model import LEGS, NO_LIMIT, UNSET, AccountKey, Amount, FourWishes, Leg, Owner, RowKey, UnsetMeans, lets_through
from amsctl.planning.plan import Against, Change, ChangeKind, PointSource, Reference


class PointKey(NamedTuple):
    """What has a value over time: one side of a leg as written, or, with ``owner`` ``None``, what both sides let through, min(ef, cmf)."""

    account: AccountKey
    row: RowKey
    leg: Leg
    owner: Owner | None = None


class Rank(StrEnum):
    """What a point is by its own record: the value of so many days ago; the first one that the record names, which is younger; or what an override let
    through since.
    """

    OLD = "old"
    FIRST = "first"
    OVERRIDDEN = "overridden"


class Point(NamedTuple):
    """A value in contracts, above zero. ``at`` (UTC, to the second) is when the leg had it; ``source`` is what says so."""

    value: int
    at: str
    source: PointSource
    rank: Rank = Rank.OLD


Points: TypeAlias = Mapping[PointKey, Point]
NO_POINTS: Final[Points] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of the past of a plan's legs: the setting, where it was looked up, the points found, and why a record could not be read (else empty)."""

    against: Against | None = None
    points: Points = field(default_factory=lambda: NO_POINTS)


NOTHING_KNOWN: Final = Known()
Past: TypeAlias = Callable[[Sequence[Change]], Known]
"""What gives the points of the changes of a plan."""


def no_past(changes: Sequence[Change]) -> Known:
    """The past of a plan whose guards measure no second time (``guardsAgainst: {days: 0}``)."""
    return NOTHING_KNOWN


# --- which points a plan is measured on ---


def measured_keys(change: Change, unset_means: UnsetMeans) -> Iterator[tuple[PointKey, int, int]]:
    """What of a change may be held against a point, each with the contracts that it lets through before and after: a leg that is raised to a number, or
    that gets a number after it had no limit. Nothing else that tightens is held against the past.
    """
    if change.kind is not ChangeKind.LIMIT:
        return
    assert change.leg is not None
    assert change.effective_before is not None
    assert change.effective_after is not None
    sides: tuple[tuple[Owner | None, Amount, Amount], ...] = (
        (None, change.effective_before, change.effective_after),
        (change.owner, cast("Amount", change.before), cast("Amount", change.after)),
    )
    for owner, before, after in sides:
        then, now = lets_through(before, unset_means), lets_through(after, unset_means)
        if 0 < now < NO_LIMIT and (now > then or then == NO_LIMIT):
            yield PointKey(change.account_key, change.row_key, change.leg, owner), then, now


def wanted_keys(changes: Iterable[Change], unset_means: UnsetMeans) -> frozenset[PointKey]:
    """The legs whose past matters to a plan."""
    return frozenset(key for change in changes for key, _, _ in measured_keys(change, unset_means))


def references(changes: Iterable[Change], points: Points, unset_means: UnsetMeans) -> tuple[Reference, ...]:
    """The points that say more than the plan's own before-values do, sorted: those below what the leg lets through before, or where that is zero or no
    limit. A plan records these alone.
    """
    found: dict[PointKey, Point] = {}
    for change in changes:
        for key, before, _ in measured_keys(change, unset_means):
            point = points.get(key)
            if point is not None and (before == 0 or point.value < before):
                found[key] = point
    return tuple(
        Reference(
            clearing_firm=key.account.firm,
            account=key.account.number,
            execution_firm=key.row.execution_firm,
            product=key.row.product,
            leg=key.leg,
            owner=key.owner,
            value=point.value,
            at=point.at,
            source=point.source,
        )
        for key, point in sorted(found.items(), key=lambda item: (*item[0][:3], item[0].owner or ""))
    )


def points_of(listed: Iterable[Reference]) -> Points:
    """The points that references name."""
    return {
        PointKey(AccountKey(one.clearing_firm, one.account), RowKey(one.execution_firm, one.product), one.leg, one.owner): Point(
            one.value, one.at, one.source
        )
        for one in listed
    }


# --- one record beside the other ---


def open_keys(wanted: Collection[PointKey], ledger: Points) -> frozenset[PointKey]:
    """The legs of which the history of the base branch may say more than the ledger: those that it does not name, or not as long ago."""
    return frozenset(key for key in wanted if key not in ledger or ledger[key].rank is Rank.FIRST)


def both_records(ledger: Points, history: Points) -> Points:
    """The points by the ledger and by the history of the base branch. The ledger says what was really so; a first value of it that is not as old as the
    setting is no value of then, and does not stand before one of the history that is. Of two first values the smaller one counts.
    """
    found = dict(history)
    for key, point in ledger.items():
        other = found.get(key)
        if other is None or point.rank is not Rank.FIRST or (other.rank is Rank.FIRST and point.value <= other.value):
            found[key] = point
    return found


# --- points from values over time ---


def days_before(now: float, days: int) -> str:
    """The moment ``days`` days before ``now`` (seconds since 1970), UTC with milliseconds, as the ledger writes times."""
    moment = datetime.fromtimestamp(now, UTC) - timedelta(days=days)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


class Courses:
    """The values of some legs over time, one after the other, and the points that they give: of each leg no more is kept than that takes."""

    def __init__(self, keys: Collection[PointKey], *, now: float, days: int, source: PointSource) -> None:
        self._moment = days_before(now, days)
        self._source = source
        self._courses = {key: _Course() for key in keys}

    def __contains__(self, key: PointKey) -> bool:
        return key in self._courses

    def take(self, key: PointKey, value: int, at: str, *, starts: bool = False) -> None:
        """A leg has a value at a moment (``2026-10-29T07:00:00.000Z``), which is not before that of any value taken so far. ``starts``: this value is a new
        point, whatever the leg had before.
        """
        self._courses[key].take(value, at, old=at <= self._moment, starts=starts)

    def points(self) -> dict[PointKey, Point]:
        """The point of each leg that has one."""
        found = ((key, course.point(self._moment), course.rank) for key, course in self._courses.items())
        return {
            key: Point(seen[0], seen[1][:19] + "Z", self._source, rank)
            for key, seen, rank in found
            if seen is not None and seen[0] < NO_LIMIT
        }


class _Course:
    """One leg: its last value above zero up to the moment, whether it was zero since, and its first value above zero after the moment."""

    __slots__ = ("_first", "_old", "_started", "_zero")

    def __init__(self) -> None:
        self._old: tuple[int, str] | None = None
        self._zero = False
        self._first: tuple[int, str] | None = None
        self._started = False

    @property
    def rank(self) -> Rank:
        if self._old is not None:
            return Rank.OLD
        return Rank.OVERRIDDEN if self._started else Rank.FIRST

    def take(self, value: int, at: str, *, old: bool, starts: bool) -> None:
        if old:
            self._zero = value == 0
            self._old = (value, at) if value else self._old
        elif value and (starts or self._first is None):
            self._first = (value, at)
            if starts:
                self._old, self._started = None, True

    def point(self, moment: str) -> tuple[int, str] | None:
        if self._old is None:
            return self._first
        return self._old if self._zero else (self._old[0], moment)


# --- the history of the base branch ---


class Version(NamedTuple):
    """What the manifests of one commit say: accounts under the AMS's name of their firm, and for each row its four legs (``None``: not written), or
    ``None`` for a row that must not exist. ``at`` is UTC with milliseconds.
    """

    at: str
    rows: Mapping[tuple[AccountKey, RowKey], FourWishes | None]


def history_points(
    changes: Iterable[Change],
    older: Iterable[Version],
    newer: Iterable[Version],
    *,
    now: float,
    days: int,
    unset_means: UnsetMeans,
    earlier: Callable[[frozenset[AccountKey]], Iterable[Version]] = lambda accounts: (),
) -> Points:
    """The points of a plan's legs by the history of a branch. ``older`` are its commits from the newest that is at least ``days`` days old backwards,
    ``newer`` those after it, oldest first; neither is read further than needed. Only a zero is followed backwards, and a leg that was not written
    ``days`` days ago and is since: ``earlier`` gives the older commits again, as far as they differ in these accounts. It may have been written before,
    and then the smaller of the last value of then and of the first since counts.

    What both sides let through is the smaller of the sides that a manifest writes: of a side that it does not write, nothing is known.
    """
    wanted = wanted_keys(changes, unset_means)
    found: dict[PointKey, Point] = {}
    zeros, moment = wanted, days_before(now, days)
    for number, version in enumerate(older if wanted else ()):
        values = {key: _written(version, key, unset_means) for key in zeros}
        _keep(values, found, at=moment if number == 0 else version.at)
        zeros = frozenset(key for key, value in values.items() if value == 0)
        if not zeros:
            break
    missing = wanted - found.keys()
    for version in newer if missing else ():
        _keep({key: _written(version, key, unset_means) for key in missing}, found, at=version.at, rank=Rank.FIRST)
        missing -= found.keys()
        if not missing:
            break
    late = frozenset(key for key, point in found.items() if point.rank is Rank.FIRST)
    for version in earlier(frozenset(key.account for key in late)) if late else ():
        told: dict[PointKey, Point] = {}
        _keep({key: _written(version, key, unset_means) for key in late}, told, at=version.at, rank=Rank.FIRST)
        found.update({key: point for key, point in told.items() if point.value < found[key].value})
        late -= told.keys()
        if not late:
            break
    return {key: point for key, point in found.items() if point.value < NO_LIMIT}


def _keep(values: Mapping[PointKey, int | None], found: dict[PointKey, Point], *, at: str, rank: Rank = Rank.OLD) -> None:
    found.update({key: Point(value, at[:19] + "Z", PointSource.HISTORY, rank) for key, value in values.items() if value})


def _written(version: Version, key: PointKey, unset_means: UnsetMeans) -> int | None:
    """What a commit lets through on a leg; ``None`` where it does not say."""
    place = (key.account, key.row)
    if place not in version.rows:
        return None
    legs = version.rows[place]
    if legs is None:
        return lets_through(UNSET, unset_means)
    amounts = [
        lets_through(wish, unset_means)
        for ref, wish in zip(LEGS, legs, strict=True)
        if wish is not None and ref.leg is key.leg and key.owner in (None, ref.owner)
    ]
    return min(amounts, default=None)
