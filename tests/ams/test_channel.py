"""GETs are tried again within bounds, POSTs never; every answer is judged by status and by body."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import httpx
import pytest

from amsctl.ams.body import MAX_DEPTH
from amsctl.ams.channel import GetChannel
from amsctl.ams.client import Reader, open_reader
from amsctl.ams.writer import open_writer
from amsctl.config import Auth, AuthType, Secret
from amsctl.errors import AmsctlError, AmsError, AmsMalformed, AmsNoAnswer, AmsRefused, AmsUnreachable, Frozen, LockLost
from amsctl.wire.bodies import request_bytes
from tests.ams.doubles import Heard, JumpingClock, answer, environment, requests, run, wire
from tests.ams.test_body import MALFORMED
from tests.hostile.canaries import CANARIES
from tests.order import HANG_SECONDS

FIRMS = json.dumps({"entitlements": [{"service": "ICC", "clearingFirms": [{"firmName": "F", "clearingId": "1"}]}]})
OK = httpx.Response(200, content=FIRMS, headers={"content-type": "application/json"})
Outcome = httpx.Response | Exception


class Script(httpx.AsyncBaseTransport):
    """Plays outcomes in turn, the last one for ever; counts requests."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.seen: list[httpx.Request] = []
        self.closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        await asyncio.sleep(0)
        if isinstance(outcome, Exception):
            raise outcome
        return httpx.Response(outcome.status_code, headers=outcome.headers, content=outcome.content)

    async def aclose(self) -> None:
        self.closed = True


def status(code: int, body: str = "", **headers: str) -> httpx.Response:
    return httpx.Response(code, content=body, headers={key.replace("_", "-"): value for key, value in headers.items()})


async def get(script: Script, clock: JumpingClock | None = None, **options: Any) -> Any:
    settings = requests(**{"retries": 4, **options})
    async with open_reader(
        environment("http://ams/rest/v2"), settings, clock=clock or JumpingClock(), transport=script, draw=lambda: 0.5
    ) as reader:
        return await reader.firms(), reader.statistics


async def post(script: Script, **options: Any) -> Any:
    env = environment("http://ams/rest/v2", **options)
    async with open_writer(env, requests(retries=4), clock=JumpingClock(), transport=script) as writer:
        return await writer.post("/status/clearing/F", {"delete": "true"}, {"a": "é", "b": [1, None]})


PASSING: list[Outcome] = [
    status(429),
    status(502, "<html>"),
    status(503, "<html>", content_type="text/html"),
    status(504),
    status(503, '{"errorType": "503", "error": "closed"}'),
    httpx.ConnectError("x"),
    httpx.ConnectTimeout("x"),
    httpx.ReadTimeout("x"),
    httpx.ReadError("x"),
    httpx.RemoteProtocolError("x"),
    OSError("x"),
    TimeoutError("x"),
]
LASTING = [
    status(400),
    status(403),
    status(404, '{"errorType": "404", "error": "no"}'),
    status(409),
    status(500, "{}"),
    status(501),
    status(302),
    status(204),
]


@pytest.mark.parametrize("outcome", PASSING, ids=repr)
def test_a_get_is_tried_again_after_what_may_pass(outcome: Outcome) -> None:
    """No connection, no whole answer, 429, 502, 503, 504."""
    script = Script(outcome, outcome, OK)
    _, statistics = run(get(script))
    assert (len(script.seen), statistics.calls, statistics.retries) == (3, 3, 2)


@pytest.mark.parametrize("outcome", PASSING, ids=repr)
def test_a_get_is_tried_at_most_as_often_as_set(outcome: Outcome) -> None:
    """The last failure is the one that is raised."""
    script = Script(outcome)
    with pytest.raises(AmsError):
        run(get(script, retries=3))
    assert len(script.seen) == 4


@pytest.mark.parametrize("outcome", LASTING, ids=repr)
def test_a_get_is_not_tried_again_after_what_stays(outcome: Outcome) -> None:
    """A refusal does not become an answer by asking often."""
    script = Script(outcome)
    with pytest.raises((AmsRefused, AmsMalformed)):
        run(get(script))
    assert len(script.seen) == 1


@pytest.mark.parametrize("outcome", [*PASSING, *LASTING, status(401)], ids=repr)
def test_a_post_is_sent_once_whatever_comes(outcome: Outcome) -> None:
    """Deciding on a second sending takes a fresh read, and that is not done here."""
    script = Script(outcome)
    with pytest.raises(AmsError):
        run(post(script))
    assert [request.method for request in script.seen] == ["POST"]


def test_retry_after_is_waited_for() -> None:
    """Seconds and dates, besides the jitter; a 429's holds the other calls too."""
    clock = JumpingClock()
    run(get(Script(status(503, retry_after="7"), OK), clock))
    assert clock.slept == [7.125]
    clock = JumpingClock()
    run(get(Script(status(429, retry_after="3"), OK), clock))
    assert clock.now >= 1003


def test_a_retry_that_would_end_after_the_deadline_is_not_begun() -> None:
    """A call has one deadline over all its tries, waits included."""
    script, clock = Script(status(503, retry_after="100"), OK), JumpingClock()
    with pytest.raises(AmsMalformed):
        run(get(script, clock, deadline_seconds=60))
    assert (len(script.seen), clock.slept) == (1, [])


def test_the_deadline_bounds_a_single_try_too() -> None:
    """An answer that trickles is cut off at the deadline, however long the timeout of a try is."""
    drops = 0

    async def drip(state: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal drops
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            drops += 1
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def scenario() -> None:
        async with wire(drip, raw=True) as server:
            settings = requests(timeout_seconds=3600, deadline_seconds=1.0, retries=9)
            async with asyncio.timeout(HANG_SECONDS), open_reader(environment(server.url), settings) as reader:
                with pytest.raises(AmsNoAnswer):
                    await reader.firms()
            # In one event loop no more drops fall in a second than there are twentieths in it, and one at its beginning.
            assert drops <= 21
            assert server.connections == 1

    run(scenario())


def test_a_storm_of_failures_is_not_answered_with_a_storm() -> None:
    """1,000 calls that all fail cost at most a tenth more."""

    async def scenario() -> None:
        script = Script(status(503))
        settings = requests(retries=4, concurrency=32)
        async with open_reader(environment("http://ams/"), settings, clock=JumpingClock(), transport=script) as reader:
            results = await asyncio.gather(*(reader._get("/x", {}, where="") for _ in range(1000)), return_exceptions=True)
        assert all(isinstance(result, AmsError) for result in results)
        assert len(script.seen) <= 1100

    run(scenario())


def test_a_429_slows_the_client_down() -> None:
    """Also an uncapped one."""

    async def scenario() -> None:
        clock = JumpingClock()
        async with open_reader(environment("http://ams/"), requests(retries=1), clock=clock, transport=Script(status(429), OK)) as reader:
            assert reader._shared.pace.rate(clock.now) is None
            await reader.firms()
            assert reader._shared.pace.rate(clock.now) is not None
            assert (reader.calls, reader.bytes) == (2, len(FIRMS))

    run(scenario())


# --- judging ---


@pytest.mark.parametrize("code", [200, 201, 400, 404, 500, 503])
def test_errortype_is_a_failure_whatever_the_status(code: int) -> None:
    """AMS §2."""
    body = '{"errorType": "IllegalArgumentException", "error": "Limit Type not found: x"}'
    for call in (get, post):
        with pytest.raises(AmsRefused, match="Limit Type not found") as caught:
            run(call(Script(status(code, body))))
        assert (caught.value.http_status, caught.value.error_type) == (code, "IllegalArgumentException")


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_body_is_a_typed_error_with_its_status(kind: str) -> None:
    """Never an empty account, never another sort of exception; for a POST the status is there to judge by."""
    for call in (get, post):
        with pytest.raises(AmsMalformed) as caught:
            run(call(Script(httpx.Response(200, content=MALFORMED[kind]))))
        assert caught.value.http_status == 200
    for code, expected in ((400, AmsRefused), (500, AmsMalformed)):
        with pytest.raises(expected):
            run(post(Script(httpx.Response(code, content=MALFORMED[kind]))))
    assert MAX_DEPTH == 64


def test_a_web_page_is_recognised_and_the_closure_named() -> None:
    """With a 200 or a 503: the weekly closure is the likeliest reason (AMS §2)."""
    for code in (200, 503):
        for page in (status(code, "<html>", content_type="text/html"), status(code, "<!DOCTYPE html>")):
            with pytest.raises(AmsMalformed, match=r"web page.*Friday 18:00 to Sunday 12:00") as caught:
                run(get(Script(page), retries=0))
            assert caught.value.http_status == code


@pytest.mark.parametrize(
    ("code", "hint"), [(401, "clientId"), (403, "entitlements"), (404, "clearing firm"), (429, "perSecond"), (418, None)]
)
def test_a_refusal_by_status_alone_says_what_to_do(code: int, hint: str | None) -> None:
    """A 4xx without a body is a refusal."""
    with pytest.raises(AmsRefused) as caught:
        run(get(Script(status(code)), retries=0))
    assert caught.value.http_status == code
    assert hint is None or (caught.value.hint is not None and hint in caught.value.hint)


# --- writing ---


def test_a_post_is_the_bytes_that_were_digested() -> None:
    """Method, address, query and body as asked; what came back is handed on unjudged."""
    script = Script(httpx.Response(200, json={"limits": []}))
    got = run(post(script))
    (request,) = script.seen
    assert str(request.url) == "http://ams/rest/v2/status/clearing/F?delete=true"
    assert request.content == b'{"a":"\\u00e9","b":[1,null]}' == request_bytes({"a": "é", "b": [1, None]})
    assert request.headers["content-type"] == "application/json"
    assert (got.http_status, got.body) == (200, {"limits": []})
    assert got.request_sha256 == sha256(request.content).hexdigest()
    assert got.response_sha256 == sha256(b'{"limits":[]}').hexdigest()
    assert got.sent_at.endswith("Z")
    assert got.answered_at >= got.sent_at


@pytest.mark.parametrize("path", ["/a?delete=true", "/a#b", "/../x", "//evil", "x", ""])
def test_a_post_to_another_address_is_never_sent(path: str) -> None:
    """A path cannot bring its own query: an update must not turn into a delete."""

    async def scenario() -> None:
        script = Script(OK)
        async with open_writer(environment("http://ams"), requests(), transport=script) as writer:
            with pytest.raises(AmsUnreachable):
                await writer.post(path, {}, {})
        assert script.seen == []

    run(scenario())


@pytest.mark.parametrize("no", [AmsUnreachable("frozen"), LockLost("taken over", hint="see lock status"), Frozen("frozen")])
def test_the_last_word_before_a_post_keeps_it_from_leaving(no: AmsctlError) -> None:
    """A no of ``leaving``, of whatever kind, means AmsUnreachable and not one request, nor one counted."""

    def leaving() -> None:
        raise no

    async def scenario() -> None:
        script = Script(OK)
        async with open_writer(environment("http://ams"), requests(), transport=script) as writer:
            with pytest.raises(AmsUnreachable) as caught:
                await writer.post("/status/clearing/F", {}, {}, leaving=leaving)
            assert writer.reader.calls == 0
        assert script.seen == []
        assert (caught.value.what, caught.value.where) == (no.what, "POST /status/clearing/F")

    run(scenario())


def test_a_defect_in_the_last_word_keeps_a_post_from_leaving_too() -> None:
    """An exception that is none of ours goes its own way; nothing was sent."""

    def broken() -> None:
        raise ZeroDivisionError

    async def scenario() -> None:
        script = Script(OK)
        async with open_writer(environment("http://ams"), requests(), transport=script) as writer:
            with pytest.raises(ZeroDivisionError):
                await writer.post("/status/clearing/F", {}, {}, leaving=broken)
        assert script.seen == []

    run(scenario())


def test_the_last_word_comes_after_pace_and_credential() -> None:
    """What was still true when the call was queued may not be when it leaves: it is asked last."""
    seen: list[str] = []

    class Slow(JumpingClock):
        async def sleep(self, seconds: float) -> None:
            seen.append("pace")
            await super().sleep(seconds)

    class Noting(Script):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            seen.append(request.url.path)
            return await super().handle_async_request(request)

    async def scenario() -> None:
        token = httpx.Response(200, json={"access_token": "t", "token_type": "bearer", "expires_in": 1799})
        auth = Auth(
            type=AuthType.OAUTH2, client_id="API_X", client_secret=Secret(CANARIES["the client secret"]), token_url="http://ams/token"
        )
        script = Noting(token, OK)
        async with open_writer(environment("http://ams", auth=auth), requests(per_second=1.0), clock=Slow(), transport=script) as writer:
            await writer.post("/x", {}, {}, leaving=lambda: seen.append("leaving"))
            await writer.post("/x", {}, {}, leaving=lambda: seen.append("leaving"))

    run(scenario())
    assert seen == ["/token", "leaving", "/x", "pace", "leaving", "/x"]


@pytest.mark.parametrize(
    ("reply", "kind"), [(status(400, '{"errorType": "x", "error": "y"}'), AmsRefused), (status(500, "<html>"), AmsMalformed)]
)
def test_a_post_that_was_not_answered_well_keeps_the_digest_of_the_answer(reply: httpx.Response, kind: type[AmsError]) -> None:
    """What the AMS said to a write is on record whatever it was."""
    with pytest.raises(kind) as caught:
        run(post(Script(reply)))
    assert getattr(caught.value, "response_sha256", None) == sha256(reply.content).hexdigest()


def test_a_post_that_is_refused_tells_how_long_to_wait() -> None:
    """Retry-After is passed on."""
    with pytest.raises(AmsRefused) as caught:
        run(post(Script(status(429, retry_after="9"))))
    assert (caught.value.retry_after_seconds, caught.value.credential_refreshed) == (9.0, False)


def oauth(ams: Callable[[Heard], bytes | None], issuer: list[bytes | None]) -> Any:
    async def scenario() -> tuple[BaseException, list[Heard], list[Heard]]:
        def issue(heard: Heard) -> bytes | None:
            return issuer.pop(0) if len(issuer) > 1 else issuer[0]

        async with wire(issue) as tokens, wire(ams) as server:
            auth = Auth(
                type=AuthType.OAUTH2,
                client_id="API_X",
                client_secret=Secret(CANARIES["the client secret"]),
                token_url=f"http://127.0.0.1:{tokens.port}/t",
            )
            async with open_writer(environment(server.url, auth=auth), requests()) as writer:
                try:
                    await writer.post("/status/clearing/F", {}, {})
                except AmsError as error:
                    return error, server.heard, tokens.heard
            raise AssertionError("the POST went well")

    return run(scenario())


TOKEN = answer('{"access_token": "t", "token_type": "bearer", "expires_in": 1799}')
DENIED = answer("", status="401 Unauthorized", content_type=None)


def test_a_401_to_a_post_renews_the_credential_and_says_so() -> None:
    """The executor reads again and sends again; here nothing is repeated."""
    error, heard, tokens = oauth(lambda heard: DENIED, [TOKEN])
    assert isinstance(error, AmsRefused)
    assert (error.http_status, getattr(error, "credential_refreshed", None)) == (401, True)
    assert (len(heard), len(tokens)) == (1, 2)


def test_a_401_whose_renewal_fails_stays_a_401() -> None:
    """What the token server says then is not taken for the outcome of the write."""
    error, heard, _ = oauth(lambda heard: DENIED, [TOKEN, None])
    assert isinstance(error, AmsRefused)
    assert (error.http_status, getattr(error, "credential_refreshed", None)) == (401, False)


@pytest.mark.parametrize("issued", [None, answer("x"), answer('{"error": "invalid_client"}', status="401 Unauthorized")])
def test_without_a_credential_a_post_is_certainly_not_sent(issued: bytes | None) -> None:
    """However the token server fails, the write was not sent, and the error says that."""
    error, heard, _ = oauth(lambda heard: answer(), [issued])
    assert type(error) is AmsUnreachable
    assert "nothing was sent" in str(error)
    assert heard == []


def test_asking_for_a_token_is_tried_again() -> None:
    """It writes nothing; a passing failure of the token server does not end a run."""

    async def scenario() -> None:
        replies: list[bytes | None] = [None, answer("", status="503 Busy", headers="Retry-After: 1\r\n"), TOKEN]
        async with wire(lambda heard: replies.pop(0)) as tokens, wire(lambda heard: answer(FIRMS)) as server:
            auth = Auth(
                type=AuthType.OAUTH2,
                client_id="API_X",
                client_secret=Secret(CANARIES["the client secret"]),
                token_url=f"http://127.0.0.1:{tokens.port}/t",
            )
            clock = JumpingClock()
            async with open_reader(environment(server.url, auth=auth), requests(retries=2), clock=clock) as reader:
                assert len(await reader.firms()) == 1
            assert len(tokens.heard) == 3
            assert sum(clock.slept) >= 1

    run(scenario())


# --- what a reader cannot do ---


def test_a_reader_has_no_way_to_write() -> None:
    """No public name of it writes, and its line refuses every method but GET."""
    assert {name for name in dir(Reader) if not name.startswith("_")} == {
        "account", "accounts", "bytes", "calls", "clock_offset_seconds", "eligible_products", "firms", "limits", "resolve",
        "statistics", "statuses", "suspensions",
    }  # fmt: skip
    assert {name for name in dir(GetChannel) if not name.startswith("_")} == {"get"}

    async def scenario() -> None:
        async with open_reader(environment("http://ams"), requests(), transport=Script(OK)) as reader:
            line = reader._get.__self__._line  # type: ignore[attr-defined]
            for method in ("POST", "PUT", "DELETE", "PATCH", "HEAD", "get"):
                with pytest.raises(AssertionError, match="does not send"):
                    await line.exchange(method, "/x", headers=(), timeout_seconds=1, where="")

    run(scenario())


def test_a_transport_that_was_given_is_left_open() -> None:
    """Who opened it closes it."""
    script = Script(OK)
    run(get(script))
    assert script.closed is False
