"""``amsctl resolve``: find out what became of calls that nobody knows the outcome of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from amsctl.cli.running import project_ledger, undertaking_of
from amsctl.cli.session import Session, pass_session
from amsctl.cli.shell import Command
from amsctl.errors import ExitCode

if TYPE_CHECKING:
    from amsctl.operations.runs import Settled

EPILOG = """\
Examples:
  amsctl resolve                every account that waits for it
  amsctl resolve GREENTEA_API_CLEARING2/DV10121801A
"""


@click.command("resolve", cls=Command, epilog=EPILOG)
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print what was found; the default is text."
)
@pass_session
def command(session: Session, accounts: tuple[str, ...], form: str) -> int:
    """Read accounts that are in quarantine, and lift the quarantine.

    Reports and records the outcome of their last calls. Reads only; nothing is sent to the AMS but GETs. ACCOUNT is NUMBER or FIRM/NUMBER; without one,
    every account of the environment that waits for it. Exits 6 as long as one cannot be read.
    """
    from amsctl.operations import flow, runs
    from amsctl.views.ledger_text import settled_text

    with project_ledger(session, create=False, writes=True) as ledger:
        found = flow.run(runs.resolve(undertaking_of(session, ledger), accounts))
    if form == "json":
        session.console.result_json({"format": "amsctl.resolve/v1", "calls": [encoded(item) for item in found]})
    else:
        session.console.result(settled_text(found, session.console.look))
    return ExitCode.UNVERIFIED if any(item.settlement is None for item in found) else ExitCode.DONE


def encoded(item: Settled) -> dict[str, object]:
    """One settled call as JSON (``resolve --format json``)."""
    judged = item.settlement
    return {
        "clearing_firm": item.attempt.scope.firm,
        "account": item.attempt.account,
        "run": item.attempt.run,
        "step": item.attempt.step,
        "outcome": None if judged is None else judged.outcome.value,
        "message": item.problem if judged is None else judged.message,
        "found": [] if judged is None else list(judged.found),
    }
