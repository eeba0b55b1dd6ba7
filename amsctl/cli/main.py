"""The one error boundary: whatever happens in a command becomes a line for a person and an exit code for a pipeline."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final

import click

from amsctl.cli.console import Console
from amsctl.cli.session import Session
from amsctl.cli.shell import build
from amsctl.errors import AmsctlError, ExitCode, ManifestErrors, UsageError
from amsctl.masking import quoted
from amsctl.unicodes import is_unicode, readable
from amsctl.views.escape import visible, visible_lines

PROGRAM: Final = "amsctl"
COMPLETE_VARIABLE: Final = "_AMSCTL_COMPLETE"
"""Set by the script of ``amsctl completion`` while a shell asks for completions."""
TRACEBACK_VARIABLE: Final = "AMSCTL_TRACEBACK"
"""Set to 1, this environment variable shows developers the traceback of an internal error."""


def main(arguments: Sequence[str] | None = None, *, console: Console | None = None) -> int:
    """Run one command line and give its exit code; nothing is raised. ``arguments`` default to the process's own."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    console = Console(json_logs="--json-logs" in argv) if console is None else console
    code = run(argv, console)
    if console.failure is not None:
        console.error(f"the result could not be written to standard output: {console.failure.strerror}")
        code = code or (ExitCode.DONE if console.wrote else ExitCode.ERROR)
    return int(code)


def run(argv: Sequence[str], console: Console) -> int:
    """One command line; everything raised is translated here and nowhere else."""
    try:
        with _folder_kept(), _terminate_as_exception(), _quiet_finalisers():
            result = _invoke(_checked(argv), console)
    except click.exceptions.Exit as done:
        return done.exit_code
    except ManifestErrors as error:
        console.diagnostics(error.diagnostics)
        console.failed(error)
        return error.exit_code
    except AmsctlError as error:
        console.failed(error)
        return error.exit_code
    except click.UsageError as error:
        _usage(console, error)
        return ExitCode.USAGE
    except click.ClickException as error:
        console.error(error.format_message())
        return ExitCode.ERROR
    except (KeyboardInterrupt, click.Abort):
        console.error("interrupted")
        return ExitCode.INTERRUPTED
    except Terminated:
        console.error("terminated")
        return ExitCode.TERMINATED
    except Exception as error:  # the boundary: no traceback reaches a user
        return _defect(console, error)
    return result if isinstance(result, int) else ExitCode.DONE


def _checked(argv: Sequence[str]) -> list[str]:
    """The arguments, which must be Unicode. UsageError names the first that is not; why writes are stopped is written as well as it can be, since they must be
    stopped whatever the reason is called.
    """
    words: list[str] = []
    for number, word in enumerate(argv, 1):
        emergency = "freeze" in words and (words[-1] == "--reason" or word.startswith("--reason="))
        if not is_unicode(word) and not emergency:
            raise UsageError(
                "an argument is not valid Unicode",
                where=f"argument {number}",
                expected="UTF-8",
                found=quoted(readable(word)),
                hint="write it in UTF-8; a file or folder of such a name is to be renamed",
            )
        words.append(readable(word))
    return words


def _invoke(argv: Sequence[str], console: Console) -> object:
    """What the command gives back. Not by click's own ``main``: that one prints and exits by rules of its own."""
    group, session = build(), Session(console)
    instruction = os.environ.get(COMPLETE_VARIABLE)
    if instruction:
        from click.shell_completion import shell_complete

        return shell_complete(group, {"obj": session}, PROGRAM, COMPLETE_VARIABLE, instruction)
    with group.make_context(PROGRAM, list(argv), obj=session) as context:
        return group.invoke(context)


class Terminated(BaseException):
    """SIGTERM arrived while nothing caught it."""


def _usage(console: Console, error: click.UsageError) -> None:
    message = error.format_message().replace("\n\t", " ")  # click lists choices on lines of their own
    if console.json_logs:
        console.error(message, code="usage", exit_code=int(ExitCode.USAGE))
        return
    if error.ctx is not None:
        console.show(visible_lines(error.ctx.get_usage()))
        console.show(visible(f"Try '{error.ctx.command_path} --help' for help."))
        console.show("")
    console.error(message)


def _defect(console: Console, error: Exception) -> ExitCode:
    if os.environ.get(TRACEBACK_VARIABLE) == "1":
        import traceback

        console.show(visible_lines("".join(traceback.format_exception(error))))
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    console.error(
        f"internal error: {quoted(text, 500)}; this is a defect, please report it", code="internal", exit_code=int(ExitCode.ERROR)
    )
    return ExitCode.ERROR


@contextmanager
def _folder_kept() -> Iterator[None]:
    """``-C`` changes the working directory for one run alone."""
    try:
        before = os.getcwd()
    except OSError:
        before = None
    try:
        yield
    finally:
        if before is not None:
            os.chdir(before)


@contextmanager
def _quiet_finalisers() -> Iterator[None]:
    """A signal that arrives while Python lets an object go cannot be raised from there: it is dropped without a traceback."""
    before = sys.unraisablehook

    def dropped(unraisable: sys.UnraisableHookArgs) -> None:
        if not issubclass(unraisable.exc_type, (KeyboardInterrupt, Terminated)):
            before(unraisable)

    sys.unraisablehook = dropped
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextmanager
def _terminate_as_exception() -> Iterator[None]:
    """SIGTERM unwinds the run like Ctrl-C, unless the command that runs takes the signal itself."""

    def terminate(_: int, frame: FrameType | None) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    raise SystemExit(main())
