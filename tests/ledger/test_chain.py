"""The chain by itself: what its errors say of each kind of damage."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from amsctl.errors import LedgerFailed
from amsctl.ledger.chain import EMPTY, Row, hash_of, link, record_of, verified
from amsctl.ledger.values import Draft, Head, Kind

AT = "2026-11-21T08:15:30.125Z"


def chain(length: int, *, word: str = "x") -> list[Row]:
    rows: list[Row] = []
    last = EMPTY
    for number in range(length):
        rows.append(link(last, Draft(kind=Kind.FREEZE, ams="a", url="u", firm=f"f{number}", body={"reason": word, "by": "ann"}), AT))
        last = Head(rows[-1].seq, rows[-1].hash)
    return rows


def swapped(rows: list[Row]) -> list[Row]:
    """Two records change places: each gets the other's number."""
    rows[3], rows[5] = rows[5]._replace(seq=4), rows[3]._replace(seq=6)
    return rows


def resealed(rows: list[Row]) -> list[Row]:
    """A record is changed and gets a new hash that fits it."""
    changed = rows[3]._replace(body='{"by":"bob","reason":"x"}')
    rows[3] = changed._replace(hash=hash_of(changed))
    return rows


def rewritten(rows: list[Row]) -> list[Row]:
    """Everything from a record on is written anew."""
    return rows[:3] + _continued(rows[2], 7)


def _continued(row: Row, count: int) -> list[Row]:
    rows = []
    last = Head(row.seq, row.hash)
    for _ in range(count):
        rows.append(link(last, Draft(kind=Kind.THAW, ams="a", url="u", body={}), AT))
        last = Head(rows[-1].seq, rows[-1].hash)
    return rows


def moved(rows: list[Row], **columns: object) -> list[Row]:
    rows[3] = rows[3]._replace(**columns)
    return rows


@pytest.mark.parametrize(
    ("damage", "number", "why"),
    [
        (lambda rows: moved(rows, firm="g"), 4, "it was changed after it was written"),
        (lambda rows: moved(rows, kind="thaw"), 4, "changed after"),
        (lambda rows: moved(rows, kind="frieze"), 4, "changed after"),
        (lambda rows: moved(rows, body='{"by": "ann","reason":"x"}'), 4, "changed after"),
        (lambda rows: moved(rows, body='{"by":"ann","by":"ann","reason":"x"}'), 4, "changed after"),
        (lambda rows: moved(rows, body="[]"), 4, "changed after"),
        (lambda rows: moved(rows, body="{"), 4, "changed after"),
        (lambda rows: moved(rows, body="[" * 100_000), 4, "changed after"),
        (lambda rows: moved(rows, body=b"{}"), 4, "changed after"),
        (lambda rows: moved(rows, at=None), 4, "changed after"),
        (lambda rows: moved(rows, firm=b"f3"), 4, "changed after"),
        (lambda rows: moved(rows, hash=""), 4, "changed after"),
        (lambda rows: moved(rows, seq=None), 4, "it has no number"),
        (lambda rows: [*rows[:3], *rows[4:]], 4, "it is missing (record 4): expected 4, found record 5 in its place"),
        (lambda rows: rows[1:], 1, "it is missing"),
        (lambda rows: moved(rows, seq=40, at=AT[:-1]), 4, "it is missing"),
        (lambda rows: [*rows[:3], *(row._replace(seq=row.seq + 1) for row in rows[3:])], 4, "it was renumbered"),
        (swapped, 4, "the order of records was changed: what stands here was written as record 6"),
        (lambda rows: [*rows[:3], rows[4]._replace(seq=4), *rows[5:]], 4, "written as record 5"),
        (resealed, 5, "it does not follow the record before it"),
        (lambda rows: [*rows[:4], *chain(10, word="y")[4:]], 5, "it does not follow"),
        (lambda rows: [*rows, rows[-1]], 11, "missing"),
    ],
)  # fmt: skip
def test_the_first_broken_record_is_named(damage: Callable[[list[Row]], list[Row]], number: int, why: str) -> None:
    """Number and reason, whatever was done to it."""
    with pytest.raises(LedgerFailed) as told:
        list(verified(damage(chain(10))))
    assert told.value.where == f"record {number}"
    assert why in str(told.value)
    assert "compare with a backup" in str(told.value)


def test_a_renumbered_record_is_told_from_a_missing_one() -> None:
    """The number alone was changed: the record still fits where it stands."""
    rows = chain(4)
    with pytest.raises(LedgerFailed, match=r"it was renumbered \(record 4\): expected 4, found 9"):
        list(verified([*rows[:3], rows[3]._replace(seq=9)]))


def test_what_is_right_is_given_on() -> None:
    """Every record, as a value."""
    rows = chain(10)
    assert list(verified(rows)) == [record_of(row) for row in rows]
    assert list(verified([])) == []


def test_a_head_that_was_kept_outside_finds_what_the_chain_cannot() -> None:
    """An end cut off, and a past written anew, with all hashes right."""
    rows = chain(10)
    anchor = Head(8, rows[7].hash)
    assert len(list(verified(rows, anchor=anchor))) == 10
    assert len(list(verified(rows, anchor=EMPTY))) == 10
    with pytest.raises(LedgerFailed, match=r"its end was cut off \(record 8\).*the anchored head.*found 7"):
        list(verified(rows[:7], anchor=anchor))
    with pytest.raises(LedgerFailed, match=r"its end was cut off \(record 1\)"):
        list(verified([], anchor=anchor))
    with pytest.raises(LedgerFailed, match=r"written anew before the anchored head \(record 8\)"):
        list(verified(rewritten(chain(10)), anchor=anchor))
    assert len(list(verified(rewritten(chain(10))))) == 10, "the chain alone cannot know"
