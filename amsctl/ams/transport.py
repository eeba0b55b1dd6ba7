"""The one module that knows HTTP libraries: requests out, answers in, foreign exceptions translated.

Requests and answers are httpx values, passed through an ``httpx.AsyncBaseTransport``: the seam for tests and simulators. The default transport sends
them with aiohttp, at a fraction of the CPU (docs/decisions/0002-transport.md). No ``httpx.AsyncClient`` stands between, so there are no redirects, no
cookie jar, no proxies or certificates from the environment, no netrc, and no header that goes along to an address that somebody else named.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import re
import ssl
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

import aiohttp
import httpx
import yarl
from aiohttp.http_exceptions import HttpProcessingError

from amsctl.ams.body import Inflater, NotUsable
from amsctl.config import Environment, Tls
from amsctl.errors import AmsError, AmsMalformed, AmsNoAnswer, AmsUnreachable, ConfigError
from amsctl.masking import Masks
from amsctl.regular import read_regular

if TYPE_CHECKING:
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

Transport = httpx.AsyncBaseTransport

SAFE_PATH: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/%")
SAFE_QUERY: Final = SAFE_PATH | {"?"}
IDLE_SECONDS: Final = 4.0
"""How long an unused connection is kept: less than the 5 s after which common servers close theirs."""


# --- where a line leads ---


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port that a line is pinned to, and the path that all its requests begin with."""

    scheme: str
    host: str
    port: int
    base_path: str

    @classmethod
    def of(cls, url: str, *, what: str, whole: bool = False) -> Origin:
        """The origin of a configured URL; ConfigError for one that cannot be an address of requests. Its text is not shown: it may hold a secret.

        ``whole`` keeps the path to the letter, for a URL that is itself the address and not the beginning of many.
        """
        try:
            parts = urlsplit(url)
            own_port = {"https": 443, "http": 80}[parts.scheme]
            port = own_port if parts.port is None else parts.port
        except (ValueError, KeyError):
            raise ConfigError(f"{what} is not a usable URL", expected="https://HOST[:PORT]/PATH") from None
        if not parts.hostname or parts.username is not None or parts.query or parts.fragment or "?" in url or "#" in url:
            raise ConfigError(f"{what} is not a usable URL", expected="https://HOST[:PORT]/PATH without user, query or fragment")
        _check_target(parts.path or "/", SAFE_PATH)
        origin = cls(parts.scheme, parts.hostname, port, parts.path if whole else parts.path.rstrip("/"))
        if not origin._is_one_place() or ("[" in parts.netloc) != (":" in origin.host):
            raise ConfigError(f"{what} has a host that is not a name or an address of the usual form", expected="https://HOST[:PORT]/PATH")
        return origin

    def _is_one_place(self) -> bool:
        """Whether everybody who reads the address, the libraries below included, reads the same host and port out of it."""
        if not _HOST.fullmatch(self.host) or not 0 < self.port < 65536:
            return False
        try:
            if ":" in self.host or _NUMERIC.search(self.host):  # 127.1, 0177.0.0.1 and 2130706433 mean one thing here and another there
                ipaddress.ip_address(self.host)
            by_httpx = httpx.URL(str(self))
            by_yarl = yarl.URL(str(by_httpx), encoded=True)
            _ = by_httpx.host, by_yarl.host  # names in other alphabets are decoded here, or fail to be
        except (ValueError, httpx.InvalidURL):
            return False
        ports = {by_httpx.port or {"https": 443, "http": 80}[self.scheme], by_yarl.port, self.port}
        return by_httpx.raw_host.decode() == self.host == by_yarl.raw_host and len(ports) == 1

    @property
    def netloc(self) -> str:
        """Host and port as a URL writes them; the scheme's own port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"https": 443, "http": 80}[self.scheme] else f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine."""
        return self.host in {"localhost", "::1"} or self.host.startswith("127.")

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}"


_MOST_PEM: Final = 16 * 1024 * 1024
"""Of a file of certificates: those of all authorities of the world have a quarter of one."""
_HOST: Final = re.compile(r"[a-z0-9._-]{1,253}|[0-9a-f:.]{2,45}")
_NUMERIC: Final = re.compile(r"(^|\.)(0x[0-9a-f]*|[0-9]+)\.?$")
_LONE_PERCENT: Final = re.compile("%(?![0-9A-Fa-f]{2})")


def _check_target(target: str, allowed: frozenset[str]) -> None:
    """AmsUnreachable unless the path (with query) will be on the wire exactly as it stands: absolute, of URL characters, without dot segments."""
    path = target.partition("?")[0]
    segments = {unquote(part) for part in path.split("/")} if "." in path or "%2" in path else set()
    exact = allowed.issuperset(target) and _LONE_PERCENT.search(target) is None and not {".", ".."} & segments
    if not exact or not target.startswith("/") or target.startswith("//"):
        raise AmsUnreachable("this is no address of the AMS", found=ascii(target), hint="nothing was sent")


# --- answers and failures ---


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """One whole answer: status, headers (names in lower case, in order), decoded body, and how many bytes the body was on the wire."""

    status: int
    headers: tuple[tuple[str, str], ...]
    content: bytes
    raw_bytes: int

    def header(self, name: str) -> str:
        """The first value of a header, or an empty text."""
        return next((value for key, value in self.headers if key == name), "")

    def headers_of(self, name: str) -> list[str]:
        """All values of a header, in order."""
        return [value for key, value in self.headers if key == name]


class CertificateRefused(httpx.ConnectError):
    """TLS could not be agreed: the other side did not prove who it is, or did not accept what we prove."""


@dataclass(slots=True)
class Phase:
    """How far a request got. Starts as "may be sent"; the transport that knows better says so. ``opened`` counts connections made for it alone."""

    connected: bool = True
    opened: int = 0


PHASE: Final = "amsctl.phase"
"""Name of the request extension that carries the :class:`Phase`."""

LEAVING: Final = "amsctl.leaving"
"""Name of the request extension that carries what to call once there is a connection and before the first byte; what it raises goes to the caller."""

UNREACHABLE: Final = "nothing was sent; check the environment's url and the network, and whether the AMS is in its weekly closure"
_NOT_SENT: Final[Mapping[type[Exception], str]] = {
    CertificateRefused: "the secure connection to the AMS was refused",
    httpx.ConnectTimeout: "the AMS did not accept a connection in time",
    httpx.ConnectError: "no connection to the AMS",
    httpx.PoolTimeout: "no free connection to the AMS in time",
    httpx.ProxyError: "the proxy gave no connection to the AMS",
    httpx.UnsupportedProtocol: "the address of the AMS is not http or https",
    httpx.InvalidURL: "the address of the AMS is not a URL",
}
_MAYBE_SENT: Final[Mapping[type[Exception], str]] = {
    httpx.ReadTimeout: "the AMS did not answer in time",
    httpx.WriteTimeout: "the AMS did not take the request in time",
    httpx.TimeoutException: "the AMS did not answer in time",
    httpx.ReadError: "the connection to the AMS broke before its answer was whole",
    httpx.WriteError: "the connection to the AMS broke while the request was sent",
    httpx.CloseError: "the connection to the AMS broke when it was closed",
    httpx.NetworkError: "the connection to the AMS broke",
    httpx.LocalProtocolError: "the request could not be written as HTTP",
    httpx.RemoteProtocolError: "the AMS broke off, or answered something that is not HTTP",
    httpx.ProtocolError: "the AMS and this program do not agree on HTTP",
    httpx.TransportError: "the exchange with the AMS failed",
    httpx.RequestError: "the exchange with the AMS failed",
    httpx.HTTPStatusError: "the AMS answered with a failure",
    httpx.TooManyRedirects: "the AMS sent the request elsewhere",
    httpx.DecodingError: "the answer of the AMS could not be decoded",
    httpx.HTTPError: "the exchange with the AMS failed",
    httpx.StreamConsumed: "the answer of the AMS was already read",
    httpx.StreamClosed: "the answer of the AMS was already closed",
    httpx.ResponseNotRead: "the answer of the AMS was not read",
    httpx.RequestNotRead: "the request to the AMS was not read",
    httpx.StreamError: "the answer of the AMS could not be read",
    httpx.CookieConflict: "the AMS set two cookies of one name",
    TimeoutError: "the AMS did not answer in time",
    OSError: "the connection to the AMS broke",
}
FOREIGN: Final = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, httpx.CookieConflict, TimeoutError, OSError)
"""What a transport may raise; each has its place in ``translated``."""


def translated(error: Exception, *, phase: Phase, where: str) -> AmsError:
    """The error of ours that a foreign one means: AmsUnreachable only where it is certain that nothing was sent, else AmsNoAnswer.

    The foreign error is neither chained nor quoted: its text and its attributes may hold headers.
    """
    for kind in type(error).__mro__:
        if kind in _NOT_SENT:
            return AmsUnreachable(_NOT_SENT[kind], where=where, found=_reason(error), hint=_hint(error))
        if kind in _MAYBE_SENT:
            if not phase.connected:
                return AmsUnreachable(_NOT_SENT[httpx.ConnectTimeout], where=where, hint=_hint(error))
            return AmsNoAnswer(_MAYBE_SENT[kind], where=where)
    raise AssertionError(f"{type(error).__name__} has no translation")


def _reason(error: Exception) -> str | None:
    """The few words that our own adapter put into the exception; nothing of any other's text."""
    return error.args[0] if isinstance(error, CertificateRefused | _Explained) and error.args else None


def _hint(error: Exception) -> str:
    if isinstance(error, CertificateRefused):
        return "nothing was sent; check url, tls.caFile and the client certificate of this environment"
    return UNREACHABLE


class _Explained(httpx.ConnectError):
    """A connection error whose text is ours, so that it may be shown."""


# --- one pinned line ---


class Line:
    """Requests to one origin, by the given methods only."""

    def __init__(self, transport: Transport, origin: Origin, *, methods: Sequence[str], max_body_bytes: int) -> None:
        self._transport = transport
        self._methods = frozenset(methods)
        self._max_body_bytes = max_body_bytes
        self.origin = origin

    async def exchange(
        self,
        method: str,
        target: str,
        *,
        headers: Sequence[tuple[str, str]],
        content: bytes = b"",
        timeout_seconds: float,
        where: str,
        leaving: Callable[[], None] | None = None,
    ) -> RawAnswer:
        """Send one request and return its whole answer, whatever its status; ``target`` is path and query below the origin's path, encoded.

        ``leaving`` is called once there is a connection; what it raises keeps the request from being sent. Raises AmsUnreachable (nothing was sent),
        AmsNoAnswer (it may have been), AmsMalformed (an answer whose body broke its bounds).
        """
        if method not in self._methods:
            raise AssertionError(f"this line does not send {method}")
        request = self._request(method, target, headers, content)
        phase = Phase()
        request.extensions[PHASE] = phase
        if leaving is not None:
            request.extensions[LEAVING] = leaving
        failure: AmsError
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._answer(request, where)
        except FOREIGN as error:
            failure = translated(error, phase=phase, where=where)
            if isinstance(failure, AmsUnreachable):
                self._say_where_to(failure, where)
        # Raised outside of the handler, so that the foreign error and what it carries does not hang on ours.
        raise failure

    def _say_where_to(self, failure: AmsUnreachable, where: str) -> None:
        """Nothing answers at the address: a person must see which one it was."""
        if self.origin.is_loopback and failure.hint == UNREACHABLE:
            failure.hint = "nothing was sent; is amsctl sandbox running, and on this port?"
        failure.move(f"{where}, at {self.origin}")

    def _request(self, method: str, target: str, headers: Sequence[tuple[str, str]], content: bytes) -> httpx.Request:
        path = self.origin.base_path + target
        _check_target(path, SAFE_QUERY)
        request = httpx.Request(method, f"{self.origin}{path}", headers=[*headers], content=content)
        url = request.url
        # Last look before anything leaves: the library must not have rewritten the address.
        if url.raw_path != path.encode() or url.scheme != self.origin.scheme or url.netloc.decode() != self.origin.netloc.lower():
            raise AmsUnreachable("this address would not reach the AMS as it is written", found=ascii(target), hint="nothing was sent")
        return request

    async def _answer(self, request: httpx.Request, where: str) -> RawAnswer:
        response = await self._transport.handle_async_request(request)
        try:
            inflater = Inflater(response.headers.get("content-encoding", ""), self._max_body_bytes)
            assert isinstance(response.stream, httpx.AsyncByteStream)
            async for chunk in response.stream:
                inflater.feed(chunk)
            content = inflater.finish()
        except NotUsable as reason:
            raise AmsMalformed(f"the answer of the AMS cannot be read: {reason}", http_status=response.status_code, where=where) from None
        finally:
            await response.aclose()
        pairs = tuple((key.decode("latin-1").lower(), value.decode("latin-1")) for key, value in response.headers.raw)
        return RawAnswer(response.status_code, pairs, content, inflater.raw_bytes)


# --- aiohttp underneath ---


class AiohttpTransport(httpx.AsyncBaseTransport):
    """An httpx transport over aiohttp: no redirects, no cookies, nothing from the environment, bodies as they come over the wire.

    ``fresh`` makes a new connection for every request and so never meets one that the other side is about to close: for writes, whose outcome would be
    unknown then.
    """

    def __init__(self, *, tls: Tls, proxy: str | None = None, fresh: bool = False) -> None:
        self._tls = tls
        # Files that cannot be used are an error before anything is sent; the system's own list is read only when it is needed.
        self._context = tls_context(tls) if tls != Tls() else None
        self._proxy = _proxy(proxy)
        self._masks = Masks(_secrets_of_proxy(proxy))
        self._fresh = fresh
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; the body of the answer is still to be read. Raises httpx's exceptions only."""
        failure: Exception
        phase = request.extensions.get(PHASE)
        try:
            return await self._send(request, phase)
        except _AIOHTTP as error:
            failure = _as_httpx(error, phase)
        raise failure

    async def _send(self, request: httpx.Request, phase: object) -> httpx.Response:
        if isinstance(phase, Phase):
            phase.connected = False
        session = self._open_session()
        headers = [(key, value) for key, value in request.headers.multi_items() if key.lower() not in {"host", "content-length"}]
        proxy_headers = None
        if self._proxy is not None and self._proxy[1]:
            if request.url.scheme == "https":
                proxy_headers = {"Proxy-Authorization": self._proxy[1]}
            else:
                headers.append(("Proxy-Authorization", self._proxy[1]))
        _PASSAGE.set(_Passage(phase if isinstance(phase, Phase) else Phase(), request.extensions.get(LEAVING)))
        response = await session.request(
            request.method,
            yarl.URL(str(request.url), encoded=True),
            headers=headers,
            data=request.content or None,
            allow_redirects=False,
            ssl=self._ssl(request.url.scheme),
            proxy=None if self._proxy is None else self._proxy[0],
            proxy_headers=proxy_headers,
            trace_request_ctx=phase,
        )
        return httpx.Response(response.status, headers=list(response.raw_headers), stream=_Body(response))

    def _ssl(self, scheme: str) -> ssl.SSLContext | bool:
        """Our context wherever TLS is spoken, to the AMS or to the proxy."""
        if scheme != "https" and (self._proxy is None or self._proxy[0].scheme != "https"):
            return True
        if self._context is None:
            self._context = tls_context(self._tls)
        return self._context

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = _Connector(limit=0, force_close=True) if self._fresh else _Connector(limit=0, keepalive_timeout=IDLE_SECONDS)
            trace = aiohttp.TraceConfig()
            trace.on_connection_create_end.append(_opened)
            trace.on_connection_reuseconn.append(_reused)
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Content-Type", "Accept", "Accept-Encoding"),
                timeout=aiohttp.ClientTimeout(total=None),
                trace_configs=[trace],
            )
        return self._session

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


class _Passage(NamedTuple):
    """What belongs to the request that is under way: how far it got, and who has the last word."""

    phase: Phase
    leaving: Callable[[], None] | None


_PASSAGE: ContextVar[_Passage | None] = ContextVar("amsctl.passage", default=None)


class _Connector(aiohttp.TCPConnector):
    """Connections as aiohttp makes them, with two words of ours.

    aiohttp sends a GET once more, uncounted, when its connection ends without an answer. That is right where a kept connection had gone stale, and a
    silent doubling of the load where the server drops fresh ones: there the second connection is refused. And once there is a connection, whoever has
    the last word is asked whether the request may still leave: connecting can take as long as the whole timeout.
    """

    async def connect(self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout) -> Connection:  # noqa: ASYNC109 (aiohttp's own signature)
        passage = _PASSAGE.get()
        if passage is not None and passage.phase.opened:
            raise aiohttp.ServerDisconnectedError
        connection = await super().connect(req, traces, timeout)
        if passage is not None and passage.leaving is not None:
            try:
                passage.leaving()
            except BaseException:
                connection.close()
                raise
        return connection


async def _opened(session: object, context: object, parameters: object) -> None:
    phase = getattr(context, "trace_request_ctx", None)
    if isinstance(phase, Phase):
        phase.connected = True
        phase.opened += 1


async def _reused(session: object, context: object, parameters: object) -> None:
    phase = getattr(context, "trace_request_ctx", None)
    if isinstance(phase, Phase):
        phase.connected = True


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        failure: Exception
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
            return
        except _AIOHTTP as error:
            failure = _as_httpx(error, None)
        raise failure

    async def aclose(self) -> None:
        # A body that was read to its end has given its connection back already; any other connection is of no more use.
        self._response.close()


_AIOHTTP: Final = (aiohttp.ClientError, HttpProcessingError, TimeoutError, OSError, ValueError)


def _as_httpx(error: Exception, phase: object) -> Exception:
    """The httpx exception that tells the same: above all, whether the request may already have been sent."""
    early = _before_sending(error)
    if early is not None:
        return early
    if isinstance(phase, Phase) and not phase.connected:
        return httpx.ConnectError("")
    match error:
        case TimeoutError():
            return httpx.ReadTimeout("")
        case aiohttp.ClientResponseError() | aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError() | HttpProcessingError():
            return httpx.RemoteProtocolError("")
        case OSError():
            return httpx.ReadError("")
        case _:
            return httpx.TransportError("")


def _before_sending(error: Exception) -> Exception | None:
    """What aiohttp raises only while it connects, before anything of the request is written."""
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError() | aiohttp.ServerFingerprintMismatch():
            return CertificateRefused(_tls_reason(error))
        case aiohttp.ClientHttpProxyError():
            return httpx.ProxyError("")
        case aiohttp.ClientProxyConnectionError():
            return httpx.ProxyError("")
        case aiohttp.ClientConnectorDNSError():
            return _Explained("its host name has no address")
        case aiohttp.ClientConnectorError():
            return _Explained(os.strerror(error.os_error.errno).lower() if error.os_error.errno else "no connection")
        case aiohttp.ConnectionTimeoutError():
            return httpx.ConnectTimeout("")
        case aiohttp.NonHttpUrlClientError():
            return httpx.UnsupportedProtocol("")
        case aiohttp.InvalidURL():
            return httpx.InvalidURL("")
    return None


def _tls_reason(error: aiohttp.ClientError) -> str:
    """What was wrong with TLS, from OpenSSL's own fixed sentences."""
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return str(cause.verify_message)
    reason = getattr(cause, "reason", None)
    return str(reason).lower().replace("_", " ") if reason else "no agreement on TLS"


def tls_context(tls: Tls) -> ssl.SSLContext:
    """Always verifying, TLS 1.2 or newer, with the configured CA file (instead of the system's) and client certificate.

    Built by hand: ``ssl.create_default_context`` would write session keys to wherever SSLKEYLOGFILE points, and OpenSSL's default paths are
    SSL_CERT_FILE and SSL_CERT_DIR where these are set.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    what, wanted = "the CA file cannot be used", "a file of PEM certificates"
    if tls.ca_file is not None:
        _check_file(tls, "caFile", tls.ca_file, what, wanted)
    try:
        if tls.ca_file is None:
            _load_fixed_store(context)
        else:
            context.load_verify_locations(cafile=tls.ca_file)
    except (OSError, ssl.SSLError):
        raise ConfigError(what, where=tls.shown("caFile", tls.ca_file), expected=wanted) from None
    if tls.certificate_file is not None:
        what, wanted = "the client certificate cannot be used", "PEM files of a certificate and its unencrypted key"
        _check_file(tls, "certificateFile", tls.certificate_file, what, wanted)
        if tls.key_file is not None:
            _check_file(tls, "keyFile", tls.key_file, "the key of the client certificate cannot be used", wanted)
        try:
            # An encrypted key must fail, not ask on the terminal.
            context.load_cert_chain(tls.certificate_file, tls.key_file, password=lambda: "")
        except (OSError, ssl.SSLError):
            raise ConfigError(what, where=tls.shown("certificateFile", tls.certificate_file), expected=wanted) from None
    return context


def _check_file(tls: Tls, setting: str, path: str, what: str, wanted: str) -> None:
    """ConfigError unless a setting names a regular file that has an end: OpenSSL, which reads it next, waits for a pipe and reads a device for ever."""
    try:
        read_regular(path, _MOST_PEM)
    except (OSError, ValueError) as problem:
        found = problem.strerror if isinstance(problem, OSError) and problem.strerror else type(problem).__name__
        raise ConfigError(
            what, where=tls.shown(setting, path), expected=wanted, found=found, hint="name a file of PEM texts, by its absolute path"
        ) from None


def _load_fixed_store(context: ssl.SSLContext) -> None:
    """The certificates that the system trusts, at the places that OpenSSL was built for (on Windows, its stores); those of certifi where there are none.

    Nothing of the environment has a say.
    """
    if sys.platform == "win32":  # pragma: no cover
        for store in ("CA", "ROOT"):
            for certificate, encoding, trust in ssl.enum_certificates(store):
                if encoding == "x509_asn" and (trust is True or ssl.Purpose.SERVER_AUTH.oid in trust):
                    with contextlib.suppress(ssl.SSLError):  # one that is malformed costs no other, as in ssl itself
                        context.load_verify_locations(cadata=certificate)
        return
    paths = ssl.get_default_verify_paths()
    file = paths.openssl_cafile if os.path.isfile(paths.openssl_cafile) else None
    folder = paths.openssl_capath if _holds_files(paths.openssl_capath) else None
    if file is None and folder is None:
        import certifi  # wanted where Python was built for another system alone

        file = certifi.where()
    context.load_verify_locations(cafile=file, capath=folder)


def _holds_files(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(True for _ in entries)
    except OSError:
        return False


def _proxy(url: str | None) -> tuple[yarl.URL, str | None] | None:
    """The proxy's address without its credentials, and these as the value of a Proxy-Authorization header."""
    if url is None:
        return None
    try:
        parts: SplitResult = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = SplitResult("", "", "", "", ""), None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ConfigError("the proxy is not a usable URL", expected="http://[USER:PASSWORD@]HOST:PORT") from None
    address = yarl.URL.build(scheme=parts.scheme, host=parts.hostname, port=port)
    if parts.username is None:
        return address, None
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return address, "Basic " + b64encode(pair.encode()).decode()


def _secrets_of_proxy(url: str | None) -> tuple[str, ...]:
    """What must not be shown of a usable proxy's URL: its password, as written and as meant, and what its header carries."""
    password = urlsplit(url or "").password
    return () if not password else (password, unquote(password), (_proxy(url) or ("", ""))[1] or "")


def open_transport(environment: Environment, *, fresh: bool) -> Transport:
    """The default transport of an environment: its TLS settings and its proxy."""
    return AiohttpTransport(tls=environment.tls, proxy=environment.proxy, fresh=fresh)
