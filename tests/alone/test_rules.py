"""Whose rules hold: a change that brings its own, branches and refs that claim to be the branch of record, older and laxer rules, lists of signers."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.alone.cases import Cases
from tests.alone.desk import LIVE, RAISED, SIGNATURES, Desk, account, line, project_text, signers
from tests.alone.test_runs import request_job
from tests.cli.conftest import Ran

CASES = Cases()
MADE = "has made or pushed this change"
UNPROVEN = "for authors who are not proven"
TWO = "  approvals: {from: signatures, rules: [{approvals: 2}]}\n"


def brings(desk: Desk, text: str, *, path: str = "amsctl.yaml") -> None:
    """On a branch of sam's, this file beside the raise."""
    desk.git("switch", "-q", "-c", "change")
    desk.write(path, text)
    desk.raise_it()


def project(desk: Desk, safeguards: str = SIGNATURES, **more: str) -> str:
    return project_text(desk.ams.url, safeguards, **more)


@CASES.add("sam applies by another environment of the same AMS, for which approvals are not asked", 1, "some environments of one AMS alone")
def _(desk: Desk) -> Ran:
    text = project(desk, "  approvals: {from: signatures, environments: [desk]}\n").rstrip("\n")
    (mine,) = (one for one in text.splitlines() if one.startswith("    desk: "))
    mine = mine.replace("{url", "{ams: prod, url")
    desk.on_main("amsctl.yaml", "\n".join([*text.splitlines()[:-1], mine, mine.replace("desk:", "other:"), ""]))
    desk.raise_it()
    return desk.run("-e", "other", "plan", "-o", str(desk.home / "plan.json"))


# --- the change's own project file ---


@CASES.add("the change drops the approvals", 8)
def _(desk: Desk) -> Ran:
    brings(desk, project(desk, ""))
    return desk.apply(desk.plan())


@CASES.add("the change asks for no approvals", 8)
def _(desk: Desk) -> Ran:
    brings(desk, project(desk, "  approvals: {from: signatures, rules: [{approvals: 1, lots: 100000}]}\n"))
    return desk.apply(desk.plan())


@CASES.add("the change believes addresses", 8, UNPROVEN)
def _(desk: Desk) -> Ran:
    desk.git("switch", "-q", "-c", "change")
    desk.write("amsctl.yaml", project(desk, "  approvals: {from: signatures, makers: addresses}\n"))
    desk.write("accounts/a.yaml", account(RAISED))
    desk.commit("--author=jo <jo@firm.example>", who="jo", signed=False)
    return desk.alone()


@CASES.add("the change takes reviews, which nobody reads, in the place of signatures", 8)
def _(desk: Desk) -> Ran:
    brings(desk, project(desk, "  approvals: {from: github, approvers: [sam-gh]}\n"))
    return desk.alone()


@CASES.add("the change names another list of signers", 8)
def _(desk: Desk) -> Ran:
    desk.git("switch", "-q", "-c", "change")
    desk.write("mine", line(desk.keys, "mallory", "friend@firm.example"))
    brings_more = project(desk, "  approvals: {from: signatures, signers: mine}\n")
    desk.write("amsctl.yaml", brings_more)
    desk.raise_it()
    return desk.alone(who="mallory")


@CASES.add("the change puts a second key of sam's on the list", 8)
def _(desk: Desk) -> Ran:
    brings(desk, signers(desk.keys, "sam", "kim", "lee", "jo") + line(desk.keys, "mallory", "new@firm.example"), path="approvers")
    file = desk.plan()
    desk.sign("mallory", file, by="new@firm.example")
    return desk.apply(file)


@CASES.add("the change gives kim's name to a key of sam's", 8)
def _(desk: Desk) -> Ran:
    brings(desk, signers(desk.keys, "sam", "lee", "jo") + line(desk.keys, "mallory", "kim@firm.example"), path="approvers")
    file = desk.plan()
    desk.sign("mallory", file, by="kim@firm.example")
    return desk.apply(file)


@CASES.add("the change gives jo's name to a key that signs its commit", 8, UNPROVEN)
def _(desk: Desk) -> Ran:
    desk.git("switch", "-q", "-c", "change")
    desk.write("approvers", signers(desk.keys, "sam", "kim", "lee") + line(desk.keys, "mallory", "jo@firm.example"))
    desk.write("accounts/a.yaml", account(RAISED))
    names = {"GIT_AUTHOR_EMAIL": "jo@firm.example", "GIT_COMMITTER_EMAIL": "jo@firm.example"}
    desk.commit(who="mallory", **names)
    return desk.alone()


@CASES.add("the change lets approvals live longer, and an old one is brought", 8)
def _(desk: Desk) -> Ran:
    brings(desk, project(desk, "  approvals: {from: signatures, validHours: 168}\n"))
    return desk.alone()


@CASES.add("the change says that unset means blocked, and takes the row away", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.git("switch", "-q", "-c", "change")
    desk.write("amsctl.yaml", project(desk, SIGNATURES + "  unsetMeans: blocked\n"))
    desk.write("accounts/a.yaml", account(LIVE).replace("{ef: {short: 567}}", "unset"))
    desk.commit(who="sam")
    return desk.alone()


@CASES.add("the change adds an environment of the same address without approvals", 1, "other is desk, too")
def _(desk: Desk) -> Ran:
    text = project(desk, "  approvals: {from: signatures, environments: [desk]}\n")
    brings(desk, text + f'    other: {{url: "{desk.ams.url}", auth: {{type: none}}, ams: desk}}\n')
    return desk.run("-e", "other", "plan", "-o", str(desk.home / "plan.json"))


@CASES.add("the change adds an environment of the same address, and drops the approvals", 1, "no environment is called other")
def _(desk: Desk) -> Ran:
    text = project(desk, "")
    brings(desk, text + f'    other: {{url: "{desk.ams.url}", auth: {{type: none}}, ams: desk}}\n')
    return desk.run("-e", "other", "plan", "-o", str(desk.home / "plan.json"))


@CASES.add("the change moves the project to another folder and drops the approvals", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.git("switch", "-q", "-c", "change")
    (desk.root / "prod").mkdir()
    desk.git("mv", "amsctl.yaml", "accounts", "approvers", "prod")
    desk.write("prod/amsctl.yaml", project(desk, ""))
    desk.write("prod/accounts/a.yaml", account(RAISED))
    desk.commit(who="sam")
    desk.root /= "prod"
    return desk.alone()


@CASES.add("the change copies the project to a second folder without approvals", 1, "has no project file for this folder")
def _(desk: Desk) -> Ran:
    desk.git("switch", "-q", "-c", "change")
    desk.write("prod/amsctl.yaml", project(desk, ""))
    desk.write("prod/accounts/a.yaml", account(RAISED))
    desk.commit(who="sam")
    desk.root /= "prod"
    return desk.alone()


@CASES.add("the change has its project file in other letters", 8)
def _(desk: Desk) -> Ran:
    brings(desk, project(desk, ""), path="AMSCTL.yaml")
    return desk.alone()


@CASES.add("the change makes the project file a link", 8)
def _(desk: Desk) -> Ran:
    desk.git("switch", "-q", "-c", "change")
    desk.write("lax.yaml", project(desk, ""))
    (desk.root / "amsctl.yaml").unlink()
    (desk.root / "amsctl.yaml").symlink_to("lax.yaml")
    desk.raise_it()
    return desk.alone()


# --- which branch ---


@CASES.add("the change calls its own branch the base branch", 1, "which still says so of itself")
def _(desk: Desk) -> Ran:
    brings(desk, project(desk, "  baseBranch: change\n"))
    return desk.apply(desk.plan())


@CASES.add("the change calls a branch the base branch that is not there", 1)
def _(desk: Desk) -> Ran:
    brings(desk, project(desk, "  baseBranch: nowhere\n"))
    return desk.apply(desk.plan())


def trunk(desk: Desk, safeguards: str) -> None:
    """A branch without a history, whose project file calls it the base branch, and a raise of sam's on top."""
    desk.git("switch", "-q", "--orphan", "trunk")
    desk.write("amsctl.yaml", project(desk, safeguards + "  baseBranch: trunk\n"))
    desk.write("approvers", line(desk.keys, "mallory", "friend@firm.example"))
    desk.write("accounts/a.yaml", account(LIVE))
    desk.commit(who="sam", message="trunk")
    desk.git("switch", "-q", "-c", "change")
    desk.raise_it()


@CASES.add("a branch without a history calls itself the base branch", 1, "which still says so of itself")
def _(desk: Desk) -> Ran:
    trunk(desk, "")
    return desk.apply(desk.plan())


@CASES.add("--base names a branch without a history that calls itself the base branch", 8)
def _(desk: Desk) -> Ran:
    trunk(desk, "")
    return desk.apply(desk.plan("--base", "trunk"), "--base", "trunk")


@CASES.add("--base names a branch without a history that has a list of its own", 8)
def _(desk: Desk) -> Ran:
    trunk(desk, SIGNATURES)
    file = desk.plan("--base", "trunk")
    desk.sign("mallory", file, by="friend@firm.example")
    return desk.apply(file, "--base", "trunk")


@CASES.add("--base names the change's own branch", 8)
def _(desk: Desk) -> Ran:
    desk.raise_it()
    return desk.alone("--base", "change", apply=("--base", "change"))


@CASES.add("--base names a branch of sam's that holds the raise and no approvals", 8)
def _(desk: Desk) -> Ran:
    brings(desk, project(desk, ""))
    desk.git("branch", "mine")
    desk.commit(who="jo", message="on top")
    return desk.apply(desk.plan("--base", "mine"), "--base", "mine")


@CASES.add("--base names a branch of sam's that asks for no approvals, below the raise", 8)
def _(desk: Desk) -> Ran:
    desk.git("switch", "-q", "-c", "mine")
    desk.write("amsctl.yaml", project(desk, ""))
    desk.commit(who="sam", message="no approvals")
    desk.git("switch", "-q", "-c", "change")
    desk.raise_it()
    return desk.apply(desk.plan("--base", "mine"), "--base", "mine")


@CASES.add("--base names a commit of sam's that asks for no approvals", 8)
def _(desk: Desk) -> Ran:
    desk.git("switch", "-q", "-c", "change")
    desk.write("amsctl.yaml", project(desk, ""))
    own = desk.commit(who="sam", message="no approvals")
    desk.raise_it()
    return desk.apply(desk.plan("--base", own), "--base", own)


@CASES.add("--base names a tag of sam's that asks for no approvals", 8)
def _(desk: Desk) -> Ran:
    desk.git("switch", "-q", "-c", "change")
    desk.write("amsctl.yaml", project(desk, ""))
    desk.commit(who="sam", message="no approvals")
    desk.git("tag", "-a", "-m", "v1", "v1", who="sam")
    desk.raise_it()
    return desk.apply(desk.plan("--base", "v1"), "--base", "v1")


@CASES.add("--base names an old branch from before approvals were asked for", 8)
def _(desk: Desk) -> Ran:
    desk.git("switch", "-q", "-c", "release")
    desk.write("amsctl.yaml", project(desk, ""))
    desk.commit(who="root", signed=False, message="the time before")
    desk.git("switch", "-q", "main")
    desk.git("reset", "-q", "--hard", "release")
    desk.on_main("amsctl.yaml", project(desk))
    desk.raise_it()
    return desk.apply(desk.plan("--base", "release"), "--base", "release")


@CASES.add("--base names an old commit of main from before approvals were asked for", 8)
def _(desk: Desk) -> Ran:
    old = desk.on_main("amsctl.yaml", project(desk, ""))
    desk.on_main("amsctl.yaml", project(desk))
    desk.raise_it()
    return desk.apply(desk.plan("--base", old), "--base", old)


@CASES.add("a tag is called like the base branch", 1, "ambiguous")
def _(desk: Desk) -> Ran:
    desk.raise_it()
    desk.git("tag", "main")
    return desk.alone("--base", "main", apply=("--base", "main"))


@CASES.add("a tag is called like the base branch, and --base is not given", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.raise_it()
    desk.git("tag", "main")
    return desk.alone()


@CASES.add("a local branch is called like the remote's", 1, "ambiguous")
def _(desk: Desk) -> Ran:
    desk.upstream()
    brings(desk, project(desk, ""))
    desk.git("branch", "origin/main")
    return desk.apply(desk.plan("--base", "origin/main"), "--base", "origin/main")


@CASES.add("a branch is called like a full ref", 8)
def _(desk: Desk) -> Ran:
    brings(desk, project(desk, ""))
    desk.git("update-ref", "refs/heads/refs/heads/main", "change")
    return desk.apply(desk.plan("--base", "refs/heads/main"), "--base", "refs/heads/main")


@pytest.mark.parametrize("base", ["HEAD", "@", "main~1", "@{-1}", "change^", ":/RISK", "main@{yesterday}", "-main", "main..change", ""])
def test_base_is_not_a_language(base: str, desk: Desk) -> None:
    """What a name means may not hang on what is checked out: refused before anything is sent."""
    desk.raise_it()
    ran = desk.run("plan", f"--base={base}", "-o", str(desk.home / "plan.json"))
    assert (ran.code, [one.path for one in desk.ams.log]) == (1, []), ran.err


# --- a request for another branch ---


def target(desk: Desk, safeguards: str, *, main: str = "", own: bool = True) -> dict[str, str]:
    """A branch of sam's, made of main, which calls itself the base branch unless it is not its ``own``; and the environment of the job of a request for it.
    ``safeguards`` is what it asks for, ``main`` a project file of main's.
    """
    desk.write("amsctl.yaml", main or project(desk))
    desk.commit(who="root", signed=False)
    desk.upstream()
    desk.git("switch", "-q", "-c", "mine")
    desk.write("amsctl.yaml", project(desk, safeguards + ("  baseBranch: mine\n" if own else "")))
    desk.commit(who="sam", message="a branch of one's own")
    desk.git("update-ref", "refs/remotes/origin/mine", "mine")
    desk.git("switch", "-q", "-c", "change")
    return request_job(desk, "mine")


def requested(
    name: str, code: int, says: str, safeguards: str, *, main: str = "", ruled: str = "  guards: none\n", own: bool = True
) -> None:
    """Sam's raise is planned and applied in the job of a request for such a branch, and nobody has approved it. ``main`` and ``ruled`` are what main asks
    for.
    """

    @CASES.add(f"a request for a branch of sam's, which {name}", code, says)
    def _(desk: Desk) -> Ran:
        environ = target(desk, safeguards, main=project(desk, main or SIGNATURES, guards=ruled), own=own)
        desk.raise_it()
        return desk.apply(desk.plan("--base", "origin/mine", environ=environ), "--base", "origin/mine", environ=environ)


requested("drops the approvals", 8, "needs 1 approval (main at", "")
requested("drops the approvals, and calls main the base branch", 8, "needs 1 approval (main at", "", own=False)
requested(
    "asks for approvals of more alone", 8, "(main at", "  approvals: {from: signatures, rules: [{approvals: 1, lots: 100000}]}\n", main=TWO
)
requested("has no policies", 3, "policy small", "", main="  policies: [{name: small, maximum: {contracts: 600}}]\n")
requested(
    "has no windows",
    7,
    "closed",
    "",
    main="  windows: [{name: closed, effect: deny, timeZone: UTC, rrule: FREQ=DAILY, start: '2020-01-01T00:00', duration: P1D}]\n",
)
requested("has no guards", 3, "guard", "", main="  guardsAgainst: {days: 0}\n", ruled="  guards: {rowsChanged: {amount: 0}}\n")


def measured(member: str, safeguards: str, *, ruled: str = "  guards: none\n") -> None:
    """The branch has another ``member`` than main, in a request and where ``--base`` names it."""
    says = f"expected {member} of main at"
    requested(f"has another {member}", 1, says, SIGNATURES + safeguards, ruled=ruled)

    @CASES.add(f"--base names a branch of sam's, which has another {member}", 1, says)
    def _(desk: Desk) -> Ran:
        target(desk, SIGNATURES + safeguards, main=project(desk, guards=ruled))
        desk.raise_it()
        return desk.alone("--base", "mine", apply=("--base", "mine"))


measured("unsetMeans", "  unsetMeans: blocked\n")
measured("ownership", "  ownership: [ef]\n")
measured("planValid", "  planValid: 72\n")
measured("guardsAgainst", "", ruled="")


@CASES.add("a request for a branch of sam's, which has a list of its own", 8, "(main at")
def _(desk: Desk) -> Ran:
    desk.write("friends", signers(desk.keys, "sam") + line(desk.keys, "mallory", "friend@firm.example"))
    environ = target(desk, "  approvals: {from: signatures, signers: friends}\n")
    desk.raise_it()
    file = desk.plan(environ=environ)
    desk.sign("mallory", file, by="friend@firm.example")
    return desk.apply(file, environ=environ)


@CASES.add("a request for a branch of sam's, which holds the raise already, and sam approves an empty commit of jo's", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.git("switch", "-q", "-c", "mine")
    desk.raise_it()
    desk.git("switch", "-q", "main")
    desk.upstream()
    desk.git("update-ref", "refs/remotes/origin/mine", "mine")
    desk.git("switch", "-q", "-c", "change", "mine")
    desk.commit(who="jo")
    environ = request_job(desk, "mine", "jo-gh")
    return desk.alone(environ=environ)


# --- older and laxer rules ---


@CASES.add("a plan of an older base, while main has become stricter since", 8, "needs 1 approval")
def _(desk: Desk) -> Ran:
    desk.on_main("amsctl.yaml", project(desk, ""))
    desk.raise_it()
    file = desk.plan()
    desk.on_main("amsctl.yaml", project(desk))
    return desk.apply(file)


@CASES.add("main was strict at the base and when it was merged, and asks for nothing since", 8, "needs 1 approval")
def _(desk: Desk) -> Ran:
    desk.raise_it()
    file = desk.plan()
    desk.merge(who="sam")
    for safeguards in ("", "  undeclared: ignore\n"):
        desk.on_main("amsctl.yaml", project(desk, safeguards))
    return desk.apply(file)


@CASES.add("main asked for two in between, and the base and the tip for one", 8, "needs 2 approvals")
def _(desk: Desk) -> Ran:
    desk.raise_it("jo")
    file = desk.plan()
    desk.on_main("amsctl.yaml", project(desk, TWO))
    desk.on_main("amsctl.yaml", project(desk))
    return desk.apply((desk.sign("sam", file), file)[1])


@CASES.add("thresholds overlap, and one person meets the lower", 8, "needs 2 approvals")
def _(desk: Desk) -> Ran:
    rules = "  approvals: {from: signatures, rules: [{approvals: 2, lots: 100}, {approvals: 1}]}\n"
    desk.on_main("amsctl.yaml", project(desk, rules))
    desk.raise_it("jo")
    return desk.alone()


@CASES.add("the request that mends a broken base drops the approvals", 8)
def _(desk: Desk) -> Ran:
    desk.on_main("amsctl.yaml", project(desk) + "    broken: [\n")
    brings(desk, project(desk, ""))
    return desk.apply(desk.plan())


@CASES.add("the base never could be read", 1)
def _(desk: Desk) -> Ran:
    desk.git("switch", "-q", "--orphan", "fresh")
    desk.write("amsctl.yaml", "broken: [\n")
    desk.commit(who="root", signed=False)
    desk.git("branch", "-f", "main", "fresh")
    brings(desk, project(desk, ""))
    desk.write("approvers", "")
    return desk.apply(desk.plan())


# --- lists of signers on main ---


def listed(name: str, code: int, says: str, *lines: Sequence[str], author: str = "jo", by: str = "", key: str = "jo") -> None:
    """A list on main with jo on it, and jo approves jo's own raise under ``by``: ``lines`` are names, options and whose key."""

    @CASES.add(name, code, says)
    def _(desk: Desk) -> Ran:
        text = "".join(line(desk.keys, who, names, options) for names, options, who in lines)
        desk.on_main("approvers", text)
        desk.raise_it("jo", signed=False, GIT_AUTHOR_EMAIL=f"{author}@firm.example", GIT_COMMITTER_EMAIL=f"{author}@firm.example")
        file = desk.plan()
        desk.sign(key, file, by=by)
        if key != "jo":
            desk.sign("jo", file, by=by)
        return desk.apply(file)


BOTH = 'namespaces="amsctl-approval,git"'
listed("one key on two lines, one address each", 8, MADE, ("jo@home", BOTH, "jo"), ("jo@firm.example", BOTH, "jo"), by="jo@home")
listed("one key on two lines, the other way round", 8, MADE, ("jo@firm.example", BOTH, "jo"), ("jo@home", BOTH, "jo"), by="jo@home")
listed(
    "the line with the author's address is over",
    8,
    MADE,
    ("jo@home", BOTH, "jo"),
    ("jo@firm.example", 'valid-before="20200101"', "jo"),
    by="jo@home",
)
listed(
    "the line with the author's address is for git alone",
    8,
    MADE,
    ("jo@home", BOTH, "jo"),
    ("jo@firm.example", 'namespaces="git"', "jo"),
    by="jo@home",
)
listed(
    "one name has two keys",
    8,
    MADE,
    ("jo@firm.example", BOTH, "jo"),
    ("jo@firm.example,x@home", BOTH, "mallory"),
    by="x@home",
    key="mallory",
)
listed(
    "names hang together over a third line",
    8,
    MADE,
    ("jo@firm.example,a@home", BOTH, "jo"),
    ("a@home,b@home", BOTH, "lee"),
    ("b@home,c@home", BOTH, "mallory"),
    by="c@home",
    key="mallory",
)
listed(
    "an unproven author, and one person with two keys under one name",
    8,
    "counts once",
    ("s@firm.example,s2@home", BOTH, "sam"),
    ("s2@home,s3@home", BOTH, "jo"),
    author="ghost",
    by="s2@home",
    key="sam",
)
listed("the author's address in other letters on the list", 8, MADE, ("JO@Firm.Example,j@home", BOTH, "jo"), by="j@home")
listed("a pattern covers the author", 8, "a pattern is no person", ("*@firm.example", BOTH, "jo"), by="any@firm.example")
listed(
    "a byte order mark before the author's name",
    8,
    "characters that can be seen",
    ("\ufeffjo@firm.example,j@home", BOTH, "jo"),
    by="j@home",
)
listed(
    "a no-break space before the author's name",
    8,
    "characters that can be seen",
    ("\u00a0jo@firm.example", BOTH, "jo"),
    by="jo@firm.example",
)
listed(
    "a letter of another script in the author's name",
    8,
    "letters of one script",
    ("j\u043e@firm.example", BOTH, "jo"),
    by="jo@firm.example",
)
listed("the key is over in local time", 8, "", ("k@home", 'valid-before="20200101000000"', "kim"), by="k@home", key="kim")


@CASES.add("a certificate that names kim, made by a key that signs as jo", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.on_main("approvers", line(desk.keys, "jo") + line(desk.keys, "jo", "kim@firm.example", "cert-authority"))
    key = desk.home / "mine"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    subprocess.run(
        ["ssh-keygen", "-q", "-s", str(desk.keys["jo"]), "-I", "x", "-n", "kim@firm.example", str(key.with_suffix(".pub"))], check=True
    )
    desk.raise_it("jo")
    file = desk.plan()
    desk.sign("kim", file, key=key.with_name("mine-cert.pub"))
    return desk.apply(file)


@CASES.add("the list on main is a link", 8)
def _(desk: Desk) -> Ran:
    (desk.root / "approvers").rename(desk.root / "real")
    (desk.root / "approvers").symlink_to("real")
    desk.commit(who="root", signed=False)
    desk.raise_it()
    return desk.alone()


@CASES.add("main has no list", 8)
def _(desk: Desk) -> Ran:
    desk.git("rm", "-q", "approvers")
    desk.commit(who="root", signed=False)
    desk.git("switch", "-q", "-c", "change")
    desk.write("approvers", signers(desk.keys, "sam", "kim"))
    desk.raise_it()
    return desk.alone()


# --- approvals that are of something else ---


def statement(name: str, says: str, **members: object) -> None:
    """jo raises, and sam's approval is one of something else."""

    @CASES.add(name, 8, says)
    def _(desk: Desk) -> Ran:
        desk.raise_it("jo")
        file = desk.plan()
        desk.sign("sam", file, **members)
        return desk.apply(file)


statement("an approval of another plan", "it is for another plan", plan_digest="sha256:" + "0" * 64)
statement("an approval for another environment", "it is for another environment", environment="other")
statement("an approval for another address", "it is for another environment", url="https://elsewhere.example")
statement("an approval for another AMS", "it is for another environment", ams="elsewhere")
statement("an approval of another base", "held against another commit", base_commit="0" * 40)
statement("an approval of no base", "held against another commit", base_commit=None)
statement("an approval that is over", "it has expired", expires_at="2026-01-01T00:00:00Z")
statement("an approval that was made too long ago", "it has expired", made_at="2020-01-01T00:00:00Z")
statement("an approval of tomorrow", "in the future", made_at="2099-01-01T00:00:00Z", expires_at="2099-01-02T00:00:00Z")
statement("an approval in local time", "its times cannot be read", made_at="2026-11-28T09:00:00+13:00")
statement("an approval under kim's name with sam's key", "it names kim@firm.example", by="kim@firm.example")


@CASES.add("an approval that names a plan by twelve digits", 8)
def _(desk: Desk) -> Ran:
    desk.raise_it("jo")
    file = desk.plan()
    from amsctl.cli.planning import read_plan

    desk.sign("sam", file, plan_digest=read_plan(file).digest[:19])
    return desk.apply(file)


@CASES.add("sam approves twice where two are needed", 8, "counts once")
def _(desk: Desk) -> Ran:
    desk.on_main("amsctl.yaml", project(desk, TWO))
    desk.raise_it("jo")
    file = desk.plan()
    desk.sign("sam", file)
    desk.sign("sam", file)
    return desk.apply(file)


@CASES.add("an approval of sam's for git is brought as one of the plan", 8)
def _(desk: Desk) -> Ran:
    desk.raise_it("jo")
    file = desk.plan()
    from pathlib import Path

    from amsctl.approvals.approval import approval_text, decode_approval
    from amsctl.cli.files import json_value

    path = Path(desk.sign("sam", file))
    one = decode_approval(json_value(path.read_bytes(), str(path)), str(path))
    made = subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", str(desk.keys["sam"])],
        input=one.statement.to_sign(),
        capture_output=True,
        check=True,
    )
    path.write_text(approval_text(replace(one, signature=made.stdout.decode())))
    return desk.apply(file)


@pytest.mark.parametrize("name", CASES)
def test_one_person_alone_writes_nothing(name: str, desk: Desk) -> None:
    """The rules are those of the branch of record, all of them, and a person counts once whatever their names and keys."""
    CASES.check(name, desk)
