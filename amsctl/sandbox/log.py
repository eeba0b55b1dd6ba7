"""What was asked of the stand-in: every request received, the last ones kept. Standard library only."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True, kw_only=True)
class Entry:
    """One request. ``status`` is ``None`` until answered, and stays so for one whose connection was dropped.

    ``path`` and ``query`` are as they came, percent-encoded. ``authorization`` names the scheme only, never the secret. ``faults`` are the ids of the
    rules that struck. Times are seconds of a monotonic clock.
    """

    number: int
    method: str
    path: str
    query: str
    body: str
    authorization: str
    started_seconds: float
    status: int | None = None
    finished_seconds: float | None = None
    response_bytes: int = 0
    faults: tuple[str, ...] = ()

    def to_mapping(self) -> dict[str, Any]:
        """The entry ready for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


class Log:
    """The last ``size`` requests, oldest first, with ``total`` of all and ``peak_in_flight``, the most that were under way at once.

    A call is carried out in one go, so that two are under way at once only where a ``slow`` rule holds them: add one to see how many a client dares.
    """

    def __init__(self, size: int = 10_000) -> None:
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque(maxlen=size)
        self.total = 0
        self.in_flight = 0
        self.peak_in_flight = 0

    def __iter__(self) -> Iterator[Entry]:
        with self._lock:
            return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def calls(self, method: str | None = None, containing: str = "") -> list[Entry]:
        """The entries of this method whose path contains this text."""
        return [entry for entry in self if method in (None, entry.method) and containing in entry.path]

    def start(self, *, method: str, path: str, query: str, body: str, authorization: str) -> Entry:
        """Note a request that has come in."""
        with self._lock:
            self.total += 1
            self.in_flight += 1
            self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
            entry = Entry(
                number=self.total,
                method=method,
                path=path,
                query=query,
                body=body,
                authorization=authorization,
                started_seconds=time.monotonic(),
            )
            self._entries.append(entry)
            return entry

    def finish(self, entry: Entry) -> None:
        """Note that a request is done with, answered or not."""
        with self._lock:
            self.in_flight -= 1
            entry.finished_seconds = time.monotonic()

    def clear(self) -> None:
        """Forget the past; what is under way stays counted."""
        with self._lock:
            self._entries.clear()
            self.total = 0
            self.peak_in_flight = self.in_flight
