"""Which repository a folder belongs to: found upwards by us and by git, and nothing that a commit brings along is one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from amsctl.provenance.facts import Unknown
from amsctl.provenance.refs import head
from amsctl.provenance.repository import Repository, find, setting
from tests.provenance.repositories import Repo, found, reason


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = Repo(tmp_path / "repo")
    made.commit({"limits/eu/amsctl.yaml": "a: b\n"})
    return made


def bare(folder: Path, tmp_path: Path) -> None:
    """A bare repository whose main is not ours, as a commit could bring it along."""
    other = Repo(tmp_path / "other")
    other.commit({"evil": "x\n"})
    shutil.copytree(other.folder / ".git", folder, dirs_exist_ok=True)
    config = folder / "config"
    config.write_text(config.read_text().replace("bare = false", "bare = true"))


def test_it_is_the_nearest_upwards_and_names_itself(repo: Repo, tmp_path: Path) -> None:
    """With links resolved, and the place of the project below its top."""
    (tmp_path / "link").symlink_to(repo.folder / "limits")
    repository = found(tmp_path / "link" / "eu")
    assert (repository.top, repository.prefix, str(repository)) == (str(repo.folder), "limits/eu", str(repo.folder))
    assert (repository.digits, repository.shallow) == (40, False)
    assert repository.below("amsctl.yaml") == "limits/eu/amsctl.yaml"
    assert repository.below("../signers") == "limits/signers"
    assert found(repo.folder).prefix == ""
    assert found(repo.folder).below("./a//b") == "a/b"
    nested = Repo(repo.folder / "limits" / "own")
    assert found(nested.folder).top == str(nested.folder)


def test_without_one_there_is_none(tmp_path: Path) -> None:
    """Not unknown: no folder upwards holds .git."""
    assert find(tmp_path) is None


@pytest.mark.parametrize("place", ["limits/eu", "limits", "."])
def test_a_bare_repository_is_not_one(place: str, repo: Repo, tmp_path: Path) -> None:
    """In the project's folder, between it and the top, and at the top: the repository and its branches are those around it."""
    commit = repo.git("rev-parse", "HEAD")
    bare(repo.folder / place, tmp_path)
    repository = found(repo.folder / "limits" / "eu")
    assert repository.top == str(repo.folder)
    at = head(repository)
    assert not isinstance(at, Unknown)
    assert at is not None
    assert at.commit == commit


def test_a_bare_repository_is_not_one_where_git_is_broken(repo: Repo, tmp_path: Path) -> None:
    """Where .git is none, git itself would go on to look in the folder, and above."""
    bare(repo.folder, tmp_path)
    shutil.rmtree(repo.folder / ".git")
    assert find(repo.folder / "limits") is None
    (repo.folder / ".git").mkdir()
    assert "cannot be used: git says:" in reason(find(repo.folder / "limits"))
    Repo(tmp_path)
    assert "cannot be used: git says:" in reason(find(repo.folder / "limits"))


@pytest.mark.parametrize("name", [".GIT", ".Git", "git~1", ".git ", ".g\u200cit"])
def test_what_is_only_like_git_is_not_one(name: str, repo: Repo, tmp_path: Path) -> None:
    """Spelled otherwise, it is something that a commit has brought along."""
    bare(repo.folder / "limits" / name, tmp_path)
    assert found(repo.folder / "limits" / "eu").top == str(repo.folder)


def test_another_spelling_on_a_file_system_that_takes_it(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where .GIT answers to .git, the folder's own list of names decides."""
    bare(repo.folder / "limits" / ".GIT", tmp_path)
    exists = os.path.lexists
    monkeypatch.setattr(os.path, "lexists", lambda path: exists(path) or exists(str(path).replace(".git", ".GIT")))
    assert found(repo.folder / "limits" / "eu").top == str(repo.folder)


def test_a_folder_that_cannot_be_listed_is_unknown(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not passed over."""

    def refuse(path: str) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", refuse)
    assert "cannot be listed: Permission denied" in reason(find(repo.folder))


def test_a_linked_worktree_is_one(repo: Repo, tmp_path: Path) -> None:
    """Its .git is a file that leads into the repository; also where the worktree lies inside of it."""
    for folder in (tmp_path / "tree", repo.folder / "inner"):
        repo.git("worktree", "add", "--quiet", "-b", folder.name, str(folder))
        repository = found(folder / "limits")
        assert (repository.top, repository.prefix) == (str(folder), "limits")
        at = head(repository)
        assert isinstance(at, object)
        assert getattr(at, "ref", "") == f"refs/heads/{folder.name}"


def test_a_repository_kept_elsewhere_is_one(tmp_path: Path) -> None:
    """git init --separate-git-dir, and .git as a link to a folder."""
    repo = Repo(tmp_path / "tree", "--separate-git-dir", str(tmp_path / "kept"))
    commit = repo.commit({"a": "b"})
    assert found(repo.folder).git_folder == str(tmp_path / "kept")
    (repo.folder / ".git").unlink()
    (repo.folder / ".git").symlink_to(tmp_path / "kept")
    at = head(found(repo.folder))
    assert getattr(at, "commit", "") == commit


def test_a_submodule_is_none(repo: Repo, tmp_path: Path) -> None:
    """A commit brings it along, and its branches with it; in a linked worktree too."""
    other = Repo(tmp_path / "other")
    other.commit({"amsctl.yaml": "a: b\n"})
    repo.git("submodule", "--quiet", "add", str(other.folder), "limits/sub")
    repo.commit()
    assert f"is a submodule of {repo.folder}" in reason(find(repo.folder / "limits" / "sub"))
    repo.git("worktree", "add", "--quiet", "-b", "second", str(tmp_path / "second"))
    second = Repo.clone(repo.folder, tmp_path / "clone", "--recurse-submodules")
    assert "clone it on its own" in reason(find(second.folder / "limits" / "sub"))
    assert found(other.folder).top == str(other.folder)


def test_a_pointer_that_only_looks_like_that_of_a_worktree(repo: Repo, tmp_path: Path) -> None:
    """A folder called worktrees without a pointer back, or with one that leads elsewhere: brought along. One kept outside is a repository."""
    inner, kept = repo.folder / "limits", repo.folder / "worktrees" / "x"
    other = Repo(tmp_path / "other")
    other.commit({"a": "b"})
    shutil.copytree(other.folder / ".git", kept)
    (inner / ".git").write_text("gitdir: ../worktrees/x\n")
    assert "is a submodule of" in reason(find(inner))
    (kept / "gitdir").write_text(f"{tmp_path}/elsewhere/.git\n")
    assert "is a submodule of" in reason(find(inner))
    shutil.copytree(other.folder / ".git", tmp_path / "apart")
    (inner / ".git").write_text(f"gitdir: {tmp_path}/apart\n")
    assert found(inner).top == str(inner)
    shutil.rmtree(repo.folder / ".git")
    (repo.folder / ".git").write_text("nonsense\n")
    assert found(inner).top == str(inner)


def test_a_pointer_that_leads_nowhere_is_unknown(tmp_path: Path) -> None:
    """And so is one that says something else, or more than a path."""
    folder = tmp_path / "tree"
    folder.mkdir()
    for words, why in [
        ("gitdir: /nonexistent/git\n", "cannot be used: git says: not a git repository: /nonexistent/git"),
        ("nothing\n", "neither a folder nor a file that says gitdir"),
        ("gitdir: \n", "neither a folder nor a file that says gitdir"),
        ("gitdir: " + "x" * 9000, "neither a folder nor a file that says gitdir"),
    ]:
        (folder / ".git").write_text(words)
        assert why in reason(find(folder))
    (folder / ".git").unlink()
    os.mkfifo(folder / ".git")
    assert "neither a folder nor a file" in reason(find(folder))


def test_a_pointer_that_cannot_be_read_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the system's reason."""
    (tmp_path / ".git").symlink_to("nowhere")
    assert "neither a folder nor a file" in reason(find(tmp_path))
    (tmp_path / ".git").unlink()
    (tmp_path / ".git").write_text("gitdir: x\n")
    monkeypatch.setattr("builtins.open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    assert "cannot be read: Permission denied" in reason(find(tmp_path))


def test_git_must_find_the_same(repo: Repo, tmp_path: Path) -> None:
    """A pointer that we and git follow to different places is no repository."""
    other = Repo(tmp_path / "other")
    other.commit({"a": "b"})
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "git").write_text(f"#!/bin/sh\nprintf 'sha1\\nfalse\\n{other.folder}/.git\\n'\n")
    (fake / "git").chmod(0o755)
    assert "git finds another repository" in reason(find(repo.folder, {"PATH": str(fake)}))
    (fake / "git").write_text("#!/bin/sh\nprintf 'sha3\\nfalse\\n/x\\n'\n")
    assert "is too old or keeps its objects in a way not known here" in reason(find(repo.folder, {"PATH": str(fake)}))


def test_the_owner_is_checked_by_git(repo: Repo, tmp_path: Path) -> None:
    """git's own words and what to do; with safe.directory of the user it is a repository, and not with one that the environment sets."""
    environ = {"PATH": os.environ["PATH"], "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1", "HOME": str(tmp_path / "home")}
    refused = find(repo.folder, environ)
    assert "detected dubious ownership in repository" in reason(refused)
    assert f"git config --global --add safe.directory {repo.folder}" in reason(refused)
    forced = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    assert isinstance(find(repo.folder, {**environ, **forced}), Unknown)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".gitconfig").write_text(f"[safe]\n\tdirectory = {repo.folder}\n")
    assert isinstance(find(repo.folder, environ), Repository)


def test_the_owner_is_not_vouched_for_by_the_repository(repo: Repo) -> None:
    """A HOME in the repository is a folder that a commit fills."""
    repo.commit({"home/.gitconfig": "[safe]\n\tdirectory = *\n"})
    environ = {"PATH": os.environ["PATH"], "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    for home in ("HOME", "XDG_CONFIG_HOME"):
        assert isinstance(find(repo.folder, {**environ, home: str(repo.folder / "home")}), Unknown)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a folder to another")
def test_a_checkout_of_another_user(repo: Repo) -> None:
    """Truly, as in a container."""
    for path in [repo.folder, *repo.folder.rglob("*")]:
        os.chown(path, 12345, 12345, follow_symlinks=False)
    assert "safe.directory" in reason(find(repo.folder))


def test_a_repository_of_sha256(tmp_path: Path) -> None:
    """Its ids have 64 digits, and are held against their bytes alike."""
    repo = Repo(tmp_path / "repo", "--object-format=sha256")
    commit = repo.commit({"a": "b"})
    repository = repo.repository
    assert (repository.digits, len(commit)) == (64, 64)
    assert not isinstance(repository.objects.object(commit), Unknown)


def test_a_shallow_clone_is_known_as_one(repo: Repo, tmp_path: Path) -> None:
    """Some of its history is missing."""
    repo.commit()
    assert Repo.clone(f"file://{repo.folder}", tmp_path / "clone", "--depth", "1").repository.shallow


def test_what_the_configuration_says_of_the_work_tree_does_not_matter(repo: Repo) -> None:
    """Another work tree, or none."""
    at = head(repo.repository)
    for name, value in (("core.worktree", "/nonexistent"), ("core.bare", "true")):
        repo.git("config", name, value)
        assert head(repo.repository) == at


def test_a_folder_with_signs_in_its_name(tmp_path: Path) -> None:
    """What separates paths in a variable of git separates nothing here."""
    Repo(tmp_path)
    repo = Repo(tmp_path / "a:b \n'c'" / "d")
    commit = repo.commit({"e/f": "g"})
    repository = found(repo.folder / "e")
    assert getattr(head(repository), "commit", "") == commit
    shutil.rmtree(repo.folder / ".git")
    (repo.folder / ".git").mkdir()
    assert isinstance(find(repo.folder), Unknown)


def test_a_setting_of_the_person(repo: Repo, tmp_path: Path) -> None:
    """Of their repository, else their own; not set is none, and a git that fails is unknown."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[user]\n\tsigningKey = ~/.ssh/global\n")
    environ = {"PATH": os.environ["PATH"], "HOME": str(home)}
    assert setting(repo.folder, "user.signingKey", environ) == "~/.ssh/global"
    outside = tmp_path / "outside"
    outside.mkdir()
    assert setting(outside, "user.signingKey", environ) == "~/.ssh/global"
    repo.git("config", "user.signingKey", "local")
    assert setting(repo.folder, "user.signingKey", environ) == "local"
    assert setting(repo.folder, "gpg.format", environ) is None
    (home / ".gitconfig").write_text("[broken\n")
    assert "bad config line 1" in reason(setting(outside, "gpg.format", environ))
    assert "bad config line 1" in reason(setting(repo.folder, "gpg.format", environ))
    assert "no git on PATH" in reason(setting(outside, "gpg.format", {"PATH": str(tmp_path)}))
