"""A plan file whose words were changed and whose digest was computed anew is not carried out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from amsctl.planning.fingerprint import sha256
from amsctl.sandbox.server import Sandbox
from tests.cli.conftest import Run
from tests.contract.test_plan_and_apply import ACCOUNT, posts, saved, write
from tests.contract.test_runs import applied, left_unknown, log

DV, OTHER = "DV10121801A", "DV101218B"
NAME, CLEARING_ID = "GREENTEA_API_CLEARING2", "780"


def forge(path: Path, account: str, parts: tuple[str, ...] = ("changes", "steps", "observed")) -> None:
    """The plan calls the firm of one account by its clearing id, in some of its parts, and has a digest that fits."""
    plan = json.loads(path.read_text())
    for part in parts:
        plan[part] = [
            json.loads(json.dumps(item).replace(NAME, CLEARING_ID)) if item["account"] == account else item for item in plan[part]
        ]
    if "changes" in parts:  # and in what follows from these
        for part in ("guards", "findings"):
            plan[part] = [
                json.loads(json.dumps(item).replace(NAME, CLEARING_ID)) if f"/{account}" in item["where"] else item for item in plan[part]
            ]
    plan["observed"].sort(key=lambda seen: (seen["clearing_firm"], seen["account"]))
    del plan["digest"]
    plan["digest"] = "sha256:" + sha256(plan)
    path.write_text(json.dumps(plan))


def test_a_loosening_that_is_told_as_a_tightening(project: Path, sandbox: Sandbox, run: Run) -> None:
    write(project)
    path = saved(project, run)
    plan = json.loads(path.read_text())
    raised = next(change for change in plan["changes"] if change["direction"] == "loosen")
    raised["direction"] = "tighten"
    plan["summary"].update(loosen=0, tighten=2)
    del plan["digest"]
    plan["digest"] = "sha256:" + sha256(plan)
    path.write_text(json.dumps(plan))
    ran = run("-C", str(project), "apply", str(path))
    assert (ran.code, posts(sandbox)) == (1, [])
    assert "contradicts itself" in ran.err
    assert "changes[1].direction" in ran.err


@pytest.mark.parametrize("parts", [("changes", "steps", "observed"), ("observed",), ("changes",), ("steps",)])
def test_a_firm_that_is_called_by_its_clearing_id(project: Path, sandbox: Sandbox, run: Run, parts: tuple[str, ...]) -> None:
    """Locks, open calls and quarantine are kept by the AMS's name of a firm."""
    write(project)
    path = saved(project, run)
    forge(path, DV, parts)
    ran = applied(run, project, path)
    assert (ran.code, posts(sandbox)) == (1, [])
    assert (
        not (project / ".amsctl/ledger.db").exists() or log(run, project) == []
    )  # what the file itself gives away is refused before a ledger is made
    assert "internal" not in ran.err
    if parts == ("changes", "steps", "observed"):
        assert f"the plan calls a clearing firm otherwise than the AMS (clearing firm 780): expected {NAME}, found 780" in ran.err


def test_a_quarantine_is_not_passed_by_under_another_name_of_the_firm(project: Path, sandbox: Sandbox, run: Run) -> None:
    """Beside another account under its right name, the quarantined one is called by the clearing id."""
    write(project)
    plan = saved(project, run)
    left_unknown(run, project, sandbox, plan, kind="drop_before")
    firm = next(iter(sandbox.book.account(OTHER).execution_firms))
    other = ACCOUNT.format(firm="'780'", spec=f"executionFirms: {{{firm}: {{suspended: true}}}}").replace(DV, OTHER)
    (project / "accounts" / "other.yaml").write_text(other, encoding="utf-8")
    plan = saved(project, run)
    forge(plan, DV)
    sent = len(posts(sandbox))
    ran = applied(run, project, plan)
    assert (ran.code, len(posts(sandbox))) == (1, sent)
    assert "otherwise than the AMS" in ran.err
