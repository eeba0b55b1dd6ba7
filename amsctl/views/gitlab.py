"""A plan → what GitLab shows in a merge request: the counts of its Terraform widget, and a code quality report."""

from __future__ import annotations

import json
from collections import Counter
from typing import Final

from amsctl.diagnostics import Severity
from amsctl.model import Special
from amsctl.planning.plan import Change, ChangeKind, Plan
from amsctl.views.escape import visible
from amsctl.views.ranking import findings_worst_first
from amsctl.views.sarif import fingerprint, place_of

_SEVERITIES: Final = {Severity.ERROR: "critical", Severity.WARNING: "minor", Severity.NOTE: "info"}


def plan_terraform_counts(plan: Plan) -> str:
    """``{"create":…,"update":…,"delete":…}``: rows that come into being, rows, suspensions and statuses that change, rows that are unset."""
    rows: dict[tuple[object, ...], set[str]] = {}
    updates = 0
    for change in plan.changes:
        if change.kind is ChangeKind.LIMIT:
            rows.setdefault((change.account_key, change.row_key), set()).add(_kind(change))
        else:
            updates += 1
    counts = Counter(kinds.pop() if len(kinds) == 1 else "update" for kinds in rows.values())
    return json.dumps({"create": counts["create"], "update": counts["update"] + updates, "delete": counts["delete"]}) + "\n"


def _kind(change: Change) -> str:
    if change.before is Special.UNSET:
        return "create"
    return "delete" if change.after is Special.UNSET else "update"


def plan_code_quality(plan: Plan) -> list[dict[str, object]]:
    """The findings as GitLab's code quality report, worst first; each has a fingerprint of its own."""
    issues: list[dict[str, object]] = []
    seen: Counter[str] = Counter()
    for finding in findings_worst_first(plan.findings):
        file, line, _ = place_of(finding)
        mark = fingerprint(finding)
        seen[mark] += 1
        issues.append(
            {
                "description": visible(f"{finding.where}: {finding.message}"),
                "check_name": visible(finding.code),
                "fingerprint": mark if seen[mark] == 1 else f"{mark}-{seen[mark]}",
                "severity": "blocker" if finding.blocks else _SEVERITIES[finding.severity],
                "location": {"path": visible(file), "lines": {"begin": line}},
            }
        )
    return issues
