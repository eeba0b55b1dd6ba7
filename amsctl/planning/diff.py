"""Desired × live of one account → changes, row by row.

The rules (contract §1, AMS §1 and §3): what is not written is not managed; a row of four legs without a number is no row; a side outside the
ownership is an expectation and never written; each leg is one change.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

from amsctl.config import UnlimitedAs, UnlimitedShownAs
from amsctl.diagnostics import Severity, Source
from amsctl.errors import AmsError
from amsctl.masking import quoted
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
    RowKey,
    Undeclared,
    UnsetMeans,
    direction_of,
    effective,
    lets_through,
    near,
)
from amsctl.planning.plan import Change, ChangeKind, Finding

K = TypeVar("K")
S = TypeVar("S", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the project file decides about planning."""

    ownership: frozenset[Owner] = frozenset(Owner)
    unset_means: UnsetMeans = UnsetMeans.UNLIMITED
    undeclared: Undeclared = Undeclared.REPORT
    unlimited_as: UnlimitedAs = UnlimitedAs.NULL
    unlimited_shown_as: UnlimitedShownAs = UnlimitedShownAs.NULL
    rows_per_post: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """One row that changes: all four legs before, after, and the legs that are changes, each with its direction.

    ``before`` is ``NO_ROW`` for a row that does not exist. ``after`` is complete: legs that nobody manages keep their value, or become ``UNLIMITED``
    where the row is created. ``deletes``: the row goes away by a delete call.
    """

    key: RowKey
    before: FourAmounts
    after: FourAmounts
    moves: tuple[tuple[LegRef, Direction], ...]
    deletes: bool
    changes: tuple[Change, ...]
    live: LiveRow | None
    opens: bool = False
    """Whether some leg's effective limit grows although no managed leg loosens: the row is then written among the loosening ones."""

    @property
    def adds(self) -> bool:
        """Whether the row is created."""
        return self.live is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What differs on one account."""

    status: Change | None
    suspensions: tuple[Change, ...]
    rows: tuple[RowChange, ...]
    findings: tuple[Finding, ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        """Status first, then suspensions by execution firm, then legs by row."""
        first = () if self.status is None else (self.status,)
        return (*first, *self.suspensions, *(change for row in self.rows for change in row.changes))


def diff(desired: DesiredAccount, live: LiveAccount, rules: Rules, eligible: Mapping[str, frozenset[str]] | None = None) -> Difference:
    """All changes and findings of one account, in a fixed order; change ids are left empty for ``arrange`` to give.

    ``eligible`` maps execution firm to products and is looked at only for rows that would be added; ``None`` leaves that unchecked.

    AmsError where the account lists another spelling of a row or execution firm that is not there as written, or that would be written.
    """
    findings: list[Finding] = []
    rows = tuple(_rows(desired, live, rules, findings))
    if live.status is not AccountStatus.CLOSED:
        _check_spellings(desired, live, rows)
    suspensions = tuple(_suspensions(desired, live))
    status = _status(desired, live)
    wanted = Difference(status=status, suspensions=suspensions, rows=rows, findings=())
    if live.status is AccountStatus.CLOSED:
        findings.append(closed_account(live.key, desired, len(wanted.changes)))
        return Difference(status=None, suspensions=(), rows=(), findings=_sorted(findings))
    findings.extend(_unknown_execution_firms(desired, live, wanted))
    findings.extend(_unproven_releases(live, wanted, findings))
    if eligible is not None:
        findings.extend(_ineligible(live, rows, eligible))
    return Difference(status=status, suspensions=suspensions, rows=rows, findings=_sorted(findings))


def added_rows(desired: DesiredAccount, live: LiveAccount, rules: Rules) -> tuple[RowKey, ...]:
    """The rows that a plan would create, for which eligible products must be read first; none on a closed account."""
    if live.status is AccountStatus.CLOSED:
        return ()
    absent = (row for firm in desired.execution_firms for row in firm.rows if row.key not in live.rows)
    return tuple(sorted(row.key for row in absent if _row(row, live, rules, []) is not None))


# --- spellings ---


def _check_spellings(desired: DesiredAccount, live: LiveAccount, rows: tuple[RowChange, ...]) -> None:
    """Nothing is concluded from a row or an execution firm not being there, and neither is written, while the account lists it in another spelling: the
    AMS may mean the same one, and then a row that is added takes away limits that nobody read.
    """
    declared = {row.key for firm in desired.execution_firms for row in firm.rows}
    keys = {row.key for row in rows} | (declared - live.rows.keys())
    if keys:
        listed = _by_spelling((key, (near(key.execution_firm), near(key.product))) for key in live.rows)
        for key in sorted(keys):
            _refuse_twins(
                "row", str(key), map(str, listed.get((near(key.execution_firm), near(key.product)), ())), _address(live.key, *key)
            )
    firms = {row.key.execution_firm for row in rows}
    asked = {firm.id for firm in desired.execution_firms if _asks(firm, firms)} | firms
    if asked:
        known = _by_spelling((name, near(name)) for name in live.execution_firms)
        for name in sorted(asked):
            _refuse_twins("execution firm", name, known.get(near(name), ()), _address(live.key, name))


def _by_spelling(named: Iterable[tuple[K, S]]) -> dict[S, list[K]]:
    found: dict[S, list[K]] = {}
    for key, spelling in named:
        found.setdefault(spelling, []).append(key)
    return found


def _refuse_twins(kind: str, wanted: str, listed: Iterable[str], where: str) -> None:
    others = [name for name in listed if name != wanted]
    if others:
        raise AmsError(
            f"the account lists the {kind} in another spelling",
            where=where,
            expected=wanted,
            found=", ".join(quoted(name) for name in others),
            hint="write it as the AMS does; where the AMS is right to list both, ask CME which of them holds",
        )


# --- status and suspension ---


def _status(desired: DesiredAccount, live: LiveAccount) -> Change | None:
    if desired.status is None or desired.status is live.status:
        return None
    return Change(
        id="",
        kind=ChangeKind.STATUS,
        clearing_firm=live.key.firm,
        account=live.key.number,
        before=live.status.value,
        after=desired.status.value,
        direction=Direction.LOOSEN if desired.status is AccountStatus.ACTIVE else Direction.TIGHTEN,
        binding=True,
        source=desired.status_source,
    )


def _suspensions(desired: DesiredAccount, live: LiveAccount) -> Iterator[Change]:
    for firm in sorted(desired.execution_firms, key=lambda item: item.id):
        now = live.execution_firms.get(firm.id)
        if firm.suspended is None or now is None or now is firm.suspended:
            continue
        yield Change(
            id="",
            kind=ChangeKind.SUSPENSION,
            clearing_firm=live.key.firm,
            account=live.key.number,
            execution_firm=firm.id,
            before=now,
            after=firm.suspended,
            direction=Direction.TIGHTEN if firm.suspended else Direction.LOOSEN,
            binding=True,
            source=firm.suspended_source,
        )


# --- rows ---


def _rows(desired: DesiredAccount, live: LiveAccount, rules: Rules, findings: list[Finding]) -> Iterator[RowChange]:
    declared = {row.key: row for firm in desired.execution_firms for row in firm.rows}
    undeclared = desired.undeclared if desired.undeclared is not None else rules.undeclared
    for key in sorted(declared.keys() | live.rows.keys()):
        row = declared.get(key)
        if row is None:
            if undeclared is Undeclared.REPORT:
                findings.append(undeclared_row(live.key, key, live.rows[key].legs))
            if undeclared is not Undeclared.UNSET:
                continue
            row = tombstone(key, desired.source)
        change = _row(row, live, rules, findings)
        if change is not None:
            yield change


def tombstone(key: RowKey, source: Source) -> DesiredRow:
    """What is wanted of a row that no manifest names, where such rows are unset."""
    return DesiredRow(
        execution_firm=key.execution_firm,
        product=key.product,
        legs=(None, None, None, None),
        sources=(None, None, None, None),
        source=source,
        unset=True,
    )


def _row(row: DesiredRow, live: LiveAccount, rules: Rules, findings: list[Finding]) -> RowChange | None:
    current = live.rows.get(row.key)
    if current is not None and current.legs == row.legs and not row.unset:
        return None  # all four legs are as wished, which is how nearly every row of a book is
    before = NO_ROW if current is None else current.legs
    wishes = wishes_of(row)
    for ref, wish, found in zip(LEGS, wishes, before, strict=True):
        if ref.owner not in rules.ownership and wish is not None and differs(found, wish):
            findings.append(foreign_mismatch(live.key, row, ref, wish, found))
    merged = [
        found if wish is None or ref.owner not in rules.ownership else wish for ref, wish, found in zip(LEGS, wishes, before, strict=True)
    ]
    exists = any(isinstance(amount, int) for amount in merged)
    # Once a row exists, a leg without a number reads as unlimited; without a row, every leg is unset. A row that goes away because its legs were
    # declared unlimited (no tombstone) keeps that word.
    settled = UNLIMITED if exists or (current is not None and not row.unset) else UNSET
    after = cast("FourAmounts", tuple(amount if isinstance(amount, int) else settled for amount in merged))
    moves = tuple(
        (ref, direction_of(old, new, rules.unset_means))
        for ref, wish, old, new in zip(LEGS, wishes, before, after, strict=True)
        if wish is not None and ref.owner in rules.ownership and _moves(old, new, rules)
    )
    if not moves:
        return None
    opens = _opens(before, after, rules) and not any(direction is Direction.LOOSEN for _, direction in moves)
    if opens or (current is None and rules.unset_means is UnsetMeans.BLOCKED):
        findings.extend(_implicit(live, row, wishes, before, after, rules))
    return RowChange(
        key=row.key,
        before=before,
        after=after,
        moves=moves,
        deletes=row.unset and not exists,
        changes=tuple(_leg_change(row, live, current, ref, direction, before, after, rules) for ref, direction in moves),
        live=current,
        opens=opens,
    )


def wishes_of(row: DesiredRow) -> tuple[Amount | None, ...]:
    """What is wanted of each of the four legs, ``None`` where nothing is."""
    return NO_ROW if row.unset else row.legs


def differs(found: Amount, wish: Amount) -> bool:
    """Whether an expectation is not met; unlimited and unset are both "no limit"."""
    if isinstance(found, int) or isinstance(wish, int):
        return found != wish
    return False


def _moves(old: Amount, new: Amount, rules: Rules) -> bool:
    """Whether a leg changes: another number, or a number against none; between the two words only where they let different amounts through."""
    if isinstance(old, int) or isinstance(new, int):
        return old != new
    return lets_through(old, rules.unset_means) != lets_through(new, rules.unset_means)


def _effective(legs: FourAmounts, leg: Leg, rules: Rules) -> Amount:
    ef, cmf = (legs[LEGS.index(LegRef(owner, leg))] for owner in Owner)
    return effective(ef, cmf, rules.unset_means)


def _opens(before: FourAmounts, after: FourAmounts, rules: Rules) -> bool:
    return any(
        direction_of(_effective(before, leg, rules), _effective(after, leg, rules), rules.unset_means) is Direction.LOOSEN for leg in Leg
    )


def _leg_change(
    row: DesiredRow,
    live: LiveAccount,
    current: LiveRow | None,
    ref: LegRef,
    direction: Direction,
    before: FourAmounts,
    after: FourAmounts,
    rules: Rules,
) -> Change:
    index = LEGS.index(ref)
    usage = None
    if current is not None:
        usage = current.usage_long if ref.leg is Leg.LONG else current.usage_short
    return Change(
        id="",
        kind=ChangeKind.LIMIT,
        clearing_firm=live.key.firm,
        account=live.key.number,
        execution_firm=row.execution_firm,
        product=row.product,
        owner=ref.owner,
        leg=ref.leg,
        before=before[index],
        after=after[index],
        direction=direction,
        binding=_binds(index, ref.leg, before, after, rules),
        effective_before=_effective(before, ref.leg, rules),
        effective_after=_effective(after, ref.leg, rules),
        usage=usage,
        source=row.sources[index] or row.source,
    )


def _binds(index: int, leg: Leg, before: FourAmounts, after: FourAmounts, rules: Rules) -> bool:
    """Whether a leg takes part in moving the effective limit: this leg alone would have moved it the same way, or without it it would have ended
    elsewhere.
    """

    def way(then: FourAmounts, now: FourAmounts) -> Direction:
        return direction_of(_effective(then, leg, rules), _effective(now, leg, rules), rules.unset_means)

    moved = way(before, after)
    if moved is Direction.NEUTRAL:
        return False
    alone = cast("FourAmounts", (*before[:index], after[index], *before[index + 1 :]))
    without = cast("FourAmounts", (*after[:index], before[index], *after[index + 1 :]))
    return way(before, alone) is moved or way(without, after) is not Direction.NEUTRAL


# --- findings ---


def _address(key: AccountKey, *parts: str) -> str:
    return "/".join((key.firm, key.number, *parts))


def _show(amount: Amount) -> str:
    return str(amount) if isinstance(amount, int) else amount.value


def foreign_mismatch(key: AccountKey, row: DesiredRow, ref: LegRef, wish: Amount, found: Amount) -> Finding:
    """A limit of the other side that is not what the manifest expects."""
    where = f"{_address(key, row.execution_firm, row.product)} {ref.owner}.{ref.leg}"
    return Finding(
        code="foreign-mismatch",
        severity=Severity.WARNING,
        message=f"the {ref.owner} side is not ours to write: expected {_show(wish)} {ref.leg}, found {_show(found)}",
        where=where,
        source=row.sources[LEGS.index(ref)] or row.source,
    )


def _unproven_releases(live: LiveAccount, wanted: Difference, findings: list[Finding]) -> list[Finding]:
    """An account is activated and an execution firm released only when every limit that its manifest names is there: also the other side's, which
    nobody here can set right.
    """
    unmet = [finding.where for finding in findings if finding.code == "foreign-mismatch"]
    released = [(change, _address(live.key, change.execution_firm or "") + "/") for change in wanted.suspensions if change.after is False]
    if wanted.status is not None and wanted.status.direction is Direction.LOOSEN:
        released.append((wanted.status, _address(live.key) + "/"))
    return [
        Finding(
            code="release-unproven",
            severity=Severity.ERROR,
            message=f"not released while a limit that the manifest names is not there: {first[0]}{_others(len(first) - 1)}",
            where=change.where,
            blocks=True,
            source=change.source,
        )
        for change, below in released
        if (first := [place for place in unmet if place.startswith(below)])
    ]


def _others(count: int) -> str:
    return f" and {count} more" if count else ""


def undeclared_row(key: AccountKey, row: RowKey, legs: FourAmounts) -> Finding:
    """A row that no manifest names."""
    shown = ", ".join(f"{ref.owner}.{ref.leg} {_show(amount)}" for ref, amount in zip(LEGS, legs, strict=True))
    return Finding(
        code="undeclared-row",
        severity=Severity.WARNING,
        message=f"the AMS has a limit that no manifest names: {shown}",
        where=_address(key, row.execution_firm, row.product),
    )


def closed_account(key: AccountKey, desired: DesiredAccount, wanted: int) -> Finding:
    """An account that can no longer be written, of which the manifest wants so many changes."""
    changes = f"{wanted} change{'s' if wanted != 1 else ''}"
    return Finding(
        code="closed-account",
        severity=Severity.ERROR if wanted else Severity.WARNING,
        message=f"the account is closed at the AMS and cannot be written; {changes} wanted; take it out of the manifests ({desired.source})",
        where=_address(key),
        blocks=wanted > 0,
        source=desired.source,
    )


def _unknown_execution_firms(desired: DesiredAccount, live: LiveAccount, wanted: Difference) -> Iterator[Finding]:
    touched = {row.key.execution_firm for row in wanted.rows}
    for firm in desired.execution_firms:
        if firm.id in live.execution_firms or not _asks(firm, touched):
            continue
        yield unknown_execution_firm(live.key, firm, sorted(live.execution_firms))


def unknown_execution_firm(key: AccountKey, firm: DesiredExecutionFirm, known: Sequence[str]) -> Finding:
    """An execution firm of the manifest that is not among those of the account, which are ``known``."""
    return Finding(
        code="unknown-ef",
        severity=Severity.ERROR,
        message=f"execution firm {firm.id} is not on this account ({firm.source}); the AMS has: {', '.join(known) or 'none'}",
        where=_address(key, firm.id),
        blocks=True,
        source=firm.source,
    )


def _asks(firm: DesiredExecutionFirm, touched: set[str]) -> bool:
    """Whether a manifest wants something of an execution firm that could not be done."""
    return firm.suspended is not None or firm.id in touched


def _ineligible(live: LiveAccount, rows: tuple[RowChange, ...], eligible: Mapping[str, frozenset[str]]) -> Iterator[Finding]:
    for row in rows:
        if row.adds and row.key.product not in eligible.get(row.key.execution_firm, frozenset()):
            source = row.changes[0].source
            yield Finding(
                code="ineligible-product",
                severity=Severity.ERROR,
                message=f"product {row.key.product} may not be traded by {row.key.execution_firm} on this account, so no limit can be added"
                + (f" ({source})" if source else ""),
                where=_address(live.key, row.key.execution_firm, row.key.product),
                blocks=True,
                source=source,
            )


def _implicit(
    live: LiveAccount, row: DesiredRow, wishes: tuple[Amount | None, ...], before: FourAmounts, after: FourAmounts, rules: Rules
) -> Iterator[Finding]:
    """A row that is created where unset means blocked opens the legs that nobody wrote.

    Where that lets orders through in a direction that no change of the plan speaks of, the plan is blocked: a reviewer would not see it.
    """
    opened = [
        ref
        for ref, wish, old, new in zip(LEGS, wishes, before, after, strict=True)
        if (wish is None or ref.owner not in rules.ownership) and _moves(old, new, rules)
    ]
    if opened:
        told = {ref.leg for ref, wish in zip(LEGS, wishes, strict=True) if wish is not None and ref.owner in rules.ownership}
        unseen = any(
            leg not in told
            and direction_of(_effective(before, leg, rules), _effective(after, leg, rules), rules.unset_means) is Direction.LOOSEN
            for leg in Leg
        )
        yield Finding(
            code="implicit-unlimited",
            severity=Severity.ERROR if unseen else Severity.WARNING,
            message=f"creating this row leaves {', '.join(f'{ref.owner}.{ref.leg}' for ref in opened)} without a limit where unset means blocked; "
            "write every leg",
            where=_address(live.key, row.execution_firm, row.product),
            blocks=unseen,
            source=row.source,
        )


def _sorted(findings: list[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: (finding.where, finding.code, finding.message)))
