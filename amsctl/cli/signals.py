"""SIGINT and SIGTERM during an apply: the first stops new writes and lets those in flight finish and be recorded, the second stops at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from amsctl.applying.means import Stop
from amsctl.errors import ExitCode

if TYPE_CHECKING:
    from amsctl.cli.console import Console

EXIT_CODES: Final = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


@contextmanager
def stopping(console: Console) -> Iterator[Stop]:
    """A ``Stop`` that the signals request, for as long as the block runs in an event loop. Afterwards they mean what they meant before."""
    loop, task, stop = asyncio.get_running_loop(), asyncio.current_task(), Stop()
    again = False

    def arrived(number: signal.Signals) -> None:
        nonlocal again
        # A run that stops already for another reason still drains: the first signal must not cut that short.
        if not again:
            again = True
            console.warn(f"{number.name}: no further write is started; those under way are finished and recorded. Once more stops at once.")
            stop.request(f"the run was stopped by {number.name}", EXIT_CODES[number])
        elif task is not None:
            task.cancel()

    before = {number: signal.getsignal(number) for number in EXIT_CODES}
    for number in EXIT_CODES:
        loop.add_signal_handler(number, arrived, number)
    try:
        yield stop
    finally:
        for number, meaning in before.items():
            # The loop would put the system's own meaning in its place: a SIGTERM would then kill the process while it lets its ledger go.
            loop.remove_signal_handler(number)
            signal.signal(number, meaning)
