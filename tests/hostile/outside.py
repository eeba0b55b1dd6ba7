"""Sees every connection that this process opens and every name that it looks up, by whatever library: an audit hook of the interpreter."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Outside:
    """Where connections went, and which names were looked up."""

    connected: set[tuple[str, int]] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    opened: set[str] = field(default_factory=set)


_watching: list[Outside] = []
_installed = False


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if not _watching:
        return
    if event == "socket.connect":
        address = arguments[1]
        place = (str(address[0]), int(address[1])) if isinstance(address, tuple) else (str(address), 0)
        for outside in _watching:
            outside.connected.add(place)
    elif event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        for outside in _watching:
            outside.asked.add(str(arguments[0]))
    elif event in {"socket.sendto", "socket.sendmsg"}:
        raise AssertionError(f"{event}: nothing here speaks UDP")
    elif event == "open" and isinstance(arguments[0], str | bytes):
        for outside in _watching:
            outside.opened.add(str(arguments[0]))


@contextmanager
def watched() -> Iterator[Outside]:
    """Everything that happens inside the block."""
    global _installed
    if not _installed:
        sys.addaudithook(_audit)  # it stays for the life of the process, and does nothing outside such a block
        _installed = True
    outside = Outside()
    _watching.append(outside)
    try:
        yield outside
    finally:
        _watching.remove(outside)
