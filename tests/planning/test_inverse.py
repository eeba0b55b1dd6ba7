"""The way back: what a plan changed is restored exactly, and what somebody changed since is left alone and told."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from amsctl.config import Safeguards
from amsctl.model import Direction, Phase, UnsetMeans
from amsctl.planning.arrange import AccountPlan, arrange
from amsctl.planning.diff import Rules, diff
from amsctl.planning.fingerprint import fingerprint
from amsctl.planning.inverse import Inversion, inverted, made, restoring
from amsctl.planning.plan import Origin, Target
from tests.planning.reference import Account
from tests.planning.strategies import FIRM, NUMBER, situations


def inversion(rules: Rules) -> Inversion:
    target = Target(
        environment="x",
        ams="x",
        url="http://x",
        service="ICC",
        principal="x",
        ownership=(),
        unset_means=rules.unset_means.value,
        protected=False,
    )
    return Inversion(
        rules=rules,
        target=target,
        origin=Origin(manifests_sha256="0" * 64),
        created_at="2026-01-01T00:00:00Z",
        expires_at="2026-01-02T00:00:00Z",
        tool_version="0",
        safeguards=Safeguards(guards={}),
    )


def planned(desired, account: Account, rules: Rules) -> AccountPlan:  # type: ignore[no-untyped-def]
    live = account.live()
    return arrange(diff(desired, live, rules), live, rules)


def post_all(account: Account, part: AccountPlan) -> None:
    for step in part.steps:
        account.post(step)


@given(situations())
def test_the_model_of_what_a_plan_makes_is_what_its_calls_make(situation) -> None:  # type: ignore[no-untyped-def]
    """The inverse stands on it."""
    desired, account, rules = situation
    live = account.live()
    part = planned(desired, account, rules)
    post_all(account, part)
    assert fingerprint(made(live, part.changes)) == fingerprint(account.live())


@given(situations())
def test_plan_and_inverse_lead_back_to_where_they_began(situation) -> None:  # type: ignore[no-untyped-def]
    """Byte for byte the same configuration, from what was read before the first write alone."""
    desired, account, rules = situation
    live = account.live()
    part = planned(desired, account, rules)
    back = inversion(rules).part(live, part.changes)
    post_all(account, part)
    assert back.observed.sha256 == fingerprint(account.live())
    post_all(account, back)
    assert fingerprint(account.live()) == fingerprint(live)
    assert [finding for finding in back.findings if finding.blocks or finding.code == "changed-since"] == []


@given(situations())
def test_an_inverse_is_an_ordinary_plan(situation) -> None:  # type: ignore[no-untyped-def]
    """Its phases come in order and every loosening waits for all that tightens."""
    from amsctl.planning.consistency import contradiction

    desired, account, rules = situation
    part = planned(desired, account, rules)
    plan = inversion(rules).whole([inversion(rules).part(account.live(), part.changes)])
    assert contradiction(plan) is None
    order = [list(Phase).index(step.phase) for step in plan.steps]
    assert order == sorted(order)


@given(situations(), st.data())
def test_what_somebody_changed_since_is_left_alone_and_told(situation, data) -> None:  # type: ignore[no-untyped-def]
    desired, account, rules = situation
    part = planned(desired, account, rules)
    post_all(account, part)
    numbers = [change for change in part.changes if change.product is not None and isinstance(change.after, int)]
    if not numbers:
        return
    edited = data.draw(st.sampled_from(numbers))
    key = (edited.row_key.execution_firm, edited.row_key.product)
    index = {("ef", "long"): 0, ("ef", "short"): 1, ("cmf", "long"): 2, ("cmf", "short"): 3}[str(edited.owner), str(edited.leg)]
    legs = list(account.rows[key])
    legs[index] = 77
    account.rows[key] = tuple(legs)
    back = restoring(account.live(), [inverted(change) for change in part.changes], rules)
    assert any(finding.code == "changed-since" for finding in back.findings)
    post_all(account, back)
    assert account.rows[key][index] == 77


def test_a_row_that_the_run_created_and_others_filled_since_is_not_deleted() -> None:
    from amsctl.diagnostics import Source
    from amsctl.model import AccountKey, DesiredAccount, DesiredExecutionFirm, DesiredRow

    here = Source("a.yaml", 1, 1)
    row = DesiredRow(execution_firm="3N1", product="CJ.FUT.NYMEX", legs=(5, 5, None, None), sources=(here, here, None, None), source=here)
    desired = DesiredAccount(
        key=AccountKey(FIRM, NUMBER), source=here, execution_firms=(DesiredExecutionFirm(id="3N1", source=here, rows=(row,)),)
    )
    account = Account(FIRM, NUMBER, suspended={"3N1": False})
    rules = Rules(unset_means=UnsetMeans.UNLIMITED)
    part = planned(desired, account, rules)
    post_all(account, part)
    account.rows["3N1", "CJ.FUT.NYMEX"] = (5, 5, 9, None)
    back = restoring(account.live(), [inverted(change) for change in part.changes], rules)
    assert back.changes == ()
    assert [(finding.code, finding.where) for finding in back.findings] == [("changed-since", f"{FIRM}/{NUMBER}/3N1/CJ.FUT.NYMEX")]


def test_directions_of_the_way_back_are_its_own() -> None:
    """Undoing a tightening loosens, and is ordered as such."""
    from tests.applying.test_executor import account, wish

    rules = Rules()
    part = planned(wish(), account(), rules)
    back = inversion(rules).part(account().live(), part.changes)
    then = {(change.where, change.direction) for change in part.changes}
    opposite = {Direction.TIGHTEN: Direction.LOOSEN, Direction.LOOSEN: Direction.TIGHTEN, Direction.NEUTRAL: Direction.NEUTRAL}
    assert {(change.where, opposite[change.direction]) for change in back.changes} == then
    assert all(change.source == replace(change).source for change in back.changes)


def unhalted(account: Account) -> Account:
    """The same limits where nothing is suspended."""
    return Account(account.firm, account.number, "Active", dict.fromkeys(account.suspended, False), dict(account.rows))


@given(situations(), st.data())
def test_the_way_back_lets_no_more_through_than_there_was_or_is(situation, data) -> None:  # type: ignore[no-untyped-def]
    """Whatever somebody changed since: no leg's effective limit ends above the larger of before the run and now, and nothing is released above what is
    left alone.
    """
    desired, account, rules = situation
    before = account.copy()
    part = planned(desired, account, rules)
    post_all(account, part)
    for _ in range(data.draw(st.integers(0, 4))):
        if account.rows and data.draw(st.booleans()):
            key = data.draw(st.sampled_from(sorted(account.rows)))
            legs = list(account.rows[key])
            legs[data.draw(st.integers(0, 3))] = data.draw(st.sampled_from([None, 0, 3, 77, 500]))
            account.rows[key] = tuple(legs)
        else:
            firm = data.draw(st.sampled_from(sorted(account.suspended)))
            account.suspended[firm] = not account.suspended[firm]
    now = account.copy()
    back = restoring(account.live(), [inverted(change) for change in part.changes], rules)
    if any(finding.blocks for finding in back.findings):
        return  # shown, and refused by apply: a row that comes back in part and would open the legs that nobody set
    post_all(account, back)
    blocked = rules.unset_means is UnsetMeans.BLOCKED
    for firm, product in {*before.rows, *now.rows, *account.rows}:
        for leg in ("long", "short"):
            there, here, then = (unhalted(one).reach((firm, product, leg), blocked_when_unset=blocked) for one in (before, now, account))
            assert then <= max(there, here), (firm, product, leg)
    left = {finding.where.split("/")[2] for finding in back.findings if finding.code == "changed-since" and finding.where.count("/") > 1}
    released = {firm for firm, flag in account.suspended.items() if now.suspended[firm] and not flag}
    assert not released & left
    assert not (left and account.status == "Active" and now.status == "Inactive")
