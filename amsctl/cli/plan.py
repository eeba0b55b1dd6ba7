"""``amsctl plan``: what would change."""

from __future__ import annotations

import click

from amsctl.cli.planning import base_option, listed, make_plan, note_makers, selection_options, size_option, write_plan
from amsctl.cli.running import warn_of_ledger
from amsctl.cli.session import Session, pass_session
from amsctl.cli.shell import Command
from amsctl.errors import ExitCode, UsageError
from amsctl.views.formats import MARKDOWN_BYTES, PLAN_FORMATS, plan_in

EPILOG = """\
Examples:
  amsctl plan                               everything, default environment
  amsctl -e new-release plan -o plan.json   save what is reviewed and applied
  amsctl plan --account DV10121801A -l desk=softs
  amsctl plan --base origin/main -o plan.json   main decides what guards it
  amsctl plan --detailed-exitcode           2 when changes are pending
  amsctl plan --format json | jq .summary
  amsctl plan -o plan.json --format markdown > comment.md
"""


@click.command("plan", cls=Command, epilog=EPILOG)
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("-o", "--out", metavar="FILE", help="Save the plan, for show and apply.")
@base_option
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when changes are pending.")
@click.option(
    "--format",
    "form",
    type=click.Choice(PLAN_FORMATS),
    metavar="FORMAT",
    default="text",
    help=f"How to print the plan: {listed(PLAN_FORMATS)}; the default is text.",
)
@size_option
@selection_options
@pass_session
def command(
    session: Session,
    paths: tuple[str, ...],
    out: str | None,
    base: str | None,
    detailed_exitcode: bool,
    form: str,
    size: str,
    accounts: tuple[str, ...],
    labels: tuple[str, ...],
) -> int:
    """Show what would change at the AMS; writes nothing there.

    Reads every declared account whole, compares it with the manifests, and prints each limit, suspension and status that would change, those that
    let more through first. PATH limits the manifests to files or folders.
    """
    from amsctl.planning.plan import Selection

    if out == "-":
        raise UsageError("-o names a file", found="-", hint="--format json prints the plan to standard output")
    session.base = base
    plan = make_plan(session, Selection(paths=paths, accounts=accounts, labels=labels))
    if out is not None:
        write_plan(plan, out)
        session.console.note(f"plan saved to {session.seen(out)}")
    warn_of_ledger(session)
    note_makers(session, plan)
    session.console.result("".join(plan_in(form, plan, session.console.look, limit_bytes=MARKDOWN_BYTES[size])))
    return ExitCode.CHANGES if detailed_exitcode and plan.changes else ExitCode.DONE
