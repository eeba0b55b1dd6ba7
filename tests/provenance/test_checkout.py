"""Manifests of a plan are those of its commit: what was read is compared with it file by file, and nothing else makes a plan dirty."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from amsctl.errors import ConfigError, ManifestErrors
from amsctl.manifests import reading
from amsctl.manifests.load import Desired, load
from amsctl.manifests.project import load_project
from amsctl.operations.committed import held_against, manifests_of
from amsctl.provenance.checkout import Checkout, Why, compare_file
from amsctl.provenance.trees import Tree, TreeFiles, tree_of
from tests.provenance.repositories import Repo, reason

PROJECT = """\
apiVersion: amsctl/v1
kind: Project
spec:
  manifests: [{manifests}]
  environments: {{test: {{url: 'http://127.0.0.1:1/', auth: {{type: none}}}}}}
"""


def account(number: int = 1, long: int = 10, more: str = "") -> str:
    limits = f"{{3N1: {{{more}limits: {{AA.FUT.CME: {{ef: {{long: {long}}}}}}}}}}}"
    return f"apiVersion: amsctl/v1\nkind: Account\nmetadata: {{clearingFirm: F, accountNumber: ACC{number}}}\nspec:\n  executionFirms: {limits}\n"


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = Repo(tmp_path / "repo")
    made.commit(
        {
            "limits/amsctl.yaml": PROJECT.format(manifests="accounts"),
            "limits/accounts/a.yaml": account(1),
            "limits/accounts/b.yaml": account(2),
        }
    )
    return made


def tree(repo: Repo) -> Tree:
    found = tree_of(repo.repository, repo.git("rev-parse", "HEAD"))
    assert isinstance(found, Tree)
    return found


def read(repo: Repo, paths: Sequence[str] | None = None) -> Desired:
    return load(load_project(repo.folder / "limits"), paths, base=str(repo.folder / "limits"))


def checked(repo: Repo, paths: Sequence[str] | None = None) -> Checkout:
    desired = read(repo, paths)
    found = held_against(tree(repo), load_project(repo.folder / "limits"), desired, paths=paths, base=str(repo.folder / "limits"))
    assert isinstance(found, Checkout), found
    return found


def differences(repo: Repo, paths: Sequence[str] | None = None) -> list[tuple[str, Why]]:
    found = checked(repo, paths)
    assert found.clean is not bool(found.differences)
    return [(one.path, one.why) for one in found.differences]


def test_a_clean_checkout(repo: Repo) -> None:
    """Whatever else lies there: files of the pipeline, of people, of amsctl itself, changed files that are no manifests."""
    repo.commit({"README": "x", "limits/accounts/notes.txt": "x", "limits/other/x.yaml": "x: y\n"})
    plan = '{"format": "amsctl.plan/v1"}'
    repo.write({"plan.md": "x", "limits/plan.json": plan, "limits/accounts/plan.json": plan, "README": "y", "limits/accounts/notes.txt": "y",
                "limits/other/x.yaml": "changed: z\n", "limits/accounts/.hidden/x.yaml": "x: y\n"})  # fmt: skip
    (repo.folder / ".git/index").write_bytes(b"broken")
    found = checked(repo)
    assert (found.clean, found.differences, found.line_ends) == (True, (), ())
    assert found.commit == repo.git("rev-parse", "HEAD")


@pytest.mark.parametrize(
    "hide",
    [
        ["update-index", "--assume-unchanged", "limits/accounts/a.yaml"],
        ["update-index", "--skip-worktree", "limits/accounts/a.yaml"],
        ["config", "core.fileMode", "false"],
        ["config", "core.trustctime", "false"],
        ["config", "diff.ignoreSubmodules", "all"],
    ],
)
def test_a_changed_file_that_git_is_told_not_to_look_at(hide: list[str], repo: Repo) -> None:
    """Flags of the index and settings change nothing."""
    repo.git(*hide)
    repo.write({"limits/accounts/a.yaml": account(1, 99)})
    assert differences(repo) == [("limits/accounts/a.yaml", Why.CHANGED)]


@pytest.mark.parametrize("how", ["ignored", "exclude", "untracked", "global"])
def test_a_file_that_is_not_committed(how: str, repo: Repo) -> None:
    """Ignored by a commit, by the clone or by a setting, or simply not added."""
    if how == "ignored":
        repo.commit({".gitignore": "local*\n"})
    elif how == "exclude":
        (repo.folder / ".git/info/exclude").write_text("local*\n")
    elif how == "global":
        repo.git("config", "status.showUntrackedFiles", "no")
    repo.write({"limits/accounts/local.yaml": account(3, 99)})
    assert differences(repo) == [("limits/accounts/local.yaml", Why.NOT_COMMITTED)]


def test_staged_is_not_committed(repo: Repo) -> None:
    """The index is not asked."""
    repo.write({"limits/accounts/a.yaml": account(1, 99), "limits/accounts/new.yaml": account(3)})
    repo.git("add", ".")
    assert differences(repo) == [("limits/accounts/a.yaml", Why.CHANGED), ("limits/accounts/new.yaml", Why.NOT_COMMITTED)]


def test_what_was_deleted_is_told(repo: Repo) -> None:
    """An account that drops out by accident is named."""
    (repo.folder / "limits/accounts/b.yaml").unlink()
    found = checked(repo)
    assert str(found.differences[0]) == (
        "limits/accounts/b.yaml is in the commit and was not read: deleted, or left out of a sparse checkout"
    )


def test_a_sparse_checkout_is_told(repo: Repo) -> None:
    """git itself says that nothing has changed."""
    repo.git("sparse-checkout", "set", "--no-cone", "/*", "!/limits/accounts/b.yaml")
    assert not (repo.folder / "limits/accounts/b.yaml").exists()
    assert repo.git("status", "--porcelain") == ""
    assert differences(repo) == [("limits/accounts/b.yaml", Why.NOT_HERE)]


def test_a_whole_folder_that_is_not_there(repo: Repo) -> None:
    """One that the project names is an error of the reader; one below it is told."""
    repo.commit({"limits/accounts/desk/c.yaml": account(3)})
    (repo.folder / "limits/accounts/desk/c.yaml").unlink()
    (repo.folder / "limits/accounts/desk").rmdir()
    assert differences(repo) == [("limits/accounts/desk/c.yaml", Why.NOT_HERE)]


@pytest.mark.parametrize("fetched", [False, True])
def test_a_submodule_is_told_fetched_or_not(fetched: bool, repo: Repo, tmp_path: Path) -> None:
    """Never an empty folder: who wrote what it holds is not known."""
    desk = Repo(tmp_path / "desk")
    desk.commit({"c.yaml": account(3)})
    repo.git("submodule", "--quiet", "add", str(desk.folder), "limits/accounts/desk-b")
    repo.commit()
    clone = Repo.clone(repo.folder, tmp_path / "clone", *(["--recurse-submodules"] if fetched else []))
    told = [("limits/accounts/desk-b", Why.SUBMODULE)]
    assert differences(clone) == told + ([("limits/accounts/desk-b/c.yaml", Why.NOT_COMMITTED)] if fetched else [])
    named = clone.folder / "limits/amsctl.yaml"
    named.write_text(PROJECT.format(manifests="accounts/a.yaml, accounts/desk-b"))
    assert told[0] in differences(clone)


def test_a_place_within_a_submodule_is_told(repo: Repo, tmp_path: Path) -> None:
    """Also where the project names a folder deep in it, or a link leads into it."""
    desk = Repo(tmp_path / "desk")
    desk.commit({"deep/c.yaml": account(3)})
    repo.git("submodule", "--quiet", "add", str(desk.folder), "limits/vendor")
    (repo.folder / "limits/accounts/link").symlink_to("../vendor/deep")
    repo.git("add", ".")
    repo.commit({"limits/amsctl.yaml": PROJECT.format(manifests="accounts")})
    (repo.folder / "limits/accounts/link").unlink()
    assert ("limits/vendor", Why.SUBMODULE) in differences(repo)


def test_line_ends_of_a_checkout(repo: Repo, tmp_path: Path) -> None:
    """CRLF where the commit has LF is the commit; a commit with CRLF is itself; anything else is a change."""
    repo.commit({".gitattributes": "* text=auto\n"})
    windows = Repo.clone(repo.folder, tmp_path / "clone", "-c", "core.autocrlf=true")
    assert b"\r\n" in (windows.folder / "limits/accounts/a.yaml").read_bytes()
    found = checked(windows)
    assert (found.clean, found.line_ends) == (True, ("limits/accounts/a.yaml", "limits/accounts/b.yaml"))
    there = manifests_of(tree(windows), load_project(windows.folder / "limits"))
    assert there.manifests_sha256 == read(repo).manifests_sha256 != read(windows).manifests_sha256
    windows.write({"limits/accounts/a.yaml": account(1, 99).replace("\n", "\r\n")})
    assert differences(windows) == [("limits/accounts/a.yaml", Why.CHANGED)]
    repo.git("config", "core.autocrlf", "false")
    repo.commit({".gitattributes": "* -text\n", "limits/accounts/a.yaml": account(1).replace("\n", "\r\n")})
    assert (checked(repo).clean, checked(repo).line_ends) == (True, ())
    repo.write({"limits/accounts/a.yaml": account(1)})
    assert differences(repo) == [("limits/accounts/a.yaml", Why.CHANGED)]


def test_a_link_on_disk_for_a_file_of_the_commit(repo: Repo) -> None:
    """What was read lies elsewhere: neither is the commit's."""
    path = repo.folder / "limits/accounts/a.yaml"
    repo.write({"limits/elsewhere.yaml": path.read_text()})
    path.unlink()
    path.symlink_to("../elsewhere.yaml")
    assert differences(repo) == [("limits/accounts/a.yaml", Why.NOT_HERE), ("limits/elsewhere.yaml", Why.NOT_COMMITTED)]


def test_links_of_the_commit_are_followed_as_on_disk(repo: Repo) -> None:
    """To files and to folders; each file once."""
    repo.write({"limits/kept/c.yaml": account(3)})
    (repo.folder / "limits/accounts/kept").symlink_to("../kept")
    (repo.folder / "limits/accounts/again.yaml").symlink_to("../kept/c.yaml")
    repo.git("add", ".")
    repo.commit()
    assert differences(repo) == []
    assert [account.key.number for account in manifests_of(tree(repo), load_project(repo.folder / "limits")).accounts()] == [
        "ACC1",
        "ACC2",
        "ACC3",
    ]


def test_a_part_is_compared_in_part(repo: Repo) -> None:
    """Paths of the command line: the files that they name, and those in which a profile was looked for."""
    repo.commit(
        {
            "limits/accounts/p.yaml": "apiVersion: amsctl/v1\nkind: LimitProfile\nmetadata: {name: softs}\nspec: {limits: {CC.FUT.NYMEX: {ef: {long: 1}}}}\n"
        }
    )
    repo.write({"limits/accounts/b.yaml": account(2, 99)})
    assert differences(repo, ["accounts/a.yaml"]) == []
    assert differences(repo, ["accounts"]) == [("limits/accounts/b.yaml", Why.CHANGED)]
    repo.commit({"limits/accounts/a.yaml": account(1, more="profiles: [softs], ")})
    repo.write({"limits/accounts/b.yaml": account(2, 98)})
    assert differences(repo, ["accounts/a.yaml"]) == [("limits/accounts/b.yaml", Why.CHANGED)]
    (repo.folder / "limits/accounts/b.yaml").unlink()
    assert differences(repo, ["accounts/a.yaml"]) == [("limits/accounts/b.yaml", Why.NOT_HERE)]


def test_a_file_outside_of_the_repository(repo: Repo, tmp_path: Path) -> None:
    """It is nobody's commit."""
    (tmp_path / "out.yaml").write_text(account(9))
    assert differences(repo, [str(tmp_path / "out.yaml")])[0] == (str(tmp_path / "out.yaml"), Why.NOT_COMMITTED)


def test_a_commit_that_its_reader_would_refuse(repo: Repo) -> None:
    """A link that leads out, repaired on disk alone: the path is told."""
    (repo.folder / "limits/accounts/c.yaml").symlink_to("/etc/hosts")
    repo.git("add", ".")
    repo.commit()
    (repo.folder / "limits/accounts/c.yaml").unlink()
    repo.write({"limits/accounts/c.yaml": account(3)})
    assert ("limits/accounts/c.yaml", Why.NOT_COMMITTED) in differences(repo)
    (repo.folder / "limits/accounts/c.yaml").unlink()
    assert differences(repo) == [("limits/accounts/c.yaml", Why.CHANGED)]
    with pytest.raises(ManifestErrors) as refused:
        manifests_of(tree(repo), load_project(repo.folder / "limits"))
    assert [one.code for one in refused.value.diagnostics] == ["link-outside"]


def test_an_output_of_amsctl_that_is_a_manifest_on_one_side(repo: Repo) -> None:
    """What the commit has as a manifest and the disk as a plan was not read; the other way round it is not committed."""
    manifest = '{"apiVersion": "amsctl/v1", "kind": "LimitProfile", "metadata": {"name": "x"}, "spec": {"limits": {}}}'
    plan = '{"format": "amsctl.plan/v1"}'
    repo.commit({"limits/accounts/x.json": plan})
    assert differences(repo) == []
    repo.write({"limits/accounts/x.json": manifest})
    assert differences(repo) == [("limits/accounts/x.json", Why.CHANGED)]
    repo.commit({"limits/accounts/x.json": manifest})
    repo.write({"limits/accounts/x.json": plan})
    assert differences(repo) == [("limits/accounts/x.json", Why.NOT_HERE)]


@pytest.mark.parametrize("lost", ["limits/accounts", "limits/accounts/x.json"])
def test_a_commit_that_cannot_be_read_is_unknown(lost: str, repo: Repo) -> None:
    """Neither clean nor dirty."""
    repo.commit({"limits/accounts/x.json": '{"format": "amsctl.plan/v1"}'})
    desired, project, found = read(repo), load_project(repo.folder / "limits"), tree(repo)
    object_id = repo.git("rev-parse", f"HEAD:{lost}")
    (repo.folder / ".git/objects" / object_id[:2] / object_id[2:]).unlink()
    assert f"the object {object_id} is missing" in reason(held_against(found, project, desired))


def test_one_file_alone(repo: Repo) -> None:
    """Such as the project file."""
    path = repo.folder / "limits/amsctl.yaml"
    for content, clean in ((path.read_bytes(), True), (b"other", False)):
        found = compare_file(tree(repo), str(path), content)
        assert isinstance(found, Checkout)
        assert found.clean is clean


def test_a_repository_of_sha256(tmp_path: Path) -> None:
    """Ids of either kind."""
    repo = Repo(tmp_path / "repo", "--object-format=sha256")
    repo.commit({"limits/amsctl.yaml": PROJECT.format(manifests="accounts"), "limits/accounts/a.yaml": account(1)})
    assert differences(repo) == []
    repo.write({"limits/accounts/a.yaml": account(1, 99)})
    assert differences(repo) == [("limits/accounts/a.yaml", Why.CHANGED)]


# --- manifests of a commit ---


def test_manifests_of_a_commit_are_those_of_a_checkout(repo: Repo, tmp_path: Path) -> None:
    """Accounts, places, digest and files: without a checkout, and whatever the disk holds now."""
    clone = read(Repo.clone(repo.folder, tmp_path / "clone"))
    found, project = tree(repo), load_project(repo.folder / "limits")
    (repo.folder / "limits/accounts/b.yaml").unlink()
    repo.write({"limits/accounts/a.yaml": "nonsense", "limits/accounts/c.yaml": account(3)})
    there = manifests_of(found, project)
    assert there.manifests_sha256 == clone.manifests_sha256
    assert (list(there.accounts()), list(there.headers()), there.files) == (list(clone.accounts()), list(clone.headers()), clone.files)


def test_errors_of_a_commit_have_their_place(repo: Repo) -> None:
    """File, line and column, as on disk; a file that is too large, and one that is no file."""
    repo.commit(
        {"limits/accounts/a.yaml": account(1).replace("long: 10", "long: 1o"), "limits/accounts/big.yaml": b"#" * (10 * 1024 * 1024 + 1)}
    )
    with pytest.raises(ManifestErrors) as refused:
        manifests_of(tree(repo), load_project(repo.folder / "limits"))
    wrong = {str(one.source): one.code for one in refused.value.diagnostics}
    with pytest.raises(ManifestErrors) as on_disk:
        read(repo)
    assert wrong == {str(one.source): one.code for one in on_disk.value.diagnostics}
    assert wrong["accounts/big.yaml:1:1"] == "too-large"


def test_a_project_file_of_a_commit(repo: Repo) -> None:
    """As it stands there; none where the commit has none."""
    found = tree(repo)
    repo.write({"limits/amsctl.yaml": PROJECT.format(manifests="elsewhere")})
    assert load_project(repo.folder / "limits", TreeFiles(found)).manifests == ("accounts",)
    with pytest.raises(ConfigError, match=r"no amsctl\.yaml"):
        load_project(repo.folder, TreeFiles(found))


def test_many_manifests_of_a_commit_are_read_by_several_processes(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same results in the same order, findings too."""
    repo.write({f"limits/accounts/x{number:03}.yaml": account(number) for number in range(10, 90)})
    repo.git("add", ".")
    repo.commit()
    found, project = tree(repo), load_project(repo.folder / "limits")
    alone = manifests_of(found, project)
    monkeypatch.setattr(reading, "_cores", lambda: 3)
    monkeypatch.setattr(reading, "APART_FILES", 2)
    apart = manifests_of(found, project)
    assert list(apart.accounts()) == list(alone.accounts())
    assert (apart.manifests_sha256, apart.read) == (alone.manifests_sha256, alone.read)
    assert len(apart) == 82
    repo.commit({"limits/accounts/x050.yaml": "nonsense"})
    lost = repo.git("rev-parse", "HEAD:limits/accounts/x060.yaml")
    (repo.folder / ".git/objects" / lost[:2] / lost[2:]).unlink()
    with pytest.raises(ManifestErrors) as refused:
        manifests_of(tree(repo), project)
    wrong = {one.source.file: one.found or "" for one in refused.value.diagnostics}
    assert set(wrong) == {"accounts/x050.yaml", "accounts/x060.yaml"}
    assert f"the object {lost} is missing" in wrong["accounts/x060.yaml"]


def test_a_folder_of_a_commit_that_cannot_be_read_is_an_error(repo: Repo) -> None:
    """With git's reason: never an empty folder."""
    lost = repo.git("rev-parse", "HEAD:limits/accounts")
    found, project = tree(repo), load_project(repo.folder / "limits")
    os.unlink(repo.folder / ".git/objects" / lost[:2] / lost[2:])
    with pytest.raises(ManifestErrors) as refused:
        manifests_of(found, project)
    assert f"the object {lost} is missing" in (refused.value.diagnostics[0].found or "")


def test_a_commit_whose_top_cannot_be_read_is_an_error(repo: Repo) -> None:
    """For its manifests and for its project file."""
    lost = repo.git("rev-parse", "HEAD^{tree}")
    project = load_project(repo.folder / "limits")
    os.unlink(repo.folder / ".git/objects" / lost[:2] / lost[2:])
    with pytest.raises(ManifestErrors) as refused:
        manifests_of(tree(repo), project)
    assert f"the object {lost} is missing" in (refused.value.diagnostics[0].found or "")
    with pytest.raises(ConfigError, match=f"the object {lost} is missing"):
        load_project(repo.folder / "limits", TreeFiles(tree(repo)))
