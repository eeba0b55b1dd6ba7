"""A stand-in that answers every endpoint with one sound account, so that a test changes exactly what it is about; and what to ask of it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from amsctl.ams.client import Reader
from amsctl.ams.writer import Writer
from amsctl.config import Auth, AuthType, Secret
from amsctl.model import Firm
from tests.ams.doubles import Heard, answer
from tests.hostile.canaries import CANARIES

FIRM: Final = Firm(name="GREENTEA", clearing_id="780")
NUMBER: Final = "DV10121801A"
PRODUCT: Final = "CJ.FUT.NYMEX"
ACCOUNT: Final[Mapping[str, object]] = {"service": "ICC", "clearingFirm": FIRM.name, "accountNumber": NUMBER}
BODIES: Final[Mapping[str, Mapping[str, object]]] = {
    "/myFirms/": {"entitlements": [{"service": "ICC", "clearingFirms": [{"firmName": FIRM.name, "clearingId": FIRM.clearing_id}]}]},
    "/accounts/": {
        "service": "ICC",
        "clearingAccounts": [{"clearingFirm": FIRM.name, "accountNumber": NUMBER, "status": "Active", "executionFirms": []}],
        "counts": 1,
    },
    "/accountLimitsUtilization/": {
        **ACCOUNT,
        "limits": [
            {"product": PRODUCT, "efId": "3N1", "efLimits": {"long": 300, "short": 600}, "cmfLimits": {"long": 9000, "short": 2000}}
        ],
        "limit": 50,
        "offset": 1,
        "availableOffsets": 1,
    },
    "/efStatus/": {**ACCOUNT, "executionFirms": [{"efId": "3N1", "suspended": "N"}], "limit": 50, "offset": 1, "availableOffsets": 1},
    "/eligibleProducts/": {
        **ACCOUNT,
        "products": [{"executionFirm": "3N1", "productList": [{"product": PRODUCT}]}],
        "limit": 50,
        "offset": 1,
        "availableOffsets": 1,
    },
    "/status/": {"clearingAccounts": [{"accountNumber": NUMBER, "status": "Successful"}]},
}
"""A sound answer by the beginning of the path below the base path."""
TOKEN: Final[Mapping[str, object]] = {
    "access_token": CANARIES["the bearer token"],
    "token_type": "bearer",
    "expires_in": 1799,
    "refresh_token": CANARIES["the refresh token"],
    "id_token": CANARIES["the ID token"],
}
COOKIE: Final = f"AMSSESSION={CANARIES['the session cookie']}; Path=/; HttpOnly"

Act = Callable[[Reader], Awaitable[Any]]
READS: Final[Mapping[str, Act]] = {
    "firms": lambda reader: reader.firms(),
    "statuses": lambda reader: reader.statuses(FIRM, [NUMBER]),
    "listing": lambda reader: _all(reader),
    "limits": lambda reader: reader.limits(FIRM, NUMBER),
    "suspensions": lambda reader: reader.suspensions(FIRM, NUMBER),
    "eligible products": lambda reader: reader.eligible_products(FIRM, NUMBER),
}
"""Every kind of read."""
POSTS: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "limits": (f"/accountLimitsUtilization/clearing/ICC/{FIRM.name}/{NUMBER}", {}),
    "delete": (f"/accountLimitsUtilization/clearing/ICC/{FIRM.name}/{NUMBER}", {"delete": "true"}),
    "efStatus": (f"/efStatus/clearing/ICC/{FIRM.name}/{NUMBER}", {}),
    "status": (f"/status/clearing/{FIRM.name}", {}),
}
"""Every kind of write: path and query."""


async def _all(reader: Reader) -> list[object]:
    return [entry async for entry in reader.accounts(FIRM)]


def post(writer: Writer, kind: str) -> Awaitable[Any]:
    """One write."""
    path, query = POSTS[kind]
    return writer.post(path, query, dict(ACCOUNT))


def body_for(heard: Heard) -> dict[str, object]:
    """The sound answer to a request, paths below ``/rest/v2``."""
    path = heard.target.partition("?")[0].removeprefix("/rest/v2")
    for beginning, body in BODIES.items():
        if path.startswith(beginning):
            return dict(body)
    raise AssertionError(f"the stand-in was asked for {heard.target}")


def sound(heard: Heard) -> bytes:
    """The sound answer, whole; a token or a session for whoever asks for one."""
    if heard.target.endswith("/token"):
        return answer(json.dumps(TOKEN))
    if heard.target.endswith("/logon"):
        return answer("{}", headers=f"Set-Cookie: {COOKIE}\r\n")
    return answer(json.dumps(body_for(heard)))


def auth(kind: AuthType, token_url: str | None = None, *, secret: str = CANARIES["the client secret"]) -> Auth:
    """Credentials of a kind."""
    if kind is AuthType.NONE:
        return Auth()
    return Auth(type=kind, client_id="API_STUB", client_secret=Secret(secret), token_url=token_url if kind is AuthType.OAUTH2 else None)
