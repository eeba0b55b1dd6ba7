"""What GitLab says of a merge request: commits and whose they are, pushes, plans that were shown, approvals and what the approvers may do."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import Any, Final

from amsctl.errors import ForgeError
from amsctl.forge.artifact import IN_MEMORY_BYTES, plan_jobs, plan_of_job
from amsctl.forge.calls import Caller, Json
from amsctl.forge.requests import Accounts, Content, Record, head_of, member, moment_text, repository_path, told
from amsctl.forge.sticky import contents_said
from amsctl.provenance.people import is_no_person

MOST_PLANS: Final = 50
_DEVELOPER: Final = 30
_NONE: Final = "0" * 40
_COMMITS: Final = """\
query($path: ID!, $iid: String!, $after: String) {
  project(fullPath: $path) { mergeRequest(iid: $iid) { commits(first: 100, after: $after) {
    pageInfo { hasNextPage endCursor }
    nodes { sha author { username bot } signature { verificationStatus user { username bot } } }
  } } }
}"""
_MOST_PAGES: Final = 50


def record_of(caller: Caller, request: Json, artifact: str, content: Content) -> dict[str, object]:
    """The members of ``amsctl.reviews/v1`` but for its format and time."""
    path = f"{repository_path(caller)}/merge_requests/{int(request['iid'])}"
    record = Record()
    _commits(caller, path, request, record)
    _pushes(caller, request, record)
    _approvals(caller, path, request, record)
    _plans(caller, request, artifact, content, record)
    if str(request.get("target_project_id", caller.job.repository)) != caller.job.repository:
        record.unknown.append(f"the request is for another project, {request['target_project_id']}")
    return {
        "forge": "gitlab",
        "url": request["web_url"],
        "number": request["iid"],
        "state": {"opened": "open"}.get(str(request["state"]), str(request["state"])),
        "base": request["target_branch"],
        "head_commit": head_of(request),
        "merge_commit": request.get("merge_commit_sha") or request.get("squash_commit_sha"),
        "author": request["author"]["username"],
        **told(record),
    }


def _commits(caller: Caller, path: str, request: Json, record: Record) -> None:
    """The commits, and the accounts to which GitLab counts their addresses: its GraphQL API alone says so, and without its answer no account is known."""
    accounts = _accounts(caller, request, record)
    for one in caller.pages(f"{path}/commits"):
        author, verified = accounts.get(str(one["id"]), (None, None))
        record.commits.append({"id": str(one["id"]), "author": author, "committer": None, "verified": verified})
    if head_of(request) not in {one["id"] for one in record.commits}:
        record.unknown.append("the head of the request is not among the commits that GitLab lists")


def _accounts(caller: Caller, request: Json, record: Record) -> dict[str, tuple[str | None, str | None]]:
    """Author and verified signer of each commit, by id, as accounts."""
    path, _, _ = str(member(request, "references", "full") or "").partition("!")
    found: dict[str, tuple[str | None, str | None]] = {}
    after: str | None = None
    for _ in range(_MOST_PAGES):
        try:
            answer = caller.ask(_COMMITS, {"path": path, "iid": str(request["iid"]), "after": after}) if path else None
        except ForgeError:
            return {}
        commits = member(answer, "data", "project", "mergeRequest", "commits")
        for node in member(commits, "nodes") or ():
            status = member(node, "signature", "verificationStatus")
            signer = member(node, "signature", "user", "username") if status in {"VERIFIED", "VERIFIED_SYSTEM"} else None
            for user in (member(node, "author"), member(node, "signature", "user")):
                if member(user, "bot") is True:
                    record.is_bot(member(user, "username"))
            found[str(member(node, "sha"))] = (member(node, "author", "username"), signer)
        after = member(commits, "pageInfo", "endCursor")
        if not member(commits, "pageInfo", "hasNextPage") or after is None:
            break
    return found


def _pushes(caller: Caller, request: Json, record: Record) -> None:
    """The record of pushes to the request's branch, where that is in this project."""
    if str(request.get("source_project_id", caller.job.repository)) != caller.job.repository:
        return
    branch = request["source_branch"]
    for entry in caller.pages(f"{repository_path(caller)}/events", action="pushed", sort="asc"):
        push, by, at = entry.get("push_data"), member(entry, "author", "username"), moment_text(entry.get("created_at"))
        if member(push, "ref_type") != "branch" or member(push, "ref") != branch or not isinstance(by, str):
            continue
        after = member(push, "commit_to")
        if isinstance(after, str):
            record.pushes.append({"before": member(push, "commit_from") or _NONE, "after": after, "by": by, "at": at or ""})


def _approvals(caller: Caller, path: str, request: Json, record: Record) -> None:
    head = head_of(request)
    versions = [moment_text(one["created_at"]) for one in caller.pages(f"{path}/versions") if one.get("head_commit_sha") == head]
    since = max((time for time in versions if time is not None), default=None)
    accounts = Accounts(lambda user: _standing(caller, user))
    objecting = [one for one in caller.pages(f"{path}/reviewers") if one.get("state") == "requested_changes"]
    for reviewer in objecting:  # as it stands now: whatever the account approved before is taken back by it
        user, at = reviewer["user"], moment_text(reviewer.get("updated_at") or reviewer.get("created_at"))
        name = str(user["username"])
        record.reviews.append(_review(name, "changes-requested", None, at, accounts.standing(user, name)))
    held_up = {str(one["user"]["username"]) for one in objecting}
    for approval in caller.get(f"{path}/approvals")["approved_by"]:
        user, at = approval["user"], moment_text(approval.get("approved_at"))
        name = str(user["username"])
        # An approval is of the request; that it is of its head is known only from the times.
        known = at is not None and since is not None and at >= since
        if name not in held_up:
            record.reviews.append(_review(name, "approved", head if known else None, at, accounts.standing(user, name)))


def _review(by: str, state: str, commit: str | None, at: str | None, standing: str) -> dict[str, object]:
    return {"by": by, "state": state, "commit": commit, "at": at or "", "standing": standing}


def _standing(caller: Caller, user: Mapping[str, Any]) -> str:
    """What an account may do here. No answer is no answer."""
    name, number = str(user["username"]), user.get("id")
    if is_no_person(name) or user.get("bot") is True:
        return "bot"
    if not isinstance(number, int):
        return "unknown"
    try:
        if member(caller.get(f"/users/{number}"), "bot") is True:
            return "bot"
        answer = caller.get(f"{repository_path(caller)}/members/all/{number}")
    except ForgeError:
        return "unknown"
    level = member(answer, "access_level")
    if not isinstance(level, int) or member(answer, "username") != name or member(answer, "state") != "active":
        return "unknown"
    return "writes" if level >= _DEVELOPER else "reads"


def _plans(caller: Caller, request: Json, name: str, content: Content, record: Record) -> None:
    commits = {str(one["id"]) for one in record.commits} | {head_of(request)}
    found = sorted(plan_jobs(caller, name, request, commits), key=lambda one: (str(one.get("finished_at")), int(one["id"])))
    for one in found[:MOST_PLANS]:
        at = moment_text(one.get("finished_at"))
        said = _content(caller, one, content)
        if at is not None and said is not None:
            record.plans.append({"content": said, "at": at, "seen_in": f"job {int(one['id'])}"})
    for comment, told_content in contents_said(caller, int(request["iid"])):
        at = moment_text(comment.get("updated_at") or comment.get("created_at"))
        if at is not None:
            record.plans.append({"content": told_content, "at": at, "seen_in": f"comment {int(comment['id'])}"})


def _content(caller: Caller, one: Json, content: Content) -> str | None:
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES, prefix="amsctl-plan-") as stream:
        try:
            for piece in plan_of_job(caller, one):
                stream.write(piece)
        except ForgeError:
            return None
        stream.seek(0)
        return content(stream)
