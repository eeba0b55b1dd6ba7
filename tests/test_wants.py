"""What a test wants of the machine is asked for in one place, and CI is told when it is not there."""

from __future__ import annotations

import pytest

from tests import postgres
from tests.wants import VARIABLE, missing


def test_a_want_is_skipped_or_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """It skips with its reason; where it is required it fails."""
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(pytest.skip.Exception, match="nothing here"):
        missing("root", "nothing here")
    monkeypatch.setenv(VARIABLE, "postgresql,compiler")
    with pytest.raises(pytest.skip.Exception):
        missing("mount", "nothing here")
    with pytest.raises(pytest.fail.Exception, match="asks for compiler: nothing here"):
        missing("compiler", "nothing here")


def test_the_tests_of_postgresql_do_not_skip_where_it_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fixture itself, on a machine without a server."""
    monkeypatch.setattr(postgres, "binaries", lambda: None)
    monkeypatch.setenv(VARIABLE, "postgresql")
    with pytest.raises(pytest.fail.Exception, match="PostgreSQL is not installed"):
        next(postgres.postgres.__wrapped__())  # type: ignore[attr-defined]
