"""A stage: a sandbox, a proxy in front of it, a limits repository, a ledger. One world is played on it at a time."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from amsctl.ams.clock import SystemClock
from amsctl.config import Secret
from amsctl.ledger.store import open_ledger
from amsctl.sandbox.auth import Auth, Credential
from amsctl.sandbox.books import account_from_mapping, book_from_mapping
from amsctl.sandbox.faults import Rule
from amsctl.sandbox.log import Entry
from amsctl.sandbox.server import Sandbox, serve
from tests.chaos.judge import SQLITE, Journal, Post, Recorded, head_of, judge, posts, read_ledger
from tests.chaos.processes import Ended, Processes, Started
from tests.chaos.proxy import Proxy, proxied
from tests.chaos.worlds import WORLDS, Account, Key, World, book, manifest
from tests.hostile.canaries import API_ID, AUTH, ENVIRON, HUNT, SECRET_VARIABLE

TIMEOUT_SECONDS, SETTLE_SECONDS = 2.0, 0.3
"""So short because a run that goes on after another one waits for so long; so long because a machine that is busy must answer within it."""
LEASE_SECONDS = 2 * TIMEOUT_SECONDS + 1
LEDGER_VARIABLE = "AMSCTL_TEST_LEDGER"

PROJECT = """\
apiVersion: amsctl/v1
kind: Project
spec:
  manifests: [accounts]
  defaultEnvironment: sandbox
  environments:
    sandbox: {{url: "{url}", auth: {auth}}}
  requests: {{{requests}}}
  guards: none
  ledger: {{url: "{ledger}", leaseSeconds: {lease}, ephemeral: accepted}}
{more}"""


class Shut(Exception):
    """The ledger's file is locked by a process that was stopped in the middle of a transaction."""


@dataclass
class Stage:
    """See above. ``ledger_url`` is what the project file says."""

    folder: Path
    sandbox: Sandbox
    proxy: Proxy
    processes: Processes
    journal: Journal
    ledger_url: str = "sqlite:///.amsctl/ledger.db"
    world: World = field(default_factory=lambda: WORLDS["mixed"])
    more: str = ""
    """Further lines of the project file."""
    lease_seconds: float = LEASE_SECONDS
    requests: Mapping[str, object] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)
    _plans: dict[tuple[str, str], bytes] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The address that the project names: the proxy's."""
        return f"http://127.0.0.1:{self.proxy.port}/rest/v2"

    # --- setting up ---

    def play(self, world: World, *, ledger_url: str = "sqlite:///.amsctl/ledger.db", **settings: Any) -> Stage:
        """Everything anew, as it is before the first plan."""
        self.searched()
        self.world, self.ledger_url = world, ledger_url
        self.environ = {LEDGER_VARIABLE: ledger_url}
        self.more = settings.pop("more", "")
        self.lease_seconds = settings.pop("lease_seconds", LEASE_SECONDS)
        self.requests = settings
        self.proxy.calm()
        self.sandbox.faults.clear()
        assert eventually(lambda: self.sandbox.log.in_flight == 0), "a call of the case before is still under way"
        self.sandbox.reset()
        for name in ("accounts", ".amsctl"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        (self.folder / "accounts").mkdir(parents=True)
        for key, before in world.before.items():
            (self.folder / "accounts" / f"{key[1]}.yaml").write_text(manifest(key, before, world.after[key]), encoding="utf-8")
            self.sandbox.book.add_account(account_from_mapping(self.sandbox.book, _document(key, before)))
        self.write_project()
        self.forget()
        return self

    def searched(self) -> None:
        """Look for secrets in all that the world before has left behind, on the disk and in the addresses and bodies that the sandbox was sent."""
        HUNT.search_files(self.folder)
        for entry in self.sandbox.log:
            HUNT.search(f"{entry.path}?{entry.query} {entry.body}", "a request")

    def write_project(self) -> None:
        """The project file, as it is to be now."""
        numbers = {"timeoutSeconds": TIMEOUT_SECONDS, "settleSeconds": SETTLE_SECONDS, "retries": 0, "perSecond": "unlimited"}
        requests = ", ".join(f"{name}: {number}" for name, number in {**numbers, **self.world.requests, **self.requests}.items())
        # A server's address holds a password, which belongs into no file.
        ledger = f"${{{LEDGER_VARIABLE}}}" if self.ledger_url.startswith("postgresql") else self.ledger_url
        text = PROJECT.format(url=self.url, auth=AUTH, requests=requests, ledger=ledger, lease=self.lease_seconds, more=self.more)
        (self.folder / "amsctl.yaml").write_text(text, encoding="utf-8")

    def forget(self) -> None:
        """The past is forgotten; the log tells what comes."""
        self.journal.clear()
        self.sandbox.log.clear()

    # --- running ---

    def start(self, *arguments: str, environ: Mapping[str, str] | None = None, **order: Any) -> Started:
        return self.processes.start(self.folder, *arguments, environ={**self.environ, **(environ or {})}, **order)

    def run(self, *arguments: str, environ: Mapping[str, str] | None = None, **order: Any) -> Ended:
        return self.start(*arguments, environ=environ, **order).wait()

    def plan(self, name: str = "plan.json") -> str:
        ran = self.run("plan", "-o", name)
        assert ran.code == 0, ran.err
        return name

    def planned(self) -> Stage:
        """With ``plan.json``, and nothing in the log. The same world played again has the same plan: no ledger knows of it yet."""
        asked = (self.world.name, (self.folder / "amsctl.yaml").read_text(encoding="utf-8"))
        if asked not in self._plans:
            self.plan()
            self._plans[asked] = (self.folder / "plan.json").read_bytes()
        (self.folder / "plan.json").write_bytes(self._plans[asked])
        self.forget()
        return self

    # --- looking ---

    @property
    def log(self) -> list[Entry]:
        """Every request that the sandbox has received, the past before ``forget`` aside."""
        return list(self.sandbox.log)

    @property
    def posts(self) -> list[Entry]:
        return self.sandbox.log.calls("POST")

    @property
    def ledger_path(self) -> Path:
        return self.folder / ".amsctl" / "ledger.db"

    @property
    def _ledger_address(self) -> str:
        url = self.ledger_url
        return f"{SQLITE}{self.folder / url.removeprefix(SQLITE)}" if url.startswith(SQLITE) else url

    def recorded(self) -> Recorded | None:
        """What stands in the ledger's database; ``None`` where there is none, or no tables in it."""
        return read_ledger(self._ledger_address)

    def records(self) -> Sequence[Mapping[str, Any]]:
        """The ledger's records; none where there is no ledger."""
        return (self.recorded() or Recorded()).records

    def sent(self) -> list[Post]:
        """Every POST that arrived."""
        return posts(self.world, self.log, self.journal)

    def breaches(self, *, finished: bool = True, strict: bool = True, log: list[Entry] | None = None) -> list[str]:
        """Everything that is not as promised. ``finished``: all is done, so nothing may be left open or held."""
        recorded = self.recorded()
        found = judge(self.world, self.log if log is None else log, self.journal, recorded, finished=finished, strict=strict)
        if recorded is not None:
            # The command's own word on its ledger, besides the judge's.
            with open_ledger(Secret(self._ledger_address), clock=SystemClock(), create=False) as ledger:
                ledger.verify()
        return found

    def watch(self) -> None:
        """From now on the journal has a place for every request, and what the ledger held when it arrived. It is read while the sandbox does nothing else:
        what stands in it then was durable before the request had any effect.
        """
        log, journal = self.sandbox.log, self.journal
        start, finish = log.start, log.finish

        def arriving(**request: Any) -> Entry:
            head = head_of(self._ledger_address) if request["method"] == "POST" else None
            return journal.arrives(lambda: start(**request), head)

        def answered(entry: Entry) -> None:
            finish(entry)
            journal.is_answered(entry)

        log.start, log.finish = arriving, answered  # type: ignore[method-assign, assignment]

    # --- coming to an end ---

    def finish(self, way: str = "resume", *, tries: int = 5) -> list[Ended]:
        """Go on until everything is verified, as a person would: ``resume``, ``fresh`` (plan and apply in one) or ``saved`` (a new plan file)."""
        ran: list[Ended] = []
        for _ in range(tries):
            ran.append(self._go_on(way))
            if ran[-1].code == 0:
                if way != "resume":
                    self.settle()
                return ran
            if "another program keeps it locked" in ran[-1].err:
                raise Shut(ran[-1].err)
        raise AssertionError(f"{way} came to no end: {[(one.code, one.out[-600:], one.err[-600:]) for one in ran]}")

    def settle(self) -> None:
        """``resolve``, where something is open: an apply that finds nothing to change looks at nothing else."""
        recorded = self.recorded()
        if recorded is not None and recorded.open:
            ran = self.run("resolve")
            assert ran.code == 0, ran.err

    def going_on(self) -> tuple[str, ...]:
        """``resume``, or the same plan once more when no run of it was recorded."""
        started = any(record["kind"] == "run-started" for record in self.records())
        return ("resume",) if started else ("apply", "plan.json")

    def _go_on(self, way: str) -> Ended:
        if way == "resume":
            return self.run(*self.going_on(), "--format", "json")
        if way == "saved":
            return self.run("apply", self.plan("again.json"), "--format", "json")
        return self.run("apply", "--auto-approve", "--format", "json")

    def nothing_left(self) -> bool:
        """Whether a plan has no changes."""
        log = self.log
        ran = self.run("plan", "--detailed-exitcode", "--format", "json")
        assert ran.code in (0, 2), ran.err
        assert len([entry for entry in self.log if entry.method == "POST"]) == len([entry for entry in log if entry.method == "POST"])
        return ran.code == 0

    def slow(self, seconds: float, method: str = "POST") -> None:
        """Each call of a method takes so long."""
        self.sandbox.faults.add(Rule(kind="slow", method=method, seconds=seconds))


def _document(key: Key, account: Account) -> dict[str, Any]:
    return {
        "clearingFirm": key[0],
        "accountNumber": key[1],
        "status": account.status,
        "executionFirms": dict(account.suspended),
        "limits": [
            {
                "efId": firm,
                "product": product,
                "efLimits": {"long": legs[0], "short": legs[1]},
                "cmfLimits": {"long": legs[2], "short": legs[3]},
            }
            for (firm, product), legs in account.rows.items()
        ],
    }


def eventually(condition: Callable[[], bool], seconds: float = 240.0) -> bool:
    """Whether it comes to hold at all; a machine that is busy takes its time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


@contextmanager
def opened(folder: Path, processes: Processes) -> Iterator[Stage]:
    """A stage of its own."""
    os.makedirs(folder, exist_ok=True)
    journal = Journal()
    held = book_from_mapping(book(WORLDS))
    held.listener = journal
    credential = Credential(id=API_ID, secret=ENVIRON[SECRET_VARIABLE])
    with serve(held, auth=Auth(kind="basic", credentials=(credential,))) as sandbox, proxied(urlsplit(sandbox.origin).port or 0) as proxy:
        stage = Stage(folder, sandbox, proxy, processes, journal)
        stage.watch()
        yield stage
        stage.searched()


def side_by_side(cases: list[Any], stages: list[Stage], play: Callable[[Stage, Any], str | None]) -> list[str]:
    """Play every case, on whichever stage is free; what went wrong, each with its case."""
    waiting, wrong, lock = list(reversed(cases)), [], threading.Lock()

    def work(stage: Stage) -> None:
        while True:
            with lock:
                if not waiting:
                    return
                case = waiting.pop()
            try:
                problem = play(stage, case)
            except Exception as error:
                problem = f"{type(error).__name__}: {error}"
            if problem:
                with lock:
                    wrong.append(f"{case}: {problem}")

    threads = [threading.Thread(target=work, args=(stage,)) for stage in stages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong
