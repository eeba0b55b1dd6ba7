"""Twelve canaries through every command and every kind of failure: not one comes out, in whatever encoding (B10)."""

from __future__ import annotations

import io
import json
import logging
import os
import shutil
import stat
import subprocess
import sys
import threading
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple
from urllib.parse import quote

import pytest
import trustme

from amsctl.cli.console import Console
from amsctl.cli.main import main
from amsctl.errors import AmsctlError
from amsctl.sandbox import auth as sandbox_auth
from amsctl.sandbox.auth import Auth, Credential, Kind
from amsctl.sandbox.books import spec_book
from amsctl.sandbox.endpoints import Answer
from amsctl.sandbox.faults import Rule
from amsctl.sandbox.rendering import encode
from amsctl.sandbox.server import Certificate, Sandbox, serve
from tests.conftest import pytest_runtest_teardown, too_little
from tests.hostile.canaries import API_ID, CANARIES, ENVIRON, Hunt, encodings, forms, passwords
from tests.order import HANG_SECONDS, at_call, until

SECRETS: dict[Kind, str] = {
    "oauth2": CANARIES["the client secret"],
    "basic": CANARIES["the Basic password"],
    "session": CANARIES["the session password"],
}
TICKETS: dict[Kind, str] = {"oauth2": CANARIES["the bearer token"], "session": CANARIES["the session cookie"], "basic": "unused"}
ACCOUNT = """\
apiVersion: amsctl/v1
kind: Account
metadata: {clearingFirm: GREENTEA_API_CLEARING2, accountNumber: DV10121801A}
spec: {executionFirms: {3N1: {limits: {CJ.FUT.NYMEX: {ef: {long: 300, short: 600}}}}}}
"""


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@dataclass
class World:
    """A limits repository whose every secret is a canary, and the stand-in that it is for."""

    folder: Path
    sandbox: Sandbox
    kind: Kind
    hunt: Hunt
    environ: dict[str, str]
    texts: list[str] = field(default_factory=list)

    def configure(
        self,
        *,
        url: str | None = None,
        token_url: str | None = None,
        ledger: str | None = None,
        more: str = "",
        secret: str = "${AMS_SECRET}",
    ) -> None:
        """Write the project file."""
        token = f", tokenUrl: '{token_url or self.sandbox.token_url}'" if self.kind == "oauth2" else ""
        at = f"  ledger: {{url: '{ledger}'}}\n" if ledger else ""
        (self.folder / "amsctl.yaml").write_text(
            "apiVersion: amsctl/v1\nkind: Project\nspec:\n  guards: none\n  manifests: [accounts]\n  defaultEnvironment: s\n"
            "  requests: {perSecond: unlimited, settleSeconds: 0.05, retries: 0, timeoutSeconds: 2}\n"
            f"{at}  environments:\n    s:\n      url: '{url or self.sandbox.url}'\n"
            f"      auth: {{type: {self.kind}, clientId: {API_ID}, clientSecret: '{secret}'{token}}}\n{more}"
        )

    def run(self, *arguments: str) -> Ran:
        """One command line in this process, as ``amsctl -C folder …``, with the logs of every library at DEBUG."""
        out, err = io.StringIO(), io.StringIO()
        console = Console(stdout=out, stderr=err, stdin=io.StringIO(), environ=self.environ, json_logs="--json-logs" in arguments)
        code = main(["-C", str(self.folder), *arguments], console=console)
        self.texts += [out.getvalue(), err.getvalue()]
        return Ran(code, out.getvalue(), err.getvalue())

    def fault(self, **rule: object) -> None:
        """One more fault of the stand-in."""
        self.sandbox.faults.add(Rule(**rule))  # type: ignore[arg-type]

    def echo(self) -> str:
        """All that the server was ever sent or gave out itself and that it might repeat: each in every encoding."""
        shown = [SECRETS[self.kind], TICKETS[self.kind], f"{API_ID}:{SECRETS[self.kind]}"]
        encoded = [b64encode(each.encode()).decode() for each in shown]
        return " ".join([*shown, *encoded, *(quote(each, safe="") for each in shown), f"Basic {encoded[2]}", f"Bearer {shown[1]}"])


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[dict[Kind, Sandbox]]:
    """One stand-in for each kind of credential, whose tokens and cookies are canaries, and whose token answers hold more of them."""
    issue = sandbox_auth.Gate._issue

    def generous(gate: sandbox_auth.Gate, headers: dict[str, str], body: bytes) -> Answer:
        answer = issue(gate, headers, body)
        if answer.status != 200:
            return answer
        extra = {"refresh_token": CANARIES["the refresh token"], "id_token": CANARIES["the ID token"], "scope": CANARIES["the ID token"]}
        return Answer(body=encode({**json.loads(answer.body), **extra}), headers=answer.headers)

    def ticket(gate: sandbox_auth.Gate, credential: Credential) -> str:
        found = TICKETS[gate.auth.kind]
        gate._good[found] = (credential, float("inf"))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sandbox_auth.Gate, "_issue", generous)
        patch.setattr(sandbox_auth.Gate, "_open", ticket)
        credentials = {kind: (Credential(id=API_ID, secret=secret),) for kind, secret in SECRETS.items()}
        with (
            serve(spec_book(), auth=Auth(kind="oauth2", credentials=credentials["oauth2"])) as oauth2,
            serve(spec_book(), auth=Auth(kind="basic", credentials=credentials["basic"])) as basic,
            serve(spec_book(), auth=Auth(kind="session", credentials=credentials["session"])) as session,
        ):
            yield {"oauth2": oauth2, "basic": basic, "session": session}


@pytest.fixture(params=["oauth2", "basic", "session"])
def world(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    sandboxes: dict[Kind, Sandbox],
    hunt: Hunt,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> Iterator[World]:
    """The repository, with every canary in its surroundings and the search for them on."""
    kind: Kind = request.param
    sandbox = sandboxes[kind]
    sandbox.reset()
    (tmp_path / "accounts").mkdir()
    (tmp_path / "accounts" / "dv.yaml").write_text(ACCOUNT)
    caplog.set_level(logging.DEBUG)
    for name, value in {
        **ENVIRON,
        "AMS_SECRET": SECRETS[kind],
        "PROXY": ENVIRON["AMS_PROXY"],
        "LEDGER": ENVIRON["AMS_LEDGER"],
        "PGPASSWORD": CANARIES["the ledger's password"],
        "AMSCTL_TRACEBACK": "1",
    }.items():
        monkeypatch.setenv(name, value)
    found = World(tmp_path, sandbox, kind, hunt, {})
    found.configure()
    yield found
    assert sum(map(len, found.texts)) > 0
    for text in found.texts:
        hunt.search(text, "output")
    for record in caplog.records:
        hunt.search(f"{record.getMessage()} {record.args!r} {record.__dict__!r}", f"log of {record.name}")
    sandbox.reset()


HOWS = ((), ("--json-logs",), ("-vv",))


def test_every_command_that_goes_well(world: World) -> None:
    """Each command there is, told in every way, with its plan, report, events and ledger left behind."""
    plan, events = str(world.folder / "plan.json"), str(world.folder / "events.jsonl")
    run = world.run
    for how in HOWS:
        assert run("plan", *how).code == 0
    codes = {
        name: run(*arguments).code
        for name, arguments in {
            "validate": ("validate", "-vv"),
            "fmt": ("fmt", "--check"),
            "plan": ("plan", "-o", plan, "--format", "json", "-vv"),
            "show": ("show", plan),
            "show json": ("show", plan, "--format", "json"),
            "apply": ("apply", plan, "--events", events, "--format", "json", "-vv", "--json-logs", "--reason", "quarterly review"),
            "firms": ("get", "firms"),
            "accounts": ("get", "accounts", "-vv"),
            "limits": ("get", "limits", "DV10121801A", "--format", "json"),
            "log": ("ledger", "log"),
            "log json": ("ledger", "log", "--format", "json"),
            "head": ("ledger", "head"),
            "verify": ("ledger", "verify"),
            "blame": ("ledger", "blame", "DV10121801A"),
            "jsonl": ("ledger", "export", "--format", "jsonl"),
            "csv": ("ledger", "export", "--format", "csv"),
            "lock": ("lock", "status"),
            "freeze": ("freeze", "--reason", "drill"),
            "thaw": ("thaw", "--reason", "drill over"),
            "completion": ("completion", "bash"),
            "init": ("init", str(world.folder / "new")),
        }.items()
    }
    assert {name for name, code in codes.items() if code} <= {"fmt"}, codes
    runs = json.loads(run("ledger", "log", "--format", "json").out)
    name = str(runs["runs"][0]["id"])
    run("rollback", name, "-o", str(world.folder / "back.json"))
    run("resume", name)
    run("resolve")
    run("apply", str(world.folder / "back.json"))
    assert (world.folder / "plan.json").stat().st_size > 0


FAILURES: dict[str, Callable[[World], None]] = {
    "400 that repeats everything": lambda w: w.fault(
        kind="error_before", status=400, body=json.dumps({"errorType": w.echo(), "error": w.echo()})
    ),
    "200 that repeats everything": lambda w: w.fault(
        kind="error_before", status=200, body=json.dumps({"errorType": "x", "error": w.echo()})
    ),
    "401 that repeats everything": lambda w: w.fault(
        kind="error_before", status=401, body=json.dumps({"errorType": "401", "error": w.echo()})
    ),
    "a page that repeats everything": lambda w: w.fault(
        kind="error_before", status=500, body=f"<html>{w.echo()}", content_type="text/html"
    ),
    "JSON that repeats everything": lambda w: w.fault(
        kind="error_before",
        status=200,
        body=json.dumps({"clearingAccounts": [{"accountNumber": "DV10121801A", "status": w.echo()}], "limits": w.echo()}),
    ),
    "no JSON": lambda w: w.fault(kind="error_before", status=200, body=w.echo()),
    "403": lambda w: w.fault(kind="error_before", status=403),
    "429": lambda w: w.fault(kind="too_many_requests"),
    "503": lambda w: w.fault(kind="unavailable"),
    "a broken connection": lambda w: w.fault(kind="drop_before"),
    "a reset": lambda w: w.fault(kind="drop_after", variant="reset"),
    "a redirect with a token": lambda w: w.fault(kind="redirect", location=f"http://127.0.0.1:9/?token={quote(w.echo(), safe='')}"),
    "a write refused": lambda w: w.fault(
        kind="error_before", method="POST", path="/accountLimits*", status=400, body=json.dumps({"errorType": "x", "error": w.echo()})
    ),
    "a write that vanishes": lambda w: w.fault(kind="drop_after", method="POST", path="/accountLimits*"),
    "a write that lands unheard": lambda w: w.fault(kind="late", method="POST", path="/accountLimits*", seconds=0.01),
    "a write partly done": lambda w: w.fault(kind="error_after", method="POST", path="/accountLimits*", status=500, body=w.echo()),
    "tokens revoked": lambda w: w.sandbox.gate.revoke(),
    "the secret is wrong": lambda w: w.configure(secret=CANARIES["a secret written into the project file"]),
    "the variable is missing": lambda w: w.configure(secret="${AMS_SECRET}${MISSING}"),
    "the secret has a brace too many": lambda w: w.configure(secret="${AMS_SECRET"),
    "nobody is there": lambda w: w.configure(url="http://127.0.0.1:9/rest/v2"),
    "the token server is not there": lambda w: w.configure(token_url="http://127.0.0.1:9/token"),
    "the proxy is not there": lambda w: w.configure(more="      proxy: '${PROXY}'\n"),
    "the proxy is no address": lambda w: w.configure(more="      proxy: 'socks5://${PROXY}'\n"),
    "the address holds a password": lambda w: w.configure(url="http://robot:${AMS_SECRET}@127.0.0.1:9/rest/v2"),
    "the address is the secret": lambda w: w.configure(url="${AMS_SECRET}"),
    "the ledger is not there": lambda w: w.configure(ledger="${LEDGER}"),
    "the ledger's address is none": lambda w: w.configure(ledger="mysql${LEDGER}"),
    "the CA file is the secret": lambda w: w.configure(url="https://127.0.0.1:9/rest/v2", more="      tls: {caFile: '/nowhere/ca.pem'}\n"),
    "the project file is broken": lambda w: w.configure(more=f'      proxy: ["{CANARIES["a secret written into the project file"]}\n'),
}


MILD = {
    "tokens revoked", "a write that vanishes", "a write that lands unheard", "a write partly done",  # read back, and found done
    "the token server is not there",  # where no tokens are used
}  # fmt: skip


REPEATING = [name for name in FAILURES if "repeats" in name or name in {"a redirect with a token", "the secret is wrong", "tokens revoked"}]
RUNS = [*(("oauth2", name) for name in FAILURES), *((kind, name) for kind in ("basic", "session") for name in REPEATING)]


@pytest.mark.parametrize(("world", "failure"), RUNS, indirect=["world"])
def test_every_kind_of_failure(world: World, failure: str) -> None:
    """Plan, apply and get under each, told in every way, tracebacks of defects included."""
    plan, events = str(world.folder / "plan.json"), str(world.folder / "events.jsonl")
    assert world.run("plan", "-o", plan).code == 0
    FAILURES[failure](world)
    world.hunt.input(world.folder / "amsctl.yaml")
    codes = [
        world.run("plan", "-vv").code,
        world.run("apply", plan, "--events", events, "--format", "json", "--json-logs", "-vv").code,
        world.run("get", "limits", "DV10121801A").code,
        world.run("resume").code,
        world.run("ledger", "export", "--format", "jsonl").code,
    ]
    assert set(codes) <= {0, 1, 2, 3, 4, 5, 6, 7, 8, 64}
    assert any(codes) or failure in MILD
    assert not any("internal error" in text for text in world.texts)


def test_a_defect_with_its_traceback_shows_no_secret(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """AMSCTL_TRACEBACK is on: the traceback of a defect deep inside shows code, and no values."""
    from amsctl.ams import channel

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(channel, "judged", broken)
    ran = world.run("plan", "-vv")
    assert ran.code == 1
    assert "Traceback" in ran.err


def test_errors_carry_no_secret_in_any_part(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """str, repr, vars, args, cause and context of every error that reaches the boundary, and the locals of no frame are needed to tell it."""
    caught: list[AmsctlError] = []
    failed = Console.failed

    def noted(console: Console, error: AmsctlError) -> None:
        caught.append(error)
        failed(console, error)

    monkeypatch.setattr(Console, "failed", noted)
    for failure in FAILURES.values():
        world.sandbox.reset()
        world.configure()
        failure(world)
        world.run("plan")
    world.hunt.input(world.folder / "amsctl.yaml")
    assert len(caught) >= 20
    for error in caught:
        link: BaseException | None = error
        while link is not None:
            shown = "".join(traceback.TracebackException.from_exception(link, capture_locals=False).format())
            world.hunt.search(f"{link} {link!r} {vars(link)!r} {link.args!r} {shown}", "an error")
            link = link.__cause__ or link.__context__


def test_a_client_key_is_not_repeated(world: World, tmp_path: Path) -> None:
    """The twelfth canary: a line of the key, in use, encrypted, and broken; and a plan over TLS with it."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server, client = ca.issue_cert("127.0.0.1"), ca.issue_cert("robot@example.org")
    key = client.private_key_pem.bytes().decode()
    line = key.splitlines()[2]
    world.hunt.register("a line of the TLS key", line)
    server.private_key_pem.write_to_path(str(tmp_path / "server.key"))
    server.cert_chain_pems[0].write_to_path(str(tmp_path / "server.pem"))
    for name, text in {
        "client.pem": client.cert_chain_pems[0].bytes().decode(),
        "client.key": key,
        "broken.key": key.replace(line, line[:-4]),
        "encrypted.key": key.replace("-----\n", "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n", 1),
        "no.pem": line,
    }.items():
        (tmp_path / name).write_text(text)
        world.hunt.input(tmp_path / name)
    certificate = Certificate(chain=str(tmp_path / "server.pem"), key=str(tmp_path / "server.key"), client_ca=str(tmp_path / "ca.pem"))
    credentials = (Credential(id=API_ID, secret=SECRETS[world.kind]),)
    with serve(spec_book(), auth=Auth(kind=world.kind, credentials=credentials), tls=certificate) as secure:
        codes = {}
        for chain, file in (
            ("client.pem", "client.key"),
            ("client.pem", "broken.key"),
            ("client.pem", "encrypted.key"),
            ("no.pem", "no.pem"),
            ("client.key", "client.pem"),
        ):
            tls = f"      tls: {{caFile: '{tmp_path}/ca.pem', certificateFile: '{tmp_path}/{chain}', keyFile: '{tmp_path}/{file}'}}\n"
            world.configure(url=secure.url, token_url=secure.token_url, more=tls)
            codes[chain, file] = world.run("plan", "-vv", "--json-logs").code
        assert codes.pop(("client.pem", "client.key")) == 0
        assert set(codes.values()) == {1}


@pytest.mark.parametrize("world", ["oauth2"], indirect=True)
def test_no_argument_and_no_child_carries_a_secret(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A real process: while it runs, no command line on this machine holds a canary; and the git that it asks is given none in its environment."""
    bin_folder, seen, real = tmp_path_factory.mktemp("bin"), world.folder / "git-saw.txt", shutil.which("git")
    git = bin_folder / "git"
    git.write_text(f"#!/bin/sh\n{{ env; echo \"$0 $@\"; }} >> '{seen}'\nexec '{real}' \"$@\"\n")
    git.chmod(git.stat().st_mode | stat.S_IXUSR)
    environ = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}"}
    subprocess.run(["git", "init", "--quiet", str(world.folder)], check=True)
    command = [sys.executable, "-m", "amsctl", "-C", str(world.folder), "plan", "-vv"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ, cwd=Path(__file__).parents[2])
    finished = threading.Event()
    looks = 0

    def look() -> None:
        nonlocal looks
        while not finished.wait(0.02):
            for place in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    world.hunt.search(place.read_bytes(), "the process list")
                except OSError:
                    continue
            looks += 1

    watcher = threading.Thread(target=look)
    # A call of the process is answered when the list was looked through three times, from beginning to end, with the process in it.
    with at_call(world.sandbox, lambda: until(lambda: looks > 3), method="GET"):
        watcher.start()
        out, err = child.communicate(timeout=HANG_SECONDS)
    finished.set()
    watcher.join()
    assert child.returncode == 0, err
    world.hunt.search(out + err, "the output of a real process")
    world.texts.append(out.decode())
    assert "PATH=" in seen.read_text()


# --- the search itself ---


@pytest.mark.parametrize("name", CANARIES)
@pytest.mark.parametrize("before", ["", "a", "ab", "API_X:"])
def test_the_search_finds_every_encoding(name: str, before: str) -> None:
    """So that finding nothing means something: raw, URL encoded, base64 at every position, and as Basic user:secret."""
    text = CANARIES[name]
    hunt = Hunt()
    hunt.register(name, text)
    for encoded in (
        before + text,
        quote(before + text, safe=""),
        b64encode((before + text).encode()).decode(),
        b64encode((before + text + "zz").encode()).decode(),
    ):
        hunt.search(f"x {encoded} y", "there")
        assert len(hunt.taken()) >= 1, encoded
    hunt.search(f"x {text[:-1]} {before} {text[1:]}", "there")
    assert hunt.taken() == []
    assert len(forms(text)) >= 4


def test_the_search_looks_into_files(tmp_path: Path) -> None:
    """Files that a test leaves behind are searched for canaries, its own input is not."""
    hunt = Hunt()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "ledger.db").write_bytes(b"\x00\xff" + b64encode(b"me:canary-canary") + b"\x00")
    (tmp_path / "input.yaml").write_text("canary-canary")
    (tmp_path / "changed.yaml").write_bytes(b"canary-canary")
    hunt.register("it", "canary-canary")
    hunt.input(tmp_path / "input.yaml")
    hunt.input(tmp_path / "changed.yaml", b"canary-canary")
    assert hunt.search_files(tmp_path) == 1
    (found,) = hunt.taken()
    assert "ledger.db" in found
    (tmp_path / "changed.yaml").write_bytes(b"canary-canary, and more")
    assert hunt.search_files(tmp_path) == 2
    assert ["changed.yaml" in each for each in hunt.taken()] == [True, False]
    hunt.secret("sqlite:////somewhere/ledger.db")
    hunt.search("sqlite:////somewhere/ledger.db", "there")
    assert hunt.taken() == []


def test_the_password_of_a_ledger_is_looked_for_by_itself() -> None:
    """Not only in the address, and not only as it is written there; one that is no address may hold one, too."""
    for address in (
        "postgresql://me:a%2Fb%20secret@h/d",
        "postgresql://me@h/d?password=a%2Fb%20secret",
        "mysqlpostgresql://me:a%2Fb%20secret@h/d",
        "postgresql://me:a%2Fb%20secret@[::1/x",
    ):
        assert "a/b secret" in passwords(address), address
        hunt = Hunt()
        hunt.secret(address)
        for told in ("for user me: a/b secret", "a%2Fb%20secret", b64encode(b"me:a/b secret").decode()):
            hunt.search(f"FATAL: {told}!", "there")
            assert len(hunt.taken()) == 1, (address, told)


def test_the_suite_searches_for_the_twelve_in_four_encodings(tmp_path: Path) -> None:
    """What every worker asks itself at its end; and a search that has forgotten one of them is told."""
    hunt = Hunt()
    for name, text in list(CANARIES.items())[1:]:
        hunt.stand(name, text)
    missed = hunt.bites(tmp_path)
    assert len(missed) == len(encodings("x")) * 2
    assert all(each.startswith("the client secret, ") for each in missed)
    hunt.stand("the client secret", CANARIES["the client secret"])
    assert hunt.bites(tmp_path) == []
    assert (hunt.texts, hunt.files) == (0, 0)


def test_the_suite_hears_every_process(hunt: Hunt) -> None:
    """What a process prints is searched by whoever waits for it, with what stands in its environment."""
    program = "import os, sys; print(os.environ['AMS_SECRET']); print(os.environ['CI_JOB_TOKEN'], file=sys.stderr)"
    subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert [each.split(":")[0] for each in hunt.taken()] == [
        "the Basic password in standard output of a process",
        "another secret of the environment in standard error of a process",
    ]


def test_the_suite_notices_what_a_console_says(hunt: Hunt) -> None:
    """The ears that every test of the suite has: a secret that is configured anywhere and then told, to either stream."""
    from amsctl.config import Secret

    text = "told-by-mistake-1"
    Secret(text)
    console = Console(stdout=io.StringIO(), stderr=io.StringIO(), environ={})
    console.result(f"a {text}")
    console.note(b64encode(f"u:{text}".encode()).decode())
    assert [each.split(":")[0] for each in hunt.taken()] == [
        "a secret that the test configured in standard output",
        "a secret that the test configured in standard error",
    ]


@pytest.mark.parametrize("where", ["stdout", "stderr", "log", "a file"])
def test_the_suite_fails_on_what_a_test_prints_or_leaves_behind(where: str, hunt: Hunt, tmp_path: Path) -> None:
    """The hook after every test, handed one that let a secret out."""
    hunt.register("it", "canary-canary")
    said = b64encode(b"someone:canary-canary").decode()
    if where == "a file":
        with open(tmp_path / "report.json", "w") as left:  # not as tests write their inputs
            left.write(f'{{"message": "{said}"}}')
    sections = [] if where == "a file" else [("call", where, f"Authorization: Basic {said}")]
    item = SimpleNamespace(_report_sections=sections, funcargs={"tmp_path": tmp_path})
    after = pytest_runtest_teardown(item)  # type: ignore[arg-type]
    next(after)
    with pytest.raises(pytest.fail.Exception, match="secrets came out"):
        after.send(None)
    (tmp_path / "report.json").unlink(missing_ok=True)


def test_a_whole_session_that_searched_too_little_fails_and_a_part_does_not() -> None:
    """Finding nothing where nothing was looked at is no proof."""
    enough = {"tests": 4_500, "texts": 50_000, "files": 6_000, "bytes": 1, "canaries": 4_000}
    assert too_little(enough) == []
    assert too_little({**enough, "texts": 500}) == ["texts: 500 of at least 20,000"]
    assert too_little({**enough, "tests": 300, "texts": 0, "canaries": 0}) == []
