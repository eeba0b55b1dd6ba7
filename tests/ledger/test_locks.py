"""Locks: one writer at a time, whatever the clocks say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from amsctl.errors import ExitCode, Frozen, Locked, LockLost, UsageError
from amsctl.ledger.store import Ledger, open_ledger
from amsctl.ledger.values import Holder, Kind, Scope
from tests.ledger.samples import AMS, MACHINE, OTHER, SCOPE, URL, Place, TestClock, fill, intent, outcome, started, take

ELSEWHERE = "m2.boot9/pid:[1]"


def at_work(holder: Holder) -> bool:
    """Process 666 is gone, every other one lives."""
    return holder.pid == 666


@pytest.fixture
def ledger(place: Place, clock: TestClock) -> Iterator[Ledger]:
    with open_ledger(place.url, clock=clock, dead=at_work, machine=MACHINE) as opened:
        yield opened


def expire(place: Place, seconds: float = 0.0) -> None:
    """Let the lease run out by the database's clock, which a test cannot turn."""
    with place.around() as raw:
        if place.server is None:
            return
        raw(f"UPDATE ledger_locks SET expires_wall = extract(epoch FROM clock_timestamp()) + {seconds}")


def test_a_lock_is_taken_shown_and_given_back(ledger: Ledger) -> None:
    """Who holds it since when is shown; it is free afterwards; taking and giving back stand in the chain."""
    lease = take(ledger, seconds=60)
    assert (lease.scope, lease.fence, lease.run, lease.seconds, lease.until_monotonic) == (SCOPE, 1, "r1", 60, 5060.0)
    (lock,) = ledger.locks()
    assert (lock.scope, lock.id, lock.fence, lock.run, lock.expired, lock.dead) == (SCOPE, lease.id, 1, "r1", False, False)
    assert (lock.holder.run_url, lock.since) == ("https://ci.example/runs/1", "2026-11-18T11:06:40.000Z")
    assert [one.id for one in ledger.locks(AMS)] == [lease.id]
    assert ledger.locks("elsewhere") == ()
    ledger.release(lease)
    assert ledger.locks() == ()
    again = take(ledger, run="r2")
    assert again.fence == 2
    assert again.id != lease.id
    kinds = [record.kind for record in ledger.records()]
    assert kinds == [Kind.LOCK_TAKEN, Kind.LOCK_RELEASED, Kind.LOCK_TAKEN]
    assert all(record.body["taken_over_from"] is None for record in ledger.records(kinds=[Kind.LOCK_TAKEN]))
    ledger.verify()


def test_one_writer_per_firm(ledger: Ledger) -> None:
    """The second is told who, where, since when, until when and what to do, exit code 7; another firm is free."""
    lease = take(ledger)
    with pytest.raises(Locked) as told:
        take(ledger, run="r2", number=2)
    assert told.value.exit_code is ExitCode.LATER
    message = str(told.value)
    assert "found run r1 of deploy on ci-7, process 1 (https://ci.example/runs/1), since 2026-11-18T11:06:40.000Z" in message
    assert f"amsctl lock break {lease.id}" in message
    assert SCOPE.firm in message
    with pytest.raises(Locked):
        take(ledger)  # nor the same run twice
    assert take(ledger, OTHER).fence == 1
    assert take(ledger, Scope("elsewhere", SCOPE.firm)).fence == 1
    ledger.release(lease)
    ledger.release(lease)
    assert take(ledger, run="r2", number=2).fence == 2


def test_who_finds_it_taken_at_the_second_look(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look is for those who wait; what decides is the look under the lock of the head."""
    lease = take(ledger)
    monkeypatch.setattr(Ledger, "_refuse_early", lambda *nothing: None)
    with pytest.raises(Locked, match=lease.id):
        take(ledger, run="r2", number=2)
    ledger.release(lease)
    assert take(ledger, run="r2", number=2).fence == 2


def test_a_lease_lasts_as_long_as_it_is_renewed(ledger: Ledger, clock: TestClock) -> None:
    """Renewals and appends keep it; without them the next one takes it over, with a higher fence, and that is recorded."""
    lease = take(ledger, seconds=60)
    clock.pass_(50)
    lease = ledger.renew(lease)
    assert lease.until_monotonic == 5110.0
    clock.pass_(50)
    _, renewed = ledger.append([started(), intent()], lease=lease)
    assert renewed is not None
    assert renewed.until_monotonic == 5160.0
    clock.pass_(59.9)
    with pytest.raises(Locked):
        take(ledger, run="r2", number=2)
    clock.pass_(0.1)
    assert ledger.locks()[0].expired
    thief = take(ledger, run="r2", number=2)
    assert thief.fence == 2
    (record,) = ledger.records(run="r2")
    before: Any = record.body["taken_over_from"]
    assert (before["lock"], before["run"], before["fence"], before["why"]) == (lease.id, "r1", 1, "its lease had run out")
    for lost in (
        lambda: ledger.renew(renewed),
        lambda: ledger.append([intent(step="s2")], lease=renewed),
        lambda: ledger.append([], lease=renewed),
    ):
        with pytest.raises(LockLost, match=rf"lock {lease.id} with fence 1"):
            lost()
    ledger.release(renewed)
    assert ledger.locks()[0].run == "r2"
    assert [one.step for one in ledger.attempts()] == ["s1"]
    ledger.append([outcome()])  # what has happened is recorded without a lock
    ledger.verify()


def test_a_late_holder_whom_nobody_replaced_goes_on(ledger: Ledger, clock: TestClock) -> None:
    """A lease that ran out is still its holder's until somebody takes it."""
    lease = take(ledger, seconds=60)
    clock.pass_(3600)
    _, renewed = ledger.append([intent()], lease=lease)
    assert renewed is not None
    assert renewed.until_monotonic == clock.up + 60
    with pytest.raises(Locked):
        take(ledger, run="r2", number=2)


def test_a_dead_holder_is_replaced_at_once(ledger: Ledger) -> None:
    """Nobody waits for a process that is known to be gone."""
    take(ledger, number=666, seconds=3600)
    (lock,) = ledger.locks()
    assert (lock.dead, lock.expired) == (True, False)
    assert take(ledger, run="r2", number=2).fence == 2
    (record,) = ledger.records(run="r2")
    assert record.body["taken_over_from"]["why"] == "its holder is gone"  # type: ignore[index]


def test_a_frozen_firm_has_no_lock(ledger: Ledger) -> None:
    """Neither a free one nor one that could be taken over; a lock that is held stays."""
    ledger.freeze(SCOPE, url=URL, reason="margin call", by="bob")
    with pytest.raises(Frozen):
        take(ledger)
    assert ledger.locks() == ()
    lease = take(ledger, OTHER)
    ledger.freeze(OTHER, url=URL, reason="", by="")
    assert ledger.renew(lease) == lease


def test_breaking_a_lock_wants_its_id(ledger: Ledger) -> None:
    """Its holder writes nothing any more; who broke it and why is recorded; no other lock is touched."""
    lease, other = take(ledger), take(ledger, OTHER, run="r2")
    with pytest.raises(UsageError, match=r"nobody holds a lock of this name.*amsctl lock status"):
        ledger.break_lock("00000000", by="ann", reason="?")
    broken = ledger.break_lock(lease.id, by="ann", reason="runner is gone")
    assert (broken.id, broken.run, broken.scope) == (lease.id, "r1", SCOPE)
    with pytest.raises(LockLost):
        ledger.append([intent()], lease=lease)
    with pytest.raises(UsageError):
        ledger.break_lock(lease.id, by="ann", reason="again")
    assert [lock.id for lock in ledger.locks()] == [other.id]
    (record,) = ledger.records(kinds=[Kind.LOCK_BROKEN])
    assert (record.body["by"], record.body["reason"], record.run) == ("ann", "runner is gone", "r1")
    assert take(ledger, run="r3").fence == 2
    ledger.verify()


# --- clocks ---


@pytest.mark.parametrize("jump", [-3600.0, 3600.0, 30 * 86400.0, -30 * 86400.0])
def test_wall_clock_jumps_on_one_machine_move_no_lease(ledger: Ledger, clock: TestClock, jump: float) -> None:
    """Set forward, it does not free a lease early; set back, it does not keep one: only the monotonic clock counts on one machine."""
    take(ledger, seconds=60)
    clock.pass_(30)
    clock.now += jump
    assert not ledger.locks()[0].expired
    with pytest.raises(Locked):
        take(ledger, run="r2", number=2)
    clock.pass_(29.9)
    with pytest.raises(Locked):
        take(ledger, run="r2", number=2)
    clock.pass_(0.2)
    assert ledger.locks()[0].expired
    assert take(ledger, run="r2", number=2).fence == 2


def test_two_containers_of_one_machine_share_its_clock(ledger: Ledger, clock: TestClock) -> None:
    """Processes that cannot see each other still have the same monotonic clock, if the machine was not started again."""
    take(ledger, seconds=60)
    clock.now += 30 * 86400
    with pytest.raises(Locked):
        take(ledger, run="r2", number=2, machine="m1.boot1/pid:[2]")
    clock.up += 60
    assert take(ledger, run="r2", number=2, machine="m1.boot1/pid:[2]").fence == 2


def test_between_machines_the_wall_clock_counts(ledger: Ledger, place: Place, clock: TestClock) -> None:
    """Monotonic clocks of two machines have nothing in common; PostgreSQL's wall clock is one for all."""
    take(ledger, seconds=60)
    clock.up += 100_000
    with pytest.raises(Locked):
        take(ledger, run="r2", number=2, machine=ELSEWHERE)
    clock.now += 60
    expire(place)
    assert take(ledger, run="r2", number=2, machine=ELSEWHERE).fence == 2


@pytest.mark.parametrize("machine", ["", ELSEWHERE])
def test_a_clock_that_was_ahead_keeps_no_lock_for_ever(ledger: Ledger, place: Place, clock: TestClock, machine: str) -> None:
    """A lease that would hold for a month holds for as long as an ordinary one from the first look on."""
    clock.now += 30 * 86400
    take(ledger, seconds=60, machine=machine)
    expire(place, 30 * 86400)
    clock.now -= 30 * 86400
    with pytest.raises(Locked):
        take(ledger, run="r2", number=2)
    clock.pass_(59)
    expire(place, 1)
    with pytest.raises(Locked):
        take(ledger, run="r2", number=2)
    clock.pass_(1.5)
    expire(place)
    assert take(ledger, run="r2", number=2).fence == 2


def test_shortening_lasts(ledger: Ledger, place: Place, clock: TestClock) -> None:
    """The shortened expiry is in the database although the acquire that found it was refused."""
    take(ledger, seconds=60, machine=ELSEWHERE)
    with place.around() as raw:
        raw("UPDATE ledger_locks SET expires_wall = expires_wall + 1000000")
        with pytest.raises(Locked):
            take(ledger, run="r2", number=2)
        now = clock.now if place.server is None else raw("SELECT extract(epoch FROM clock_timestamp())::float")[0][0]
        ((found,),) = raw("SELECT expires_wall FROM ledger_locks")
    assert found == pytest.approx(now + 60, abs=5)


def test_a_monotonic_clock_that_starts_anew_keeps_no_lock(ledger: Ledger, clock: TestClock) -> None:
    """Even a monotonic time from the future (a restored machine) is shortened."""
    take(ledger, seconds=60)
    clock.up -= 4000
    with pytest.raises(Locked):
        take(ledger, run="r2", number=2)
    clock.up += 60
    assert take(ledger, run="r2", number=2).fence == 2


def test_a_lease_is_counted_from_before_the_database_was_asked(place: Place) -> None:
    """However long the database takes, the holder never believes in its lock for longer than the database grants it."""

    class Slow(TestClock):
        def wall(self) -> float:
            self.pass_(7)  # asked for in the transaction
            return self.now

    clock = Slow()
    with open_ledger(place.url, clock=clock, dead=at_work, machine=MACHINE) as ledger:
        start = clock.up
        lease = take(ledger, seconds=60)
        assert lease.until_monotonic == start + 60
        start = clock.up
        assert ledger.renew(lease).until_monotonic == start + 60
        start = clock.up
        assert ledger.append([intent()], lease=lease)[1].until_monotonic == start + 60  # type: ignore[union-attr]


def test_every_column_of_a_lease_must_fit(ledger: Ledger, place: Place) -> None:
    """A lease with the right name and another fence, or another name and the right fence, is nobody's."""
    from dataclasses import replace

    lease = take(ledger)
    for wrong in (replace(lease, fence=2), replace(lease, id="00000000"), replace(lease, scope=OTHER)):
        with pytest.raises(LockLost):
            ledger.renew(wrong)
        ledger.release(wrong)
    assert ledger.locks()[0].id == lease.id


def test_a_full_ledger_shows_its_locks(ledger: Ledger) -> None:
    """Only locks that are held are listed."""
    (lease,) = fill(ledger)
    assert [lock.id for lock in ledger.locks()] == [lease.id]
