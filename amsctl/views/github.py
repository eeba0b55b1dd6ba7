"""The worst of a plan or report → GitHub's workflow commands, which annotate the lines of a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Final

from amsctl.applying.report import Report
from amsctl.diagnostics import Severity, Source
from amsctl.model import Outcome
from amsctl.planning.plan import Change, Finding, Plan
from amsctl.views.escape import visible
from amsctl.views.exposure import loosening
from amsctl.views.layout import count
from amsctl.views.ranking import findings_worst_first
from amsctl.views.report_text import OUTCOME_MEANING, WORST_FIRST
from amsctl.views.style import Look
from amsctl.views.words import effect_words, step_words

ANNOTATIONS_AT_MOST: Final = 10
"""GitHub shows ten of a kind for a step, and drops the rest without a word."""
_KINDS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
_ASCII: Final = Look(unicode=False)


def plan_annotations(plan: Plan) -> str:
    """At most ten annotations: what blocks, then what lets more through, then the other findings, worst first; and a plain line that counts the rest."""
    findings = findings_worst_first(plan.findings)
    lines = chain(
        (_finding(finding) for finding in findings if finding.blocks),
        map(_change, loosening(plan)),
        (_finding(finding) for finding in findings if not finding.blocks),
    )
    return _worst(lines, len(findings) + plan.summary.loosen, "the plan file")


def _worst(lines: Iterable[str], total: int, where: str) -> str:
    shown = list(islice(lines, ANNOTATIONS_AT_MOST))
    text = "".join(line + "\n" for line in shown)
    missing = total - len(shown)
    return text + (f"{count(missing, 'more entry', 'more entries')} without an annotation: see {where}.\n" if missing else "")


def _finding(finding: Finding) -> str:
    kind = "error" if finding.blocks else _KINDS[finding.severity]
    title = f"{finding.code}{' (blocks the plan)' if finding.blocks else ''}"
    return annotation(kind, f"{finding.where}: {finding.message}", title=title, source=finding.source)


def _change(change: Change) -> str:
    effect = effect_words(change, _ASCII)
    message = f"{change.account_key}: {step_words(change, _ASCII)}" + (f" ({effect})" if effect else "")
    return annotation("warning" if change.binding else "notice", message, title="lets more through", source=change.source)


def report_annotations(report: Report) -> str:
    """At most ten annotations of steps that did not go as planned, worst first; and a plain line that counts the rest."""
    bad = [step for outcome in WORST_FIRST for step in report.steps if step.outcome is outcome and outcome not in _WELL]

    def lines() -> Iterator[str]:
        for step in bad:
            kind = "warning" if step.outcome is Outcome.BLOCKED else "error"
            yield annotation(
                kind, f"step {step.id}: {step.message or OUTCOME_MEANING[step.outcome]}", title=step.outcome.value, source=None
            )

    return _worst(lines(), len(bad), "the report file")


_WELL: Final = frozenset({Outcome.VERIFIED, Outcome.SKIPPED})


def annotation(kind: str, message: str, *, title: str, source: Source | None) -> str:
    """One workflow command on one line. Nothing in ``message``, ``title`` or a file's name can end it or begin another."""
    properties = {} if source is None else {"file": source.file, "line": str(source.line), "col": str(source.column)}
    properties["title"] = title
    told = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{kind} {told}::{_message(message)}"


def _message(text: str) -> str:
    """What follows the second ``::``. ``visible`` leaves no line break, so a percent sign is all that the runner would read."""
    return visible(text).replace("%", "%25")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
