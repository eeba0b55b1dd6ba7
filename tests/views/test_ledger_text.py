"""What the ledger tells as text: the log, blame, locks and freezes, settled calls. Golden texts that a person has looked at, and a hostile ledger."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from amsctl.applying.settlement import Settlement
from amsctl.ledger.history import Act, Blamed, Log, LoggedRun, Move, Sending, Subject
from amsctl.ledger.values import ALL_FIRMS, Attempt, Freeze, Head, Holder, Kind, Lock, Run, Scope
from amsctl.ledger.verification import Verified
from amsctl.model import AccountKey, Outcome
from amsctl.operations.runs import Settled
from amsctl.planning.codec import encode_change
from amsctl.planning.plan import Change
from amsctl.views import ledger_text
from amsctl.views.layout import cells
from amsctl.views.ledger_text import blame_text, lock_status_text, log_text, settled_text, time_words, verified_text
from amsctl.views.style import Look
from tests.views.golden import assert_golden
from tests.views.samples import FIRM, leg, status, suspension
from tests.views.test_hostile import OURS, assert_clean, hostile

URL = "https://amsapinr.cmegroup.com/rest/v2"
NAMES = {"nr": "new-release", "sandbox": "sandbox"}
ACCOUNT = "DV10121801A"
CHANGES = (
    leg("c1", ACCOUNT, "3N1/CJ.FUT.NYMEX", "ef.long", 324, 300, other=9000),
    leg("c2", ACCOUNT, "3N1/CJ.FUT.NYMEX", "cmf.short", 2147483647, 9000, other=9000),
    suspension("c3", ACCOUNT, "350", True),
    status("c4", ACCOUNT, "Active"),
)
BODY: dict[str, Any] = {
    "steps": 1200,
    "who": {
        "git_author": "Jo Risk <jo@example.com>",
        "ci": {"system": "github", "actor": "jo", "run_url": "https://github.com/greentea/limits/actions/runs/11223344"},
        "user": "runner",
        "host": "runner-7",
        "principal": "API_GREENTEA_RISK",
    },
    "why": {"commit": "4be1c0ffee" + "0" * 30, "message": "RISK-1234 raise softs\n\nlong text", "ticket": "RISK-1234", "reason": None},
    "consent": "saved plan plan.json",
    "approvals": [{"by": "Ann <ann@example.com>"}],
}


def run_of(number: int, code: int | None, **body: Any) -> Run:
    return Run(
        id=f"2026112{number}T231726Z-ab12cd",
        at=f"2026-11-2{number}T23:17:26.123Z",
        ams="nr",
        url=URL,
        environment="new-release",
        plan_digest="sha256:" + "9f2c1e0b7a" * 6 + "9f2c",
        inverse_digest="",
        exit_code=code,
        finished_at=None,
        body={**BODY, **body},
    )


DONE, UNSURE = run_of(1, 0), run_of(2, 6, resumes="20261121T231726Z-ab12cd")
CRASHED = run_of(3, None, who={}, why={"ticket": "RISK-9", "reason": "client default"}, approvals=[], consent="")


def encoded(*changes: Change) -> list[object]:
    return [encode_change(change) for change in changes]


def sending(**more: Any) -> Sending:
    usual = Sending(
        run=UNSURE, seq=7, at="2026-11-22T23:17:28.001Z", url=URL, firm=FIRM, account=ACCOUNT, step="s1", phase="tighten", attempt=1,
        outcome=Outcome.VERIFIED, http_status=200, request_sha256="a" * 64, response_sha256=None, message="", intended=encoded(*CHANGES[:2]),
    )  # fmt: skip
    return replace(usual, **more)


SENDINGS = (
    sending(http_status=503, message="sent again as attempt 2"),
    sending(step="s9", account="MT40777001", outcome=None, http_status=None, intended=encoded(CHANGES[2])),
    sending(
        attempt=2, outcome=Outcome.UNKNOWN, http_status=None, message="no answer within 30 s, and the read-back failed: connection refused"
    ),
    sending(step="s2", intended=encoded(*(leg(f"c{n}", ACCOUNT, f"3N1/P{n}.FUT.CME", "ef.long", 5, 4, other=9) for n in range(1, 26)))),
)
ACTS = (
    Act(seq=9, at="2026-11-22T10:00:00.000Z", kind=Kind.THAW, url=URL, firm=ALL_FIRMS, by="ann@desk", reason="over", run=""),
    Act(
        seq=8, at="2026-11-22T09:00:00.000Z", kind=Kind.FREEZE, url=URL, firm=ALL_FIRMS, by="bob@desk", reason="RISK-1 market event", run=""
    ),
    Act(seq=7, at="2026-11-22T08:00:00.000Z", kind=Kind.LOCK_BROKEN, url=URL, firm=FIRM, by="", reason="", run=DONE.id),
)
COUNTS = {"verified": 1198, "diverged": 0, "failed": 0, "unknown": 2, "blocked": 0, "skipped": 0}
LOG = Log(
    runs=(
        LoggedRun(run=CRASHED, counts={}, postponed=None, sendings=None),
        LoggedRun(run=UNSURE, counts=COUNTS, postponed="the window closes at 18:00 Chicago time", sendings=None),
        LoggedRun(run=DONE, counts={"verified": 3}, postponed=None, sendings=None),
    ),
    acts=ACTS,
    more=True,
)
DETAILED = Log(runs=(LoggedRun(run=UNSURE, counts=COUNTS, postponed=None, sendings=SENDINGS),), acts=(), more=False)


def move(change: Change, run: Run, outcome: Outcome | None = Outcome.VERIFIED) -> Move:
    return Move(change=change, at=run.at, run=run, step="s12", outcome=outcome)


def subject(change: Change) -> Subject:
    return Subject(
        AccountKey(FIRM, change.account),
        change.kind,
        change.execution_firm or "",
        change.product or "",
        change.owner or "",
        change.leg or "",
    )


BLAMED = tuple(
    Blamed(subject=subject(change), moved=moved, doubtful=doubtful)
    for change, moved, doubtful in (
        (CHANGES[3], move(CHANGES[3], DONE), ()),
        (CHANGES[2], move(CHANGES[2], DONE), ()),
        (CHANGES[0], move(CHANGES[0], DONE), (move(CHANGES[0], UNSURE, Outcome.UNKNOWN), move(CHANGES[0], CRASHED, None))),
        (CHANGES[1], None, (move(CHANGES[1], UNSURE, Outcome.DIVERGED),)),
    )
)


def lock(number: int, **more: Any) -> Lock:
    holder = Holder(user="deploy", host=f"runner-{number}", pid=4242, process_started="1", machine="m", run_url="https://ci.example/runs/7")
    usual = Lock(
        scope=Scope("nr", FIRM), url=URL, id=f"3f9c2a1{number}", fence=3, run=DONE.id, holder=holder, since="2026-11-22T23:17:26.123Z",
        expires_at="2026-11-22T23:19:26.123Z", expired=False, dead=False,
    )  # fmt: skip
    return replace(usual, **more)


LOCKS = (
    lock(1),
    lock(2, expired=True, scope=Scope("sandbox", "MATCHA"), url="http://127.0.0.1:8480/rest/v2"),
    lock(
        3,
        dead=True,
        expired=True,
        holder=replace(lock(3).holder, run_url=""),
        scope=Scope("http://elsewhere/rest/v2", "SENCHA"),
        url="http://elsewhere/rest/v2",
    ),
)
FREEZES = (
    Freeze(scope=Scope("nr", ALL_FIRMS), url=URL, reason="RISK-1 market event", by="bob@desk", since="2026-11-22T09:00:00.000Z"),
    Freeze(scope=Scope("nr", FIRM), url=URL, reason="RISK-2 " + "under review " * 9, by="ann@desk", since="2026-11-22T09:00:00.000Z"),
)


def attempt(step: str) -> Attempt:
    return Attempt(
        run=UNSURE.id, step=step, attempt=1, scope=Scope("nr", FIRM), url=URL, account=ACCOUNT, intent_seq=7, at="2026-11-22T23:17:28.001Z", outcome=None,
        intent={},
    )  # fmt: skip


SETTLED = (
    Settled(attempt=attempt("s1"), settlement=Settlement(outcome=Outcome.VERIFIED, message="read later, the AMS holds what was asked")),
    Settled(attempt=attempt("s2"), settlement=None, problem="the account cannot be read: no answer within 30 s"),
    Settled(attempt=attempt("s3"), settlement=Settlement(outcome=Outcome.DIVERGED, message="read later, 1 of 2 values are as asked")),
)
HEAD = Head(1234, "ab" * 32)
VERIFIED = Verified(head=HEAD, runs=12, attempts=1, plans=24)

TEXTS = {
    "ledger_log": lambda look: log_text(LOG, look),
    "ledger_log_run": lambda look: log_text(DETAILED, look),
    "ledger_blame": lambda look: blame_text(BLAMED, look, environment="new-release", url=URL),
    "lock_status": lambda look: lock_status_text(LOCKS, FREEZES, look, names=NAMES),
    "resolve": lambda look: settled_text(SETTLED, look),
    "ledger_verify": lambda look: verified_text(VERIFIED, Head(1000, "cd" * 32), look) + verified_text(VERIFIED, None, look),
}


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("name", TEXTS)
def test_golden(name: str, width: int, color: bool) -> None:
    """The text that a person has looked at."""
    assert_golden(f"{name}-{width}{'-color' if color else ''}", TEXTS[name](Look(color=color, width=width)))


@pytest.mark.parametrize("name", TEXTS)
def test_lines_fit_and_colour_adds_nothing_but_colour(name: str) -> None:
    """No line is wider than 80 columns but for words that may not be broken; without colour the text is the same; ASCII where only that arrives."""
    plain = TEXTS[name](Look(width=80))
    assert [line for line in plain.splitlines() if cells(line) > 80 and " " in line.strip()] == []
    assert OURS.sub("", TEXTS[name](Look(color=True, width=80))) == plain
    assert TEXTS[name](Look(unicode=False)).isascii()
    assert plain.endswith("\n")
    assert not plain.endswith("\n\n")


def test_the_log_is_one_story() -> None:
    """Runs and acts stand in the order of time, newest first."""
    heads = [line.split("  ")[0] for line in log_text(LOG).splitlines() if line and not line.startswith(" ")]
    assert heads == [CRASHED.id, UNSURE.id, "thaw", "freeze", "lock broken", DONE.id, "There are older ones: --limit N shows more."]


def test_sendings_to_one_account_stand_together() -> None:
    """Whatever the order in which accounts took turns; a long call is cut, and says so."""
    lines = log_text(DETAILED, Look(width=100)).splitlines()
    assert [line.strip() for line in lines if line.startswith("  G")] == [f"{FIRM}/DV10121801A", f"{FIRM}/MT40777001"]
    assert "        and 5 more changes; --format json tells all" in lines
    assert sum("P" in line and "5 → 4" in line for line in lines) == 20


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (None, "not finished"),
        (0, "done"),
        (4, "stale (exit 4)"),
        (5, "partial (exit 5)"),
        (6, "not verified (exit 6)"),
        (7, "postponed (exit 7)"),
        (130, "interrupted (exit 130)"),
        (143, "terminated (exit 143)"),
        (1, "ended (exit 1)"),
    ],
)
def test_how_a_run_ended(code: int | None, words: str) -> None:
    """Each exit code of a run in words."""
    log = Log(runs=(LoggedRun(run=run_of(1, code), counts={}, postponed=None, sendings=None),), acts=(), more=False)
    assert log_text(log).splitlines()[0] == f"20261121T231726Z-ab12cd  {words}"


def test_what_the_plan_of_a_run_came_from() -> None:
    """A rollback names the run that it took back and who asked; a commit that was not all says so; a plan that was changed is told, not believed."""

    def told(source: dict[str, Any] | None) -> str:
        run = run_of(1, 0, why={"commit": "abcdef0123456789", "message": "raise"})
        return log_text(Log(runs=(LoggedRun(run=run, counts={}, postponed=None, sendings=None, source=source),), acts=(), more=False))

    plain = told({"git": {"dirty": False}, "rollback": None})
    assert plain == told({}) == told({"git": None})
    assert "why: commit abcdef012345 raise\n" in plain
    assert "why: commit abcdef012345 raise, with uncommitted changes\n" in told({"git": {"dirty": True}})
    assert f"    takes back {DONE.id}, asked for by ann@desk\n" in told({"rollback": {"run": DONE.id, "asked_by": "ann@desk"}})
    assert "its stored plan was changed from outside: amsctl ledger verify\n" in told(None)


def test_a_ticket_is_told_once() -> None:
    """On its own only where neither reason nor the first line of the commit message shows it."""

    def why(**parts: str) -> list[str]:
        log = Log(runs=(LoggedRun(run=run_of(1, 0, why=parts), counts={}, postponed=None, sendings=None),), acts=(), more=False)
        return [line.strip() for line in log_text(log).splitlines() if "why:" in line]

    assert why(ticket="A-1", reason="A-1 now") == ["why: A-1 now"]
    assert why(ticket="A-1", commit="abcdef0123456789", message="raise\n\nA-1") == ["why: A-1; commit abcdef012345 raise"]
    assert why(ticket="A-1") == ["why: A-1"]
    assert why(commit="abcdef0123456789") == ["why: commit abcdef012345"]
    assert why() == []


def test_nothing_to_tell() -> None:
    """Each says so in a sentence."""
    assert log_text(Log(runs=(), acts=(), more=False)) == "The ledger has no such record.\n"
    assert blame_text((), environment="sandbox", url=URL) == "The ledger has no such change at sandbox.\n"
    assert lock_status_text((), (), names={}) == "Nothing is locked or frozen.\n"
    assert settled_text(()) == "No account is in quarantine: nothing had to be resolved.\n"


def test_blame_numbers_runs_newest_first_and_once() -> None:
    """Three runs moved or may have moved something: three numbers, each explained once below."""
    text = blame_text(BLAMED, environment="new-release", url=URL)
    assert [line[:27] for line in text.splitlines() if line.startswith("[")] == [
        f"[1] {CRASHED.id}",
        f"[2] {UNSURE.id}",
        f"[3] {DONE.id}",
    ]
    assert text.count("which may have landed: no outcome is recorded (amsctl resolve)\n") == 1


def test_times() -> None:
    """The ledger's times without their milliseconds; anything else as it is."""
    assert time_words("2026-11-23T23:17:26.123Z") == "2026-11-23 23:17:26Z"
    assert time_words("2026-11-23T23:17:26Z") == "2026-11-23 23:17:26Z"
    for other in ("", "soon", "2026-11-23T23:17:26.123+01:00", "x" * 30):
        assert time_words(other) == other


def spoiled(value: Any, chance: random.Random) -> Any:
    """The value with every text in it replaced, however deep."""
    if isinstance(value, str):
        return hostile(chance)
    if isinstance(value, dict):
        return {key: spoiled(item, chance) for key, item in value.items()}
    return [spoiled(item, chance) for item in value] if isinstance(value, list) else value


def hostile_run(run: Run, chance: random.Random) -> Run:
    return replace(
        run,
        id=hostile(chance),
        at=hostile(chance),
        environment=hostile(chance),
        plan_digest=hostile(chance),
        body=spoiled(dict(run.body), chance),
    )


def test_a_hostile_ledger() -> None:
    """Whatever somebody wrote into the ledger's texts, no view lets a control character through."""
    chance = random.Random(4)
    for _ in range(150):
        look = Look(color=chance.random() < 0.5, width=chance.choice((40, 80, 140)))
        run = hostile_run(UNSURE, chance)
        change = replace(
            chance.choice(CHANGES[:3]),
            execution_firm=hostile(chance),
            product=hostile(chance),
            clearing_firm=hostile(chance),
            account=hostile(chance),
        )
        item = sending(
            run=run, at=hostile(chance), firm=hostile(chance), account=hostile(chance), step=hostile(chance), phase=hostile(chance),
            message=hostile(chance), intended=encoded(change),
        )  # fmt: skip
        acts = tuple(
            replace(
                act,
                at=hostile(chance),
                url=hostile(chance),
                firm=hostile(chance),
                by=hostile(chance),
                reason=hostile(chance),
                run=hostile(chance),
            )
            for act in ACTS
        )
        logged = LoggedRun(run=run, counts={hostile(chance): 1}, postponed=hostile(chance), sendings=(item,))
        assert_clean(log_text(Log(runs=(logged,), acts=acts, more=True), look))
        one = Blamed(
            subject=Subject(AccountKey(hostile(chance), hostile(chance)), change.kind, hostile(chance), hostile(chance), "ef", "long"),
            moved=replace(move(change, run), at=hostile(chance), step=hostile(chance)),
            doubtful=(),
        )
        assert_clean(blame_text((one,), look, environment=hostile(chance), url=hostile(chance)))
        holder = replace(LOCKS[0].holder, user=hostile(chance), host=hostile(chance), run_url=hostile(chance))
        scope = Scope(hostile(chance), hostile(chance))
        locked = replace(
            LOCKS[0], scope=scope, id=hostile(chance), run=hostile(chance), holder=holder, since=hostile(chance), expires_at=hostile(chance)
        )
        frozen = Freeze(scope=scope, url=hostile(chance), reason=hostile(chance), by=hostile(chance), since=hostile(chance))
        assert_clean(lock_status_text((locked,), (frozen,), look, names={scope.ams: hostile(chance)}))
        tried = replace(attempt(hostile(chance)), run=hostile(chance), account=hostile(chance), at=hostile(chance))
        assert_clean(settled_text((Settled(attempt=tried, settlement=None, problem=hostile(chance)),), look))


def test_kinds_that_a_later_version_may_write() -> None:
    """Bodies that lack parts, or hold them in another form, are told as far as they go."""
    odd = run_of(1, 0, who="jo", why=None, approvals="all", steps="many", consent=None)
    text = log_text(Log(runs=(LoggedRun(run=odd, counts={}, postponed=None, sendings=None),), acts=(), more=False))
    assert "by nobody knows whom\n" in text
    assert "0 steps" in text
    assert "consent" not in text
    assert ledger_text.firm_words("*") == "every clearing firm"
