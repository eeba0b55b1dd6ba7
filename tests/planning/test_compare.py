"""Two plans held against each other: by what each change is about, and nothing for when they were made."""

from __future__ import annotations

from dataclasses import replace

from amsctl.model import AccountKey
from amsctl.planning.codec import sealed
from amsctl.planning.compare import compare
from amsctl.planning.plan import Plan
from tests.views.samples import FIRM, leg, plan_of, quiet_plan, rich_plan, status, suspension


def test_a_plan_made_again_is_no_other_plan() -> None:
    """Times, and so the digest, are no difference."""
    plan = rich_plan()
    later = sealed(replace(plan, created_at="2026-11-20T10:15:00Z", expires_at="2026-11-21T10:15:00Z"))
    found = compare(plan, later)
    assert plan.digest != later.digest
    assert found.nothing
    assert found.same_changes


def test_changes_are_told_apart_by_what_they_are_about() -> None:
    """One is gone, one is new, one is otherwise; ids and places in files are no difference."""
    row = "3N1/CJ.FUT.NYMEX"
    kept = leg("c1", "A", row, "ef.long", 5, 6, other=99)
    first = plan_of([kept, leg("c2", "A", row, "ef.short", 5, 6, other=99), suspension("c3", "A", "3N1", True)])
    second = plan_of([status("c1", "A", "Active"), replace(kept, id="c2", source=None), leg("c3", "A", row, "ef.short", 5, 7, other=99)])
    found = compare(first, second)
    assert [change.id for change in found.gone] == ["c3"]
    assert [change.id for change in found.new] == ["c1"]
    assert [(one.after, two.after) for one, two in found.other] == [(6, 7)]
    assert not found.same_changes
    assert compare(first, first).nothing


def test_true_is_not_one() -> None:
    """A suspension's flag and a number are never the same value."""
    flag = suspension("c1", "A", "3N1", True)
    first, second = plan_of([flag]), plan_of([replace(flag, after=1, before=0)])
    assert len(compare(first, second).other) == 1


def test_the_same_legs_judged_otherwise_are_told() -> None:
    """The other side has moved meanwhile: the same change now moves the effective limit."""
    row = "3N1/CJ.FUT.NYMEX"
    first, second = (plan_of([leg("c1", "A", row, "ef.long", 5, 6, other=other)]) for other in (3, 99))
    assert len(compare(first, second).other) == 1


def test_findings_live_state_and_target() -> None:
    """What else a reviewer would want to know; a member that only one has is null in the other."""
    first, second = rich_plan(), quiet_plan()
    assert [finding.code for finding in compare(second, first).findings_new].count("unknown-ef") == 1
    assert [finding.code for finding in compare(first, second).findings_gone].count("unknown-ef") == 1
    moved = replace(quiet_plan(), observed=(replace(quiet_plan().observed[0], sha256="1" * 64),))
    assert compare(quiet_plan(), moved).moved == (AccountKey(FIRM, "DV10121801A"),)
    assert compare(replace(quiet_plan(), observed=()), moved).moved == ()
    other = replace(second, target=replace(second.target, url="https://elsewhere"), origin=replace(second.origin, git=None))
    facts = {fact.name: (fact.first, fact.second) for fact in compare(second, other).facts}
    assert facts["target.url"] == ("https://amsapinr.cmegroup.com/rest/v2", "https://elsewhere")
    assert facts["source.git"][1] is None
    assert compare(second, other).same_changes
    assert not compare(second, other).nothing


def test_long_plans_are_compared_by_their_keys() -> None:
    """Ten thousand changes against as many: every second one differs."""

    def plan(step: int) -> Plan:
        return plan_of(
            [
                leg(f"c{number}", f"A{number // 50}", f"3N1/P{number % 50}.FUT.CME", "ef.long", 5, 6 + step * (number % 2), other=9_999)
                for number in range(10_000)
            ]
        )

    found = compare(plan(1), plan(2))
    assert (len(found.other), len(found.new), len(found.gone)) == (5_000, 0, 0)
