"""The chain: each record carries the hash of the one before, so that none can be changed, removed or moved unseen. Pure.

The hash is SHA-256 over the canonical JSON of all other fields. A chain alone does not show that its end was cut off: a head that was kept elsewhere does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from amsctl.errors import LedgerFailed
from amsctl.ledger.values import GENESIS, Draft, Head, Kind, Record
from amsctl.planning.fingerprint import canonical
from amsctl.wire.addresses import normalised

EMPTY: Final = Head(0, GENESIS)
_NEIGHBOURHOOD: Final = 1000
"""How far from its place a record is looked for that stands at another one."""
_UNLIKELY: Final = -(2**52) - 1
"""A number that no record has, to find the place of the number in what is hashed."""
_SEQ: Final = b'"seq":'


class Row(NamedTuple):
    """A record as the database keeps it: ``body`` is text."""

    seq: Any
    at: Any
    kind: Any
    url: Any
    firm: Any
    account: Any
    run: Any
    body: Any
    previous: Any
    hash: Any
    ams: Any


def text_of(body: Mapping[str, object]) -> str:
    """A body as it is stored and hashed: canonical JSON. Half characters, which no database can keep, become U+FFFD."""
    try:
        return canonical(dict(body)).decode()
    except UnicodeEncodeError:
        halves = json.dumps(dict(body), ensure_ascii=False, allow_nan=False)
        return canonical(json.loads(halves.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))).decode()


def hash_of(row: Row, *, seq: int | None = None) -> str:
    """The hash that a row should carry; with ``seq``, if it had that number."""
    return hashlib.sha256(canonical(_members(row, row.seq if seq is None else seq))).hexdigest()


def _members(row: Row, seq: int) -> dict[str, Any]:
    members = {**row._asdict(), "seq": seq, "body": json.loads(row.body)}
    del members["hash"]
    if members["ams"] == "":  # of before there were names: hashed without
        del members["ams"]
    return members


def link(before: Head, draft: Draft, at: str) -> Row:
    """A draft in its place after ``before``."""
    row = Row(
        seq=before.seq + 1, at=at, kind=draft.kind.value, url=normalised(draft.url), firm=draft.firm, account=draft.account, run=draft.run,
        body=text_of(draft.body), previous=before.hash, hash="", ams=draft.ams,
    )  # fmt: skip
    return row._replace(hash=hash_of(row))


def record_of(row: Row) -> Record:
    """A row as a value."""
    return Record(**{**row._asdict(), "kind": Kind(row.kind), "body": json.loads(row.body)})


def broken(number: object, why: str, *, expected: object = None, found: object = None) -> LedgerFailed:
    """The error that names the first broken record."""
    return LedgerFailed(
        f"the ledger was changed from outside: {why}",
        where=f"record {number}",
        expected=None if expected is None else str(expected),
        found=None if found is None else str(found),
        hint="nothing after the record before can be relied on; compare with a backup and with the heads that were anchored",
    )


def verified(rows: Iterable[Row], *, anchor: Head | None = None) -> Iterator[Record]:
    """Every record of a chain, in order. LedgerFailed at the first that is not what was written, or where ``anchor`` is not on the chain."""
    last = EMPTY
    for row in rows:
        last = _next(last, row)
        if anchor is not None and row.seq == anchor.seq and row.hash != anchor.hash:
            raise broken(row.seq, "the chain was written anew before the anchored head", expected=anchor.hash, found=row.hash)
        yield record_of(row)
    if anchor is not None and anchor.seq > last.seq:
        raise broken(last.seq + 1, "its end was cut off", expected=f"at least {anchor.seq} records (the anchored head)", found=last.seq)


def _next(last: Head, row: Row) -> Head:
    if not isinstance(row.seq, int):
        raise broken(last.seq + 1, "it has no number", found=row.seq)
    number = last.seq + 1
    right = _is_right(row)
    if row.seq != number:
        if right or not _is_right(row, seq=number):
            raise broken(number, "it is missing", expected=number, found=f"record {row.seq} in its place")
        raise broken(number, "it was renumbered", expected=number, found=row.seq)
    if not right:
        raise _damage(row)
    if row.previous != last.hash:
        raise broken(number, "it does not follow the record before it: another one stood here", expected=last.hash, found=row.previous)
    return Head(row.seq, row.hash)


def _damage(row: Row) -> LedgerFailed:
    for seq in _written_as(row):
        return broken(row.seq, f"the order of records was changed: what stands here was written as record {seq}")
    return broken(row.seq, "it was changed after it was written: its hash is another one")


def _written_as(row: Row) -> Iterator[int]:
    """The number near its own with which a row would be right, if any."""
    seal = _SEQ + canonical(_UNLIKELY)
    try:
        before, found, after = canonical(_members(row, _UNLIKELY)).partition(seal)
    except (TypeError, ValueError, RecursionError):
        return
    for seq in _near(row.seq) if found else ():
        if hashlib.sha256(before + _SEQ + b"%d" % seq + after).hexdigest() == row.hash and _is_right(row, seq=seq):
            yield seq


def _near(seq: int) -> Iterator[int]:
    for distance in range(1, _NEIGHBOURHOOD + 1):
        yield seq + distance
        if seq > distance:
            yield seq - distance


def _is_right(row: Row, *, seq: int | None = None) -> bool:
    """Whether a row carries its own hash, and its text is to the byte what was hashed."""
    try:
        body = json.loads(row.body)
        return isinstance(body, dict) and text_of(body) == row.body and row.kind in _KINDS and hash_of(row, seq=seq) == row.hash
    except (TypeError, ValueError, RecursionError):
        return False


_KINDS: Final = frozenset(kind.value for kind in Kind)
