"""``amsctl diff``: what two saved plans do not have in common."""

from __future__ import annotations

import click

from amsctl.cli.planning import read_plan
from amsctl.cli.session import Session, pass_session
from amsctl.cli.shell import Command
from amsctl.errors import ExitCode

EPILOG = """\
Examples:
  amsctl diff reviewed.json fresh.json
  amsctl diff --detailed-exitcode reviewed.json fresh.json   2 when they differ
  amsctl diff reviewed.json fresh.json --format json | jq .new
"""


@click.command("diff", cls=Command, epilog=EPILOG)
@click.argument("first", metavar="FIRST")
@click.argument("second", metavar="SECOND")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when the plans do not make the same changes.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print it.")
@pass_session
def command(session: Session, first: str, second: str, detailed_exitcode: bool, form: str) -> int:
    """Show what two saved plans do not have in common.

    Shows how SECOND differs from FIRST. Changes are compared by what they are about: an account, an execution firm, a leg of a row. The creation
    time of a plan is not a difference. Needs no network: both files are checked as show does.
    """
    from amsctl.planning.compare import compare
    from amsctl.views.compare_text import comparison_text, encode_comparison

    difference = compare(read_plan(first), read_plan(second))
    if form == "json":
        session.console.result_json(encode_comparison(difference))
    else:
        session.console.result(comparison_text(difference, session.console.look))
    return ExitCode.CHANGES if detailed_exitcode and not difference.same_changes else ExitCode.DONE
