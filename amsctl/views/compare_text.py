"""What two plans do not have in common → text and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from amsctl.model import UnsetMeans
from amsctl.planning.codec import encode_change, encode_finding
from amsctl.planning.compare import PlanDifference
from amsctl.planning.plan import Change, Finding, Plan
from amsctl.views.escape import visible
from amsctl.views.exposure import worst_first
from amsctl.views.layout import count, wrap
from amsctl.views.ranking import findings_worst_first
from amsctl.views.style import PLAIN, Look
from amsctl.views.words import effect_words, step_words, value_words

COMPARISON_FORMAT: Final = "amsctl.plan-diff/v1"


def comparison_text(difference: PlanDifference, look: Look = PLAIN) -> str:
    """Both plans, what only one does, what both do otherwise, and the summary last. In each list, what lets more through stands first."""
    return "".join(line + "\n" for line in _lines(difference, look))


def comparison_words(difference: PlanDifference) -> str:
    """``Second against first: 2 changes new, 1 gone, 1 other.``"""
    if difference.nothing:
        return "No difference: both plans do the same, on the same live state."
    counted = ((len(difference.new), "new"), (len(difference.gone), "gone"), (len(difference.other), "other"))
    moved = [f"{number:,} {word}" for number, word in counted if number]
    if not moved:
        return "Both plans make the same changes; what else differs stands above."
    total = sum(number for number, _ in counted)
    return f"Second against first: {', '.join(moved)} ({count(total, 'change')} in all)."


def _lines(difference: PlanDifference, look: Look) -> Iterator[str]:
    for word, plan in (("first", difference.first), ("second", difference.second)):
        yield f"{look.bold(word.capitalize())}  {visible(plan.digest)}"
        yield look.quiet(visible(f"  made {plan.created_at} for {plan.target.environment}"))
    yield ""
    if difference.facts:
        yield look.bold("Made otherwise:")
        for fact in difference.facts:
            yield from wrap(
                f"{visible(fact.name)}: {_fact(fact.first)} {look.arrow} {_fact(fact.second)}",
                width=look.width,
                indent="      ",
                first="  ",
            )
        yield ""
    if difference.moved:
        yield look.bold(f"{count(len(difference.moved), 'account')} that the AMS showed otherwise:")
        yield from wrap(", ".join(visible(str(key)) for key in difference.moved), width=look.width, indent="  ")
        yield ""
    yield from _changes("Only in the second:", "+", difference.new, difference.second, look)
    yield from _changes("Only in the first:", "-", difference.gone, difference.first, look)
    yield from _others(difference, look)
    yield from _findings("Findings only in the second:", "+", difference.findings_new, look)
    yield from _findings("Findings only in the first:", "-", difference.findings_gone, look)
    yield look.bold(comparison_words(difference))


def _fact(value: object) -> str:
    return "none" if value is None else visible(str(value))


def _changes(title: str, sign: str, changes: tuple[Change, ...], plan: Plan, look: Look) -> Iterator[str]:
    if not changes:
        return
    yield look.bold(title)
    for change in worst_first(changes, UnsetMeans(plan.target.unset_means)):
        effect = effect_words(change, look)
        yield f"  {sign} {visible(str(change.account_key))}: {step_words(change, look)}" + (f"  {effect}" if effect else "")
    yield ""


def _others(difference: PlanDifference, look: Look) -> Iterator[str]:
    if not difference.other:
        return
    yield look.bold("Otherwise in the second:")
    first = {id(second): one for one, second in difference.other}
    for change in worst_first([second for _, second in difference.other], UnsetMeans(difference.second.target.unset_means)):
        was = first[id(change)]
        told = f"{value_words(was, was.before)} {look.arrow} {value_words(was, was.after)}"
        yield f"  ~ {visible(str(change.account_key))}: {step_words(change, look)}  was {told}"
    yield ""


def _findings(title: str, sign: str, findings: tuple[Finding, ...], look: Look) -> Iterator[str]:
    if not findings:
        return
    yield look.bold(title)
    for finding in findings_worst_first(findings):
        blocks = " (blocks)" if finding.blocks else ""
        text = f"{finding.severity.value}{blocks} {finding.code} {finding.where}: {finding.message}"
        yield from wrap(visible(text), width=look.width, indent="      ", first=f"  {sign} ")
    yield ""


def encode_comparison(difference: PlanDifference) -> dict[str, object]:
    """The same as one JSON object (``schemas/plan-diff.v1.json``); changes and findings as a plan writes them."""
    return {
        "format": COMPARISON_FORMAT,
        "first": difference.first.digest,
        "second": difference.second.digest,
        "same_changes": difference.same_changes,
        "facts": [{"name": fact.name, "first": fact.first, "second": fact.second} for fact in difference.facts],
        "moved": [{"clearing_firm": key.firm, "account": key.number} for key in difference.moved],
        "new": [encode_change(change) for change in difference.new],
        "gone": [encode_change(change) for change in difference.gone],
        "other": [{"first": encode_change(first), "second": encode_change(second)} for first, second in difference.other],
        "findings_new": [encode_finding(finding) for finding in difference.findings_new],
        "findings_gone": [encode_finding(finding) for finding in difference.findings_gone],
    }
