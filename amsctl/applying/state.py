"""What an account holds, and what a planned call makes of it. Pure.

The executor keeps a model of the account: before each call it checks that the call does what its changes say and nothing else, after each call it
holds what was read back against what the model expects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, assert_never, cast

from amsctl.errors import PlanFileError
from amsctl.model import (
    LEGS,
    NO_ROW,
    SERVICE,
    UNLIMITED,
    AccountKey,
    AccountStatus,
    Amount,
    FourAmounts,
    LegRef,
    LiveAccount,
    LiveRow,
    RowKey,
)
from amsctl.planning.plan import Change, ChangeKind, ChangeValue, Step
from amsctl.wire import bodies, paths


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """Everything that is configured on one account. ``rows`` holds rows with at least one number."""

    key: AccountKey
    status: AccountStatus
    execution_firms: Mapping[str, bool]
    rows: Mapping[RowKey, FourAmounts]


def state_of(live: LiveAccount) -> AccountState:
    """The state that a read found."""
    return AccountState(key=live.key, status=live.status, execution_firms=dict(live.execution_firms), rows=legs_of(live.rows))


def legs_of(rows: Mapping[RowKey, LiveRow]) -> dict[RowKey, FourAmounts]:
    """Rows as read, legs alone."""
    return {key: row.legs for key, row in rows.items()}


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One value that is not what it should be. ``planned`` tells whether the call in question was to write it (or to echo it)."""

    where: str
    expected: str
    found: str
    planned: bool = False
    row: RowKey | None = None

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}, found {self.found}"


def value_of(change: Change, state: AccountState) -> ChangeValue | None:
    """What the account holds where a change is about; ``None`` for an execution firm that is not on it."""
    match change.kind:
        case ChangeKind.STATUS:
            return state.status.value
        case ChangeKind.SUSPENSION:
            return state.execution_firms.get(change.execution_firm or "")
        case ChangeKind.LIMIT:
            legs = state.rows.get(change.row_key, NO_ROW)
            return next(amount for ref, amount in zip(LEGS, legs, strict=True) if ref == (change.owner, change.leg))
        case _:
            assert_never(change.kind)


# --- what a call asks for ---


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsCall:
    """A limits POST, read back from the plan: rows to store, or to delete."""

    rows: Mapping[RowKey, FourAmounts]
    delete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspensionCall:
    """An efStatus POST: execution firm → suspended."""

    suspended: Mapping[str, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusCall:
    """A status POST."""

    status: AccountStatus


Call = LimitsCall | SuspensionCall | StatusCall

_LETTERS: Final = {letter: status for status, letter in bodies.STATUS_LETTERS.items()}


def call_of(step: Step) -> Call:
    """What a step's request asks for; PlanFileError when it is not one of the three calls that amsctl makes, to the account it names."""
    key = step.account_key
    try:
        _demand(step.method == "POST" and step.body.get("service") == SERVICE)
        if step.path == paths.limits(*key):
            return _limits_call(step, key)
        if step.path == paths.execution_firm_status(*key):
            return _suspension_call(step, key)
        _demand(step.path == paths.account_status(key.firm))
        return _status_call(step, key)
    except (_Odd, KeyError, TypeError, ValueError, AttributeError):
        raise PlanFileError(
            f"step {step.id} is not a call that amsctl plans",
            where=f"{key}",
            hint="the plan file was not written by amsctl plan; plan again",
        ) from None


class _Odd(Exception):
    pass


def _demand(holds: bool) -> None:
    if not holds:
        raise _Odd


def _items(step: Step, name: str) -> list[dict[str, object]]:
    items = step.body[name]
    _demand(isinstance(items, list) and len(items) > 0)
    return cast("list[dict[str, object]]", items)


def _limits_call(step: Step, key: AccountKey) -> LimitsCall:
    delete = dict(step.query) == dict(bodies.DELETE_QUERY)
    _demand(delete or not step.query)
    _demand(step.body["clearingFirm"] == key.firm and step.body["accountNumber"] == key.number)
    rows: dict[RowKey, FourAmounts] = {}
    for item in _items(step, "limits"):
        row = RowKey(str(item["efId"]), str(item["product"]))
        _demand(row not in rows)
        rows[row] = cast("FourAmounts", tuple(_leg(item, ref) for ref in LEGS))
    return LimitsCall(rows=rows, delete=delete)


def _leg(item: Mapping[str, object], ref: LegRef) -> Amount:
    side = item.get(bodies.SIDE_KEYS[ref.owner])  # left out, where it was left out when the row was read
    value = side.get(ref.leg.value) if isinstance(side, dict) else side
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    _demand(value is None or (isinstance(value, str) and value.lower() == UNLIMITED.value))
    return UNLIMITED


def _suspension_call(step: Step, key: AccountKey) -> SuspensionCall:
    _demand(not step.query and step.body["clearingFirm"] == key.firm and step.body["accountNumber"] == key.number)
    flags = {"Y": True, "N": False}
    suspended = {str(item["efId"]): flags[str(item["suspended"])] for item in _items(step, "executionFirms")}
    return SuspensionCall(suspended=suspended)


def _status_call(step: Step, key: AccountKey) -> StatusCall:
    (item,) = _items(step, "clearingAccounts")
    _demand(not step.query and item["clearingFirm"] == key.firm and item["accountNumber"] == key.number)
    return StatusCall(status=_LETTERS[str(item["status"])])


# --- what a call makes of a state ---


def after_call(state: AccountState, call: Call) -> AccountState:
    """The state once the call has taken effect."""
    match call:
        case StatusCall(status=status):
            return replace(state, status=status)
        case SuspensionCall(suspended=suspended):
            return replace(state, execution_firms={**state.execution_firms, **suspended})
        case LimitsCall(rows=rows, delete=True):
            return replace(state, rows={key: legs for key, legs in state.rows.items() if key not in rows})
        case LimitsCall(rows=rows):
            merged = {**state.rows, **rows}
            return replace(state, rows={key: legs for key, legs in merged.items() if any(isinstance(leg, int) for leg in legs)})
        case _:
            assert_never(call)


def check(step: Step, call: Call, changes: Mapping[str, Change], state: AccountState) -> tuple[Discrepancy, ...]:
    """What keeps a step from being sent now: values of the state that are not what the plan saw; empty when there are none.

    PlanFileError when the request does anything that the step's changes do not say: what is shown is exactly what runs.
    """
    carried = [_known(step, changes, change) for change in step.changes]
    match call:
        case StatusCall(status=status):
            _agree(step, [(c.kind, c.after) for c in carried] == [(ChangeKind.STATUS, status.value)])
            return tuple(_moved(str(state.key), str(carried[0].before), state.status.value))
        case SuspensionCall(suspended=suspended):
            _agree(step, all(c.kind is ChangeKind.SUSPENSION for c in carried))
            _agree(step, {c.execution_firm: c.after for c in carried} == suspended and len(carried) == len(suspended))
            return tuple(
                found
                for c in carried
                for found in _moved(c.where, _flag(c.before is True), _flag(state.execution_firms.get(c.execution_firm or "")))
            )
        case LimitsCall():
            return tuple(_check_limits(step, call, carried, state))
        case _:
            assert_never(call)


def _known(step: Step, changes: Mapping[str, Change], number: str) -> Change:
    change = changes.get(number)
    _agree(step, change is not None and change.account_key == step.account_key)
    assert change is not None
    return change


def _agree(step: Step, holds: bool) -> None:
    if not holds:
        raise PlanFileError(
            f"step {step.id} would do something else than its changes say", where=str(step.account_key), hint="plan again with amsctl plan"
        )


def _check_limits(step: Step, call: LimitsCall, carried: list[Change], state: AccountState) -> Iterator[Discrepancy]:
    _agree(step, all(change.kind is ChangeKind.LIMIT for change in carried))
    wanted = {(change.row_key, change.owner, change.leg): change for change in carried}
    _agree(step, len(wanted) == len(carried))
    for key, legs in call.rows.items():
        for ref, asked, found in zip(LEGS, legs, state.rows.get(key, NO_ROW), strict=True):
            change = wanted.pop((key, ref.owner, ref.leg), None)
            where = f"{state.key}/{key} {ref.owner}.{ref.leg}"
            if change is None:
                # A leg that nobody manages goes back as it was read; a deleted row may name nothing but its own changes and empty legs.
                _agree(step, not call.delete or not isinstance(asked, int))
                yield from _moved(where, *_both(asked, found), planned=True)
                continue
            intended: object = change.before if call.delete else change.after
            _agree(step, _same(cast("Amount", intended), asked))
            yield from _moved(where, *_both(cast("Amount", change.before), found), planned=True)
    _agree(step, not wanted)


def _same(one: Amount, other: Amount) -> bool:
    """Equal as numbers, or both without one: a leg without a number reads as unlimited in a row and as unset without a row."""
    return one == other if isinstance(one, int) or isinstance(other, int) else True


def _both(expected: Amount, found: Amount) -> tuple[str, str]:
    if _same(expected, found):
        return ("", "")
    return (show(expected), show(found))


def show(amount: Amount) -> str:
    """An amount in a message."""
    return str(amount) if isinstance(amount, int) else amount.value


def _flag(suspended: bool | None) -> str:
    return "absent" if suspended is None else "suspended" if suspended else "not suspended"


def _moved(where: str, expected: str, found: str, *, planned: bool = False, row: RowKey | None = None) -> Iterator[Discrepancy]:
    if expected != found:
        yield Discrepancy(where, expected, found, planned, row)


# --- what was read back, against what should be there ---


def compare(expected: AccountState, found: AccountState, call: Call | None = None) -> tuple[Discrepancy, ...]:
    """Every value that differs, in a fixed order; ``planned`` marks those in rows, firms or status that ``call`` wrote."""
    return tuple(_compare(expected, found, call))


def _compare(expected: AccountState, found: AccountState, call: Call | None) -> Iterator[Discrepancy]:
    yield from _moved(f"{expected.key} status", expected.status.value, found.status.value, planned=isinstance(call, StatusCall))
    written = call.suspended if isinstance(call, SuspensionCall) else {}
    for firm in sorted(expected.execution_firms.keys() | found.execution_firms.keys()):
        old, new = expected.execution_firms.get(firm), found.execution_firms.get(firm)
        yield from _moved(f"{expected.key}/{firm}", _flag(old), _flag(new), planned=firm in written)
    rows = call.rows if isinstance(call, LimitsCall) else {}
    for key in sorted(expected.rows.keys() | found.rows.keys()):
        before, now = expected.rows.get(key, NO_ROW), found.rows.get(key, NO_ROW)
        if before != now:
            for ref, old_leg, new_leg in zip(LEGS, before, now, strict=True):
                yield from _moved(f"{expected.key}/{key} {ref.owner}.{ref.leg}", *_both(old_leg, new_leg), planned=key in rows, row=key)
