"""Policies: rules of the firm that no plan breaks, measured on the plan alone, so that a reader of the plan can measure them again.

A policy judges what a plan lets through more than before: what tightens is never held up by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Final, assert_never, cast

from amsctl.config import Applies, Maximum, NoLoosening, Policy, Rule, TicketNeeded
from amsctl.diagnostics import Severity
from amsctl.model import AccountKey, Amount, Direction, Leg, Owner, RowKey, UnsetMeans, lets_through
from amsctl.planning.plan import Change, ChangeKind, Finding, Git, Observed, Ruling, Target
from amsctl.planning.tickets import tickets_in

CODES: Final = {Maximum: "policy-maximum", TicketNeeded: "policy-ticket", NoLoosening: "policy-no-loosening"}
"""The code of what a kind of rule finds."""


def judge_policies(
    changes: Sequence[Change], observed: Sequence[Observed], policies: Iterable[Policy], *, target: Target, git: Git | None
) -> tuple[tuple[Ruling, ...], tuple[Finding, ...]]:
    """What each policy says of a plan, and a blocking finding for each that is broken. A rule about days breaks nothing yet: apply knows the day; where
    the plan lets more through, a note tells of it.
    """
    rulings, findings = [], []
    for policy in policies:
        broken, worst, words = _broken(policy.rule, changes, observed, target, git)
        rulings.append(Ruling(policy=policy, broken=broken, where="" if worst is None else worst.where))
        if words:
            blocks = not isinstance(policy.rule, NoLoosening)
            findings.append(
                Finding(
                    code=CODES[type(policy.rule)],
                    severity=Severity.ERROR if blocks else Severity.NOTE,
                    message=f"policy {policy.name}: {words}",
                    where=target.environment if worst is None else worst.where,
                    blocks=blocks,
                    source=None if worst is None else worst.source,
                )
            )
    return tuple(rulings), tuple(findings)


def _broken(
    rule: Rule, changes: Sequence[Change], observed: Sequence[Observed], target: Target, git: Git | None
) -> tuple[int, Change | None, str]:
    """How often a rule is broken, by what first, and what to say; no words where there is nothing to say."""
    match rule:
        case Maximum():
            over = list(_over(rule, changes, observed, target))
            worst = max(over, key=lambda found: found[1], default=None)
            return len(over), None if worst is None else worst[0], "" if worst is None else _over_words(rule, len(over), worst[0])
        case TicketNeeded():
            first = next((change for change in changes if rule.applies is Applies.ALL or loosens(change)), None)
            missing = None if first is None else _ticket_missing(rule, git)
            return (0, None, "") if missing is None else (1, first, missing)
        case NoLoosening():
            first = next(filter(loosens, changes), None)
            return 0, first, "" if first is None else f"nothing that lets more through is applied on {days_words(rule)}"
        case _:
            assert_never(rule)


def loosens(change: Change) -> bool:
    """Whether a change lets more through, be it only once the other side moves, too."""
    return change.direction is Direction.LOOSEN


def days_words(rule: NoLoosening) -> str:
    """``Fri and Sat (America/Chicago)``."""
    return f"{' and '.join(day.value for day in rule.days)} ({rule.time_zone})"


# --- how much ---


def _over(rule: Maximum, changes: Iterable[Change], observed: Iterable[Observed], target: Target) -> Iterator[tuple[Change, int]]:
    """The legs that are raised above the maximum, each once, with what they let through then."""
    wanted, unset_means = frozenset(rule.labels), UnsetMeans(target.unset_means)
    accounts = {seen.account_key for seen in observed if wanted <= frozenset(seen.labels)}
    told: set[tuple[AccountKey, RowKey, Leg | None]] = set()
    for change in changes:
        if change.kind is not ChangeKind.LIMIT or change.account_key not in accounts or not _is_meant(rule, change.product or ""):
            continue
        amounts = _amounts(rule.owner, change, target)
        before, after = (lets_through(amount, unset_means) for amount in amounts)
        key = (change.account_key, change.row_key, change.leg)
        if after > max(before, rule.contracts) and key not in told and rule.owner in {None, change.owner}:
            told.add(key)
            yield change, after


def _is_meant(rule: Maximum, product: str) -> bool:
    parts = product.split(".")
    return (not rule.products or any(fnmatchcase(product, pattern) for pattern in rule.products)) and (
        not rule.types or (len(parts) > 1 and parts[-2] in rule.types)
    )


def _amounts(owner: Owner | None, change: Change, target: Target) -> tuple[Amount, Amount]:
    """What counts of a leg, before and after. What both sides let through counts only where both are ours: another's side can be raised at any time,
    and nobody would look at ours again.
    """
    if owner is None and set(target.ownership) == set(Owner):
        assert change.effective_before is not None
        assert change.effective_after is not None
        return change.effective_before, change.effective_after
    return cast("Amount", change.before), cast("Amount", change.after)


def _over_words(rule: Maximum, count: int, worst: Change) -> str:
    many = "1 leg is" if count == 1 else f"{count:,} legs are"
    what = [
        *(f"products {' or '.join(rule.products)}" for _ in rule.products[:1]),
        *(f"type {' or '.join(rule.types)}" for _ in rule.types[:1]),
        *(f"accounts with {' and '.join(rule.labels)}" for _ in rule.labels[:1]),
        *(f"side {owner.value}" for owner in (rule.owner,) if owner is not None),
    ]
    meant = f" ({', '.join(what)})" if what else ""
    return f"{many} raised above {rule.contracts:,} contracts{meant}, the most that is allowed; first {worst.where}"


# --- why ---


def _ticket_missing(rule: TicketNeeded, git: Git | None) -> str | None:
    """What is missing; ``None`` where the commit names a ticket that will do."""
    wanted = " or ".join(f"{key}-…" for key in rule.keys) or "as RISK-123"
    if git is None:
        return f"the commit must name a ticket ({wanted}), and there is no commit"
    if git.dirty:
        return f"the commit must name a ticket ({wanted}), and these manifests are not those of the commit: commit them"
    if tickets_in(git.message, rule.keys):
        return None
    return f"the message of the commit must name a ticket ({wanted})"
