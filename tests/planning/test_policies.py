"""Policies and the need for approvals: what they measure, on both sides of each boundary, and that a plan cannot hide it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from amsctl.config import (
    Applies,
    ApprovalRule,
    Approvals,
    ApprovalSource,
    Effect,
    Maximum,
    NoLoosening,
    Policy,
    Project,
    Rule,
    Safeguards,
    TicketNeeded,
    Weekday,
    Weekly,
)
from amsctl.diagnostics import Source
from amsctl.errors import PlanFileError, Refused
from amsctl.model import (
    UNLIMITED,
    AccountKey,
    AccountStatus,
    Amount,
    DesiredAccount,
    DesiredExecutionFirm,
    DesiredRow,
    LiveAccount,
    LiveRow,
    Owner,
    RowKey,
)
from amsctl.operations.flow import check_findings, check_policies, quiet_windows
from amsctl.planning.approvals import rule_words
from amsctl.planning.arrange import arrange, assemble
from amsctl.planning.codec import decode, encode, sealed
from amsctl.planning.consistency import contradiction
from amsctl.planning.diff import Rules, diff
from amsctl.planning.plan import Git, Origin, Plan
from amsctl.views.words import approval_words
from tests.planning.test_properties import TARGET

HERE = Source("accounts/a.yaml", 4, 9)
BOTH = (Owner.EF, Owner.CMF)
GIT = Git(commit="c" * 40, author="Jo <jo@x>", dirty=False, message="RISK-7 more room for corn")
CJ, LO = "CJ.FUT.NYMEX", "LO.OOF.NYMEX"
KEY = AccountKey("GREENTEA", "DV1")
LIVE: Mapping[str, tuple[Amount, ...]] = {CJ: (100, 100, 400, 400), LO: (50, UNLIMITED, 50, 50)}
RULES = Rules()

Wishes = Mapping[str, tuple[Amount | None, ...] | None]
"""Product → ef long, ef short, cmf long, cmf short; ``None`` for a row that must not exist."""


def plan_of(wanted: Wishes, rule: Rule | None = None, **more: Any) -> Plan:
    """The plan from ``LIVE`` to ``wanted`` for one account and one execution firm, under one policy or none."""
    live = LiveAccount(
        key=KEY,
        status=AccountStatus.ACTIVE,
        execution_firms={"3N1": more.pop("was_suspended", False)},
        rows={RowKey("3N1", product): LiveRow(legs=legs) for product, legs in LIVE.items()},  # type: ignore[arg-type]
        read_at="2026-01-02T03:04:05Z",
        row_count=len(LIVE),
        pages=1,
    )
    rows = tuple(
        DesiredRow(
            execution_firm="3N1",
            product=product,
            legs=legs or (None,) * 4,  # type: ignore[arg-type]
            sources=(HERE,) * 4,
            source=HERE,
            unset=legs is None,
        )
        for product, legs in sorted(wanted.items())
    )
    desired = DesiredAccount(
        key=KEY,
        source=HERE,
        execution_firms=(DesiredExecutionFirm(id="3N1", source=HERE, suspended=more.pop("suspended", None), rows=rows),),
    )
    policies = () if rule is None else (Policy(name="firm", rule=rule),)
    return assemble(
        [arrange(diff(desired, live, RULES), live, RULES)],
        target=replace(TARGET, ownership=more.pop("ownership", BOTH)),
        origin=Origin(manifests_sha256="0" * 64, git=more.pop("git", GIT)),
        created_at="2026-01-02T03:04:05Z",
        expires_at="2026-01-03T03:04:05Z",
        tool_version="0",
        safeguards=Safeguards(guards={}, policies=policies, approvals=more.pop("approvals", None)),
        labels={KEY: more.pop("labels", ())},
        **more,
    )


def broken(plan: Plan) -> int:
    (ruling,) = plan.policies
    assert bool(ruling.broken) == any(finding.code.startswith("policy-") for finding in plan.blocking)
    assert contradiction(plan) is None
    assert decode(encode(plan)) == plan
    return ruling.broken


# --- maximum ---


@pytest.mark.parametrize(
    ("wanted", "rule", "count"),
    [
        ({CJ: (300, None, None, None)}, Maximum(contracts=300), 0),
        ({CJ: (301, None, None, None)}, Maximum(contracts=300), 1),
        ({CJ: (900, 900, None, None)}, Maximum(contracts=300), 2),
        ({CJ: (900, None, None, None)}, Maximum(contracts=400), 0),  # the clearing side's 400 binds
        ({CJ: (None, None, 900, None)}, Maximum(contracts=300), 0),  # the execution firm's 100 binds
        ({CJ: (900, None, 900, None)}, Maximum(contracts=800), 1),  # one leg, though both sides move
        ({CJ: (900, None, None, None)}, Maximum(contracts=800, owner=Owner.EF), 1),
        ({CJ: (900, None, None, None)}, Maximum(contracts=800, owner=Owner.CMF), 0),
        ({CJ: (None, None, 900, None)}, Maximum(contracts=800, owner=Owner.CMF), 1),
        ({CJ: (50, 50, None, None)}, Maximum(contracts=10), 0),  # what tightens is never held up
        ({LO: (UNLIMITED, None, UNLIMITED, None)}, Maximum(contracts=2_147_483_647), 1),
        ({CJ: None}, Maximum(contracts=2_147_483_647), 2),  # without limits everything passes
        ({CJ: (301, None, None, None)}, Maximum(contracts=300, products=("CJ.*",)), 1),
        ({CJ: (301, None, None, None)}, Maximum(contracts=300, products=("ZC.*", "*.CBT")), 0),
        ({CJ: (301, None, None, None)}, Maximum(contracts=300, types=("FUT",)), 1),
        ({CJ: (301, None, None, None)}, Maximum(contracts=300, types=("OOF", "OOC")), 0),
        ({CJ: (301, None, None, None)}, Maximum(contracts=300, labels=("desk=softs",)), 1),
        ({CJ: (301, None, None, None)}, Maximum(contracts=300, labels=("desk=softs", "tier=1")), 0),
        ({CJ: (301, None, None, None), LO: (60, None, 60, None)}, Maximum(contracts=55, types=("OOF",)), 1),
        ({}, Maximum(contracts=0), 0),
    ],
)
def test_a_maximum(wanted: Wishes, rule: Rule, count: int) -> None:
    """A leg that is raised above it, each once; products, types and labels narrow what is meant; what tightens passes."""
    assert broken(plan_of(wanted, rule, labels=("desk=softs", "region=eu"))) == count


def test_where_one_side_is_ours_it_is_measured_alone() -> None:
    """What another's side lets through can be raised at any time, without anybody looking at ours again."""
    wanted: Wishes = {CJ: (900, None, None, None)}
    assert broken(plan_of(wanted, Maximum(contracts=800))) == 0
    assert broken(plan_of(wanted, Maximum(contracts=800), ownership=(Owner.EF,))) == 1


def test_what_a_maximum_says() -> None:
    """Name, how many, what is meant, and the worst of it at its place in the manifest."""
    rule = Maximum(contracts=300, products=("CJ.*",), types=("FUT", "OOF"), labels=("desk=softs",), owner=Owner.EF)
    (finding,) = plan_of({CJ: (301, 999, None, None)}, rule, labels=("desk=softs",)).blocking
    meant = "products CJ.*, type FUT or OOF, accounts with desk=softs, side ef"
    first = "GREENTEA/DV1/3N1/CJ.FUT.NYMEX ef.short"
    assert finding.message == f"policy firm: 2 legs are raised above 300 contracts ({meant}), the most that is allowed; first {first}"
    assert (finding.code, finding.where, finding.source) == ("policy-maximum", first, HERE)


# --- tickets ---


@pytest.mark.parametrize(
    ("git", "rule", "says"),
    [
        (GIT, TicketNeeded(keys=("RISK",)), None),
        (GIT, TicketNeeded(keys=("OPS", "RISK")), None),
        (GIT, TicketNeeded(keys=("OPS",)), "the message of the commit must name a ticket (OPS-…)"),
        (replace(GIT, message="more room"), TicketNeeded(keys=("RISK",)), "the message of the commit must name a ticket (RISK-…)"),
        (replace(GIT, message="XRISK-7"), TicketNeeded(keys=("RISK",)), "must name a ticket (RISK-…)"),
        (replace(GIT, dirty=True), TicketNeeded(keys=("RISK",)), "these manifests are not those of the commit: commit them"),
        (None, TicketNeeded(keys=("RISK",)), "there is no commit"),
    ],
)
def test_a_ticket(git: Git | None, rule: Rule, says: str | None) -> None:
    """What lets more through is for a reason that somebody can look up; an uncommitted change has none."""
    plan = plan_of({CJ: (101, None, None, None)}, rule, git=git)
    assert broken(plan) == (says is not None)
    assert says is None or says in plan.blocking[0].message


def test_what_tightens_needs_no_ticket_unless_all_do() -> None:
    untold = replace(GIT, message="less room")
    assert broken(plan_of({CJ: (99, None, None, None)}, TicketNeeded(keys=("RISK",)), git=untold)) == 0
    assert broken(plan_of({CJ: (99, None, None, None)}, TicketNeeded(keys=("RISK",), applies=Applies.ALL), git=untold)) == 1
    assert broken(plan_of({}, TicketNeeded(keys=("RISK",), applies=Applies.ALL), git=untold)) == 0


# --- days ---

FRIDAYS = NoLoosening(days=(Weekday.FRIDAY,), time_zone="America/Chicago")
MORE: Wishes = {CJ: (101, None, None, None)}


class At:
    def __init__(self, wall: float) -> None:
        self._wall = wall

    def wall(self) -> float:
        return self._wall

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        return None


FRIDAY_IN_CHICAGO = 1_764_309_600.0
"""2025-11-28T06:00:00Z, midnight in Chicago."""


def test_nothing_loosens_on_fridays() -> None:
    """Judged when it is applied, by the day there: a second before midnight it passes; what tightens passes on that day as well."""
    safeguards = Safeguards(guards={}, policies=(Policy(name="fridays", rule=FRIDAYS),))
    plan = plan_of(MORE, FRIDAYS)
    assert broken(plan) == 0
    (note,) = [finding for finding in plan.findings if finding.code == "policy-no-loosening"]
    assert (note.severity.value, note.blocks) == ("note", False)
    assert note.message == "policy firm: nothing that lets more through is applied on Fri (America/Chicago)"
    check_policies(plan, safeguards, At(FRIDAY_IN_CHICAGO - 1))
    with pytest.raises(
        Refused, match=r"policy fridays: nothing that lets more through is applied on Fri .*now Fri 2025-11-28 00:00"
    ) as refused:
        check_policies(plan, safeguards, At(FRIDAY_IN_CHICAGO))
    assert refused.value.exit_code == 3
    tightening = plan_of({CJ: (99, None, None, None)}, FRIDAYS)
    assert not [finding for finding in tightening.findings if finding.code.startswith("policy-")]
    check_policies(tightening, safeguards, At(FRIDAY_IN_CHICAGO))


def test_a_run_that_is_still_going_when_the_day_begins_stops_letting_more_through() -> None:
    """The day is a window for each call as well."""
    days = NoLoosening(days=(Weekday.FRIDAY, Weekday.SUNDAY), time_zone="UTC")
    policies = (Policy(name="rest", rule=days, environments=("x",)), Policy(name="why", rule=TicketNeeded(keys=("RISK",))))
    (window,) = quiet_windows(Safeguards(policies=policies))
    assert (window.name, window.effect, window.applies, window.environments) == ("policy rest", Effect.DENY, Applies.LOOSEN, ("x",))
    assert window.times == Weekly(spans=((5760, 7200), (8640, 10080)))


# --- at apply, and in the file ---


def test_a_policy_that_came_after_the_plan_holds() -> None:
    """A plan that was made under laxer policies does not pass by them, and there is no override."""
    plan = plan_of({CJ: (301, None, None, None)})
    strict = Safeguards(
        guards={}, policies=(Policy(name="cap", rule=Maximum(contracts=300)), Policy(name="why", rule=TicketNeeded(keys=("RISK",))))
    )
    with pytest.raises(Refused, match="a policy that the plan was not made under is broken: policy cap"):
        check_policies(plan, strict, At(0.0))
    check_policies(plan, Safeguards(guards={}, policies=(Policy(name="cap", rule=Maximum(contracts=301)),)), At(0.0))
    elsewhere = Policy(name="cap", rule=Maximum(contracts=300), environments=("production",))
    check_policies(plan, Safeguards(guards={}, policies=(elsewhere,)), At(0.0))
    held = plan_of({CJ: (301, None, None, None)}, Maximum(contracts=300))
    with pytest.raises(Refused, match=r"the plan is blocked: policy-maximum: policy firm.*correct the manifests and plan again"):
        check_findings(held, {})


@pytest.mark.parametrize("rule", [Maximum(contracts=300), TicketNeeded(keys=("OPS",)), FRIDAYS])
def test_a_plan_that_hides_what_policies_say_contradicts_itself(rule: Rule) -> None:
    """A count lowered, a finding taken out, a need for approvals lowered: whoever reads the plan measures again."""
    approvals = Approvals(rules=(ApprovalRule(approvals=2, factor=2),))
    plan = plan_of({CJ: (301, None, None, None)}, rule, approvals=approvals)
    assert contradiction(plan) is None
    (ruling,) = plan.policies
    assert contradiction(sealed(replace(plan, policies=(replace(ruling, broken=7),)))) == "policies"
    assert contradiction(sealed(replace(plan, findings=()))) == "findings"
    assert plan.approvals is not None
    (met,) = plan.approvals.rules
    softened = replace(plan.approvals, rules=(replace(met, met=False, where=""),))
    assert contradiction(sealed(replace(plan, approvals=softened))) == "approvals"


@pytest.mark.parametrize(
    ("rule", "kind", "more"),
    [
        (Maximum(contracts=1), "minimum", {}),
        (TicketNeeded(keys=("RISK",)), "ticket", {"x": 1}),
        (FRIDAYS, "no-loosening", {"days": ["Fry"]}),
    ],
)
def test_a_rule_that_is_none_is_refused(rule: Rule, kind: str, more: dict[str, object]) -> None:
    """Unknown rules and members are errors: nobody could measure them again."""
    value: Any = encode(plan_of(MORE, rule))
    value["policies"][0]["rule"] |= {"kind": kind, **more}
    with pytest.raises(PlanFileError, match=r"policies\[0\].rule"):
        decode(value)


def test_a_need_that_is_not_the_most_of_its_rules_is_refused() -> None:
    value: Any = encode(plan_of(MORE, approvals=Approvals()))
    value["approvals"]["needed"] = 0
    with pytest.raises(PlanFileError, match=r"approvals.needed\): expected 1, found 0"):
        decode(value)


# --- how many must approve ---

RULE_CASES = [
    (ApprovalRule(approvals=1), {CJ: (101, None, None, None)}, 1),
    (ApprovalRule(approvals=1), {CJ: (None, None, 401, None)}, 1),  # not binding, and yet it lets more through once the other side moves
    (ApprovalRule(approvals=1), {CJ: (99, None, None, None)}, 0),
    (ApprovalRule(approvals=1, applies=Applies.ALL), {CJ: (99, None, None, None)}, 1),
    (ApprovalRule(approvals=1, applies=Applies.ALL), {}, 0),
    (ApprovalRule(approvals=2, factor=2), {CJ: (200, None, None, None)}, 0),
    (ApprovalRule(approvals=2, factor=2), {CJ: (201, None, None, None)}, 2),
    (ApprovalRule(approvals=2, factor=2), {CJ: (None, None, 801, None)}, 2),
    (ApprovalRule(approvals=2, factor=1_000_000), {CJ: (UNLIMITED, None, None, None)}, 2),
    (ApprovalRule(approvals=2, factor=1_000_000), {CJ: None}, 2),
    (ApprovalRule(approvals=2, lots=100), {CJ: (200, None, None, None)}, 0),
    (ApprovalRule(approvals=2, lots=100), {CJ: (200, 101, None, None)}, 2),  # 100 and 1
    (ApprovalRule(approvals=2, lots=100), {CJ: (200, None, 500, None)}, 0),  # one leg: the larger of its two sides
    (ApprovalRule(approvals=2, lots=9_999_999_999), {CJ: (UNLIMITED, None, None, None)}, 2),
    (ApprovalRule(approvals=3, overridden=True), {CJ: (101, None, None, None)}, 0),
]


@pytest.mark.parametrize(("rule", "wanted", "needed"), RULE_CASES)
def test_how_many_must_approve(rule: ApprovalRule, wanted: Wishes, needed: int) -> None:
    """Both sides of each boundary; written amounts count, which move at least as much as what is let through."""
    plan = plan_of(wanted, approvals=Approvals(rules=(rule, ApprovalRule(approvals=0))))
    assert plan.approvals is not None
    assert plan.approvals.needed == needed
    assert decode(encode(plan)) == plan
    assert contradiction(plan) is None


def test_a_suspension_lifted_needs_approval() -> None:
    """What is no limit lets more through as well."""
    for was, wanted, needed in ((True, False, 1), (False, True, 0)):
        plan = plan_of({}, approvals=Approvals(), was_suspended=was, suspended=wanted)
        assert plan.approvals is not None
        assert plan.approvals.needed == needed


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (None, ""),
        ((ApprovalRule(approvals=0),), "Needs no approval."),
        ((ApprovalRule(approvals=1),), "Needs 1 approval (github): 1 for anything that lets more through."),
        (
            (ApprovalRule(approvals=1, applies=Applies.ALL), ApprovalRule(approvals=2, factor=2), ApprovalRule(approvals=2, lots=1000)),
            "Needs 2 approvals (github): 1 for any change; 2 for a leg raised to more than 2 times; 2 for more than 1,000 contracts more in all.",
        ),
    ],
)
def test_the_need_in_words(rules: tuple[ApprovalRule, ...] | None, words: str) -> None:
    approvals = None if rules is None else Approvals(source=ApprovalSource.GITHUB, rules=rules)
    assert approval_words(plan_of({CJ: (UNLIMITED, None, None, None)}, approvals=approvals)) == words
    assert rule_words(ApprovalRule(approvals=3, overridden=True)) == "3 for a guard that is overridden"


def test_settings_of_a_project_are_one_value() -> None:
    """What a plan is held against goes through all rooms together."""
    policies = (Policy(name="a", rule=TicketNeeded(keys=("RISK",))),)
    project = Project(root="/", source=HERE, guards={}, policies=policies, approvals=Approvals())
    assert project.safeguards == Safeguards(guards={}, policies=policies, approvals=Approvals())
