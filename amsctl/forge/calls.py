"""Calls to a forge: the token goes along and is never shown, lists are read page by page, what may be tried again is, and every failure is one line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, Final

import httpx

from amsctl.errors import ForgeError
from amsctl.forge.pipeline import Forge, Job
from amsctl.masking import Masks, quoted
from amsctl.version import version

_TIMEOUT_SECONDS: Final = 30.0
_TRIES: Final = 4
_LONGEST_WAIT_SECONDS: Final = 60.0
_MOST_PAGES: Final = 200
_MOST_REDIRECTS: Final = 5
_MOST_SAID: Final = 200

Json = dict[str, Any]


class Caller:
    """Whoever speaks to the forge for a job."""

    def __init__(self, job: Job, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.job = job
        self._sleep = sleep
        name, before = job.token_header
        self._masks = Masks((job.token.reveal(),))
        headers = {"User-Agent": f"amsctl/{version()}", name: before + job.token.reveal()}
        if job.forge is Forge.GITHUB:
            headers |= {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
        # No proxy or credentials by way of the environment or .netrc: what goes where is told above.
        self._client = httpx.Client(headers=headers, timeout=_TIMEOUT_SECONDS, trust_env=False)

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, **query: str | int) -> Any:
        """What a path holds."""
        return _json(self._send("GET", self.job.api + path, query), path)

    def send(self, method: str, path: str, body: Mapping[str, object]) -> Any:
        """The answer to a call that changes something."""
        return _json(self._send(method, self.job.api + path, {}, body), path)

    def ask(self, query: str, variables: Mapping[str, object]) -> Any:
        """The answer of the forge's GraphQL API, with its ``data``. ForgeError where it has none, or names errors."""
        if not self.job.graphql:
            raise ForgeError(f"the job does not say where the GraphQL API of {self.job.forge} is")
        answer = _json(self._send("POST", self.job.graphql, {}, {"query": query, "variables": variables}), "/graphql")
        if not isinstance(answer, dict) or not isinstance(answer.get("data"), dict) or answer.get("errors"):
            raise ForgeError(f"{self.job.forge} did not answer the query", where=self.job.graphql)
        return answer

    def pages(self, path: str, *, inside: str | None = None, **query: str | int) -> Iterator[Json]:
        """The items of a list, of all pages; ``inside`` an object, the member that holds them."""
        url: str | None = self.job.api + path
        asked: Mapping[str, str | int] = {"per_page": 100, **query}
        for _ in range(_MOST_PAGES):
            if url is None:
                return
            answer = self._send("GET", url, asked)
            items = _json(answer, path)
            items = items.get(inside) if inside is not None and isinstance(items, dict) else items
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise ForgeError(f"{self.job.forge} answered something else than a list", where=path)
            yield from items
            url, asked = self._next(answer), {}
        raise ForgeError(f"{self.job.forge} has more pages than anybody reads", where=path, expected=f"at most {_MOST_PAGES}")

    def _next(self, answer: httpx.Response) -> str | None:
        """The address of the next page; ``None`` after the last. It must be the forge's own: the token goes there."""
        url = answer.links.get("next", {}).get("url")
        if url is not None and not url.startswith(self.job.api + "/"):
            raise ForgeError(f"{self.job.forge} sends us elsewhere for the next page", where=quoted(url, _MOST_SAID))
        return url

    def download(self, path: str, stream: IO[bytes], *, most_bytes: int) -> None:
        """The bytes of a file. A redirect is followed; to another host the token does not go along, in whatever header."""
        url, size = httpx.URL(self.job.api + path), 0
        home = (url.scheme, url.host, url.port)
        try:
            for _ in range(_MOST_REDIRECTS):
                at_home = (url.scheme, url.host, url.port) == home
                with _visit(self._client if at_home else None, url) as answer:
                    if answer.has_redirect_location:
                        url = url.join(answer.headers["location"])
                        continue
                    if answer.status_code != httpx.codes.OK:
                        answer.read()
                        raise self._refusal(answer, path)
                    for piece in answer.iter_bytes():
                        size += len(piece)
                        if size > most_bytes:
                            raise ForgeError("the file is too large to be a plan", where=path, expected=f"at most {most_bytes:,} bytes")
                        stream.write(piece)
                    return
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            raise self._unreachable(problem, path) from None
        raise ForgeError(f"{self.job.forge} sends us on and on", where=path, expected=f"at most {_MOST_REDIRECTS} redirects")

    def _send(self, method: str, url: str, query: Mapping[str, str | int], body: Mapping[str, object] | None = None) -> httpx.Response:
        """The answer, which is a good one. A read is tried again where that may help; a write only where it certainly was not done."""
        path = url.removeprefix(self.job.api)
        for number in range(1, _TRIES + 1):
            try:
                answer = self._client.request(method, url, params=query or None, json=body)
            except httpx.ConnectError as problem:
                refusal = self._unreachable(problem, path)
                again, wait = True, 2.0**number
            except httpx.HTTPError as problem:
                refusal = self._unreachable(problem, path)
                again, wait = method == "GET", 2.0**number
            else:
                if answer.is_success:
                    return answer
                refusal = self._refusal(answer, path)
                limited = answer.status_code == httpx.codes.TOO_MANY_REQUESTS or "retry-after" in answer.headers
                again = limited or (answer.is_server_error and method == "GET")
                wait = _wait(answer, number)
            if not again or number == _TRIES or wait > _LONGEST_WAIT_SECONDS:
                raise refusal
            self._sleep(wait)
        raise AssertionError("the last try has ended it")

    def _refusal(self, answer: httpx.Response, path: str) -> ForgeError:
        try:
            said = quoted(str(answer.json()["message"]), _MOST_SAID)
        except (ValueError, KeyError, TypeError):
            said = quoted(answer.reason_phrase, _MOST_SAID)
        hints = {
            401: "the token is not (or no longer) one",
            403: "the job's token may not do this: see permissions",
            404: "or the token may not see it",
        }
        return ForgeError(f"{self.job.forge} refused (HTTP {answer.status_code}): {said}", where=path, hint=hints.get(answer.status_code))

    def _unreachable(self, problem: Exception, path: str) -> ForgeError:
        return ForgeError(f"{self.job.forge} cannot be reached: {type(problem).__name__}", where=f"{self.job.api}{path}")


@contextmanager
def _visit(client: httpx.Client | None, url: httpx.URL) -> Iterator[httpx.Response]:
    """The answer of an address, asked for by ``client`` or, without one, by somebody who has no token."""
    if client is not None:
        with client.stream("GET", url) as answer:
            yield answer
        return
    with httpx.Client(timeout=_TIMEOUT_SECONDS, trust_env=False) as stranger, stranger.stream("GET", url) as answer:
        yield answer


def _wait(answer: httpx.Response, number: int) -> float:
    told = answer.headers.get("retry-after", "")
    return float(told) if told.isdecimal() else 2.0**number


def _json(answer: httpx.Response, path: str) -> Any:
    if not answer.content:
        return None
    try:
        return answer.json()
    except (ValueError, RecursionError):
        raise ForgeError("the answer is no JSON", where=path) from None
