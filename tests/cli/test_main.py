"""The error boundary: a line for a person, an exit code for a pipeline, and never a traceback."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from amsctl.cli import shell
from amsctl.cli.console import Console
from amsctl.cli.main import Terminated, main
from amsctl.diagnostics import Diagnostic, Source
from amsctl.errors import AmsctlError, ExitCode, ManifestErrors, Refused, Stale
from tests.cli.conftest import PROJECT, Run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> object:
    """Makes ``amsctl demo`` raise what a test wants."""

    def install(error: BaseException) -> None:
        @click.command("demo", cls=shell.Command)
        def command() -> None:
            raise error

        monkeypatch.setattr(shell.LazyGroup, "get_command", lambda self, ctx, name: command)

    return install


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (AmsctlError("what", where="w\x1b", expected="e", found="f", hint="h"), 1, "error: what (w\\u{1B}): expected e, found f; h"),
        (Stale("moved"), 4, "error: moved"),
        (Refused("no"), 3, "error: no"),
        (KeyboardInterrupt(), 130, "error: interrupted"),
        (click.Abort(), 130, "error: interrupted"),
        (Terminated(), 143, "error: terminated"),
        (click.exceptions.Exit(7), 7, ""),
        (click.ClickException("plain"), 1, "error: plain"),
        (RuntimeError("boom\x1b\n2"), 1, "error: internal error: RuntimeError: boom\\u{1B}\\u{A}2; this is a defect, please report it"),
        (AssertionError(), 1, "error: internal error: AssertionError; this is a defect, please report it"),
        (RecursionError("deep"), 1, "error: internal error: RecursionError: deep; this is a defect, please report it"),
    ],
)
def test_what_is_raised_becomes_a_line_and_a_code(run: Run, failing: object, error: BaseException, code: int, line: str) -> None:
    """Each kind of failure has its exit code and is one escaped line; no traceback."""
    failing(error)  # type: ignore[operator]
    ran = run("demo")
    assert (ran.code, ran.out, ran.err) == (code, "", line + "\n" if line else "")


def test_manifest_errors_are_shown_one_a_line(run: Run, failing: object) -> None:
    """All findings, then the count."""
    finding = Diagnostic(code="c", what="bad", source=Source("a.yaml", 2, 3))
    failing(ManifestErrors([finding, finding]))  # type: ignore[operator]
    ran = run("demo")
    assert ran.code == 1
    assert ran.err.splitlines()[:2] == ["error: bad (a.yaml:2:3)"] * 2
    assert ran.err.splitlines()[2].startswith("error: 2 errors in the manifests")


def test_developers_may_see_a_traceback(run: Run, failing: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only with AMSCTL_TRACEBACK=1."""
    failing(RuntimeError("boom"))  # type: ignore[operator]
    monkeypatch.setenv("AMSCTL_TRACEBACK", "1")
    assert "Traceback" in run("demo").err


NONSENSE = (
    *((), ("nope",), ("--nope",), ("get",), ("get", "nope"), ("show",), ("validate", "--format", "xml"), ("sandbox", "--port", "x")),
    *(("-C", "/nope", "get", "firms"), ("\x1b[2J",), ("completion", "tcsh"), ("--color", "red", "validate"), ("get", "firms", "A")),
    *(("sandbox", "--oddity", "x"), ("sandbox", "--fault", "x"), ("sandbox", "--fault", "[]"), ("sandbox", "--oddity", "x=1")),
)


@pytest.mark.parametrize("arguments", NONSENSE)
def test_usage_errors_exit_64(run: Run, arguments: tuple[str, ...]) -> None:
    """A command line that makes no sense: 64, nothing on standard output, nothing unescaped."""
    ran = run(*arguments)
    assert (ran.code, ran.out) == (64, "")
    assert "error: " in ran.err
    assert all(char.isprintable() for char in ran.err.replace("\n", ""))


def test_a_misspelt_command_gets_a_guess(run: Run) -> None:
    """The nearest command is named."""
    assert "Did you mean 'validate'?" in run("vaildate").err


def test_usage_errors_as_json(run: Run) -> None:
    """With --json-logs standard error is JSON alone, also when the command line is wrong."""
    err = run("--json-logs", "nope").err
    assert err.startswith('{"time"')
    assert err.count("\n") == 1
    assert '"exit_code": 64' in err


def test_version(run: Run) -> None:
    """The version is a result."""
    ran = run("--version")
    assert ran.code == 0
    assert ran.out.startswith("amsctl ")


def test_the_folder_is_changed_for_one_run(run: Run, tmp_path: Path) -> None:
    """-C runs as if started there, and leaves the process where it was."""
    before = os.getcwd()
    ran = run("-C", str(tmp_path), "validate")
    assert ran.code == 1
    assert "amsctl.yaml" in ran.err
    assert os.getcwd() == before


BYTE = "\udcff"
"""A byte that is no UTF-8, as Python hands it over."""


@pytest.mark.parametrize(
    ("arguments", "number", "shown"),
    [
        (("freeze", BYTE, "--reason", "x"), 2, "\\xff"),
        (("freeze", "GREENTEA", "--why", BYTE), 4, "\\xff"),
        (("thaw", "--reason", BYTE), 3, "\\xff"),
        (("apply", "freeze", f"--override={BYTE}"), 3, "--override=\\xff"),
        (("resume", "\udced\udca0\udc80"), 2, "\\xed\\xa0\\x80"),
        (("ledger", "blame", "a", "b", "\ud800"), 5, "\\ud800"),
        (("-C", BYTE, "validate"), 2, "\\xff"),
        ((BYTE,), 1, "\\xff"),
    ],
)
def test_an_argument_that_is_no_unicode(arguments: tuple[str, ...], number: int, shown: str, run: Run) -> None:
    """Refused where it enters, with its number and its bytes."""
    ran = run(*arguments)
    assert (ran.code, f"(argument {number}): expected UTF-8, found {shown};" in ran.err) == (64, True), ran.err


@pytest.mark.parametrize("reason", [("--reason", f"halt {BYTE}"), (f"--reason=halt {BYTE}",)])
def test_writes_are_stopped_whatever_the_reason_is_written_in(reason: tuple[str, ...], run: Run, tmp_path: Path) -> None:
    """An emergency is no time for an encoding: the byte is written as its number."""
    (tmp_path / "accounts").mkdir()
    (tmp_path / "amsctl.yaml").write_text(PROJECT.format(url="http://127.0.0.1:1/rest/v2", auth="{type: none}"))
    ran = run("-C", str(tmp_path), "freeze", *reason)
    assert ran.code == 0, ran.err
    assert "halt \\xff" in run("-C", str(tmp_path), "lock", "status").out


class Broken(io.StringIO):
    """A stream whose other end is gone, or full."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


def test_a_reader_who_leaves_ends_nothing() -> None:
    """A broken pipe is quiet and the exit code stands."""
    err = io.StringIO()
    assert main(["--version"], console=Console(stdout=Broken(BrokenPipeError()), stderr=err, environ={})) == 0
    assert err.getvalue() == ""


def test_a_result_that_cannot_be_written_is_an_error() -> None:
    """A full disk is told, and never exits 0."""
    err = io.StringIO()
    assert main(["--version"], console=Console(stdout=Broken(OSError(28, "No space left on device")), stderr=err, environ={})) == 1
    assert err.getvalue() == "error: the result could not be written to standard output: No space left on device\n"


def test_after_a_failure_nothing_more_is_written() -> None:
    """The first failure to write ends the output; it is told once."""
    console = Console(stdout=Broken(OSError(28, "No space left on device")), stderr=io.StringIO(), environ={})
    console.result("a")
    console.result("b")
    assert console.failure is not None
    assert console.failure.errno == 28


def test_in_a_thread_no_signal_is_touched() -> None:
    """The boundary can be used outside the main thread."""
    import threading

    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(main(["--version"], console=Console(stdout=io.StringIO(), environ={}))))
    thread.start()
    thread.join()
    assert codes == [0]


@pytest.mark.parametrize(("number", "code", "word"), [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")])
def test_signals_have_exit_codes(number: signal.Signals, code: int, word: str, tmp_path: Path) -> None:
    """A command that waits is ended by a signal with one line and the contract's code."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    child = subprocess.Popen(
        [sys.executable, "-m", "amsctl.cli.main", "show", str(pipe)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with open(pipe, "w"):
        child.send_signal(number)
        _, err = child.communicate(timeout=240)
    assert (child.returncode, err) == (code, f"error: {word}\n")


def test_a_signal_unwinds_a_command(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM ends a command that does not take it itself, and the process gets its own way of taking it back."""
    before = signal.getsignal(signal.SIGTERM)

    @click.command("demo", cls=shell.Command)
    def command() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(shell.LazyGroup, "get_command", lambda self, ctx, name: command)
    assert run("demo") == (143, "", "error: terminated\n")
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_a_finaliser_shows_no_traceback(run: Run, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Nothing can be raised from there: Python would show a traceback to the person who pressed Ctrl-C. Anything else in a finaliser is still shown."""
    shown: list[type[BaseException]] = []

    class Let:
        def __del__(self) -> None:
            signal.raise_signal(number)

    class Broken:
        def __del__(self) -> None:
            raise ValueError("broken")

    @click.command("demo", cls=shell.Command)
    def command() -> None:
        for made in (Let, Broken):
            kept = made()
            del kept

    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: shown.append(unraisable.exc_type))
    monkeypatch.setattr(shell.LazyGroup, "get_command", lambda self, ctx, name: command)
    assert run("demo").code == 0
    assert shown == [ValueError]


def test_a_folder_that_is_gone(run: Run, tmp_path: Path) -> None:
    """A working directory that was deleted is no defect."""
    before = os.getcwd()
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    try:
        gone.rmdir()
        assert run("--version").code == 0
    finally:
        os.chdir(before)


def test_head_leaves_quietly() -> None:
    """amsctl --help | head -1 prints no complaint."""
    done = subprocess.run(
        f"{sys.executable} -m amsctl.cli.main sandbox --help | head -1",
        shell=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.stdout.startswith("Usage: amsctl sandbox")
    assert done.stderr == ""


def test_exit_codes_are_the_contract() -> None:
    """The numbers that pipelines rely on."""
    assert {code.name: int(code) for code in ExitCode} == {
        "DONE": 0, "ERROR": 1, "CHANGES": 2, "REFUSED": 3, "STALE": 4, "PARTIAL": 5, "UNVERIFIED": 6, "LATER": 7, "APPROVAL": 8, "USAGE": 64,
        "INTERRUPTED": 130, "TERMINATED": 143,
    }  # fmt: skip
