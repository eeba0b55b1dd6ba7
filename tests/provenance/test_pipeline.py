"""What a job says of itself: who first started it stays that; the branch is the event's; a pipeline is never a person."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from amsctl.errors import ConfigError
from amsctl.provenance.facts import Unknown
from amsctl.provenance.people import host, user
from amsctl.provenance.pipeline import Pipeline, is_pipeline, pipeline_of
from tests.provenance.repositories import reason

GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "firm/limits",
    "GITHUB_RUN_ID": "7",
    "GITHUB_ACTOR": "sam-gh",
    "GITHUB_TRIGGERING_ACTOR": "sam-gh",
    "GITHUB_EVENT_NAME": "push",
    "GITHUB_REF": "refs/heads/main",
}


def of(**environ: str) -> Pipeline:
    found = pipeline_of(environ)
    assert found is not None
    return found


def test_a_run_at_github() -> None:
    """The actor, the address of the run, the branch that was pushed to."""
    assert of(**GITHUB) == Pipeline(
        system="github",
        started_by="sam-gh",
        run_url="https://github.com/firm/limits/actions/runs/7",
        event="push",
        branch="main",
    )
    assert of(GITHUB_ACTIONS="true").run_url == ""


def test_whoever_runs_it_again_stands_beside() -> None:
    """Never in the place of who started it."""
    again = of(**{**GITHUB, "GITHUB_TRIGGERING_ACTOR": "kim-gh"})
    assert (again.started_by, again.rerun_by) == ("sam-gh", "kim-gh")
    alone = of(**{**GITHUB, "GITHUB_ACTOR": "", "GITHUB_TRIGGERING_ACTOR": "kim-gh"})
    assert (alone.started_by, alone.rerun_by) == ("kim-gh", "")


@pytest.mark.parametrize(
    ("name", "event", "branch"),
    [
        ("pull_request", {"pull_request": {"base": {"ref": "release/1"}}}, "release/1"),
        ("pull_request_target", {"pull_request": {"base": {"ref": "main"}}}, "main"),
        ("pull_request_review", {"pull_request": {"base": {"ref": "main"}}}, "main"),
        ("merge_group", {"merge_group": {"base_ref": "refs/heads/main"}}, "main"),
    ],
)
def test_a_request_names_its_base(name: str, event: object, branch: str, tmp_path: Path) -> None:
    """From the event's own file, whatever the ref of the job is; a variable that says otherwise makes it unknown."""
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event))
    environ = {**GITHUB, "GITHUB_EVENT_NAME": name, "GITHUB_EVENT_PATH": str(file), "GITHUB_REF": "refs/heads/evil"}
    assert (of(**environ).branch, of(**environ).request) == (branch, True)
    assert of(**environ, GITHUB_BASE_REF=branch).branch == branch
    assert f"names two branches: {branch} and evil" in reason(of(**environ, GITHUB_BASE_REF="evil").branch)


@pytest.mark.parametrize("content", ["", "nonsense", "[]", "{}", '{"pull_request": 1}', '{"pull_request": {"base": {"ref": 1}}}',
                                     '{"pull_request": {"base": {"ref": ""}}}', "[" * 100_000, "\xff"])  # fmt: skip
def test_an_event_that_cannot_be_read_is_unknown(content: str, tmp_path: Path) -> None:
    """Not a push to whatever the job stands at."""
    file = tmp_path / "event.json"
    file.write_text(content, encoding="latin-1")
    environ = {**GITHUB, "GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(file)}
    assert isinstance(of(**environ).branch, Unknown)
    assert isinstance(of(**{**environ, "GITHUB_EVENT_PATH": str(tmp_path / "none")}).branch, Unknown)


@pytest.mark.parametrize("name", ["GITHUB_ACTOR", "GITHUB_TRIGGERING_ACTOR", "GITHUB_REF", "GITHUB_RUN_ID", "GITHUB_EVENT_NAME"])
def test_what_is_no_unicode_is_refused(name: str) -> None:
    """A name that cannot be written down would be nobody's, and no maker's. Whether this is a pipeline is known all the same."""
    environ = {**GITHUB, name: "a\udcff"}
    with pytest.raises(ConfigError, match=rf"{name}\): expected UTF-8, found a\\xff; set {name} to text"):
        of(**environ)
    assert is_pipeline(environ)


def test_what_a_job_is_not_asked_for_may_be_anything() -> None:
    """Paths are bytes."""
    assert of(**GITHUB, PATH="\udcff", GITLAB_USER_LOGIN="\udcff") == of(**GITHUB)
    with pytest.raises(ConfigError, match="BUILD_USER"):
        of(CI="1", BUILD_USER="\ud800")


def test_the_user_of_a_machine_is_named_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """It proves nothing, and the record needs a name."""
    monkeypatch.setattr("getpass.getuser", lambda: "jos\udce9 \ud800")
    monkeypatch.setattr("socket.gethostname", lambda: "h\udcff")
    assert (user(), host()) == ("jos\\xe9 \\ud800", "h\\xff")


def test_an_event_with_half_a_character_is_unknown(tmp_path: Path) -> None:
    """JSON can spell what no text can hold."""
    file = tmp_path / "event.json"
    file.write_text('{"pull_request": {"base": {"ref": "\\ud800"}}}')
    found = of(**GITHUB | {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(file)}).branch
    assert "pull_request.base.ref is not valid Unicode: \\ud800" in reason(found)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_an_event_that_is_no_file_is_unknown(kind: str, tmp_path: Path) -> None:
    """Nothing is waited for."""
    os.mkfifo(tmp_path / "pipe")
    file = {"pipe": str(tmp_path / "pipe"), "device": "/dev/zero", "folder": str(tmp_path)}[kind]
    found = of(**GITHUB | {"GITHUB_EVENT_NAME": "merge_group", "GITHUB_EVENT_PATH": file}).branch
    assert "the file of the job's event cannot be read: NotRegular" in reason(found)


def test_an_event_without_a_file() -> None:
    """The variable serves; without it the branch is unknown."""
    environ = {**GITHUB, "GITHUB_EVENT_NAME": "pull_request"}
    assert of(**environ, GITHUB_BASE_REF="main").branch == "main"
    assert "neither what it is nor its branch" in reason(of(**environ).branch)


def test_an_event_of_a_tag_names_no_branch() -> None:
    """Nor does one without a ref."""
    assert of(**{**GITHUB, "GITHUB_REF": "refs/tags/v1"}).branch == ""
    assert of(**{**GITHUB, "GITHUB_REF": ""}).branch == ""


def test_an_event_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not read in part."""
    monkeypatch.setattr("amsctl.provenance.pipeline._MOST_EVENT", 10)
    file = tmp_path / "event.json"
    file.write_text('{"pull_request": {"base": {"ref": "main"}}}')
    assert isinstance(of(**GITHUB | {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(file)}).branch, Unknown)


def test_a_job_at_gitlab() -> None:
    """The target of a merge request; else the branch that was pushed to, which a merge request's pipeline has none of."""
    environ = {
        "GITLAB_CI": "true",
        "GITLAB_USER_LOGIN": "sam-gl",
        "CI_JOB_URL": "https://gitlab.example/j/1",
        "CI_PIPELINE_SOURCE": "push",
        "CI_COMMIT_BRANCH": "main",
    }
    assert of(**environ) == Pipeline(
        system="gitlab", started_by="sam-gl", run_url="https://gitlab.example/j/1", event="push", branch="main"
    )
    request = {**environ, "CI_PIPELINE_SOURCE": "merge_request_event", "CI_COMMIT_BRANCH": "evil"}
    assert of(**request).branch == ""
    merging = of(**request, CI_MERGE_REQUEST_TARGET_BRANCH_NAME="main")
    assert (merging.branch, merging.request) == ("main", True)


@pytest.mark.parametrize(
    ("environ", "system"),
    [
        ({"JENKINS_URL": "https://ci/"}, "jenkins"),
        ({"TF_BUILD": "True"}, "azure"),
        ({"BUILDKITE": "true"}, "buildkite"),
        ({"CIRCLECI": "true"}, "circleci"),
        ({"TEAMCITY_VERSION": "2026.1"}, "teamcity"),
        ({"BITBUCKET_BUILD_NUMBER": "5"}, "bitbucket"),
        ({"GITHUB_ACTIONS": "true", "GITEA_ACTIONS": "true"}, "gitea"),
        ({"CI": "true"}, "ci"),
        ({"CI": "1"}, "ci"),
        ({"CI": "yes"}, "ci"),
        ({"CI": "woodpecker"}, "ci"),
        ({"CI": " TRUE "}, "ci"),
        ({"CONTINUOUS_INTEGRATION": "true"}, "ci"),
    ],
)
def test_any_other_pipeline(environ: dict[str, str], system: str) -> None:
    """By what its system sets, or by CI with whatever means yes."""
    assert is_pipeline(environ)
    assert of(**environ).system == system
    assert of(**environ, BUILD_USER="sam", BUILD_URL="https://ci/1").started_by == "sam"
    assert of(**environ, BUILD_USER="sam", BUILD_URL="https://ci/1").run_url == "https://ci/1"


@pytest.mark.parametrize(
    ("environ", "branch", "default"),
    [
        ({"JENKINS_URL": "https://ci/", "CHANGE_TARGET": "main", "BRANCH_NAME": "PR-7"}, "main", ""),
        ({"JENKINS_URL": "https://ci/", "BRANCH_NAME": "trunk", "BRANCH_IS_PRIMARY": "true"}, "", "trunk"),
        ({"JENKINS_URL": "https://ci/", "BRANCH_NAME": "x"}, "", ""),
        ({"TF_BUILD": "True", "SYSTEM_PULLREQUEST_TARGETBRANCH": "refs/heads/release/1"}, "release/1", ""),
        ({"BITBUCKET_BUILD_NUMBER": "5", "BITBUCKET_PR_DESTINATION_BRANCH": "main"}, "main", ""),
        ({"BUILDKITE": "true", "BUILDKITE_PULL_REQUEST_BASE_BRANCH": "next", "BUILDKITE_PIPELINE_DEFAULT_BRANCH": "main"}, "next", "main"),
        ({"DRONE": "true", "DRONE_REPO_BRANCH": "main"}, "", "main"),
        ({"CIRCLECI": "true", "CHANGE_TARGET": "x", "BRANCH_NAME": "x", "BRANCH_IS_PRIMARY": "true"}, "", ""),
        ({"GITLAB_CI": "true", "CI_DEFAULT_BRANCH": "main", "CI_COMMIT_BRANCH": "x"}, "x", "main"),
    ],
)
def test_what_else_a_job_tells_of_branches(environ: dict[str, str], branch: str, default: str) -> None:
    """The target of a request, and the default branch: names, and no more than that. A variable of another system is none of its own."""
    made = of(**environ)
    assert (made.branch, made.default, made.request) == (branch, default, False)


@pytest.mark.parametrize(
    ("content", "default"),
    [
        ('{"repository": {"default_branch": "trunk"}}', "trunk"),
        ('{"repository": {"default_branch": 7}}', ""),
        ('{"repository": 7}', ""),
        ("[]", ""),
        ("nonsense", ""),
    ],
)
def test_the_default_branch_at_github(content: str, default: str, tmp_path: Path) -> None:
    """From the event's own file, of whatever event."""
    file = tmp_path / "event.json"
    file.write_text(content)
    assert of(**GITHUB, GITHUB_EVENT_PATH=str(file)).default == default
    assert of(**GITHUB).default == ""


@pytest.mark.parametrize(
    "environ", [{}, {"CI": ""}, {"CI": "0"}, {"CI": "false"}, {"CI": "No"}, {"GITHUB_ACTIONS": "false"}, {"JENKINS_URL": ""}]
)
def test_a_person(environ: dict[str, str]) -> None:
    """Outside of any."""
    assert not is_pipeline(environ)
    assert pipeline_of(environ) is None
