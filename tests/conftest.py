"""Settings of the property tests: small in every run, large in a campaign (``AMSCTL_CAMPAIGN=N`` multiplies the examples).

And the search for secrets in whatever any test of the suite prints or leaves behind (``tests/hostile/canaries.py``).
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from amsctl.cli.console import Console
from amsctl.config import Secret
from tests.hostile.canaries import HUNT, Hunt

CAMPAIGN = int(os.environ.get("AMSCTL_CAMPAIGN", "1"))

settings.register_profile(
    "amsctl", max_examples=100 * CAMPAIGN, deadline=None, derandomize=CAMPAIGN == 1, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("amsctl")


@pytest.fixture
def hunt() -> Hunt:
    """The search of this test, to register canaries with."""
    return HUNT


@pytest.fixture(scope="session", autouse=True)
def _overheard() -> Iterator[None]:
    """Every secret that is configured is looked for, in everything that a console says."""
    make, result, put = Secret.__init__, Console.result, Console._put

    def noted(self: Secret, text: str) -> None:
        make(self, text)
        HUNT.secret(text)

    def result_heard(self: Console, text: str) -> None:
        HUNT.search(text, "standard output")
        result(self, text)

    def put_heard(self: Console, text: str) -> None:
        HUNT.search(text, "standard error")
        put(self, text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Secret, "__init__", noted)
        patch.setattr(Console, "result", result_heard)
        patch.setattr(Console, "_put", put_heard)
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    """After each test: nothing that it printed, logged or left behind may hold a secret of its environments."""
    for _, kind, text in item._report_sections:
        HUNT.search(text, f"captured {kind}")
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if isinstance(folder, Path):
        HUNT.search_files(folder)
    outcome = yield  # fixtures end here, and may search on their own
    found = HUNT.taken()
    HUNT.forget()
    if found:
        pytest.fail("secrets came out:\n" + "\n".join(found), pytrace=False)
    return outcome
