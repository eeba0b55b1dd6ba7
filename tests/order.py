"""What a test does at a chosen place in the order of events, and not after so many milliseconds: whatever comes next waits until it is done.

So a test that stops, breaks or freezes something in the middle of a run meets the same middle on every machine.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from amsctl.cli.console import Console
from amsctl.cli.signals import Stop
from amsctl.sandbox.server import Sandbox

HANG_SECONDS = 240.0
"""Whatever takes longer hangs; it is no measure of anything."""


def happens(event: threading.Event) -> None:
    """Wait for it."""
    assert event.wait(HANG_SECONDS), "it did not come to that"


def until(condition: Callable[[], bool]) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + HANG_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.005)


async def comes(condition: Callable[[], bool]) -> None:
    """Let the other tasks run until it holds."""
    deadline = time.monotonic() + HANG_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        await asyncio.sleep(0)


@contextmanager
def at_call(sandbox: Sandbox, act: Callable[[], object], *, method: str = "POST", containing: str = "", nth: int = 1) -> Iterator[None]:
    """``act`` is carried out when the nth such request has arrived and stands in the log: it has no effect yet, and nothing is served meanwhile.

    What ``act`` raises is raised at the end of the block, as is that no such request came.
    """
    log, start = sandbox.log, sandbox.log.start
    seen, problems = 0, []

    def arriving(**request: Any) -> Any:
        nonlocal seen
        entry = start(**request)
        if request["method"] == method and containing in request["path"]:
            seen += 1
            if seen == nth:
                try:
                    act()
                except BaseException as problem:
                    problems.append(problem)
        return entry

    log.start = arriving  # type: ignore[method-assign]
    try:
        yield
    finally:
        log.start = start  # type: ignore[method-assign]
    if problems:
        raise problems[0]
    assert seen >= nth, f"only {seen} calls of {nth} arrived"


@contextmanager
def in_flight(sandbox: Sandbox, *, method: str = "POST", containing: str = "", then: Callable[[], object] = lambda: None) -> Iterator[None]:
    """The first such request is under way for as long as the block runs; ``then`` is carried out when it is."""
    over = threading.Event()

    def hold() -> None:
        then()
        happens(over)

    with at_call(sandbox, hold, method=method, containing=containing):
        try:
            yield
        finally:
            over.set()
            until(lambda: sandbox.log.in_flight == 0)


LATER_SECONDS = 9_999.0
"""A delay that comes to its end when a test says so."""


@dataclass
class Postponed:
    """What event loops were asked to do after ``LATER_SECONDS``, in the order of asking."""

    due: list[Callable[[], object]] = field(default_factory=list)

    def happen(self) -> None:
        """Wait until something was put off, and let it happen now."""
        until(lambda: bool(self.due))
        self.due.pop(0)()


@pytest.fixture
def postponed(monkeypatch: pytest.MonkeyPatch) -> Postponed:
    """Delays of ``LATER_SECONDS`` are over when ``happen`` is called: not sooner on a slow machine, nor later on a quick one."""
    kept, call_later = Postponed(), asyncio.BaseEventLoop.call_later

    def later(loop: asyncio.BaseEventLoop, delay: float, callback: Any, *arguments: Any, **named: Any) -> asyncio.TimerHandle:
        if delay == LATER_SECONDS:
            kept.due.append(lambda: loop.call_soon_threadsafe(callback, *arguments))
        return call_later(loop, delay, callback, *arguments, **named)

    monkeypatch.setattr(asyncio.BaseEventLoop, "call_later", later)
    return kept


@pytest.fixture
def draining(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when a run has heeded a first signal, and says so."""
    event, warn = threading.Event(), Console.warn

    def heard(self: Console, text: str) -> None:
        warn(self, text)
        if "no further write is started" in text:
            event.set()

    monkeypatch.setattr(Console, "warn", heard)
    return event


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when a run was asked to stop, for whatever reason."""
    event, request = threading.Event(), Stop.request

    def heard(self: Stop, *arguments: Any, **named: Any) -> None:
        request(self, *arguments, **named)
        event.set()

    monkeypatch.setattr(Stop, "request", heard)
    return event
