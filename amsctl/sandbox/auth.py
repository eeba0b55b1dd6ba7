"""Who may call: nobody asked, Basic, OAuth2 client credentials, or a session. Standard library only.

AMS does not state its authentication (AMS §2); these are the four that its siblings use. A credential carries the principal: which sides it may change.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qs

from amsctl.sandbox.endpoints import BASE_PATH, Answer, Principal, refuse_status
from amsctl.sandbox.rendering import encode

TOKEN_PATH: Final = "/as/token.oauth2"  # noqa: S105 - a path
LOGON_PATH: Final = f"{BASE_PATH}/logon"
LOGOFF_PATH: Final = f"{BASE_PATH}/logoff"
COOKIE: Final = "AMSSESSION"
Kind: TypeAlias = Literal["none", "basic", "oauth2", "session"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """An API ID, its password, and which sides of a row it may change."""

    id: str
    secret: str = field(repr=False)
    principal: Principal = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """How callers are recognised. ``principal`` is everybody's where nobody is asked (``none``)."""

    kind: Kind = "none"
    credentials: tuple[Credential, ...] = ()
    principal: Principal = "both"
    expires_in_seconds: float = 1799
    """How long a token, or an idle session, is good for."""


class Gate:
    """Checks callers, and issues tokens and sessions. Safe to use from several threads."""

    def __init__(self, auth: Auth, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.auth = auth
        self.tokens_issued = 0
        self.sessions_opened = 0
        self._clock = clock
        self._lock = threading.Lock()
        self._good: dict[str, tuple[Credential, float]] = {}

    def principal(self, headers: Mapping[str, str]) -> Principal:
        """The caller's principal. Raises a 401 refusal for a caller it does not know."""
        match self.auth.kind:
            case "none":
                return self.auth.principal
            case "basic":
                return self._basic(headers).principal
            case "oauth2":
                scheme, _, token = headers.get("authorization", "").partition(" ")
                if scheme.lower() != "bearer":
                    raise self._unauthorized()
                return self._known(token, prolong=False).principal
            case "session":
                return self._known(_cookie(headers), prolong=True).principal

    def revoke(self) -> None:
        """Forget every token and session: callers must authenticate again."""
        with self._lock:
            self._good.clear()

    def own_path(self, method: str, path: str) -> Callable[[Mapping[str, str], bytes], Answer] | None:
        """What answers this path, when it belongs to authentication rather than to the AMS."""
        own = {
            ("oauth2", "POST", TOKEN_PATH): self._issue,
            ("session", "POST", LOGON_PATH): self._logon,
            ("session", "POST", LOGOFF_PATH): self._logoff,
        }
        return own.get((self.auth.kind, method, path))

    def _issue(self, headers: Mapping[str, str], body: bytes) -> Answer:
        form = parse_qs(body.decode("utf-8", "replace"))
        if (
            headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded"
            or "grant_type" not in form
        ):
            return Answer(status=400, body=encode({"error": "invalid_request"}))
        if form["grant_type"] != ["client_credentials"]:
            return Answer(status=400, body=encode({"error": "unsupported_grant_type"}))
        credential = _matching(self.auth.credentials, headers)
        if credential is None:
            challenge = (("WWW-Authenticate", 'Basic realm="token"'),)
            return Answer(status=401, body=encode({"error": "invalid_client"}), headers=challenge)
        with self._lock:
            self.tokens_issued += 1
        token = self._open(credential)
        granted = {"access_token": token, "token_type": "bearer", "expires_in": int(self.auth.expires_in_seconds)}
        return Answer(body=encode(granted), headers=(("Cache-Control", "no-store"),))

    def _logon(self, headers: Mapping[str, str], body: bytes) -> Answer:
        credential = self._basic(headers)
        with self._lock:
            self.sessions_opened += 1
        cookie = f"{COOKIE}={self._open(credential)}; Path={BASE_PATH}; HttpOnly; SameSite=Strict"
        return Answer(body=encode({"status": "Successful"}), headers=(("Set-Cookie", cookie),))

    def _logoff(self, headers: Mapping[str, str], body: bytes) -> Answer:
        with self._lock:
            self._good.pop(_cookie(headers), None)
        return Answer(body=encode({"status": "Successful"}), headers=(("Set-Cookie", f"{COOKIE}=; Path={BASE_PATH}; Max-Age=0"),))

    def _open(self, credential: Credential) -> str:
        ticket = secrets.token_urlsafe(24)
        with self._lock:
            now = self._clock()
            self._good = {known: entry for known, entry in self._good.items() if entry[1] > now}
            self._good[ticket] = (credential, now + self.auth.expires_in_seconds)
        return ticket

    def _known(self, ticket: str, *, prolong: bool) -> Credential:
        with self._lock:
            credential, until = self._good.get(ticket, (None, 0.0))
            now = self._clock()
            if credential is None or until <= now:
                raise self._unauthorized()
            if prolong:
                self._good[ticket] = (credential, now + self.auth.expires_in_seconds)
            return credential

    def _basic(self, headers: Mapping[str, str]) -> Credential:
        credential = _matching(self.auth.credentials, headers)
        if credential is None:
            raise self._unauthorized()
        return credential

    def _unauthorized(self) -> Exception:
        challenge = 'Bearer realm="AMS"' if self.auth.kind == "oauth2" else 'Basic realm="AMS"'
        return refuse_status(401, ("WWW-Authenticate", challenge))


def _matching(credentials: Iterable[Credential], headers: Mapping[str, str]) -> Credential | None:
    """The credential that a Basic header proves; ids are case sensitive (AMS §2)."""
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    found = None
    for credential in credentials:
        same_secret = hmac.compare_digest(credential.secret.encode(), secret.encode())
        if colon and credential.id == name and same_secret:
            found = credential
    return found


def _cookie(headers: Mapping[str, str]) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""
