"""Nothing that a commit brings runs in a shipped pipeline, and nothing is written through a link of it.

Every `run:`, `before_script:`, `script:` and `after_script:` that is shipped is carried out in a checkout full of traps: modules under the names that
`python -m` and amsctl import, and links under the names that the pipelines give to their files. ``python3`` is played: the real interpreter starts with
the same switches, in the same place, and imports what it would run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from amsctl.cli.shell import COMMANDS
from amsctl.manifests.starter import starter_files
from tests.approvals.repository import git

ROOT = Path(__file__).resolve().parents[2]
MODULES = ("venv", "pip", "ensurepip", "json", "subprocess", "sitecustomize", "usercustomize", "encodings", "amsctl")
"""What a commit may call its files so that a careless start of Python runs them."""
LEFT = ("plan.json", "plan.md", "plan.html", "terraform.json", "codequality.json", "junit.xml")
"""What the plan job of GitLab leaves."""
NAMES = (*LEFT, "drift.md", "comment.md", "summary.md", "report.json", "reviews.json", "events.jsonl", "ledger-head.txt")
"""Files that the pipelines write; a commit makes a link of each."""
FOLDERS = ("amsctl-report", "drift", "plan")
VERSION = "9.9.9"

PYTHON = f"""\
#!/bin/sh
# The interpreter with the switches that it is given; the module is imported from wherever it would be run from, and not run.
echo "python $*" >> "$PLAYED"
flags=
while [ $# -gt 0 ]; do
  case "$1" in -m) shift; break;; -*m) flags="$flags ${{1%m}}"; shift; break;; -*) flags="$flags $1"; shift;; *) break;; esac
done
"{sys.executable}" $flags -c 'import importlib, json, sys
try: importlib.import_module(sys.argv[1])
except ImportError: pass' "$1" || exit 1
case "$1" in
  venv) mkdir -p "$2/bin" && cp "$0" "$2/bin/python" && cp "$AMSCTL" "$2/bin/amsctl" ;;
  pip) mkdir -p "$HOME/.local/bin" && rm -f "$HOME/.local/bin/amsctl" && cp "$AMSCTL" "$HOME/.local/bin/amsctl" ;;
esac
"""
AMSCTL = f"""\
#!{sys.executable}
import json, os, subprocess, sys
given = sys.argv[1:]
with open(os.environ["PLAYED"], "a") as log:
    log.write("amsctl " + " ".join(given) + "\\n")
for name, value in zip(given, given[1:]):
    if name == "-o":
        with open(value, "w") as file:  # through whatever link is there
            file.write('{{"number": 7}}')
print("amsctl {VERSION}" if given == ["--version"] else "a text of amsctl")
"""


@dataclass(frozen=True)
class Block:
    """A script of a shipped file."""

    file: str
    name: str
    text: str

    @property
    def installs(self) -> bool:
        return "pip install" in self.text


def _loaded(text: str) -> Any:
    return yaml.load(text, Loader=yaml.BaseLoader)


def shipped() -> Mapping[str, str]:
    """Every shipped file of a pipeline, and every one that `amsctl init` writes, by name."""
    paths = [
        *(ROOT / ".github" / "actions").glob("*/action.yml"),
        *(ROOT / ".github" / "workflows").glob("*.yml"),
        *(ROOT / "templates").glob("*.yml"),
    ]
    found = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in sorted(paths)}
    for ci in ("github", "gitlab"):
        found |= {f"init/{name}": text for name, text in starter_files(ci).items() if name.startswith((".github/", ".gitlab"))}
    return found


def _blocks() -> Iterator[Block]:
    for file, text in shipped().items():
        if file.startswith("init/") or file in {".github/workflows/ci.yml", ".github/workflows/release.yml"}:
            continue  # copies of the others, and what this project runs on itself
        if file.startswith("templates/"):
            parts = _loaded(text.partition("\n---\n")[2])
            for job, keys in parts.items():
                keys = {**parts.get(keys.get("extends"), {}), **keys}
                if "script" in keys:
                    yield Block(file, job, "\n".join([*keys.get("before_script", ()), *keys["script"]]))
                if "after_script" in keys:
                    yield Block(file, f"{job} after", "\n".join(keys["after_script"]))
            continue
        document = _loaded(text)
        for holder in [document["runs"]] if "runs" in document else document["jobs"].values():
            for number, step in enumerate(holder["steps"]):
                if "run" in step:
                    yield Block(file, step.get("name", f"step {number}"), step["run"])


BLOCKS = list(_blocks())


@dataclass
class Place:
    """A checkout of a hostile commit, and a folder beside it in which nothing may change."""

    folder: Path

    @property
    def checkout(self) -> Path:
        return self.folder / "checkout"

    @property
    def ran(self) -> str:
        """The modules of the commit that were run."""
        return (self.folder / "canary").read_text()

    @property
    def played(self) -> list[str]:
        return (self.folder / "played").read_text().splitlines()

    def written(self) -> list[str]:
        return sorted(
            path.relative_to(self.folder / "outside").as_posix() for path in (self.folder / "outside").rglob("*") if path.is_file()
        )

    def run(self, text: str, *, amsctl_is_there: bool, **more: str) -> subprocess.CompletedProcess[str]:
        """Carry a block out, as both forges do."""
        tools, home, temp = self.folder / "tools", self.folder / "home", self.folder / "temp"
        for folder in (tools, home / ".local" / "bin", temp / "out"):
            folder.mkdir(parents=True, exist_ok=True)
        for path, script in ((tools / "python3", PYTHON), (self.folder / "amsctl-that-is-installed", AMSCTL)):
            path.write_text(script)
            path.chmod(0o755)
        for name in ("canary", "played"):
            (self.folder / name).touch()
        if amsctl_is_there:
            shutil.copy(self.folder / "amsctl-that-is-installed", tools / "amsctl")
        head = git(self.checkout, "rev-parse", "HEAD")
        environ = {
            "PATH": f"{home}/.local/bin:{tools}:/usr/bin:/bin",
            "HOME": str(home),
            "CANARY": str(self.folder / "canary"),
            "PLAYED": str(self.folder / "played"),
            "AMSCTL": str(self.folder / "amsctl-that-is-installed"),
            "TMPDIR": str(temp),
            # GitHub
            "GITHUB_OUTPUT": str(temp / "output"),
            "GITHUB_STEP_SUMMARY": str(temp / "summary"),
            "GITHUB_REF_NAME": "main",
            "GITHUB_TOKEN": "t",
            "RUNNER_TEMP": str(temp),
            "VERSION": VERSION,
            "LOCK_OF": "origin/main",
            "BASE": "origin/main",
            "COMMIT": head,
            "OUT": str(temp / "out"),
            "AMS_ENVIRONMENT": "production",
            "FOUND": "success",
            "RUN": "https://x",
            "DRIFTED": "true",
            # GitLab
            "CI_PROJECT_DIR": str(self.checkout),
            "AMSCTL_VERSION": VERSION,
            "CI_COMMIT_SHA": head,
            "CI_COMMIT_BRANCH": "main",
            "CI_PIPELINE_URL": "https://x",
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
            **more,
        }
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text],
            cwd=self.checkout,
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with traps and links, of a commit on a branch beside main, and what it was cloned from."""
    folder = tmp_path_factory.mktemp("model")
    seed = folder / "seed"
    seed.mkdir()
    git(seed, "init", "--quiet", "--initial-branch", "main")
    (seed / "pipeline.lock").write_text("amsctl==9.9.9 --hash=sha256:00\n")
    git(seed, "add", "-A")
    git(seed, "commit", "--quiet", "-m", "base")
    git(seed, "switch", "--quiet", "-c", "change")
    for name in MODULES:
        (seed / name).mkdir()
        trap = f"import os\nopen(os.environ['CANARY'], 'a').write('{name} of the commit\\n')\n"
        (seed / name / "__init__.py").write_text(trap)
        (seed / name / "__main__.py").write_text(trap)
        (seed / f"{name}.py").write_text(trap)
    (seed / "lock").mkdir()
    (seed / "lock" / "pipeline.lock").write_text("amsctl==9.9.9 --hash=sha256:00\n")
    git(seed, "add", "-A")
    git(seed, "commit", "--quiet", "-m", "a change")
    git(seed, "branch", "--quiet", "plain")
    for name in (*NAMES, *FOLDERS):
        (seed / name).symlink_to(f"../outside/{name}")
    git(seed, "add", "-A")
    git(seed, "commit", "--quiet", "-m", "links")
    for ref in ("refs/pull/7/head", "refs/merge-requests/7/head"):
        git(seed, "update-ref", ref, "change")
    git(folder, "clone", "--quiet", "--branch", "change", "seed", "checkout")
    git(folder / "checkout", "branch", "--quiet", "plain", "origin/plain")
    return folder


@pytest.fixture
def place(model: Path, tmp_path: Path) -> Place:
    shutil.copytree(model / "checkout", tmp_path / "checkout", symlinks=True)
    for name in FOLDERS:
        (tmp_path / "outside" / name).mkdir(parents=True)
    (tmp_path / "checkout.amsctl").mkdir()
    (tmp_path / "checkout.amsctl" / "left-over").write_text("x")
    return Place(tmp_path)


def test_there_are_blocks() -> None:
    """The tests below look at every file that is shipped, and at every way of installing."""
    assert {block.file for block in BLOCKS} == {
        *(f".github/actions/{name}/action.yml" for name in ("setup", "plan", "apply")),
        *(f".github/workflows/limits-{name}.yml" for name in ("plan", "drift")),  # of limits-apply all is in its actions
        *(f"templates/{name}.yml" for name in ("plan", "apply", "drift")),
    }
    assert sum(block.installs for block in BLOCKS) == 8


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.file} {block.name}".replace("/", " "))
def test_nothing_of_the_commit_runs_and_nothing_is_written_through_it(place: Place, block: Block) -> None:
    """Also beside no credentials: the same words stand in another job tomorrow."""
    done = place.run(block.text, amsctl_is_there=not block.installs)
    assert place.ran == "", place.played
    assert place.written() == [], done.stdout + done.stderr
    for name in NAMES:  # a link is left as it is, or makes room for a file of the job's own
        path = place.checkout / name
        assert path.is_symlink() or path.is_file() or not path.exists()
    if block.name == "amsctl-plan":
        assert (done.returncode, "The commit holds a name that this job gives to a file of its own" in done.stderr) == (1, True)
        assert not [name for name in LEFT if os.path.lexists(place.checkout / name)]
    else:
        assert done.returncode == (3 if block.name == "Fail where the plan is held up" else 0), done.stderr
    if block.installs:
        assert [" -m pip install " in line and "--require-hashes" in line for line in place.played].count(True) == 1, place.played


def test_a_plan_job_leaves_what_it_wrote(place: Place) -> None:
    """Of a commit without such names the artifacts are there, as files; and what a job that failed early has left of the commit's is no plan."""
    (block,) = [block for block in BLOCKS if block.name == "amsctl-plan"]
    git(place.checkout, "checkout", "--quiet", "plain")
    done = place.run(block.text, amsctl_is_there=False, CI_COMMIT_SHA=git(place.checkout, "rev-parse", "plain"))
    assert (done.returncode, place.ran) == (0, ""), done.stderr
    assert [(place.checkout / name).read_text() for name in LEFT] == ['{"number": 7}', *["a text of amsctl\n"] * 5]
    (comment,) = [block for block in BLOCKS if block.name == "amsctl-comment"]
    for ref, shown in (("plain", "amsctl ci comment plan.md "), ("change", f"amsctl ci comment {place.folder}/temp/")):
        git(place.checkout, "checkout", "--quiet", "--force", ref)
        (place.checkout / "plan.json").unlink(missing_ok=True)
        (place.checkout / "plan.json").write_text("{}")
        assert place.run(comment.text, amsctl_is_there=True).returncode == 0
        assert place.played[-1].startswith(shown)


@pytest.mark.parametrize(("file", "aside"), [(".github/actions/setup/action.yml", 'cd "$RUNNER_TEMP"'), ("templates/drift.yml", "cd / &&")])
def test_the_traps_are_seen(place: Place, file: str, aside: str) -> None:
    """The very same blocks run the commit's modules without what keeps these out."""
    (block,) = [block for block in BLOCKS if block.file == file]
    place.run(block.text.replace(" -I ", " ").replace(aside, "true &&" if aside.endswith("&&") else "true"), amsctl_is_there=False)
    assert "pip of the commit" in place.ran


def test_no_shipped_word_starts_python_in_the_open() -> None:
    """Wherever Python or pip is named as a command, -I is its first switch; a hook is a command of amsctl."""
    for file, text in shipped().items():
        for line in text.splitlines():
            if line.lstrip().startswith(("#", "description:", "default:")):
                continue
            assert not re.search(r"(?:^|[\s/;&|(])(?:python[\d.]*|pypy[\d.]*)\"?\s+(?!-I -m )", line.partition(" #")[0]), f"{file}: {line}"
            assert not re.search(r"(?:^|[\s/;&|(])(?:pip[\d.]*|pipx|uvx?)\s", line.replace("-I -m pip ", "").partition(" #")[0]), (
                f"{file}: {line}"
            )
    for hook in _loaded((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")):
        assert hook["entry"].split()[0] == "amsctl"
        assert hook["entry"].split()[1] in COMMANDS
