"""Nothing of an account loosens after anything in it failed to verify: a raise that was refused holds back the deletes after it."""

from __future__ import annotations

import pytest

from amsctl.applying.report import Report
from amsctl.model import Outcome
from tests.applying.test_executor import PHASES, wish, world
from tests.applying.world import World, apply, plan_of


def carried_out(here: World) -> Report:
    plan = plan_of(here, {"A": wish()})
    assert [step.phase for step in plan.steps] == PHASES
    assert "s3" not in plan.steps[3].after
    return apply(here, plan)


@pytest.mark.parametrize("fault", ["refused", "failed-before", "unreachable"])
def test_a_refused_raise_holds_back_every_later_loosening(fault: str) -> None:
    here = world(faults={3: fault})
    report = carried_out(here)
    assert [step.outcome for step in report.steps] == [*[Outcome.VERIFIED] * 2, Outcome.FAILED, *[Outcome.BLOCKED] * 3]
    ended = "step s3 is failed: nothing more is written to this account"
    assert report.steps[3].message == (ended if fault == "failed-before" else "step s3 must be verified first and is failed")
    assert len(here.posts) == 3


def test_what_tightens_still_goes_on_after_a_failed_halt() -> None:
    here = world(faults={1: "refused"})
    report = carried_out(here)
    assert [step.outcome for step in report.steps] == [Outcome.FAILED, Outcome.VERIFIED, *[Outcome.BLOCKED] * 4]
