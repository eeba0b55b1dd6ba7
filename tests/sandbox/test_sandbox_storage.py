"""The state file: what is written is there after a restart, and nothing else is taken for one."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from amsctl.sandbox.books import book_to_mapping, spec_book
from amsctl.sandbox.generator import generate
from amsctl.sandbox.state import Account
from amsctl.sandbox.storage import StateFile

ACCOUNT = "DV10121801A"


def test_every_change_is_in_the_file_at_once_even_without_closing(tmp_path: Path) -> None:
    kept = StateFile(tmp_path / "s.db", spec_book())
    book = kept.book
    book.put(ACCOUNT, "3N1", "CJ.FUT.NYMEX", (1, None, 3, 4))
    book.remove(ACCOUNT, "350", "CJ.FUT.NYMEX")
    book.trade(ACCOUNT, "350", "CJ.FUT.NYMEX")
    book.write_status(book.account("DV101218B"), "closed")
    book.write_suspensions(book.account("DV101218B"), {"8T4": True})
    book.add_account(Account(firm=book.firms[1], number="NEW", eligible={"3N1": ("CC.FUT.NYMEX",)}))
    with StateFile(tmp_path / "s.db") as again:
        assert book_to_mapping(again.book) == book_to_mapping(book)
        assert again.book.account("NEW").eligible == {"3N1": ("CC.FUT.NYMEX",)}
    kept.close()


def test_an_existing_file_wins_over_a_book(tmp_path: Path) -> None:
    with StateFile(tmp_path / "s.db", spec_book()):
        pass
    with StateFile(tmp_path / "s.db", generate(5, 5)) as again:
        assert [account.number for account in again.book.accounts("780")] == [ACCOUNT, "DV101218B"]


def test_a_reset_is_written_too(tmp_path: Path) -> None:
    with StateFile(tmp_path / "s.db", spec_book()) as kept:
        before = book_to_mapping(kept.book)
        kept.book.put(ACCOUNT, "3N1", "CJ.FUT.NYMEX", (1, 1, 1, 1))
        kept.book.add_account(Account(firm=kept.book.firms[0], number="NEW"))
        kept.book.reset()
    with StateFile(tmp_path / "s.db") as again:
        assert book_to_mapping(again.book) == before


def test_a_closed_file_follows_the_book_no_more(tmp_path: Path) -> None:
    with StateFile(tmp_path / "s.db", spec_book()) as kept:
        book = kept.book
    book.put(ACCOUNT, "3N1", "CJ.FUT.NYMEX", (1, 1, 1, 1))
    with StateFile(tmp_path / "s.db") as again:
        assert again.book.row(ACCOUNT, "3N1", "CJ.FUT.NYMEX") == (324, 567, 9000, 2000)


def test_a_generated_book_is_kept_whole_and_in_order(tmp_path: Path) -> None:
    book = generate(20, 3, seed=2)
    with StateFile(tmp_path / "s.db", book):
        pass
    with StateFile(tmp_path / "s.db") as again:
        assert book_to_mapping(again.book) == book_to_mapping(book)


def test_what_is_not_a_state_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("not a database, " * 100)
    with pytest.raises(ValueError, match="not a sandbox state file"):
        StateFile(text, spec_book())
    assert text.read_text().startswith("not a database")
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE ledger (x)")
    database.close()
    with pytest.raises(ValueError, match="not a sandbox state file"):
        StateFile(other, spec_book())
    with pytest.raises(ValueError, match="no state file here, and no book"):
        StateFile(tmp_path / "missing.db")
    with pytest.raises(OSError, match="unable to open"):
        StateFile(tmp_path / "no" / "such" / "folder.db", spec_book())


def test_a_file_that_could_not_be_started_is_not_half_a_book(tmp_path: Path) -> None:
    """An interrupted first writing leaves no tables behind that would be taken for an empty book."""

    class Stop(Exception):
        pass

    book = spec_book()
    accounts = book.accounts

    def stop() -> list[Account]:
        raise Stop

    book.accounts = stop  # type: ignore[method-assign, assignment]
    with pytest.raises(Stop):
        StateFile(tmp_path / "s.db", book)
    book.accounts = accounts  # type: ignore[method-assign]
    with StateFile(tmp_path / "s.db", book) as kept:
        assert len(kept.book.accounts()) == 3
