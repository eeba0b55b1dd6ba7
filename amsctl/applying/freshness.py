"""Is the world still what the plan saw? Asked of the whole plan before the first write, and of each account again right before its writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import assert_never

from amsctl.applying.state import AccountState, after_call, call_of, check, show, state_of
from amsctl.errors import PlanFileError
from amsctl.model import LEGS, NO_ROW, LiveAccount, Special
from amsctl.planning.fingerprint import fingerprint
from amsctl.planning.plan import Change, ChangeKind, Observed, Step


def stale(observed: Observed, steps: Iterable[Step], changes: Mapping[str, Change], live: LiveAccount) -> tuple[str, ...]:
    """What has moved on an account since it was planned, one line each; empty when it is exactly as the plan saw it.

    The whole account counts, not only the rows that are written: a reviewer approved these changes beside those other values. PlanFileError when
    the steps do not do what the changes say (``state.check``), which is found here before anything is written.
    """
    if fingerprint(live) != observed.sha256:
        return _explain(steps, changes, live)
    _rehearse(steps, changes, state_of(live))
    return ()


def _rehearse(steps: Iterable[Step], changes: Mapping[str, Change], state: AccountState) -> None:
    """Every step in turn on the model of the account; a plan whose steps do not follow from what it saw is refused by ``check``."""
    for step in steps:
        call = call_of(step)
        found = check(step, call, changes, state)
        if found:
            raise PlanFileError(f"step {step.id} does not follow from what the plan saw ({found[0]})", hint="plan again with amsctl plan")
        state = after_call(state, call)


def _explain(steps: Iterable[Step], changes: Mapping[str, Change], live: LiveAccount) -> tuple[str, ...]:
    """The planned values that moved; when none did, that something else on the account has."""
    from deepdiff import DeepDiff  # heavy, and only ever wanted here

    carried = [changes[number] for step in steps for number in step.changes if number in changes]
    state = state_of(live)
    seen = {change.where: _shown(change.before) for change in carried}
    now = {change.where: _now(change, state) for change in carried}
    moved = DeepDiff(seen, now, view="tree").get("values_changed", ())
    lines = [f"{item.path(output_format='list')[0]}: the plan saw {item.t1}, the AMS now has {item.t2}" for item in moved]
    if not lines:
        lines = [f"{live.key}: a value that the plan does not change is no longer what it was (status, suspension or another row)"]
    return tuple(sorted(lines))


def _now(change: Change, state: AccountState) -> str:
    match change.kind:
        case ChangeKind.STATUS:
            return state.status.value
        case ChangeKind.SUSPENSION:
            return _shown(state.execution_firms.get(change.execution_firm or "", "absent"))
        case ChangeKind.LIMIT:
            legs = state.rows.get(change.row_key, NO_ROW)
            return show(next(amount for ref, amount in zip(LEGS, legs, strict=True) if ref == (change.owner, change.leg)))
        case _:
            assert_never(change.kind)


def _shown(value: object) -> str:
    match value:
        case bool():
            return "suspended" if value else "not suspended"
        case Special():
            return value.value
        case _:
            return str(value)
