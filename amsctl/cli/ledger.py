"""``amsctl ledger``: the record of every write, to look at, check and take elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click

from amsctl.cli.lock import address
from amsctl.cli.running import project_ledger
from amsctl.cli.session import Session, pass_session
from amsctl.cli.shell import CommandGroup
from amsctl.errors import ExitCode, LedgerFailed, UsageError

if TYPE_CHECKING:
    from amsctl.ledger.store import Ledger
    from amsctl.ledger.values import Head

EPILOG = """\
Examples:
  amsctl ledger log                     the last runs
  amsctl ledger blame DV10121801A       who last moved its limits
  amsctl ledger verify                  is it as it was written?
"""
SHOWN: Final = 20
"""How many runs and acts the log shows when nobody asks for more."""

_format = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print it; the default is text."
)
_since = click.option(
    "--since", "since_text", metavar="WHEN", help="Only since then: 7d, 12h, 2026-11-20 or 2026-11-20T09:30:00Z (UTC without an offset)."
)


@click.group("ledger", cls=CommandGroup, epilog=EPILOG)
def command() -> None:
    """Show, check and export the record of every write.

    The ledger holds an intent before each call to the AMS and its outcome after it: who, what, why, and what became of it. Each record carries the
    hash of the one before. With -e, log and export tell of that environment alone.
    """


# --- log ---

LOG_EPILOG = """\
Examples:
  amsctl ledger log --since 7d
  amsctl ledger log --run 20261123T231726Z-ab12cd    every call of one run
  amsctl ledger log --account DV10121801A            every call to one account
  amsctl -e new-release ledger log --format json
"""


@command.command("log", epilog=LOG_EPILOG)
@click.option("--account", metavar="ACCOUNT", help="What was sent to this account, NUMBER or FIRM/NUMBER.")
@_since
@click.option("--run", "run_name", metavar="RUN", help="What this run sent; the beginning of its name is enough.")
@click.option("--limit", type=click.IntRange(min=1), default=SHOWN, metavar="N", help=f"Show at most N runs; the default is {SHOWN}.")
@_format
@pass_session
def log_command(session: Session, account: str | None, since_text: str | None, run_name: str | None, limit: int, form: str) -> None:
    """Show runs, newest first: when, by whom, why, and how they ended.

    With --run or --account, every call with its changes and its outcome. Without, also freezes, thaws and broken locks.
    """
    from amsctl.ledger import history
    from amsctl.operations import runs
    from amsctl.views.ledger_json import encode_log
    from amsctl.views.ledger_text import log_text

    since = _moment(since_text)
    with project_ledger(session, create=False) as ledger:
        found = history.log(
            ledger,
            ams=_chosen_ams(session),
            since=since,
            limit=limit,
            run=None if run_name is None else runs.find_run(ledger, run_name),
            account=None if account is None else history.Asked(text=account),
        )
    if form == "json":
        session.console.result_json(encode_log(found))
    else:
        session.console.result(log_text(found, session.console.look))


# --- blame ---

BLAME_EPILOG = """\
Examples:
  amsctl ledger blame DV10121801A
  amsctl ledger blame GREENTEA_API_CLEARING2/DV10121801A 3N1
  amsctl -e new-release ledger blame DV10121801A 3N1 CJ.FUT.NYMEX
"""


@command.command("blame", epilog=BLAME_EPILOG)
@click.argument("account", metavar="ACCOUNT")
@click.argument("execution_firm", required=False, metavar="[EF]")
@click.argument("product", required=False, metavar="[PRODUCT]")
@_format
@pass_session
def blame_command(session: Session, account: str, execution_firm: str | None, product: str | None, form: str) -> None:
    """Show who last moved each limit, suspension and status of an account.

    From what to what, when, by which run and plan, why, and who agreed to it. Only changes that are known to have landed count; later calls with an
    unknown outcome are listed beside them. Changes that others made at the AMS are not in the ledger.
    """
    from amsctl.ledger import history
    from amsctl.views.ledger_json import encode_blame
    from amsctl.views.ledger_text import blame_text

    environment, ams, url = address(session)
    with project_ledger(session, create=False) as ledger:
        found = history.blame(ledger, history.Asked(text=account), ams=ams, execution_firm=execution_firm, product=product)
    if form == "json":
        session.console.result_json(encode_blame(found, environment=environment, url=url))
    else:
        session.console.result(blame_text(found, session.console.look, environment=environment, url=url))


# --- verify and head ---

VERIFY_EPILOG = """\
Examples:
  amsctl ledger verify
  amsctl ledger verify --head "$(cat ledger-head.txt)"    nothing was cut off
  amsctl ledger verify --format json
"""


@command.command("verify", epilog=VERIFY_EPILOG)
@click.option("--head", "anchor_text", metavar="SEQ:HASH", help="A head that ledger head printed earlier and that was kept outside.")
@_format
@pass_session
def verify_command(session: Session, anchor_text: str | None, form: str) -> int:
    """Check that every record is as it was written; name the first that is not.

    Hashes, numbering, order, what is derived from the records, and the plans. Only an anchored head (--head) reveals a truncated or completely
    rewritten ledger. Exits 1 when anything is wrong.
    """
    from amsctl.views.ledger_json import encode_verified
    from amsctl.views.ledger_text import verified_text

    console = session.console
    anchor = None if anchor_text is None else _head(anchor_text)
    with project_ledger(session, create=False) as ledger:
        try:
            with console.progress("checking records") as progress:
                verified = ledger.verify(anchor=anchor, progress=lambda done, total: progress.update(done=done, total=total))
        except LedgerFailed as broken:
            if form == "json":
                console.result_json(encode_verified(None, anchor, str(broken)))
            raise
    if form == "json":
        console.result_json(encode_verified(verified, anchor))
    else:
        console.result(verified_text(verified, anchor, console.look))
    return ExitCode.DONE


HEAD_EPILOG = """\
Examples:
  amsctl ledger head > ledger-head.txt       an artifact of the pipeline
  git notes append -m "$(amsctl ledger head)"
  amsctl ledger verify --head "$(cat ledger-head.txt)"
"""


@command.command("head", epilog=HEAD_EPILOG)
@_format
@pass_session
def head_command(session: Session, form: str) -> None:
    """Print the number and hash of the last record, SEQ:HASH, to be kept outside.

    Whoever can write to the ledger's database can cut off its end, or write all of it anew, and the chain alone would not show it. A head that was
    kept where they cannot write does.
    """
    from amsctl.views.ledger_json import encode_head

    with project_ledger(session, create=False) as ledger:
        head = ledger.head()
    if form == "json":
        session.console.result_json(encode_head(head))
    else:
        session.console.result(str(head))


# --- export ---

EXPORT_EPILOG = """\
Examples:
  amsctl ledger export --format jsonl -o ledger.jsonl
  amsctl ledger export --format csv --since 30d > sent.csv
  amsctl -e new-release ledger export --format csv -o sent.csv
"""


@command.command("export", epilog=EXPORT_EPILOG)
@click.option(
    "--format", "form", type=click.Choice(["jsonl", "csv"]), required=True, help="jsonl: every record whole; csv: one row per call sent."
)
@click.option("-o", "--out", "out", metavar="FILE", help="Write to FILE.")
@_since
@pass_session
def export_command(session: Session, form: str, out: str | None, since_text: str | None) -> None:
    """Write the ledger out, for other programs.

    jsonl: the records in the order of the chain, one JSON object a line. Without --since and -e the chain is whole and any program can check it: hash
    is the SHA-256 of the canonical JSON (RFC 8785) of a record's other members, previous the hash of the record before, 64 zeros in the first.
    csv: one row for each call that was sent; cells that a spreadsheet would take for a formula begin with an apostrophe.
    """
    from amsctl.cli.files import write_atomically

    since = _moment(since_text)
    with project_ledger(session, create=False) as ledger:
        ams = _chosen_ams(session)
        pieces = _jsonl(ledger, ams, since) if form == "jsonl" else _csv(ledger, ams, since)
        if out is not None:
            write_atomically(out, pieces, private=True)
        else:
            for piece in pieces:
                session.console.result(piece)
    if out is not None:
        session.console.note(f"exported to {session.seen(out)}")


def _jsonl(ledger: Ledger, ams: str | None, since: str | None) -> Iterator[str]:
    from amsctl.views.json_text import json_line
    from amsctl.views.ledger_json import encode_record

    for record in ledger.records(ams=ams, since=since):
        yield json_line(encode_record(record)) + "\n"


def _csv(ledger: Ledger, ams: str | None, since: str | None) -> Iterator[str]:
    from amsctl.ledger import history
    from amsctl.views.tables import csv_lines

    yield from csv_lines(history.COLUMNS, history.attempt_rows(ledger, ams=ams, since=since))


# --- what they share ---


def _moment(text: str | None) -> str | None:
    if text is None:
        return None
    from amsctl.ams.clock import SystemClock
    from amsctl.ledger.history import since

    return since(text, SystemClock().wall())


def _chosen_ams(session: Session) -> str | None:
    """The AMS of ``-e``; ``None``, which is every environment, without it."""
    return None if session.environment_name is None else address(session).ams


_HEAD: Final = re.compile(r"(0|[1-9][0-9]{0,17}):([0-9a-f]{64})")


def _head(text: str) -> Head:
    from amsctl.ledger.values import Head

    found = _HEAD.fullmatch(text.strip())
    if found is None:
        raise UsageError("--head is not a head", expected="SEQ:HASH as amsctl ledger head prints it", found=text)
    return Head(int(found[1]), found[2])
