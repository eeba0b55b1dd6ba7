"""The stand-in as a Starlette application: log, faults and authentication around the service, control endpoints beside it."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from amsctl.sandbox.auth import Gate
from amsctl.sandbox.control import control_routes
from amsctl.sandbox.endpoints import BASE_PATH, Answer, Call, Refusal, Service, refuse_status
from amsctl.sandbox.faults import Faults, Rule
from amsctl.sandbox.log import Log
from amsctl.sandbox.mishaps import Mishaps
from amsctl.sandbox.oddities import Oddities
from amsctl.sandbox.openapi import openapi
from amsctl.sandbox.rendering import encode

OPENAPI_PATH: Final = f"{BASE_PATH}/openapi.json"
_MAX_BODY_BYTES: Final = 32 * 1024 * 1024
_LINGER_NOT: Final = struct.pack("ii", 1, 0)

Connections: TypeAlias = dict[tuple[str, int], asyncio.Transport]
"""The open connections by the caller's address and port: what a dropped call or a false frame is written to, beneath HTTP."""


class _Disconnected(Exception):
    """The caller went away before it had said everything."""


@dataclass(slots=True, kw_only=True)
class Front:
    """The ASGI application in front of the service: log, authenticate, carry out (rightly or not), send."""

    service: Service
    gate: Gate
    faults: Faults = field(default_factory=Faults)
    log: Log = field(default_factory=Log)
    connections: Connections = field(default_factory=dict)
    _first_oddities: Oddities = field(init=False)

    def __post_init__(self) -> None:
        """Remember what ``reset()`` brings back."""
        self._first_oddities = self.service.oddities

    def reset(self) -> None:
        """The book and the switches as at the start, no faults, an empty log, nobody logged on."""
        self.service.book.reset()
        self.service.renderer.oddities = self._first_oddities
        self.faults.clear()
        self.log.clear()
        self.gate.revoke()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
        try:
            body = await _read_body(receive)
        except _Disconnected:
            return
        entry = self.log.start(
            method=scope["method"],
            path=path,
            query=query,
            body=(body or b"").decode("utf-8", "replace"),
            authorization=headers.get("authorization", "").partition(" ")[0],
        )
        try:
            call = Call(method=scope["method"], path=path, query=query, body=body or b"", headers=headers)
            rules = self.faults.striking(call.method, path, query, call.body)
            entry.faults = tuple(rule.id for rule in rules)
            answer = refuse_status(413).answer if body is None else await self._answer(call, rules)
            if answer.wire is None:
                entry.status, entry.response_bytes = answer.status, len(answer.body)
                await _send_answer(answer, send)
            else:
                await _write_wire(answer, self.connections.get(tuple(scope["client"])), receive)
        finally:
            self.log.finish(entry)

    async def _answer(self, call: Call, rules: Sequence[Rule]) -> Answer:
        try:
            if not rules:
                return self.carry_out(call)
            later = asyncio.get_running_loop().call_later
            return await Mishaps(service=self.service, carry_out=self.carry_out, later=later).answer(call, rules)
        except Exception as error:
            # A defect of the stand-in, or a rule that cannot be carried out: the caller is told which, instead of a bare 500.
            text = f"the sandbox failed: {type(error).__name__}: {error}"
            return Answer(status=500, body=encode({"errorType": "SandboxError", "error": text}))

    def carry_out(self, call: Call) -> Answer:
        """The right answer to a request, its effect made."""
        try:
            own = self.gate.own_path(call.method, call.path)
            if own is not None:
                return own(call.headers, call.body)
            if (call.method, call.path) == ("GET", OPENAPI_PATH):
                return Answer(body=encode(openapi()))
            if not call.path.startswith(BASE_PATH + "/"):
                raise refuse_status(404)
            principal = self.gate.principal(call.headers)
        except Refusal as refusal:
            return refusal.answer
        return self.service.answer(call if principal == "both" else call.by(principal))


async def _read_body(receive: Receive) -> bytes | None:
    """The request's body, ``None`` for one that is too large."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Disconnected
        size += len(message.get("body", b""))
        if size <= _MAX_BODY_BYTES:
            parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts) if size <= _MAX_BODY_BYTES else None


async def _send_answer(answer: Answer, send: Send) -> None:
    headers = [(b"content-length", str(len(answer.body)).encode())]
    if answer.content_type:
        headers.append((b"content-type", answer.content_type.encode("latin-1")))
    headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _write_wire(answer: Answer, transport: asyncio.Transport | None, receive: Receive) -> None:
    """Write raw bytes to the connection and end it, by closing or by reset."""
    assert transport is not None, "only a server that registers its connections can break them"
    if answer.reset:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        transport.abort()
    else:
        transport.write(answer.wire or b"")
        transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass


def application(front: Front, *, control: bool = True) -> Starlette:
    """The whole application; without ``control`` there is nothing under ``/_sandbox/``."""
    app = Starlette(routes=[Mount("/_sandbox", routes=control_routes(front))] if control else [])
    # Whatever is not control goes to the front as it came: Starlette's own patterns do not match every path (one with a line feed, say).
    app.router.redirect_slashes = False
    app.router.default = front
    return app
