"""The state file: a book kept in SQLite, written through at every change, so that a stand-in goes on where it stopped. Standard library only."""

from __future__ import annotations

import json
import sqlite3
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final

from amsctl.sandbox.books import account_from_mapping, account_to_mapping
from amsctl.sandbox.state import Account, Book, Firm, Key

_FORMAT: Final = 0x616D7301  # in SQLite's application_id: "ams" and the version of these tables
_TABLES: Final = (
    "CREATE TABLE firms (position INTEGER PRIMARY KEY, name TEXT NOT NULL, clearing_id TEXT NOT NULL, long_name TEXT NOT NULL)",
    "CREATE TABLE products (position INTEGER PRIMARY KEY, product TEXT NOT NULL, full_name TEXT NOT NULL)",
    "CREATE TABLE accounts (position INTEGER PRIMARY KEY, firm TEXT NOT NULL, number TEXT NOT NULL, document TEXT NOT NULL, UNIQUE (firm, number))",
)


class StateFile:
    """A state file and the book in it; a context manager that closes it.

    An existing file wins over ``book``; a new one starts with it. Raises ``ValueError`` for a file that is something else, or for a missing
    one without a book to start with; ``OSError`` where the file cannot be opened.
    """

    def __init__(self, path: str | Path, book: Book | None = None) -> None:
        self.path = Path(path)
        if book is None and not self.path.exists():
            raise ValueError(f"{self.path}: no state file here, and no book to start one with")
        try:
            self._database = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
        except sqlite3.Error as error:
            raise OSError(f"{self.path}: {error}") from error
        with ExitStack() as undo:
            undo.callback(self._database.close)
            try:
                self.book = self._opened(book)
            except sqlite3.Error as error:
                raise ValueError(f"{self.path}: not a sandbox state file: {error}") from error
            undo.pop_all()
        self.book.listener = self._write

    def __enter__(self) -> StateFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop following the book and close the file."""
        with self.book.lock:
            self.book.listener = None
            self._database.close()

    def _opened(self, book: Book | None) -> Book:
        """The book of the file; a file without any table is a new one, or one whose first writing was interrupted."""
        self._database.execute("PRAGMA synchronous = NORMAL")
        if book is None or self._database.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
            return self._load()
        self._create(book)
        return book

    def _create(self, book: Book) -> None:
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("BEGIN")
        self._database.execute(f"PRAGMA application_id = {_FORMAT}")
        for statement in _TABLES:
            self._database.execute(statement)
        firms = [(firm.name, firm.clearing_id, firm.long_name) for firm in book.firms]
        self._database.executemany("INSERT INTO firms (name, clearing_id, long_name) VALUES (?, ?, ?)", firms)
        self._database.executemany("INSERT INTO products (product, full_name) VALUES (?, ?)", book.products.items())
        for account in book.accounts():
            self._write(account, True)
        self._database.execute("COMMIT")

    def _load(self) -> Book:
        if self._database.execute("PRAGMA application_id").fetchone() != (_FORMAT,):
            raise ValueError(f"{self.path}: not a sandbox state file")
        firms = self._database.execute("SELECT name, clearing_id, long_name FROM firms ORDER BY position")
        products = self._database.execute("SELECT product, full_name FROM products ORDER BY position")
        book = Book(
            [Firm(name=name, clearing_id=clearing_id, long_name=long_name) for name, clearing_id, long_name in firms],
            products=dict(products),
        )
        shared: dict[Key, Key] = {}
        for (document,) in self._database.execute("SELECT document FROM accounts ORDER BY position"):
            book.add_account(account_from_mapping(book, json.loads(document))).compact(shared)
        book.mark()
        return book

    def _write(self, account: Account, present: bool) -> None:
        key = (account.firm.name, account.number)
        if present:
            document = json.dumps(account_to_mapping(account), separators=(",", ":"), ensure_ascii=False)
            self._database.execute(
                "INSERT INTO accounts (firm, number, document) VALUES (?, ?, ?) ON CONFLICT (firm, number) DO UPDATE SET document = excluded.document",
                (*key, document),
            )
        else:
            self._database.execute("DELETE FROM accounts WHERE firm = ? AND number = ?", key)
