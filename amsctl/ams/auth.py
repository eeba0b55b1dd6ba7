"""How requests prove who sends them. The only module that reveals secrets, and it gives them to two addresses: the environment's and the token URL's."""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from amsctl.ams.body import NotUsable, check_content_type, parse_object
from amsctl.ams.clock import Clock
from amsctl.ams.transport import RawAnswer
from amsctl.config import Auth, AuthType
from amsctl.errors import AmsError, AmsMalformed, AmsNoAnswer, AmsRefused, AmsUnreachable, ConfigError
from amsctl.masking import MASK, Masks

REFRESH_SHARE: Final = 0.8
"""A token is replaced after this share of its life, so that none expires on its way."""
Headers = Sequence[tuple[str, str]]
Post = Callable[[Headers, bytes], Awaitable[RawAnswer]]
"""Sends one POST to the one address that hands out credentials, and returns the answer."""


class Credential(Protocol):
    """What a request must carry. ``generation`` grows with each renewal, so that a late 401 does not renew what is already new."""

    generation: int

    async def headers(self) -> Headers:
        """The headers to send, obtaining or renewing the credential first where needed."""

    async def renew(self, generation: int) -> bool:
        """After a 401 to a request sent with ``generation``: whether there is a newer credential now."""

    def observe(self, answer: RawAnswer) -> None:
        """Take note of an answer of the environment: session cookies may change."""

    def conceal(self, text: str) -> str:
        """The text without any of the secrets, in whatever encoding."""


def open_credential(auth: Auth, post: Post, clock: Clock) -> Credential:
    """The credential of an environment; ConfigError for one that lacks a part."""
    if auth.type is AuthType.NONE:
        return Fixed((), ())
    if not auth.client_id or auth.client_secret is None:
        raise ConfigError(f"auth.type {auth.type} needs clientId and clientSecret")
    if ":" in auth.client_id:
        raise ConfigError("clientId cannot hold a colon: the AMS would read the rest of it as the secret")
    secret = auth.client_secret.reveal()
    pair = b64encode(f"{auth.client_id}:{secret}".encode()).decode()
    basic, secrets = (("Authorization", f"Basic {pair}"),), (secret, pair, *([auth.client_id] if auth.shown_id is not None else []))
    match auth.type:
        case AuthType.BASIC:
            return Fixed(basic, secrets)
        case AuthType.OAUTH2:
            return OAuth2(post, basic, secrets, clock)
        case AuthType.SESSION:
            return Session(post, basic, secrets)


class _Concealing:
    """Knows the secrets of a credential, so that texts of a server can be shown without them."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._masks = Masks(secrets)
        self.generation = 0

    def conceal(self, text: str) -> str:
        """The text without the secrets and without pieces of them, in whatever encoding (``amsctl.masking``)."""
        return self._masks.conceal(text)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({MASK})"


class Fixed(_Concealing):
    """No credential, or the same header on every request (Basic)."""

    def __init__(self, headers: Headers, secrets: Sequence[str]) -> None:
        super().__init__(secrets)
        self._headers = headers

    async def headers(self) -> Headers:
        """The configured header, or none."""
        return self._headers

    async def renew(self, generation: int) -> bool:
        """Never: there is nothing newer to be had."""
        return False

    def observe(self, answer: RawAnswer) -> None:
        """Nothing changes."""


class _Obtained(_Concealing):
    """A credential that is fetched: by one call at a time, however many wait for it."""

    def __init__(self, secrets: Sequence[str]) -> None:
        super().__init__(secrets)
        self._flight: asyncio.Task[None] | None = None

    async def _obtain(self) -> None:
        raise NotImplementedError

    async def _fetch(self) -> None:
        """Obtain once for all who ask meanwhile. One of them being cancelled stops neither the fetch nor the others."""
        if self._flight is None:
            self._flight = asyncio.ensure_future(self._obtain())
            self._flight.add_done_callback(self._landed)
        await asyncio.shield(self._flight)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._flight = None
        if not task.cancelled():
            task.exception()  # seen, even when everyone who waited is gone

    async def renew(self, generation: int) -> bool:
        """Fetch anew unless somebody already did since ``generation``."""
        if generation == self.generation:
            await self._fetch()
        return True

    async def aclose(self) -> None:
        """Stop a fetch that nobody waits for."""
        if self._flight is not None:
            self._flight.cancel()


class OAuth2(_Obtained):
    """A bearer token by client credentials: cached, replaced at 80 % of its life and after a 401 (AMS §2)."""

    def __init__(self, post: Post, basic: Headers, secrets: Sequence[str], clock: Clock) -> None:
        super().__init__(secrets)
        self._post, self._basic, self._clock = post, basic, clock
        self._fixed_secrets = tuple(secrets)
        self._token: str | None = None
        self._refresh_at = self._expires_at = 0.0

    async def headers(self) -> Headers:
        """The bearer header of a token that has not expired."""
        now = self._clock.monotonic()
        if self._token is None or now >= self._expires_at:
            await self._fetch()
        elif now >= self._refresh_at:
            await self._refresh_early(now)
        return (("Authorization", f"Bearer {self._token}"),)

    async def _refresh_early(self, now: float) -> None:
        """Replace a token that is still good; when the token server is out of reach, go on with it and ask again soon."""
        try:
            await self._fetch()
        except (AmsUnreachable, AmsNoAnswer):
            self._refresh_at = now + max(1.0, (self._expires_at - now) / 4)

    async def _obtain(self) -> None:
        asked_at = self._clock.monotonic()
        answer = await self._post((*self._basic, ("Content-Type", "application/x-www-form-urlencoded")), b"grant_type=client_credentials")
        body = _json_of(answer, "the token server")
        token, kind, seconds = body.get("access_token"), body.get("token_type"), body.get("expires_in")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise _no_token("access_token", "a bearer token")
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise _no_token("token_type", "bearer")
        if type(seconds) is not int or not 1 <= seconds <= _MOST_SECONDS:
            raise _no_token("expires_in", "a whole number of seconds")
        self._token = token
        self._masks.know((*self._fixed_secrets, token))
        self._refresh_at, self._expires_at = asked_at + REFRESH_SHARE * seconds, asked_at + seconds
        self.generation += 1

    def observe(self, answer: RawAnswer) -> None:
        """Nothing changes."""


_TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]{1,16384}=*")
_MOST_SECONDS: Final = 10 * 365 * 86400


def _no_token(name: str, expected: str) -> AmsMalformed:
    return AmsMalformed("the token server's answer is not usable", where=name, expected=expected, found="something else or nothing")


class Session(_Obtained):
    """A session by logon: Basic to the logon path, then the cookies of its answer, sent back to the environment's own address only."""

    def __init__(self, post: Post, basic: Headers, secrets: Sequence[str]) -> None:
        super().__init__(secrets)
        self._post, self._basic = post, basic
        self._fixed_secrets = tuple(secrets)
        self._cookies: dict[str, str] = {}

    async def headers(self) -> Headers:
        """The session's cookies, after logging on where there is no session."""
        if not self._cookies:
            await self._fetch()
        return (("Cookie", "; ".join(f"{name}={value}" for name, value in self._cookies.items())),)

    async def _obtain(self) -> None:
        self._cookies = {}
        answer = await self._post(self._basic, b"")
        if not 200 <= answer.status < 300 or _tells_failure(answer):
            raise _refused(answer, "the logon", "")
        self.observe(answer)
        if not self._cookies:
            raise AmsMalformed("the logon opened no session", http_status=answer.status, expected="a Set-Cookie header", found="none")
        self.generation += 1

    def observe(self, answer: RawAnswer) -> None:
        """Take over the cookies that an answer sets or clears. Where they may go is not theirs to say: Domain and Path are not looked at."""
        for key, line in answer.headers:
            match = _COOKIE.match(line) if key == "set-cookie" else None
            if match is None:
                continue
            name, value, attributes = match.group(1), match.group(2), (match.group(3) or "").lower()
            if not value or re.search(r";\s*max-age\s*=\s*(0|-\d+)\s*(;|$)", attributes):
                self._cookies.pop(name, None)
            else:
                self._cookies[name] = value
        self._masks.know((*self._fixed_secrets, *(value for value in self._cookies.values() if len(value) >= _SHORTEST_SECRET)))


_VALUE: Final = r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*"
_COOKIE: Final = re.compile(rf"\s*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)\s*=\s*({_VALUE}|\"{_VALUE}\")\s*(;.*)?$")
_SHORTEST_SECRET: Final = 6
"""Shorter cookie values (a flag, a language) are not masked: that would blank out ordinary words."""


def _tells_failure(answer: RawAnswer) -> bool:
    try:
        return "errorType" in parse_object(answer.content)
    except NotUsable:
        return False


_OAUTH_ERRORS: Final = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "access_denied",
    }
)
"""The error words of RFC 6749, the only text of a token server that is shown."""


def _json_of(answer: RawAnswer, who: str) -> dict[str, object]:
    """The JSON object of a 200 of a credential server. Nothing of its text is quoted but OAuth's own error word."""
    try:
        check_content_type(answer.header("content-type"))
        body = parse_object(answer.content)
    except NotUsable as reason:
        if answer.status == 200:
            raise AmsMalformed(f"the answer of {who} is not usable: {reason}", http_status=answer.status) from None
        body = {}
    if answer.status != 200 or "error" in body or "errorType" in body:
        word = body.get("error")
        raise _refused(answer, who, word if isinstance(word, str) and word in _OAUTH_ERRORS else "")
    return body


def _refused(answer: RawAnswer, who: str, word: str) -> AmsError:
    if 300 <= answer.status < 400:
        return AmsMalformed(
            f"{who} sends the request elsewhere", http_status=answer.status, hint="redirects are not followed: correct the URL"
        )
    said = f": {word}" if word else ""
    hint = (
        "check clientId (case sensitive, per environment) and clientSecret" if answer.status in {200, 400, 401, 403} else "try again later"
    )
    return AmsRefused(
        f"{who} refused the credentials (HTTP {answer.status}{said})", http_status=answer.status, error_type=word or None, hint=hint
    )
