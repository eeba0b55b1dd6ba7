"""One comment and one issue of ours, found again by a hidden marker and edited in place. What somebody else wrote is never touched, marker or not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from amsctl.errors import ForgeError
from amsctl.forge.calls import Caller, Json
from amsctl.forge.pipeline import Forge

MOST_CHARACTERS: Final = 65_536
"""Of a comment at GitHub; GitLab takes more."""
_BOT: Final = "github-actions[bot]"
"""Who a job's own token speaks as at GitHub; such a token cannot ask who it is."""


def marker(name: str) -> str:
    """The first line of a text of ours."""
    return f"<!-- amsctl:{re.sub('[^A-Za-z0-9._-]', '_', name).replace('--', '-_')} -->"


def comment(caller: Caller, text: str, name: str) -> str:
    """Write ``text`` as the one comment called ``name`` on the request of this job; its address."""
    request = caller.job.request
    if request is None:
        raise ForgeError(
            "this job runs for no pull or merge request, so there is nothing to comment on", hint="run it on pull_request events"
        )
    body = _body(text, name)
    listed = f"{_repository(caller)}/{'issues' if _is_github(caller) else 'merge_requests'}/{request}/{'comments' if _is_github(caller) else 'notes'}"
    ours = _first(_ours(caller, listed, name))
    if ours is None:
        return _address(caller.send("POST", listed, {"body": body}))
    if ours.get("body") == body:
        return _address(ours)
    one = f"{_repository(caller)}/issues/comments/{_id(ours)}" if _is_github(caller) else f"{listed}/{_id(ours)}"
    return _address(caller.send("PATCH" if _is_github(caller) else "PUT", one, {"body": body}))


def issue(caller: Caller, text: str, name: str, *, title: str, label: str | None, close: bool) -> str:
    """Open or edit the one issue called ``name``, or close it; its address, empty where there was nothing to close."""
    listed = f"{_repository(caller)}/issues"
    member = "body" if _is_github(caller) else "description"
    state = "open" if _is_github(caller) else "opened"
    ours = _first(_ours(caller, listed, name, member=member, state=state))
    if close:
        return "" if ours is None else _address(_closed(caller, f"{listed}/{_number(caller, ours)}", text))
    body: dict[str, object] = {"title": title, member: _body(text, name)}
    if ours is not None:
        return _address(caller.send("PATCH" if _is_github(caller) else "PUT", f"{listed}/{_number(caller, ours)}", body))
    if label is not None:
        body["labels"] = [label] if _is_github(caller) else label
    return _address(caller.send("POST", listed, body))


def _closed(caller: Caller, one: str, text: str) -> Json:
    caller.send("POST", f"{one}/{'comments' if _is_github(caller) else 'notes'}", {"body": _fitting(text)})
    end = {"state": "closed", "state_reason": "completed"} if _is_github(caller) else {"state_event": "close"}
    answer: Json = caller.send("PATCH" if _is_github(caller) else "PUT", one, end)
    return answer


def _body(text: str, name: str) -> str:
    return _fitting(text, f"{marker(name)}\n")


def _fitting(text: str, head: str = "") -> str:
    if not text.strip():
        raise ForgeError("the text is empty", hint="a comment that says nothing would be read as: no changes")
    if len(head + text) > MOST_CHARACTERS:
        raise ForgeError(
            "the text is too long",
            expected=f"at most {MOST_CHARACTERS:,} characters",
            found=f"{len(head + text):,}",
            hint="amsctl show PLAN --format markdown keeps to it",
        )
    return head + text


def _ours(caller: Caller, listed: str, name: str, *, member: str = "body", **query: str) -> Iterator[Json]:
    """What we wrote, the oldest first."""
    query = {**query, "sort": "created"} | ({"direction": "asc"} if _is_github(caller) else {"order_by": "created_at", "sort": "asc"})
    mine: str | None = None
    for item in caller.pages(listed, **query):
        if str(item.get(member) or "").replace("\r\n", "\n").partition("\n")[0].strip() != marker(name):
            continue
        mine = mine or _who_we_are(caller)
        author = item.get("user") if _is_github(caller) else item.get("author")
        if isinstance(author, dict) and str(author.get("login" if _is_github(caller) else "username")).casefold() == mine.casefold():
            yield item


def _who_we_are(caller: Caller) -> str:
    try:
        user = caller.get("/user")
    except ForgeError:
        if not _is_github(caller):
            raise
        return _BOT
    return str(user["login" if _is_github(caller) else "username"])


def _first(items: Iterator[Json]) -> Json | None:
    return next(items, None)


def _is_github(caller: Caller) -> bool:
    return caller.job.forge is Forge.GITHUB


def _repository(caller: Caller) -> str:
    return f"/repos/{caller.job.repository}" if _is_github(caller) else f"/projects/{caller.job.repository}"


def _id(item: Json) -> int:
    return int(item["id"])


def _number(caller: Caller, item: Json) -> int:
    return int(item["number" if _is_github(caller) else "iid"])


def _address(item: Json | None) -> str:
    return "" if item is None else str(item.get("html_url") or item.get("web_url") or "")
