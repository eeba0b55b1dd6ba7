"""Is the world still what the plan saw? Asked of the whole plan before the first write, and of each account again right before its writes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from amsctl.applying.resuming import holds, rewound
from amsctl.applying.state import AccountState, after_call, call_of, check, state_of, value_of
from amsctl.errors import PlanFileError
from amsctl.model import LiveAccount
from amsctl.planning.fingerprint import fingerprint, fingerprint_of
from amsctl.planning.plan import Change, Observed, Step, value_words


def stale(
    observed: Observed, steps: Iterable[Step], changes: Mapping[str, Change], live: LiveAccount, done: Collection[str] = ()
) -> tuple[str, ...]:
    """What has moved on an account since it was planned, one line each; empty when it is exactly as the plan saw it.

    ``done`` names changes of this plan that were carried out already: the account must be as the plan saw it but for them. The whole account counts,
    not only the rows that are written: a reviewer approved these changes beside those other values. PlanFileError when the steps do not do what the
    changes say (``state.check``), which is found here before anything is written.
    """
    carried_out = [changes[number] for number in sorted(done)]
    lost = tuple(_lost(carried_out, state_of(live)))
    if lost:
        return lost
    if _fingerprint(live, carried_out) != observed.sha256:
        return _explain(steps, changes, live)
    _rehearse(steps, changes, state_of(live))
    return ()


def as_it_was(live: LiveAccount, made: Iterable[Change], sha256: str) -> bool:
    """Whether an account is as a plan saw it (``sha256``) but for those of the plan's own changes that it holds."""
    state = state_of(live)
    return _fingerprint(live, [change for change in made if holds(change, state)]) == sha256


def _lost(done: Iterable[Change], state: AccountState) -> Iterator[str]:
    """What was carried out and is no longer so: somebody else has changed it since."""
    for change in done:
        if not holds(change, state):
            yield f"{change.where}: this plan made it {value_words(change.after)}, the AMS now has {value_words(value_of(change, state))}"


def _fingerprint(live: LiveAccount, done: list[Change]) -> str:
    if not done:
        return fingerprint(live)
    state = rewound(state_of(live), done)
    return fingerprint_of(state.key, state.status, state.execution_firms, state.rows)


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
    seen = {change.where: value_words(change.before) for change in carried}
    now = {change.where: value_words(value_of(change, state)) for change in carried}
    moved = DeepDiff(seen, now, view="tree").get("values_changed", ())
    lines = [f"{item.path(output_format='list')[0]}: the plan saw {item.t1}, the AMS now has {item.t2}" for item in moved]
    if not lines:
        lines = [f"{live.key}: a value that the plan does not change is no longer what it was (status, suspension or another row)"]
    return tuple(sorted(lines))
