"""When a GET is tried again, how long to wait before, and when to stop. Writes are never tried again here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from amsctl.ams.clock import http_date

RETRIED_STATUSES: Final = frozenset({429, 502, 503, 504})
BASE_SECONDS: Final = 0.25
MOST_SECONDS: Final = 20.0
MOST_RETRY_AFTER_SECONDS: Final = 900.0
BUDGET_FLOOR: Final = 30
BUDGET_SHARE: Final = 0.1


def retry_after_seconds(text: str, now: float) -> float | None:
    """A Retry-After header (seconds or an HTTP date) as seconds from ``now`` (since 1970), from 0 to 15 minutes; ``None`` where it says nothing usable."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:12])
    else:
        moment = http_date(text)
        if moment is None:
            return None
        seconds = moment - now
    return min(max(seconds, 0.0), MOST_RETRY_AFTER_SECONDS)


def backoff_seconds(attempt: int, draw: Callable[[], float]) -> float:
    """The wait before try ``attempt`` + 1: full jitter, anywhere below a bound that doubles. ``draw`` gives a number in [0, 1)."""
    bound: float = min(MOST_SECONDS, BASE_SECONDS * 2.0 ** min(attempt, 16))
    return bound * draw()


@dataclass(slots=True)
class RetryBudget:
    """Retries that a whole run may spend: a tenth of its calls, or a few where it makes few, so that trouble at the AMS is not answered with a multiple of
    the load.
    """

    calls: int = 0
    spent: int = 0

    def call(self) -> None:
        """Count a call: ten of them earn one retry."""
        self.calls += 1

    def spend(self) -> bool:
        """Take one retry; ``False`` when none is left."""
        if self.spent >= max(BUDGET_FLOOR, BUDGET_SHARE * self.calls):
            return False
        self.spent += 1
        return True
