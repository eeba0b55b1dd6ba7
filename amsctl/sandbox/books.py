"""Books from and to JSON, and the book of the specification's examples. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from amsctl.sandbox.state import Account, Book, Firm, Key, Legs

_STATUSES: Final = {"active": "Active", "inactive": "Inactive", "closed": "closed", "a": "Active", "i": "Inactive"}

_SPEC: Final[dict[str, Any]] = {
    "firms": [
        {"name": "GREENTEA_API_CLEARING2", "clearingId": "780"},
        {"name": "GREENTEA_API_CLEARING1", "clearingId": "984"},
    ],
    "products": {
        "CJ.FUT.NYMEX": "NYMEX Cocoa Futures",
        "DRS.FUT.CBT": "Bloomberg Roll Select Commodity Index Futures",
        "GLB.FUT.CME": "ONE-MONTH SOFR FUTURES",
        "L0A.OOC.CME": "1st contract back Live Cattle CSO",
        "6Z.FUT.CME": "ZAR/USD FUTURES",
        "RO.OOF.CME": "ZAR/USD OPTIONS AMER-STYLE",
        "CC.FUT.NYMEX": "COCOA FUTURES",
        "GIE.FUT.CME": "GSCI ER FUTURES",
    },
    "accounts": [
        {
            "clearingFirm": "GREENTEA_API_CLEARING2",
            "accountNumber": "DV10121801A",
            "owner": "Account Owner",
            "executionFirms": {"3N1": False, "350": False, "XX0": False, "451": False, "113": False, "763": False, "4V9": False},
            "limits": [
                {
                    "efId": "3N1",
                    "product": "CJ.FUT.NYMEX",
                    "efLimits": {"long": 324, "short": 567},
                    "cmfLimits": {"long": 9000, "short": 2000},
                },
                {
                    "efId": "350",
                    "product": "CJ.FUT.NYMEX",
                    "efLimits": {"long": 123, "short": 456},
                    "cmfLimits": {"long": 1000, "short": 30989},
                },
                {
                    "efId": "350",
                    "product": "DRS.FUT.CBT",
                    "efLimits": {"long": 456, "short": 789},
                    "cmfLimits": {"long": 120, "short": 120},
                },
            ],
        },
        {"clearingFirm": "GREENTEA_API_CLEARING2", "accountNumber": "DV101218B", "owner": "050", "executionFirms": {"8T4": False}},
        {
            "clearingFirm": "GREENTEA_API_CLEARING1",
            "accountNumber": "CPCICCCOPY",
            "owner": "GREENTEA_API_TRADINGFIRM1",
            "executionFirms": {"XX0": False},
        },
    ],
}


def spec_book() -> Book:
    """The book of the specification's examples: firm ``GREENTEA_API_CLEARING2`` (780), account ``DV10121801A`` with its three rows, and two more."""
    return book_from_mapping(_SPEC)


def example_book() -> Book:
    """The book that the example repository (``examples/limits``) is planned against: the same firm, some limits not yet as its manifests say."""
    return book_from_json(Path(__file__).with_name("example_book.json"))


def book_from_json(path: str | Path) -> Book:
    """The book in a JSON file. Raises ``OSError``, or ``ValueError`` that says what is wrong with it."""
    try:
        return book_from_mapping(json.loads(Path(path).read_text("utf-8")))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a book: {type(error).__name__} at {error}") from error


def book_from_mapping(document: Mapping[str, Any]) -> Book:
    """The book of a decoded document, in the form that :func:`book_to_mapping` gives."""
    firms = [Firm(name=firm["name"], clearing_id=firm["clearingId"], long_name=firm.get("longName", "")) for firm in document["firms"]]
    book = Book(firms, products=document.get("products", {}))
    for entry in document.get("accounts", ()):
        book.add_account(account_from_mapping(book, entry))
    book.mark()
    return book


def account_from_mapping(book: Book, entry: Mapping[str, Any]) -> Account:
    """One account of a book's document. Raises ``ValueError`` for a firm that the book does not have."""
    firm = book.firm(entry["clearingFirm"]) if "clearingFirm" in entry else book.firms[0]
    if firm is None:
        raise ValueError(f"no clearing firm {entry['clearingFirm']!r} in this book")
    status = _STATUSES.get(entry.get("status", "Active").lower())
    if status is None:
        raise ValueError(f"status: expected Active, Inactive or closed, found {entry['status']!r}")
    listed = entry.get("executionFirms", {})
    firms = dict(listed) if isinstance(listed, Mapping) else dict.fromkeys(listed, False)
    rows: dict[Key, Legs] = {}
    traded: set[Key] = set()
    usage: dict[Key, tuple[int, int]] = {}
    for row in entry.get("limits", ()):
        key = (row["efId"], row["product"])
        rows[key] = legs_from_mapping(row)
        firms.setdefault(key[0], False)
        if row.get("traded"):
            traded.add(key)
        if "usage" in row:
            usage[key] = (row["usage"]["long"], row["usage"]["short"])
    eligible = entry.get("eligible")
    return Account(
        firm=firm, number=entry["accountNumber"], owner=entry.get("owner", ""), seg_type=entry.get("segType", "C"), status=status,  # type: ignore[arg-type]
        execution_firms=firms, rows=rows, traded=traded, usage=usage,
        eligible=None if eligible is None else {ef_id: tuple(products) for ef_id, products in eligible.items()},
    )  # fmt: skip


def legs_from_mapping(row: Mapping[str, Any]) -> Legs:
    """The four legs of a row's document; a missing or null leg, or the word, is unlimited. Raises ``ValueError`` for anything else but a whole number."""
    ef, cmf = row.get("efLimits") or {}, row.get("cmfLimits") or {}
    legs = [side.get(leg) for side in (ef, cmf) for leg in ("long", "short")]
    read = [None if isinstance(leg, str) and leg.lower() == "unlimited" else leg for leg in legs]
    for leg in read:
        if leg is not None and (type(leg) is not int or leg < 0):
            raise ValueError(f"a leg: expected a whole number, null or unlimited, found {leg!r}")
    return read[0], read[1], read[2], read[3]


def edit_book(book: Book, edit: Mapping[str, Any]) -> None:
    """Change a book as a third party would. Raises ``ValueError``, or ``KeyError`` for an unknown account.

    ``accountNumber`` (and ``clearingFirm``) name the account. With ``efId`` and ``product``: ``delete``, ``traded``, ``usage``, or legs, of which those
    not named stay as they are. With ``efId`` and ``suspended``: an execution firm's status. With ``status``: the account's.
    """
    account = book.account(edit["accountNumber"], edit.get("clearingFirm"))
    with book.lock:
        if "product" in edit:
            _edit_row(book, account, (edit["efId"], edit["product"]), edit)
        elif isinstance(edit.get("suspended"), bool) and "efId" in edit:
            book.write_suspensions(account, {edit["efId"]: edit["suspended"]})
        elif edit.get("status") in ("Active", "Inactive", "closed"):
            book.write_status(account, edit["status"])
        else:
            raise ValueError("expected efId and product, efId and suspended (true or false), or status (Active, Inactive or closed)")


def _edit_row(book: Book, account: Account, key: Key, edit: Mapping[str, Any]) -> None:
    if edit.get("delete") is True:
        book.write_rows(account, {key: None})
    elif "efLimits" in edit or "cmfLimits" in edit:
        ef_long, ef_short, cmf_long, cmf_short = account.row(*key) or (None, None, None, None)
        ef = {"long": ef_long, "short": ef_short} | (edit.get("efLimits") or {})
        cmf = {"long": cmf_long, "short": cmf_short} | (edit.get("cmfLimits") or {})
        book.write_rows(account, {key: legs_from_mapping({"efLimits": ef, "cmfLimits": cmf})})
    if "traded" in edit:
        book.trade(account.number, *key, traded=bool(edit["traded"]), firm=account.firm.name)
    if "usage" in edit:
        book.use(account.number, *key, long=int(edit["usage"]["long"]), short=int(edit["usage"]["short"]), firm=account.firm.name)


def book_to_mapping(book: Book) -> dict[str, Any]:
    """A book as a document ready for JSON: everything known, hidden rows included."""
    with book.lock:
        return {
            "firms": [{"name": firm.name, "clearingId": firm.clearing_id, "longName": firm.long_name} for firm in book.firms],
            "products": dict(book.products),
            "accounts": [account_to_mapping(account) for account in book.accounts()],
        }


def account_to_mapping(account: Account) -> dict[str, Any]:
    """One account of a book's document."""
    rows = dict(account.items()) | {key: (None, None, None, None) for key in sorted(account.traded) if account.row(*key) is None}
    document = {
        "clearingFirm": account.firm.name,
        "accountNumber": account.number,
        "owner": account.owner,
        "segType": account.seg_type,
        "status": account.status,
        "executionFirms": dict(account.execution_firms),
        "limits": [_row_to_mapping(account, key, legs) for key, legs in rows.items()],
    }
    if account.eligible is not None:
        document["eligible"] = {ef_id: list(products) for ef_id, products in account.eligible.items()}
    return document


def _row_to_mapping(account: Account, key: Key, legs: Legs) -> dict[str, Any]:
    row: dict[str, Any] = {
        "efId": key[0],
        "product": key[1],
        "efLimits": {"long": legs[0], "short": legs[1]},
        "cmfLimits": {"long": legs[2], "short": legs[3]},
    }
    if key in account.traded:
        row["traded"] = True
    if key in account.usage:
        row["usage"] = {"long": account.usage[key][0], "short": account.usage[key][1]}
    return row
