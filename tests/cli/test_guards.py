"""Guards at the command line: a plan that is held up is shown and saved, apply refuses it until it is overridden by name, and the base branch decides."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from amsctl.sandbox.server import Sandbox
from tests.cli.conftest import Run

ROW = ("3N1", "CJ.FUT.NYMEX")


def wish(project: Path, *, long: int = 300, short: int = 600, more: str = "") -> None:
    """The account of the project, with other limits."""
    account = project / "accounts" / "dv.yaml"
    text = account.read_text()
    head, _, _ = text.partition("        CJ.FUT.NYMEX")
    account.write_text(head.replace("spec:\n", f"spec:\n{more}", 1) + f"        CJ.FUT.NYMEX: {{ef: {{long: {long}, short: {short}}}}}\n")


def saved(run: Run, project: Path, *arguments: str) -> tuple[str, dict[str, object]]:
    """A plan file and what is in it."""
    file = str(project / "plan.json")
    ran = run("-C", str(project), "plan", "-o", file, *arguments)
    assert ran.code == 0, ran.err
    return file, json.loads(Path(file).read_text())


def codes(plan: dict[str, object]) -> list[str]:
    return [finding["code"] for finding in plan["findings"] if finding["blocks"]]  # type: ignore[attr-defined]


def test_a_plan_that_is_held_up(run: Run, project: Path, sandbox: Sandbox) -> None:
    """Shown and saved with measure, threshold, place and remedy; refused with 3 and the words that let it pass; then carried out and recorded."""
    wish(project, long=3240)
    file, plan = saved(run, project)
    digest = str(plan["digest"])
    assert codes(plan) == ["guard-raised", "guard-jumps-up"]
    shown = run("show", file).out
    assert "guard-jumps-up" in shown
    assert "accounts/dv.yaml" in json.dumps(plan["findings"])
    refused = run("-C", str(project), "apply", file)
    assert (refused.code, sandbox.log.calls("POST")) == (3, [])
    said = f"amsctl apply FILE --override raised@{digest[:39]} --override jumpsUp@{digest[:39]}"
    assert said in refused.err
    half = run("-C", str(project), "apply", file, "--override", f"raised@{digest[:39]}")
    assert (half.code, sandbox.log.calls("POST")) == (3, [])
    assert "guard-jumps-up" in half.err
    words = said.split()[3:]
    applied = run("-C", str(project), "apply", file, *words, "--reason", "RISK-7")
    assert applied.code == 0, applied.err
    assert sandbox.book.account("DV10121801A").row(*ROW)[0] == 3240
    log = json.loads(run("-C", str(project), "ledger", "log", "--format", "json").out)
    assert log["runs"][0]["overrides"] == ["raised", "jumpsUp"]
    assert "overridden guards: raised, jumpsUp" in run("-C", str(project), "ledger", "log").out


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("raised", 64, "GUARD@DIGEST"),
        ("all@DIGEST", 64, "accountsChanged"),
        ("raised@", 64, "GUARD@DIGEST"),
        ("raised@sha256:0123456789ab", 3, "another plan"),
        ("raised@DIGEST8", 3, "at least 32 digits"),
    ],
)
def test_an_override_names_a_guard_and_this_plan(text: str, code: int, said: str, run: Run, project: Path, sandbox: Sandbox) -> None:
    """Anything else is refused before anything is read, and nothing is written."""
    wish(project, long=3240)
    file, plan = saved(run, project)
    digest = str(plan["digest"])
    text = text.replace("DIGEST8", digest[:38]).replace("DIGEST", digest)
    ran = run("-C", str(project), "apply", file, "--override", text)
    assert (ran.code, sandbox.log.calls("POST")) == (code, [])
    assert said in ran.err


def test_a_fresh_plan_cannot_be_overridden(run: Run, project: Path, sandbox: Sandbox) -> None:
    """It was not looked at: neither with an override nor with --auto-approve."""
    wish(project, long=3240)
    assert run("-C", str(project), "apply", "--override", "raised@sha256:0123456789ab").code == 64
    refused = run("-C", str(project), "apply", "--auto-approve")
    assert refused.code == 3
    assert "amsctl plan -o FILE" in refused.err
    assert "--override raised@sha256" not in refused.err
    assert not sandbox.log.calls("POST")


def test_guards_that_are_off(run: Run, project: Path, sandbox: Sandbox) -> None:
    """Told in every plan; a protected environment does not take it; a plan made without does not pass by those that are there at apply."""
    wish(project, long=3240)
    settings = project / "amsctl.yaml"
    guarded = settings.read_text()
    settings.write_text(guarded + "  guards: none\n")
    file, plan = saved(run, project)
    assert (codes(plan), plan["guards"]) == ([], [])
    assert "guards: none" in run("show", file).out
    settings.write_text(guarded)
    refused = run("-C", str(project), "apply", file)
    assert (refused.code, sandbox.log.calls("POST")) == (3, [])
    assert "it was not made under" in refused.err
    protected = guarded.replace("auth:", "protected: true\n      auth:")
    settings.write_text(protected + "  guards: none\n")
    file, plan = saved(run, project)
    assert codes(plan) == ["guards-off"]
    assert run("-C", str(project), "apply", file).code == 3
    settings.write_text(protected + "  guards: {raised: none, jumpsUp: none}\n")
    file, plan = saved(run, project)
    assert codes(plan) == []
    settings.write_text(protected + "  guards: none\n")
    refused = run("-C", str(project), "apply", file)
    assert (refused.code, sandbox.log.calls("POST")) == (3, [])
    assert "a protected environment needs guards" in refused.err
    settings.write_text(protected + "  guards: {raised: none, jumpsUp: none}\n")
    assert run("-C", str(project), "apply", file).code == 0


def test_a_protected_account(run: Run, project: Path, sandbox: Sandbox) -> None:
    """A small raise is held up, a cut is not; the override by name lets it pass."""
    wish(project, long=300, short=567, more="  protected: true\n")
    _, plan = saved(run, project)
    assert codes(plan) == []
    assert plan["observed"][0]["protected"] is True  # type: ignore[index]
    wish(project, long=324, short=568)
    file, plan = saved(run, project)
    assert codes(plan) == ["guard-protected"]
    assert run("-C", str(project), "apply", file).code == 3
    assert run("-C", str(project), "apply", file, "--override", f"protected@{plan['digest']}").code == 0
    assert sandbox.book.account("DV10121801A").row(*ROW)[1] == 568
    rolled = run(
        "-C",
        str(project),
        "rollback",
        json.loads(run("-C", str(project), "ledger", "log", "--format", "json").out)["runs"][0]["id"],
        "-o",
        file,
    )
    assert rolled.code == 0, rolled.err
    assert json.loads(Path(file).read_text())["observed"][0]["protected"] is True


# --- the base branch ---


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=Jo Risk", "-c", "user.email=jo@example.com", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def merging(project: Path) -> Path:
    """The project on its main branch, with a protected account and guards of its own; on a branch, to be merged."""
    wish(project, long=324, short=567, more="  protected: true\n")
    settings = project / "amsctl.yaml"
    settings.write_text(settings.read_text() + "  guards: {raised: {factor: 1, amount: 0}}\n")
    git(project, "init", "--quiet", "--initial-branch", "main")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "-m", "limits")
    git(project, "switch", "--quiet", "-c", "change")
    return project


def test_whoever_proposes_a_change_does_not_take_its_guards_away(run: Run, merging: Path) -> None:
    """Guards off and protection out, in the commit that raises: the base branch's hold, with --base and without, and the plan names it."""
    wish(merging, long=325, short=567)
    account, settings = merging / "accounts" / "dv.yaml", merging / "amsctl.yaml"
    account.write_text(account.read_text().replace("  protected: true\n", ""))
    settings.write_text(settings.read_text().replace("guards: {raised: {factor: 1, amount: 0}}", "guards: none"))
    _, alone = saved(run, merging)
    assert codes(alone) == ["guard-raised", "guard-protected"]
    _, plan = saved(run, merging, "--base", "main")
    assert codes(plan) == ["guard-raised", "guard-protected"]
    assert plan["source"]["base"] == {  # type: ignore[index]
        "ref": "refs/heads/main",
        "commit": git(merging, "rev-parse", "main"),
        "unprotected": ["GREENTEA_API_CLEARING2/DV10121801A"],
    }
    _, part = saved(run, merging, "--base", "main", "--account", "DV10121801A")
    assert codes(part) == ["guard-raised", "guard-protected"]


def test_a_rollback_keeps_the_protection_that_its_run_was_planned_under(run: Run, merging: Path) -> None:
    """The manifest says so no longer, the base branch did: the way back is held to it as well."""
    wish(merging, long=325, short=560)
    account = merging / "accounts" / "dv.yaml"
    account.write_text(account.read_text().replace("  protected: true\n", ""))
    file, plan = saved(run, merging, "--base", "main")
    words = [word for guard in ("raised", "protected") for word in ("--override", f"{guard}@{plan['digest']}")]
    applied = run("-C", str(merging), "apply", file, *words)
    assert applied.code == 0, applied.err
    done = json.loads(run("-C", str(merging), "ledger", "log", "--format", "json").out)["runs"][0]["id"]
    assert run("-C", str(merging), "rollback", done, "-o", file).code == 0
    back = json.loads(Path(file).read_text())
    assert back["observed"][0]["protected"] is True
    assert "guard-protected" in codes(back)


def test_a_protected_manifest_that_is_gone_is_held_up(run: Run, merging: Path) -> None:
    """Also when nothing else changes: another account alone is left."""
    account = merging / "accounts" / "dv.yaml"
    other = account.read_text().replace("DV10121801A", "DV101218B").partition("spec:")[0] + "spec: {}\n"
    account.write_text(other)
    file, plan = saved(run, merging, "--base", "main")
    assert (codes(plan), plan["changes"]) == (["guard-protected"], [])
    assert run("-C", str(merging), "apply", file).code == 3


@pytest.mark.parametrize("place", ["accounts/DV.YAML", "named.txt", "link"])
def test_whatever_the_reader_finds_on_the_branch_it_finds_on_the_base(place: str, run: Run, merging: Path) -> None:
    """A name in capitals, a file that the project names, a link; and a folder in which nothing is read: no protection drops out unnoticed."""
    git(merging, "switch", "--quiet", "main")
    account, settings = merging / "accounts" / "dv.yaml", merging / "amsctl.yaml"
    text = account.read_text()
    account.unlink()
    (merging / "halts").mkdir()
    (merging / "halts" / ".gitkeep").touch()
    if place == "link":
        (merging / "kept").mkdir()
        (merging / "kept" / "dv.yaml").write_text(text)
        (merging / "accounts").rmdir()
        (merging / "accounts").symlink_to("kept")
    else:
        (merging / place).write_text(text)
        (merging / "accounts" / ".gitkeep").touch()
    more = ", named.txt" if place == "named.txt" else ""
    settings.write_text(settings.read_text().replace("manifests: [accounts]", f"manifests: [accounts, halts{more}]"))
    git(merging, "add", "--all", ".")
    git(merging, "commit", "--quiet", "-m", "moved")
    git(merging, "switch", "--quiet", "-C", "change")
    read = next(path for path in (merging / "kept" / "dv.yaml", merging / place) if path.is_file())
    read.write_text(text.replace("  protected: true\n", ""))
    _, plan = saved(run, merging, "--base", "main")
    assert codes(plan) == ["guard-protected"]


def test_a_protection_by_another_name_of_the_firm_is_kept(run: Run, merging: Path) -> None:
    """The firm may be called by its clearing id: it is the same account."""
    account = merging / "accounts" / "dv.yaml"
    account.write_text(account.read_text().replace("GREENTEA_API_CLEARING2", '"780"'))
    _, plan = saved(run, merging, "--base", "main")
    assert codes(plan) == []
    account.write_text(account.read_text().replace("  protected: true\n", ""))
    _, plan = saved(run, merging, "--base", "main")
    assert codes(plan) == ["guard-protected"]


def test_a_base_branch_that_cannot_be_found_is_an_error(run: Run, merging: Path) -> None:
    """What should guard a change is never left out because it cannot be read."""
    unknown = run("-C", str(merging), "plan", "--base", "origin/main")
    assert unknown.code == 1
    assert "the branch of record is not known" in unknown.err
    assert "git fetch origin main" in unknown.err


def test_a_broken_base_can_be_mended_under_the_last_rules_that_could_be_read(run: Run, merging: Path) -> None:
    """The request that mends it is planned, and told with file and line; guards and protections are those from before it broke."""
    git(merging, "switch", "--quiet", "main")
    (merging / "amsctl.yaml").write_text("apiVersion: amsctl/v1\nkind: Project\nspec: {guards: all}\n")
    git(merging, "commit", "--quiet", "-am", "broken")
    git(merging, "switch", "--quiet", "change")
    wish(merging, long=325, short=567)
    _, plan = saved(run, merging, "--base", "main")
    assert codes(plan) == ["guard-raised", "guard-protected"]
    told = [finding["message"] for finding in plan["findings"] if finding["code"] == "base-broken"]  # type: ignore[attr-defined]
    assert "amsctl.yaml:3:16" in told[0]


def test_a_protected_account_of_a_firm_that_is_gone_is_told(run: Run, merging: Path) -> None:
    """The AMS does not know its firm any more: it stays as it was written."""
    git(merging, "switch", "--quiet", "main")
    gone = (merging / "accounts" / "dv.yaml").read_text().replace("GREENTEA_API_CLEARING2", "OLDTEA")
    (merging / "accounts" / "old.yaml").write_text(gone)
    git(merging, "add", ".")
    git(merging, "commit", "--quiet", "-m", "old")
    git(merging, "switch", "--quiet", "change")
    _, plan = saved(run, merging, "--base", "main")
    assert plan["source"]["base"]["unprotected"] == ["OLDTEA/DV10121801A"]  # type: ignore[index]
    assert codes(plan) == ["guard-protected"]


def test_a_base_branch_without_a_project_sends_nothing_anywhere(run: Run, project: Path, sandbox: Sandbox) -> None:
    """With --base the project file is merged first; a person without it plans under the file here, and the plan says that it cannot be approved."""
    git(project, "init", "--quiet", "--initial-branch", "main")
    (project / "README").write_text("limits\n")
    git(project, "add", "README")
    git(project, "commit", "--quiet", "-m", "first")
    wish(project, long=3240)
    refused = run("-C", str(project), "plan", "--base", "main")
    assert (refused.code, sandbox.log.calls("GET")) == (1, [])
    assert "merge the project file first" in refused.err
    assert "or, to try things out, use a folder that is in no git repository" in refused.err
    _, plan = saved(run, project)
    assert codes(plan) == ["guard-raised", "guard-jumps-up"]
    assert plan["source"]["base"] is None  # type: ignore[index]
    assert "not-approvable" in [finding["code"] for finding in plan["findings"]]  # type: ignore[attr-defined]


def test_the_base_of_a_folder_in_a_repository(run: Run, project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The limits repository may be a folder of a larger one: the same folder is looked at on the base branch."""
    root = tmp_path_factory.mktemp("repository")
    project = Path(shutil.copytree(project, root / "limits"))
    git(root, "init", "--quiet", "--initial-branch", "main")
    wish(project, long=324, short=567, more="  protected: true\n")
    git(root, "add", project.name)
    git(root, "commit", "--quiet", "-m", "limits")
    wish(project, long=325, short=567)
    _, plan = saved(run, project, "--base", "main")
    assert codes(plan) == ["guard-protected"]
