"""What a finding about an account can say: where an account is not read again, its finding must be one that its manifest and some answer of the AMS give.

The amounts and names that only the AMS knows are taken from the finding itself, bounded, and put into the sentence again: so no free text is one. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, cast

from amsctl.model import (
    LEGS,
    UNLIMITED,
    UNSET,
    AccountKey,
    Amount,
    DesiredAccount,
    DesiredRow,
    FourAmounts,
    RowKey,
    Undeclared,
)
from amsctl.planning.diff import (
    Rules,
    closed_account,
    differs,
    foreign_mismatch,
    tombstone,
    undeclared_row,
    unknown_execution_firm,
    wishes_of,
)
from amsctl.planning.plan import Finding

_NAME: Final = re.compile(r"[^\s/]{1,60}")
"""An execution firm, as the AMS may call it."""
_PRODUCT: Final = re.compile(r"\S{1,60}")
_AMOUNT: Final = rf"([0-9]{{1,10}}|{UNLIMITED.value}|{UNSET.value})"
_LEGS: Final = re.compile(".*: " + ", ".join(rf"{ref.owner}\.{ref.leg} {_AMOUNT}" for ref in LEGS))
_FOUND: Final = re.compile(rf".*, found {_AMOUNT}")
_WANTED: Final = re.compile(r".*; ([0-9]{1,6}) changes? wanted; .*", re.DOTALL)
_KNOWN: Final = re.compile(r".*; the AMS has: (.*)")


def unsaid(findings: Sequence[Finding], account: DesiredAccount, key: AccountKey, rules: Rules) -> Finding | None:
    """The first of the findings about an account that does not change which nothing could say of it, by its manifest; ``None`` where there is none. They are
    sorted, and none is told twice. ``key`` is the account under the AMS's name of its firm.
    """
    last: tuple[str, str, str] = ("", "", "")
    for finding in findings:
        place, sayable = (finding.where, finding.code, finding.message), _SAYABLE.get(finding.code)
        if place <= last or sayable is None or finding not in sayable(finding, account, key, rules):
            return finding
        last = place
    return None


# --- what the manifest gives of one code, with the finding's own amounts and names in it ---


def _undeclared(finding: Finding, account: DesiredAccount, key: AccountKey, rules: Rules) -> Iterator[Finding]:
    row, legs = _row_of(finding.where, key), _LEGS.fullmatch(finding.message)
    if row is not None and legs is not None and row not in _rows(account) and _what_of_undeclared(account, rules) is Undeclared.REPORT:
        yield undeclared_row(key, row, cast("FourAmounts", tuple(map(_amount, legs.groups()))))


def _foreign(finding: Finding, account: DesiredAccount, key: AccountKey, rules: Rules) -> Iterator[Finding]:
    told, rows = _FOUND.fullmatch(finding.message), _rows(account)
    if told is None:
        return
    row = _row_of(finding.where.rpartition(" ")[0], key)
    if row is not None and row not in rows and _what_of_undeclared(account, rules) is Undeclared.UNSET:
        rows[row] = tombstone(row, account.source)
    found = _amount(told[1])
    for one in rows.values():
        for ref, wish in zip(LEGS, wishes_of(one), strict=True):
            if wish is not None and ref.owner not in rules.ownership and differs(found, wish):
                yield foreign_mismatch(key, one, ref, wish, found)


def _closed(finding: Finding, account: DesiredAccount, key: AccountKey, rules: Rules) -> Iterator[Finding]:
    wanted = _WANTED.fullmatch(finding.message)
    if wanted is not None:
        yield closed_account(key, account, int(wanted[1]))


def _unknown(finding: Finding, account: DesiredAccount, key: AccountKey, rules: Rules) -> Iterator[Finding]:
    listed = _KNOWN.fullmatch(finding.message)
    if listed is None:
        return
    known = [] if listed[1] == "none" else listed[1].split(", ")
    if known == sorted(set(known)) and all(map(_NAME.fullmatch, known)):
        for firm in account.execution_firms:
            if firm.id not in known:
                yield unknown_execution_firm(key, firm, known)


_SAYABLE: Final[Mapping[str, Callable[[Finding, DesiredAccount, AccountKey, Rules], Iterator[Finding]]]] = {
    "undeclared-row": _undeclared,
    "foreign-mismatch": _foreign,
    "closed-account": _closed,
    "unknown-ef": _unknown,
}
"""The others are about a change, which an account that does not change has not."""


def _rows(account: DesiredAccount) -> dict[RowKey, DesiredRow]:
    return {row.key: row for firm in account.execution_firms for row in firm.rows}


def _what_of_undeclared(account: DesiredAccount, rules: Rules) -> Undeclared:
    return account.undeclared if account.undeclared is not None else rules.undeclared


def _row_of(where: str, key: AccountKey) -> RowKey | None:
    firm, slash, product = where.removeprefix(f"{key}/").partition("/")
    if not where.startswith(f"{key}/") or not slash or _NAME.fullmatch(firm) is None or _PRODUCT.fullmatch(product) is None:
        return None
    return RowKey(firm, product)


def _amount(text: str) -> Amount:
    return {UNLIMITED.value: UNLIMITED, UNSET.value: UNSET}.get(text) or int(text)
