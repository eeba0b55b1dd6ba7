"""``amsctl show``: a saved plan or report, in every format."""

from __future__ import annotations

import click

from amsctl.cli.files import json_value, read_content
from amsctl.cli.planning import listed, size_option
from amsctl.cli.running import warn_of_ledger
from amsctl.cli.session import Session, pass_session
from amsctl.cli.shell import Command
from amsctl.errors import PlanFileError
from amsctl.views.formats import MARKDOWN_BYTES, PLAN_FORMATS, REPORT_FORMATS, plan_in, report_in

EPILOG = """\
Examples:
  amsctl show plan.json
  amsctl show plan.json --format json | jq .summary
  amsctl show plan.json --format markdown > comment.md   for a merge request
  amsctl show plan.json --format markdown --size summary > summary.md
  amsctl show plan.json --format csv > plan.csv          for a spreadsheet
  amsctl show plan.json --format github                  annotations at GitHub
  amsctl show report.json --plan plan.json   tell the report in the plan's words
  amsctl plan --format json | amsctl show -
"""


@click.command("show", cls=Command, epilog=EPILOG)
@click.argument("file", metavar="FILE")
@click.option(
    "--format",
    "form",
    type=click.Choice(PLAN_FORMATS),
    metavar="FORMAT",
    default="text",
    help=f"How to print it: {listed(PLAN_FORMATS)}; the default is text. A report has no sarif or gitlab-….",
)
@size_option
@click.option("--plan", "plan_file", metavar="PLAN", help="The plan that a report is about.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="Write out at most N changes; those that loosen are never left out.")
@pass_session
def command(session: Session, file: str, form: str, size: str, plan_file: str | None, limit: int | None) -> None:
    """Show a saved plan or an apply report.

    FILE is what plan -o or apply --format json wrote; - reads standard input. The file is checked: a plan that was changed after it was written is
    refused. The exit code tells whether the file could be shown, not what is in it.
    """
    from amsctl.applying.report import REPORT_FORMAT

    warn_of_ledger(session)
    content = read_content(file)
    value = json_value(content, file)
    if isinstance(value, dict) and value.get("format") == REPORT_FORMAT:
        _show_report(session, value, form, plan_file, limit_bytes=MARKDOWN_BYTES[size])
        return
    if plan_file is not None:
        raise click.UsageError("--plan goes with an apply report; FILE is none")
    _show_plan(session, content, value, file, form, limit=limit, limit_bytes=MARKDOWN_BYTES[size])


def _show_plan(session: Session, content: bytes, value: object, file: str, form: str, *, limit: int | None, limit_bytes: int) -> None:
    from amsctl.planning.plan import PLAN_FORMAT
    from amsctl.planning.planfile import PlanFile

    if not isinstance(value, dict) or value.get("format") != PLAN_FORMAT:
        found = value.get("format") if isinstance(value, dict) else None
        raise PlanFileError(
            "this is neither a plan nor an apply report",
            where=file,
            expected="a file with format amsctl.plan/v1 or amsctl.report/v1",
            found=repr(found)[:80] if found is not None else "no format at all",
        )
    plan = PlanFile.open(content, file).plan
    session.console.result("".join(plan_in(form, plan, session.console.look, limit=limit, limit_bytes=limit_bytes)))


def _show_report(session: Session, value: object, form: str, plan_file: str | None, *, limit_bytes: int) -> None:
    from amsctl.applying.report import decode_report
    from amsctl.planning.planfile import PlanFile

    if form not in REPORT_FORMATS:
        raise click.UsageError(f"a report has no format {form}; it has {', '.join(REPORT_FORMATS)}")
    report = decode_report(value)
    plan = None if plan_file is None else PlanFile.open(read_content(plan_file), plan_file).plan
    if plan is not None and plan.digest != report.plan_digest:
        raise PlanFileError("the report is about another plan", where=plan_file, expected=report.plan_digest, found=plan.digest)
    session.console.result("".join(report_in(form, report, plan, session.console.look, limit_bytes=limit_bytes)))
