"""Time as something that can be given: the real one, and whatever a test or a simulator puts in its place."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Protocol


class Clock(Protocol):
    """What this room needs of time."""

    def monotonic(self) -> float:
        """Seconds that only go forward, from an arbitrary start."""

    def wall(self) -> float:
        """Seconds since 1970, UTC."""

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""


_SINCE_START: Final = getattr(time, "CLOCK_BOOTTIME", None)
"""Linux's monotonic clock that goes on while the machine is suspended; ``time.monotonic`` stands still then."""


class SystemClock:
    """The machine's own time."""

    def monotonic(self) -> float:
        """Seconds of the machine's monotonic clock. Suspended or not, it goes on where the system has such a clock: a lease runs out meanwhile, and what
        was read before is old.
        """
        return time.monotonic() if _SINCE_START is None else time.clock_gettime(_SINCE_START)

    def wall(self) -> float:
        """Seconds since 1970, UTC."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the event loop."""
        await asyncio.sleep(seconds)


def stamp(wall: float) -> str:
    """Seconds since 1970 as UTC text with milliseconds: ``2026-11-21T08:15:30.125Z``."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class ServerTime:
    """What the AMS's ``Date`` headers tell of its clock, against our monotonic one, so that a jump of our wall clock shows at once.

    A ``Date`` names a second, and the answer was made somewhere between asking and having it: each answer gives bounds, and all answers together the
    narrowest that they agree on. An answer that contradicts the others (their clock or ours was set) begins anew.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._bounds: tuple[float, float] | None = None

    def observe(self, date: str, *, asked_at: float, age: str = "") -> None:
        """Take note of a ``Date`` header that has just come; ``asked_at`` is the monotonic time before its request left.

        A missing or malformed one tells nothing, nor does one that a cache has kept (``age``).
        """
        made_at = http_date(date)
        if made_at is None or age.strip() not in {"", "0"}:
            return
        low, high = made_at - self._clock.monotonic(), made_at + 1.0 - asked_at
        if self._bounds is not None and low <= self._bounds[1] and self._bounds[0] <= high:
            low, high = max(low, self._bounds[0]), min(high, self._bounds[1])
        self._bounds = (low, high)

    @property
    def offset_seconds(self) -> float | None:
        """How far the AMS's clock is ahead of our wall clock now, in seconds (negative: behind); ``None`` while unknown."""
        if self._bounds is None:
            return None
        return sum(self._bounds) / 2 + self._clock.monotonic() - self._clock.wall()


def http_date(text: str) -> float | None:
    """An HTTP date (RFC 9110 §5.6.7) as seconds since 1970; ``None`` for anything else."""
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
