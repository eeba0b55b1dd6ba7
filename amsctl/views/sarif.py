"""A plan's findings → SARIF 2.1.0, for code scanning: each at the place in a manifest that it comes from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from amsctl.config import PROJECT_FILE
from amsctl.diagnostics import Severity, Source
from amsctl.planning.plan import Finding, Plan
from amsctl.views.escape import visible
from amsctl.views.ranking import findings_worst_first

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
RESULTS_AT_MOST: Final = 5_000
"""GitHub refuses a run of more than 25,000 results and shows the first 5,000."""
_LEVELS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def plan_sarif(plan: Plan) -> dict[str, object]:
    """One SARIF log with one run. Findings that block come first; what is beyond ``RESULTS_AT_MOST`` is counted in a notification."""
    findings = findings_worst_first(plan.findings)
    shown = findings[:RESULTS_AT_MOST]
    codes = sorted({finding.code for finding in shown})
    run: dict[str, object] = {
        "tool": {"driver": {"name": "amsctl", "version": plan.tool_version, "rules": [{"id": visible(code)} for code in codes]}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, codes) for finding in shown],
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": _notifications(len(findings) - len(shown))}],
        "properties": {"planDigest": plan.digest, "environment": visible(plan.target.environment)},
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _notifications(missing: int) -> list[object]:
    if not missing:
        return []
    return [{"level": "warning", "message": {"text": f"{missing:,} more findings are in the plan file only"}}]


def _result(finding: Finding, codes: Sequence[str]) -> dict[str, object]:
    blocks = " (blocks the plan)" if finding.blocks else ""
    return {
        "ruleId": visible(finding.code),
        "ruleIndex": codes.index(finding.code),
        "level": "error" if finding.blocks else _LEVELS[finding.severity],
        "message": {"text": visible(f"{finding.where}: {finding.message}{blocks}")},
        "locations": [{"physicalLocation": _place(finding), "logicalLocations": [{"fullyQualifiedName": visible(finding.where)}]}],
        "partialFingerprints": {"amsctl/v1": fingerprint(finding)},
    }


def place_of(finding: Finding) -> Source:
    """Where it is shown among files: what stands in none is shown at the project file's first line."""
    return finding.source or Source(PROJECT_FILE, 1, 1)


def _place(finding: Finding) -> dict[str, object]:
    file, line, column = place_of(finding)
    return {
        "artifactLocation": {"uri": quote(file.encode("utf-8", "backslashreplace"), safe="/"), "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": line, "startColumn": column},
    }


def fingerprint(finding: Finding) -> str:
    """What makes a finding the same one in the next plan: its code and the account, execution firm or row that it is about, not the line."""
    told = f"{finding.code}\n{finding.where}".encode("utf-8", "backslashreplace")
    return hashlib.sha256(told).hexdigest()
