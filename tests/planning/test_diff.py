"""What a plan says of one account: changes, findings and calls, case by case."""

from __future__ import annotations

from dataclasses import replace

import pytest

from amsctl.config import UnlimitedAs, UnlimitedShownAs
from amsctl.diagnostics import Severity, Source
from amsctl.errors import AmsError
from amsctl.model import (
    UNLIMITED,
    UNSET,
    AccountKey,
    AccountStatus,
    Amount,
    DesiredAccount,
    DesiredExecutionFirm,
    DesiredRow,
    Direction,
    LiveAccount,
    LiveRow,
    Owner,
    Phase,
    RowKey,
    Undeclared,
    UnsetMeans,
)
from amsctl.planning.arrange import AccountPlan, arrange
from amsctl.planning.diff import Rules, added_rows, diff
from amsctl.planning.plan import Change

HERE = Source("a.yaml", 9, 9)
KEY = AccountKey("GREENTEA_API_CLEARING2", "DV1")
CJ, DRS = "CJ.FUT.NYMEX", "DRS.FUT.CBT"
EF_ONLY = Rules(ownership=frozenset({Owner.EF}))
BLOCKED = Rules(unset_means=UnsetMeans.BLOCKED)
U = UNLIMITED


def live(
    rows: dict[tuple[str, str], tuple[Amount, Amount, Amount, Amount]] | None = None,
    *,
    status: AccountStatus = AccountStatus.ACTIVE,
    usage: tuple[int | None, int | None] = (None, None),
    wire: tuple[object, object] | None = None,
    **suspended: bool,
) -> LiveAccount:
    return LiveAccount(
        key=KEY,
        status=status,
        execution_firms={"3N1": False, **suspended},
        rows={RowKey(*key): LiveRow(legs=legs, usage_long=usage[0], usage_short=usage[1], wire=wire) for key, legs in (rows or {}).items()},
        row_count=len(rows or {}),
        pages=1,
        read_at="2026-01-01T00:00:00Z",
    )


def row(product: str = CJ, *legs: Amount | None, unset: bool = False, firm: str = "3N1") -> DesiredRow:
    sources = tuple(Source("a.yaml", 10 + number, 5) if leg is not None else None for number, leg in enumerate(legs or (None,) * 4))
    return DesiredRow(execution_firm=firm, product=product, legs=legs or (None,) * 4, sources=sources, source=HERE, unset=unset)  # type: ignore[arg-type]


def want(*rows: DesiredRow, firm: str = "3N1", suspended: bool | None = None, **attributes: object) -> DesiredAccount:
    firms = (DesiredExecutionFirm(id=firm, source=HERE, suspended=suspended, suspended_source=HERE, rows=rows),)
    return DesiredAccount(key=KEY, source=Source("a.yaml", 1, 1), execution_firms=firms, status_source=HERE, **attributes)  # type: ignore[arg-type]


def made(desired: DesiredAccount, found: LiveAccount, rules: Rules = Rules(), **options: object) -> AccountPlan:  # noqa: B008  frozen
    return arrange(diff(desired, found, rules, **options), found, rules)  # type: ignore[arg-type]


def told(change: Change) -> tuple[object, ...]:
    return (change.owner, change.leg, change.before, change.after, change.direction, change.binding)


TWINS = [
    ("3N1", "cj.fut.nymex"),
    ("3N1", "CJ.FUT.NYMEX."),
    ("3N1", "CJ FUT NYMEX"),
    ("3N1", "ＣＪ.FUT.NYMEX"),
    ("3n1", CJ),
    ("3-N1", CJ),
    ("３N1", "cj/fut/nymex"),
]


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("also", [False, True], ids=["alone", "beside the row"])
def test_no_row_is_written_beside_another_spelling_of_it(twin: tuple[str, str], also: bool) -> None:
    """The AMS may mean the same row: one that is added would take away three limits that it holds, and a tombstone would find nothing to remove."""
    legs: tuple[Amount, ...] = (324, 567, 9000, 2000)
    rows = {twin: legs, ("3N1", DRS): (1, 1, 1, 1)} | ({("3N1", CJ): legs} if also else {})
    for wish in (row(CJ, None, 600, None, None), row(CJ, unset=True), row(CJ, U, U, U, U)):
        with pytest.raises(AmsError, match="in another spelling") as caught:
            made(want(wish), live(rows))  # type: ignore[arg-type]
        assert caught.value.expected == f"3N1/{CJ}"
        assert caught.value.found == str(RowKey(*twin))
        assert caught.value.where == f"GREENTEA_API_CLEARING2/DV1/3N1/{CJ}"
    assert not made(want(row(DRS, 1, 1, 1, 1)), live(rows)).changes  # type: ignore[arg-type]
    if also:  # what is as it should be is not written
        assert not made(want(row(CJ, 324, 567, None, None)), live(rows)).changes  # type: ignore[arg-type]
    closed = made(want(row(CJ, None, 600, None, None)), live(rows, status=AccountStatus.CLOSED))  # type: ignore[arg-type]
    assert "closed-account" in {finding.code for finding in closed.findings}


def test_an_execution_firm_in_two_spellings_is_not_written_to() -> None:
    """Whether it is suspended, and on which of both a limit would be, is not ours to choose."""
    for found in (live(**{"3n1": True}), replace(live(), execution_firms={"3n1": False})):
        for wish in (want(row(CJ, 1, 1, 1, 1)), want(suspended=True), want(suspended=False)):
            with pytest.raises(AmsError, match="lists the execution firm in another spelling") as caught:
                made(wish, found)
            assert (caught.value.expected, caught.value.found) == ("3N1", "3n1")
    assert not made(want(), live(**{"3n1": True})).changes
    assert made(want(suspended=True), live(**{"3n2": True, "N13": False})).changes


def test_other_rows_are_other_rows() -> None:
    """Nothing but case, width and signs is set aside."""
    rows = {("3N1", other): (1, 1, 1, 1) for other in ("CJ.OOF.NYMEX", "CJ.FUT.NYME", "CL.FUT.NYMEX", "C.FUT.NYMEX", "CJ1.FUT.NYMEX")}
    assert len(made(want(row(CJ, 1, 2, 3, 4)), live({**rows, ("3N2", CJ): (1, 1, 1, 1)})).changes) == 4


def test_the_specification_s_example() -> None:
    """567 → 600 on the execution firm's short leg, the other three legs echoed."""
    part = made(want(row(CJ, 324, 600, None, None)), live({("3N1", CJ): (324, 567, 9000, 2000)}))
    (change,) = part.changes
    assert told(change) == ("ef", "short", 567, 600, Direction.LOOSEN, True)
    assert (change.effective_before, change.effective_after) == (567, 600)
    assert change.source == Source("a.yaml", 11, 5)
    (step,) = part.steps
    assert step.phase is Phase.LOOSEN
    assert step.path == "/accountLimitsUtilization/clearing/ICC/GREENTEA_API_CLEARING2/DV1"
    assert step.body == {
        "service": "ICC",
        "clearingFirm": "GREENTEA_API_CLEARING2",
        "accountNumber": "DV1",
        "limits": [{"product": CJ, "efId": "3N1", "efLimits": {"short": 600, "long": 324}, "cmfLimits": {"short": 2000, "long": 9000}}],
    }


def test_a_raise_that_the_other_side_caps_is_loosening_and_not_binding() -> None:
    part = made(want(row(CJ, None, None, 12000, None)), live({("3N1", CJ): (324, 567, 9000, 2000)}))
    (change,) = part.changes
    assert told(change) == ("cmf", "long", 9000, 12000, Direction.LOOSEN, False)


@pytest.mark.parametrize(
    ("ef", "cmf", "wanted", "binding"),
    [
        (100, 100, (200, 200), (True, True)),  # neither alone moves it, both together do
        (100, 100, (50, 50), (True, True)),
        (100, 50, (200, 60), (False, True)),
        (100, 100, (200, 60), (False, True)),
        (50, 100, (60, 40), (False, True)),
        (50, 100, (40, 30), (True, True)),  # alone, each would move it
        (50, 60, (60, 50), (False, False)),  # they change places, and what binds stays 50
    ],
)
def test_binding_tells_which_side_moves_what_orders_may_reach(
    ef: int, cmf: int, wanted: tuple[int, int], binding: tuple[bool, bool]
) -> None:
    part = made(want(row(CJ, wanted[0], None, wanted[1], None)), live({("3N1", CJ): (ef, 1, cmf, 1)}))
    assert tuple(change.binding for change in part.changes) == binding


def test_a_row_whose_legs_move_both_ways_is_written_twice() -> None:
    """First the tightening legs with the others at their live values, then the rest."""
    part = made(want(row(CJ, 300, 600, None, 1000)), live({("3N1", CJ): (324, 567, 9000, 2000)}))
    first, second = part.steps
    assert (first.phase, second.phase, second.after) == (Phase.TIGHTEN, Phase.LOOSEN, (first.id,))
    (one,), (two,) = first.body["limits"], second.body["limits"]  # type: ignore[misc]
    assert (one["efLimits"], one["cmfLimits"]) == ({"short": 567, "long": 300}, {"short": 1000, "long": 9000})
    assert (two["efLimits"], two["cmfLimits"]) == ({"short": 600, "long": 300}, {"short": 1000, "long": 9000})
    by_id = {change.id: change.direction for change in part.changes}
    assert {by_id[number] for number in first.changes} == {Direction.TIGHTEN}
    assert {by_id[number] for number in second.changes} == {Direction.LOOSEN}


def test_a_tombstone_is_one_change_per_leg_that_was_set_and_one_delete() -> None:
    part = made(want(row(DRS, unset=True)), live({("3N1", DRS): (456, 789, 120, U)}))
    assert [told(change)[:5] for change in part.changes] == [
        ("ef", "long", 456, UNSET, Direction.LOOSEN),
        ("ef", "short", 789, UNSET, Direction.LOOSEN),
        ("cmf", "long", 120, UNSET, Direction.LOOSEN),
    ]
    (step,) = part.steps
    assert (step.phase, step.query) == (Phase.LOOSEN, {"delete": "true"})
    assert all(change.source == HERE for change in part.changes)


def test_where_unset_means_blocked_a_tombstone_tightens_and_a_new_row_loosens() -> None:
    part = made(want(row(DRS, unset=True), row(CJ, 1, 1, 1, 1)), live({("3N1", DRS): (1, 1, 1, 1)}), BLOCKED)
    assert [step.phase for step in part.steps] == [Phase.TIGHTEN, Phase.LOOSEN]
    assert part.steps[0].query == {"delete": "true"}
    assert {change.direction for change in part.changes if change.product == CJ} == {Direction.LOOSEN}


def test_a_tombstone_of_a_row_that_is_not_there_is_nothing() -> None:
    assert made(want(row(DRS, unset=True)), live()).changes == ()


def test_a_tombstone_never_deletes_the_foreign_side() -> None:
    part = made(want(row(DRS, unset=True)), live({("3N1", DRS): (456, 789, 120, 130)}), EF_ONLY)
    assert [told(change)[:4] for change in part.changes] == [("ef", "long", 456, U), ("ef", "short", 789, U)]
    (step,) = part.steps
    assert step.query == {}
    assert step.body["limits"] == [  # type: ignore[comparison-overlap]
        {"product": DRS, "efId": "3N1", "efLimits": {"short": None, "long": None}, "cmfLimits": {"short": 130, "long": 120}}
    ]
    assert [finding.code for finding in part.findings] == ["foreign-mismatch", "foreign-mismatch"]


def test_a_foreign_side_is_an_expectation_and_never_written() -> None:
    part = made(want(row(CJ, 1, 2, 8000, 2000)), live({("3N1", CJ): (1, 2, 9000, 2000)}), EF_ONLY)
    assert (part.changes, part.steps) == ((), ())
    (finding,) = part.findings
    assert (finding.code, finding.severity, finding.blocks) == ("foreign-mismatch", Severity.WARNING, False)
    assert finding.message == "the cmf side is not ours to write: expected 8000 long, found 9000"
    assert finding.where == f"{KEY}/3N1/{CJ} cmf.long"


def test_no_limit_meets_an_expectation_of_no_limit() -> None:
    part = made(want(row(CJ, None, None, U, U)), live(), EF_ONLY)
    assert part.findings == ()


def test_a_foreign_side_that_came_in_another_form_goes_back_as_it_came() -> None:
    wire: tuple[object, object] = ({"long": 5, "short": 5}, {"short": "UNLIMITED", "long": "Unlimited"})
    rules = Rules(unlimited_shown_as=UnlimitedShownAs.WORD)
    part = made(want(row(CJ, 6, None, None, None)), live({("3N1", CJ): (5, 5, U, U)}, wire=wire), rules)
    assert part.steps[0].body["limits"][0]["cmfLimits"] == {"short": "UNLIMITED", "long": "Unlimited"}  # type: ignore[index]
    assert part.steps[0].body["limits"][0]["efLimits"] == {"short": 5, "long": 6}  # type: ignore[index]


@pytest.mark.parametrize(
    ("form", "side"),
    [
        (UnlimitedAs.NULL, {"short": None, "long": 7}),
        (UnlimitedAs.OMIT, {"long": 7}),
        (UnlimitedAs.WORD, {"short": "Unlimited", "long": 7}),
    ],
)
def test_how_an_unlimited_leg_is_written_is_a_setting(form: UnlimitedAs, side: dict[str, object]) -> None:
    part = made(want(row(CJ, 7, U, None, None)), live(), Rules(unlimited_as=form))
    assert part.steps[0].body["limits"][0]["efLimits"] == side  # type: ignore[index]


def test_unlimited_legs_on_a_row_that_is_not_there_are_no_change() -> None:
    """A row of four unlimited legs is the same as none."""
    for rules in (Rules(), BLOCKED):
        part = made(want(row(CJ, U, U, U, U), row(DRS, U, None, None, None)), live(), rules)
        assert part.changes == ()


def test_lifting_every_limit_without_a_tombstone_writes_the_word() -> None:
    part = made(want(row(CJ, U, U, None, None)), live({("3N1", CJ): (5, 6, U, U)}))
    assert [told(change)[:5] for change in part.changes] == [
        ("ef", "long", 5, U, Direction.LOOSEN),
        ("ef", "short", 6, U, Direction.LOOSEN),
    ]
    assert part.steps[0].query == {}


def test_where_unset_means_blocked_an_explicit_unlimited_leg_of_a_new_row_is_a_loosening() -> None:
    part = made(want(row(CJ, 0, U, None, None)), live(), BLOCKED)
    assert [told(change)[:5] for change in part.changes] == [
        ("ef", "long", UNSET, 0, Direction.NEUTRAL),
        ("ef", "short", UNSET, U, Direction.LOOSEN),
    ]
    assert [step.phase for step in part.steps] == [Phase.LOOSEN]
    (finding,) = part.findings
    assert (finding.code, finding.severity, finding.blocks) == ("implicit-unlimited", Severity.WARNING, False)
    assert "cmf.long, cmf.short" in finding.message


def test_where_unset_means_blocked_a_row_that_opens_a_leg_nobody_wrote_waits_with_what_loosens() -> None:
    part = made(want(row(CJ, 0, None, 0, None)), live(), BLOCKED)
    assert {change.direction for change in part.changes} == {Direction.NEUTRAL}
    assert [step.phase for step in part.steps] == [Phase.LOOSEN]
    assert [(finding.code, finding.severity, finding.blocks) for finding in part.findings] == [("implicit-unlimited", Severity.ERROR, True)]


def test_status_and_suspension_halt_first_and_release_last() -> None:
    rows = row(CJ, 2, 2, 2, 2)
    found = {("3N1", CJ): (1, 1, 1, 1)}
    halting = made(want(rows, suspended=True, status=AccountStatus.INACTIVE), live(found))
    assert [step.phase for step in halting.steps] == [Phase.HALT, Phase.HALT, Phase.LOOSEN]
    assert halting.steps[0].path == "/status/clearing/GREENTEA_API_CLEARING2"
    assert halting.steps[0].body == {
        "service": "ICC",
        "clearingAccounts": [{"clearingFirm": "GREENTEA_API_CLEARING2", "accountNumber": "DV1", "status": "I"}],
    }
    assert halting.steps[2].after == ("1", "2")
    suspended = LiveAccount(**{**_fields(live(found, status=AccountStatus.INACTIVE)), "execution_firms": {"3N1": True}})
    releasing = made(want(rows, suspended=False, status=AccountStatus.ACTIVE), suspended)
    assert [step.phase for step in releasing.steps] == [Phase.LOOSEN, Phase.RELEASE, Phase.RELEASE]
    assert [step.after for step in releasing.steps] == [(), ("1",), ("1",)]
    assert releasing.steps[1].body["executionFirms"] == [{"efId": "3N1", "suspended": "N"}]
    assert [(change.before, change.after) for change in releasing.changes[:2]] == [("Inactive", "Active"), (True, False)]


def _fields(value: LiveAccount) -> dict[str, object]:
    return {name: getattr(value, name) for name in LiveAccount.__slots__}


def test_suspensions_of_several_execution_firms_share_a_call() -> None:
    firms = tuple(DesiredExecutionFirm(id=name, source=HERE, suspended=True) for name in ("OFF", "027", "3N1"))
    part = made(DesiredAccount(key=KEY, source=HERE, execution_firms=firms), live(OFF=False, **{"027": False}))
    (step,) = part.steps
    assert [item["efId"] for item in step.body["executionFirms"]] == ["027", "3N1", "OFF"]  # type: ignore[attr-defined]


def test_an_execution_firm_that_the_account_does_not_have_blocks_and_is_named() -> None:
    """Unknown is not "not suspended": no change is invented for it."""
    part = made(want(row(CJ, 1, 1, 1, 1, firm="9ZZ"), firm="9ZZ", suspended=True), live())
    assert [change.kind.value for change in part.changes] == ["limit"] * 4
    (finding,) = part.findings
    assert (finding.code, finding.blocks, finding.where) == ("unknown-ef", True, f"{KEY}/9ZZ")
    assert finding.message == "execution firm 9ZZ is not on this account (a.yaml:9:9); the AMS has: 3N1"
    only_suspended = made(want(firm="9ZZ", suspended=False), live())
    assert [finding.code for finding in only_suspended.findings] == ["unknown-ef"]
    assert made(want(row(CJ, unset=True, firm="9ZZ"), firm="9ZZ"), live()).findings == ()
    nobody = replace(live(), execution_firms={})
    assert made(want(suspended=True), nobody).findings[0].message.endswith("the AMS has: none")


def test_a_closed_account_blocks_only_when_something_is_wanted() -> None:
    closed = live({("3N1", CJ): (1, 1, 1, 1)}, status=AccountStatus.CLOSED)
    wanted = made(want(row(CJ, 2, 2, 2, 2), status=AccountStatus.ACTIVE), closed)
    assert (wanted.changes, wanted.findings[-1].code, wanted.findings[-1].blocks) == ((), "closed-account", True)
    assert "5 changes wanted" in wanted.findings[-1].message
    still = made(want(row(CJ, 1, 1, 1, 1)), closed)
    assert (still.findings[0].code, still.findings[0].severity, still.findings[0].blocks) == ("closed-account", Severity.WARNING, False)
    assert added_rows(want(row(DRS, 1, 1, 1, 1)), closed, Rules()) == ()


def test_undeclared_rows_follow_the_policy_and_the_account_s_own_wins() -> None:
    found = live({("3N1", DRS): (1, 2, 3, 4)})
    reported = made(want(), found)
    (finding,) = reported.findings
    assert (reported.changes, finding.code, finding.where) == ((), "undeclared-row", f"{KEY}/3N1/{DRS}")
    assert finding.message == "the AMS has a limit that no manifest names: ef.long 1, ef.short 2, cmf.long 3, cmf.short 4"
    assert made(want(undeclared=Undeclared.IGNORE), found).findings == ()
    unset = made(want(undeclared=Undeclared.UNSET), found)
    assert {change.after for change in unset.changes} == {UNSET}
    assert {change.source for change in unset.changes} == {Source("a.yaml", 1, 1)}
    assert unset.findings == ()
    assert made(want(), found, Rules(undeclared=Undeclared.UNSET)).changes == unset.changes


def test_eligibility_blocks_only_rows_that_would_be_added() -> None:
    desired = want(row(CJ, 1, 1, 1, 1), row(DRS, 9, 9, 9, 9))
    found = live({("3N1", DRS): (1, 1, 1, 1)})
    assert added_rows(desired, found, Rules()) == (RowKey("3N1", CJ),)
    assert made(desired, found, eligible={"3N1": frozenset({CJ})}).findings == ()
    for eligible in ({}, {"3N1": frozenset({DRS})}, {"350": frozenset({CJ})}):
        (finding,) = made(desired, found, eligible=eligible).findings
        assert (finding.code, finding.blocks, finding.where) == ("ineligible-product", True, f"{KEY}/3N1/{CJ}")
        assert finding.message.endswith("no limit can be added (a.yaml:10:5)")


def test_usage_is_told_per_leg_and_unknown_is_not_zero() -> None:
    part = made(want(row(CJ, 2, 2, 2, 2)), live({("3N1", CJ): (1, 1, 1, 1)}, usage=(120, None)))
    assert [(change.leg, change.usage) for change in part.changes] == [("long", 120), ("short", None), ("long", 120), ("short", None)]


def test_rows_share_a_post_up_to_the_setting() -> None:
    rows = [row(f"P{number:02d}.FUT.CME", 1, 1, 1, 1) for number in range(7)]
    part = made(want(*rows), live(), Rules(rows_per_post=3))
    assert [len(step.body["limits"]) for step in part.steps] == [3, 3, 1]  # type: ignore[arg-type]
    assert len(part.steps[0].changes) == 12


def test_what_is_not_written_is_not_managed() -> None:
    part = made(want(row(CJ, None, None, None, None)), live({("3N1", CJ): (1, 2, 3, 4)}, status=AccountStatus.INACTIVE))
    assert (part.changes, part.findings) == ((), ())
