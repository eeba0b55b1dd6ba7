"""Trouble that lasts: a service that is down for minutes, and tokens that run out in the middle, for many accounts at once, in virtual time (B6, B9)."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime

import httpx
import pytest

from amsctl.ams.client import open_reader
from amsctl.ams.retrying import MOST_RETRY_AFTER_SECONDS
from amsctl.ams.writer import open_writer
from amsctl.config import AuthType
from amsctl.errors import AmsError, AmsNoAnswer, AmsRefused
from tests.ams.doubles import Heard, environment, requests
from tests.conftest import CAMPAIGN
from tests.hostile.stub import FIRM, POSTS, auth, body_for, post
from tests.hostile.virtual import LoopClock, run_virtually

JSON = {"content-type": "application/json"}


def sound(request: httpx.Request) -> httpx.Response:
    """The stand-in's answer, made out for whichever account was asked about."""
    heard = Heard(f"{request.method} {request.url.raw_path.decode()} HTTP/1.1\r\n".encode(), b"")
    body = body_for(heard)
    if "accountNumber" in body:
        body["accountNumber"] = request.url.path.rpartition("/")[2]
    return httpx.Response(200, content=json.dumps(body), headers=JSON)


class Server(httpx.AsyncBaseTransport):
    """Takes ``seconds`` for each answer, and counts."""

    def __init__(self, reply: Callable[[httpx.Request], httpx.Response | Exception], seconds: float = 0.05) -> None:
        self.reply, self.seconds = reply, seconds
        self.times: list[float] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.times.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.seconds)
        outcome = self.reply(request)
        if isinstance(outcome, Exception):
            raise outcome
        return httpx.Response(outcome.status_code, headers=outcome.headers, content=outcome.content)


def down(status: int, headers: dict[str, str] | None = None, body: str = "<html>down</html>") -> Callable[[httpx.Request], httpx.Response]:
    return lambda request: httpx.Response(status, content=body, headers={"content-type": "text/html", **(headers or {})})


TROUBLES: dict[str, Callable[[httpx.Request], httpx.Response | Exception]] = {
    "503": down(503),
    "503 and come back in 30 s": down(503, {"retry-after": "30"}),
    "503 and come back at once": down(503, {"retry-after": "0"}),
    "502": down(502),
    "504": down(504),
    "503 in JSON": down(503, {"content-type": "application/json"}, '{"errorType": "503", "error": "closed"}'),
    "resets": lambda request: httpx.ReadError("x"),
    "no connection": lambda request: httpx.ConnectError("x"),
    "no answer": lambda request: httpx.RemoteProtocolError("x"),
}


@pytest.mark.parametrize(
    ("trouble", "accounts", "workers"),
    [("503", 1000, 8), ("503 and come back in 30 s", 1000, 64), *((name, 300 * CAMPAIGN, 8) for name in TROUBLES)],
)
def test_ten_minutes_of_trouble_cost_a_tenth_more(trouble: str, accounts: int, workers: int) -> None:
    """So many accounts against a service that is down, and again once it is up: at most 1.1 calls an account, and all is read in the end."""

    async def within() -> tuple[int, int, int, float]:
        loop = asyncio.get_running_loop()
        server = Server(lambda request: TROUBLES[trouble](request) if loop.time() < 600 else sound(request))
        draw = random.Random(1).random
        async with open_reader(
            environment("http://ams/rest/v2"),
            requests(retries=4, concurrency=workers, per_second=20.0),
            clock=LoopClock(),
            transport=server,
            draw=draw,
        ) as reader:
            failed = await asyncio.gather(*(reader.limits(FIRM, f"A{n}") for n in range(accounts)), return_exceptions=True)
            assert all(isinstance(each, AmsError) for each in failed)
            stormy, ended = len(server.times), loop.time()
            await asyncio.sleep(max(0.0, 600 - loop.time()))
            assert len(await asyncio.gather(*(reader.limits(FIRM, f"A{n}") for n in range(accounts)))) == accounts
            return stormy, len(server.times) - stormy, reader.statistics.retries, ended

    stormy, calm, retries, ended = run_virtually(within())
    assert accounts <= stormy <= 1.1 * accounts
    assert retries == stormy - accounts
    assert calm == accounts
    assert ended < 600


def test_trouble_that_passes_is_waited_out() -> None:
    """The other side of the budget: a hiccup of two seconds fails nobody."""

    async def within() -> int:
        loop = asyncio.get_running_loop()
        server = Server(lambda request: down(503)(request) if 10 < loop.time() < 12 else sound(request))
        settings = requests(retries=4, concurrency=8, per_second=20.0)
        async with open_reader(
            environment("http://ams/rest/v2"), settings, clock=LoopClock(), transport=server, draw=lambda: 0.9
        ) as reader:
            await asyncio.gather(*(reader.limits(FIRM, f"A{n}") for n in range(1000)))
            return len(server.times)

    assert 1000 < run_virtually(within()) <= 1100


@pytest.mark.parametrize("trouble", [*TROUBLES, "429", "500", "408", "425"])
def test_no_post_is_ever_repeated(trouble: str) -> None:
    """200 writes of every kind against every trouble: 200 requests."""
    reply = TROUBLES[trouble] if trouble in TROUBLES else down(int(trouble), {"retry-after": "1"})

    async def within() -> int:
        server = Server(reply)
        settings = requests(retries=9, concurrency=64)
        async with open_writer(environment("http://ams/rest/v2"), settings, clock=LoopClock(), transport=server) as writer:
            kinds = itertools.islice(itertools.cycle(POSTS), 200)
            found = await asyncio.gather(*(post(writer, kind) for kind in kinds), return_exceptions=True)
            assert all(isinstance(each, AmsError) for each in found)
            await asyncio.sleep(3600)
        return len(server.times)

    assert run_virtually(within()) == 200


def http_date(seconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(LoopClock.base + seconds, UTC), usegmt=True)


AFTER = [
    ("7", 7.0),
    ("0", 0.0),
    (" 12 ", 12.0),
    (http_date(40), 40.0),
    (http_date(-4000), 0.0),
    (http_date(5).replace("GMT", "-0000"), 5.0),
    ("", 0.0),
    ("-5", 0.0),
    ("1.5", 0.0),
    ("soon", 0.0),
    ("0x10", 0.0),
    ("1e3", 0.0),
    ("+3", 0.0),
    ("3 s", 0.0),
    ("\u0667", 0.0),
    ("Sat, 99 Nov 2026 99:99:99 GMT", 0.0),
    ("NaN", 0.0),
    ("inf", 0.0),
]
NEVER = ["301", "9" * 12, "9" * 4000, http_date(10 * 86_400), http_date(400), "Fri, 31 Dec 9999 23:59:59 GMT"]


@pytest.mark.parametrize(("text", "seconds"), AFTER)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_kept_to(status: int, text: str, seconds: float) -> None:
    """Never earlier than asked, and hardly later; what is no such header is as if it were not there."""

    async def within() -> float:
        answers = iter([status])
        headers = {"retry-after": text.encode()}

        def reply(request: httpx.Request) -> httpx.Response:
            code = next(answers, 200)
            return sound(request) if code == 200 else httpx.Response(code, content=b"", headers={b"retry-after": headers["retry-after"]})

        server = Server(reply, seconds=0.0)
        settings = requests(retries=4, deadline_seconds=300.0)
        async with open_reader(
            environment("http://ams/rest/v2"), settings, clock=LoopClock(), transport=server, draw=lambda: 0.5
        ) as reader:
            await reader.limits(FIRM, "A1")
        assert len(server.times) == 2
        return server.times[1]

    assert seconds <= run_virtually(within()) <= seconds + 2.1


@pytest.mark.parametrize("text", NEVER)
@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_beyond_the_deadline_is_not_begun(status: int, text: str) -> None:
    """Nobody sits for a quarter of an hour to fail then: the error comes at once, and to a write with the wait that was asked for, capped."""

    async def within() -> tuple[float, float | None]:
        server = Server(lambda request: httpx.Response(status, content=b"", headers={"retry-after": text}), seconds=0.0)
        settings = requests(retries=4, deadline_seconds=300.0)
        async with open_writer(environment("http://ams/rest/v2"), settings, clock=LoopClock(), transport=server) as writer:
            with pytest.raises(AmsError):
                await writer.reader.limits(FIRM, "A1")
            assert len(server.times) == 1
            waited = asyncio.get_running_loop().time()
            if status == 429:
                return waited, MOST_RETRY_AFTER_SECONDS
            with pytest.raises(AmsError) as caught:
                await post(writer, "limits")
            return waited, getattr(caught.value, "retry_after_seconds", None)

    waited, told = run_virtually(within())
    assert waited == 0.0
    assert told is None or 300 < told <= MOST_RETRY_AFTER_SECONDS


# --- tokens ---


class Issuer(Server):
    """Tokens of 1,799 s, checked to the second; a token call takes half a second, and two at once are an error."""

    def __init__(self, *, revoke_every: float = 0.0, life: int = 1799) -> None:
        super().__init__(sound)
        self.life, self.revoke_every = life, revoke_every
        self.good: dict[str, float] = {}
        self.issued = self.revoked = self.refused = self.under_way = 0
        self._draw = random.Random(2)
        self._next_revocation = revoke_every or float("inf")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        now = asyncio.get_running_loop().time()
        if request.url.path == "/token":
            self.under_way += 1
            assert self.under_way == 1, "two token calls at once"
            await asyncio.sleep(0.5)
            self.under_way -= 1
            self.issued += 1
            self.good[f"Bearer t{self.issued}"] = now + self.life
            return httpx.Response(200, json={"access_token": f"t{self.issued}", "token_type": "bearer", "expires_in": self.life})
        if now >= self._next_revocation:
            self._next_revocation += self.revoke_every
            self.revoked += bool(self.good)
            self.good.clear()
        await asyncio.sleep(self._draw.uniform(0.05, 2.0))
        if self.good.get(request.headers["authorization"], 0.0) <= asyncio.get_running_loop().time():
            self.refused += 1
            return httpx.Response(401, json={"errorType": "401", "error": "Unauthorized"})
        return sound(request)


async def three_hours(issuer: Issuer) -> tuple[int, int]:
    """64 workers that read and write for three hours: calls made, writes refused."""
    loop = asyncio.get_running_loop()
    calls = refused = 0
    env = environment("http://ams/rest/v2", auth=auth(AuthType.OAUTH2, "http://ams/token"))
    settings = requests(retries=4, concurrency=64)
    async with open_writer(env, settings, clock=LoopClock(), transport=issuer, draw=random.Random(3).random) as writer:

        async def work(number: int) -> None:
            nonlocal calls, refused
            draw = random.Random(number)
            while loop.time() < 3 * 3600:
                await writer.reader.suspensions(FIRM, f"A{number}")
                try:
                    await post(writer, draw.choice(list(POSTS)))
                except AmsRefused as refusal:
                    renewed = refusal.http_status == 401 and refusal.credential_refreshed
                    refused += 1 if renewed else 10**9
                calls += 2
                await asyncio.sleep(draw.uniform(400, 800))

        await asyncio.gather(*(work(number) for number in range(64)))
    return calls, refused


def test_three_hours_with_64_workers_take_one_token_call_for_each_refresh() -> None:
    """1,799 s a token, replaced at 80 %: eight calls, none of them twice, and not one request with a token that had run out."""
    issuer = Issuer()
    calls, refused = run_virtually(three_hours(issuer))
    assert calls > 2_000
    assert issuer.issued == -(-3 * 3600 // (0.8 * 1799))
    assert (issuer.refused, refused) == (0, 0)


def test_tokens_that_are_revoked_are_renewed_once_each() -> None:
    """Every ten minutes all tokens are void: however many calls hear of it, one token call each; a write that was refused is not sent again by us."""
    issuer = Issuer(revoke_every=600.0)
    _, refused = run_virtually(three_hours(issuer))
    assert issuer.issued == issuer.revoked + 1
    assert issuer.revoked >= 16
    assert 0 < refused <= issuer.refused < 10**6


def test_a_token_server_that_is_down_for_a_while_stops_nobody() -> None:
    """Between 80 % of a token's life and its end there is time: the old one is used on."""

    async def within() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        issuer = Issuer()
        plain = issuer.handle_async_request

        async def handle(request: httpx.Request) -> httpx.Response:
            if request.url.path == "/token" and 1400 < loop.time() < 1700:
                raise httpx.ConnectError("down")
            return await plain(request)

        issuer.handle_async_request = handle  # type: ignore[method-assign]
        env = environment("http://ams/rest/v2", auth=auth(AuthType.OAUTH2, "http://ams/token"))
        async with open_reader(env, requests(retries=1, concurrency=64), clock=LoopClock(), transport=issuer, draw=lambda: 0.5) as reader:
            while loop.time() < 3000:
                await asyncio.gather(*(reader.limits(FIRM, f"A{n}") for n in range(16)))
                await asyncio.sleep(30)
        return issuer.issued, issuer.refused

    assert run_virtually(within()) == (2, 0)


def test_a_read_whose_server_never_answers_ends_in_virtual_time_too() -> None:
    """The loop of these tests does what a real one does: a timeout strikes after its time."""

    async def within() -> float:
        server = Server(sound, seconds=10_000.0)
        settings = requests(timeout_seconds=30.0)
        async with open_reader(environment("http://ams/rest/v2"), settings, clock=LoopClock(), transport=server) as reader:
            with pytest.raises(AmsNoAnswer):
                await reader.firms()
        return asyncio.get_running_loop().time()

    assert run_virtually(within()) == pytest.approx(30.0, abs=0.1)
