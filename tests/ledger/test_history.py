"""What the ledger tells of the past, on both databases: who last moved a limit, what was sent, what persons did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsctl.errors import LedgerFailed, UsageError
from amsctl.ledger import history
from amsctl.ledger.history import Asked, Blamed
from amsctl.ledger.store import Ledger
from amsctl.ledger.values import ALL_FIRMS, Draft, Kind, Scope
from amsctl.planning.codec import encode_change
from amsctl.planning.plan import Change, ChangeKind
from tests.ledger.samples import AMS, URL, TestClock, finished, resolved, started, take, url_of
from tests.views.samples import FIRM, leg, status, suspension

SCOPE = Scope(AMS, FIRM)
CJ, CC = "3N1/CJ.FUT.NYMEX", "3N1/CC.FUT.NYMEX"
RAISED = leg("c1", "A1", CJ, "ef.long", 5, 7, other=9)
LOWERED = leg("c2", "A1", CC, "ef.short", 9, 4, other=9)


def sent(run: str, step: str, changes: Sequence[Change], *, attempt: int = 1, previous: int | None = None, scope: Scope = SCOPE) -> Draft:
    body = {
        "step": step,
        "attempt": attempt,
        "phase": "loosen",
        "method": "POST",
        "path": "/x",
        "query": {},
        "request_sha256": "ab" * 32,
        "previous": None if attempt == 1 else {"http_status": previous},
        "changes": [encode_change(change) for change in changes],
        "fence": 1,
    }
    return Draft(kind=Kind.INTENT, ams=scope.ams, url=url_of(scope), firm=scope.firm, account=changes[0].account, run=run, body=body)


def told(
    run: str,
    step: str,
    word: str,
    *,
    account: str = "A1",
    rows: object = None,
    done: Sequence[str] | None = None,
    status: int | None = 200,
    scope: Scope = SCOPE,
) -> Draft:
    body = {
        "step": step,
        "outcome": word,
        "http_status": status,
        "attempts": 1,
        "message": f"{step} is {word}",
        "response_sha256": "cd" * 32,
        "rows": rows,
        "done": None if done is None else list(done),
    }
    return Draft(kind=Kind.OUTCOME, ams=scope.ams, url=url_of(scope), firm=scope.firm, account=account, run=run, body=body)


def later(run: str, step: str, word: str, found: Sequence[str] = (), done: Sequence[str] = ()) -> Draft:
    body = {"step": step, "outcome": word, "message": f"read later, {word}", "by_run": "rx", "done": list(done), "found": list(found)}
    return Draft(kind=Kind.RESOLVED, ams=AMS, url=URL, firm=FIRM, account="A1", run=run, body=body)


def write(ledger: Ledger, clock: TestClock, *drafts: Draft) -> None:
    """Each draft at a moment of its own."""
    for draft in drafts:
        clock.pass_(1)
        ledger.append([draft])


def blamed(ledger: Ledger, account: str = "A1", *where: str, ams: str = AMS) -> tuple[Blamed, ...]:
    return history.blame(ledger, Asked(text=account), ams=ams, **dict(zip(("execution_firm", "product"), where, strict=False)))


def moves(found: Sequence[Blamed]) -> dict[str, tuple[str | None, list[str]]]:
    """Subject → the run that moved it, and those that may have since."""
    return {
        f"{one.subject.product or one.subject.execution_firm or 'account'}": (
            None if one.moved is None else one.moved.run.id,
            [move.run.id for move in one.doubtful],
        )
        for one in found
    }


# --- blame ---


def test_the_last_change_that_landed_is_blamed(ledger: Ledger, clock: TestClock) -> None:
    """Verified counts, whatever came before it; a failed one later moves nothing."""
    write(ledger, clock, started("r1", scope=SCOPE), sent("r1", "s1", [RAISED]), told("r1", "s1", "verified"))
    write(ledger, clock, started("r2", scope=SCOPE), sent("r2", "s1", [RAISED, LOWERED]), told("r2", "s1", "verified"))
    write(ledger, clock, started("r3", scope=SCOPE), sent("r3", "s1", [RAISED]), told("r3", "s1", "failed", status=400))
    found = blamed(ledger)
    assert moves(found) == {"CC.FUT.NYMEX": ("r2", []), "CJ.FUT.NYMEX": ("r2", [])}
    moved = found[0].moved
    assert moved is not None
    assert (moved.change, moved.step, moved.run.plan_digest, moved.run.body["who"]) == (
        LOWERED,
        "s1",
        "sha256:p1",
        {"git_author": "Ann <ann@example.com>", "user": "ann"},
    )


@pytest.mark.parametrize("word", ["unknown", "diverged", None])
def test_what_nobody_knows_is_told_beside_what_landed(ledger: Ledger, clock: TestClock, word: str | None) -> None:
    """A later call that is unknown, diverged, or has no outcome at all may have moved it: it is shown as that, and not as the one that did."""
    write(ledger, clock, started("r1", scope=SCOPE), sent("r1", "s1", [RAISED]), told("r1", "s1", "verified"))
    write(ledger, clock, started("r2", scope=SCOPE), sent("r2", "s1", [RAISED]), *([told("r2", "s1", word)] if word else []))
    (one,) = blamed(ledger)
    assert moves([one]) == {"CJ.FUT.NYMEX": ("r1", ["r2"])}
    assert (one.doubtful[0].outcome.value if one.doubtful[0].outcome else None) == word


def test_what_reading_later_shows_is_believed(ledger: Ledger, clock: TestClock) -> None:
    """A resolution decides what an unknown call did: verified moved it, failed did not, diverged moved what it names as done."""
    write(ledger, clock, started("r1", scope=SCOPE), sent("r1", "s1", [RAISED, LOWERED]), told("r1", "s1", "verified"))
    for number, word in ((2, "verified"), (3, "failed")):
        write(ledger, clock, started(f"r{number}", scope=SCOPE), sent(f"r{number}", "s1", [RAISED]), told(f"r{number}", "s1", "unknown"))
        write(ledger, clock, later(f"r{number}", "s1", word))
        assert moves(blamed(ledger))["CJ.FUT.NYMEX"] == ("r2", [])
    write(ledger, clock, started("r4", scope=SCOPE), sent("r4", "s1", [RAISED, LOWERED]))
    write(ledger, clock, later("r4", "s1", "diverged", [f"{RAISED.where}: asked 7, found 6"], done=[LOWERED.id]))
    assert moves(blamed(ledger)) == {"CC.FUT.NYMEX": ("r4", []), "CJ.FUT.NYMEX": ("r2", ["r4"])}


def test_rows_of_a_call_in_part_are_blamed_each_on_its_own(ledger: Ledger, clock: TestClock) -> None:
    """Of a diverged call, what was read back as asked has landed; of the rest nobody knows."""
    rows = {"done": [CC], "not_done": [CJ]}
    partly = told("r1", "s1", "diverged", rows=rows, done=[LOWERED.id])
    write(ledger, clock, started("r1", scope=SCOPE), sent("r1", "s1", [RAISED, LOWERED]), partly)
    assert moves(blamed(ledger)) == {"CC.FUT.NYMEX": ("r1", []), "CJ.FUT.NYMEX": (None, ["r1"])}


def test_a_change_that_landed_overtakes_older_doubts_and_no_newer_ones(ledger: Ledger, clock: TestClock) -> None:
    """What was sent before the one that is known to have landed no longer matters, even when it is resolved after it."""
    write(ledger, clock, started("r1", scope=SCOPE), sent("r1", "s1", [RAISED]), told("r1", "s1", "unknown"))
    write(ledger, clock, started("r2", scope=SCOPE), sent("r2", "s1", [RAISED]), told("r2", "s1", "verified"))
    assert moves(blamed(ledger)) == {"CJ.FUT.NYMEX": ("r2", [])}
    write(ledger, clock, later("r1", "s1", "verified"))
    assert moves(blamed(ledger)) == {"CJ.FUT.NYMEX": ("r2", [])}


def test_blame_is_narrowed_and_keeps_environments_and_firms_apart(ledger: Ledger, clock: TestClock) -> None:
    """One execution firm, one row, one firm's account of two that share a number; another address is another book."""
    halted, closed = suspension("c3", "A1", "350", True), status("c4", "A1", "Inactive")
    other = Scope(AMS, "MATCHA")
    away = Scope("other", FIRM)
    write(ledger, clock, started("r1", scope=SCOPE), sent("r1", "s1", [LOWERED, RAISED]), told("r1", "s1", "verified"))
    write(ledger, clock, sent("r1", "s2", [closed]), told("r1", "s2", "verified"), sent("r1", "s3", [halted]), told("r1", "s3", "verified"))
    theirs = leg("c1", "A1", CJ, "ef.long", 5, 7, other=9, firm="MATCHA")
    write(ledger, clock, started("r2", scope=other), sent("r2", "s1", [theirs], scope=other), told("r2", "s1", "verified", scope=other))
    write(ledger, clock, started("r3", scope=away), sent("r3", "s1", [RAISED], scope=away), told("r3", "s1", "verified", scope=away))
    assert [one.subject.account.firm for one in blamed(ledger)] == [FIRM] * 4 + ["MATCHA"]
    ours = blamed(ledger, f"{FIRM}/A1")
    assert [one.subject.kind for one in ours] == [ChangeKind.STATUS, ChangeKind.SUSPENSION, ChangeKind.LIMIT, ChangeKind.LIMIT]
    assert [one.subject.product for one in blamed(ledger, f"{FIRM}/A1", "3N1")] == ["CC.FUT.NYMEX", "CJ.FUT.NYMEX"]
    assert [one.subject.product for one in blamed(ledger, f"{FIRM}/A1", "3N1", "CJ.FUT.NYMEX")] == ["CJ.FUT.NYMEX"]
    assert [one.subject.execution_firm for one in blamed(ledger, "A1", "350")] == ["350"]
    assert blamed(ledger, "A2") == blamed(ledger, "X/A1") == ()
    assert moves(blamed(ledger, ams="other")) == {"CJ.FUT.NYMEX": ("r3", [])}


def test_an_account_number_may_hold_a_slash(ledger: Ledger, clock: TestClock) -> None:
    """``A/1`` is a number, or account 1 of firm A: whichever the ledger knows."""
    odd = leg("c1", "A/1", CJ, "ef.long", 5, 7, other=9)
    write(ledger, clock, started("r1", scope=SCOPE), sent("r1", "s1", [odd]), told("r1", "s1", "verified", account="A/1"))
    assert moves(blamed(ledger, "A/1")) == moves(blamed(ledger, f"{FIRM}/A/1")) == {"CJ.FUT.NYMEX": ("r1", [])}


def test_a_record_without_its_call_or_its_run(ledger: Ledger, clock: TestClock) -> None:
    """A ledger that was tampered with ends in words: a stray outcome is passed over, a run that is not there is named."""
    write(ledger, clock, told("r0", "s9", "verified"))
    assert blamed(ledger) == ()
    write(ledger, clock, sent("r0", "s1", [RAISED]))
    with pytest.raises(LedgerFailed, match="a run that the ledger does not know: found r0"):
        blamed(ledger)


# --- sendings and their rows ---


def test_each_sending_has_a_row_of_its_own(ledger: Ledger, clock: TestClock) -> None:
    """A step that was sent twice has two rows: the first with the answer that made it be repeated, the second with the outcome."""
    write(ledger, clock, started("r1", scope=SCOPE), sent("r1", "s1", [RAISED]), sent("r1", "s1", [RAISED], attempt=2, previous=503))
    write(ledger, clock, told("r1", "s1", "verified"), sent("r1", "s2", [LOWERED]))
    names = ("step", "attempt", "outcome", "http_status", "response_sha256", "message", "ticket", "commit", "who", "environment")
    rows = [dict(zip(history.COLUMNS, row, strict=True)) for row in history.attempt_rows(ledger)]
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("s1", 1, "verified", 503, "", "sent again as attempt 2", "RISK-7", "abc", "ann, manifests by Ann <ann@example.com>", "sandbox"),
        ("s1", 2, "verified", 200, "cd" * 32, "s1 is verified", "RISK-7", "abc", "ann, manifests by Ann <ann@example.com>", "sandbox"),
        ("s2", 1, "", "", "", "", "RISK-7", "abc", "ann, manifests by Ann <ann@example.com>", "sandbox"),
    ]


def test_a_resolution_closes_only_what_was_open(ledger: Ledger, clock: TestClock) -> None:
    """What is verified stays verified; the last sending of an open step tells what was found."""
    write(ledger, clock, started("r1", scope=SCOPE), sent("r1", "s1", [RAISED]), told("r1", "s1", "verified"), later("r1", "s1", "failed"))
    write(ledger, clock, sent("r1", "s2", [RAISED]), sent("r1", "s2", [RAISED], attempt=2), told("r1", "s2", "unknown", status=None))
    write(ledger, clock, later("r1", "s2", "failed"))
    run = history.run_of(ledger, "r1")
    assert [(item.step, item.outcome and item.outcome.value, item.message) for item in history.sendings(ledger, run)] == [
        ("s1", "verified", "s1 is verified"),
        ("s2", "failed", "sent again as attempt 2"),
        ("s2", "failed", "read later, failed"),
    ]


def test_rows_since_a_moment_and_of_an_environment(ledger: Ledger, clock: TestClock) -> None:
    """A run that began earlier is there with what it sent since."""
    write(ledger, clock, started("r1", scope=SCOPE), sent("r1", "s1", [RAISED]))
    clock.pass_(3600)
    moment = history.since("30m", clock.now)
    write(ledger, clock, sent("r1", "s2", [RAISED]))
    assert [row[7] for row in history.attempt_rows(ledger, since=moment)] == ["s2"]
    assert [row[7] for row in history.attempt_rows(ledger)] == ["s1", "s2"]
    assert list(history.attempt_rows(ledger, ams="other")) == []


# --- the log ---


def test_the_log_is_newest_first_and_says_when_there_is_more(ledger: Ledger, clock: TestClock) -> None:
    """Runs with how they ended; freezes, thaws and broken locks beside them; a limit cuts both, and is told."""
    for number in (1, 2, 3):
        write(ledger, clock, started(f"r{number}", scope=SCOPE), finished(f"r{number}", 5 if number == 2 else 0))
    write(ledger, clock, started("r4", scope=SCOPE))
    ledger.freeze(Scope(AMS, ALL_FIRMS), url=URL, reason="market event", by="bob")
    clock.pass_(1)
    ledger.thaw(Scope(AMS, ALL_FIRMS), url=URL, reason="over", by="ann")
    ledger.break_lock(take(ledger).id, by="ann", reason="gone")
    found = history.log(ledger, limit=20)
    assert [(one.run.id, one.run.exit_code, dict(one.counts), one.sendings) for one in found.runs] == [
        ("r4", None, {}, None),
        ("r3", 0, {"verified": 1}, None),
        ("r2", 5, {"verified": 1}, None),
        ("r1", 0, {"verified": 1}, None),
    ]
    assert [(act.kind, act.firm, act.by, act.reason, act.run) for act in found.acts] == [
        (Kind.LOCK_BROKEN, "GREENTEA", "ann", "gone", "r1"),
        (Kind.THAW, "*", "ann", "over", ""),
        (Kind.FREEZE, "*", "bob", "market event", ""),
    ]
    assert not found.more
    fewer = history.log(ledger, limit=3)
    assert ([one.run.id for one in fewer.runs], len(fewer.acts), fewer.more) == (["r4", "r3", "r2"], 3, True)
    assert history.log(ledger, limit=20, ams="other") == history.Log(runs=(), acts=(), more=False)


def test_the_log_since_a_moment(ledger: Ledger, clock: TestClock) -> None:
    """Runs that began, and acts that were done, since then."""
    write(ledger, clock, started("r1", scope=SCOPE), Draft(kind=Kind.FREEZE, ams=AMS, url=URL, firm="X", body={"reason": "a", "by": "b"}))
    moment = history.since("0s", clock.now + 0.5)
    write(ledger, clock, started("r2", scope=SCOPE))
    found = history.log(ledger, limit=20, since=moment)
    assert ([one.run.id for one in found.runs], found.acts) == (["r2"], ())


def test_the_log_of_an_account_or_a_run_lists_what_was_sent(ledger: Ledger, clock: TestClock) -> None:
    """Every sending to the account, under the runs that made them; of one run, every sending of it."""
    other = leg("c9", "A2", CJ, "ef.long", 5, 7, other=9)
    for run in ("r1", "r2"):
        write(ledger, clock, started(run, scope=SCOPE), sent(run, "s1", [RAISED]), told(run, "s1", "verified"), sent(run, "s2", [other]))
    moment = history.since("0s", clock.now - 3.5)
    write(ledger, clock, started("r3", scope=SCOPE), sent("r3", "s1", [other]))

    def steps(**asked: object) -> list[tuple[str, list[str]]]:
        found = history.log(ledger, limit=20, **asked)  # type: ignore[arg-type]
        assert found.acts == ()
        return [(one.run.id, [item.step for item in one.sendings or ()]) for one in found.runs]

    assert steps(account=Asked(text="A1")) == steps(account=Asked(text=f"{FIRM}/A1")) == [("r2", ["s1"]), ("r1", ["s1"])]
    assert steps(account=Asked(text="A2")) == [("r3", ["s1"]), ("r2", ["s2"]), ("r1", ["s2"])]
    assert steps(run=ledger.run("r1")) == [("r1", ["s1", "s2"])]
    assert steps(run=ledger.run("r1"), account=Asked(text="A2")) == [("r1", ["s2"])]
    assert steps(account=Asked(text="A2"), since=moment) == [("r3", ["s1"]), ("r2", ["s2"])]
    assert steps(account=Asked(text="MATCHA/A2")) == []


def test_known_firms_are_those_that_were_locked(ledger: Ledger, clock: TestClock) -> None:
    """A freeze of a name that nobody ever wrote to does not make it known."""
    take(ledger)
    ledger.freeze(Scope(AMS, "GRENTEA"), url=URL, reason="typo", by="bob")
    assert history.known_firms(ledger, AMS) == ("GREENTEA",)
    assert history.known_firms(ledger, "other") == ()


def test_a_resolution_of_another_shape_is_read_too(ledger: Ledger, clock: TestClock) -> None:
    """A resolution carries no rows and no status; the samples of the other tests do."""
    write(ledger, clock, started("r1", scope=SCOPE), sent("r1", "s1", [RAISED]), resolved("r1", "s1"))
    assert [item.outcome for item in history.sendings(ledger, history.run_of(ledger, "r1"))] == ["verified"]


# --- moments ---

NOW = datetime(2026, 11, 23, 23, 17, 26, 500_000, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90s", "2026-11-23T23:15:56.500Z"),
        ("30m", "2026-11-23T22:47:26.500Z"),
        ("12h", "2026-11-23T11:17:26.500Z"),
        ("7d", "2026-11-16T23:17:26.500Z"),
        ("2w", "2026-11-09T23:17:26.500Z"),
        ("2026-11-20", "2026-11-20T00:00:00.000Z"),
        ("2026-11-20T09:30", "2026-11-20T09:30:00.000Z"),
        ("2026-11-20T09:30:00Z", "2026-11-20T09:30:00.000Z"),
        ("2026-11-20T09:30:00-06:00", "2026-11-20T15:30:00.000Z"),
        ("0001-01-01", "0001-01-01T00:00:00.000Z"),
    ],
)
def test_since(text: str, moment: str) -> None:
    """So long ago, or a date or time; without an offset it is UTC, whatever the machine's zone."""
    assert history.since(text, NOW) == moment


@pytest.mark.parametrize(
    "text", ["", "yesterday", "7", "d", "-7d", "7 d", "1.5h", "999999w", "2026-13-01", "2026-11-20T25:00", "0001-01-01T00:00+14:00", "٧d"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    """A usage error that names the forms."""
    with pytest.raises(UsageError, match="--since is not a time: expected 7d"):
        history.since(text, NOW)


@given(
    st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)),
    st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)),
)
def test_moments_sort_as_records_do(one: datetime, other: datetime) -> None:
    """Records are compared by their text: moments in order have texts in order."""
    first, second = (history.since(moment.isoformat(), NOW) for moment in (one, other))
    assert (first <= second) == (one.replace(microsecond=one.microsecond // 1000) <= other.replace(microsecond=other.microsecond // 1000))
