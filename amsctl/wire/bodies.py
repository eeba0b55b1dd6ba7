"""What requests carry: model → JSON objects, in the field order of CME's examples. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias, assert_never

from amsctl.config import UnlimitedAs
from amsctl.model import LEGS, SERVICE, AccountKey, AccountStatus, Amount, FourAmounts, Leg, Owner, RowKey

JsonObject: TypeAlias = dict[str, object]

SIDE_KEYS: Final[Mapping[Owner, str]] = {Owner.EF: "efLimits", Owner.CMF: "cmfLimits"}
STATUS_LETTERS: Final[Mapping[AccountStatus, str]] = {AccountStatus.ACTIVE: "A", AccountStatus.INACTIVE: "I"}
DELETE_QUERY: Final[Mapping[str, str]] = {"delete": "true"}


def request_bytes(body: Mapping[str, object]) -> bytes:
    """A request body as the bytes that are sent, and that are digested before: JSON, ASCII, without blanks."""
    return json.dumps(body, separators=(",", ":"), allow_nan=False).encode("ascii")


def limits_body(account: AccountKey, rows: Iterable[JsonObject]) -> JsonObject:
    """Body of a limits POST: the account and the rows to write or delete, and no others (AMS §3, row-level upsert)."""
    return {"service": SERVICE, "clearingFirm": account.firm, "accountNumber": account.number, "limits": list(rows)}


def limit_row(key: RowKey, legs: FourAmounts, *, unlimited_as: UnlimitedAs, echo: Mapping[Owner, object] | None = None) -> JsonObject:
    """One row, whole: both sides, all four legs.

    ``echo`` gives the raw value of a side that must go back exactly as it came. An amount that is no number is written as ``unlimited_as`` says.
    """
    row: JsonObject = {"product": key.product, "efId": key.execution_firm}
    for owner, name in SIDE_KEYS.items():
        if echo is not None and owner in echo:
            row[name] = echo[owner]
            continue
        side: JsonObject = {}
        for leg in (Leg.SHORT, Leg.LONG):
            value = amount(legs[_INDEX[owner, leg]], unlimited_as)
            if value is not _OMITTED:
                side[leg.value] = value
        row[name] = side
    return row


def execution_firm_body(account: AccountKey, suspended: Mapping[str, bool]) -> JsonObject:
    """Body of an efStatus POST: only the execution firms to change."""
    firms = [{"efId": firm, "suspended": "Y" if suspended[firm] else "N"} for firm in sorted(suspended)]
    return {"service": SERVICE, "clearingFirm": account.firm, "accountNumber": account.number, "executionFirms": firms}


def account_status_body(account: AccountKey, status: AccountStatus) -> JsonObject:
    """Body of a status POST for one account. ``status`` is Active or Inactive: closed cannot be written (AMS §3.2)."""
    return {
        "service": SERVICE,
        "clearingAccounts": [{"clearingFirm": account.firm, "accountNumber": account.number, "status": STATUS_LETTERS[status]}],
    }


_OMITTED: Final = object()
_INDEX: Final = {(ref.owner, ref.leg): index for index, ref in enumerate(LEGS)}


def amount(value: Amount, unlimited_as: UnlimitedAs) -> object:
    """One leg as JSON; the marker for a left-out key under ``omit``."""
    if isinstance(value, int):
        return value
    match unlimited_as:
        case UnlimitedAs.NULL:
            return None
        case UnlimitedAs.WORD:
            return unlimited_as.value
        case UnlimitedAs.OMIT:
            return _OMITTED
        case _:
            assert_never(unlimited_as)
