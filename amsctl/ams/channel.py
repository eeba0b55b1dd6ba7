"""One conversation with an AMS: paced, authenticated, judged. ``GetChannel`` can send GET and nothing else; ``PostChannel`` is the writer's."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Final

from amsctl.ams.auth import Credential, Headers, open_credential
from amsctl.ams.body import NotUsable, check_content_type, parse_object
from amsctl.ams.clock import Clock, ServerTime
from amsctl.ams.pacing import Pace
from amsctl.ams.retrying import RETRIED_STATUSES, RetryBudget, backoff_seconds, retry_after_seconds
from amsctl.ams.transport import Line, Origin, RawAnswer, Transport, open_transport
from amsctl.config import AuthType, Environment, Requests
from amsctl.errors import AmsctlError, AmsError, AmsMalformed, AmsNoAnswer, AmsRefused, AmsUnreachable, ConfigError
from amsctl.masking import quoted
from amsctl.wire.answers import error_in
from amsctl.wire.paths import query_value

JsonObject = dict[str, object]
CLOSURE: Final = "its weekly closure is Friday 18:00 to Sunday 12:00 in Chicago"
COMMON_HEADERS: Final = (("User-Agent", "amsctl"), ("Accept", "application/json"), ("Accept-Encoding", "gzip"))
FRESH: Final = (("Cache-Control", "no-cache"), ("Pragma", "no-cache"))
"""Goes along with each GET: a cache on the way must ask the AMS. The second is for caches of HTTP/1.0 (RFC 9111 §5.4)."""
MOST_AGE_SECONDS: Final = 5
"""How old an answer may call itself. Age is in whole seconds and counts the way through each gateway too, so that a fresh answer may say 1 or 2; what a
cache kept for use again is older: the shortest that is usual is 10 s."""
MOST_CREDENTIAL_WAIT_SECONDS: Final = 30.0


@dataclass(slots=True)
class Statistics:
    """What a client has done so far: requests sent, bytes of bodies as they came over the wire, GETs that were tried again, and how long the answers to
    GETs took from when it was their turn.
    """

    calls: int = 0
    bytes: int = 0
    retries: int = 0
    gets: int = 0
    get_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the calls of one client have in common."""

    environment: Environment
    requests: Requests
    credential: Credential
    pace: Pace
    clock: Clock
    server_time: ServerTime
    statistics: Statistics
    draw: Callable[[], float]

    def observe(self, answer: RawAnswer, asked_at: float) -> None:
        """What every answer of the environment tells besides its body: its size, its clock, its cookies."""
        self.statistics.bytes += answer.raw_bytes
        self.server_time.observe(answer.header("date"), asked_at=asked_at, age=answer.header("age"))
        self.credential.observe(answer)


def target_of(path: str, query: Mapping[str, str]) -> str:
    """Path and query as they go on the wire. ``path`` is encoded already (``wire.paths``) and holds no query of its own."""
    if "?" in path or "#" in path:
        raise AmsUnreachable("this is no address of the AMS", found=ascii(path), hint="nothing was sent")
    pairs = "&".join(f"{query_value(key)}={query_value(value)}" for key, value in query.items())
    return f"{path}?{pairs}" if pairs else path


def judged(answer: RawAnswer, *, where: str) -> JsonObject:
    """The JSON object of a good answer.

    Raises AmsRefused for a failure told by body (``errorType``, whatever the status, AMS §2) or by a 4xx status; AmsMalformed for redirects, for bodies
    that are not a JSON object, for every 2xx but 200, and for what a cache kept (2xx and 4xx; a 5xx is no answer to anything anyway).
    """
    status = answer.status
    if 300 <= status < 400:
        raise AmsMalformed(
            f"the AMS sends the request elsewhere (HTTP {status})",
            http_status=status,
            where=where,
            hint="redirects are not followed: correct the url",
        )
    if status < 500:
        _check_fresh(answer, where)
    body, reason = _json_of(answer)
    failure = error_in(body) if body is not None else None
    if failure is not None:
        said = f"{failure.error_type}: {failure.text}" if failure.text else failure.error_type  # masked and cut where it was read
        raise AmsRefused(
            f"the AMS refused (HTTP {status}): {said}",
            http_status=status,
            error_type=failure.error_type,
            where=where,
            hint=_status_hint(status),
        )
    if 200 <= status < 300 and body is not None:
        return _whole(answer, body, where)
    if body is not None or 400 <= status < 500:
        raise AmsRefused(f"the AMS refused (HTTP {status})", http_status=status, where=where, hint=_status_hint(status))
    page = "web page" in reason
    what = f"the AMS answered a web page (HTTP {status})" if page else f"the answer of the AMS is not usable (HTTP {status}): {reason}"
    raise AmsMalformed(what, http_status=status, where=where, hint=CLOSURE if page or status == 503 else None)


def _check_fresh(answer: RawAnswer, where: str) -> None:
    """AmsMalformed for an answer that a cache kept: what it says was so at another time, and a write stands on what is so now."""
    old = [f"Age: {quoted(age)}" for age in answer.headers_of("age") if not _is_young(age)]
    old += [f"Warning: {quoted(warning)}" for warning in answer.headers_of("warning") if _KEPT.search(warning) is not None]
    if old:
        raise AmsMalformed(
            "the answer is an old one that a cache kept",
            http_status=answer.status,
            where=where,
            expected=f"an answer of now: an Age of at most {MOST_AGE_SECONDS} s, and no Warning of 110 to 113",
            found=old[0],
            hint="nothing is concluded from it; let what is between here and the AMS keep no answers",
        )


def _is_young(age: str) -> bool:
    """Whether an Age is a number of seconds, and few; one that cannot be read is not."""
    text = age.strip()
    return text.isascii() and text.isdigit() and len(text) <= 9 and int(text) <= MOST_AGE_SECONDS


_KEPT: Final = re.compile(r"(?:^|,)\s*11[0-3](?:\s|$)")
"""Warnings that only a cache gives, of an answer that it did not just fetch (RFC 7234 §5.5): stale, not validated, disconnected, fresh by a guess."""

_WHOLE: Final = 200
"""The one status of a whole answer of the AMS. Every other of its kind says something else: 202 not yet, 203 changed on the way, 206 a part, 207 several,
226 a difference."""


def _whole(answer: RawAnswer, body: JsonObject, where: str) -> JsonObject:
    """The body, of an answer that is the whole: anything less would make a part of an account look like all of it."""
    ranged = answer.header("content-range")
    if answer.status == _WHOLE and not ranged:
        return body
    raise AmsMalformed(
        "the answer of the AMS is a part" if ranged else "the AMS answered with a status of no documented answer",
        http_status=answer.status,
        where=where,
        expected="HTTP 200 and the whole",
        found=f"HTTP {answer.status}" + (f", Content-Range {quoted(ranged)}" if ranged else ""),
        hint="nothing is concluded from it; is there a cache or a proxy on the way?",
    )


def _json_of(answer: RawAnswer) -> tuple[JsonObject | None, str]:
    try:
        check_content_type(answer.header("content-type"))
        return parse_object(answer.content), ""
    except NotUsable as reason:
        return None, str(reason)


def _status_hint(status: int) -> str | None:
    match status:
        case 401:
            return "check clientId (case sensitive, per environment) and clientSecret"
        case 403:
            return "this API ID may not do that: check its entitlements with CME"
        case 404:
            return "check the environment's url, the clearing firm and the account"
        case 429:
            return "the AMS asks for fewer calls: lower requests.perSecond"
        case 503:
            return CLOSURE
    return None


class GetChannel:
    """GET requests with retries. There is no way to send anything else through it."""

    def __init__(self, line: Line, shared: Shared) -> None:
        self._line = line
        self._shared = shared
        self._budget = RetryBudget()

    async def get(self, path: str, query: Mapping[str, str], *, where: str) -> JsonObject:
        """The JSON object that the AMS answers.

        Tried again, at most ``requests.retries`` times and within ``requests.deadline_seconds`` from the first try: no connection, no whole answer,
        429, 502, 503 and 504. A 401 renews the credential once. Raises AmsUnreachable, AmsNoAnswer, AmsRefused, AmsMalformed of the last try.
        """
        target = target_of(path, query)
        self._budget.call()
        deadline: float | None = None
        retry, renewed = 0, False
        while True:
            async with self._shared.pace.slot():
                now = self._shared.clock.monotonic()
                deadline = now + self._shared.requests.deadline_seconds if deadline is None else deadline
                tried = await self._try(target, deadline - now, where)
            if tried.body is not None:
                return tried.body
            assert tried.error is not None
            if tried.status == 401 and not renewed and await self._shared.credential.renew(tried.generation):
                renewed = True
                continue
            wait = self._wait_before_retry(tried, retry, deadline)
            if wait is None:
                raise tried.error
            retry += 1
            self._shared.statistics.retries += 1
            await self._shared.clock.sleep(wait)

    async def _try(self, target: str, seconds_left: float, where: str) -> _Tried:
        """One request. Failures of the credential's own server are raised, failures of the request come back as values."""
        shared = self._shared
        headers = await shared.credential.headers()
        generation = shared.credential.generation
        shared.statistics.calls += 1
        timeout = max(0.001, min(shared.requests.timeout_seconds, seconds_left))
        asked_at = shared.clock.monotonic()
        try:
            answer = await self._line.exchange(
                "GET", target, headers=(*COMMON_HEADERS, *FRESH, *headers), timeout_seconds=timeout, where=where
            )
        except (AmsUnreachable, AmsNoAnswer) as error:
            return _Tried(error=error, generation=generation, may_retry=True)
        finally:
            shared.statistics.gets += 1
            shared.statistics.get_seconds += shared.clock.monotonic() - asked_at
        shared.observe(answer, asked_at)
        retry_after = retry_after_seconds(answer.header("retry-after"), shared.clock.wall())
        try:
            return _Tried(body=judged(answer, where=where), generation=generation)
        except AmsError as error:
            again = answer.status in RETRIED_STATUSES
            return _Tried(error=error, status=answer.status, generation=generation, may_retry=again, retry_after=retry_after)

    def _wait_before_retry(self, tried: _Tried, retry: int, deadline: float) -> float | None:
        """Seconds to wait before the next try, ``None`` when there shall be none."""
        shared = self._shared
        wait = backoff_seconds(retry, shared.draw)
        if tried.retry_after is not None:
            wait += tried.retry_after
        if tried.status == 429:
            shared.pace.slow_down()
            if tried.retry_after:
                shared.pace.hold(min(tried.retry_after, max(0.0, deadline - shared.clock.monotonic())))
        in_time = shared.clock.monotonic() + wait < deadline
        if not tried.may_retry or retry >= shared.requests.retries or not in_time:
            return None
        # A 429 costs the AMS little and slows all of us down already, so it does not draw on the budget that guards a struggling server.
        return wait if tried.status == 429 or self._budget.spend() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    generation: int
    body: JsonObject | None = None
    error: AmsError | None = None
    status: int | None = None
    may_retry: bool = False
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A good answer to a POST; ``sha256`` (hex) is over its decoded body."""

    status: int
    body: JsonObject
    sha256: str


class PostChannel:
    """POST requests: each is sent once, on a connection of its own."""

    def __init__(self, line: Line, shared: Shared) -> None:
        self._line = line
        self._shared = shared

    async def post(
        self, path: str, query: Mapping[str, str], content: bytes, *, where: str, leaving: Callable[[], None] | None = None
    ) -> Posted:
        """Status and JSON object of the answer.

        ``leaving`` is asked last, before a connection is made and again once there is one; when it raises an AmsctlError, nothing is sent. Raises
        AmsUnreachable when it is certain that nothing was sent, AmsNoAnswer when it may have been, AmsRefused and AmsMalformed with the
        ``http_status`` of an answer that came. A 401 renews the credential and tells so (``credential_refreshed``); it is never sent again here.
        """
        target = target_of(path, query)
        shared = self._shared
        async with shared.pace.slot():
            headers = await self._credential_headers(where)
            generation = shared.credential.generation
            ask = None if leaving is None else partial(_ask, leaving, where)
            if ask is not None:
                ask()
            shared.statistics.calls += 1
            asked_at = shared.clock.monotonic()
            answer = await self._line.exchange(
                "POST",
                target,
                headers=(*COMMON_HEADERS, ("Content-Type", "application/json"), *headers),
                content=content,
                timeout_seconds=shared.requests.timeout_seconds,
                where=where,
                leaving=ask,
            )
        shared.observe(answer, asked_at)
        digest = sha256(answer.content).hexdigest()
        try:
            body = judged(answer, where=where)
            return Posted(status=answer.status, body=body, sha256=digest)
        except AmsRefused as refusal:
            refusal.response_sha256 = digest
            refusal.retry_after_seconds = retry_after_seconds(answer.header("retry-after"), shared.clock.wall())
            if answer.status == 429:
                shared.pace.slow_down()
            if answer.status == 401:
                refusal.credential_refreshed = await self._renewed(generation)
            raise
        except AmsMalformed as problem:
            problem.response_sha256 = digest
            raise

    async def _credential_headers(self, where: str) -> Headers:
        """The credential; whatever goes wrong while it is obtained, nothing of the write was sent, and the error says that."""
        try:
            return await self._shared.credential.headers()
        except AmsError as error:
            raise AmsUnreachable(
                f"no credential: {error.what}", where=where, hint=f"nothing was sent; {error.hint or 'try again later'}"
            ) from None

    async def _renewed(self, generation: int) -> bool:
        try:
            return await self._shared.credential.renew(generation)
        except AmsError:
            return False


def _ask(leaving: Callable[[], None], where: str) -> None:
    """The last word before a write; a no of whatever kind means that nothing was sent."""
    try:
        leaving()
    except AmsUnreachable as refusal:
        refusal.place(where)
        raise
    except AmsctlError as refusal:
        raise AmsUnreachable(refusal.what, where=refusal.where or where, hint=f"nothing was sent; {refusal.hint or 'see above'}") from None


# --- opening ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The parts of an open conversation. ``write_transport`` is there for whoever may write."""

    shared: Shared
    get: GetChannel
    origin: Origin


@asynccontextmanager
async def opened(
    environment: Environment, requests: Requests, *, clock: Clock, transport: Transport | None, draw: Callable[[], float] | None
) -> AsyncIterator[Opened]:
    """A conversation that can GET: its connections close when the block ends. ``transport`` replaces the real one (tests, simulators)."""
    origin = Origin.of(environment.url, what="the environment's url")
    connections = transport or open_transport(environment, fresh=False)
    draw = draw or random.Random().random
    credential = _credential(environment, requests, connections, clock, draw)
    shared = Shared(
        environment=environment,
        requests=requests,
        credential=credential,
        pace=Pace(concurrency=requests.concurrency, per_second=requests.per_second, clock=clock),
        clock=clock,
        server_time=ServerTime(clock),
        statistics=Statistics(),
        draw=draw,
    )
    line = Line(connections, origin, methods=("GET",), max_body_bytes=requests.max_body_bytes)
    try:
        yield Opened(shared=shared, get=GetChannel(line, shared), origin=origin)
    finally:
        close = getattr(credential, "aclose", None)
        if close is not None:
            await close()
        if transport is None:
            await connections.aclose()


def _credential(
    environment: Environment, requests: Requests, connections: Transport, clock: Clock, draw: Callable[[], float]
) -> Credential:
    """The environment's credential, with the one address that it is obtained from."""
    auth = environment.auth
    url = auth.token_url if auth.type is AuthType.OAUTH2 else environment.url.rstrip("/") + auth.logon_path
    if url is None:
        raise ConfigError("auth.type oauth2 needs tokenUrl")
    address = Origin.of(url, what="auth.tokenUrl" if auth.type is AuthType.OAUTH2 else "the logon address", whole=True)
    # The address as a whole is the base path: nothing but it can be asked for.
    line = Line(connections, address, methods=("POST",), max_body_bytes=min(requests.max_body_bytes, 1024 * 1024))

    async def once(headers: Headers, content: bytes) -> RawAnswer:
        return await line.exchange(
            "POST", "", headers=(*COMMON_HEADERS, *headers), content=content, timeout_seconds=requests.timeout_seconds, where=str(address)
        )

    async def post(headers: Headers, content: bytes) -> RawAnswer:
        """Asking for a credential writes nothing, so it is tried again like a GET."""
        for retry in range(requests.retries):
            try:
                answer = await once(headers, content)
                if answer.status not in RETRIED_STATUSES:
                    return answer
                wait = retry_after_seconds(answer.header("retry-after"), clock.wall()) or 0.0
            except (AmsUnreachable, AmsNoAnswer):
                wait = 0.0
            await clock.sleep(min(wait, MOST_CREDENTIAL_WAIT_SECONDS) + backoff_seconds(retry, draw))
        return await once(headers, content)

    return open_credential(auth, post, clock)
