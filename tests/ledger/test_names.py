"""Locks, freezes and open calls go by the name of the AMS; what an amsctl of before there were names has written holds on, and verifies as it did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import pytest

from amsctl.errors import Frozen, LedgerFailed, Locked, UsageError
from amsctl.ledger import database, migrations
from amsctl.ledger.chain import EMPTY, Row, link, record_of
from amsctl.ledger.locks import stamp
from amsctl.ledger.names import check_name
from amsctl.ledger.projections import Folded
from amsctl.ledger.store import Ledger, open_ledger
from amsctl.ledger.values import ALL_FIRMS, AMS_NAME, Draft, Head, Holder, Kind, Scope
from amsctl.manifests.identifiers import ENVIRONMENT
from tests.ledger.samples import AMS, MACHINE, SCOPE, URL, Place, TestClock, finished, holder, intent, outcome, resolved, started, take

PROJECT = {URL: AMS}
OLD_SPELLING = "http://127.0.0.1:8480/rest/./v2"
COLUMNS = ("seq", "at", "kind", "url", "firm", "account", "run", "body", "previous", "hash")
LOCK_COLUMNS = ("url", "firm", "id", "fence", "held", "run", "holder", "since", "milliseconds", "expires_wall", "expires_monotonic")


def before_names(place: Place, clock: TestClock, drafts: Iterable[Draft], *, url: str = URL, expires: float = 60.0) -> Head:
    """A ledger of revision ``r0001`` with these records, as the amsctl of then kept it; the head that somebody anchored."""
    if place.path is not None:
        database.make_file(str(place.path))
    older = database.Database(place.url, durable=True)
    with older.writing() as connection:
        migrations.upgrade(connection, "r0001")
    older.close()
    last, folded, rows = EMPTY, Folded(), []
    for draft in drafts:
        row = link(last, Draft(**{**asdict(draft), "ams": "", "url": "u"}), stamp(clock.wall()))._replace(url=url)
        row = row._replace(hash=sealed(row))
        last = Head(row.seq, row.hash)
        folded.take(record_of(row))
        rows.append(row)
    with place.around() as raw:
        for row in rows:
            put(raw, "records", {name: getattr(row, name) for name in COLUMNS})
        for table, kept in (("runs", folded.runs), ("attempts", folded.attempts)):
            for one in kept.values():
                put(raw, table, {name: value for name, value in one.items() if name != "ams"})
        for one in folded.locks_before_names.values():
            put(raw, "locks", {**one, "expires_wall": clock.wall() + expires, "expires_monotonic": clock.monotonic() + expires})
        raw("UPDATE ledger_head SET seq = ?, hash = ?", last.seq, last.hash)
    return last


def sealed(row: Row) -> str:
    from amsctl.ledger.chain import hash_of

    return hash_of(row)


def put(raw: Any, table: str, row: Mapping[str, object]) -> None:
    raw(f"INSERT INTO ledger_{table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", *row.values())


def locked(run: str = "r0", *, firm: str = SCOPE.firm, by: Holder | None = None) -> Draft:
    body = {
        "lock": "0ldl0ck1",
        "fence": 4,
        "milliseconds": 60_000,
        "environment": "sandbox",
        "holder": asdict(by or holder(7)),
        "taken_over_from": None,
    }
    return Draft(kind=Kind.LOCK_TAKEN, ams="", url=URL, firm=firm, run=run, body=body)


def freezing(kind: Kind = Kind.FREEZE, firm: str = SCOPE.firm, reason: str = "margin call") -> Draft:
    return Draft(kind=kind, ams="", url=URL, firm=firm, body={"reason": reason, "by": "bob"})


def reopened(place: Place, clock: TestClock, names: Mapping[str, str] = PROJECT, *, create: bool = True) -> Ledger:
    return open_ledger(place.url, clock=clock, names=names, create=create, dead=lambda one: False, machine=MACHINE)


# --- what is older ---


def test_an_older_chain_verifies_with_its_anchor(place: Place, clock: TestClock) -> None:
    """No byte that was hashed changes: the head that was kept outside is still on the chain, also after more was written."""
    anchor = before_names(
        place, clock, [locked(), started("r0"), intent("r0"), outcome("r0"), finished("r0"), freezing(), freezing(Kind.THAW)]
    )
    with reopened(place, clock) as ledger:
        assert ledger.head() == anchor
        assert ledger.verify(anchor=anchor).head == anchor
        clock.pass_(120)
        lease = take(ledger, run="r1")
        ledger.append([started("r1"), intent("r1", fence=lease.fence)], lease=lease)
        assert ledger.verify(anchor=anchor).runs == 2
        assert [record.ams for record in ledger.records()][6:] == ["", AMS, AMS, AMS]


def test_an_older_freeze_holds_whatever_its_spelling(place: Place, clock: TestClock) -> None:
    """A freeze of before there were names holds for the environment whose address it is, and a thaw under the name lifts it."""
    before_names(place, clock, [freezing()], url=OLD_SPELLING)
    with reopened(place, clock) as ledger:
        for _ in range(2):
            with pytest.raises(Frozen, match="margin call"):
                take(ledger)
        (freeze,) = ledger.freezes(AMS)
        assert (freeze.scope, freeze.url) == (SCOPE, OLD_SPELLING)
        assert ledger.frozen(SCOPE) == freeze
        assert ledger.thaw(SCOPE, url=URL, reason="paid", by="ann") == freeze
        assert ledger.freezes() == ()
        take(ledger)
        ledger.verify()


def test_an_older_freeze_of_every_firm_holds(place: Place, clock: TestClock) -> None:
    """Also when the address moves once the AMS has its name: the freeze goes by that."""
    before_names(place, clock, [freezing(firm=ALL_FIRMS, reason="fire")])
    with reopened(place, clock) as ledger:
        with pytest.raises(Frozen, match="every clearing firm"):
            take(ledger)
        ledger.freeze(Scope(AMS, "MATCHA"), url=URL, reason="named now", by="ann")
    with reopened(place, clock, {"https://moved.example/rest/v2": AMS}) as ledger, pytest.raises(Frozen, match="fire"):
        ledger.acquire(SCOPE, url="https://moved.example/rest/v2", run="r9", holder=holder(), seconds=9, environment="sandbox")


def test_each_older_spelling_is_lifted_by_name_alone(place: Place, clock: TestClock) -> None:
    """A thaw of then lifted the freeze of its own spelling; the other spelling's freeze holds until a thaw by name."""
    before_names(place, clock, [freezing(reason="one"), freezing(reason="two"), freezing(Kind.THAW)])
    with place.around() as raw:
        raw.unguard()
        for seq in (2, 3):
            _respell(raw, seq)
    with reopened(place, clock) as ledger:
        assert [freeze.reason for freeze in ledger.freezes(AMS)] == ["one"]
        with pytest.raises(Frozen, match="one"):
            take(ledger)


def _respell(raw: Any, seq: int) -> None:
    raw("UPDATE ledger_records SET url = ? WHERE seq = ?", OLD_SPELLING, seq)


def test_an_older_lock_keeps_others_out(place: Place, clock: TestClock) -> None:
    """A run of an older amsctl that is under way has its lock until that runs out; then it is taken over, once."""
    anchor = before_names(place, clock, [locked(), started("r0")], url=OLD_SPELLING)
    with reopened(place, clock) as ledger:
        with pytest.raises(Locked, match="run r0"):
            take(ledger)
        assert [(lock.id, lock.scope) for lock in ledger.locks(AMS)] == [("0ldl0ck1", SCOPE)]
        clock.pass_(61)
        lease = take(ledger)
        (record,) = ledger.records(kinds=(Kind.LOCK_TAKEN,), run="r1")
        assert record.body["taken_over_from"]["lock"] == "0ldl0ck1"  # type: ignore[index]
        assert [lock.id for lock in ledger.locks()] == [lease.id]
        ledger.release(lease)
        assert ledger.locks() == ()
        ledger.verify(anchor=anchor)


def test_an_older_lock_of_another_address_is_no_obstacle(place: Place, clock: TestClock) -> None:
    """It is another AMS's, and shown under its address."""
    before_names(place, clock, [locked()], url="http://elsewhere/x")
    with reopened(place, clock) as ledger:
        take(ledger)
        assert {lock.scope.ams for lock in ledger.locks()} == {AMS, "http://elsewhere/x"}


def test_an_older_lease_that_would_last_too_long_is_shortened(place: Place, clock: TestClock) -> None:
    """A wrong clock of then keeps nobody out for ever."""
    before_names(place, clock, [locked()], expires=1e9)
    with reopened(place, clock) as ledger:
        with pytest.raises(Locked):
            take(ledger)
        clock.pass_(61)
        take(ledger)


def test_an_older_lock_can_be_broken(place: Place, clock: TestClock) -> None:
    """By its id, where the project names its AMS; where nobody does, nobody needs it."""
    before_names(place, clock, [locked()])
    with reopened(place, clock, {}) as ledger, pytest.raises(UsageError, match="of an AMS that no environment has"):
        ledger.break_lock("0ldl0ck1", by="ann", reason="burnt down")
    with reopened(place, clock) as ledger:
        assert ledger.break_lock("0ldl0ck1", by="ann", reason="burnt down").scope == SCOPE
        take(ledger)
        ledger.verify()


def test_an_older_open_call_is_found_and_settled(place: Place, clock: TestClock) -> None:
    """By the address that it names, as the project calls it; settled under the name, the chain stays right."""
    before_names(place, clock, [started("r0"), intent("r0"), intent("r0", "s2"), outcome("r0", "s2")], url=OLD_SPELLING)
    with reopened(place, clock) as ledger:
        (open_call,) = ledger.attempts(scope=SCOPE, open_only=True)
        assert (open_call.scope, open_call.url, open_call.step) == (SCOPE, OLD_SPELLING, "s1")
        assert [run.ams for run in ledger.runs(ams=AMS)] == [AMS]
        assert len(list(ledger.records(ams=AMS))) == 4
        ledger.append([resolved("r0")])
        assert ledger.attempts(open_only=True) == ()
        ledger.verify()
    with reopened(place, clock, {}) as ledger:  # the record that settled it says for good what the AMS at that address is called
        assert [run.ams for run in ledger.runs()] == [AMS]


def test_what_no_environment_has_goes_by_its_address(place: Place, clock: TestClock) -> None:
    """Nothing is guessed: a record of an address that the project does not have is of no name."""
    before_names(place, clock, [started("r0"), intent("r0"), freezing()], url="http://elsewhere/x")
    with reopened(place, clock) as ledger:
        assert ledger.attempts(scope=SCOPE) == ()
        assert ledger.frozen(SCOPE) is None
        assert [one.scope for one in ledger.freezes()] == [Scope("http://elsewhere/x", SCOPE.firm)]
        assert ledger.run("r0").ams == "http://elsewhere/x"  # type: ignore[union-attr]


def test_an_older_amsctl_writes_nothing_further(place: Place, clock: TestClock) -> None:
    """Its appends, which have no name, are refused by the database: it would be beside everybody's locks."""
    last = before_names(place, clock, [locked()])
    with reopened(place, clock) as ledger:
        row = link(last, freezing(), stamp(clock.wall()))
        with place.around() as raw:
            if place.path is None:
                raw("SET session_replication_role = DEFAULT")
            with pytest.raises(Exception, match="a newer amsctl keeps this ledger by the names of the AMS: upgrade this one"):
                put(raw, "records", {name: getattr(row, name) for name in COLUMNS})
        assert ledger.head() == last


def test_looking_changes_nothing(place: Place, clock: TestClock) -> None:
    """An older ledger is made ready by what writes, not by what looks."""
    before_names(place, clock, [freezing()])
    with pytest.raises(LedgerFailed, match=r"of an older version.*the next apply makes it ready"):
        reopened(place, clock, create=False)


# --- names ---


def test_a_freeze_goes_by_name_whatever_the_address(ledger: Ledger) -> None:
    """An AMS that moves takes its freeze along."""
    ledger.freeze(Scope(AMS, ALL_FIRMS), url=URL, reason="fire", by="bob")
    for url in (URL, "http://127.0.0.1:8480/rest/v2/", "http://127.1:8480/rest/x/../v2", "https://moved.example/rest"):
        with pytest.raises(Frozen, match="fire"):
            ledger.acquire(SCOPE, url=url, run="r1", holder=holder(), seconds=60, environment="sandbox")


def test_a_lock_goes_by_name_whatever_the_address(ledger: Ledger) -> None:
    """Two runs against one AMS at two addresses do not write side by side."""
    take(ledger)
    with pytest.raises(Locked):
        ledger.acquire(SCOPE, url="https://moved.example/rest", run="r2", holder=holder(2), seconds=60, environment="sandbox")


def test_one_address_has_one_name(ledger: Ledger) -> None:
    """Another project that shares the ledger and calls the AMS otherwise would pass by its locks: it is refused, with what to write."""
    ledger.freeze(SCOPE, url=URL, reason="fire", by="bob")
    head = ledger.head()
    other = Scope("local", SCOPE.firm)
    hint = r"the ledger knows this AMS by another name.*expected ams: sandbox, found local; write ams: sandbox"
    for url in (URL, "http://127.0.0.1.:8480/rest/v2/"):
        with pytest.raises(LedgerFailed, match=hint):
            ledger.acquire(other, url=url, run="r1", holder=holder(), seconds=60, environment="local")
        with pytest.raises(LedgerFailed, match=hint):
            ledger.freeze(other, url=url, reason="", by="")
        with pytest.raises(LedgerFailed, match=hint):
            ledger.thaw(other, url=url, reason="", by="")
    assert ledger.head() == head


@pytest.mark.parametrize("name", ["", " ", "a b", "-a", "a\n", "\x1b[2J", "a/b", "http://127.0.0.1", "*", "a" * 64, "é", "a\u202eb"])
def test_an_odd_name_is_refused(ledger: Ledger, name: str) -> None:
    """What cannot be said, seen or told from an address names no AMS, and nothing is written under it."""
    with pytest.raises(LedgerFailed, match="an AMS cannot be called so"):
        ledger.acquire(Scope(name, "F"), url=URL, run="r1", holder=holder(), seconds=60, environment="x")
    with pytest.raises(LedgerFailed, match="an AMS cannot be called so"):
        check_name(name)
    assert ledger.head() == EMPTY


def test_a_name_is_what_an_environment_may_be_called() -> None:
    """The ledger and the project file agree on it."""
    assert AMS_NAME == ENVIRONMENT


def test_a_forged_name_is_found(ledger: Ledger, place: Place) -> None:
    """The name is part of what is hashed, and the list of addresses follows from the records."""
    ledger.freeze(SCOPE, url=URL, reason="fire", by="bob")
    with place.around() as raw:
        raw.unguard()
        for statement in (
            "UPDATE ledger_records SET ams = 'other'",
            "UPDATE ledger_records SET ams = ''",
            "UPDATE ledger_addresses SET ams = 'other'",
            "UPDATE ledger_addresses SET url = 'http://x'",
            "DELETE FROM ledger_addresses",
        ):
            raw("BEGIN")
            raw(statement)
            raw("COMMIT")
            with pytest.raises(LedgerFailed, match="the ledger was changed from outside"):
                ledger.verify()
            raw("UPDATE ledger_records SET ams = 'sandbox'")
            raw("DELETE FROM ledger_addresses")
            put(raw, "addresses", {"url": URL, "ams": AMS, "before_names": False})
        ledger.verify()
