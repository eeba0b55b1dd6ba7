"""Findings and steps → JUnit XML, which every CI system shows as tests."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element, SubElement, indent, tostring  # only written here, never read

from amsctl.applying.report import Report, StepReport
from amsctl.diagnostics import Severity
from amsctl.model import Outcome
from amsctl.planning.plan import Finding, Plan
from amsctl.views.escape import visible
from amsctl.views.ranking import findings_worst_first
from amsctl.views.report_text import OUTCOME_MEANING


def plan_junit(plan: Plan) -> str:
    """A suite with a case per finding, failed where it is an error or blocks, and a case for the plan itself, which fails when anything blocks it."""
    environment = visible(plan.target.environment)
    whole = Element("testcase", classname="amsctl.plan", name=f"plan for {environment} may be applied")
    if plan.blocking:
        _told(whole, "failure", f"blocked by {len(plan.blocking):,} of {len(plan.findings):,} findings", "blocked")
    return _suite(f"amsctl plan {environment}", [whole, *map(_finding_case, findings_worst_first(plan.findings))], plan.created_at)


def _finding_case(finding: Finding) -> Element:
    case = Element("testcase", classname=f"amsctl.{visible(finding.code)}", name=visible(finding.where))
    # The place stands in the text: no schema of this format knows an attribute for it.
    message = visible(finding.message if finding.source is None else f"{finding.source}: {finding.message}")
    if finding.blocks or finding.severity is Severity.ERROR:
        _told(case, "failure", message, visible(finding.code))
    else:
        SubElement(case, "system-out").text = f"{finding.severity.value}: {message}"
    return case


def report_junit(report: Report, plan: Plan | None = None) -> str:
    """A suite with a case per step: failed where it failed or diverged, an error where its outcome is unknown, skipped where it was not sent."""
    known = {} if plan is None or plan.digest != report.plan_digest else {step.id: step for step in plan.steps}
    cases = []
    for step in report.steps:
        planned = known.get(step.id)
        name = step.id if planned is None else f"{step.id} {planned.account_key} {planned.phase.value}"
        cases.append(_step_case(step, visible(name)))
    return _suite("amsctl apply", cases, report.started_at)


def _step_case(step: StepReport, name: str) -> Element:
    case = Element("testcase", classname="amsctl.apply", name=name)
    message = visible(step.message) or OUTCOME_MEANING[step.outcome]
    match step.outcome:
        case Outcome.FAILED | Outcome.DIVERGED:
            _told(case, "failure", message, step.outcome.value)
        case Outcome.UNKNOWN:
            _told(case, "error", message, step.outcome.value)
        case Outcome.BLOCKED:
            SubElement(case, "skipped", message=message)
        case Outcome.VERIFIED | Outcome.SKIPPED:
            pass
    return case


def _told(case: Element, tag: str, message: str, kind: str) -> None:
    SubElement(case, tag, message=message, type=kind).text = message


def _suite(name: str, cases: Iterable[Element], timestamp: str) -> str:
    suite = Element("testsuite", name=name)
    suite.extend(cases)
    counts = {
        "tests": len(suite),
        "failures": len(suite.findall("testcase/failure")),
        "errors": len(suite.findall("testcase/error")),
        "skipped": len(suite.findall("testcase/skipped")),
    }
    for word, number in counts.items():
        suite.set(word, str(number))
    suite.set("timestamp", visible(timestamp).removesuffix("Z"))
    suites = Element("testsuites")
    suites.append(suite)
    indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(suites, encoding="unicode") + "\n"
