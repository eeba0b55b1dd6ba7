"""The commits between two are complete or unknown, and each says exactly what it says."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from amsctl.provenance import commits as commits_room
from amsctl.provenance.commits import (
    Commit,
    Named,
    Person,
    commit_at,
    commits_between,
    decoded,
    first_parent_path,
    is_ancestor,
    merge_bases,
    newest_without,
)
from amsctl.provenance.facts import Unknown
from tests.provenance.repositories import START, Repo, reason


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = Repo(tmp_path / "repo")
    made.commit({"a": "0"})
    return made


def between(repo: Repo, base: str, head: str) -> list[str]:
    found = commits_between(repo.repository, repo.git("rev-parse", base), repo.git("rev-parse", head))
    assert isinstance(found, tuple), found
    return [commit.id for commit in found]


def people(repo: Repo, base: str, head: str) -> set[str]:
    found = commits_between(repo.repository, repo.git("rev-parse", base), repo.git("rev-parse", head))
    assert isinstance(found, tuple), found
    return {commit.author.address for commit in found}


def grown(repo: Repo, count: int, who: str, base: str) -> str:
    """So many commits on a branch that does not stand at it, quickly."""
    lines = [
        f"commit refs/heads/grown\ncommitter {who} <{who}@firm.example> {START + 99_000 + number} +0000\ndata 1\nx\n"
        for number in range(count)
    ]
    lines[0] += f"from {base}\n"
    repo.git("fast-import", "--quiet", given="\n".join(lines).encode())
    return repo.git("rev-parse", "refs/heads/grown")


def test_all_of_them_newest_first(repo: Repo) -> None:
    """Of a branch; none where base has them all."""
    base = repo.git("rev-parse", "HEAD")
    ids = [repo.commit({"a": str(number)}, who=who) for number, who in enumerate(("sam", "kim", "lee"))]
    assert between(repo, base, "HEAD") == ids[::-1]
    assert people(repo, base, "HEAD") == {"sam@firm.example", "kim@firm.example", "lee@firm.example"}
    assert between(repo, "HEAD", "HEAD") == between(repo, "HEAD", base) == []


def test_a_merge_brings_what_it_merges(repo: Repo) -> None:
    """Also of an octopus; the base may have gone on meanwhile, or have been merged back."""
    repo.git("switch", "--quiet", "-c", "change")
    sam = repo.commit({"b": "1"}, who="sam")
    for name in ("kim", "lee"):
        repo.git("switch", "--quiet", "-c", name, "main")
        repo.commit({name: "1"}, who=name)
    repo.git("switch", "--quiet", "main")
    repo.commit({"a": "1"}, who="jo")
    repo.git("switch", "--quiet", "change")
    repo.git("merge", "--quiet", "-m", "all", "kim", "lee", who="mallory")
    repo.git("merge", "--quiet", "-m", "back", "main", who="mallory")
    assert people(repo, "main", "HEAD") == {f"{who}@firm.example" for who in ("sam", "kim", "lee", "mallory")}
    assert sam in between(repo, "main", "HEAD")


def test_a_thousand_and_five_commits_hide_nobody(repo: Repo) -> None:
    """However many are put on top."""
    base = repo.git("rev-parse", "HEAD")
    sam = repo.commit({"a": "9"}, who="sam")
    head = grown(repo, 1005, "kim", sam)
    assert len(between(repo, base, head)) == 1006
    assert people(repo, base, head) == {"sam@firm.example", "kim@firm.example"}
    limited = commits_between(repo.repository, base, head, most=1005)
    assert "there are more than 1005 commits" in reason(limited)


def test_a_shallow_clone_is_not_taken_for_the_whole(repo: Repo, tmp_path: Path) -> None:
    """The commit below its end is missing: unknown, with what to do. What lies whole above the end is known."""
    repo.git("switch", "--quiet", "-c", "pr")
    repo.commit({"a": "raise"}, who="sam")
    repo.commit(who="kim")
    clone = Repo.clone(f"file://{repo.folder}", tmp_path / "clone", "--depth", "1", "-b", "pr")
    clone.git("fetch", "--quiet", "--depth", "1", "origin", "main:refs/remotes/origin/main")
    base, head = clone.git("rev-parse", "origin/main"), clone.git("rev-parse", "HEAD")
    said = reason(commits_between(clone.repository, base, head))
    assert "the history is not whole: the object" in said
    assert "fetch-depth: 0" in said
    for answer in (
        is_ancestor(clone.repository, base, head),
        newest_without(clone.repository, head, base),
        first_parent_path(clone.repository, base, head),
        merge_bases(clone.repository, base, head),
    ):
        assert isinstance(answer, Unknown)
    deeper = Repo.clone(f"file://{repo.folder}", tmp_path / "deeper", "--depth", "3", "-b", "pr")
    assert deeper.repository.shallow is False or len(between(deeper, "HEAD~2", "HEAD")) == 2
    repo.commit(who="lee")
    three = Repo.clone(f"file://{repo.folder}", tmp_path / "three", "--depth", "3", "-b", "pr")
    assert people(three, "HEAD~2", "HEAD") == {"kim@firm.example", "lee@firm.example"}


@pytest.mark.parametrize("how", ["graft", "replace", "shallow", "graph"])
def test_nothing_in_the_repository_leaves_a_commit_out(how: str, repo: Repo) -> None:
    """A graft, a replacement, a list of ends, a commit graph with other parents: the objects themselves are read."""
    base = repo.git("rev-parse", "HEAD")
    sam = repo.commit({"a": "raise"}, who="sam")
    kim = repo.commit(who="kim")
    if how == "graft":
        (repo.folder / ".git/info").mkdir(exist_ok=True)
        (repo.folder / ".git/info/grafts").write_text(f"{kim} {base}\n")
    elif how == "replace":
        repo.git("replace", "--graft", kim, base)
    elif how == "shallow":
        (repo.folder / ".git/shallow").write_text(f"{kim}\n")
    else:
        repo.git("replace", "--graft", kim, base)
        repo.git("commit-graph", "write", "--reachable")
    assert between(repo, base, kim) == [kim, sam]
    assert is_ancestor(repo.repository, sam, kim) is True
    assert first_parent_path(repo.repository, base, kim) == (kim, sam)


def test_histories_without_a_common_commit_are_unknown(repo: Repo) -> None:
    """Not "all of them", and not "none"."""
    base = repo.git("rev-parse", "HEAD")
    repo.git("checkout", "--quiet", "--orphan", "new")
    other = repo.commit({"a": "raise"}, who="sam")
    assert "have no commit in common" in reason(commits_between(repo.repository, base, other))
    assert is_ancestor(repo.repository, base, other) is False
    assert merge_bases(repo.repository, base, other) == ()


def test_a_missing_commit_is_unknown(repo: Repo) -> None:
    """In the middle, at the end, and one that is no commit."""
    base = repo.git("rev-parse", "HEAD")
    sam = repo.commit(who="sam")
    kim = repo.commit(who="kim")
    blob = repo.git("rev-parse", "HEAD:a")
    assert "is a blob, not a commit" in reason(commits_between(repo.repository, base, blob))
    (repo.folder / ".git/objects" / sam[:2] / sam[2:]).unlink()
    assert f"the object {sam} is missing" in reason(commits_between(repo.repository, base, kim))
    assert f"the object {sam} is missing" in reason(commit_at(repo.repository, sam))
    assert f"the object {sam} is missing" in reason(newest_without(repo.repository, kim, sam))


TIMES = {
    "one second": lambda number, rng: 0,
    "two seconds": lambda number, rng: rng.randrange(2),
    "backwards": lambda number, rng: -number,
    "some a day behind": lambda number, rng: number - 86_400 * (rng.random() < 0.2),
    "any": lambda number, rng: rng.randrange(10_000),
}
"""The time of the commit of this number."""


def woven(repo: Repo, rng: random.Random, times: Callable[[int, random.Random], int], count: int = 90) -> list[str]:
    """Commits upon random ones of those before them, some of them merges, all below one branch; their ids."""
    words: list[str] = []
    for number in range(count):
        parents = (
            list(dict.fromkeys(rng.randrange(max(1, number - 10), number + 1) for _ in range(rng.choice((1, 1, 2))))) if number else []
        )
        parents = list(range(1, number + 1)) if number == count - 1 else parents
        words.append(f"commit refs/heads/woven\nmark :{number + 1}\ncommitter jo <jo@firm.example> {START + times(number, rng)} +0000")
        words.append(f"data {len(str(number))}\n{number}")
        words += [f"{'merge' if at else 'from'} :{parent}" for at, parent in enumerate(parents)]
        words.append("")
    repo.git("fast-import", "--quiet", "--export-marks=marks", given="\n".join(words).encode())
    return [line.split()[1] for line in (repo.folder / "marks").read_text().splitlines()][:-1]


def reached(repo: Repo) -> Callable[[str], set[str]]:
    """What git lists of a commit and all before it. Of a difference of two (``base..head``) git itself lists too much where times run backwards."""
    parents = {line.split()[0]: line.split()[1:] for line in repo.git("rev-list", "--parents", "--all").splitlines()}

    def all_of(commit: str) -> set[str]:
        seen, waiting = set[str](), [commit]
        while waiting:
            at = waiting.pop()
            if at not in seen:
                seen.add(at)
                waiting += parents[at]
        return seen

    return all_of


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("seed", range(2))
def test_whatever_the_clocks_say_it_is_what_git_lists(seed: int, times: str, repo: Repo) -> None:
    """Times that are equal, that run backwards, that are any: no commit of the change is left out, and none of the base counted."""
    rng = random.Random(f"{seed} {times}")
    ids = woven(repo, rng, TIMES[times])
    all_of, repository = reached(repo), repo.repository
    for _ in range(30):
        base, head = rng.choice(ids), rng.choice(ids)
        listed = all_of(head) - all_of(base)
        found = commits_between(repository, base, head)
        assert isinstance(found, tuple)
        assert {commit.id for commit in found} == listed
        assert is_ancestor(repository, head, base) is not bool(listed)
        shared = all_of(base) & all_of(head)
        newest = {commit for commit in shared if not any(commit != other and commit in all_of(other) for other in shared)}
        assert set(merge_bases(repository, base, head) or ()) == newest


@pytest.mark.parametrize("beyond", [0, 2])
def test_clocks_that_run_backwards_leave_nobody_out(beyond: int, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """However short the look beyond what times say: a commit of the base may be counted too then, never one of the change left out."""
    monkeypatch.setattr(commits_room, "_BEYOND", beyond)
    rng = random.Random(beyond)
    ids = woven(repo, rng, TIMES["any"])
    all_of, repository = reached(repo), repo.repository
    for _ in range(30):
        base, head = rng.choice(ids), rng.choice(ids)
        found = commits_between(repository, base, head)
        assert isinstance(found, tuple)
        assert {commit.id for commit in found} >= all_of(head) - all_of(base)
        assert {commit.id for commit in found} <= all_of(head)


def test_an_update_from_the_base_in_the_same_second_brings_nothing_of_it(repo: Repo) -> None:
    """jo's branch takes main in, all within one second: jo's two commits, and nobody else's."""
    repo.minutes -= 1
    repo.commit(who="kim")
    repo.git("switch", "--quiet", "-c", "change")
    repo.minutes -= 1
    repo.commit({"b": "1"}, who="jo")
    repo.git("switch", "--quiet", "main")
    repo.minutes -= 1
    repo.commit({"a": "2"}, who="sam")
    repo.git("switch", "--quiet", "change")
    repo.git("merge", "--quiet", "-m", "update", "main", who="jo")
    assert people(repo, "main", "change") == {"jo@firm.example"}
    assert len(between(repo, "main", "change")) == 2


def test_what_is_looked_at_beyond_may_be_missing(repo: Repo) -> None:
    """A history that is cut below what times say may matter says nothing of it: the commits are known."""
    lost = repo.commit()
    base = repo.commit()
    ids = [repo.commit(who="sam"), repo.commit(who="kim")]
    (repo.folder / ".git/objects" / lost[:2] / lost[2:]).unlink()
    assert between(repo, base, ids[-1]) == ids[::-1]


def test_what_a_branch_stood_at(repo: Repo) -> None:
    """Along first parents alone; a commit that came in by a merge is none of them."""
    old = repo.git("rev-parse", "HEAD")
    repo.git("switch", "--quiet", "-c", "side")
    side = repo.commit({"b": "1"})
    repo.git("switch", "--quiet", "main")
    repo.git("merge", "--quiet", "--no-ff", "-m", "merge", "side")
    merge = repo.git("rev-parse", "HEAD")
    last = repo.commit({"a": "2"})
    assert first_parent_path(repo.repository, old, last) == (last, merge)
    assert first_parent_path(repo.repository, last, last) == ()
    assert "is no commit that the branch stood at" in reason(first_parent_path(repo.repository, side, last))
    assert "there are more than 1 commits" in reason(first_parent_path(repo.repository, old, last, most=1))


@pytest.mark.parametrize("later", range(12))
def test_the_newest_commit_that_lacks_the_change(later: int, repo: Repo) -> None:
    """Before and after it was merged, however much was merged since; where the branch began with it there is none."""
    root = repo.git("rev-parse", "HEAD")
    for _ in range(3):
        before = repo.commit()
    repo.git("switch", "--quiet", "-c", "change")
    change = repo.commit({"b": "1"})
    repo.git("switch", "--quiet", "main")
    repository = repo.repository
    assert newest_without(repository, before, change) == before
    repo.git("merge", "--quiet", "--no-ff", "-m", "merge", "change")
    for _ in range(later):
        repo.commit()
    tip = repo.git("rev-parse", "HEAD")
    assert newest_without(repository, tip, change) == before
    assert newest_without(repository, tip, tip) == repo.git("rev-parse", "HEAD^")
    assert newest_without(repository, tip, root) is None
    assert newest_without(repository, root, root) is None


@pytest.mark.parametrize("number", range(12))
def test_a_history_that_is_cut(number: int, repo: Repo) -> None:
    """What lies above the cut is known, however far back it is; what the cut may hide is unknown."""
    ids = [repo.commit() for _ in range(12)]
    lost = ids[number]
    (repo.folder / ".git/objects" / lost[:2] / lost[2:]).unlink()
    for at, change in enumerate(ids):
        found = newest_without(repo.repository, ids[-1], change)
        if at - 1 > number:
            assert found == ids[at - 1]
        else:
            assert f"the object {lost} is missing" in reason(found)


def test_a_walk_that_fails_on_the_way_back(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever question of several fails, the answer is unknown."""
    ids = [repo.commit() for _ in range(12)]
    asked = commits_room._Walk.is_ancestor
    for failing in range(6):
        left = iter(range(30))

        def sometimes(walk: commits_room._Walk, ancestor: str, descendant: str) -> bool | Unknown:
            return Unknown(reason="no luck") if next(left) == failing else asked(walk, ancestor, descendant)  # noqa: B023

        with monkeypatch.context() as patched:
            patched.setattr(commits_room._Walk, "is_ancestor", sometimes)
            assert reason(newest_without(repo.repository, ids[-1], ids[3])) == "no luck; "


def test_branches_that_were_merged_both_ways(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has what the other had: two commits, of which neither is older than the other; unknown where that cannot be told."""
    root = repo.git("rev-parse", "HEAD")
    tree = repo.git("rev-parse", "HEAD^{tree}")
    one, other = (repo.git("commit-tree", tree, "-p", root, "-m", name) for name in ("one", "other"))
    ours, theirs = (
        repo.git("commit-tree", tree, "-p", first, "-p", second, "-m", "merge") for first, second in ((one, other), (other, one))
    )
    assert set(merge_bases(repo.repository, ours, theirs) or ()) == {one, other}
    monkeypatch.setattr(commits_room._Walk, "is_ancestor", lambda *_: Unknown(reason="no luck"))
    assert reason(merge_bases(repo.repository, ours, theirs)) == "no luck; "


def test_a_bound_on_the_walk(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """More commits than can be looked at are unknown."""
    head = grown(repo, 30, "kim", repo.git("rev-parse", "HEAD"))
    monkeypatch.setattr(commits_room, "_MOST_WALKED", 10)
    base = repo.git("rev-parse", "main")
    for answer in (
        commits_between(repo.repository, base, head),
        is_ancestor(repo.repository, head, base),
        newest_without(repo.repository, head, base),
    ):
        assert "there are more than 10 commits" in reason(answer)


def test_a_repository_of_sha256(tmp_path: Path) -> None:
    """The same, with longer ids."""
    repo = Repo(tmp_path / "repo", "--object-format=sha256")
    base = repo.commit({"a": "0"})
    sam = repo.commit(who="sam")
    assert between(repo, base, sam) == [sam]


# --- what a commit says ---

HEADER = b"tree %s\nparent %s\nauthor Sam <sam@firm.example> 5 +0000\ncommitter Kim <kim@firm.example> 7 -0130\n" % (b"1" * 40, b"2" * 40)


def one(raw: bytes) -> Commit:
    found = decoded("0" * 40, raw)
    assert isinstance(found, Commit), found
    return found


def test_a_commit_says_who_and_why() -> None:
    """Author, committer, parents, tree and message, and all its bytes."""
    commit = one(HEADER + b"\nRISK-1 raise\n\nbody\n")
    assert (commit.tree, commit.parents, commit.message) == ("1" * 40, ("2" * 40,), "RISK-1 raise\n\nbody\n")
    assert commit.author == Person(name="Sam", address="sam@firm.example", seconds=5)
    assert commit.committer == Person(name="Kim", address="kim@firm.example", seconds=7)
    assert (commit.signature, commit.named, commit.raw) == (None, (), HEADER + b"\nRISK-1 raise\n\nbody\n")
    assert one(HEADER).message == ""


def test_bytes_that_are_no_utf8_are_kept() -> None:
    """In the encoding that the commit names where that is one of people's, else as they are; raw holds them."""
    assert one(HEADER + b"\ncaf\xe9").message == "caf\\xe9"
    assert one(HEADER + b"encoding ISO-8859-1\n\ncaf\xe9").message == "café"
    for name in (b"utf-7", b"rot13", b"unicode_escape", b"\xff", b"iso-8859-99"):
        assert one(HEADER + b"encoding " + name + b"\n\n+AEA-\\x41 caf\xe9").message == "+AEA-\\x41 caf\\xe9"
    odd = one(HEADER.replace(b"Sam <sam@firm.example>", b"S\xe9m <sam\xff@firm.example>") + b"\nx")
    assert (odd.author.name, odd.author.address) == ("S\\xe9m", "sam\\xff@firm.example")
    assert b"S\xe9m" in odd.raw


@pytest.mark.parametrize(
    "raw",
    [
        HEADER.replace(b"Sam <sam@firm.example>", b"Sam <sam@firm.example> <kim@firm.example>"),
        HEADER.replace(b"Sam <sam@firm.example>", b"Sam <<sam@firm.example>"),
        HEADER.replace(b"Sam <sam@firm.example>", b"Sam"),
        HEADER.replace(b" 5 +0000", b""),
        HEADER.replace(b" 5 +0000", b" 5 +0000 x"),
        HEADER.replace(b" 5 +0000", b" five +0000"),
        HEADER + b"author Kim <kim@firm.example> 5 +0000\n",
        HEADER + b"committer Kim <kim@firm.example> 5 +0000\n",
        HEADER + b"parent " + b"3" * 40 + b"\n",
        HEADER + b"gpgsig a\nencoding x\ngpgsig b\n",
        b"author" + HEADER.partition(b"author")[2] + HEADER.partition(b"author")[0],
        HEADER.partition(b"\n")[2],
        HEADER.replace(b"1" * 40, b"1" * 39),
        HEADER.replace(b"2" * 40, b"HEAD"),
        HEADER.replace(b"Sam", b"S\0m"),
        b"",
        b"\n",
    ],
)  # fmt: skip
def test_a_commit_that_can_be_read_in_two_ways_is_unknown(raw: bytes) -> None:
    """Two authors, none, headers out of their order, a NUL where some stop reading."""
    for body in (b"\nmessage\n", b""):
        found = decoded("0" * 40, raw + body)
        assert "git fsck says more" in reason(found)
    assert "a NUL" in reason(decoded("0" * 40, HEADER + b"\nmess\0age"))


def test_a_range_with_such_a_commit_is_unknown(repo: Repo) -> None:
    """It is not left out of the list."""
    base = repo.git("rev-parse", "HEAD")
    raw = f"tree {'1' * 40}\nparent {base}\nauthor nobody\ncommitter Kim <kim@firm.example> 1900000000 +0000\n\nx".encode()
    odd = repo.object("commit", raw)
    assert "names nobody in a way that is clear" in reason(commits_between(repo.repository, base, odd))


def test_whom_a_message_names() -> None:
    """Any line of the kind, wherever it stands and however it is written; with and without an address."""
    message = (
        b"raise\n\nCo-Authored-By: Sam Risk <sam@firm.example>\r\nsigned-off-by : kim@firm.example\n"
        b"> Reviewed-by: Lee <lee@firm.example>, Jo <jo@firm.example>\n\nPaired-by: Mallory\nFrom: Ann <ann@firm.example>\n"
        b"Fixes: RISK-1\nnot a line by: anyone\nTested-by:\n"
    )
    assert one(HEADER + b"\n" + message).named == (
        Named(word="co-authored-by", name="Sam Risk", address="sam@firm.example"),
        Named(word="signed-off-by", name="kim@firm.example", address="kim@firm.example"),
        Named(word="reviewed-by", name="Lee , Jo", address="lee@firm.example"),
        Named(word="reviewed-by", name="Lee , Jo", address="jo@firm.example"),
        Named(word="paired-by", name="Mallory", address=""),
        Named(word="from", name="Ann", address="ann@firm.example"),
    )


def test_a_tag_that_was_merged_names_its_tagger(repo: Repo) -> None:
    """It is part of the commit that merged it."""
    repo.git("switch", "--quiet", "-c", "side")
    repo.commit({"b": "1"}, who="kim")
    repo.git("tag", "-a", "-m", "release", "v1", who="lee")
    repo.git("switch", "--quiet", "main")
    repo.git("merge", "--quiet", "--no-ff", "-m", "merge", "v1", who="sam")
    raw = repo.git("cat-file", "commit", "HEAD")
    tag = repo.git("cat-file", "tag", "v1")
    with_tag = raw.replace("\n\n", "\nmergetag " + tag.replace("\n", "\n ") + "\n\n", 1).encode()
    merged = one(with_tag)
    assert merged.named[-1] == Named(word="tagger", name="Lee", address="lee@firm.example")


def test_a_signature_is_verified_by_ssh_keygen(repo: Repo, tmp_path: Path) -> None:
    """Signature and payload are those that git made: ssh-keygen finds them good, and no longer once a byte is another."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    (tmp_path / "signers").write_text(f"sam@firm.example {key.with_suffix('.pub').read_text()}")
    repo.git("config", "gpg.format", "ssh")
    repo.git("config", "user.signingKey", str(key))
    repo.git("commit", "--quiet", "--allow-empty", "-S", "-m", "signed\n\nbody", who="sam")
    commit = commit_at(repo.repository, repo.git("rev-parse", "HEAD"))
    assert isinstance(commit, Commit)
    assert commit.signature is not None
    assert commit.signature.is_ssh
    (tmp_path / "signature").write_bytes(commit.signature.signature)

    def good(payload: bytes) -> bool:
        words = [
            "ssh-keygen",
            "-Y",
            "verify",
            "-n",
            "git",
            "-f",
            str(tmp_path / "signers"),
            "-I",
            "sam@firm.example",
            "-s",
            str(tmp_path / "signature"),
        ]
        return subprocess.run(words, input=payload, capture_output=True, check=False).returncode == 0

    assert good(commit.signature.payload)
    assert not good(commit.signature.payload + b"x")
    assert commit.message == "signed\n\nbody\n"


def test_other_signatures_are_no_part_of_what_is_signed() -> None:
    """As git itself leaves them out: those of the other kind of id too."""
    raw = HEADER + b"gpgsig -----BEGIN PGP SIGNATURE-----\n \n abc\n -----END\ngpgsig-sha256 x\n y\nencoding UTF-8\n\nbody"
    found = one(raw).signature
    assert found is not None
    assert found.signature == b"-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END\n"
    assert found.payload == HEADER + b"encoding UTF-8\n\nbody"
    assert not found.is_ssh
    assert one(HEADER + b"gpgsig-sha256 x\n y\n\nbody").signature is None


def test_a_message_of_a_real_commit_is_that_of_git(repo: Repo) -> None:
    """With whatever bytes."""
    message = "Zeile – «ü» \u202e\n\nx: y\n"
    commit = commit_at(repo.repository, repo.commit(message=message))
    assert isinstance(commit, Commit)
    assert commit.message == message
    assert os.fsencode(repo.git("log", "-1", "--format=%B")).decode().strip() == message.strip()
