"""How many there are."""

from __future__ import annotations

from tests.alone import (
    test_behind,
    test_clones,
    test_commits,
    test_introduced,
    test_past,
    test_plans,
    test_reviews,
    test_rules,
    test_runs,
)
from tests.alone.test_together import WAYS


def test_there_are_as_many_as_promised() -> None:
    """At least 120 of one person alone, and 40 honest ways."""
    tables = (test_behind, test_clones, test_commits, test_introduced, test_past, test_plans, test_reviews, test_rules, test_runs)
    assert sum(len(one.CASES) for one in tables) >= 240
    assert len(WAYS) >= 60
