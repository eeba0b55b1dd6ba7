"""A step does what its changes say and nothing else: any other plan file is refused before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from amsctl.applying.freshness import stale
from amsctl.applying.state import Discrepancy, call_of, check, state_of
from amsctl.errors import PlanFileError
from amsctl.model import UNSET, AccountStatus
from amsctl.planning.codec import sealed
from amsctl.planning.plan import Plan, Step
from tests.applying.test_executor import CJ, account, wish, world
from tests.applying.world import FIRM, apply, plan_of


def plan() -> Plan:
    return plan_of(world(), {"A": wish()})


def edited(number: int, **attributes: Any) -> Plan:
    made = plan()
    steps = [replace(step, **attributes) if index == number else step for index, step in enumerate(made.steps)]
    return sealed(replace(made, steps=tuple(steps)))


def body(number: int, edit: Callable[[Any], object]) -> Plan:
    import copy

    changed = copy.deepcopy(dict(plan().steps[number].body))
    edit(changed)
    return edited(number, body=changed)


ROW = "limits"
SUSPEND, TIGHTEN, LOOSEN, DELETE, RELEASE, ACTIVATE = range(6)
TAMPERED: dict[str, Plan] = {
    "another method": edited(SUSPEND, method="PUT"),
    "another path": edited(SUSPEND, path="/efStatus/clearing/ICC/GREENTEA/B"),
    "a path to nowhere": edited(SUSPEND, path="/nowhere"),
    "a delete out of a write": edited(TIGHTEN, query={"delete": "true"}),
    "another query": edited(TIGHTEN, query={"delete": "false"}),
    "a write out of a delete": edited(DELETE, query={}),
    "a query on a suspension": edited(SUSPEND, query={"delete": "true"}),
    "a query on a status": edited(ACTIVATE, query={"delete": "true"}),
    "another service": body(TIGHTEN, lambda b: b.update(service="CPC")),
    "another account in the body": body(TIGHTEN, lambda b: b.update(accountNumber="B")),
    "another firm in the body": body(TIGHTEN, lambda b: b.update(clearingFirm="B")),
    "another account to suspend": body(SUSPEND, lambda b: b.update(accountNumber="B")),
    "another account to activate": body(ACTIVATE, lambda b: b["clearingAccounts"][0].update(accountNumber="B")),
    "two accounts to activate": body(ACTIVATE, lambda b: b["clearingAccounts"].append(b["clearingAccounts"][0])),
    "an unknown status letter": body(ACTIVATE, lambda b: b["clearingAccounts"][0].update(status="C")),
    "another status": body(ACTIVATE, lambda b: b["clearingAccounts"][0].update(status="I")),
    "another value": body(TIGHTEN, lambda b: b[ROW][0]["efLimits"].update(long=301)),
    "a value out of place": body(TIGHTEN, lambda b: b[ROW][0]["efLimits"].update(short=600)),
    "a foreign value": body(LOOSEN, lambda b: b[ROW][0]["cmfLimits"].update(long=9001)),
    "a lifted foreign value": body(LOOSEN, lambda b: b[ROW][0].update(cmfLimits=None)),
    "a boolean": body(TIGHTEN, lambda b: b[ROW][0]["efLimits"].update(long=True)),
    "a text": body(TIGHTEN, lambda b: b[ROW][0]["efLimits"].update(long="300")),
    "a missing side": body(TIGHTEN, lambda b: b[ROW][0].pop("efLimits")),
    "a row twice": body(TIGHTEN, lambda b: b[ROW].append(b[ROW][0])),
    "a row more": body(TIGHTEN, lambda b: b[ROW].append({**b[ROW][0], "product": "X.FUT.CME"})),
    "a row less": body(TIGHTEN, lambda b: b[ROW].pop()),
    "no rows": body(TIGHTEN, lambda b: b[ROW].clear()),
    "rows that are none": body(TIGHTEN, lambda b: b.update(limits="all")),
    "another row deleted": body(DELETE, lambda b: b[ROW][0].update(product=CJ)),
    "a row more deleted": body(DELETE, lambda b: b[ROW].append({**b[ROW][0], "product": CJ})),
    "another execution firm": body(SUSPEND, lambda b: b["executionFirms"][0].update(efId="027")),
    "another flag": body(SUSPEND, lambda b: b["executionFirms"][0].update(suspended="N")),
    "a flag that is none": body(SUSPEND, lambda b: b["executionFirms"][0].update(suspended="yes")),
    "a change of another step": edited(TIGHTEN, changes=(*plan().steps[TIGHTEN].changes, "c1")),
    "an unknown change": edited(TIGHTEN, changes=(*plan().steps[TIGHTEN].changes, "c99")),
    "a change twice": edited(TIGHTEN, changes=(*plan().steps[TIGHTEN].changes, plan().steps[TIGHTEN].changes[0])),
    "a limit in a suspension": edited(SUSPEND, changes=plan().steps[TIGHTEN].changes),
    "a limit in a status": edited(ACTIVATE, changes=plan().steps[TIGHTEN].changes),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_step_that_does_something_else_is_refused_before_anything_is_written(name: str) -> None:
    here = world()
    with pytest.raises(PlanFileError):
        apply(here, TAMPERED[name])
    assert here.posts == []


def test_a_loosening_put_first_does_not_follow_from_what_the_plan_saw() -> None:
    made = plan()
    swapped = (made.steps[0], made.steps[2], made.steps[1], *made.steps[3:])
    here = world()
    with pytest.raises(PlanFileError, match="does not follow"):
        apply(here, sealed(replace(made, steps=swapped)))
    assert here.posts == []


def test_the_words_for_no_limit_are_read_in_every_form_that_is_planned() -> None:
    step = plan().steps[DELETE]
    row = step.body[ROW][0]  # type: ignore[index]
    forms = [{**row, "cmfLimits": side} for side in (None, {}, {"long": None}, {"long": "Unlimited", "short": "unlimited"})]
    calls = [call_of(replace(step, body={**step.body, ROW: [form]})) for form in forms]
    assert calls == [call_of(step)] * 4


def test_check_tells_each_value_that_is_not_what_the_plan_saw() -> None:
    made = plan()
    changes = {change.id: change for change in made.changes}
    live = account()
    live.status = "Active"
    live.suspended = {"027": False}
    live.rows = {}
    state = state_of(live.live())

    def found(step: Step) -> list[str]:
        return [str(item) for item in check(step, call_of(step), changes, state)]

    assert found(made.steps[ACTIVATE]) == [f"{FIRM}/A: expected Inactive, found Active"]
    assert found(made.steps[SUSPEND]) == [f"{FIRM}/A/3N1: expected not suspended, found absent"]
    assert f"{FIRM}/A/3N1/{CJ} ef.long: expected 324, found unset" in found(made.steps[TIGHTEN])


def test_an_unchanged_account_is_fresh_and_every_kind_of_move_is_not() -> None:
    made = plan()
    changes = {change.id: change for change in made.changes}
    fresh = account().live()
    assert stale(made.observed[0], made.steps, changes, fresh) == ()
    assert stale(made.observed[0], made.steps, changes, replace(fresh, status=AccountStatus.CLOSED)) != ()
    gone = stale(made.observed[0], made.steps, changes, replace(fresh, rows={}))
    assert f"{FIRM}/A/3N1/{CJ} ef.long: the plan saw 324, the AMS now has {UNSET.value}" in gone
    without = stale(made.observed[0], made.steps, changes, replace(fresh, execution_firms={}))
    assert f"{FIRM}/A/3N1: the plan saw not suspended, the AMS now has absent" in without


def test_a_discrepancy_reads_as_a_sentence() -> None:
    assert str(Discrepancy("here", "1", "2")) == "here: expected 1, found 2"


def test_a_row_that_appeared_since_is_told_as_unset_before() -> None:
    here = world()
    del here.accounts["A"].rows["3N1", CJ]
    made = plan_of(here, {"A": wish()})
    changes = {change.id: change for change in made.changes}
    appeared = stale(made.observed[0], made.steps, changes, account().live())
    assert f"{FIRM}/A/3N1/{CJ} ef.long: the plan saw unset, the AMS now has 324" in appeared
