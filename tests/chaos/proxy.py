"""A TCP proxy between the command line and the sandbox that breaks connections: before or after a request went on, within its answer, late, or never."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["cut", "reset", "swallow", "late", "act"]
Where = Literal["before", "after", "within"]
_LINGER_NOT = struct.pack("ii", 1, 0)


@dataclass(kw_only=True)
class Strike:
    """What happens to the ``nth`` request of a method (counted since the strike was set; ``None``: to each).

    ``cut`` ends the connection, ``reset`` tears it down, ``swallow`` keeps it open and says nothing: ``before`` the request went on, ``after`` it
    was answered, or ``within`` the answer, after ``answer_bytes``. ``late`` waits for ``seconds`` before the request goes on (whether or not the
    caller is still there) or before its answer comes back. ``act`` calls ``call`` and goes on.
    """

    kind: Kind
    where: Where = "before"
    method: str = "POST"
    nth: int | None = 1
    answer_bytes: int = 0
    seconds: float = 0.0
    call: Callable[[], None] | None = None
    seen: int = 0
    struck: threading.Event = field(default_factory=threading.Event)


class Proxy:
    """One address in front of another one."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        self._upstream = upstream
        self._strikes: list[Strike] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        outer = self

        class Connection(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):
                    outer._serve(self.request)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False
            allow_reuse_address = True
            request_queue_size = 64

            def handle_error(self, request: object, client_address: object) -> None:
                return

        self._server = Server(("127.0.0.1", 0), Connection)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def strike(self, strike: Strike) -> Strike:
        """Set a strike; several stand side by side."""
        with self._lock:
            self._strikes.append(strike)
        return strike

    def calm(self) -> None:
        """No strikes any more."""
        with self._lock:
            self._strikes.clear()

    # --- one connection ---

    def _serve(self, client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with socket.create_connection(self._upstream) as server:
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                request = _message(client)
                if request is None:
                    return
                strikes = self._striking(request.partition(b" ")[0].decode("latin-1"))
                if not self._pass_on(client, server, request, strikes):
                    return

    def _striking(self, method: str) -> list[Strike]:
        found = []
        with self._lock:
            for strike in self._strikes:
                if strike.method == method:
                    strike.seen += 1
                    if strike.nth in (None, strike.seen):
                        found.append(strike)
        return found

    def _pass_on(self, client: socket.socket, server: socket.socket, request: bytes, strikes: list[Strike]) -> bool:
        """Whether the connection lives on."""
        for strike in strikes:
            if strike.where == "before" and not self._happens(strike, client):
                return False
        server.sendall(request)
        answer = _message(server)
        if answer is None:
            return False
        for strike in strikes:
            if strike.where == "within":
                client.sendall(answer[: strike.answer_bytes])
            if strike.where != "before" and not self._happens(strike, client):
                return False
        client.sendall(answer)
        return True

    def _happens(self, strike: Strike, client: socket.socket) -> bool:
        """Whether the exchange goes on."""
        strike.struck.set()
        match strike.kind:
            case "cut":
                return False
            case "reset":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
                client.close()
                return False
            case "swallow":
                _wait_until_gone(client, self._closing)
                return False
            case "late":
                time.sleep(strike.seconds)
                return True
            case "act":
                assert strike.call is not None
                strike.call()
                return True


def _wait_until_gone(client: socket.socket, closing: threading.Event) -> None:
    client.settimeout(0.1)
    while not closing.is_set():
        with suppress(TimeoutError):
            if not client.recv(65536):
                return


def _message(connection: socket.socket) -> bytes | None:
    """One HTTP message with a content-length (or none: no body), whole; ``None`` when the other side has gone."""
    content = b""
    while b"\r\n\r\n" not in content:
        more = connection.recv(65536)
        if not more:
            return None
        content += more
    head, _, body = content.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        more = connection.recv(65536)
        if not more:
            return None
        body += more
    return head + b"\r\n\r\n" + body


@contextmanager
def proxied(port: int) -> Iterator[Proxy]:
    """A proxy in front of a port of this machine."""
    proxy = Proxy(("127.0.0.1", port))
    try:
        yield proxy
    finally:
        proxy.close()
