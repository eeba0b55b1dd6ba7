"""A name stands for one thing, in full, or it is Unknown."""

from __future__ import annotations

from pathlib import Path

import pytest

from amsctl.provenance.facts import Unknown
from amsctl.provenance.git import Git
from amsctl.provenance.refs import Resolved, branch_named, fetches_all, head, remotes_of, resolve, stands_alone
from tests.provenance.repositories import Repo, found, reason


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = Repo(tmp_path / "repo")
    made.commit({"a": "one\n"})
    made.git("branch", "other")
    made.commit({"a": "two\n"})
    return made


def test_a_branch_a_tag_and_a_commit(repo: Repo) -> None:
    """Short or in full; a tag names what it is of, however many tags in a row."""
    at, repository = repo.git("rev-parse", "HEAD"), repo.repository
    repo.git("update-ref", "refs/remotes/origin/main", at)
    repo.git("tag", "-a", "-m", "x", "v1")
    repo.git("tag", "-a", "-m", "x", "v2", "v1")
    assert resolve(repository, "main") == Resolved(ref="refs/heads/main", commit=at)
    assert resolve(repository, "refs/heads/main") == Resolved(ref="refs/heads/main", commit=at)
    assert resolve(repository, "origin/main") == Resolved(ref="refs/remotes/origin/main", commit=at)
    assert resolve(repository, "v2") == Resolved(ref="refs/tags/v2", commit=at)
    assert resolve(repository, at) == Resolved(ref=None, commit=at)
    assert resolve(repository, at.upper()) == Resolved(ref=None, commit=at)
    tag = repo.git("rev-parse", "refs/tags/v2")
    assert resolve(repository, tag) == Resolved(ref=None, commit=at)
    assert Resolved(ref="refs/tags/v2", commit=at).branch is None
    assert Resolved(ref="refs/heads/main", commit=at).branch == "refs/heads/main"


@pytest.mark.parametrize(
    ("ref", "name", "both"),
    [
        ("refs/tags/main", "main", "refs/tags/main and refs/heads/main"),
        ("refs/heads/origin/main", "origin/main", "refs/heads/origin/main and refs/remotes/origin/main"),
        ("refs/main", "main", "refs/main and refs/heads/main"),
        ("refs/remotes/main/HEAD", "main", "refs/heads/main and refs/remotes/main/HEAD"),
        ("refs/remotes/main", "main", "refs/heads/main and refs/remotes/main"),
    ],
)
def test_two_of_one_name_are_refused(ref: str, name: str, both: str, repo: Repo) -> None:
    """Whatever git would take first; both are named, and in full each is taken."""
    if name == "origin/main":
        repo.git("update-ref", "refs/remotes/origin/main", "HEAD")
    repo.git("update-ref", ref, "refs/heads/other")
    assert f"{name} is ambiguous: {both}; name one in full" in reason(resolve(repo.repository, name))
    assert resolve(repo.repository, ref) == Resolved(ref=ref, commit=repo.git("rev-parse", "other"))


def test_a_branch_that_is_called_like_a_commit(repo: Repo) -> None:
    """Neither the one nor the other."""
    at = repo.git("rev-parse", "HEAD")
    repo.git("update-ref", f"refs/heads/{at}", "refs/heads/other")
    assert f"is ambiguous: the commit {at} and refs/heads/{at}" in reason(resolve(repo.repository, at))


@pytest.mark.parametrize(
    "name",
    [
        "main~3", "main^", "main^{tree}", "main^{/x}", ":/change", ":a", "main:a", "@{-1}", "main@{1}", "@", "main@{upstream}", "^main", "main..other",
        "-x", "--all", "", " ", "main ", "a\nb", "main\0", "*", "ma?n", "[m]ain", "../main", "a/../main", "a//b", "/main", "main/", "main.", ".main", "a/.b",
        "main.lock", "a\\b", "refs/heads/*",
    ],
)  # fmt: skip
def test_the_language_of_revisions_is_refused(name: str, repo: Repo) -> None:
    """What it means changes with what is checked out and with who asks."""
    assert "is not the name of a branch; name a branch" in reason(resolve(repo.repository, name))
    assert "is not the name of a branch" in reason(branch_named(repo.repository, name))


@pytest.mark.parametrize("name", ["HEAD", "ORIG_HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD"])
def test_what_is_checked_out_is_no_branch(name: str, repo: Repo) -> None:
    """Also where a branch is called so."""
    repo.git("update-ref", f"refs/heads/{name}", "HEAD")
    assert "is whatever is checked out, not a branch" in reason(resolve(repo.repository, name))
    assert not isinstance(head(repo.repository), str)


def test_what_is_not_there(repo: Repo) -> None:
    """The repository is named, and how to fetch it; an abbreviated id and a commit that is missing are not guessed."""
    said = reason(resolve(repo.repository, "origin/nope"))
    assert f"there is no branch or tag origin/nope in {repo.folder}" in said
    assert "git fetch origin nope:refs/remotes/origin/nope" in said
    assert "there is no branch" in reason(resolve(repo.repository, repo.git("rev-parse", "--short", "HEAD")))
    assert "is missing in this repository" in reason(resolve(repo.repository, "1" * 40))
    assert "there is no branch" in reason(resolve(repo.repository, "1" * 64))
    assert branch_named(repo.repository, "nope") is None


def test_what_is_no_commit(repo: Repo) -> None:
    """A blob, a tree, a tag of one, a ref to one."""
    blob = repo.git("rev-parse", "HEAD:a")
    repo.git("update-ref", "refs/heads-of/blob", blob)
    repo.git("tag", "-a", "-m", "x", "of-blob", blob)
    assert "is a blob, not a commit" in reason(resolve(repo.repository, blob))
    assert "refs/tags/of-blob: " in reason(resolve(repo.repository, "of-blob"))
    assert "refs/heads-of/blob: " in reason(resolve(repo.repository, "refs/heads-of/blob"))
    at = repo.git("rev-parse", "HEAD")
    for number in range(12):
        repo.git("tag", "-a", "-m", "x", f"t{number}", at)
        at = repo.git("rev-parse", f"refs/tags/t{number}")
    assert "more than 10 tags in a row" in reason(resolve(repo.repository, "t11"))


def test_a_broken_ref_is_not_passed_over(repo: Repo) -> None:
    """Nor is the next place looked at."""
    (repo.folder / ".git/refs/heads/main").write_text("nonsense\n")
    repo.git("update-ref", "refs/remotes/origin/other", "refs/heads/other")
    for answer in (resolve(repo.repository, "main"), branch_named(repo.repository, "main")):
        assert "ignoring broken ref refs/heads/main" in reason(answer)
    assert "git says: No such ref: HEAD" in reason(head(repo.repository))


def test_packed_refs_are_refs(repo: Repo) -> None:
    """Wherever git keeps them."""
    at = repo.git("rev-parse", "HEAD")
    repo.git("pack-refs", "--all")
    assert resolve(repo.repository, "main") == Resolved(ref="refs/heads/main", commit=at)


def test_the_branch_of_origin_comes_first(repo: Repo) -> None:
    """What a setting or a forge calls main is origin's, whatever a local branch of that name holds."""
    repo.git("update-ref", "refs/remotes/origin/main", "refs/heads/other")
    other, at = repo.git("rev-parse", "other"), repo.git("rev-parse", "HEAD")
    assert branch_named(repo.repository, "main") == Resolved(ref="refs/remotes/origin/main", commit=other)
    assert branch_named(repo.repository, "refs/heads/main") == Resolved(ref="refs/remotes/origin/main", commit=other)
    repo.git("update-ref", "-d", "refs/remotes/origin/main")
    assert branch_named(repo.repository, "main") == Resolved(ref="refs/heads/main", commit=at)
    repo.git("update-ref", "refs/remotes/origin/bad", repo.git("rev-parse", "HEAD:a"))
    assert "refs/remotes/origin/bad: " in reason(branch_named(repo.repository, "bad"))


def test_what_is_checked_out(repo: Repo, tmp_path: Path) -> None:
    """On a branch, on none, before the first commit; never by the name of a branch that is called HEAD."""
    at = repo.git("rev-parse", "HEAD")
    repo.git("update-ref", "refs/heads/HEAD", "refs/heads/other")
    assert head(repo.repository) == Resolved(ref="refs/heads/main", commit=at)
    repo.git("update-ref", "-d", "refs/heads/HEAD")
    repo.git("checkout", "--quiet", "--detach")
    assert head(repo.repository) == Resolved(ref=None, commit=at)
    assert head(Repo(tmp_path / "new").repository) is None
    path = repo.folder / ".git/HEAD"
    path.write_text("1" * 40 + "\n")
    assert "is missing" in reason(head(repo.repository))


def test_what_was_fetched(repo: Repo, tmp_path: Path) -> None:
    """One thing is a commit; two, or none, are unknown."""
    clone = Repo.clone(repo.folder, tmp_path / "clone")
    assert "FETCH_HEAD cannot be read" in reason(resolve(clone.repository, "FETCH_HEAD"))
    clone.git("fetch", "--quiet", "origin", "other")
    assert resolve(clone.repository, "FETCH_HEAD") == Resolved(ref=None, commit=repo.git("rev-parse", "other"))
    clone.git("fetch", "--quiet", "origin", "other", "main")
    assert "FETCH_HEAD names 2 commits" in reason(resolve(clone.repository, "FETCH_HEAD"))
    (clone.folder / ".git/FETCH_HEAD").write_text("1" * 40 + "\t\tbranch\nnonsense\n")
    assert "FETCH_HEAD names 1 commits" in reason(resolve(clone.repository, "FETCH_HEAD"))
    (clone.folder / ".git/FETCH_HEAD").write_text("1" * 40 + "\t\tbranch\n")
    assert "FETCH_HEAD: the object" in reason(resolve(clone.repository, "FETCH_HEAD"))


def test_a_head_that_git_cannot_read(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """On no branch, and on one whose ref is broken while the rest of git goes on."""
    repository = repo.repository
    asked = type(repository.git).ask

    def without(word: str) -> None:
        def ask(git: Git, *arguments: str, none: int | None = None) -> bytes | Unknown | None:
            return Unknown(reason=f"no {word}") if arguments[0] == word else asked(git, *arguments, none=none)

        monkeypatch.setattr(Git, "ask", ask)

    without("for-each-ref")
    assert "no for-each-ref" in reason(head(repository))
    repo.git("checkout", "--quiet", "--detach")
    without("rev-parse")
    assert "no rev-parse" in reason(head(repository))


def test_a_branch_of_any_remote(repo: Repo) -> None:
    """Whatever the remote is called, with a slash or where its setting is gone; the local one where no remote has it."""
    at = repo.git("rev-parse", "HEAD")
    for name in ("firm/limits", "upstream"):
        repo.git("remote", "add", name, "/nowhere")
    repo.git("update-ref", "refs/remotes/firm/limits/trunk", at)
    repo.git("update-ref", "refs/remotes/gone/next", at)
    assert remotes_of(repo.repository) == ("firm/limits", "gone", "upstream")
    assert branch_named(repo.repository, "trunk") == Resolved(ref="refs/remotes/firm/limits/trunk", commit=at)
    assert branch_named(repo.repository, "limits/trunk") is None
    assert branch_named(repo.repository, "next") == Resolved(ref="refs/remotes/gone/next", commit=at)
    repo.git("remote", "add", "origin", "/nowhere")
    assert remotes_of(repo.repository) == ("origin", "firm/limits", "gone", "upstream")


def test_remotes_that_differ(repo: Repo) -> None:
    """The same commit is the same branch; another is unknown, unless the person has chosen a remote that has it."""
    at = repo.git("rev-parse", "HEAD")
    other = repo.commit({"x": "1"})
    for ref in ("refs/remotes/origin/trunk", "refs/remotes/upstream/trunk"):
        repo.git("update-ref", ref, at)
    assert branch_named(repo.repository, "trunk") == Resolved(ref="refs/remotes/origin/trunk", commit=at)
    repo.git("update-ref", "refs/remotes/upstream/trunk", other)
    said = reason(branch_named(repo.repository, "trunk"))
    assert "trunk is not the same branch at every remote: refs/remotes/origin/trunk and refs/remotes/upstream/trunk" in said
    assert "--base, as in refs/remotes/origin/trunk" in said
    repo.git("config", "checkout.defaultRemote", "nowhere")
    assert isinstance(branch_named(repo.repository, "trunk"), Unknown)
    repo.git("config", "checkout.defaultRemote", "origin")
    assert branch_named(repo.repository, "trunk") == Resolved(ref="refs/remotes/origin/trunk", commit=at)
    repo.git("config", "branch.trunk.remote", "upstream")
    assert branch_named(repo.repository, "trunk") == Resolved(ref="refs/remotes/upstream/trunk", commit=other)
    repo.git("config", "branch.trunk.remote", "elsewhere")
    assert isinstance(branch_named(repo.repository, "trunk"), Unknown)


@pytest.mark.parametrize(
    ("specs", "all_of_it"),
    [
        ((), False),
        (("+refs/heads/*:refs/remotes/origin/*",), True),
        (("refs/*:refs/*",), True),
        (("+refs/heads/main:refs/remotes/origin/main", "refs/heads/*:refs/remotes/origin/*"), True),
        (("+refs/heads/main:refs/remotes/origin/main",), False),
        (("+refs/heads/*:refs/remotes/origin/*", "^refs/heads/main"), False),
        (("+refs/heads/r*:refs/remotes/origin/r*",), False),
    ],
)
def test_what_a_remote_is_set_up_to_fetch(specs: tuple[str, ...], all_of_it: bool, repo: Repo) -> None:
    """Every branch, or not."""
    for spec in specs:
        repo.git("config", "--add", "remote.origin.fetch", spec)
    assert fetches_all(repo.repository, "origin") is all_of_it


@pytest.mark.parametrize("trace", ["a remote", "a remote without an address", "a branch", "a fetch", "an end", "a fetch beside a worktree"])
def test_a_repository_that_has_come_from_elsewhere(trace: str, repo: Repo, tmp_path: Path) -> None:
    """Any of these tells that there may be more of it."""
    assert stands_alone(repo.repository) is True
    linked = tmp_path / "linked"
    repo.git("worktree", "add", "--quiet", "--detach", str(linked))
    assert stands_alone(found(linked)) is True
    if trace == "a remote":
        repo.git("remote", "add", "up", "/nowhere")
    elif trace == "a remote without an address":
        repo.git("config", "remote.up.fetch", "+refs/heads/x:refs/heads/x")
    elif trace == "a branch":
        repo.git("update-ref", "refs/remotes/up/main", "HEAD")
    elif trace == "an end":
        (repo.folder / ".git/shallow").write_text(repo.git("rev-parse", "HEAD") + "\n")
    else:
        repo.git("fetch", "--quiet", str(repo.folder), "HEAD")
    assert stands_alone(found(linked) if "worktree" in trace else repo.repository) is False


def test_settings_that_git_cannot_read_are_unknown(repo: Repo) -> None:
    """Which remotes there are, what they fetch, whether there are any."""
    repository = repo.repository
    with (repo.folder / ".git/config").open("a") as config:
        config.write("[remote\n")
    for answer in (remotes_of(repository), stands_alone(repository), fetches_all(repository, "origin"), branch_named(repository, "main")):
        assert isinstance(answer, Unknown)


def test_git_fails_at_a_list_of_remotes(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or at the remote that was chosen."""
    at, other = repo.git("rev-parse", "HEAD"), repo.commit({"x": "1"})
    repo.git("update-ref", "refs/remotes/origin/trunk", at)
    repo.git("update-ref", "refs/remotes/upstream/trunk", other)
    asked = Git.ask
    for failing in ("refs/remotes/", "branch.trunk.remote", "checkout.defaultRemote"):

        def sometimes(git: Git, *words: str, none: int | None = None) -> bytes | Unknown | None:
            return Unknown(reason="no luck") if words[-1] == failing else asked(git, *words, none=none)  # noqa: B023

        with monkeypatch.context() as patched:
            patched.setattr(Git, "ask", sometimes)
            assert "no luck" in reason(branch_named(repo.repository, "trunk"))
