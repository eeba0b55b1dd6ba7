"""What GitHub says of a pull request: commits and whose they are, pushes, plans that were shown, reviews and what the reviewers may do."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from typing import Any, Final

from amsctl.errors import ForgeError
from amsctl.forge.artifact import IN_MEMORY_BYTES, plan_artifacts, plan_of_artifact
from amsctl.forge.calls import Caller, Json
from amsctl.forge.requests import Accounts, Content, Record, head_of, member, moment_text, repository_path, told
from amsctl.forge.sticky import contents_said
from amsctl.provenance.people import is_no_person

MOST_COMMITS: Final = 250
"""GitHub lists so many commits of a request and leaves the rest out without a word."""
MOST_PLANS: Final = 50
"""How many artifacts are looked into, the oldest first: a plan that is not found counts from its comment, or not at all."""
_STATES: Final = {"APPROVED": "approved", "CHANGES_REQUESTED": "changes-requested", "DISMISSED": "dismissed"}
_WRITE: Final = frozenset({"admin", "maintain", "write"})
_WEB_FLOW: Final = "web-flow"


def record_of(caller: Caller, request: Json, artifact: str, content: Content) -> dict[str, object]:
    """The members of ``amsctl.reviews/v1`` but for its format and time."""
    path = f"{repository_path(caller)}/pulls/{request['number']}"
    record = Record()
    _bots(record, request["user"])
    _commits(caller, path, request, record)
    _pushes(caller, request, record)
    _reviews(caller, path, record)
    _plans(caller, request, artifact, content, record)
    base = request["base"]
    home = member(base, "repo", "full_name")
    if home is not None and home != caller.job.repository:
        record.unknown.append(f"the request is for another repository, {home}")
    return {
        "forge": "github",
        "url": request["html_url"],
        "number": request["number"],
        "state": "merged" if request.get("merged") else request["state"],
        "base": base["ref"],
        "head_commit": head_of(request),
        "merge_commit": request.get("merge_commit_sha") if request.get("merged") else None,
        "author": request["user"]["login"],
        **told(record),
    }


def _commits(caller: Caller, path: str, request: Json, record: Record) -> None:
    for one in caller.pages(f"{path}/commits"):
        author, committer = (member(one, name, "login") for name in ("author", "committer"))
        record.commits.append({"id": str(one["sha"]), "author": author, "committer": committer, "verified": _verified(one)})
        _bots(record, one.get("author"), one.get("committer"))
    count = request.get("commits")
    if isinstance(count, int) and not isinstance(count, bool) and count != len(record.commits):
        record.unknown.append(f"the request has {count} commits, and GitHub lists {len(record.commits)}")
    elif len(record.commits) >= MOST_COMMITS:
        record.unknown.append(f"GitHub lists no more than {MOST_COMMITS} commits of a request: make it smaller")
    elif head_of(request) not in {one["id"] for one in record.commits}:
        record.unknown.append("the head of the request is not among the commits that GitHub lists")


def _bots(record: Record, *users: object) -> None:
    """Notes those of the accounts that GitHub calls something else than a user."""
    for user in users:
        if str(member(user, "type") or "User") != "User":
            record.is_bot(member(user, "login"))


def _verified(one: Json) -> str | None:
    """The account whose signature GitHub verified: the committer's, or the author's where GitHub itself committed what was done in a browser."""
    if member(one, "commit", "verification", "verified") is not True:
        return None
    author, committer = (member(one, name, "login") for name in ("author", "committer"))
    found = author if committer == _WEB_FLOW else committer
    return found if isinstance(found, str) else None


def _pushes(caller: Caller, request: Json, record: Record) -> None:
    """The record of pushes to the request's branch, where that is in this repository: a fork's cannot be asked for."""
    head: Any = request["head"]
    if member(head, "repo", "full_name") != caller.job.repository:
        return
    for entry in caller.pages(f"{repository_path(caller)}/activity", ref=f"refs/heads/{head['ref']}"):
        by, at = member(entry, "actor", "login"), moment_text(entry.get("timestamp"))
        if isinstance(by, str) and isinstance(entry.get("after"), str):
            record.pushes.append({"before": str(entry.get("before") or ""), "after": entry["after"], "by": by, "at": at or ""})
        _bots(record, entry.get("actor"))
    record.pushes.reverse()  # GitHub lists the newest first


def _reviews(caller: Caller, path: str, record: Record) -> None:
    accounts = Accounts(lambda user: _standing(caller, user))
    for review in caller.pages(f"{path}/reviews"):
        by, at = member(review, "user", "login"), moment_text(review.get("submitted_at"))
        if not isinstance(by, str) or at is None:
            continue  # of an account that is gone, or not sent yet
        state = _STATES.get(str(review["state"]), "commented")
        commit = review.get("commit_id")
        standing = "unknown" if state == "commented" else accounts.standing(review["user"], by)
        record.reviews.append({"by": by, "state": state, "commit": commit, "at": at, "standing": standing})


def _standing(caller: Caller, user: Mapping[str, Any]) -> str:
    """What an account may do here. No answer is no answer."""
    name = str(user["login"])
    if str(user.get("type", "User")) != "User" or is_no_person(name):
        return "bot"
    try:
        answer = caller.get(f"{repository_path(caller)}/collaborators/{name}/permission")
    except ForgeError:
        return "unknown"
    if str(member(answer, "user", "type") or "User") != "User":
        return "bot"
    permission = member(answer, "permission")
    if not isinstance(permission, str):
        return "unknown"
    return "writes" if permission in _WRITE else "reads"


def _plans(caller: Caller, request: Json, artifact: str, content: Content, record: Record) -> None:
    commits = {str(one["id"]) for one in record.commits} | {head_of(request)}
    found = sorted(plan_artifacts(caller, artifact, commits), key=lambda one: (str(one.get("created_at")), int(one["id"])))
    for one in found[:MOST_PLANS]:
        at = moment_text(one.get("created_at"))
        said = _content(caller, one, content)
        if at is not None and said is not None:
            record.plans.append({"content": said, "at": at, "seen_in": f"artifact {int(one['id'])}"})
    record.plans += _shown(caller, int(request["number"]))


def _content(caller: Caller, one: Json, content: Content) -> str | None:
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES, prefix="amsctl-plan-") as stream:
        try:
            for piece in plan_of_artifact(caller, one):
                stream.write(piece)
        except ForgeError:
            return None  # what is no plan shows none
        stream.seek(0)
        return content(stream)


def _shown(caller: Caller, number: int) -> Iterator[dict[str, object]]:
    """The plans that comments of ours show, since their last edit: what stood there before that is not known."""
    for comment, said in contents_said(caller, number):
        at = moment_text(comment.get("updated_at") or comment.get("created_at"))
        if at is not None:
            yield {"content": said, "at": at, "seen_in": f"comment {int(comment['id'])}"}
