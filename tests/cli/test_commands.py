"""The commands that read and write files: init, validate, fmt, show, completion."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from amsctl.applying.report import encode_report
from amsctl.cli.console import Console
from amsctl.cli.files import FileFailure, read_json, write_atomically
from amsctl.cli.running import around_of
from amsctl.cli.session import Session
from amsctl.errors import PlanFileError
from amsctl.planning.codec import encode, sealed
from amsctl.planning.consistency import summary_of
from amsctl.planning.guards import guards_in, switched_off
from amsctl.planning.plan import Plan
from amsctl.views.json_text import json_text
from tests.applying.test_executor import wish, world
from tests.applying.world import plan_of
from tests.cli.conftest import ACCOUNT, Run
from tests.cli.schemas import assert_valid
from tests.project.checkout import ROOT
from tests.views.samples import bad_report, good_report, quiet_plan, rich_plan

# --- init ---


def test_init_writes_a_repository_that_is_sound(run: Run, tmp_path: Path) -> None:
    """What init writes validates and is in canonical form; every file is listed."""
    folder = tmp_path / "limits"
    ran = run("init", str(folder))
    assert ran.code == 0
    assert [Path(line) for line in ran.out.splitlines()] == sorted(path for path in folder.rglob("*") if path.is_file())
    assert f"amsctl -C {folder} validate" in ran.err
    assert "before the pipeline runs: edit .github/workflows/limits.yml, pipeline.lock, amsctl.yaml (docs/howto/pipeline.md)\n" in ran.err
    assert "before the pipeline runs" not in run("init", str(tmp_path / "none"), "--ci", "none").err
    assert run("-C", str(folder), "validate").code == 0
    assert run("-C", str(folder), "fmt", "--check").code == 0


def test_init_overwrites_nothing(run: Run, tmp_path: Path) -> None:
    """A file that is there stops it before anything is written; README.md and .gitignore are left alone."""
    (tmp_path / "README.md").write_text("mine")
    ran = run("-C", str(tmp_path), "init", "--format", "json")
    assert ran.code == 0
    assert (tmp_path / "README.md").read_text() == "mine"
    assert "README.md is there already" in ran.err
    document = json.loads(ran.out)
    assert_valid("init.v1", document)
    assert "README.md" not in document["files"]
    again = run("-C", str(tmp_path), "init")
    assert (again.code, again.out) == (1, "")
    assert "there already" in again.err
    shutil.rmtree(tmp_path / "accounts")
    assert run("-C", str(tmp_path), "init").code == 1
    assert not (tmp_path / "accounts").exists()


def test_init_takes_back_what_it_could_not_finish(run: Run, tmp_path: Path) -> None:
    """Where one file cannot be written, none stays."""
    (tmp_path / "profiles").write_text("a file where a folder is wanted")
    ran = run("init", str(tmp_path))
    assert ran.code == 1
    assert "cannot be written" in ran.err
    assert not (tmp_path / "amsctl.yaml").exists()


# --- validate ---

SIGNER = "sam@firm.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDRfRVWj2I0D6XCy7Wy7bnDBDBz0KLSiP1pitNGBSBH+\n"


def test_validate(run: Run, project: Path) -> None:
    """A sound project: exit 0, one line."""
    assert run("-C", str(project), "validate") == (0, "Valid: 1 file, 1 document, 1 account.\n", "")


def test_validate_without_a_project(run: Run, tmp_path: Path) -> None:
    """One file needs no project file."""
    (tmp_path / "a.yaml").write_text(ACCOUNT)
    assert run("-C", str(tmp_path), "validate", "a.yaml").code == 0


def placeholders() -> str:
    """The list of signers as docs/howto/approvals.md shows it."""
    page = (ROOT / "docs" / "howto" / "approvals.md").read_text(encoding="utf-8")
    return "".join(line.strip() + "\n" for line in page.splitlines() if " ssh-ed25519 " in line and "namespaces=" in line)


@pytest.mark.parametrize(
    ("setting", "listed", "told"),
    [
        ("signatures", None, "the list of signers cannot be read (approvers:1:1): expected a plain file, found No such file or directory"),
        ("signatures", "# to come\n", "the list of signers names nobody (approvers:1:1): expected a line for each approver"),
        (
            "signatures",
            "# ours\n" + placeholders(),
            "(approvers:2:1): expected a public key as OpenSSH writes it, found the key is not Base64",
        ),
        ("{from: signatures, signers: who}", None, "cannot be read (who:1:1)"),
        ("signatures", SIGNER, ""),
        ("{from: github, approvers: [sam]}", None, ""),
    ],
)
def test_validate_reads_the_list_of_signers(run: Run, project: Path, setting: str, listed: str | None, told: str) -> None:
    """A list that would stop every apply is told before anything is reviewed, with file and line, also one copied from the page as it stands there."""
    assert placeholders()
    with (project / "amsctl.yaml").open("a", encoding="utf-8") as file:
        file.write(f"  approvals: {setting}\n")
    if listed is not None:
        (project / "approvers").write_text(listed, encoding="utf-8")
    ran = run("-C", str(project), "validate")
    assert (ran.code, told in ran.err, ran.err == "") == (1 if told else 0, True, not told), ran
    assert run("-C", str(project), "validate", "accounts").code == 0


def test_validate_shows_all_findings(run: Run, project: Path) -> None:
    """All findings of all files with their places, exit 1, nothing on standard output."""
    (project / "accounts" / "bad.yaml").write_text(ACCOUNT.replace("300", "3_0").replace("DV10121801A", "B"))
    (project / "accounts" / "worse.yaml").write_text("a: [")
    ran = run("-C", str(project), "validate")
    assert (ran.code, ran.out) == (1, "")
    lines = ran.err.splitlines()
    assert lines[0].startswith("error: ")
    assert "accounts/bad.yaml:10:" in lines[0]
    assert "accounts/worse.yaml:2:1" in lines[1]
    assert lines[-1].startswith("error: 2 errors in the manifests")


@pytest.mark.parametrize("broken", [False, True])
def test_validate_as_json(run: Run, project: Path, broken: bool) -> None:
    """The findings as a document that its schema accepts."""
    if broken:
        (project / "accounts" / "bad.yaml").write_text(ACCOUNT)
    ran = run("-C", str(project), "validate", "--format", "json")
    document = json.loads(ran.out)
    assert_valid("validation.v1", document)
    assert document["valid"] is not broken
    assert ran.code == int(broken)
    assert len(document["diagnostics"]) == int(broken)


def test_validate_with_a_broken_project_file(run: Run, project: Path) -> None:
    """The project file's own errors are findings like any other."""
    (project / "amsctl.yaml").write_text("apiVersion: amsctl/v1\nkind: Project\nspec: {nope: 1}\n")
    ran = run("-C", str(project), "validate", "--format", "json")
    assert ran.code == 1
    assert json.loads(ran.out)["diagnostics"][0]["file"] == "amsctl.yaml"


# --- fmt ---

UNTIDY = ACCOUNT.replace("accountNumber: DV10121801A", "accountNumber:   'DV10121801A'   # ours")


def test_fmt(run: Run, project: Path) -> None:
    """Check tells and changes nothing; fmt rewrites, keeps comment and mode; a second fmt finds nothing."""
    file = project / "accounts" / "dv.yaml"
    file.write_text(UNTIDY)
    file.chmod(0o640)
    checked = run("-C", str(project), "fmt", "--check")
    assert (checked.code, checked.out) == (1, "accounts/dv.yaml\n")
    assert file.read_text() == UNTIDY
    assert "1 of 2 files would be rewritten" in checked.err
    done = run("-C", str(project), "fmt")
    assert (done.code, done.out) == (0, "accounts/dv.yaml\n")
    assert "# ours" in file.read_text()
    assert "'DV10121801A'" not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o640
    assert run("-C", str(project), "fmt", "--check") == (0, "", "0 of 2 files would be rewritten by amsctl fmt\n")


def test_fmt_as_json(run: Run, project: Path) -> None:
    """The list as a document that its schema accepts."""
    (project / "accounts" / "dv.yaml").write_text(UNTIDY)
    ran = run("-C", str(project), "fmt", "--check", "--format", "json", "accounts/dv.yaml")
    document = json.loads(ran.out)
    assert_valid("fmt.v1", document)
    assert (ran.code, document["changed"], document["files"], document["check"]) == (1, ["accounts/dv.yaml"], 1, True)


def test_fmt_writes_nothing_when_anything_is_wrong(run: Run, project: Path) -> None:
    """A broken file is an error with its place, and no other file is touched."""
    (project / "accounts" / "dv.yaml").write_text(UNTIDY)
    (project / "accounts" / "bad.yaml").write_bytes(b"a: \xff")
    ran = run("-C", str(project), "fmt")
    assert (ran.code, ran.out) == (1, "")
    assert "accounts/bad.yaml:1:" in ran.err
    assert (project / "accounts" / "dv.yaml").read_text() == UNTIDY
    assert run("-C", str(project), "fmt", "nowhere").code == 1


def test_fmt_leaves_plans_alone(run: Run, project: Path) -> None:
    """An output of amsctl in a searched folder is no manifest; named itself it is an error."""
    (project / "accounts" / "plan.json").write_text(json_text(encode(quiet_plan())))
    assert run("-C", str(project), "fmt", "--check").code == 0
    assert run("-C", str(project), "fmt", "--check", "accounts/plan.json").code == 1


def test_fmt_refuses_what_it_cannot_read(run: Run, project: Path) -> None:
    """A file beyond any sensible size is told with its place, and nothing is written."""
    (project / "accounts" / "dv.yaml").write_text(UNTIDY)
    with open(project / "accounts" / "huge.yaml", "wb") as stream:
        stream.truncate(1 << 30)
    ran = run("-C", str(project), "fmt")
    assert ran.code == 1
    assert "(accounts/huge.yaml:1:1)" in ran.err
    assert (project / "accounts" / "dv.yaml").read_text() == UNTIDY


def test_fmt_without_a_project(run: Run, tmp_path: Path) -> None:
    """One file needs no project file; a folder that cannot be read is told."""
    (tmp_path / "a.yaml").write_text(UNTIDY)
    assert run("-C", str(tmp_path), "fmt", "a.yaml").out == "a.yaml\n"


# --- show ---


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    (tmp_path / "plan.json").write_text(json_text(encode(real_plan())))
    (tmp_path / "rich.json").write_text(json_text(encode(rich_plan())))
    (tmp_path / "other.json").write_text(json_text(encode(openable(quiet_plan()))))
    (tmp_path / "report.json").write_text(json_text(encode_report(bad_report(real_plan()))))
    return tmp_path


def openable(plan: Plan) -> Plan:
    """A sample with the counts and the guards' findings that follow from it."""
    findings = (*switched_off(guards_in(plan.guards), plan.target), *plan.findings)
    return sealed(replace(plan, summary=summary_of(plan), findings=findings))


def real_plan() -> Plan:
    """A plan that the planner made: all four phases."""
    return plan_of(world(), {"A": wish()})


def test_show_a_plan(run: Run, saved: Path) -> None:
    """Text as plan prints it, JSON as it was saved; the exit code is about showing, not about what is in it."""
    text = run("show", str(saved / "plan.json"))
    assert text.code == 0
    assert text.out.splitlines()[-1].startswith("Plan: 11 changes in 1 account: 5 loosen, 6 tighten")
    short = run("show", str(saved / "plan.json"), "--limit", "0")
    assert "▼ tightens" not in short.out
    document = json.loads(run("show", str(saved / "plan.json"), "--format", "json").out)
    assert document == encode(real_plan())
    assert_valid("plan.v1", document)


def test_show_refuses_a_plan_that_contradicts_itself(run: Run, saved: Path) -> None:
    """What a reviewer reads must follow from the calls: a hand-made plan is not shown as if it could be trusted."""
    ran = run("show", str(saved / "rich.json"))
    assert (ran.code, ran.out) == (1, "")
    assert "contradicts itself" in ran.err


def test_show_a_report(run: Run, saved: Path) -> None:
    """With its plan in the plan's words; JSON as it was."""
    alone = run("show", str(saved / "report.json"))
    assert alone.code == 0
    assert alone.out.splitlines()[-1].endswith("exit code 6.")
    assert "Apply to x" in run("show", str(saved / "report.json"), "--plan", str(saved / "plan.json")).out
    document = json.loads(run("show", str(saved / "report.json"), "--format", "json").out)
    assert_valid("report.v1", document)
    assert_valid("report.v1", encode_report(good_report(rich_plan())))


def test_show_refuses_what_does_not_belong_together(run: Run, saved: Path) -> None:
    """A report under another plan, or a plan under a plan."""
    ran = run("show", str(saved / "report.json"), "--plan", str(saved / "other.json"))
    assert ran.code == 1
    assert "about another plan" in ran.err
    assert run("show", str(saved / "plan.json"), "--plan", str(saved / "plan.json")).code == 64


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "neither a plan nor an apply report"),
        (b'{"format": "amsctl.plan/v9\x7f"}', "found 'amsctl.plan/v9\\x7f'"),
        (b'{"a": 1, "a": 2}', "the member 'a' is there twice"),
        (b'{"a": NaN}', "NaN is no number"),
        (b"\xff", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"1" * 5000, "not JSON"),
    ],
)
def test_show_refuses_what_is_neither(run: Run, tmp_path: Path, content: bytes, words: str) -> None:
    """A wrong file: exit 1, what is wrong and where, no traceback."""
    file = tmp_path / "x.json"
    file.write_bytes(content)
    ran = run("show", str(file))
    assert (ran.code, ran.out) == (1, "")
    assert words in ran.err
    assert "x.json" in ran.err
    assert ran.err.count("\n") == 1


def test_show_refuses_a_plan_that_was_changed(run: Run, saved: Path) -> None:
    """One number changed breaks the seal."""
    file = saved / "plan.json"
    file.write_text(file.read_text().replace('"after": 600', '"after": 6000'))
    ran = run("show", str(file))
    assert ran.code == 1
    assert "changed after it was written" in ran.err


def test_show_reads_standard_input(saved: Path) -> None:
    """A dash is standard input."""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "amsctl.cli.main", "show", "-"],
        input=(saved / "plan.json").read_bytes(),
        capture_output=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=True,
    )
    assert done.stdout.decode().splitlines()[-1].startswith("Plan: 11 changes")


# --- completion ---


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(run: Run, shell: str) -> None:
    """The script calls back with the variable that the boundary listens to."""
    ran = run("completion", shell)
    assert ran.code == 0
    assert f"_AMSCTL_COMPLETE={shell}_complete" in ran.out


def test_completion_answers(monkeypatch: pytest.MonkeyPatch, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """The shell's question is answered with commands and options."""
    for words, at, expected in (
        ("amsctl va", "1", "plain,validate"),
        ("amsctl get li", "2", "plain,limits"),
        ("amsctl plan --acc", "2", "plain,--account"),
    ):
        monkeypatch.setenv("_AMSCTL_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", at)
        assert run().code == 0
        assert capsys.readouterr().out.splitlines() == [expected]


# --- files ---


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure in the middle leaves the old text and no stray file."""
    file = tmp_path / "x"
    file.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(FileFailure, match="No space left"):
        write_atomically(str(file), "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_links_are_followed_and_modes_kept(tmp_path: Path) -> None:
    """A link stays a link; a new file gets the usual mode."""
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old")
    real.chmod(0o600)
    link.symlink_to(real)
    write_atomically(str(link), "new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert real.stat().st_mode & 0o777 == 0o600
    mask = os.umask(0o027)
    try:
        write_atomically(str(tmp_path / "fresh"), "x")
    finally:
        os.umask(mask)
    assert (tmp_path / "fresh").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    "way", ["plan.json", "out/plan.json", "accounts/../plan.json", "../beside/to-the-repository", "../beside/in/plan.json", "two"]
)
def test_a_link_inside_a_repository_is_not_written_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """A commit can bring it: as the file, as a folder on the way to it, or behind a link of the user's own. What it leads to stays as it is."""
    repository, elsewhere, beside = tmp_path / "repo", tmp_path / "elsewhere", tmp_path / "beside"
    for folder in (repository / ".git", repository / "accounts", elsewhere, beside):
        folder.mkdir(parents=True)
    (elsewhere / "plan.json").write_text("another's")
    for link, target in (
        ("plan.json", "../elsewhere/plan.json"),
        ("out", "../elsewhere"),
        ("two", "accounts/two"),
        ("accounts/two", "../two2"),
    ):
        (repository / link).symlink_to(target)
    (repository / "two2").symlink_to(elsewhere / "new.json")
    (beside / "to-the-repository").symlink_to("../repo/plan.json")
    (beside / "in").symlink_to(repository)
    monkeypatch.chdir(repository)
    for path in (way, str(repository / way)):
        with pytest.raises(FileFailure, match="not written through a link inside a git repository") as caught:
            write_atomically(path, "new")
        assert "is a link to " in str(caught.value)
    assert [(path.name, path.read_text()) for path in elsewhere.iterdir()] == [("plan.json", "another's")]
    write_atomically("accounts/plan.json", "new")  # no link on the way
    write_atomically(str(beside / "in" / "accounts" / "plan.json"), "newer")  # the user's own link, into the repository
    assert (repository / "accounts" / "plan.json").read_text() == "newer"


def test_links_without_end_are_the_system_s_to_refuse(tmp_path: Path) -> None:
    """A loop outside of a repository fails as it does everywhere."""
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(FileFailure, match="cannot write the file"):
        write_atomically(str(tmp_path / "loop"), "x")


def test_no_command_writes_through_a_link_of_a_commit(run: Run, tmp_path: Path) -> None:
    """fmt of a link that is named, and the events of a run."""
    (tmp_path / "outside.yaml").write_text(ACCOUNT.replace("kind: Account", "kind:  Account"))
    before = (tmp_path / "outside.yaml").read_text()
    repository = tmp_path / "repo"
    (repository / ".git").mkdir(parents=True)
    (repository / "a.yaml").symlink_to("../outside.yaml")
    ran = run("-C", str(repository), "fmt", "a.yaml")
    assert (ran.code, "not written through a link" in ran.err) == (1, True)
    with ExitStack() as stack, pytest.raises(FileFailure):
        around_of(Session(Console()), consent="", barrier=None, reason=None, events_path=str(repository / "a.yaml"), stack=stack)
    assert (tmp_path / "outside.yaml").read_text() == before


def test_devices_are_written_into() -> None:
    """What is no regular file is not replaced by one."""
    write_atomically("/dev/null", "x")
    assert not os.path.isfile("/dev/null")


def test_failures_name_the_file(tmp_path: Path) -> None:
    """Missing folders and files are told with their name."""
    with pytest.raises(FileFailure, match=r"cannot write the file: No such file or directory \(.*nope/x\)"):
        write_atomically(str(tmp_path / "nope" / "x"), "x")
    with pytest.raises(FileFailure, match="cannot read the file: Is a directory"):
        read_json(str(tmp_path))


def test_too_large_a_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading stops at the limit."""
    monkeypatch.setattr("amsctl.cli.files.MAX_JSON_BYTES", 10)
    (tmp_path / "x").write_text("[" + "1," * 50 + "1]")
    with pytest.raises(PlanFileError, match="too large"):
        read_json(str(tmp_path / "x"))


def test_a_bom_is_tolerated(tmp_path: Path) -> None:
    """Editors add one."""
    (tmp_path / "x").write_text("\ufeff[1]", encoding="utf-8")
    assert read_json(str(tmp_path / "x")) == [1]


def test_a_project_further_up_is_named(run: Run, tmp_path: Path) -> None:
    """Whoever stands in a folder of the repository is told where the project file is."""
    (tmp_path / "amsctl.yaml").write_text("")
    (tmp_path / "accounts" / "softs").mkdir(parents=True)
    ran = run("-C", str(tmp_path / "accounts" / "softs"), "validate")
    assert (ran.code, ran.out) == (1, "")
    assert f"there is one in {tmp_path.resolve()}:" in ran.err


def test_a_missing_choice_is_told_on_one_line(run: Run) -> None:
    """click's list of choices is not shown as escaped line ends."""
    assert "Choose from: bash, zsh, fish" in " ".join(run("completion").err.split())


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ("<<<<<<< ours\n  status: Active\n=======\n  status: Inactive\n>>>>>>> theirs\n", "(a.yaml:4:1); keep what is meant"),
        ("  executionFirms: {3N1: {limits: {CJ.FUT.NYMEX: {ef: {long: 1,000}}}}}\n", "write 1000, not 1,000"),
    ],
)
def test_everyday_mistakes_are_named(run: Run, tmp_path: Path, limits: str, words: str) -> None:
    """A merge conflict and a thousands separator are told for what they are."""
    head = "apiVersion: amsctl/v1\nkind: Account\nmetadata: {clearingFirm: F, accountNumber: A}\n"
    spec = limits if limits.startswith("<") else f"spec:\n{limits}"
    (tmp_path / "a.yaml").write_text(head + spec)
    ran = run("-C", str(tmp_path), "validate", "a.yaml")
    assert ran.code == 1
    assert words in ran.err
