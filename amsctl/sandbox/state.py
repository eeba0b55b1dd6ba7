"""The book: firms, accounts, execution firms, rows. What the stand-in knows and remembers. Standard library only.

A row is keyed by (account, execution firm, product) and has four legs, each a whole number of contracts or ``None`` for unlimited. Rows of a large
generated book stay packed (some twenty bytes each) until their account is written to. Every change goes through :class:`Book`, which is
safe to use from several threads and tells its listener (the state file) which account changed.
"""

from __future__ import annotations

import itertools
import threading
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Legs: TypeAlias = tuple[int | None, int | None, int | None, int | None]
"""ef long, ef short, cmf long, cmf short; ``None`` is unlimited."""

Key: TypeAlias = tuple[str, str]
"""Execution firm id and product."""

Status: TypeAlias = Literal["Active", "Inactive", "closed"]

UNLIMITED_ROW: Final[Legs] = (None, None, None, None)

_versions = itertools.count(1)
"""Each state of each account gets a number of its own, so that whatever was rendered from it can be kept under that number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Firm:
    """A clearing firm. Its name and its clearing id are both accepted where a call names a firm."""

    name: str
    clearing_id: str
    long_name: str = ""


class Account:
    """One account. Read its attributes freely; change it through the :class:`Book` that holds it.

    ``execution_firms`` maps id to suspended. ``eligible`` maps id to its products, ``None`` means every product of the book for every firm.
    ``traded`` are the keys traded today: these are listed even when unlimited. ``usage`` maps a key to its use (long, short) in contracts.
    """

    __slots__ = (
        "_keys", "_numbers", "_rows", "eligible", "execution_firms", "firm", "number", "owner", "seg_type", "status", "traded", "usage", "version",
    )  # fmt: skip

    def __init__(
        self, *, firm: Firm, number: str, owner: str = "", seg_type: Literal["C", "H"] = "C", status: Status = "Active",
        execution_firms: Mapping[str, bool] | None = None, eligible: Mapping[str, tuple[str, ...]] | None = None,
        rows: Mapping[Key, Legs] | None = None, traded: Iterable[Key] = (), usage: Mapping[Key, tuple[int, int]] | None = None,
    ) -> None:  # fmt: skip
        self.firm = firm
        self.number = number
        self.owner = owner or firm.name
        self.seg_type: Literal["C", "H"] = seg_type
        self.status: Status = status
        self.execution_firms: dict[str, bool] = dict(execution_firms or {})
        self.eligible = eligible
        self.traded: frozenset[Key] = frozenset(traded)
        self.usage: Mapping[Key, tuple[int, int]] = usage or {}
        self.version = next(_versions)
        self._rows: dict[Key, Legs] | None = dict(rows or {})
        self._keys: tuple[Key, ...] = ()
        self._numbers: array[int] = array("q")

    def pack(self, keys: tuple[Key, ...], numbers: array[int]) -> None:
        """Hold rows packed: ``numbers`` has four per key, -1 for unlimited. ``keys`` may be shared between accounts."""
        assert len(numbers) == 4 * len(keys)
        self._rows, self._keys, self._numbers = None, keys, numbers

    def compact(self, shared: dict[Key, Key]) -> None:
        """Hold the rows packed, keys shared with the other accounts through ``shared``. Rows of numbers beyond 63 bits stay as they are."""
        rows = self.unpacked()
        numbers = [-1 if leg is None else leg for legs in rows.values() for leg in legs]
        if max(numbers, default=0) < 1 << 63:
            self.pack(tuple(shared.setdefault(key, key) for key in rows), array("q", numbers))

    def items(self) -> Iterator[tuple[Key, Legs]]:
        """Every stored row with its legs, listed or not, in the order of storing."""
        if self._rows is not None:
            yield from self._rows.items()
            return
        four = iter(self._numbers)
        for key, a, b, c, d in zip(self._keys, four, four, four, four, strict=True):
            yield key, (_leg(a), _leg(b), _leg(c), _leg(d))

    def unpacked(self) -> dict[Key, Legs]:
        """The stored rows, for writing: the account is no longer packed afterwards."""
        if self._rows is None:
            self._rows = dict(self.items())
            self._keys, self._numbers = (), array("q")
        return self._rows

    def listed(self) -> list[tuple[Key, Legs]]:
        """The rows that a reader is shown: those with a limit, and the unlimited ones that traded today (AMS §3.3)."""
        shown = [(key, legs) for key, legs in self.items() if legs != UNLIMITED_ROW or key in self.traded]
        stored = {key for key, _ in shown} if self.traded else ()
        shown += [(key, UNLIMITED_ROW) for key in sorted(self.traded) if key not in stored]
        return shown

    def row(self, ef_id: str, product: str) -> Legs | None:
        """The four legs of a stored row, or ``None``."""
        if self._rows is None:
            return dict(self.items()).get((ef_id, product))
        return self._rows.get((ef_id, product))

    def copy(self) -> Account:
        """An independent copy."""
        twin = Account(
            firm=self.firm, number=self.number, owner=self.owner, seg_type=self.seg_type, status=self.status, execution_firms=self.execution_firms,
            eligible=self.eligible, traded=self.traded, usage=self.usage,
        )  # fmt: skip
        if self._rows is None:
            twin.pack(self._keys, self._numbers)
        else:
            twin._rows = dict(self._rows)
        return twin


def _leg(number: int) -> int | None:
    return None if number < 0 else number


class Book:
    """All firms and accounts of one stand-in.

    ``reset()`` brings back the book as it was when built (or last ``mark()``-ed); only accounts changed since are copied for it.
    Accounts are named by number alone where one firm holds it, else with ``firm=``. An unknown name raises ``KeyError``.
    """

    def __init__(self, firms: Iterable[Firm], *, products: Mapping[str, str] | None = None, accounts: Iterable[Account] = ()) -> None:
        self.lock = threading.RLock()
        self.firms: tuple[Firm, ...] = tuple(firms)
        self.products: dict[str, str] = dict(products or {})
        self.listener: Callable[[Account, bool], None] | None = None
        """Told of each account that changed, and whether it is still in the book."""
        self._by_firm: dict[str, dict[str, Account]] = {firm.name: {} for firm in self.firms}
        self._before: dict[tuple[str, str], Account | None] = {}
        for account in accounts:
            self._by_firm[account.firm.name][account.number] = account

    def firm(self, name_or_id: str) -> Firm | None:
        """The firm of this name or clearing id (AMS §3.6)."""
        return next((firm for firm in self.firms if name_or_id in (firm.name, firm.clearing_id)), None)

    def accounts(self, firm: str | None = None) -> list[Account]:
        """Every account, or those of one firm (name or clearing id), in the order of adding."""
        with self.lock:
            if firm is None:
                return [account for accounts in self._by_firm.values() for account in accounts.values()]
            found = self.firm(firm)
            return list(self._by_firm[found.name].values()) if found else []

    def find(self, number: str, firm: str | None = None) -> Account | None:
        """The account of this number, of this firm (name or clearing id) or of any, or ``None``."""
        with self.lock:
            if firm is not None:
                found = self.firm(firm)
                return self._by_firm[found.name].get(number) if found else None
            return next((accounts[number] for accounts in self._by_firm.values() if number in accounts), None)

    def account(self, number: str, firm: str | None = None) -> Account:
        """As :meth:`find`; raises ``KeyError`` for an unknown account."""
        found = self.find(number, firm)
        if found is None:
            raise KeyError(f"no account {number!r}" + (f" of firm {firm!r}" if firm else ""))
        return found

    def products_of(self, account: Account, ef_id: str) -> tuple[str, ...]:
        """The products that this execution firm may have limits for on this account."""
        if account.eligible is None:
            return tuple(self.products)
        return account.eligible.get(ef_id, ())

    def add_account(self, account: Account) -> Account:
        """Add or replace an account of one of this book's firms."""
        with self.lock:
            accounts = self._by_firm[account.firm.name]
            old = accounts.get(account.number)
            self._before.setdefault((account.firm.name, account.number), old)
            accounts[account.number] = account
            self._changed(account)
            return account

    def write_rows(self, account: Account, changes: Mapping[Key, Legs | None]) -> None:
        """Store rows, or remove those given as ``None``. Rows keep their place; new ones come last."""
        with self.lock:
            self._about_to_change(account)
            rows = account.unpacked()
            for key, legs in changes.items():
                if legs is None:
                    rows.pop(key, None)
                else:
                    rows[key] = legs
            self._changed(account)

    def write_suspensions(self, account: Account, changes: Mapping[str, bool]) -> None:
        """Set execution firms to suspended (True) or not; an unknown one is added."""
        with self.lock:
            self._about_to_change(account)
            account.execution_firms.update(changes)
            self._changed(account)

    def write_status(self, account: Account, status: Status) -> None:
        """Set an account's status."""
        with self.lock:
            self._about_to_change(account)
            account.status = status
            self._changed(account)

    def put(self, number: str, ef_id: str, product: str, legs: Legs, *, firm: str | None = None) -> None:
        """Store one row, as a third party would."""
        self.write_rows(self.account(number, firm), {(ef_id, product): legs})

    def remove(self, number: str, ef_id: str, product: str, *, firm: str | None = None) -> None:
        """Remove one row if it is there."""
        self.write_rows(self.account(number, firm), {(ef_id, product): None})

    def row(self, number: str, ef_id: str, product: str, *, firm: str | None = None) -> Legs | None:
        """The legs of one stored row, ``None`` if there is none."""
        with self.lock:
            return self.account(number, firm).row(ef_id, product)

    def trade(self, number: str, ef_id: str, product: str, *, traded: bool = True, firm: str | None = None) -> None:
        """Mark a product as traded today, or not: an unlimited row of it appears, or disappears, with no change of configuration."""
        with self.lock:
            account = self.account(number, firm)
            self._about_to_change(account)
            key = {(ef_id, product)}
            account.traded = account.traded | key if traded else account.traded - key
            self._changed(account)

    def use(self, number: str, ef_id: str, product: str, *, long: int, short: int, firm: str | None = None) -> None:
        """Note today's use of a row in contracts; what is used has traded."""
        with self.lock:
            self.trade(number, ef_id, product, firm=firm)
            account = self.account(number, firm)
            account.usage = {**account.usage, (ef_id, product): (long, short)}
            self._changed(account)

    def mark(self) -> None:
        """Make the present book the one that ``reset()`` brings back."""
        with self.lock:
            self._before.clear()

    def reset(self) -> None:
        """Bring back the marked book."""
        with self.lock:
            for (firm, number), account in self._before.items():
                if account is None:
                    self._changed(self._by_firm[firm].pop(number), present=False)
                else:
                    self._by_firm[firm][number] = account
                    self._changed(account)
            self._before.clear()

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Whatever is changed inside the block is undone at its end; nobody else sees it, the listener neither."""
        with self.lock:
            before, listener = self._before, self.listener
            self._before, self.listener = {}, None
            try:
                yield
            finally:
                self.reset()
                self._before, self.listener = before, listener

    def _about_to_change(self, account: Account) -> None:
        key = (account.firm.name, account.number)
        if key not in self._before:
            self._before[key] = account.copy()

    def _changed(self, account: Account, *, present: bool = True) -> None:
        account.version = next(_versions)
        if self.listener is not None:
            self.listener(account, present)
