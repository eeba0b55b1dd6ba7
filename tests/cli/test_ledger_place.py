"""Where the ledger is, as people and pipelines meet it: two runners, a shared ledger, other spellings, the demo in a pipeline."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from amsctl.manifests.starter import CI_SYSTEMS, HASH_TO_COME, starter_files
from amsctl.sandbox.server import Sandbox
from tests.cli.conftest import Ran, Run
from tests.project.checkout import ROOT

QUICK = "  requests: {perSecond: unlimited, settleSeconds: 0.1, timeoutSeconds: 30, retries: 0}\n"
JOBS = ("CI", "GITHUB_ACTIONS", "GITLAB_CI")


@pytest.fixture
def quick(project: Path) -> Path:
    config = project / "amsctl.yaml"
    config.write_text(config.read_text() + QUICK, encoding="utf-8")
    return project


def runner(project: Path, folder: Path, ledger: str = "") -> Path:
    """A fresh checkout of the project on a machine of its own."""
    shutil.copytree(project, folder, ignore=shutil.ignore_patterns(".amsctl", "runners"))
    config = folder / "amsctl.yaml"
    config.write_text(config.read_text() + ledger, encoding="utf-8")
    return folder


def did(run: Run, folder: Path, *arguments: str) -> Ran:
    return run("-C", str(folder), *arguments)


@pytest.mark.parametrize("job", JOBS)
def test_a_pipeline_that_would_lose_its_ledger_writes_nothing(quick: Path, run: Run, monkeypatch: pytest.MonkeyPatch, job: str) -> None:
    """Exit 1 with what to do, for every command that adds a record; plan and show warn; nothing is made and nothing is sent."""
    plan = str(quick / "p.json")
    assert did(run, quick, "plan", "-o", plan).code == 0
    monkeypatch.setenv(job, "true")
    warned = "the ledger lies below the checkout and would be lost with the job"
    assert warned in did(run, quick, "plan").err
    assert warned in did(run, quick, "show", plan).err
    for words in (("apply", plan), ("apply", "--auto-approve"), ("freeze", "--reason", "x"), ("thaw", "--reason", "x"), ("resolve",)):
        refused = did(run, quick, *words)
        assert (refused.code, warned in refused.err, "ephemeral: accepted" in refused.err) == (1, True, True), (words, refused)
    assert not (quick / ".amsctl").exists()


def test_an_accepted_loss_writes(quick: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner of the project has said so; apply tells where the ledger is, and that it is new, or since when it exists."""
    config = quick / "amsctl.yaml"
    config.write_text(config.read_text() + "  ledger: {ephemeral: accepted}\n", encoding="utf-8")
    monkeypatch.setenv("CI", "true")
    applied = did(run, quick, "apply", "--auto-approve")
    assert applied.code == 0
    assert f"ledger {quick}/.amsctl/ledger.db, new" in applied.err
    assert f"ledger {quick}/.amsctl/ledger.db, since 20" in did(run, quick, "apply", "--auto-approve").err


def test_two_runners_with_one_ledger_apply_once(quick: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan is good for one apply, on whatever machine: what was taken back by hand meanwhile stays so. A freeze of one machine holds on the other."""
    shared = f'  ledger: {{url: "sqlite:///{tmp_path}/shared.db"}}\n'
    one, two = (runner(quick, tmp_path / "runners" / name, shared) for name in ("one", "two"))
    plan = str(tmp_path / "p.json")
    assert did(run, one, "plan", "-o", plan).code == 0
    monkeypatch.setenv("CI", "true")
    assert did(run, one, "apply", plan).code == 0
    again = did(run, two, "apply", plan)
    assert again.code == 4
    assert "carried out already" in again.err
    assert did(run, one, "freeze", "--reason", "market event").code == 0
    fresh = (two / "accounts" / "dv.yaml").read_text().replace("300", "299")
    (two / "accounts" / "dv.yaml").write_text(fresh)
    refused = did(run, two, "apply", "--auto-approve")
    assert (refused.code, "market event" in refused.err) == (7, True)
    assert did(run, two, "thaw", "--reason", "over").code == 0
    assert did(run, two, "apply", "--auto-approve").code == 0


@pytest.mark.parametrize(
    "spelling", ["http://127.0.0.1:{port}/./rest/v2/", "http://127.0.0.1:0{port}/rest/%762", "http://127.0.0.1:{port}/rest/x/%2E%2e/v2"]
)
def test_a_freeze_is_not_passed_by_another_spelling(quick: Path, run: Run, sandbox: Sandbox, spelling: str) -> None:
    """It goes by the name of the AMS, and the name goes with the address however that is spelled: under another name it is refused."""
    assert did(run, quick, "freeze", "--reason", "market event").code == 0
    config, text = quick / "amsctl.yaml", (quick / "amsctl.yaml").read_text()
    other = spelling.format(port=sandbox.url.rpartition(":")[2].partition("/")[0])
    config.write_text(text.replace(sandbox.url, other), encoding="utf-8")
    assert did(run, quick, "apply", "--auto-approve").code == 7
    config.write_text(text.replace(f"url: {sandbox.url}", f"url: {other}\n      ams: other"), encoding="utf-8")
    refused = did(run, quick, "apply", "--auto-approve")
    assert (refused.code, "the ledger knows this AMS by another name" in refused.err) == (1, True)
    config.write_text(text.replace("    sandbox:\n", f"    second: {{url: '{other}'}}\n    sandbox:\n"), encoding="utf-8")
    for command in (("validate",), ("-e", "second", "apply", "--auto-approve")):
        two = did(run, quick, *command)
        assert (two.code, "one AMS has two names" in two.err) == (1, True)


def test_a_tracked_ledger_is_not_used(quick: Path, run: Run) -> None:
    """A forged record of a commit approves nothing: apply, resume and the looks at it refuse."""
    assert did(run, quick, "apply", "--auto-approve").code == 0
    git = ["git", "-C", str(quick), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "-f", ".amsctl/ledger.db"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], check=True)
    for command in (("apply", "--auto-approve"), ("resume",), ("ledger", "verify"), ("ledger", "log"), ("lock", "status")):
        refused = did(run, quick, *command)
        assert (refused.code, "git tracks the ledger" in refused.err) == (1, True), (command, refused)


@pytest.mark.parametrize("job", JOBS)
def test_the_demo_passes_in_a_pipeline(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: str) -> None:
    """Its ledger ends with its sandbox; what is kept of it accepts no loss."""
    monkeypatch.setenv(job, "true")
    kept = tmp_path / "kept"
    ran = run("demo", "--keep", str(kept))
    assert ran.code == 0, ran
    example = (ROOT / "examples" / "limits" / "amsctl.yaml").read_text().splitlines(keepends=True)
    assert example[0].startswith("# yaml-language-server: $schema=..")
    assert (kept / "amsctl.yaml").read_text() == "".join(example[1:])
    texts = [path.read_text() for path in kept.rglob("*.yaml")]
    assert len(texts) > 3
    assert not any("$schema=" in text for text in texts), "a schema that lies nowhere near the copy"


def test_the_default_ledger_is_told_where_it_matters(run: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do: to whoever writes, and to a reader for whom it holds nothing; a reader of its records knows which one it is."""
    monkeypatch.delenv("AMS_LEDGER_URL", raising=False)
    with (project / "amsctl.yaml").open("a", encoding="utf-8") as file:
        file.write('  ledger: {url: "${AMS_LEDGER_URL}"}\n')
    told = "the ledger is the default file, .amsctl/ledger.db. By hand that is fine; to choose another, export the variable\n"
    absent = run("-C", str(project), "ledger", "log")
    assert (absent.code, told in absent.err) == (1, True), absent
    assert told in run("-C", str(project), "freeze", "--reason", "calm").err
    for arguments in (("ledger", "log"), ("lock", "status"), ("ledger", "verify")):
        read = run("-C", str(project), *arguments)
        assert (read.code, told in read.err) == (0, False), read
    assert told in run("-C", str(project), "thaw", "--reason", "over").err


# --- what init writes ---


@pytest.mark.parametrize("ci", CI_SYSTEMS)
def test_a_pipeline_comes_with_its_ledger_and_its_lock(ci: str) -> None:
    """The address out of a variable, and every package by version and hash; by hand neither is needed."""
    files = starter_files(ci)
    named = 'ledger: {url: "${AMS_LEDGER_URL}"}' in files["amsctl.yaml"]
    assert (named, "pipeline.lock" in files) == (ci != "none", ci != "none")
    if ci == "none":
        return
    lock = files["pipeline.lock"]
    pinned = [line for line in lock.splitlines() if "==" in line and not line.startswith("#")]
    assert pinned[0].startswith("amsctl==")
    assert {line.partition("==")[0] for line in pinned} >= {"psycopg", "psycopg-binary", "sqlalchemy", "httpx"}
    assert lock.count(f"--hash=sha256:{HASH_TO_COME}") == 1
    assert "://" not in lock


def set_up(folder: Path, lock: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The script of the set-up, run in a checkout with this lock."""
    import yaml

    (folder / "pipeline.lock").write_text(lock, encoding="utf-8")
    action = yaml.safe_load((ROOT / ".github" / "actions" / "setup" / "action.yml").read_text())
    (step,) = action["runs"]["steps"]
    temp = folder / "temp"
    temp.mkdir(exist_ok=True)
    path = os.pathsep.join(one for one in os.environ["PATH"].split(os.pathsep) if not (Path(one) / "amsctl").exists())
    environ = {
        "PATH": path, "HOME": str(folder), "RUNNER_TEMP": str(temp), "VERSION": "0.1.0", "LOCK_OF": "", "PIP_NO_INDEX": "1",
        "PIP_CONFIG_FILE": os.devnull, **more,
    }  # fmt: skip
    return subprocess.run(["bash", "-e", "-c", step["run"]], cwd=folder, env=environ, capture_output=True, text=True, check=False)


def test_the_set_up_refuses_a_lock_without_the_hash_of_amsctl(tmp_path: Path) -> None:
    """Before anything is installed, with what to write."""
    done = set_up(tmp_path, starter_files("github")["pipeline.lock"])
    assert done.returncode == 1
    assert "write the SHA-256 of its wheel, as the release tells it, in place of HASH-OF-THE-WHEEL-OF-AMSCTL" in done.stderr
    assert not (tmp_path / "temp" / "amsctl-venv").exists()


def _wheel(folder: Path, version: str) -> Path:
    """A wheel called amsctl, with a program that tells its version."""
    import zipfile

    path = folder / f"amsctl-{version}-py3-none-any.whl"
    inside = f"amsctl-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("standin.py", f"def main():\n    print('amsctl {version}')\n")
        wheel.writestr(f"{inside}/METADATA", f"Metadata-Version: 2.1\nName: amsctl\nVersion: {version}\n")
        wheel.writestr(f"{inside}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{inside}/entry_points.txt", "[console_scripts]\namsctl = standin:main\n")
        wheel.writestr(f"{inside}/RECORD", "")
    return path


@pytest.mark.parametrize("case", ["right", "another file", "another version"])
def test_the_set_up_installs_what_has_the_hash(tmp_path: Path, case: str) -> None:
    """And nothing else: a file with another hash, and a version that the workflow does not want, end the job."""
    import hashlib

    version = "0.2.0" if case == "another version" else "0.1.0"
    wheel = _wheel(tmp_path, version)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if case == "another file":
        digest = "0" * 64
    done = set_up(
        tmp_path,
        f"amsctl=={version} \\\n    --hash=sha256:{digest}\n",
        PIP_FIND_LINKS=str(tmp_path),
        PATH=f"{tmp_path / '.local' / 'bin'}{os.pathsep}{os.environ['PATH']}",
    )
    told = {
        "right": "",
        "another file": "DO NOT MATCH THE HASHES",
        "another version": "installs amsctl 0.2.0, and the workflow wants amsctl 0.1.0",
    }
    assert (done.returncode == 0) == (case == "right"), done
    assert told[case] in done.stderr
    assert (tmp_path / ".local" / "bin" / "amsctl").exists() == (case == "right")


def test_the_lock_that_counts_is_the_target_branchs(tmp_path: Path) -> None:
    """What a change writes into its own lock is not installed beside the credentials."""
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "pipeline.lock").write_text(starter_files("github")["pipeline.lock"])
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"], ["branch", "base"]):
        subprocess.run([*git, *words], check=True)
    done = set_up(tmp_path, "evil==1.0 --hash=sha256:" + "0" * 64, LOCK_OF="base")
    assert (done.returncode, HASH_TO_COME in done.stderr) == (1, True)
    assert "evil" not in done.stderr


def test_reports_name_no_ledger_on_standard_output(quick: Path, run: Run) -> None:
    """Where the ledger is goes to standard error: the report stays one JSON value."""
    applied = did(run, quick, "apply", "--auto-approve", "--format", "json")
    assert json.loads(applied.out)["format"] == "amsctl.report/v1"
    assert "/.amsctl/ledger.db, new" in applied.err
