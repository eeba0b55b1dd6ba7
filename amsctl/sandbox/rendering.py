"""Book → answer bodies, spelled as the switches say. Standard library only.

Limits are written as text row by row and kept per state of an account, so that paging through a long account renders each row once.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from amsctl.sandbox.oddities import Oddities
from amsctl.sandbox.state import Account, Book, Key, Legs

SERVICE: Final = "ICC"
_KEPT_ROWS: Final = 50_000
_LETTERS: Final = {"Active": "A", "Inactive": "I", "closed": "closed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One page of a list of ``total`` things: the slice ``first:last``, and what the paging fields say."""

    limit: int
    offset: int
    total: int
    first: int
    last: int

    @property
    def available(self) -> int:
        """The number of pages; an empty list has one."""
        return max(1, -(-self.total // self.limit))


def window(total: int, limit: int, offset: int, oddities: Oddities) -> Window:
    """The page that ``limit`` and ``offset`` (from 1) ask for; a page past the end is empty."""
    first = offset - 1 if oddities.offset_means == "row" else (offset - 1) * limit
    first = min(first, total)
    return Window(limit=limit, offset=offset, total=total, first=first, last=min(first + limit, total))


def encode(document: object) -> bytes:
    """A document as compact UTF-8 JSON; half a surrogate pair, which a caller may have sent, becomes a question mark."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


class Renderer:
    """Writes answers for one book. ``base_url`` is what absolute links start with. ``oddities`` may be exchanged at any time."""

    def __init__(self, book: Book, oddities: Oddities, base_url: str = "") -> None:
        self.book = book
        self.base_url = base_url
        self._oddities = oddities
        self._rows: OrderedDict[int, tuple[tuple[Key, Legs, str], ...]] = OrderedDict()
        self._kept = 0
        self._heads: dict[Key, str] = {}

    @property
    def oddities(self) -> Oddities:
        """The switches in force."""
        return self._oddities

    @oddities.setter
    def oddities(self, oddities: Oddities) -> None:
        self._oddities = oddities
        self._rows.clear()
        self._heads.clear()
        self._kept = 0

    # --- limits ----------------------------------------------------------------------------------------------------------------------

    def rows(self, account: Account) -> tuple[tuple[Key, Legs, str], ...]:
        """The listed rows of an account: key, legs and JSON text."""
        kept = self._rows.get(account.version)
        if kept is None:
            kept = tuple((key, legs, self._row(account, key, legs)) for key, legs in account.listed())
            self._rows[account.version] = kept
            self._kept += len(kept)
            while self._kept > _KEPT_ROWS and len(self._rows) > 1:
                self._kept -= len(self._rows.popitem(last=False)[1])
        else:
            self._rows.move_to_end(account.version)
        return kept

    def limits(self, account: Account, rows: Sequence[str], page: Window | None = None) -> bytes:
        """The limits answer of an account showing these rows; with paging fields if it is a page."""
        fields = {"service": SERVICE, "clearingFirm": account.firm.name, "accountNumber": account.number, **self._extra()}
        start = json.dumps(fields, separators=(",", ":"))[:-1]
        listing = self._listing(rows)
        rest = self._links(
            ("get/update accountLimitsUtilization", f"/accountLimitsUtilization/{_path(account)}"),
            ("delete accountLimitsUtilization", f"/accountLimitsUtilization/{_path(account)}?delete=true"),
        ) | (self._paging(page) if page else {})
        end = json.dumps(rest, separators=(",", ":"))[1:]
        return (start + listing + ("," if len(end) > 1 else "") + end).encode()

    def _listing(self, rows: Sequence[str]) -> str:
        if rows or self._oddities.empty_list == "list":
            return f',"limits":[{",".join(rows)}]'
        return ',"limits":null' if self._oddities.empty_list == "null" else ""

    def _row(self, account: Account, key: Key, legs: Legs) -> str:
        head = self._heads.get(key)
        if head is None:
            head = self._heads[key] = json.dumps(
                {"product": key[1], "productFullName": self._full_name(key[1]), "efId": key[0], **self._extra()},
                ensure_ascii=False,
                separators=(",", ":"),
            )[:-1]
        sides = self._side("efLimits", legs[1], legs[0]) + self._side("cmfLimits", legs[3], legs[2])
        return head + sides + self._usage(account, key) + "}"

    def _side(self, name: str, short: int | None, long: int | None) -> str:
        if short is not None and long is not None:
            return f',"{name}":{{"short":{short},"long":{long}}}'
        unlimited = self._oddities.unlimited_as
        if unlimited == "omit_side" and short is None and long is None:
            return ""
        word = {"null": "null", "Unlimited": '"Unlimited"'}.get(str(unlimited), str(unlimited))
        omitted = unlimited in ("omit", "omit_side")
        legs = [
            f'"{leg}":{word if amount is None else amount}'
            for leg, amount in (("short", short), ("long", long))
            if amount is not None or not omitted
        ]
        return f',"{name}":{{{",".join(legs)}}}'

    def _usage(self, account: Account, key: Key) -> str:
        used = account.usage.get(key)
        if self._oddities.usage == "off" or used is None:
            return ""
        if self._oddities.usage == "number":
            return f',"usage":{max(used)}'
        return f',"usage":{{"short":{used[1]},"long":{used[0]}}}'

    # --- the other answers -----------------------------------------------------------------------------------------------------------

    def firms(self) -> bytes:
        """The answer of ``/myFirms/``: the same firms for the three services."""
        firms = [
            {"firmName": firm.name, "firmLongName": firm.long_name or firm.name, "clearingId": firm.clearing_id, **self._extra()}
            for firm in self.book.firms
        ]
        entitlements = [{"service": service, "clearingFirms": firms} for service in ("CPC", "CMED", SERVICE)]
        links = [
            (f"Retrieve {service} Accounts", f"/accounts/clearing/{service}/{quote(firm.name, safe='')}")
            for firm in self.book.firms
            for service in ("CMED", "CPC", SERVICE)
        ]
        linked = self._links(*links)
        if self._oddities.links == "spec":
            # The specification shows a page heading pasted in front of the first path.
            linked["links"][0]["href"] = "Eligible Products and Permissioned Products for an Account" + linked["links"][0]["href"][1:]
        return encode({"entitlements": entitlements, **self._extra(), **linked})

    def accounts(self, accounts: Sequence[Account], page: Window) -> bytes:
        """One page of accounts."""
        counts = len(accounts) if self._oddities.counts_means == "page" else page.total
        listed = [self._account(account) for account in accounts]
        return encode({"service": SERVICE, "counts": counts, "clearingAccounts": listed, **self._extra(), **self._paging(page)})

    def _account(self, account: Account) -> dict[str, Any]:
        path = _path(account)
        firm = quote(account.firm.name, safe="")
        fields: dict[str, Any] = {
            "clearingFirm": account.firm.name,
            "accountNumber": account.number,
            "owner": account.owner,
            "segType": account.seg_type,
            "status": self._status(account),
            "ownerLongName": account.owner,
            "executionFirms": self._execution_firms(account),
        }
        links = self._links(
            ("self", f"/accounts/clearing/{SERVICE}/{firm}?accountNumber={quote(account.number, safe='')}"),
            ("get accountLimitsUtilization", f"/accountLimitsUtilization/{path}"),
            ("get eligibleProducts", f"/eligibleProducts/{path}"),
            ("get efStatus", f"/efStatus/{path}"),
            spec_is_absolute=True,
        )
        return {**fields, **self._extra(), **links}

    def _execution_firms(self, account: Account) -> list[Any]:
        if self._oddities.ef_as_strings:
            return list(account.execution_firms)
        hide = self._oddities.accounts_suspended_always_n
        return [
            {self._oddities.ef_key: ef_id, "suspended": "Y" if suspended and not hide else "N", **self._extra()}
            for ef_id, suspended in account.execution_firms.items()
        ]

    def _status(self, account: Account) -> str:
        words = self._oddities.status_words
        if words == "letters":
            return _LETTERS[account.status]
        return account.status.lower() if words == "lower" else account.status

    def eligible(self, account: Account, pairs: Iterable[Key], page: Window) -> bytes:
        """One page of eligible products, grouped by execution firm."""
        grouped: dict[str, list[dict[str, str]]] = {}
        for ef_id, product in pairs:
            entry = {"product": product, "productFullName": self._full_name(product), **self._extra()}
            grouped.setdefault(ef_id, []).append(entry)
        links = self._links(
            ("get/update accountLimitsUtilization", f"/accountLimitsUtilization/{_path(account)}"),
            ("delete accountLimitsUtilization", f"/accountLimitsUtilization/{_path(account)}?delete=true"),
        )
        products = [{"executionFirm": ef_id, "productList": entries} for ef_id, entries in grouped.items()]
        return encode({**self._named(account), "products": products, **links, **self._paging(page)})

    def ef_status(self, account: Account, shown: Iterable[tuple[str, bool]], page: Window | None = None) -> bytes:
        """Execution firms and whether they are suspended: a page of them, or (after a POST) all."""
        firms = [{self._oddities.ef_key: ef_id, "suspended": "Y" if suspended else "N", **self._extra()} for ef_id, suspended in shown]
        firm, number = quote(account.firm.name, safe=""), quote(account.number, safe="")
        links = self._links(("get Account Details", f"/accounts/clearing/{SERVICE}/{firm}?accountNumber={number}"))
        paging = self._paging(page) if page else {}
        return encode({**self._named(account), "owner": account.owner, "executionFirms": firms, **links, **paging})

    # --- pieces ----------------------------------------------------------------------------------------------------------------------

    def _named(self, account: Account) -> dict[str, str]:
        return {"service": SERVICE, "clearingFirm": account.firm.name, "accountNumber": account.number, **self._extra()}

    def _full_name(self, product: str) -> str:
        return self.book.products.get(product, product) + (" " if self._oddities.trailing_blanks else "")

    def _extra(self) -> dict[str, str]:
        return {"x-sandbox": "a field that nobody announced"} if self._oddities.extra_fields else {}

    def _paging(self, page: Window) -> dict[str, int]:
        if self._oddities.no_paging_fields:
            return {}
        fields = {"limit": page.limit, "offset": page.offset}
        return fields if self._oddities.no_available_offsets else {**fields, "availableOffsets": page.available}

    def _links(self, *links: tuple[str, str], spec_is_absolute: bool = False) -> dict[str, list[dict[str, str]]]:
        match self._oddities.links:
            case "none":
                return {}
            case "hostile":
                return {"links": hostile_links(links, self._oddities.hostile_origin)}
            case style:
                start = self.base_url if style == "absolute" or spec_is_absolute else "_/v#"
                return {"links": [{"rel": rel, "href": start + path} for rel, path in links]}


def hostile_links(links: Iterable[tuple[str, str]], origin: str) -> list[dict[str, str]]:
    """Links under the expected names that lead elsewhere: other hosts, other schemes, credentials, a delete dressed as a read."""
    host = origin.partition("://")[2]
    traps = (
        origin + "{path}", "//" + host + "{path}", "http://user:secret@" + host + "{path}", "https://amsapinr.cmegroup.com.example.invalid{path}",
        "file:///etc/passwd", "javascript:alert(1)", "data:application/json,{{}}", "\\\\" + host + "{path}", "{path}?delete=true", "/../..{path}",
        "http://[::1]:9{path}", "http://2130706433:9{path}", "\u0000{path}", "{path}\r\nX-Injected: yes", "", "ftp://" + host + "{path}",
    )  # fmt: skip
    return [{"rel": rel, "href": trap.replace("{path}", path)} for rel, path in links for trap in traps]


def _path(account: Account) -> str:
    return f"clearing/{SERVICE}/{quote(account.firm.name, safe='')}/{quote(account.number, safe='')}"
