"""The stand-in as a Starlette application: authentication, faults, log and control endpoints around the service."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Message, Receive, Scope, Send

from amsctl.sandbox.auth import Gate
from amsctl.sandbox.endpoints import BASE_PATH, Answer, Call, Refusal, Service, refuse_status
from amsctl.sandbox.log import Log

_MAX_BODY_BYTES: Final = 32 * 1024 * 1024


@dataclass(slots=True, kw_only=True)
class Front:
    """The ASGI application in front of the service: log, authenticate, carry out, send."""

    service: Service
    gate: Gate
    log: Log = field(default_factory=Log)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        body = await read_body(receive)
        path = scope["raw_path"].decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        entry = self.log.start(
            method=scope["method"], path=path, query=query, body=(body or b"").decode("utf-8", "replace"),
            authorization=headers.get("authorization", "").partition(" ")[0],
        )  # fmt: skip
        try:
            answer = self.respond(scope["method"], path, query, headers, body)
            entry.status, entry.response_bytes = answer.status, len(answer.body)
            await send_answer(answer, send)
        finally:
            self.log.finish(entry)

    def respond(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """The answer to one request, its effect made."""
        try:
            if body is None:
                raise refuse_status(413)
            own = self.gate.own_path(method, path)
            if own is not None:
                return own(headers, body)
            if not path.startswith(BASE_PATH + "/"):
                raise refuse_status(404)
            principal = self.gate.principal(headers)
        except Refusal as refusal:
            return refusal.answer
        content_type = headers.get("content-type", "")
        return self.service.answer(Call(method=method, path=path, query=query, body=body, content_type=content_type, principal=principal))


async def read_body(receive: Receive) -> bytes | None:
    """The request's body, ``None`` for one that is too large."""
    parts: list[bytes] = []
    size = 0
    while True:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            raise asyncio.CancelledError
        size += len(message.get("body", b""))
        if size <= _MAX_BODY_BYTES:
            parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts) if size <= _MAX_BODY_BYTES else None


async def send_answer(answer: Answer, send: Send) -> None:
    """Send an answer whole."""
    headers = [(b"content-type", answer.content_type.encode("latin-1")), (b"content-length", str(len(answer.body)).encode())]
    headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def application(front: Front) -> Starlette:
    """The whole application."""
    return Starlette(routes=[Mount("/", app=front)])
