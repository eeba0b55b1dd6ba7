"""The command line and the stand-in, for tests through the whole of a plan."""

from __future__ import annotations

from tests.cli.conftest import run, sandbox

__all__ = ["run", "sandbox"]
