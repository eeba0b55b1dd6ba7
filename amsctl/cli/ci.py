"""``amsctl ci``: what a pipeline does at GitHub or GitLab around plan and apply."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from amsctl.cli.files import read_content, write_atomically
from amsctl.cli.session import Session, pass_session
from amsctl.cli.shell import CommandGroup

if TYPE_CHECKING:
    from typing import IO

    from amsctl.forge.calls import Caller

EPILOG = """\
Examples:
  amsctl ci comment plan.md
  amsctl ci reviews -o reviews.json
"""


@click.group("ci", cls=CommandGroup, epilog=EPILOG)
def command() -> None:
    """Comment, read reviews, fetch the reviewed plan, keep an issue.

    For jobs of GitHub Actions and GitLab CI: which forge, repository, request and commit it is comes from the variables that these set, the token from
    GITHUB_TOKEN, or AMSCTL_GITLAB_TOKEN (else CI_JOB_TOKEN). Whatever fails ends with 1: a comment that is missing must not look like no changes.
    """


@contextmanager
def _caller(session: Session) -> Iterator[Caller]:
    from amsctl.forge.calls import Caller
    from amsctl.forge.pipeline import job_of

    with Caller(job_of(session.environ)) as caller:
        yield caller


def _text(path: str) -> str:
    content = sys.stdin.buffer.read() if path == "-" else read_content(path)
    return content.decode("utf-8", "replace")


COMMENT_EPILOG = """\
Examples:
  amsctl ci comment plan.md
  amsctl show plan.json --format markdown | amsctl ci comment -
  amsctl ci comment plan.md --marker new-release --plan plan.json
"""


@command.command("comment", epilog=COMMENT_EPILOG)
@click.argument("file", metavar="FILE")
@click.option("--marker", default="plan", metavar="NAME", help="Which of our comments it is; the default is plan.")
@click.option("--plan", metavar="FILE", help="The plan that it shows; reviews after it are known to be of that plan.")
@pass_session
def comment_command(session: Session, file: str, marker: str, plan: str | None) -> None:
    """Write FILE as the one comment on the request of this job.

    The comment of the last run is found by a hidden marker and edited in place. Only our own is: another account's that holds the marker is left alone.
    """
    from amsctl.cli.planning import read_plan
    from amsctl.forge.sticky import comment
    from amsctl.planning.content import content_of

    text = _text(file)
    content = None if plan is None else content_of(read_plan(plan))
    with _caller(session) as caller:
        address = comment(caller, text, marker, content=content)
    session.console.result(f"{address}\n")


REVIEWS_EPILOG = """\
Examples:
  amsctl ci reviews -o reviews.json
  amsctl ci reviews -o reviews.json --commit "$SHA" --artifact amsctl-plan
"""


@command.command("reviews", epilog=REVIEWS_EPILOG)
@click.option("-o", "--out", required=True, metavar="FILE", help="Where to write them.")
@click.option("--commit", metavar="COMMIT", help="Of the request that this commit came from; the default is this job's request or commit.")
@click.option(
    "--artifact", default="amsctl-plan", metavar="NAME", help="The artifact (GitHub) or job (GitLab) of its plans; default amsctl-plan."
)
@pass_session
def reviews_command(session: Session, out: str, commit: str | None, artifact: str) -> None:
    """Write who made a request, which plans it showed since when, and what reviewers said of it.

    For amsctl apply --reviews, where the project's approvals are reviews. What the forge lists in part is written down as unknown, and apply then counts
    no review.
    """
    from amsctl.ams.clock import SystemClock
    from amsctl.applying.means import stamp
    from amsctl.forge.requests import reviews_of
    from amsctl.views.json_text import json_text

    with _caller(session) as caller:
        found = reviews_of(caller, commit, stamp(SystemClock()), artifact=artifact, content=_content)
    write_atomically(out, json_text(found), private=True)
    session.console.note(f"reviews of {found['url']} written to {out}")


def _content(stream: IO[bytes]) -> str | None:
    """The content of the plan that a file holds; ``None`` where it is no plan that this version reads."""
    from amsctl.errors import PlanFileError
    from amsctl.planning.content import content_of
    from amsctl.planning.planfile import PlanFile

    try:
        return content_of(PlanFile.open(stream.read(), "the artifact").plan)
    except PlanFileError:
        return None


FETCH_EPILOG = """\
Examples:
  amsctl ci fetch -o plan.json
  amsctl ci fetch -o plan.json --commit "$GITHUB_SHA" --artifact amsctl-plan
"""


@command.command("fetch", epilog=FETCH_EPILOG)
@click.option("-o", "--out", required=True, metavar="FILE", help="Where to write the plan.")
@click.option("--commit", metavar="COMMIT", help="A commit that was merged; the default is this job's.")
@click.option(
    "--artifact", default="amsctl-plan", metavar="NAME", help="The artifact (GitHub) or job (GitLab) that holds it; default amsctl-plan."
)
@pass_session
def fetch_command(session: Session, out: str, commit: str | None, artifact: str) -> None:
    """Fetch the plan that was reviewed before a commit was merged.

    The newest that a pipeline of this repository, and not of a fork, made for the head of the request that the commit came from.
    """
    from amsctl.forge.artifact import reviewed_plan

    with _caller(session) as caller:
        pieces = (piece.decode("utf-8", "replace") for piece in _whole_lines(reviewed_plan(caller, artifact, commit)))
        write_atomically(out, pieces, private=True)
    session.console.note(f"plan written to {out}")


def _whole_lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes, cut at line ends, so that no character is cut."""
    rest = b""
    for piece in pieces:
        whole, end, rest = (rest + piece).rpartition(b"\n")
        yield whole + end
    yield rest


ISSUE_EPILOG = """\
Examples:
  amsctl ci issue drift.md --title "Limits have drifted" --label drift
  amsctl ci issue clean.md --title "Limits have drifted" --close
"""


@command.command("issue", epilog=ISSUE_EPILOG)
@click.argument("file", metavar="FILE")
@click.option("--title", required=True, metavar="TEXT", help="The issue's title.")
@click.option("--label", metavar="NAME", help="A label for a new one.")
@click.option("--marker", default="drift", metavar="NAME", help="Which of our issues it is; the default is drift.")
@click.option("--close", is_flag=True, help="Close it, with FILE as the last comment, where it is open.")
@pass_session
def issue_command(session: Session, file: str, title: str, label: str | None, marker: str, close: bool) -> None:
    """Keep one issue: open it with FILE, or edit it in place.

    For drift that a schedule finds: one issue, however often it runs, closed when everything is as the manifests say.
    """
    from amsctl.forge.sticky import issue

    text = _text(file)
    with _caller(session) as caller:
        address = issue(caller, text, marker, title=title, label=label, close=close)
    session.console.result(f"{address}\n" if address else "")
