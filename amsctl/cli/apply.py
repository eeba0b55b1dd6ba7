"""``amsctl apply``: carry out a plan."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from amsctl.cli.approving import evidence_of
from amsctl.cli.planning import base_option, make_plan, open_plan, selection_options
from amsctl.cli.running import around_of, carry_out, project_ledger, refusals_told, run_options, show_report
from amsctl.cli.session import Session, pass_session
from amsctl.cli.shell import Command
from amsctl.errors import ApprovalMissing, UsageError
from amsctl.views.plan_text import plan_text

if TYPE_CHECKING:
    from amsctl.planning.planfile import PlanFile

EPILOG = """\
Examples:
  amsctl apply plan.json        exactly what was reviewed, or nothing
  amsctl apply plan.json --format json --events events.jsonl
  amsctl apply plan.json --barrier run --reason "RISK-1234 client default"
  amsctl apply                  plan, show, ask, apply
  amsctl apply p.json --override raised@sha256:6f1ed002ab55c0a4e1d3b2f58d7790aa
  amsctl apply plan.json --approval sam.approval.json   not beside the plan
  amsctl apply plan.json --reviews reviews.json --merged "$GITHUB_SHA"
  amsctl apply --auto-approve   in a pipeline, on an unprotected environment
"""


@click.command("apply", cls=Command, epilog=EPILOG)
@click.argument("file", required=False, metavar="[FILE]")
@click.option("--auto-approve", is_flag=True, help="Do not ask before a fresh plan is applied.")
@click.option(
    "--override",
    "overrides",
    multiple=True,
    metavar="GUARD@DIGEST",
    help="Carry the plan of that digest out although GUARD holds it up; recorded in the ledger; repeatable.",
)
@click.option(
    "--approval",
    "approvals",
    multiple=True,
    metavar="FILE",
    help="An approval (amsctl approve); those that lie beside the plan, as PLAN.NAME.approval.json, are found without it; repeatable.",
)
@click.option("--reviews", metavar="FILE", help="The reviews of the plan's pull or merge request (amsctl ci reviews).")
@click.option(
    "--merged",
    metavar="COMMIT",
    help="The merged commit. The branch of record must contain it and still declare the planned values for the changed accounts.",
)
@base_option
@run_options
@selection_options
@pass_session
def command(
    session: Session,
    file: str | None,
    auto_approve: bool,
    overrides: tuple[str, ...],
    approvals: tuple[str, ...],
    reviews: str | None,
    merged: str | None,
    base: str | None,
    barrier: str | None,
    reason: str | None,
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
    if file is None and (approvals or reviews or merged):
        raise UsageError(
            "approvals and merges are of a saved plan", found="--approval, --reviews or --merged without FILE", hint="amsctl plan -o FILE"
        )
    if file is None and overrides:
        raise UsageError(
            "an override is for a saved plan", found="--override without FILE", hint="amsctl plan -o FILE, and look at it first"
        )
    session.base = base
    asked = session.environment_name
    if file is not None:
        opened, consent = open_plan(file), f"saved plan {os.path.basename(file)}"
    else:
        opened, consent = _fresh(session, accounts, labels, auto_approve=auto_approve)
    from amsctl.ams.clock import SystemClock
    from amsctl.operations import apply as operation
    from amsctl.operations import flow  # not before: a wrong command line is told without waiting for it

    with refusals_told(session, opened.plan, form), ExitStack() as stack:
        session.environment_name = operation.environment_of(opened, asked)
        request = operation.ApplyRequest(
            file=opened,
            sources=session.sources(),
            environment=session.environment(),
            evidence=evidence_of(file, approvals, reviews, flow.overrides_of(overrides, opened.plan), merged),
            around=around_of(session, consent=consent, barrier=barrier, reason=reason, events_path=events_path, stack=stack),
        )
        clock, takes_back = SystemClock(), opened.plan.origin.rollback is not None
        early = None if takes_back else operation.reviewed(request, None, clock)  # refused before a ledger is made
        ledger = stack.enter_context(project_ledger(session))
        ready = early if early is not None else operation.reviewed(request, ledger, clock)
        report = carry_out(session, request, ledger, lambda asked, kept: operation.apply(asked, ready, kept))
    show_report(session, opened.plan, report, form)
    return report.exit_code


def _fresh(session: Session, accounts: tuple[str, ...], labels: tuple[str, ...], *, auto_approve: bool) -> tuple[PlanFile, str]:
    """A fresh plan, shown and agreed to, and how."""
    from amsctl.ams.clock import SystemClock
    from amsctl.operations import flow
    from amsctl.planning.plan import Selection
    from amsctl.planning.planfile import PlanFile
    from amsctl.provenance.people import user

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
    for rules in session.sources().rules:
        flow.check_findings(plan, rules.project.guards, saved=False)
        flow.check_policies(plan, rules.project.safeguards, SystemClock())
    opened = PlanFile.of(plan)
    if not plan.changes:
        return opened, "nothing to agree to"
    if auto_approve:
        return opened, "--auto-approve"
    _ask(session)
    session.look_again()
    flow.check_age(plan, SystemClock())  # who answers a day later has not seen what is there now
    return opened, f"yes at the terminal, by {user()}"


def _ask(session: Session) -> None:
    if not session.console.interactive:
        raise ApprovalMissing(
            "cannot prompt: no terminal", expected="a terminal", found="none", hint="apply a saved plan, or pass --auto-approve"
        )
    if not session.console.ask("Apply these changes? Only yes is taken for a yes:"):
        raise ApprovalMissing("declined", hint="nothing was written")
