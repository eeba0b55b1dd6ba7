"""The way back: a plan that restores what a run has changed. Pure.

Made before the run's first write from what was read then, and again, when it is wanted, from what is there then: an ordinary plan either way, diffed,
ordered, sealed and checked like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, cast

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
    FourAmounts,
    LegRef,
    LiveAccount,
    LiveRow,
    RowKey,
    Undeclared,
)
from amsctl.planning.arrange import AccountPlan, arrange, assemble
from amsctl.planning.diff import Rules, diff
from amsctl.planning.plan import Change, ChangeKind, ChangeValue, Finding, Origin, Plan, Target, value_words

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
    guards_off: bool

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
            guards_off=self.guards_off,
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


def restoring(live: LiveAccount, changes: Iterable[Change], rules: Rules, *, unwritten: Iterable[Change] = ()) -> AccountPlan:
    """What takes an account from ``live`` back to the ``after`` of each of ``changes``, where it still holds their ``before``.

    A value that is neither was changed since by somebody else: it is left alone, and a finding (``changed-since``) tells so; as it does of each of
    ``unwritten``, which the run meant to change and did not, and whose ``before`` is there all the same.
    """
    wanted: list[Change] = []
    findings = [_not_ours(change) for change in unwritten if _same(_found(change, live), change.before)]
    for change in changes:
        found = _found(change, live)
        if _same(found, change.before):
            wanted.append(change)
        elif not _same(found, change.after):
            findings.append(_changed_since(change, found))
    desired, shared = _desired(live, wanted)
    sources = {_identity(change): change.source for change in wanted}
    difference = diff(desired, live, replace(rules, undeclared=Undeclared.IGNORE))
    part = arrange(difference, live, rules)
    return replace(
        part,
        changes=tuple(replace(change, source=sources.get(_identity(change))) for change in part.changes),
        findings=tuple(sorted([*part.findings, *findings, *shared], key=lambda item: (item.where, item.code, item.message))),
    )


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


def _same(found: ChangeValue | None, value: ChangeValue) -> bool:
    """Equal, or both "no number": how that reads depends on whether the row exists."""
    words = (UNLIMITED, UNSET)
    return found == value or (found in words and value in words)


def _changed_since(change: Change, found: ChangeValue | None) -> Finding:
    return Finding(
        code="changed-since",
        severity=Severity.WARNING,
        message=f"left alone: the run made it {value_words(change.before)}, it is {value_words(found)} now, so somebody else has changed it since",
        where=change.where,
    )


def _not_ours(change: Change) -> Finding:
    return Finding(
        code="changed-since",
        severity=Severity.WARNING,
        message=f"left alone: the run did not make it {value_words(change.before)}, so somebody else has, or a call of it landed very late",
        where=change.where,
    )


def _desired(live: LiveAccount, changes: Iterable[Change]) -> tuple[DesiredAccount, list[Finding]]:
    """The wishes that lead back."""
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
    rows: dict[str, list[DesiredRow]] = {}
    findings: list[Finding] = []
    for key, wishes in sorted(legs.items()):
        row = _desired_row(key, wishes, live)
        if row is None:
            findings.append(_shared_row(live.key, key))
        else:
            rows.setdefault(key.execution_firm, []).append(row)
    firms = tuple(
        DesiredExecutionFirm(id=name, source=_NOWHERE, suspended=suspended.get(name), rows=tuple(rows.get(name, ())))
        for name in sorted(suspended.keys() | rows.keys())
    )
    return DesiredAccount(key=live.key, source=_NOWHERE, status=status, execution_firms=firms), findings


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


def _shared_row(account: AccountKey, key: RowKey) -> Finding:
    return Finding(
        code="changed-since",
        severity=Severity.WARNING,
        message="left alone: the run created this row, and somebody else has set limits in it since",
        where=f"{account}/{key}",
    )
