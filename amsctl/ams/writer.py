"""Writing to the AMS: one POST, sent once, and what came of it. Deciding what to write is not done here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256

from amsctl.ams.channel import JsonObject, PostChannel, opened
from amsctl.ams.client import Reader
from amsctl.ams.clock import Clock, SystemClock, stamp
from amsctl.ams.transport import Line, Transport, open_transport
from amsctl.config import Environment, Requests
from amsctl.wire.bodies import request_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A good answer to a POST, not yet compared with what was asked (a 200 is not proof, AMS §3.8).

    ``request_sha256`` is over the bytes of the body as sent, ``response_sha256`` over those of the answer's body, decoded; both in hex. ``sent_at`` and
    ``answered_at`` are UTC.
    """

    http_status: int
    body: JsonObject
    request_sha256: str
    response_sha256: str
    sent_at: str
    answered_at: str


class Writer:
    """POSTs to one environment, and the Reader of the same conversation."""

    def __init__(self, reader: Reader, channel: PostChannel, clock: Clock) -> None:
        self.reader = reader
        self._channel = channel
        self._clock = clock

    async def post(
        self, path: str, query: Mapping[str, str], body: Mapping[str, object], *, leaving: Callable[[], None] | None = None
    ) -> Answer:
        """Send one POST, once, on a fresh connection. ``path`` is below the environment's url and encoded (``wire.paths``).

        ``leaving`` is the last word: it is called when it is this call's turn and the credential is at hand, and again once there is a connection,
        right before the first byte. When it raises an AmsctlError nothing is sent, and that comes as AmsUnreachable.

        Raises AmsUnreachable only when it is certain that nothing was sent, AmsNoAnswer when it may have been, and AmsRefused or AmsMalformed with
        ``http_status`` when an answer came. A 5xx does not prove that nothing was stored. After a 401, ``credential_refreshed`` of the AmsRefused
        tells whether there is a newer credential to re-read and send again with.
        """
        content = request_bytes(body)
        sent_at = stamp(self._clock.wall())
        posted = await self._channel.post(path, query, content, where=f"POST {path}", leaving=leaving)
        return Answer(
            http_status=posted.status,
            body=posted.body,
            request_sha256=sha256(content).hexdigest(),
            response_sha256=posted.sha256,
            sent_at=sent_at,
            answered_at=stamp(self._clock.wall()),
        )


@asynccontextmanager
async def open_writer(
    environment: Environment,
    requests: Requests,
    *,
    clock: Clock | None = None,
    transport: Transport | None = None,
    draw: Callable[[], float] | None = None,
) -> AsyncIterator[Writer]:
    """A Writer for the environment; its connections close with the block. Arguments as for ``client.open_reader``."""
    clock = clock or SystemClock()
    async with opened(environment, requests, clock=clock, transport=transport, draw=draw) as parts:
        connections = transport or open_transport(environment, fresh=True)
        line = Line(connections, parts.origin, methods=("POST",), max_body_bytes=requests.max_body_bytes)
        try:
            yield Writer(Reader(parts), PostChannel(line, parts.shared), clock)
        finally:
            if transport is None:
                await connections.aclose()
