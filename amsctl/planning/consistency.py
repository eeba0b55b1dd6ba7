"""Whether a plan says the same in all its parts. Its digest proves that a file was not damaged, not who wrote it: whoever reviews a plan reads the
summary, the directions and the phases, so these must follow from the changes and calls, and not stand beside them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import assert_never, cast

from amsctl.config import Approvals, GuardName
from amsctl.errors import PlanFileError
from amsctl.model import NO_LIMIT, AccountKey, AccountStatus, Amount, Direction, Phase, UnsetMeans, direction_of
from amsctl.planning.approvals import approval_need
from amsctl.planning.guards import UNMEASURED, finding_code, guard_findings, guards_in, switched_off, unmeasured
from amsctl.planning.plan import Change, ChangeKind, Plan, Step, Summary
from amsctl.planning.points import points_of, references
from amsctl.planning.policies import CODES, judge_policies

_ORDER = {phase: number for number, phase in enumerate(Phase)}


def check_consistency(plan: Plan) -> None:
    """PlanFileError when a part of the plan that a reviewer reads does not follow from the rest: amsctl did not write it."""
    wrong = contradiction(plan)
    if wrong is not None:
        raise PlanFileError(
            "the plan contradicts itself: this part does not follow from the rest",
            where=wrong,
            hint="make the plan again with amsctl plan -o",
        )


def contradiction(plan: Plan) -> str | None:
    """The first part of a plan that does not follow from the others (``changes[3].direction``); ``None`` for every plan that ``assemble`` made."""
    found = list(_contradictions(plan))
    return found[0] if found else None


def _contradictions(plan: Plan) -> Iterator[str]:
    if plan.target.unset_means not in list(UnsetMeans):
        yield "target.unset_means"
        return
    unset_means = UnsetMeans(plan.target.unset_means)
    seen = {one.account_key for one in plan.observed}
    shapeless = next(
        (number for number, change in enumerate(plan.changes) if change.account_key not in seen or not _is_whole(change)), None
    )
    if shapeless is not None or len(seen) != len(plan.observed):
        yield "observed" if shapeless is None else f"changes[{shapeless}]"
        return  # nothing can be measured on it
    for number, change in enumerate(plan.changes):
        if change.direction is not direction_as_told(change, unset_means):
            yield f"changes[{number}].direction"
    if plan.summary != summary_of(plan):
        yield "summary"
    yield from _guards(plan, unset_means)
    yield from _policies(plan)
    yield from _approvals(plan, unset_means)
    yield from _calls(plan)


def _is_whole(change: Change) -> bool:
    """Whether a change names what its kind is about, and nothing else: a leg, an execution firm, or the account alone."""
    leg = (change.product, change.owner, change.leg, change.effective_before, change.effective_after)
    match change.kind:
        case ChangeKind.LIMIT:
            return change.execution_firm is not None and None not in leg
        case ChangeKind.SUSPENSION:
            return change.execution_firm is not None and leg == (None,) * 5
        case ChangeKind.STATUS:
            return change.execution_firm is None and leg == (None,) * 5
        case _:
            assert_never(change.kind)


def _guards(plan: Plan, unset_means: UnsetMeans) -> Iterator[str]:
    """What the guards say is measured again; that they hold the plan up stands among the findings, which are what stops an apply."""
    guards, points = guards_in(plan.guards), points_of(plan.references)
    if not _may_refer(plan) or references(plan.changes, points, unset_means) != plan.references:
        yield "references"
        return
    verdicts, held = guard_findings(
        plan.changes, plan.observed, guards, unset_means=unset_means, unprotected=plan.origin.unprotected, points=points
    )
    if verdicts != plan.guards:
        yield "guards"
    codes = {"guards-off", UNMEASURED, *map(finding_code, GuardName)}
    if [*switched_off(guards, plan.target), *unmeasured(plan.against), *held] != [
        finding for finding in plan.findings if finding.code in codes
    ]:
        yield "findings"


def _may_refer(plan: Plan) -> bool:
    """A value of the past comes from a record that was looked at, is a number of contracts above zero, and is older than the plan."""
    if plan.against is None:
        return not plan.references
    return plan.against.days > 0 and all(
        one.source in plan.against.sources and 0 < one.value < NO_LIMIT and one.at <= plan.created_at for one in plan.references
    )


def _policies(plan: Plan) -> Iterator[str]:
    policies = [ruling.policy for ruling in plan.policies]
    rulings, findings = judge_policies(plan.changes, plan.observed, policies, target=plan.target, git=plan.origin.git)
    if rulings != plan.policies:
        yield "policies"
    if list(findings) != [finding for finding in plan.findings if finding.code in CODES.values()]:
        yield "findings"


def _approvals(plan: Plan, unset_means: UnsetMeans) -> Iterator[str]:
    if plan.approvals is None:
        return
    asked = Approvals(source=plan.approvals.source, rules=tuple(one.rule for one in plan.approvals.rules))
    if approval_need(plan.changes, asked, unset_means=unset_means) != plan.approvals:
        yield "approvals"


def direction_as_told(change: Change, unset_means: UnsetMeans) -> Direction:
    """The direction that before and after of a change give: suspending and deactivating tighten (contract of the plan format)."""
    match change.kind:
        case ChangeKind.LIMIT:
            return direction_of(cast("Amount", change.before), cast("Amount", change.after), unset_means)
        case ChangeKind.SUSPENSION:
            return Direction.TIGHTEN if change.after is True else Direction.LOOSEN
        case ChangeKind.STATUS:
            return Direction.LOOSEN if change.after == AccountStatus.ACTIVE else Direction.TIGHTEN
        case _:
            assert_never(change.kind)


def summary_of(plan: Plan) -> Summary:
    """The counts of what is in a plan."""
    directions = Counter(change.direction for change in plan.changes)
    return Summary(
        accounts=len(plan.observed),
        accounts_changed=len({change.account_key for change in plan.changes}),
        changes=len(plan.changes),
        tighten=directions[Direction.TIGHTEN],
        loosen=directions[Direction.LOOSEN],
        neutral=directions[Direction.NEUTRAL],
        requests=len(plan.steps),
    )


def _calls(plan: Plan) -> Iterator[str]:
    changes = {change.id: change for change in plan.changes}
    if len(changes) != len(plan.changes) or len({step.id for step in plan.steps}) != len(plan.steps):
        yield "ids"
        return
    carried = Counter(change for step in plan.steps for change in step.changes)
    if carried.keys() != changes.keys() or any(times != 1 for times in carried.values()):
        yield "steps: every change belongs to one step"
        return
    earlier: dict[AccountKey, list[Step]] = {}
    for number, step in enumerate(plan.steps):
        before = earlier.setdefault(step.account_key, [])
        if not _in_its_phase(step, [changes[change] for change in step.changes], before):
            yield f"steps[{number}].phase"
        if step.after != _waits_for(step, before):
            yield f"steps[{number}].after"
        before.append(step)


def _in_its_phase(step: Step, carried: list[Change], before: list[Step]) -> bool:
    """Nothing that loosens is called tightening, and phases come in their order."""
    if before and _ORDER[step.phase] < _ORDER[before[-1].phase]:
        return False
    return step.phase in {Phase.LOOSEN, Phase.RELEASE} or all(change.direction is not Direction.LOOSEN for change in carried)


def _waits_for(step: Step, before: list[Step]) -> tuple[str, ...]:
    match step.phase:
        case Phase.LOOSEN:
            return tuple(earlier.id for earlier in before if earlier.phase in {Phase.HALT, Phase.TIGHTEN})
        case Phase.RELEASE:
            return tuple(earlier.id for earlier in before if earlier.phase is not Phase.RELEASE)
        case _:
            return ()
