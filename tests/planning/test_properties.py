"""What must hold of every plan, whatever the account, the wishes and the rules."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsctl.config import Guards, Safeguards
from amsctl.model import (
    LEGS,
    UNLIMITED,
    AccountStatus,
    DesiredAccount,
    DesiredExecutionFirm,
    DesiredRow,
    Direction,
    Leg,
    Owner,
    Phase,
    RowKey,
    Undeclared,
    UnsetMeans,
    direction_of,
    lets_through,
)
from amsctl.planning.arrange import AccountPlan, arrange, assemble
from amsctl.planning.codec import decode, digest_of, encode
from amsctl.planning.diff import Rules, added_rows, diff
from amsctl.planning.plan import ChangeKind, Origin, Plan, Target
from tests.planning.reference import Account
from tests.planning.strategies import FIRM, HERE, NUMBER, accounts, situations
from tests.planning.strategies import rules as any_rules

pytestmark = pytest.mark.no_cover  # every line of it is met by the tests of its parts; here it is the many examples that count

TARGET = Target(
    environment="sandbox",
    ams="sandbox",
    url="http://127.0.0.1:1/rest/v2",
    service="ICC",
    principal="x",
    ownership=(),
    unset_means="unlimited",
    protected=False,
)

Situation = tuple[DesiredAccount, Account, Rules]


def planned(situation: Situation) -> AccountPlan:
    desired, account, rules = situation
    live = account.live()
    return arrange(diff(desired, live, rules), live, rules)


def whole(*parts: AccountPlan, guards: Guards = MappingProxyType({})) -> Plan:
    return assemble(
        parts,
        target=TARGET,
        origin=Origin(manifests_sha256="0" * 64),
        created_at="2026-01-02T03:04:05Z",
        expires_at="2026-01-03T03:04:05Z",
        tool_version="0",
        safeguards=Safeguards(guards=guards),
    )


def wish_for(account: Account) -> DesiredAccount:
    """Manifests that say exactly what an account holds."""
    live = account.live()
    firms = [
        DesiredExecutionFirm(
            id=firm,
            source=HERE,
            suspended=suspended,
            rows=tuple(
                DesiredRow(execution_firm=firm, product=key.product, legs=row.legs, sources=(HERE,) * 4, source=HERE)
                for key, row in live.rows.items()
                if key.execution_firm == firm
            ),
        )
        for firm, suspended in live.execution_firms.items()
    ]
    return DesiredAccount(key=live.key, source=HERE, status=live.status, undeclared=Undeclared.UNSET, execution_firms=tuple(firms))  # type: ignore[arg-type]


@given(accounts(), any_rules)
def test_what_already_is_needs_no_change(account: Account, rules: Rules) -> None:
    part = planned((wish_for(account), account, rules))
    assert (part.changes, part.steps, part.findings) == ((), (), ())


@given(situations())
def test_applying_a_plan_gives_what_was_desired(situation: Situation) -> None:
    desired, account, rules = situation
    after = account.copy()
    for step in planned(situation).steps:
        after.post(step)
    if desired.status is not None:
        assert after.status == desired.status.value
    for firm in desired.execution_firms:
        assert firm.suspended is None or after.suspended[firm.id] is firm.suspended
        for row in firm.rows:
            found = after.live().rows.get(row.key)
            for index, ref in enumerate(LEGS):
                wish = UNLIMITED if row.unset else row.legs[index]
                if wish is not None and ref.owner in rules.ownership:
                    assert (found.legs[index] if found else UNLIMITED) == wish
    undeclared = desired.undeclared or rules.undeclared
    declared = {row.key for firm in desired.execution_firms for row in firm.rows}
    for key, row in account.live().rows.items():
        if key not in declared and undeclared is Undeclared.UNSET:
            left = after.live().rows.get(key)
            assert left is None or all(left.legs[i] == UNLIMITED for i, ref in enumerate(LEGS) if ref.owner in rules.ownership)
        elif key not in declared:
            assert after.live().rows[key] == row


@given(situations())
def test_the_second_plan_is_empty(situation: Situation) -> None:
    desired, account, rules = situation
    after = account.copy()
    for step in planned(situation).steps:
        after.post(step)
    assert planned((desired, after, rules)).changes == ()


@given(situations())
def test_only_what_the_changes_say_is_written(situation: Situation) -> None:
    desired, account, rules = situation
    part = planned(situation)
    after = account.copy()
    for step in part.steps:
        after.post(step)
    named = {(c.execution_firm, c.product, c.owner, c.leg) for c in part.changes if c.kind is ChangeKind.LIMIT}
    before_live, after_live = account.live(), after.live()
    for key in before_live.rows.keys() | after_live.rows.keys():
        old, new = (live.rows[key].legs if key in live.rows else (UNLIMITED,) * 4 for live in (before_live, after_live))
        for ref, then, now in zip(LEGS, old, new, strict=True):
            assert then == now or (key.execution_firm, key.product, ref.owner, ref.leg) in named
            if ref.owner not in rules.ownership:
                assert then == now


@given(situations())
def test_at_no_instant_more_is_let_through_than_before_or_after(situation: Situation) -> None:
    desired, account, rules = situation
    blocked = rules.unset_means is UnsetMeans.BLOCKED
    instants = [account.copy()]
    for step in planned(situation).steps:
        following = instants[-1].copy()
        following.post(step)
        instants.append(following)
    legs = {(firm, product, leg) for state in instants for firm, product in state.rows for leg in ("long", "short")}
    for key in legs:
        ends = [instants[0].reach(key, blocked_when_unset=blocked), instants[-1].reach(key, blocked_when_unset=blocked)]
        for state in instants:
            assert state.reach(key, blocked_when_unset=blocked) <= max(ends)


@given(situations())
def test_each_row_leg_is_never_above_both_its_ends(situation: Situation) -> None:
    """Per side too: not only min(ef, cmf) but each leg's own value stays within its two ends at every prefix."""
    desired, account, rules = situation
    instants = [account.copy()]
    for step in planned(situation).steps:
        following = instants[-1].copy()
        following.post(step)
        instants.append(following)
    for key in {key for state in instants for key in state.rows}:
        for index in range(4):
            values = [state.rows.get(key, (None,) * 4)[index] for state in instants]
            reaches = [1 << 60 if value is None else value for value in values]
            assert max(reaches) <= max(reaches[0], reaches[-1])


@given(situations())
def test_nothing_loosens_before_all_that_tightens_is_verified(situation: Situation) -> None:
    part = planned(situation)
    order = [Phase.HALT, Phase.TIGHTEN, Phase.LOOSEN, Phase.RELEASE]
    phases = [order.index(step.phase) for step in part.steps]
    assert phases == sorted(phases)
    strict = {step.id for step in part.steps if step.phase in (Phase.HALT, Phase.TIGHTEN)}
    for step in part.steps:
        if step.phase is Phase.LOOSEN:
            assert set(step.after) == strict
        elif step.phase is Phase.RELEASE:
            assert set(step.after) == {other.id for other in part.steps if other.phase is not Phase.RELEASE}
        else:
            assert step.after == ()
    directions = {change.id: change.direction for change in part.changes}
    for step in part.steps:
        loosens = any(directions[number] is Direction.LOOSEN for number in step.changes)
        if step.phase in (Phase.HALT, Phase.TIGHTEN):
            assert not loosens


@given(situations())
def test_every_change_is_carried_by_exactly_one_step(situation: Situation) -> None:
    part = planned(situation)
    assert sorted(number for step in part.steps for number in step.changes) == sorted(change.id for change in part.changes)
    for step in part.steps:
        assert len(step.body.get("limits", ())) <= situation[2].rows_per_post  # type: ignore[arg-type]


@given(situations())
def test_direction_is_the_sign_of_the_change_in_what_is_let_through(situation: Situation) -> None:
    desired, account, rules = situation
    for change in planned(situation).changes:
        if change.kind is ChangeKind.LIMIT:
            then, now = (lets_through(amount, rules.unset_means) for amount in (change.before, change.after))  # type: ignore[arg-type]
            assert change.direction is {-1: Direction.TIGHTEN, 0: Direction.NEUTRAL, 1: Direction.LOOSEN}[(now > then) - (now < then)]
        else:
            assert change.direction is (Direction.TIGHTEN if change.after in (True, "Inactive") else Direction.LOOSEN)


@given(situations())
def test_binding_is_told_only_where_the_effective_limit_moves_and_then_by_some_leg(situation: Situation) -> None:
    desired, account, rules = situation
    part = planned(situation)
    legs: dict[tuple[RowKey, Leg], list[bool]] = {}
    for change in part.changes:
        if change.kind is ChangeKind.LIMIT:
            assert change.effective_before is not None
            assert change.effective_after is not None
            moves = lets_through(change.effective_before, rules.unset_means) != lets_through(change.effective_after, rules.unset_means)
            assert moves or not change.binding
            legs.setdefault((change.row_key, change.leg or Leg.LONG), []).append(change.binding)
            if moves and rules.unset_means is UnsetMeans.UNLIMITED:
                legs[(change.row_key, change.leg or Leg.LONG)].append(change.binding)
    for change in part.changes:
        if change.kind is ChangeKind.LIMIT and rules.unset_means is UnsetMeans.UNLIMITED:
            then, now = change.effective_before, change.effective_after
            moves = lets_through(then, rules.unset_means) != lets_through(now, rules.unset_means)  # type: ignore[arg-type]
            assert any(legs[(change.row_key, change.leg or Leg.LONG)]) is moves


@given(situations(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_never_matters(situation: Situation, random: object) -> None:
    desired, account, rules = situation
    shuffled = account.copy()
    shuffled.rows = dict(reversed(account.rows.items()))
    shuffled.suspended = dict(reversed(account.suspended.items()))
    firms = [replace(firm, rows=tuple(reversed(firm.rows))) for firm in reversed(desired.execution_firms)]
    other = planned((replace(desired, execution_firms=tuple(firms)), shuffled, rules))
    assert other == planned(situation)


@given(st.lists(situations(), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_accounts_may_come_in_any_order(several: list[Situation], random: object) -> None:
    parts = []
    for number, (desired, account, rules) in enumerate(several):
        account.number = f"A{number}"
        key = desired.key._replace(number=account.number)
        parts.append(planned((replace(desired, key=key), account, rules)))
    shuffled = list(parts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert whole(*shuffled) == whole(*parts)


@given(situations())
def test_a_plan_survives_being_written_and_read(situation: Situation) -> None:
    plan = whole(planned(situation))
    assert decode(encode(plan)) == plan
    assert plan.digest == digest_of(plan)


@given(situations())
def test_eligibility_is_asked_for_exactly_the_rows_that_would_appear(situation: Situation) -> None:
    desired, account, rules = situation
    live = account.live()
    asked = set(added_rows(desired, live, rules))
    after = account.copy()
    for step in planned(situation).steps:
        after.post(step)
    assert asked == after.live().rows.keys() - live.rows.keys()
    blocked = diff(desired, live, rules, eligible={}).findings
    assert {finding.where for finding in blocked if finding.code == "ineligible-product"} == {f"{FIRM}/{NUMBER}/{key}" for key in asked}


@given(situations())
def test_a_closed_account_is_never_written(situation: Situation) -> None:
    desired, account, rules = situation
    wanted = bool(planned(situation).changes) or desired.status is not None
    account.status = "Closed"
    part = planned((desired, account, rules))
    assert (part.changes, part.steps) == ((), ())
    closed = [finding for finding in part.findings if finding.code == "closed-account"]
    assert len(closed) == 1
    if desired.status is not None:
        assert closed[0].blocks is wanted


def test_neutral_means_neither_more_nor_less() -> None:
    assert direction_of(UNLIMITED, UNLIMITED, UnsetMeans.BLOCKED) is Direction.NEUTRAL
    assert direction_of(0, 0, UnsetMeans.UNLIMITED) is Direction.NEUTRAL
    assert AccountStatus("Closed") is AccountStatus.CLOSED
    assert Owner("ef") is Owner.EF
