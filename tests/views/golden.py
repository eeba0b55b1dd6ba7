"""Golden texts: what a view gave when a person last looked at it. ``AMSCTL_UPDATE_GOLDEN=1`` writes them anew; look at the difference before committing."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "golden"


def assert_golden(name: str, text: str) -> None:
    path = FOLDER / f"{name}.txt"
    if os.environ.get("AMSCTL_UPDATE_GOLDEN") == "1":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{path} differs; AMSCTL_UPDATE_GOLDEN=1 writes it anew"
