"""A firm as firms are, and what people do to its limits on an ordinary day. Everything from a seed."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any, Final

from amsctl.config import USUAL_GUARDS, GuardName
from amsctl.diagnostics import Source
from amsctl.model import (
    UNLIMITED,
    AccountKey,
    AccountStatus,
    Amount,
    DesiredAccount,
    DesiredExecutionFirm,
    DesiredRow,
    LiveAccount,
    LiveRow,
    RowKey,
    Undeclared,
)
from amsctl.planning.arrange import arrange
from amsctl.planning.diff import Rules, diff
from amsctl.planning.plan import Plan
from tests.planning.test_properties import whole

FIRM: Final = "GREENTEA_API_CLEARING2"
HERE: Final = Source("accounts/a.yaml", 1, 1)
PRODUCTS: Final = ("ES.FUT.CME", "CL.FUT.NYMEX", "GC.FUT.COMEX", "ZC.FUT.CBT", "LO.OOF.NYMEX", "CJ.FUT.NYMEX", "ZN.FUT.CBT", "SR3.FUT.CME")
SIZES: Final = (0, 25, 50, 100, 150, 200, 300, 500, 500, 750, 1000, 2000)

Book = dict[str, dict[str, Any]]
"""Account number → its manifest's spec, all of it managed."""
Row = dict[str, dict[str, Any]]


def book(accounts: int = 24, seed: int = 1) -> Book:
    """Accounts of two execution firms with four rows each. The clearing side is one to three times the execution firm's; one execution firm in eight
    is suspended, one account in eight inactive.
    """
    chance = random.Random(f"{seed}/ordinary")
    made: Book = {}
    for number in range(accounts):
        firms = chance.sample(("3N1", "027", "350", "4V9"), 2)
        made[f"DV{number:06d}A"] = {
            "status": "Inactive" if number % 8 == 5 else "Active",
            "executionFirms": {
                firm: {
                    "suspended": (2 * number + index) % 16 in (3, 11),
                    "limits": {product: _row(chance) for product in sorted(chance.sample(PRODUCTS, 4))},
                }
                for index, firm in enumerate(firms)
            },
        }
    return made


def _row(chance: random.Random) -> Row:
    long, short = chance.choice(SIZES), chance.choice(SIZES)
    times = chance.choice((1, 2, 3))
    return {"ef": {"long": long, "short": short}, "cmf": {"long": max(25, long * times), "short": max(25, short * times)}}


def plan_between(live: Book, wanted: Book, *, usage: bool = False, undeclared: Undeclared = Undeclared.REPORT) -> Plan:
    """The plan that turns one book into the other, with the guards as they are when nobody says anything. ``usage``: a third of each limit is in use."""
    rules = Rules(undeclared=undeclared)
    parts = [
        arrange(diff(_desired(number, spec), there, rules), there, rules)
        for number, spec in wanted.items()
        if (there := _live(number, live[number], usage))
    ]
    return whole(*parts, guards=USUAL_GUARDS)


def alarms(plan: Plan) -> set[GuardName]:
    return {verdict.guard for verdict in plan.guards if verdict.passed}


def _legs(row: Row | str) -> tuple[Amount | None, ...]:
    if row == "unset":
        return (None,) * 4
    assert isinstance(row, dict)
    return tuple(UNLIMITED if (one := row[side][leg]) == "unlimited" else one for side in ("ef", "cmf") for leg in ("long", "short"))


def _live(number: str, spec: dict[str, Any], usage: bool) -> LiveAccount:
    rows = {}
    for firm, said in spec["executionFirms"].items():
        for product, row in said["limits"].items():
            used = [min(row["ef"][leg], row["cmf"][leg]) // 3 if usage else None for leg in ("long", "short")]
            rows[RowKey(firm, product)] = LiveRow(legs=_legs(row), usage_long=used[0], usage_short=used[1])  # type: ignore[arg-type]
    return LiveAccount(
        key=AccountKey(FIRM, number),
        status=AccountStatus(spec["status"]),
        execution_firms={firm: said["suspended"] for firm, said in spec["executionFirms"].items()},
        rows=rows,
        read_at="2026-01-02T03:04:05Z",
        row_count=len(rows),
        pages=1,
    )


def _desired(number: str, spec: dict[str, Any]) -> DesiredAccount:
    return DesiredAccount(
        key=AccountKey(FIRM, number),
        source=HERE,
        status=AccountStatus(spec["status"]),  # type: ignore[arg-type]
        execution_firms=tuple(
            DesiredExecutionFirm(
                id=firm,
                source=HERE,
                suspended=said["suspended"],
                rows=tuple(
                    DesiredRow(
                        execution_firm=firm, product=product, legs=_legs(row), sources=(HERE,) * 4, source=HERE, unset=row == "unset"
                    )  # type: ignore[arg-type]
                    for product, row in said["limits"].items()
                ),
            )
            for firm, said in spec["executionFirms"].items()
        ),
    )


# --- what people do on an ordinary day ---


def _any_row(book: Book, chance: random.Random) -> tuple[dict[str, Any], str]:
    spec = book[chance.choice(sorted(book))]
    limits = spec["executionFirms"][chance.choice(sorted(spec["executionFirms"]))]["limits"]
    return limits, chance.choice(sorted(limits))


def _scaled(amount: object, factor: float) -> object:
    return amount if not isinstance(amount, int) else max(0, round(amount * factor / 5) * 5)


def raise_a_row(book: Book, chance: random.Random) -> None:
    limits, product = _any_row(book, chance)
    factor = chance.choice((1.1, 1.2, 1.25, 1.5, 1.5, 2))
    limits[product] = {side: {leg: _scaled(amount, factor) for leg, amount in legs.items()} for side, legs in limits[product].items()}


def lower_a_row(book: Book, chance: random.Random) -> None:
    limits, product = _any_row(book, chance)
    factor = chance.choice((0.5, 0.6, 0.75, 0.8, 0.9))
    limits[product] = {side: {leg: _scaled(amount, factor) for leg, amount in legs.items()} for side, legs in limits[product].items()}


def a_few_rows(book: Book, chance: random.Random) -> None:
    for _ in range(chance.randint(2, 6)):
        chance.choice((raise_a_row, lower_a_row))(book, chance)


def an_account(book: Book, chance: random.Random) -> None:
    """A client grows or shrinks: every row of it moves by the same part."""
    factor = chance.choice((0.5, 0.75, 0.8, 1.1, 1.25, 1.5))
    for said in book[chance.choice(sorted(book))]["executionFirms"].values():
        for product, row in said["limits"].items():
            said["limits"][product] = {side: {leg: _scaled(amount, factor) for leg, amount in legs.items()} for side, legs in row.items()}


def a_product_of_a_desk(book: Book, chance: random.Random) -> None:
    """Before an expiry or a roll: one product, at up to ten accounts."""
    product, factor, left = chance.choice(PRODUCTS), chance.choice((0.5, 0.75, 1.2, 1.25, 1.5)), chance.randint(3, 10)
    for number in chance.sample(sorted(book), len(book)):
        for said in book[number]["executionFirms"].values():
            if product in said["limits"] and left:
                row = said["limits"][product]
                said["limits"][product] = {
                    side: {leg: _scaled(amount, factor) for leg, amount in legs.items()} for side, legs in row.items()
                }
                left -= 1


def a_new_product(book: Book, chance: random.Random) -> None:
    spec = book[chance.choice(sorted(book))]
    limits = spec["executionFirms"][chance.choice(sorted(spec["executionFirms"]))]["limits"]
    limits.update({product: _row(chance) for product in chance.sample(PRODUCTS, 3) if product not in limits})


def a_row_less(book: Book, chance: random.Random) -> None:
    limits, product = _any_row(book, chance)
    limits[product] = "unset"


def close_a_product(book: Book, chance: random.Random) -> None:
    limits, product = _any_row(book, chance)
    limits[product] = {side: dict.fromkeys(legs, 0) for side, legs in limits[product].items()}


def open_a_product(book: Book, chance: random.Random) -> None:
    """One that was closed gets limits."""
    closed = [
        (said["limits"], product)
        for spec in book.values()
        for said in spec["executionFirms"].values()
        for product, row in said["limits"].items()
        if row != "unset" and 0 in row["ef"].values()
    ]
    limits, product = chance.choice(closed)
    limits[product] = {side: {leg: amount or 50 for leg, amount in legs.items()} for side, legs in limits[product].items()}


def suspend_or_release(book: Book, chance: random.Random) -> None:
    spec = book[chance.choice(sorted(book))]
    said = spec["executionFirms"][chance.choice(sorted(spec["executionFirms"]))]
    said["suspended"] = not said["suspended"]


def activate_or_deactivate(book: Book, chance: random.Random) -> None:
    spec = book[chance.choice(sorted(book))]
    spec["status"] = "Active" if spec["status"] == "Inactive" else "Inactive"


EVERYDAY: Final[tuple[Callable[[Book, random.Random], None], ...]] = (
    raise_a_row,
    lower_a_row,
    a_few_rows,
    an_account,
    a_product_of_a_desk,
    a_new_product,
    a_row_less,
    close_a_product,
    open_a_product,
    suspend_or_release,
    activate_or_deactivate,
)


def ordinary(seed: int) -> tuple[Book, Book]:
    """A book, and the same after one to three ordinary changes."""
    chance = random.Random(f"{seed}/day")
    before = book(seed=seed)
    after = copy.deepcopy(before)
    for _ in range(chance.randint(1, 3)):
        chance.choice(EVERYDAY)(after, chance)
    return before, after
