"""No address that an answer names is ever used: not in a link, not in a redirect, not on a next page, not by the token server (B1, B2).

A trap listens on every loopback address under one port, and an audit hook of the interpreter sees every connection and every look-up of a name.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yarl

from amsctl.ams.client import open_reader
from amsctl.ams.transport import Line, Origin
from amsctl.ams.writer import open_writer
from amsctl.config import AuthType
from amsctl.errors import AmsError, AmsMalformed, AmsUnreachable, ConfigError
from tests.ams.doubles import Heard, answer, environment, requests, run, wire
from tests.hostile.canaries import CANARIES
from tests.hostile.outside import watched
from tests.hostile.stub import POSTS, READS, TOKEN, auth, body_for, post, sound

URLS = (
    # another host or port
    "http://127.0.0.1:{trap}/x", "http://127.0.0.1:{trap}/rest/v2/myFirms/", "http://localhost:{trap}/x", "http://[::1]:{trap}/x",
    "https://127.0.0.1:{trap}/x", "http://127.0.0.2:{trap}/x", "http://0.0.0.0:{trap}/x", "http://0:{trap}/x", "http://[::]:{trap}/x",
    "http://LOCALHOST:{trap}/x", "http://ip6-localhost:{trap}/x", "http://evil.example/x", "https://evil.example:{trap}/rest/v2/",
    # the same place, written otherwise
    "http://2130706433:{trap}/x", "http://0x7f000001:{trap}/x", "http://0177.0.0.1:{trap}/x", "http://127.1:{trap}/x", "http://127.0.1:{trap}/x",
    "http://[::ffff:127.0.0.1]:{trap}/x", "http://[::ffff:7f00:1]:{trap}/x", "http://[0:0:0:0:0:0:0:1]:{trap}/x", "http://[::1%25lo]:{trap}/x",
    # user names that look like hosts
    "http://127.0.0.1:{ams}@127.0.0.1:{trap}/x", "http://user:pass@127.0.0.1:{trap}/x", "http://127.0.0.1%3A{ams}@localhost:{trap}/x",
    "http://127.0.0.1:{ams}%2F@127.0.0.1:{trap}/", "http://@127.0.0.1:{trap}/x", "http://127.0.0.1:{ams}\\@127.0.0.1:{trap}/x",
    "http://127.0.0.1:{ams}#@127.0.0.1:{trap}/x", "http://127.0.0.1:{ams}?@127.0.0.1:{trap}/x", "http://127.0.0.1:{trap}#127.0.0.1:{ams}/",
    # slashes and backslashes
    "//127.0.0.1:{trap}/x", "///127.0.0.1:{trap}/x", "////127.0.0.1:{trap}/x", "\\\\127.0.0.1:{trap}\\x", "/\\127.0.0.1:{trap}/x",
    "\\/127.0.0.1:{trap}/x", "http:\\\\127.0.0.1:{trap}\\x", "http:/127.0.0.1:{trap}/x", "http:127.0.0.1:{trap}/x", "http:///127.0.0.1:{trap}/x",
    "/rest/v2//127.0.0.1:{trap}/x", "/..//127.0.0.1:{trap}/x", "/%2f127.0.0.1:{trap}/x", "./\\\\127.0.0.1:{trap}", ".//127.0.0.1:{trap}/x",
    # dots, other alphabets, other digits
    "http://localhost.:{trap}/x", "http://evil.example.:{trap}/x", "http://127.0.0.1.:{trap}/x", "http://127.0.0.1.evil.example:{trap}/x",
    "http://l\u043ecalhost:{trap}/x", "http://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460:{trap}/x", "http://\uff11\uff12\uff17.0.0.1:{trap}/x",
    "http://127\u30020\u30020\u30021:{trap}/x", "http://xn--lcalhost-21g:{trap}/x", "http://loc%61lhost:{trap}/x", "http://127.0.0.1\u2024evil:{trap}/x",
    "http://\u202e127.0.0.1:{trap}/x", "http://local\u00adhost:{trap}/x", "http://local\u200bhost:{trap}/x", "http://stra\u00dfe.example:{trap}/",
    # blanks and controls
    " http://127.0.0.1:{trap}/x", "\thttp://127.0.0.1:{trap}/x", "ht\ttp://127.0.0.1:{trap}/x", "http://127.0.0.1\t:{trap}/x",
    "http://127.0.0.1:{trap}/x\x0b", "http://127.0.0.1:{trap}/%0d%0aHost:%20x", "\x01http://127.0.0.1:{trap}/x",
    # other schemes
    "HTTP://127.0.0.1:{trap}/x", "ws://127.0.0.1:{trap}/x", "wss://127.0.0.1:{trap}/x", "ftp://127.0.0.1:{trap}/x", "gopher://127.0.0.1:{trap}/_x",
    "dict://127.0.0.1:{trap}/x", "ldap://127.0.0.1:{trap}/x", "unix:///var/run/docker.sock", "http+unix://%2Fvar%2Frun%2Fx.sock/x",
    "file:///etc/passwd", "file://127.0.0.1/etc/passwd", "data:application/json,%7B%7D", "data:text/html;base64,PGI+", "javascript:alert(1)",
    "jar:http://127.0.0.1:{trap}/x!/", "netdoc:///etc/passwd", "view-source:http://127.0.0.1:{trap}/x", "blob:http://127.0.0.1:{trap}/x",
    # our own address, where it must not lead either
    "http://127.0.0.1:{ams}/elsewhere", "/rest/v2/elsewhere", "elsewhere", "?delete=true", "/rest/v2/myFirms/?delete=true",
    "/rest/v2/accountLimitsUtilization/clearing/ICC/GREENTEA/DV10121801A?delete=true", "", "#", "?", "_/v2/accounts", "..",
)  # fmt: skip
CODES = ("301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect")
KINDS = (AuthType.OAUTH2, AuthType.BASIC, AuthType.SESSION)


@dataclass
class Trap:
    """Counts connections and keeps what it was sent, on every loopback address."""

    port: int = 0
    connections: int = 0
    received: bytearray = field(default_factory=bytearray)


@asynccontextmanager
async def trap() -> AsyncIterator[Trap]:
    state = Trap()

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state.connections += 1
        with suppress(OSError):
            state.received += await reader.read(65536)
            writer.write(answer(json.dumps(TOKEN)))
            await writer.drain()
        writer.close()

    servers = [await asyncio.start_server(swallow, "0.0.0.0", 0)]
    state.port = servers[0].sockets[0].getsockname()[1]
    with suppress(OSError):
        servers.append(await asyncio.start_server(swallow, "::1", state.port))
    try:
        yield state
    finally:
        for server in servers:
            server.close()


def header_value(url: str) -> str:
    """As bytes of a header: other alphabets as UTF-8, which is what lax servers send; no line ends."""
    return url.encode().decode("latin-1").replace("\r", "").replace("\n", "")


@dataclass
class Ring:
    """A stand-in whose every answer is spoiled in one way, its token server, and the trap."""

    trap: Trap
    heard: list[Heard]
    asked: list[Heard]
    url: str
    token_url: str
    spoil: Callable[[Heard], bytes] = sound
    spoil_token: Callable[[Heard], bytes] = sound


@asynccontextmanager
async def ring() -> AsyncIterator[Ring]:
    """Everything, and at the end the verdict: the trap saw nothing, and no connection or look-up went anywhere else."""
    holder: list[Ring] = []
    with watched() as outside:
        async with (
            trap() as caught,
            wire(lambda heard: holder[0].spoil(heard)) as ams,
            wire(lambda heard: holder[0].spoil_token(heard)) as tokens,
        ):
            state = Ring(caught, ams.heard, tokens.heard, ams.url, f"http://127.0.0.1:{tokens.port}/token")
            holder.append(state)
            yield state
            assert (caught.connections, bytes(caught.received)) == (0, b"")
            assert {port for _, port in outside.connected} <= {ams.port, tokens.port}
            assert {host for host, _ in outside.connected} <= {"127.0.0.1"}
            assert outside.asked <= {"127.0.0.1"}
            assert outside.opened & {"/etc/passwd"} == set()
            check_credentials(state)


def check_credentials(state: Ring) -> None:
    """The secret goes to the address that hands out credentials, what that gave to the environment, and neither to the other."""
    for heard in state.asked:
        assert (heard.method, heard.target, heard.body) == ("POST", "/token", b"grant_type=client_credentials")
        assert (heard.header("authorization") or "").startswith("Basic ")
        assert str(TOKEN["access_token"]).encode() not in heard.head
    for heard in state.heard:
        assert "elsewhere" not in heard.target
        assert heard.method == "POST" or "delete" not in heard.target


async def every_call(state: Ring, kind: AuthType) -> tuple[list[object], list[str]]:
    """Every read and every write: what each gave, and what was asked for."""
    before = len(state.heard)
    given: list[object] = []
    async with open_writer(environment(state.url, auth=auth(kind, state.token_url)), requests()) as writer:
        for act in READS.values():
            given.append(await _result(act(writer.reader)))
        for name in POSTS:
            given.append(await _result(post(writer, name)))
    return given, [f"{heard.method} {heard.target}" for heard in state.heard[before:]]


async def _result(call: Any) -> object:
    try:
        found = await call
    except AmsError as error:
        return error
    return getattr(found, "http_status", found)


def places(url: str) -> dict[str, object]:
    """A body's fields in which a server could name the place to go on at, by all the names in use for it."""
    link = [{"rel": rel, "href": url} for rel in ("next", "self", "delete", "limits", "efStatus", "token", "logon")]
    names = (
        "next",
        "nextPage",
        "nextLink",
        "nextHref",
        "next_page_url",
        "@odata.nextLink",
        "@next",
        "href",
        "url",
        "location",
        "redirect",
        "token_url",
    )
    return {"links": link, "_links": {"next": {"href": url}}, "paging": {"next": url}, "cursor": url, **dict.fromkeys(names, url)}


def linked(url: str) -> Callable[[Heard], bytes]:
    """Sound answers that name the URL in every place there is, rows and headers included."""
    header = header_value(url)
    headers = "".join(
        f"{name}: {value}\r\n"
        for name, value in {
            "Location": header,
            "Content-Location": header,
            "Link": f'<{header}>; rel="next"',
            "Refresh": f"0; url={header}",
            "Alt-Svc": f'h2="{header}"',
            "WWW-Authenticate": f'Bearer authorization_uri="{header}"',
        }.items()
    )

    def spoiled(heard: Heard) -> bytes:
        if heard.target.endswith("/logon"):
            return sound(heard)
        body = {**body_for(heard), **places(url)}
        for rows in list(body.values()):
            if isinstance(rows, list):
                for row in rows:
                    row.update({"links": [{"rel": "self", "href": url}], "href": url, "next": url}) if "rel" not in row else None
        return answer(json.dumps(body), headers=headers)

    return spoiled


def test_there_are_enough_of_them() -> None:
    """The figure that is claimed."""
    assert len(set(URLS)) == len(URLS) >= 60


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost"])
def test_the_trap_works(host: str) -> None:
    """Somebody who did go there would be seen, by the trap and by the audit hook."""

    async def within() -> None:
        with watched() as outside:
            async with trap() as caught:
                reader, writer = await asyncio.open_connection(host, caught.port)
                writer.write(b"token")
                await reader.read(1)
                writer.close()
                assert (caught.connections, bytes(caught.received)) == (1, b"token")
        assert caught.port in {port for _, port in outside.connected}
        assert outside.asked >= ({host} if host == "localhost" else set())

    run(within())


def test_links_in_answers_are_looked_at_by_nobody() -> None:
    """Each URL in every field and header of every answer to every kind of call: the same requests as without, the same results, the trap hears nothing."""

    async def within() -> None:
        async with ring() as state:
            clean = [await every_call(state, kind) for kind in KINDS]
            for number, url in enumerate(URLS):
                state.spoil = linked(url.format(trap=state.trap.port, ams=urlsplit(state.url).port))
                assert await every_call(state, KINDS[number % 3]) == clean[number % 3]

    run(within())


@pytest.mark.parametrize("field", ["limit", "offset", "availableOffsets", "counts"])
def test_a_page_mark_that_is_a_url_is_an_error(field: str) -> None:
    """A next page is asked for by number alone."""

    async def within() -> None:
        async with ring() as state:
            for url in URLS:
                place = url.format(trap=state.trap.port, ams=urlsplit(state.url).port)
                state.spoil = lambda heard, place=place: answer(json.dumps({**body_for(heard), field: place}))  # type: ignore[misc]
                before = len(state.heard)
                async with open_reader(environment(state.url), requests()) as reader:
                    with pytest.raises(AmsMalformed):
                        await READS["limits"](reader)
                assert len(state.heard) == before + 1

    run(within())


@pytest.mark.parametrize("code", CODES)
def test_redirects_are_errors(code: str) -> None:
    """Each URL as the Location of each redirect, to reads and writes: one request, AmsMalformed, and nothing follows it."""

    async def within() -> None:
        async with ring() as state:
            for number, url in enumerate(URLS):
                place = header_value(url.format(trap=state.trap.port, ams=urlsplit(state.url).port))
                away = answer(json.dumps(places(place)), status=code, headers=f"Location: {place}\r\n")
                async with open_writer(
                    environment(state.url, auth=auth(KINDS[number % 2], state.token_url)), requests(retries=3)
                ) as writer:
                    state.spoil = lambda heard, away=away: away  # type: ignore[misc]
                    before = len(state.heard)
                    for call in (
                        READS["firms"](writer.reader),
                        READS["limits"](writer.reader),
                        post(writer, "limits"),
                        post(writer, "status"),
                    ):
                        found = await _result(call)
                        assert isinstance(found, AmsMalformed)
                        assert "elsewhere" in str(found)
                    assert len(state.heard) == before + 4

    run(within())


@pytest.mark.parametrize("code", CODES)
def test_whoever_hands_out_credentials_cannot_send_us_elsewhere(code: str) -> None:
    """A redirect of the token endpoint or of the logon: an error, before any request to the environment itself."""

    async def within() -> None:
        async with ring() as state:
            for url in URLS:
                place = header_value(url.format(trap=state.trap.port, ams=urlsplit(state.url).port))
                away = answer(json.dumps({**TOKEN, **places(place)}), status=code, headers=f"Location: {place}\r\nSet-Cookie: a=b\r\n")
                state.spoil = state.spoil_token = lambda heard, away=away: away  # type: ignore[misc]
                for kind, expected in ((AuthType.OAUTH2, []), (AuthType.SESSION, ["/rest/v2/logon"])):
                    before = len(state.heard)
                    async with open_writer(environment(state.url, auth=auth(kind, state.token_url)), requests()) as writer:
                        assert isinstance(await _result(READS["firms"](writer.reader)), AmsMalformed)
                    assert [heard.target for heard in state.heard[before:]] == expected

    run(within())


def test_a_token_answer_that_names_addresses_is_used_for_its_token_alone() -> None:
    """All the fields in which OAuth servers name other endpoints, and the URL in place of the token itself."""
    names = (
        "token_endpoint",
        "instance_url",
        "api_server",
        "api_domain",
        "issuer",
        "jwks_uri",
        "refresh_uri",
        "audience",
        "scope",
        "refresh_token",
        "id",
    )

    async def within() -> None:
        async with ring() as state:
            for url in URLS:
                place = url.format(trap=state.trap.port, ams=urlsplit(state.url).port)
                env = environment(state.url, auth=auth(AuthType.OAUTH2, state.token_url))
                state.spoil_token = lambda heard, place=place: answer(  # type: ignore[misc]
                    json.dumps({**TOKEN, **places(place), **dict.fromkeys(names, place)}), headers=f"Location: {header_value(place)}\r\n"
                )
                async with open_reader(env, requests()) as reader:
                    assert len(await reader.firms()) == 1
                assert state.heard[-1].header("authorization") == f"Bearer {TOKEN['access_token']}"
                state.spoil_token = lambda heard, place=place: answer(json.dumps({**TOKEN, "access_token": place}))  # type: ignore[misc]
                if re.fullmatch(r"[A-Za-z0-9\-._~+/]+=*", place) is None:
                    before = len(state.heard)
                    async with open_reader(env, requests()) as reader:
                        assert isinstance(await _result(reader.firms()), AmsMalformed)
                    assert len(state.heard) == before

    run(within())


def test_a_session_cookie_for_another_domain_stays_with_the_environment() -> None:
    """Domain and Path are the server's wishes; where a cookie goes is ours to say."""

    async def within() -> None:
        async with ring() as state:
            for domain in ("evil.example", "127.0.0.1", "localhost", ".", f"127.0.0.1:{state.trap.port}"):
                state.spoil = lambda heard, domain=domain: (  # type: ignore[misc]
                    answer("{}", headers=f"Set-Cookie: s={CANARIES['the session cookie']}; Domain={domain}; Path=/x; Secure\r\n")
                    if heard.target.endswith("/logon")
                    else sound(heard)
                )
                async with open_reader(environment(state.url, auth=auth(AuthType.SESSION)), requests()) as reader:
                    await reader.firms()
                assert state.heard[-1].header("cookie") == f"s={CANARIES['the session cookie']}"

    run(within())


@pytest.mark.parametrize("url", URLS)
def test_a_configured_address_means_the_same_place_to_every_parser(url: str) -> None:
    """What is taken as an environment's or a token URL has one host and port, whichever library reads it; all else is refused (ASVS V1.5.3)."""
    text = url.format(trap=8481, ams=8480)
    try:
        origin = Origin.of(text, what="url", whole=True)
    except (ConfigError, AmsUnreachable):
        return  # refused before anything is sent
    read = httpx.URL(str(origin) + origin.base_path)
    sent = yarl.URL(str(read), encoded=True)
    request = Line(httpx.MockTransport(lambda request: httpx.Response(200)), origin, methods=("GET",), max_body_bytes=1)._request(
        "GET", "", (), b""
    )
    assert str(request.url) == str(sent)
    own_port = {"http": 80, "https": 443}[origin.scheme]
    assert (origin.scheme, origin.host, origin.port) == (sent.scheme, sent.raw_host, sent.port)
    assert (origin.scheme, origin.host.encode(), origin.port) == (read.scheme, read.raw_host, read.port or own_port)
    assert sent.user is None


TWO_WAYS = (
    "xn--lcalhost-21g",
    "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "1.2.3.4.", "1.2.3.256", "127.0.0.0x1", "b\u00fccher.example", "[::1%25lo]", "[]", "a b",
    "a%41", "*", "a_b:0", "a:99999", "a:-1", "a:1:2", "[v1.x]", "\u2460.0.0.1", "a" * 254,
)  # fmt: skip


@pytest.mark.parametrize("host", TWO_WAYS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_host_that_is_read_in_two_ways_is_refused(scheme: str, host: str) -> None:
    """As a configuration error that does not repeat it."""
    with pytest.raises(ConfigError) as caught:
        Origin.of(f"{scheme}://{host}/rest/v2", what="the url")
    assert host not in str(caught.value)


@pytest.mark.parametrize("scheme", ["ws", "ftp", "file", "ldap", "unix", "httpx", ""])
def test_a_scheme_is_http_or_https_with_a_port_too(scheme: str) -> None:
    """A port does not make another scheme usable."""
    with pytest.raises(ConfigError):
        Origin.of(f"{scheme}://ams.example:8480/rest/v2", what="the url")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://AMSAPINR.cmegroup.com/rest/v2/", "https://amsapinr.cmegroup.com"),
        ("http://127.0.0.1:8480/rest/v2", "http://127.0.0.1:8480"),
        ("http://[::1]:8480/rest/v2", "http://[::1]:8480"),
        ("https://ams_1.example.:444", "https://ams_1.example.:444"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("http://4cast.example", "http://4cast.example"),
    ],
)
def test_ordinary_addresses_are_taken(url: str, place: str) -> None:
    """The good cases, so that the refusals above mean something."""
    assert str(Origin.of(url, what="the url")) == place
