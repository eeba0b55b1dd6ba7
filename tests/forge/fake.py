"""GitHub and GitLab as far as amsctl speaks to them, kept in memory and served over HTTP: they want the token, give small pages, and fail when told to."""

from __future__ import annotations

import io
import json
import re
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

TOKEN = "ghs_canary0123456789abcdef"
PAGE = 3

Json = dict[str, Any]


def zipped(content: bytes, name: str = "plan.json", **more: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for one, text in ({name: content} | more).items():
            archive.writestr(one, text)
    return stream.getvalue()


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class FakeForge:
    """What the forge holds; ``failures`` are answered before anything else: (method, part of the path, status, headers), each once.
    ``permissions`` (GitHub) and ``levels`` (GitLab) are what accounts may do, ``accounts`` what GitLab's other API says of commits: author and signer.
    """

    kind: str = "github"
    repository: str = "firm/limits"
    pulls: dict[int, Json] = field(default_factory=dict)
    commits_of: dict[int, list[Json]] = field(default_factory=dict)
    reviews: dict[int, list[Json]] = field(default_factory=dict)
    comments: dict[int, list[Json]] = field(default_factory=dict)
    issues: dict[int, Json] = field(default_factory=dict)
    activity: list[Json] = field(default_factory=list)
    artifacts: list[Json] = field(default_factory=list)
    files: dict[int, bytes] = field(default_factory=dict)
    versions: dict[int, list[Json]] = field(default_factory=dict)
    approvals: dict[int, Json] = field(default_factory=dict)
    pipelines: dict[int, Json] = field(default_factory=dict)
    jobs: dict[int, list[Json]] = field(default_factory=dict)
    permissions: dict[str, str] = field(default_factory=dict)
    levels: dict[str, int] = field(default_factory=dict)
    bots: set[str] = field(default_factory=set)
    accounts: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    reviewers: list[Json] = field(default_factory=list)
    viewer: str | None = None
    clock: str = "2026-01-02T00:00:00Z"
    who: str = "github-actions[bot]"
    app_token: bool = True
    failures: list[tuple[str, str, int, dict[str, str]]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    elsewhere: str = ""
    url: str = ""
    ids: int = 1000

    @property
    def github(self) -> bool:
        return self.kind == "github"

    def next_id(self) -> int:
        self.ids += 1
        return self.ids

    @property
    def environ(self) -> dict[str, str]:
        """What a job finds in its environment."""
        if self.github:
            return {
                "GITHUB_ACTIONS": "true",
                "GITHUB_API_URL": self.url,
                "GITHUB_SERVER_URL": self.url,
                "GITHUB_REPOSITORY": self.repository,
                "GITHUB_SHA": "f" * 40,
                "GITHUB_GRAPHQL_URL": f"{self.url}/graphql",
                "GITHUB_TOKEN": TOKEN,
            }
        return {
            "GITLAB_CI": "true",
            "CI_API_V4_URL": self.url,
            "CI_API_GRAPHQL_URL": f"{self.url}/graphql",
            "CI_PROJECT_ID": self.repository,
            "CI_COMMIT_SHA": "f" * 40,
            "AMSCTL_GITLAB_TOKEN": TOKEN,
        }

    def member(self, name: str) -> Json:
        return {"login": name} if self.github else {"username": name, "id": self.number_of(name)}

    def number_of(self, name: str) -> int:
        """The number that GitLab gives an account."""
        return sum(letter << 8 * at for at, letter in enumerate(name.encode()[:6]))

    # --- answering ---

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any, dict[str, str]]:
        for number, (verb, part, status, headers) in enumerate(self.failures):
            if verb in {method, "*"} and part in path:
                del self.failures[number]
                told: Any = b"<html>" if headers.pop("Broken", "") else None if status == 204 else {"message": "Not today"}
                return status, told, headers
        prefix = f"/repos/{self.repository}" if self.github else f"/projects/{self.repository}"
        if path == "/user":
            return (403, {"message": "Resource not accessible by integration"}, {}) if self.app_token else (200, self.member(self.who), {})
        if path == "/graphql":
            return self._graphql(body)
        if not self.github and (match := re.fullmatch(r"/users/(\d+)", path)):
            name = next((one for one in {*self.levels, *self.bots} if self.number_of(one) == int(match[1])), None)
            return (404, {"message": "Not Found"}, {}) if name is None else (200, {"username": name, "bot": name in self.bots}, {})
        if not path.startswith(prefix):
            return 404, {"message": "Not Found"}, {}
        for pattern, verb, respond in _ROUTES[self.kind]:
            match = re.fullmatch(pattern, path.removeprefix(prefix))
            if match and verb == method:
                return respond(self, match, query, body)
        return 404, {"message": "Not Found"}, {}

    def _graphql(self, body: Any) -> tuple[int, Any, dict[str, str]]:
        if self.github:
            return (
                (200, {"data": None, "errors": [{"message": "no"}]}, {})
                if self.viewer is None
                else (200, {"data": {"viewer": {"login": self.viewer}}}, {})
            )
        start = int(body["variables"]["after"] or 0)
        commits = [one["id"] for one in self.commits_of.get(int(body["variables"]["iid"]), [])]
        nodes = []
        for commit in commits[start : start + PAGE]:
            author, signer = self.accounts.get(commit, (None, None))
            signature = None if signer is None else {"verificationStatus": "VERIFIED", "user": self._user(signer)}
            nodes.append({"sha": commit, "author": author and self._user(author), "signature": signature})
        page = {"hasNextPage": start + PAGE < len(commits), "endCursor": str(start + PAGE)}
        return 200, {"data": {"project": {"mergeRequest": {"commits": {"pageInfo": page, "nodes": nodes}}}}}, {}

    def _user(self, name: str) -> Json:
        return {"username": name, "bot": name in self.bots}

    def paged(self, items: list[Json], path: str, query: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        page = int(query.get("page", "1"))
        shown = items[(page - 1) * PAGE : page * PAGE]
        headers = {}
        if len(items) > page * PAGE:
            following = urlencode({**query, "page": page + 1})
            headers["Link"] = f'<{self.url}{path}?{following}>; rel="next"'
        return 200, shown, headers


Respond = Callable[[FakeForge, "re.Match[str]", dict[str, str], Any], tuple[int, Any, dict[str, str]]]


def _list(of: Callable[[FakeForge, int], list[Json]], path: str) -> Respond:
    def respond(forge: FakeForge, match: re.Match[str], query: dict[str, str], body: Any) -> tuple[int, Any, dict[str, str]]:
        number = int(match[1]) if match.lastindex else 0
        prefix = f"/repos/{forge.repository}" if forge.github else f"/projects/{forge.repository}"
        return forge.paged(of(forge, number), prefix + match.string, query)

    return respond


def _add_comment(forge: FakeForge, match: re.Match[str], query: dict[str, str], body: Any) -> tuple[int, Any, dict[str, str]]:
    number = forge.next_id()
    person = "user" if forge.github else "author"
    made = {"id": number, "body": body["body"], person: forge.member(forge.who), "html_url": f"{forge.url}/comment/{number}"}
    made |= {"created_at": forge.clock, "updated_at": forge.clock}
    forge.comments.setdefault(int(match[1]), []).append(made)
    return 201, made, {}


def _edit_comment(forge: FakeForge, match: re.Match[str], query: dict[str, str], body: Any) -> tuple[int, Any, dict[str, str]]:
    for made in (one for listed in forge.comments.values() for one in listed):
        if made["id"] == int(match[match.lastindex or 1]):
            made |= {"body": body["body"], "updated_at": forge.clock}
            return 200, made, {}
    return 404, {"message": "Not Found"}, {}


def _take_comment_back(forge: FakeForge, match: re.Match[str], query: dict[str, str], body: Any) -> tuple[int, Any, dict[str, str]]:
    for listed in forge.comments.values():
        listed[:] = [one for one in listed if one["id"] != int(match[1])]
    return 204, None, {}


def _permission(forge: FakeForge, match: re.Match[str], query: dict[str, str], body: Any) -> tuple[int, Any, dict[str, str]]:
    found = forge.permissions.get(match[1], "none")
    kind = "Bot" if match[1] in forge.bots else "User"
    return (
        (403, {"message": "no"}, {}) if found == "refused" else (200, {"permission": found, "user": {"login": match[1], "type": kind}}, {})
    )


def _membership(forge: FakeForge, match: re.Match[str], query: dict[str, str], body: Any) -> tuple[int, Any, dict[str, str]]:
    name = next((one for one in forge.levels if forge.number_of(one) == int(match[1])), None)
    if name is None:
        return 404, {"message": "Not found"}, {}
    return 200, {"username": name, "access_level": forge.levels[name], "state": "active"}, {}


def _add_issue(forge: FakeForge, match: re.Match[str], query: dict[str, str], body: Any) -> tuple[int, Any, dict[str, str]]:
    number = forge.next_id()
    person, name = ("user", "number") if forge.github else ("author", "iid")
    made = {"id": number, name: number, "state": "open", person: forge.member(forge.who), "html_url": f"{forge.url}/issue/{number}", **body}
    forge.issues[number] = made
    return 201, made, {}


def _edit_issue(forge: FakeForge, match: re.Match[str], query: dict[str, str], body: Any) -> tuple[int, Any, dict[str, str]]:
    made = forge.issues[int(match[1])]
    made |= body
    if body.get("state_event") == "close":
        made["state"] = "closed"
    return 200, made, {}


def _open_issues(forge: FakeForge, number: int) -> list[Json]:
    return [one for one in forge.issues.values() if one["state"] == "open"]


def _pull(forge: FakeForge, match: re.Match[str], query: dict[str, str], body: Any) -> tuple[int, Any, dict[str, str]]:
    found = forge.pulls.get(int(match[1]))
    return (404, {"message": "Not Found"}, {}) if found is None else (200, found, {})


def _pulls_of_commit(forge: FakeForge, match: re.Match[str], query: dict[str, str], body: Any) -> tuple[int, Any, dict[str, str]]:
    return forge.paged(list(forge.pulls.values()), f"/repos/{forge.repository}{match.string}", query)


def _artifacts(forge: FakeForge, match: re.Match[str], query: dict[str, str], body: Any) -> tuple[int, Any, dict[str, str]]:
    named = [one for one in forge.artifacts if one["name"] == query.get("name")]
    status, shown, headers = forge.paged(named, f"/repos/{forge.repository}{match.string}", query)
    return status, {"total_count": len(named), "artifacts": shown}, headers


def _redirect(forge: FakeForge, match: re.Match[str], query: dict[str, str], body: Any) -> tuple[int, Any, dict[str, str]]:
    return 302, None, {"Location": f"{forge.elsewhere}/blob/{match[1]}"}


def _one(of: Callable[[FakeForge, int], Any]) -> Respond:
    return lambda forge, match, query, body: (200, of(forge, int(match[1])), {})


_ROUTES: dict[str, list[tuple[str, str, Respond]]] = {
    "github": [
        (r"/issues/(\d+)/comments", "GET", _list(lambda f, n: f.comments.get(n, []), "")),
        (r"/issues/(\d+)/comments", "POST", _add_comment),
        (r"/issues/comments/(\d+)", "PATCH", _edit_comment),
        (r"/issues/comments/(\d+)", "DELETE", _take_comment_back),
        (r"/collaborators/([^/]+)/permission", "GET", _permission),
        (r"/issues", "GET", _list(_open_issues, "")),
        (r"/issues", "POST", _add_issue),
        (r"/issues/(\d+)", "PATCH", _edit_issue),
        (r"/pulls/(\d+)", "GET", _pull),
        (r"/pulls/(\d+)/commits", "GET", _list(lambda f, n: f.commits_of.get(n, []), "")),
        (r"/pulls/(\d+)/reviews", "GET", _list(lambda f, n: f.reviews.get(n, []), "")),
        (r"/commits/[0-9a-f]+/pulls", "GET", _pulls_of_commit),
        (r"/activity", "GET", _list(lambda f, n: f.activity, "")),
        (r"/actions/artifacts", "GET", _artifacts),
        (r"/actions/artifacts/(\d+)/zip", "GET", _redirect),
    ],
    "gitlab": [
        (r"/merge_requests/(\d+)/notes", "GET", _list(lambda f, n: f.comments.get(n, []), "")),
        (r"/merge_requests/(\d+)/notes", "POST", _add_comment),
        (r"/merge_requests/(\d+)/notes/(\d+)", "PUT", _edit_comment),
        (r"/members/all/(\d+)", "GET", _membership),
        (r"/events", "GET", _list(lambda f, n: f.activity, "")),
        (r"/merge_requests/(\d+)/reviewers", "GET", _list(lambda f, n: f.reviewers, "")),
        (r"/issues", "GET", _list(_open_issues, "")),
        (r"/issues", "POST", _add_issue),
        (r"/issues/(\d+)", "PUT", _edit_issue),
        (r"/issues/(\d+)/notes", "POST", _add_comment),
        (r"/merge_requests/(\d+)", "GET", _pull),
        (r"/merge_requests/(\d+)/commits", "GET", _list(lambda f, n: f.commits_of.get(n, []), "")),
        (r"/merge_requests/(\d+)/versions", "GET", _list(lambda f, n: f.versions.get(n, []), "")),
        (r"/merge_requests/(\d+)/approvals", "GET", _one(lambda f, n: f.approvals.get(n, {"approved_by": []}))),
        (r"/merge_requests/(\d+)/pipelines", "GET", _list(lambda f, n: list(f.pipelines.values()), "")),
        (r"/repository/commits/[0-9a-f]+/merge_requests", "GET", _list(lambda f, n: list(f.pulls.values()), "")),
        (r"/pipelines/(\d+)", "GET", _one(lambda f, n: f.pipelines[n])),
        (r"/pipelines/(\d+)/jobs", "GET", _list(lambda f, n: f.jobs.get(n, []), "")),
        (r"/jobs/(\d+)/artifacts/plan.json", "GET", _redirect),
    ],
}


@contextmanager
def served(forge: FakeForge) -> Iterator[FakeForge]:
    """The forge on a free port, and a second host beside it that keeps its files."""
    with _listening(_api(forge)) as api, _listening(_blobs(forge)) as blobs:
        forge.url, forge.elsewhere = f"http://127.0.0.1:{api}", f"http://127.0.0.1:{blobs}"
        yield forge


@contextmanager
def _listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _api(forge: FakeForge) -> type[BaseHTTPRequestHandler]:
    class Api(BaseHTTPRequestHandler):
        def respond(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            raw = self.rfile.read(length)
            body = json.loads(raw) if raw else None
            split = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(split.query).items()}
            forge.asked.append(Asked(self.command, split.path, dict(self.headers), body))
            token = self.headers.get("Authorization", "").removeprefix("Bearer ") or self.headers.get("PRIVATE-TOKEN", "")
            if token != TOKEN:
                status, value, headers = 401, {"message": "Bad credentials"}, {}
            else:
                status, value, headers = forge.answer(self.command, split.path, query, body)
            if status == 0:  # the connection is cut
                self.close_connection = True
                return
            content = value if isinstance(value, bytes) else b"" if value is None else json.dumps(value).encode()
            self.send_response(status)
            for name, text in headers.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = respond  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    return Api


def _blobs(forge: FakeForge) -> type[BaseHTTPRequestHandler]:
    class Blobs(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            forge.asked.append(Asked("GET", f"elsewhere{self.path}", dict(self.headers), None))
            content = forge.files[int(self.path.rpartition("/")[2])]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    return Blobs
