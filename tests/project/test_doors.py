"""The doors, each the only one: who may let a plan through, open a plan file, start another program and write to the AMS. Read from the source."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.project.checkout import PACKAGE, sources

AUTHORISE = "operations/authorise.py"
Use = tuple[str, str]
"""Where a name comes from, and the name: ``("amsctl.applying.authorised", "grant")``."""


def uses(path: Path) -> Iterator[tuple[Use, int]]:
    """Every name of another module that a file takes, wherever it stands (in a function, for type checking alone), and each that it reaches as a member of
    a module that it imported, under whatever name it did.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.name, ""), node.lineno
                modules[alias.asname or alias.name.partition(".")[0]] = alias.name if alias.asname else alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            for alias in node.names:
                yield (node.module, alias.name), node.lineno
                modules[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            whole = ast.unparse(node)
            first, _, rest = whole.partition(".")
            if first in modules and rest.replace(".", "").isidentifier():
                module, _, name = f"{modules[first]}.{rest}".rpartition(".")
                yield (module, name), node.lineno


def calls(path: Path) -> Iterator[tuple[str, int]]:
    """The last name of everything that a file calls."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            target = node.func
            name = target.id if isinstance(target, ast.Name) else target.attr if isinstance(target, ast.Attribute) else ""
            yield name, node.lineno


def strangers(folder: Path, forbidden: Callable[[Use], bool], allowed: set[str]) -> list[str]:
    """Where a file that is not allowed to takes what is forbidden."""
    return [
        f"{place}:{line}: {'.'.join(use)}"
        for path in sources(folder)
        if (place := path.relative_to(folder).as_posix()) not in allowed
        for use, line in uses(path)
        if forbidden(use)
    ]


def _is(*wanted: Use) -> Callable[[Use], bool]:
    return lambda use: use in wanted


GRANT = _is(("amsctl.applying.authorised", "grant"), ("amsctl.applying.authorised", "_DOOR"))
EXECUTE = _is(
    ("amsctl.applying.executor", "execute"),
    ("amsctl.ams.writer", "open_writer"),
    ("amsctl.ams.writer", "Writer"),
    ("amsctl.ams.channel", "PostChannel"),
)
DECODE = _is(("amsctl.planning.codec", "decode"), ("amsctl.planning.codec", "decode_text"))
PROGRAMS = frozenset({"subprocess", "pty", "multiprocessing"})
STARTS = frozenset({"system", "popen", "fork", "forkpty", "posix_spawn", "posix_spawnp", "startfile", "create_subprocess_exec"})


def starts_a_program(use: Use) -> bool:
    """``subprocess`` and everything else of Python that starts another program."""
    module, name = use
    if module.partition(".")[0] in PROGRAMS:
        return True
    return module in {"os", "asyncio"} and (name in STARTS or name.startswith(("exec", "spawn", "create_subprocess")))


PROGRAMS_OF_OURS = {
    "provenance/git.py",
    "approvals/signatures.py",
    "manifests/apart.py",
    "sandbox/server.py",  # the stand-in for the AMS is no part of a plan's way: its server runs in a process of its own
}

# name → what is forbidden, and where alone it is allowed
DOORS: dict[str, tuple[Callable[[Use], bool], set[str]]] = {
    "to a write: a plan is let through": (GRANT, {AUTHORISE}),
    "to the AMS's writes": (EXECUTE, {"operations/runs.py", "ams/writer.py"}),
    "to a plan file": (DECODE, {"planning/planfile.py"}),
    "to git and to other programs": (starts_a_program, PROGRAMS_OF_OURS),
}


@pytest.mark.parametrize("door", DOORS)
def test_there_is_no_second_door(door: str) -> None:
    """No other module takes, imports or reaches what the door alone may use; imports for type checking included."""
    forbidden, allowed = DOORS[door]
    assert strangers(PACKAGE, forbidden, allowed) == []


@pytest.mark.parametrize("door", DOORS)
def test_each_door_is_in_use(door: str) -> None:
    """A rule whose names are gone protects nothing."""
    forbidden, allowed = DOORS[door]
    used = {place for place in allowed if any(forbidden(use) for use, _ in uses(PACKAGE / place))}
    assert used == allowed


def test_an_authorised_plan_is_made_in_one_place() -> None:
    """The type can be named by whatever carries a plan out, and is called by the one function that makes it."""
    made = [path.relative_to(PACKAGE).as_posix() for path in sources() for name, _ in calls(path) if name == "AuthorisedPlan"]
    assert made == ["applying/authorised.py"]


def test_a_plan_is_let_through_by_authorise_alone() -> None:
    """Within the module of the door, too, one function grants: after everything was derived."""
    tree = ast.parse((PACKAGE / AUTHORISE).read_text(encoding="utf-8"))
    grants = {
        function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "grant"
    }
    assert grants == {"authorise"}


@pytest.mark.parametrize(
    ("line", "door"),
    [
        ("from amsctl.applying.authorised import grant", "to a write: a plan is let through"),
        ("from amsctl.applying.authorised import grant as given", "to a write: a plan is let through"),
        ("import amsctl.applying.authorised as a\na.grant(1)", "to a write: a plan is let through"),
        ("import amsctl.applying.authorised\namsctl.applying.authorised.grant(1)", "to a write: a plan is let through"),
        ("from amsctl.applying import authorised\nx = authorised._DOOR", "to a write: a plan is let through"),
        ("if TYPE_CHECKING:\n    from amsctl.ams.writer import Writer", "to the AMS's writes"),
        ("def f():\n    from amsctl.applying.executor import execute", "to the AMS's writes"),
        ("from amsctl.ams import writer\nwriter.open_writer(1)", "to the AMS's writes"),
        ("from amsctl.planning import codec\ncodec.decode({})", "to a plan file"),
        ("from amsctl.planning.codec import decode_text", "to a plan file"),
        ("import subprocess", "to git and to other programs"),
        ("from subprocess import run", "to git and to other programs"),
        ("import os\nos.execv('git', [])", "to git and to other programs"),
        ("from os import system", "to git and to other programs"),
        ("import asyncio\nasyncio.create_subprocess_shell('x')", "to git and to other programs"),
    ],
)
def test_a_second_door_is_found(tmp_path: Path, line: str, door: str) -> None:
    """The rules are not vacuous: however the name is reached."""
    (tmp_path / "other.py").write_text(f"{line}\n", encoding="utf-8")
    assert strangers(tmp_path, DOORS[door][0], DOORS[door][1])
