"""Carrying out: what each thing that can go wrong with a POST leads to, and what may never happen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from amsctl.applying.means import Barrier, Stop
from amsctl.diagnostics import Source
from amsctl.errors import AmsctlError, AmsError, ExitCode, RecordingFailed
from amsctl.model import AccountKey, AccountStatus, DesiredAccount, DesiredExecutionFirm, DesiredRow, Outcome, Phase
from amsctl.planning.diff import Rules
from amsctl.planning.plan import Plan, Step
from tests.applying.world import FIRM, Notes, World, apply, plan_of
from tests.planning.reference import Account

HERE = Source("a.yaml", 1, 1)
CJ, GLB, RO, DRS = "CJ.FUT.NYMEX", "GLB.FUT.CME", "RO.OOF.CME", "DRS.FUT.CBT"
V, F, B, D, U = Outcome.VERIFIED, Outcome.FAILED, Outcome.BLOCKED, Outcome.DIVERGED, Outcome.UNKNOWN


def account(number: str = "A") -> Account:
    """Suspended 027, trading 3N1; a row whose legs will move both ways, one that will go."""
    return Account(
        FIRM,
        number,
        "Inactive",
        {"027": True, "3N1": False},
        {("3N1", CJ): (324, 567, 9000, 2000), ("3N1", GLB): (10, 10, 10, 10), ("3N1", RO): (5, 5, None, None)},
    )


def wish(number: str = "A") -> DesiredAccount:
    """Suspend 3N1, tighten and loosen CJ, delete RO, release 027, activate: all four phases."""

    def row(product: str, *legs: int | None, unset: bool = False) -> DesiredRow:
        four = legs or (None, None, None, None)
        return DesiredRow(execution_firm="3N1", product=product, legs=four, sources=(HERE,) * 4, source=HERE, unset=unset)  # type: ignore[arg-type]

    return DesiredAccount(
        key=AccountKey(FIRM, number),
        source=HERE,
        status=AccountStatus.ACTIVE,
        execution_firms=(
            DesiredExecutionFirm(id="027", source=HERE, suspended=False),
            DesiredExecutionFirm(
                id="3N1", source=HERE, suspended=True, rows=(row(CJ, 300, 600, None, None), row(GLB, 9, 9, 9, 9), row(RO, unset=True))
            ),
        ),
    )


def world(**attributes: object) -> World:
    return World({"A": account()}, **attributes)  # type: ignore[arg-type]


PHASES = [Phase.HALT, Phase.TIGHTEN, Phase.LOOSEN, Phase.LOOSEN, Phase.RELEASE, Phase.RELEASE]


def outcomes(here: World, **options: object) -> list[Outcome]:
    plan = plan_of(here, {"A": wish()})
    assert [step.phase for step in plan.steps] == PHASES
    return [step.outcome for step in apply(here, plan, **options).steps]  # type: ignore[arg-type]


def test_a_whole_plan_is_carried_out_in_order_and_read_back() -> None:
    here, notes = world(), Notes()
    plan = plan_of(here, {"A": wish()})
    report = apply(here, plan, notes=notes)
    assert [step.outcome for step in report.steps] == [V] * 6
    assert [step.http_status for step in report.steps] == [200] * 6
    assert report.exit_code is ExitCode.DONE
    assert plan_of(here, {"A": wish()}).changes == ()
    assert [path for path, _, _ in here.posts] == [step.path for step in plan.steps]
    assert [body for _, _, body in here.posts] == [step.body for step in plan.steps]
    told = [f"{word} {what}" for word, what in notes.lines]
    assert told == [
        f"started {plan.digest}",
        *(line for n in range(1, 7) for line in (f"intended s{n}#1", f"settled s{n} verified")),
        "finished 0",
    ]


@pytest.mark.parametrize(
    ("fault", "expected", "code"),
    [
        ("refused", F, 5),
        ("refused-200", F, 5),
        ("failed-before", F, 5),
        ("failed-after", V, 0),
        ("gateway-before", F, 5),
        ("gateway-after", V, 0),
        ("lost-request", F, 5),
        ("lost-answer", V, 0),
        ("late", V, 0),
        ("unreachable", F, 5),
        ("stored-nothing", D, 6),
        ("stored-nothing-old", D, 6),
        ("partial", D, 6),
        ("partial-lost", D, 6),
        ("wrong-answer", D, 6),
        ("malformed", F, 5),
        ("malformed-after", V, 0),
        ("unauthorised", V, 0),
    ],
)
def test_outcome_of_a_tightening_post(fault: str, expected: Outcome, code: int) -> None:
    """What was read back decides; whatever is not proven blocks every loosening and release."""
    here = world(faults={2: fault})
    plan = plan_of(here, {"A": wish()})
    report = apply(here, plan)
    found = [step.outcome for step in report.steps]
    assert found[:2] == [V, expected]
    assert found[2:] == ([V] * 4 if expected is V else [B] * 4)
    assert report.exit_code == code
    if expected is not V:
        sent = [plan.steps[number].phase for number in range(len(here.posts))]
        assert set(sent) <= {Phase.HALT, Phase.TIGHTEN}


@pytest.mark.parametrize("first", ["refused", "unreachable"])
def test_a_failed_halt_does_not_keep_limits_from_being_tightened(first: str) -> None:
    """Less is let through either way; only what loosens waits."""
    assert outcomes(world(faults={1: first})) == [F, V, B, B, B, B]


@pytest.mark.parametrize("first", ["lost-request", "malformed", "failed-before", "stored-nothing", "partial", "wrong-answer"])
def test_after_an_unclear_or_diverged_call_nothing_more_is_written_to_the_account(first: str) -> None:
    here = world(faults={2: first})
    found = outcomes(here)
    assert found[2:] == [B] * 4
    assert len(here.posts) == 2


@pytest.mark.parametrize("fault", ["late", "timed-out"])
def test_a_post_that_may_land_late_is_waited_for(fault: str) -> None:
    """No answer; or a 408, by which something on the way says that it did not wait for the end."""
    here = world(faults={2: fault})
    assert outcomes(here) == [V] * 6
    assert here.clock.slept == [30]


def test_a_clear_refusal_is_not_waited_for() -> None:
    here = world(faults={2: "refused", 1: "refused-200"})
    outcomes(here)
    assert here.clock.slept == []


def test_unknown_when_it_cannot_be_read_back() -> None:
    here = world(faults={1: "lost-answer"})
    before = plan_of(here, {"A": wish()})
    # reads: statuses, account, then the read-back and the one after settling
    here.failing_reads = {3, 4}
    report = apply(here, before)
    assert [step.outcome for step in report.steps] == [U, B, B, B, B, B]
    assert report.exit_code is ExitCode.UNVERIFIED
    assert "could not be read back" in report.steps[0].message
    assert here.clock.slept == [30]


def test_one_failed_read_back_is_tried_again_after_settling() -> None:
    here = world()
    plan = plan_of(here, {"A": wish()})
    here.failing_reads = {3}
    assert [step.outcome for step in apply(here, plan).steps] == [V] * 6


def test_a_rejected_credential_is_renewed_once_and_only_after_a_fresh_read() -> None:
    here = world(faults={2: "unauthorised"})
    plan = plan_of(here, {"A": wish()})
    report = apply(here, plan)
    assert report.steps[1].attempts == 2
    assert here.posts[1] == here.posts[2]
    here = world(faults={2: "unauthorised", 3: "unauthorised"})
    report = apply(here, plan_of(here, {"A": wish()}))
    assert (report.steps[1].outcome, report.steps[1].attempts) == (F, 2)
    assert len(here.posts) == 3


def test_a_rejected_credential_is_not_used_again_when_the_row_moved_or_cannot_be_read() -> None:
    here = world(faults={2: "unauthorised"})
    plan = plan_of(here, {"A": wish()})
    here.failing_reads = {5}
    report = apply(here, plan)
    assert (report.steps[1].outcome, report.steps[1].attempts) == (F, 1)


def test_partial_posts_name_what_is_not_as_asked() -> None:
    here = world(faults={2: "partial"})
    report = apply(here, plan_of(here, {"A": wish()}))
    assert "1 of 2 rows are as asked" in report.steps[1].message
    assert f"{FIRM}/A/3N1/{GLB} ef.long: expected 9, found 10" in report.steps[1].message
    assert f"{CJ} ef.long" not in report.steps[1].message


def test_nothing_is_written_when_a_planned_value_moved() -> None:
    """Stale: exit 4, and every moved value is named with what the plan saw and what is there."""
    here = world()
    plan = plan_of(here, {"A": wish()})
    here.accounts["A"].rows["3N1", CJ] = (324, 568, 9000, 2000)
    here.accounts["A"].suspended["3N1"] = True
    here.accounts["A"].status = "Active"
    report = apply(here, plan)
    assert report.exit_code is ExitCode.STALE
    assert here.posts == []
    assert report.stale == (
        f"{FIRM}/A/3N1/{CJ} ef.short: the plan saw 567, the AMS now has 568",
        f"{FIRM}/A/3N1: the plan saw not suspended, the AMS now has suspended",
        f"{FIRM}/A: the plan saw Inactive, the AMS now has Active",
    )
    assert {step.outcome for step in report.steps} == {B}


def test_the_foreign_side_and_rows_that_are_not_written_make_a_plan_stale_too() -> None:
    for key, legs in ((("3N1", CJ), (324, 567, 9001, 2000)), (("3N1", "NEW.FUT.CME"), (1, 1, 1, 1))):
        here = world()
        plan = plan_of(here, {"A": wish()})
        here.accounts["A"].rows[key] = legs
        report = apply(here, plan)
        assert report.exit_code is ExitCode.STALE
        assert here.posts == []
        assert report.stale == (
            f"{FIRM}/A: a value that the plan does not change is no longer what it was (status, suspension or another row)",
        )


def test_a_row_without_any_limit_that_appears_is_not_stale() -> None:
    """Rows of four unlimited legs come and go with trading."""
    here = world()
    plan = plan_of(here, {"A": wish()})
    here.accounts["A"].rows["3N1", "NEW.FUT.CME"] = (None, None, None, None)
    assert apply(here, plan).exit_code is ExitCode.DONE


def test_one_stale_account_keeps_every_other_from_being_written() -> None:
    here = World({"A": account("A"), "B": account("B")})
    plan = plan_of(here, {"A": wish("A"), "B": wish("B")})
    here.accounts["B"].rows.clear()
    report = apply(here, plan)
    assert (report.exit_code, here.posts) == (ExitCode.STALE, [])
    assert {step.outcome for step in report.steps} == {B}


def test_an_account_that_is_gone_is_stale() -> None:
    here = world()
    plan = plan_of(here, {"A": wish()})
    del here.accounts["A"]
    report = apply(here, plan)
    assert report.stale == (f"{FIRM}/A: the AMS no longer lists this account",)
    assert report.exit_code is ExitCode.STALE


def test_a_failed_read_before_the_first_write_ends_the_run_with_nothing_written() -> None:
    here = world()
    plan = plan_of(here, {"A": wish()})
    here.failing_reads = {2}
    with pytest.raises(AmsError, match="a page fell short"):
        apply(here, plan)
    assert here.posts == []


def test_an_account_that_cannot_be_read_right_before_its_writes_is_left_alone() -> None:
    here = World({"A": account("A"), "B": account("B")})
    plan = plan_of(here, {"A": wish("A"), "B": wish("B")})
    here.failing_reads = {5}
    report = apply(here, plan, concurrency=1)
    assert {step.outcome for step in report.steps[:6]} == {B}
    assert {step.outcome for step in report.steps[6:]} == {V}
    assert report.exit_code is ExitCode.PARTIAL
    assert {body["accountNumber"] for path, _, body in here.posts if not path.startswith("/status/")} == {"B"}


def test_an_edit_between_the_first_look_and_the_account_s_own_stops_the_run() -> None:
    here = World({"A": account("A"), "B": account("B")})
    plan = plan_of(here, {"A": wish("A"), "B": wish("B")})
    read = here._read

    async def edited(number: str) -> Account:
        if here.reads == 4:
            here.accounts["A"].rows["3N1", CJ] = (1, 1, 1, 1)
        return await read(number)

    here._read = edited  # type: ignore[method-assign]
    report = apply(here, plan)
    assert report.exit_code is ExitCode.STALE
    assert here.posts == []


@pytest.mark.parametrize("number", [1, 2, 3, 6])
def test_somebody_else_s_edit_during_the_run_stops_every_further_write_and_is_told(number: int) -> None:
    here = world(faults={number: "foreign-edit"})
    plan = plan_of(here, {"A": wish()})
    report = apply(here, plan)
    assert report.exit_code is ExitCode.STALE
    assert [step.outcome for step in report.steps][:number] == [V] * number
    assert {step.outcome for step in report.steps[number:]} <= {B}
    assert any("OFF" in line for line in report.stale)
    assert len(here.posts) == number


def test_limits_are_read_again_when_another_kind_of_call_came_between() -> None:
    """The foreign side is fresh when it is echoed: an edit after the suspension call is seen before the limits are written."""
    here = world()
    plan = plan_of(here, {"A": wish()})
    post = here.post

    async def edited(path: str, query: object, body: object, **leaving: object) -> object:
        answer = await post(path, query, body, **leaving)  # type: ignore[arg-type]
        if len(here.posts) == 1:
            here.accounts["A"].rows["3N1", CJ] = (324, 567, 1, 1)
        return answer

    here.post = edited  # type: ignore[method-assign,assignment]
    report = apply(here, plan)
    assert [step.outcome for step in report.steps] == [V, B, B, B, B, B]
    assert report.exit_code is ExitCode.STALE
    assert f"{FIRM}/A/3N1/{CJ} cmf.long: expected 9000, found 1" in report.stale


def test_limits_that_cannot_be_read_again_are_not_written() -> None:
    here = world()
    plan = plan_of(here, {"A": wish()})
    here.failing_reads = {4}
    report = apply(here, plan)
    assert [step.outcome for step in report.steps] == [V, B, B, B, B, B]
    assert len(here.posts) == 1


def test_the_account_is_read_whole_once_more_when_its_last_steps_were_blocked() -> None:
    here = world(faults={2: "refused"})
    plan = plan_of(here, {"A": wish()})
    post = here.post

    async def edited(path: str, query: object, body: object, **leaving: object) -> object:
        if len(here.posts) == 1:
            here.accounts["A"].suspended["027"] = False
        return await post(path, query, body, **leaving)  # type: ignore[arg-type]

    here.post = edited  # type: ignore[method-assign,assignment]
    report = apply(here, plan)
    assert report.stale == (f"{FIRM}/A/027: expected suspended, found not suspended",)
    here = world(faults={2: "refused"})
    plan = plan_of(here, {"A": wish()})
    here.failing_reads = {6}
    report = apply(here, plan)
    assert report.stale == ()
    assert report.exit_code is ExitCode.PARTIAL
    assert report.unread == (f"{FIRM}/A: could not be read at the end: a page fell short ({FIRM}/A)",)


def test_a_stop_lets_the_call_under_way_finish_and_blocks_the_rest() -> None:
    here, stop = world(), Stop()
    here.watch = lambda world: stop.request("stopped by SIGINT", ExitCode.INTERRUPTED) if len(world.posts) == 2 else None
    plan = plan_of(here, {"A": wish()})
    report = apply(here, plan, stop=stop)
    assert [step.outcome for step in report.steps] == [V, V, B, B, B, B]
    assert report.exit_code is ExitCode.INTERRUPTED
    assert report.steps[2].message == "stopped by SIGINT"


def test_nothing_is_sent_that_could_not_be_recorded_first() -> None:
    class Full(Notes):
        async def intended(self, step: Step, attempt: int, at: str, *, previous_status: int | None) -> None:
            if step.id == "s3":
                raise RecordingFailed("disk full")

    here = world()
    report = apply(here, plan_of(here, {"A": wish()}), notes=Full())
    assert [step.outcome for step in report.steps] == [V, V, B, B, B, B]
    assert len(here.posts) == 2
    assert "disk full" in report.steps[2].message


def test_an_outcome_that_cannot_be_recorded_stops_the_run() -> None:
    class Full(Notes):
        async def settled(self, report: object, at: str) -> None:
            raise RecordingFailed("disk full")

        async def finished(self, report: object) -> None:
            raise RecordingFailed("disk full")

    here = world()
    report = apply(here, plan_of(here, {"A": wish()}), notes=Full())
    assert [step.outcome for step in report.steps] == [V, B, B, B, B, B]


def test_a_second_sending_that_cannot_be_recorded_is_not_sent() -> None:
    class Full(Notes):
        async def intended(self, step: Step, attempt: int, at: str, *, previous_status: int | None) -> None:
            if attempt == 2:
                raise RecordingFailed("disk full")

    here = world(faults={2: "unauthorised"})
    report = apply(here, plan_of(here, {"A": wish()}), notes=Full())
    assert (report.steps[1].outcome, report.steps[1].attempts) == (F, 1)
    assert len(here.posts) == 2


def test_accounts_are_independent() -> None:
    """A failure in one account keeps no other from being carried out."""
    here = World({name: account(name) for name in "ABCD"}, faults={1: "refused"})
    plan = plan_of(here, {name: wish(name) for name in "ABCD"})
    seen: list[tuple[int, int]] = []
    report = apply(here, plan, concurrency=1, progress=lambda done, total: seen.append((done, total)))
    by_account = [[step.outcome for step in report.steps[n : n + 6]] for n in range(0, 24, 6)]
    assert by_account == [[F, V, B, B, B, B], [V] * 6, [V] * 6, [V] * 6]
    assert seen[-1] == (24, 24)
    assert [step.id for step in report.steps] == [f"s{n}" for n in range(1, 25)]


def test_a_plan_without_steps_does_nothing() -> None:
    here = world()
    plan = plan_of(here, {})
    report = apply(here, plan)
    assert (report.steps, report.exit_code, here.reads) == ((), ExitCode.DONE, 0)


def test_a_plan_that_writes_what_it_did_not_read_is_refused() -> None:
    here = world()
    plan: Plan = replace(plan_of(here, {"A": wish()}), observed=())
    with pytest.raises(AmsctlError, match="did not read"):
        apply(here, plan)
    assert here.posts == []


def test_a_defect_in_one_account_is_told_and_cuts_no_other_off() -> None:
    """What was under way is unknown, not "nothing written"; calls of other accounts under way are finished and proven; nothing further starts."""
    here = World({name: account(name) for name in "AB"})
    plan = plan_of(here, {name: wish(name) for name in "AB"})
    post = here.post

    async def breaking(path: str, query: object, body: object, **leaving: object) -> object:
        answer = await post(path, query, body, **leaving)  # type: ignore[arg-type]
        if "/B" in path and path.startswith("/accountLimits"):
            raise ZeroDivisionError("secret text of a library")
        return answer

    here.post = breaking  # type: ignore[method-assign,assignment]
    report = apply(here, plan, concurrency=2)
    assert [step.outcome for step in report.steps[6:]] == [V, U, B, B, B, B]
    others = [step.outcome for step in report.steps[:6]]
    assert others[0] is V
    assert set(others) == {V, B}
    assert report.exit_code is ExitCode.UNVERIFIED
    assert report.steps[7].attempts == 1
    assert "ZeroDivisionError" in report.steps[7].message
    assert "secret" not in report.steps[7].message


def test_a_defect_before_anything_was_sent_blocks_the_account() -> None:
    class Broken(Notes):
        async def intended(self, step: Step, attempt: int, at: str, *, previous_status: int | None) -> None:
            raise ZeroDivisionError

    here = world()
    report = apply(here, plan_of(here, {"A": wish()}), notes=Broken())
    assert {step.outcome for step in report.steps} == {B}
    assert here.posts == []


def two_tightenings() -> tuple[World, Plan]:
    """One account, two tightening steps of one row each."""
    here = world()
    only_limits = replace(wish(), status=None, execution_firms=(wish().execution_firms[1],))
    rows = tuple(row for row in only_limits.execution_firms[0].rows if not row.unset)
    tightening = tuple(replace(row, legs=(300, 500, None, None)) if row.product == CJ else row for row in rows)
    firm = replace(only_limits.execution_firms[0], suspended=None, rows=tightening)
    plan = plan_of(here, {"A": replace(only_limits, execution_firms=(firm,))}, Rules(rows_per_post=1))
    assert [step.phase for step in plan.steps] == [Phase.TIGHTEN, Phase.TIGHTEN]
    return here, plan


def test_after_a_call_that_never_left_the_limits_are_read_again_before_the_next() -> None:
    """Waiting for a connection takes time; the foreign side of the next row must be freshly read, not as old as before."""
    here, plan = two_tightenings()
    here.faults = {1: "unreachable"}
    post = here.post

    async def edited(path: str, query: object, body: object, **leaving: object) -> object:
        here.accounts["A"].rows["3N1", GLB] = (10, 10, 11, 11)
        return await post(path, query, body, **leaving)  # type: ignore[arg-type]

    here.post = edited  # type: ignore[method-assign,assignment]
    report = apply(here, plan)
    assert [step.outcome for step in report.steps] == [F, B]
    assert report.exit_code is ExitCode.STALE
    assert len(here.posts) == 1


def test_an_account_whose_last_call_never_left_is_still_read_whole_at_the_end() -> None:
    here, plan = two_tightenings()
    here.faults = {2: "unreachable"}
    post = here.post

    async def edited(path: str, query: object, body: object, **leaving: object) -> object:
        if len(here.posts) == 1:
            here.accounts["A"].suspended["027"] = False
        return await post(path, query, body, **leaving)  # type: ignore[arg-type]

    here.post = edited  # type: ignore[method-assign,assignment]
    report = apply(here, plan)
    assert [step.outcome for step in report.steps] == [V, F]
    assert report.stale == (f"{FIRM}/A/027: expected suspended, found not suspended",)


def test_a_stop_during_the_last_look_before_a_write_keeps_it_from_being_sent() -> None:
    here, stop = world(), Stop()
    plan = plan_of(here, {"A": wish()})
    read = here._read

    async def stopped(number: str) -> Account:
        if here.reads == 3:  # statuses, account, read-back; the next is the fresh look at the limits
            stop.request("stopped by SIGINT", ExitCode.INTERRUPTED)
        return await read(number)

    here._read = stopped  # type: ignore[method-assign]
    report = apply(here, plan, stop=stop)
    assert [step.outcome for step in report.steps] == [V, B, B, B, B, B]
    assert len(here.posts) == 1


def test_a_stop_keeps_a_rejected_call_from_being_sent_again() -> None:
    here, stop = world(faults={1: "unauthorised"}), Stop()
    plan = plan_of(here, {"A": wish()})
    read = here._read

    async def stopped(number: str) -> Account:
        if here.reads == 2:
            stop.request("stopped by SIGINT", ExitCode.INTERRUPTED)
        return await read(number)

    here._read = stopped  # type: ignore[method-assign]
    report = apply(here, plan, stop=stop)
    assert (report.steps[0].outcome, report.steps[0].attempts) == (F, 1)
    assert len(here.posts) == 1


def test_an_account_that_was_written_and_cannot_be_read_for_its_second_half_is_told() -> None:
    """Behind one barrier an account is read anew before it loosens: when that fails after it was written to, nobody knows what it holds."""
    here = world()
    plan = plan_of(here, {"A": wish()})
    reads = apply(here, plan, barrier=Barrier.RUN)
    assert (reads.exit_code, reads.unread) == (ExitCode.DONE, ())
    told = set()
    for failing in range(1, here.reads + 1):
        again = world()
        again.failing_reads = {failing}
        try:
            report = apply(again, plan_of(again, {"A": wish()}), barrier=Barrier.RUN)
        except AmsError:
            continue  # the look before the first write: nothing was sent
        blocked = [step for step in report.steps if "right before its writes" in step.message]
        told.add((bool(blocked), bool(again.posts), bool(report.unread)))
        assert all(line.startswith(f"{FIRM}/A: could not be read at the end: ") for line in report.unread)
    assert {(True, True, True), (True, False, False)} <= told
    assert (True, True, False) not in told
