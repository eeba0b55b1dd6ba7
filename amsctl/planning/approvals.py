"""How many people must approve a plan: measured on the amounts as written, which move at least as much as what both sides let through."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from amsctl.config import Applies, ApprovalRule, Approvals
from amsctl.model import NO_LIMIT, AccountKey, Amount, Leg, RowKey, UnsetMeans, lets_through
from amsctl.planning.plan import ApprovalNeed, Change, ChangeKind, RuleMet
from amsctl.planning.policies import loosens


def approval_need(
    changes: Sequence[Change], approvals: Approvals | None, *, unset_means: UnsetMeans, overridden: bool = False
) -> ApprovalNeed | None:
    """Which rules the plan meets; ``None`` where the project asks for no approvals. ``overridden``: a guard is."""
    if approvals is None:
        return None
    raised = _raised(changes, unset_means)
    lots = sum(leg.lots for leg in raised.values())
    rules = []
    for rule in approvals.rules:
        where = _met_by(rule, changes, raised.values(), lots, overridden=overridden)
        rules.append(RuleMet(rule=rule, met=where is not None, where=where or ""))
    return ApprovalNeed(source=approvals.source, rules=tuple(rules))


class _Raise:
    """One leg that is raised on one side or both: by how many contracts at most, and the change that raises it most."""

    __slots__ = ("change", "lots", "times_more")

    def __init__(self) -> None:
        self.lots = -1
        self.times_more = 0.0
        self.change: Change | None = None

    def take(self, before: int, after: int, change: Change) -> None:
        if after - before > self.lots:
            self.lots, self.change = after - before, change
        self.times_more = max(self.times_more, float("inf") if before == 0 or after >= NO_LIMIT else after / before)


def _raised(changes: Iterable[Change], unset_means: UnsetMeans) -> dict[tuple[AccountKey, RowKey, Leg | None], _Raise]:
    found: dict[tuple[AccountKey, RowKey, Leg | None], _Raise] = {}
    for change in changes:
        if change.kind is ChangeKind.LIMIT and loosens(change):
            before, after = (lets_through(cast("Amount", amount), unset_means) for amount in (change.before, change.after))
            found.setdefault((change.account_key, change.row_key, change.leg), _Raise()).take(before, after, change)
    return found


def _met_by(rule: ApprovalRule, changes: Sequence[Change], raised: Iterable[_Raise], lots: int, *, overridden: bool) -> str | None:
    """What makes the plan one that the rule is for; ``None`` where nothing does."""
    if rule.overridden:
        return "a guard is overridden" if overridden else None
    if rule.factor is not None:
        worst = max(raised, key=lambda leg: leg.times_more, default=None)
        return _where(worst.change) if worst is not None and worst.times_more > rule.factor else None
    if rule.lots is not None:
        worst = max(raised, key=lambda leg: leg.lots, default=None)
        return _where(worst.change) if worst is not None and lots > rule.lots else None
    return _where(next((change for change in changes if rule.applies is Applies.ALL or loosens(change)), None))


def _where(change: Change | None) -> str | None:
    return None if change is None else change.where


def rule_words(rule: ApprovalRule) -> str:
    """``2 for a leg raised to more than 5 times``."""
    if rule.overridden:
        what = "a guard that is overridden"
    elif rule.factor is not None:
        what = f"a leg raised to more than {rule.factor:,} times"
    elif rule.lots is not None:
        what = f"more than {rule.lots:,} contracts more in all"
    else:
        what = "any change" if rule.applies is Applies.ALL else "anything that lets more through"
    return f"{rule.approvals} for {what}"
