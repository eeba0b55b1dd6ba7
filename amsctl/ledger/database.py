"""A database as the ledger needs it, SQLite or PostgreSQL: durable transactions one after the other, and errors in the words of this project."""

from __future__ import annotations

import errno
import logging
import os
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final
from urllib.parse import quote, quote_plus

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, inspect, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from amsctl.config import Secret
from amsctl.errors import LedgerFailed
from amsctl.ledger.schema import REVISIONS, VERSION_TABLE

SQLITE: Final = "sqlite:///"
POSTGRESQL: Final = "postgresql://"

_BUSY_SECONDS: Final = 15
"""For how long one writer waits for another one: SQLite's busy timeout, and a little more than PostgreSQL gives a transaction that does nothing."""

# For this transaction alone: behind a pooler a session belongs to nobody. A transaction that is stopped half-way (SIGSTOP) is ended by the server.
_POSTGRESQL_BEGIN: Final = text(
    "SELECT set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') = 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true),"
    " set_config('idle_in_transaction_session_timeout', '10000', true),"
    f" set_config('lock_timeout', '{_BUSY_SECONDS}000', true), set_config('statement_timeout', '60000', true)"
)
_MIGRATING: Final = 0x616D7363746C
"""The number of the advisory lock (of one transaction) under which PostgreSQL's tables are made."""
_WRITING: Final = "amsctl_writing"

# What goes wrong is told in our own words. The library's, with a traceback, would reach standard error wherever nobody has set up a log.
logging.getLogger("sqlalchemy").addHandler(logging.NullHandler())

_CAUSES: Final = (
    ("no space left|disk is full|could not extend|disk full", "the disk is full", "make room; nothing was recorded, so nothing was sent"),
    ("file is not a database|file is encrypted", "this file is no ledger", "spec.ledger.url names another file than amsctl made"),
    ("malformed|corrupt|invalid page", "the file is damaged", "put back a backup, and compare its head with the one that was anchored (amsctl ledger verify)"),
    ("readonly|read-only|read only", "it cannot be written to", "check the owner and mode of the file and its folder, or whether the server is a standby"),
    ("database is locked|lock timeout|could not obtain lock", "another program keeps it locked", "find who holds it open; a backup must not lock it for long"),
    ("unable to open|permission denied|insufficient privilege", "it may not be opened", "check the owner and mode of file and folder, or the role's rights"),
    ("password authentication|no password|role .* does not exist|pg_hba", "the server refused the login", "check the user and password in spec.ledger.url"),
    ("disk i/o|input/output error", "the disk fails", "check the disk; nothing was recorded, so nothing was sent"),
)  # fmt: skip


class Database:
    """One ledger's database, for every thread of a process: a lock lets one of them in at a time.

    ``durable=False`` lets SQLite answer before the disk has it: for simulators, whose power never fails.
    """

    def __init__(self, url: Secret, *, durable: bool) -> None:
        self._lock = threading.RLock()
        self._durable = durable
        self._file: tuple[int, int] | None = None
        """Device and number of the file that was first written to."""
        revealed = url.reveal()
        self._masks: tuple[str, ...] = ()
        if revealed.startswith(SQLITE):
            self.path: str | None = revealed.removeprefix(SQLITE)
            self.place = f"ledger {self.path}"
            self._engine = self._sqlite(self.path)
        else:
            self.path = None
            self.place = "ledger"
            self._engine = self._postgresql(revealed)

    # --- the two engines ---

    def _sqlite(self, path: str) -> Engine:
        engine = create_engine(
            URL.create("sqlite+pysqlite", database=path),
            poolclass=QueuePool,
            pool_size=1,
            max_overflow=0,
            hide_parameters=True,
            connect_args={"check_same_thread": False, "timeout": _BUSY_SECONDS},
        )
        event.listen(engine, "connect", self._sqlite_connected)
        event.listen(engine, "begin", _sqlite_begin)
        return engine

    def _sqlite_connected(self, connection: Any, record: object) -> None:
        # The driver would begin transactions late and end them early by itself; SQLAlchemy's documents give this way round it.
        connection.isolation_level = None
        run = connection.execute
        wal = _write_ahead(run)
        # Without a write-ahead log (file systems that cannot share memory) a commit is the removal of a journal, which EXTRA makes durable, too.
        run(f"PRAGMA synchronous = {('FULL' if wal else 'EXTRA') if self._durable else 'OFF'}")
        run("PRAGMA fullfsync = ON")  # macOS: the disk's own cache, too

    def _postgresql(self, revealed: str) -> Engine:
        try:
            url = make_url(revealed).set(drivername="postgresql+psycopg")
        except (ArgumentError, ValueError):
            # Not the driver's words: they would repeat the address.
            raise LedgerFailed(
                "the ledger's address cannot be used", expected="sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/NAME"
            ) from None
        self._masks = tuple(sorted(_secrets_of(url, revealed), key=len, reverse=True))
        self.place = f"ledger {self._masked(url.host or url.query.get('host') or 'PostgreSQL')}/{url.database or ''}"
        usual: dict[str, Any] = {"connect_timeout": 10, "tcp_user_timeout": 30_000, "application_name": "amsctl"}
        arguments = {name: setting for name, setting in usual.items() if name not in url.query}
        try:
            return create_engine(
                url,
                poolclass=QueuePool,
                pool_size=1,
                max_overflow=0,
                hide_parameters=True,
                isolation_level="READ COMMITTED",
                use_native_hstore=False,
                connect_args={
                    **arguments,
                    "prepare_threshold": None,
                },  # a prepared statement belongs to a session, a pooler's session to nobody
            )
        except ImportError:
            raise LedgerFailed(
                "a ledger in PostgreSQL needs the psycopg library", where=self.place, hint="pip install 'amsctl[postgresql]'"
            ) from None
        except (SQLAlchemyError, TypeError, ValueError) as problem:
            raise self._failed(problem) from None

    @property
    def is_sqlite(self) -> bool:
        """Whether one file is the whole database."""
        return self.path is not None

    # --- transactions ---

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is durable when this is left, and undone when it is left by an exception."""
        with self._entered({_WRITING: True}) as connection:
            yield connection
            self._check_file()
            connection.commit()

    def _check_file(self) -> None:
        """LedgerFailed when the file that is open is no longer the one at its path: what is written to it, nobody would find."""
        if self.path is None:
            return
        try:
            now = os.stat(self.path)
        except OSError:
            found = None
        else:
            found = (now.st_dev, now.st_ino)
        self._file = self._file or found
        if found is None or found != self._file:
            raise LedgerFailed(
                "the ledger's file was taken away while it was in use",
                where=self.place,
                found="no file" if found is None else "another file",
                hint="put it back; nothing further is sent without it",
            )

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database and changes nothing."""
        options: dict[str, Any] = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self._entered(options) as connection:
            yield connection

    @contextmanager
    def _entered(self, options: dict[str, Any]) -> Iterator[Connection]:
        with self._lock, self._translated():
            connection = self._begun(options)
            try:
                yield connection
            finally:
                with suppress(SQLAlchemyError):  # a connection that is lost has nothing left to undo
                    connection.rollback()
                connection.close()

    def _begun(self, options: dict[str, Any]) -> Connection:
        """A connection in a transaction. One that was lost since it was last used is replaced, once: nothing was asked of it yet."""
        try:
            return self._begin(options)
        except DBAPIError as problem:
            if not problem.connection_invalidated:
                raise
        return self._begin(options)

    def _begin(self, options: dict[str, Any]) -> Connection:
        connection = self._engine.connect().execution_options(**options)
        try:
            connection.begin()
            if not self.is_sqlite:
                connection.execute(_POSTGRESQL_BEGIN)
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock, suppress(SQLAlchemyError):
            self._engine.dispose()

    # --- the version ---

    def prepare(self, *, create: bool) -> None:
        """Make sure that the database is of this version; make or migrate it when ``create``. LedgerFailed otherwise."""
        with self.reading() as connection:
            found = self._revision(connection)
        if found == REVISIONS[-1]:
            return
        self._check_revision(found)
        if not create:
            raise LedgerFailed(
                "there is no ledger yet" if found is None else "the ledger is of an older version",
                where=self.place,
                hint="the next apply makes it ready",
            )
        with self.writing() as connection:
            if not self.is_sqlite:
                connection.execute(select(func.pg_advisory_xact_lock(_MIGRATING)))
            found = self._revision(connection)  # again: somebody else may have been here
            self._check_revision(found)
            if found != REVISIONS[-1]:
                self._upgrade(connection)

    def _upgrade(self, connection: Connection) -> None:
        from alembic.util.exc import CommandError

        from amsctl.ledger.migrations import upgrade

        try:
            upgrade(connection, REVISIONS[-1])
        except CommandError as problem:
            raise LedgerFailed("the ledger cannot be migrated", where=self.place, found=str(problem)) from None

    def _revision(self, connection: Connection) -> str | None:
        tables = inspect(connection)
        if tables.has_table(VERSION_TABLE):
            revision: str | None = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - a constant
            return revision
        if self.is_sqlite and tables.get_table_names():
            raise LedgerFailed(
                "this database is no ledger, and somebody else's", where=self.place, hint="spec.ledger.url names another file"
            )
        return None

    def _check_revision(self, found: str | None) -> None:
        if found is not None and found not in REVISIONS:
            raise LedgerFailed(
                "the ledger was written by a newer amsctl", where=self.place, expected=f"at most {REVISIONS[-1]}", found=found,
                hint="upgrade amsctl here",
            )  # fmt: skip

    # --- errors ---

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error, OSError) as problem:
            raise self._failed(problem) from None

    def _failed(self, problem: Exception) -> LedgerFailed:
        cause: BaseException = problem.orig if isinstance(problem, DBAPIError) and problem.orig is not None else problem
        told = self._masked(" ".join(str(cause).split()))
        for pattern, what, hint in _CAUSES:
            if re.search(pattern, told, re.IGNORECASE):
                return LedgerFailed(f"the ledger cannot be used: {what}", where=self.place, found=told, hint=hint)
        lost = isinstance(problem, DBAPIError) and problem.connection_invalidated
        what = (
            "the connection to the ledger was lost; what was being recorded counts as not recorded" if lost else "the ledger cannot be used"
        )
        return LedgerFailed(what, where=self.place, found=told)

    def _masked(self, shown: object) -> str:
        told = str(shown)
        for mask in self._masks:
            told = told.replace(mask, "•••")
        return told


def _sqlite_begin(connection: Connection) -> None:
    # IMMEDIATE: a transaction that reads first and writes later could find itself unable to, half-way.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(_WRITING) else "BEGIN")


def _write_ahead(run: Any) -> bool:
    """Switch to a write-ahead log, which lasts. SQLite's own patience does not cover this switch, so it is repeated here."""
    mode: str = run("PRAGMA journal_mode").fetchone()[0]
    deadline = time.monotonic() + _BUSY_SECONDS
    while mode != "wal":
        try:
            mode = run("PRAGMA journal_mode = WAL").fetchone()[0]
            break
        except sqlite3.OperationalError as problem:
            if "locked" not in str(problem) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    return mode == "wal"


def _secrets_of(url: URL, revealed: str) -> set[str]:
    """Every text of the address that must not be shown, in each form in which a driver may repeat it."""
    plain = [str(url.password or "")]
    for name, setting in url.query.items():
        if "pass" in name.lower():
            plain += [setting] if isinstance(setting, str) else list(setting)
    return {form for one in plain if one for form in (one, quote(one, safe=""), quote(one), quote_plus(one))} | {revealed}


_HINTS: Final = {errno.ENOSPC: "make room", errno.EDQUOT: "make room", errno.EIO: "check the disk"}


def make_file(path: str) -> None:
    """Make the ledger's file, empty and for its owner alone, with its folder; nothing happens when it is there. LedgerFailed when it cannot be."""
    folder = os.path.dirname(path)
    try:
        if not os.path.isdir(folder):
            os.makedirs(os.path.dirname(folder), exist_ok=True)
            with suppress(FileExistsError):  # somebody else was quicker
                os.mkdir(folder, 0o700)
                _write(os.path.join(folder, ".gitignore"), b"*\n")
                _keep_folder(os.path.dirname(folder))
        if not os.path.exists(path):
            with suppress(FileExistsError):
                _write(path, b"")
        _keep_folder(folder)
    except OSError as problem:
        raise LedgerFailed(
            "the ledger cannot be made",
            where=f"ledger {path}",
            found=problem.strerror,
            hint=_HINTS.get(problem.errno or 0, "check the owner and mode of its folder"),
        ) from None


def _write(path: str, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _keep_folder(folder: str) -> None:
    """Make durable what stands in a folder: a file whose name is lost is lost."""
    if os.name == "nt":  # where a folder cannot be opened, and need not be
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
