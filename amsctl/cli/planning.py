"""What plan and apply share: the selection options, making a plan while showing how far it is, reading and writing plan files."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from amsctl.cli.files import json_value, read_content, write_atomically
from amsctl.views.formats import MARKDOWN_BYTES

if TYPE_CHECKING:
    from amsctl.cli.session import Session
    from amsctl.config import Project
    from amsctl.flow import BaseBranch
    from amsctl.manifests.load import Desired
    from amsctl.planning.plan import Plan, Selection

F = TypeVar("F", bound=Callable[..., Any])


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


def make_plan(session: Session, selection: Selection, *, base: str | None = None) -> Plan:
    """A fresh plan against the chosen environment, for a change that is to be merged into ``base``. Reads only."""
    from amsctl.manifests.load import load

    project, environment = session.project(), session.environment()
    desired = load(project, selection.paths, accounts=selection.accounts, labels=selection.labels)
    session.console.diagnostics(desired.warnings)

    # Not before: what is wrong in the manifests is told without waiting for the client's libraries, and their memory is not taken while files are read.
    from amsctl import flow
    from amsctl.ams.client import open_reader
    from amsctl.ams.clock import SystemClock
    from amsctl.commit import commit_of
    from amsctl.committed import held_against
    from amsctl.provenance.pipeline import pipeline_of
    from amsctl.operations.points import past_in

    branch = _base_branch(project, base, desired, selection)
    pipeline = pipeline_of(session.environ)
    wish = flow.Wish(
        project=project,
        environment=environment,
        desired=desired,
        selection=selection,
        git=commit_of(
            project.root,
            lambda tree: held_against(tree, project, desired, paths=selection.paths),
            base=None if branch is None else branch.commit,
            pusher=None if pipeline is None else pipeline.started_by,
        ),
        base=branch,
    )

    async def read_and_plan() -> Plan:
        async with open_reader(environment, project.requests) as reader:
            with session.console.progress("reading accounts", len(desired)) as progress:
                return await flow.make_plan(wish, reader, clock=SystemClock(), progress=progress, past=past)

    with past_in(project, environment, session.environ, SystemClock()) as past:
        return flow.run(read_and_plan())


def _base_branch(project: Project, ref: str | None, desired: Desired, selection: Selection) -> BaseBranch | None:
    """What holds on the branch ``ref``, against the whole of the manifests here."""
    if ref is None:
        return None
    from amsctl.base import base_branch
    from amsctl.manifests.load import load

    whole = desired if not (selection.paths or selection.accounts or selection.labels) else load(project)
    return base_branch(project, ref, whole)


# --- plan files ---


def write_plan(plan: Plan, path: str) -> None:
    """Write a plan file, whole or not at all, readable by its owner alone."""
    from amsctl.planning.codec import text_of

    write_atomically(path, text_of(plan), private=True)


def read_plan(path: str) -> Plan:
    """The plan in a file; PlanFileError when it is not one, or was touched after it was written."""
    from amsctl.planning.codec import check_text, decode

    content = read_content(path)
    value = json_value(content, path)
    plan = decode(value)
    check_text(plan, content, value)
    return plan
