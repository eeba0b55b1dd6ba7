"""``amsctl show``: a saved plan or report, as text or JSON."""

from __future__ import annotations

import click

from amsctl.cli.files import read_json
from amsctl.cli.session import Session, pass_session
from amsctl.cli.shell import Command
from amsctl.errors import PlanFileError

EPILOG = """\
Examples:
  amsctl show plan.json
  amsctl show plan.json --format json | jq .summary
  amsctl show report.json --plan plan.json   tell the report in the plan's words
  amsctl plan --format json | amsctl show -
"""


@click.command("show", cls=Command, epilog=EPILOG)
@click.argument("file", metavar="FILE")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print it.")
@click.option("--plan", "plan_file", metavar="PLAN", help="The plan that a report is about.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="Write out at most N changes; those that loosen are never left out.")
@pass_session
def command(session: Session, file: str, form: str, plan_file: str | None, limit: int | None) -> None:
    """Show a saved plan or an apply report.

    FILE is what plan -o or apply --format json wrote; - reads standard input. The file is checked: a plan that was changed after it was written is
    refused. The exit code tells whether the file could be shown, not what is in it.
    """
    from amsctl.applying.report import REPORT_FORMAT

    value = read_json(file)
    if isinstance(value, dict) and value.get("format") == REPORT_FORMAT:
        _show_report(session, value, form, plan_file)
        return
    if plan_file is not None:
        raise click.UsageError("--plan goes with an apply report; FILE is none")
    _show_plan(session, value, file, form, limit)


def _show_plan(session: Session, value: object, file: str, form: str, limit: int | None) -> None:
    from amsctl.planning.codec import decode, encode
    from amsctl.planning.consistency import check_consistency
    from amsctl.planning.plan import PLAN_FORMAT

    if not isinstance(value, dict) or value.get("format") != PLAN_FORMAT:
        found = value.get("format") if isinstance(value, dict) else None
        raise PlanFileError(
            "this is neither a plan nor an apply report",
            where=file,
            expected="a file with format amsctl.plan/v1 or amsctl.report/v1",
            found=repr(found)[:80] if found is not None else "no format at all",
        )
    plan = decode(value)
    check_consistency(plan)
    if form == "json":
        session.console.result_json(encode(plan))
        return
    from amsctl.views.plan_text import plan_text

    session.console.result(plan_text(plan, session.console.look, limit=limit))


def _show_report(session: Session, value: object, form: str, plan_file: str | None) -> None:
    from amsctl.applying.report import decode_report, encode_report
    from amsctl.planning.codec import decode
    from amsctl.views.report_text import report_text

    report = decode_report(value)
    plan = None if plan_file is None else decode(read_json(plan_file))
    if plan is not None and plan.digest != report.plan_digest:
        raise PlanFileError("the report is about another plan", where=plan_file, expected=report.plan_digest, found=plan.digest)
    if form == "json":
        session.console.result_json(encode_report(report))
    else:
        session.console.result(report_text(report, plan, session.console.look))
