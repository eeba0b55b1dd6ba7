"""Guards across plans at the command line: a raise by way of zero or in pieces is held up, by the ledger of the runs before it; and what an override or a
base branch leaves in force.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from amsctl.api import load_manifests, plan, read_live
from amsctl.sandbox.server import Sandbox
from tests.cli.conftest import Run

BOTH = ["guard-raised", "guard-jumps-up"]
LONG = 324
"""What the row has at first."""


def wish(project: Path, *, long: int) -> None:
    """The account of the project, with another limit."""
    account = project / "accounts" / "dv.yaml"
    head, _, _ = account.read_text().partition("        CJ.FUT.NYMEX")
    account.write_text(f"{head}        CJ.FUT.NYMEX: {{ef: {{long: {long}, short: 600}}}}\n")


def saved(run: Run, project: Path, *arguments: str) -> tuple[str, dict[str, Any]]:
    """A plan file and what is in it."""
    file = str(project / "plan.json")
    ran = run("-C", str(project), "plan", "-o", file, *arguments)
    assert ran.code == 0, ran.err
    return file, json.loads(Path(file).read_text())


def codes(plan: dict[str, Any]) -> list[str]:
    """What blocks a plan."""
    return [finding["code"] for finding in plan["findings"] if finding["blocks"]]


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=Jo Risk", "-c", "user.email=jo@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


def moved(run: Run, project: Path, long: int, *, override: tuple[str, ...] = ()) -> dict[str, Any]:
    """The plan that takes the row to ``long``, carried out."""
    wish(project, long=long)
    file, made = saved(run, project)
    words = [word for guard in override for word in ("--override", f"{guard}@{made['digest']}")]
    ran = run("-C", str(project), "apply", file, *words)
    assert ran.code == 0, ran.err
    return made


def next_plan(run: Run, project: Path, long: int) -> dict[str, Any]:
    wish(project, long=long)
    return saved(run, project)[1]


def test_by_way_of_zero(run: Run, project: Path, sandbox: Sandbox) -> None:
    """324 -> 0 -> 6,480: twenty times, told by value and day in every view; apply refuses it, the override by name lets it pass, recorded as a new point."""
    moved(run, project, 0)
    made = next_plan(run, project, 6_480)
    today = datetime.now(UTC).date().isoformat()
    assert codes(made) == BOTH
    assert made["guards_against"] == {"days": 30, "sources": ["ledger"], "unread": ""}
    assert [(one["owner"], one["value"], one["at"][:10], one["source"]) for one in made["references"]] == [
        (None, LONG, today, "ledger"),
        ("ef", LONG, today, "ledger"),
    ]
    file = str(project / "plan.json")
    for form in ("text", "markdown", "html"):
        assert f"×20 against 324 on {today}" in run("show", file, "--format", form).out
    assert run("-C", str(project), "apply", file).code == 3
    assert sandbox.book.account("DV10121801A").row("3N1", "CJ.FUT.NYMEX")[0] == 0
    moved(run, project, 6_480, override=("raised", "jumpsUp"))
    assert codes(next_plan(run, project, 20_000)) == []


def test_in_pieces(run: Run, project: Path, sandbox: Sandbox) -> None:
    """Four times, and four times again: the second is sixteen times what was there at first. A return to that is none."""
    assert codes(moved(run, project, 4 * LONG)) == []
    assert codes(next_plan(run, project, 16 * LONG)) == BOTH
    moved(run, project, LONG // 2)
    assert codes(moved(run, project, LONG)) == []


def test_an_override_of_something_else_starts_no_point(run: Run, project: Path, sandbox: Sandbox) -> None:
    """What a guard of counts let through says nothing of how much a leg may be raised."""
    settings = project / "amsctl.yaml"
    settings.write_text(settings.read_text() + "  guards: {accountsChanged: {amount: 0}}\n")
    moved(run, project, 4 * LONG, override=("accountsChanged",))
    assert codes(next_plan(run, project, 16 * LONG)) == ["guard-accounts-changed", *BOTH]


def test_the_setting_switches_it_off(run: Run, project: Path, sandbox: Sandbox) -> None:
    """``days: 0``: plans are measured on their own, and each says so."""
    settings = project / "amsctl.yaml"
    settings.write_text(settings.read_text() + "  guardsAgainst: {days: 0}\n")
    moved(run, project, 4 * LONG)
    made = next_plan(run, project, 16 * LONG)
    assert (codes(made), made["guards_against"], made["references"]) == ([], None, [])


def test_without_a_record_it_is_silent(run: Run, project: Path, sandbox: Sandbox) -> None:
    """No ledger yet: nothing is made by a plan, nothing is found, and the plan says that there was nothing to compare with."""
    made = next_plan(run, project, 4 * LONG)
    assert (codes(made), made["guards_against"]) == ([], {"days": 30, "sources": [], "unread": ""})
    assert "guards-unmeasured" not in [finding["code"] for finding in made["findings"]]
    assert not (project / ".amsctl").exists()


def test_a_plan_made_without_the_ledger_does_not_pass_by_it(run: Run, project: Path, sandbox: Sandbox) -> None:
    """The job that plans may have none: apply measures again on its own ledger, before it sends anything."""
    moved(run, project, 0)
    shutil.move(project / ".amsctl", project.parent / "kept")
    made = next_plan(run, project, 6_480)
    assert codes(made) == []
    shutil.move(project.parent / "kept", project / ".amsctl")
    sandbox.log.clear()
    refused = run("-C", str(project), "apply", str(project / "plan.json"))
    assert (refused.code, sandbox.log.calls("POST")) == (3, [])
    assert "a guard holds the plan up by now" in refused.err
    assert "values of the past" in refused.err


def test_a_ledger_that_cannot_be_read_is_not_no_record(run: Run, project: Path, sandbox: Sandbox) -> None:
    """The plan warns with the reason; apply, which needs it, ends before anything is sent."""
    moved(run, project, 0)
    for left in (project / ".amsctl").glob("ledger.db*"):
        left.write_bytes(b"no database at all\n" * 100)
    made = next_plan(run, project, 6_480)
    (finding,) = (one for one in made["findings"] if one["code"] == "guards-unmeasured")
    assert (finding["severity"], finding["blocks"]) == ("warning", False)
    assert made["guards_against"]["unread"]
    assert made["guards_against"]["unread"] in finding["message"]
    sandbox.log.clear()
    ran = run("-C", str(project), "apply", str(project / "plan.json"))
    assert (ran.code, sandbox.log.calls("POST")) == (1, [])


def test_the_public_interface_measures_the_same(run: Run, project: Path, sandbox: Sandbox) -> None:
    moved(run, project, 0)
    made = next_plan(run, project, 6_480)
    manifests = load_manifests(project)
    found = plan(manifests, read_live(manifests))
    assert [finding.code for finding in found.findings if finding.blocks] == codes(made)
    assert len(found.references) == len(made["references"]) == 2


def test_a_rollback_is_measured_against_the_past(run: Run, project: Path, sandbox: Sandbox) -> None:
    """Taking back 1,296 -> 0 after it was 324 is a raise to four times; taking back what was above five times is held up, zero before it or not."""
    moved(run, project, 4 * LONG)
    moved(run, project, 12 * LONG, override=("raised", "jumpsUp"))
    moved(run, project, 0)
    last = json.loads(run("-C", str(project), "ledger", "log", "--format", "json").out)["runs"][0]["id"]
    assert run("-C", str(project), "rollback", last, "-o", str(project / "back.json")).code == 0
    back = json.loads((project / "back.json").read_text())
    assert codes(back) == []
    assert back["guards_against"]["sources"] == ["ledger"]


# --- what stays in force (planted defects of guards and policies) ---


def test_an_override_of_one_guard_lets_no_other_pass_that_came_later(run: Run, project: Path, sandbox: Sandbox) -> None:
    """A guard that the project has since the plan was made is not overridden by an override of another: each is named."""
    wish(project, long=3_240)
    file, made = saved(run, project)
    settings = project / "amsctl.yaml"
    settings.write_text(settings.read_text() + "  guards: {rowsChanged: {amount: 0}}\n")
    words = [word for guard in ("raised", "jumpsUp") for word in ("--override", f"{guard}@{made['digest']}")]
    sandbox.log.clear()
    refused = run("-C", str(project), "apply", file, *words)
    assert (refused.code, sandbox.log.calls("POST")) == (3, [])
    assert "a guard holds the plan up that it was not made under: 1 row changes" in refused.err


@pytest.mark.parametrize("taken", [True, False])
def test_labels_of_the_base_branch_count_for_policies(taken: bool, run: Run, project: Path, sandbox: Sandbox) -> None:
    """A policy for desk=grains holds for an account that the base branch labels so, also where the change takes the label away and raises."""
    account, settings = project / "accounts" / "dv.yaml", project / "amsctl.yaml"
    wish(project, long=LONG)
    account.write_text(account.read_text().replace("metadata:\n", "metadata:\n  labels: {desk: grains}\n"))
    settings.write_text(settings.read_text() + "  policies: [{name: grains, maximum: {contracts: 400, labels: {desk: grains}}}]\n")
    git(project, "init", "--quiet", "--initial-branch", "main")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "-m", "limits")
    git(project, "switch", "--quiet", "-c", "change")
    wish(project, long=500)
    if taken:
        account.write_text(account.read_text().replace("  labels: {desk: grains}\n", ""))
    git(project, "commit", "--quiet", "-am", "raise")
    file, made = saved(run, project, "--base", "main")
    assert codes(made) == ["policy-maximum"]
    assert made["observed"][0]["labels"] == ["desk=grains"]
    sandbox.log.clear()
    assert run("-C", str(project), "apply", file).code == 3
    assert sandbox.log.calls("POST") == []
