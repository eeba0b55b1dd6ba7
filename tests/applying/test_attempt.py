"""Corners of one step: answers that cannot be compared, accounts that vanish, states that do not fit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from amsctl.applying.account import _Account
from amsctl.applying.attempt import read_back
from amsctl.applying.course import Course, Job
from amsctl.applying.means import Means, Stop
from amsctl.applying.recorders import Recorders
from amsctl.applying.state import StatusCall, state_of
from amsctl.concurrently import first_of
from amsctl.errors import IncompleteRead
from amsctl.model import AccountKey, AccountStatus, Firm, Outcome
from tests.applying.test_executor import account, wish, world
from tests.applying.world import FIRM, Answer, World, apply, plan_of

CMF = Firm(name=FIRM, clearing_id="780")


def answering(here: World, body: dict[str, object]) -> World:
    """A world whose answers to POSTs are all the same, whatever took effect."""
    post = here.post

    async def other(path: str, query: object, sent: object, **leaving: object) -> Answer:
        await post(path, query, sent, **leaving)  # type: ignore[arg-type]
        return Answer(200, body)

    here.post = other  # type: ignore[method-assign,assignment]
    return here


@pytest.mark.parametrize("body", [{}, {"limits": "none"}, {"accountNumber": "B", "limits": [], "executionFirms": []}])
def test_an_answer_that_cannot_be_compared_is_a_divergence_even_when_the_read_back_is_right(body: dict[str, object]) -> None:
    here = answering(world(), body)
    report = apply(here, plan_of(here, {"A": wish()}))
    assert report.steps[0].outcome is Outcome.DIVERGED
    assert "cannot be compared" in report.steps[0].message
    assert "read back, the AMS holds what was asked" in report.steps[0].message


@pytest.mark.parametrize(("words", "said"), [([], "no word"), ([{"accountNumber": "A", "status": "Pending"}], "Pending")])
def test_a_status_post_without_its_word_is_a_divergence(words: list[object], said: str) -> None:
    plain = account()
    plain.rows, plain.suspended = {}, {}
    here = answering(World({"A": plain}), {"clearingAccounts": words})
    desired = replace(wish(), execution_firms=())
    report = apply(here, plan_of(here, {"A": desired}))
    assert report.steps[0].outcome is Outcome.DIVERGED
    assert f"expected Successful, found {said}" in report.steps[0].message


async def _status(here: World) -> AccountStatus:
    return (await read_back(StatusCall(status=AccountStatus.ACTIVE), state_of(account().live()), CMF, here, whole=False)).status


def test_a_status_is_read_back_from_the_listing_and_a_missing_account_is_an_incomplete_read() -> None:
    import asyncio

    here = world()
    here.accounts["A"].status = "Closed"
    assert asyncio.run(_status(here)) is AccountStatus.CLOSED
    with pytest.raises(IncompleteRead, match="no longer listed"):
        asyncio.run(_status(World({})))


def test_a_suspension_that_did_not_take_is_told_without_counting_rows() -> None:
    here = world(faults={1: "stored-nothing"})
    report = apply(here, plan_of(here, {"A": wish()}))
    assert report.steps[0].outcome is Outcome.DIVERGED
    assert "expected suspended, found not suspended" in report.steps[0].message


def test_a_status_that_is_half_done_is_told_as_it_is() -> None:
    """The account ended up closed: neither what it was nor what was asked."""
    here = world()
    plan = plan_of(here, {"A": wish()})
    post = here.post

    async def closing(path: str, query: object, body: object, **leaving: object) -> object:
        answer = await post(path, query, body, **leaving)  # type: ignore[arg-type]
        if path.startswith("/status/"):
            here.accounts["A"].status = "Closed"
        return answer

    here.post = closing  # type: ignore[method-assign,assignment]
    report = apply(here, plan)
    assert report.steps[-1].outcome is Outcome.DIVERGED
    assert report.steps[-1].message == f"read back, it is not as asked: {FIRM}/A status: expected Active, found Closed"


def test_long_lists_of_differences_are_cut_and_say_so() -> None:
    from amsctl.applying.attempt import _listed
    from amsctl.applying.state import Discrepancy

    many = tuple(Discrepancy(f"row {n}", "1", "2") for n in range(15))
    assert _listed(many).endswith("row 11: expected 1, found 2; and 3 more")
    assert _listed(many[:12]).endswith("row 11: expected 1, found 2")


def test_a_state_that_does_not_fit_the_plan_sends_nothing() -> None:
    """Cannot happen while the model of the account is right; if it ever is not, nothing is sent on its strength."""
    import asyncio

    here = world()
    plan = plan_of(here, {"A": wish()})
    means = Means(
        reader=here, writer=here, clock=here.clock, firms={FIRM: CMF}, recorder=Recorders(), settle_seconds=0, concurrency=1, stop=Stop()
    )
    run = Course(means, {change.id: change for change in plan.changes}, "now", total=6)
    job = Job(key=AccountKey(FIRM, "A"), firm=CMF, observed=plan.observed[0], steps=plan.steps)
    moved = account()
    moved.suspended["3N1"] = True
    asyncio.run(_Account(run, job, state_of(moved.live())).carry_out())
    assert here.posts == []
    assert {report.outcome for report in run.outcomes.values()} == {Outcome.BLOCKED}
    assert "the state does not fit the plan" in run.outcomes["s1"].message


def test_the_first_of_nested_failures_is_the_one_that_is_told() -> None:
    inner = ValueError("first")
    assert first_of(BaseExceptionGroup("a", [BaseExceptionGroup("b", [inner]), KeyError()])) is inner
