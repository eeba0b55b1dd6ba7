"""A plan that was rewritten and sealed anew: what a reviewer reads must follow from what would run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from amsctl.model import Direction, Phase
from amsctl.planning.consistency import contradiction
from amsctl.planning.plan import Plan
from tests.applying.test_executor import wish, world
from tests.applying.world import plan_of
from tests.planning.strategies import situations
from tests.planning.test_properties import Situation, planned, whole

Forgery = Callable[[Plan], Plan]


@given(situations())
def test_every_plan_that_is_made_agrees_with_itself(situation: Situation) -> None:
    made = whole(planned(situation))
    assert contradiction(replace(made, target=replace(made.target, unset_means=situation[2].unset_means.value))) is None


def change(index: int, **values: Any) -> Forgery:
    def forge(plan: Plan) -> Plan:
        changes = list(plan.changes)
        changes[index] = replace(changes[index], **values)
        return replace(plan, changes=tuple(changes))

    return forge


def step(index: int, **values: Any) -> Forgery:
    def forge(plan: Plan) -> Plan:
        steps = list(plan.steps)
        steps[index] = replace(steps[index], **values)
        return replace(plan, steps=tuple(steps))

    return forge


FORGERIES: dict[str, tuple[Forgery, str]] = {
    "a loosening told as tightening": (change(4, direction=Direction.TIGHTEN), "changes[4].direction"),
    "an activation told as tightening": (change(0, direction=Direction.TIGHTEN), "changes[0].direction"),
    "a release told as neutral": (change(1, direction=Direction.NEUTRAL), "changes[1].direction"),
    "fewer loosenings in the summary": (lambda plan: replace(plan, summary=replace(plan.summary, loosen=0)), "summary"),
    "one account less in the summary": (lambda plan: replace(plan, summary=replace(plan.summary, accounts_changed=0)), "summary"),
    "a raise among what tightens": (step(2, phase=Phase.TIGHTEN), "steps[2].phase"),
    "a raise that waits for nothing": (step(2, after=()), "steps[2].after"),
    "a release that waits for the halt alone": (step(4, after=("s1",)), "steps[4].after"),
    "a change that no call makes": (step(0, changes=()), "steps: every change belongs to one step"),
    "a change that two calls make": (step(0, changes=("c1",)), "steps: every change belongs to one step"),
    "two changes of one name": (change(1, id="c1"), "ids"),
    "another word for unset": (lambda plan: replace(plan, target=replace(plan.target, unset_means="nothing")), "target.unset_means"),
    "the raise before the cut": (lambda plan: replace(plan, steps=(plan.steps[2], *plan.steps[:2], *plan.steps[3:])), "steps[0].after"),
    "the cut after the raise": (
        lambda plan: replace(plan, steps=(plan.steps[0], plan.steps[3], plan.steps[1], *plan.steps[4:], plan.steps[2])),
        "steps[1].after",
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_part_is_named(name: str) -> None:
    plan = plan_of(world(), {"A": wish()})
    assert contradiction(plan) is None
    assert [item.phase for item in plan.steps][2] is Phase.LOOSEN
    forge, where = FORGERIES[name]
    assert contradiction(forge(plan)) == where


def test_phases_that_run_backwards_are_named() -> None:
    plan = plan_of(world(), {"A": wish()})
    halt, tighten, *rest = plan.steps
    assert contradiction(replace(plan, steps=(tighten, halt, *rest))) == "steps[1].phase"
