"""``amsctl get``: what the AMS holds now, as a table or for other programs."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from amsctl.cli.session import Session, pass_session
from amsctl.cli.shell import Command
from amsctl.cli.terminal import is_terminal

if TYPE_CHECKING:
    from amsctl.cli.live import Found

EPILOG = """\
Examples:
  amsctl get firms
  amsctl get accounts --firm GREENTEA_API_CLEARING2
  amsctl -e new-release get limits DV10121801A
  amsctl get limits 780/DV10121801A --format csv > limits.csv
  amsctl get suspensions --format json
"""


@click.command("get", cls=Command, epilog=EPILOG)
@click.argument("what", metavar="WHAT", type=click.Choice(["firms", "accounts", "limits", "suspensions", "products"]))
@click.argument("account", metavar="[ACCOUNT]", required=False)
@click.option(
    "--format", "form", type=click.Choice(["table", "json", "yaml", "csv"]), default="table", show_default=True, help="How to print it."
)
@click.option("--firm", metavar="FIRM", help="Only this clearing firm, by name or clearing id.")
@pass_session
def command(session: Session, what: str, account: str | None, form: str, firm: str | None) -> None:
    """Show what the AMS holds now.

    WHAT is firms, accounts, limits, suspensions or products. ACCOUNT is an account number, or FIRM/NUMBER; without it, every account of the API ID
    is read. Reads only. Rows without any limit are not shown: the AMS lists them only when they have traded.
    """
    from amsctl.cli.live import read

    if what == "firms" and account is not None:
        raise click.UsageError("get firms takes no ACCOUNT")
    environment = session.environment()
    requests = session.project().requests
    with session.console.progress(f"reading {what}") as progress:
        found = asyncio.run(read(environment, requests, what, account=account, firm_text=firm, progress=progress))
    _print(session, found, environment.name, environment.url, form)


def _print(session: Session, found: Found, environment: str, url: str, form: str) -> None:
    from amsctl.views.tables import csv_text, grouped_table_text, table_text, yaml_text

    console = session.console
    document = {"format": f"amsctl.{found.what}/v1", "environment": environment, "url": url, found.what: found.items}
    match form:
        case "json":
            console.result_json(document)
        case "yaml":
            console.result(yaml_text(document))
        case "csv":
            console.result(csv_text(found.headers, found.rows))
        case _:
            look = console.look
            if not is_terminal(console.stdout):
                look = replace(look, width=sys.maxsize)  # a row is a line for grep and awk
            if found.what == "limits":
                narrow = [header.replace("execution_firm", "ef").replace("effective", "eff") for header in found.headers]
                console.result(grouped_table_text(narrow, found.rows, look, group=2))
            else:
                console.result(table_text(found.headers, found.rows, look))
            if not found.rows:
                console.note(f"the AMS holds no {found.what} here")
