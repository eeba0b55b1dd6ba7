"""A plan or report → CSV, one change or step a line, safe to open in a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from amsctl.applying.report import Report
from amsctl.model import Special
from amsctl.planning.plan import Change, ChangeKind, ChangeValue, Plan
from amsctl.views.tables import Cell, csv_lines

PLAN_COLUMNS: Final = (
    *("id", "direction", "kind", "clearing_firm", "account", "execution_firm", "product", "owner", "leg", "before", "after"),
    *("binding", "effective_before", "effective_after", "usage", "file", "line", "column"),
)
REPORT_COLUMNS: Final = ("step", "outcome", "http_status", "attempts", "message")


def plan_csv(plan: Plan) -> Iterator[str]:
    """A heading and a line per change, in the plan's order. What does not apply is empty; an unknown use is ``unknown``."""
    return csv_lines(PLAN_COLUMNS, map(_cells, plan.changes))


def _cells(change: Change) -> list[Cell]:
    file, line, column = change.source or ("", "", "")
    limit = change.kind is ChangeKind.LIMIT
    return [
        *(change.id, change.direction.value, change.kind.value, change.clearing_firm, change.account, change.execution_firm or ""),
        *(change.product or "", change.owner or "", change.leg or "", _value(change.before), _value(change.after), change.binding),
        *(_value(change.effective_before), _value(change.effective_after), change.usage if limit else "", file, line, column),
    ]


def _value(value: ChangeValue | None) -> Cell:
    if value is None:
        return ""
    return value.value if isinstance(value, Special) else value


def report_csv(report: Report) -> Iterator[str]:
    """A heading and a line per step. A step without an answer has no HTTP status."""
    return csv_lines(
        REPORT_COLUMNS,
        (
            [step.id, step.outcome.value, "" if step.http_status is None else step.http_status, step.attempts, step.message]
            for step in report.steps
        ),
    )
