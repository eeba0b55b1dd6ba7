"""Attacks on what a later command makes of an earlier run: what it sends again, what it takes back, what it forgets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from amsctl.sandbox.server import Sandbox
from tests.cli.conftest import Run
from tests.contract.test_plan_and_apply import fault, posts, quick, saved, write
from tests.contract.test_runs import amsctl, applied, left_unknown, log, outcomes, report_of
from tests.order import at_call, comes

DV = "DV10121801A"
TWO_LOOSER = "executionFirms: {350: {limits: {CJ.FUT.NYMEX: {ef: {long: 200}}}}, 3N1: {limits: {CJ.FUT.NYMEX: {ef: {long: 400}}}}}"
REFUSED = {"errorType": "400", "error": "Bad Request"}


@pytest.fixture
def project(project: Path) -> Path:
    """One row a call, so that a run has more than one step."""
    config = project / "amsctl.yaml"
    config.write_text(config.read_text().replace("retries: 0", "retries: 0, rowsPerPost: 1"), encoding="utf-8")
    return project


def put(sandbox: Sandbox, firm: str, long: int, product: str = "CJ.FUT.NYMEX") -> None:
    """Somebody sets the execution firm's long limit by hand."""
    row = sandbox.book.row(DV, firm, product)
    assert row is not None
    sandbox.book.put(DV, firm, product, (long, *row[1:]))


def long_of(sandbox: Sandbox, firm: str) -> object:
    row = sandbox.book.row(DV, firm, "CJ.FUT.NYMEX")
    assert row is not None
    return row[0]


def taken_back(project: Path) -> list[tuple[str, object]]:
    changes = json.loads((project / "back.json").read_text())["changes"]
    return [(change["execution_firm"], change["after"]) for change in changes]


def half_done(project: Path, sandbox: Sandbox, run: Run) -> str:
    """A run whose first call loosened 350 from 123 to 200 and whose second, 3N1 from 324 to 400, was refused; its name."""
    write(project, TWO_LOOSER)
    plan = saved(project, run)
    fault(sandbox, kind="error_before", method="POST", status=400, nth=2, body=REFUSED)
    ran = applied(run, project, plan)
    assert outcomes(ran) == ["verified", "failed"]
    sandbox.faults.clear()
    return str(report_of(ran)["run"])


def test_a_resume_does_not_loosen_again_what_somebody_has_tightened_since(project: Path, sandbox: Sandbox, run: Run) -> None:
    """What a run has proven to be done, and is so no longer, was undone by somebody: the plan is stale, the edit is not overwritten."""
    half_done(project, sandbox, run)
    put(sandbox, "350", 123)
    ran = amsctl(run, project, "resume", "--format", "json")
    assert long_of(sandbox, "350") == 123
    assert ran.code == 4


def test_a_plan_that_was_finished_and_taken_back_is_not_carried_out_again_by_a_resume(project: Path, sandbox: Sandbox, run: Run) -> None:
    first = half_done(project, sandbox, run)
    assert amsctl(run, project, "resume").code == 0
    assert amsctl(run, project, "rollback", first, "-o", str(project / "back.json")).code == 0
    assert applied(run, project, project / "back.json").code == 0
    sent = len(posts(sandbox))
    assert amsctl(run, project, "resume", first).code == 4
    assert len(posts(sandbox)) == sent


def test_a_rollback_leaves_alone_what_its_run_never_wrote(project: Path, sandbox: Sandbox, run: Run) -> None:
    """3N1 was refused; somebody sets it by hand to what the plan had wanted. That is theirs."""
    name = half_done(project, sandbox, run)
    put(sandbox, "3N1", 400)
    assert amsctl(run, project, "rollback", name, "-o", str(project / "back.json")).code == 0
    assert taken_back(project) == [("350", 123)]


def test_a_rollback_knows_accounts_that_only_the_resume_could_write(project: Path, sandbox: Sandbox, run: Run) -> None:
    """The first run refused as stale; the edit was taken back, and the run gone on with."""
    write(project, TWO_LOOSER)
    plan = saved(project, run)
    put(sandbox, "350", 1, "DRS.FUT.CBT")
    assert applied(run, project, plan).code == 4
    put(sandbox, "350", 456, "DRS.FUT.CBT")
    ran = amsctl(run, project, "resume", "--format", "json")
    assert outcomes(ran) == ["verified", "verified"]
    assert amsctl(run, project, "rollback", report_of(ran)["run"], "-o", str(project / "back.json")).code == 0
    assert taken_back(project) == [("350", 123), ("3N1", 324)]


def test_a_run_is_taken_back_only_where_it_was_made(project: Path, sandbox: Sandbox, run: Run) -> None:
    """Values of one environment are no business of another, though accounts have the same numbers there."""
    name = half_done(project, sandbox, run)
    config = project / "amsctl.yaml"
    other = f"    other: {{url: '{sandbox.url}x', auth: {{type: none}}}}\n"
    config.write_text(config.read_text().replace("  environments:\n", "  environments:\n" + other), encoding="utf-8")
    ran = amsctl(run, project, "-e", "other", "rollback", name, "-o", str(project / "back.json"))
    assert ran.code == 64
    assert "another environment" in ran.err
    assert not (project / "back.json").exists()


def test_a_resume_keeps_the_barrier_that_the_run_had(project: Path, sandbox: Sandbox, run: Run) -> None:
    write(project, TWO_LOOSER)
    plan = saved(project, run)
    fault(sandbox, kind="error_before", method="POST", status=400, nth=1, body=REFUSED)
    fault(sandbox, kind="error_before", method="POST", status=400, nth=2, body=REFUSED)
    assert applied(run, project, plan, "--barrier", "run").code == 5
    amsctl(run, project, "resume")
    begun = [record["body"]["barrier"] for record in log(run, project) if record["kind"] == "run-started"]
    assert begun == ["run", "run"]


def test_one_ams_has_one_lock_however_its_address_is_written(project: Path, sandbox: Sandbox, run: Run) -> None:
    """An address in capitals, or with the port that goes without saying, is the same address."""
    from amsctl.manifests.project import load_project, resolve_address, resolve_environment

    config = project / "amsctl.yaml"
    names = (
        "https://AMS.example/rest/v2",
        "https://ams.example:443/rest/v2/",
        "https://ams.example./rest/v2",
        "https://ams.example/rest/v2",
    )
    others = "".join(f"    e{number}: {{url: '{url}', ams: one, auth: {{type: none}}}}\n" for number, url in enumerate(names))
    config.write_text(config.read_text().replace("  environments:\n", "  environments:\n" + others), encoding="utf-8")
    loaded = load_project(project)
    assert {resolve_address(loaded, f"e{number}").url for number in range(4)} == {"https://ams.example/rest/v2"}
    assert {resolve_environment(loaded, f"e{number}", {}).url for number in range(4)} == {"https://ams.example/rest/v2"}


def test_what_is_frozen_can_still_be_looked_into(project: Path, sandbox: Sandbox, run: Run) -> None:
    """resolve writes nothing: in an emergency it is what tells whether the last call landed."""
    write(project, TWO_LOOSER)
    quick(project)
    plan = saved(project, run)
    assert left_unknown(run, project, sandbox, plan, kind="drop_after").code == 6
    assert amsctl(run, project, "freeze", "--reason", "emergency").code == 0
    ran = amsctl(run, project, "resolve", "--format", "json")
    assert ran.code == 0, ran.err
    assert [item["outcome"] for item in json.loads(ran.out)["calls"]] == ["verified"]


def test_the_first_signal_drains_also_when_the_run_stops_already() -> None:
    """A run that stops for another reason still has calls under way: one signal must not cut them off."""
    import asyncio
    import os
    import signal

    from amsctl.cli.signals import stopping

    class Quiet:
        def warn(self, text: str) -> None:
            pass

    async def work() -> str:
        with stopping(Quiet()) as stop:  # type: ignore[arg-type]
            stop.request("somebody else writes")
            os.kill(os.getpid(), signal.SIGINT)
            await comes(lambda: stop.signalled is not None)
            for _ in range(10):
                await asyncio.sleep(0)  # a task that was cancelled ends here
        return "drained"

    assert asyncio.run(work()) == "drained"


def test_how_long_ago_another_machine_sent_a_call_is_not_taken_from_its_clock() -> None:
    """Its clock may be behind: a call that left a second ago would seem to be minutes old, and would not be waited for."""
    from amsctl.ledger.values import Attempt, Scope
    from amsctl.operations.runs import _seconds_since

    class Clock:
        def wall(self) -> float:
            return 1_700_000_290.0

        def monotonic(self) -> float:
            return 1000.0

    def age(machine: str) -> float:
        intent = {"clock": {"machine": machine, "monotonic_ms": 999_000}}
        sent = Attempt(
            run="r",
            step="s1",
            attempt=1,
            scope=Scope("a", "f"),
            url="u",
            account="a",
            intent_seq=1,
            at="2023-11-14T22:13:20Z",
            outcome=None,
            intent=intent,
        )
        return _seconds_since(sent, Clock(), "here")  # type: ignore[arg-type]

    assert age("here") == 1.0
    assert age("there") < 0


def test_a_firm_is_frozen_by_its_clearing_id_too(project: Path, sandbox: Sandbox, run: Run) -> None:
    """Manifests may write 780; whoever stops it in a hurry will, too, and must not be told that it is stopped while it is not."""
    write(project, TWO_LOOSER)
    plan = saved(project, run)
    assert amsctl(run, project, "freeze", "780", "--reason", "emergency").code == 0
    assert applied(run, project, plan).code == 7
    assert posts(sandbox) == []
    assert amsctl(run, project, "thaw", "780", "--reason", "over").code == 0
    assert applied(run, project, plan).code == 0


def test_a_freeze_by_the_clearing_id_stops_a_run_that_is_under_way(project: Path, sandbox: Sandbox, run: Run) -> None:
    """Frozen while its first call is under way: that one is carried out, the second is not sent."""
    write(project, TWO_LOOSER)
    plan = saved(project, run)
    with at_call(sandbox, lambda: freeze(project, sandbox.url)):
        ran = applied(run, project, plan)
    assert outcomes(ran) == ["verified", "blocked"]
    assert len(posts(sandbox)) == 1


def freeze(project: Path, url: str) -> None:
    from amsctl.ams.clock import SystemClock
    from amsctl.ledger.store import open_ledger
    from amsctl.ledger.values import Scope
    from amsctl.manifests.project import load_project, resolve_ledger

    with open_ledger(resolve_ledger(load_project(project), {}), clock=SystemClock()) as ledger:
        ledger.freeze(Scope("sandbox", "780"), url=url, reason="emergency", by="ann")
