"""The names of the formats that a plan and a report can be printed in, and who writes each. Only the writer that is asked for is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from amsctl.applying.report import Report
    from amsctl.planning.plan import Plan
    from amsctl.views.style import Look

PLAN_FORMATS: Final = ("text", "json", "markdown", "html", "csv", "sarif", "junit", "github", "gitlab-terraform", "gitlab-codequality")
MARKDOWN_BYTES: Final[Mapping[str, int]] = {"comment": 65_536 - 1_024, "summary": 1_048_576 - 16_384}
"""What the markdown is for, and how long it may be there. A comment holds 65,536 characters, counted here in bytes, and a step summary 1 MiB for all
that the step writes; the rest is for what a pipeline puts around it.
"""
REPORT_FORMATS: Final = ("text", "json", "markdown", "csv", "junit", "github")


def plan_in(form: str, plan: Plan, look: Look, *, limit: int | None = None, limit_bytes: int = MARKDOWN_BYTES["comment"]) -> Iterable[str]:
    """The plan in a format, in pieces. ``limit`` is how many changes the text writes out, ``limit_bytes`` the size of the markdown."""
    match form:
        case "json":
            from amsctl.planning.codec import text_of

            return text_of(plan)
        case "markdown":
            from amsctl.views.markdown import plan_markdown

            return (plan_markdown(plan, limit_bytes=limit_bytes),)
        case "html":
            from amsctl.views.html import plan_html

            return (plan_html(plan),)
        case "csv":
            from amsctl.views.plan_csv import plan_csv

            return plan_csv(plan)
        case "sarif":
            from amsctl.views.json_text import json_text
            from amsctl.views.sarif import plan_sarif

            return (json_text(plan_sarif(plan)),)
        case "junit":
            from amsctl.views.junit import plan_junit

            return (plan_junit(plan),)
        case "github":
            from amsctl.views.github import plan_annotations

            return (plan_annotations(plan),)
        case "gitlab-terraform":
            from amsctl.views.gitlab import plan_terraform_counts

            return (plan_terraform_counts(plan),)
        case "gitlab-codequality":
            from amsctl.views.gitlab import plan_code_quality
            from amsctl.views.json_text import json_text

            return (json_text(plan_code_quality(plan)),)
        case _:
            assert form == "text", form
            from amsctl.views.plan_text import plan_text

            return (plan_text(plan, look, limit=limit),)


def report_in(form: str, report: Report, plan: Plan | None, look: Look, *, limit_bytes: int = MARKDOWN_BYTES["comment"]) -> Iterable[str]:
    """The report in a format, in pieces; with the plan that was applied, steps are told by account."""
    match form:
        case "json":
            from amsctl.applying.report import encode_report
            from amsctl.views.json_text import json_text

            return (json_text(encode_report(report)),)
        case "markdown":
            from amsctl.views.markdown import report_markdown

            return (report_markdown(report, plan, limit_bytes=limit_bytes),)
        case "csv":
            from amsctl.views.plan_csv import report_csv

            return report_csv(report)
        case "junit":
            from amsctl.views.junit import report_junit

            return (report_junit(report, plan),)
        case "github":
            from amsctl.views.github import report_annotations

            return (report_annotations(report),)
        case _:
            assert form == "text", form
            from amsctl.views.report_text import report_text

            return (report_text(report, plan, look),)
