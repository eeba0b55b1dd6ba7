"""Commits that say something else of who made them than is true, and lists of them that lack some."""

from __future__ import annotations

import subprocess

import pytest

from tests.alone.cases import Cases
from tests.alone.desk import LIVE, RAISED, Desk, account, line
from tests.cli.conftest import Ran

CASES = Cases()
MADE = "has made or pushed this change"
UNPROVEN = "for authors who are not proven"


def named(who: str, address: str = "") -> dict[str, str]:
    """What git is told of author and committer."""
    address = address or f"{who}@firm.example"
    return {"GIT_AUTHOR_NAME": who, "GIT_AUTHOR_EMAIL": address, "GIT_COMMITTER_NAME": who, "GIT_COMMITTER_EMAIL": address}


def object_of(desk: Desk, change: bytes, instead: bytes) -> None:
    """The last commit, written anew byte by byte, and checked out."""
    raw = subprocess.run(["git", "-C", str(desk.root), "cat-file", "commit", "HEAD"], check=True, capture_output=True).stdout
    assert change in raw
    done = subprocess.run(
        ["git", "-C", str(desk.root), "hash-object", "-t", "commit", "-w", "--stdin", "--literally"],
        check=True,
        capture_output=True,
        input=raw.replace(change, instead, 1),
    )
    desk.git("update-ref", "HEAD", done.stdout.decode().strip())


# --- names ---


@CASES.add("sam approves a raise that bears sam's name", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.raise_it()
    return desk.alone()


@CASES.add("amsctl approve signs nothing for the author", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.raise_it()
    return desk.approve("sam", desk.plan())


@CASES.add("sam raises and brings no approval", 8, "needs 1 approval")
def _(desk: Desk) -> Ran:
    desk.raise_it()
    return desk.apply(desk.plan())


@CASES.add("a fresh plan with --auto-approve", 8)
def _(desk: Desk) -> Ran:
    desk.raise_it()
    return desk.run("apply", "--auto-approve")


@CASES.add("a fresh plan, and sam says yes at the terminal", 8)
def _(desk: Desk) -> Ran:
    desk.raise_it()
    return desk.run("apply", stdin="yes\n", terminal=True)


@CASES.add("uncommitted, and sam says yes at the terminal", 8)
def _(desk: Desk) -> Ran:
    desk.write("accounts/a.yaml", account(RAISED))
    return desk.run("apply", stdin="yes\n", terminal=True)


@CASES.add("uncommitted, saved and signed by sam", 8, "not those of a commit")
def _(desk: Desk) -> Ran:
    desk.write("accounts/a.yaml", account(RAISED))
    return desk.alone()


@CASES.add("another author, signed by sam", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.git("switch", "-q", "-c", "change")
    desk.write("accounts/a.yaml", account(RAISED))
    desk.commit("--author=Kim <kim@firm.example>", who="sam")
    return desk.alone()


@CASES.add("another author and committer, signed by sam", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.raise_it("sam", **named("jo"))
    return desk.alone()


@CASES.add("another author and committer, signed by nobody", 8, UNPROVEN)
def _(desk: Desk) -> Ran:
    desk.raise_it("sam", signed=False, **named("jo"))
    return desk.alone()


@CASES.add("an author whom no list knows, signed by nobody", 8, UNPROVEN)
def _(desk: Desk) -> Ran:
    desk.raise_it("sam", signed=False, **named("ghost", "ghost@nowhere.example"))
    return desk.alone()


@CASES.add("two unknown authors, and sam as one of three", 8, "needs 3 approvals")
def _(desk: Desk) -> Ran:
    desk.raise_it("sam", to=600, signed=False, **named("ghost"))
    desk.raise_it("sam", signed=False, **named("phantom"))
    return desk.alone()


@CASES.add("an author without a name or an address", 8, UNPROVEN)
def _(desk: Desk) -> Ran:
    desk.raise_it("sam", signed=False)
    object_of(desk, b"author sam <sam@firm.example>", b"author  <>")
    object_of(desk, b"committer sam <sam@firm.example>", b"committer  <>")
    return desk.alone()


@CASES.add("sam's address in capitals", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.raise_it("sam", signed=False, **named("Sam", "SAM@Firm.Example"))
    return desk.alone()


@CASES.add("sam's address in letters of full width", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.raise_it("sam", signed=False, **named("x", "ｓａｍ@firm.example"))
    return desk.alone()


@CASES.add("sam's account behind a hidden address", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.on_main("approvers", line(desk.keys, "sam", "sam@firm.example,sam-gh"))
    desk.raise_it("sam", signed=False, **named("x", "12+sam-gh@users.noreply.github.com"))
    return desk.alone()


@CASES.add("a key that no list knows signs as jo", 8, UNPROVEN)
def _(desk: Desk) -> Ran:
    desk.raise_it("mallory", **named("jo"))
    return desk.alone()


@CASES.add("sam amends what jo has signed", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.raise_it("jo", to=600)
    desk.write("accounts/a.yaml", account(RAISED))
    desk.commit("--amend", who="sam")
    return desk.alone()


@CASES.add("sam amends what jo has signed, without a signature and as jo", 8, UNPROVEN)
def _(desk: Desk) -> Ran:
    desk.raise_it("jo", to=600)
    desk.write("accounts/a.yaml", account(RAISED))
    desk.commit("--amend", who="sam", signed=False, **named("jo"))
    return desk.alone()


@CASES.add("jo's signature of another commit on a commit of sam's", 8, UNPROVEN)
def _(desk: Desk) -> Ran:
    desk.raise_it("jo", to=600)
    desk.git("tag", "kept")
    raw = subprocess.run(["git", "-C", str(desk.root), "cat-file", "commit", "HEAD"], check=True, capture_output=True).stdout
    desk.git("reset", "-q", "--hard", "main")
    desk.raise_it("sam", signed=False, **named("jo"))
    signature = raw[raw.index(b"gpgsig") : raw.index(b"-----END SSH SIGNATURE-----") + 28]
    object_of(desk, b"\n\nRISK", b"\n" + signature + b"\n\nRISK" if not signature.endswith(b"\n") else b"\n" + signature[:-1] + b"\n\nRISK")
    return desk.alone()


@CASES.add("jo's tree and parent are kept, the message is another, the signature stays", 8, UNPROVEN)
def _(desk: Desk) -> Ran:
    desk.raise_it("jo")
    object_of(desk, b"RISK-7 raise", b"RISK-7 urgent")
    return desk.alone()


@CASES.add("a signature of PGP's shape that nobody can verify", 8, UNPROVEN)
def _(desk: Desk) -> Ran:
    desk.raise_it("sam", signed=False, **named("jo"))
    object_of(desk, b"\n\nRISK", b"\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n iQ==\n -----END PGP SIGNATURE-----\n\nRISK")
    return desk.alone()


@CASES.add("a trailer names kim, the author is sam", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.raise_it("sam", message="RISK-7 raise\n\nCo-authored-by: Kim <kim@firm.example>\nSigned-off-by: Kim <kim@firm.example>")
    return desk.alone()


@CASES.add("a trailer says that kim has approved", 8)
def _(desk: Desk) -> Ran:
    desk.raise_it("sam", message="RISK-7 raise\n\nApproved-by: Kim <kim@firm.example>\nReviewed-by: Lee <lee@firm.example>")
    return desk.alone()


@CASES.add("a trailer names sam on a commit that jo's name stands on", 8)
def _(desk: Desk) -> Ran:
    desk.raise_it("sam", signed=False, message="RISK-7 raise\n\nco-authored-by: S <Sam@firm.example>", **named("jo"))
    return desk.alone()


@CASES.add("a mailmap calls sam jo", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.git("switch", "-q", "-c", "change")
    desk.write(".mailmap", "Jo <jo@firm.example> <sam@firm.example>\n")
    desk.raise_it("sam")
    return desk.alone()


# --- commit objects that can be read in two ways ---


@CASES.add("a commit with two authors", 1)
def _(desk: Desk) -> Ran:
    desk.raise_it("sam", signed=False)
    object_of(desk, b"author sam", b"author jo <jo@firm.example> 1 +0000\nauthor sam")
    return desk.alone()


@CASES.add("a commit whose author has two addresses", 1)
def _(desk: Desk) -> Ran:
    desk.raise_it("sam", signed=False)
    object_of(desk, b"author sam <", b"author jo <jo@firm.example> <")
    return desk.alone()


@CASES.add("a commit with a NUL in its message", 1)
def _(desk: Desk) -> Ran:
    desk.raise_it("sam", signed=False, **named("jo"))
    object_of(desk, b"RISK-7 raise", b"RISK-7\0raise")
    return desk.alone()


@CASES.add("a commit whose author comes after its committer", 1)
def _(desk: Desk) -> Ran:
    desk.raise_it("sam", signed=False)
    object_of(desk, b"author sam", b"committer jo <jo@firm.example> 1 +0000\nauthor sam")
    return desk.alone()


@CASES.add("a commit in an encoding that hides its names", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.raise_it("sam", signed=False)
    object_of(desk, b"\n\nRISK", b"\nencoding utf-16\n\nRISK")
    return desk.alone()


@CASES.add("a commit of the year 1970", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.raise_it("sam", GIT_AUTHOR_DATE="@1 +0000", GIT_COMMITTER_DATE="@1 +0000")
    return desk.alone()


@CASES.add("a commit of the future, under one of the past", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.raise_it("sam", GIT_COMMITTER_DATE="@4000000000 +0000")
    desk.commit(who="jo", message="on top", GIT_COMMITTER_DATE="@1 +0000")
    return desk.alone()


# --- the list of commits ---


@CASES.add("an empty commit of jo's on top", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.raise_it()
    desk.commit(who="jo", message="on top")
    return desk.alone()


@CASES.add("a raise in jo's name below a signed commit of jo's", 8, UNPROVEN)
def _(desk: Desk) -> Ran:
    desk.raise_it("sam", signed=False, **named("jo"))
    desk.commit(who="jo", message="on top")
    return desk.alone()


@CASES.add("a thousand and five commits of jo's on top", 8)
def _(desk: Desk) -> Ran:
    tip = desk.raise_it()
    stream = "".join(
        f"commit refs/heads/change\ncommitter jo <jo@firm.example> {1_800_000_000 + number} +0000\ndata 1\nx\n"
        + (f"from {tip}\n" if number == 0 else "")
        for number in range(1_005)
    )
    subprocess.run(["git", "-C", str(desk.root), "fast-import", "--quiet", "--force"], input=stream.encode(), check=True)
    return desk.alone()


@CASES.add("jo merges sam's branch, and sam approves the merge", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.raise_it()
    desk.git("switch", "-q", "-c", "second", "main")
    desk.git("merge", "-q", "--no-ff", "-m", "merge", "change", who="jo")
    return desk.alone()


@CASES.add("the raise is in a merge commit of sam's alone", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.git("switch", "-q", "-c", "aside")
    desk.commit(who="jo", message="aside")
    desk.git("switch", "-q", "-c", "change", "main")
    desk.git("merge", "-q", "--no-ff", "--no-commit", "aside", who="sam")
    desk.write("accounts/a.yaml", account(RAISED))
    desk.commit(who="sam", message="merge")
    return desk.alone()


@CASES.add("an octopus with sam's branch as one of its arms", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.raise_it()
    for arm in ("left", "right"):
        desk.git("switch", "-q", "-c", arm, "main")
        desk.write(f"{arm}.txt", arm)
        desk.commit(who="jo", message=arm)
    desk.git("switch", "-q", "-c", "all", "main")
    desk.git("merge", "-q", "--no-ff", "-m", "all", "left", "right", "change", who="jo")
    return desk.alone()


@CASES.add("a clone of depth one", 1, "shallow")
def _(desk: Desk) -> Ran:
    desk.raise_it()
    desk.commit(who="kim", message="on top")
    there = desk.home / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth", "1", "-b", "change", f"file://{desk.root}", str(there)], check=True)
    desk.root = there
    desk.git("fetch", "-q", "--depth", "1", "origin", "main:refs/remotes/origin/main")
    return desk.alone()


@CASES.add("a clone of depth one, and --base", 1)
def _(desk: Desk) -> Ran:
    desk.raise_it()
    desk.commit(who="kim", message="on top")
    there = desk.home / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth", "1", "-b", "change", f"file://{desk.root}", str(there)], check=True)
    desk.root = there
    desk.git("fetch", "-q", "--depth", "1", "origin", "main:refs/remotes/origin/main")
    return desk.alone("--base", "origin/main", apply=("--base", "origin/main"))


@CASES.add("a file of git that says where history ends", 4, "is a shallow clone")
def _(desk: Desk) -> Ran:
    tip = desk.raise_it()
    desk.commit(who="jo", message="on top")
    (desk.root / ".git" / "shallow").write_text(f"{tip}\n")
    return desk.alone("--base", "main", apply=("--base", "main"))


@CASES.add("a graft passes over sam's commit", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.raise_it()
    top = desk.commit(who="jo", message="on top")
    (desk.root / ".git" / "info").mkdir(exist_ok=True)
    (desk.root / ".git" / "info" / "grafts").write_text(f"{top} {desk.git('rev-parse', 'main')}\n")
    return desk.alone()


@CASES.add("a replacement shows jo's commit in the place of sam's", 8, MADE)
def _(desk: Desk) -> Ran:
    tip = desk.raise_it()
    desk.git("switch", "-q", "-c", "aside", "main")
    desk.write("accounts/a.yaml", account(RAISED))
    other = desk.commit(who="jo")
    desk.git("replace", tip, other)
    desk.git("switch", "-q", "change")
    return desk.alone()


@CASES.add("an old commit of jo's that main has taken back is checked out", 4, "main now says something else")
def _(desk: Desk) -> Ran:
    desk.raise_it("jo")
    desk.merge()
    desk.on_main("accounts/a.yaml", account(LIVE), message="back")
    desk.git("switch", "-q", "--detach", "change")
    return desk.alone()


@CASES.add("a detached head", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.raise_it()
    desk.git("switch", "-q", "--detach")
    return desk.alone()


@CASES.add("a linked worktree", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.raise_it()
    desk.git("switch", "-q", "main")
    desk.git("worktree", "add", "-q", str(desk.home / "linked"), "change")
    desk.root = desk.home / "linked"
    return desk.alone()


@CASES.add("sam's own clone, where main is what sam says", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.upstream()
    desk.raise_it()
    desk.git("update-ref", "refs/heads/main", "change")
    return desk.alone()


@CASES.add("sam commits straight to main", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.write("accounts/a.yaml", account(RAISED))
    desk.commit(who="sam")
    return desk.alone()


@CASES.add("sam merges it himself, without a second", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.raise_it()
    file = desk.plan()
    tip = desk.merge(who="sam")
    desk.sign("sam", file)
    return desk.apply(file, "--merged", tip)


@CASES.add("sam squashes it onto main in jo's name", 8, UNPROVEN)
def _(desk: Desk) -> Ran:
    desk.raise_it("sam", signed=False, **named("jo"))
    file = desk.plan()
    desk.git("switch", "-q", "main")
    desk.git("merge", "-q", "--squash", "change")
    tip = desk.commit(who="jo", signed=False)
    desk.sign("sam", file)
    return desk.apply(file, "--merged", tip)


# --- manifests that are not the commit's ---


def harmless(desk: Desk) -> None:
    """jo's signed commit that changes no limit."""
    desk.git("switch", "-q", "-c", "change")
    desk.write("README.md", "limits\n")
    desk.commit(who="jo", message="a readme")


DIRTY = "not those of a commit"


@CASES.add("a file that the index takes for unchanged", 8, DIRTY)
def _(desk: Desk) -> Ran:
    harmless(desk)
    desk.git("update-index", "--assume-unchanged", "accounts/a.yaml")
    desk.write("accounts/a.yaml", account(RAISED))
    return desk.alone()


@CASES.add("a file that the index skips", 8, DIRTY)
def _(desk: Desk) -> Ran:
    harmless(desk)
    desk.git("update-index", "--skip-worktree", "accounts/a.yaml")
    desk.write("accounts/a.yaml", account(RAISED))
    return desk.alone()


@CASES.add("a manifest that git's own exclude ignores", 8, DIRTY)
def _(desk: Desk) -> Ran:
    harmless(desk)
    desk.git("rm", "-q", "accounts/a.yaml")
    desk.commit(who="jo", message="away")
    (desk.root / ".git" / "info").mkdir(exist_ok=True)
    (desk.root / ".git" / "info" / "exclude").write_text("local.yaml\n")
    desk.write("accounts/local.yaml", account(RAISED))
    return desk.alone()


@CASES.add("a manifest that .gitignore ignores", 8, DIRTY)
def _(desk: Desk) -> Ran:
    desk.on_main(".gitignore", "local.yaml\n")
    harmless(desk)
    desk.git("rm", "-q", "accounts/a.yaml")
    desk.commit(who="jo", message="away")
    desk.write("accounts/local.yaml", account(RAISED))
    return desk.alone()


@CASES.add("an untracked manifest, and git shows none", 8, DIRTY)
def _(desk: Desk) -> Ran:
    harmless(desk)
    desk.git("config", "status.showUntrackedFiles", "no")
    desk.git("rm", "-q", "accounts/a.yaml")
    desk.commit(who="jo", message="away")
    desk.write("accounts/b.yaml", account(RAISED))
    return desk.alone()


@CASES.add("a filter of the configuration shows another file than the commit", 8, DIRTY)
def _(desk: Desk) -> Ran:
    harmless(desk)
    (desk.root / ".git" / "info").mkdir(exist_ok=True)
    (desk.root / ".git" / "info" / "attributes").write_text("*.yaml filter=raise\n")
    desk.git("config", "filter.raise.clean", f"sed s/{RAISED}/{LIVE}/")
    desk.write("accounts/a.yaml", account(RAISED))
    return desk.alone()


@CASES.add("a manifest is a link out of the repository", 1, "leads out of the repository")
def _(desk: Desk) -> Ran:
    (desk.home / "outside.yaml").write_text(account(RAISED))
    desk.git("switch", "-q", "-c", "change")
    (desk.root / "accounts" / "a.yaml").unlink()
    (desk.root / "accounts" / "a.yaml").symlink_to(desk.home / "outside.yaml")
    desk.commit(who="jo", message="a link")
    return desk.alone()


@CASES.add("the folder of manifests is a link out of the repository", 1, "lies outside of the repository")
def _(desk: Desk) -> Ran:
    (desk.home / "outside").mkdir()
    (desk.home / "outside" / "a.yaml").write_text(account(RAISED))
    desk.git("switch", "-q", "-c", "change")
    desk.git("rm", "-rq", "accounts")
    (desk.root / "accounts").symlink_to(desk.home / "outside")
    desk.commit(who="jo", message="a link")
    return desk.alone()


@CASES.add("a manifest is a link to a file of the commit that sam writes", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.write("wanted/a.yaml", account(LIVE))
    (desk.root / "accounts" / "a.yaml").unlink()
    (desk.root / "accounts" / "a.yaml").symlink_to("../wanted/a.yaml")
    desk.commit(who="root", signed=False, message="links")
    desk.git("switch", "-q", "-c", "change")
    desk.write("wanted/a.yaml", account(RAISED))
    desk.commit(who="sam")
    return desk.alone()


@CASES.add("a submodule holds the raise", 8)
def _(desk: Desk) -> Ran:
    sub = desk.home / "sub"
    sub.mkdir()
    desk.git("init", "-q", "-b", "main", at=sub)
    (sub / "b.yaml").write_text(account(RAISED))
    desk.git("add", ".", at=sub)
    desk.git("commit", "-q", "-m", "x", who="sam", at=sub)
    desk.git("switch", "-q", "-c", "change")
    desk.git("rm", "-q", "accounts/a.yaml")
    desk.git("submodule", "--quiet", "add", str(sub), "accounts/desk-b")
    desk.commit(who="jo", message="a submodule")
    return desk.alone()


@CASES.add("a repository of sam's own below the project", 8)
def _(desk: Desk) -> Ran:
    harmless(desk)
    desk.git("init", "-q", "-b", "main", at=desk.root / "accounts")
    desk.write("accounts/a.yaml", account(RAISED))
    return desk.alone()


@CASES.add("variables of git name another repository", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.raise_it("jo")
    other = desk.home / "other"
    subprocess.run(["cp", "-a", str(desk.root), str(other)], check=True)
    desk.git("reset", "-q", "--hard", "main")
    desk.raise_it()
    hidden = {"GIT_DIR": str(other / ".git"), "GIT_WORK_TREE": str(desk.root), "GIT_OBJECT_DIRECTORY": str(other / ".git" / "objects")}
    return desk.alone(environ=hidden)


@CASES.add("the configuration names another work tree", 8, DIRTY)
def _(desk: Desk) -> Ran:
    desk.raise_it("jo", to=LIVE)
    other = desk.home / "other"
    (other / "accounts").mkdir(parents=True)
    desk.git("config", "core.worktree", str(other))
    (desk.root / "accounts" / "a.yaml").write_text(account(RAISED))
    return desk.alone()


@pytest.mark.parametrize("name", CASES)
def test_one_person_alone_writes_nothing(name: str, desk: Desk) -> None:
    """Whoever a commit says that it is by, and whatever git is made to leave out: one person is one person."""
    CASES.check(name, desk)
