"""Whoever edits, removes, reorders or cuts off anything in a ledger is found out."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from amsctl.errors import LedgerFailed
from amsctl.ledger import schema
from amsctl.ledger.chain import Row, hash_of
from amsctl.ledger.store import Ledger, contents_of, open_ledger
from amsctl.ledger.values import Head
from amsctl.ledger.verification import Contents, verify
from tests.conftest import CAMPAIGN
from tests.ledger.samples import SCOPE, URL, Place, TestClock, fill

Tables = dict[str, list[dict[str, Any]]]
TABLES = ("records", "head", "runs", "attempts", "locks", "addresses", "plans")
KEYS = {"records": "seq", "head": "id", "runs": "id", "attempts": "intent_seq", "locks": "firm", "addresses": "url", "plans": "digest"}
RENEWED = {"expires_wall", "expires_monotonic"}
"""What every renewal writes, and no record tells."""


def tables_of(ledger: Ledger) -> Tables:
    with ledger._database.reading() as connection:
        found = contents_of(connection)
        return {
            "records": [row._asdict() for row in found.records],
            "head": [{"id": 1, "seq": seq, "hash": digest} for seq, digest in found.head],
            "runs": list(found.runs),
            "attempts": list(found.attempts),
            "locks": list(found.locks),
            "addresses": [{"url": url, "ams": ams, "before_names": before} for url, ams, before in found.addresses],
            "plans": [{"digest": digest, "sha256": kept, "content": content} for digest, kept, content in found.plans],
        }


def contents(tables: Tables) -> Contents:
    """The same rows, as the verifier is given them."""
    return Contents(
        records=(Row(**row) for row in sorted(tables["records"], key=lambda row: row["seq"])),
        head=[(row["seq"], row["hash"]) for row in tables["head"]],
        runs=tables["runs"],
        attempts=tables["attempts"],
        locks=tables["locks"],
        locks_before_names=(),
        addresses=((row["url"], row["ams"], row["before_names"]) for row in tables["addresses"]),
        plans=((row["digest"], row["sha256"], row["content"]) for row in tables["plans"]),
    )


# --- damage: each kind says what it did, or nothing when it cannot be done here ---

Damage = Callable[[random.Random, Tables], str]


def other(chance: random.Random, was: Any) -> Any:
    """Another value of the same type."""
    if isinstance(was, bool):
        return not was
    if isinstance(was, int):
        return was + chance.choice([-1, 1, 7, 1000])
    if isinstance(was, bytes):
        place = chance.randrange(len(was))
        return was[:place] + bytes([was[place] ^ (1 << chance.randrange(8))]) + was[place + 1 :]
    if was is None:
        return chance.choice(["verified", "unknown", "2026-11-21T08:15:30.125Z"])
    if not was or chance.random() < 0.1:
        return was + chance.choice(" x0")
    place = chance.randrange(len(was))
    letter = chance.choice([letter for letter in '0123456789abcdef"{} :' if letter != was[place]])
    return was[:place] + chance.choice(["", letter]) + was[place + 1 :]


def edit(chance: random.Random, tables: Tables) -> str:
    table = chance.choice(TABLES)
    row = chance.choice(tables[table])
    column = chance.choice([name for name in row if name not in RENEWED and (table, name) != ("head", "id")])
    if column == "exit_code" and row[column] is None:
        row[column] = 0
    else:
        row[column] = other(chance, row[column])
    return f"edit {table}.{column}"


def exchange(chance: random.Random, tables: Tables) -> str:
    """Two rows exchange a column, or everything but their key."""
    table = chance.choice([name for name in TABLES if len(tables[name]) > 1])
    one, two = chance.sample(tables[table], 2)
    key = KEYS[table]
    columns = [name for name in one if name != key and name not in RENEWED]
    if chance.random() < 0.5:
        columns = [chance.choice(columns)]
    if all(one[name] == two[name] for name in columns):
        return ""
    for name in columns:
        one[name], two[name] = two[name], one[name]
    return f"exchange {table}"


def remove(chance: random.Random, tables: Tables) -> str:
    table = chance.choice(TABLES)
    tables[table].remove(chance.choice(tables[table]))
    return f"remove {table}"


def remove_and_close_up(chance: random.Random, tables: Tables) -> str:
    """A record is removed and those after it are renumbered."""
    rows = tables["records"]
    place = chance.randrange(len(rows))
    del rows[place]
    for row in rows[place:]:
        row["seq"] -= 1
    tables["head"][0]["seq"] -= 1
    return "close up"


def reorder(chance: random.Random, tables: Tables) -> str:
    """Records keep their content and exchange their numbers."""
    rows = chance.sample(tables["records"], chance.randint(2, 5))
    numbers = [row["seq"] for row in rows]
    for row, number in zip(rows, numbers[1:] + numbers[:1], strict=True):
        row["seq"] = number
    tables["records"].sort(key=lambda row: row["seq"])
    return "reorder"


def cut(chance: random.Random, tables: Tables) -> str:
    """The end is removed, and the head moved back with it: only the anchor knows."""
    rows = tables["records"]
    del rows[chance.randrange(len(rows)) :]
    tables["head"][0].update({"seq": rows[-1]["seq"], "hash": rows[-1]["hash"]} if rows else {"seq": 0, "hash": "0" * 64})
    return "cut off with the head"


def cut_all_alike(chance: random.Random, tables: Tables) -> str:
    """The end is removed from every table, as if it had never been."""
    rows = tables["records"]
    last = chance.randrange(1, len(rows))
    del rows[last:]
    tables["head"][0].update({"seq": last, "hash": rows[-1]["hash"]})
    tables["runs"] = [row for row in tables["runs"] if row["started_seq"] <= last]
    tables["attempts"] = [row for row in tables["attempts"] if row["intent_seq"] <= last]
    return "cut off everywhere"


def reseal(chance: random.Random, tables: Tables) -> str:
    """A record is edited and gets the hash that fits; then perhaps all after it are chained anew, and the head with them."""
    rows = tables["records"]
    place = chance.randrange(len(rows))
    column = chance.choice(["at", "url", "firm", "account", "run"])
    rows[place][column] = other(chance, rows[place][column])
    whole = chance.random() < 0.5
    previous = rows[place]["previous"]
    for row in rows[place:] if whole else rows[place : place + 1]:
        row["previous"] = previous
        row["hash"] = previous = hash_of(Row(**row))
    if whole:
        tables["head"][0]["hash"] = previous
    return "chain anew" if whole else "reseal one"


def add(chance: random.Random, tables: Tables) -> str:
    """A row more: a copy of another one under a new key."""
    table = chance.choice(TABLES)
    row = dict(chance.choice(tables[table]))
    key = KEYS[table]
    row[key] = f"{row[key]}x" if isinstance(row[key], str) else max(one[key] for one in tables[table]) + 1
    if table == "runs":
        row["started_seq"] += 1000
    tables[table].append(row)
    return f"add {table}"


def another_type(chance: random.Random, tables: Tables) -> str:
    """A value of another type, where a database would take one (SQLite does)."""
    table = chance.choice(["records", "runs", "attempts", "locks"])
    row = chance.choice(tables[table])
    column = chance.choice([name for name in row if name not in RENEWED | {"seq", "intent_seq", "started_seq", "exit_code", "held"}])
    was = row[column]
    row[column] = chance.choice([None, b"", str(was).encode(), 1])
    return f"type {table}.{column}" if type(row[column]) is not type(was) else ""


EVERY: tuple[Damage, ...] = (edit, edit, edit, exchange, remove, remove_and_close_up, reorder, cut, cut_all_alike, reseal, add)


def damaged(chance: random.Random, whole: Tables, kinds: tuple[Damage, ...]) -> tuple[str, Tables]:
    while True:
        tables = {name: [dict(row) for row in rows] for name, rows in whole.items()}
        told = chance.choice(kinds)(chance, tables)
        if told and tables != whole:
            return told, tables


def fault(look: Callable[[], object]) -> str:
    """What a look at a ledger found; empty when it found nothing."""
    try:
        look()
    except LedgerFailed as problem:
        return str(problem)
    return ""


@pytest.mark.no_cover
@pytest.mark.campaign
def test_five_thousand_changes_are_found(tmp_path: Path) -> None:
    """Edits of every column, removals, reorderings, truncations, rows added and records sealed anew: each one is found, with head and anchor."""
    with open_ledger(Place(path=tmp_path / "ledger.db").url, clock=TestClock(), durable=False) as ledger:
        fill(ledger, runs=3, steps=3)
        whole, anchor = tables_of(ledger), ledger.head()
    verify(contents(whole), anchor=anchor)
    chance = random.Random(20261121)
    seen: Counter[str] = Counter()
    for number in range(5000 * CAMPAIGN):
        told, tables = damaged(chance, whole, (*EVERY, another_type))
        found = fault(lambda: verify(contents(tables), anchor=anchor))  # noqa: B023 - called at once
        assert "changed from outside" in found, f"change {number} was not found: {told}"
        seen[told] += 1
    columns = {f"{name}.{column.name}" for name in TABLES for column in schema.metadata.tables[f"ledger_{name}"].columns}
    columns -= {"head.id", *(f"locks.{name}" for name in RENEWED)}
    assert {told.removeprefix("edit ") for told in seen if told.startswith("edit ")} == columns
    assert {"cut off with the head", "cut off everywhere", "chain anew", "reseal one", "close up", "reorder"} <= set(seen)


def write_back(place: Place, tables: Tables, *, only: set[str]) -> bool:
    """The rows, into the database around the ledger; whether the database took them."""
    with place.around() as raw:
        raw.unguard()
        raw("BEGIN")
        try:
            for name in only:
                raw(f"DELETE FROM ledger_{name}")
                if rows := tables[name]:
                    marks = ", ".join(f"({', '.join('?' for _ in row)})" for row in rows)
                    raw(
                        f"INSERT INTO ledger_{name} ({', '.join(rows[0])}) VALUES {marks}",
                        *(value for row in rows for value in row.values()),
                    )
        except (sqlite3.IntegrityError, psycopg.IntegrityError):
            raw("ROLLBACK")
            return False
        raw("COMMIT")
        return True


@pytest.mark.campaign
def test_changes_in_the_database_are_found(ledger: Ledger, place: Place) -> None:
    """The same through the database itself: what is there is what is verified, and nothing is appended once head and last record differ."""
    fill(ledger, runs=2, steps=2)
    whole, anchor = tables_of(ledger), ledger.head()
    chance = random.Random(7)
    took = 0
    for number in range(150 * CAMPAIGN):
        told, tables = damaged(chance, whole, EVERY)
        touched = {name for name in TABLES if tables[name] != whole[name]}
        if not write_back(place, tables, only=touched):
            continue
        took += 1
        assert fault(lambda: ledger.verify(anchor=anchor)), f"change {number} was not found: {told}"
        assert write_back(place, whole, only=touched)
    assert took > 100 * CAMPAIGN
    assert ledger.verify(anchor=anchor).head == anchor


def test_an_anchor_of_the_past_is_on_the_chain(ledger: Ledger) -> None:
    """A ledger that has grown since its head was kept outside is in order."""
    fill(ledger, runs=1)
    anchor = ledger.head()
    ledger.freeze(SCOPE, url=URL, reason="x", by="y")
    assert ledger.verify(anchor=anchor).head == Head(anchor.seq + 1, ledger.head().hash)
    with pytest.raises(LedgerFailed, match="written anew"):
        ledger.verify(anchor=Head(anchor.seq, "f" * 64))
    with pytest.raises(LedgerFailed, match="cut off"):
        ledger.verify(anchor=Head(anchor.seq + 2, anchor.hash))
