"""``amsctl lock``: who may write now, and taking a lock away from a run that is gone for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from amsctl.cli.running import project_ledger
from amsctl.cli.session import Session, pass_session
from amsctl.cli.shell import CommandGroup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from amsctl.manifests.project import Addressed

EPILOG = """\
Examples:
  amsctl lock status
  amsctl lock break 3f9c2a1b --reason "runner 7 was switched off"
"""


@click.group("lock", cls=CommandGroup, epilog=EPILOG)
def command() -> None:
    """Show who may write now, or break a lock.

    One run writes to a clearing firm at a time. Its lock is a lease: renewed while it runs, taken over by the next run when it has run out, and at
    once when its process is known to be gone.
    """


STATUS_EPILOG = """\
Examples:
  amsctl lock status                     every environment
  amsctl -e new-release lock status --format json
"""


@command.command("status", epilog=STATUS_EPILOG)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print it; the default is text.")
@pass_session
def status_command(session: Session, form: str) -> None:
    """Show the locks that are held, and the freezes.

    Each with who holds it, since when, for which run, and until when its lease lasts. With -e, of that environment alone.
    """
    from amsctl.views.ledger_json import encode_lock_status
    from amsctl.views.ledger_text import lock_status_text

    names = _names(session)
    with project_ledger(session, create=False) as ledger:
        ams = None if session.environment_name is None else address(session).ams
        locks, freezes = ledger.locks(ams), ledger.freezes(ams)
    if form == "json":
        session.console.result_json(encode_lock_status(locks, freezes, names=names))
    else:
        session.console.result(lock_status_text(locks, freezes, session.console.look, names=names))


BREAK_EPILOG = """\
Examples:
  amsctl lock status                     shows the id
  amsctl lock break 3f9c2a1b --reason "runner 7 was switched off"
"""


@command.command("break", epilog=BREAK_EPILOG)
@click.argument("lock_id", metavar="ID")
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the ledger.")
@pass_session
def break_command(session: Session, lock_id: str, reason: str) -> None:
    """Take a lock away from its holder; needs its whole ID.

    Only for a run that is gone for good and whose lease nobody wants to wait for. If it is alive after all, it writes nothing further; a call that it
    has sent may still land. amsctl resolve finds out.
    """
    with project_ledger(session, create=False, writes=True) as ledger:
        lock = ledger.break_lock(lock_id, by=who_acts(session), reason=reason_of(reason))
    holder = lock.holder
    session.console.note(
        f"lock {lock.id} on {lock.scope.firm} was taken away from run {lock.run} of {holder.user}@{holder.host}, process {holder.pid}; "
        f"amsctl resume {lock.run} settles what it left open"
    )


# --- what lock, freeze and thaw share ---


def address(session: Session) -> Addressed:
    """The chosen environment, the name of its AMS and its address; its credentials are not read, so that writes can be stopped from anywhere."""
    from amsctl.manifests.project import resolve_address

    return resolve_address(session.project(), session.environment_name)


def who_acts(session: Session) -> str:
    """Who does this, as the ledger keeps it."""
    from amsctl.provenance.people import who, who_words

    return who_words(who(session.environ, principal="", git_author=None))


def reason_of(text: str) -> str:
    """A reason that says something; a usage error otherwise."""
    if not text.strip():
        raise click.UsageError("--reason is empty")
    return text


def _names(session: Session) -> Mapping[str, str]:
    """The environments of the project by the name of their AMS."""
    from amsctl.manifests.project import resolve_address

    found: dict[str, str] = {}
    for name in session.project().environments:
        ams = resolve_address(session.project(), name).ams
        found[ams] = f"{found[ams]}, {name}" if ams in found else name
    return found
