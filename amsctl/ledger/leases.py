"""The locks of one run: taken together, renewed while it runs, given back at its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

from amsctl.errors import LedgerFailed, LockLost
from amsctl.ledger.values import Holder, Lease, Scope

if TYPE_CHECKING:
    from amsctl.ledger.store import Ledger

RENEWALS_PER_LEASE = 3


class Clock(Protocol):
    """What this needs of time."""

    def monotonic(self) -> float:
        """Seconds that only go forward."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


Offload = Callable[..., Awaitable[Any]]
"""Runs a function that blocks, with its arguments, away from the event loop."""


class Leases:
    """The leases of a run, by firm, each as it was last renewed."""

    def __init__(self, leases: Iterable[Lease], clock: Clock) -> None:
        self._leases = {lease.scope.firm: lease for lease in leases}
        self._clock = clock

    def __iter__(self) -> Iterator[Lease]:
        return iter(tuple(self._leases.values()))

    def of(self, firm: str) -> Lease:
        """The lease of a firm."""
        return self._leases[firm]

    def renewed(self, lease: Lease) -> None:
        """Keep a lease that was renewed, unless a later renewal was kept already."""
        if lease.until_monotonic > self._leases[lease.scope.firm].until_monotonic:
            self._leases[lease.scope.firm] = lease

    def seconds_left(self, firm: str) -> float:
        """For how long the lock of a firm is certainly ours."""
        return self._leases[firm].until_monotonic - self._clock.monotonic()


@asynccontextmanager
async def held(
    ledger: Ledger,
    scopes: Iterable[Scope],
    *,
    url: str,
    run: str,
    holder: Holder,
    environment: str,
    seconds: float,
    clock: Clock,
    offload: Offload,
    lost: Callable[[str], None],
    writes: bool = True,
    also: Callable[[str], tuple[str, ...]] = lambda firm: (),
) -> AsyncIterator[Leases]:
    """The locks of all ``scopes`` at the address ``url``, taken in one order by every run; Locked or Frozen when one cannot be had. ``lost`` is told when
    one is taken away. Without ``writes`` a freeze is no obstacle. ``also`` gives the other names of a firm, under which it may be frozen as well.
    """
    with ExitStack() as stack:
        taken = []
        for scope in sorted(scopes):
            names = also(scope.firm)
            lease = await offload(
                ledger.acquire, scope, url=url, run=run, holder=holder, seconds=seconds, environment=environment, writes=writes, also=names
            )
            taken.append(lease)
            # Given back in this thread: a run that is cancelled would not wait for another one.
            stack.callback(ledger.release, lease)
        leases = Leases(taken, clock)
        renewing = asyncio.create_task(_renew(ledger, leases, seconds, clock, offload, lost))
        try:
            yield leases
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing


async def _renew(ledger: Ledger, leases: Leases, seconds: float, clock: Clock, offload: Offload, lost: Callable[[str], None]) -> None:
    while True:
        await clock.sleep(seconds / RENEWALS_PER_LEASE)
        for lease in leases:
            try:
                leases.renewed(await offload(ledger.renew, lease))
            except LockLost as problem:
                lost(str(problem))
                return
            except LedgerFailed:
                continue  # tried again soon; a lease that runs out meanwhile stops the writes by itself
