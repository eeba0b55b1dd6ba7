"""``get`` and ``sandbox``: live state over real HTTP, and the stand-in as a process of its own."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from amsctl.cli.console import Console
from amsctl.cli.live import HEADERS
from amsctl.cli.main import main
from amsctl.sandbox.books import edit_book
from amsctl.sandbox.faults import Rule
from amsctl.sandbox.server import Sandbox
from tests.cli.conftest import PROJECT, Run
from tests.cli.schemas import assert_valid
from tests.hostile.canaries import CANARIES

ROOT = Path(__file__).resolve().parents[2]
FIRM = "GREENTEA_API_CLEARING2"
BOOK = str(Path(__file__).with_name("book.json"))


def get(run: Run, project: Path, *arguments: str) -> Any:
    ran = run("-C", str(project), "get", *arguments, "--format", "json")
    assert ran.code == 0, ran.err
    document = json.loads(ran.out)
    assert_valid(f"get.{arguments[0]}.v1", document)
    return document[arguments[0]]


def test_firms_and_accounts(run: Run, project: Path) -> None:
    """What the API ID may use, sorted; a firm by name or clearing id."""
    assert get(run, project, "firms") == [{"name": "GREENTEA_API_CLEARING1", "clearing_id": "984"}, {"name": FIRM, "clearing_id": "780"}]
    assert get(run, project, "firms", "--firm", "780") == [{"name": FIRM, "clearing_id": "780"}]
    assert [item["account"] for item in get(run, project, "accounts")] == ["CPCICCCOPY", "DV10121801A", "DV101218B"]
    (one,) = get(run, project, "accounts", "DV10121801A")
    assert one == {
        "clearing_firm": FIRM, "account": "DV10121801A", "status": "Active", "owner": "Account Owner",
        "execution_firms": ["113", "350", "3N1", "451", "4V9", "763", "XX0"],
    }  # fmt: skip


@pytest.mark.parametrize("name", ["DV10121801A", "780/DV10121801A", f"{FIRM}/DV10121801A"])
def test_limits(run: Run, project: Path, name: str) -> None:
    """Both sides, what binds, and use that is unknown, not zero."""
    rows = get(run, project, "limits", name)
    assert rows[2] == {
        "clearing_firm": FIRM, "account": "DV10121801A", "execution_firm": "3N1", "product": "CJ.FUT.NYMEX",
        "ef": {"long": 324, "short": 567}, "cmf": {"long": 9000, "short": 2000}, "effective": {"long": 324, "short": 567},
        "usage": {"long": None, "short": None},
    }  # fmt: skip
    assert [(row["execution_firm"], row["product"]) for row in rows] == [
        ("350", "CJ.FUT.NYMEX"),
        ("350", "DRS.FUT.CBT"),
        ("3N1", "CJ.FUT.NYMEX"),
    ]
    assert get(run, project, "limits") == rows


def test_unlimited_is_a_word(run: Run, project: Path, sandbox: Sandbox) -> None:
    """No leg is ever empty or a huge number."""
    edit_book(sandbox.book, {"accountNumber": "DV10121801A", "efId": "3N1", "product": "CJ.FUT.NYMEX", "cmfLimits": {"long": None}})
    row = get(run, project, "limits", "DV10121801A")[2]
    assert (row["cmf"]["long"], row["effective"]["long"]) == ("unlimited", 324)


def test_suspensions_and_products(run: Run, project: Path, sandbox: Sandbox) -> None:
    """Suspension from /efStatus, products per execution firm."""
    edit_book(sandbox.book, {"accountNumber": "DV10121801A", "efId": "350", "suspended": True})
    rows = get(run, project, "suspensions", "DV10121801A")
    assert [row["execution_firm"] for row in rows if row["suspended"]] == ["350"]
    products = get(run, project, "products", "CPCICCCOPY")
    assert {row["execution_firm"] for row in products} == {"XX0"}
    assert "CJ.FUT.NYMEX" in {row["product"] for row in products}


def test_table_csv_and_yaml(run: Run, project: Path) -> None:
    """The same rows in every form; identifiers survive YAML readers."""
    table = run("-C", str(project), "get", "limits").out.splitlines()
    assert table[0].split() == ["EF", "PRODUCT", "EF", "LONG", "EF", "SHORT", "CMF", "LONG", "CMF", "SHORT", "EFF", "LONG", "EFF", "SHORT"]
    assert table[1] == "GREENTEA_API_CLEARING2/DV10121801A"
    assert re.fullmatch("  3N1 +CJ.FUT.NYMEX +324 +567 +9,000 +2,000 +324 +567", table[4])
    assert table[-1] == "  usage long and usage short: unknown in every row"
    assert max(len(line) for line in table) <= 80
    assert run("-C", str(project), "get", "accounts").out.split("  ")[0] == "CLEARING FIRM"
    rows = list(csv.DictReader(io.StringIO(run("-C", str(project), "get", "limits", "--format", "csv").out)))
    assert tuple(rows[0]) == HEADERS["limits"]
    assert (rows[2]["cmf_long"], rows[2]["usage_long"]) == ("9000", "unknown")
    document = yaml.safe_load(run("-C", str(project), "get", "suspensions", "--format", "yaml").out)
    assert_valid("get.suspensions.v1", document)
    assert [item["execution_firm"] for item in document["suspensions"]][1:4] == ["113", "350", "3N1"]


def test_nothing_found(run: Run, project: Path) -> None:
    """No rows is a note beside the headings, not an error."""
    ran = run("-C", str(project), "get", "limits", "DV101218B")
    assert ran.code == 0
    assert ran.out.startswith("  EF  PRODUCT  EF LONG")
    assert ran.err == "the AMS holds no limits here\n"


def test_an_unknown_account_or_firm(run: Run, project: Path) -> None:
    """Named, with what would have done."""
    ran = run("-C", str(project), "get", "limits", "NOPE")
    assert (ran.code, ran.out) == (1, "")
    assert "the AMS has no such account (NOPE)" in ran.err
    assert run("-C", str(project), "get", "limits", "DV10121801A", "--firm", "984").code == 1
    assert run("-C", str(project), "get", "limits", "X" * 30).code == 1
    assert "no such clearing firm" in run("-C", str(project), "get", "accounts", "--firm", "1").err


def test_an_ambiguous_account(run: Run, project: Path, sandbox: Sandbox) -> None:
    """The same number at two firms is asked for by FIRM/NUMBER."""
    from amsctl.sandbox.books import account_from_mapping

    sandbox.book.add_account(account_from_mapping(sandbox.book, {"clearingFirm": "GREENTEA_API_CLEARING1", "accountNumber": "DV10121801A"}))
    ran = run("-C", str(project), "get", "limits", "DV10121801A")
    assert ran.code == 1
    assert "write FIRM/NUMBER" in ran.err
    assert run("-C", str(project), "get", "limits", "984/DV10121801A").code == 0


def test_a_failed_read_is_an_error(run: Run, project: Path, sandbox: Sandbox) -> None:
    """Half an answer is none: exit 1 and nothing on standard output."""
    sandbox.faults.add(
        Rule(
            kind="error_before", path="/accountLimitsUtilization/*", status=400, body='{"errorType": "400", "error": "Bad\\u001b Request"}'
        )
    )
    ran = run("-C", str(project), "get", "limits")
    assert (ran.code, ran.out) == (1, "")
    assert "Bad\\u{1B} Request" in ran.err
    assert ran.err.count("\n") == 1


def test_reads_only(run: Run, project: Path, sandbox: Sandbox) -> None:
    """get never sends anything but GET."""
    sandbox.log.clear()
    get(run, project, "limits")
    assert {entry.method for entry in sandbox.log} == {"GET"}


# --- sandbox ---


def started(*arguments: str) -> tuple[subprocess.Popen[str], str]:
    child = subprocess.Popen(
        [sys.executable, "-m", "amsctl.cli.main", "sandbox", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert child.stdout is not None
    return child, child.stdout.readline().strip()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_sandbox_serves_until_a_signal(number: signal.Signals, code: int, run: Run, tmp_path: Path) -> None:
    """Its URL is the result; generated books, switches and faults are taken; a signal ends it."""
    fault = '{"kind": "unavailable", "path": "/efStatus/*", "times": 1}'
    child, url = started(
        "--accounts", "3", "--products", "2", "--seed", "1", "--oddity", "ef_key=efID", "--fault", fault, "--state", str(tmp_path / "s.db")
    )
    try:
        (tmp_path / "amsctl.yaml").write_text(PROJECT.format(url=url, auth="{type: none}"))
        assert len(get(run, tmp_path, "suspensions")) == 15
        with urllib.request.urlopen(url.removesuffix("/rest/v2") + "/_sandbox/log") as answer:
            assert json.load(answer)["total"] > 3
    finally:
        child.send_signal(number)
        _, err = child.communicate(timeout=240)
    assert child.returncode == code
    assert "the sandbox holds 3 accounts; authentication: none" in err


def test_the_sandbox_with_credentials(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OAuth2 with an own API ID and secret; the secret is shown nowhere."""
    (tmp_path / "secret").write_text(CANARIES["the client secret"] + "\n")
    child, url = started("--auth", "oauth2", "--api-id", "API_ME", "--secret-file", str(tmp_path / "secret"), "--principal", "ef")
    try:
        assert child.stderr is not None
        token = next(line for line in child.stderr if line.startswith("token endpoint: ")).split(": ")[1].strip()
        auth = f'{{type: oauth2, tokenUrl: "{token}", clientId: API_ME, clientSecret: "${{SECRET}}"}}'
        (tmp_path / "amsctl.yaml").write_text(PROJECT.format(url=url, auth=auth))
        monkeypatch.setenv("SECRET", CANARIES["the client secret"])
        assert get(run, tmp_path, "firms")[1]["clearing_id"] == "780"
        monkeypatch.setenv("SECRET", "wrong")
        assert run("-C", str(tmp_path), "get", "firms").code == 1
    finally:
        child.terminate()
        out, err = child.communicate(timeout=240)
    assert CANARIES["the client secret"] not in out + err


@pytest.mark.parametrize(
    "arguments", [("--auth", "oauth2"), ("--auth", "basic", "--accounts", "1"), ("--book", BOOK), ("--fault", '{"kind": "slow"}')]
)
def test_what_the_sandbox_says(arguments: tuple[str, ...]) -> None:
    """Its URL alone on standard output; how to log on, and how to stop it, beside it."""
    out, err = io.StringIO(), io.StringIO()

    def stop() -> None:
        while "http" not in out.getvalue():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    stopper = threading.Thread(target=stop)
    stopper.start()
    code = main(["sandbox", "--port", "0", *arguments], console=Console(stdout=out, stderr=err, environ={}))
    stopper.join()
    assert code == 130
    assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+/rest/v2\n", out.getvalue())
    assert "stop it with Ctrl-C, or with kill %1 if it runs in the background" in err.getvalue()
    assert ("token endpoint: http://127.0.0.1:" in err.getvalue()) is ("oauth2" in arguments)
    assert ("API ID: API_SANDBOX" in err.getvalue()) is ("--auth" in arguments)


def test_a_table_fits_the_terminal_and_a_row_is_a_line_elsewhere(run: Run, project: Path, sandbox: Sandbox) -> None:
    """Rows are broken for a person alone: grep and awk count on a line each."""
    narrow = {"COLUMNS": "80", "NO_COLOR": "1"}
    seen = run("-C", str(project), "get", "accounts", terminal=True, environ=narrow).out.splitlines()
    assert max(map(len, seen)) <= 80
    piped = run("-C", str(project), "get", "accounts", environ=narrow).out.splitlines()
    assert piped[0].split()[-2:] == ["EXECUTION", "FIRMS"]
    assert max(map(len, piped)) > 80
    assert len(piped) < len(seen)


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (("--book", "nope.json"), "the book cannot be read (--book nope.json): found No such file or directory", 1),
        (("--fault", "{}"), "no kind: expected one of error_before", 64),
        (("--book", "x.json", "--accounts", "1"), "exclude each other", 64),
        (("--secret-file", "nope"), "cannot be read", 64),
        (("--secret-file", "empty"), "the secret is empty", 64),
        (("--state", "notes.txt"), "not a sandbox state file", 1),
        (("--host", "256.1.1.1"), "cannot be started", 1),
        (("--book", "bad.json"), "not a book", 1),
    ],
)
def test_what_the_sandbox_refuses(run: Run, tmp_path: Path, arguments: tuple[str, ...], words: str, code: int) -> None:
    """Wrong files and options are told in a line."""
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "notes.txt").write_text("not SQLite, and longer than nothing\n" * 50)
    (tmp_path / "bad.json").write_text("{}")
    ran = run("-C", str(tmp_path), "sandbox", "--port", "0", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert words in ran.err


def test_a_port_that_is_taken(run: Run) -> None:
    """Says so and how to get round it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ran = run("sandbox", "--port", str(taken.getsockname()[1]))
    assert ran.code == 1
    assert "is an earlier amsctl sandbox still running? otherwise another --port, or 0 for any free one" in ran.err


@pytest.mark.parametrize(
    ("host", "loopback"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("example", False)]
)
def test_control_endpoints_only_where_nobody_else_comes(host: str, loopback: bool) -> None:
    """The switchboard asks for no credentials, so it is served on loopback alone unless asked for."""
    from amsctl.cli.sandbox import _is_loopback

    assert _is_loopback(host) is loopback
