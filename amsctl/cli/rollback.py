"""``amsctl rollback``: the plan that takes back what a run changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from amsctl.cli.planning import base_option, note_makers, write_plan
from amsctl.cli.running import project_ledger
from amsctl.cli.session import Session, pass_session
from amsctl.cli.shell import Command
from amsctl.views.plan_text import plan_text

if TYPE_CHECKING:
    from amsctl.planning.plan import Plan

EPILOG = """\
Examples:
  amsctl rollback 20261123T231726Z-ab12cd -o back.plan.json
  amsctl show back.plan.json
  amsctl apply back.plan.json   as any other plan: checked, ordered, recorded
"""


@click.command("rollback", cls=Command, epilog=EPILOG)
@click.argument("run", metavar="RUN")
@click.option("-o", "--out", "out", metavar="FILE", required=True, help="Save the plan to FILE.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print the plan; the default is text.")
@base_option
@pass_session
def command(session: Session, run: str, out: str, form: str, base: str | None) -> None:
    """Write the plan that takes back what RUN changed; writes nothing at the AMS.

    Restores each value that the run changed and that is still as the run set it. Reports values changed since, and leaves them alone. The manifests
    still say otherwise: revert their commit too, or the next plan does the same again.
    """
    from amsctl.ams.client import open_reader
    from amsctl.ams.clock import SystemClock
    from amsctl.manifests.load import load
    from amsctl.operations import flow, runs
    from amsctl.operations.material import rollback_git
    from amsctl.operations.rollback import roll_back
    from amsctl.planning.codec import text_of
    from amsctl.provenance.people import asker

    session.base = base
    with project_ledger(session, create=False) as ledger:
        found = runs.find_run(ledger, run)
        session.environment_name = session.environment_name or found.environment
        sources, environment = session.sources(), session.environment()
        desired = load(sources.project, ())

        async def read_and_plan() -> Plan:
            async with open_reader(environment, sources.project.requests) as reader:
                return await roll_back(
                    found,
                    sources,
                    environment,
                    ledger,
                    reader,
                    SystemClock(),
                    desired=desired,
                    git=rollback_git(sources),
                    asked_by=asker(session.environ),
                )

        plan = flow.run(read_and_plan())
    write_plan(plan, out)
    session.console.note(f"plan saved to {session.seen(out)}")
    note_makers(session, plan)
    session.console.note("the manifests still say otherwise: revert their commit too, or the next plan does the same again")
    session.console.result("".join(text_of(plan)) if form == "json" else plan_text(plan, session.console.look))
