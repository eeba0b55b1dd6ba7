"""What some tests want of the machine. Without it they skip, unless ``AMSCTL_TEST_REQUIRED`` names it: then they fail, as CI must not skip unseen."""

from __future__ import annotations

import os
from typing import Final, Literal, NoReturn

import pytest

Want = Literal["postgresql", "compiler", "root", "mount", "chromium", "openssh"]
VARIABLE: Final = "AMSCTL_TEST_REQUIRED"
"""Names of wants, with commas between them."""


def missing(want: Want, why: str) -> NoReturn:
    """Skip the test that asks, or fail it."""
    if want in os.environ.get(VARIABLE, "").split(","):
        pytest.fail(f"{VARIABLE} asks for {want}: {why}", pytrace=False)
    pytest.skip(why)
