"""A shell can close a stream (``>&-``): the exit code still tells the truth, and nothing ends as a defect."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("--version >&-", 0, ""),
        ("plan --no-such-option 2>&-", 64, ""),
        ("show - <&-", 1, "error: standard input is closed (-)"),
        ("--version <&-", 0, "amsctl "),
    ],
)
def test_a_closed_stream_changes_no_exit_code(line: str, code: int, said: str) -> None:
    ran = subprocess.run(f'"{sys.executable}" -m amsctl.cli.main {line}', shell=True, cwd=HERE, capture_output=True, text=True, timeout=240)
    assert (ran.returncode, "internal error" in ran.stderr) == (code, False)
    assert said in ran.stdout + ran.stderr
