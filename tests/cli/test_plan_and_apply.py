"""``plan`` and ``apply`` at the command line: the documents they print, their schemas, and what a person sees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from amsctl.cli.console import Console
from amsctl.cli.demo import _activate
from amsctl.cli.session import Session
from amsctl.sandbox.server import Sandbox
from tests.cli.conftest import Run
from tests.cli.schemas import assert_valid


def test_the_documents_keep_their_schemas(run: Run, project: Path, sandbox: Sandbox, tmp_path: Path) -> None:
    """Plan, report and events of one apply, each accepted by its schema, each about the same plan."""
    plan_file, events_file = tmp_path / "plan.json", tmp_path / "events.jsonl"
    printed = run("-C", str(project), "plan", "-o", str(plan_file), "--format", "json")
    assert printed.code == 0
    plan = json.loads(printed.out)
    assert_valid("plan.v1", plan)
    assert json.loads(plan_file.read_text()) == plan
    applied = run("-C", str(project), "apply", str(plan_file), "--format", "json", "--events", str(events_file))
    report = json.loads(applied.out)
    assert (applied.code, report["plan_digest"]) == (0, plan["digest"])
    assert_valid("report.v1", report)
    events = [json.loads(line) for line in events_file.read_text().splitlines()]
    for event in events:
        assert_valid("events.v1", event)
    assert [event["event"] for event in events] == ["start", *["step"] * len(plan["steps"]), "finish"]
    assert sandbox.book.account("DV10121801A").row("3N1", "CJ.FUT.NYMEX") == (300, 600, 9000, 2000)


def test_two_saved_plans_held_against_each_other(run: Run, project: Path, tmp_path: Path) -> None:
    """The reviewed plan and a fresh one: no difference and 0, then what is new and 2; a file that is no plan is an error."""
    reviewed, fresh = tmp_path / "reviewed.json", tmp_path / "fresh.json"
    run("-C", str(project), "plan", "-o", str(reviewed))
    run("-C", str(project), "plan", "-o", str(fresh))
    same = run("diff", "--detailed-exitcode", str(reviewed), str(fresh))
    assert same.code == 0, same
    account = project / "accounts" / "dv.yaml"
    account.write_text(account.read_text() + "        CC.FUT.NYMEX: {ef: {long: 1, short: 1}}\n")
    run("-C", str(project), "plan", "-o", str(fresh))
    assert run("diff", str(reviewed), str(fresh)).code == 0
    told = run("diff", "--detailed-exitcode", str(reviewed), str(fresh), "--format", "json")
    assert told.code == 2
    document = json.loads(told.out)
    assert_valid("plan-diff.v1", document)
    assert {(change["product"], change["leg"]) for change in document["new"]} == {("CC.FUT.NYMEX", "long"), ("CC.FUT.NYMEX", "short")}
    assert "Only in the second:" in run("diff", str(reviewed), str(fresh)).out
    assert run("diff", str(reviewed), str(account)).code == 1


def test_every_kind_of_change_keeps_the_schema(run: Run, project: Path) -> None:
    """Status, suspension, tombstone, a new row and findings, in one plan."""
    account = project / "accounts" / "dv.yaml"
    account.write_text(
        account.read_text().replace("spec:", "spec:\n  status: Inactive")
        + '        CC.FUT.NYMEX: {ef: {long: 1, short: unlimited}}\n    "350":\n      suspended: true\n      limits: {DRS.FUT.CBT: unset}\n'
        + "    9ZZ: {suspended: true}\n"
    )
    printed = run("-C", str(project), "plan", "--format", "json", "--detailed-exitcode")
    plan = json.loads(printed.out)
    assert printed.code == 2
    assert_valid("plan.v1", plan)
    assert {change["kind"] for change in plan["changes"]} == {"limit", "suspension", "status"}
    assert {"unset"} & {change["after"] for change in plan["changes"] if change["kind"] == "limit"}
    assert {finding["code"] for finding in plan["findings"]} >= {"unknown-ef", "undeclared-row"}
    text = run("-C", str(project), "plan").out
    assert "BLOCKED" in text
    assert "deactivate account" in text


def test_what_a_person_reads(run: Run, project: Path, tmp_path: Path) -> None:
    """The plan's last line, the apply's last line, and no changes afterwards."""
    plan_file = tmp_path / "plan.json"
    planned = run("-C", str(project), "plan", "-o", str(plan_file))
    assert planned.out.splitlines()[-1] == "Plan: 2 changes in 1 account: 1 loosen, 1 tighten; 2 requests."
    assert "effective 567 → 600" in planned.out
    shown = run("show", str(plan_file))
    assert shown.out == planned.out
    applied = run("-C", str(project), "apply", str(plan_file))
    assert applied.out.splitlines()[-1] == "Apply: 2 steps: 2 verified; exit code 0."
    again = run("-C", str(project), "plan", "--detailed-exitcode")
    assert (again.code, again.out.splitlines()[-1]) == (0, "No changes. Nothing to write for 1 account; 3 findings to look at.")


def test_apply_asks_only_a_person(run: Run, project: Path, sandbox: Sandbox) -> None:
    """Not a terminal: exit 8 and no write. At a terminal only yes is a yes, and the plan is shown first."""
    refused = run("-C", str(project), "apply")
    assert (refused.code, refused.out) == (8, "")
    declined = run("-C", str(project), "apply", stdin="no\n", terminal=True)
    assert declined.code == 8
    assert "Plan: 2 changes" in declined.err
    assert not sandbox.log.calls("POST")
    agreed = run("-C", str(project), "apply", stdin="yes\n", terminal=True)
    assert agreed.code == 0
    assert "Apply: 2 steps: 2 verified" in agreed.out


def test_demo(run: Run) -> None:
    """The whole tour ends well."""
    ran = run("demo")
    assert ran.code == 0, ran.err
    assert "No changes." in ran.out
    assert "\n  amsctl demo --keep ~/demo-limits\n" in ran.out


def test_the_demo_puts_amsctl_on_the_path_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What to try next begins with what makes the rest work: in a virtual environment that nobody has activated, its script."""
    session = Session(Console(), environ={"PATH": str(tmp_path)})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.executable", str(tmp_path / ".venv" / "bin" / "python"))
    assert _activate(session) == ""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "activate").touch()
    assert _activate(session).startswith("\n  . .venv/bin/activate  ")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert _activate(session).startswith(f"\n  . {tmp_path}/.venv/bin/activate  ")
    (tmp_path / "amsctl").touch(0o755)
    assert _activate(session) == ""


def test_a_saved_plan_is_named_as_the_shell_finds_it(run: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With -C, a relative FILE lies inside of that folder: the note says where."""
    monkeypatch.chdir(project.parent)
    assert f"plan saved to {project.name}/plan.json\n" in run("-C", project.name, "plan", "-o", "plan.json").err
    assert (project / "plan.json").exists()
    out = str(project / "other.json")
    assert f"plan saved to {out}\n" in run("-C", project.name, "plan", "-o", out).err
    monkeypatch.chdir(project)
    assert "plan saved to plan.json\n" in run("plan", "-o", "plan.json").err
