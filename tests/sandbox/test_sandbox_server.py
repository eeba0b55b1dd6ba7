"""The stand-in as a server: threads, processes, signals, TLS, state file, control endpoints, log."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from amsctl.sandbox.books import book_to_mapping, spec_book
from amsctl.sandbox.generator import generate
from amsctl.sandbox.oddities import Oddities
from amsctl.sandbox.server import Certificate, Sandbox, run, serve, serve_apart
from amsctl.sandbox.state import Account
from tests.order import HANG_SECONDS, until

from .conftest import ACCOUNT, ACCOUNTS, EF_STATUS, LIMITS, body, ef_body, row


def test_a_server_listens_on_the_port_named_and_a_taken_one_is_an_error() -> None:
    with serve(spec_book()) as sandbox:
        port = int(sandbox.origin.rpartition(":")[2])
        assert sandbox.url == f"http://127.0.0.1:{port}/rest/v2"
        with pytest.raises(OSError, match="in use"), serve(spec_book(), port=port):
            pass
    with serve(spec_book(), port=port) as again:
        assert again.origin == sandbox.origin
        assert httpx.get(again.url + LIMITS, trust_env=False).status_code == 200


def test_a_book_built_by_hand_is_what_reset_brings_back() -> None:
    book = spec_book()
    book.add_account(Account(firm=book.firms[0], number="MINE"))
    with serve(book) as sandbox:
        sandbox.book.write_status(book.account("MINE"), "closed")
        sandbox.reset()
        assert sandbox.book.account("MINE").status == "Active"


def test_a_server_that_has_ended_answers_no_more() -> None:
    with serve(spec_book()) as sandbox:
        pass
    with pytest.raises(httpx.ConnectError):
        httpx.get(sandbox.url + LIMITS, trust_env=False)


def test_a_server_ends_though_a_caller_holds_its_connection_open() -> None:
    """It does not wait for the caller to let go, who does so only when the server has ended."""
    with serve(spec_book()) as sandbox:
        client = httpx.Client(trust_env=False)
        client.get(sandbox.url + LIMITS)
    client.close()


def test_switches_at_the_start_are_those_that_reset_brings_back() -> None:
    with serve(spec_book(), oddities=Oddities(links="none")) as sandbox:
        sandbox.switch(links="spec", default_page_size=1)
        sandbox.reset()
        assert sandbox.oddities == Oddities(links="none")


def test_the_control_endpoints_can_be_switched_off() -> None:
    with serve(spec_book(), control=False) as sandbox:
        assert httpx.get(f"{sandbox.control_url}/log", trust_env=False).status_code == 404
        assert httpx.get(sandbox.url + LIMITS, trust_env=False).status_code == 200


def test_an_ipv6_address_is_written_in_brackets() -> None:
    with serve(spec_book(), host="::1") as sandbox:
        assert sandbox.origin.startswith("http://[::1]:")
        assert httpx.get(sandbox.url + LIMITS, trust_env=False).status_code == 200


def test_tls_and_client_certificates(tmp_path: Path) -> None:
    authority = trustme.CA()
    server, caller = authority.issue_cert("127.0.0.1"), authority.issue_cert("caller@example.invalid")
    for name, blob in (("key", server.private_key_pem), ("ca", authority.cert_pem)):
        blob.write_to_path(str(tmp_path / name))
    for blob in server.cert_chain_pems:
        blob.write_to_path(str(tmp_path / "chain"), append=True)
    plain = ssl.create_default_context()
    authority.configure_trust(plain)
    known = ssl.create_default_context()
    authority.configure_trust(known)
    caller.configure_cert(known)
    with serve(spec_book(), tls=Certificate(chain=str(tmp_path / "chain"), key=str(tmp_path / "key"))) as sandbox:
        assert sandbox.url.startswith("https://127.0.0.1:")
        assert httpx.get(sandbox.url + LIMITS, verify=plain, trust_env=False).status_code == 200
    strict = Certificate(chain=str(tmp_path / "chain"), key=str(tmp_path / "key"), client_ca=str(tmp_path / "ca"))
    with serve(spec_book(), tls=strict) as sandbox:
        assert httpx.get(sandbox.url + LIMITS, verify=known, trust_env=False).status_code == 200
        with pytest.raises((httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError)):
            httpx.get(sandbox.url + LIMITS, verify=plain, trust_env=False)


def test_a_state_file_carries_the_book_over_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    with serve(spec_book(), state=state) as sandbox, httpx.Client(base_url=sandbox.url, trust_env=False) as client:
        client.post(LIMITS, json=body(row(ef=(324, 600)))).raise_for_status()
        client.post(EF_STATUS, json=ef_body(_451="Y")).raise_for_status()
        left = book_to_mapping(sandbox.book)
    with serve(None, state=state) as sandbox:
        assert book_to_mapping(sandbox.book) == left
        assert sandbox.book.row(ACCOUNT, "3N1", "CJ.FUT.NYMEX") == (324, 600, 9000, 2000)


def test_a_book_in_a_process_of_its_own() -> None:
    with serve_apart(partial(generate, 3, 4, seed=1), log_size=5) as remote:
        assert remote.pid != os.getpid()
        assert remote.token_url == f"{remote.origin}/as/token.oauth2"
        with httpx.Client(base_url=remote.url, trust_env=False) as client:
            assert client.get(ACCOUNTS).json()["counts"] == 3
            log = client.get(f"{remote.control_url}/log").json()
        assert [entry["path"] for entry in log["entries"]] == [f"/rest/v2{ACCOUNTS}"]
    with pytest.raises(httpx.ConnectError):
        httpx.get(remote.url, trust_env=False)


def test_a_process_that_cannot_start_is_an_error() -> None:
    with pytest.raises(OSError, match="did not start"), serve_apart(partial(generate, 3, 4), host="256.0.0.1"):
        pass


RUN = """
    import sys
    from amsctl.sandbox.books import spec_book
    from amsctl.sandbox.server import run
    number = run(spec_book(), started=lambda sandbox: print(sandbox.url, flush=True), log_size=10)
    print("ended by", number, flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_foreground_server_ends_cleanly_on_a_signal(number: signal.Signals) -> None:
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(RUN)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    url = child.stdout.readline().strip()
    assert httpx.get(url + LIMITS, trust_env=False).status_code == 200
    child.send_signal(number)
    out, err = child.communicate(timeout=HANG_SECONDS)
    assert (out, err, child.returncode) == (f"ended by {number.value}\n", "", 0)


def test_the_foreground_server_gives_the_signal_and_puts_its_actions_back() -> None:
    before = (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
    seen: list[int] = []

    def started(sandbox: Sandbox) -> None:
        seen.append(httpx.get(sandbox.url + LIMITS, trust_env=False).status_code)
        os.kill(os.getpid(), signal.SIGTERM)

    assert run(spec_book(), started=started) == signal.SIGTERM
    assert seen == [200]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_many_callers_at_once_lose_no_write() -> None:
    book = generate(4, 10, seed=3)
    with serve(book) as sandbox, httpx.Client(trust_env=False) as client:
        accounts = [(account, key) for account in book.accounts() for key, _ in account.items()]

        def post(i: int) -> int:
            account, (ef_id, product) = accounts[i]
            posted = {
                "service": "ICC",
                "clearingFirm": "780",
                "accountNumber": account.number,
                "limits": [row(ef_id, product, (i, i), (i, i))],
            }
            path = f"{sandbox.url}/accountLimitsUtilization/clearing/ICC/780/{account.number}"
            return client.post(path, json=posted).status_code

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(post, range(len(accounts)))) == {200}
        assert [account.row(*key) for account, key in accounts] == [(i, i, i, i) for i in range(len(accounts))]


# --- log and control ---------------------------------------------------------------------------------------------------------------------


def test_every_request_is_logged_as_it_came(client: httpx.Client, sandbox: Sandbox) -> None:
    client.get(LIMITS, params={"limit": 2}, auth=("API_X", "secret"))
    client.post(LIMITS, json=body(row()))
    client.get("/nothing/%2F")
    first, second, third = sandbox.log
    assert (first.number, first.method, first.path, first.query, first.status) == (1, "GET", f"/rest/v2{LIMITS}", "limit=2", 200)
    assert (first.authorization, first.body, first.response_bytes > 100) == ("Basic", "", True)
    assert json.loads(second.body) == body(row())
    assert (third.path, third.status) == ("/rest/v2/nothing/%2F", 404)
    assert [entry.path for entry in sandbox.log.calls("POST", "Utilization")] == [f"/rest/v2{LIMITS}"]
    # an answer is with its caller a moment before it is logged as finished
    until(lambda: third.finished_seconds is not None)
    assert all(entry.finished_seconds and entry.finished_seconds >= entry.started_seconds for entry in (first, second, third))
    assert (len(sandbox.log), sandbox.log.total, sandbox.log.peak_in_flight) == (3, 3, 1)


def test_the_log_keeps_the_last_requests_only() -> None:
    with serve(spec_book(), log_size=2) as sandbox, httpx.Client(base_url=sandbox.url, trust_env=False) as client:
        for offset in (1, 2, 3):
            client.get(LIMITS, params={"offset": offset})
        assert [(entry.number, entry.query) for entry in sandbox.log] == [(2, "offset=2"), (3, "offset=3")]
        assert sandbox.log.total == 3


def control(sandbox: Sandbox, method: str, path: str, document: object = None) -> tuple[int, Any]:
    answer = httpx.request(method, sandbox.control_url + path, json=document, trust_env=False, verify=False)
    return answer.status_code, answer.json() if answer.content else None


def test_faults_are_set_and_lifted_over_http(client: httpx.Client, sandbox: Sandbox) -> None:
    assert control(sandbox, "POST", "/faults", [{"kind": "unavailable", "id": "a", "times": 1}, {"kind": "slow", "id": "b"}]) == (
        201,
        {"faults": [{"kind": "unavailable", "id": "a", "times": 1}, {"kind": "slow", "id": "b"}]},
    )
    assert [client.get(LIMITS).status_code for _ in range(2)] == [503, 200]
    assert [(rule["id"], rule["struck"]) for rule in control(sandbox, "GET", "/faults")[1]["faults"]] == [("a", 1), ("b", 2)]
    assert (control(sandbox, "DELETE", "/faults/a")[0], control(sandbox, "DELETE", "/faults/a")[0]) == (204, 404)
    assert control(sandbox, "DELETE", "/faults") == (204, None)
    assert sandbox.faults.rules() == ()


def test_one_bad_rule_refuses_all_of_a_call(sandbox: Sandbox) -> None:
    status, answer = control(sandbox, "POST", "/faults", [{"kind": "slow"}, {"kind": "explode"}])
    assert (status, answer["error"][:22], sandbox.faults.rules()) == (400, "unknown kind 'explode'", ())


def test_the_book_is_edited_read_and_reset_over_http(client: httpx.Client, sandbox: Sandbox) -> None:
    before = book_to_mapping(sandbox.book)
    assert control(sandbox, "GET", "/state") == (200, before)
    edit = {"accountNumber": ACCOUNT, "efId": "3N1", "product": "CJ.FUT.NYMEX", "efLimits": {"short": 5}}
    account = {"accountNumber": "NEW", "clearingFirm": "780", "status": "closed", "executionFirms": {"3N1": True}}
    assert control(sandbox, "PUT", "/rows", [edit])[0] == control(sandbox, "PUT", "/accounts", [account])[0] == 204
    assert client.get(LIMITS).json()["limits"][0]["efLimits"]["short"] == 5
    assert control(sandbox, "GET", "/state?account=NEW")[1]["accounts"][0]["status"] == "closed"
    sandbox.switch(links="none")
    assert control(sandbox, "POST", "/reset") == (204, None)
    assert control(sandbox, "GET", "/state") == (200, before)
    assert (control(sandbox, "GET", "/log")[1]["total"], sandbox.oddities.links) == (0, "spec")


def test_switches_are_read_and_set_over_http(client: httpx.Client, sandbox: Sandbox) -> None:
    assert control(sandbox, "GET", "/oddities") == (200, Oddities().to_mapping())
    assert control(sandbox, "PATCH", "/oddities", {"ef_as_strings": True})[1]["ef_as_strings"] is True
    assert client.get(ACCOUNTS).json()["clearingAccounts"][1]["executionFirms"] == ["8T4"]


def test_the_log_is_filtered_and_cleared_over_http(client: httpx.Client, sandbox: Sandbox) -> None:
    client.get(LIMITS)
    client.post(LIMITS, json=body(row()))
    found = control(sandbox, "GET", "/log?method=POST&containing=Limits")[1]
    assert (found["total"], [entry["method"] for entry in found["entries"]], found["peak_in_flight"]) == (2, ["POST"], 1)
    assert control(sandbox, "DELETE", "/log") == (204, None)
    assert len(sandbox.log) == 0


@pytest.mark.parametrize(
    ("method", "path", "document"),
    [
        ("PUT", "/rows", [{"accountNumber": "NOBODY", "status": "closed"}]),
        ("PUT", "/rows", {"accountNumber": ACCOUNT}),
        ("PUT", "/rows", [{"accountNumber": ACCOUNT, "efId": "3N1", "product": "CJ.FUT.NYMEX", "efLimits": {"short": -5}}]),
        ("PUT", "/accounts", [{"clearingFirm": "780"}]),
        ("PUT", "/accounts", ["x"]),
        ("PATCH", "/oddities", {"nothing": 1}),
        ("PATCH", "/oddities", []),
        ("POST", "/faults", 5),
        ("POST", "/faults", {"kind": "foreign_edit", "edit": {"accountNumber": "NOBODY", "status": "closed"}}),
    ],
)
def test_what_control_cannot_do_is_a_400_with_a_reason(sandbox: Sandbox, method: str, path: str, document: object) -> None:
    before = book_to_mapping(sandbox.book)
    status, answer = control(sandbox, method, path, document)
    assert (status, bool(answer["error"])) == (400, True)
    assert book_to_mapping(sandbox.book) == before


def test_a_caller_that_hangs_up_in_the_middle_of_its_request_is_forgotten(client: httpx.Client, sandbox: Sandbox) -> None:
    host, _, port = sandbox.origin.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port))) as caller:
        caller.sendall(f"POST /rest/v2{LIMITS} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode())
        time.sleep(0.05)
    assert client.get(LIMITS).status_code == 200
    assert [entry.method for entry in sandbox.log] == ["GET"]
