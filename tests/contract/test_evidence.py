"""What a later command may take for the work of an earlier run: what was read back, change by change, and nothing that others did since."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from amsctl.operations import runs
from amsctl.sandbox.server import Sandbox
from tests.cli.conftest import Run
from tests.contract.test_attacks_on_runs import DV, TWO_LOOSER, half_done, long_of, put, taken_back
from tests.contract.test_attacks_on_runs import project as project_of_single_rows
from tests.contract.test_plan_and_apply import fault, posts, quick, saved, write
from tests.contract.test_runs import amsctl, applied, left_unknown, outcomes, report_of

single_rows = project_of_single_rows
"""The fixture of that name: a project that sends one row a call."""


def suspended(sandbox: Sandbox) -> dict[str, bool]:
    """Execution firm → suspended."""
    return sandbox.book.account(DV).execution_firms


def suspend(sandbox: Sandbox, **firms: bool) -> None:
    """Somebody does it by hand, or lifts it; names as keywords with a leading underscore."""
    sandbox.book.write_suspensions(sandbox.book.account(DV), {name.removeprefix("_"): flag for name, flag in firms.items()})


def back(project: Path, run: Run, name: str) -> dict[str, Any]:
    """The plan that takes a run back."""
    ran = amsctl(run, project, "rollback", name, "-o", str(project / "back.json"))
    assert ran.code == 0, ran.err
    return json.loads((project / "back.json").read_text())  # type: ignore[no-any-return]


def found(plan: dict[str, Any]) -> list[tuple[str, str]]:
    return [(finding["code"], finding["where"].removeprefix(f"GREENTEA_API_CLEARING2/{DV}")) for finding in plan["findings"]]


# --- resume ---


def test_a_release_that_landed_in_part_and_was_halted_again_is_not_sent_again(project: Path, sandbox: Sandbox, run: Run) -> None:
    """One of two execution firms was released; somebody suspends it again; a resume must not lift that over their head."""
    suspend(sandbox, _350=True, _3N1=True)
    write(project, "executionFirms: {350: {suspended: false}, 3N1: {suspended: false}}")
    plan = saved(project, run)
    fault(sandbox, kind="partial", method="POST", rows=1, nth=1)
    assert outcomes(applied(run, project, plan)) == ["diverged"]
    sandbox.faults.clear()
    (released,) = [firm for firm in ("350", "3N1") if not suspended(sandbox)[firm]]
    suspend(sandbox, **{released: True})
    ran = amsctl(run, project, "resume", "--format", "json")
    assert ran.code == 4
    assert suspended(sandbox)[released] is True


def test_a_resume_sends_the_rest_of_a_suspension(project: Path, sandbox: Sandbox, run: Run) -> None:
    """One of two execution firms was suspended; the other is still wanted, and it alone is sent."""
    write(project, "executionFirms: {350: {suspended: true}, 3N1: {suspended: true}}")
    plan = saved(project, run)
    fault(sandbox, kind="partial", method="POST", rows=1, nth=1)
    assert outcomes(applied(run, project, plan)) == ["diverged"]
    sandbox.faults.clear()
    (rest,) = [firm for firm in ("350", "3N1") if not suspended(sandbox)[firm]]
    assert outcomes(amsctl(run, project, "resume", "--format", "json")) == ["verified"]
    sent = json.loads(sandbox.log.calls("POST")[-1].body)
    assert [item["efId"] for item in sent["executionFirms"]] == [rest]
    assert suspended(sandbox) == {**suspended(sandbox), "350": True, "3N1": True}


def test_a_value_that_was_stored_beside_a_wrong_answer_counts_as_written(project: Path, sandbox: Sandbox, run: Run) -> None:
    """The answer differed, the read-back proved it: who puts it back has undone it, and a resume is stale."""
    write(project, "executionFirms: {350: {limits: {CJ.FUT.NYMEX: {ef: {long: 200}}}}}")
    plan = saved(project, run)
    fault(sandbox, kind="wrong_body", method="POST", nth=1)
    assert outcomes(applied(run, project, plan)) == ["diverged"]
    sandbox.faults.clear()
    assert long_of(sandbox, "350") == 200
    put(sandbox, "350", 123)
    ran = amsctl(run, project, "resume", "--format", "json")
    assert (ran.code, long_of(sandbox, "350")) == (4, 123)


def test_a_resume_does_not_undo_a_rollback(project: Path, sandbox: Sandbox, run: Run) -> None:
    """Whatever the outcome of the call was called: what was taken back stays so."""
    write(project, "executionFirms: {350: {limits: {CJ.FUT.NYMEX: {ef: {long: 200}}}}}")
    plan = saved(project, run)
    fault(sandbox, kind="wrong_body", method="POST", nth=1)
    first = report_of(applied(run, project, plan))["run"]
    sandbox.faults.clear()
    back(project, run, first)
    assert applied(run, project, project / "back.json").code == 0
    assert (amsctl(run, project, "resume", first).code, long_of(sandbox, "350")) == (4, 123)


def test_what_reading_later_shows_in_part_counts_in_part(project: Path, sandbox: Sandbox, run: Run) -> None:
    """One of two rows was found done when the call was resolved; somebody puts it back; a resume does not send it again."""
    quick(project)
    write(project, TWO_LOOSER)
    plan = saved(project, run)
    ran = left_unknown(run, project, sandbox, plan, kind="partial", rows=1, variant="error")
    assert outcomes(ran) == ["unknown"]
    assert amsctl(run, project, "resolve").code == 0
    assert long_of(sandbox, "350") == 200
    put(sandbox, "350", 123)
    assert (amsctl(run, project, "resume").code, long_of(sandbox, "350")) == (4, 123)


def test_what_a_resume_has_itself_proven_is_not_done_again(
    project: Path, sandbox: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The resume reads that the unknown call has taken effect, and writes that down; before it reads the whole plan's accounts somebody puts the old
    value back. It stays (seed 5,439 of the simulator).
    """
    quick(project)
    write(project)
    before = long_of(sandbox, "3N1")
    plan = saved(project, run)
    left_unknown(run, project, sandbox, plan, kind="drop_after")
    made = long_of(sandbox, "3N1")
    settle = runs.settle_earlier

    async def settle_and_put_back(*arguments: Any, **named: Any) -> Any:
        closed = await settle(*arguments, **named)
        put(sandbox, "3N1", before)
        return closed

    monkeypatch.setattr(runs, "settle_earlier", settle_and_put_back)
    sent = len(posts(sandbox))
    assert made != before
    assert (amsctl(run, project, "resume").code, long_of(sandbox, "3N1"), len(posts(sandbox))) == (4, before, sent)


def test_a_resume_says_whose_work_it_leaves_out(single_rows: Path, sandbox: Sandbox, run: Run) -> None:
    """The first step was the earlier run's; the second was refused then, and somebody else has set the value by hand."""
    half_done(single_rows, sandbox, run)
    put(sandbox, "3N1", 400)
    ran = amsctl(run, single_rows, "resume", "--format", "json")
    assert [(step["outcome"], step["message"]) for step in report_of(ran)["steps"]] == [
        ("skipped", "already as wanted: an earlier run of this plan did it"),
        ("skipped", "already as wanted"),
    ]


def test_a_run_whose_plan_is_not_kept_is_not_resumed(single_rows: Path, sandbox: Sandbox, run: Run) -> None:
    """Somebody took the plan out of the ledger's database: that is said, and nothing is sent."""
    project = single_rows
    name = half_done(project, sandbox, run)
    with contextlib.closing(sqlite3.connect(project / ".amsctl" / "ledger.db")) as ledger:
        for (trigger,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            ledger.execute(f"DROP TRIGGER {trigger}")
        ledger.execute("DELETE FROM ledger_plans")
        ledger.commit()
    before = len(posts(sandbox))
    ran = amsctl(run, project, "resume", name)
    assert (ran.code, len(posts(sandbox))) == (1, before)
    assert "the ledger does not keep this plan" in ran.err


# --- rollback ---


def test_rows_that_a_call_did_not_store_are_not_taken_back(project: Path, sandbox: Sandbox, run: Run) -> None:
    """The run stored one of two rows; somebody tightens the other by hand to what was wanted. That is theirs."""
    write(project, "executionFirms: {3N1: {limits: {CJ.FUT.NYMEX: {ef: {long: 10}}}}, 350: {limits: {CJ.FUT.NYMEX: {ef: {long: 10}}}}}")
    plan = saved(project, run)
    fault(sandbox, kind="partial", method="POST", rows=1, nth=1)
    report = report_of(applied(run, project, plan))
    sandbox.faults.clear()
    (rest,) = [row.partition("/")[0] for row in report["steps"][0]["rows"]["not_done"]]
    put(sandbox, rest, 10)
    told = [one for one in found(back(project, run, report["run"])) if not one[0].startswith("guard-")]
    assert rest not in [firm for firm, _ in taken_back(project)]
    assert len(taken_back(project)) == 1
    assert told == [("changed-since", f"/{rest}/CJ.FUT.NYMEX ef.long")]


def test_a_suspension_that_a_call_did_not_store_is_not_lifted(project: Path, sandbox: Sandbox, run: Run) -> None:
    write(project, "executionFirms: {350: {suspended: true}, 3N1: {suspended: true}}")
    plan = saved(project, run)
    fault(sandbox, kind="partial", method="POST", rows=1, nth=1)
    report = report_of(applied(run, project, plan))
    sandbox.faults.clear()
    (theirs,) = [firm for firm in ("350", "3N1") if not suspended(sandbox)[firm]]
    suspend(sandbox, **{theirs: True})
    back(project, run, report["run"])
    assert [firm for firm, _ in taken_back(project)] == [firm for firm in ("350", "3N1") if firm != theirs]


@pytest.mark.parametrize("last", [100, 250])
def test_what_a_later_run_has_moved_is_that_runs_to_take_back(project: Path, sandbox: Sandbox, run: Run, last: int) -> None:
    """500, 100, 300 and 100 again: the first 100 is not taken back over the head of whoever has set the second; nor when it is something else by now."""

    def brought_to(long: int) -> str:
        write(project, f"executionFirms: {{350: {{limits: {{CJ.FUT.NYMEX: {{ef: {{long: {long}}}}}}}}}}}")
        return str(report_of(applied(run, project, saved(project, run)))["run"])

    brought_to(500)
    first = brought_to(100)
    brought_to(300)
    later = brought_to(last)
    plan = back(project, run, first)
    assert taken_back(project) == []
    (finding,) = plan["findings"]
    assert (finding["code"], f"run {later} has written it since; it is {last} now" in finding["message"]) == ("changed-since", True)
    back(project, run, later)
    assert taken_back(project) == [("350", 300)]


def test_nothing_is_released_beside_a_limit_that_is_not_what_it_was(project: Path, sandbox: Sandbox, run: Run) -> None:
    """The run suspended and tightened; somebody has opened the limit since. Lifting the suspension would let all of that through."""
    write(project, "executionFirms: {3N1: {suspended: true, limits: {CJ.FUT.NYMEX: {ef: {long: 10}}}}}")
    name = report_of(applied(run, project, saved(project, run)))["run"]
    put(sandbox, "3N1", 100_000)
    plan = back(project, run, name)
    assert taken_back(project) == []
    assert found(plan) == [("release-withheld", "/3N1"), ("changed-since", "/3N1/CJ.FUT.NYMEX ef.long")]


def test_no_account_is_activated_beside_a_limit_that_is_not_what_it_was(project: Path, sandbox: Sandbox, run: Run) -> None:
    write(project, "{status: Inactive, executionFirms: {3N1: {limits: {CJ.FUT.NYMEX: {ef: {long: 10}}}}}}")
    name = report_of(applied(run, project, saved(project, run)))["run"]
    put(sandbox, "3N1", 5)
    plan = back(project, run, name)
    assert taken_back(project) == []
    assert ("release-withheld", "") in found(plan)


def test_a_side_is_not_raised_beside_another_that_was_opened_since(project: Path, sandbox: Sandbox, run: Run) -> None:
    """Effective 40 before the run, 50 now. With the execution firm's side back at 100 beside a clearing side that somebody has opened, it would be 100."""
    sandbox.book.put(DV, "3N1", "CJ.FUT.NYMEX", (100, 567, 40, 2000))
    write(project, "executionFirms: {3N1: {limits: {CJ.FUT.NYMEX: {ef: {long: 50, short: 500}, cmf: {long: 200}}}}}")
    name = report_of(applied(run, project, saved(project, run)))["run"]
    sandbox.book.put(DV, "3N1", "CJ.FUT.NYMEX", (50, 500, 500, 2000))
    plan = back(project, run, name)
    assert [(change["owner"], change["leg"], change["after"]) for change in plan["changes"]] == [("ef", "short", 567)]
    messages = {finding["where"].rpartition(" ")[2]: finding["message"] for finding in plan["findings"]}
    assert sorted(messages) == ["cmf.long", "ef.long"]
    assert "with 100 this row would let 100 long through, which was at most 50 before the run and now" in messages["ef.long"]
