"""The way back: a plan that restores what a run has changed. Pure.

Made before the run's first write from what was read then, and again, when it is wanted, from what is there then: an ordinary plan either way, diffed,
ordered, sealed and checked like any other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, assert_never, cast

from amsctl.config import Safeguards
from amsctl.diagnostics import Severity, Source
from amsctl.model import (
    LEGS,
    NO_ROW,
    UNLIMITED,
    UNSET,
    AccountKey,
    AccountStatus,
    Amount,
    DesiredAccount,
    DesiredExecutionFirm,
    DesiredRow,
    Direction,
    FourAmounts,
    Leg,
    LegRef,
    LiveAccount,
    LiveRow,
    Owner,
    Phase,
    RowKey,
    Undeclared,
    direction_of,
    effective,
    lets_through,
)
from amsctl.planning.arrange import AccountPlan, arrange, assemble
from amsctl.planning.diff import Rules, diff
from amsctl.planning.plan import Change, ChangeKind, ChangeValue, Finding, Origin, Plan, Target, value_words
from amsctl.planning.points import Past, no_past

_NOWHERE = Source("", 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inversion:
    """How inverse plans are made for one run."""

    rules: Rules
    target: Target
    origin: Origin
    created_at: str
    expires_at: str
    tool_version: str
    safeguards: Safeguards
    protected: Collection[AccountKey] = ()
    labels: Mapping[AccountKey, Collection[str]] = field(default_factory=dict)
    past: Past = no_past

    def part(self, live: LiveAccount, changes: Iterable[Change]) -> AccountPlan:
        """What undoes ``changes`` once they are made on an account that holds ``live`` before them."""
        listed = list(changes)
        return restoring(made(live, listed), map(inverted, listed), self.rules)

    def whole(self, parts: Iterable[AccountPlan]) -> Plan:
        """The plan of all accounts."""
        return assemble(
            parts,
            target=self.target,
            origin=self.origin,
            created_at=self.created_at,
            expires_at=self.expires_at,
            tool_version=self.tool_version,
            safeguards=self.safeguards,
            protected=self.protected,
            labels=self.labels,
            past=self.past,
            unlimited_shown_as=self.rules.unlimited_shown_as,
        )


def inverted(change: Change) -> Change:
    """The change back: what it takes as ``before`` is what the run left behind. Its direction is for ``diff`` to tell."""
    return replace(change, before=change.after, after=change.before)


def made(live: LiveAccount, changes: Iterable[Change]) -> LiveAccount:
    """The account once ``changes`` are made."""
    status, firms = live.status, dict(live.execution_firms)
    legs: dict[RowKey, dict[LegRef, Amount]] = {}
    for change in changes:
        match change.kind:
            case ChangeKind.STATUS:
                status = AccountStatus(str(change.after))
            case ChangeKind.SUSPENSION:
                firms[change.execution_firm or ""] = change.after is True
            case ChangeKind.LIMIT:
                legs.setdefault(change.row_key, {})[_leg(change)] = cast("Amount", change.after)
            case _:
                assert_never(change.kind)
    rows = dict(live.rows)
    for key, changed in legs.items():
        row = _row(rows.pop(key, None), changed)
        if row is not None:
            rows[key] = row
    return replace(live, status=status, execution_firms=firms, rows=rows)


def _leg(change: Change) -> LegRef:
    assert change.owner is not None
    assert change.leg is not None
    return LegRef(change.owner, change.leg)


def _row(old: LiveRow | None, changed: Mapping[LegRef, Amount]) -> LiveRow | None:
    """A row with some legs changed, as it reads then; ``None`` when no leg has a number: that is no row."""
    before = NO_ROW if old is None else old.legs
    amounts = [changed.get(ref, found) for ref, found in zip(LEGS, before, strict=True)]
    if not any(isinstance(amount, int) for amount in amounts):
        return None
    legs = tuple(amount if isinstance(amount, int) else UNLIMITED for amount in amounts)
    use = (None, None) if old is None else (old.usage_long, old.usage_short)
    return LiveRow(legs=cast("FourAmounts", legs), usage_long=use[0], usage_short=use[1])


def restoring(live: LiveAccount, changes: Iterable[Change], rules: Rules, *, others: Iterable[tuple[Change, str]] = ()) -> AccountPlan:
    """What takes an account from ``live`` back to the ``after`` of each of ``changes``, where it still holds their ``before``.

    Left alone, and told in a finding: a value that is neither (``changed-since``: somebody else changed it); each of ``others`` that is not as it was
    before the run (a change that is not the run's to take back, and why not); a leg that would let more through than the row did before the run and
    does now, as somebody else changed the row; and a release (``release-withheld``) while anything under it is left alone.
    """
    left = _Left(live)
    for change, why in others:
        found = _found(change, live)
        if not _same(found, change.after):
            left.alone(change, f"{why}; it is {value_words(found)} now")
    wanted: list[Change] = []
    for change in changes:
        found = _found(change, live)
        if _same(found, change.before):
            wanted.append(change)
        elif not _same(found, change.after):
            left.alone(
                change,
                f"the run made it {value_words(change.before)}, it is {value_words(found)} now, so somebody else has changed it since",
            )
    wanted = _no_more_than_ever(wanted, live, rules, left)
    desired, shared = _desired(live, wanted)
    for key in shared:
        left.row(key, "the run created this row, and somebody else has set limits in it since")
    desired = _without_unproven_releases(desired, live, left)
    sources = {_identity(change): change.source for change in wanted}
    difference = diff(desired, live, replace(rules, undeclared=Undeclared.IGNORE))
    part = arrange(difference, live, rules)
    return replace(
        part,
        changes=tuple(replace(change, source=sources.get(_identity(change))) for change in part.changes),
        findings=tuple(sorted([*part.findings, *left.findings], key=lambda item: (item.where, item.code, item.message))),
    )


def with_warning(part: AccountPlan) -> AccountPlan:
    """The way back of an account on which more has changed since than the run wrote: whoever agrees to a release must look at what it opens."""
    if not any(step.phase is Phase.RELEASE for step in part.steps):
        return part
    key = part.observed
    finding = Finding(
        code="changed-since",
        severity=Severity.WARNING,
        message="besides what the run wrote, something on this account is no longer as it was then: look at what a release opens",
        where=f"{key.clearing_firm}/{key.account}",
    )
    return replace(part, findings=(finding, *part.findings))


class _Left:
    """What is left alone on an account, and the findings that tell so."""

    def __init__(self, live: LiveAccount) -> None:
        self._key = live.key
        self.findings: list[Finding] = []
        self.execution_firms: set[str] = set()
        """Under which something is left alone."""

    def alone(self, change: Change, why: str) -> None:
        self.execution_firms.add(change.execution_firm or "")
        self._tell("changed-since", change.where, f"left alone: {why}")

    def row(self, key: RowKey, why: str) -> None:
        self.execution_firms.add(key.execution_firm)
        self._tell("changed-since", f"{self._key}/{key}", f"left alone: {why}")

    def withheld(self, execution_firm: str | None, word: str) -> None:
        where = str(self._key) if execution_firm is None else f"{self._key}/{execution_firm}"
        self.execution_firms.add(execution_firm or "")
        self._tell("release-withheld", where, f"left {word}: not everything under it is as it was before the run")

    def _tell(self, code: str, where: str, message: str) -> None:
        self.findings.append(Finding(code=code, severity=Severity.WARNING, message=message, where=where))


def _no_more_than_ever(wanted: Sequence[Change], live: LiveAccount, rules: Rules, left: _Left) -> list[Change]:
    """``wanted`` without the legs that would lift an effective limit, min(ef, cmf), above the larger of what it was before the run and what it is now:
    the other side was tighter then, and somebody else has opened it since.
    """
    sides: dict[tuple[RowKey, Leg], list[Change]] = {}
    for change in wanted:
        if change.kind is ChangeKind.LIMIT:
            assert change.leg is not None
            sides.setdefault((change.row_key, change.leg), []).append(change)
    restored = made(live, wanted)
    dropped: set[str] = set()
    for (key, leg), listed in sides.items():
        now, then = (_effective(account, key, leg, rules) for account in (live, restored))
        first = listed[0].effective_before
        assert first is not None
        allowed = max((first, now), key=lambda amount: lets_through(amount, rules.unset_means))
        if direction_of(allowed, then, rules.unset_means) is not Direction.LOOSEN:
            continue
        for change in listed:
            if direction_of(cast("Amount", change.before), cast("Amount", change.after), rules.unset_means) is Direction.LOOSEN:
                dropped.add(change.id)
                left.alone(
                    change,
                    f"with {value_words(change.after)} this row would let {value_words(then)} {leg} through, which was at most "
                    f"{value_words(allowed)} before the run and now: somebody else has changed its other side since",
                )
    return [change for change in wanted if change.id not in dropped]


def _effective(account: LiveAccount, key: RowKey, leg: Leg, rules: Rules) -> Amount:
    row = account.rows.get(key)
    legs = dict(zip(LEGS, NO_ROW if row is None else row.legs, strict=True))
    return effective(legs[LegRef(Owner.EF, leg)], legs[LegRef(Owner.CMF, leg)], rules.unset_means)


def _without_unproven_releases(desired: DesiredAccount, live: LiveAccount, left: _Left) -> DesiredAccount:
    """The wishes without the releases under which something is left alone: what stands there now is nobody's who released it before."""
    firms = []
    for firm in desired.execution_firms:
        if firm.suspended is False and live.execution_firms.get(firm.id) and left.execution_firms & {firm.id, ""}:
            left.withheld(firm.id, "suspended")
            firm = replace(firm, suspended=None)
        firms.append(firm)
    status = desired.status
    if status is AccountStatus.ACTIVE and live.status is not AccountStatus.ACTIVE and left.execution_firms:
        left.withheld(None, "inactive")
        status = None
    return replace(desired, status=status, execution_firms=tuple(firms))


def _identity(change: Change) -> tuple[object, ...]:
    return (change.kind, change.execution_firm, change.product, change.owner, change.leg)


def _found(change: Change, live: LiveAccount) -> ChangeValue | None:
    match change.kind:
        case ChangeKind.STATUS:
            return live.status.value
        case ChangeKind.SUSPENSION:
            return live.execution_firms.get(change.execution_firm or "")
        case ChangeKind.LIMIT:
            row = live.rows.get(change.row_key)
            return (NO_ROW if row is None else row.legs)[LEGS.index(_leg(change))]
        case _:
            assert_never(change.kind)


def _same(found: ChangeValue | None, value: ChangeValue) -> bool:
    """Equal, or both "no number": how that reads depends on whether the row exists."""
    words = (UNLIMITED, UNSET)
    return found == value or (found in words and value in words)


def _desired(live: LiveAccount, changes: Iterable[Change]) -> tuple[DesiredAccount, list[RowKey]]:
    """The wishes that lead back, and the rows that must stay although the run created them."""
    status: Literal[AccountStatus.ACTIVE, AccountStatus.INACTIVE] | None = None
    suspended: dict[str, bool] = {}
    legs: dict[RowKey, dict[LegRef, Amount]] = {}
    for change in changes:
        match change.kind:
            case ChangeKind.STATUS:
                status = AccountStatus.ACTIVE if change.after == AccountStatus.ACTIVE else AccountStatus.INACTIVE
            case ChangeKind.SUSPENSION:
                suspended[change.execution_firm or ""] = change.after is True
            case ChangeKind.LIMIT:
                legs.setdefault(change.row_key, {})[_leg(change)] = cast("Amount", change.after)
            case _:
                assert_never(change.kind)
    rows: dict[str, list[DesiredRow]] = {}
    shared: list[RowKey] = []
    for key, wishes in sorted(legs.items()):
        row = _desired_row(key, wishes, live)
        if row is None:
            shared.append(key)
        else:
            rows.setdefault(key.execution_firm, []).append(row)
    firms = tuple(
        DesiredExecutionFirm(id=name, source=_NOWHERE, suspended=suspended.get(name), rows=tuple(rows.get(name, ())))
        for name in sorted(suspended.keys() | rows.keys())
    )
    return DesiredAccount(key=live.key, source=_NOWHERE, status=status, execution_firms=firms), shared


def _desired_row(key: RowKey, wishes: Mapping[LegRef, Amount], live: LiveAccount) -> DesiredRow | None:
    """A row as it was. ``None`` when it must go away, as it did not exist, but carries numbers now that the run did not write."""
    row = live.rows.get(key)
    gone = any(amount is UNSET for amount in wishes.values())
    if gone and row is not None and any(isinstance(amount, int) and ref not in wishes for ref, amount in zip(LEGS, row.legs, strict=True)):
        return None
    # A row that comes back has the legs that it had: those that were no limit are said to be none, so that what they open is seen.
    rest = UNLIMITED if row is None else None
    legs = tuple(None if gone else wishes.get(ref, rest) for ref in LEGS)
    return DesiredRow(
        execution_firm=key.execution_firm,
        product=key.product,
        legs=cast("tuple[Amount | None, Amount | None, Amount | None, Amount | None]", legs),
        sources=(None, None, None, None),
        source=_NOWHERE,
        unset=gone,
    )
