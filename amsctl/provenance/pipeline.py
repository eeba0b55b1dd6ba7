"""What the job of a pipeline says of itself: its system, its event, the branch that it is for, who started it, who ran it again.

What it says must be Unicode: a name that cannot be written down is nobody's, and would be left out of the makers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from amsctl.errors import ConfigError
from amsctl.provenance.facts import Unknown
from amsctl.regular import read_regular
from amsctl.unicodes import is_unicode, readable

_OTHERS: Final = {
    "JENKINS_URL": "jenkins",
    "TF_BUILD": "azure",
    "BUILDKITE": "buildkite",
    "CIRCLECI": "circleci",
    "TRAVIS": "travis",
    "TEAMCITY_VERSION": "teamcity",
    "BITBUCKET_BUILD_NUMBER": "bitbucket",
    "CODEBUILD_BUILD_ID": "codebuild",
    "DRONE": "drone",
    "WOODPECKER": "woodpecker",
    "APPVEYOR": "appveyor",
    "GITEA_ACTIONS": "gitea",
    "FORGEJO_ACTIONS": "forgejo",
    "SEMAPHORE": "semaphore",
    "CIRRUS_CI": "cirrus",
    "HUDSON_URL": "hudson",
    "GO_PIPELINE_NAME": "gocd",
    "BUILD_BUILDID": "azure",
    "CONCOURSE": "concourse",
    "HARNESS_BUILD_ID": "harness",
    "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI": "azure",
}
"""A variable that a system sets in each of its jobs, and the system."""
_TARGETS: Final = {
    "jenkins": "CHANGE_TARGET",
    "azure": "SYSTEM_PULLREQUEST_TARGETBRANCH",
    "bitbucket": "BITBUCKET_PR_DESTINATION_BRANCH",
    "buildkite": "BUILDKITE_PULL_REQUEST_BASE_BRANCH",
    "codebuild": "CODEBUILD_WEBHOOK_BASE_REF",
    "cirrus": "CIRRUS_BASE_BRANCH",
    "gitea": "GITHUB_BASE_REF",
    "forgejo": "GITHUB_BASE_REF",
}
"""In which variable a system names the branch that a request is for. It is no more than a name: what the branch has to say is looked for as of any other."""
_DEFAULTS: Final = {
    "buildkite": "BUILDKITE_PIPELINE_DEFAULT_BRANCH",
    "cirrus": "CIRRUS_DEFAULT_BRANCH",
    "drone": "DRONE_REPO_BRANCH",
    "woodpecker": "CI_REPO_DEFAULT_BRANCH",
}
"""In which variable a system names the repository's default branch."""
_NO: Final = frozenset({"", "0", "false", "no", "off", "n", "f"})
_MOST_EVENT: Final = 32 * 1024 * 1024
_MOST_SHOWN: Final = 80
_REQUESTS: Final = frozenset({"pull_request", "pull_request_target", "pull_request_review", "pull_request_review_comment"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """The job of a pipeline. Empty texts where it tells nothing.

    ``started_by`` is who first started it, and stays that when it is run again, by ``rerun_by``. ``event`` is in the system's own words. ``branch`` is the
    branch that the event is for, without ``refs/heads/``: that of the request's base, of a merge queue, or that was pushed to. ``request`` tells whether
    the event is a request, or its place in a queue, so that the forge itself names the branch. ``default`` is the repository's default branch, as the forge
    tells the job.
    """

    system: str
    started_by: str = ""
    rerun_by: str = ""
    run_url: str = ""
    event: str = ""
    branch: str | Unknown = ""
    request: bool = False
    default: str = ""


def is_pipeline(environ: Mapping[str, str]) -> bool:
    """Whether this runs in a pipeline: no person is there who could be asked, or be taken for who started it."""
    return any(_says_yes(environ, variable) for variable in ("GITHUB_ACTIONS", "GITLAB_CI", *_OTHERS, "CI", "CONTINUOUS_INTEGRATION"))


def pipeline_of(environ: Mapping[str, str]) -> Pipeline | None:
    """The job that this process belongs to; ``None`` outside of a pipeline. ConfigError where what it says is no Unicode."""
    return _pipeline_of(_Texts(environ)) if is_pipeline(environ) else None


class _Texts(Mapping[str, str]):
    """The environment, of which every text that is asked for must be Unicode."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        text = self._environ[name]
        if not is_unicode(text):
            raise ConfigError(
                "an environment variable of the job is not valid Unicode",
                where=name,
                expected="UTF-8",
                found=readable(text)[:_MOST_SHOWN],
                hint=f"set {name} to text, or unset it",
            )
        return text

    def __iter__(self) -> Iterator[str]:  # pragma: no cover  # of a Mapping; nobody asks for all
        return iter(self._environ)

    def __len__(self) -> int:  # pragma: no cover
        return len(self._environ)


def _pipeline_of(environ: Mapping[str, str]) -> Pipeline | None:
    if _says_yes(environ, "GITHUB_ACTIONS") and not _says_yes(environ, "GITEA_ACTIONS") and not _says_yes(environ, "FORGEJO_ACTIONS"):
        return _github(environ)
    if _says_yes(environ, "GITLAB_CI"):
        return _gitlab(environ)
    for variable, system in _OTHERS.items():
        if _says_yes(environ, variable):
            primary = system == "jenkins" and _says_yes(environ, "BRANCH_IS_PRIMARY")
            return Pipeline(
                system=system,
                started_by=_first(environ, "BUILD_USER", "BUILD_REQUESTEDFOR"),
                run_url=environ.get("BUILD_URL", ""),
                branch=_branch(environ, _TARGETS.get(system, "")),
                default=_branch(environ, "BRANCH_NAME" if primary else _DEFAULTS.get(system, "")),
            )
    if _says_yes(environ, "CI") or _says_yes(environ, "CONTINUOUS_INTEGRATION"):
        return Pipeline(system="ci", started_by=environ.get("BUILD_USER", ""), run_url=environ.get("BUILD_URL", ""))
    return None


def _says_yes(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").strip().lower() not in _NO


def _branch(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name, "").removeprefix("refs/heads/")


def _first(environ: Mapping[str, str], *names: str) -> str:
    return next((environ[name] for name in names if environ.get(name)), "")


# --- GitHub ---


def _github(environ: Mapping[str, str]) -> Pipeline:
    server, repository, run = (environ.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"))
    started, again = environ.get("GITHUB_ACTOR", ""), environ.get("GITHUB_TRIGGERING_ACTOR", "")
    event = environ.get("GITHUB_EVENT_NAME", "")
    return Pipeline(
        system="github",
        started_by=started or again,
        rerun_by=again if started and again != started else "",
        run_url=f"{server}/{repository}/actions/runs/{run}" if server and repository and run else "",
        event=event,
        branch=_github_branch(environ, event),
        request=event in _REQUESTS or event == "merge_group",
        default=_github_default(environ),
    )


def _github_default(environ: Mapping[str, str]) -> str:
    """The repository's default branch, as the event tells it; empty where it does not."""
    event = _event(environ)
    repository = event.get("repository") if isinstance(event, dict) else None
    default = repository.get("default_branch") if isinstance(repository, dict) else None
    return default if isinstance(default, str) else ""


def _github_branch(environ: Mapping[str, str], event: str) -> str | Unknown:
    """The branch of the event: a request's base, the one that a merge queue is for, or the one that was pushed to or started on."""
    if event in _REQUESTS:
        return _event_member(environ, event, "pull_request", "base", "ref")
    if event == "merge_group":
        return _event_member(environ, event, "merge_group", "base_ref")
    ref = environ.get("GITHUB_REF", "")
    return ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else ""


def _event_member(environ: Mapping[str, str], event: str, *path: str) -> str | Unknown:
    """A text of the event's file. The environment's own ``GITHUB_BASE_REF`` serves where there is no such file, and must not say otherwise."""
    told = environ.get("GITHUB_BASE_REF", "")
    if not environ.get("GITHUB_EVENT_PATH"):
        return told if told else Unknown(reason=f"the job says that its event is {event}, and neither what it is nor its branch")
    found = _event(environ)
    if isinstance(found, Unknown):
        return found
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, str) or not found.removeprefix("refs/heads/"):
        return Unknown(reason=f"the event of the job ({event}) does not name {'.'.join(path)}")
    if not is_unicode(found):
        return Unknown(
            reason=f"what the event of the job ({event}) calls {'.'.join(path)} is not valid Unicode: {readable(found)[:_MOST_SHOWN]}"
        )
    branch = found.removeprefix("refs/heads/")
    if told and told.removeprefix("refs/heads/") != branch:
        return Unknown(reason=f"the job names two branches: {branch} and {told}")
    return branch


def _event(environ: Mapping[str, str]) -> Any:
    """What the file of the event holds, ``None`` where there is none; Unknown where it cannot be read."""
    file = environ.get("GITHUB_EVENT_PATH", "")
    if not file:
        return None
    try:
        return json.loads(read_regular(file, _MOST_EVENT))
    except (OSError, ValueError, RecursionError) as error:
        return Unknown(reason=f"the file of the job's event cannot be read: {type(error).__name__}")


# --- GitLab ---


def _gitlab(environ: Mapping[str, str]) -> Pipeline:
    target = environ.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "")
    event = environ.get("CI_PIPELINE_SOURCE", "")
    return Pipeline(
        system="gitlab",
        started_by=environ.get("GITLAB_USER_LOGIN", ""),
        run_url=environ.get("CI_JOB_URL", ""),
        event=event,
        branch=target or ("" if event == "merge_request_event" else environ.get("CI_COMMIT_BRANCH", "")),
        request=bool(target),
        default=environ.get("CI_DEFAULT_BRANCH", ""),
    )
