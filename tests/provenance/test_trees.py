"""A commit's files are bytes in memory; a name that climbs is refused; links lead through the commit alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from amsctl.manifests.files import Files
from amsctl.provenance.trees import Entry, Kind, Tree, TreeFiles, tree_of
from tests.provenance.repositories import Repo, reason


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "repo")


def tree(repo: Repo, commit: str = "") -> Tree:
    found = tree_of(repo.repository, commit or repo.git("rev-parse", "HEAD"))
    assert isinstance(found, Tree)
    return found


def test_entries_are_what_was_committed(repo: Repo) -> None:
    """Files, links, folders and submodules, byte for byte, names that are no UTF-8 too; nothing of the disk, and no folder that is not there."""
    odd = os.fsdecode(b"caf\xe9.yaml")
    repo.write({"limits/b.yaml": b"\xff\r\n", f"limits/{odd}": "x", "c": "y"})
    (repo.folder / "limits/link").symlink_to("b.yaml")
    repo.git("add", ".")
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},limits/sub")
    repo.git("update-index", "--chmod=+x", "c")
    repo.git("commit", "--quiet", "-m", "x")
    (repo.folder / "limits/b.yaml").write_text("other")
    found = tree(repo)
    walked = found.walk()
    assert isinstance(walked, tuple)
    kinds = {entry.path: entry.kind for entry in walked}
    assert kinds == {
        "c": Kind.FILE,
        "limits": Kind.FOLDER,
        "limits/b.yaml": Kind.FILE,
        f"limits/{odd}": Kind.FILE,
        "limits/link": Kind.LINK,
        "limits/sub": Kind.SUBMODULE,
    }
    assert [entry.name for entry in found.entries("limits")] == sorted(["b.yaml", odd, "link", "sub"])  # type: ignore[union-attr]
    assert found.file("limits/b.yaml") == b"\xff\r\n"
    assert found.file("./limits//b.yaml") == b"\xff\r\n"
    assert [found.file(path) for path in ("limits", "limits/link", "limits/sub", "nope", "c/d", "limits/sub/x", "..", "limits/../c")] == [
        None
    ] * 8
    assert found.entries("nope") == found.entries("c") == found.walk("c") == found.walk("nope") == ()
    link = found.entry("limits/link")
    assert isinstance(link, Entry)
    assert found.content(link) == b"b.yaml"


BAD_NAMES = [b"..", b".", b"", b".git", b".GIT", b".Git", b"git~1", b"GIT~1", b".git ", b".git.", b".git::$INDEX_ALLOCATION", b"a\\b", b"..\\x",
             ".g\u200cit".encode(), b"a/b", b"../x"]  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("place", ["", "limits"])
def test_a_name_that_climbs_is_refused(name: bytes, place: str, repo: Repo) -> None:
    """At the top and below it, as file, folder, link and submodule; nothing is written, and the folder that holds it is Unknown."""
    blob = repo.object("blob", b"x")
    below = repo.object("tree", b"")
    for mode, object_id in (("100644", blob), ("40000", below), ("120000", blob), ("160000", "1" * 40)):
        bad = repo.tree((mode, name, object_id), ("100644", b"z", blob))
        top = bad if not place else repo.tree(("40000", place.encode(), bad), ("100644", b"y", blob))
        found = tree(repo, repo.commit_of_tree(top))
        for answer in (found.walk(), found.entries(place), found.entry(f"{place}/z"), found.file(f"{place}/z")):
            assert "holds a name that no checkout may have" in reason(answer)
        if place:
            assert found.file("y") == b"x"


def test_an_entry_that_git_does_not_make(repo: Repo) -> None:
    """Two of one name, an unknown mode, an end in the middle, no commit, a tree that is missing."""
    blob = repo.object("blob", b"x")
    assert "may have: 'a'" in reason(tree(repo, repo.commit_of_tree(repo.tree(("100644", b"a", blob), ("100755", b"a", blob)))).walk())
    for content in (b"100600 a\0" + b"1" * 20, b"100644 a\0" + b"1" * 19, b"100644", b"100644a\0" + b"1" * 20):
        bad = repo.object("tree", content)
        commit = repo.object("commit", f"tree {bad}\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nx".encode())
        assert "holds an entry that git does not make" in reason(tree(repo, commit).walk())
    assert "is a blob, not a commit" in reason(tree_of(repo.repository, blob))
    half = repo.tree(("40000", b"a", repo.object("tree", b"100644")), ("100644", b"b", blob))
    broken = tree(repo, repo.commit_of_tree(half))
    for answer in (broken.entries("a/b"), broken.walk("a/b"), broken.walk("a"), broken.walk()):
        assert "holds an entry that git does not make" in reason(answer)
    assert "names no tree" in reason(tree_of(repo.repository, repo.object("commit", b"author x")))
    lost = repo.object("commit", b"tree " + b"1" * 40 + b"\n\nx")
    assert "is missing" in reason(tree(repo, lost).entries(""))


def test_a_repository_of_sha256(tmp_path: Path) -> None:
    """Its trees have longer ids."""
    repo = Repo(tmp_path / "repo", "--object-format=sha256")
    repo.commit({"a/b": "c", "d": "e"})
    assert tree(repo).file("a/b") == b"c"


# --- as a place to read files from ---


@pytest.fixture
def files(repo: Repo) -> TreeFiles:
    repo.write({"limits/a.yaml": "a", "limits/in/b.yaml": "b", "common/c.yaml": "c"})
    links = {
        "limits/same": "in",
        "limits/in/up.yaml": "../a.yaml",
        "limits/common": "../common",
        "limits/far.yaml": "/etc/passwd",
        "limits/climbs.yaml": "../../../../etc/passwd",
        "limits/round": "round/x",
        "limits/loop.yaml": "loop.yaml",
        "limits/gone.yaml": "nope.yaml",
        "limits/through.yaml": "common/../limits/same/b.yaml",
        "limits/back.yaml": f"../../{repo.folder.name}/limits/a.yaml",
        "limits/absolute.yaml": str(repo.folder / "limits/same/b.yaml"),
    }
    for name, target in links.items():
        (repo.folder / name).symlink_to(target)
    repo.git("add", ".")
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},limits/sub")
    repo.git("commit", "--quiet", "-m", "x")
    return TreeFiles(tree(repo))


def test_links_lead_where_they_lead_on_disk(files: TreeFiles, repo: Repo) -> None:
    """Through folders, up, over links, out and back, by an absolute path; what leads out of the repository is not there."""
    source: Files = files
    top = str(repo.folder)
    for name in (
        "limits/same/b.yaml",
        "limits/in/up.yaml",
        "limits/common/c.yaml",
        "limits/through.yaml",
        "limits/back.yaml",
        "limits/absolute.yaml",
        "limits",
    ):
        assert source.real(f"{top}/{name}") == os.path.realpath(f"{top}/{name}"), name
        assert source.exists(source.real(f"{top}/{name}"))
    for name in ("limits/far.yaml", "limits/climbs.yaml"):
        assert not source.real(f"{top}/{name}").startswith(top + "/")
        assert not source.exists(source.real(f"{top}/{name}"))
    for name in ("limits/round", "limits/loop.yaml", "limits/gone.yaml"):
        assert not source.exists(source.real(f"{top}/{name}"))
    assert source.real("/elsewhere/x/../y") == "/elsewhere/y"
    assert source.real(top) == top


def test_it_reads_as_a_disk_does(files: TreeFiles, repo: Repo) -> None:
    """Names with whether they are links, contents one or many, and an OSError with the reason where there is none."""
    top = str(repo.folder)
    assert files.names(f"{top}/limits/in") == [("b.yaml", False), ("up.yaml", True)]
    assert files.names(f"{top}/nope") == files.names("/elsewhere") == []
    assert files.is_folder(f"{top}/limits")
    assert files.is_folder(top)
    assert not files.is_folder(f"{top}/limits/a.yaml")
    assert not files.is_folder("/etc")
    assert files.read(f"{top}/limits/a.yaml", 100) == b"a"
    contents = list(files.read_all([f"{top}/limits/a.yaml", f"{top}/nope", f"{top}/common/c.yaml", f"{top}/limits"], 100))
    assert (contents[0], contents[2]) == (b"a", b"c")
    assert isinstance(contents[1], FileNotFoundError)
    assert isinstance(contents[3], FileNotFoundError)
    with pytest.raises(FileNotFoundError, match="the commit has no such file"):
        files.read("/etc/passwd", 100)


def test_submodules_are_noted(files: TreeFiles, repo: Repo) -> None:
    """When one is looked into, and when something in one is looked for."""
    top = str(repo.folder)
    assert files.is_folder(f"{top}/limits/sub")
    assert files.submodules == set()
    assert files.names(f"{top}/limits/sub") == []
    assert files.submodules == {"limits/sub"}
    files.submodules.clear()
    assert not files.exists(f"{top}/limits/sub/deep/x.yaml")
    assert files.submodules == {"limits/sub"}


def test_what_git_does_not_give_is_an_error_with_its_reason(repo: Repo) -> None:
    """Never an empty folder, never a file that is not there."""
    blob = repo.object("blob", b"x")
    lost = repo.tree(
        ("40000", b"gone", "1" * 40), ("100644", b"lost.yaml", "2" * 40), ("120000", b"link", "3" * 40), ("100644", b"there", blob)
    )
    files = TreeFiles(tree(repo, repo.commit_of_tree(lost)))
    top = str(repo.folder)
    for ask in (
        lambda: files.names(f"{top}/gone"),
        lambda: files.exists(f"{top}/gone/x"),
        lambda: files.real(f"{top}/gone/x"),
        lambda: files.real(f"{top}/link"),
        lambda: files.read(f"{top}/lost.yaml", 10),
        lambda: files.read(f"{top}/gone/x", 10),
    ):
        with pytest.raises(OSError, match="is missing in this repository"):
            ask()
