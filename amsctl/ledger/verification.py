"""Whether a ledger is what was written: the chain, its head, what is kept ready beside it, the plans, and a head that was anchored outside. Pure."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from amsctl.ledger.chain import EMPTY, Row, broken, verified
from amsctl.ledger.projections import Columns, Folded
from amsctl.ledger.values import Head

Progress = Callable[[int, int], None]
"""Told how many records of how many were looked at."""
_EACH: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """A ledger's rows as the database has them. ``records`` come by number, the others in any order; ``head`` is every row of its table."""

    records: Iterable[Row]
    head: Iterable[tuple[Any, Any]]
    runs: Iterable[Columns]
    attempts: Iterable[Columns]
    locks: Iterable[Columns]
    locks_before_names: Iterable[Columns]
    addresses: Iterable[tuple[Any, Any, Any]]
    """Address, name of the AMS, whether records of before there were names have it."""
    plans: Iterable[tuple[Any, Any, Any]]
    """Digest, SHA-256, compressed text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was looked at, and found to be as written."""

    head: Head
    runs: int
    attempts: int
    plans: int


def silent(done: int, total: int) -> None:
    """Progress that nobody asked for."""


def verify(contents: Contents, *, anchor: Head | None = None, progress: Progress = silent) -> Verified:
    """LedgerFailed naming the first broken record and why, when anything is not as it was written."""
    heads = list(contents.head)
    total = heads[0][0] if len(heads) == 1 and isinstance(heads[0][0], int) else 0
    folded, last = Folded(), EMPTY
    for record in verified(contents.records, anchor=anchor):
        folded.take(record)
        last = Head(record.seq, record.hash)
        if record.seq % _EACH == 0:
            progress(record.seq, total)
    if heads != [tuple(last)]:
        found = ", ".join(f"{seq}:{digest}" for seq, digest in heads) or "none"
        raise broken(last.seq, "the head does not name the last record", expected=last, found=found)
    _compare("runs", "id", "started_seq", folded.runs, contents.runs)
    _compare("attempts", "intent_seq", "intent_seq", folded.attempts, contents.attempts)
    _compare_locks(folded.locks, contents.locks, "ams")
    _compare_locks(folded.locks_before_names, contents.locks_before_names, "url")
    _compare_addresses(folded.addresses, contents.addresses)
    _compare_plans(folded.plans, contents.plans)
    progress(last.seq, total)
    return Verified(head=last, runs=len(folded.runs), attempts=len(folded.attempts), plans=len(folded.plans))


def _compare(table: str, key: str, place: str, told: Mapping[Any, Columns], found: Iterable[Columns]) -> None:
    left = dict(told)
    for row in found:
        right = left.pop(row[key], None)
        if right is None:
            raise broken(row[place], f"the list of {table} has a row that no record tells of", found=row[key])
        _same(table, right[place], right, row)
    for row in left.values():
        raise broken(row[place], f"its row is missing from the list of {table}", expected=row[key])


def _compare_locks(told: Mapping[tuple[str, str], Columns], found: Iterable[Columns], key: str) -> None:
    left = dict(told)
    for row in found:
        right = left.pop((row[key], row["firm"]), None)
        if right is None:
            raise broken("of a lock", "there is a lock that no record tells of", found=row["firm"])
        _same("locks", f"of lock {right['id']}", right, row)
    for row in left.values():
        raise broken(f"of lock {row['id']}", "its row is missing from the locks")


def _compare_addresses(told: Mapping[str, tuple[str, bool]], found: Iterable[tuple[Any, Any, Any]]) -> None:
    listed = {url: (ams, before_names) for url, ams, before_names in found}
    for url in sorted({*told, *listed}):
        if told.get(url) != listed.get(url):
            raise broken(
                "of an address", "the list of addresses does not say what the records say", expected=told.get(url), found=listed.get(url)
            )


def _same(table: str, place: object, right: Columns, row: Columns) -> None:
    for name, told in right.items():
        # A type counts, too: SQLite would keep 1 and "1" in one column.
        if row[name] != told or type(row[name]) is not type(told):
            raise broken(place, f"the list of {table} does not say what it says: {name}", expected=repr(told), found=repr(row[name]))


def _compare_plans(told: Mapping[str, str], found: Iterable[tuple[Any, Any, Any]]) -> None:
    left = dict(told)
    for digest, kept, content in found:
        right = left.pop(digest, None)
        if right is None:
            raise broken(f"of plan {digest}", "there is a plan that no record tells of")
        if plan_text(content, kept, right) is None:
            raise broken(f"of plan {digest}", "the stored plan is not the one that was recorded", expected=f"sha256 {right}")
    for digest in left:
        raise broken(f"of plan {digest}", "the stored plan is missing")


def plan_text(content: Any, kept: Any, recorded: str) -> bytes | None:
    """The text of a stored plan; ``None`` when the stored bytes do not have the SHA-256 ``kept`` beside them, or the text not the one ``recorded``."""
    if not isinstance(content, bytes) or hashlib.sha256(content).hexdigest() != kept:
        return None
    try:
        text = zlib.decompress(content)
    except zlib.error:
        return None
    return text if hashlib.sha256(text).hexdigest() == recorded else None
