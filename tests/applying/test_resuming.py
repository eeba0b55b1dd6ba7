"""What an earlier run of the same plan did: found by reading, never by belief, and never confused with what somebody else did."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from amsctl.applying.freshness import stale
from amsctl.applying.means import Barrier
from amsctl.applying.resuming import remaining, rewound
from amsctl.applying.settlement import settlement
from amsctl.applying.state import state_of
from amsctl.errors import AmsNoAnswer, ExitCode
from amsctl.model import AccountKey, Outcome, Phase
from amsctl.planning.fingerprint import fingerprint_of
from amsctl.planning.plan import Plan, Step
from tests.applying.test_executor import CJ, GLB, B, F, V, account, wish
from tests.applying.world import FIRM, Notes, World, apply, plan_of
from tests.planning.reference import Account
from tests.planning.strategies import NUMBER, situations

S = Outcome.SKIPPED


def part_of(step: Step, count: int) -> Step:
    """The first rows of a step alone."""
    name = "limits" if "limits" in step.body else "executionFirms"
    items = step.body.get(name)
    return step if not isinstance(items, list) else replace(step, body={**step.body, name: items[:count]})


@given(situations(), st.data())
def test_what_is_left_of_a_plan_finishes_it(situation, data) -> None:  # type: ignore[no-untyped-def]
    """Whatever part of it landed: steps that are done are not sent again, the rest leads to the same end, and nothing of it is stale."""
    desired, before, rules = situation
    here = World({NUMBER: before})
    plan = plan_of(here, {NUMBER: desired}, rules)
    changes = {change.id: change for change in plan.changes}
    whole = before.copy()
    for step in plan.steps:
        whole.post(step)
    crashed = before.copy()
    sent = data.draw(st.integers(0, len(plan.steps)))
    for number, step in enumerate(plan.steps[:sent]):
        last = number == sent - 1
        crashed.post(part_of(step, data.draw(st.integers(0, 3))) if last else step)
    state = state_of(crashed.live())
    left = remaining(plan.steps, changes, {step.id for step in plan.steps[:sent]}, state)
    assert rewound(state, [changes[number] for number in left.done]) == rewound(state_of(before.live()), [])
    if plan.steps:
        assert stale(plan.observed[0], left.steps, changes, crashed.live(), left.done) == ()
    assert {step.id for step in (*left.steps, *left.skipped)} == {step.id for step in plan.steps}
    for step in left.steps:
        crashed.post(step)
    assert state_of(crashed.live()) == state_of(whole.live())


@given(situations(), st.data())
def test_what_was_never_sent_is_not_ours_even_when_it_is_as_wanted(situation, data) -> None:  # type: ignore[no-untyped-def]
    """Somebody else did it: then the plan is stale, as it would have been the first time."""
    desired, before, rules = situation
    here = World({NUMBER: before})
    plan = plan_of(here, {NUMBER: desired}, rules)
    if not plan.steps:
        return
    changes = {change.id: change for change in plan.changes}
    edited = before.copy()
    edited.post(data.draw(st.sampled_from(plan.steps)))
    left = remaining(plan.steps, changes, (), state_of(edited.live()))
    assert (left.done, left.skipped, left.steps) == (frozenset(), (), plan.steps)
    moved = state_of(edited.live()) != state_of(before.live())
    assert bool(stale(plan.observed[0], plan.steps, changes, edited.live())) is moved


def test_the_state_before_is_what_the_plan_saw() -> None:
    here = World({"A": account()})
    plan = plan_of(here, {"A": wish()})
    for step in plan.steps:
        here.accounts["A"].post(step)
    state = rewound(state_of(here.accounts["A"].live()), plan.changes)
    assert fingerprint_of(state.key, state.status, state.execution_firms, state.rows) == plan.observed[0].sha256


def resumed(here: World, plan: Plan, *sent: str, **more: object) -> tuple[list[Outcome], ExitCode]:
    report = apply(here, plan, sent=frozenset(sent), **more)
    return [step.outcome for step in report.steps], report.exit_code


def test_a_resume_sends_what_is_left_and_nothing_else() -> None:
    here = World({"A": account()})
    plan = plan_of(here, {"A": wish()})
    for step in plan.steps[:2]:
        here.accounts["A"].post(step)
    assert resumed(here, plan, "s1", "s2", "s3") == ([S, S, V, V, V, V], ExitCode.DONE)
    assert [body for _, _, body in here.posts] == [step.body for step in plan.steps[2:]]


def test_a_resume_sends_only_the_rows_that_are_missing() -> None:
    here = World({"A": account()})
    plan = plan_of(here, {"A": wish()})
    here.accounts["A"].post(plan.steps[0])
    here.accounts["A"].post(part_of(plan.steps[1], 1))
    assert resumed(here, plan, "s1", "s2") == ([S, V, V, V, V, V], ExitCode.DONE)
    rows = here.posts[0][2]["limits"]
    assert [row["product"] for row in rows] == [GLB]  # type: ignore[index,union-attr]


def test_a_resume_of_a_plan_that_is_done_sends_nothing() -> None:
    here = World({"A": account()})
    plan = plan_of(here, {"A": wish()})
    assert apply(here, plan).exit_code is ExitCode.DONE
    here.posts.clear()
    assert resumed(here, plan, *(step.id for step in plan.steps)) == ([S] * 6, ExitCode.DONE)
    assert here.posts == []


def test_a_resume_refuses_what_somebody_else_has_moved() -> None:
    for edit in (("3N1", CJ, (324, 566, 9000, 2000)), ("OFF", "NEW.FUT.CME", (1, 1, 1, 1))):
        here = World({"A": account()})
        plan = plan_of(here, {"A": wish()})
        here.accounts["A"].post(plan.steps[0])
        here.accounts["A"].rows[edit[:2]] = edit[2]
        assert resumed(here, plan, "s1", "s2")[1] is ExitCode.STALE
        assert here.posts == []


# --- the barrier ---


def two(faults: dict[int, str]) -> tuple[World, Plan]:
    here = World({"A": account("A"), "B": account("B")}, faults=faults)
    return here, plan_of(here, {"A": wish("A"), "B": wish("B")})


def test_with_a_barrier_round_the_run_all_that_tightens_is_sent_first() -> None:
    here, plan = two({})
    report = apply(here, plan, barrier=Barrier.RUN)
    assert report.exit_code is ExitCode.DONE
    bodies = [str(step.body) for step in plan.steps]
    phases = [plan.steps[bodies.index(str(body))].phase for _, _, body in here.posts]
    strict = [phase in (Phase.HALT, Phase.TIGHTEN) for phase in phases]
    assert strict == [True] * 4 + [False] * 8


def test_with_a_barrier_round_the_run_a_failure_anywhere_keeps_everything_from_loosening() -> None:
    """And without it, the other account goes on."""
    here, plan = two({4: "refused"})
    report = apply(here, plan, barrier=Barrier.RUN, concurrency=1)
    assert [step.outcome for step in report.steps] == [V, V, B, B, B, B, V, F, B, B, B, B]
    assert "nothing loosens any more in this run: step s8 is failed" in {step.message for step in report.steps}
    here, plan = two({8: "refused"})
    report = apply(here, plan, concurrency=1)
    assert [step.outcome for step in report.steps] == [V] * 6 + [V, F, B, B, B, B]


def test_a_loosening_that_fails_holds_back_the_loosening_of_all_other_accounts() -> None:
    here, plan = two({5: "refused"})
    report = apply(here, plan, barrier=Barrier.RUN, concurrency=1)
    assert [step.outcome for step in report.steps] == [V, V, F, B, B, B, V, V, B, B, B, B]


def test_between_the_passes_an_account_is_looked_at_again() -> None:
    here, plan = two({})
    post = here.post

    async def edited(path: str, query: object, body: object, **leaving: object) -> object:
        answer = await post(path, query, body, **leaving)  # type: ignore[arg-type]
        if len(here.posts) == 4:
            here.accounts["A"].rows["3N1", CJ] = (300, 567, 1, 1)
        return answer

    here.post = edited  # type: ignore[method-assign,assignment]
    report = apply(here, plan, barrier=Barrier.RUN, concurrency=1)
    assert report.exit_code is ExitCode.STALE
    assert len(here.posts) == 4


def test_an_account_in_quarantine_is_neither_read_nor_written_and_the_others_are() -> None:
    here, plan = two({})
    report = apply(here, plan, closed_to_us={AccountKey(FIRM, "A"): "in quarantine"})
    assert [step.outcome for step in report.steps] == [B] * 6 + [V] * 6
    assert report.steps[0].message == "in quarantine"
    assert here.accounts["A"] == account("A")


class Shut:
    """A gate that is shut for what lets more through."""

    def __init__(self, *phases: Phase, when: int = 0) -> None:
        self.phases, self.when, self.asked = phases, when, 0

    def obstacle(self, step: Step) -> str | None:
        self.asked += 1
        return "the window is closed" if step.phase in self.phases and self.asked > self.when else None


def test_a_gate_that_is_shut_before_anything_was_sent_means_later() -> None:
    here = World({"A": account()})
    report = apply(here, plan_of(here, {"A": wish()}), gate=Shut(*Phase))
    assert (report.exit_code, here.posts) == (ExitCode.LATER, [])
    assert report.postponed == "the window is closed"


def test_a_gate_that_shuts_in_the_middle_leaves_a_part() -> None:
    here = World({"A": account()})
    report = apply(here, plan_of(here, {"A": wish()}), gate=Shut(Phase.LOOSEN, Phase.RELEASE))
    assert [step.outcome for step in report.steps] == [V, V, B, B, B, B]
    assert report.exit_code is ExitCode.PARTIAL


def test_a_gate_that_shuts_while_a_call_waits_to_leave_keeps_it_from_leaving() -> None:
    """Asked once more when connection and credential are ready."""
    here = World({"A": account()})
    gate = Shut(*Phase, when=2)
    report = apply(here, plan_of(here, {"A": wish()}), gate=gate)
    assert (report.steps[0].outcome, report.steps[0].message) == (F, "never sent: the window is closed")
    assert here.posts == []


# --- calls that were left open ---


def settled(here: Account, plan: Plan, step: Step) -> Outcome:
    changes = {change.id: change for change in plan.changes}
    return settlement([changes[number] for number in step.changes], state_of(here.live())).outcome


@given(situations(), st.data())
def test_a_call_that_was_left_open_is_told_by_what_is_there(situation, data) -> None:  # type: ignore[no-untyped-def]
    desired, before, rules = situation
    here = World({NUMBER: before})
    plan = plan_of(here, {NUMBER: desired}, rules)
    now = before.copy()
    for step in plan.steps:
        if state_of(_after(now, step).live()) == state_of(now.live()):
            continue  # nothing on the wire moves: it cannot be told apart
        assert settled(now, plan, step) is Outcome.FAILED
        now.post(step)
        assert settled(now, plan, step) is Outcome.VERIFIED


def _after(now: Account, step: Step) -> Account:
    copy = now.copy()
    copy.post(step)
    return copy


def test_a_call_that_landed_in_part_or_was_overwritten_is_neither() -> None:
    here = World({"A": account()})
    plan = plan_of(here, {"A": wish()})
    step = plan.steps[1]
    now = here.accounts["A"].copy()
    now.post(part_of(step, 1))
    assert settled(now, plan, step) is Outcome.DIVERGED
    now = here.accounts["A"].copy()
    now.rows["3N1", GLB] = (1, 2, 3, 4)
    assert settled(now, plan, step) is Outcome.DIVERGED


def test_between_the_passes_what_this_run_made_and_somebody_changed_is_stale() -> None:
    """A value that this run has just written is no longer known to be so: nothing may loosen on the strength of it."""
    here, plan = two({})
    post = here.post

    async def edited(path: str, query: object, body: object, **leaving: object) -> object:
        answer = await post(path, query, body, **leaving)  # type: ignore[arg-type]
        if len(here.posts) == 4:
            here.accounts["A"].rows["3N1", CJ] = (301, 567, 9000, 2000)
        return answer

    here.post = edited  # type: ignore[method-assign,assignment]
    report = apply(here, plan, barrier=Barrier.RUN, concurrency=1)
    assert report.exit_code is ExitCode.STALE
    assert report.stale == (f"{FIRM}/A/3N1/{CJ} ef.long: this plan made it 300, the AMS now has 301",)
    assert len(here.posts) == 4


def slowly(here: World, seconds: float, times: int) -> None:
    """The first calls have to wait so long for their turn."""
    post = here.post

    async def waiting(path: str, query: object, body: object, **leaving: object) -> object:
        nonlocal times
        if times:
            times -= 1
            here.clock.now += seconds
        return await post(path, query, body, **leaving)  # type: ignore[arg-type]

    here.post = waiting  # type: ignore[method-assign,assignment]


def test_a_call_that_waited_long_for_its_turn_is_brought_up_to_date_before_it_leaves() -> None:
    here = World({"A": account()})
    plan = plan_of(here, {"A": wish()})
    slowly(here, 45, 2)
    notes = Notes()
    report = apply(here, plan, notes=notes)
    assert report.exit_code is ExitCode.DONE
    assert len(here.posts) == 6
    assert [what for word, what in notes.lines if word == "intended"][:3] == ["s1#1", "s1#2", "s1#3"]


def test_a_value_that_moved_while_a_call_waited_for_its_turn_is_not_overwritten() -> None:
    here = World({"A": account()})
    plan = plan_of(here, {"A": replace(wish(), status=None, execution_firms=wish().execution_firms[1:])})
    slowly(here, 45, 1)
    here.accounts["A"].suspended["3N1"] = False
    read = here._read

    async def edited(number: str) -> Account:
        if here.clock.slept == [] and here.clock.now > 1_700_000_040:
            here.accounts["A"].suspended["3N1"] = True
        return await read(number)

    here._read = edited  # type: ignore[method-assign]
    report = apply(here, plan)
    assert report.exit_code is ExitCode.STALE
    assert here.posts == []


def test_a_call_whose_turn_never_comes_in_time_is_given_up() -> None:
    here = World({"A": account()})
    plan = plan_of(here, {"A": wish()})
    slowly(here, 45, 5)
    report = apply(here, plan)
    assert report.steps[0].outcome is F
    assert "read too long ago" in report.steps[0].message
    assert report.steps[1].outcome is V


def test_a_call_whose_time_ran_out_before_its_first_byte_was_never_sent() -> None:
    """A process that was paused while it waited for a connection knows that nothing left."""
    here = World({"A": account()})
    plan = plan_of(here, {"A": wish()})

    async def paused(path: str, query: object, body: object, **leaving: object) -> object:
        raise AmsNoAnswer("no answer within 30 s")

    here.post = paused  # type: ignore[method-assign,assignment]
    report = apply(here, plan)
    assert report.steps[0].outcome is F
    assert report.steps[0].message == "never sent: no answer within 30 s"
