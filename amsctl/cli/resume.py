"""``amsctl resume``: go on with a run that did not come to its end."""

from __future__ import annotations

import click

from amsctl.cli.apply import check_saved
from amsctl.cli.running import carry_out, project_ledger, refusals_told, run_options, show_report
from amsctl.cli.session import Session, pass_session
from amsctl.cli.shell import Command

EPILOG = """\
Examples:
  amsctl resume                 the last run against the environment
  amsctl resume 20261123T231726Z-ab12cd
  amsctl ledger log             names the runs
"""


@click.command("resume", cls=Command, epilog=EPILOG)
@click.argument("run", required=False, metavar="[RUN]")
@run_options
@pass_session
def command(session: Session, run: str | None, barrier: str | None, reason: str | None, events_path: str | None, form: str) -> int:
    """Go on with a run after a crash, a signal or a failure.

    Everything is read again first. Calls of which nobody knows what became are settled by reading; what has landed is left alone; what is still wanted
    of the same plan is sent. Where anything else moved, or the plan has expired, nothing is written (exit 4). Without RUN, the last one.
    """
    from amsctl import runs

    with project_ledger(session, create=False) as ledger:
        found = runs.find_run(ledger, run, ams=None if run is not None else session.environment().ams_name)
        plan = runs.plan_of(ledger, found)
    if runs.finished_well(found):
        session.console.note(f"run {found.id} came to its end with everything verified: nothing is left to do")
        return 0
    with refusals_told(session, plan, form):
        check_saved(session, plan)
        report = carry_out(
            session,
            plan,
            consent=f"agreed to when run {found.id} began",
            barrier=barrier,
            reason=reason,
            events_path=events_path,
            resumed=found,
        )
    show_report(session, plan, report, form)
    return report.exit_code
