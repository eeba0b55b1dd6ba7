"""Which commit the manifests stand at: what provenance knows, and an error with git's reason where it is unknown."""

from __future__ import annotations

from pathlib import Path

import pytest

from amsctl.commit import check_merged, commit_of, contributors_of, message_of
from amsctl.errors import ConfigError, Stale
from amsctl.provenance.checkout import Checkout, Difference, Why
from amsctl.provenance.facts import Unknown
from amsctl.provenance.trees import Tree
from tests.provenance.repositories import Repo


def clean(tree: Tree) -> Checkout:
    return Checkout(commit=tree.commit, differences=(), line_ends=())


def dirty(tree: Tree) -> Checkout:
    return Checkout(commit=tree.commit, differences=(Difference(path="a.yaml", why=Why.CHANGED),), line_ends=())


def unknown(tree: Tree) -> Unknown:
    return Unknown(reason="no luck")


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = Repo(tmp_path / "repo")
    made.commit({"limits/a.yaml": "a: b\n"}, "first", who="ann")
    return made


def test_commit_author_and_whether_anything_differs(repo: Repo, tmp_path: Path) -> None:
    """None outside of a repository and before the first commit; what was read decides whether it is dirty."""
    (tmp_path / "none").mkdir()
    assert commit_of(str(tmp_path / "none"), clean) is None
    assert commit_of(str(Repo(tmp_path / "new").folder), clean) is None
    found = commit_of(str(repo.folder / "limits"), clean, pusher="ann-gh")
    assert found is not None
    assert (found.commit, found.author, found.dirty) == (repo.git("rev-parse", "HEAD"), "Ann <ann@firm.example>", False)
    assert (found.message, found.contributors, found.pusher) == ("first", ("ann@firm.example",), "ann-gh")
    changed = commit_of(str(repo.folder / "limits"), dirty)
    assert changed is not None
    assert changed.dirty is True
    with pytest.raises(ConfigError, match="whether the manifests are those of the commit is not known: found no luck"):
        commit_of(str(repo.folder / "limits"), unknown)


def test_everybody_since_the_base(repo: Repo) -> None:
    """Messages and contributors of all commits that it lacks; unknown is an error, not the last commit's alone."""
    base = repo.git("rev-parse", "HEAD")
    repo.commit({"limits/a.yaml": "a: c\n"}, "RISK-1", who="sam")
    kim = repo.commit(message="RISK-2", who="kim")
    found = commit_of(str(repo.folder), clean, base=base)
    assert found is not None
    assert (found.message, found.contributors) == ("RISK-2\n\nRISK-1", ("kim@firm.example", "sam@firm.example"))
    assert contributors_of(str(repo.folder), kim, base) == ("kim@firm.example", "sam@firm.example")
    assert contributors_of(str(repo.folder), kim, kim) == ("kim@firm.example",)
    assert contributors_of(str(repo.folder), "1" * 40, base) is None
    assert contributors_of(str(repo.folder.parent), kim, base) is None
    with pytest.raises(ConfigError, match=r"who made the change is not known: found the object 1{40} is missing"):
        commit_of(str(repo.folder), clean, base="1" * 40)


def test_the_message_of_a_commit(repo: Repo) -> None:
    """None where there is no such commit, and outside of a repository."""
    assert message_of(str(repo.folder), repo.git("rev-parse", "HEAD")) == "first"
    assert message_of(str(repo.folder), "1" * 40) is None
    assert message_of(str(repo.folder.parent), "1" * 40) is None


def test_git_says_why(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout of another owner, and no git: the reason is told, and nothing is planned as if there were no repository."""
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(ConfigError, match="detected dubious ownership") as refused:
        commit_of(str(repo.folder), clean)
    assert refused.value.hint is not None
    assert "git config --global --add safe.directory" in refused.value.hint
    monkeypatch.delenv("GIT_TEST_ASSUME_DIFFERENT_OWNER")
    monkeypatch.setenv("PATH", str(repo.folder.parent))
    with pytest.raises(ConfigError, match="no git on PATH"):
        commit_of(str(repo.folder), clean)


def test_what_was_merged_is_what_was_planned(repo: Repo) -> None:
    """The same content in another commit is; a missing commit, another one, or another content is not, and each says why."""
    folder = str(repo.folder / "limits")
    planned = repo.commit({"limits/a.yaml": "a: c\n"}, who="sam")
    merged = repo.commit({"elsewhere": "x"})
    check_merged(folder, planned, merged, clean)
    other = repo.commit({"limits/a.yaml": "a: d\n"})
    for words, why in [
        ((planned, "1" * 40, clean), "the commit that was merged is not known here"),
        ((planned, merged, clean), "another commit is checked out"),
        ((planned, other, dirty), "the checkout is not as it was committed .*: found a.yaml is not as committed"),
        ((planned, other, clean), "what was merged is not what was planned"),
        (("1" * 40, other, clean), "git does not know a commit .*: found the object 1{40} is missing"),
    ]:
        with pytest.raises(Stale, match=why):
            check_merged(folder, *words)
    with pytest.raises(Stale, match="this is no checkout of git"):
        check_merged(str(repo.folder.parent), planned, merged, clean)
    with pytest.raises(ConfigError, match="whether the manifests are those of the commit"):
        check_merged(folder, planned, other, unknown)
    assert repo.git("rev-parse", "HEAD") == other
    repo.git("rm", "-r", "--quiet", "limits")
    gone = repo.commit()
    with pytest.raises(Stale, match="what was merged is not what was planned"):
        check_merged(str(repo.folder), planned, gone, clean)
