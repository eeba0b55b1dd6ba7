"""Processes and stages for the tests of this folder; ``AMSCTL_CAMPAIGN`` above 1 (``make chaos``) plays the long forms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.chaos.processes import Processes
from tests.chaos.processes import processes as served
from tests.chaos.stage import Stage, opened
from tests.postgres import postgres

__all__ = ["postgres", "processes", "stage", "stages"]

STAGES = 8
"""Cases that are played at once: most of the time of each is spent waiting for a call that may still land."""


@pytest.fixture(scope="session")
def processes() -> Iterator[Processes]:
    with served() as server:
        yield server


@pytest.fixture(scope="session")
def stages(processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Stage]]:
    with ExitStack() as stack:
        yield [stack.enter_context(opened(tmp_path_factory.mktemp("stage"), processes)) for _ in range(STAGES)]


@pytest.fixture
def stage(stages: list[Stage]) -> Stage:
    return stages[0]
