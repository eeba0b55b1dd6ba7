"""Clones that lack the branch of record, or have it by another name: what is not here is not taken for what does not exist."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.alone.cases import Cases
from tests.alone.desk import LIVE, RAISED, SIGNATURES, Desk, account, project_text
from tests.alone.test_runs import job
from tests.cli.conftest import Ran

CASES = Cases()
ALL = "+refs/heads/*:refs/remotes/origin/*"
OWN = "+refs/heads/x:refs/remotes/origin/x"
JENKINS = {"JENKINS_URL": "http://ci/", "CI": "true", "BUILD_USER": "sam"}
GITLAB = {"CI": "true", "GITLAB_CI": "true", "CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "x", "GITLAB_USER_LOGIN": "sam"}
MISSING = "is not in this clone"


def project(desk: Desk, branch: str = "", safeguards: str = "") -> str:
    """A project file that names this branch; it asks for no approvals unless told otherwise."""
    return project_text(desk.ams.url, safeguards + (f"  baseBranch: {branch}\n" if branch else ""))


def own_branch(desk: Desk, branch: str = "x", *, orphan: bool = False, folder: str = "") -> None:
    """On a branch of sam's, a first commit calls it the branch of record and drops the approvals, and a second raises. The server goes back to its own."""
    back = desk.git("branch", "--show-current")
    desk.git("switch", "-q", *(["--orphan"] if orphan else ["-c"]), branch)
    desk.write(f"{folder}amsctl.yaml", project(desk, branch))
    desk.write(f"{folder}accounts/a.yaml", account(LIVE))
    desk.commit(who="sam")
    desk.write(f"{folder}accounts/a.yaml", account(RAISED))
    desk.commit(who="sam")
    desk.git("switch", "-q", back)


def laxer(desk: Desk) -> None:
    """On a branch of sam's, one commit drops the approvals and raises."""
    desk.git("switch", "-q", "-c", "x")
    desk.write("amsctl.yaml", project(desk))
    desk.raise_it()
    desk.git("switch", "-q", "main")


def on_trunk(desk: Desk) -> None:
    """The branch of record is trunk, by the word of its project file, and there is no main."""
    desk.git("branch", "-q", "-m", "main", "trunk")
    desk.write("amsctl.yaml", project(desk, "trunk", SIGNATURES))
    desk.git("add", "--all")
    desk.git("commit", "-q", "--amend", "-m", "limits", who="root", signed=False)


def fetched(desk: Desk, *refspecs: str, at: str = "origin/x", remote: str = "origin") -> None:
    """What a job has: a remote, these branches, one of them checked out."""
    server, desk.root = desk.root, desk.home / "clone"
    desk.root.mkdir()
    desk.git("init", "-q", "--initial-branch", "none")
    desk.git("remote", "add", remote, str(server))
    desk.git("fetch", "-q", "--no-tags", remote, *refspecs)
    desk.git("checkout", "-q", "--detach", at)


def cloned(desk: Desk, *options: str) -> None:
    """What a person has."""
    server, desk.root = desk.root, desk.home / "clone"
    subprocess.run(["git", "clone", "-q", *options, f"file://{server}", str(desk.root)], check=True)


def written(desk: Desk, *options: str, **environ: str) -> Ran:
    """The plan, and the apply, as they are."""
    return desk.apply(desk.plan(*options, environ=environ), *options, environ=environ)


@CASES.add(
    "a job of Jenkins has sam's branch alone, which calls itself the branch of record", 1, f"main, the usual branch of record, {MISSING}"
)
def _(desk: Desk) -> Ran:
    own_branch(desk)
    fetched(desk, OWN)
    return written(desk, **JENKINS)


@CASES.add("a job of GitLab for a push has it alone", 1, MISSING)
def _(desk: Desk) -> Ran:
    own_branch(desk)
    fetched(desk, OWN)
    return written(desk, **GITLAB)


@CASES.add("a job of GitLab for a push, which tells the default branch", 1, f"main, the default branch of the forge, {MISSING}")
def _(desk: Desk) -> Ran:
    own_branch(desk, orphan=True)
    fetched(desk, OWN)
    return written(desk, **GITLAB, CI_DEFAULT_BRANCH="main")


@CASES.add(
    "a job of GitHub for a push has it alone, and the event tells the default branch",
    1,
    f"main, the default branch of the forge, {MISSING}",
)
def _(desk: Desk) -> Ran:
    own_branch(desk, orphan=True)
    fetched(desk, OWN)
    event = desk.home / "event.json"
    event.write_text(json.dumps({"repository": {"default_branch": "main"}}))
    return written(desk, **job(desk, GITHUB_REF="refs/heads/x", GITHUB_EVENT_PATH=str(event)))


@CASES.add(
    "sam's branch without a history is called main, and the job tells that trunk is the default",
    1,
    f"trunk, the default branch of the forge, {MISSING}",
)
def _(desk: Desk) -> Ran:
    on_trunk(desk)
    own_branch(desk, "main", orphan=True)
    fetched(desk, "+refs/heads/main:refs/remotes/origin/main", at="origin/main")
    return written(desk, **{**GITLAB, "CI_COMMIT_BRANCH": "main"}, CI_DEFAULT_BRANCH="trunk")


@CASES.add("sam's branch without a history is called main, and a job of Jenkins has it alone", 1, "nothing in this clone proves that")
def _(desk: Desk) -> Ran:
    on_trunk(desk)
    own_branch(desk, "main", orphan=True)
    fetched(desk, "+refs/heads/main:refs/remotes/origin/main", at="origin/main")
    return written(desk, **JENKINS)


@CASES.add("a clone of a single branch at a terminal", 1, MISSING)
def _(desk: Desk) -> Ran:
    own_branch(desk)
    cloned(desk, "--single-branch", "-b", "x")
    return written(desk)


@CASES.add("a clone of a single branch, which was checked out where it was cloned from", 1, MISSING)
def _(desk: Desk) -> Ran:
    own_branch(desk)
    desk.git("switch", "-q", "x")
    cloned(desk, "--single-branch", "-b", "x")
    return written(desk)


@CASES.add(
    "--base names sam's branch in such a clone", 1, f"main, which the project file of this history names as the branch of record, {MISSING}"
)
def _(desk: Desk) -> Ran:
    own_branch(desk)
    cloned(desk, "--single-branch", "-b", "x")
    return written(desk, "--base", "origin/x")


@CASES.add("--base names a commit of main in such a clone", 1, MISSING)
def _(desk: Desk) -> Ran:
    own_branch(desk)
    commit = desk.git("rev-parse", "main")
    cloned(desk, "--single-branch", "-b", "x")
    return written(desk, "--base", commit)


@CASES.add("--base names sam's branch in a shallow clone", 1, "is a shallow clone")
def _(desk: Desk) -> Ran:
    own_branch(desk)
    cloned(desk, "--depth", "1", "-b", "x")
    return written(desk, "--base", "origin/x")


@CASES.add("a clone of a single branch is taken for a first adoption", 1, f"and {MISSING}")
def _(desk: Desk) -> Ran:
    laxer(desk)
    cloned(desk, "--single-branch", "-b", "x")
    return written(desk)


@CASES.add("a shallow clone is taken for a first adoption", 1, f"and {MISSING}")
def _(desk: Desk) -> Ran:
    laxer(desk)
    cloned(desk, "--depth", "1", "-b", "x")
    return written(desk)


@CASES.add("what was fetched from an address, without a remote, is taken for a first adoption", 1, f"and {MISSING}")
def _(desk: Desk) -> Ran:
    laxer(desk)
    server, desk.root = desk.root, desk.home / "clone"
    desk.root.mkdir()
    desk.git("init", "-q", "--initial-branch", "none")
    desk.git("fetch", "-q", str(server), "x")
    desk.git("checkout", "-q", "--detach", "FETCH_HEAD")
    return written(desk)


@CASES.add(
    "main has no project, and the change leaves the branch of record that does",
    1,
    f"trunk, which the project file of this history names as the branch of record, {MISSING}",
)
def _(desk: Desk) -> Ran:
    on_trunk(desk)
    laxer_on(desk)
    fetched(desk, OWN, "+refs/heads/main:refs/remotes/origin/main")
    return written(desk)


@CASES.add("main has no project, the change leaves the branch of record, and all is fetched", 1, "trunk, which still says so of itself")
def _(desk: Desk) -> Ran:
    on_trunk(desk)
    laxer_on(desk)
    fetched(desk, ALL)
    return written(desk)


def laxer_on(desk: Desk) -> None:
    """Beside trunk there is a main without a project; sam's change names no branch of record any more."""
    desk.git("switch", "-q", "-c", "x")
    desk.write("amsctl.yaml", project(desk))
    desk.raise_it()
    desk.git("switch", "-q", "--orphan", "main")
    desk.write("README.md", "nothing yet\n")
    desk.commit(who="root", signed=False)
    desk.git("switch", "-q", "trunk")


@CASES.add("the remote is called upstream", 8)
def _(desk: Desk) -> Ran:
    laxer(desk)
    cloned(desk, "-o", "upstream", "-b", "x")
    return written(desk)


@CASES.add(
    "the remote is called upstream, and sam's branch calls itself the branch of record",
    1,
    "refs/remotes/upstream/main, which still says so of itself",
)
def _(desk: Desk) -> Ran:
    own_branch(desk)
    cloned(desk, "-o", "upstream", "-b", "x")
    return written(desk)


@CASES.add("trunk rules, everything is fetched, and sam's branch has no history", 1, MISSING)
def _(desk: Desk) -> Ran:
    on_trunk(desk)
    own_branch(desk, orphan=True)
    fetched(desk, ALL)
    return written(desk, **JENKINS)


@CASES.add(
    "the same, and it was checked out where it was cloned from",
    1,
    "refs/remotes/upstream/trunk says of itself that it is the branch of record",
)
def _(desk: Desk) -> Ran:
    on_trunk(desk)
    own_branch(desk, orphan=True)
    desk.git("switch", "-q", "x")
    cloned(desk, "-o", "upstream", "-b", "x")
    return written(desk)


@CASES.add(
    "a branch without a history in another folder, and main says that trunk rules",
    1,
    "refs/remotes/origin/trunk, which still says so of itself",
)
def _(desk: Desk) -> Ran:
    on_trunk(desk)
    desk.git("branch", "-q", "main")
    own_branch(desk, orphan=True, folder="prod/")
    fetched(desk, ALL)
    desk.root /= "prod"
    return written(desk)


@CASES.add(
    "a remote of sam's own has another main",
    1,
    "main is not the same branch at every remote: refs/remotes/origin/main and refs/remotes/sam/main",
)
def _(desk: Desk) -> Ran:
    laxer(desk)
    fetched(desk, ALL)
    desk.git("update-ref", "refs/remotes/sam/main", "refs/remotes/origin/x")
    return written(desk)


@CASES.add(
    "a job of Jenkins for a request onto sam's own branch",
    1,
    "the job's event names refs/remotes/origin/x, and the project file of this history named",
)
def _(desk: Desk) -> Ran:
    own_branch(desk)
    fetched(desk, ALL)
    return written(desk, **JENKINS, CHANGE_TARGET="x")


@pytest.mark.parametrize("name", CASES)
def test_one_person_alone_writes_nothing(name: str, desk: Desk) -> None:
    """Neither in a job that fetched what it was told to, nor at a terminal, nor by the interface."""
    CASES.check(name, desk)


def test_the_interface_says_the_same(desk: Desk) -> None:
    """A plan that was made where main is, applied where it is not."""
    laxer(desk)
    desk.git("switch", "-q", "x")
    file = desk.plan("--base", "main")
    cloned(desk, "--single-branch", "-b", "x")
    assert desk.by_program(file) == 1
    assert desk.writes() == []
