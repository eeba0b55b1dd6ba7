"""Which findings a reader should meet first."""

from __future__ import annotations

from amsctl.diagnostics import Severity
from amsctl.planning.plan import Finding, Plan


def findings_worst_first(plan: Plan) -> list[Finding]:
    """What blocks, then errors, warnings and notes; within each in the plan's order."""
    order = list(Severity)
    return sorted(plan.findings, key=lambda finding: (not finding.blocks, order.index(finding.severity)))
