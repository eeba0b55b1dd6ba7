"""The command line against the stand-in, as the contract describes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import project as plain_project
from tests.cli.conftest import run, sandbox
from tests.order import draining, stopped

__all__ = ["draining", "plain_project", "project", "run", "sandbox", "stopped"]


@pytest.fixture
def project(plain_project: Path) -> Path:
    """The same repository, without a cap on the pace, and patient for a moment only."""
    config = plain_project / "amsctl.yaml"
    config.write_text(config.read_text() + "  requests: {perSecond: unlimited, settleSeconds: 0.2, retries: 0}\n", encoding="utf-8")
    return plain_project
