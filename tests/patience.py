"""A measure of work that is the same on every machine: CPU time in units of other work, for bounds that only a blow-up reaches."""

from __future__ import annotations

import time

_UNIT_LOOPS = 200_000


def unit_seconds() -> float:
    """CPU time of a fixed piece of plain Python on this machine, as it is at this moment: a fiftieth of a second or so."""
    begun = time.process_time()
    total = 0
    for number in range(_UNIT_LOOPS):
        total += number & 7
    return time.process_time() - begun
