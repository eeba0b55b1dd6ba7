"""Live state for ``amsctl get``: read account by account, laid out as rows and as JSON items."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from amsctl.ams.client import AccountEntry, Reader, open_reader
from amsctl.concurrently import for_each
from amsctl.errors import AmsctlError, AmsError
from amsctl.model import LEGS, Amount, Firm, Leg, LiveRow, Owner, RowKey, Special, UnsetMeans, effective

if TYPE_CHECKING:
    from amsctl.cli.progress import Progress
    from amsctl.config import Environment, Requests
    from amsctl.views.tables import Cell

Item = dict[str, object]
Row = list["Cell"]

HEADERS: Final[dict[str, tuple[str, ...]]] = {
    "firms": ("name", "clearing_id"),
    "accounts": ("clearing_firm", "account", "status", "owner", "execution_firms"),
    "limits": (
        "clearing_firm", "account", "execution_firm", "product", "ef_long", "ef_short", "cmf_long", "cmf_short", "effective_long",
        "effective_short", "usage_long", "usage_short",
    ),
    "suspensions": ("clearing_firm", "account", "execution_firm", "suspended"),
    "products": ("clearing_firm", "account", "execution_firm", "product"),
}  # fmt: skip
"""The columns of the table and of CSV; a change here is a breaking one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was read: the same things as JSON items and as rows under ``headers``, in a fixed order."""

    what: str
    items: list[Item]
    rows: list[Row]

    @property
    def headers(self) -> tuple[str, ...]:
        """The names of the columns."""
        return HEADERS[self.what]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Account:
    """An account to read."""

    firm: Firm
    entry: AccountEntry

    @property
    def start(self) -> Item:
        return {"clearing_firm": self.firm.name, "account": self.entry.number}


async def read(
    environment: Environment, requests: Requests, what: str, *, account: str | None, firm_text: str | None, progress: Progress
) -> Found:
    """What the AMS holds of ``what``; an AmsError when any part of it could not be read whole."""
    async with open_reader(environment, requests) as reader:
        firms = [await reader.resolve(firm_text)] if firm_text is not None else list(await reader.firms())
        if what == "firms":
            return _found(what, [{"name": firm.name, "clearing_id": firm.clearing_id} for firm in firms])
        accounts = await _chosen(reader, firms, account, narrowed=firm_text is not None)
        if what == "accounts":
            return _found(what, [_account_item(item) for item in accounts])
        reads: dict[str, Callable[[_Account], Awaitable[list[Item]]]] = {
            "limits": lambda item: _limits(reader, item),
            "suspensions": lambda item: _suspensions(reader, item),
            "products": lambda item: _products(reader, item),
        }

        found: dict[tuple[str, str], list[Item]] = {}

        async def keep(account: _Account) -> None:
            found[account.firm.name, account.entry.number] = await reads[what](account)
            progress(len(found), len(accounts), reader.calls)

        await for_each(accounts, keep, concurrency=requests.concurrency)
        return _found(what, [item for account in accounts for item in found[account.firm.name, account.entry.number]])


# --- which accounts ---


async def _chosen(reader: Reader, firms: Sequence[Firm], text: str | None, *, narrowed: bool) -> list[_Account]:
    if text is None:
        return [
            _Account(firm=firm, entry=entry) for firm in firms for entry in sorted([e async for e in reader.accounts(firm)], key=_number)
        ]
    found = await _matches(reader, firms, text)
    if len(found) > 1:
        places = ", ".join(f"{item.firm.name}/{item.entry.number}" for item in found)
        raise AmsctlError("more than one account has this number", where=text, found=places, hint="write FIRM/NUMBER")
    if not found:
        among = ", ".join(firm.name for firm in firms) or "no clearing firm"
        raise AmsError("the AMS has no such account", where=text, expected=f"an account of {among}", hint="amsctl get accounts lists them")
    return found


async def _matches(reader: Reader, firms: Sequence[Firm], text: str) -> list[_Account]:
    """The accounts that a text may mean: NUMBER in any firm, or FIRM/NUMBER. An account number may itself hold a slash."""
    wanted = [(firm, text) for firm in firms]
    for firm in firms:
        for name in (firm.name, firm.clearing_id):
            if text.startswith(f"{name}/") and len(text) > len(name) + 1:
                wanted.append((firm, text[len(name) + 1 :]))
    found = []
    for firm, number in dict.fromkeys(wanted):
        entry = (await reader.statuses(firm, (number,))).get(number) if 1 <= len(number) <= 20 else None
        if entry is not None:
            found.append(_Account(firm=firm, entry=entry))
    return found


def _number(entry: AccountEntry) -> str:
    return entry.number


# --- items ---


def _account_item(item: _Account) -> Item:
    entry = item.entry
    return {**item.start, "status": entry.status_shown, "owner": entry.owner, "execution_firms": sorted(entry.execution_firms)}


async def _limits(reader: Reader, item: _Account) -> list[Item]:
    rows = await reader.limits(item.firm, item.entry.number)
    return [_limit_item(item, key, rows[key]) for key in sorted(rows)]


def _limit_item(item: _Account, key: RowKey, row: LiveRow) -> Item:
    sides: dict[Owner, dict[Leg, Amount]] = {owner: {} for owner in Owner}
    for (owner, leg), amount in zip(LEGS, row.legs, strict=True):
        sides[owner][leg] = amount
    # A row that exists has no unset leg, so what "unset" means plays no part here.
    bound = {leg: effective(sides[Owner.EF][leg], sides[Owner.CMF][leg], UnsetMeans.UNLIMITED) for leg in Leg}
    return {
        **item.start,
        "execution_firm": key.execution_firm,
        "product": key.product,
        "ef": _amounts(sides[Owner.EF]),
        "cmf": _amounts(sides[Owner.CMF]),
        "effective": _amounts(bound),
        "usage": {"long": row.usage_long, "short": row.usage_short},
    }


def _amounts(legs: dict[Leg, Amount]) -> dict[str, int | str]:
    return {leg.value: amount.value if isinstance(amount, Special) else amount for leg, amount in legs.items()}


async def _suspensions(reader: Reader, item: _Account) -> list[Item]:
    suspended = await reader.suspensions(item.firm, item.entry.number)
    return [{**item.start, "execution_firm": name, "suspended": suspended[name]} for name in sorted(suspended)]


async def _products(reader: Reader, item: _Account) -> list[Item]:
    eligible = await reader.eligible_products(item.firm, item.entry.number)
    return [{**item.start, "execution_firm": name, "product": product} for name in sorted(eligible) for product in sorted(eligible[name])]


def _found(what: str, items: list[Item]) -> Found:
    return Found(what=what, items=items, rows=[_row(item, HEADERS[what]) for item in items])


def _row(item: Item, headers: Sequence[str]) -> Row:
    return [_cell(item, header) for header in headers]


def _cell(item: Item, header: str) -> Cell:
    if header in item:
        value = item[header]
    else:
        outer, _, inner = header.rpartition("_")
        nested = item[outer]
        assert isinstance(nested, dict)
        value = nested[inner]
    if isinstance(value, list):
        return " ".join(value)
    assert value is None or isinstance(value, str | int)
    return value
