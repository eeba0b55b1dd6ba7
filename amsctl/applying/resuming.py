"""Which part of a plan an earlier run has already done, told by what the AMS holds. Pure.

A change counts as done only when a step that carries it was sent before and the AMS holds its value now; whatever else moved makes the plan stale.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from amsctl.applying.state import AccountState, LimitsCall, SuspensionCall, call_of, value_of
from amsctl.model import LEGS, NO_ROW, UNLIMITED, AccountStatus, Amount, FourAmounts, LegRef, RowKey, Special
from amsctl.planning.plan import Change, ChangeKind, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Remaining:
    """What is left of the steps of one account: steps to send (those done in part are cut down to the rest), steps that are done whole, and the changes
    that are done.
    """

    steps: tuple[Step, ...]
    skipped: tuple[Step, ...]
    done: frozenset[str]


def remaining(steps: Iterable[Step], changes: Mapping[str, Change], sent: Collection[str], state: AccountState) -> Remaining:
    """What is left of ``steps``, of which ``sent`` names those that an earlier run has sent, on an account that holds ``state``."""
    left: list[Step] = []
    skipped: list[Step] = []
    done: set[str] = set()
    for step in steps:
        landed = _landed(step, changes, state) if step.id in sent else frozenset()
        done |= landed
        if landed == frozenset(step.changes):
            skipped.append(step)
        else:
            left.append(_rest(step, changes, landed) if landed else step)
    return Remaining(steps=tuple(left), skipped=tuple(skipped), done=frozenset(done))


def _landed(step: Step, changes: Mapping[str, Change], state: AccountState) -> frozenset[str]:
    """The changes of a step that the AMS holds, by whole units: a row is stored whole or not at all."""
    units: dict[object, list[Change]] = {}
    for number in step.changes:
        change = changes[number]
        units.setdefault((change.kind, change.execution_firm, change.product), []).append(change)
    return frozenset(change.id for unit in units.values() if all(holds(change, state) for change in unit) for change in unit)


def proven(changes: Iterable[Change], state: AccountState) -> tuple[str, ...]:
    """The ids of the changes of one call that the account holds. Between "unlimited" and "unset" nothing can be told of a leg alone: the legs with a
    number in the same row tell it.
    """
    listed = list(changes)
    undone = {(change.execution_firm, change.product) for change in listed if not holds(change, state)}
    return tuple(
        change.id
        for change in listed
        if holds(change, state) and not (_tells_nothing(change) and (change.execution_firm, change.product) in undone)
    )


def _tells_nothing(change: Change) -> bool:
    return isinstance(change.before, Special) and isinstance(change.after, Special)


def holds(change: Change, state: AccountState) -> bool:
    """Whether the account holds what a change wants."""
    found, wanted = value_of(change, state), change.after
    if change.kind is not ChangeKind.LIMIT or isinstance(found, int) or isinstance(wanted, int):
        return found == wanted
    return True  # "unlimited" and "unset" are both no number, and how they read depends on whether the row exists


def _rest(step: Step, changes: Mapping[str, Change], landed: frozenset[str]) -> Step:
    """A step without what has landed already."""
    left = tuple(number for number in step.changes if number not in landed)
    wanted = {(changes[number].execution_firm, changes[number].product) for number in left}
    match call_of(step):
        case LimitsCall():
            kept = [item for item in _items(step, "limits") if (item["efId"], item["product"]) in wanted]
            return replace(step, changes=left, body={**step.body, "limits": kept})
        case SuspensionCall():
            kept = [item for item in _items(step, "executionFirms") if (item["efId"], None) in wanted]
            return replace(step, changes=left, body={**step.body, "executionFirms": kept})
        case _:
            raise AssertionError("a status call has one change, which is done or not")


def _items(step: Step, name: str) -> Iterator[Mapping[str, object]]:
    items = step.body[name]
    assert isinstance(items, list)
    return iter(items)


def rewound(state: AccountState, changes: Iterable[Change]) -> AccountState:
    """The state before ``changes``, all of which it holds: what the plan must have seen if nobody else moved anything."""
    status, firms, rows = state.status, dict(state.execution_firms), dict(state.rows)
    before: dict[RowKey, dict[LegRef, Amount]] = {}
    for change in changes:
        match change.kind:
            case ChangeKind.STATUS:
                status = AccountStatus(str(change.before))
            case ChangeKind.SUSPENSION:
                firms[change.execution_firm or ""] = change.before is True
            case ChangeKind.LIMIT:
                assert change.owner is not None
                assert change.leg is not None
                assert isinstance(change.before, int | Special)
                before.setdefault(change.row_key, {})[LegRef(change.owner, change.leg)] = change.before
            case _:
                assert_never(change.kind)
    for key, legs in before.items():
        rows[key] = _with(rows.get(key, NO_ROW), legs)
    return replace(state, status=status, execution_firms=firms, rows={key: legs for key, legs in rows.items() if _numbers(legs)})


def _with(legs: FourAmounts, changed: Mapping[LegRef, Amount]) -> FourAmounts:
    """Legs with some of them replaced, as a row reads that has a number somewhere: a leg without one is unlimited."""
    ef_long, ef_short, cmf_long, cmf_short = (
        amount if isinstance(amount, int) else UNLIMITED for amount in (changed.get(ref, old) for ref, old in zip(LEGS, legs, strict=True))
    )
    return (ef_long, ef_short, cmf_long, cmf_short)


def _numbers(legs: FourAmounts) -> bool:
    return any(isinstance(leg, int) for leg in legs)
