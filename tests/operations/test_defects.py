"""Each planted defect is caught by the check of the situation that is named with it, and by exit codes and calls alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.operations.defects import DEFECTS
from tests.operations.estates import Estate
from tests.operations.test_one_door import CASES, by_command, originals, prepared

__all__ = ["originals"]


@pytest.mark.parametrize("name", sorted(DEFECTS))
def test_a_planted_defect_is_caught(name: str, originals: Callable[[str], Estate], tmp_path: Path) -> None:
    """Without it the situation ends as it must; with it otherwise: another exit code, or a call that nobody may make."""
    situation, planted = DEFECTS[name]
    kind, code, _ = CASES[situation]
    original = originals(kind)
    right = by_command(*prepared(situation, original, tmp_path))
    with planted():
        wrong = by_command(*prepared(situation, original, tmp_path))
    original.sandbox.reset()
    assert (right[0], right[2] != []) == (code, code == 0)
    assert (wrong[0], wrong[2] != []) != (code, code == 0), f"{name} is not seen by {situation}: {wrong[:2]}"


def test_enough_defects() -> None:
    assert len(DEFECTS) >= 24
