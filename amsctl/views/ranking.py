"""Which findings a reader should meet first."""

from __future__ import annotations

from collections.abc import Iterable

from amsctl.diagnostics import Severity
from amsctl.planning.plan import Finding


def findings_worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """What blocks, then errors, warnings and notes; within each in the order that they came in."""
    order = list(Severity)
    return sorted(findings, key=lambda finding: (not finding.blocks, order.index(finding.severity)))
