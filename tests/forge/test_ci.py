"""amsctl ci over real HTTP against a forge in memory: one comment, one issue, true reviews, the plan that was reviewed, and never a silent zero."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from amsctl.config import Secret
from amsctl.errors import ForgeError
from amsctl.forge import artifact, calls
from amsctl.forge.calls import Caller
from amsctl.forge.pipeline import Forge, job_of
from amsctl.forge.sticky import marker
from tests.cli.conftest import Ran, Run, run
from tests.forge.fake import TOKEN, FakeForge, served, zipped

__all__ = ["run"]
HEAD, MERGED = "a" * 40, "f" * 40


@pytest.fixture(params=["github", "gitlab"])
def forge(request: pytest.FixtureRequest) -> Iterator[FakeForge]:
    github = request.param == "github"
    made = FakeForge(kind=request.param, repository="firm/limits" if github else "42", app_token=github)
    made.who = "github-actions[bot]" if github else "project_42_bot"
    with served(made):
        made.pulls[7] = pull(made)
        yield made


def pull(forge: FakeForge, number: int = 7, head: str = HEAD, merged: str | None = MERGED) -> dict[str, Any]:
    if forge.github:
        return {
            "number": number,
            "html_url": f"{forge.url}/pull/{number}",
            "state": "closed" if merged else "open",
            "merged": merged is not None,
            "merge_commit_sha": merged,
            "base": {"ref": "main", "repo": {"full_name": forge.repository}},
            "commits": len(forge.commits_of.get(number, [])),
            "head": {"sha": head, "ref": "change", "repo": {"full_name": forge.repository}},
            "user": {"login": "jo"},
        }
    return {
        "iid": number,
        "web_url": f"{forge.url}/merge_requests/{number}",
        "state": "merged" if merged else "opened",
        "merge_commit_sha": merged,
        "squash_commit_sha": None,
        "target_branch": "main",
        "source_branch": "change",
        "source_project_id": 42,
        "target_project_id": 42,
        "references": {"full": f"firm/limits!{number}"},
        "sha": head,
        "author": {"username": "jo"},
    }


class Ci:
    """Command lines in a job of the forge; waits are noted and not waited."""

    def __init__(self, run: Run, forge: FakeForge, patch: pytest.MonkeyPatch, folder: Path) -> None:
        self._run, self.forge, self.folder, self._patch = run, forge, folder, patch
        self.waited: list[float] = []
        patch.setattr(calls.time, "sleep", self.waited.append)
        patch.setattr(calls.Caller.__init__, "__kwdefaults__", {"sleep": self.waited.append})
        for name in ("GITHUB_ACTIONS", "GITLAB_CI", "CI"):
            patch.delenv(name, raising=False)
        self.set(**forge.environ)

    def set(self, **environ: str) -> None:
        for name, text in environ.items():
            self._patch.setenv(name, text)

    def for_request(self, number: int = 7) -> None:
        event = self.folder / "event.json"
        event.write_text(json.dumps({"pull_request": {"number": number}}))
        self.set(GITHUB_EVENT_PATH=str(event), CI_MERGE_REQUEST_IID=str(number))

    def __call__(self, *arguments: str) -> Ran:
        ran = self._run("ci", *arguments)
        assert TOKEN not in ran.out + ran.err
        assert "Traceback" not in ran.err
        return ran

    def comment(self, text: str, *arguments: str) -> Ran:
        (self.folder / "c.md").write_text(text)
        return self("comment", str(self.folder / "c.md"), *arguments)

    def issue(self, text: str, *arguments: str) -> Ran:
        (self.folder / "i.md").write_text(text)
        return self("issue", str(self.folder / "i.md"), "--title", "Drift", *arguments)


@pytest.fixture
def ci(run: Run, forge: FakeForge, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ci:
    return Ci(run, forge, monkeypatch, tmp_path)


def writes(forge: FakeForge) -> list[str]:
    return [asked.method for asked in forge.asked if asked.method != "GET" and asked.path != "/graphql"]


# --- comments ---


def test_one_comment_is_edited_in_place(ci: Ci, forge: FakeForge) -> None:
    """Posted once, edited by later runs, untouched when it says the same; others beside it, on several pages, stay as they are."""
    ci.for_request()
    forge.comments[7] = [{"id": n, "body": f"note {n}", "user": forge.member("sam"), "author": forge.member("sam")} for n in range(5)]
    theirs = {"id": 90, "body": f"{marker('plan')}\nmine!", "user": forge.member("mallory"), "author": forge.member("mallory")}
    forge.comments[7].append(theirs)
    first = ci.comment("first")
    assert (first.code, first.out) == (0, f"{forge.url}/comment/1001\n"), first.err
    assert ci.comment("second").out == first.out
    assert forge.comments[7][-1]["body"] == "<!-- amsctl:plan -->\nsecond"
    assert ci.comment("second").out == first.out
    assert writes(forge) == ["POST", "PATCH" if forge.github else "PUT"]
    assert (theirs["body"], len(forge.comments[7])) == (f"{marker('plan')}\nmine!", 7)
    assert ci.comment("x", "--marker", "new-release").code == 0
    assert [one["body"].partition("\n")[0] for one in forge.comments[7][-2:]] == ["<!-- amsctl:plan -->", "<!-- amsctl:new-release -->"]


def test_a_token_that_knows_whose_it_is(ci: Ci, forge: FakeForge) -> None:
    ci.for_request()
    forge.app_token, forge.who = False, "Release-Bot"
    ci.comment("first")
    assert ci.comment("second").code == 0
    assert [one["body"] for one in forge.comments[7]] == ["<!-- amsctl:plan -->\nsecond"]


def test_who_a_gitlab_token_is_must_be_known(ci: Ci, forge: FakeForge) -> None:
    """At GitHub a job's token is known to be the bot's; elsewhere nobody guesses whose comment is ours."""
    ci.for_request()
    ci.comment("first")
    forge.app_token = True
    second = ci.comment("second")
    assert second.code == (0 if forge.github else 1)


@pytest.mark.parametrize(
    ("text", "says"), [("", "the text is empty"), (" \n", "the text is empty"), ("x" * 65_520, "at most 65,536 characters, found 65,541")]
)
def test_a_comment_that_cannot_be(text: str, says: str, ci: Ci, forge: FakeForge) -> None:
    """Refused before anything is sent."""
    ci.for_request()
    ran = ci.comment(text)
    assert (ran.code, says in ran.err, writes(forge)) == (1, True, [])


def test_no_request_no_comment(ci: Ci, forge: FakeForge) -> None:
    ran = ci.comment("x")
    assert (ran.code, "this job runs for no pull or merge request" in ran.err) == (1, True)


@pytest.mark.parametrize(
    ("method", "status", "headers", "says"),
    [
        ("POST", 403, {}, "refused (HTTP 403): Not today"),
        ("POST", 404, {}, "or the token may not see it"),
        ("POST", 422, {}, "HTTP 422"),
        ("POST", 500, {}, "HTTP 500"),
        ("GET", 401, {}, "the token is not (or no longer) one"),
        ("POST", 429, {"Retry-After": "3600"}, "HTTP 429"),
        ("POST", 0, {}, "cannot be reached"),
    ],
)
def test_a_comment_that_is_not_posted_is_a_failure(
    method: str, status: int, headers: dict[str, str], says: str, ci: Ci, forge: FakeForge
) -> None:
    """Whoever sees no comment must not take it for no changes: every failure ends with 1 and a line that tells what to look at."""
    ci.for_request()
    forge.failures = [(method, "/7/", status, headers)] * 4
    ran = ci.comment("x")
    assert (ran.code, says in ran.err) == (1, True), ran.err
    assert forge.comments.get(7, []) == []


def test_what_may_be_tried_again_is(ci: Ci, forge: FakeForge) -> None:
    """A read after a failure, a write that was turned away for its rate; a write of which nobody knows what became is not."""
    ci.for_request()
    forge.failures = [
        ("GET", "/7/", 502, {}),
        ("GET", "/7/", 0, {}),
        ("POST", "/7/", 429, {"Retry-After": "7"}),
        ("POST", "/7/", 403, {"Retry-After": "9"}),
    ]
    assert ci.comment("x").code == 0
    assert ci.waited == [2.0, 4.0, 7.0, 9.0]
    assert len(forge.comments[7]) == 1


def test_a_page_that_leads_elsewhere(ci: Ci, forge: FakeForge) -> None:
    """The token goes to the forge alone."""
    ci.for_request()
    forge.failures = [("GET", "/7/", 200, {"Link": f'<{forge.elsewhere}/x>; rel="next"'})]
    ran = ci.comment("x")
    assert ran.code == 1
    assert not [asked for asked in forge.asked if asked.path.startswith("elsewhere")]


# --- issues ---


def test_one_issue_is_opened_edited_and_closed(ci: Ci, forge: FakeForge) -> None:
    """However often the schedule runs there is one; closing it tells why, and nothing is closed where nothing is open."""
    assert ci.issue("clean", "--close").out == ""
    opened = ci.issue("first", "--label", "drift")
    assert (opened.code, opened.out) == (0, f"{forge.url}/issue/1001\n"), opened.err
    assert ci.issue("second").out == opened.out
    (made,) = forge.issues.values()
    body = made["body" if forge.github else "description"]
    assert (made["title"], body, made["labels"]) == ("Drift", "<!-- amsctl:drift -->\nsecond", ["drift"] if forge.github else "drift")
    closed = ci.issue("All is as it should be.", "--close")
    assert (closed.code, made["state"]) == (0, "closed")
    assert forge.comments[1001][0]["body"] == "All is as it should be."
    assert ci.issue("third").out == f"{forge.url}/issue/1003\n"


# --- reviews ---


@pytest.mark.parametrize("count", [0, 2])
def test_a_commit_of_no_request_or_of_two(count: int, ci: Ci, forge: FakeForge, tmp_path: Path) -> None:
    """It must be certain which review was of what is applied."""
    forge.pulls = {n: pull(forge, n) for n in range(count)} | {9: pull(forge, 9, head="b" * 40, merged="b" * 40)}
    ran = ci("reviews", "-o", str(tmp_path / "r.json"))
    assert (ran.code, "does not come from exactly one pull or merge request" in ran.err) == (1, True)


def test_a_request_that_lacks_what_it_must_have(ci: Ci, forge: FakeForge, tmp_path: Path) -> None:
    ci.for_request()
    forge.pulls[7] = {**forge.pulls[7], "user": None, "author": None}
    ran = ci("reviews", "-o", str(tmp_path / "r.json"))
    assert (ran.code, "tells less of the request than it should" in ran.err) == (1, True)


# --- the plan ---


def leave_plan(forge: FakeForge, content: bytes, number: int = 1, **more: Any) -> None:
    """A pipeline leaves a plan behind."""
    if forge.github:
        run = {"head_sha": HEAD, "repository_id": 1, "head_repository_id": more.pop("fork", 1)}
        run |= {"head_sha": more.pop("head", HEAD)}
        forge.artifacts.append(
            {"id": number, "name": "amsctl-plan", "expired": False, "created_at": f"2026-01-0{number}", "workflow_run": run, **more}
        )
        forge.files[number] = more.get("raw") or zipped(content)
    else:
        project = 42 if more.pop("fork", 1) == 1 else 43
        pipeline = number + 10
        forge.pipelines[pipeline] = {"id": pipeline, "sha": more.pop("head", HEAD), "project_id": project}
        job = {
            "id": number,
            "name": "amsctl-plan",
            "created_at": f"2026-01-0{number}",
            "finished_at": more.get("finished_at"),
            "artifacts_file": None if more.get("expired") else {"size": 1},
        }
        forge.jobs[pipeline] = [{"id": 99, "name": "test"}, job]
        forge.files[number] = content


def test_the_newest_plan_of_this_repository_is_fetched(ci: Ci, forge: FakeForge, tmp_path: Path) -> None:
    """Of the commit that was reviewed; a fork's, an expired one and another commit's are passed over; the token does not go to where files are kept."""
    out = tmp_path / "plan.json"
    text = "{\n" + "\n".join(f'"{n}": "é"' for n in range(5)) + "\n}\n"
    leave_plan(forge, b"old", 1)
    leave_plan(forge, text.encode(), 2)
    leave_plan(forge, b"of a fork", 3, fork=2)
    leave_plan(forge, b"expired", 4, expired=True)
    leave_plan(forge, b"another commit", 5, head="b" * 40)
    ran = ci("fetch", "-o", str(out), "--commit", MERGED)
    assert ran.code == 0, ran.err
    assert (out.read_text(), out.stat().st_mode & 0o777) == (text, 0o600)
    (abroad,) = [asked for asked in forge.asked if asked.path.startswith("elsewhere")]
    assert TOKEN not in str(abroad.headers)


def test_no_plan_is_a_failure(ci: Ci, forge: FakeForge, tmp_path: Path) -> None:
    leave_plan(forge, b"of a fork", 3, fork=2)
    ran = ci("fetch", "-o", str(tmp_path / "plan.json"))
    assert (ran.code, f"artifact amsctl-plan, commit {HEAD}" in ran.err) == (1, True)
    assert not (tmp_path / "plan.json").exists()


@pytest.mark.parametrize("forge", ["github"], indirect=True)
@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"no archive", "is no archive that can be read"),
        (zipped(b"x", "../plan.json"), "the artifact is not a plan alone"),
        (zipped(b"x", more=b"y"), "the artifact is not a plan alone"),
        (zipped(b"0" * 5000), "the artifact is too large to be a plan"),
        (b"x" * 1500, "the file is too large to be a plan"),
    ],
)
def test_an_artifact_that_is_no_plan(
    raw: bytes, says: str, ci: Ci, forge: FakeForge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is no archive, holds something else, or unpacks to more than a plan has is refused, and no file is left."""
    monkeypatch.setattr(artifact, "MOST_BYTES", 1000)
    leave_plan(forge, b"", 1)
    forge.files[1] = raw
    ran = ci("fetch", "-o", str(tmp_path / "plan.json"))
    assert (ran.code, says in ran.err) == (1, True), ran.err
    assert not (tmp_path / "plan.json").exists()


def test_a_file_that_is_refused_or_never_there(ci: Ci, forge: FakeForge, tmp_path: Path) -> None:
    leave_plan(forge, b"{}", 1)
    part = "/zip" if forge.github else "/artifacts/"
    forge.failures = [("GET", part, 403, {})]
    assert "HTTP 403" in ci("fetch", "-o", str(tmp_path / "p.json")).err
    forge.failures = [("GET", part, 0, {})]
    assert "cannot be reached" in ci("fetch", "-o", str(tmp_path / "p.json")).err
    forge.elsewhere = forge.url
    forge.failures = [("GET", part, 302, {"Location": f"{forge.url}{forge.asked[-1].path}"})] * 5
    assert "sends us on and on" in ci("fetch", "-o", str(tmp_path / "p.json")).err


# --- which pipeline ---


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({}, "this is no job of a pipeline that amsctl knows"),
        ({"GITHUB_ACTIONS": "true", "GITHUB_API_URL": "https://g"}, "the job has no token (GITHUB_TOKEN)"),
        ({"GITHUB_ACTIONS": "true", "GITHUB_TOKEN": "t"}, "the pipeline did not set a variable (GITHUB_API_URL)"),
        (
            {"GITHUB_ACTIONS": "true", "GITHUB_TOKEN": "t", "GITHUB_API_URL": "http://ghe.example"},
            "the token would be sent without encryption",
        ),
        ({"GITHUB_ACTIONS": "true", "GITHUB_TOKEN": "t\n", "GITHUB_API_URL": "https://g"}, "the token holds a character that no token has"),
        ({"GITLAB_CI": "true"}, "the job has no token (AMSCTL_GITLAB_TOKEN)"),
        (
            {
                "GITHUB_ACTIONS": "true",
                "GITHUB_TOKEN": "t",
                "GITHUB_API_URL": "https://g",
                "GITHUB_REPOSITORY": "a/b",
                "GITHUB_SHA": "c",
                "GITHUB_EVENT_PATH": "/nowhere",
            },
            "the event of the job cannot be read",
        ),
    ],
)
def test_what_a_job_must_have(environ: dict[str, str], says: str) -> None:
    """What is missing is named; a token is never sent in the clear."""
    defaults = {"GITHUB_REPOSITORY": "a/b", "GITHUB_SHA": "c", "CI_API_V4_URL": "https://g", "CI_PROJECT_ID": "1", "CI_COMMIT_SHA": "c"}
    with pytest.raises(ForgeError) as refused:
        job_of({**({} if not environ else defaults), **environ})
    assert says in str(refused.value)


def test_the_job_token_of_gitlab_is_the_second_choice() -> None:
    environ = {"GITLAB_CI": "true", "CI_API_V4_URL": "https://g/api/v4/", "CI_PROJECT_ID": "1", "CI_COMMIT_SHA": "c", "CI_JOB_TOKEN": "j"}
    job = job_of(environ)
    assert (job.api, job.token_header, job.token, job.request) == ("https://g/api/v4", ("JOB-TOKEN", ""), Secret("j"), None)
    assert job_of({**environ, "AMSCTL_GITLAB_TOKEN": "p"}).token_header == ("PRIVATE-TOKEN", "")
    assert job_of({**environ, "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": "d"}).commit == "d"


def test_an_event_about_something_else(tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_TOKEN": "t", "GITHUB_API_URL": "https://g", "GITHUB_REPOSITORY": "a/b", "GITHUB_SHA": "c"}
    for text, number in (("{}", None), ("[]", None), ('{"pull_request": {"number": "7"}}', None), ('{"pull_request": {"number": 7}}', 7)):
        event.write_text(text)
        assert job_of({**environ, "GITHUB_EVENT_PATH": str(event)}).request == number


@pytest.mark.parametrize("forge", ["github"], indirect=True)
def test_answers_that_are_none(forge: FakeForge) -> None:
    """What is no JSON, or no list, or never ends, is told as that; so is a forge that is not there."""
    job = job_of(forge.environ)
    assert job.forge is Forge.GITHUB
    waited: list[float] = []
    with Caller(job, sleep=waited.append) as caller:
        with pytest.raises(ForgeError, match="something else than a list"):
            list(caller.pages("/repos/firm/limits/pulls/7"))
        forge.activity = [{}] * 1000
        with pytest.raises(ForgeError, match="more pages than anybody reads"):
            list(caller.pages("/repos/firm/limits/activity"))
        forge.failures = [("GET", "/pulls/7", 200, {"Broken": "1"})]
        with pytest.raises(ForgeError, match="the answer is no JSON"):
            caller.get("/repos/firm/limits/pulls/7")
        forge.failures = [("PATCH", "/issues/1", 204, {})]
        assert caller.send("PATCH", "/repos/firm/limits/issues/1", {}) is None
        forge.failures = [("GET", "/pulls/7", 418, {"Broken": "1"})]
        with pytest.raises(ForgeError, match=r"refused \(HTTP 418\): I'm a [Tt]eapot"):
            caller.get("/repos/firm/limits/pulls/7")
    with (
        Caller(replace(job, api="http://127.0.0.1:9"), sleep=waited.append) as caller,
        pytest.raises(ForgeError, match="cannot be reached: ConnectError"),
    ):
        caller.send("POST", "/x", {})
    assert waited == [2.0, 4.0, 8.0]
