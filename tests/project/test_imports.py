"""The arrows between the rooms, and which room may know which library."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.project.checkout import PACKAGE, ROOT, pyproject, sources

# A library is known to the rooms named here and to no other.
OWNERS = {
    "httpx": {"ams", "forge"},
    "aiohttp": {"ams"},
    "yarl": {"ams"},
    "certifi": {"ams"},
    "yaml": {"manifests"},
    "jsonschema": {"manifests"},
    "click": {"cli"},
    "starlette": {"sandbox"},
    "uvicorn": {"sandbox"},
    "deepdiff": {"applying", "planning"},
    "jinja2": {"views"},
    "markupsafe": {"views"},
    "sqlalchemy": {"ledger"},
    "alembic": {"ledger"},
    "dateutil": {"windows"},
}

# Declared, and imported by nobody here.
ASKED_FOR_BY_OTHERS = {"tzdata"}  # zoneinfo reads it where the system has no time zones

# What is decided may depend on its inputs alone.
CLOCKS_AND_CHANCE = {"time", "datetime", "random", "secrets", "uuid", "socket", "asyncio", "threading", "subprocess", "os"}
# The one thing that a file takes of such a module, which computes with what it is given.
COMPUTES = {"amsctl/planning/points.py": ("datetime", "datetime.fromtimestamp"), "amsctl/wire/addresses.py": ("socket", "socket.inet_")}

FOUNDATION = ("model.py", "errors.py", "diagnostics.py", "config.py", "resources.py")

# Costly to load: a module that needs one of them is loaded by the command that needs it, never by `amsctl --help`.
HEAVY = (
    "httpx",
    "aiohttp",
    "jsonschema",
    "deepdiff",
    "starlette",
    "uvicorn",
    "asyncio",
    "yaml",
    "sqlalchemy",
    "alembic",
    "dateutil",
    "jinja2",
)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports anywhere in it, for type checking too, with its line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            assert node.module is not None
            yield node.module, node.lineno


def test_libraries_are_known_to_their_rooms_alone() -> None:
    """httpx and aiohttp belong to ams, YAML to manifests, click to cli, and so on; nothing unlisted is imported at all."""
    strangers = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sources()
        for name, line in imported(path)
        if (top := name.partition(".")[0]) not in sys.stdlib_module_names
        and top != "amsctl"
        and room_of(path) not in OWNERS.get(top, set())
    ]
    assert strangers == []


def test_what_is_declared_is_what_is_imported() -> None:
    """A library that is imported is a declared dependency, and none is asked of users that nothing imports."""
    modules = {"pyyaml": "yaml", "python-dateutil": "dateutil"}
    declared = {re.split(r"[^A-Za-z0-9._-]", text)[0] for text in pyproject()["project"]["dependencies"]}
    used = {top for path in sources() for name, _ in imported(path) if (top := name.partition(".")[0]) not in sys.stdlib_module_names}
    assert used - {"amsctl"} == {modules.get(name, name) for name in declared - ASKED_FOR_BY_OTHERS}
    assert declared >= ASKED_FOR_BY_OTHERS


@pytest.mark.parametrize("file", FOUNDATION)
def test_foundation_is_standard_library_only(file: str) -> None:
    """Values, errors and settings need nothing but Python."""
    foundation = {f"amsctl.{name.removesuffix('.py')}" for name in FOUNDATION}
    others = {name for name, _ in imported(PACKAGE / file) if name.partition(".")[0] not in sys.stdlib_module_names} - foundation
    assert others == set()


@pytest.mark.parametrize("room", ["planning", "wire"])
def test_what_is_decided_depends_on_its_inputs_alone(room: str) -> None:
    """Planning and the wire formats know no clock, no chance and no outside."""
    assert sources(PACKAGE / room)
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sources(PACKAGE / room)
        for name, line in imported(path)
        if name.partition(".")[0] in CLOCKS_AND_CHANCE and COMPUTES.get(str(path.relative_to(ROOT)), ("",))[0] != name
    ]
    assert found == []


@pytest.mark.parametrize("file", COMPUTES)
def test_what_computes_with_a_moment_or_an_address_asks_nobody(file: str) -> None:
    """The module that is let in is used for that alone: it is not asked what time it is, nor where a name leads."""
    module, allowed = COMPUTES[file]
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if f"{module}." in line and allowed not in line] == []


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    program = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    arguments = [sys.executable, "-c", program, "--no-cache", "--config", str(ROOT / "pyproject.toml")]
    return subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False, env={"PATH": "", "PYTHONPATH": str(folder)})


def test_imports_run_one_way() -> None:
    """No arrow between the rooms runs back or sideways."""
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("planning/backwards.py", "from amsctl.ams import writer"),
        ("manifests/sideways.py", "import amsctl.views.escape"),
        ("sandbox/shared.py", "import amsctl.wire"),
        ("model_of_all.py", ""),
    ],
)
def test_import_rules_can_fail(tmp_path: Path, file: str, line: str) -> None:
    """An arrow that runs back is found: the rules are not vacuous."""
    shutil.copytree(PACKAGE, tmp_path / "amsctl", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "amsctl" / file).write_text(f"{line}\n", encoding="utf-8")
    done = lint_imports(tmp_path)
    if line:
        assert done.returncode == 1
        assert "BROKEN" in done.stdout
    else:
        assert done.returncode == 0, "a module without a forbidden import is no reason to fail"


@pytest.mark.parametrize("module", ["amsctl", "amsctl.cli.main"])
def test_start_loads_nothing_heavy(module: str) -> None:
    """Importing the package, or the command line, loads no HTTP, YAML, schema or event loop library."""
    program = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert loaded == []
