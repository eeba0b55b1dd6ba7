"""What reaches the wire is what was asked for, to the one origin; every foreign failure becomes one of ours."""

from __future__ import annotations

import asyncio
import gzip
import inspect
import random
import ssl
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from amsctl.ams import transport as transport_module
from amsctl.ams.transport import AiohttpTransport, Line, Origin, Phase, RawAnswer, translated
from amsctl.config import Tls
from amsctl.errors import AmsError, AmsMalformed, AmsNoAnswer, AmsUnreachable, ConfigError
from amsctl.wire import paths
from tests.ams.doubles import Wire, answer, run, wire
from tests.order import HANG_SECONDS

HOSTILE = (
    "A?delete=true", "A/../B", "A%2Fdelete", "A%252Fdelete", "A#x", "A B", "A;b=c", "A%", "%2e%2e", "%2E", "...", "A//B", "/", "//evil.example/x",
    "\\..\\B", "A&delete=true", "A=1", "A+B", "@evil.example", "A:b", "~A", "A'\"<>", "{A}", "A|B", "^`", "http://evil.example/", "A\u00e9", "A\u2028x"[:1],
)  # fmt: skip


async def send(url: str, target: str, **options: Any) -> RawAnswer:
    fresh = options.pop("fresh", False)
    method = options.pop("method", "GET")
    transport = AiohttpTransport(tls=options.pop("tls", Tls()), proxy=options.pop("proxy", None), fresh=fresh)
    limit = options.pop("max_body_bytes", 1 << 20)
    try:
        line = Line(transport, Origin.of(url, what="url"), methods=("GET", "POST"), max_body_bytes=limit)
        settings = {"headers": (("Accept-Encoding", "gzip"),), "timeout_seconds": 5.0, "where": "here", **options}
        return await line.exchange(method, target, **settings)
    finally:
        await transport.aclose()


def test_hostile_account_numbers_reach_the_wire_as_one_segment() -> None:
    """No account number can add a query, climb a path or leave the origin; what cannot be a segment is refused before sending."""

    async def scenario() -> None:
        async with wire(lambda heard: answer()) as server:
            for number in HOSTILE:
                await send(server.url, paths.limits("FIRM 1", number))
                target = server.heard[-1].target
                head, _, last = target.rpartition("/")
                assert head == "/rest/v2/accountLimitsUtilization/clearing/ICC/FIRM%201"
                assert unquote(last) == number
                assert not set("?#/;&= ") & set(last)
            for number in ("", ".", "..", "A\r\nHost: evil", "A\x00"):
                with pytest.raises(AmsError):
                    paths.limits("FIRM", number)
            assert len(server.heard) == len(HOSTILE)

    run(scenario())


def test_twenty_thousand_seeded_identifiers_decode_to_themselves() -> None:
    """Through our encoding, httpx's URL and the request line: exactly the input, or refused."""
    line = Line(
        httpx.MockTransport(lambda request: httpx.Response(200)),
        Origin.of("http://127.0.0.1:1/rest/v2", what="url"),
        methods=("GET",),
        max_body_bytes=1,
    )
    rng = random.Random(7)
    alphabet = "AB01.%/?#&=;:@ ~'\"\\+-_<>{}|^`[]!$()*,\u00e9\u4e2d\t"
    passed = 0
    for _ in range(20_000):
        firm, number = ("".join(rng.choices(alphabet, k=rng.randint(0, 12))) for _ in range(2))
        try:
            target = paths.limits(firm, number)
        except AmsError:
            assert {firm, number} & {"", ".", ".."} or not (firm + number).isprintable()
            continue
        raw = line._request("GET", target, (), b"").url.raw_path.decode()
        segments = raw.split("/")
        assert raw.startswith("/rest/v2/accountLimitsUtilization/clearing/ICC/")
        assert [unquote(part) for part in segments[6:]] == [firm, number]
        assert "?" not in raw
        passed += 1
    assert passed > 8_000


@pytest.mark.parametrize(
    "target",
    [
        "",
        "x",
        "//evil.example/",
        "http://evil.example/",
        "/a/../b",
        "/a/./b",
        "/a/%2e%2e/b",
        "/a/%2E/b",
        "/a\\b",
        "/a b",
        "/a\r\nX: y",
        "/a#b",
        "/é",
        "/a%zz",
        "/a%",
        "/..",
    ],
)
def test_no_other_address_is_sent(target: str) -> None:
    """A target that would be read as another address is refused with the certainty that nothing was sent."""

    async def scenario() -> None:
        async with wire(lambda heard: answer()) as server:
            with pytest.raises(AmsUnreachable):
                await send(f"http://127.0.0.1:{server.port}", target)
            assert server.connections == 0

    run(scenario())


@pytest.mark.parametrize(
    "url",
    [
        "", "127.0.0.1", "ftp://h/x", "http://", "http:///x", "http://h:x/", "http://h:99999/", "http://user:canary@h/", "http://h/?a=canary", "http://h/?",
        "http://h/#a", "http://h/#", "http://h/a/../b", "http://h/a b", "//h/x", "javascript:1",
    ],
)  # fmt: skip
def test_a_configured_url_that_is_no_address_is_refused_without_being_shown(url: str) -> None:
    """It may hold a secret."""
    with pytest.raises(AmsError if ".." in url or " " in url else ConfigError) as caught:
        Origin.of(url, what="the environment's url")
    assert "canary" not in str(caught.value)


def test_an_origin_knows_its_default_port_and_ipv6() -> None:
    """Written as URLs write them."""
    assert str(Origin.of("https://h:443/x/", what="")) == "https://h"
    assert str(Origin.of("https://h:8443/x", what="")) == "https://h:8443"
    assert str(Origin.of("http://[::1]:80/", what="")) == "http://[::1]"
    assert Origin.of("https://h/as/token.oauth2/", what="", whole=True).base_path == "/as/token.oauth2/"


def test_tls_to_a_proxy_is_ours_too() -> None:
    """Wherever TLS is spoken it is with the context that always verifies; plain http needs none."""
    plain = AiohttpTransport(tls=Tls())
    assert plain._ssl("http") is True
    for transport, scheme in ((plain, "https"), (AiohttpTransport(tls=Tls(), proxy="https://proxy:443"), "http")):
        context = transport._ssl(scheme)
        assert context is transport._ssl(scheme)
        assert isinstance(context, ssl.SSLContext)
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_an_address_that_the_library_rewrites_is_not_sent() -> None:
    """The last look before sending: what httpx made of the URL must be what was asked for, to the letter."""
    script = httpx.MockTransport(lambda request: httpx.Response(200))
    line = Line(script, Origin("http", "\u00fcmlaut.example", 80, ""), methods=("GET",), max_body_bytes=1)
    with pytest.raises(AmsUnreachable, match="as it is written"):
        run(line.exchange("GET", "/", headers=(), timeout_seconds=1, where=""))


def test_only_the_methods_of_a_line_are_sent() -> None:
    """The reader's line knows GET alone."""
    line = Line(
        httpx.MockTransport(lambda request: httpx.Response(200)), Origin.of("http://h", what=""), methods=("GET",), max_body_bytes=1
    )
    with pytest.raises(AssertionError, match="does not send POST"):
        run(line.exchange("POST", "/", headers=(), timeout_seconds=1, where=""))


# --- exceptions ---


def httpx_exceptions() -> list[type[Exception]]:
    return [kind for _, kind in inspect.getmembers(httpx, inspect.isclass) if issubclass(kind, Exception)]


def test_every_httpx_exception_is_translated() -> None:
    """A new exception class of httpx fails here until it is given its meaning."""
    never = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol", "InvalidURL"}
    table = {**transport_module._NOT_SENT, **transport_module._MAYBE_SENT}
    kinds = httpx_exceptions()
    assert len(kinds) >= 25
    for kind in kinds:
        assert kind in table, kind
        assert issubclass(kind, transport_module.FOREIGN), kind
        error = kind.__new__(kind)
        ours = translated(error, phase=Phase(), where="A1")
        assert type(ours) is (AmsUnreachable if kind.__name__ in never else AmsNoAnswer), kind
        assert type(translated(error, phase=Phase(connected=False), where="A1")) is AmsUnreachable
        assert "A1" in str(ours)
        assert ours.__cause__ is None


def test_a_foreign_exception_that_nobody_knows_is_a_defect() -> None:
    """It is not quietly taken for something else."""
    with pytest.raises(AssertionError, match="KeyError"):
        translated(KeyError("x"), phase=Phase(), where="")


def test_every_aiohttp_exception_becomes_one_of_httpx() -> None:
    """Whatever aiohttp raises, a transport raises httpx's; only connecting errors say that nothing was sent."""
    import aiohttp

    kinds = [kind for _, kind in inspect.getmembers(aiohttp, inspect.isclass) if issubclass(kind, aiohttp.ClientError)]
    early = {
        "ClientConnectorError", "ClientConnectorDNSError", "ClientConnectorCertificateError", "ClientConnectorSSLError", "ClientSSLError",
        "ClientProxyConnectionError", "ClientHttpProxyError", "ConnectionTimeoutError", "InvalidURL", "InvalidUrlClientError",
        "InvalidUrlRedirectClientError", "NonHttpUrlClientError", "NonHttpUrlRedirectClientError", "UnixClientConnectorError", "ServerFingerprintMismatch",
    }  # fmt: skip
    assert len(kinds) > 20
    for kind in kinds:
        error = kind.__new__(kind)
        if isinstance(error, aiohttp.ClientConnectorError):
            error._os_error = OSError(111, "Refused")
        mapped = transport_module._as_httpx(error, Phase(connected=True))
        assert isinstance(mapped, transport_module.FOREIGN), kind
        ours = translated(mapped, phase=Phase(), where="")
        assert type(ours) is (AmsUnreachable if kind.__name__ in early else AmsNoAnswer), kind


Failing = tuple[str, Any, type[AmsError], str]


async def _close(state: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)


def _says(content: bytes, *, then_wait: float = 0.0) -> Any:
    async def converse(state: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(content)
        await writer.drain()
        await asyncio.sleep(then_wait)

    return converse


@pytest.mark.parametrize(
    "converse",
    [
        _close,
        _says(b""),
        _says(b"garbage\r\n\r\n"),
        _says(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"),
        _says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}"),
        _says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n"),
        _says(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}"),
        _says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x"),
        _says(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n{}"),
        _says(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n{}"),
        _says(b"HTTP/9.9 200 OK\r\n\r\n"),
        _says(b"HTTP/1.1 20000 OK\r\n\r\n"),
        _says(b"SSH-2.0-OpenSSH\r\n"),
        _says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"),
    ],
)
@pytest.mark.parametrize("fresh", [True, False])
def test_broken_http_is_no_answer(converse: Any, fresh: bool) -> None:
    """The request was sent and no whole answer came: never "unreachable", never an empty body."""

    async def scenario() -> None:
        async with wire(converse, raw=True) as server:
            with pytest.raises(AmsNoAnswer) as caught:
                await send(server.url, "/myFirms/", fresh=fresh, method="POST" if fresh else "GET", content=b"{}" if fresh else b"")
            assert caught.value.__context__ is None

    run(scenario())


def test_nobody_listening_is_unreachable() -> None:
    """Connection refused and an unknown host: nothing was sent."""

    async def scenario() -> None:
        async with wire(lambda heard: answer()) as server:
            port = server.port
        for url in (f"http://127.0.0.1:{port}", "http://does-not-exist.invalid"):
            with pytest.raises(AmsUnreachable, match="nothing was sent"):
                await send(url, "/x", method="POST", content=b"{}", fresh=True)

    run(scenario())


def test_a_connection_that_does_not_open_in_time_is_unreachable_and_a_mute_server_is_not() -> None:
    """The phase decides: a timeout while connecting means nothing was sent, afterwards it may have been."""

    async def scenario() -> None:
        async def mute(state: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(3600)

        async with wire(mute, raw=True) as server:
            # Long enough that a busy machine has connected by then.
            with pytest.raises(AmsNoAnswer, match="in time"):
                await send(server.url, "/x", method="POST", content=b"{}", fresh=True, timeout_seconds=5)
            # To a plain server that says nothing, TLS never gets to its end.
            with pytest.raises(AmsUnreachable):
                await send(f"https://127.0.0.1:{server.port}", "/x", method="POST", content=b"{}", fresh=True, timeout_seconds=0.2)

    run(scenario())


def test_a_post_opens_a_connection_of_its_own_and_gets_share_one() -> None:
    """A kept-alive connection may be closing: an avoidable unknown."""

    async def scenario() -> None:
        async with wire(lambda heard: answer()) as server:
            for fresh, connections in ((True, 3), (False, 1)):
                before = server.connections
                transport = AiohttpTransport(tls=Tls(), fresh=fresh)
                line = Line(transport, Origin.of(server.url, what=""), methods=("GET", "POST"), max_body_bytes=100)
                for _ in range(3):
                    await line.exchange(
                        "POST" if fresh else "GET", "/x", headers=(), content=b"{}" if fresh else b"", timeout_seconds=5, where=""
                    )
                await transport.aclose()
                assert server.connections - before == connections

    run(scenario())


def test_a_post_is_sent_once_however_it_fails() -> None:
    """The library below must not repeat it either."""

    async def scenario() -> None:
        async with wire(lambda heard: None) as server:
            for fresh in (True, False):
                before = len(server.heard)
                with pytest.raises(AmsNoAnswer):
                    await send(server.url, "/x", method="POST", content=b"{}", fresh=fresh)
                assert len(server.heard) - before == 1

    run(scenario())


# --- bodies ---


def test_a_body_that_trickles_is_cut_off_by_the_clock() -> None:
    """A byte now and then keeps no call open beyond its timeout."""
    drops = 0

    async def drip(state: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal drops
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            drops += 1
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def scenario() -> None:
        async with wire(drip, raw=True) as server:
            with pytest.raises(AmsNoAnswer):
                async with asyncio.timeout(HANG_SECONDS):
                    await send(server.url, "/x", timeout_seconds=1.0)
            # In one event loop no more drops fall in a second than there are twentieths in it, and one at its beginning.
            assert drops <= 21

    run(scenario())


def test_a_body_beyond_its_bound_is_refused_with_its_status() -> None:
    """Plain, chunked without end, or a gzip bomb."""

    async def flood(state: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
            await writer.drain()

    async def scenario() -> None:
        async with wire(flood, raw=True) as server:
            with pytest.raises(AmsMalformed, match="larger than") as caught:
                await send(server.url, "/x")
            assert caught.value.http_status == 200
        bomb = gzip.compress(bytes(50_000_000), 9)
        async with wire(lambda heard: answer(bomb, headers="Content-Encoding: gzip\r\n")) as server:
            with pytest.raises(AmsMalformed, match=r"times its size|larger"):
                await send(server.url, "/x")
        async with wire(lambda heard: answer(b"x", headers="Content-Encoding: br\r\n")) as server:
            with pytest.raises(AmsMalformed, match="gzip nor identity"):
                await send(server.url, "/x")

    run(scenario())


def test_gzip_arrives_decoded_and_counted_as_it_came() -> None:
    """raw_bytes is the size on the wire."""
    packed = gzip.compress(b'{"limits": []}' * 100)

    async def scenario() -> None:
        async with wire(lambda heard: answer(packed, headers="Content-Encoding: gzip\r\nX-Two: 1\r\nX-Two: 2\r\n")) as server:
            got = await send(server.url, "/x")
            assert (got.content, got.raw_bytes, got.header("x-two"), got.header("none")) == (b'{"limits": []}' * 100, len(packed), "1", "")

    run(scenario())


def test_the_environment_of_the_process_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """No proxy, netrc or key log file is taken from it."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login canary password canary\n")
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    assert transport_module.tls_context(Tls()).keylog_filename is None

    async def scenario() -> None:
        async with wire(lambda heard: answer(headers="Set-Cookie: a=b\r\n")) as server:
            transport = AiohttpTransport(tls=Tls())
            line = Line(transport, Origin.of(server.url, what=""), methods=("GET",), max_body_bytes=100)
            for _ in range(2):
                await line.exchange("GET", "/x", headers=(), timeout_seconds=5, where="")
            await transport.aclose()
            assert [heard.header("authorization") for heard in server.heard] == [None, None]
            assert [heard.header("cookie") for heard in server.heard] == [None, None]

    run(scenario())
