"""The real command line in a process that ends or stops itself at a chosen point: right before or after the n-th commit or POST.

Two ways to run it, both with the ``main`` of the installed program:

``python -m tests.chaos.killed ORDER ARGUMENT…``   one run, from a cold start
``python -m tests.chaos.killed --serve FD``        a server that forks one process for each order that it is handed: a process of its own, with its
                                                   own pid, lock holder and connections, without the second that imports take

An order is a JSON object: ``at`` (the number of the point, 0 for none), ``action`` (``kill`` or ``stop``), ``label`` (only
points of this name count), ``file_bytes`` (no file may grow beyond),
``user`` (a numeric user to become), ``defect`` (see ``defects``), ``disk`` (see ``disk``),
``database_seconds`` (for how long one writer waits for another, where amsctl has 15 s, and PostgreSQL for one that does nothing, where it has 10 s).
Every point that is passed is told as a line on descriptor ``tell``.
"""

from __future__ import annotations

import codecs
import ctypes
import json
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

LAST_LOOK = "last look"
WALL_VARIABLE = "AMSCTL_TEST_WALL"
_DIES_WITH_ITS_PARENT = 1
"""``PR_SET_PDEATHSIG`` of prctl(2)."""
ACTIONS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


class Points:
    """Counts the points that a process passes, and acts at one of them."""

    def __init__(self, at: int, action: str, tell: int | None, label: str | None = None) -> None:
        self._at = at
        self._label = label
        self._signal = ACTIONS[action]
        self._tell = tell
        self._passed: Counter[str] = Counter()
        self._lock = threading.Lock()

    def reach(self, label: str) -> None:
        with self._lock:
            self._passed[label] += 1
            number = self._passed.total() if self._label is None else self._passed[label]
            if self._tell is not None:
                os.write(self._tell, f"{number} {label}\n".encode())
            if number == self._at and self._label in (None, label):
                # To this thread: a signal to the process may be taken by another one, and this one would run on for a moment.
                signal.pthread_kill(threading.get_ident(), self._signal)

    def install(self) -> None:
        """Points around every commit of a database and every POST, whoever asks for them."""
        from sqlalchemy import Connection

        from amsctl.ams.transport import Line

        reach, commit, exchange = self.reach, Connection.commit, Line.exchange

        def commit_between(connection: Connection) -> None:
            reach("before commit")
            commit(connection)
            reach("after commit")

        def exchange_between(line: Line, method: str, *arguments: Any, **named: Any) -> Awaitable[Any]:
            return posted(line, method, *arguments, **named) if method == "POST" else exchange(line, method, *arguments, **named)

        async def posted(line: Line, *arguments: Any, **named: Any) -> Any:
            reach("before POST")
            try:
                return await exchange(line, *arguments, **named)
            finally:
                reach("after POST")

        if self._label == LAST_LOOK:
            self._install_last_look()
        Connection.commit = commit_between  # type: ignore[method-assign]
        Line.exchange = exchange_between  # type: ignore[method-assign, assignment]

    def _install_last_look(self) -> None:
        """One more point: the lock was looked at for the last time, the connection is there, and not a byte has left."""
        from amsctl.ams.transport import _PASSAGE, _Connector

        connect = _Connector.connect

        async def connected(*arguments: Any, **named: Any) -> Any:
            connection = await connect(*arguments, **named)
            passage = _PASSAGE.get()
            if passage is not None and passage.leaving is not None:
                self.reach(LAST_LOOK)
            return connection

        _Connector.connect = connected  # type: ignore[method-assign]


def run(arguments: Sequence[str], order: Mapping[str, Any], tell: int | None) -> int:
    """One command line, with its points."""
    if order.get("file_bytes") is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_bytes"], order["file_bytes"]))
    if order.get("user") is not None:
        os.setgroups([])
        os.setuid(order["user"])
    if order.get("database_seconds") is not None:
        _shorten(order["database_seconds"])
    Points(order.get("at", 0), order.get("action", "kill"), tell, order.get("label")).install()
    if order.get("defect") is not None:
        from tests.chaos.defects import plant

        plant(order["defect"])
    if WALL_VARIABLE in os.environ:
        _set_ahead(os.environ[WALL_VARIABLE])
    from amsctl.cli.main import main

    if order.get("disk") is None:
        return main(list(arguments))
    from tests.chaos.disk import failing

    with failing(**order["disk"]) as calls:
        code = main(list(arguments))
    assert tell is not None
    os.write(tell, f"{calls()}\n".encode())
    return code


def _set_ahead(path: str) -> None:
    """The wall clock is ahead by as many seconds as a file says at that moment; what is left of a window is then for a test to say."""
    from amsctl.ams.clock import SystemClock

    def wall(clock: SystemClock) -> float:
        with open(path, encoding="ascii") as ahead:
            return time.time() + float(ahead.read())

    SystemClock.wall = wall  # type: ignore[method-assign]


def _shorten(seconds: float) -> None:
    """The waits of databases; what happens at their end is what tests are about."""
    from sqlalchemy import text

    from amsctl.ledger import database

    begin = str(database._POSTGRESQL_BEGIN)
    assert "'10000'" in begin
    database._BUSY_SECONDS = seconds  # type: ignore[misc, assignment]
    database._POSTGRESQL_BEGIN = text(begin.replace("'10000'", f"'{int(seconds * 1000)}'"))  # type: ignore[misc]


# --- the server ---


def _warm() -> None:
    """Import what a run imports."""
    import importlib
    import pkgutil

    import amsctl

    for module in pkgutil.walk_packages(amsctl.__path__, "amsctl."):
        if not module.name.startswith(("amsctl.sandbox", "amsctl.__main__", "amsctl.ledger.migrations.")):
            importlib.import_module(module.name)
    for name in (
        "sqlalchemy.dialects.sqlite.pysqlite",
        "sqlalchemy.dialects.postgresql.psycopg",
        "dateutil.rrule",
        "deepdiff",
        "alembic.command",
    ):
        importlib.import_module(name)
    for name in ("utf-8-sig", "idna"):
        codecs.lookup(name)


def serve(control: socket.socket) -> None:
    """Fork on request until the other side is gone."""
    _warm()
    import gc

    gc.freeze()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    control.sendall(b"ready\n")
    import select

    while True:
        readable, _, _ = select.select([control, woken], [], [])
        if woken in readable:
            os.read(woken, 4096)
            _reap(control)
        if control in readable:
            message, descriptors, _, _ = socket.recv_fds(control, 1 << 20, 3)
            if not message:
                return
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                for descriptor in (woken, wake, control.fileno()):
                    os.close(descriptor)
                _become(json.loads(message), descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            control.sendall(f"started {pid}\n".encode())


def _reap(control: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        control.sendall(f"ended {pid} {os.waitstatus_to_exitcode(status)}\n".encode())


def _become(message: Mapping[str, Any], descriptors: Sequence[int]) -> None:
    """What a fresh interpreter would be handed by the system; never returns."""
    code = 70
    try:
        ctypes.CDLL(None).prctl(_DIES_WITH_ITS_PARENT, signal.SIGKILL)  # a process that is stopped would stay for ever
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (descriptors[0], 1), (descriptors[1], 2)):
            os.dup2(source, target)
            os.close(source)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        os.environ.clear()
        os.environ.update(message["environ"])
        os.chdir(message["folder"])
        code = run(message["arguments"], message["order"], descriptors[2])
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException as problem:
        os.write(2, f"the child failed: {problem!r}\n".encode())
    finally:
        os._exit(code)


def _main(arguments: Sequence[str]) -> int:
    if arguments[0] == "--serve":
        serve(socket.socket(fileno=int(arguments[1])))
        return 0
    order = json.loads(arguments[0])
    return run(arguments[1:], order, order.get("tell"))


Runner = Callable[[Sequence[str]], int]

if __name__ == "__main__":
    raise SystemExit(_main(sys.argv[1:]))
