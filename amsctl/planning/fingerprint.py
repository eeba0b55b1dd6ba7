"""Canonical JSON, and the fingerprint of an account's state."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Final

from amsctl.model import AccountKey, AccountStatus, Amount, FourAmounts, LiveAccount, RowKey, Special


def canonical(value: object) -> bytes:
    """RFC 8785 canonical JSON of strings, integers within ±2^53, booleans, null, lists, and objects with keys of the basic plane.

    Within that domain the standard library's sorted compact form is byte for byte the same, and much faster than a library of its own; a property
    test holds it against one. Floats are refused: no amount is ever one.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_refuse).encode()


def _refuse(value: object) -> object:
    raise TypeError(f"{type(value).__name__} has no canonical form")


def sha256(value: object) -> str:
    """Hexadecimal SHA-256 over the canonical form."""
    return hashlib.sha256(canonical(value)).hexdigest()


def sha256_of_members(members: Mapping[str, object]) -> str:
    """As :func:`sha256` of an object of these members, where a list may be an iterator, whose items are never in memory together."""
    digest = hashlib.sha256()
    before = b"{"
    for name in sorted(members):
        value = members[name]
        digest.update(before + canonical(name) + b":")
        before = b","
        if not isinstance(value, Iterator):
            digest.update(canonical(value))
            continue
        opening = b"["
        for item in value:
            digest.update(opening + canonical(item))
            opening = b","
        digest.update(b"]" if opening == b"," else b"[]")
    digest.update(b"}" if before == b"," else b"{}")
    return digest.hexdigest()


def amount_json(amount: Amount) -> int | str:
    """An amount as the plan writes it: a whole number, ``"unlimited"`` or ``"unset"``."""
    return amount if isinstance(amount, int) else _WORDS[amount]


_WORDS: Final = {word: word.value for word in Special}
"""``Enum.value`` is a slow call, and a book has millions of legs."""


def legs_json(legs: FourAmounts) -> list[int | str]:
    """Four amounts in the order of ``LEGS``."""
    return [amount_json(leg) for leg in legs]


def fingerprint(live: LiveAccount) -> str:
    """Hexadecimal SHA-256 of everything that is configured on an account: status, suspensions, and every row with a limit.

    Usage, display names and rows of four unlimited legs are no configuration: they come and go during the day (AMS §3.3) and leave it as it is.
    """
    return fingerprint_of(live.key, live.status, live.execution_firms, {key: row.legs for key, row in live.rows.items()})


def fingerprint_of(key: AccountKey, status: AccountStatus, execution_firms: Mapping[str, bool], rows: Mapping[RowKey, FourAmounts]) -> str:
    """As :func:`fingerprint`, of an account's parts."""
    state = {
        "clearing_firm": key.firm,
        "account": key.number,
        "status": status.value,
        "execution_firms": {firm: execution_firms[firm] for firm in sorted(execution_firms)},
        "rows": [[*row, *legs_json(rows[row])] for row in sorted(rows)],
    }
    return sha256(state)
