"""How fast and how wide calls may go: a concurrency cap and a rate, shared by all calls of one client, first come first served."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from amsctl.ams.clock import Clock

BURST_SECONDS: Final = 0.05
"""How far calls may run ahead of an even spacing: a twentieth of a second's worth."""
RECOVERY_SECONDS: Final = 10.0
"""How long after a 429 the halved rate takes to double again."""
FORGET_SECONDS: Final = 60.0
"""How long after the last 429 a client without a cap of its own goes uncapped again."""
SLOWEST_PER_SECOND: Final = 0.5


class Pace:
    """At most ``concurrency`` calls at once and ``per_second`` a second (``None``: no cap), evenly spaced.

    A 429 halves the rate, which then grows back (``slow_down``); a Retry-After holds all calls (``hold``).
    """

    def __init__(self, *, concurrency: int, per_second: float | None, clock: Clock) -> None:
        self._slots = asyncio.Semaphore(concurrency)
        self._ceiling = per_second
        self._clock = clock
        self._next_at = clock.monotonic()
        self._slowed_at: float | None = None
        self._slowed_to = 0.0
        self._starts: deque[float] = deque(maxlen=1024)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Enter when a place is free and it is this call's turn; leaving frees the place."""
        async with self._slots:
            await self._turn()
            yield

    async def _turn(self) -> None:
        now = self._clock.monotonic()
        rate = self.rate(now)
        if rate is None:
            self._starts.append(now)
            wait = self._next_at - now
        else:
            # Each call takes the next place in the row at once, so the order of arrival is the order of departure.
            at = max(self._next_at, now - BURST_SECONDS)
            self._next_at = at + 1.0 / rate
            self._starts.append(max(at, now))
            wait = at - now
        if wait > 0:
            await self._clock.sleep(wait)

    def rate(self, now: float) -> float | None:
        """Calls per second allowed now; ``None`` without a cap."""
        if self._slowed_at is None:
            return self._ceiling
        since = now - self._slowed_at
        rate = self._slowed_to * (1.0 + since / RECOVERY_SECONDS)
        if since >= FORGET_SECONDS or (self._ceiling is not None and rate >= self._ceiling):
            self._slowed_at = None
            return self._ceiling
        return rate

    def slow_down(self) -> None:
        """Halve the rate, once a second at most: the calls that were under way together count as one refusal."""
        now = self._clock.monotonic()
        if self._slowed_at is not None and now - self._slowed_at < 1.0:
            return
        lately = sum(1 for start in self._starts if now - 1.0 < start <= now)
        rate = self.rate(now)
        observed = float(max(lately, 1))
        self._slowed_to = max(SLOWEST_PER_SECOND, min(rate, observed) / 2 if rate is not None else observed / 2)
        self._slowed_at = now

    def hold(self, seconds: float) -> None:
        """Let no further call start for so many seconds."""
        self._next_at = max(self._next_at, self._clock.monotonic() + seconds)
