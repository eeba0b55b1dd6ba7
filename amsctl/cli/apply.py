"""``amsctl apply``: carry out a plan."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from amsctl.cli.planning import make_plan, read_plan, selection_options
from amsctl.cli.session import Session, pass_session
from amsctl.cli.shell import Command
from amsctl.errors import ApprovalMissing, ExitCode, Interrupted, Stale, UsageError
from amsctl.views.plan_text import plan_text

if TYPE_CHECKING:
    from amsctl.applying.report import Report
    from amsctl.planning.plan import Plan

EPILOG = """\
Examples:
  amsctl apply plan.json        exactly what was reviewed, or nothing
  amsctl apply plan.json --format json --events events.jsonl
  amsctl apply                  plan, show, ask, apply
  amsctl apply --auto-approve   in a pipeline, on an unprotected environment
"""


@click.command("apply", cls=Command, epilog=EPILOG)
@click.argument("file", required=False, metavar="[FILE]")
@click.option("--auto-approve", is_flag=True, help="Do not ask before a fresh plan is applied.")
@click.option("--events", "events_path", metavar="FILE", help="Write each outcome to FILE as it happens, one JSON object a line.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print the report; the default is text.")
@selection_options
@pass_session
def command(
    session: Session,
    file: str | None,
    auto_approve: bool,
    events_path: str | None,
    form: str,
    accounts: tuple[str, ...],
    labels: tuple[str, ...],
) -> int:
    """Carry out a plan and verify every step.

    With FILE, a saved plan is carried out exactly: it was reviewed, so nothing is asked. Without, a fresh plan is shown and a person is asked; where
    nobody can be asked, --auto-approve is needed. Live state, target and manifests must be what the plan saw, or nothing is written (exit 4).
    """
    if file is not None and (accounts or labels):
        raise UsageError(
            "a saved plan is carried out whole", found="--account or -l beside FILE", hint="make a plan of the part that you mean"
        )
    if file is not None:
        plan = read_plan(file)
        try:
            _check_saved(session, plan)
        except Stale as moved:
            if form == "json":
                _show(session, plan, _untouched(plan, moved), form)
            raise
    else:
        plan = _fresh(session, accounts, labels, auto_approve=auto_approve)
    report = _carry_out(session, plan, events_path)
    session.console.wrote = any(step.attempts for step in report.steps)
    _show(session, plan, report, form)
    return report.exit_code


def _untouched(plan: Plan, moved: Stale) -> Report:
    """The report of a plan that was refused before the AMS was asked: every step is blocked, and says why."""
    from amsctl.ams.clock import SystemClock
    from amsctl.applying.executor import stamp
    from amsctl.applying.report import Report, StepReport
    from amsctl.model import Outcome

    now = stamp(SystemClock())
    steps = tuple(StepReport(id=step.id, outcome=Outcome.BLOCKED, message=moved.what) for step in plan.steps)
    return Report(plan_digest=plan.digest, started_at=now, finished_at=now, steps=steps, stale=(str(moved),))


def _check_saved(session: Session, plan: Plan) -> None:
    """Stale unless everything that can be checked without the AMS is as the plan saw it."""
    from amsctl import flow
    from amsctl.ams.clock import SystemClock
    from amsctl.manifests.load import load

    asked = session.environment_name
    if asked is not None and asked != plan.target.environment:
        raise Stale(
            "the plan was made for another environment", expected=plan.target.environment, found=asked, hint="leave out -e, or plan again"
        )
    session.environment_name = plan.target.environment
    flow.check_age(plan, SystemClock())
    flow.check_target(plan, session.project(), session.environment())
    chosen = plan.origin.selection
    desired = load(session.project(), chosen.paths, accounts=chosen.accounts, labels=chosen.labels)
    flow.check_manifests(plan, flow.manifests_hash(desired))


def _fresh(session: Session, accounts: tuple[str, ...], labels: tuple[str, ...], *, auto_approve: bool) -> Plan:
    """A fresh plan, shown and agreed to."""
    from amsctl import flow
    from amsctl.planning.plan import Selection

    environment = session.environment()
    if environment.protected:
        raise ApprovalMissing(
            f"environment {environment.name} is protected",
            expected="a saved plan",
            found="a fresh one",
            hint="amsctl plan -o plan.json, have it reviewed, then amsctl apply plan.json",
        )
    plan = make_plan(session, Selection(accounts=accounts, labels=labels))
    session.console.show(plan_text(plan, session.console.log_look))
    flow.check_findings(plan)
    if plan.changes and not auto_approve:
        _ask(session)
    return plan


def _ask(session: Session) -> None:
    if not session.console.interactive:
        raise ApprovalMissing(
            "nobody can be asked here", expected="a terminal", found="none", hint="apply a saved plan, or pass --auto-approve"
        )
    if not session.console.ask("Apply these changes? Only yes is taken for a yes:"):
        raise ApprovalMissing("declined", hint="nothing was written")


def _carry_out(session: Session, plan: Plan, events_path: str | None) -> Report:
    import asyncio

    from amsctl import flow
    from amsctl.applying.recorders import EventsFile
    from amsctl.cli.signals import stopping

    async def run() -> Report:
        with ExitStack() as stack:
            recorders = [stack.enter_context(EventsFile(events_path))] if events_path is not None else []
            progress = stack.enter_context(session.console.progress("applying steps", len(plan.steps)))
            stop = stack.enter_context(stopping(session.console))
            return await flow.carry_out(plan, session.project(), session.environment(), recorders=recorders, stop=stop, progress=progress)

    try:
        return flow.run(run())
    except asyncio.CancelledError:
        raise Interrupted(
            "stopped at once; calls under way may still take effect",
            exit_code=ExitCode.INTERRUPTED,
            hint="make a new plan: it shows what landed and what is still to do",
        ) from None


def _show(session: Session, plan: Plan, report: Report, form: str) -> None:
    from amsctl.applying.report import encode_report
    from amsctl.views.report_text import report_text

    if form == "json":
        session.console.result_json(encode_report(report))
    else:
        session.console.result(report_text(report, plan, session.console.look))
    if report.exit_code is not ExitCode.DONE:
        session.console.detail(f"exit code {int(report.exit_code)}")
