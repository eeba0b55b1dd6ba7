"""Honest ways of working, which must all work: something is written, and the exit code is 0."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from amsctl.approvals.reviews import CommitRecord, PlanRecord, PushRecord
from amsctl.cli.planning import read_plan
from amsctl.planning.content import content_of
from amsctl.sandbox.faults import Rule
from tests.alone.desk import LIVE, NUMBER, OTHER, RAISED, REVIEWS, SIGNATURES, Desk, account, line, project_text, review, signers, stamp
from tests.alone.test_runs import job, request_job, rolled_back, tightened
from tests.cli.conftest import Ran

Way = Callable[[Desk], Ran]
WAYS: dict[str, Way] = {}
TWO = "  approvals: {from: signatures, rules: [{approvals: 2}]}\n"
SECOND = """\
apiVersion: amsctl/v1
kind: Account
metadata: {{clearingFirm: "780", accountNumber: DV10121801A}}
spec:
  executionFirms:
    3N1:
      limits:
        CJ.FUT.NYMEX: {{ef: {{short: {short}}}}}
"""


def way(name: str) -> Callable[[Way], Way]:
    """One honest way; what it gives last is the apply."""

    def keep(one: Way) -> Way:
        assert name not in WAYS, name
        WAYS[name] = one
        return one

    return keep


def agreed(desk: Desk, *who: str) -> str:
    """jo's raise is planned, and these people approve it."""
    desk.raise_it("jo")
    return signed(desk, desk.plan(), *who)


def signed(desk: Desk, file: str, *who: str) -> str:
    for one in who or ("sam",):
        desk.sign(one, file)
    return file


def to_main(desk: Desk, path: str, text: str) -> None:
    desk.on_main(path, text)


# --- who agrees ---


@way("jo raises, and sam approves with amsctl approve")
def _(desk: Desk) -> Ran:
    desk.raise_it("jo")
    file = desk.plan()
    assert desk.approve("sam", file).code == 0
    return desk.apply(file)


@way("sam reads the plan at a terminal, says yes, and it is applied")
def _(desk: Desk) -> Ran:
    desk.raise_it("jo")
    file = desk.plan()
    assert desk.run("approve", file, "--key", str(desk.keys["sam"]), stdin="yes\n", terminal=True).code == 0
    return desk.apply(file)


@way("two approve an author who has not signed")
def _(desk: Desk) -> Ran:
    desk.raise_it("jo", signed=False)
    return desk.apply(signed(desk, desk.plan(), "sam", "kim"))


@way("two people wrote it, and a third approves")
def _(desk: Desk) -> Ran:
    desk.raise_it("jo", to=600)
    desk.raise_it("lee")
    return desk.apply(signed(desk, desk.plan(), "kim"))


@way("main asks for two, and two approve")
def _(desk: Desk) -> Ran:
    to_main(desk, "amsctl.yaml", project_text(desk.ams.url, TWO))
    return desk.apply(agreed(desk, "sam", "kim"))


@way("one approval too many does no harm")
def _(desk: Desk) -> Ran:
    return desk.apply(agreed(desk, "sam", "kim", "mallory", "jo"))


@way("an approver has several names and keys")
def _(desk: Desk) -> Ran:
    several = line(desk.keys, "sam", "sam@firm.example,sam@home.example,sam-gh") + line(desk.keys, "mallory", "sam@firm.example")
    to_main(desk, "approvers", several + signers(desk.keys, "jo"))
    desk.raise_it("jo")
    file = desk.plan()
    desk.sign("mallory", file, by="sam@firm.example")
    return desk.apply(file)


@way("an approver's key is for git alone on one line and for approvals on another")
def _(desk: Desk) -> Ran:
    lines = line(desk.keys, "sam", "sam@home.example", 'namespaces="git"') + line(desk.keys, "sam", options='namespaces="amsctl-approval"')
    to_main(desk, "approvers", lines + signers(desk.keys, "jo"))
    return desk.apply(agreed(desk))


@way("a reviewer is named in the message")
def _(desk: Desk) -> Ran:
    desk.raise_it("jo", message="RISK-7 raise\n\nReviewed-by: Sam <sam@firm.example>")
    return desk.apply(signed(desk, desk.plan()))


@way("addresses are believed, where main says so")
def _(desk: Desk) -> Ran:
    to_main(desk, "amsctl.yaml", project_text(desk.ams.url, "  approvals: {from: signatures, makers: addresses}\n"))
    desk.raise_it("jo", signed=False)
    return desk.apply(signed(desk, desk.plan()))


@way("what tightens needs nobody")
def _(desk: Desk) -> Ran:
    desk.raise_it("sam", to=100)
    return desk.apply(desk.plan())


@way("a guard is overridden, and enough approve")
def _(desk: Desk) -> Ran:
    rules = "  approvals: {from: signatures, rules: [{approvals: 1}, {approvals: 2, applies: overridden}]}\n"
    to_main(desk, "amsctl.yaml", project_text(desk.ams.url, rules, guards="  guards: {raised: {factor: 2, amount: 0}}\n"))
    desk.raise_it("jo", to=5000)
    file = signed(desk, desk.plan(), "sam", "kim")
    return desk.run("apply", file, "--override", f"raised@{read_plan(file).digest}")


@way("a program approves nothing and applies what was approved")
def _(desk: Desk) -> Ran:
    file = agreed(desk)
    said = desk.by_program(file)
    return Ran(said, "", "")


@way("the author's name is in other letters than on the list")
def _(desk: Desk) -> Ran:
    desk.raise_it("jo", GIT_AUTHOR_EMAIL="Jo@Firm.Example", GIT_COMMITTER_EMAIL="JO@firm.example")
    return desk.apply(signed(desk, desk.plan()))


# --- how it is merged ---


@way("a merge commit")
def _(desk: Desk) -> Ran:
    file = agreed(desk)
    return desk.apply(file, "--merged", desk.merge())


@way("a fast-forward")
def _(desk: Desk) -> Ran:
    file = agreed(desk)
    return desk.apply(file, "--merged", desk.merge(how="--ff-only"))


@way("a squash merge")
def _(desk: Desk) -> Ran:
    file = agreed(desk)
    desk.git("switch", "-q", "main")
    desk.git("merge", "-q", "--squash", "change")
    return desk.apply(file, "--merged", desk.commit(who="root", signed=False))


@way("a rebase merge, beside which main had moved")
def _(desk: Desk) -> Ran:
    file = agreed(desk)
    to_main(desk, "README.md", "limits\n")
    desk.git("switch", "-q", "-c", "rebased", "change")
    desk.git("rebase", "-q", "main", who="root", signed=False)
    return desk.apply(file, "--merged", desk.merge("rebased", how="--ff-only"))


@way("a merge queue")
def _(desk: Desk) -> Ran:
    desk.upstream()
    file = agreed(desk)
    desk.git("switch", "-q", "-c", "gh-readonly-queue/main/pr-7", "main")
    desk.git("merge", "-q", "--no-ff", "-m", "queued", "change", who="root", signed=False)
    event = desk.home / "event.json"
    event.write_text('{"merge_group": {"base_ref": "refs/heads/main"}}')
    assert desk.run("plan", environ=job(desk, event="merge_group", GITHUB_EVENT_PATH=str(event))).code == 0
    desk.git("switch", "-q", "main")
    desk.git("merge", "-q", "--ff-only", "gh-readonly-queue/main/pr-7")
    desk.upstream()
    return desk.apply(file, "--merged", desk.git("rev-parse", "HEAD"), environ=job(desk))


@way("the merge is named by an annotated tag")
def _(desk: Desk) -> Ran:
    file = agreed(desk)
    desk.merge()
    desk.git("tag", "-a", "-m", "released", "v2")
    return desk.apply(file, "--merged", "v2")


@way("an approved plan is applied before it is merged")
def _(desk: Desk) -> Ran:
    return desk.apply(agreed(desk))


@way("main has moved elsewhere since the plan")
def _(desk: Desk) -> Ran:
    file = agreed(desk)
    to_main(desk, "README.md", "limits\n")
    to_main(desk, "docs/desk.md", "who is who\n")
    return desk.apply(file)


@way("main has moved elsewhere since the plan, and then it was merged")
def _(desk: Desk) -> Ran:
    file = agreed(desk)
    to_main(desk, "README.md", "limits\n")
    return desk.apply(file, "--merged", desk.merge())


@way("main was merged into the change")
def _(desk: Desk) -> Ran:
    desk.raise_it("jo")
    to_main(desk, "README.md", "limits\n")
    desk.git("merge", "-q", "--no-ff", "-m", "main", "main", who="jo")
    return desk.apply(signed(desk, desk.plan()))


def two_accounts(desk: Desk) -> None:
    """main has a second account, of which nothing differs at the AMS."""
    text = account(7, number="DV101218B")
    desk.ams.book.put("DV101218B", "8T4", "CJ.FUT.NYMEX", (None, 7, None, None))
    to_main(desk, "accounts/b.yaml", text)


@way("two requests for two accounts, one after the other, as they are")
def _(desk: Desk) -> Ran:
    two_accounts(desk)
    first = agreed(desk)
    desk.git("switch", "-q", "-c", "other", "main")
    desk.write("accounts/b.yaml", account(9, number="DV101218B"))
    desk.commit(who="lee")
    second = signed(desk, desk.plan(name="second.json"), "kim")
    tip = desk.merge()
    assert desk.run("apply", first, "--merged", tip).code == 0
    return desk.apply(second, "--merged", desk.merge("other"))


@way("two requests for two accounts, both merged while the first waits")
def _(desk: Desk) -> Ran:
    two_accounts(desk)
    first = agreed(desk)
    desk.git("switch", "-q", "-c", "other", "main")
    desk.write("accounts/b.yaml", account(9, number="DV101218B"))
    desk.commit(who="lee")
    second = signed(desk, desk.plan(name="second.json"), "kim")
    one, other = desk.merge(), desk.merge("other")
    assert desk.run("apply", first, "--merged", one).code == 0
    return desk.apply(second, "--merged", other)


# --- what main holds ---


@way("the request mends a project file of main that cannot be read")
def _(desk: Desk) -> Ran:
    to_main(desk, "amsctl.yaml", project_text(desk.ams.url) + "    broken: [\n")
    desk.git("switch", "-q", "-c", "change")
    desk.write("amsctl.yaml", project_text(desk.ams.url))
    return desk.apply(agreed(desk))


@way("the request mends a manifest of main that cannot be read")
def _(desk: Desk) -> Ran:
    to_main(desk, "accounts/a.yaml", account("1o"))
    return desk.apply(agreed(desk, "sam", "kim"))  # what main wanted cannot be read, so who broke it may have wanted this


@way("the request changes the project file beside the limit")
def _(desk: Desk) -> Ran:
    desk.git("switch", "-q", "-c", "change")
    desk.write("amsctl.yaml", project_text(desk.ams.url, TWO))
    return desk.apply(agreed(desk))


@way("an account moves to another file")
def _(desk: Desk) -> Ran:
    desk.git("switch", "-q", "-c", "change")
    desk.git("mv", "accounts/a.yaml", "accounts/z.yaml")
    desk.write("accounts/z.yaml", account(RAISED))
    desk.commit(who="jo")
    return desk.apply(signed(desk, desk.plan()))


@way("the firm of an account is called by its clearing id from now on")
def _(desk: Desk) -> Ran:
    desk.git("switch", "-q", "-c", "change")
    desk.write("accounts/a.yaml", SECOND.format(short=RAISED))
    desk.commit(who="jo")
    return desk.apply(signed(desk, desk.plan()))


@way("the project lies in a subfolder")
def _(desk: Desk) -> Ran:
    (desk.root / "limits").mkdir()
    desk.git("mv", "amsctl.yaml", "accounts", "approvers", "limits")
    desk.commit(who="root", signed=False)
    desk.root /= "limits"
    return desk.apply(agreed(desk))


@way("the request moves the project's folder")
def _(desk: Desk) -> Ran:
    desk.git("switch", "-q", "-c", "change")
    (desk.root / "prod").mkdir()
    desk.git("mv", "amsctl.yaml", "accounts", "approvers", "prod")
    desk.root /= "prod"
    return desk.apply(agreed(desk))


@way("the branch of record is called otherwise")
def _(desk: Desk) -> Ran:
    desk.write("amsctl.yaml", project_text(desk.ams.url, SIGNATURES + "  baseBranch: trunk\n"))
    desk.commit(who="root", signed=False)
    desk.git("branch", "-m", "main", "trunk")
    desk.git("switch", "-q", "-c", "change")
    return desk.apply(agreed(desk))


# --- first adoption ---


@way("a folder without git, and yes at the terminal")
def _(desk: Desk) -> Ran:
    os.rename(desk.root / ".git", desk.home / "away")
    desk.write("amsctl.yaml", project_text(desk.ams.url, ""))
    desk.write("accounts/a.yaml", account(RAISED))
    return desk.run("apply", stdin="yes\n", terminal=True)


@way("uncommitted files, where main asks for no approvals")
def _(desk: Desk) -> Ran:
    to_main(desk, "amsctl.yaml", project_text(desk.ams.url, ""))
    to_main(desk, "README.md", "limits\n")
    desk.write("accounts/a.yaml", account(RAISED))
    return desk.run("apply", "--auto-approve")


@way("main has no project file yet, and a person is there")
def _(desk: Desk) -> Ran:
    desk.git("switch", "-q", "--orphan", "bare")
    desk.commit(who="root", signed=False, message="nothing yet")
    desk.git("branch", "-f", "main", "bare")
    desk.git("switch", "-q", "-c", "change")
    desk.write("amsctl.yaml", project_text(desk.ams.url, ""))
    desk.raise_it("jo")
    return desk.apply(desk.plan())


# --- clones and checkouts ---


@way("a whole clone, in which nothing but the change is checked out")
def _(desk: Desk) -> Ran:
    desk.raise_it("jo")
    desk.git("switch", "-q", "main")
    there = desk.home / "clone"
    subprocess.run(["git", "clone", "-q", str(desk.root), str(there)], check=True)
    desk.root = there
    desk.git("checkout", "-q", "--detach", "origin/change")
    return desk.apply(signed(desk, desk.plan("--base", "origin/main")), "--base", "origin/main")


def elsewhere(desk: Desk, *options: str) -> None:
    """A clone of jo's change, which main lacks."""
    desk.raise_it("jo")
    desk.git("switch", "-q", "main")
    server, desk.root = desk.root, desk.home / "clone"
    subprocess.run(["git", "clone", "-q", *options, f"file://{server}", str(desk.root)], check=True)


@way("a whole clone whose remote is called upstream, and nothing is said of the base")
def _(desk: Desk) -> Ran:
    elsewhere(desk, "-o", "upstream", "-b", "change")
    return desk.apply(signed(desk, desk.plan()))


@way("a clone of a fork that lags behind, beside the repository that it was made of")
def _(desk: Desk) -> Ran:
    elsewhere(desk, "-b", "main")
    server = desk.git("remote", "get-url", "origin")
    desk.git("switch", "-q", "-c", "more", "origin/change")
    desk.git("remote", "add", "upstream", server)
    desk.on_main("README.md", "limits\n")
    desk.git("update-ref", "refs/remotes/upstream/main", "main")
    desk.git("switch", "-q", "more")
    return desk.apply(signed(desk, desk.plan("--base", "upstream/main")), "--base", "upstream/main")


@way("the same, with the fork's own main as the base")
def _(desk: Desk) -> Ran:
    elsewhere(desk, "-b", "main")
    desk.git("switch", "-q", "-c", "more", "origin/change")
    desk.on_main("README.md", "limits\n")
    desk.git("update-ref", "refs/remotes/upstream/main", "main")
    desk.git("switch", "-q", "more")
    return desk.apply(signed(desk, desk.plan()))


@way("a clone of a single branch, into which main was fetched as the message says")
def _(desk: Desk) -> Ran:
    elsewhere(desk, "--single-branch", "-b", "change")
    assert "git fetch origin main:refs/remotes/origin/main" in desk.run("plan").err
    desk.git("fetch", "-q", "origin", "main:refs/remotes/origin/main")
    return desk.apply(signed(desk, desk.plan()))


@way("a job of Jenkins that names the base")
def _(desk: Desk) -> Ran:
    elsewhere(desk, "-b", "change")
    desk.git("remote", "set-head", "origin", "--delete")
    jenkins = {"JENKINS_URL": "http://ci/", "CI": "true"}
    return desk.apply(signed(desk, desk.plan("--base", "origin/main", environ=jenkins)), "--base", "origin/main", environ=jenkins)


@way("a job of Jenkins for a request, which names its target")
def _(desk: Desk) -> Ran:
    elsewhere(desk, "-b", "change")
    desk.git("remote", "set-head", "origin", "--delete")
    jenkins = {"JENKINS_URL": "http://ci/", "CI": "true", "CHANGE_TARGET": "main"}
    return desk.apply(signed(desk, desk.plan(environ=jenkins)), environ=jenkins)


@way("main was renamed, and the clone is a whole one")
def _(desk: Desk) -> Ran:
    desk.git("branch", "-q", "-m", "main", "trunk")
    desk.write("amsctl.yaml", project_text(desk.ams.url, SIGNATURES + "  baseBranch: trunk\n"))
    desk.commit(who="root", signed=False)
    desk.git("switch", "-q", "-c", "change")
    desk.raise_it("jo")
    desk.git("switch", "-q", "trunk")
    server, desk.root = desk.root, desk.home / "clone"
    subprocess.run(["git", "clone", "-q", f"file://{server}", str(desk.root)], check=True)
    desk.git("checkout", "-q", "--detach", "origin/change")
    return desk.apply(signed(desk, desk.plan()))


@way("main was renamed, and a job has the new branch alone, by the forge's own word")
def _(desk: Desk) -> Ran:
    desk.git("branch", "-q", "-m", "main", "trunk")
    desk.write("amsctl.yaml", project_text(desk.ams.url, SIGNATURES + "  baseBranch: trunk\n"))
    desk.commit(who="root", signed=False)
    desk.raise_it("jo")
    server, desk.root = desk.root, desk.home / "clone"
    subprocess.run(["git", "clone", "-q", "--single-branch", "-b", "trunk", f"file://{server}", str(desk.root)], check=True)
    gitlab = {"CI": "true", "GITLAB_CI": "true", "CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "trunk", "CI_DEFAULT_BRANCH": "trunk"}
    return desk.apply(signed(desk, desk.plan(environ=gitlab)), environ=gitlab)


@way("all happens within one second, and the change takes main in")
def _(desk: Desk) -> Ran:
    second = {f"GIT_{role}_DATE": stamp(-1) for role in ("AUTHOR", "COMMITTER")}
    desk.write("README.md", "limits\n")
    desk.commit(who="lee", **second)
    desk.raise_it("jo", **second)
    desk.git("switch", "-q", "main")
    desk.write("README.md", "more limits\n")
    desk.commit(who="kim", **second)
    desk.git("switch", "-q", "change")
    desk.git("merge", "-q", "-m", "update", "main", who="jo", environ=second)
    return desk.apply(signed(desk, desk.plan()))


@way("a linked worktree")
def _(desk: Desk) -> Ran:
    desk.raise_it("jo")
    desk.git("switch", "-q", "main")
    desk.git("worktree", "add", "-q", str(desk.home / "linked"), "change")
    desk.root = desk.home / "linked"
    return desk.apply(signed(desk, desk.plan()))


@way("a repository of SHA-256")
def _(desk: Desk) -> Ran:
    there = desk.home / "sha256"
    there.mkdir()
    desk.git("init", "-q", "-b", "main", "--object-format=sha256", at=there)
    for path in ("amsctl.yaml", "approvers", "accounts/a.yaml"):
        (there / path).parent.mkdir(exist_ok=True)
        (there / path).write_bytes((desk.root / path).read_bytes())
    desk.root = there
    desk.commit(who="root", signed=False)
    return desk.apply(agreed(desk))


def windows(desk: Desk) -> Path:
    """A clone with the line ends of Windows."""
    there = desk.home / "windows"
    subprocess.run(["git", "clone", "-q", "-b", "change", "-c", "core.autocrlf=true", str(desk.root), str(there)], check=True)
    assert b"\r\n" in (there / "accounts" / "a.yaml").read_bytes()
    return there


@way("planned with the line ends of Windows, applied with the commit's")
def _(desk: Desk) -> Ran:
    desk.raise_it("jo")
    here = desk.root
    desk.root = windows(desk)
    file = signed(desk, desk.plan("--base", "origin/main"))
    desk.root = here
    return desk.apply(file)


@way("planned with the commit's line ends, applied with those of Windows")
def _(desk: Desk) -> Ran:
    file = agreed(desk)
    desk.root = windows(desk)
    return desk.apply(file)


@way("files of the pipeline's own lie about")
def _(desk: Desk) -> Ran:
    desk.raise_it("jo")
    desk.write("plan.md", "# plan\n")
    file = signed(desk, desk.plan())
    desk.write("reviews.json", "{}\n")
    return desk.apply(file)


# --- jobs ---


@way("a job for the request plans, one on main applies")
def _(desk: Desk) -> Ran:
    desk.upstream()
    desk.raise_it("jo")
    file = signed(desk, desk.plan("--base", "origin/main", environ=request_job(desk, "main", "jo-gh")))
    tip = desk.merge()
    desk.upstream()
    return desk.apply(file, "--base", "origin/main", "--merged", tip, environ=job(desk, "root-gh"))


@way("an App starts the jobs")
def _(desk: Desk) -> Ran:
    desk.upstream()
    desk.raise_it("jo")
    file = signed(desk, desk.plan(environ=request_job(desk, "main", "risk-limits[bot]")))
    tip = desk.merge()
    desk.upstream()
    return desk.apply(file, "--merged", tip, environ=job(desk, "risk-limits[bot]"))


@way("kim runs jo's job at GitHub again after a time-out, and approves")
def _(desk: Desk) -> Ran:
    to_main(desk, "approvers", line(desk.keys, "kim", "kim@firm.example,kim-gh") + signers(desk.keys, "jo"))
    desk.upstream()
    desk.raise_it("jo")
    environ = {**request_job(desk, "main", "jo-gh"), "GITHUB_TRIGGERING_ACTOR": "kim-gh", "GITHUB_RUN_ATTEMPT": "2"}
    return desk.apply(signed(desk, desk.plan(environ=environ), "kim"))


@way("a job at GitLab plans, and one on main applies")
def _(desk: Desk) -> Ran:
    desk.upstream()
    desk.raise_it("jo")
    common = {"CI": "true", "GITLAB_CI": "true", "GITLAB_USER_LOGIN": "jo"}
    asked = {**common, "CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}
    file = signed(desk, desk.plan(environ=asked))
    tip = desk.merge()
    desk.upstream()
    return desk.apply(file, "--merged", tip, environ={**common, "CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "main"})


@way("a request for a release branch, whose project file calls main the branch of record")
def _(desk: Desk) -> Ran:
    desk.upstream()
    desk.git("switch", "-q", "-c", "release")
    desk.write("README.md", "the release\n")
    desk.commit(who="kim")
    desk.git("update-ref", "refs/remotes/origin/release", "release")
    desk.git("switch", "-q", "-c", "change")
    desk.raise_it("jo")
    environ = request_job(desk, "release", "jo-gh")
    return desk.apply(signed(desk, desk.plan("--base", "origin/release", environ=environ)), "--base", "origin/release", environ=environ)


# --- reviews ---


def reviewing(desk: Desk, approvals: str = REVIEWS) -> str:
    """main counts reviews, and jo's raise is planned."""
    to_main(desk, "amsctl.yaml", project_text(desk.ams.url, approvals))
    desk.raise_it("jo", signed=False)
    return desk.plan()


@way("sam reviews jo's request")
def _(desk: Desk) -> Ran:
    file = reviewing(desk)
    return desk.apply(file, "--reviews", desk.reviews(file, "sam-gh"))


@way("sam reviews jo's request, which is then squashed")
def _(desk: Desk) -> Ran:
    file = reviewing(desk)
    said = desk.reviews(file, "sam-gh", state="merged")
    desk.git("switch", "-q", "main")
    desk.git("merge", "-q", "--squash", "change")
    return desk.apply(file, "--reviews", said, "--merged", desk.commit(who="root", signed=False))


@way("two review a request whose author the forge does not know")
def _(desk: Desk) -> Ran:
    file = reviewing(desk)
    unknown = (CommitRecord(id=desk.git("rev-parse", "HEAD"), author=None, committer=None, verified=None),)
    return desk.apply(file, "--reviews", desk.reviews(file, "sam-gh", "kim-gh", commits=unknown))


@way("an edit in the browser")
def _(desk: Desk) -> Ran:
    file = reviewing(desk)
    edited = (CommitRecord(id=desk.git("rev-parse", "HEAD"), author="jo-gh", committer="web-flow", verified="jo-gh"),)
    return desk.apply(file, "--reviews", desk.reviews(file, "sam-gh", commits=edited))


@way("the plan job runs again for the same content, after the review")
def _(desk: Desk) -> Ran:
    first = reviewing(desk)
    said = desk.reviews(first, "sam-gh")
    return desk.apply(desk.plan(name="again.json"), "--reviews", said)


@way("the desk takes a raise back, and sam reviews it anew after it was planned and shown again")
def _(desk: Desk) -> Ran:
    file = reviewing(desk)
    assert desk.run("apply", file, "--reviews", desk.reviews(file, "sam-gh")).code == 0
    desk.forget()
    desk.put(LIVE)
    again = desk.plan(name="again.json")
    shown = tuple(PlanRecord(content=content_of(read_plan(again)), at=stamp(hours), seen_in="artifact") for hours in (-2, 0.01))
    words = (review("sam-gh", desk.git("rev-parse", "HEAD"), at=stamp(0.02)),)
    return desk.apply(again, "--reviews", desk.reviews(again, reviews=words, plans=shown))


@way("the AMS refuses the call of a reviewed raise, and the same is planned again")
def _(desk: Desk) -> Ran:
    file = reviewing(desk)
    desk.ams.faults.add(Rule(kind="error_before", method="POST", status=400, times=1))
    assert desk.run("apply", file, "--reviews", desk.reviews(file, "sam-gh")).code in {1, 5}
    desk.ams.faults.clear()
    desk.forget()
    again = desk.plan(name="again.json")
    return desk.apply(again, "--reviews", desk.reviews(again, "sam-gh"))


@way("sam asks for changes, and approves later")
def _(desk: Desk) -> Ran:
    file = reviewing(desk)
    head = desk.git("rev-parse", "HEAD")
    words = (review("sam-gh", head, "changes-requested", at=stamp(-1.5)), review("sam-gh", head))
    return desk.apply(file, "--reviews", desk.reviews(file, reviews=words))


@way("jo pushes twice, and sam reviews the last")
def _(desk: Desk) -> Ran:
    file = reviewing(desk)
    head = desk.git("rev-parse", "HEAD")
    twice = (
        PushRecord(before="0" * 40, after="ab" * 20, by="jo-gh", at=stamp(-4)),
        PushRecord(before="ab" * 20, after=head, by="jo-gh", at=stamp(-3)),
    )
    return desk.apply(file, "--reviews", desk.reviews(file, "sam-gh", pushes=twice))


@way("reviews at GitLab")
def _(desk: Desk) -> Ran:
    file = reviewing(desk, "  approvals: {from: gitlab, approvers: [sam-gh]}\n")
    return desk.apply(file, "--reviews", desk.reviews(file, "sam-gh", forge="gitlab"))


# --- runs ---


@way("a rollback that tightens needs nobody")
def _(desk: Desk) -> Ran:
    assert desk.run("apply", agreed(desk)).code == 0
    desk.merge()
    desk.forget()
    return desk.apply(rolled_back(desk, desk.last_run()))


@way("a rollback at a terminal that loosens, and two agree")
def _(desk: Desk) -> Ran:
    file = rolled_back(desk, tightened(desk))
    return desk.apply(signed(desk, file, "kim", "lee"))


@way("a rollback in a job of sam's that loosens, and kim agrees")
def _(desk: Desk) -> Ran:
    run = tightened(desk)
    to_main(desk, "approvers", line(desk.keys, "sam", "sam@firm.example,sam-gh") + signers(desk.keys, "kim"))
    file = signed(desk, rolled_back(desk, run, job(desk)), "kim")
    return desk.apply(file, environ=job(desk))


@way("a run is resumed under the approvals that it began with")
def _(desk: Desk) -> Ran:
    file = agreed(desk)
    desk.ams.faults.add(Rule(kind="error_before", method="POST", status=400, times=1))
    assert desk.run("apply", file).code in {1, 5}
    desk.ams.faults.clear()
    desk.forget()
    return desk.run("resume")


@way("a run is resumed after its change was merged")
def _(desk: Desk) -> Ran:
    file = agreed(desk)
    desk.ams.faults.add(Rule(kind="error_before", method="POST", status=400, times=1))
    assert desk.run("apply", file).code in {1, 5}
    desk.ams.faults.clear()
    desk.merge()
    to_main(desk, "README.md", "limits\n")
    desk.forget()
    return desk.run("resume")


@way("a plan that came too late is made again for an empty commit on top of the merge")
def _(desk: Desk) -> Ran:
    desk.upstream()
    desk.sign("sam", agreed(desk))
    merged_by_kim(desk, "change")
    desk.git("switch", "--quiet", "-c", "again")
    desk.commit(message="RISK-7 again")
    file = desk.plan("--base", "origin/main", name="again.json")
    assert desk.approve("sam", file).code == 0
    return desk.apply(file, "--merged", merged_by_kim(desk, "again"), environ=job(desk, "kim-gh"))


@way("a plan that came too late is made again of the same commit, with signatures")
def _(desk: Desk) -> Ran:
    desk.upstream()
    desk.sign("sam", agreed(desk))
    tip = merged_by_kim(desk, "change")
    desk.git("switch", "--quiet", "--detach", "change")
    file = signed(desk, desk.plan("--base", "origin/main", name="again.json"))
    desk.git("switch", "--quiet", "main")
    return desk.apply(file, "--merged", tip, environ=job(desk, "kim-gh"))


@way("a plan that came too late is made again of the same commit, which was squash-merged")
def _(desk: Desk) -> Ran:
    desk.upstream()
    desk.sign("sam", agreed(desk))
    to_main(desk, "README.md", "something else\n")
    desk.git("switch", "--quiet", "main")
    desk.git("merge", "--quiet", "--squash", "change", who="kim")
    tip = desk.commit(who="kim", signed=False, message="raise (#7)")
    desk.upstream()
    desk.git("switch", "--quiet", "--detach", "change")
    file = signed(desk, desk.plan("--base", "origin/main", name="again.json"))
    desk.git("switch", "--quiet", "main")
    return desk.apply(file, "--merged", tip, environ=job(desk, "kim-gh"))


@way("a plan that came too late is made again of the same commit, with reviews")
def _(desk: Desk) -> Ran:
    desk.write("amsctl.yaml", project_text(desk.ams.url, REVIEWS))
    desk.commit(who="root", signed=False)
    before = desk.git("rev-parse", "main")
    desk.raise_it("jo", signed=False)
    tip = merged_by_kim(desk, "change")
    desk.git("switch", "--quiet", "--detach", "change")
    file = desk.plan(environ=request_job(desk, "main", "jo-gh"))
    head = desk.git("rev-parse", "change")
    commits = tuple(CommitRecord(id=one, author="jo-gh", committer="jo-gh", verified=None) for one in (head,))
    reviews = desk.reviews(file, "sam-gh", commits=commits, state="merged", merge_commit=tip)
    assert desk.git("rev-parse", "change^") == before
    desk.git("switch", "--quiet", "main")
    return desk.apply(file, "--merged", tip, "--reviews", reviews, environ=job(desk, "kim-gh"))


@way("a value that main has had for longer than 200 versions, set by hand at the AMS since")
def _(desk: Desk) -> Ran:
    lines = []
    for number in range(205):
        text = account(number, number=OTHER)
        lines.append(
            f"commit refs/heads/main\ncommitter kim <kim@firm.example> {1_700_000_000 + number} +0000\ndata 1\nx\n"
            + ("from main^0\n" if not number else "")
            + f"M 644 inline accounts/b.yaml\ndata {len(text)}\n{text}\n"
        )
    subprocess.run(["git", "-C", str(desk.root), "fast-import", "--quiet"], input="".join(lines).encode(), check=True)
    desk.git("reset", "--quiet", "--hard", "main")
    desk.put(100)
    desk.git("switch", "--quiet", "-c", "change")
    desk.commit(message="RISK-7 as main says")
    return desk.apply(signed(desk, desk.plan("--account", NUMBER), "sam", "kim"))


def merged_by_kim(desk: Desk, branch: str) -> str:
    """In the browser: a merge that nobody signs."""
    tip = desk.merge(branch, who="kim")
    desk.upstream()
    return tip


@pytest.mark.parametrize("name", WAYS)
def test_an_honest_way_works(name: str, desk: Desk) -> None:
    """At least one call, and exit code 0."""
    ran = WAYS[name](desk)
    assert ran.code == 0, ran.out + ran.err
    assert len(desk.writes()) >= 1
