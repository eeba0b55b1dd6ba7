"""ledger, lock, freeze, thaw and resolve at the command line, against the real ledger and the stand-in."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from amsctl.ams.clock import SystemClock
from amsctl.config import Secret
from amsctl.ledger import holder as holders
from amsctl.ledger.history import COLUMNS
from amsctl.ledger.store import Ledger, open_ledger
from amsctl.ledger.values import ALL_FIRMS, Holder, Lease, Scope
from amsctl.sandbox.faults import Rule
from amsctl.sandbox.server import Sandbox
from amsctl.views import ledger_text
from tests.cli.conftest import ACCOUNT, Ran, Run
from tests.cli.schemas import assert_valid
from tests.hostile.canaries import CANARIES

FIRM = "GREENTEA_API_CLEARING2"
ACCOUNT_KEY = f"{FIRM}/DV10121801A"


@pytest.fixture
def quick(project: Path) -> Path:
    """The project, patient for a moment only, with a second environment whose secret is not set here."""
    config = project / "amsctl.yaml"
    text = config.read_text() + "  requests: {perSecond: unlimited, settleSeconds: 0.1, timeoutSeconds: 5, retries: 0}\n"
    live = "    live: {url: 'https://ams.example/rest/v2', auth: {type: basic, clientId: me, clientSecret: '${NOT_SET_HERE}'}}\n"
    config.write_text(text.replace("    sandbox:\n", live + "    sandbox:\n"), encoding="utf-8")
    return project


class Shell:
    """Command lines in one project."""

    def __init__(self, run: Run, project: Path) -> None:
        self._run, self.project = run, project

    def __call__(self, *arguments: str, code: int = 0, **more: Any) -> Ran:
        ran = self._run("-C", str(self.project), *arguments, **more)
        assert ran.code == code, ran
        return ran

    def document(self, schema: str, *arguments: str, code: int = 0) -> Any:
        found = json.loads(self(*arguments, "--format", "json", code=code).out)
        assert_valid(schema, found)
        return found

    def records(self) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in self("ledger", "export", "--format", "jsonl").out.splitlines()]
        for record in found:
            assert_valid("ledger.record.v1", record)
        return found

    def apply(self, *options: str, long: int = 300, code: int = 0) -> dict[str, Any]:
        (self.project / "accounts" / "dv.yaml").write_text(ACCOUNT.replace("300", str(long)), encoding="utf-8")
        found: dict[str, Any] = self.document("report.v1", "apply", "--auto-approve", *options, code=code)
        return found

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        with open_ledger(Secret(f"sqlite:///{self.project}/.amsctl/ledger.db"), clock=SystemClock()) as opened:
            yield opened

    def around(self, statement: str) -> None:
        """Change the database past the ledger and its triggers."""
        import sqlite3

        with sqlite3.connect(self.project / ".amsctl" / "ledger.db", isolation_level=None) as raw:
            for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                raw.execute(f"DROP TRIGGER {name}")
            raw.execute(statement)
        raw.close()


@pytest.fixture
def shell(run: Run, quick: Path) -> Shell:
    return Shell(run, quick)


# --- log and blame ---


def test_log_names_the_runs(shell: Shell) -> None:
    """Newest first, with by whom, why, and how each ended; JSON fits its schema; the limit is told."""
    first = shell.apply("--reason", "RISK-1 first")
    second = shell.apply("--reason", "RISK-2 second", long=290)
    text = shell("ledger", "log").out
    assert text.index(second["run"]) < text.index(first["run"])
    assert "why: RISK-2 second\n" in text
    assert f"plan {second['plan_digest']}\n" in text
    assert "consent: --auto-approve\n" in text
    document = shell.document("ledger.log.v1", "ledger", "log")
    assert [(run["id"], run["why"]["ticket"], run["exit_code"], run["sendings"]) for run in document["runs"]] == [
        (second["run"], "RISK-2", 0, None),
        (first["run"], "RISK-1", 0, None),
    ]
    fewer = shell("ledger", "log", "--limit", "1").out
    assert first["run"] not in fewer
    assert "There are older ones" in fewer
    assert "There are older ones" not in text
    assert shell("ledger", "log", "--since", "2100-01-01").out == "The ledger has no such record.\n"
    assert shell("ledger", "log", "--limit", "0", code=64).out == ""


def test_log_of_a_rollback(shell: Shell) -> None:
    """Which run it took back and who asked for it, in text and JSON; a stored plan that was changed is told, and the log is shown all the same."""
    first = shell.apply()["run"]
    back = str(shell.project / "back.plan.json")
    shown = shell("rollback", first, "-o", back).out
    asked_by = json.loads(Path(back).read_text())["source"]["rollback"]["asked_by"]
    assert f"  takes back {first}, asked for by {asked_by}\n" in shown
    shell("apply", back)
    assert shell("ledger", "log").out.count(f"    takes back {first}, asked for by {asked_by}\n") == 1
    runs = shell.document("ledger.log.v1", "ledger", "log")["runs"]
    assert [(run["rollback"], run["uncommitted"]) for run in runs] == [({"run": first, "asked_by": asked_by}, None), (None, None)]
    with sqlite3.connect(shell.project / ".amsctl" / "ledger.db") as database:
        guards = database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'ledger_plans'").fetchall()
        for (name,) in guards:
            database.execute(f"DROP TRIGGER {name}")
        database.execute("UPDATE ledger_plans SET content = X'00', sha256 = ''")
    broken = shell("ledger", "log").out
    assert broken.count("its stored plan was changed from outside: amsctl ledger verify\n") == 2
    assert shell.document("ledger.log.v1", "ledger", "log")["runs"][0]["rollback"] is None


def test_log_of_a_run_and_of_an_account(shell: Shell) -> None:
    """Every call with its changes and its outcome, as text and as JSON."""
    report = shell.apply()
    text = shell("ledger", "log", "--run", report["run"][:-2]).out
    assert "verified  s1, tighten, HTTP 200\n        3N1 CJ.FUT.NYMEX ef long 324 → 300\n" in text
    document = shell.document("ledger.log.v1", "ledger", "log", "--account", ACCOUNT_KEY)
    assert [(item["step"], item["outcome"], item["changes"][0]["after"]) for item in document["runs"][0]["sendings"]] == [
        ("s1", "verified", 300),
        ("s2", "verified", 600),
    ]
    assert shell.document("ledger.log.v1", "ledger", "log", "--account", "NOBODY")["runs"] == []
    assert "no such run" in shell("ledger", "log", "--run", "nope", code=64).err


def test_blame_names_who_moved_each_limit(shell: Shell) -> None:
    """The last run that moved each leg, with plan, reason and consent; a leg that moved once keeps its run."""
    first = shell.apply("--reason", "RISK-1 first")
    second = shell.apply("--reason", "RISK-2 second", long=290)
    document = shell.document("ledger.blame.v1", "ledger", "blame", "DV10121801A", "3N1", "CJ.FUT.NYMEX")
    assert (document["environment"], len(document["runs"])) == ("sandbox", 2)
    assert [(one["leg"], one["moved"]["run"], one["moved"]["before"], one["moved"]["after"]) for one in document["blamed"]] == [
        ("long", second["run"], 300, 290),
        ("short", first["run"], 567, 600),
    ]
    assert all(one["owner"] == "ef" and one["doubtful"] == [] for one in document["blamed"])
    text = shell("ledger", "blame", ACCOUNT_KEY).out
    assert text.startswith(f"{ACCOUNT_KEY}  sandbox  http://127.0.0.1:")
    assert "    ef long     300 → 290  " in text
    assert f"[1] {second['run']}  done\n" in text
    assert "why: RISK-2 second\n" in text
    assert shell("ledger", "blame", "DV10121801A", "350").out == "The ledger has no such change at sandbox.\n"
    assert shell("-e", "live", "ledger", "blame", "DV10121801A").out == "The ledger has no such change at live.\n"


def lose_the_next_answer(shell: Shell, sandbox: Sandbox) -> None:
    """The next POST takes effect and is not answered, and no GET after it is answered well: as many as come before it in a run are counted first."""
    shell.apply(long=310)
    before = [entry.method for entry in sandbox.log]
    gets = before[: before.index("POST")].count("GET")
    sandbox.faults.add(Rule(kind="drop_after", method="POST", times=1))
    for number in range(gets + 1, gets + 20):
        sandbox.faults.add(Rule(kind="error_before", method="GET", status=400, nth=number))


def test_an_unknown_call_is_shown_and_resolved(shell: Shell, sandbox: Sandbox) -> None:
    """Unknown: report, log and blame say that nobody knows, and nothing more is written to the account. resolve finds out; then all of them know."""
    lose_the_next_answer(shell, sandbox)
    report = shell.apply(code=6)
    assert [step["outcome"] for step in report["steps"]] == ["unknown"]
    assert "ef long     310 → 300 " in (text := shell("ledger", "blame", "DV10121801A").out)
    assert "which may have landed: its call is unknown\n" in text
    legs = {one["leg"]: one for one in shell.document("ledger.blame.v1", "ledger", "blame", "DV10121801A")["blamed"]}
    assert [(move["run"], move["outcome"]) for move in legs["long"]["doubtful"]] == [(report["run"], "unknown")]
    assert legs["long"]["moved"]["after"] == 310
    sandbox.faults.clear()
    sandbox.faults.add(Rule(kind="error_before", method="GET", account="DV10121801A", status=400))
    still = shell("resolve", code=6)
    assert f"STILL OPEN  {ACCOUNT_KEY}  s1\n" in still.out
    assert "1 call: 1 still open.\n" in still.out
    assert shell.document("resolve.v1", "resolve", code=6)["calls"][0]["outcome"] is None
    sandbox.faults.clear()
    refused = shell.apply(long=305, code=5)
    assert "in quarantine" in refused["steps"][0]["message"]
    assert shell("resolve", "NOBODY").out == "No account is in quarantine: nothing had to be resolved.\n"
    (call,) = shell.document("resolve.v1", "resolve", "DV10121801A")["calls"]
    assert (call["run"], call["step"], call["outcome"]) == (report["run"], "s1", "verified")
    assert shell.document("resolve.v1", "resolve")["calls"] == []
    legs = {one["leg"]: one for one in shell.document("ledger.blame.v1", "ledger", "blame", "DV10121801A")["blamed"]}
    assert (legs["long"]["moved"]["run"], legs["long"]["moved"]["after"], legs["long"]["doubtful"]) == (report["run"], 300, [])
    assert "verified  s1, tighten\n        read later, the AMS holds what was asked\n" in shell("ledger", "log", "--run", report["run"]).out


# --- the chain outside ---


def test_any_program_can_check_an_exported_chain(shell: Shell) -> None:
    """The recipe of the documents, with nothing of amsctl: hash each record, follow previous, count from 1."""
    shell.apply("--reason", "Müller \U0001f600 says \x1b[31m so")
    previous = "0" * 64
    records = shell.records()
    for number, record in enumerate(records, 1):
        told = record.pop("hash")
        text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert hashlib.sha256(text.encode()).hexdigest() == told
        assert (record["seq"], record["previous"]) == (number, previous)
        previous = told
    assert {record["kind"] for record in records} == {"lock-taken", "run-started", "intent", "outcome", "run-finished", "lock-released"}
    assert shell("ledger", "head").out == f"{len(records)}:{previous}\n"
    assert shell.document("ledger.head.v1", "ledger", "head")["hash"] == previous
    assert shell("ledger", "export", "--format", "jsonl").out.isascii()


def test_verify_finds_damage_and_what_was_cut_off(shell: Shell) -> None:
    """Whole: exit 0. Cut off: only the anchored head shows it. Changed: the record is named. JSON tells the same."""
    shell.apply()
    head = shell("ledger", "head").out.strip()
    assert "The ledger is whole: 8 records.\n" in shell("ledger", "verify").out
    assert "not checked: whether its end was cut off" in shell("ledger", "verify").out
    assert "record 8 is the one that was anchored" in shell("ledger", "verify", "--head", head).out
    document = shell.document("ledger.verify.v1", "ledger", "verify", "--head", head)
    assert (document["whole"], document["head"]["seq"], document["runs"], document["attempts"]) == (True, 8, 1, 2)
    wrong = shell("ledger", "verify", "--head", f"9:{'0' * 64}", code=1)
    assert "its end was cut off" in wrong.err
    assert wrong.out == ""
    for text in ("8", "8:xyz", f"08:{'0' * 64}", f"-1:{'0' * 64}"):
        assert "--head is not a head" in shell("ledger", "verify", "--head", text, code=64).err
    shell.around("UPDATE ledger_records SET firm = 'X' WHERE seq = 4")
    broken = shell("ledger", "verify", code=1)
    assert "record 4" in broken.err
    document = shell.document("ledger.verify.v1", "ledger", "verify", code=1)
    assert (document["whole"], document["head"], "record 4" in document["problem"]) == (False, None, True)


def test_csv_has_a_row_for_each_call(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the documented columns; a cell that a spreadsheet would take for a formula is defused."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "=HYPERLINK(1)")
    report = shell.apply()
    out = shell.project / "sent.csv"
    ran = shell("ledger", "export", "--format", "csv", "-o", str(out))
    assert (ran.out, ran.err) == ("", f"exported to {out}\n")
    assert out.stat().st_mode & 0o777 == 0o600
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert out.read_text() == shell("ledger", "export", "--format", "csv").out
    assert tuple(rows[0]) == COLUMNS
    assert [(row["run"], row["account"], row["step"], row["attempt"], row["outcome"], row["http_status"]) for row in rows] == [
        (report["run"], "DV10121801A", "s1", "1", "verified", "200"),
        (report["run"], "DV10121801A", "s2", "1", "verified", "200"),
    ]
    assert rows[0]["who"].startswith("'=HYPERLINK(1)@")
    assert rows[0]["plan_digest"] == report["plan_digest"]
    assert len(rows[0]["request_sha256"]) == len(rows[0]["response_sha256"]) == 64


def test_export_of_one_environment_and_since(shell: Shell) -> None:
    """-e and --since take a part; without them it is the whole."""
    shell.apply()
    assert shell("-e", "live", "ledger", "export", "--format", "jsonl").out == ""
    assert shell("-e", "live", "ledger", "export", "--format", "csv").out.splitlines() == [",".join(COLUMNS)]
    assert shell("ledger", "export", "--format", "jsonl", "--since", "2100-01-01").out == ""
    assert (
        len(shell("-e", "sandbox", "ledger", "export", "--format", "jsonl", "--since", "1h").out.splitlines()) == len(shell.records()) == 8
    )
    assert "--format" in shell("ledger", "export", code=64).err
    assert "--since is not a time" in shell("ledger", "export", "--format", "csv", "--since", "soon", code=64).err


@pytest.mark.parametrize(
    "arguments",
    [
        ("ledger", "log"),
        ("ledger", "blame", "A"),
        ("ledger", "verify"),
        ("ledger", "head"),
        ("ledger", "export", "--format", "csv"),
        ("lock", "status"),
        ("lock", "break", "x", "--reason", "y"),
        ("thaw", "--reason", "y"),
        ("resume",),
        ("resolve",),
    ],
)
def test_where_there_is_no_ledger(shell: Shell, arguments: tuple[str, ...]) -> None:
    """Looking makes none: it is an error that says so, and not an empty answer that looks like good news."""
    ran = shell(*arguments, code=1)
    assert ran.out == ""
    assert "there is no ledger yet" in ran.err
    assert not (shell.project / ".amsctl").exists()


# --- locks ---


def stranger(**more: Any) -> Holder:
    here = {
        "user": "deploy",
        "host": "runner-7",
        "pid": 4242,
        "process_started": "1",
        "machine": "",
        "run_url": "https://ci.example/runs/7",
    }
    return Holder(**{**here, **more})


def take(ledger: Ledger, url: str, holder: Holder, *, ams: str = "sandbox", seconds: float = 60.0) -> Lease:
    return ledger.acquire(Scope(ams, FIRM), url=url, run="20261123T231726Z-aa11bb", holder=holder, seconds=seconds, environment="sandbox")


def test_lock_status_shows_the_holder(shell: Shell, sandbox: Sandbox) -> None:
    """User, host, process, run, its address, since and until when; -e chooses the environment."""
    with shell.ledger() as ledger:
        lease = take(ledger, sandbox.url, stranger())
    text = shell("lock", "status").out
    assert f"locked  {FIRM}  sandbox  {sandbox.url}\n    lock {lease.id}\n" in text
    assert "by deploy@runner-7, process 4242, run 20261123T231726Z-aa11bb\n    https://ci.example/runs/7\n    since 20" in text
    (lock,) = shell.document("lock.status.v1", "lock", "status")["locks"]
    assert (lock["id"], lock["environment"], lock["fence"], lock["expired"], lock["dead"]) == (lease.id, "sandbox", 1, False, False)
    assert shell.document("lock.status.v1", "-e", "live", "lock", "status")["locks"] == []
    assert shell("-e", "live", "lock", "status").out == "Nothing is locked or frozen.\n"
    refused = shell("apply", "--auto-approve", code=7)
    assert f"amsctl lock break {lease.id}" in refused.err


def test_lock_status_tells_who_is_gone(shell: Shell, sandbox: Sandbox) -> None:
    """A process of this machine that is no more, and a lease that was not renewed: the next run takes both over."""
    with subprocess.Popen(["true"]) as child:
        child.wait()
    gone = stranger(pid=child.pid, machine=holders.this_machine())
    with shell.ledger() as ledger:
        take(ledger, sandbox.url, gone)
        take(ledger, "https://ams.example/rest/v2", stranger(), ams="live", seconds=-1.0)
    text = shell("lock", "status").out
    assert f"left behind  {FIRM}  sandbox" in text
    assert "its process is gone: the next run takes it over at once\n" in text
    assert f"run out  {FIRM}  live" in text
    assert "it was not renewed: the next run takes it over\n" in text
    found = {lock["environment"]: (lock["expired"], lock["dead"]) for lock in shell.document("lock.status.v1", "lock", "status")["locks"]}
    assert found == {"sandbox": (False, True), "live": (True, False)}
    shell.apply()


def test_a_lock_is_broken_by_its_whole_id_and_recorded(shell: Shell, sandbox: Sandbox) -> None:
    """Not by a part of it; with a reason; then the next run writes, and the log tells who did it."""
    with shell.ledger() as ledger:
        lease = take(ledger, sandbox.url, stranger())
    assert "nobody holds a lock of this name" in shell("lock", "break", lease.id[:-1], "--reason", "x", code=64).err
    assert "--reason" in shell("lock", "break", lease.id, code=64).err
    assert "--reason is empty" in shell("lock", "break", lease.id, "--reason", " ", code=64).err
    ran = shell("lock", "break", lease.id, "--reason", "runner 7 burnt down")
    assert "taken away from run 20261123T231726Z-aa11bb of deploy@runner-7, process 4242" in ran.err
    assert shell("lock", "status").out == "Nothing is locked or frozen.\n"
    (act,) = shell.document("ledger.log.v1", "ledger", "log")["acts"]
    assert (act["kind"], act["reason"], act["run"]) == ("lock-broken", "runner 7 burnt down", "20261123T231726Z-aa11bb")
    text = shell("ledger", "log").out
    assert f"lock broken  {FIRM}\n" in text
    assert "run 20261123T231726Z-aa11bb held it\n" in text
    shell.apply()


# --- freezes ---


def test_a_freeze_stops_every_write_until_it_is_thawed(shell: Shell, sandbox: Sandbox) -> None:
    """Exit 7 with the reason, nothing sent; status and log show it; a thaw ends it."""
    shell("freeze", "--reason", "RISK-9 market event")
    refused = shell("apply", "--auto-approve", code=7)
    assert "RISK-9 market event" in refused.err
    assert not [entry for entry in sandbox.log if entry.method == "POST"]
    assert "frozen  every clearing firm  sandbox" in shell("lock", "status").out
    (freeze,) = shell.document("lock.status.v1", "lock", "status")["freezes"]
    assert (freeze["clearing_firm"], freeze["environment"], freeze["reason"]) == ("*", "sandbox", "RISK-9 market event")
    shell("thaw", "--reason", "RISK-9 over")
    shell.apply()
    text = shell("ledger", "log").out
    assert text.index("thaw  every clearing firm") < text.index("freeze  every clearing firm")
    assert shell("lock", "status").out == "Nothing is locked or frozen.\n"


def test_a_freeze_needs_neither_the_ams_nor_its_credentials(shell: Shell) -> None:
    """Of an environment whose secret is not set here and whose server is not there."""
    ran = shell("-e", "live", "freeze", FIRM, "--reason", "calm")
    assert "writes to GREENTEA_API_CLEARING2 at live (https://ams.example/rest/v2) are frozen since" in ran.err
    assert "it knows none yet" in ran.err
    shell.apply()
    assert "is not set" in shell("-e", "live", "plan", code=1).err


def test_freezing_twice_is_one_freeze(shell: Shell) -> None:
    """The first reason stays; nothing is written; a second thaw has nothing to lift, and says so."""
    shell("freeze", "--reason", "first")
    before = len(shell.records())
    ran = shell("freeze", "--reason", "second")
    assert "are frozen already" in ran.err
    assert ran.err.rstrip().endswith(": first")
    assert len(shell.records()) == before
    assert "are allowed again" in shell("thaw", "--reason", "over").err
    again = shell("thaw", "--reason", "over")
    assert "there was no freeze of every clearing firm at sandbox" in again.err
    assert len(shell.records()) == before + 1


def test_a_freeze_of_a_name_that_nobody_writes_to_is_warned_of(shell: Shell) -> None:
    """It would stop nothing: the ledger's own names are told. One of those draws no warning."""
    shell.apply()
    ran = shell("freeze", "780", "--reason", "calm")
    assert f"warning: the ledger knows no clearing firm 780 here (it knows {FIRM})" in ran.err
    assert "warning" not in shell("freeze", FIRM, "--reason", "calm").err
    assert "warning" in shell("freeze", "780", "--reason", "calm").err


def test_one_freeze_does_not_lift_the_other(shell: Shell) -> None:
    """What still holds after a thaw is warned of: a firm that is thawed under a freeze of all is still frozen."""
    shell("freeze", "--reason", "all")
    shell("freeze", FIRM, "--reason", "one")
    ran = shell("thaw", FIRM, "--reason", "over")
    assert "warning: every clearing firm at sandbox is still frozen" in ran.err
    shell("apply", "--auto-approve", code=7)
    shell("freeze", FIRM, "--reason", "one")
    assert f"warning: {FIRM} at sandbox is still frozen" in shell("thaw", "--reason", "over").err
    assert "warning" not in shell("thaw", FIRM, "--reason", "over").err


@pytest.mark.parametrize("command", ["freeze", "thaw"])
def test_a_freeze_wants_a_reason(shell: Shell, command: str) -> None:
    """Not even an empty one, and nothing is recorded without."""
    assert "--reason" in shell(command, code=64).err
    assert "--reason is empty" in shell(command, "--reason", "", code=64).err
    assert not (shell.project / ".amsctl").exists()


@pytest.mark.parametrize("firm", [ALL_FIRMS, "", " "])
def test_all_firms_have_no_name(shell: Shell, firm: str) -> None:
    """The sign that stands for them in the ledger is not taken for a firm."""
    assert "leave it out for every one of them" in shell("freeze", firm, "--reason", "x", code=64).err


def test_the_views_know_the_sign_for_all_firms() -> None:
    """A room that may not import the ledger keeps it once more."""
    assert ledger_text.EVERY_FIRM == ALL_FIRMS


def test_groups_take_global_options_anywhere(run: Run, quick: Path) -> None:
    """-C, -e and --color before the group, after it, and after the command; an unknown name gets a guess."""
    Shell(run, quick)("freeze", "--reason", "x")
    place = str(quick)
    texts = {
        run(*arguments).out
        for arguments in (
            ("-C", place, "-e", "sandbox", "lock", "status"),
            ("lock", "-C", place, "-e", "sandbox", "status"),
            ("lock", "status", "-C", place, "-e", "sandbox"),
        )
    }
    assert len(texts) == 1
    assert "frozen  every clearing firm" in texts.pop()
    assert "\x1b[" in run("lock", "-C", place, "status", "--color", "always").out
    ran = run("-C", place, "ledger", "lgo")
    assert (ran.code, "Did you mean 'log'?" in ran.err) == (64, True)
    ran = run("-C", place, "lock", "xyzzy")
    assert (ran.code, "See amsctl lock --help." in ran.err) == (64, True)
    assert run("ledger").code == 64


def test_the_secret_of_the_ledgers_address_is_never_shown(shell: Shell) -> None:
    """A server that is not there: the error names the ledger without its password."""
    config = shell.project / "amsctl.yaml"
    config.write_text(config.read_text() + "  ledger: {url: 'postgresql://me:${LEDGER_PASSWORD}@127.0.0.1:1/none'}\n")
    os.environ["LEDGER_PASSWORD"] = secret = quote(CANARIES["the ledger's password"], safe="")
    try:
        ran = shell("ledger", "head", code=1)
    finally:
        del os.environ["LEDGER_PASSWORD"]
    assert secret not in ran.out + ran.err
    assert "error: " in ran.err
