"""Values with a text of one's choice in every place that holds somebody else's text: found by walking, so that no place is forgotten."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final

from amsctl.planning.plan import Plan
from amsctl.views import gitlab, html, junit, ledger_json, markdown, plan_csv, sarif  # noqa: F401  so that no test that is not measured imports them first

Make = Callable[[], str]
_OURS: Final = frozenset({"unset_means", "kind", "direction", "owner", "leg", "phase", "method", "tool_version"})
"""Words of a closed set, though they are kept as texts."""
_NAMES: Final = frozenset({"id", "changes", "after", "plan_digest", "digest"})
"""Names by which one part points to another: they stay different from each other."""


def filled(value: Any, make: Make) -> Any:
    """The value with every text in it made anew, however deep; numbers, flags and words of closed sets stay. Names get one text in front, the same."""
    return _filled(value, make, "", make())


def _filled(value: Any, make: Make, name: str, prefix: str) -> Any:
    if name in _OURS:
        return value
    if type(value) is str:
        if name in ("before", "after") and value in ("unset", "unlimited"):
            return value  # an amount, as a plan's file writes it
        return f"{prefix}{value}" if name in _NAMES else make()
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{field.name: _filled(getattr(value, field.name), make, field.name, prefix) for field in fields(value) if field.init}
        )
    if isinstance(value, tuple):
        items = value._fields if hasattr(value, "_fields") else (name,) * len(value)
        parts = [_filled(item, make, part, prefix) for item, part in zip(value, items, strict=True)]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, Mapping):
        return {key: _filled(item, make, key, prefix) for key, item in value.items()}
    return [_filled(item, make, name, prefix) for item in value] if isinstance(value, list) else value


def filled_plan(plan: Plan, make: Make) -> Plan:
    """The plan, each account of it still one account: its names are made once, and differ."""
    names = {
        key: (f"{make()}{number}", f"{make()}{number}") for number, key in enumerate(sorted({part.account_key for part in plan.changes}))
    }
    spoiled: Plan = filled(plan, make)

    def put(was: Any, now: Any) -> Any:
        firm, account = names.get(was.account_key, (now.clearing_firm, now.account))
        return replace(now, clearing_firm=firm, account=account)

    return replace(
        spoiled,
        changes=tuple(map(put, plan.changes, spoiled.changes)),
        steps=tuple(map(put, plan.steps, spoiled.steps)),
        observed=tuple(map(put, plan.observed, spoiled.observed)),
    )
