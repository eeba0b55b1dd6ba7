"""Guards: what a plan does at large, held against what the project file lets pass without a word. A plan that passes a threshold is shown and saved, and
apply refuses it until somebody says by the guard's name, for this plan's digest, that it is meant.

Measured is the plan alone, its changes and what it saw of the accounts it read, so that a reader of the plan can measure it again (``consistency``).
Limits are measured where they bind, as min(ef, cmf) before and after; written amounts only where a slip of the hand is looked for.

What raises is measured a second time, against a fixed point in the past (``points``), which the plan records: a raise in pieces, or by way of zero, is
as large as one at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias, cast

from amsctl.config import PROJECT_FILE, GuardName, Guards, Op, Threshold
from amsctl.diagnostics import Severity
from amsctl.model import NO_LIMIT, UNSET, AccountKey, AccountStatus, Direction, Leg, RowKey, UnsetMeans, lets_through
from amsctl.planning.plan import Against, Change, ChangeKind, Finding, Observed, Plan, Target, Verdict
from amsctl.planning.points import NO_POINTS, Point, Points, measured_keys, points_of

UNMEASURED: Final = "guards-unmeasured"
"""The finding of a plan that was made without a look at the ledger."""


class _Leg(NamedTuple):
    """One direction of one row: what it lets through before and after, the first change that moves it, and the point in the past that it is held against,
    where there is one. Where it only tightens, it has none.
    """

    before: int
    after: int
    change: Change
    point: Point | None = None

    @property
    def opens(self) -> bool:
        return self.after > self.before

    @property
    def least(self) -> int:
        """The smallest number above zero that it is a raise from; 0 where there is none."""
        return min((value for value in (self.before, 0 if self.point is None else self.point.value) if value > 0), default=0)

    @property
    def raised(self) -> int:
        """The contracts more than before, or than at its point, whichever is more."""
        return self.after - min(self.before, self.before if self.point is None else self.point.value)

    @property
    def against(self) -> str:
        """The point in words, where it is what the leg is measured against; else empty."""
        if self.point is None or 0 < self.before <= self.point.value:
            return ""
        return point_words(self.after, self.point)


class _Measure(NamedTuple):
    """How much there is of something, of how much, the worst of it, and the point in the past that the worst is measured against."""

    measured: int
    of: int | None = None
    worst: Change | None = None
    where: str = ""
    against: str = ""


class _Written(NamedTuple):
    """One side of a leg as written, and the point in the past that it is held against."""

    change: Change
    point: Point | None

    @property
    def least(self) -> int:
        """The smallest number above zero that it is a raise from; 0 where there is none."""
        values = (self.change.before, 0 if self.point is None else self.point.value)
        return min((value for value in values if type(value) is int and value > 0), default=0)


@dataclass(slots=True)
class _Book:
    """What is measured: gathered in one walk over the changes."""

    observed: Sequence[Observed]
    unset_means: UnsetMeans
    unprotected: Sequence[str]
    protected: frozenset[AccountKey]
    points: Points = field(default_factory=lambda: NO_POINTS)
    first_of: dict[AccountKey, Change] = field(default_factory=dict)
    rows: dict[tuple[AccountKey, RowKey], Change] = field(default_factory=dict)
    unset: dict[tuple[AccountKey, RowKey], Change] = field(default_factory=dict)
    created: set[tuple[AccountKey, RowKey]] = field(default_factory=set)
    legs: dict[tuple[AccountKey, RowKey, Leg], _Leg] = field(default_factory=dict)
    written: list[_Written] = field(default_factory=list)
    switches: dict[tuple[ChangeKind, bool], list[Change]] = field(default_factory=dict)
    """Suspensions and statuses: what they are about, and whether they open."""
    loosened_protected: list[Change] = field(default_factory=list)

    @property
    def rows_seen(self) -> int:
        return sum(seen.rows for seen in self.observed) + len(self.created)

    @property
    def legs_seen(self) -> int:
        return 2 * self.rows_seen

    def take(self, change: Change) -> None:
        key = change.account_key
        self.first_of.setdefault(key, change)
        opens = change.direction is Direction.LOOSEN
        if change.kind is ChangeKind.LIMIT:
            opens = self._take_leg(change, key) or opens
        else:
            self.switches.setdefault((change.kind, opens), []).append(change)
        if opens and key in self.protected:
            self.loosened_protected.append(change)

    def _take_leg(self, change: Change, key: AccountKey) -> bool:
        """Whether the leg lets more through than before."""
        assert change.leg is not None
        assert change.effective_before is not None
        assert change.effective_after is not None
        row = (key, change.row_key)
        self.rows.setdefault(row, change)
        against = {of.owner: self.points.get(of) for of, _, _ in measured_keys(change, self.unset_means)}
        self.written.append(_Written(change, against.get(change.owner)))
        if change.after is UNSET:
            self.unset.setdefault(row, change)
        if change.before is UNSET:
            self.created.add(row)
        before, after = lets_through(change.effective_before, self.unset_means), lets_through(change.effective_after, self.unset_means)
        self.legs.setdefault((*row, change.leg), _Leg(before, after, change, against.get(None)))
        return after > before


_Measuring: TypeAlias = Callable[[_Book, Threshold], _Measure]


def _accounts_changed(book: _Book, _: Threshold) -> _Measure:
    return _Measure(len(book.first_of), len(book.observed), *_first(book.first_of.values()))


def _rows_changed(book: _Book, _: Threshold) -> _Measure:
    return _Measure(len(book.rows), book.rows_seen, *_first(book.rows.values()))


def _rows_unset(book: _Book, _: Threshold) -> _Measure:
    return _Measure(len(book.unset), book.rows_seen, *_first(book.unset.values()))


def _account_rows_unset(book: _Book, threshold: Threshold) -> _Measure:
    """The account that is hit hardest: one beyond the threshold before all others, then the largest share."""
    lost: dict[AccountKey, list[Change]] = {}
    for (key, _), change in book.unset.items():
        lost.setdefault(key, []).append(change)
    had = {seen.account_key: seen.rows for seen in book.observed if seen.account_key in lost}
    hardest = max(lost, key=lambda key: (threshold.passed(len(lost[key]), had[key]), len(lost[key]) / max(1, had[key]), key), default=None)
    if hardest is None:
        return _Measure(0, 0)
    return _Measure(len(lost[hardest]), had[hardest], lost[hardest][0], str(hardest))


def _raised_legs(book: _Book, threshold: Threshold) -> list[_Leg]:
    factor = threshold.factor or 1
    return [leg for leg in book.legs.values() if leg.least > 0 and leg.least * factor < leg.after < NO_LIMIT]


def _raised(book: _Book, threshold: Threshold) -> _Measure:
    found = _raised_legs(book, threshold)
    worst = max(found, key=_times, default=None)
    return _of_legs(found, book.legs_seen, _times)._replace(against="" if worst is None else worst.against)


def _times(leg: _Leg) -> float:
    return leg.after / leg.least


def _opened_legs(book: _Book, _: Threshold) -> list[_Leg]:
    """Those that let more through than before, or than at their point where they had no limit since."""
    return [leg for leg in book.legs.values() if leg.raised > 0 and leg.after < NO_LIMIT]


def _raised_lots(book: _Book, threshold: Threshold) -> _Measure:
    found = _opened_legs(book, threshold)
    worst = max(found, key=lambda leg: leg.raised, default=None)
    return _Measure(
        sum(leg.raised for leg in found),
        sum(leg.after - leg.raised for leg in found),
        *_first(() if worst is None else (worst.change,)),
        "" if worst is None or worst.raised == worst.after - worst.before else worst.against,
    )


def _unlimited_legs(book: _Book, _: Threshold) -> list[_Leg]:
    return [leg for leg in book.legs.values() if leg.opens and leg.after == NO_LIMIT]


def _unlimited(book: _Book, threshold: Threshold) -> _Measure:
    return _of_legs(_unlimited_legs(book, threshold), book.legs_seen, lambda leg: leg.before)


def _zero_crossings(book: _Book, _: Threshold) -> _Measure:
    found = [leg for leg in book.legs.values() if (leg.before == 0) != (leg.after == 0)]
    return _of_legs(found, book.legs_seen, lambda leg: leg.after)


def _jumped(book: _Book, threshold: Threshold) -> list[_Written]:
    factor = threshold.factor or 1
    return [
        one
        for one in book.written
        if _grows(one.change.before, one.change.after, factor)
        or (one.point is not None and _grows(one.point.value, one.change.after, factor))
    ]


def _jumps_up(book: _Book, threshold: Threshold) -> _Measure:
    found = _jumped(book, threshold)
    worst = next(iter(found), None)
    told = ""
    if worst is not None and worst.point is not None and not _grows(worst.change.before, worst.change.after, threshold.factor or 1):
        told = point_words(cast("int", worst.change.after), worst.point)
    return _Measure(len(found), 2 * book.legs_seen, *_first(one.change for one in found), told)


def _jumps_down(book: _Book, threshold: Threshold) -> _Measure:
    found = [one.change for one in book.written if _grows(one.change.after, one.change.before, threshold.factor or 1)]
    return _Measure(len(found), 2 * book.legs_seen, *_first(found))


def _grows(small: object, large: object, factor: int) -> bool:
    """Whether both are numbers above zero, the second so many times the first."""
    return type(small) is int and type(large) is int and small > 0 and small * factor <= large


def _above_use(book: _Book, threshold: Threshold) -> _Measure:
    raised = [leg for leg in book.legs.values() if leg.opens and leg.change.usage]
    found = [leg for leg in raised if leg.after > (threshold.factor or 1) * (leg.change.usage or 0)]
    return _of_legs(found, len(raised), lambda leg: leg.after / (leg.change.usage or 1))


def _below_use(book: _Book, _: Threshold) -> _Measure:
    lowered = [leg for leg in book.legs.values() if leg.after < leg.before and leg.change.usage is not None]
    found = [leg for leg in lowered if leg.after < (leg.change.usage or 0)]
    return _of_legs(found, len(lowered), lambda leg: (leg.change.usage or 0) - leg.after)


def _switched(kind: ChangeKind, opens: bool, could: Callable[[Observed], int]) -> _Measuring:
    """How many are switched, of those that could be."""

    def measure(book: _Book, _: Threshold) -> _Measure:
        found = book.switches.get((kind, opens), [])
        return _Measure(len(found), sum(map(could, book.observed)), *_first(found))

    return measure


_released = _switched(ChangeKind.SUSPENSION, True, lambda seen: seen.suspended)
_suspended = _switched(ChangeKind.SUSPENSION, False, lambda seen: seen.execution_firms - seen.suspended)
_activated = _switched(ChangeKind.STATUS, True, lambda seen: seen.status == AccountStatus.INACTIVE)
_deactivated = _switched(ChangeKind.STATUS, False, lambda seen: seen.status == AccountStatus.ACTIVE)


def _protected(book: _Book, _: Threshold) -> _Measure:
    worst, where = _first(book.loosened_protected)
    return _Measure(
        len(book.loosened_protected) + len(book.unprotected), None, worst, where or (book.unprotected[0] if book.unprotected else "")
    )


def _first(changes: Iterable[Change]) -> tuple[Change | None, str]:
    change = next(iter(changes), None)
    return change, "" if change is None else change.where


def _of_legs(found: Sequence[_Leg], of: int, badness: Callable[[_Leg], float]) -> _Measure:
    worst = max(found, key=badness, default=None)
    if worst is None:
        return _Measure(0, of)
    change = worst.change
    return _Measure(len(found), of, change, f"{change.account_key}/{change.row_key} {change.leg}")


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a guard measures, what it counts (one and many), what it is of, and what to look at when it holds a plan up."""

    measure: _Measuring
    one: str
    many: str
    of: str
    ask: str


_KINDS: Final[dict[GuardName, _Kind]] = {
    GuardName.ACCOUNTS_CHANGED: _Kind(
        _accounts_changed, "account changes", "accounts change", "read", "is this the right firm, and the change that was meant?"
    ),
    GuardName.ROWS_CHANGED: _Kind(_rows_changed, "row changes", "rows change", "there", "is this the change that was meant?"),
    GuardName.ROWS_UNSET: _Kind(
        _rows_unset, "row is taken away", "rows are taken away", "there", "is the checkout whole, and did no manifest lose its rows?"
    ),
    GuardName.ACCOUNT_ROWS_UNSET: _Kind(
        _account_rows_unset,
        "row of one account is taken away",
        "rows of one account are taken away",
        "there",
        "did its manifest lose its rows?",
    ),
    GuardName.RAISED: _Kind(
        _raised, "leg is raised to more than {factor} times", "legs are raised to more than {factor} times", "there", "are the units right?"
    ),
    GuardName.RAISED_LOTS: _Kind(
        _raised_lots,
        "contract more is let through",
        "contracts more are let through",
        "let through there before",
        "can the firm carry as much?",
    ),
    GuardName.UNLIMITED: _Kind(_unlimited, "leg loses its limit", "legs lose their limit", "there", "shall nothing limit them?"),
    GuardName.ZERO_CROSSINGS: _Kind(
        _zero_crossings, "leg goes from or to zero", "legs go from or to zero", "there", "is a zero a blank that was read as a number?"
    ),
    GuardName.JUMPS_UP: _Kind(
        _jumps_up, "amount grows {factor} times or more", "amounts grow {factor} times or more", "there", "is there a digit too many?"
    ),
    GuardName.JUMPS_DOWN: _Kind(
        _jumps_down,
        "amount shrinks {factor} times or more",
        "amounts shrink {factor} times or more",
        "there",
        "is a digit lost, or a unit wrong?",
    ),
    GuardName.ABOVE_USE: _Kind(
        _above_use,
        "limit is raised above {factor} times its use of the day",
        "limits are raised above {factor} times their use of the day",
        "raised whose use is known and not zero",
        "does anybody need as much?",
    ),
    GuardName.BELOW_USE: _Kind(
        _below_use,
        "limit is lowered below its use of the day",
        "limits are lowered below their use of the day",
        "lowered whose use is known",
        "shall these clients be stopped from trading?",
    ),
    GuardName.RELEASED: _Kind(
        _released,
        "execution firm is released",
        "execution firms are released",
        "that are suspended",
        "does each of them have its limits?",
    ),
    GuardName.ACTIVATED: _Kind(
        _activated, "account is activated", "accounts are activated", "that are inactive", "does each of them have its limits?"
    ),
    GuardName.SUSPENDED: _Kind(
        _suspended,
        "execution firm is suspended",
        "execution firms are suspended",
        "that are not",
        "shall all of these stop trading?",
    ),
    GuardName.DEACTIVATED: _Kind(
        _deactivated, "account is deactivated", "accounts are deactivated", "that are active", "shall all of these stop trading?"
    ),
    GuardName.PROTECTED: _Kind(
        _protected,
        "change lets more through in a protected account, or takes its protection away",
        "changes let more through in protected accounts, or take their protection away",
        "",
        "has whoever protected it agreed?",
    ),
}


def judge(
    changes: Iterable[Change],
    observed: Sequence[Observed],
    guards: Guards,
    *,
    unset_means: UnsetMeans,
    unprotected: Sequence[str] = (),
    points: Points = NO_POINTS,
) -> tuple[Verdict, ...]:
    """What each threshold of each guard says of a plan, passed or not, in the order of ``GuardName``. ``points`` are the values of the past that raises are
    measured against as well; a leg without one is measured against its before-value alone.
    """
    book = _book(changes if guards else (), observed, unset_means, unprotected, points)
    return tuple(verdict for verdict, _ in _judged(book, guards))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What guards measure at one moment: changes with the use that is known then, accounts, and the values of the past."""

    changes: Sequence[Change]
    observed: Sequence[Observed]
    points: Points = field(default_factory=lambda: NO_POINTS)


def got_worse(
    then: Sight, now: Sight, guards: Guards, *, unset_means: UnsetMeans, unprotected: Sequence[str] = ()
) -> tuple[Verdict, str] | None:
    """The first verdict that holds a plan up now and says worse of it than ``then``, with the point in the past that the worst is measured against: it did
    not hold the plan up, found less, or found a leg raised from more. Whoever overrode a guard has seen what it said then, and nothing worse.
    """
    was = _book(then.changes if guards else (), then.observed, unset_means, unprotected, then.points)
    book = _book(now.changes if guards else (), now.observed, unset_means, unprotected, now.points)
    for (before, _), (verdict, found) in zip(_judged(was, guards), _judged(book, guards), strict=True):
        if not verdict.passed:
            continue
        if not before.passed or verdict.measured > before.measured or _from_less(verdict, was, book):
            return verdict, found.against
    return None


def _from_less(verdict: Verdict, was: _Book, book: _Book) -> bool:
    """Whether a leg that a guard finds is now measured against less than it was."""
    if verdict.guard not in _RAISES:
        return False
    found = {_place(change) for change in _RAISES[verdict.guard](book, verdict.threshold)}
    if verdict.guard is GuardName.JUMPS_UP:  # of what each side writes
        pairs = [(before.least, now.least) for before, now in zip(was.written, book.written, strict=True) if _place(now.change) in found]
    else:
        pairs = [(was.legs[place].least, leg.least) for place, leg in book.legs.items() if place in found]
    return any(0 < now < (before or NO_LIMIT) for before, now in pairs)


def guard_findings(
    changes: Iterable[Change],
    observed: Sequence[Observed],
    guards: Guards,
    *,
    unset_means: UnsetMeans,
    unprotected: Sequence[str] = (),
    points: Points = NO_POINTS,
) -> tuple[tuple[Verdict, ...], tuple[Finding, ...]]:
    """The same, and a blocking finding for every guard that holds the plan up."""
    verdicts, findings, told = [], [], set()
    for verdict, found in _judged(_book(changes if guards else (), observed, unset_means, unprotected, points), guards):
        verdicts.append(verdict)
        if verdict.passed and verdict.guard not in told:
            told.add(verdict.guard)
            past = f"; at worst {found.against}" if found.against else ""
            findings.append(
                Finding(
                    code=finding_code(verdict.guard),
                    severity=Severity.ERROR,
                    message=f"{verdict_words(verdict)}{past}; {_KINDS[verdict.guard].ask} If it is meant: --override {verdict.guard}@DIGEST",
                    where=verdict.where,
                    blocks=True,
                    source=None if found.worst is None else found.worst.source,
                )
            )
    return tuple(verdicts), tuple(findings)


def unmeasured(against: Against | None) -> Iterator[Finding]:
    """What a plan says whose ledger could not be read: its guards measured less than they should. A raise in pieces may have gone unseen, so apply, which
    needs the ledger, measures again.
    """
    if against is not None and against.unread:
        yield Finding(
            code=UNMEASURED,
            severity=Severity.WARNING,
            message=f"guards did not measure against the values of {against.days} days ago, as the ledger could not be read: {against.unread}",
            where=PROJECT_FILE,
        )


def let_through(plan: Plan, overrides: Collection[GuardName]) -> frozenset[str]:
    """The changes of a plan whose raise an override lets through, by their ids: every change of a leg that an overridden guard found beyond a threshold. From
    there on, the leg is measured against what it was raised to. A guard that does not measure how much a leg is raised lets none through.
    """
    passed = [verdict for verdict in plan.guards if verdict.passed and verdict.guard in overrides and verdict.guard in _RAISES]
    if not passed:
        return frozenset()
    book = _book(plan.changes, plan.observed, UnsetMeans(plan.target.unset_means), (), points_of(plan.references))
    legs = {_place(change) for verdict in passed for change in _RAISES[verdict.guard](book, verdict.threshold)}
    return frozenset(change.id for change in plan.changes if change.kind is ChangeKind.LIMIT and _place(change) in legs)


def _place(change: Change) -> tuple[AccountKey, RowKey, Leg | None]:
    return change.account_key, change.row_key, change.leg


_RAISES: Final[dict[GuardName, Callable[[_Book, Threshold], Iterable[Change]]]] = {
    GuardName.RAISED: lambda book, threshold: [leg.change for leg in _raised_legs(book, threshold)],
    GuardName.RAISED_LOTS: lambda book, threshold: [leg.change for leg in _opened_legs(book, threshold)],
    GuardName.UNLIMITED: lambda book, threshold: [leg.change for leg in _unlimited_legs(book, threshold)],
    GuardName.JUMPS_UP: lambda book, threshold: [one.change for one in _jumped(book, threshold)],
}
"""The guards that measure how much a leg is raised, and the legs that each of them finds."""
RAISE_GUARDS: Final = frozenset(_RAISES)


def _book(
    changes: Iterable[Change], observed: Sequence[Observed], unset_means: UnsetMeans, unprotected: Sequence[str], points: Points
) -> _Book:
    protected = frozenset(seen.account_key for seen in observed if seen.protected)
    book = _Book(observed=observed, unset_means=unset_means, unprotected=unprotected, protected=protected, points=points)
    for change in changes:
        book.take(change)
    return book


def _judged(book: _Book, guards: Guards) -> Iterator[tuple[Verdict, _Measure]]:
    for name in GuardName:
        for threshold in guards.get(name, ()):
            found = _KINDS[name].measure(book, threshold)
            verdict = Verdict(
                guard=name,
                threshold=threshold,
                measured=found.measured,
                of=found.of,
                passed=threshold.passed(found.measured, found.of),
                where=found.where,
            )
            yield verdict, found


def switched_off(guards: Guards, target: Target) -> Iterator[Finding]:
    """What every plan says where guards are off. All of them off is for sandboxes: a protected environment does not take it."""
    missing = [name.value for name in GuardName if name not in guards]
    if not guards:
        refused = "; a protected environment needs them: take it out" if target.protected else ""
        yield Finding(
            code="guards-off",
            severity=Severity.ERROR if target.protected else Severity.WARNING,
            message=f"every guard is switched off by the project file (guards: none){refused}",
            where=PROJECT_FILE,
            blocks=target.protected,
        )
    elif missing:
        yield Finding(
            code="guards-off",
            severity=Severity.WARNING,
            message=f"switched off by the project file: {', '.join(missing)}",
            where=PROJECT_FILE,
        )


def finding_code(guard: GuardName) -> str:
    """``guard-rows-unset`` for ``rowsUnset``."""
    return "guard-" + "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in guard.value)


def guards_in(verdicts: Iterable[Verdict]) -> Guards:
    """The guards that verdicts were given for."""
    found: dict[GuardName, tuple[Threshold, ...]] = {}
    for verdict in verdicts:
        found[verdict.guard] = (*found.get(verdict.guard, ()), verdict.threshold)
    return found


def verdict_words(verdict: Verdict) -> str:
    """``9 of 9 rows there (100 %) are taken away; more than 50 % hold a plan up``."""
    kind, threshold = _KINDS[verdict.guard], verdict.threshold
    told = (kind.one if verdict.measured == 1 else kind.many).format(factor=threshold.factor)
    share = ""
    if verdict.of is not None and kind.of:
        percent = f", {verdict.measured * 100 // verdict.of:,} %" if verdict.of else ""
        share = f" (of {verdict.of:,} {kind.of}{percent})"
    return f"{verdict.measured:,} {told}{share}; {threshold_words(threshold)} holds a plan up"


def point_words(after: int, point: Point) -> str:
    """``×1,000 against 10 on 2026-10-29``."""
    times = f"{after / point.value:,.1f}".removesuffix(".0")
    return f"×{times} against {point.value:,} on {point.at[:10]}"


def threshold_words(threshold: Threshold) -> str:
    """``more than 10 and more than 50 %``."""
    halves = []
    if threshold.amount is not None:
        halves.append(f"more than {threshold.amount:,}")
    if threshold.percent is not None:
        halves.append(f"more than {threshold.percent} %")
    return (" and " if threshold.op is Op.AND else " or ").join(halves)
