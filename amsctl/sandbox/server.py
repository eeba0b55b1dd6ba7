"""The stand-in on a port: inside this program for tests (``serve``), in the foreground for the command (``run``), beside it for benchmarks."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import uvicorn

from amsctl.sandbox.application import Front, application
from amsctl.sandbox.auth import TOKEN_PATH, Auth, Gate
from amsctl.sandbox.endpoints import BASE_PATH, Service
from amsctl.sandbox.log import Log
from amsctl.sandbox.oddities import Oddities
from amsctl.sandbox.rendering import Renderer
from amsctl.sandbox.state import Book

_START_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A stand-in that is being served. ``origin`` is scheme, host and port; ``url`` the base URL of the AMS on it."""

    origin: str
    front: Front

    @property
    def url(self) -> str:
        """The base URL, ``…/rest/v2``."""
        return self.origin + BASE_PATH

    @property
    def token_url(self) -> str:
        """The OAuth2 token endpoint."""
        return self.origin + TOKEN_PATH

    @property
    def book(self) -> Book:
        """The book behind it."""
        return self.front.service.book

    @property
    def gate(self) -> Gate:
        """Tokens and sessions."""
        return self.front.gate

    @property
    def log(self) -> Log:
        """Every request received."""
        return self.front.log

    @property
    def oddities(self) -> Oddities:
        """The switches in force."""
        return self.front.service.oddities

    def switch(self, **changes: object) -> None:
        """Set switches at run time. Raises ``ValueError`` for an unknown one."""
        renderer = self.front.service.renderer
        with self.book.lock:
            renderer.oddities = renderer.oddities.replace(**changes)


@contextmanager
def serve(
    book: Book,
    *,
    auth: Auth | None = None,
    oddities: Oddities | None = None,
    port: int = 0,
    host: str = "127.0.0.1",
    log_size: int = 10_000,
) -> Iterator[Sandbox]:
    """Serve a book in a thread of this program until the block ends. ``port`` 0 is any free one. Raises ``OSError`` for a port that is taken."""
    listener = _listen(host, port)
    origin = f"http://{host}:{listener.getsockname()[1]}"
    front = Front(service=Service(Renderer(book, oddities or Oddities(), origin + BASE_PATH)), gate=Gate(auth or Auth()), log=Log(log_size))
    server = uvicorn.Server(_config(front))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="amsctl-sandbox", daemon=True)
    thread.start()
    try:
        _await_start(server, thread)
        yield Sandbox(origin=origin, front=front)
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


def _listen(host: str, port: int) -> socket.socket:
    # The protocol must be named: asyncio turns Nagle's delay off only where it is, and with it every answer would wait 40 ms.
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def _config(front: Front) -> uvicorn.Config:
    return uvicorn.Config(
        application(front), log_config=None, log_level="critical", access_log=False, lifespan="off", timeout_graceful_shutdown=1,
        timeout_keep_alive=60, server_header=False, date_header=True,
    )  # fmt: skip


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise OSError("the sandbox did not start")
        time.sleep(0.002)
