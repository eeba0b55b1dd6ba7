"""Who is let in: none, Basic, OAuth2 and sessions over real HTTP, and the principals of their credentials."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from amsctl.sandbox.auth import COOKIE, Auth, Credential, Gate, Kind
from amsctl.sandbox.books import spec_book
from amsctl.sandbox.endpoints import Refusal
from amsctl.sandbox.server import Sandbox, serve

from .conftest import ACCOUNT, LIMITS, body, row

CREDENTIALS = (
    Credential(id="API_BOTH", secret="pass:word-of-both", principal="both"),
    Credential(id="API_EF", secret="ef-secret-of-one", principal="ef"),
)
UNAUTHORIZED = {"errorType": "401", "error": "Unauthorized"}
GRANT = {"grant_type": "client_credentials"}


@contextmanager
def guarded(kind: Kind, expires_in_seconds: float = 1799) -> Iterator[tuple[Sandbox, httpx.Client]]:
    auth = Auth(kind=kind, credentials=CREDENTIALS, expires_in_seconds=expires_in_seconds)
    with serve(spec_book(), auth=auth) as sandbox, httpx.Client(base_url=sandbox.url, trust_env=False, verify=False) as client:
        yield sandbox, client


def bearer(sandbox: Sandbox, client: httpx.Client, api_id: str = "API_BOTH", secret: str = "pass:word-of-both") -> dict[str, str]:
    answer = client.post(sandbox.token_url, data=GRANT, auth=(api_id, secret))
    assert answer.status_code == 200
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_secrets_are_not_in_the_representation_of_a_credential() -> None:
    assert "pass:word-of-both" not in repr(Auth(kind="basic", credentials=CREDENTIALS))


def test_basic_asks_on_every_call_and_ids_are_case_sensitive() -> None:
    with guarded("basic") as (sandbox, client):
        for auth in (None, ("API_BOTH", "wrong"), ("api_both", "pass:word-of-both"), ("API_EF", "pass:word-of-both"), ("", "")):
            answer = client.get(LIMITS, auth=auth)
            assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)
            assert answer.headers["www-authenticate"] == 'Basic realm="AMS"'
        assert client.get(LIMITS, auth=("API_BOTH", "pass:word-of-both")).status_code == 200
        assert [entry.authorization for entry in sandbox.log][-2:] == ["Basic", "Basic"]
        assert "pass:word-of-both" not in repr(list(sandbox.log))


@pytest.mark.parametrize(
    "header", ["Basic", "Basic !!!", "Basic //79/f8=", f"Basic {base64.b64encode(b'API_BOTH').decode()}", "Bearer x", "Digest x"]
)
def test_a_header_that_is_not_basic_is_refused(header: str) -> None:
    with pytest.raises(Refusal):
        Gate(Auth(kind="basic", credentials=CREDENTIALS)).principal({"authorization": header})


def test_a_token_is_issued_for_1799_seconds_and_opens_the_door() -> None:
    with guarded("oauth2") as (sandbox, client):
        answer = client.post(sandbox.token_url, data=GRANT, auth=("API_BOTH", "pass:word-of-both"))
        assert (answer.json()["token_type"], answer.json()["expires_in"], answer.headers["cache-control"]) == ("bearer", 1799, "no-store")
        assert client.get(LIMITS, headers={"Authorization": f"Bearer {answer.json()['access_token']}"}).status_code == 200
        assert sandbox.gate.tokens_issued == 1
        for headers in ({}, {"Authorization": "Bearer made-up"}, {"Authorization": "Basic QTpC"}):
            refused = client.get(LIMITS, headers=headers)
            assert (refused.status_code, refused.json(), refused.headers["www-authenticate"]) == (401, UNAUTHORIZED, 'Bearer realm="AMS"')


def test_the_token_endpoint_refuses_as_rfc_6749_says() -> None:
    with guarded("oauth2") as (sandbox, client):
        url, good = sandbox.token_url, ("API_BOTH", "pass:word-of-both")
        wrong = client.post(url, data=GRANT, auth=("API_BOTH", "wrong"))
        assert (wrong.status_code, wrong.json(), wrong.headers["www-authenticate"]) == (
            401,
            {"error": "invalid_client"},
            'Basic realm="token"',
        )
        assert client.post(url, data=GRANT).json() == {"error": "invalid_client"}
        assert client.post(url, data={"grant_type": "password"}, auth=good).json() == {"error": "unsupported_grant_type"}
        assert client.post(url, json=GRANT, auth=good).json() == {"error": "invalid_request"}
        assert client.post(url, data={}, auth=good).status_code == 400
        assert sandbox.gate.tokens_issued == 0


def test_revoked_and_expired_tokens_are_refused() -> None:
    with guarded("oauth2") as (sandbox, client):
        headers = bearer(sandbox, client)
        sandbox.gate.revoke()
        assert client.get(LIMITS, headers=headers).status_code == 401
        headers = bearer(sandbox, client)
        assert client.post(f"{sandbox.control_url}/revoke").status_code == 204
        assert client.get(LIMITS, headers=headers).status_code == 401


def clocked(kind: Kind) -> tuple[Gate, list[float]]:
    now = [1000.0]
    return Gate(Auth(kind=kind, credentials=CREDENTIALS, expires_in_seconds=100), clock=lambda: now[0]), now


def basic(secret: str = "pass:word-of-both") -> dict[str, str]:
    encoded = base64.b64encode(f"API_BOTH:{secret}".encode()).decode()
    return {"authorization": f"Basic {encoded}", "content-type": "application/x-www-form-urlencoded"}


def test_a_token_expires_at_its_second_whether_used_or_not() -> None:
    gate, now = clocked("oauth2")
    issue = gate.own_path("POST", "/as/token.oauth2")
    assert issue is not None
    token = issue(basic(), b"grant_type=client_credentials").body.decode().split('"')[3]
    headers = {"authorization": f"bearer {token}"}
    now[0] += 99
    assert gate.principal(headers) == "both"
    now[0] += 1
    with pytest.raises(Refusal):
        gate.principal(headers)


def test_a_session_expires_when_idle_and_is_prolonged_by_use() -> None:
    gate, now = clocked("session")
    logon = gate.own_path("POST", "/rest/v2/logon")
    assert logon is not None
    cookie = {"cookie": logon(basic(), b"").headers[0][1].partition(";")[0]}
    for _ in range(5):
        now[0] += 99
        assert gate.principal(cookie) == "both"
    now[0] += 100
    with pytest.raises(Refusal):
        gate.principal(cookie)


def test_a_session_is_opened_by_logon_carried_by_its_cookie_and_ended_by_logoff() -> None:
    with guarded("session") as (sandbox, client):
        assert client.get(LIMITS).status_code == 401
        assert client.get(LIMITS, auth=("API_BOTH", "pass:word-of-both")).status_code == 401
        assert client.post("/logon", auth=("API_BOTH", "wrong")).status_code == 401
        logon = client.post("/logon", auth=("API_BOTH", "pass:word-of-both"))
        assert (logon.status_code, logon.json()) == (200, {"status": "Successful"})
        assert "HttpOnly" in logon.headers["set-cookie"]
        assert client.get(LIMITS).status_code == 200
        assert sandbox.gate.sessions_opened == 1
        assert client.post("/logoff").status_code == 200
        assert client.get(LIMITS).status_code == 401


@pytest.mark.parametrize("cookie", ["", f"{COOKIE}=made-up", f"{COOKIE}=", "other=1", "=;;", f"{COOKIE}", "a,b=1"])
def test_a_cookie_that_is_none_opens_nothing(cookie: str) -> None:
    with pytest.raises(Refusal):
        clocked("session")[0].principal({"cookie": cookie})


def test_logon_and_token_endpoints_exist_only_where_they_belong() -> None:
    with guarded("basic") as (sandbox, client):
        auth = ("API_BOTH", "pass:word-of-both")
        assert client.post("/logon", auth=auth).status_code == 404
        assert client.post(sandbox.token_url, data=GRANT, auth=auth).status_code == 404


def oauth_headers(sandbox: Sandbox, client: httpx.Client) -> dict[str, str]:
    return bearer(sandbox, client, "API_EF", "ef-secret-of-one")


def session_headers(sandbox: Sandbox, client: httpx.Client) -> dict[str, str]:
    client.post("/logon", auth=("API_EF", "ef-secret-of-one")).raise_for_status()
    return {}


def basic_headers(sandbox: Sandbox, client: httpx.Client) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(b'API_EF:ef-secret-of-one').decode()}"}


@pytest.mark.parametrize(("kind", "headers"), [("basic", basic_headers), ("oauth2", oauth_headers), ("session", session_headers)])
def test_the_credential_decides_which_side_may_be_changed(kind: Kind, headers: Callable[[Sandbox, httpx.Client], dict[str, str]]) -> None:
    with guarded(kind) as (sandbox, client):
        shown = headers(sandbox, client)
        assert client.post(LIMITS, json=body(row(ef=(1, 1))), headers=shown).status_code == 200
        refused = client.post(LIMITS, json=body(row(ef=(1, 1), cmf=(1, 1))), headers=shown)
        assert refused.json()["error"] == "Not permitted to change cmfLimits: 3N1 CJ.FUT.NYMEX"
        assert sandbox.book.row(ACCOUNT, "3N1", "CJ.FUT.NYMEX") == (1, 1, 9000, 2000)


def test_old_tickets_are_forgotten_when_new_ones_are_issued() -> None:
    gate, now = clocked("session")
    logon = gate.own_path("POST", "/rest/v2/logon")
    assert logon is not None
    for _ in range(5):
        logon(basic(), b"")
        now[0] += 1000
    assert len(gate._good) == 1
