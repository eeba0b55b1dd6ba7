"""Bounds on time that hold on a busy machine: what the machine was late by itself does not count, and work is measured in units of other work.

A test that says "over within a second of its deadline" speaks of amsctl, and not of a runner that gave it no processor for that second.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

_TICK_SECONDS = 0.01
_UNIT_LOOPS = 200_000


class Elapsed:
    """Wall time of a ``with`` block, and how much of it this machine was late: ``seconds`` is the one less the other.

    A thread of its own sleeps a moment again and again; by as much as it oversleeps, nobody else was served either. It needs no processor to speak of,
    and a thread that computes hands over within milliseconds, so that what amsctl itself takes too long for stays counted.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.late_seconds = 0.0
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._tick, daemon=True)

    def _tick(self) -> None:
        while not self._over.is_set():
            begun = time.monotonic()
            time.sleep(_TICK_SECONDS)
            self.late_seconds += max(0.0, time.monotonic() - begun - 2 * _TICK_SECONDS)

    def __enter__(self) -> Self:
        self._begun = time.monotonic()
        self._watch.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        whole = time.monotonic() - self._begun
        self._over.set()
        self._watch.join()
        self.seconds = whole - self.late_seconds


def unit_seconds() -> float:
    """CPU time of a fixed piece of plain Python on this machine, as it is at this moment: a fiftieth of a second or so."""
    begun = time.process_time()
    total = 0
    for number in range(_UNIT_LOOPS):
        total += number & 7
    return time.process_time() - begun
