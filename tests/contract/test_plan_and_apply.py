"""plan and apply from end to end over real HTTP: exit codes, formats, what is on the wire, and what is not."""

from __future__ import annotations

import contextlib
import io
import json
import time
from collections.abc import Mapping
from pathlib import Path

import jsonschema
import pytest

from amsctl.cli.console import Console
from amsctl.cli.main import main
from amsctl.resources import schema
from amsctl.sandbox.faults import Rule
from amsctl.sandbox.server import Sandbox
from tests.cli.conftest import Run
from tests.hostile.canaries import AUTH, CANARIES

LIMITS = "/accountLimitsUtilization/clearing/ICC/GREENTEA_API_CLEARING2/DV10121801A"
ACCOUNT = """\
apiVersion: amsctl/v1
kind: Account
metadata: {{clearingFirm: {firm}, accountNumber: DV10121801A, labels: {{desk: softs}}}}
spec:
  {spec}
"""
TWO_WAYS = "executionFirms: {3N1: {limits: {CJ.FUT.NYMEX: {ef: {long: 300, short: 600}}}}}"
"""One row whose legs move both ways: a tightening step, then a loosening one."""


def write(project: Path, spec: str = TWO_WAYS, *, firm: str = "'780'", name: str = "dv.yaml") -> None:
    (project / "accounts" / name).write_text(ACCOUNT.format(spec=spec, firm=firm), encoding="utf-8")


def quick(project: Path) -> None:
    """A call may land for a short time only, and is not waited for longer."""
    config = project / "amsctl.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace("retries: 0", "retries: 0, timeoutSeconds: 3"), encoding="utf-8")


def posts(sandbox: Sandbox) -> list[Mapping[str, object]]:
    return [entry for entry in _log(sandbox) if entry["method"] == "POST"]


def _log(sandbox: Sandbox) -> list[Mapping[str, object]]:
    return [{"method": entry.method, "path": entry.path} for entry in sandbox.log]


def fault(sandbox: Sandbox, **rule: object) -> None:
    sandbox.faults.add(Rule(**rule))  # type: ignore[arg-type]


def legs(sandbox: Sandbox) -> tuple[object, ...]:
    found = sandbox.book.row("DV10121801A", "3N1", "CJ.FUT.NYMEX")
    assert found is not None
    return found


def saved(project: Path, run: Run, *options: str) -> Path:
    path = project / "plan.json"
    ran = run("-C", str(project), "plan", "-o", str(path), *options)
    assert ran.code == 0, ran.err
    return path


def test_plan_apply_plan(project: Path, sandbox: Sandbox, run: Run) -> None:
    """0, 2 with --detailed-exitcode, 0 and verified, then no changes."""
    write(project)
    assert run("-C", str(project), "plan").code == 0
    assert run("-C", str(project), "plan", "--detailed-exitcode").code == 2
    assert posts(sandbox) == []
    ran = run("-C", str(project), "apply", str(saved(project, run)))
    assert (ran.code, ran.err) == (0, f"ledger {project / '.amsctl' / 'ledger.db'}, new\n")
    assert "2 verified" in ran.out
    assert legs(sandbox) == (300, 600, 9000, 2000)
    again = run("-C", str(project), "plan", "--detailed-exitcode")
    assert (again.code, again.out.splitlines()[-1][:11]) == (0, "No changes.")


def test_plan_sends_nothing_but_gets(project: Path, sandbox: Sandbox, run: Run) -> None:
    """The server itself turns every other method into a failure."""
    write(project, "executionFirms: {3N1: {suspended: true, limits: {CC.FUT.NYMEX: {ef: {long: 1, short: 1}}}}}")
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        fault(sandbox, kind="error_before", method=method, status=500)
    ran = run("-C", str(project), "plan", "--format", "json")
    assert ran.code == 0
    assert json.loads(ran.out)["summary"]["changes"] == 3
    assert {entry["method"] for entry in _log(sandbox)} == {"GET"}
    assert any("eligibleProducts" in str(entry["path"]) for entry in _log(sandbox))


def test_the_plan_and_the_file_are_the_same_and_fit_their_schema(project: Path, run: Run) -> None:
    write(project, "executionFirms: {3N1: {suspended: true, limits: {CJ.FUT.NYMEX: unset}}}\n  status: Inactive")
    path = project / "plan.json"
    ran = run("-C", str(project), "plan", "--format", "json", "-o", str(path))
    plan = json.loads(ran.out)
    assert ran.out == path.read_text()
    jsonschema.validate(plan, schema("plan.v1"))
    assert [change["kind"] for change in plan["changes"]] == ["status", "suspension", *["limit"] * 4]
    assert plan["changes"][0]["clearing_firm"] == "GREENTEA_API_CLEARING2"
    assert path.stat().st_mode & 0o777 == 0o600
    shown = run("-C", str(project), "show", str(path))
    assert (shown.code, shown.out) == (0, run("-C", str(project), "show", str(path)).out)
    assert "deactivate account" in shown.out


def test_two_plans_of_the_same_inputs_differ_only_in_time_and_digest(project: Path, run: Run) -> None:
    write(project)
    one, two = (json.loads(run("-C", str(project), "plan", "--format", "json").out) for _ in range(2))
    for plan in (one, two):
        for name in ("created_at", "expires_at", "digest"):
            del plan[name]
        for seen in plan["observed"]:
            del seen["read_at"]
    assert one == two


def test_the_report_and_the_events_fit_their_schemas(project: Path, run: Run) -> None:
    write(project)
    plan, events = saved(project, run), project / "events.jsonl"
    ran = run("-C", str(project), "apply", str(plan), "--format", "json", "--events", str(events))
    report = json.loads(ran.out)
    jsonschema.validate(report, schema("report.v1"))
    assert [(step["id"], step["outcome"], step["attempts"]) for step in report["steps"]] == [("s1", "verified", 1), ("s2", "verified", 1)]
    assert report["plan_digest"] == json.loads(plan.read_text())["digest"]
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    for line in lines:
        jsonschema.validate(line, schema("events.v1"))
    assert [line["event"] for line in lines] == ["start", "step", "step", "finish"]
    shown = project / "report.json"
    shown.write_text(ran.out)
    assert "2 verified" in run("show", str(shown)).out


@pytest.mark.parametrize(
    ("rule", "code", "outcomes", "stored"),
    [
        ({"kind": "error_before", "status": 400}, 5, ["failed", "blocked"], (324, 567)),
        ({"kind": "error_before", "status": 500}, 5, ["failed", "blocked"], (324, 567)),
        ({"kind": "error_after", "status": 500}, 0, ["verified", "verified"], (300, 600)),
        ({"kind": "drop_after"}, 0, ["verified", "verified"], (300, 600)),
        ({"kind": "drop_before"}, 5, ["failed", "blocked"], (324, 567)),
        ({"kind": "stored_nothing"}, 6, ["diverged", "blocked"], (324, 567)),
        ({"kind": "stored_nothing", "variant": "old"}, 6, ["diverged", "blocked"], (324, 567)),
        ({"kind": "too_many_requests"}, 5, ["failed", "blocked"], (324, 567)),
        ({"kind": "html", "status": 200}, 5, ["failed", "blocked"], (324, 567)),
        ({"kind": "wrong_body", "other": "DV101218B"}, 6, ["diverged", "blocked"], (300, 567)),
        ({"kind": "redirect"}, 5, ["failed", "blocked"], (324, 567)),
        ({"kind": "malformed"}, 0, ["verified", "verified"], (300, 600)),
    ],
)
def test_what_goes_wrong_with_a_tightening_post(
    project: Path, sandbox: Sandbox, run: Run, rule: dict[str, object], code: int, outcomes: list[str], stored: tuple[int, int]
) -> None:
    """No loosening leaves before the tightening is proven; the exit code and the report tell the truth."""
    write(project)
    plan = saved(project, run)
    fault(sandbox, method="POST", path="/accountLimitsUtilization/*", nth=1, **rule)
    ran = run("-C", str(project), "apply", str(plan), "--format", "json")
    report = json.loads(ran.out)
    assert ([step["outcome"] for step in report["steps"]], ran.code) == (outcomes, code)
    assert legs(sandbox)[:2] == stored
    assert len(posts(sandbox)) == len([outcome for outcome in outcomes if outcome != "blocked"])


def test_stale_live_state_foreign_side_included(project: Path, sandbox: Sandbox, run: Run) -> None:
    write(project)
    for legs_now, said in (((324, 568, 9000, 2000), "ef.short: the plan saw 567"), ((324, 567, 9001, 2000), "does not change")):
        sandbox.reset()
        plan = saved(project, run)
        sandbox.book.put("DV10121801A", "3N1", "CJ.FUT.NYMEX", legs_now)
        ran = run("-C", str(project), "apply", str(plan))
        assert ran.code == 4
        assert said in " ".join(ran.out.split())
        assert posts(sandbox) == []


@pytest.mark.parametrize("traded", [True, False])
def test_rows_without_a_limit_come_and_go_during_the_day(project: Path, sandbox: Sandbox, run: Run, traded: bool) -> None:
    """A product that is traded is listed with four unlimited legs, which is no configuration (AMS §3.3): the plan is as good as before."""
    write(project)
    sandbox.book.trade("DV10121801A", "350", "CC.FUT.NYMEX", traded=not traded)
    plan = saved(project, run)
    sandbox.book.trade("DV10121801A", "350", "CC.FUT.NYMEX", traded=traded)
    ran = run("-C", str(project), "apply", str(plan))
    assert ran.code == 0, ran.err
    assert legs(sandbox) == (300, 600, 9000, 2000)


def test_a_plan_is_used_once(project: Path, sandbox: Sandbox, run: Run) -> None:
    write(project)
    plan = saved(project, run)
    assert run("-C", str(project), "apply", str(plan)).code == 0
    before = len(posts(sandbox))
    assert run("-C", str(project), "apply", str(plan)).code == 4
    assert len(posts(sandbox)) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("manifests: [accounts]", "manifests: [accounts]\n  unsetMeans: blocked"),
        ("manifests: [accounts]", "manifests: [accounts]\n  ownership: [ef]"),
        (f"auth: {AUTH}", "auth: {type: basic, clientId: API_X, clientSecret: x}"),
        (f"auth: {AUTH}", f"auth: {AUTH}\n      protected: true"),
        ("/rest/v2", "/rest/v3"),
        ("    sandbox:", "    other: {url: 'http://127.0.0.1:1/rest/v2', auth: {type: none}}\n    sandbox:"),
    ],
)
def test_a_plan_is_for_one_target(project: Path, sandbox: Sandbox, run: Run, old: str, new: str) -> None:
    """Other rules, principal, URL or environment: exit 4 and nothing written."""
    write(project)
    plan = saved(project, run)
    config = project / "amsctl.yaml"
    config.write_text(config.read_text().replace(old, new))
    other = ["-e", "other"] if "other" in new else []
    ran = run("-C", str(project), *other, "apply", str(plan))
    assert (ran.code, ran.out, posts(sandbox)) == (4, "", [])
    assert "another" in ran.err
    report = json.loads(run("-C", str(project), *other, "apply", str(plan), "--format", "json").out)
    jsonschema.validate(report, schema("report.v1"))
    assert ([step["outcome"] for step in report["steps"]], report["summary"]["exit_code"]) == (["blocked", "blocked"], 4)


def test_changed_manifests_and_expired_plans_are_stale(project: Path, sandbox: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project)
    plan = saved(project, run)
    manifest = project / "accounts" / "dv.yaml"
    planned = manifest.read_text()
    for edited in (planned.replace("300", "301"), planned.replace("300", "324")):
        assert edited != planned
        manifest.write_text(edited)
        ran = run("-C", str(project), "apply", str(plan))
        assert (ran.code, posts(sandbox)) == (4, [])
        assert "the plan is not what these manifests give on what is live now: changes[0]" in ran.err
    manifest.unlink()
    write(project, "status: Active", name="more.yaml", firm="GREENTEA_API_CLEARING1")
    (project / "accounts" / "more.yaml").write_text((project / "accounts" / "more.yaml").read_text().replace("DV10121801A", "CPCICCCOPY"))
    ran = run("-C", str(project), "apply", str(plan))
    assert (ran.code, posts(sandbox)) == (4, [])
    assert "the plan was not made of the accounts that its manifests name (GREENTEA_API_CLEARING1/CPCICCCOPY)" in ran.err
    (project / "accounts" / "more.yaml").unlink()
    manifest.write_text(planned)
    monkeypatch.setattr("amsctl.ams.clock.SystemClock.wall", lambda self: 4e9)
    ran = run("-C", str(project), "apply", str(plan))
    assert (ran.code, posts(sandbox)) == (4, [])
    assert "expired" in ran.err


def test_a_yes_that_comes_a_day_later_is_stale(project: Path, sandbox: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever answers then has not seen what is there now."""
    write(project)
    ask = Console.ask

    def slowly(console: Console, question: str) -> bool:
        monkeypatch.setattr("amsctl.ams.clock.SystemClock.wall", lambda self: time.time() + 25 * 3600)
        return ask(console, question)

    monkeypatch.setattr(Console, "ask", slowly)
    ran = run("-C", str(project), "apply", stdin="yes\n", terminal=True)
    assert (ran.code, posts(sandbox)) == (4, [])
    assert "expired" in ran.err


def test_a_changed_plan_file_is_refused(project: Path, sandbox: Sandbox, run: Run) -> None:
    write(project)
    plan = saved(project, run)
    text = plan.read_text()
    for spoiled in (
        text.replace(": 600", ": 601", 1),
        text[:-30],
        text.replace('"digest"', '"digest": "x", "digest"'),
        "null",
        "",
        "[1.5]",
        "NaN",
    ):
        plan.write_text(spoiled)
        ran = run("-C", str(project), "apply", str(plan))
        assert (ran.code, posts(sandbox)) == (1, [])
        assert ran.err.startswith("error: ")
    assert run("-C", str(project), "apply", str(project / "none.json")).code == 1


def test_nobody_to_ask_is_exit_8_and_a_terminal_is_asked(project: Path, sandbox: Sandbox, run: Run) -> None:
    write(project)
    ran = run("-C", str(project), "apply")
    assert (ran.code, posts(sandbox)) == (8, [])
    assert "Plan: 2 changes" in ran.err
    for answer in ("no\n", "y\n", "", "YES\n"):
        declined = run("-C", str(project), "apply", stdin=answer, terminal=True)
        assert (declined.code, posts(sandbox)) == (8, [])
    assert run("-C", str(project), "apply", stdin="yes\n", terminal=True).code == 0
    assert legs(sandbox) == (300, 600, 9000, 2000)
    assert run("-C", str(project), "apply").code == 0


def test_auto_approve_and_selection(project: Path, sandbox: Sandbox, run: Run) -> None:
    write(project)
    assert run("-C", str(project), "apply", "--auto-approve", "--account", "DV10121801A", "-l", "desk=softs").code == 0
    assert legs(sandbox) == (300, 600, 9000, 2000)
    assert run("-C", str(project), "apply", "--auto-approve", "--account", "NONE").code == 1
    plan = saved(project, run)
    assert run("-C", str(project), "apply", str(plan), "--account", "DV10121801A").code == 64


def test_a_protected_environment_wants_a_saved_plan(project: Path, sandbox: Sandbox, run: Run) -> None:
    write(project)
    config = project / "amsctl.yaml"
    config.write_text(config.read_text().replace(f"auth: {AUTH}", f"auth: {AUTH}\n      protected: true"))
    ran = run("-C", str(project), "apply", "--auto-approve")
    assert (ran.code, posts(sandbox)) == (8, [])
    assert run("-C", str(project), "apply", str(saved(project, run))).code == 0


def test_blocking_findings_are_shown_and_saved_and_refused(project: Path, sandbox: Sandbox, run: Run) -> None:
    write(project, "executionFirms: {9ZZ: {suspended: true}, 3N1: {limits: {NOPE.FUT.CME: {ef: {long: 1}}}}}")
    plan = saved(project, run)
    findings = {finding["code"]: finding["blocks"] for finding in json.loads(plan.read_text())["findings"]}
    assert findings["unknown-ef"] is True
    assert findings["ineligible-product"] is True
    for arguments in ([str(plan)], ["--auto-approve"]):
        ran = run("-C", str(project), "apply", *arguments)
        assert (ran.code, posts(sandbox)) == (3, [])
        assert "blocked" in ran.err


def test_a_failed_read_stops_the_plan_and_names_the_account(project: Path, sandbox: Sandbox, run: Run) -> None:
    write(project)
    fault(sandbox, kind="error_before", path="/efStatus/*", status=500)
    ran = run("-C", str(project), "plan", "--format", "json")
    assert (ran.code, ran.out) == (1, "")
    assert "GREENTEA_API_CLEARING2/DV10121801A" in ran.err


def test_accounts_and_firms_that_are_not_there_are_errors_with_their_place(project: Path, run: Run) -> None:
    write(project, firm="NOBODY")
    ran = run("-C", str(project), "plan")
    assert ran.code == 1
    assert "NOBODY" in ran.err
    assert "GREENTEA_API_CLEARING2 (780)" in ran.err
    write(project)
    (project / "accounts" / "dv.yaml").write_text((project / "accounts" / "dv.yaml").read_text().replace("DV10121801A", "GONE"))
    ran = run("-C", str(project), "plan")
    assert ran.code == 1
    assert "780/GONE at accounts/dv.yaml:3:48" in ran.err


def test_one_account_declared_by_name_and_by_clearing_id_is_an_error(project: Path, run: Run) -> None:
    write(project)
    write(project, firm="GREENTEA_API_CLEARING2", name="twice.yaml")
    ran = run("-C", str(project), "plan")
    assert ran.code == 1
    assert "declared twice, by the name of its firm and by the clearing id" in ran.err
    assert "accounts/dv.yaml:3:48" in ran.err
    assert "accounts/twice.yaml:3:65" in ran.err


def test_an_unreachable_ams_is_an_error_with_nothing_written(project: Path, run: Run) -> None:
    write(project)
    config = project / "amsctl.yaml"
    config.write_text(_elsewhere(config.read_text()))
    ran = run("-C", str(project), "plan")
    assert ran.code == 1
    assert ran.err.startswith("error: ")


def _elsewhere(text: str) -> str:
    import re

    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:9", text)


def test_a_plan_file_that_cannot_be_written_is_an_error_and_leaves_nothing_behind(project: Path, run: Run) -> None:
    write(project)
    ran = run("-C", str(project), "plan", "-o", str(project / "no" / "plan.json"))
    assert (ran.code, ran.err.splitlines()[-1]) == (1, f"error: cannot write the file: No such file or directory ({project}/no/plan.json)")
    (project / "folder").mkdir()
    assert run("-C", str(project), "plan", "-o", str(project / "folder")).code == 1
    assert sorted(path.name for path in project.iterdir()) == ["accounts", "amsctl.yaml", "folder"]


def test_json_logs_keep_standard_output_clean(project: Path, run: Run) -> None:
    write(project)
    ran = run("-C", str(project), "--json-logs", "apply", "--auto-approve", "--format", "json")
    assert json.loads(ran.out)["format"] == "amsctl.report/v1"
    for line in ran.err.splitlines():
        json.loads(line)


def test_the_demo_runs_and_ends_with_no_changes(run: Run, tmp_path: Path) -> None:
    ran = run("demo", "--keep", str(tmp_path / "limits"))
    assert ran.code == 0
    assert "the second plan found no changes" in ran.out
    assert "127.0.0.1:8480" in (tmp_path / "limits" / "amsctl.yaml").read_text()
    again = run("demo", "--keep", str(tmp_path / "limits"))
    assert again.code == 1
    assert "cannot be copied" in again.err


def test_an_apply_whose_report_cannot_be_printed_still_tells_the_truth(project: Path, sandbox: Sandbox, run: Run) -> None:
    """1 would say that nothing was written; the exit code stays that of the apply. A plan that cannot be printed is an error."""

    def printing_nowhere(*arguments: str) -> tuple[int, str]:
        with open("/dev/full", "w") as full:
            err = io.StringIO()
            code = main(["-C", str(project), *arguments], console=Console(stdout=full, stderr=err, stdin=io.StringIO(), environ={}))
            with contextlib.suppress(OSError):
                full.close()
        return code, err.getvalue()

    write(project)
    plan = saved(project, run)
    code, said = printing_nowhere("plan")
    assert (code, "could not be written to standard output" in said) == (1, True)
    code, said = printing_nowhere("apply", str(plan))
    assert (code, "could not be written to standard output" in said) == (0, True)
    assert legs(sandbox)[:2] == (300, 600)


def test_a_dash_is_no_plan_file(project: Path, run: Run) -> None:
    write(project)
    ran = run("-C", str(project), "plan", "-o", "-")
    assert (ran.code, ran.out) == (64, "")
    assert "--format json" in ran.err


def test_a_plan_without_changes_is_applied_to_nothing(project: Path, sandbox: Sandbox, run: Run) -> None:
    write(project, "status: Active")
    plan = saved(project, run)
    ran = run("-C", str(project), "apply", str(plan))
    assert (ran.code, posts(sandbox)) == (0, [])
    assert "The plan has no steps" in ran.out


def test_nothing_at_the_address_is_told_with_the_address(project: Path, run: Run) -> None:
    write(project)
    config = project / "amsctl.yaml"
    config.write_text(_elsewhere(config.read_text()))
    ran = run("-C", str(project), "plan")
    assert ran.code == 1
    assert ran.err == (
        "error: no connection to the AMS (myFirms, at http://127.0.0.1:9): found connection refused; "
        "nothing was sent; is amsctl sandbox running, and on this port?\n"
    )


def test_a_secret_in_the_project_file_is_warned_of_and_never_shown(project: Path, run: Run) -> None:
    write(project)
    config, secret = project / "amsctl.yaml", CANARIES["a secret written into the project file"]
    config.write_text(config.read_text().replace(f"auth: {AUTH}", f"auth: {{type: basic, clientId: API_X, clientSecret: {secret}}}"))
    ran = run("-C", str(project), "plan")
    assert "clientSecret is written into the project file (amsctl.yaml:9:58)" in ran.err
    assert secret not in ran.out + ran.err
    assert ran.err.count("written into") == 1


def test_an_emptied_file_is_told_and_a_suffix_in_capitals_is_read(project: Path, run: Run) -> None:
    write(project, name="DV.YAML")
    (project / "accounts" / "dv.yaml").write_text("# nothing left\n")
    ran = run("-C", str(project), "plan", "--detailed-exitcode")
    assert ran.code == 2
    assert "the file holds no document (accounts/dv.yaml:1:1)" in ran.err
