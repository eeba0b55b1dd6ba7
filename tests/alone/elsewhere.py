"""A place that must hear nothing: a server beside the AMS and the forge, which writes down every byte that reaches it, and what tries to lead there."""

from __future__ import annotations

import re
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from amsctl import api
from amsctl.cli.planning import read_plan
from amsctl.errors import AmsctlError
from tests.alone.desk import RAISED, Desk, account
from tests.alone.test_runs import request_job
from tests.cli.conftest import Ran
from tests.forge.fake import TOKEN
from tests.hostile.canaries import HUNT

_ANSWER = b'{"access_token": "tail", "token_type": "bearer", "expires_in": 1799}'
_LENGTH = re.compile(rb"(?i)content-length: *(\d+)")


@dataclass
class Trap:
    """``heard`` is what came over each connection, one entry each, also where it was no HTTP."""

    port: int = 0
    heard: list[bytes] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def secrets(self) -> list[bytes]:
        """What of it carries a secret of the job."""
        return [one for one in self.heard if TOKEN.encode() in one or HUNT.holds(one)]


@contextmanager
def listening() -> Iterator[Trap]:
    """A trap on a free port."""
    trap = Trap()

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(5)
            content = b""
            trap.heard.append(content)
            at = len(trap.heard) - 1
            while not _whole(content):
                try:
                    piece = self.request.recv(65536)
                except OSError:
                    break
                if not piece:
                    break
                content += piece
                trap.heard[at] = content
            self.request.sendall(
                b"HTTP/1.1 200 OK\r\nConnection: close\r\nSet-Cookie: S=1\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(_ANSWER), _ANSWER)
            )

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Who hangs up early has been heard all the same."""

    with Server(("127.0.0.1", 0), Connection) as server:
        trap.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield trap
        finally:
            server.shutdown()
            thread.join()


def _whole(content: bytes) -> bool:
    head, end, body = content.partition(b"\r\n\r\n")
    told = _LENGTH.search(head)
    return bool(end) and len(body) >= (int(told[1]) if told else 0)


@dataclass
class Place:
    """One test's desk and trap."""

    desk: Desk
    trap: Trap

    def change(self) -> None:
        """Go to the branch of the request."""
        if self.desk.git("branch", "--show-current") != "change":
            self.desk.git("switch", "--quiet", "-c", "change")

    def job(self, base: str = "main") -> dict[str, str]:
        """The environment of the plan job of a request."""
        self.desk.upstream()
        return request_job(self.desk, base, "jo-gh")

    def read(self, code: int, *options: str) -> None:
        """Everything that asks the AMS, by a person, by a job and by a program, ends with ``code``."""
        desk = self.desk
        self.same(desk.run(*options, "plan", "--base", "main"), code)
        self.same(desk.run(*options, "plan", environ=self.job()), code)
        self.same(desk.run(*options, "get", "limits"), code)
        assert self.by_program() == code

    def by_program(self) -> int:
        """The exit code of what ``amsctl.api`` raises when it reads."""
        try:
            api.read_live(api.load_manifests(self.desk.root))
        except AmsctlError as problem:
            return int(problem.exit_code)
        return 0

    def same(self, ran: Ran, code: int) -> Ran:
        assert (ran.code, ran.code == code) == (code, True), ran.out + ran.err
        return ran

    def raised(self) -> str:
        """jo's raise beside what the change holds already; the plan of the job."""
        self.change()
        self.desk.write("accounts/a.yaml", account(RAISED))
        self.desk.commit(who="jo")
        return self.desk.plan("--base", "main", environ=self.job())

    def stays(self) -> None:
        """The change plans, reads and writes where main says: nothing before it is approved, and then at the AMS, in main's ledger."""
        file, desk = self.raised(), self.desk
        self.read(0)
        target = read_plan(file).target
        assert (target.url, target.ams, target.environment) == (desk.ams.url, "desk", "desk")
        self.same(desk.apply(file), 8)
        assert desk.writes() == []
        self.same(desk.approve("kim", file), 0)
        done = self.same(desk.run("apply", file), 0)
        assert f"ledger {desk.home / 'ledger.db'}" in done.err
        assert len(desk.writes()) == 1
        assert desk.short() == RAISED
        desk.forget()


Attempt = Callable[[Place], None]


class Attempts(dict[str, Attempt]):
    """Attempts by a sentence."""

    heard: set[str]

    def __init__(self) -> None:
        super().__init__()
        self.heard = set()

    def add(self, name: str, *, heard: bool = False) -> Callable[[Attempt], Attempt]:
        """``heard``: the trap is asked, by right, and without a secret."""

        def keep(attempt: Attempt) -> Attempt:
            assert name not in self, name
            self[name] = attempt
            if heard:
                self.heard.add(name)
            return attempt

        return keep

    def check(self, name: str, place: Place) -> None:
        """The trap heard nothing (of a secret), and what the attempt itself asserts."""
        self[name](place)
        assert place.trap.secrets == []
        assert bool(place.trap.heard) == (name in self.heard), place.trap.heard
        assert place.desk.writes() == []
