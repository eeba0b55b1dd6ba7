"""What records prove of single changes, and what a plan's runs have done so far."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from amsctl.ledger.evidence import earlier_of
from amsctl.ledger.store import Ledger
from amsctl.ledger.values import Draft
from tests.ledger.samples import SCOPE, TestClock, started
from tests.ledger.test_history import LOWERED, RAISED, later, sent, told, write


def plan(ledger: Ledger) -> Any:
    """A plan of one step, under the digest that the sample runs name."""
    (run, *_) = ledger.runs()
    step = SimpleNamespace(id="s1", changes=("c1", "c2"))
    return SimpleNamespace(digest=run.plan_digest, target=SimpleNamespace(), changes=(RAISED, LOWERED), steps=(step,))


def with_attempts(draft: Draft, attempts: int) -> Draft:
    return replace(draft, body={**draft.body, "attempts": attempts})


def done_by(ledger: Ledger, clock: TestClock, *drafts: Draft) -> tuple[set[str], set[str], set[str]]:
    write(ledger, clock, started("r1", scope=SCOPE), *drafts)
    runs, earlier = earlier_of(plan(ledger), ledger)
    assert [run.id for run in runs] == ["r1"]
    return set(earlier.sent), set(earlier.made), set(earlier.doubtful)


def test_a_verified_call_has_made_all_its_changes(ledger: Ledger, clock: TestClock) -> None:
    drafts = sent("r1", "s1", [RAISED, LOWERED]), told("r1", "s1", "verified", done=["c1", "c2"])
    assert done_by(ledger, clock, *drafts) == ({"s1"}, {"c1", "c2"}, set())


def test_of_a_call_in_part_only_what_was_read_back_is_made_and_nothing_is_in_doubt(ledger: Ledger, clock: TestClock) -> None:
    """What was not as asked is not the run's, whatever it is later."""
    drafts = sent("r1", "s1", [RAISED, LOWERED]), told("r1", "s1", "diverged", done=["c2"])
    assert done_by(ledger, clock, *drafts) == ({"s1"}, {"c2"}, set())


def test_an_open_or_unknown_call_is_in_doubt_until_it_is_resolved(ledger: Ledger, clock: TestClock) -> None:
    assert done_by(ledger, clock, sent("r1", "s1", [RAISED, LOWERED])) == ({"s1"}, set(), {"c1", "c2"})
    write(ledger, clock, told("r1", "s1", "unknown"))
    assert earlier_of(plan(ledger), ledger)[1].doubtful == {"c1", "c2"}
    write(ledger, clock, later("r1", "s1", "diverged", done=["c1"]))
    earlier = earlier_of(plan(ledger), ledger)[1]
    assert (earlier.made, earlier.doubtful) == ({"c1"}, set())


def test_a_call_that_was_kept_back_at_the_last_moment_does_not_use_up_its_plan(ledger: Ledger, clock: TestClock) -> None:
    """It was announced, and never left: the same plan may be applied later. One that was sent and failed has used it up."""
    kept = with_attempts(told("r1", "s1", "failed", done=[]), 0)
    assert done_by(ledger, clock, sent("r1", "s1", [RAISED, LOWERED]), kept) == (set(), set(), set())
    write(ledger, clock, started("r2", scope=SCOPE), sent("r2", "s1", [RAISED, LOWERED]), told("r2", "s1", "failed", done=[]))
    assert earlier_of(plan(ledger), ledger)[1].sent == {"s1"}


def test_a_step_that_the_plan_does_not_have_proves_nothing(ledger: Ledger, clock: TestClock) -> None:
    """``ledger verify`` tells of it."""
    assert done_by(ledger, clock, sent("r1", "s9", [RAISED]), told("r1", "s9", "verified", done=["c1"])) == ({"s9"}, set(), set())
