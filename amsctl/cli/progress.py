"""How far a long read is: one line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final

from amsctl.cli.terminal import is_terminal
from amsctl.views.escape import visible

if TYPE_CHECKING:
    from amsctl.cli.console import Console

REDRAW_SECONDS: Final = 0.1
HEARTBEAT_SECONDS: Final = 30.0
QUIET_START_SECONDS: Final = 0.5
"""A read that is over sooner shows nothing."""


class Progress:
    """Counts accounts and calls. On a terminal one line is redrawn; elsewhere (and with JSON logs) a line comes every 30 seconds."""

    def __init__(self, console: Console, what: str, total: int | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._what = what
        self.total = total
        self.done = 0
        self.calls = 0
        self._clock = clock
        self._started = clock()
        self._live = is_terminal(console.stderr) and not console.json_logs and console.environ.get("TERM") != "dumb"
        self._next = self._started + (QUIET_START_SECONDS if self._live else HEARTBEAT_SECONDS)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live:
            self._console.live_line("")

    def advance(self, done: int = 1, *, calls: int = 0) -> None:
        """Some more accounts are done, or calls were made."""
        self.update(done=self.done + done, calls=self.calls + calls)

    def __call__(self, done: int, total: int, calls: int) -> None:
        """The counts as they stand, in the order in which a long read tells them."""
        self.update(done=done, total=total, calls=calls)

    def update(self, *, done: int | None = None, total: int | None = None, calls: int | None = None) -> None:
        """The counts as they stand; ``None`` leaves one as it is."""
        self.done = self.done if done is None else done
        self.total = self.total if total is None else total
        self.calls = self.calls if calls is None else calls
        now = self._clock()
        if now < self._next:
            return
        self._next = now + (REDRAW_SECONDS if self._live else HEARTBEAT_SECONDS)
        if self._live:
            look = self._console.log_look
            self._console.live_line(look.quiet(self.text(now)[: look.width - 1]))
        else:
            fields = {"done": self.done, "total": self.total, "calls": self.calls, "elapsed_seconds": round(now - self._started, 1)}
            self._console.note(self.text(now), **fields)

    def text(self, now: float) -> str:
        """``reading accounts: 1,200/10,000 (12%), 340 calls/s, 26 s left``."""
        elapsed = max(now - self._started, 1e-9)
        parts = [f"{self.done:,}" if self.total is None else f"{self.done:,}/{self.total:,}{_share(self.done, self.total)}"]
        if self.calls:
            parts.append(f"{self.calls / elapsed:,.0f} calls/s")
        if self.total and 0 < self.done < self.total:
            parts.append(f"{duration(elapsed / self.done * (self.total - self.done))} left")
        return f"{visible(self._what)}: {', '.join(parts)}"


def _share(done: int, total: int) -> str:
    return f" ({done * 100 // total}%)" if total else ""


def duration(seconds: float) -> str:
    """``26 s``, ``4 min 05 s``, ``1 h 12 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
