"""What is planned: accounts before and after, and the manifests that ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Legs = tuple[int | None, int | None, int | None, int | None]
"""ef long, ef short, cmf long, cmf short; ``None`` is unlimited."""
Key = tuple[str, str]
"""Clearing firm and account number."""

ONE, TWO = "GREENTEA_API_CLEARING2", "GREENTEA_API_CLEARING1"
FIRMS = {ONE: "780", TWO: "984"}
CJ, DRS, CC, GLB, GIE = "CJ.FUT.NYMEX", "DRS.FUT.CBT", "CC.FUT.NYMEX", "GLB.FUT.CME", "GIE.FUT.CME"


@dataclass(frozen=True, kw_only=True)
class Account:
    """What is configured on an account. Rows without any number are not there."""

    status: str = "Active"
    suspended: Mapping[str, bool] = field(default_factory=dict)
    rows: Mapping[tuple[str, str], Legs] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class World:
    """Accounts before and after, and settings of ``requests``."""

    name: str
    before: Mapping[Key, Account]
    after: Mapping[Key, Account]
    requests: Mapping[str, object] = field(default_factory=dict)


OPEN = {"3N1": False, "350": False, "XX0": True}
PLAIN = Account(
    suspended=OPEN,
    rows={("3N1", CJ): (324, 567, 9000, 2000), ("350", CJ): (123, 456, 1000, 30989), ("350", DRS): (456, 789, 120, 120)},
)
MIXED = {("3N1", CJ): (300, 600, 9000, 2000)}


def _rows(account: Account, rows: Mapping[tuple[str, str], Legs | None]) -> Account:
    merged = {**account.rows, **rows}
    return replace(account, rows={key: legs for key, legs in merged.items() if legs is not None})


def _world(name: str, edits: Mapping[Key, tuple[Account, Account]], **requests: object) -> World:
    before = {key: pair[0] for key, pair in edits.items()}
    return World(name=name, before=before, after={key: pair[1] for key, pair in edits.items()}, requests=requests)


A, B, C, D = (ONE, "DV1"), (ONE, "DV2"), (ONE, "DV3"), (TWO, "CP1")

WORLDS = {
    world.name: world
    for world in (
        _world("mixed", {A: (PLAIN, _rows(PLAIN, MIXED))}),
        _world("accounts", {key: (PLAIN, _rows(PLAIN, MIXED)) for key in (A, B, C)}),
        _world(
            "suspension",
            {
                A: (
                    PLAIN,
                    replace(
                        _rows(PLAIN, {("3N1", CJ): (300, 600, 9000, 2000), ("XX0", CC): (5, 5, 7, 7)}),
                        suspended={"3N1": False, "350": True, "XX0": False},
                    ),
                )
            },
        ),
        _world(
            "status",
            {
                A: (replace(PLAIN, status="Inactive"), _rows(PLAIN, MIXED)),
                B: (PLAIN, replace(_rows(PLAIN, {("3N1", CJ): (10, 10, 10, 10)}), status="Inactive")),
            },
        ),
        _world("unset", {A: (PLAIN, _rows(PLAIN, {("3N1", CJ): None, ("350", DRS): (400, 800, 120, 120), ("350", CC): (1, 2, 3, 4)}))}),
        _world(
            "rows",
            {
                A: (
                    PLAIN,
                    _rows(
                        PLAIN,
                        {("3N1", CJ): (300, 600, 8000, 2000), ("350", CJ): (100, 500, 900, 40000), ("350", DRS): (400, 800, 130, 110),
                         ("3N1", GLB): (1, 2, 3, 4), ("350", GIE): (5, 6, 7, 8)},
                    ),
                )
            },
            rowsPerPost=2,
        ),
        _world("firms", {A: (PLAIN, _rows(PLAIN, MIXED)), D: (PLAIN, _rows(PLAIN, MIXED))}),
    )
}  # fmt: skip


def book(worlds: Mapping[str, World]) -> dict[str, Any]:
    """The sandbox's book with every account of all worlds, empty."""
    keys = sorted({key for world in worlds.values() for key in world.before})
    return {
        "firms": [{"name": name, "clearingId": number} for name, number in FIRMS.items()],
        "products": {product: product for product in (CJ, DRS, CC, GLB, GIE)},
        "accounts": [{"clearingFirm": firm, "accountNumber": number, "executionFirms": dict(OPEN)} for firm, number in keys],
    }


def manifest(key: Key, before: Account, after: Account) -> str:
    """The manifest that asks for all of an account as it is ``after``; rows that are gone are unset."""
    lines = [
        "apiVersion: amsctl/v1",
        "kind: Account",
        f"metadata: {{clearingFirm: {key[0]}, accountNumber: {key[1]}}}",
        "spec:",
        f"  status: {after.status}",
        "  executionFirms:",
    ]
    for firm, suspended in after.suspended.items():
        lines += [f"    {firm}:", f"      suspended: {str(suspended).lower()}"]
        rows = {product: legs for (of_firm, product), legs in after.rows.items() if of_firm == firm}
        gone = [product for (of_firm, product) in before.rows if of_firm == firm and product not in rows]
        if rows or gone:
            lines.append("      limits:")
        for product, legs in rows.items():
            words = ["unlimited" if leg is None else str(leg) for leg in legs]
            lines.append(
                f"        {product}: {{ef: {{long: {words[0]}, short: {words[1]}}}, cmf: {{long: {words[2]}, short: {words[3]}}}}}"
            )
        lines += [f"        {product}: unset" for product in gone]
    return "\n".join(lines) + "\n"
