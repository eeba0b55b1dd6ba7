"""A merge is plain where git alone would have made it, and in no other case."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from amsctl.provenance import merging
from amsctl.provenance.commits import commit_at
from amsctl.provenance.facts import Unknown
from amsctl.provenance.merging import is_plain_merge, merged_lines
from tests.provenance.repositories import Repo

LINES = "".join(f"line {number}\n" for number in range(20))


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """main has changed b, the last line of a and a folder since side left it; side the first line of a, and has a file and a folder of its own."""
    made = Repo(tmp_path / "repo")
    made.commit({"a": LINES, "b": "1", "c/d": "1", "gone": "1"})
    made.git("switch", "--quiet", "-c", "side")
    made.git("rm", "--quiet", "gone")
    made.commit({"a": LINES.replace("line 0", "first"), "e/f": "1"})
    made.git("switch", "--quiet", "main")
    made.commit({"a": LINES.replace("line 19", "last"), "b": "2", "c/d": "2"})
    return made


def plain(repo: Repo, at: str = "HEAD") -> bool | Unknown:
    commit = commit_at(repo.repository, repo.git("rev-parse", at))
    assert not isinstance(commit, Unknown)
    return is_plain_merge(repo.repository, commit)


def merge(repo: Repo, *arguments: str) -> None:
    repo.git("merge", "--quiet", "--no-ff", *arguments, "side")


def test_what_git_merges_is_plain(repo: Repo) -> None:
    """Files that one side changed, a file that both changed, new and deleted ones. A commit of one parent is no merge."""
    assert plain(repo) is False
    merge(repo, "-m", "merge")
    assert plain(repo) is True


@pytest.mark.parametrize(
    "files",
    [{"a": LINES}, {"b": "1"}, {"b": "3"}, {"c/d": "1"}, {"e/f": "2"}, {"gone": "1"}, {"new": "1"}, {"a": LINES.replace("line 9", "x")}],
)
def test_what_a_person_changed_by_the_way_is_not(files: dict[str, str], repo: Repo) -> None:
    """One file, taken back or made anew."""
    merge(repo, "--no-commit")
    repo.commit(files)
    assert plain(repo) is False


@pytest.mark.parametrize("strategy", ["ours", "theirs"])
def test_one_side_for_both_is_not(strategy: str, repo: Repo) -> None:
    """What the other side had made is taken back by whoever merges so."""
    repo.git("merge", "--quiet", "--no-ff", "-s", "ours", "-m", "merge", "side")
    if strategy == "theirs":
        repo.git("read-tree", "side")
        repo.git("commit", "--quiet", "--amend", "-m", "merge")
    assert plain(repo) is False


def test_files_that_cannot_be_merged_line_by_line(repo: Repo) -> None:
    """Both made the same file, or one took it away: a person has chosen."""
    repo.git("switch", "--quiet", "side")
    repo.commit({"both": "1"})
    repo.git("switch", "--quiet", "main")
    repo.commit({"both": "2"})
    base = repo.git("merge-tree", "--write-tree", "--allow-unrelated-histories", "main", "main").split()[0]
    commit = repo.git("commit-tree", base, "-p", "main", "-p", "side", "-m", "merge")
    assert plain(repo, commit) is False


def test_branches_that_were_merged_both_ways_are_not_plain(repo: Repo) -> None:
    """Two newest common commits."""
    ours, theirs = repo.git("rev-parse", "main"), repo.git("rev-parse", "side")
    merge(repo, "-m", "merge")
    tree = repo.git("rev-parse", "HEAD^{tree}")
    other = repo.git("commit-tree", tree, "-p", theirs, "-p", ours, "-m", "merge")
    last = repo.git("commit-tree", tree, "-p", "HEAD", "-p", other, "-m", "merge")
    assert plain(repo, last) is False


def test_an_object_that_is_missing_is_unknown(repo: Repo) -> None:
    """In a tree, in a file, in the history."""
    merge(repo, "-m", "merge")
    for name in ("side^{tree}", "side:a", "main~1^{tree}", "main~1", "HEAD^{tree}"):
        number = repo.git("rev-parse", name)
        place = repo.folder / ".git/objects" / number[:2] / number[2:]
        kept = place.read_bytes()
        commit = commit_at(repo.repository, repo.git("rev-parse", "HEAD"))
        place.unlink()
        assert not isinstance(commit, Unknown)
        assert isinstance(is_plain_merge(repo.repository, commit), Unknown), name
        place.write_bytes(kept)


def test_lines_are_merged_as_git_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 200 pairs of changes, what is merged here is what git merges."""
    rng = random.Random(3)
    merged = 0
    for _ in range(60):
        base = [b"%d\n" % rng.randrange(6) for _ in range(rng.randrange(4, 24))]
        sides = []
        for _ in range(2):
            side = list(base)
            at = rng.randrange(len(side))
            side[at : at + rng.randrange(3)] = [b"new %d\n" % rng.randrange(3) for _ in range(rng.randrange(3))]
            sides.append(side)
        found = merged_lines(base, *sides)
        for name, lines in (("base", base), ("ours", sides[0]), ("theirs", sides[1])):
            (tmp_path / name).write_bytes(b"".join(lines))
        ran = subprocess.run(["git", "merge-file", "-p", "ours", "base", "theirs"], cwd=tmp_path, capture_output=True)
        if found is not None and ran.returncode == 0:
            assert b"".join(found) == ran.stdout
            merged += 1
    assert merged > 20
    monkeypatch.setattr(merging, "_MOST_LINES", 2)
    assert merged_lines([b"1", b"2", b"3"], [b"4", b"5", b"6"], [b"1", b"2", b"3"]) is None
