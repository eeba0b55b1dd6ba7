"""Who gets what on which stream, in colour or not, as text or JSON."""

from __future__ import annotations

import io
import json
import os
from typing import Any

import pytest

from amsctl.cli.console import Color, Console, now, silence
from amsctl.cli.progress import Progress, duration
from amsctl.cli.terminal import is_terminal
from amsctl.diagnostics import Diagnostic, Severity, Source
from amsctl.errors import Stale
from tests.cli.conftest import Terminal


def console(*, terminal: bool = False, stdin: str = "", environ: dict[str, str] | None = None, **options: Any) -> Console:
    kind = Terminal if terminal else io.StringIO
    return Console(stdout=kind(), stderr=kind(), stdin=kind(stdin), environ=environ or {}, **options)


def text(stream: object) -> str:
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("terminal", "environ", "color", "expected"),
    [
        (True, {}, Color.AUTO, True),
        (False, {}, Color.AUTO, False),
        (True, {"NO_COLOR": "1"}, Color.AUTO, False),
        (True, {"NO_COLOR": ""}, Color.AUTO, True),
        (True, {"TERM": "dumb"}, Color.AUTO, False),
        (False, {"FORCE_COLOR": "1"}, Color.AUTO, True),
        (False, {"FORCE_COLOR": "0"}, Color.AUTO, False),
        (False, {"CLICOLOR_FORCE": "1"}, Color.AUTO, True),
        (False, {"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, Color.AUTO, False),
        (True, {"TERM": "dumb", "NO_COLOR": "1"}, Color.ALWAYS, True),
        (False, {}, Color.ALWAYS, True),
        (True, {"FORCE_COLOR": "1"}, Color.NEVER, False),
    ],
)
def test_colour(terminal: bool, environ: dict[str, str], color: Color, expected: bool) -> None:
    """The flag first, then NO_COLOR, then the forcing variables, then the terminal."""
    assert console(terminal=terminal, environ=environ, color=color).look.color is expected
    assert console(terminal=terminal, environ=environ, color=color).log_look.color is expected


def test_width() -> None:
    """COLUMNS, the terminal's own, 100 where there is none, never below 40."""
    assert console(environ={"COLUMNS": "140"}).width() == 140
    assert console(environ={"COLUMNS": "3"}).width() == 40
    assert console(environ={"COLUMNS": "x"}).width() == 100
    assert console().width() == 100
    assert console(terminal=True).width() == 80


def test_a_real_terminal_tells_its_width() -> None:
    """The size of a pseudo-terminal is asked of the stream itself."""
    import fcntl
    import struct
    import termios

    leader, follower = os.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 133, 0, 0))
    with os.fdopen(follower, "w", encoding="utf-8") as stream:
        assert Console(stdout=stream, stderr=stream, environ={}).width() == 133
    os.close(leader)


def test_ascii_streams_get_ascii() -> None:
    """Signs beyond ASCII are used only where they arrive; data that cannot be encoded is escaped, not fatal."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    shown = Console(stdout=stream, stderr=io.StringIO(), environ={})
    assert shown.look.unicode is False
    shown.result("→")
    assert raw.getvalue() == b"\\u2192\n"


def test_the_result_goes_to_standard_output_alone() -> None:
    """Notes, warnings and errors never mix with what was asked for."""
    it = console()
    it.result("r")
    it.result("")
    it.result_json({"a": 1})
    it.note("n\x1b")
    it.warn("w")
    it.error("e")
    it.detail("not shown")
    it.show("shown\n")
    assert text(it.stdout) == 'r\n{\n  "a": 1\n}\n'
    assert text(it.stderr) == "n\\u{1B}\nwarning: w\nerror: e\nshown\n"


def test_verbose() -> None:
    """-v shows details."""
    it = console(verbosity=1)
    it.detail("d")
    assert text(it.stderr) == "debug: d\n"


def test_json_logs() -> None:
    """Every line of standard error is one JSON object with time, level, message and fields; nothing else is written there."""
    it = console(json_logs=True, verbosity=1)
    it.note("n", calls=3)
    it.warn("w\u202e")
    it.detail("d")
    it.failed(Stale("moved", where="w", hint="h"))
    it.diagnostics([Diagnostic(code="c", what="x", source=Source("f", 1, 2), severity=Severity.NOTE)])
    it.show("a plan")
    lines = [json.loads(line) for line in text(it.stderr).splitlines()]
    assert [line["level"] for line in lines] == ["info", "warning", "debug", "error", "info"]
    assert all(len(line["time"]) == 24 and line["time"].endswith("Z") for line in lines)
    assert lines[0]["fields"] == {"calls": 3}
    assert lines[1]["message"] == "w\u202e"
    assert "fields" not in lines[1]
    assert lines[3]["fields"] == {"code": "stale", "exit_code": 4, "where": "w", "hint": "h"}
    assert lines[4] == {
        "time": lines[4]["time"], "level": "info", "message": "x (f:1:2)", "fields": {"code": "c", "what": "x", "file": "f", "line": 1, "column": 2},
    }  # fmt: skip
    assert text(it.stderr).isascii()


@pytest.mark.parametrize(
    ("answer", "agreed"), [("yes\n", True), (" yes \n", True), ("y\n", False), ("YES\n", False), ("", False), ("no\n", False)]
)
def test_only_yes_is_a_yes(answer: str, agreed: bool) -> None:
    """Nothing but the whole word agrees; the end of input declines."""
    it = console(terminal=True, stdin=answer)
    assert it.ask("Apply?") is agreed
    assert text(it.stderr) == ("Apply? " if answer else "Apply? \n")


def test_ctrl_c_at_the_question_ends_its_line() -> None:
    """What is said after an interrupted question begins a line of its own."""

    class Interrupted(io.StringIO):
        def readline(self, size: int = -1) -> str:  # type: ignore[override]
            raise KeyboardInterrupt

    it = Console(stdout=io.StringIO(), stderr=io.StringIO(), stdin=Interrupted(), environ={})
    with pytest.raises(KeyboardInterrupt):
        it.ask("Apply?")
    assert text(it.stderr) == "Apply? \n"


def test_an_unreadable_answer_is_a_no() -> None:
    """A broken terminal never agrees."""

    class Unreadable(io.StringIO):
        def readline(self, size: int = -1) -> str:  # type: ignore[override]
            raise OSError(5, "Input/output error")

    it = Console(stdout=io.StringIO(), stderr=io.StringIO(), stdin=Unreadable(), environ={})
    assert it.ask("Apply?") is False


def test_somebody_can_be_asked_only_at_a_terminal() -> None:
    """Standard input and standard error must both be terminals."""
    assert console(terminal=True).interactive is True
    assert console().interactive is False
    assert Console(stdout=io.StringIO(), stderr=io.StringIO(), stdin=Terminal(), environ={}).interactive is False


def test_closed_streams() -> None:
    """A closed standard error, or stream without a file, stops nothing."""
    closed = io.StringIO()
    closed.close()
    assert is_terminal(closed) is False
    Console(stdout=io.StringIO(), stderr=closed, environ={}).note("n")
    silence(io.StringIO())


def test_time_is_utc_with_milliseconds() -> None:
    """The form of times in JSON logs."""
    assert now()[10] == "T"
    assert now()[19] == "."


# --- progress ---


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_progress_on_a_terminal_is_one_line() -> None:
    """Redrawn in place, not more than ten times a second, and taken away at the end or by the next message."""
    it, clock = console(terminal=True, environ={"NO_COLOR": "1"}), Clock()
    with Progress(it, "reading accounts", 10_000, clock=clock) as progress:
        progress.advance(calls=1)
        assert text(it.stderr) == ""
        clock.now += 10
        progress(1200, 10_000, 3400)
        clock.now += 0.05
        progress.advance()
        assert text(it.stderr) == "\r\x1b[2Kreading accounts: 1,200/10,000 (12%), 340 calls/s, 1 min 13 s left"
        it.warn("w")
        assert text(it.stderr).endswith("\r\x1b[2Kwarning: w\n")
        clock.now += 1
        progress.advance()
    assert text(it.stderr).endswith("\r\x1b[2K")


def test_progress_elsewhere_is_a_heartbeat() -> None:
    """A plain line every 30 seconds, no cursor movement."""
    it, clock = console(), Clock()
    with Progress(it, "reading", None, clock=clock) as progress:
        for _ in range(65):
            clock.now += 1
            progress.advance(calls=2)
    assert text(it.stderr) == "reading: 30, 2 calls/s\nreading: 60, 2 calls/s\n"


def test_progress_as_json() -> None:
    """With --json-logs, also on a terminal, the heartbeat is JSON with its numbers apart."""
    it, clock = console(terminal=True, json_logs=True), Clock()
    with it.progress("reading", 0):
        pass
    with Progress(it, "reading", 4, clock=clock) as progress:
        clock.now += 31
        progress.update(done=4)
    line = json.loads(text(it.stderr))
    assert line["message"] == "reading: 4/4 (100%)"
    assert line["fields"] == {"done": 4, "total": 4, "calls": 0, "elapsed_seconds": 31.0}


def test_durations() -> None:
    """Seconds, minutes, hours."""
    assert [duration(seconds) for seconds in (0, 26.4, 59.6, 245, 3600, 4320)] == [
        "0 s",
        "26 s",
        "1 min 00 s",
        "4 min 05 s",
        "1 h 00 min",
        "1 h 12 min",
    ]


def test_a_message_is_broken_between_words_at_a_terminal() -> None:
    """What a terminal would break in the middle of a word; a log, where messages are lines, keeps each on one."""
    long = "the plan " + "was made for another environment " * 4
    source = Source("accounts/a.yaml", 3, 5)
    for terminal in (True, False):
        spoken = console(terminal=terminal, environ={"COLUMNS": "60", "NO_COLOR": "1"})
        spoken.error(long.strip())
        spoken.note("short")
        spoken.diagnostics([Diagnostic(code="x", what=long.strip(), source=source, severity=Severity.WARNING)])
        lines = text(spoken.stderr).splitlines()
        assert " ".join(line.strip() for line in lines).count(long.strip()) == 2
        assert "short" in lines
        assert all(len(line) <= 60 for line in lines) is terminal
        assert all(line.startswith(("error: ", "warning: ", "short", "  ")) for line in lines)
        assert (len(lines) == 3) is not terminal
    logged = console(terminal=True, json_logs=True, environ={"COLUMNS": "60"})
    logged.error(long)
    assert json.loads(text(logged.stderr))["message"] == long
