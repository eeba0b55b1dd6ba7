"""Guards: each measure, each threshold, at every size; and what a plan says of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from amsctl.config import USUAL_GUARDS, GuardName, Guards, Op, Threshold
from amsctl.diagnostics import Source
from amsctl.model import UNLIMITED, UNSET, Amount, Direction, Leg, Owner, UnsetMeans, direction_of, effective
from amsctl.planning.codec import decode, encode, sealed
from amsctl.planning.consistency import contradiction
from amsctl.planning.guards import finding_code, guard_findings, guards_in, judge, switched_off, verdict_words
from amsctl.planning.plan import Base, Change, ChangeKind, Observed, Plan
from tests.applying.test_executor import wish, world
from tests.applying.world import plan_of

FIRM = "GREENTEA_API_CLEARING2"


def leg(
    account: int,
    row: int,
    before: Amount,
    after: Amount,
    *,
    other: Amount = "unlimited",  # type: ignore[assignment]
    leg: Leg = Leg.LONG,
    owner: Owner = Owner.EF,
    usage: int | None = None,
    unset_means: UnsetMeans = UnsetMeans.UNLIMITED,
) -> Change:
    """One leg of one row, with the other side at ``other`` before and after (or as this one, where this one is unset: then there is no row)."""
    sides = [(amount if amount is UNSET else other) for amount in (before, after)]
    then, now = (effective(mine, _amount(theirs), unset_means) for mine, theirs in zip((before, after), sides, strict=True))
    return Change(
        id="",
        kind=ChangeKind.LIMIT,
        clearing_firm=FIRM,
        account=f"A{account:06d}",
        execution_firm="3N1",
        product=f"P{row:06d}.FUT.CME",
        owner=owner,
        leg=leg,
        before=before,
        after=after,
        direction=direction_of(before, after, unset_means),
        binding=True,
        effective_before=then,
        effective_after=now,
        usage=usage,
        source=Source("accounts/a.yaml", account + 1, row + 1),
    )


def _amount(value: object) -> Amount:
    return UNLIMITED if value == "unlimited" else value  # type: ignore[return-value]


def switch(account: int, kind: ChangeKind, before: object, after: object, direction: Direction) -> Change:
    return Change(
        id="",
        kind=kind,
        clearing_firm=FIRM,
        account=f"A{account:06d}",
        execution_firm=f"{account % 1000:03d}" if kind is ChangeKind.SUSPENSION else None,
        before=before,  # type: ignore[arg-type]
        after=after,  # type: ignore[arg-type]
        direction=direction,
        binding=True,
    )


def seen(accounts: int, rows: int, *, suspended: int = 0, execution_firms: int = 1, status: str = "Active") -> list[Observed]:
    return [
        Observed(
            clearing_firm=FIRM,
            account=f"A{number:06d}",
            sha256="0" * 64,
            read_at="2026-01-02T03:04:05Z",
            rows=rows,
            pages=1,
            status=status,
            execution_firms=execution_firms,
            suspended=suspended,
        )
        for number in range(accounts)
    ]


def held(changes: list[Change], observed: list[Observed], guards: Guards = USUAL_GUARDS, **more: object) -> set[GuardName]:
    """The guards that hold a plan of these changes up."""
    found = judge(changes, observed, guards, **{"unset_means": UnsetMeans.UNLIMITED, **more})  # type: ignore[arg-type]
    return {verdict.guard for verdict in found if verdict.passed}


# --- sizes ---


@pytest.mark.no_cover
@pytest.mark.parametrize("size", [1, 9, 10, 100_000])
def test_everything_at_once_is_held_up_at_every_size(size: int) -> None:
    """No size below which a guard looks away: all rows unset, all of them opened without a limit, at 1, 9, 10 and 100,000."""
    changes = [leg(0, row, 5, UNSET, leg=one) for row in range(size) for one in Leg]
    assert held(changes, seen(1, size)) >= {GuardName.ROWS_UNSET, GuardName.ACCOUNT_ROWS_UNSET, GuardName.UNLIMITED}
    assert GuardName.RAISED in held([leg(number, 0, 5, 26) for number in range(size)], seen(size, 1))
    assert GuardName.JUMPS_UP in held([leg(number, 0, 5, 50, other=1) for number in range(size)], seen(size, 1))


def test_nothing_is_nothing() -> None:
    """A plan without a change passes every guard, on no account and on many."""
    assert held([], []) == set()
    assert held([], seen(100, 10, suspended=1)) == set()
    every = {name: (Threshold(percent=0, amount=0),) for name in GuardName}
    assert held([], seen(3, 3), every) == set()


@pytest.mark.parametrize(
    ("measured", "of", "passed"),
    [
        (0, 0, False),
        (0, 9, False),
        (1, 1, False),
        (9, 9, False),
        (10, 10, False),
        (11, 11, True),
        (11, 100_000, False),
        (100_000, 100_000, True),
    ],
)
def test_and_wants_both(measured: int, of: int, passed: bool) -> None:
    assert Threshold(percent=50, amount=10, op=Op.AND).passed(measured, of) is passed


@pytest.mark.parametrize(
    ("measured", "of", "passed"),
    [(0, 0, False), (1, 2, False), (1, 1, True), (10, 100, False), (11, 100, True), (1, 0, True), (11, None, True)],
)
def test_or_wants_one(measured: int, of: int | None, passed: bool) -> None:
    assert Threshold(percent=50, amount=10, op=Op.OR).passed(measured, of) is passed


def test_a_threshold_is_passed_beyond_it_and_not_at_it() -> None:
    assert not Threshold(percent=50).passed(5, 10)
    assert Threshold(percent=50).passed(6, 10)
    assert not Threshold(percent=50).passed(6, None)
    assert not Threshold(percent=50, amount=0, op=Op.AND).passed(0, None)


# --- measures ---


def test_each_guard_measures_what_it_says() -> None:
    """Numbers by hand: two accounts of four rows, one row unset, one created, one raised, one lowered, one opened from zero."""
    changes = [
        leg(0, 0, 10, UNSET, usage=3),
        leg(0, 1, UNSET, 40),
        leg(0, 2, 10, 45, usage=1),
        leg(0, 2, 10, 30, usage=1, leg=Leg.SHORT),
        leg(1, 3, 500, 5, usage=6),
        leg(1, 2, 0, 7, usage=0),
        leg(1, 1, 8, 8000, other=4, owner=Owner.CMF),
        switch(1, ChangeKind.SUSPENSION, True, False, Direction.LOOSEN),
        switch(0, ChangeKind.STATUS, "Active", "Inactive", Direction.TIGHTEN),
    ]
    observed = [replace(one, protected=one.account == "A000001") for one in seen(2, 4, suspended=1, execution_firms=3)]
    factors = {GuardName.RAISED: 3, GuardName.JUMPS_UP: 4, GuardName.JUMPS_DOWN: 100, GuardName.ABOVE_USE: 30}
    guards = {name: (Threshold(amount=0, factor=factors.get(name)),) for name in GuardName}
    told = {one.guard: (one.measured, one.of) for one in judge(changes, observed, guards, unset_means=UnsetMeans.UNLIMITED)}
    assert told == {
        GuardName.ACCOUNTS_CHANGED: (2, 2),
        GuardName.ROWS_CHANGED: (6, 9),
        GuardName.ROWS_UNSET: (1, 9),
        GuardName.ACCOUNT_ROWS_UNSET: (1, 4),
        GuardName.RAISED: (1, 18),
        GuardName.RAISED_LOTS: (35 + 20 + 7, 20),
        GuardName.UNLIMITED: (1, 18),
        GuardName.ZERO_CROSSINGS: (1, 18),
        GuardName.JUMPS_UP: (2, 36),
        GuardName.JUMPS_DOWN: (1, 36),
        GuardName.ABOVE_USE: (2, 3),  # one of them loses its limit: nothing is further above its use
        GuardName.BELOW_USE: (1, 1),
        GuardName.RELEASED: (1, 2),
        GuardName.ACTIVATED: (0, 0),
        GuardName.SUSPENDED: (0, 4),
        GuardName.DEACTIVATED: (1, 2),
        GuardName.PROTECTED: (3, None),
    }


def test_what_unset_means_decides_what_is_opened() -> None:
    """Where unset blocks, taking a row away closes it, and creating one opens it from zero."""
    gone = [leg(0, 0, 10, UNSET, unset_means=UnsetMeans.BLOCKED)]
    made = [leg(0, 0, UNSET, 10, unset_means=UnsetMeans.BLOCKED)]
    strict = {GuardName.UNLIMITED: (Threshold(amount=0),), GuardName.ZERO_CROSSINGS: (Threshold(amount=0),)}
    assert held(gone, seen(1, 4), strict, unset_means=UnsetMeans.BLOCKED) == {GuardName.ZERO_CROSSINGS}
    assert held(made, seen(1, 4), strict, unset_means=UnsetMeans.BLOCKED) == {GuardName.ZERO_CROSSINGS}


def test_both_sides_of_a_leg_are_one_leg() -> None:
    """Raising both sides raises the effective limit once."""
    both = [leg(0, 0, 10, 100, other=100), replace(leg(0, 0, 10, 100, other=100), owner=Owner.CMF)]
    (told,) = judge(both, seen(1, 1), {GuardName.RAISED: (Threshold(amount=0, factor=2),)}, unset_means=UnsetMeans.UNLIMITED)
    assert told.measured == 1


def test_the_account_that_is_hit_hardest_is_named() -> None:
    """One that is beyond the threshold before one with a larger share that is not."""
    changes = [leg(0, 0, 5, UNSET), *(leg(1, row, 5, UNSET) for row in range(6))]
    observed = [replace(seen(1, 1)[0]), replace(seen(2, 8)[1])]
    guards = {GuardName.ACCOUNT_ROWS_UNSET: (Threshold(percent=50, amount=4, op=Op.AND),)}
    (told,) = judge(changes, observed, guards, unset_means=UnsetMeans.UNLIMITED)
    assert (told.measured, told.of, told.passed, told.where) == (6, 8, True, f"{FIRM}/A000001")


def test_the_worst_is_where_the_finding_points() -> None:
    """Measure, threshold, remedy and the place in the manifest; one finding for a guard with two thresholds passed."""
    changes = [leg(0, 0, 10, 60), leg(3, 1, 10, 900)]
    guards = {GuardName.RAISED: (Threshold(amount=1, factor=5), Threshold(amount=0, factor=5))}
    verdicts, (finding,) = guard_findings(changes, seen(4, 2), guards, unset_means=UnsetMeans.UNLIMITED)
    assert [verdict.passed for verdict in verdicts] == [True, True]
    assert finding.code == "guard-raised" == finding_code(GuardName.RAISED)
    assert finding.message == (
        "2 legs are raised to more than 5 times (of 16 there, 12 %); more than 1 holds a plan up; are the units right? "
        "If it is meant: --override raised@DIGEST"
    )
    assert (finding.where, finding.source, finding.blocks) == (
        f"{FIRM}/A000003/3N1/P000001.FUT.CME long",
        Source("accounts/a.yaml", 4, 2),
        True,
    )


def test_words_for_one_and_for_halves() -> None:
    (told,) = judge(
        [leg(0, 0, 5, 6)], seen(1, 1), {GuardName.ACCOUNTS_CHANGED: (Threshold(percent=5, amount=0),)}, unset_means=UnsetMeans.UNLIMITED
    )
    assert verdict_words(told) == "1 account changes (of 1 read, 100 %); more than 0 or more than 5 % holds a plan up"
    activated = [switch(0, ChangeKind.STATUS, "Inactive", "Active", Direction.LOOSEN)]
    (told,) = judge(activated, [], {GuardName.ACTIVATED: (Threshold(amount=0),)}, unset_means=UnsetMeans.UNLIMITED)
    assert verdict_words(told) == "1 account is activated (of 0 that are inactive); more than 0 holds a plan up"


# --- protection ---


def test_nothing_of_a_protected_account_opens_without_a_word() -> None:
    """A raise, a release, an activation, and a row that opens a leg nobody wrote; tightening passes."""
    observed = [replace(one, protected=True) for one in seen(1, 4, suspended=1)]
    raised, lowered = leg(0, 0, 5, 6), leg(0, 0, 6, 5)
    assert held([raised], observed) == {GuardName.PROTECTED}
    assert held([lowered], observed) == set()
    assert held([switch(0, ChangeKind.STATUS, "Active", "Inactive", Direction.TIGHTEN)], observed) == set()
    assert held([switch(0, ChangeKind.SUSPENSION, True, False, Direction.LOOSEN)], observed) == {GuardName.PROTECTED}
    assert held([replace(lowered, effective_before=1, effective_after=2)], observed) == {GuardName.PROTECTED}
    assert held([raised], seen(1, 4)) == set()


def test_a_protection_that_is_taken_away_is_held_up() -> None:
    """Also with no change at all: the manifest is gone, or says protected: true no longer."""
    _, (finding,) = guard_findings([], seen(3, 3), USUAL_GUARDS, unset_means=UnsetMeans.UNLIMITED, unprotected=[f"{FIRM}/A9", f"{FIRM}/B9"])
    assert (finding.code, finding.where, finding.message[:2]) == ("guard-protected", f"{FIRM}/A9", "2 ")


# --- in the plan ---


def any_plan() -> Plan:
    return plan_of(world(), {"A": wish()})


def guarded(guards: Guards, **edit: object) -> Plan:
    made = any_plan()
    plan = replace(made, **edit)  # type: ignore[arg-type]
    base = plan.origin.base
    verdicts, findings = guard_findings(
        plan.changes,
        plan.observed,
        guards,
        unset_means=UnsetMeans(plan.target.unset_means),
        unprotected=() if base is None else base.unprotected,
    )
    return sealed(replace(plan, guards=verdicts, findings=(*switched_off(guards, plan.target), *findings)))


@pytest.mark.parametrize("guards", [USUAL_GUARDS, {}, {GuardName.RAISED: (Threshold(percent=1, factor=1), Threshold(amount=0, factor=7))}])
def test_verdicts_survive_the_file(guards: Guards) -> None:
    made = any_plan()
    plan = guarded(guards, origin=replace(made.origin, base=Base(ref="refs/heads/main", commit="c" * 40, unprotected=("F/1",))))
    assert decode(encode(plan)) == plan
    assert dict(guards_in(plan.guards)) == dict(guards)
    assert contradiction(plan) is None


def test_a_plan_that_hides_what_its_guards_say_contradicts_itself() -> None:
    """Resealed or not: a verdict turned, a measure lowered, a finding taken out or made harmless, the note that they are off taken out."""
    strict = {GuardName.ROWS_CHANGED: (Threshold(amount=0),), GuardName.ACCOUNTS_CHANGED: (Threshold(amount=9),)}
    plan = guarded(strict)
    assert [finding.code for finding in plan.blocking] == ["guard-rows-changed"]
    first, second = plan.guards
    for hidden in (
        {"guards": (first, replace(second, passed=not second.passed))},
        {"guards": (replace(first, measured=first.measured + 1), second)},
        {"guards": (second,)},
        {"guards": ()},
        {"findings": ()},
        {"findings": tuple(finding for finding in plan.findings if not finding.blocks)},
        {"findings": tuple(replace(finding, blocks=False) for finding in plan.findings)},
    ):
        assert contradiction(replace(plan, **hidden)) in {"guards", "findings"}  # type: ignore[arg-type]
    off = guarded({})
    assert contradiction(off) is None
    assert contradiction(replace(off, findings=())) == "findings"


def test_what_is_switched_off_is_told() -> None:
    """All of them, which a protected environment refuses; or some, by name."""
    target = any_plan().target
    (told,) = switched_off({}, replace(target, protected=False))
    assert (told.code, told.blocks) == ("guards-off", False)
    (told,) = switched_off({}, replace(target, protected=True))
    assert (told.code, told.blocks) == ("guards-off", True)
    (told,) = switched_off(
        {name: guard for name, guard in USUAL_GUARDS.items() if name is not GuardName.RAISED}, replace(target, protected=True)
    )
    assert (told.message, told.blocks) == ("switched off by the project file: raised", False)
    assert list(switched_off(USUAL_GUARDS, target)) == []
