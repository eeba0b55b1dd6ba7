"""The stand-in on a port: in a thread for tests (``serve``), in the foreground for the command (``run``), in a process of its own for benchmarks."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from amsctl.sandbox.application import Connections, Front, application
from amsctl.sandbox.auth import TOKEN_PATH, Auth, Gate
from amsctl.sandbox.endpoints import BASE_PATH, Service
from amsctl.sandbox.faults import Faults
from amsctl.sandbox.log import Log
from amsctl.sandbox.oddities import Oddities
from amsctl.sandbox.rendering import Renderer
from amsctl.sandbox.state import Book
from amsctl.sandbox.storage import StateFile

_START_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """TLS for the stand-in: certificate chain and key as PEM files; with ``client_ca`` callers must show a certificate that it signed."""

    chain: str
    key: str
    client_ca: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where a stand-in is. ``origin`` is scheme, host and port."""

    origin: str

    @property
    def url(self) -> str:
        """The base URL of the AMS, ``…/rest/v2``."""
        return self.origin + BASE_PATH

    @property
    def token_url(self) -> str:
        """The OAuth2 token endpoint."""
        return self.origin + TOKEN_PATH

    @property
    def control_url(self) -> str:
        """The control endpoints, ``…/_sandbox``."""
        return self.origin + "/_sandbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox(Addresses):
    """A stand-in that is being served."""

    front: Front

    @property
    def book(self) -> Book:
        """The book behind it."""
        return self.front.service.book

    @property
    def gate(self) -> Gate:
        """Tokens and sessions."""
        return self.front.gate

    @property
    def faults(self) -> Faults:
        """The fault switchboard."""
        return self.front.faults

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
        self.front.service.switch(**changes)

    def reset(self) -> None:
        """The book and the switches as at the start, no faults, an empty log, nobody logged on."""
        self.front.reset()


@contextmanager
def serve(
    book: Book | None,
    *,
    auth: Auth | None = None,
    oddities: Oddities | None = None,
    faults: Faults | None = None,
    port: int = 0,
    host: str = "127.0.0.1",
    state: str | Path | None = None,
    control: bool = True,
    log_size: int = 10_000,
    tls: Certificate | None = None,
) -> Iterator[Sandbox]:
    """Serve a book in a thread of this program until the block ends.

    The book as it is now is the one that ``reset()`` brings back. ``port`` 0 is any free one. With ``state`` the book is kept in that SQLite
    file: an existing file wins over ``book``, which may then be ``None``.
    Raises ``OSError`` for a port that is taken, ``ValueError`` for a file that is not a state file.
    """
    with ExitStack() as stack:
        if state is not None:
            book = stack.enter_context(StateFile(state, book)).book
        assert book is not None, "without a state file there must be a book"
        listener = stack.enter_context(_listening(host, port))
        shown = f"[{host}]" if ":" in host else host
        origin = f"{'https' if tls else 'http'}://{shown}:{listener.getsockname()[1]}"
        book.mark()
        service = Service(Renderer(book, oddities or Oddities(), origin + BASE_PATH))
        front = Front(service=service, gate=Gate(auth or Auth()), faults=faults or Faults(), log=Log(log_size))
        stack.enter_context(_running(uvicorn.Server(_config(front, control, tls)), listener))
        yield Sandbox(origin=origin, front=front)


def run(book: Book | None, *, started: Callable[[Sandbox], object], **options: Any) -> int:
    """Serve in the foreground until SIGINT or SIGTERM, and give the number of the signal. Only from the main thread.

    ``started`` is called once it serves, to say so; ``options`` are those of :func:`serve`. Prints nothing itself.
    """
    received: list[int] = []

    def stop(number: int, frame: object) -> None:
        received.append(number)

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with serve(book, **options) as sandbox:
            started(sandbox)
            # Looked at now and then, not waited for: a signal that comes right before a wait begins does not end it, and one that comes within
            # an event's own lock would wait for itself.
            while not received:
                time.sleep(_LOOK_SECONDS)
    finally:
        for number, action in previous.items():
            signal.signal(number, action)
    return received[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSandbox(Addresses):
    """A stand-in in a process of its own: only its addresses and its process id are known here, the rest goes through ``control_url``."""

    pid: int


@contextmanager
def serve_apart(make_book: Callable[[], Book], *, start_seconds: float = 120.0, **options: Any) -> Iterator[RemoteSandbox]:
    """Serve in a fresh process until the block ends, or this program does.

    ``make_book`` must be importable or a partial of something that is (``partial(generate, 1000, 20, seed=1)``); ``options`` are those of
    :func:`serve`. Raises ``OSError`` if it has not started after ``start_seconds``.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=_serve_until_closed, args=(there, make_book, options), daemon=True)
    child.start()
    there.close()
    try:
        try:
            origin = here.recv() if here.poll(start_seconds) else None
        except EOFError:
            origin = None
        if origin is None:
            raise OSError("the sandbox process did not start")
        yield RemoteSandbox(origin=origin, pid=child.pid or 0)
    finally:
        here.close()
        child.join(timeout=10)
        if child.is_alive():
            child.kill()
            child.join()


def _serve_until_closed(pipe: Connection, make_book: Callable[[], Book], options: dict[str, Any]) -> None:
    """The other process: tell the address, then serve until the pipe closes, by whatever end its owner came to."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with serve(make_book(), **options) as sandbox:
        pipe.send(sandbox.origin)
        try:
            pipe.recv()
        except EOFError:
            return


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    # The protocol must be named: asyncio turns Nagle's delay off only where it is, and with it every answer would wait 40 ms.
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        yield listener


def _config(front: Front, control: bool, tls: Certificate | None) -> uvicorn.Config:
    return uvicorn.Config(
        application(front, control=control), http=_registering(front.connections), log_config=None, log_level="critical", access_log=False,
        lifespan="off", ws="none", timeout_graceful_shutdown=1, timeout_keep_alive=60, server_header=False, proxy_headers=False,
        ssl_certfile=tls.chain if tls else None, ssl_keyfile=tls.key if tls else None, ssl_ca_certs=tls.client_ca if tls else None,
        ssl_cert_reqs=2 if tls and tls.client_ca else 0,
    )  # fmt: skip


def _registering(connections: Connections) -> type[asyncio.Protocol]:
    """uvicorn's HTTP protocol, noting each open connection where faults find it."""

    class RegisteringProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
        _caller: tuple[str, int] = ("", 0)

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self._caller = transport.get_extra_info("peername")[:2]
            connections[self._caller] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            connections.pop(self._caller, None)
            super().connection_lost(exc)

    return RegisteringProtocol


@contextmanager
def _running(server: uvicorn.Server, listener: socket.socket) -> Iterator[None]:
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="amsctl-sandbox", daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise OSError("the sandbox did not start")
            time.sleep(0.002)
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=10)
