"""What is special about a server: it goes away, it asks for a password, and a pooler may stand before it."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from sqlalchemy import Connection

from amsctl.config import Secret
from amsctl.errors import LedgerFailed
from amsctl.ledger.store import Ledger, open_ledger
from tests.ledger.samples import Place, TestClock, intent, started, take
from tests.order import until
from tests.postgres import PASSWORD, Server


@pytest.fixture
def place(postgres: Server) -> Iterator[Place]:
    name = postgres.fresh()
    yield Place(server=postgres, name=name)
    postgres.drop(name)


def writing(ledger: Ledger, work: Callable[[Connection], None]) -> None:
    """Work in a transaction of the ledger's own."""
    with ledger._database.writing() as connection:
        work(connection)


def test_a_server_that_was_restarted_between_appends(ledger: Ledger, postgres: Server) -> None:
    """The connection is found dead before anything was asked of it, and replaced: nobody notices. The chain is whole."""
    for number in range(3):
        ledger.append([intent(step=f"s{number}")])
        postgres.stop("immediate")
        postgres.start()
    ledger.append([intent(step="last")])
    assert [one.step for one in ledger.attempts()] == ["s0", "s1", "s2", "last"]
    assert ledger.verify().head.seq == 4


def test_a_server_that_is_down(ledger: Ledger, postgres: Server) -> None:
    """LedgerFailed while it is away, and everything as before when it is back."""
    lease = take(ledger)
    ledger.append([started()], lease=lease)
    postgres.stop("immediate")
    try:
        for call in (lambda: ledger.append([intent()], lease=lease), ledger.head, lambda: ledger.renew(lease)):
            with pytest.raises(LedgerFailed, match=r"the ledger cannot be used|the connection to the ledger was lost"):
                call()
        ledger.release(lease)
    finally:
        postgres.start()
    ledger.append([intent()], lease=lease)
    assert ledger.verify().head.seq == 3


def test_a_connection_that_is_cut_in_a_transaction(ledger: Ledger, postgres: Server) -> None:
    """What was being recorded counts as not recorded, whatever the server made of it; the next append is in order."""
    ledger.append([started()])

    def cut(connection: Connection) -> None:
        ledger._chain(connection, ledger._locked_head(connection), [intent()])
        with postgres.connect() as other:
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'amsctl'")

    with pytest.raises(LedgerFailed, match=r"the connection to the ledger was lost; what was being recorded counts as not recorded"):
        writing(ledger, cut)
    assert ledger.attempts() == ()
    ledger.append([intent()])
    assert ledger.verify().head.seq == 2


def _appended(kept: list[int]) -> None:
    """Wait until two more have returned: one may have been under way before."""
    before = len(kept)
    until(lambda: len(kept) >= before + 2)


def test_restarts_under_load_lose_nothing(ledger: Ledger, postgres: Server) -> None:
    """Appends go on while the server is killed and started: each that returned is there, once."""
    kept: list[int] = []
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            try:
                records, _ = ledger.append([intent(step="s")])
                kept.append(records[0].seq)
            except LedgerFailed:
                time.sleep(0.02)

    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(3):
        _appended(kept)
        postgres.stop("immediate")
        postgres.start()
    _appended(kept)
    ended.set()
    writer.join()
    there = [record.seq for record in ledger.records()]
    assert len(kept) > 3
    assert set(kept) <= set(there)
    assert there == list(range(1, len(there) + 1))
    ledger.verify(anchor=ledger.head())


def test_a_writer_that_stops_half_way_keeps_nobody_out(ledger: Ledger, clock: TestClock, place: Place) -> None:
    """The server ends a transaction in which nothing happens, and so does not wait for a process that was stopped in it."""
    with open_ledger(place.url, clock=clock) as other:

        def stop(connection: Connection) -> None:
            ledger._locked_head(connection)
            connection.exec_driver_sql("SELECT set_config('idle_in_transaction_session_timeout', '300', true)")
            other.append([intent()])  # waits for the head, for less than the fifteen seconds after which it would give up
            connection.exec_driver_sql("SELECT 1")

        with pytest.raises(LedgerFailed):
            writing(ledger, stop)
    assert ledger.head().seq == 1


def test_commits_wait_for_the_log(ledger: Ledger, postgres: Server) -> None:
    """The server's default is off here; the ledger's transactions switch it on, for themselves alone."""
    with postgres.connect() as connection:
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("off",)
    with ledger._database.writing() as inside:
        settings = {name: inside.exec_driver_sql(f"SHOW {name}").scalar() for name in ("synchronous_commit", "transaction_isolation")}
        assert settings == {"synchronous_commit": "on", "transaction_isolation": "read committed"}
        assert inside.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar() == "10s"
    with ledger._database.reading() as reading:
        assert reading.exec_driver_sql("SHOW transaction_isolation").scalar() == "repeatable read"
        assert reading.exec_driver_sql("SHOW transaction_read_only").scalar() == "on"


def test_nothing_is_left_in_the_session(ledger: Ledger) -> None:
    """Behind a transaction pooler a session belongs to everybody: no prepared statement, no setting, no lock stays in it."""
    lease = take(ledger)
    for number in range(12):
        _, lease2 = ledger.append([intent(step=f"s{number}")], lease=lease)
    ledger.verify()
    with ledger._database.reading() as connection:
        connection.rollback()
        connection.exec_driver_sql("SELECT 1")
        assert connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements").scalar() == 0
        assert connection.exec_driver_sql("SELECT count(*) FROM pg_cursors").scalar() == 0
        assert connection.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").scalar() == 0
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "off"
    assert lease2 is not None


def test_a_new_server_session_for_every_transaction(ledger: Ledger) -> None:
    """A pooler that gives each transaction another session changes nothing."""
    lease = take(ledger)
    for number in range(4):
        ledger._database._engine.dispose()
        ledger.append([intent(step=f"s{number}")], lease=lease)
    assert ledger.verify().attempts == 4


# --- the password ---


@pytest.mark.parametrize("password", [PASSWORD + "x", "hunter2-hunter2 & c%"])
def test_a_wrong_password_is_not_shown(postgres: Server, password: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in the error, nor in what led to it, nor in any log, in none of its forms."""
    caplog.set_level(logging.DEBUG)
    with pytest.raises(LedgerFailed, match="the server refused the login") as told:
        open_ledger(Secret(postgres.url(password=password)), clock=TestClock())
    shown = f"{told.value} {told.value!r} {told.value.__cause__!r} {told.getrepr(style='short')} {caplog.text}"
    for form in (password, quote(password), quote(password, safe="")):
        assert form not in shown
    assert told.value.__cause__ is None
    assert told.value.__suppress_context__


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://amsctl:Cn09-s3cr3t@127.0.0.1:1/x",
        "postgresql://amsctl:Cn09-s3cr3t@no-such-host.invalid/x",
        "postgresql://amsctl:Cn09-s3cr3t@127.0.0.1:PORT/nowhere",
        "postgresql://amsctl@127.0.0.1:PORT/x?password=Cn09-s3cr3t",
        "postgresql://amsctl:Cn09-s3cr3t@127.0.0.1:PORT/x?sslmode=Cn09-s3cr3t",
        "postgresql://amsctl:Cn09-s3cr3t@127.0.0.1:PORT/x?Cn09-s3cr3t=1",
        "postgresql://amsctl:Cn09-s3cr3t@127.0.0.1:PORT/x?sslmode=verify-full&sslrootcert=/none/Cn09-s3cr3t",
        "postgresql://amsctl:Cn09-s3cr3t@[::1/x",
        "postgresql://amsctl:Cn09-s3cr3t@127.0.0.1:PORT/x?connect_timeout=Cn09-s3cr3t",
        "postgresql://amsctl:Cn09-s3cr3t@/x?host=h1,h2&host=h3&port=1,2,3",
        "postgresql://Cn09-s3cr3t",
    ],
)
def test_addresses_that_fail_are_not_repeated(postgres: Server, text: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is wrong with an address, its password stays in it."""
    caplog.set_level(logging.DEBUG)
    with pytest.raises(LedgerFailed) as told:
        open_ledger(Secret(text.replace("PORT", str(postgres.port))), clock=TestClock())
    if text != "postgresql://Cn09-s3cr3t":  # where it is the host, and no secret
        assert "Cn09-s3cr3t" not in f"{told.value} {told.value!r} {caplog.text}"


def test_a_role_without_rights(postgres: Server) -> None:
    """Who may not make tables is told that."""
    with postgres.connect() as connection:
        connection.execute(f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'")
    with pytest.raises(LedgerFailed, match=r"it may not be opened.*the role's rights"):
        open_ledger(Secret(postgres.url(user="guest")), clock=TestClock())


def test_without_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """psycopg is an extra: where it is missing, the way to it is named."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(LedgerFailed, match=r"pip install 'amsctl\[postgresql\]'") as told:
        open_ledger(Secret("postgresql://u:Cn09-s3cr3t@h/x"), clock=TestClock())
    assert "Cn09-s3cr3t" not in str(told.value)
