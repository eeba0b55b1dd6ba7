"""What runs without anybody looking: workflows, hooks, the Makefile, the CI entry."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from amsctl.cli.shell import COMMANDS
from tests.project.checkout import ROOT, pyproject

ALL_WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CALLED = [path for path in ALL_WORKFLOWS if path.name.startswith("limits-")]
"""Those that limits repositories call; the others are this project's own."""
WORKFLOWS = [path for path in ALL_WORKFLOWS if path not in CALLED]


def load(path: Path) -> Any:
    # BaseLoader: `on:` stays a word
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)


def jobs(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from load(path)["jobs"].items()


def test_there_are_workflows() -> None:
    """The tests below look at something."""
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "release.yml"]
    assert [path.name for path in CALLED] == ["limits-apply.yml", "limits-drift.yml", "limits-plan.yml"]


@pytest.mark.parametrize("path", ALL_WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit(path: Path) -> None:
    """A tag can be moved; a commit cannot. The comment tells people (and dependabot) which version it is."""
    lines = re.findall(r"^\s*-? ?uses: (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert lines
    for line in lines:  # what begins with $/ is of the same repository at the same commit
        own = re.fullmatch(r"\$/\.github/actions/\w+", line) if path in CALLED else None
        assert own or re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_jobs_get_the_least(path: Path) -> None:
    """No permission unless a job says so, no write but the identity of the publishing job, no secrets, no run of a stranger's code with them, an end."""
    workflow = load(path)
    assert workflow["permissions"] == {}
    assert "pull_request_target" not in workflow["on"]
    assert "secrets." not in path.read_text(encoding="utf-8")
    for name, job in jobs(path):
        assert job["permissions"] == ({"id-token": "write"} if name == "publish" else {"contents": "read"})
        assert 0 < int(job["timeout-minutes"]) <= 30
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] == "false"
            assert "${{" not in step.get("run", ""), "text of others is not pasted into a script"


LEAST = {
    "check": {"contents": "read"},
    "plan": {"contents": "read"},
    "comment": {"pull-requests": "write"},
    "apply": {"contents": "read", "actions": "read", "pull-requests": "read", "issues": "read"},
    "look": {"contents": "read"},
    "issue": {"issues": "write"},
}
WITH_CREDENTIALS = {"plan", "apply", "look"}


@pytest.mark.parametrize("path", CALLED, ids=lambda path: path.name)
def test_jobs_of_users_get_the_least(path: Path) -> None:
    """Who sees the credentials of the AMS writes nothing at the forge, and who writes there sees none and runs nothing of a pull request."""
    workflow = load(path)
    assert (workflow["permissions"], list(workflow["on"])) == ({}, ["workflow_call"])
    for name, job in jobs(path):
        assert job["permissions"] == LEAST[name]
        assert 0 < int(job["timeout-minutes"]) <= 120
        assert ("secrets." in str(job)) == (name in WITH_CREDENTIALS)
        checked_out = [step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@")]
        assert all(step["with"]["persist-credentials"] == "false" for step in checked_out)
        assert not (checked_out and "write" in str(job["permissions"]))
        assert all("${{" not in step.get("run", "") for step in job["steps"])
    if path.name == "limits-apply.yml":
        job = workflow["jobs"]["apply"]
        assert (job["concurrency"]["cancel-in-progress"], job["environment"]) == ("false", "${{ inputs.environment }}")
        assert "inputs.clearing-firm" in job["concurrency"]["group"]


def test_ci_covers_every_supported_python() -> None:
    """The classifiers promise what CI checks."""
    matrix = dict(jobs(ROOT / ".github" / "workflows" / "ci.yml"))["check"]["strategy"]["matrix"]["python"]
    promised = [text.rpartition(" :: ")[2] for text in pyproject()["project"]["classifiers"] if re.search(r":: 3\.\d+$", text)]
    assert matrix == promised
    assert pyproject()["project"]["requires-python"] == f">={promised[0]}"


def test_publishing_waits_for_the_checks_and_for_a_person() -> None:
    """Only what was built and looked at is published, through an environment, with attestations, and only for a tag."""
    path = ROOT / ".github" / "workflows" / "release.yml"
    work = dict(jobs(path))
    assert list(load(path)["on"]) == ["push"]
    assert list(load(path)["on"]["push"]) == ["tags"]
    assert work["publish"]["needs"] == "build"
    assert work["publish"]["environment"] == "release"
    assert [step.get("run") for step in work["build"]["steps"] if "run" in step] == [".ci/run", 'make package TAG="$GITHUB_REF_NAME"']
    assert work["publish"]["steps"][-1]["with"]["attestations"] == "true"


def test_hooks_for_users_call_commands_that_exist() -> None:
    """The hooks that limits repositories use."""
    hooks = {hook["id"]: hook for hook in load(ROOT / ".pre-commit-hooks.yaml")}
    assert hooks.keys() == {"amsctl-validate", "amsctl-fmt"}
    for hook in hooks.values():
        program, command = hook["entry"].split()
        assert program == "amsctl"
        assert command in COMMANDS
        assert hook["language"] == "python"


def test_ci_entry_runs_the_linters_and_the_command_of_the_readme() -> None:
    """`.ci/run` is what CI runs, and `make test` is what the README says."""
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    text = script.read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in text
    assert "\nmake lint </dev/null\nmake test </dev/null\n" in text
    assert "\nexport AMSCTL_TEST_REQUIRED=postgresql,compiler,openssh,chromium\n" in text
    assert "\nmake demo\nmake test\n" in (ROOT / "README.md").read_text(encoding="utf-8")


def make(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    # A make that runs this test hands down its own settings; they are not meant for this one.
    environment = {name: text for name, text in os.environ.items() if name not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"}}
    settings = [f"{name}={text}" for name, text in variables.items()]
    return subprocess.run(["make", "-C", str(ROOT), *arguments, *settings], capture_output=True, text=True, check=False, env=environment)


def test_help_tells_of_every_target() -> None:
    """`make help` is complete."""
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert phony is not None
    shown = set(re.findall(r"^make (\w+)", make("--no-print-directory", "help").stdout, re.MULTILINE))
    assert shown == set(phony.group(1).split()) - {"help"}


def test_an_old_python_is_told_so(tmp_path: Path) -> None:
    """A Python that is too old is named, with the way out; nothing is half set up."""
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n', encoding="utf-8")
    old.chmod(0o755)
    done = make("demo", PYTHON=str(old), VENV=str(tmp_path / "venv"))
    assert done.returncode == 2
    assert f"amsctl needs Python 3.11 or newer, and '{old}' is not: Python 3.9.2." in done.stderr
    assert "make PYTHON=python3.12 demo" in done.stderr
    assert not (tmp_path / "venv").exists()
