"""The two streams of a run: the result to standard output, all else to standard error."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal, TextIO

from amsctl.cli.terminal import is_terminal
from amsctl.views.escape import visible
from amsctl.views.json_text import json_line, json_text
from amsctl.views.layout import wrap
from amsctl.views.style import Look

if TYPE_CHECKING:
    from amsctl.cli.progress import Progress
    from amsctl.diagnostics import Diagnostic
    from amsctl.errors import AmsctlError

SMALLEST_WIDTH: Final = 40
WIDTH_OF_A_TERMINAL: Final = 80
WIDTH_WITHOUT_TERMINAL: Final = 100


class Color(StrEnum):
    """The choice that ``--color`` takes."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Console:
    """Where a command speaks. ``result`` is for what was asked; ``note``, ``warn``, ``error`` and progress go to standard error.

    A reader who leaves (``| head``) ends the output and nothing else: the run goes on and its exit code stands. Any other failure to write the
    result is kept in ``failure`` for the error boundary.
    """

    def __init__(
        self,
        *,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        stdin: TextIO | None = None,
        environ: Mapping[str, str] | None = None,
        color: Color = Color.AUTO,
        json_logs: bool = False,
        verbosity: int = 0,
    ) -> None:
        self.stdout = stdout or sys.stdout or nobody("w")
        self.stderr = stderr or sys.stderr or nobody("w")
        self.stdin = stdin or sys.stdin or nobody("r")
        self.environ = os.environ if environ is None else environ
        self.color = color
        self.json_logs = json_logs
        self.verbosity = verbosity
        self.failure: OSError | None = None
        self.wrote = False
        """The AMS was written to: an exit code then tells of that alone, since 1 would say that nothing was written."""
        self._reader_left = False
        self._line_open = False
        for stream in (self.stdout, self.stderr):
            reconfigure = getattr(stream, "reconfigure", None)
            if reconfigure is not None:
                reconfigure(errors="backslashreplace")

    # --- what can be shown ---

    @property
    def look(self) -> Look:
        """What standard output can show."""
        return self._look(self.stdout)

    @property
    def log_look(self) -> Look:
        """What standard error can show."""
        return self._look(self.stderr)

    @property
    def interactive(self) -> bool:
        """Whether a person can be asked: standard input and standard error are terminals, and this is no pipeline, some of which give their jobs a terminal
        that no person reads.
        """
        from amsctl.provenance.pipeline import is_pipeline

        return is_terminal(self.stdin) and is_terminal(self.stderr) and not is_pipeline(self.environ)

    def _look(self, stream: TextIO) -> Look:
        return Look(color=self._colored(stream), unicode=_is_unicode(stream), width=self.width(stream))

    def _colored(self, stream: TextIO) -> bool:
        """``--color`` first; then NO_COLOR, then FORCE_COLOR and CLICOLOR_FORCE, then whether the stream is a terminal that is not dumb."""
        if self.color is not Color.AUTO:
            return self.color is Color.ALWAYS
        if self.environ.get("NO_COLOR"):
            return False
        if any(self.environ.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
            return True
        return is_terminal(stream) and self.environ.get("TERM") != "dumb"

    def width(self, stream: TextIO | None = None) -> int:
        """Columns: COLUMNS when set, the terminal's own, or 100 where there is none."""
        given = self.environ.get("COLUMNS", "")
        if given.isascii() and given.isdigit() and int(given) > 0:
            return max(SMALLEST_WIDTH, int(given))
        chosen = self.stdout if stream is None else stream
        if not is_terminal(chosen):
            return WIDTH_WITHOUT_TERMINAL
        try:
            return max(SMALLEST_WIDTH, os.get_terminal_size(chosen.fileno()).columns or WIDTH_OF_A_TERMINAL)
        except (OSError, ValueError):
            return WIDTH_OF_A_TERMINAL

    # --- the result ---

    def result(self, text: str) -> None:
        """Write what was asked for. A view made the text: everything foreign in it is escaped already."""
        if self._reader_left or self.failure is not None:
            return
        self._close_line()
        try:
            self.stdout.write(text if text.endswith("\n") or not text else text + "\n")
            self.stdout.flush()
        except BrokenPipeError:
            self._reader_left = True
            silence(self.stdout)
        except OSError as error:
            self.failure = error
            silence(self.stdout)

    def result_json(self, value: object) -> None:
        """Write a value as JSON."""
        self.result(json_text(value))

    # --- everything else ---

    def note(self, message: str, **fields: object) -> None:
        """Tell what goes on."""
        self._log("info", message, fields)

    def detail(self, message: str, **fields: object) -> None:
        """Tell what only ``-v`` shows."""
        if self.verbosity >= 1:
            self._log("debug", message, fields)

    def warn(self, message: str, **fields: object) -> None:
        """Tell what a person should look at."""
        self._log("warning", message, fields)

    def error(self, message: str, **fields: object) -> None:
        """Tell what went wrong, on one line."""
        self._log("error", message, fields)

    def failed(self, error: AmsctlError) -> None:
        """Tell why the run cannot go on."""
        parts = {name: getattr(error, name) for name in ("where", "expected", "found", "hint")}
        fields = {name: part for name, part in parts.items() if part is not None}
        self._log("error", str(error), {"code": error.code, "exit_code": int(error.exit_code), **fields})

    def diagnostics(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Tell findings in the input, one line each."""
        from amsctl.views.diagnostics_text import diagnostic_json, diagnostic_line

        look = self.log_look
        for diagnostic in diagnostics:
            if self.json_logs:
                fields = diagnostic_json(diagnostic)
                message = str(fields.pop("message"))
                level = str(fields.pop("severity")).replace("note", "info")
                self._log(level, message, {name: part for name, part in fields.items() if part is not None})
            else:
                self._write(self._broken(diagnostic_line(diagnostic, look)) + "\n")

    def show(self, text: str) -> None:
        """Write a view to standard error, such as the plan above a question; with JSON logs, nothing."""
        if not self.json_logs:
            self._write(text if text.endswith("\n") else text + "\n")

    def ask(self, question: str, *, accept: str = "yes") -> bool:
        """Whether a person typed exactly the word; the end of input is a no."""
        self._write(f"{visible(question)} ")
        try:
            answer = self.stdin.readline()
        except (OSError, UnicodeDecodeError):
            return False
        except KeyboardInterrupt:
            self._write("\n")  # what is said next begins a line
            raise
        if not answer:
            self._write("\n")
        return answer.strip() == accept

    def progress(self, what: str, total: int | None = None) -> Progress:
        """A context manager that shows how far a long read is: ``with console.progress("reading accounts", n) as p: p.advance(calls=3)``."""
        from amsctl.cli.progress import Progress

        return Progress(self, what, total)

    # --- standard error, from one place ---

    def live_line(self, text: str) -> None:
        """Overwrite the line at the bottom of the terminal; ``""`` takes it away."""
        if is_terminal(self.stderr):
            self._put(f"\r\x1b[2K{text}")
            self._line_open = bool(text)

    def _log(self, level: str, message: str, fields: Mapping[str, object]) -> None:
        if self.json_logs:
            self._write(json_line({"time": now(), "level": level, "message": message, **({"fields": fields} if fields else {})}) + "\n")
            return
        look = self.log_look
        match level:
            case "error":
                prefix = look.danger("error") + ": "
            case "warning":
                prefix = look.caution("warning") + ": "
            case "debug":
                prefix = look.quiet("debug") + ": "
            case _:
                prefix = ""
        self._write(self._broken(prefix + visible(message)) + "\n")

    def _broken(self, line: str) -> str:
        """A message on one line, which a terminal would break within words, broken between them; as it is where there is no terminal."""
        return "\n".join(wrap(line, width=self.width(self.stderr), indent="  ", first="")) if is_terminal(self.stderr) else line

    def _write(self, text: str) -> None:
        self._close_line()
        self._put(text)

    def _close_line(self) -> None:
        if self._line_open:
            self.live_line("")

    def _put(self, text: str) -> None:
        """Standard error may be closed or full: that never stops a run."""
        try:
            self.stderr.write(text)
            self.stderr.flush()
        except (OSError, ValueError):
            self._line_open = False


def now() -> str:
    """The time in UTC, ``YYYY-MM-DDTHH:MM:SS.mmmZ``."""
    instant = time.time()
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(instant))}.{int(instant % 1 * 1000):03d}Z"


def nobody(mode: Literal["r", "w"]) -> TextIO:
    """What stands for a stream that the shell closed (``>&-``): nothing is read from it, and nobody sees what is written to it."""
    return open(os.devnull, mode, encoding="utf-8")


def silence(stream: TextIO) -> None:
    """Send what is still buffered nowhere, so that closing the stream cannot fail."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError, AttributeError):
        return


def _is_unicode(stream: TextIO) -> bool:
    encoding = (getattr(stream, "encoding", None) or "utf-8").lower().replace("_", "-")
    return encoding.startswith("utf")
