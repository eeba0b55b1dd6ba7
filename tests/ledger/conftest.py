"""Every test of the ledger runs on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from amsctl.ledger.store import Ledger, open_ledger
from tests.ledger.samples import Place, TestClock
from tests.postgres import postgres  # noqa: F401 - a fixture


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A place for a ledger where none is yet."""
    if request.param == "sqlite":
        yield Place(path=tmp_path / "folder" / "ledger.db")
        return
    server = request.getfixturevalue("postgres")
    name = server.fresh()
    yield Place(server=server, name=name)
    server.drop(name)


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def ledger(place: Place, clock: TestClock) -> Iterator[Ledger]:
    with open_ledger(place.url, clock=clock) as opened:
        yield opened
