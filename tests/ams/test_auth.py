"""Credentials: fetched once, renewed in time, sent to nobody else, shown to nobody."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import logging
import pickle
import traceback
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import pytest

from amsctl.ams.auth import Fixed, OAuth2, Session, open_credential
from amsctl.ams.client import open_reader
from amsctl.ams.transport import RawAnswer
from amsctl.ams.writer import open_writer
from amsctl.config import Auth, AuthType, Environment, Secret
from amsctl.errors import AmsctlError, AmsError, AmsMalformed, AmsNoAnswer, AmsRefused, AmsUnreachable, ConfigError
from tests.ams.doubles import Heard, JumpingClock, answer, environment, requests, run, wire
from tests.hostile.canaries import CANARIES as HELD

ID, SECRET = "API_TEST", HELD["the client secret"] + "ü?"
TOKEN, COOKIE = HELD["the bearer token"] + "~3", HELD["the session cookie"]
FIRMS = json.dumps({"entitlements": [{"service": "ICC", "clearingFirms": [{"firmName": "F", "clearingId": "1"}]}]})


def auth(kind: str, url: str = "http://127.0.0.1:1/as/token.oauth2") -> Auth:
    return Auth(type=AuthType(kind), client_id=ID, client_secret=Secret(SECRET), token_url=url)


def token(seconds: object = 1799, text: object = TOKEN, kind: object = "bearer", status: int = 200, **more: object) -> RawAnswer:
    body = json.dumps({"access_token": text, "token_type": kind, "expires_in": seconds, **more}).encode()
    return RawAnswer(status, (("content-type", "application/json"),), body, len(body))


class Issuer:
    """A token server in the program: what it is asked, and what it answers next."""

    def __init__(self, *answers: RawAnswer | AmsError) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[Any, bytes]] = []

    async def post(self, headers: Any, content: bytes) -> RawAnswer:
        self.asked.append((headers, content))
        await asyncio.sleep(0)
        given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(given, AmsError):
            raise given
        return given


def oauth(*answers: RawAnswer | AmsError) -> tuple[OAuth2, Issuer, JumpingClock]:
    issuer, clock = Issuer(*answers), JumpingClock()
    credential = open_credential(auth("oauth2"), issuer.post, clock)
    assert isinstance(credential, OAuth2)
    return credential, issuer, clock


def test_a_token_is_asked_for_as_cme_says_and_kept() -> None:
    """Form body, Basic of API ID and password, and one request for many calls (AMS §2)."""

    async def scenario() -> None:
        credential, issuer, _ = oauth(token())
        assert await credential.headers() == (("Authorization", f"Bearer {TOKEN}"),)
        assert await credential.headers() == (("Authorization", f"Bearer {TOKEN}"),)
        ((headers, content),) = issuer.asked
        assert content == b"grant_type=client_credentials"
        assert dict(headers) == {
            "Authorization": "Basic " + base64.b64encode(f"{ID}:{SECRET}".encode()).decode(),
            "Content-Type": "application/x-www-form-urlencoded",
        }

    run(scenario())


def test_64_callers_share_one_token_request() -> None:
    """Single flight: at the start, at the refresh, after a 401."""

    async def scenario() -> None:
        credential, issuer, clock = oauth(token())
        for wanted in (1, 2):
            await asyncio.gather(*(credential.headers() for _ in range(64)))
            assert len(issuer.asked) == wanted
            clock.now += 1799 * 0.8
        generation = credential.generation
        assert all(await asyncio.gather(*(credential.renew(generation) for _ in range(64))))
        assert len(issuer.asked) == 3
        assert await credential.renew(generation)  # a late 401 to an old token
        assert len(issuer.asked) == 3

    run(scenario())


def test_a_token_is_replaced_at_80_percent_of_its_life() -> None:
    """Seconds, as the answer says, from when it was asked for."""

    async def scenario() -> None:
        credential, issuer, clock = oauth(token(100))
        await credential.headers()
        clock.now += 79.9
        await credential.headers()
        assert len(issuer.asked) == 1
        clock.now += 0.2
        await credential.headers()
        assert len(issuer.asked) == 2

    run(scenario())


def test_a_good_token_outlives_a_token_server_out_of_reach_but_not_its_own_end() -> None:
    """An early refresh that cannot be made is tried again; an expired token is never sent."""

    async def scenario() -> None:
        credential, issuer, clock = oauth(token(100), AmsUnreachable("down"), AmsNoAnswer("mute"), AmsUnreachable("down"))
        await credential.headers()
        clock.now += 85
        assert (await credential.headers())[0][1] == f"Bearer {TOKEN}"
        assert (await credential.headers())[0][1] == f"Bearer {TOKEN}"
        assert len(issuer.asked) == 2
        clock.now += 5
        await credential.headers()
        assert len(issuer.asked) == 3
        clock.now += 20
        with pytest.raises(AmsUnreachable):
            await credential.headers()

    run(scenario())


def test_a_failed_fetch_fails_for_all_who_waited_and_is_not_kept() -> None:
    """One request, one failure for all; the next call asks again. A caller that goes away does not take the fetch with it."""

    async def scenario() -> None:
        credential, issuer, _ = oauth(AmsUnreachable("down"), token())
        results = await asyncio.gather(*(credential.headers() for _ in range(8)), return_exceptions=True)
        assert [type(result) for result in results] == [AmsUnreachable] * 8
        assert len(issuer.asked) == 1
        waiting = [asyncio.ensure_future(credential.headers()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        assert await waiting[1] == (("Authorization", f"Bearer {TOKEN}"),)
        await asyncio.gather(*waiting, return_exceptions=True)
        assert len(issuer.asked) == 2
        await credential.aclose()

    run(scenario())


def test_closing_stops_a_fetch_under_way() -> None:
    """Nothing is left running when the block ends."""

    async def scenario() -> None:
        async def post(headers: Any, content: bytes) -> RawAnswer:
            await asyncio.sleep(3600)
            raise AssertionError

        credential = open_credential(auth("oauth2"), post, JumpingClock())
        assert isinstance(credential, OAuth2)
        waiting = asyncio.ensure_future(credential.headers())
        await asyncio.sleep(0.01)
        await credential.aclose()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    run(scenario())


def raw(status: int, body: bytes, kind: str = "application/json") -> RawAnswer:
    return RawAnswer(status, (("content-type", kind),), body, len(body))


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (token(seconds="1799"), AmsMalformed),
        (token(seconds=0), AmsMalformed),
        (token(seconds=-5), AmsMalformed),
        (token(seconds=1799.5), AmsMalformed),
        (token(seconds=True), AmsMalformed),
        (token(seconds=None), AmsMalformed),
        (token(seconds=10**17), AmsMalformed),
        (token(text=""), AmsMalformed),
        (token(text=None), AmsMalformed),
        (token(text="canary\r\nX-Evil: 1"), AmsMalformed),
        (token(text="canary with blank"), AmsMalformed),
        (token(text=5), AmsMalformed),
        (token(kind="mac"), AmsMalformed),
        (token(kind=None), AmsMalformed),
        (raw(200, b""), AmsMalformed),
        (raw(200, b"[]"), AmsMalformed),
        (raw(200, b"<html>canary</html>", "text/html"), AmsMalformed),
        (token(status=302), AmsMalformed),
        (token(status=201), AmsRefused),
        (token(error="invalid_client"), AmsRefused),
        (raw(401, b'{"error": "invalid_client"}'), AmsRefused),
        (raw(400, b'{"error": "canary canary"}'), AmsRefused),
        (raw(401, b"canary"), AmsRefused),
        (raw(503, b"<html>", "text/html"), AmsRefused),
        (raw(200, b'{"errorType": "400", "error": "canary"}'), AmsRefused),
    ],
)
def test_a_token_answer_is_checked_strictly_and_never_quoted(given: RawAnswer, kind: type[AmsError]) -> None:
    """Anything that is not a bearer token with a life in seconds is refused; OAuth's own error word is all that is shown."""
    credential, _, _ = oauth(given)
    with pytest.raises(kind) as caught:
        run(credential.headers())
    assert "canary" not in str(caught.value)
    if b"invalid_client" in given.content:
        assert "invalid_client" in str(caught.value)


@pytest.mark.parametrize("kind", ["bearer", "Bearer", "BEARER"])
def test_the_token_type_is_read_in_any_case(kind: str) -> None:
    """RFC 6749 §5.1: the value is case insensitive."""
    credential, _, _ = oauth(token(kind=kind))
    assert run(credential.headers())[0][1] == f"Bearer {TOKEN}"


def test_incomplete_credentials_are_a_configuration_error() -> None:
    """Before anything is sent."""

    async def post(headers: Any, content: bytes) -> RawAnswer:
        raise AssertionError

    for broken in (
        Auth(type=AuthType.BASIC),
        Auth(type=AuthType.OAUTH2, client_id=ID),
        Auth(type=AuthType.SESSION, client_secret=Secret("x")),
        Auth(type=AuthType.BASIC, client_id="a:b", client_secret=Secret("x")),
    ):
        with pytest.raises(ConfigError):
            open_credential(broken, post, JumpingClock())
    for bad in (None, "ftp://x/"):
        env = environment("http://127.0.0.1:1", auth=Auth(type=AuthType.OAUTH2, client_id=ID, client_secret=Secret("x"), token_url=bad))
        with pytest.raises(ConfigError):
            run(_firms(env))


# --- session ---


def logon(*cookies: str, status: int = 200, body: bytes = b"") -> RawAnswer:
    return RawAnswer(status, tuple(("set-cookie", cookie) for cookie in cookies), body, len(body))


def session(*answers: RawAnswer | AmsError) -> tuple[Session, Issuer]:
    issuer = Issuer(*answers)
    credential = open_credential(auth("session"), issuer.post, JumpingClock())
    assert isinstance(credential, Session)
    return credential, issuer


def test_a_session_is_logged_on_to_once_and_its_cookies_come_back() -> None:
    """Basic to the logon address only; attributes of the cookie do not decide where it goes."""

    async def scenario() -> None:
        credential, issuer = session(
            logon("SID=canarycookie; Path=/elsewhere; Domain=evil.example; HttpOnly", "LANG=en", "broken", "a b=c", 'Q="v"')
        )
        given = await asyncio.gather(*(credential.headers() for _ in range(64)))
        assert set(given) == {(("Cookie", 'SID=canarycookie; LANG=en; Q="v"'),)}
        assert len(issuer.asked) == 1
        assert dict(issuer.asked[0][0])["Authorization"].startswith("Basic ")

    run(scenario())


def test_cookies_follow_the_answers_and_a_renewal_starts_anew() -> None:
    """A later Set-Cookie replaces or clears; after a 401 the logon is done again with no cookie left over."""

    async def scenario() -> None:
        credential, issuer = session(logon("SID=one", "X=1"), logon("SID=two"))
        await credential.headers()
        credential.observe(logon("SID=three; Max-Age=3600", "X=; Path=/"))
        assert await credential.headers() == (("Cookie", "SID=three"),)
        credential.observe(logon("Y=1; Max-Age=0", "Y=2; max-age=-1"))
        assert await credential.headers() == (("Cookie", "SID=three"),)
        assert await credential.renew(credential.generation)
        assert await credential.headers() == (("Cookie", "SID=two"),)
        assert len(issuer.asked) == 2

    run(scenario())


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (logon("SID=x", status=401), AmsRefused),
        (logon("SID=x", status=302), AmsMalformed),
        (logon("SID=x", body=b'{"errorType": "400"}'), AmsRefused),
        (logon(), AmsMalformed),
        (logon("SID=\x7f;"), AmsMalformed),
    ],
)
def test_a_logon_that_opens_no_session_is_an_error(given: RawAnswer, kind: type[AmsError]) -> None:
    """No cookie, a failure by status or by body, a redirect."""
    credential, _ = session(given)
    with pytest.raises(kind):
        run(credential.headers())


# --- over the wire ---


async def _firms(env: Environment, **options: Any) -> Any:
    async with open_reader(env, requests(**options)) as reader:
        return await reader.firms()


def test_basic_goes_out_with_every_request() -> None:
    """Sessionless."""

    async def scenario() -> None:
        async with wire(lambda heard: answer(FIRMS)) as server:
            await _firms(environment(server.url, auth=auth("basic")))
            assert server.heard[0].header("authorization") == "Basic " + base64.b64encode(f"{ID}:{SECRET}".encode()).decode()

    run(scenario())


def expiring(good: Callable[[Heard], bool], otherwise: bytes) -> Callable[[Heard], bytes]:
    return lambda heard: answer(FIRMS) if good(heard) else otherwise


REJECTED = answer('{"errorType":"401","error":"Unauthorized"}', status="401 Unauthorized")


def test_a_401_renews_the_token_once_and_the_get_goes_again() -> None:
    """And a second 401 is the answer. The secret goes to the token URL, the token to the environment, and nothing else."""

    async def scenario() -> None:
        tokens: list[str] = []

        def issue(heard: Heard) -> bytes:
            tokens.append(f"{TOKEN}{len(tokens)}")
            return answer(json.dumps({"access_token": tokens[-1], "token_type": "bearer", "expires_in": 1799}))

        async with (
            wire(issue) as issuer,
            wire(expiring(lambda heard: heard.header("authorization") == f"Bearer {TOKEN}1", REJECTED)) as ams,
        ):
            env = environment(ams.url, auth=auth("oauth2", f"http://127.0.0.1:{issuer.port}/as/token.oauth2"))
            assert len(await _firms(env)) == 1
            assert [heard.target for heard in issuer.heard] == ["/as/token.oauth2"] * 2
            assert [heard.header("authorization") for heard in ams.heard] == [f"Bearer {TOKEN}0", f"Bearer {TOKEN}1"]
            with pytest.raises(AmsRefused) as caught:
                await _firms(env)
            assert caught.value.http_status == 401
            assert len(ams.heard) == 4

    run(scenario())


def test_a_401_renews_the_session_once() -> None:
    """Logon with Basic, then cookies and no Basic."""

    async def scenario() -> None:
        logons = 0

        def ams_answers(heard: Heard) -> bytes:
            nonlocal logons
            if heard.target == "/rest/v2/logon":
                logons += 1
                return answer("", headers=f"Set-Cookie: SID={COOKIE}{logons}; Path=/\r\n", content_type=None)
            return answer(FIRMS) if heard.header("cookie") == f"SID={COOKIE}2" else REJECTED

        async with wire(ams_answers) as ams:
            assert len(await _firms(environment(ams.url, auth=auth("session")))) == 1
            assert [(heard.method, heard.target) for heard in ams.heard] == [
                ("POST", "/rest/v2/logon"), ("GET", "/rest/v2/myFirms/"), ("POST", "/rest/v2/logon"), ("GET", "/rest/v2/myFirms/"),
            ]  # fmt: skip
            assert [heard.header("authorization") is None for heard in ams.heard] == [False, True, False, True]

    run(scenario())


def test_no_redirect_takes_a_credential_along() -> None:
    """A redirect of any kind, from the AMS or the token server, is an error: the trap hears nothing."""

    async def scenario() -> None:
        async with wire(lambda heard: answer(FIRMS)) as trap:
            for status in ("301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"):
                for place in (
                    f"http://127.0.0.1:{trap.port}/x",
                    f"//127.0.0.1:{trap.port}/x",
                    f"http://localhost:{trap.port}/",
                    "/rest/v2/elsewhere",
                ):
                    away = answer("", status=status, headers=f"Location: {place}\r\n")
                    async with wire(lambda heard, away=away: away) as ams:
                        for kind in ("none", "basic", "session", "oauth2"):
                            env = environment(ams.url, auth=auth(kind, ams.url + "/token"))
                            with pytest.raises(AmsMalformed, match="elsewhere"):
                                await _firms(env)
                        assert len(ams.heard) == 4
            assert trap.connections == 0

    run(scenario())


CANARIES = (SECRET, TOKEN, COOKIE)


def forms_of(text: str) -> set[str]:
    encoded = {base64.b64encode(part.encode()).decode().rstrip("=") for part in (text, f"{ID}:{text}")}
    return {
        text,
        quote(text, safe=""),
        repr(text)[1:-1],
        *encoded,
        *(base64.b64encode(part.encode()).decode() for part in (text, f"{ID}:{text}")),
    }


def assert_silent(where: str, text: str) -> None:
    for canary in CANARIES:
        for form in forms_of(canary):
            assert form not in text, (where, form)


async def _provoke(kind: str, ams_url: str, token_url: str) -> list[BaseException]:
    errors: list[BaseException] = []
    env = environment(ams_url, auth=auth(kind, token_url))
    async with open_writer(env, requests()) as writer:
        calls: list[Awaitable[Any]] = [
            writer.reader.firms(),
            writer.post("/status/clearing/F", {"q": "1"}, {"a": 1}),
            writer.reader.firms(),
        ]
        for call in calls:
            try:
                await call
            except AmsctlError as error:
                errors.append(error)
        for value in (writer, writer.reader, writer._channel, writer.reader._shared, writer.reader._shared.credential, env, env.auth):
            assert_silent("repr", repr(value) + str(value))
    return errors


@pytest.mark.parametrize("kind", ["basic", "oauth2", "session"])
def test_no_secret_is_shown_in_any_form(kind: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    """Canaries, raw, URL encoded, base64 and Basic, over exceptions with all they carry, reprs, logs at DEBUG and both outputs."""
    caplog.set_level(logging.DEBUG)
    echoed = " ".join(form for canary in CANARIES for form in sorted(forms_of(canary)))
    bodies = [
        answer(json.dumps({"errorType": f"Bad {echoed}", "error": f"header was {echoed}"}), status="400 Bad Request"),
        answer(json.dumps({"errorType": "x", "error": echoed[:280]})),
        answer(echoed, status="500 Oops", content_type="text/html"),
        answer("", status="307 Away", headers="Location: http://127.0.0.1:1/\r\n"),
        REJECTED,
        b"garbage " + echoed.encode() + b"\r\n\r\n",
        b"",
    ]

    def issue(heard: Heard) -> bytes:
        return answer(json.dumps({"access_token": TOKEN, "token_type": "bearer", "expires_in": 1799}))

    async def scenario() -> list[BaseException]:
        errors: list[BaseException] = []
        for body in bodies:

            def reply(heard: Heard, body: bytes = body) -> bytes | None:
                if heard.target.endswith("/logon"):
                    return answer("", headers=f"Set-Cookie: SID={COOKIE}\r\n")
                return body or None

            async with wire(issue) as issuer, wire(reply) as ams:
                errors += await _provoke(kind, ams.url, f"http://127.0.0.1:{issuer.port}/t")
        async with wire(lambda heard: answer(json.dumps({"error": echoed}), status="400 Bad")) as refusing:
            errors += await _provoke(kind, refusing.url, refusing.url)
        return errors

    errors = run(scenario())
    assert len(errors) >= 16
    for error in errors:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=False).format())
        assert_silent("traceback", shown + str(error) + repr(error) + repr(vars(error)))
        assert error.__cause__ is None
        context = error.__context__
        while context is not None:
            assert_silent("context", repr(context) + str(context) + repr(getattr(context, "__dict__", {})))
            context = context.__context__
    assert_silent("log", caplog.text)
    out, err = capfd.readouterr()
    assert_silent("output", out + err)


def test_a_secret_is_neither_pickled_nor_copied_along() -> None:
    """The configuration may be, the secret may not."""
    for act in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            act(Secret(SECRET))


def test_no_credential_means_no_header() -> None:
    """auth.type none."""

    async def post(headers: Any, content: bytes) -> RawAnswer:
        raise AssertionError

    credential = open_credential(Auth(), post, JumpingClock())
    assert isinstance(credential, Fixed)
    assert run(credential.headers()) == ()
    assert run(credential.renew(0)) is False
    assert credential.conceal("text") == "text"
