"""One comment and one issue of ours, found again by a hidden marker and edited in place. What another account wrote is never touched, marker or not."""

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
_SHOWS: Final = re.compile(r"<!-- amsctl:[A-Za-z0-9._-]+ (sha256:[0-9a-f]{64}) -->")


def marker(name: str, content: str | None = None) -> str:
    """The first line of a text of ours; ``content`` is that of the plan which the text shows (``planning.content``)."""
    shown = "" if content is None else f" {content}"
    return f"<!-- amsctl:{re.sub('[^A-Za-z0-9._-]', '_', name).replace('--', '-_')}{shown} -->"


def comment(caller: Caller, text: str, name: str, *, content: str | None = None) -> str:
    """Write ``text`` as the one comment called ``name`` on the request of this job; its address. ``content`` is that of the plan which it shows."""
    request = caller.job.request
    if request is None:
        raise ForgeError(
            "this job runs for no pull or merge request, so there is nothing to comment on", hint="run it on pull_request events"
        )
    body = _fitting(text, f"{marker(name, content)}\n")
    listed = _comments(caller, request)
    ours = _first(_ours(caller, listed, name))
    if ours is None:
        made = caller.send("POST", listed, {"body": body})
        ours = _older(caller, listed, name, made)
        if ours is None:
            return _address(made)
    if ours.get("body") == body:
        return _address(ours)
    one = f"{_repository(caller)}/issues/comments/{_id(ours)}" if _is_github(caller) else f"{listed}/{_id(ours)}"
    return _address(caller.send("PATCH" if _is_github(caller) else "PUT", one, {"body": body}))


def _comments(caller: Caller, request: int) -> str:
    return f"{_repository(caller)}/{'issues' if _is_github(caller) else 'merge_requests'}/{request}/{'comments' if _is_github(caller) else 'notes'}"


def _older(caller: Caller, listed: str, name: str, made: Json) -> Json | None:
    """The comment of ours that there was already, where only the answer to a new one says who we are (the token of an App); the new one is then taken
    back.
    """
    who = _login(caller, made)
    if not _is_github(caller) or who is None or who.casefold() == _who_we_are(caller).casefold():
        return None
    older = next((one for one in _ours(caller, listed, name, mine=who) if _id(one) != _id(made)), None)
    if older is not None:
        caller.send("DELETE", f"{_repository(caller)}/issues/comments/{_id(made)}", {})
    return older


def contents_said(caller: Caller, request: int) -> Iterator[tuple[Json, str]]:
    """The comments of ours on a request that show a plan, each with the content that its first line names."""
    mine: str | None = None
    for item in caller.pages(_comments(caller, request)):
        match = _SHOWS.fullmatch(_first_line(item.get("body")))
        if match is None:
            continue
        mine = mine or _who_we_are(caller)
        if (_login(caller, item) or "").casefold() == mine.casefold():
            yield item, match[1]


def issue(caller: Caller, text: str, name: str, *, title: str, label: str | None, close: bool) -> str:
    """Open or edit the one issue called ``name``, or close it; its address, empty where there was nothing to close."""
    listed = f"{_repository(caller)}/issues"
    member = "body" if _is_github(caller) else "description"
    state = "open" if _is_github(caller) else "opened"
    ours = _first(_ours(caller, listed, name, member=member, state=state))
    if close:
        return "" if ours is None else _address(_closed(caller, f"{listed}/{_number(caller, ours)}", text))
    body: dict[str, object] = {"title": title, member: _fitting(text, f"{marker(name)}\n")}
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


def _ours(caller: Caller, listed: str, name: str, *, member: str = "body", mine: str | None = None, **query: str) -> Iterator[Json]:
    """What we wrote, the oldest first."""
    query = {**query, "sort": "created"} | ({"direction": "asc"} if _is_github(caller) else {"order_by": "created_at", "sort": "asc"})
    begin, end = marker(name).removesuffix(" -->"), " -->"
    for item in caller.pages(listed, **query):
        line = _first_line(item.get(member))
        if line != begin + end and not (line.startswith(f"{begin} ") and _SHOWS.fullmatch(line)):
            continue
        mine = mine or _who_we_are(caller)
        if (_login(caller, item) or "").casefold() == mine.casefold():
            yield item


def _first_line(text: object) -> str:
    return str(text or "").replace("\r\n", "\n").partition("\n")[0].strip()


def _login(caller: Caller, item: Json) -> str | None:
    author = item.get("user") if _is_github(caller) else item.get("author")
    name = author.get("login" if _is_github(caller) else "username") if isinstance(author, dict) else None
    return name if isinstance(name, str) else None


def _who_we_are(caller: Caller) -> str:
    """The account of the job's token: as the job names it, or the forge; at GitHub, where a job's own token cannot ask, the usual one."""
    if caller.job.login is not None:
        return caller.job.login
    try:
        user = caller.get("/user")
    except ForgeError:
        if not _is_github(caller):
            raise
        return _viewer(caller) or _BOT
    return str(user["login" if _is_github(caller) else "username"])


def _viewer(caller: Caller) -> str | None:
    """Who GitHub's other API takes us for: it knows the token of an App."""
    try:
        answer = caller.ask("query { viewer { login } }", {})
    except ForgeError:
        return None
    viewer = answer["data"].get("viewer")
    name = viewer.get("login") if isinstance(viewer, dict) else None
    return name if isinstance(name, str) and name else None


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
