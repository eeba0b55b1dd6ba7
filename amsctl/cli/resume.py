"""``amsctl resume``: go on with a run that did not come to its end."""

from __future__ import annotations

from contextlib import ExitStack

import click

from amsctl.cli.approving import read_reviews
from amsctl.cli.planning import base_option
from amsctl.cli.running import around_of, carry_out, project_ledger, refusals_told, run_options, show_report
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
@base_option
@click.option("--reviews", metavar="FILE", help="The reviews of the plan's request, read again (amsctl ci reviews), where reviews count.")
@run_options
@pass_session
def command(
    session: Session,
    run: str | None,
    base: str | None,
    reviews: str | None,
    barrier: str | None,
    reason: str | None,
    events_path: str | None,
    form: str,
) -> int:
    """Go on with a run after a crash, a signal or a failure.

    Everything is read again first, and the approvals and overrides that the run began under are judged again under today's rules. Calls whose outcome is
    unknown are settled by reading; what has landed is left alone; what is still wanted of the same plan is sent. Where anything else moved, or the plan
    has expired, nothing is written (exit 4). Without RUN, the last one.
    """
    from amsctl.ams.clock import SystemClock
    from amsctl.ledger.plans import plan_file_of
    from amsctl.operations import apply as operation
    from amsctl.operations import runs

    session.base = base
    with ExitStack() as stack:
        ledger = stack.enter_context(project_ledger(session, create=False, writes=True))
        found = runs.find_run(ledger, run, ams=None if run is not None else session.environment().ams_name)
        opened = plan_file_of(ledger, found)
        if runs.finished_well(found):
            session.console.note(f"run {found.id} came to its end with everything verified: nothing is left to do")
            return 0
        with refusals_told(session, opened.plan, form):
            session.environment_name = operation.environment_of(opened, session.environment_name)
            consent = f"agreed to when run {found.id} began"
            request = operation.ApplyRequest(
                file=opened,
                sources=session.sources(),
                environment=session.environment(),
                around=around_of(session, consent=consent, barrier=barrier, reason=reason, events_path=events_path, stack=stack),
            )
            ready = operation.resumable(found, request, SystemClock(), reviews=read_reviews(reviews))
            report = carry_out(session, request, ledger, lambda asked, kept: operation.resume(found, asked, ready, kept))
    show_report(session, opened.plan, report, form)
    return report.exit_code
