"""A plan file whose words were changed and whose digest was computed anew is not carried out."""

from __future__ import annotations

import json
from pathlib import Path

from amsctl.planning.fingerprint import sha256
from amsctl.sandbox.server import Sandbox
from tests.cli.conftest import Run
from tests.contract.test_plan_and_apply import posts, saved, write


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
