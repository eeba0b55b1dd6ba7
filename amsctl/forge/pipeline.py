"""Which pipeline this is: the forge, the repository, the request and the commit that it runs for, and the token that it was given. Read from the
environment that GitHub and GitLab set for every job.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from amsctl.config import Secret
from amsctl.errors import ForgeError

_MOST_EVENT_BYTES: Final = 32 * 1024 * 1024


class Forge(StrEnum):
    """Where the repository is."""

    GITHUB = "github"
    GITLAB = "gitlab"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job of a pipeline. ``repository`` is ``owner/name`` at GitHub, the project's number at GitLab; ``request`` the number of the pull or merge
    request that it runs for, ``None`` where it runs for none. ``token_header`` is the name of the header that carries the token, and what stands before it.
    ``graphql`` is the address of the forge's other API; ``login`` the account of the token where the job names it (AMSCTL_FORGE_LOGIN).
    """

    forge: Forge
    api: str
    repository: str
    commit: str
    request: int | None
    token: Secret
    token_header: tuple[str, str]
    graphql: str = ""
    login: str | None = None


def job_of(environ: Mapping[str, str]) -> Job:
    """The job that this process belongs to. ForgeError names what is missing."""
    if environ.get("GITHUB_ACTIONS") == "true":
        token = environ.get("GITHUB_TOKEN") or environ.get("GH_TOKEN") or ""
        return Job(
            forge=Forge.GITHUB,
            api=_address(environ, "GITHUB_API_URL"),
            repository=_set(environ, "GITHUB_REPOSITORY"),
            commit=_set(environ, "GITHUB_SHA"),
            request=_request_of_event(environ.get("GITHUB_EVENT_PATH", "")),
            token=_token(token, "GITHUB_TOKEN", "env: GITHUB_TOKEN: ${{ github.token }}"),
            token_header=("Authorization", "Bearer "),
            graphql=_other(environ, "GITHUB_GRAPHQL_URL"),
            login=environ.get("AMSCTL_FORGE_LOGIN") or None,
        )
    if environ.get("GITLAB_CI") == "true":
        own = environ.get("AMSCTL_GITLAB_TOKEN", "")
        request = environ.get("CI_MERGE_REQUEST_IID", "")
        return Job(
            forge=Forge.GITLAB,
            api=_address(environ, "CI_API_V4_URL"),
            repository=_set(environ, "CI_PROJECT_ID"),
            commit=environ.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or _set(environ, "CI_COMMIT_SHA"),
            request=int(request) if request.isdecimal() else None,
            token=_token(
                own or environ.get("CI_JOB_TOKEN", ""), "AMSCTL_GITLAB_TOKEN", "a project access token with scope api, as a CI/CD variable"
            ),
            token_header=("PRIVATE-TOKEN", "") if own else ("JOB-TOKEN", ""),
            graphql=_other(environ, "CI_API_GRAPHQL_URL"),
            login=environ.get("AMSCTL_FORGE_LOGIN") or None,
        )
    raise ForgeError(
        "this is no job of a pipeline that amsctl knows",
        expected="GITHUB_ACTIONS=true or GITLAB_CI=true in the environment",
        hint="these commands are for pipelines (docs/howto/pipeline.md)",
    )


def _set(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "")
    if not value:
        raise ForgeError("the pipeline did not set a variable", where=name, hint="run it in a job of GitHub Actions or GitLab CI")
    return value


def _address(environ: Mapping[str, str], name: str) -> str:
    url = _set(environ, name).rstrip("/")
    if not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        raise ForgeError("the token would be sent without encryption", where=name, expected="https://…")
    return url


def _other(environ: Mapping[str, str], name: str) -> str:
    """The address of the other API; empty where the pipeline sets none."""
    return _address(environ, name) if environ.get(name) else ""


def _token(text: str, name: str, hint: str) -> Secret:
    if not text:
        raise ForgeError("the job has no token", where=name, hint=hint)
    if not text.isascii() or not text.isprintable():
        raise ForgeError("the token holds a character that no token has", where=name, hint="a line end at the end is a common cause")
    return Secret(text)


def _request_of_event(path: str) -> int | None:
    """The number of the pull request that the event is about."""
    if not path:
        return None
    try:
        with open(path, "rb") as stream:
            event: Any = json.loads(stream.read(_MOST_EVENT_BYTES))
        number = event["pull_request"]["number"]
    except (OSError, ValueError, RecursionError):
        raise ForgeError("the event of the job cannot be read", where="GITHUB_EVENT_PATH") from None
    except (KeyError, TypeError):
        return None
    return number if isinstance(number, int) else None
