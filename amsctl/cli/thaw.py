"""``amsctl thaw``: the end of a freeze."""

from __future__ import annotations

import click

from amsctl.cli.lock import address, reason_of, who_acts
from amsctl.cli.running import project_ledger
from amsctl.cli.session import Session, pass_session
from amsctl.cli.shell import Command

EPILOG = """\
Examples:
  amsctl thaw GREENTEA_API_CLEARING2 --reason "RISK-1234 reviewed"
  amsctl thaw --reason "RISK-1234 over"    a freeze of every clearing firm
  amsctl lock status                       shows what is frozen
"""


@click.command("thaw", cls=Command, epilog=EPILOG)
@click.argument("firm", required=False, metavar="[FIRM]")
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the ledger.")
@pass_session
def command(session: Session, firm: str | None, reason: str) -> None:
    """Allow writes again after a freeze.

    Lifts exactly the freeze that was made: of FIRM, or, without it, that of every clearing firm. One does not lift the other.
    """
    from amsctl.ledger.values import ALL_FIRMS, Scope

    why = reason_of(reason)
    environment, ams, url = address(session)
    scope = Scope(ams, ALL_FIRMS if firm is None else firm)
    with project_ledger(session, create=False, writes=True) as ledger:
        lifted = ledger.thaw(scope, url=url, reason=why, by=who_acts(session))
        left = ledger.freezes(ams)
    console = session.console
    what = f"{'every clearing firm' if firm is None else firm} at {environment} ({url})"
    if lifted is None:
        console.note(f"there was no freeze of {what} to lift")
    else:
        console.note(f"writes to {what} are allowed again; they were frozen since {lifted.since} by {lifted.by}: {lifted.reason}")
    for freeze in left:
        if firm is None or freeze.scope.firm in (firm, ALL_FIRMS):
            name = "every clearing firm" if freeze.scope.firm == ALL_FIRMS else freeze.scope.firm
            console.warn(f"{name} at {environment} is still frozen, since {freeze.since} by {freeze.by}: {freeze.reason}")
