"""A runner of GitHub Actions as far as our workflows need one: jobs in their order, steps with bash, composite actions, the files and the event that
GitHub hands to a step. Checkout and artifacts are played: a clone of the repository, and files that are kept.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.forge.fake import TOKEN, FakeForge, zipped
from tests.pipeline.expressions import filled, holds


@dataclass
class Step:
    """A step that was run, and the environment that it was given."""

    job: str
    name: str
    code: int
    output: str
    environ: Mapping[str, str]


@dataclass
class Done:
    """What became of a workflow."""

    results: dict[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    summaries: dict[str, str] = field(default_factory=dict)

    @property
    def log(self) -> str:
        return "\n".join(f"[{step.job}] {step.name} → {step.code}\n{step.output}" for step in self.steps)


@dataclass
class Runner:
    """``origin`` is the repository, ``folder`` where jobs work; ``secrets`` are those of the repository."""

    origin: Path
    folder: Path
    forge: FakeForge
    secrets: Mapping[str, str]
    extra_environ: Mapping[str, str] = field(default_factory=dict)
    artifacts: dict[str, Path] = field(default_factory=dict)

    def run(
        self,
        workflow: str,
        event_name: str,
        event: Mapping[str, Any],
        *,
        commit: str,
        inputs: Mapping[str, str],
        secrets: bool = True,
    ) -> Done:
        """Run a called workflow for an event at a commit."""
        self.artifacts.clear()  # each run has its own
        text = subprocess.run(
            ["git", "-C", str(self.origin), "show", f"{commit}:.github/workflows/{workflow}"], check=True, capture_output=True
        ).stdout
        called = yaml.load(text, Loader=yaml.BaseLoader)
        github = {
            "event": event,
            "event_name": event_name,
            "sha": commit,
            "repository": self.forge.repository,
            "server_url": "https://github.example",
            "run_id": "77",
            "token": TOKEN,
            "actor": "jo",
        }
        base: dict[str, Any] = {"github": github, "inputs": inputs, "secrets": self.secrets if secrets else {}}
        done, needs = Done(), dict[str, Any]()
        for name, job in called["jobs"].items():
            wanted = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
            contexts = {**base, "needs": needs, "succeeded": all(done.results[one] == "success" for one in wanted)}
            if holds(job.get("if", "success()"), contexts):
                result, outputs = _Job(self, name, job, contexts, done, commit).run()
            else:
                result, outputs = "skipped", {}
            done.results[name] = result
            needs[name] = {"result": result, "outputs": outputs}
        return done

    def keep(self, name: str, path: Path, commit: str) -> None:
        """An artifact, for later jobs and, as the forge would, for whoever asks for it."""
        kept = self.folder / "artifacts" / uuid.uuid4().hex
        kept.mkdir(parents=True)
        for file in [path] if path.is_file() else sorted(path.iterdir()):
            shutil.copy(file, kept)
        self.artifacts[name] = kept
        number = self.forge.next_id()
        run = {"head_sha": commit, "repository_id": 1, "head_repository_id": 1}
        self.forge.artifacts.append({"id": number, "name": name, "expired": False, "created_at": self.forge.clock, "workflow_run": run})
        if path.is_file():
            self.forge.files[number] = zipped(path.read_bytes(), path.name)


class _Job:
    def __init__(self, runner: Runner, name: str, job: Mapping[str, Any], contexts: Mapping[str, Any], done: Done, commit: str) -> None:
        self.runner, self.name, self.job, self.done, self.commit = runner, name, job, done, commit
        self.work = runner.folder / f"{name}-{uuid.uuid4().hex[:8]}"
        self.workspace, temp = self.work / "work", self.work / "temp"
        for folder in (self.workspace, temp):
            folder.mkdir(parents=True)
        event = self.work / "event.json"
        event.write_text(json.dumps(contexts["github"]["event"]))
        self.contexts: dict[str, Any] = {**contexts, "steps": {}, "runner": {"temp": str(temp)}, "succeeded": True}
        self.environ = {
            "PATH": f"{shim(runner.folder)}:{os.environ['PATH']}",
            "HOME": str(self.work),
            "LANG": "C.UTF-8",
            "CI": "true",
            **{key: text for key, text in runner.forge.environ.items() if key != "GITHUB_TOKEN"},
            "GITHUB_SHA": contexts["github"]["sha"],
            "GITHUB_ACTOR": contexts["github"]["actor"],
            "GITHUB_EVENT_NAME": contexts["github"]["event_name"],
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_REF": "refs/pull/7/merge" if "pull_request" in contexts["github"]["event"] else "refs/heads/main",
            "GITHUB_REF_NAME": "7/merge" if "pull_request" in contexts["github"]["event"] else "main",
            "GITHUB_RUN_ID": "77",
            "GITHUB_STEP_SUMMARY": str(self.work / "summary.md"),
            "RUNNER_TEMP": str(temp),
            **runner.extra_environ,
        }
        (self.work / "summary.md").touch()

    def run(self) -> tuple[str, dict[str, str]]:
        for step in self.job["steps"]:
            self._step(step, self.contexts, {})
        self.done.summaries[self.name] = (self.work / "summary.md").read_text()
        outputs = {key: filled(text, self.contexts) for key, text in self.job.get("outputs", {}).items()}
        return "success" if self.contexts["succeeded"] else "failure", outputs

    def _step(self, step: Mapping[str, Any], contexts: dict[str, Any], environ: Mapping[str, str]) -> None:
        if not holds(step.get("if", "success()"), contexts):
            return
        environ = {**environ, **{key: filled(text, contexts) for key, text in step.get("env", {}).items()}}
        given = {key: filled(text, contexts) for key, text in step.get("with", {}).items()}
        outputs: dict[str, str] = {}
        if "run" in step:
            ok, outputs = self._bash(step, environ)
        elif step["uses"].startswith("$/"):
            ok, outputs = self._action(step["uses"].removeprefix("$/"), given, environ)
        else:
            assert re.search(r"@[0-9a-f]{40}$", step["uses"]), step["uses"]
            ok = self._played(step["uses"].partition("@")[0], given)
        if "id" in step:
            contexts["steps"][step["id"]] = {"outputs": outputs, "outcome": "success" if ok else "failure"}
        if not ok and step.get("continue-on-error") != "true":
            contexts["succeeded"] = False

    def _action(self, path: str, given: Mapping[str, str], environ: Mapping[str, str]) -> tuple[bool, dict[str, str]]:
        """A composite action of the repository, at the commit of the workflow."""
        text = subprocess.run(
            ["git", "-C", str(self.runner.origin), "show", f"{self.commit}:{path}/action.yml"], check=True, capture_output=True
        ).stdout
        action = yaml.load(text, Loader=yaml.BaseLoader)
        missing = [key for key, one in action.get("inputs", {}).items() if one.get("required") == "true" and key not in given]
        assert not missing, f"{path} lacks {missing}"
        assert set(given) <= set(action.get("inputs", {})), f"{path} does not know {given.keys()}"
        inside = {**self.contexts, "inputs": given, "steps": {}, "secrets": None, "succeeded": True}
        for step in action["runs"]["steps"]:
            assert "uses" in step or step["shell"] == "bash"
            self._step(step, inside, environ)
        return inside["succeeded"], {key: filled(one["value"], inside) for key, one in action.get("outputs", {}).items()}

    def _bash(self, step: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[bool, dict[str, str]]:
        assert "${{" not in step["run"], "text of others is not pasted into a script"
        output = self.work / f"output-{uuid.uuid4().hex[:8]}"
        output.touch()
        given = {**self.environ, **environ, "GITHUB_OUTPUT": str(output)}
        ran = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.workspace,
            env=given,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        self.done.steps.append(Step(self.name, step.get("name", "run"), ran.returncode, ran.stdout + ran.stderr, given))
        lines = (line.partition("=") for line in output.read_text().splitlines())
        return ran.returncode == 0, {key: text for key, _, text in lines}

    def _played(self, action: str, given: Mapping[str, str]) -> bool:
        match action:
            case "actions/checkout":
                assert given["persist-credentials"] == "false"
                ref = given.get("ref") or self.commit
                subprocess.run(["git", "clone", "--quiet", str(self.runner.origin), str(self.workspace)], check=True)
                subprocess.run(["git", "-C", str(self.workspace), "checkout", "--quiet", "--detach", ref], check=True)
            case "actions/upload-artifact":
                path = Path(given["path"])
                if not path.exists():
                    return given.get("if-no-files-found") != "error"
                self.runner.keep(
                    given["name"], path, self.contexts["github"]["event"].get("pull_request", {}).get("head", {}).get("sha", self.commit)
                )
            case "actions/download-artifact":
                found = self.runner.artifacts.get(given["name"])
                if found is None:
                    return False
                shutil.copytree(found, self.workspace / given["path"], dirs_exist_ok=True)
            case _:
                raise AssertionError(f"nobody plays {action}")
        return True


def shim(folder: Path) -> str:
    """A folder with the command ``amsctl`` of this checkout."""
    bin_folder = folder / "bin"
    bin_folder.mkdir(exist_ok=True)
    command = bin_folder / "amsctl"
    if not command.exists():
        root = Path(__file__).resolve().parents[2]
        command.write_text(f'#!/bin/sh\nPYTHONPATH="{root}" exec "{sys.executable}" -m amsctl "$@"\n')
        command.chmod(0o755)
    return str(bin_folder)
