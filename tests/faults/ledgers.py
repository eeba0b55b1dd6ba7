"""The ledger as one process sees it: the real one, on a file of the seed's own, with a crash point before and after everything that it commits.

Where the power may fail, the file goes back to what SQLite was asked to make durable: after a commit under ``PRAGMA synchronous`` FULL or EXTRA
everything up to it, under NORMAL or OFF nothing new (SQLite's documents on that pragma, for a write-ahead log).
"""

from __future__ import annotations

import atexit
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Connection, event

from amsctl.config import Secret
from amsctl.errors import LedgerFailed
from amsctl.ledger.store import Ledger, open_ledger
from amsctl.ledger.values import Holder
from tests.faults.history import History
from tests.faults.loop import Machine, SimClock
from tests.faults.process import CURRENT, Process

_FULL = 2
"""``PRAGMA synchronous`` from which on a commit waits for the disk."""
COMMITS = ("append", "acquire", "renew", "release", "break_lock", "freeze", "thaw")


class _Clock:
    """The clock of whichever world is played now."""

    machine = Machine("")

    def monotonic(self) -> float:
        return SimClock(self.machine).monotonic()

    def wall(self) -> float:
        return SimClock(self.machine).wall()


@dataclass
class _Desk:
    """What one machine has open, from seed to seed: what SQLAlchemy has compiled once is worth keeping."""

    ledger: Ledger
    clock: _Clock
    dead: list[Callable[[Holder], bool]]


class _Shelf:
    """The file that the ledgers of all seeds of this test process stand in, one after the other."""

    def __init__(self) -> None:
        memory = Path("/dev/shm")
        self._folder = Path(tempfile.mkdtemp(prefix="amsctl-faults-", dir=memory if memory.is_dir() else None))
        atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        self._template = self._folder / "template.db"
        self.path = self._folder / "seed.db"
        open_ledger(Secret(f"sqlite:///{self._template}"), clock=_StoppedClock(), durable=False).close()
        self._desks: dict[tuple[str, bool], _Desk] = {}
        self.synced = False
        """Whether the disk was waited for since this was last looked at."""

    def clear(self) -> None:
        """An empty ledger, migrated as the real one is."""
        self.put(self._template.read_bytes())

    def put(self, content: bytes) -> None:
        """The file as it is to be from now on. Nobody may have it open."""
        for desk in self._desks.values():
            desk.ledger.close()
        for end in ("-wal", "-shm"):
            Path(f"{self.path}{end}").unlink(missing_ok=True)
        self.path.write_bytes(content)  # the file itself stays: a ledger notices when another one is put in its place

    def open(self, machine: Machine, dead: Callable[[Holder], bool], *, durable: bool) -> Ledger:
        """The ledger as the processes of a machine have it open."""
        desk = self._desks.get((machine.name, durable))
        if desk is None:
            clock, asked = _Clock(), [dead]
            url = Secret(f"sqlite:///{self.path}")
            ledger = open_ledger(
                url, clock=clock, create=False, durable=durable, dead=lambda holder: asked[0](holder), machine=_named(machine)
            )
            if durable:
                event.listen(ledger._database._engine, "commit", self._committing)
            desk = self._desks[machine.name, durable] = _Desk(ledger, clock, asked)
        desk.clock.machine = machine
        desk.dead[0] = dead
        desk.ledger._machine = _named(machine)  # another one since its last start
        return desk.ledger

    def _committing(self, connection: Connection) -> None:
        level: int = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()
        self.synced = self.synced or level >= _FULL


class _StoppedClock:
    def monotonic(self) -> float:
        return 0.0

    def wall(self) -> float:
        return 0.0


@cache
def _shelf() -> _Shelf:
    return _Shelf()


class Books:
    """The one ledger of a world, and everybody's way to it."""

    def __init__(self, history: History, rng: Random, *, power_fails: bool) -> None:
        self.history = history
        self.rng = rng
        self.processes: dict[int, Process] = {}
        self._seq = 0
        self._power_fails = power_fails
        _shelf().clear()
        _shelf().synced = False
        self._reader = self._read()
        self._synced = self._reader.serialize() if power_fails else b""
        """What the disk is sure to hold."""

    def _read(self) -> sqlite3.Connection:
        reader = sqlite3.connect(_shelf().path, isolation_level=None)
        reader.row_factory = sqlite3.Row
        return reader

    def open(self, machine: Machine) -> Ledger:
        """The ledger as the processes of one machine have it open."""
        return _shelf().open(machine, lambda holder: self.is_dead(holder, machine), durable=self._power_fails)

    def power_failed(self) -> int:
        """The file is what the disk held; the number of the last record in it."""
        self._reader.close()
        _shelf().put(self._synced)
        self._reader = self._read()
        (self._seq,) = self._reader.execute("SELECT coalesce(max(seq), 0) FROM ledger_records").fetchone()
        return self._seq

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()

    def holder(self) -> Holder:
        """Who holds the locks of the process that asks."""
        process = CURRENT.get()
        machine = process.machine
        return Holder(user="sim", host=machine.name, pid=process.number, process_started=str(process.number), machine=_named(machine))

    def is_dead(self, holder: Holder, machine: Machine) -> bool:
        """Whether a machine knows that a process is gone: only its own ones."""
        process = self.processes[holder.pid]
        return process.machine is machine and (process.dead or process.ended)

    def note(self, process: int | None) -> None:
        """Put what was committed since into the history, as it stands in the file."""
        shelf = _shelf()
        if self._power_fails and shelf.synced:
            shelf.synced = False
            self._synced = self._reader.serialize()
        for row in self._reader.execute("SELECT * FROM ledger_records WHERE seq > ? ORDER BY seq", (self._seq,)):
            self._seq = row["seq"]
            self.history.add("ledger", p=process, record={**dict(row), "body": json.loads(row["body"])})


def _named(machine: Machine) -> str:
    return f"{machine.name}.{machine.starts}/pids"


class RecordedLedger:
    """The ledger in the hands of one process."""

    def __init__(self, books: Books, process: Process, *, full_disk: float = 0.0) -> None:
        self._books = books
        self._process = process
        self._inner = books.open(process.machine)
        self._full_disk = full_disk

    def __getattr__(self, name: str) -> Callable[..., Any]:
        work = getattr(self._inner, name)
        if name not in COMMITS:
            return self._reading(work)
        return self._committing(name, work)

    def _reading(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def read(*arguments: Any, **named: Any) -> Any:
            self._process.check()
            return work(*arguments, **named)

        return read

    def _committing(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def commit(*arguments: Any, **named: Any) -> Any:
            process = self._process
            process.point(f"before-{name}")
            if self._full_disk and self._books.rng.random() < self._full_disk and name in ("append", "renew"):
                self._books.history.add("full-disk", p=process.number, what=name)
                raise LedgerFailed("the disk is full")
            try:
                result = work(*arguments, **named)
            finally:
                self._books.note(process.number)
            process.point(f"after-{name}")
            return result

        return commit
