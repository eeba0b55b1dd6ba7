"""What plan and apply share: the selection options, making a plan while showing how far it is, reading and writing plan files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from amsctl.cli.files import read_content, write_atomically
from amsctl.views.formats import MARKDOWN_BYTES

if TYPE_CHECKING:
    from amsctl.cli.session import Session
    from amsctl.planning.plan import Plan, Selection
    from amsctl.planning.planfile import PlanFile

F = TypeVar("F", bound=Callable[..., Any])


def listed(words: Sequence[str]) -> str:
    """``text, json or csv``, for a help that would not fit on a line as a metavar."""
    return f"{', '.join(words[:-1])} or {words[-1]}"


def selection_options(command: F) -> F:
    """``--account`` and ``-l``, the part of the repository that is meant."""
    command = click.option(
        "-l", "--label", "labels", multiple=True, metavar="KEY=VALUE", help="Only accounts with this label; repeatable."
    )(command)
    return click.option(
        "--account", "accounts", multiple=True, metavar="ACCOUNT", help="Only this account, NUMBER or FIRM/NUMBER; repeatable."
    )(command)


def size_option(command: F) -> F:
    """``--size``, how long the markdown may be."""
    return click.option(
        "--size",
        type=click.Choice(tuple(MARKDOWN_BYTES)),
        default="comment",
        help="What the markdown is for: a comment (64 KiB) or a step summary (1 MiB).",
    )(command)


def base_option(command: F) -> F:
    """``--base``, the branch of record."""
    return click.option(
        "--base",
        metavar="REF",
        help="The branch of record, as origin/main: its project file rules. Without it the event of the job or baseBranch names it.",
    )(command)


def note_makers(session: Session, plan: Plan) -> None:
    """Tells how many must approve where an author is not proven: the plan itself says what the rules ask for."""
    from amsctl.operations.agreement import makers_words

    sources = session.sources()
    words = makers_words(plan, sources, sources.rules)
    if words is not None:
        session.console.note(words)


def make_plan(session: Session, selection: Selection) -> Plan:
    """A fresh plan against the chosen environment. Reads only."""
    from amsctl.ams.clock import SystemClock
    from amsctl.operations.plan import make_plan, plan_request

    sources, environment, clock = session.sources(), session.environment(), SystemClock()
    request = plan_request(sources, environment, selection, clock, folder=session.directory)
    session.console.diagnostics(request.material.desired.warnings)
    return make_plan(request, session.environ, clock, watched=lambda total: session.console.progress("reading accounts", total))


# --- plan files ---


def write_plan(plan: Plan, path: str) -> None:
    """Write a plan file, whole or not at all, readable by its owner alone."""
    from amsctl.planning.codec import text_of

    write_atomically(path, text_of(plan), private=True)


def open_plan(path: str) -> PlanFile:
    """The plan file, opened by the checks that every command shares. PlanFileError."""
    from amsctl.planning.planfile import PlanFile

    return PlanFile.open(read_content(path), path)


def read_plan(path: str) -> Plan:
    """The plan in a file; PlanFileError when it is not one, or was touched after it was written."""
    return open_plan(path).plan
