"""A reference model of one AMS account, for the properties: what the server does with a POST, written from the documents and not from the code.

It knows nothing of amsctl's own model of a call (``applying.state``): it reads the JSON that would be on the wire.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from amsctl.model import UNLIMITED, AccountKey, AccountStatus, FourAmounts, LiveAccount, LiveRow, RowKey
from amsctl.planning.plan import Step

INFINITE = 1 << 60
_numbers = itertools.count()


@dataclass
class Account:
    """One account: raw legs as (ef long, ef short, cmf long, cmf short), ``None`` for no limit."""

    firm: str
    number: str
    status: str = "Active"
    suspended: dict[str, bool] = field(default_factory=dict)
    rows: dict[tuple[str, str], tuple[int | None, ...]] = field(default_factory=dict)

    def copy(self) -> Account:
        return Account(self.firm, self.number, self.status, dict(self.suspended), dict(self.rows))

    def live(self) -> LiveAccount:
        """As the client would read it: rows without a number are not there."""
        rows = {}
        for (firm, product), legs in self.rows.items():
            if any(leg is not None for leg in legs):
                amounts: FourAmounts = tuple(UNLIMITED if leg is None else leg for leg in legs)  # type: ignore[assignment]
                raw = ({"long": legs[0], "short": legs[1]}, {"long": legs[2], "short": legs[3]})
                rows[RowKey(firm, product)] = LiveRow(legs=amounts, wire=raw if None in legs else None)
        return LiveAccount(
            key=AccountKey(self.firm, self.number),
            status=AccountStatus(self.status),
            execution_firms=dict(self.suspended),
            rows=rows,
            row_count=len(rows),
            pages=1,
            read_at="2026-01-02T03:04:05Z",
        )

    def post(self, step: Step) -> None:
        """What a POST does: by path and query, as AMS §3 says."""
        body = step.body
        assert step.method == "POST"
        assert body["service"] == "ICC"
        if step.path == f"/status/clearing/{self.firm}":
            (item,) = body["clearingAccounts"]  # type: ignore[misc]
            assert item["accountNumber"] == self.number
            self.status = {"A": "Active", "I": "Inactive"}[item["status"]]
            return
        assert body["clearingFirm"] == self.firm
        assert body["accountNumber"] == self.number
        if step.path == f"/efStatus/clearing/ICC/{self.firm}/{self.number}":
            for item in body["executionFirms"]:  # type: ignore[attr-defined]
                assert item["efId"] in self.suspended
                self.suspended[item["efId"]] = {"Y": True, "N": False}[item["suspended"]]
            return
        assert step.path == f"/accountLimitsUtilization/clearing/ICC/{self.firm}/{self.number}"
        assert step.query in ({}, {"delete": "true"})
        for item in body["limits"]:  # type: ignore[attr-defined]
            key = (item["efId"], item["product"])
            if step.query:
                self.rows.pop(key, None)
            else:
                self.rows[key] = tuple(item[side][leg] for side in ("efLimits", "cmfLimits") for leg in ("long", "short"))

    def lets_through(self, *, blocked_when_unset: bool) -> Mapping[tuple[str, str, str], int]:
        """(execution firm, product, leg) → contracts that an order may reach: min(ef, cmf), nothing where halted."""
        return dict(self._lets_through(blocked_when_unset))

    def _lets_through(self, blocked: bool) -> Iterator[tuple[tuple[str, str, str], int]]:
        for (firm, product), legs in self.rows.items():
            for index, leg in enumerate(("long", "short")):
                sides = [INFINITE if amount is None else amount for amount in (legs[index], legs[index + 2])]
                exists = any(amount is not None for amount in legs)
                reach = min(sides) if exists or not blocked else 0
                yield (firm, product, leg), 0 if self.status != "Active" or self.suspended.get(firm) else reach

    def reach(self, key: tuple[str, str, str], *, blocked_when_unset: bool) -> int:
        """One leg of one row, whether the row exists or not."""
        firm, _, _ = key
        halted = self.status != "Active" or self.suspended.get(firm, False)
        absent = 0 if blocked_when_unset else INFINITE
        return self.lets_through(blocked_when_unset=blocked_when_unset).get(key, 0 if halted else absent)
