"""The control endpoints under ``/_sandbox/``: faults, switches, log and book of a running stand-in, over HTTP.

They belong to the stand-in, not to the AMS: nobody authenticates, and a server that others can reach switches them off.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from amsctl.sandbox.books import account_from_mapping, account_to_mapping, book_to_mapping, edit_book
from amsctl.sandbox.faults import Rule

if TYPE_CHECKING:
    from amsctl.sandbox.application import Front

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


class Control:
    """The control endpoints of one stand-in."""

    def __init__(self, front: Front) -> None:
        self.front = front

    async def get_faults(self, request: Request) -> Response:
        """GET faults: each rule in force with how often it has struck."""
        faults = self.front.faults
        return JSONResponse({"faults": [{**rule.to_mapping(), "struck": faults.strikes(rule.id)} for rule in faults.rules()]})

    async def post_faults(self, request: Request) -> Response:
        """POST faults: one rule or a list of rules; answers them with their ids. A bad one refuses all."""
        document = await _decoded(request)
        rules = [Rule.from_mapping(entry) for entry in (document if isinstance(document, list) else [document])]
        with self.front.service.book.rehearsal():
            for rule in rules:
                if rule.edit is not None:
                    edit_book(self.front.service.book, rule.edit)
        return JSONResponse({"faults": [self.front.faults.add(rule).to_mapping() for rule in rules]}, status_code=201)

    async def delete_faults(self, request: Request) -> Response:
        """DELETE faults: all of them."""
        self.front.faults.clear()
        return Response(status_code=204)

    async def delete_fault(self, request: Request) -> Response:
        """DELETE faults/{id}."""
        return Response(status_code=204 if self.front.faults.remove(request.path_params["id"]) else 404)

    async def get_log(self, request: Request) -> Response:
        """GET log[?method=][&containing=]: the requests received, oldest first."""
        log = self.front.log
        entries = log.calls(request.query_params.get("method"), request.query_params.get("containing", ""))
        document = {"total": log.total, "peak_in_flight": log.peak_in_flight, "entries": [entry.to_mapping() for entry in entries]}
        return JSONResponse(document)

    async def delete_log(self, request: Request) -> Response:
        """DELETE log."""
        self.front.log.clear()
        return Response(status_code=204)

    async def reset(self, request: Request) -> Response:
        """POST reset: the book and the switches as at the start, no faults, an empty log, nobody logged on."""
        self.front.reset()
        return Response(status_code=204)

    async def revoke(self, request: Request) -> Response:
        """POST revoke: every token and session is void."""
        self.front.gate.revoke()
        return Response(status_code=204)

    async def get_state(self, request: Request) -> Response:
        """GET state[?account=]: the whole book, or the accounts of this number."""
        book = self.front.service.book
        number = request.query_params.get("account")
        with book.lock:
            if number is None:
                return JSONResponse(book_to_mapping(book))
            return JSONResponse({"accounts": [account_to_mapping(account) for account in book.accounts() if account.number == number]})

    async def put_rows(self, request: Request) -> Response:
        """PUT rows: a list of edits as a third party would make them."""
        for edit in _list(await _decoded(request)):
            edit_book(self.front.service.book, edit)
        return Response(status_code=204)

    async def put_accounts(self, request: Request) -> Response:
        """PUT accounts: a list of whole accounts, added or replaced."""
        book = self.front.service.book
        for account in [account_from_mapping(book, entry) for entry in _list(await _decoded(request))]:
            book.add_account(account)
        return Response(status_code=204)

    async def get_oddities(self, request: Request) -> Response:
        """GET oddities: every switch."""
        return JSONResponse(self.front.service.oddities.to_mapping())

    async def patch_oddities(self, request: Request) -> Response:
        """PATCH oddities: set the switches named."""
        document = await _decoded(request)
        if not isinstance(document, dict):
            raise ValueError("expected an object")
        self.front.service.switch(**document)
        return await self.get_oddities(request)


def control_routes(front: Front) -> list[Route]:
    """The routes below ``/_sandbox``."""
    control = Control(front)
    table: tuple[tuple[str, str, Endpoint], ...] = (
        ("GET", "/faults", control.get_faults),
        ("POST", "/faults", control.post_faults),
        ("DELETE", "/faults", control.delete_faults),
        ("DELETE", "/faults/{id}", control.delete_fault),
        ("GET", "/log", control.get_log),
        ("DELETE", "/log", control.delete_log),
        ("POST", "/reset", control.reset),
        ("POST", "/revoke", control.revoke),
        ("GET", "/state", control.get_state),
        ("PUT", "/rows", control.put_rows),
        ("PUT", "/accounts", control.put_accounts),
        ("GET", "/oddities", control.get_oddities),
        ("PATCH", "/oddities", control.patch_oddities),
    )
    return [Route(path, _explained(endpoint), methods=[method]) for method, path, endpoint in table]


def _explained(endpoint: Endpoint) -> Endpoint:
    """The endpoint, answering 400 and the reason where its input is wrong."""

    async def explained(request: Request) -> Response:
        try:
            return await endpoint(request)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return JSONResponse({"error": str(error) or type(error).__name__}, status_code=400)

    return explained


async def _decoded(request: Request) -> Any:
    return json.loads(await request.body())


def _list(document: Any) -> list[dict[str, Any]]:
    if not isinstance(document, list) or not all(isinstance(entry, dict) for entry in document):
        raise ValueError("expected a list of objects")
    return document
