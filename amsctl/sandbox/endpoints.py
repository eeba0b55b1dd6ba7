"""What each call of the AMS does, as a function of the request: routing, reading bodies strictly, validation, effect, answer (AMS §3).

Nothing here knows HTTP servers, authentication or faults: :class:`Service` takes a :class:`Call` and gives an :class:`Answer`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Literal, NoReturn, TypeAlias
from urllib.parse import parse_qsl, unquote

from amsctl.sandbox.oddities import Oddities
from amsctl.sandbox.rendering import SERVICE, Renderer, encode, window
from amsctl.sandbox.state import Account, Book, Firm, Key, Legs, Status

BASE_PATH: Final = "/rest/v2"
Principal: TypeAlias = Literal["both", "ef", "cmf"]
"""Which sides of a row a caller may change."""

_LEG_NAMES: Final = (("efLimits", "long"), ("efLimits", "short"), ("cmfLimits", "long"), ("cmfLimits", "short"))
_OWN: Final[Mapping[str, tuple[int, ...]]] = {"both": (0, 1, 2, 3), "ef": (0, 1), "cmf": (2, 3)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request below the base path. ``path`` is still percent-encoded, so that an account number may hold a slash or a question mark."""

    method: str
    path: str
    query: str = ""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    principal: Principal = "both"

    @property
    def segments(self) -> tuple[str, ...]:
        """The decoded path segments after the base path."""
        return tuple(unquote(segment) for segment in self.path.removeprefix(BASE_PATH).strip("/").split("/"))

    @property
    def parameters(self) -> dict[str, str]:
        """The query parameters; of a repeated one the last."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def by(self, principal: Principal) -> Call:
        """The same call, made by this principal."""
        return dataclasses.replace(self, principal=principal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One response. With ``wire`` these bytes are written to the connection as they are, which is then closed (``reset``: torn down)."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    wire: bytes | None = None
    reset: bool = False


class Refusal(Exception):
    """The call is refused with this status and this body."""

    def __init__(self, status: int, error_type: str, error: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(error)
        self.answer = Answer(status=status, body=encode({"errorType": error_type, "error": error}), headers=headers)


def refuse_status(status: int, *headers: tuple[str, str]) -> Refusal:
    """A refusal of the first kind, ``{"errorType":"400","error":"Bad Request"}``."""
    return Refusal(status, str(status), HTTPStatus(status).phrase, headers)


@dataclass(frozen=True, slots=True)
class Service:
    """The stand-in's behaviour over one book. ``answer(call)`` carries a call out and never raises."""

    renderer: Renderer

    @property
    def book(self) -> Book:
        """The book that calls read and change."""
        return self.renderer.book

    @property
    def oddities(self) -> Oddities:
        """The switches in force."""
        return self.renderer.oddities

    def switch(self, **changes: object) -> None:
        """Set switches at run time. Raises ``ValueError`` for an unknown one."""
        with self.book.lock:
            self.renderer.oddities = self.oddities.replace(**changes)

    def answer(self, call: Call) -> Answer:
        """The answer to a call, its effect made."""
        try:
            with self.book.lock:
                return Answer(body=self._route(call))
        except Refusal as refusal:
            return refusal.answer

    def _route(self, call: Call) -> bytes:
        first, *rest = call.segments
        carry_out = _ROUTES.get((call.method, first))
        if carry_out is None:
            methods = sorted(method for method, name in _ROUTES if name == first)
            raise refuse_status(405, ("Allow", ", ".join(methods))) if methods else refuse_status(404)
        return carry_out(self, call, rest)

    # --- reading the request ---------------------------------------------------------------------------------------------------------

    def illegal(self, error: str) -> NoReturn:
        """Refuse with ``IllegalArgumentException``."""
        raise Refusal(self.oddities.illegal_argument_status, "IllegalArgumentException", error)

    def firm(self, text: str) -> Firm:
        """The firm that a path segment or body names."""
        return self.book.firm(text) or self.illegal(f"Clearing Firm not found: {text}")

    def account(self, parts: Sequence[str]) -> Account:
        """The account of ``clearing/ICC/{firm}/{number}``."""
        if len(parts) != 4:
            raise refuse_status(404)
        firm = self.firm(self.clearing_icc(parts)[0])
        return self.book.find(parts[3], firm.name) or self.illegal(f"Account not found: {parts[3]}")

    def account_named(self, call: Call) -> Account | None:
        """The account that a call's path names, if it names one that exists."""
        parts = call.segments
        return self.book.find(parts[4], parts[3]) if len(parts) == 5 and parts[0] != "accounts" else None

    def clearing_icc(self, parts: Sequence[str]) -> Sequence[str]:
        """What follows ``clearing/ICC/`` in a path."""
        if len(parts) < 3 or "" in parts:
            raise refuse_status(404)
        if parts[0] != "clearing":
            self.illegal(f"Type not found: {parts[0]}")
        if parts[1] != SERVICE:
            self.illegal(f"Service not found: {parts[1]}")
        return parts[2:]

    def page_asked(self, call: Call) -> tuple[int, int]:
        """``limit`` and ``offset`` as asked, the limit capped at the largest page."""
        query = call.parameters
        limit = _counting_number(query.get("limit"), self.oddities.default_page_size)
        return min(limit, self.oddities.max_page_size), _counting_number(query.get("offset"), 1)

    def body(self, call: Call) -> dict[str, Any]:
        """The JSON object of a POST that names this service."""
        if call.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise refuse_status(415)
        try:
            document = json.loads(call.body.decode(), parse_constant=_no_constant, parse_int=_bounded_int, object_pairs_hook=_no_twins)
        except (ValueError, RecursionError):
            raise refuse_status(400) from None
        if not isinstance(document, dict):
            raise refuse_status(400)
        if document.get("service") != SERVICE:
            self.illegal(f"Service not found: {document.get('service')}")
        return document

    def entries(self, document: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
        """The non-empty list of objects under ``name``."""
        entries = document.get(name)
        if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
            self.illegal(f"{name} must be a list of at least one object")
        return entries

    def check_same(self, document: Mapping[str, Any], account: Account) -> None:
        """Refuse a body that names another firm or account than the path."""
        firm = document.get("clearingFirm")
        if firm not in (account.firm.name, account.firm.clearing_id):
            self.illegal(f"Clearing Firm in the body does not match the request: {firm}")
        if document.get("accountNumber") != account.number:
            self.illegal(f"Account in the body does not match the request: {document.get('accountNumber')}")

    # --- reads -----------------------------------------------------------------------------------------------------------------------

    def get_firms(self, call: Call, parts: Sequence[str]) -> bytes:
        """GET /myFirms/."""
        if parts:
            raise refuse_status(404)
        return self.renderer.firms()

    def get_accounts(self, call: Call, parts: Sequence[str]) -> bytes:
        """GET /accounts/clearing/ICC/{firm}[/{owner}[/{number}]][?accountNumber=]."""
        named = self.clearing_icc(parts)
        if len(named) > 3:
            raise refuse_status(404)
        limit, offset = self.page_asked(call)
        number = call.parameters.get("accountNumber")
        wanted = {text for text in (number, *named[2:]) if text is not None}
        accounts = self.book.accounts(self.firm(named[0]).name)
        if len(named) > 1:
            accounts = [account for account in accounts if account.owner == named[1]]
        if wanted:
            accounts = [account for account in accounts if {account.number} == wanted]
        page = window(len(accounts), limit, offset, self.oddities)
        return self.renderer.accounts(accounts[page.first : page.last], page)

    def get_eligible(self, call: Call, parts: Sequence[str]) -> bytes:
        """GET /eligibleProducts/clearing/ICC/{firm}/{number}: paged by product, so that an execution firm may go on overleaf."""
        account = self.account(parts)
        limit, offset = self.page_asked(call)
        pairs = [(ef_id, product) for ef_id in account.execution_firms for product in self.book.products_of(account, ef_id)]
        page = window(len(pairs), limit, offset, self.oddities)
        return self.renderer.eligible(account, pairs[page.first : page.last], page)

    def get_limits(self, call: Call, parts: Sequence[str]) -> bytes:
        """GET /accountLimitsUtilization/clearing/ICC/{firm}/{number}[?tradable=][&nonZeroLimits=]."""
        account = self.account(parts)
        limit, offset = self.page_asked(call)
        tradable, non_zero = (_truth(call.parameters.get(name)) for name in ("tradable", "nonZeroLimits"))
        rows = self.renderer.rows(account)
        if tradable:
            eligible = {ef_id: set(self.book.products_of(account, ef_id)) for ef_id in account.execution_firms}
            rows = tuple(row for row in rows if row[0][1] in eligible.get(row[0][0], ()))
        if non_zero:
            rows = tuple(row for row in rows if 0 not in row[1])
        page = window(len(rows), limit, offset, self.oddities)
        return self.renderer.limits(account, [text for _, _, text in rows[page.first : page.last]], page)

    def get_ef_status(self, call: Call, parts: Sequence[str]) -> bytes:
        """GET /efStatus/clearing/ICC/{firm}/{number}."""
        account = self.account(parts)
        limit, offset = self.page_asked(call)
        firms = list(account.execution_firms.items())
        page = window(len(firms), limit, offset, self.oddities)
        return self.renderer.ef_status(account, firms[page.first : page.last], page)

    # --- writes ----------------------------------------------------------------------------------------------------------------------

    def post_limits(self, call: Call, parts: Sequence[str]) -> bytes:
        """POST /accountLimitsUtilization/clearing/ICC/{firm}/{number}[?delete=true]: upsert or delete the rows named."""
        account = self.account(parts)
        deleting = _truth(call.parameters.get("delete"))
        document = self.body(call)
        self.check_same(document, account)
        self.refuse_closed(account)
        changes: dict[Key, Legs | None] = {}
        try:
            for entry in self.entries(document, "limits"):
                key = self.key(account, entry, deleting=deleting)
                if key in changes:
                    self.illegal(f"Duplicate limit: {key[0]} {key[1]}")
                changes[key] = self.removed(account, key, call.principal) if deleting else self.posted(account, key, entry, call.principal)
        except Refusal:
            if changes and not self.oddities.post_atomic:
                self.book.write_rows(account, changes)
            raise
        self.book.write_rows(account, changes)
        rows = self.renderer.rows(account)
        if self.oddities.post_answers == "posted":
            rows = tuple(row for row in rows if row[0] in changes)
        return self.renderer.limits(account, [text for _, _, text in rows])

    def refuse_closed(self, account: Account) -> None:
        """Refuse to write to a closed account."""
        if account.status == "closed":
            self.illegal(f"Account is closed: {account.number}")

    def key(self, account: Account, entry: Mapping[str, Any], *, deleting: bool) -> Key:
        """The key of a posted row: an execution firm of the account, and a product eligible for it (or, to delete, once stored)."""
        ef_id, product = entry.get("efId", entry.get("efID")), entry.get("product")
        if not isinstance(ef_id, str) or ef_id not in account.execution_firms:
            self.illegal(f"Execution Firm not found: {ef_id}")
        if not isinstance(product, str) or not product:
            self.illegal(f"Product not found: {product}")
        if deleting:
            if self.oddities.delete_missing == "refuse" and account.row(ef_id, product) is None:
                self.illegal(f"Limit not found: {ef_id} {product}")
        elif product not in self.book.products_of(account, ef_id):
            self.illegal(f"Product not eligible: {product} for Execution Firm {ef_id}")
        return ef_id, product

    def posted(self, account: Account, key: Key, entry: Mapping[str, Any], principal: Principal) -> Legs:
        """The legs to store for a posted row, as far as the caller may change them."""
        stored = account.row(*key) or (None, None, None, None)
        asked = [self.leg(entry, side, leg, stored[i]) for i, (side, leg) in enumerate(_LEG_NAMES)]
        if self.oddities.spec_example_600 and key == ("3N1", "CJ.FUT.NYMEX") and asked[1] == 567:
            asked[1] = 600
        return self.permitted(key, stored, (asked[0], asked[1], asked[2], asked[3]), principal)

    def removed(self, account: Account, key: Key, principal: Principal) -> Legs | None:
        """What a delete leaves of a row: nothing, or the side that the caller may not change."""
        stored = account.row(*key) or (None, None, None, None)
        left = self.permitted(key, stored, (None, None, None, None), principal)
        return None if left == (None, None, None, None) else left

    def permitted(self, key: Key, stored: Legs, asked: Legs, principal: Principal) -> Legs:
        """``asked``, unless it changes a leg that this caller may not change: then what ``foreign_side`` says."""
        own = _OWN[principal]
        foreign = [i for i in range(4) if i not in own and asked[i] != stored[i]]
        if not foreign or self.oddities.foreign_side == "apply":
            return asked
        if self.oddities.foreign_side == "refuse":
            self.illegal(f"Not permitted to change {_LEG_NAMES[foreign[0]][0]}: {key[0]} {key[1]}")
        kept = [asked[i] if i in own else stored[i] for i in range(4)]
        return kept[0], kept[1], kept[2], kept[3]

    def leg(self, entry: Mapping[str, Any], side_name: str, leg_name: str, stored: int | None) -> int | None:
        """One posted leg: a whole number, or ``None`` for unlimited."""
        side = entry.get(side_name)
        if side is not None and not isinstance(side, dict):
            self.illegal(f"{side_name} must be an object")
        if side is None or leg_name not in side:
            if self.oddities.missing_means == "refuse":
                self.illegal(f"Limit Type not found: {side_name} {leg_name}")
            return stored if self.oddities.missing_means == "unchanged" else None
        amount = side[leg_name]
        if amount is None or (isinstance(amount, str) and amount.lower() == "unlimited"):
            return None
        if type(amount) is int and amount == self.oddities.unlimited_as:
            return None
        if type(amount) is not int or not 0 <= amount <= self.oddities.max_limit:
            self.illegal(f"Invalid limit: {side_name} {leg_name} {json.dumps(amount)[:80]}")
        return amount

    def post_ef_status(self, call: Call, parts: Sequence[str]) -> bytes:
        """POST /efStatus/clearing/ICC/{firm}/{number}: suspend or release the execution firms named; answers all."""
        account = self.account(parts)
        document = self.body(call)
        self.check_same(document, account)
        self.refuse_closed(account)
        changes: dict[str, bool] = {}
        for entry in self.entries(document, "executionFirms"):
            ef_id, suspended = entry.get("efId", entry.get("efID")), entry.get("suspended")
            if not isinstance(ef_id, str) or ef_id not in account.execution_firms:
                self.illegal(f"Execution Firm not found: {ef_id}")
            if suspended not in ("Y", "N"):
                self.illegal(f"Invalid suspended: {suspended}")
            if ef_id in changes:
                self.illegal(f"Duplicate Execution Firm: {ef_id}")
            changes[ef_id] = suspended == "Y"
        self.book.write_suspensions(account, changes)
        return self.renderer.ef_status(account, account.execution_firms.items())

    def post_status(self, call: Call, parts: Sequence[str]) -> bytes:
        """POST /status/clearing/{firm}: activate or deactivate several accounts; each is answered for itself."""
        if len(parts) != 2 or "" in parts:
            raise refuse_status(404)
        if parts[0] != "clearing":
            self.illegal(f"Type not found: {parts[0]}")
        firm = self.firm(parts[1])
        entries = self.entries(self.body(call), "clearingAccounts")
        if not all(isinstance(entry.get("accountNumber"), str) for entry in entries):
            self.illegal("accountNumber is required")
        answers = [{"accountNumber": entry["accountNumber"], "status": self.set_status(firm, entry)} for entry in entries]
        return encode({"clearingAccounts": answers})

    def set_status(self, firm: Firm, entry: Mapping[str, Any]) -> str:
        """Set one account's status; ``Successful`` or why not."""
        number, letter = entry["accountNumber"], entry.get("status")
        statuses: dict[object, Status] = {"A": "Active", "I": "Inactive"}
        if entry.get("clearingFirm") not in (firm.name, firm.clearing_id):
            return f"Clearing Firm does not match the request: {entry.get('clearingFirm')}"
        account = self.book.find(number, firm.name)
        if account is None:
            return f"Account not found: {number}"
        if account.status == "closed":
            return f"Account is closed: {number}"
        if not isinstance(letter, str) or letter not in statuses:
            return f"Invalid status: {letter}"
        self.book.write_status(account, statuses[letter])
        return "Successful"


_ROUTES: Final[Mapping[tuple[str, str], Callable[[Service, Call, Sequence[str]], bytes]]] = {
    ("GET", "myFirms"): Service.get_firms,
    ("GET", "accounts"): Service.get_accounts,
    ("GET", "eligibleProducts"): Service.get_eligible,
    ("GET", "accountLimitsUtilization"): Service.get_limits,
    ("POST", "accountLimitsUtilization"): Service.post_limits,
    ("GET", "efStatus"): Service.get_ef_status,
    ("POST", "efStatus"): Service.post_ef_status,
    ("POST", "status"): Service.post_status,
}


def _counting_number(text: str | None, default: int) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9) or int(text) == 0:
        raise refuse_status(400)
    return int(text)


def _truth(text: str | None) -> bool:
    if text is None:
        return False
    if text.lower() not in ("true", "false"):
        raise refuse_status(400)
    return text.lower() == "true"


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"not JSON: {text}")


def _bounded_int(text: str) -> int:
    if len(text) > 40:
        raise ValueError("a number of more than 40 digits")
    return int(text)


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("the same key twice in one object")
    return document
