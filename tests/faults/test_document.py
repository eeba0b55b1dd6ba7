"""``docs/reliability.md`` names tests, and each is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")


def _section(title: str) -> str:
    return TEXT.partition(f"## {title}")[2].partition("\n## ")[0]


def test_whatever_is_not_promised_is_shown_by_a_test() -> None:
    """Every bullet of what cannot be promised names at least one test, and every test that is named exists."""
    bullets = re.split(r"^- ", _section("Not promised, because it cannot be"), flags=re.MULTILINE)[1:]
    assert len(bullets) >= 8
    for bullet in bullets:
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", bullet)
        assert named, bullet
        for path, test in named:
            assert f"\ndef {test}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{test}"


def test_whatever_is_promised_is_shown_by_a_test() -> None:
    """Every row of what is promised names a place, and it is there."""
    rows = [line for line in _section("Promised").splitlines() if line.startswith("|")][2:]
    assert len(rows) >= 10
    for row in rows:
        places = re.findall(r"`(tests/[\w/.]+)`", row)
        assert places, row
        assert all((ROOT / place).exists() for place in places), row
