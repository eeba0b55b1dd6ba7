"""``amsctl sandbox``: the stand-in for the AMS, in the foreground."""

from __future__ import annotations

import errno
import json
import signal
from typing import TYPE_CHECKING

import click

from amsctl.cli.session import Session, pass_session
from amsctl.cli.shell import Command
from amsctl.errors import AmsctlError, ExitCode, UsageError

if TYPE_CHECKING:
    from amsctl.sandbox.faults import Faults
    from amsctl.sandbox.oddities import Oddities
    from amsctl.sandbox.server import Sandbox
    from amsctl.sandbox.state import Book

EPILOG = """\
Examples:
  amsctl sandbox                      the firm of the example repository
  amsctl sandbox --port 0 --accounts 100 --products 20 --seed 7
  amsctl sandbox --state book.db      goes on where it stopped
  amsctl sandbox --auth oauth2 --api-id API_ME --secret-file secret.txt
  amsctl sandbox --oddity links=hostile --oddity unlimited_as=omit
  amsctl sandbox --fault '{"kind": "drop_after", "method": "POST", "times": 1}'
"""


@click.command("sandbox", cls=Command, epilog=EPILOG)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8480, show_default=True, help="The port; 0 takes any free one.")
@click.option("--state", metavar="FILE", help="Keep the book in this SQLite file; an existing one wins over --book and --accounts.")
@click.option("--book", "book_file", metavar="FILE", help="Start with the book in this JSON file.")
@click.option("--accounts", type=click.IntRange(1, 100_000), metavar="N", help="Start with a generated book of N accounts.")
@click.option(
    "--products", type=click.IntRange(1, 10_000), metavar="M", default=20, show_default=True, help="Products of each execution firm."
)
@click.option("--seed", type=int, metavar="S", default=0, show_default=True, help="The same seed gives the same book.")
@click.option(
    "--auth",
    type=click.Choice(["none", "basic", "oauth2", "session"]),
    default="none",
    show_default=True,
    help="How callers prove who they are.",
)
@click.option("--api-id", default="API_SANDBOX", show_default=True, help="The API ID that may call.")
@click.option("--secret-file", metavar="FILE", help="The file that holds its password; without it the password is sandbox.")
@click.option(
    "--principal", type=click.Choice(["both", "ef", "cmf"]), default="both", show_default=True, help="The sides that callers may change."
)
@click.option(
    "--oddity",
    "oddities",
    metavar="NAME=VALUE",
    multiple=True,
    help="Set a switch; may be repeated. A name that does not exist lists them all.",
)
@click.option(
    "--fault",
    "faults",
    metavar="JSON",
    multiple=True,
    help="Put a fault rule in force; may be repeated. A field that does not exist lists them all.",
)
@click.option("--control/--no-control", default=None, help="Serve the control endpoints; the default is only on a loopback address.")
@pass_session
def command(session: Session, /, **options: object) -> int:
    """Run a stand-in for the AMS to rehearse against.

    It speaks the whole ICC part of the API over real HTTP and keeps its book in memory, or in a file with --state. It runs until it is interrupted.
    Nothing in it reaches the real AMS.
    """
    return serve(session, **options)  # type: ignore[arg-type]  # click hands the options over as declared above


def serve(
    session: Session,
    *,
    host: str,
    port: int,
    state: str | None,
    book_file: str | None,
    accounts: int | None,
    products: int,
    seed: int,
    auth: str,
    api_id: str,
    secret_file: str | None,
    principal: str,
    oddities: tuple[str, ...],
    faults: tuple[str, ...],
    control: bool | None,
) -> int:
    """Serve until a signal arrives and give its exit code."""
    from amsctl.sandbox.auth import Auth, Credential
    from amsctl.sandbox.server import run

    if book_file is not None and accounts is not None:
        raise UsageError("--book and --accounts exclude each other")
    credential = Credential(id=api_id, secret=_secret(secret_file), principal=principal)  # type: ignore[arg-type]  # click checked the word
    gate = Auth(kind=auth, credentials=(credential,), principal=principal)  # type: ignore[arg-type]
    switches, rules = _oddities(oddities), _faults(faults)
    book = _book(book_file, accounts, products, seed)
    try:
        number = run(
            book,
            started=lambda sandbox: _announce(session, sandbox, auth, api_id),
            auth=gate,
            oddities=switches,
            faults=rules,
            host=host,
            port=port,
            state=state,
            control=_is_loopback(host) if control is None else control,
        )
    except OSError as error:
        hint = (
            "is an earlier amsctl sandbox still running? otherwise another --port, or 0 for any free one"
            if error.errno == errno.EADDRINUSE
            else "check --host, --port and --state"
        )
        found = error.strerror or str(error)
        raise AmsctlError("the sandbox cannot be started", where=f"{host}:{port}", found=found, hint=hint) from None
    except ValueError as error:
        raise AmsctlError(f"the sandbox cannot be started: {error}") from None
    return ExitCode.TERMINATED if number == signal.SIGTERM else ExitCode.INTERRUPTED


def _announce(session: Session, sandbox: Sandbox, auth: str, api_id: str) -> None:
    console, book = session.console, sandbox.book
    console.result(sandbox.url)
    held = sum(1 for _ in book.accounts())
    console.note(
        f"the sandbox holds {held:,} account{'s' if held != 1 else ''}; authentication: {auth}; stop it with Ctrl-C, or with kill %1 "
        "if it runs in the background",
        url=sandbox.url,
    )
    if auth == "oauth2":
        console.note(f"token endpoint: {sandbox.token_url}", token_url=sandbox.token_url)
    if auth != "none":
        console.note(f"API ID: {api_id}")


def _secret(file: str | None) -> str:
    if file is None:
        return "sandbox"
    try:
        with open(file, encoding="utf-8") as stream:
            secret = stream.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError("the secret cannot be read", where=file, found=getattr(error, "strerror", None) or "no UTF-8") from None
    if not secret:
        raise UsageError("the secret is empty", where=file)
    return secret


def _book(file: str | None, accounts: int | None, products: int, seed: int) -> Book:
    if accounts is not None:
        from amsctl.sandbox.generator import generate

        return generate(accounts, products, seed)
    from amsctl.sandbox.books import book_from_json, example_book

    if file is None:
        return example_book()
    try:
        return book_from_json(file)
    except OSError as error:
        raise AmsctlError("the book cannot be read", where=f"--book {file}", found=error.strerror) from None
    except ValueError as error:
        raise AmsctlError(f"not a book: {error}", where=f"--book {file}", hint="a JSON document with firms and accounts") from None


def _oddities(texts: tuple[str, ...]) -> Oddities:
    from amsctl.sandbox.oddities import Oddities

    switches = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError("a switch is not NAME=VALUE", where="--oddity", found=text)
        switches[name] = value
    try:
        return Oddities.from_mapping(switches)
    except ValueError as error:
        raise UsageError(str(error), where="--oddity") from None


def _faults(texts: tuple[str, ...]) -> Faults:
    from amsctl.sandbox.faults import Faults, Rule

    rules = Faults()
    for text in texts:
        try:
            document = json.loads(text)
            if not isinstance(document, dict):
                raise ValueError("not an object")
            rules.add(Rule.from_mapping(document))
        except ValueError as error:
            raise UsageError(f"not a fault rule: {error}", where="--fault", found=text[:80]) from None
    return rules


def _is_loopback(host: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
