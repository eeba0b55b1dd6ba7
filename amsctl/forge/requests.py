"""The pull or merge request that a job, or a commit that was merged, belongs to, and everything that the forge says of who made it, what was shown and what
reviewers said (``amsctl.reviews/v1``).

What a forge lists in part is never taken for the whole: it is written into ``unknown``, and nothing counts as long as that says anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, Any, Final

from amsctl.errors import ForgeError
from amsctl.forge.calls import Caller, Json
from amsctl.forge.pipeline import Forge

REVIEWS_FORMAT: Final = "amsctl.reviews/v1"

Content = Callable[[IO[bytes]], str | None]
"""The content of the plan (``planning.content``) that a file holds; ``None`` where it is no plan that can be read."""


@dataclass(slots=True)
class Record:
    """What was found of a request, what could not be found whole, and the accounts among them that are no persons' by the forge."""

    commits: list[dict[str, object]] = field(default_factory=list)
    pushes: list[dict[str, object]] = field(default_factory=list)
    plans: list[dict[str, object]] = field(default_factory=list)
    reviews: list[dict[str, object]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    bots: list[str] = field(default_factory=list)

    def is_bot(self, account: object) -> None:
        """The forge says that an account of the request is no person's."""
        if isinstance(account, str) and account not in self.bots:
            self.bots.append(account)


def request_of(caller: Caller, commit: str | None) -> Json:
    """The request of this job, or the one that ``commit`` came from, as the forge tells of it. ForgeError when there is none, or more than one."""
    repository, number = repository_path(caller), caller.job.request
    github = caller.job.forge is Forge.GITHUB
    kind = "pulls" if github else "merge_requests"
    if number is None or commit is not None:
        commit = commit or caller.job.commit
        commits = f"{repository}/commits" if github else f"{repository}/repository/commits"
        members = ("merge_commit_sha",) if github else ("merge_commit_sha", "squash_commit_sha", "sha")
        found = [
            one for one in caller.pages(f"{commits}/{commit}/{kind}") if commit in {*(one.get(name) for name in members), head_of(one)}
        ]
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


def head_of(request: Json) -> str:
    """The commit at the head of a request's branch."""
    head = request.get("head")
    return str(head.get("sha")) if isinstance(head, dict) else str(request.get("sha"))


def reviews_of(caller: Caller, commit: str | None, read_at: str, *, artifact: str, content: Content) -> dict[str, object]:
    """The request with its commits, pushes, plans and reviews, in the format that apply reads. ``artifact`` names the artifact (GitHub) or job (GitLab)
    that holds its plans.
    """
    from amsctl.forge import github, gitlab

    room = github if caller.job.forge is Forge.GITHUB else gitlab
    try:
        request = request_of(caller, commit)
        return {"format": REVIEWS_FORMAT, "read_at": read_at, **room.record_of(caller, request, artifact, content)}
    except (KeyError, TypeError, ValueError):
        raise ForgeError(f"{caller.job.forge} tells less of the request than it should", hint="is it a forge that amsctl knows?") from None


def told(record: Record) -> dict[str, object]:
    """The lists of a record, as the format has them."""
    return {name: getattr(record, name) for name in Record.__slots__}


def member(value: object, *path: str) -> Any:
    """What stands at a path of objects; ``None`` where any of them is none or lacks it."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def moment_text(text: object) -> str | None:
    """A time of a forge (RFC 3339) as UTC, ``YYYY-MM-DDTHH:MM:SSZ``, fractions cut off; ``None`` where it is none."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if found.tzinfo is None else found.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Accounts:
    """What accounts may do, asked once each."""

    def __init__(self, ask: Callable[[Mapping[str, Any]], str]) -> None:
        self._ask, self._known = ask, dict[str, str]()

    def standing(self, user: Mapping[str, Any], name: str) -> str:
        """``writes``, ``reads``, ``bot`` or ``unknown``."""
        if name not in self._known:
            self._known[name] = self._ask(user)
        return self._known[name]
