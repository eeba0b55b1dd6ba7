"""A small reference model of the AMS: what it stores, what a POST does to that, and what it answers. Imports nothing of amsctl.

Written from the documents (AMS §3): four-leg rows with a key of execution firm and product, upserts row by row, deletes by ``?delete=true``, paged
reads, suspension in ``/efStatus`` alone, a row without a number listed only on a day it traded.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import parse_qs, unquote

Legs = tuple[int | None, int | None, int | None, int | None]
"""ef long, ef short, cmf long, cmf short; ``None`` is no limit."""
Json = dict[str, Any]
SIDES = (("efLimits", 0), ("cmfLimits", 2))
NO_ROW: Legs = (None, None, None, None)
BASE = "/rest/v2"


@dataclass
class Account:
    """One account. ``traded`` are products that show a row although none of its legs is limited."""

    status: str = "A"
    suspended: dict[str, bool] = field(default_factory=dict)
    rows: dict[tuple[str, str], Legs] = field(default_factory=dict)
    traded: set[tuple[str, str]] = field(default_factory=set)

    def plain(self) -> Json:
        """As JSON, for the history."""
        return {
            "status": self.status,
            "suspended": dict(sorted(self.suspended.items())),
            "rows": {f"{ef}/{product}": list(legs) for (ef, product), legs in sorted(self.rows.items())},
        }


@dataclass(frozen=True)
class Dialect:
    """How this AMS spells what CME's documents leave open."""

    ef_key: str = "efId"
    unlimited: str = "null"
    status_words: tuple[str, str] = ("Active", "Inactive")
    counts: bool = False


SHAPES: dict[str, Callable[[Json, str], object]] = {
    "absent": lambda row, side: row.pop(side),
    "null": lambda row, side: row.update({side: None}),
    "empty": lambda row, side: row.update({side: {}}),
    "long alone": lambda row, side: row[side].pop("short", None),
    "short alone": lambda row, side: row[side].pop("long", None),
    "misspelt": lambda row, side: row.update({side.removesuffix("s"): row.pop(side)}),
    "misspelt legs": lambda row, side: row.update({side: {leg.title(): value for leg, value in row[side].items()}}),
    "moved up": lambda row, side: row.update(row.pop(side)),
}
"""How a row can show less than it holds: each changes a row in place, on the side that is named."""


ADMITTED = {"omit": ("empty", "long alone", "short alone")}
"""The shapes that are how an AMS of a dialect shows that there is no limit: one that hides a limit in them lies, and no reader can tell."""


def hide(body: Json, side: str, shape: str, rng: Random) -> None:
    """Show some rows of an answer without what they hold on a side."""
    rows = body["limits"]
    for row in rng.sample(rows, rng.randint(1, len(rows))):
        SHAPES[shape](row, side)


class Server:
    """The AMS. ``journal`` is told every value that changes: (who, account, what, before, after)."""

    def __init__(self, firm: str, clearing_id: str, accounts: dict[str, Account], products: Iterable[str], dialect: Dialect) -> None:
        self.firm, self.clearing_id = firm, clearing_id
        self.accounts = accounts
        self.products = tuple(products)
        self.dialect = dialect
        self.journal: Callable[[Json], None] = lambda event: None

    # --- reading ---

    def get(self, target: str) -> tuple[int, Json]:
        """Status and body of a GET. ``target`` is path and query as they came."""
        path, _, query = target.partition("?")
        asked = {key: values[-1] for key, values in parse_qs(query).items()}
        parts = [unquote(part) for part in path.removeprefix(BASE).strip("/").split("/")]
        match parts:
            case ["myFirms"]:
                firms = [{"firmName": self.firm, "clearingId": self.clearing_id}]
                return 200, {"entitlements": [{"service": "ICC", "clearingFirms": firms}]}
            case ["accounts", "clearing", "ICC", firm] if firm in (self.firm, self.clearing_id):
                numbers = [number for number in sorted(self.accounts) if asked.get("accountNumber", number) == number]
                body = self._paged("clearingAccounts", [self._listed(number) for number in numbers], asked)
                return 200, {"service": "ICC", "clearingFirm": self.firm, **body, "counts": len(numbers)}
            case [kind, "clearing", "ICC", firm, number] if firm in (self.firm, self.clearing_id) and number in self.accounts:
                found = self._of_account(kind, self.accounts[number])
                if found is not None:
                    name, items = found
                    return 200, {**self._head(number), **self._paged(name, items, asked)}
        return 404, {"errorType": "404", "error": "Not Found"}

    def _head(self, number: str) -> Json:
        return {"service": "ICC", "clearingFirm": self.firm, "accountNumber": number}

    def _of_account(self, kind: str, account: Account) -> tuple[str, list[Json]] | None:
        match kind:
            case "accountLimitsUtilization":
                return "limits", self._rows(account)
            case "efStatus":
                return "executionFirms", self._flags(account)
            case "eligibleProducts":
                listed = [{"product": product} for product in self.products]
                return "products", [{"executionFirm": ef, "productList": listed} for ef in sorted(account.suspended)]
        return None

    def _listed(self, number: str) -> Json:
        account = self.accounts[number]
        word = self.dialect.status_words["AI".index(account.status)]
        return {"clearingFirm": self.firm, "accountNumber": number, "status": word, "executionFirms": sorted(account.suspended)}

    def _rows(self, account: Account) -> list[Json]:
        keys = sorted(account.rows.keys() | account.traded)
        return [self._row(key, account.rows.get(key, NO_ROW)) for key in keys]

    def _row(self, key: tuple[str, str], legs: Legs) -> Json:
        row: Json = {"product": key[1], self.dialect.ef_key: key[0]}
        for name, at in SIDES:
            side = {"long": legs[at], "short": legs[at + 1]}
            if self.dialect.unlimited == "word":
                side = {leg: "Unlimited" if value is None else value for leg, value in side.items()}  # type: ignore[misc]
            elif self.dialect.unlimited == "omit":
                side = {leg: value for leg, value in side.items() if value is not None}
            row[name] = side
        return row

    def _flags(self, account: Account) -> list[Json]:
        return [{self.dialect.ef_key: ef, "suspended": "Y" if flag else "N"} for ef, flag in sorted(account.suspended.items())]

    def _paged(self, name: str, items: list[Json], asked: dict[str, str]) -> Json:
        size, page = int(asked.get("limit", 50)), int(asked.get("offset", 1))
        pages = max(1, -(-len(items) // size))
        marks: Json = {"limit": size, "offset": page, "availableOffsets": pages}
        if self.dialect.counts and name != "products":
            marks["counts"] = len(items)
        return {**marks, name: items[(page - 1) * size : page * size]}

    # --- writing ---

    def account_of(self, target: str, body: Json) -> str | None:
        """The account that a POST writes, if it is one of ours."""
        if target.startswith(f"{BASE}/status/"):
            named = [item.get("accountNumber") for item in body.get("clearingAccounts", [])]
            return named[0] if len(named) == 1 and named[0] in self.accounts else None
        number = body.get("accountNumber")
        return number if number in self.accounts else None

    def post(
        self, target: str, body: Json, *, who: Json, only: Callable[[int], bool] = lambda index: True, dry: bool = False
    ) -> tuple[int, Json]:
        """Store a POST (its items for which ``only`` holds) and answer it. ``who`` goes to the journal. ``dry``: answer as if it were stored."""
        number = self.account_of(target, body)
        if number is None:
            return 404, {"errorType": "404", "error": "Not Found"}
        account = copy.deepcopy(self.accounts[number]) if dry else self.accounts[number]
        path, _, query = target.partition("?")
        kind = path.removeprefix(BASE).strip("/").split("/")[0]
        changes: list[Json] = []
        match kind:
            case "status":
                self._post_status(account, body, changes)
                answer: Json = {"clearingAccounts": [{"accountNumber": number, "status": "Successful"}]}
            case "efStatus":
                items = [item for index, item in enumerate(body["executionFirms"]) if only(index)]
                self._post_flags(account, items, changes)
                answer = {**self._head(number), "executionFirms": self._flags(account)}
            case "accountLimitsUtilization":
                items = [item for index, item in enumerate(body["limits"]) if only(index)]
                self._post_rows(account, items, "delete=true" in query.split("&"), changes)
                answer = {**self._head(number), "limits": self._rows(account)}
            case _:
                return 404, {"errorType": "404", "error": "Not Found"}
        if not dry:
            self.journal({**who, "account": number, "changes": changes})
        return 200, answer

    def _post_status(self, account: Account, body: Json, changes: list[Json]) -> None:
        wanted = body["clearingAccounts"][0]["status"]
        assert wanted in ("A", "I")
        if wanted != account.status:
            changes.append({"what": ["status"], "before": account.status, "after": wanted})
        account.status = wanted

    def _post_flags(self, account: Account, items: list[Json], changes: list[Json]) -> None:
        for item in items:
            ef, flag = item["efId"], {"Y": True, "N": False}[item["suspended"]]
            before = account.suspended.get(ef)
            if before is not None and before is not flag:
                changes.append({"what": ["suspended", ef], "before": before, "after": flag})
                account.suspended[ef] = flag

    def _post_rows(self, account: Account, items: list[Json], delete: bool, changes: list[Json]) -> None:
        for item in items:
            key = (item["efId"], item["product"])
            self.set_row(account, key, NO_ROW if delete else _legs(item), changes)

    @staticmethod
    def set_row(account: Account, key: tuple[str, str], legs: Legs, changes: list[Json]) -> None:
        """Store a row (or remove it, without a number) and note each leg that changes."""
        before = account.rows.get(key, NO_ROW)
        for index, (old, new) in enumerate(zip(before, legs, strict=True)):
            if old != new:
                changes.append({"what": ["leg", *key, index], "before": old, "after": new})
        if legs == NO_ROW:
            account.rows.pop(key, None)
        else:
            account.rows[key] = legs


def _legs(item: Json) -> Legs:
    found: list[int | None] = []
    for name, _ in SIDES:
        side = item.get(name)
        for leg in ("long", "short"):
            value = side.get(leg) if isinstance(side, dict) else None
            found.append(value if type(value) is int else None)
    return (found[0], found[1], found[2], found[3])
