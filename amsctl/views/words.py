"""Amounts and changes in the words that a desk uses."""

from __future__ import annotations

from collections.abc import Callable

from amsctl.model import Amount, Direction, Leg, Owner, Special, UnsetMeans
from amsctl.planning.approvals import rule_words
from amsctl.planning.plan import Change, ChangeKind, Origin, Plan, Selection
from amsctl.views.escape import visible
from amsctl.views.style import Look


def amount_words(amount: Amount) -> str:
    """``2,000``, ``unlimited`` or ``unset``."""
    return amount.value if isinstance(amount, Special) else f"{amount:,}"


def value_words(change: Change, value: object) -> str:
    """What a change goes from or to: an amount, ``suspended`` or ``trading``, or a status."""
    match change.kind:
        case ChangeKind.LIMIT:
            assert isinstance(value, int | Special)
            return amount_words(value)
        case ChangeKind.SUSPENSION:
            return "suspended" if value else "trading"
        case ChangeKind.STATUS:
            return visible(str(value))


def subject_words(change: Change) -> str:
    """What a suspension or status change does, as an imperative: ``suspend execution firm 350``, ``activate account``."""
    if change.kind is ChangeKind.SUSPENSION:
        verb = "suspend" if change.after is True else "release"
        return f"{verb} execution firm {visible(change.execution_firm or '')}"
    return "activate account" if change.direction is Direction.LOOSEN else "deactivate account"


def selection_words(selection: Selection) -> str:
    """``paths a, b; labels desk=softs``; empty for the whole repository."""
    parts = (("paths", selection.paths), ("accounts", selection.accounts), ("labels", selection.labels))
    return "; ".join(f"{word} {', '.join(items)}" for word, items in parts if items)


def rollback_words(origin: Origin, shown: Callable[[str], str] = str) -> str:
    """``takes back RUN, asked for by ann@desk``; empty where a plan comes from manifests. ``shown`` is how the two names are written."""
    back = origin.rollback
    return "" if back is None else f"takes back {shown(back.run)}, asked for by {shown(back.asked_by)}"


def step_words(change: Change, look: Look) -> str:
    """One change on one line, without its account: ``3N1 CJ.FUT.NYMEX ef short 567 → 600``."""
    moved = f"{value_words(change, change.before)} {look.arrow} {value_words(change, change.after)}"
    if change.kind is ChangeKind.LIMIT:
        row = change.row_key
        return f"{visible(row.execution_firm)} {visible(row.product)} {change.owner} {change.leg} {moved}"
    return f"{subject_words(change)}: {moved}"


def difference_words(before: Amount, after: Amount, unset_means: str) -> tuple[str, str]:
    """How far a limit moves, as (difference, share): ``("+33", "+5.8%")``. There is no share of nothing: from 0, unset or unlimited, and to either
    word, the move is told in words.
    """
    if isinstance(after, Special):
        if after is Special.UNLIMITED:
            return "", "to unlimited"
        return "", "blocks" if unset_means == UnsetMeans.BLOCKED else "no limit"
    if isinstance(before, Special):
        return "", "blocks" if after == 0 else f"from {before.value}"
    moved = f"{after - before:+,}"
    if after == 0:
        return moved, "blocks"
    if before == 0:
        return moved, "from 0"
    return moved, share_words(before, after)


def share_words(before: int, after: int) -> str:
    """The change in percent, with its sign and one decimal, rounded half up; never shown as 0.0 when something moves, nor in more digits than tell
    anything. Whole-number arithmetic.
    """
    tenths = (abs(after - before) * 2000 + before) // (2 * before)
    sign = "+" if after >= before else "-"
    if tenths == 0:
        return f"<{sign}0.1%"
    if tenths >= 100_000:
        return f">{sign}9,999%"
    return f"{sign}{tenths // 10:,}.{tenths % 10}%"


def other_side(owner: Owner) -> Owner:
    """The side across the row."""
    return Owner.CMF if owner is Owner.EF else Owner.EF


def effect_words(change: Change, look: Look) -> str:
    """What the change does to min(ef, cmf): ``effective 567 → 600``, or why it does nothing: ``not binding (cmf 324 binds)``."""
    before, after = change.effective_before, change.effective_after
    if before is None or after is None:
        return ""
    if change.binding:
        return f"effective {amount_words(before)} {look.arrow} {amount_words(after)}"
    if change.after != after and change.owner is not None:
        return f"not binding ({other_side(change.owner)} {amount_words(after)} binds)"
    return f"not binding (effective stays {amount_words(after)})"


def usage_words(change: Change) -> str:
    """``use 120``, told when the new effective limit is below it; nothing where the use is unknown."""
    if change.usage is None:
        return ""
    limit = change.effective_after
    below = isinstance(limit, int) and limit < abs(change.usage)
    return f"use {change.usage:,}" + (" is above it" if below else "")


def leg_words(owner: Owner | None, leg: Leg | None) -> str:
    """``ef short``."""
    return f"{owner or ''} {leg or ''}".strip()


def direction_words(direction: Direction, look: Look) -> str:
    """A sign and a word, so that colour is never the only carrier."""
    match direction:
        case Direction.LOOSEN:
            return f"{look.loosens} loosens"
        case Direction.TIGHTEN:
            return f"{look.tightens} tightens"
        case Direction.NEUTRAL:
            return f"{look.neutral} neutral"


def approval_words(plan: Plan) -> str:
    """``Needs 2 approvals (signatures): 1 for anything that lets more through; 2 for a leg raised to more than 2 times.`` Empty where the project asks for
    none.
    """
    need = plan.approvals
    if need is None:
        return ""
    if not need.needed:
        return "Needs no approval."
    why = "; ".join(rule_words(one.rule) for one in need.rules if one.met)
    many = "1 approval" if need.needed == 1 else f"{need.needed:,} approvals"
    return f"Needs {many} ({need.source}): {why}."
