"""``amsctl freeze``: a stop on writes, with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from amsctl.cli.lock import address, reason_of, who_acts
from amsctl.cli.running import project_ledger
from amsctl.cli.session import Session, pass_session
from amsctl.cli.shell import Command

if TYPE_CHECKING:
    from amsctl.ledger.store import Ledger
    from amsctl.ledger.values import Scope

EPILOG = """\
Examples:
  amsctl freeze --reason "RISK-1234 market event"    every clearing firm
  amsctl freeze GREENTEA_API_CLEARING2 --reason "RISK-1234 under review"
  amsctl -e new-release freeze --reason "desk asks for calm"
"""


@click.command("freeze", cls=Command, epilog=EPILOG)
@click.argument("firm", required=False, metavar="[FIRM]")
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the ledger and shown to whoever wants to write.")
@pass_session
def command(session: Session, firm: str | None, reason: str) -> None:
    """Stop every write to a clearing firm, or to all of them.

    Takes effect at the next call, including in running applies; cannot recall a call already sent. Until amsctl thaw, apply and resume exit 7 and
    send nothing. FIRM is the AMS's own name for it, or its clearing id. Needs neither the AMS nor its credentials.
    """
    from amsctl.ledger.values import ALL_FIRMS, Scope

    why = reason_of(reason)
    environment, ams, url = address(session)
    scope = Scope(ams, ALL_FIRMS if firm is None else _named(firm))
    console = session.console
    with project_ledger(session) as ledger:
        held = next((freeze for freeze in ledger.freezes(ams) if freeze.scope == scope), None)
        # What is frozen already stays as it is, with its first reason.
        freeze = held if held is not None else ledger.freeze(scope, url=url, reason=why, by=who_acts(session))
        if firm is not None:
            _warn_of_strange_names(session, ledger, scope)
    what = f"writes to {'every clearing firm' if firm is None else firm} at {environment} ({url})"
    if held is not None:
        console.note(f"{what} are frozen already, since {freeze.since} by {freeze.by}: {freeze.reason}")
    else:
        console.note(f"{what} are frozen since {freeze.since}; amsctl thaw lifts it")


def _named(firm: str) -> str:
    """The name of one clearing firm; a usage error for the sign that stands for all of them, and for nothing."""
    from amsctl.ledger.values import ALL_FIRMS

    if not firm.strip() or firm == ALL_FIRMS:
        raise click.UsageError("FIRM names one clearing firm; leave it out for every one of them")
    return firm


def _warn_of_strange_names(session: Session, ledger: Ledger, scope: Scope) -> None:
    """A freeze of a name that nobody writes to stops nothing, which is worse than none."""
    from amsctl.ledger.history import known_firms

    known = known_firms(ledger, scope.ams)
    if scope.firm not in known:
        names = f"it knows {', '.join(known)}" if known else "it knows none yet"
        session.console.warn(
            f"the ledger knows no clearing firm {scope.firm} here ({names}); the freeze holds only if this is the AMS's own name for it, "
            "or its clearing id, which amsctl get firms shows. Without FIRM, every clearing firm is frozen"
        )
