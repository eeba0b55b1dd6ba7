"""Whatever fails, and whenever: never more let through than before or after, nothing outside the plan, a true report, and convergence after."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from amsctl.errors import AmsctlError, ExitCode
from amsctl.model import LEGS, UNLIMITED, Direction, Outcome, Phase, RowKey, UnsetMeans
from amsctl.planning.plan import Change, ChangeKind, Plan
from tests.applying.world import FAULTS, World, apply, plan_of
from tests.planning.reference import Account
from tests.planning.strategies import NUMBER, situations

OURS = [fault for fault in FAULTS if fault != "foreign-edit"]
faults = st.dictionaries(st.integers(1, 8), st.sampled_from(OURS), max_size=4)
reads = st.sets(st.integers(3, 14), max_size=3)


def holds(account: Account, change: Change) -> bool:
    """Whether the account is as a change wants it."""
    match change.kind:
        case ChangeKind.STATUS:
            return account.status == change.after
        case ChangeKind.SUSPENSION:
            return account.suspended[str(change.execution_firm)] is change.after
    row = account.live().rows.get(RowKey(str(change.execution_firm), str(change.product)))
    found = (row.legs if row else (UNLIMITED,) * 4)[[(ref.owner, ref.leg) for ref in LEGS].index((change.owner, change.leg))]  # type: ignore[arg-type]
    return found == (change.after if isinstance(change.after, int) else UNLIMITED)


def reaches(world: World, blocked: bool) -> list[dict[tuple[str, str, str], int]]:
    """Per instant: what every leg that was ever there lets through."""
    legs = {(firm, product, leg) for now in world.instants for firm, product in now[NUMBER].rows for leg in ("long", "short")}
    return [{key: now[NUMBER].reach(key, blocked_when_unset=blocked) for key in legs} for now in world.instants]


@given(situations(), faults, reads)
def test_at_every_instant_of_a_faulty_apply_no_leg_lets_more_through_than_before_or_after(situation, failing, unreadable) -> None:  # type: ignore[no-untyped-def]
    desired, account, rules = situation
    world = World({NUMBER: account}, faults=failing, failing_reads=unreadable)
    plan = plan_of(world, {NUMBER: desired}, rules)
    planned = World({NUMBER: account.copy()})
    for step in plan.steps:
        planned.accounts[NUMBER].post(step)
    planned.remember()
    try:
        apply(world, plan)
    except AmsctlError:
        assert world.posts == []
        return
    blocked = rules.unset_means is UnsetMeans.BLOCKED
    instants = reaches(world, blocked)
    for key, first in instants[0].items():
        last = planned.accounts[NUMBER].reach(key, blocked_when_unset=blocked)
        assert all(now[key] <= max(first, last) for now in instants)


@given(situations(), faults, reads)
def test_nothing_loosens_on_the_wire_unless_all_that_tightens_took_effect(situation, failing, unreadable) -> None:  # type: ignore[no-untyped-def]
    desired, account, rules = situation
    world = World({NUMBER: account}, faults=failing, failing_reads=unreadable)
    plan = plan_of(world, {NUMBER: desired}, rules)
    strict = [change for change in plan.changes if change.direction is Direction.TIGHTEN]
    opening = {step.path + str(step.body) + str(step.query) for step in plan.steps if step.phase in (Phase.LOOSEN, Phase.RELEASE)}
    post = world.post

    async def watched(path: str, query: object, body: object, **leaving: object) -> object:
        if path + str(body) + str(query) in opening:
            assert all(holds(world.accounts[NUMBER], change) for change in strict)
        return await post(path, query, body, **leaving)  # type: ignore[arg-type]

    world.post = watched  # type: ignore[method-assign,assignment]
    try:
        apply(world, plan)
    except AmsctlError:
        assert world.posts == []


@given(situations(), faults, reads)
def test_the_report_is_true_and_a_second_run_finishes_the_work(situation, failing, unreadable) -> None:  # type: ignore[no-untyped-def]
    desired, account, rules = situation
    world = World({NUMBER: account}, faults=failing, failing_reads=unreadable)
    plan = plan_of(world, {NUMBER: desired}, rules)
    # between "unlimited" and "unset" nothing on the wire moves, so such a change cannot be seen to be undone
    visible = {change.id for change in plan.changes if not holds(account, change)}
    try:
        report = apply(world, plan)
    except AmsctlError:
        return
    assert [step.id for step in report.steps] == [step.id for step in plan.steps]
    changes = {change.id: change for change in plan.changes}
    for step, told in zip(plan.steps, report.steps, strict=True):
        done = [holds(world.accounts[NUMBER], changes[number]) for number in step.changes if number in visible]
        if told.outcome is Outcome.VERIFIED:
            assert all(done)
        elif told.outcome in (Outcome.FAILED, Outcome.BLOCKED):
            assert not any(done)
    assert (report.exit_code is ExitCode.DONE) is all(step.outcome is Outcome.VERIFIED for step in report.steps)
    assert set(_bodies(world)) <= {str(step.body) for step in plan.steps}
    world.faults, world.failing_reads = {}, set()
    for _ in world.clock.due:
        world.clock.now += 1000
    again: Plan = plan_of(world, {NUMBER: desired}, rules)
    assert apply(world, again).exit_code is ExitCode.DONE
    assert plan_of(world, {NUMBER: desired}, rules).changes == ()


def _bodies(world: World) -> list[str]:
    return [str(body) for _, _, body in world.posts]
