"""What happened in one simulated world, as plain JSON lines: the only thing that the checker is given.

Times (``t``) are virtual seconds, ``n`` numbers the events. Kinds: ``setup``, ``process``, ``plan``, ``post`` (a POST left), ``get`` (a GET left),
``read`` (its answer was delivered, ``served`` when), ``effect`` (the server took a delivery, or somebody else edited), ``answer`` (of a POST, delivered
or lost), ``ledger`` (a record was committed), ``report``, ``error``, ``crash``, ``power`` (a machine lost it and with it all its processes; ``kept`` is
the last record that the disk held, where the ledger is on it), ``pause``, ``jump``, ``calm`` (faults end here), ``converged``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

Event = dict[str, Any]


class History:
    """Events in the order they happened."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.events: list[Event] = []

    def add(self, kind: str, **details: Any) -> Event:
        """One more event."""
        event = {"n": len(self.events), "t": round(self._now(), 6), "kind": kind, **details}
        self.events.append(event)
        return event

    def lines(self) -> str:
        """JSON lines."""
        return "".join(json.dumps(event, separators=(",", ":"), sort_keys=True) + "\n" for event in self.events)

    def digest(self) -> str:
        """SHA-256 over the lines: two runs of one seed have the same."""
        return hashlib.sha256(self.lines().encode()).hexdigest()

    def of(self, kind: str) -> list[Event]:
        """The events of one kind."""
        return [event for event in self.events if event["kind"] == kind]
