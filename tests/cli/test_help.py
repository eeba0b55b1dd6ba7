"""Help: every command has it, with examples that are real, and asking for it loads nothing."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from amsctl.cli.shell import COMMANDS, LazyGroup, build
from tests.cli.conftest import Run

ROOT = Path(__file__).resolve().parents[2]
NAMES = list(COMMANDS)
LEDGER_COMMANDS = frozenset({"resume", "resolve", "rollback", "ledger", "lock", "freeze", "thaw"})
HEAVY_OF_THE_LEDGER = ("sqlalchemy", "alembic", "dateutil", "psycopg")
HEAVY = ("asyncio", "httpx", "aiohttp", "jsonschema", "deepdiff", "ruamel", "starlette", "uvicorn", "ssl", "sqlite3", "logging", "email")


def command(name: str) -> click.Command:
    found: click.Command | None = build()
    for word in name.split():
        assert isinstance(found, click.Group)
        found = found.get_command(click.Context(found), word)
    assert found is not None
    return found


def all_names() -> list[str]:
    """Every command, and below a group (``ledger log``) each of its own."""
    found = []
    for name in NAMES:
        one = command(name)
        found += [name, *(f"{name} {child}" for child in (one.commands if isinstance(one, click.Group) else ()))]
    return found


ALL_NAMES = all_names()


@pytest.mark.parametrize("name", NAMES)
def test_the_table_is_what_the_commands_say(name: str) -> None:
    """amsctl --help shows a static line; it is the first line of the command's own help."""
    own = command(name)
    assert own.name == name
    assert (own.help or "").split("\n")[0].strip() == COMMANDS[name].line


@pytest.mark.parametrize("name", ALL_NAMES)
def test_help_fits_a_terminal(run: Run, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """80 columns hold every line, the examples included: a terminal breaks what is longer in the middle of a word."""
    monkeypatch.setenv("COLUMNS", "80")
    assert [line for line in run(*name.split(), "--help").out.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("name", ALL_NAMES)
def test_every_command_explains_itself(run: Run, name: str) -> None:
    """--help exits 0, speaks on standard output only, and shows examples unwrapped."""
    ran = run(*name.split(), "--help")
    assert (ran.code, ran.err) == (0, "")
    assert f"Usage: amsctl {name}" in ran.out
    assert f"\nExamples:\n  amsctl {name.split()[0]}" in ran.out
    assert re.search(rf"^  amsctl .*{name}", ran.out, re.MULTILINE)
    assert all(len(line) <= 100 for line in ran.out.splitlines())


@pytest.mark.parametrize("name", ALL_NAMES)
def test_the_examples_are_command_lines_that_exist(name: str) -> None:
    """Each example names a command and options that exist."""
    for line in (command(name).epilog or "").splitlines():
        first = re.split(r"\s{3,}| \| | > | && ", line.strip())[0]
        if not first.startswith("amsctl "):
            continue
        words = shlex.split(first)[1:]
        while words and words[0] in ("-C", "-e"):
            words = words[2:]
        target = command(words[0])
        if isinstance(target, click.Group):
            target = command(" ".join(words[:2]))
        known = {option for parameter in target.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word.split("=")[0] for word in words[1:] if word.startswith("-") and word != "-"} <= known, line


def test_the_main_help(run: Run) -> None:
    """All commands in their order, the global options, the exit codes."""
    ran = run("--help")
    assert (ran.code, ran.err) == (0, "")
    assert re.findall(r"^  ([a-z]+)  +[A-Z]", ran.out, re.MULTILINE) == NAMES
    for part in ("-C DIR", "--environment ENV", "--json-logs", "--verbose", "--color", "--version", "Examples:", "64 usage"):
        assert part in ran.out
    assert run("-h").out == ran.out


def modules_after(*arguments: str, cwd: Path) -> set[str]:
    """The modules that one run has loaded."""
    script = "import sys; from amsctl.cli.main import main; main(sys.argv[1:]); print(); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        check=True,
    )
    return set(done.stderr.splitlines()[-1].split())


def test_help_imports_no_command(tmp_path: Path) -> None:
    """The main help comes from the table alone."""
    loaded = modules_after("--help", cwd=tmp_path)
    assert not loaded & {entry.module for entry in COMMANDS.values()}
    assert not loaded & {*HEAVY, "yaml", "json"}


@pytest.mark.parametrize("name", [name for name in ALL_NAMES if name.split()[0] in LEDGER_COMMANDS])
def test_help_of_the_ledgers_commands_loads_no_database(name: str, tmp_path: Path) -> None:
    """Asking what ledger, lock, freeze or resume do opens nothing and loads no database library."""
    assert not modules_after(*name.split(), "--help", cwd=tmp_path) & {*HEAVY_OF_THE_LEDGER, "httpx"}


def test_validating_imports_nothing_heavy(project: Path) -> None:
    """amsctl validate ONE_FILE of a sound file loads neither the network nor the schema library."""
    loaded = modules_after("validate", "accounts/dv.yaml", cwd=project)
    assert not loaded & set(HEAVY)


def test_global_options_stand_before_or_after_the_command(run: Run, project: Path) -> None:
    """-C and --color are taken in both places."""
    assert run("-C", str(project), "validate").out == run("validate", "-C", str(project)).out == "Valid: 1 file, 1 document, 1 account.\n"
    assert "\x1b[1m" in run("get", "firms", "-C", str(project), "--color", "always", "-e", "sandbox").out
    assert run("validate", "-C", str(project), "-e", "nowhere").code == 0
    wrong = run("get", "firms", "-C", str(project), "-e", "nowhere", "--json-logs", "-v")
    assert wrong.code == 1
    assert wrong.err.startswith('{"time"')


def test_unknown_names_have_no_command() -> None:
    """The lazy group knows the table alone."""
    assert LazyGroup().get_command(click.Context(LazyGroup()), "nope") is None
    assert all(importlib.util.find_spec(entry.module) for entry in COMMANDS.values())
    assert importlib.import_module("amsctl.cli.show").command.name == "show"
