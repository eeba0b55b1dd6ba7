"""What the ledger's tests write, and a way into its database around it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amsctl.config import Secret
from amsctl.ledger.store import Ledger
from amsctl.ledger.values import Draft, Holder, Kind, Lease, Scope
from tests.postgres import Server

URL = "http://127.0.0.1:8480/rest/v2"
AMS = "sandbox"
AWAY = "http://elsewhere"
SCOPE = Scope(AMS, "GREENTEA")
OTHER = Scope(AMS, "MATCHA")
MACHINE = "m1.boot1/pid:[1]"


def url_of(scope: Scope) -> str:
    """The address of a scope's AMS."""
    return {AMS: URL, "elsewhere": AWAY, "other": "http://other/rest/v2"}[scope.ams]


class TestClock:
    """Both times, set by hand."""

    __test__ = False

    def __init__(self) -> None:
        self.now = 1_795_000_000.0
        self.up = 5_000.0

    def wall(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.up

    def pass_(self, seconds: float) -> None:
        self.now += seconds
        self.up += seconds


@dataclass(frozen=True)
class Place:
    """Where a ledger is, or will be."""

    path: Path | None = None
    server: Server | None = None
    name: str = ""

    @property
    def url(self) -> Secret:
        if self.path is not None:
            return Secret(f"sqlite:///{self.path}")
        assert self.server is not None
        return Secret(self.server.url(self.name))

    @contextmanager
    def around(self) -> Iterator[Raw]:
        """The database itself, around the ledger, with its guards off."""
        if self.path is not None:
            connection = sqlite3.connect(self.path, isolation_level=None)
            try:
                yield Raw(connection, "?")
            finally:
                connection.close()
            return
        assert self.server is not None
        with self.server.connect(self.name) as connection:
            connection.execute("SET session_replication_role = replica")  # no trigger fires
            yield Raw(connection, "%s")


class Raw:
    """Statements with ``?`` for parameters, on either database. SQLite's triggers are dropped by ``unguard`` and lost."""

    def __init__(self, connection: Any, mark: str) -> None:
        self._connection = connection
        self._mark = mark

    def __call__(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(statement.replace("?", self._mark), parameters)
        return list(cursor.fetchall()) if cursor.description else []

    def unguard(self) -> None:
        if self._mark == "?":
            for (name,) in self("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
                self(f"DROP TRIGGER {name}")


def holder(number: int = 1, *, machine: str = MACHINE, host: str = "ci-7") -> Holder:
    return Holder(
        user="deploy", host=host, pid=number, process_started=str(number), machine=machine, run_url=f"https://ci.example/runs/{number}"
    )


def started(
    run: str = "r1", *, scope: Scope = SCOPE, environment: str = "sandbox", plan: str = "sha256:p1", inverse: str = "sha256:i1"
) -> Draft:
    body = {
        "environment": environment,
        "plan_digest": plan,
        "inverse_digest": inverse,
        "steps": 2,
        "who": {"git_author": "Ann <ann@example.com>", "user": "ann"},
        "why": {"commit": "abc", "message": "RISK-7 raise", "ticket": "RISK-7"},
    }
    return Draft(kind=Kind.RUN_STARTED, ams=scope.ams, url=url_of(scope), firm=scope.firm, run=run, body=body)


def intent(run: str = "r1", step: str = "s1", attempt: int = 1, *, account: str = "A1", scope: Scope = SCOPE, fence: int = 1) -> Draft:
    body = {
        "step": step,
        "attempt": attempt,
        "phase": "loosen",
        "method": "POST",
        "path": f"/accountLimitsUtilization/clearing/ICC/{scope.firm}/{account}",
        "query": {},
        "request_sha256": "ab" * 32,
        "previous": None,
        "changes": [{"id": "c1", "leg": "long", "before": 5, "after": 7}],
        "fence": fence,
    }
    return Draft(kind=Kind.INTENT, ams=scope.ams, url=url_of(scope), firm=scope.firm, account=account, run=run, body=body)


def outcome(run: str = "r1", step: str = "s1", word: str = "verified", *, account: str = "A1", kind: Kind = Kind.OUTCOME) -> Draft:
    body = {"step": step, "outcome": word, "http_status": 200, "attempts": 1, "message": "", "response_sha256": "cd" * 32, "rows": None}
    return Draft(kind=kind, ams=AMS, url=URL, firm=SCOPE.firm, account=account, run=run, body=body)


def resolved(run: str = "r1", step: str = "s1", word: str = "verified", *, account: str = "A1") -> Draft:
    return outcome(run, step, word, account=account, kind=Kind.RESOLVED)


def finished(run: str = "r1", code: int = 0) -> Draft:
    return Draft(
        kind=Kind.RUN_FINISHED,
        ams=AMS,
        url=URL,
        run=run,
        body={"exit_code": code, "counts": {"verified": 1}, "stale": [], "postponed": False},
    )


def take(ledger: Ledger, scope: Scope = SCOPE, *, run: str = "r1", number: int = 1, seconds: float = 60.0, machine: str = MACHINE) -> Lease:
    return ledger.acquire(scope, url=url_of(scope), run=run, holder=holder(number, machine=machine), seconds=seconds, environment="sandbox")


def fill(ledger: Ledger, runs: int = 4, steps: int = 4) -> Sequence[Lease]:
    """A ledger with some of everything: runs that ended and one that did not, each outcome, locks taken over and broken, freezes, plans."""
    lease = None
    for number in range(1, runs + 1):
        run = f"r{number}"
        lease = take(ledger, run=run, number=number)
        plans = {f"sha256:p{number}": b'{"plan":%d}' % number * 20, f"sha256:i{number}": b'{"inverse":%d}' % number}
        ledger.append([started(run, plan=f"sha256:p{number}", inverse=f"sha256:i{number}")], lease=lease, plans=plans)
        for step in range(1, steps + 1):
            account = f"A{step}"
            ledger.append([intent(run, f"s{step}", account=account, fence=lease.fence)], lease=lease)
            if step % 3:
                word = ("verified", "unknown", "diverged", "failed")[(number + step) % 4]
                ledger.append([outcome(run, f"s{step}", word, account=account)])
                if word == "unknown" and step % 2:
                    ledger.append([resolved(run, f"s{step}", "failed", account=account)])
        if number < runs:
            ledger.append([finished(run, number % 7)])
            ledger.release(lease)
    other = take(ledger, OTHER, run="rx", number=9)
    ledger.break_lock(other.id, by="ann", reason="its machine burnt down")
    ledger.freeze(OTHER, url=URL, reason="margin call", by="bob")
    ledger.freeze(Scope(AMS, "*"), url=URL, reason="drill", by="bob")
    ledger.thaw(Scope(AMS, "*"), url=URL, reason="drill over", by="bob")
    assert lease is not None
    return [lease]
