"""``amsctl demo``: the main job once, from start to end, against a sandbox of its own."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

import click

from amsctl.cli.session import Session, pass_session
from amsctl.cli.shell import Command
from amsctl.errors import AmsctlError, ExitCode
from amsctl.views.escape import visible

EPILOG = """\
Examples:
  amsctl demo                       everything in a temporary folder
  amsctl demo --keep ~/demo-limits  keep the limits repository there
"""

EXAMPLE_URL: Final = "http://127.0.0.1:8480/rest/v2"
"""Where the example's project file expects the sandbox; the demo puts its own in place of it."""
SCHEMA_LINE: Final = "# yaml-language-server: $schema=.."
"""How the line of a file of the example begins that names its schema in the clone of amsctl."""
KEPT: Final = "~/demo-limits"
"""Where the demo offers to keep its repository: a name that no page uses, and outside a clone, whose branch of record would rule it."""
EPHEMERAL: Final = "  ledger: {ephemeral: accepted}\n"
"""What the demo writes into its copy: its own ledger, which ends with it."""


class DemoFailed(AmsctlError):
    """A step of the demo did not end as it must: this installation does not work."""

    code = "demo"


@click.command("demo", cls=Command, epilog=EPILOG)
@click.option("--keep", metavar="DIR", help="Write the limits repository to DIR, which must not exist, and leave it there.")
@pass_session
def command(session: Session, keep: str | None) -> int:
    """Show a plan and an apply against the sandbox, from start to end.

    Starts a stand-in for the AMS inside this program on a free port, copies the example repository, validates, plans, applies the plan, and plans
    again, which finds nothing left to do. Nothing outside is touched.
    """
    from amsctl.resources import examples_folder
    from amsctl.sandbox.books import example_book
    from amsctl.sandbox.server import serve

    with tempfile.TemporaryDirectory(prefix="amsctl-demo-") as temporary, serve(example_book()) as sandbox:
        folder = os.path.join(temporary, "limits") if keep is None else keep
        try:
            shutil.copytree(examples_folder(), folder)
        except OSError as problem:
            raise DemoFailed(
                "the example repository cannot be copied",
                where=folder,
                found=problem.strerror or str(problem),
                hint="name a folder that does not exist yet",
            ) from None
        _forget_schemas(folder)
        _replace(folder, EXAMPLE_URL, sandbox.url)
        # In a pipeline, too: what the demo writes is at a sandbox that ends with it, and so may its record.
        _replace(folder, "  environments:\n", f"{EPHEMERAL}  environments:\n")
        say = session.console.result
        say(f"A sandbox AMS is running at {sandbox.url}, a limits repository is in {visible(folder)}.\n")
        plan_file = os.path.join(temporary, "plan.json")
        try:
            _run(session, "Check the manifests. No network is needed.", ["-C", folder, "validate"], 0)
            _run(session, "What would change? GETs only.", ["-C", folder, "plan", "-o", plan_file, "--detailed-exitcode"], 2)
            _run(session, "Carry out exactly that plan, and verify every step.", ["-C", folder, "apply", plan_file], 0)
            _run(session, "Plan again: nothing is left to do.", ["-C", folder, "plan", "--detailed-exitcode"], 0)
        finally:
            # What is kept belongs to ``amsctl sandbox``.
            _replace(folder, sandbox.url, EXAMPLE_URL)
            _replace(folder, EPHEMERAL, "")
        say(
            _NEXT.format(
                activate=_activate(session), folder=visible(keep) if keep else KEPT, init="" if keep else f"\n  amsctl demo --keep {KEPT}"
            )
        )
    return 0


_NEXT: Final = """\
Done: the second plan found no changes. What to try next:{activate}{init}
  amsctl sandbox                 the same AMS as a server, on port 8480
  amsctl -C {folder} get limits
                                 what it holds, in a second terminal
  edit a limit below {folder}/, then amsctl -C {folder} plan
  amsctl init ~/my-limits        a repository of your own, outside this one
"""


def _activate(session: Session) -> str:
    """The line that puts amsctl on the path, where it lies in a virtual environment and is not there yet."""
    if shutil.which("amsctl", path=session.environ.get("PATH", "")) is not None:
        return ""
    script = os.path.join(os.path.dirname(sys.executable), "activate")
    if not os.path.exists(script):
        return ""
    near = os.path.relpath(script)
    line = f". {visible(script if near.startswith(os.pardir) else near)}"
    return f"\n  {line:<29}  puts amsctl on the path of this shell"


def _forget_schemas(folder: str) -> None:
    """The copy without the lines that tell an editor where the schemas lie: they lie beside the original alone."""
    for path in Path(folder).rglob("*.yaml"):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(line for line in lines if not line.startswith(SCHEMA_LINE)), encoding="utf-8")


def _replace(folder: str, before: str, after: str) -> None:
    path = os.path.join(folder, "amsctl.yaml")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace(before, after))


def _run(session: Session, why: str, arguments: list[str], expected: int) -> None:
    """One command of the demo, shown as a user would type it, and run as one."""
    from amsctl.cli.main import run

    look = session.console.look
    session.console.result(look.bold(f"# {why}") + "\n" + look.quiet("$ amsctl " + visible(" ".join(arguments))))
    code = run(arguments, session.console)
    if code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
        raise click.exceptions.Exit(code)
    if code != expected:
        raise DemoFailed(
            "a step of the demo did not end as it must", where=" ".join(arguments), expected=f"exit code {expected}", found=str(int(code))
        )
    session.console.result("\n")
