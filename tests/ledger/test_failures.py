"""When the database fails: an error that says what and where, and nothing half recorded."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from amsctl.config import Secret
from amsctl.errors import LedgerFailed
from amsctl.ledger import database
from amsctl.ledger.store import Ledger, open_ledger
from tests.ledger.samples import SCOPE, TestClock, intent, started, take
from tests.project.checkout import ROOT

AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "ledger.db"


def opened(path: Path, *, create: bool = True) -> Ledger:
    return open_ledger(Secret(f"sqlite:///{path}"), clock=TestClock(), create=create)


# --- the file ---


def test_the_file_is_its_owners_alone(path: Path) -> None:
    """Mode 0600 in a folder 0700 that git ignores, whatever the umask; SQLite's own files too."""
    before = os.umask(0)
    try:
        with opened(path) as ledger:
            ledger.append([started()])
            modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert set(modes) >= {"ledger.db", "ledger.db-wal", ".gitignore"}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert (path.parent / ".gitignore").read_text() == "*\n"


def test_a_folder_that_was_there_is_left_as_it_is(tmp_path: Path) -> None:
    """Only what was made here is closed and ignored."""
    tmp_path.chmod(0o755)
    opened(tmp_path / "ledger.db").close()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert not (tmp_path / ".gitignore").exists()


def test_commits_wait_for_the_disk(path: Path) -> None:
    """A write-ahead log, and full sync on every connection; only a simulator may do without."""
    for durable, wanted in ((True, 2), (False, 0)):
        with (
            open_ledger(Secret(f"sqlite:///{path}"), clock=TestClock(), durable=durable) as ledger,
            ledger._database.reading() as connection,
        ):
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == wanted


def test_without_a_write_ahead_log_the_journals_end_is_made_durable() -> None:
    """Where SQLite cannot share memory, the removal of its journal is the commit: EXTRA makes that durable, too."""

    class Found:
        def __init__(self, mode: str) -> None:
            self.mode = mode

        def fetchone(self) -> tuple[str]:
            return (self.mode,)

    assert not database._write_ahead(lambda statement: Found("delete"))
    assert database._write_ahead(lambda statement: Found("wal"))


def test_folders_are_not_opened_where_they_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no descriptor for a folder, and makes names durable by itself."""
    with monkeypatch.context() as there:
        there.setattr(os, "name", "nt")
        database._keep_folder("/nowhere/at/all")
    with pytest.raises(FileNotFoundError):
        database._keep_folder("/nowhere/at/all")


def test_an_empty_file_becomes_a_ledger(path: Path) -> None:
    """A kill between making the file and the tables is no damage."""
    path.parent.mkdir()
    path.touch()
    with pytest.raises(LedgerFailed, match="there is no ledger yet"):
        opened(path, create=False)
    with opened(path) as ledger:
        ledger.append([started()])


@pytest.mark.parametrize("content", [b"hello, I am a text\n" * 100, b"\x00" * 5000, os.urandom(8192)])
def test_a_file_that_is_no_database(path: Path, content: bytes) -> None:
    """It is left as it is."""
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(LedgerFailed, match="this file is no ledger") as told:
        opened(path)
    assert str(path) in str(told.value)
    assert path.read_bytes() == content


def test_somebody_elses_database(path: Path) -> None:
    """Tables of another program are not joined."""
    path.parent.mkdir()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE customers (id INTEGER)")
    other.close()
    with pytest.raises(LedgerFailed, match="no ledger, and somebody else's"):
        opened(path)


@pytest.mark.parametrize("blocked", ["the folder is a file", "the file is a folder"])
def test_a_path_that_leads_nowhere(tmp_path: Path, blocked: str) -> None:
    """What is in the way is named."""
    path = tmp_path / "x" / "ledger.db"
    if blocked == "the file is a folder":
        path.mkdir(parents=True)
    else:
        path.parent.write_text("x")
    with pytest.raises(LedgerFailed) as told:
        opened(path)
    assert str(path) in str(told.value)


def test_two_make_the_same_folder(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes second finds it made."""
    path.parent.mkdir()
    monkeypatch.setattr(os.path, "isdir", lambda one, real=os.path.isdir: one != str(path.parent) and real(one))
    monkeypatch.setattr(os.path, "exists", lambda one, real=os.path.exists: one != str(path) and real(one))
    path.touch()
    database.make_file(str(path))
    assert not (path.parent / ".gitignore").exists()


def test_damage_in_the_file_is_told(path: Path) -> None:
    """A page of noise in the middle: the log or the verification stops with the right word, never with a traceback."""
    with opened(path) as ledger:
        ledger.append([started()])
        ledger.append([intent(step=f"s{number}") for number in range(400)])
    content = bytearray(path.read_bytes())
    content[4096 * 4 :] = os.urandom(len(content) - 4096 * 4)
    path.write_bytes(content)
    with pytest.raises(LedgerFailed, match=r"damaged|changed from outside"):
        opened(path).verify()


def test_a_short_file_is_told(path: Path) -> None:
    """Half a file is damage, too."""
    with opened(path) as ledger:
        ledger.append([intent(step=f"s{number}") for number in range(400)])
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(LedgerFailed):
        opened(path).verify()


def test_another_program_that_locks_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for, and then named as what it is."""
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0.1)
    with opened(path) as ledger:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerFailed, match="another program keeps it locked"):
            ledger.append([started()])
        assert list(ledger.records()) == []  # reading goes on
        other.execute("ROLLBACK")
        other.close()
        ledger.append([started()])


def test_the_switch_to_the_log_is_tried_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite does not wait there by itself; a real failure is not waited for."""
    tries = []

    def run(statement: str) -> object:
        if "= WAL" not in statement:
            return sqlite3.connect(":memory:").execute("SELECT 'delete'")
        tries.append(statement)
        if len(tries) < 3:
            raise sqlite3.OperationalError("database is locked")
        return sqlite3.connect(":memory:").execute("SELECT 'wal'")

    assert database._write_ahead(run)
    assert len(tries) == 3
    monkeypatch.setattr(database, "_BUSY_SECONDS", -1)
    tries.clear()
    with pytest.raises(sqlite3.OperationalError):
        database._write_ahead(run)


# --- the disk ---

FULL = """
import resource, signal, sys
from amsctl.config import Secret
from amsctl.errors import LedgerFailed
from amsctl.ledger.store import open_ledger
from tests.ledger.samples import TestClock, intent
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
ledger = open_ledger(Secret("sqlite:///" + sys.argv[1]), clock=TestClock())
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
kept = 0
try:
    while kept < 5000:
        ledger.append([intent(step=f"s{kept}")])
        kept += 1
except LedgerFailed as problem:
    print(kept, problem)
"""


@pytest.mark.parametrize("room", [300_000, 777_777])
def test_a_full_disk_loses_nothing_that_was_acknowledged(path: Path, room: int) -> None:
    """The append that did not fit fails; those before it are there, and the ledger goes on when there is room again."""
    done = subprocess.run([sys.executable, "-c", FULL, str(path), str(room)], cwd=ROOT, capture_output=True, text=True, check=True)
    count, _, message = done.stdout.partition(" ")
    assert "the ledger cannot be used" in message
    with opened(path) as ledger:
        assert ledger.verify().attempts == int(count) > 2
        ledger.append([intent(step="later")])


@pytest.mark.parametrize(("number", "hint"), [(errno.ENOSPC, "make room"), (errno.EIO, "check the disk"), (errno.EACCES, "owner and mode")])
def test_what_to_do_when_the_file_cannot_be_made(path: Path, monkeypatch: pytest.MonkeyPatch, number: int, hint: str) -> None:
    """A full disk has nothing to do with who owns the folder."""

    def failing(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(LedgerFailed, match=f"the ledger cannot be made.*{os.strerror(number)}; .*{hint}"):
        opened(path)


def test_failures_of_the_disk_are_called_by_their_names() -> None:
    """Full, failing, read-only: in the words of either driver."""
    place = database.Database(Secret("sqlite:////nowhere"), durable=True)
    for words in ("database or disk is full", "could not extend file: No space left on device"):
        assert "the disk is full" in str(place._failed(sqlite3.OperationalError(words)))
    assert "the disk fails" in str(place._failed(sqlite3.OperationalError("disk I/O error")))
    for words in ("attempt to write a readonly database", "cannot execute INSERT in a read-only transaction"):
        assert "it cannot be written to" in str(place._failed(sqlite3.OperationalError(words)))


def test_a_ledger_that_may_only_be_read(path: Path) -> None:
    """Reading works; what must be written fails, and says which file."""
    with opened(path) as ledger:
        ledger.append([started()])
        with ledger._database.reading() as connection:
            connection.exec_driver_sql("PRAGMA query_only = ON")
        assert ledger.head().seq == 1
        with pytest.raises(LedgerFailed, match=r"it cannot be written to \(ledger .*/ledger.db\)"):
            ledger.append([intent()])


UNPRIVILEGED = """
import os, sys
from amsctl.config import Secret
from amsctl.errors import LedgerFailed
from amsctl.ledger.store import exists, open_ledger
from tests.ledger.samples import TestClock
url = Secret("sqlite:///" + sys.argv[1])
import amsctl.ledger.database, amsctl.ledger.migrations, sqlalchemy.dialects.sqlite.pysqlite, alembic.command
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    open_ledger(url, clock=TestClock(), create=sys.argv[2] == "create").close()
    print("opened")
except LedgerFailed as problem:
    print(problem)
"""


@pytest.mark.parametrize(
    ("mode", "folder", "create"), [(0o000, 0o755, "no"), (0o000, 0o755, "create"), (0o600, 0o000, "no"), (0o600, 0o000, "create")]
)
def test_a_ledger_that_may_not_be_opened(path: Path, mode: int, folder: int, create: str) -> None:
    """Another user's file, or one in a closed folder: told without a traceback."""
    opened(path).close()
    for parent in path.parents[1:4]:
        if parent != Path("/tmp") and parent.is_dir() and os.access(parent, os.W_OK):
            parent.chmod(0o755)
    path.chmod(mode)
    path.parent.chmod(folder)
    try:
        done = subprocess.run(
            [sys.executable, "-c", UNPRIVILEGED, str(path), create], cwd=ROOT, capture_output=True, text=True, check=False
        )
    finally:
        path.parent.chmod(0o700)
    assert (done.returncode, done.stderr) == (0, "")
    assert str(path) in done.stdout
    assert any(word in done.stdout for word in ("it may not be opened", "there is no ledger yet", "the ledger cannot be made")), done.stdout


def test_every_call_that_fails_leaves_the_ledger_whole(path: Path) -> None:
    """The n-th step of SQLite's work is interrupted, for every n of an acquire and an append: an error, and all or nothing recorded."""
    with opened(path) as ledger:
        lease = take(ledger)
        for budget in range(1, 400, 7):
            head = ledger.head()
            with ledger._database.reading() as connection:
                driver = connection.connection.driver_connection
            left = [budget]

            def tick(left: list[int] = left) -> int:
                left[0] -= 1
                return left[0] < 0

            assert driver is not None
            driver.set_progress_handler(tick, 5)
            try:
                ledger.append([intent(step=f"s{budget}")], lease=lease)
                done = True
            except LedgerFailed:
                done = False
            finally:
                driver.set_progress_handler(None, 0)
            assert ledger.head().seq == head.seq + done
        ledger.verify()
        assert done, "with enough steps it succeeds"


# --- what an error shows ---


def test_parameters_of_a_statement_are_not_shown(path: Path) -> None:
    """The drivers' errors come without the statement and what was in it."""
    with opened(path) as ledger:
        ledger.append([started()])
        with pytest.raises(LedgerFailed) as told:
            ledger.append([started()])
    assert "UNIQUE" in str(told.value)
    assert "INSERT" not in str(told.value)
    assert "ann@example.com" not in str(told.value)


def test_release_is_silent_when_the_ledger_is_gone(path: Path) -> None:
    """A run's end is not spoilt by a lock that runs out by itself."""
    with opened(path) as ledger:
        lease = take(ledger)
        with sqlite3.connect(path) as other:
            other.execute("DROP TABLE ledger_locks")
        other.close()
        ledger.release(lease)
        with pytest.raises(LedgerFailed):
            take(ledger, SCOPE)
