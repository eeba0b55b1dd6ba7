"""The checkout itself, for tests about the project around the code."""

from __future__ import annotations

import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "amsctl"


@cache
def tracked_files() -> tuple[Path, ...]:
    """Every file that git tracks and that is still there; skips the test in an unpacked source archive."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True, text=True).stdout
    return tuple(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())


@cache
def pyproject() -> dict[str, Any]:
    """pyproject.toml as written."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def sources(folder: Path = PACKAGE) -> tuple[Path, ...]:
    """Every Python file below a folder, in a fixed order."""
    return tuple(sorted(folder.rglob("*.py")))
