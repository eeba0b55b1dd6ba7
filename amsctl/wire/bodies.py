"""What requests carry: model → JSON objects, in the field order of CME's examples. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Final, TypeAlias, assert_never

from amsctl.config import UnlimitedAs
from amsctl.model import ABSENT, LEGS, SERVICE, AccountKey, AccountStatus, Amount, FourAmounts, Leg, LegRef, Owner, RowKey

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


def limit_row(
    key: RowKey,
    legs: FourAmounts,
    *,
    unlimited_as: UnlimitedAs,
    read: tuple[object, object] | None = None,
    moved: Collection[LegRef] = (),
) -> JsonObject:
    """One row, whole: both sides, all four legs, but for what a read row did not show.

    ``read`` is the row's two sides as they came (``LiveRow.wire``): then each leg that is not ``moved`` goes back exactly as it came, and what was left
    out is left out. Every other amount that is no number is written as ``unlimited_as`` says.
    """
    row: JsonObject = {"product": key.product, "efId": key.execution_firm}
    sides: tuple[object, object] = (_COMPUTED, _COMPUTED) if read is None else read
    for (owner, name), came in zip(SIDE_KEYS.items(), sides, strict=True):
        if came is _COMPUTED or any(ref.owner is owner for ref in moved):
            row[name] = _side(owner, legs, came, unlimited_as, moved)
        elif came is not ABSENT:
            row[name] = came
    return row


def _side(owner: Owner, legs: FourAmounts, came: object, unlimited_as: UnlimitedAs, moved: Collection[LegRef]) -> JsonObject:
    side: JsonObject = {}
    for leg in (Leg.SHORT, Leg.LONG):
        ref = LegRef(owner, leg)
        if came is _COMPUTED or ref in moved:
            value = amount(legs[_INDEX[ref]], unlimited_as)
        else:
            value = came.get(leg.value, _OMITTED) if isinstance(came, dict) else _OMITTED
        if value is not _OMITTED:
            side[leg.value] = value
    return side


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
_COMPUTED: Final = object()
"""Stands for a side that was not read: of a row that is new, or that has four numbers, which are written the same way whichever way they came."""
_INDEX: Final = {ref: index for index, ref in enumerate(LEGS)}


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
