"""A clock that jumps, and small servers that speak exactly the bytes they are told."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from amsctl.config import Auth, AuthType, Environment, Requests, Secret
from tests.hostile.canaries import API_ID, CANARIES

AUTH = Auth(type=AuthType.BASIC, client_id=API_ID, client_secret=Secret(CANARIES["the Basic password"]))


class JumpingClock:
    """Time that passes only in ``sleep``, and at once."""

    def __init__(self, at: float = 1000.0) -> None:
        self.now = at
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_795_000_000.0 + self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def run(coroutine: Awaitable[Any]) -> Any:
    async def within() -> Any:
        async with asyncio.timeout(60):
            return await coroutine

    return asyncio.run(within())


def environment(url: str, **options: Any) -> Environment:
    """With a canary for its secret, in whatever way it logs on."""
    return Environment(name="test", url=url, **{"auth": AUTH, **options})


def requests(**options: Any) -> Requests:
    return Requests(**{"per_second": None, "timeout_seconds": 5.0, "retries": 0, **options})


class Heard:
    """One request as it came over the wire."""

    def __init__(self, head: bytes, body: bytes) -> None:
        self.head, self.body = head, body
        self.method, self.target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)

    def header(self, name: str) -> str | None:
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None


Reply = Callable[[Heard], bytes | None]


class Wire:
    """A server of raw bytes: what it heard, and on how many connections."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.connections = 0
        self.raw = bytearray()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/rest/v2"


@contextlib.asynccontextmanager
async def wire(reply: Reply | Callable[..., Any], *, tls: ssl.SSLContext | None = None, raw: bool = False) -> AsyncIterator[Wire]:
    """Serve: ``reply`` turns a request into bytes (``None`` closes); with ``raw`` it is a coroutine given (wire, reader, writer)."""
    state = Wire()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state.connections += 1
        try:
            if raw:
                await reply(state, reader, writer)
                return
            while True:
                head = (await reader.readuntil(b"\r\n\r\n"))[:-4]
                state.raw += head
                heard = Heard(head, b"")
                length = int(heard.header("content-length") or 0)
                heard.body = await reader.readexactly(length) if length else b""
                state.heard.append(heard)
                answer = reply(heard)
                if answer is None:
                    return
                writer.write(answer)
                await writer.drain()
                if b"connection: close" in answer[:2000].lower():
                    return
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0, ssl=tls)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()


def answer(body: bytes | str = b"{}", *, status: str = "200 OK", content_type: str | None = "application/json", headers: str = "") -> bytes:
    body = body.encode() if isinstance(body, str) else body
    kind = f"Content-Type: {content_type}\r\n" if content_type is not None else ""
    return f"HTTP/1.1 {status}\r\n{kind}{headers}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body
