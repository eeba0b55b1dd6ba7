"""The pull or merge request that a job, or a commit that was merged, belongs to: whose it is, and what reviewers said (``amsctl.reviews/v1``)."""

from __future__ import annotations

from typing import Any, Final

from amsctl.errors import ForgeError
from amsctl.forge.calls import Caller, Json
from amsctl.forge.pipeline import Forge

REVIEWS_FORMAT: Final = "amsctl.reviews/v1"
_GITHUB_STATES: Final = {"APPROVED": "approved", "CHANGES_REQUESTED": "changes-requested", "DISMISSED": "dismissed"}


def request_of(caller: Caller, commit: str | None) -> Json:
    """The request of this job, or the one that ``commit`` came from, as the forge tells of it. ForgeError when there is none, or more than one."""
    repository, number = repository_path(caller), caller.job.request
    github = caller.job.forge is Forge.GITHUB
    kind = "pulls" if github else "merge_requests"
    if number is None or commit is not None:
        commit = commit or caller.job.commit
        commits = f"{repository}/commits" if github else f"{repository}/repository/commits"
        members = ("merge_commit_sha",) if github else ("merge_commit_sha", "squash_commit_sha", "sha")
        found = [one for one in caller.pages(f"{commits}/{commit}/{kind}") if commit in {*(one.get(name) for name in members), _head(one)}]
        if len(found) != 1:
            raise ForgeError(
                "the commit does not come from exactly one pull or merge request",
                where=commit,
                found=", ".join(str(one.get("number") or one.get("iid")) for one in found) or "none",
                hint="plan and apply what was merged by a request of its own",
            )
        number = int(found[0]["number" if github else "iid"])
    answer: Json = caller.get(f"{repository}/{kind}/{number}")
    return answer


def repository_path(caller: Caller) -> str:
    """Where the repository is below the API's address."""
    return f"/repos/{caller.job.repository}" if caller.job.forge is Forge.GITHUB else f"/projects/{caller.job.repository}"


def _head(request: Json) -> str:
    head = request.get("head")
    return str(head.get("sha")) if isinstance(head, dict) else str(request.get("sha"))


def head_of(request: Json) -> str:
    """The commit at the head of a request's branch."""
    return _head(request)


def reviews_of(caller: Caller, commit: str | None, read_at: str) -> dict[str, object]:
    """The request and its reviews, in the format that apply reads."""
    try:
        request = request_of(caller, commit)
        return _github(caller, request, read_at) if caller.job.forge is Forge.GITHUB else _gitlab(caller, request, read_at)
    except (KeyError, TypeError, ValueError):
        raise ForgeError(f"{caller.job.forge} tells less of the request than it should", hint="is it a forge that amsctl knows?") from None


# --- GitHub ---


def _github(caller: Caller, request: Json, read_at: str) -> dict[str, object]:
    path = f"{repository_path(caller)}/pulls/{request['number']}"
    commits = caller.pages(f"{path}/commits")
    people = {
        str(person["login"])
        for one in commits
        for person in (one.get("author"), one.get("committer"))
        if isinstance(person, dict) and person
    }
    listed = [
        {
            "by": review["user"]["login"],
            "state": _GITHUB_STATES.get(str(review["state"]), "commented"),
            "commit": review.get("commit_id"),
            "at": review["submitted_at"],
        }
        for review in caller.pages(f"{path}/reviews")
        if isinstance(review.get("user"), dict) and review.get("submitted_at")
    ]
    return {
        "format": REVIEWS_FORMAT,
        "forge": "github",
        "url": request["html_url"],
        "number": request["number"],
        "state": "merged" if request.get("merged") else request["state"],
        "base": request["base"]["ref"],
        "head_commit": head_of(request),
        "merge_commit": request.get("merge_commit_sha") if request.get("merged") else None,
        "author": request["user"]["login"],
        "contributors": sorted(people),
        "pusher": _github_pusher(caller, request),
        "read_at": read_at,
        "reviews": listed,
    }


def _github_pusher(caller: Caller, request: Json) -> str | None:
    """Who pushed the commit at the head; ``None`` where GitHub does not tell (of a fork, or too long ago)."""
    head: Any = request["head"]
    if not isinstance(head.get("repo"), dict) or head["repo"].get("full_name") != caller.job.repository:
        return None
    for entry in caller.pages(f"{repository_path(caller)}/activity", ref=f"refs/heads/{head['ref']}"):
        if entry.get("after") == head["sha"] and isinstance(entry.get("actor"), dict):
            return str(entry["actor"]["login"])
    return None


# --- GitLab ---


def _gitlab(caller: Caller, request: Json, read_at: str) -> dict[str, object]:
    path = f"{repository_path(caller)}/merge_requests/{request['iid']}"
    head = head_of(request)
    versions = [one["created_at"] for one in caller.pages(f"{path}/versions") if one.get("head_commit_sha") == head]
    since = max(map(str, versions), default=None)
    approvals = caller.get(f"{path}/approvals")
    listed = []
    for approval in approvals["approved_by"]:
        at = approval.get("approved_at")
        # An approval is of the request; that it is of its head is known only from the times.
        known = isinstance(at, str) and since is not None and at >= since
        listed.append({"by": approval["user"]["username"], "state": "approved", "commit": head if known else None, "at": at or read_at})
    people = {str(one[name]) for one in caller.pages(f"{path}/commits") for name in ("author_email", "committer_email") if one.get(name)}
    state = {"opened": "open"}.get(str(request["state"]), str(request["state"]))
    return {
        "format": REVIEWS_FORMAT,
        "forge": "gitlab",
        "url": request["web_url"],
        "number": request["iid"],
        "state": state,
        "base": request["target_branch"],
        "head_commit": head,
        "merge_commit": request.get("merge_commit_sha") or request.get("squash_commit_sha"),
        "author": request["author"]["username"],
        "contributors": sorted(people),
        "pusher": _gitlab_pusher(caller, path, head),
        "read_at": read_at,
        "reviews": listed,
    }


def _gitlab_pusher(caller: Caller, path: str, head: str) -> str | None:
    """Who pushed the head: whose push began its first pipeline; ``None`` where there was none."""
    numbers = [int(one["id"]) for one in caller.pages(f"{path}/pipelines") if one.get("sha") == head]
    if not numbers:
        return None
    user = caller.get(f"{repository_path(caller)}/pipelines/{min(numbers)}").get("user")
    return str(user["username"]) if isinstance(user, dict) else None
