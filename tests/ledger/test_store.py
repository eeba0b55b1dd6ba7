"""Records, what is kept ready of them, plans and freezes."""

from __future__ import annotations

import hashlib
import threading
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amsctl.config import Secret
from amsctl.errors import Frozen, LedgerFailed, LockLost, UsageError
from amsctl.ledger.chain import hash_of, link
from amsctl.ledger.store import Ledger, exists, open_ledger
from amsctl.ledger.values import ALL_FIRMS, GENESIS, Draft, Head, Kind, Scope
from amsctl.model import AccountKey, Outcome
from tests.ledger.samples import AMS, OTHER, SCOPE, URL, Place, TestClock, fill, finished, intent, outcome, resolved, started, take


def test_an_empty_ledger(ledger: Ledger) -> None:
    """Nothing was done yet, and that is verified too."""
    assert ledger.head() == Head(0, GENESIS)
    assert str(ledger.head()) == f"0:{GENESIS}"
    assert (list(ledger.records()), list(ledger.runs()), ledger.attempts(), ledger.locks(), ledger.freezes()) == ([], [], (), (), ())
    assert ledger.verify().head == ledger.head()


def test_records_are_chained_and_kept(ledger: Ledger, place: Place, clock: TestClock) -> None:
    """Each record follows the one before; what is read later, by another process, is what was returned."""
    first, _ = ledger.append([started()])
    clock.pass_(1.5)
    more, lease = ledger.append([intent(), outcome()])
    assert lease is None
    assert [record.seq for record in (*first, *more)] == [1, 2, 3]
    assert [record.previous for record in (*first, *more)] == [GENESIS, first[0].hash, more[0].hash]
    assert (first[0].at, more[0].at) == ("2026-11-18T11:06:40.000Z", "2026-11-18T11:06:41.500Z")
    assert ledger.head() == Head(3, more[1].hash)
    with open_ledger(place.url, clock=clock, create=False) as again:
        assert tuple(again.records()) == (*first, *more)
        assert again.head() == ledger.head()
        assert again.verify().head == ledger.head()


def test_nothing_of_a_failed_append_is_kept(ledger: Ledger) -> None:
    """All drafts of an append are recorded or none."""
    ledger.append([started()])
    head = ledger.head()
    with pytest.raises(LedgerFailed):
        ledger.append([intent(), started()])  # a run starts once
    with pytest.raises(ValueError, match="perhaps"):
        ledger.append([intent(), outcome(word="perhaps")])
    assert ledger.head() == head
    assert ledger.attempts() == ()
    assert ledger.verify().head == head


def test_an_append_of_nothing(ledger: Ledger) -> None:
    """No draft, no record; a lease is renewed all the same."""
    assert ledger.append([]) == ((), None)
    lease = take(ledger)
    assert ledger.append([], lease=lease) == ((), lease)
    assert ledger.head().seq == 1


def test_records_are_found_by_what_they_are_of(ledger: Ledger, clock: TestClock) -> None:
    """Each filter narrows the log, and they narrow it together."""
    ledger.append([started("r1"), intent("r1", account="A1"), intent("r1", "s2", account="A2")])
    clock.pass_(3600)
    ledger.append([started("r2", scope=OTHER), intent("r2", account="A1", scope=OTHER), outcome("r1", account="A1")])
    assert [record.seq for record in ledger.records(after=4)] == [5, 6]
    assert [record.seq for record in ledger.records(firm=OTHER.firm)] == [4, 5]
    assert [record.seq for record in ledger.records(account="A1")] == [2, 5, 6]
    assert [record.seq for record in ledger.records(account="A1", run="r1", kinds=[Kind.OUTCOME])] == [6]
    assert [record.seq for record in ledger.records(run="r2")] == [4, 5]
    assert [record.seq for record in ledger.records(kinds=[Kind.INTENT, Kind.OUTCOME])] == [2, 3, 5, 6]
    assert [record.seq for record in ledger.records(since="2026-11-18T12")] == [4, 5, 6]
    assert [record.seq for record in ledger.records(since="2026-11-18T11:06:40.000Z", ams=AMS, firm=SCOPE.firm)] == [1, 2, 3, 6]
    assert list(ledger.records(ams="elsewhere")) == []


def test_long_logs_are_read_in_pages(ledger: Ledger) -> None:
    """A log of more than one page comes whole and in order, also when it grows meanwhile."""
    ledger.append([intent(step=f"s{number}") for number in range(1, 1201)])
    reading = ledger.records()
    assert next(reading).seq == 1
    ledger.append([intent(step="late")])
    assert [record.seq for record in reading] == list(range(2, 1202))


def test_runs_newest_first(ledger: Ledger) -> None:
    """A run is what its first record says, and how it ended, once it has."""
    for number in (1, 2, 3):
        ledger.append([started(f"run-{number}", environment="nr" if number == 2 else "sandbox")])
    ledger.append([finished("run-2", 5)])
    assert [run.id for run in ledger.runs()] == ["run-3", "run-2", "run-1"]
    assert [run.id for run in ledger.runs(limit=2)] == ["run-3", "run-2"]
    assert [run.id for run in ledger.runs(limit=0)] == []
    assert [run.id for run in ledger.runs(environment="nr")] == ["run-2"]
    assert [run.id for run in ledger.runs(ams="elsewhere")] == []
    ended, fresh = ledger.run("run-2"), ledger.run("run-3")
    assert ended is not None
    assert fresh is not None
    assert (ended.exit_code, ended.finished_at, ended.environment) == (5, ended.at, "nr")
    assert (fresh.exit_code, fresh.finished_at, fresh.plan_digest, fresh.inverse_digest) == (None, None, "sha256:p1", "sha256:i1")
    assert fresh.body["why"] == {"commit": "abc", "message": "RISK-7 raise", "ticket": "RISK-7"}


def test_many_runs_come_in_pages(ledger: Ledger) -> None:
    """More runs than a page are all there, whatever the limit."""
    ledger.append([started(f"r{number:04}") for number in range(1100)])
    assert [run.id for run in ledger.runs()] == [f"r{number:04}" for number in reversed(range(1100))]
    assert len(list(ledger.runs(limit=700))) == 700


def test_a_run_by_the_beginning_of_its_name(ledger: Ledger) -> None:
    """A beginning will do where it names one run alone; `%` and `_` are letters like others."""
    ledger.append([started("20261121T0815-ab"), started("20261121T0816-cd"), started("20261121T0816-cdef")])
    assert ledger.run("20261121T0815").id == "20261121T0815-ab"  # type: ignore[union-attr]
    assert ledger.run("20261121T0816-cd").id == "20261121T0816-cd"  # type: ignore[union-attr]
    assert ledger.run("2027") is None
    assert ledger.run("2026%") is None
    assert ledger.run("2026112_") is None
    with pytest.raises(UsageError, match=r"several runs begin so.*20261121T0816-cd"):
        ledger.run("20261121T0816")


def test_attempts_are_open_until_somebody_knows(ledger: Ledger) -> None:
    """An outcome closes all sendings of its step, `unknown` leaves them open, a later look settles those alone that are."""
    ledger.append([started(), intent(), intent(attempt=2), intent(step="s2", account="A2"), intent(step="s3", account="A3")])
    assert [one.attempt for one in ledger.attempts(open_only=True)] == [1, 2, 1, 1]
    ledger.append([outcome(), outcome(step="s2", word="unknown", account="A2")])
    assert [(one.step, one.outcome) for one in ledger.attempts()] == [
        ("s1", Outcome.VERIFIED), ("s1", Outcome.VERIFIED), ("s2", Outcome.UNKNOWN), ("s3", None),
    ]  # fmt: skip
    assert [one.step for one in ledger.attempts(open_only=True)] == ["s2", "s3"]
    ledger.append(
        [resolved(step="s1", word="failed"), resolved(step="s2", word="failed", account="A2"), resolved(step="s3", word="verified")]
    )
    assert [one.outcome for one in ledger.attempts()] == [Outcome.VERIFIED, Outcome.VERIFIED, Outcome.FAILED, Outcome.VERIFIED]
    assert ledger.attempts(open_only=True) == ()
    ledger.append([outcome(step="s2", word="verified", account="A2")])  # the word of who sent it, late: the last one
    assert ledger.attempts(account="A2")[0].outcome is Outcome.VERIFIED
    ledger.verify()


def test_attempts_of_somebody(ledger: Ledger) -> None:
    """By run, by scope, by account."""
    ledger.append([intent("r1"), intent("r2", account="A2"), intent("r3", scope=OTHER, account="A2")])
    assert [one.run for one in ledger.attempts(run="r2")] == ["r2"]
    assert [one.run for one in ledger.attempts(scope=OTHER, open_only=True)] == ["r3"]
    assert [one.run for one in ledger.attempts(account="A2")] == ["r2", "r3"]
    (first,) = ledger.attempts(run="r1")
    assert (first.account_key, first.intent_seq, first.outcome) == (AccountKey(SCOPE.firm, "A1"), 1, None)
    assert first.intent == intent("r1").body


def test_plans_are_kept_whole(ledger: Ledger, place: Place) -> None:
    """A plan comes back to the byte, is stored once, and the chain knows its SHA-256."""
    text = "{" + '"plan":"é"' * 4000 + "}"
    for run in ("r1", "r2"):
        ledger.append([started(run)], plans={"sha256:p1": text.encode(), "sha256:i1": b"{}"})
    assert ledger.plan("sha256:p1") == text.encode()
    assert ledger.plan("sha256:i1") == b"{}"
    assert ledger.plan("sha256:none") is None
    assert ledger.verify().plans == 2
    with place.around() as raw:
        assert raw("SELECT count(*) FROM ledger_plans WHERE length(content) < 2000") == [(2,)]
    with pytest.raises(LedgerFailed, match="another plan is stored under this digest"):
        ledger.append([started("r3")], plans={"sha256:i1": b"[]"})
    assert ledger.run("r3") is None


def test_a_plan_that_no_run_brought_is_not_given_out(ledger: Ledger, place: Place) -> None:
    """A row that was put there by hand is no plan, also under a digest that a run names."""
    ledger.append([started("r1")], plans={"sha256:p1": b"{}"})
    ledger.append([started("r2", plan="sha256:p2")])
    content = zlib.compress(b"{}")
    with place.around() as raw:
        for digest in ("sha256:i1", "sha256:p2", "sha256:none"):
            raw("INSERT INTO ledger_plans VALUES (?, ?, ?)", digest, hashlib.sha256(content).hexdigest(), content)
    for digest in ("sha256:i1", "sha256:p2", "sha256:none"):
        with pytest.raises(LedgerFailed, match="the stored plan was changed"):
            ledger.plan(digest)
    with pytest.raises(LedgerFailed, match="a plan that no record tells of"):
        ledger.verify()


@pytest.mark.parametrize("content", [b"x\x9c", b"", zlib.compress(b"[]")])
@pytest.mark.parametrize("sealed", [False, True])
def test_a_changed_plan_is_found(ledger: Ledger, place: Place, content: bytes, sealed: bool) -> None:
    """Stored bytes that are not those that were stored are never carried out; with a SHA-256 that fits them, the chain still knows better."""
    ledger.append([started()], plans={"sha256:p1": b"{}"})
    with place.around() as raw:
        raw.unguard()
        raw("UPDATE ledger_plans SET content = ?", content)
        if sealed:
            raw("UPDATE ledger_plans SET sha256 = ?", hashlib.sha256(content).hexdigest())
    with pytest.raises(LedgerFailed, match="the stored plan is not the one that was recorded"):
        ledger.verify()
    with pytest.raises(LedgerFailed, match="the stored plan was changed"):
        ledger.plan("sha256:p1")


def test_text_of_all_kinds_comes_back(ledger: Ledger) -> None:
    """Nothing in a message can break a record: quotes, NUL, other scripts; half characters become U+FFFD."""
    said = "'\";--\x00\u2028\U0001f600 \u202eevil é%s ? :name"
    (record,), _ = ledger.append([Draft(kind=Kind.FREEZE, ams=AMS, url=URL, firm="F", body={"reason": said, said: [None, True, 2**53]})])
    (half,), _ = ledger.append([Draft(kind=Kind.FREEZE, ams=AMS, url=URL, firm="G", body={"reason": "a\ud800b", "\udfff": 1})])
    assert record.body == {"reason": said, said: [None, True, 2**53]}
    assert half.body == {"reason": "a\ufffdb", "\ufffd": 1}
    assert tuple(ledger.records()) == (record, half)
    ledger.verify()


def test_the_database_itself_refuses_to_change_records(ledger: Ledger, place: Place) -> None:
    """A stray UPDATE or DELETE by hand is refused by a trigger, not found out later."""
    ledger.append([started()], plans={"sha256:p1": b"{}"})
    statements = [
        "UPDATE ledger_records SET at = 'x'",
        "DELETE FROM ledger_records",
        "DELETE FROM ledger_head",
        "UPDATE ledger_plans SET sha256 = 'x'",
        "DELETE FROM ledger_plans",
    ]
    if place.server is not None:
        statements += ["TRUNCATE ledger_records", "TRUNCATE ledger_head", "TRUNCATE ledger_plans"]
    for statement in statements:
        with place.around() as raw:
            if place.server is not None:
                raw("SET session_replication_role = origin")
            with pytest.raises(Exception, match="what is recorded stays as it is"):
                raw(statement)
    ledger.verify()


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM ledger_records WHERE seq = 2",
        "UPDATE ledger_records SET hash = 'x' WHERE seq = 2",
        "UPDATE ledger_head SET hash = 'x'",
        "UPDATE ledger_head SET seq = 1",
        "DELETE FROM ledger_head",
        "DELETE FROM ledger_records",
    ],
)
def test_nothing_is_appended_to_a_changed_ledger(ledger: Ledger, place: Place, damage: str) -> None:
    """When head and last record disagree, every write is refused, and the message names the command that looks closer."""
    lease = take(ledger)
    ledger.append([started()], lease=lease)
    with place.around() as raw:
        raw.unguard()
        raw(damage)
        before = raw("SELECT count(*) FROM ledger_records")
    for write in (
        lambda: ledger.append([intent()], lease=lease),
        lambda: take(ledger, OTHER),
        lambda: ledger.freeze(OTHER, url=URL, reason="", by=""),
    ):
        with pytest.raises(LedgerFailed, match=r"changed from outside.*amsctl ledger verify"):
            write()
    ledger.release(lease)  # gives back what it can, and says nothing
    with place.around() as raw:
        assert raw("SELECT count(*) FROM ledger_records") == before
    with pytest.raises(LedgerFailed):
        ledger.verify()


def test_a_ledger_without_head_says_so(ledger: Ledger, place: Place) -> None:
    """`ledger head` has nothing to print, and no traceback."""
    with place.around() as raw:
        raw.unguard()
        raw("DELETE FROM ledger_head")
    with pytest.raises(LedgerFailed, match="no head"):
        ledger.head()


# --- freezes ---


def test_a_freeze_stops_what_begins_and_nothing_that_ends(ledger: Ledger) -> None:
    """An intent and a run's start are refused and renew nothing; outcomes and ends are recorded."""
    lease = take(ledger)
    ledger.append([started(), intent()], lease=lease)
    freeze = ledger.freeze(SCOPE, url=URL, reason="margin call", by="bob")
    assert ledger.frozen(SCOPE) == freeze
    assert ledger.frozen(OTHER) is None
    for draft in (intent(step="s2"), started("r2")):
        with pytest.raises(Frozen, match=r"frozen.*'margin call', by bob, since 2026.*amsctl thaw"):
            ledger.append([draft], lease=lease)
        with pytest.raises(Frozen):
            ledger.append([draft])
    with pytest.raises(Frozen):
        take(ledger, run="r2")
    records, renewed = ledger.append([outcome(), finished()], lease=lease)
    assert len(records) == 2
    assert renewed is not None
    ledger.append([intent("r9", scope=OTHER)])
    assert ledger.thaw(SCOPE, url=URL, reason="paid", by="bob") == freeze
    ledger.append([intent(step="s3")], lease=lease)
    assert ledger.thaw(SCOPE, url=URL, reason="again", by="bob") is None
    assert ledger.freezes() == ()
    assert [record.body["reason"] for record in ledger.records(kinds=[Kind.FREEZE, Kind.THAW])] == ["margin call", "paid"]


def test_a_freeze_of_all_firms_holds_for_each(ledger: Ledger) -> None:
    """Every firm of the address stands still; another address does not, and no firm is thawed by another's thaw."""
    everybody = Scope(AMS, ALL_FIRMS)
    ledger.freeze(everybody, url=URL, reason="outage", by="ann")
    ledger.freeze(SCOPE, url=URL, reason="margin call", by="bob")
    for scope in (SCOPE, OTHER):
        with pytest.raises(Frozen):
            ledger.append([intent(scope=scope)])
    ledger.append([intent(scope=Scope("elsewhere", "GREENTEA"))])
    assert ledger.frozen(OTHER).reason == "outage"  # type: ignore[union-attr]
    assert [freeze.reason for freeze in ledger.freezes(AMS)] == ["outage", "margin call"]
    assert ledger.freezes("elsewhere") == ()
    assert ledger.thaw(OTHER, url=URL, reason="", by="") is None
    assert ledger.thaw(SCOPE, url=URL, reason="", by="").reason == "margin call"  # type: ignore[union-attr]
    with pytest.raises(Frozen, match="every clearing firm"):
        ledger.append([started(scope=SCOPE)])
    ledger.thaw(everybody, url=URL, reason="", by="")
    ledger.append([started(scope=SCOPE)])
    ledger.freeze(everybody, url=URL, reason="", by="")
    with pytest.raises(Frozen):  # the start of a run over several firms
        ledger.append([Draft(kind=Kind.RUN_STARTED, ams=AMS, url=URL, run="r5", body={})])


def test_a_lease_is_asked_for_its_own_firm(ledger: Ledger) -> None:
    """A run over several firms starts with one firm's lock: a freeze of that firm stops it."""
    lease = take(ledger)
    ledger.freeze(SCOPE, url=URL, reason="", by="")
    with pytest.raises(Frozen):
        ledger.append([Draft(kind=Kind.RUN_STARTED, ams=AMS, url=URL, run="r5", body={})], lease=lease)


def test_a_lost_lock_comes_before_a_freeze(ledger: Ledger) -> None:
    """Who has no lock is told so, frozen or not."""
    lease = take(ledger)
    ledger.break_lock(lease.id, by="", reason="")
    ledger.freeze(SCOPE, url=URL, reason="", by="")
    with pytest.raises(LockLost):
        ledger.append([intent()], lease=lease)


# --- one ledger, many hands ---


def test_threads_take_turns(ledger: Ledger) -> None:
    """One ledger serves many threads; no record is lost, doubled or out of the chain."""
    failures: list[BaseException] = []

    def write(number: int) -> None:
        try:
            for step in range(15):
                ledger.append([intent(f"r{number}", f"s{step}")])
                assert len(ledger.attempts(run=f"r{number}")) == step + 1
        except BaseException as problem:
            failures.append(problem)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert ledger.head().seq == 90
    assert ledger.verify().attempts == 90


def test_two_ledgers_on_one_database(place: Place, clock: TestClock) -> None:
    """Two processes append in turn to one chain."""
    with open_ledger(place.url, clock=clock) as one, open_ledger(place.url, clock=clock) as other:
        for number in range(5):
            one.append([intent("r1", f"s{number}")])
            other.append([intent("r2", f"s{number}")])
        assert one.head() == other.head()
        assert one.verify().attempts == 10


WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
BODIES = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=12), lambda one: st.lists(one, max_size=3), max_leaves=4
    ),
    max_size=4,
)
FREE_KINDS = st.sampled_from([Kind.FREEZE, Kind.THAW, Kind.RUN_FINISHED, Kind.LOCK_RELEASED])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    drafts=st.lists(
        st.builds(Draft, kind=FREE_KINDS, ams=st.just(AMS), url=WORDS, firm=WORDS, account=WORDS, run=WORDS, body=BODIES),
        min_size=1,
        max_size=6,
    )
)
def test_whatever_is_recorded_is_read_back(ledger: Ledger, drafts: list[Draft]) -> None:
    """Any text in any field comes back as it went in, and the chain over it is right."""
    before = ledger.head()
    safe = [
        draft for draft in drafts if not (draft.kind is Kind.RUN_FINISHED and not isinstance(draft.body.get("exit_code", 0), int | None))
    ]
    records, _ = ledger.append(safe)
    assert tuple(ledger.records(after=before.seq)) == records
    for draft, record in zip(safe, records, strict=True):
        assert (record.url, record.firm, record.account, record.run) == (draft.url, draft.firm, draft.account, draft.run)
        row = link(before, draft, record.at)
        assert (row.hash, hash_of(row)) == (record.hash, record.hash)
        before = Head(record.seq, record.hash)
    assert ledger.verify(anchor=before).head == before


def test_everything_at_once_is_verified(ledger: Ledger) -> None:
    """A ledger with some of everything is as written."""
    fill(ledger)
    seen: list[tuple[int, int]] = []
    head = ledger.head()
    checked = ledger.verify(anchor=head, progress=lambda done, total: seen.append((done, total)))
    assert (checked.head, checked.runs, checked.attempts, checked.plans) == (head, 4, 16, 8)
    assert seen == [(head.seq, head.seq)]


def test_where_there_is_a_ledger(place: Place, clock: TestClock) -> None:
    """A file is there or not; a server is taken to be there. Without `create` nothing is made."""
    assert exists(place.url) is (place.path is None)
    with pytest.raises(LedgerFailed, match="there is no ledger yet"):
        open_ledger(place.url, clock=clock, create=False)
    assert place.path is None or not place.path.parent.exists()
    open_ledger(place.url, clock=clock).close()
    assert exists(place.url)


@pytest.mark.parametrize("text", ["mysql://x/y", "sqlite:relative", "postgresql://u:s3cret-of-the-ledger@h:notaport/x", ""])
def test_an_address_that_names_no_ledger(text: str, clock: TestClock) -> None:
    """It is refused without being repeated: there may be a password in it."""
    with pytest.raises(LedgerFailed, match="the ledger's address cannot be used") as told:
        open_ledger(Secret(text), clock=clock)
    assert "s3cret" not in str(told.value)
