"""A program run once in a fresh process: wall time, CPU time and peak resident memory, its own and that of every process it starts."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"
_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one run took. ``peak_bytes`` is the largest sum of the resident memory of all its processes that was seen at one moment."""

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    exit_code: int
    output: str


def run(command: Sequence[str], *, keep_output: bool = False) -> Measured:
    """Run a command to its end; RuntimeError, with what it said, when it fails with 1 or by a signal."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, cwd=ROOT, env=environment())
        watch = _Watch(child.pid)
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        peak = watch.end() or used.ru_maxrss * _MAXRSS_UNIT
        if child.returncode < 0 or child.returncode == 1:
            errors.seek(0)
            raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}: {errors.read()[-2000:].decode('utf-8', 'replace')}")
        output.seek(0)
        return Measured(
            wall_seconds=wall,
            cpu_seconds=used.ru_utime + used.ru_stime,
            peak_bytes=peak,
            exit_code=child.returncode,
            output=output.read().decode() if keep_output else "",
        )


_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


def environment() -> dict[str, str]:
    """The environment of a measured process: this checkout is found, and modules are compiled once, as in an installation."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "AMSCTL"))}
    prefix = (
        {} if os.access(ROOT / "amsctl", os.W_OK) and not os.environ.get("PYTHONDONTWRITEBYTECODE") else {"PYTHONPYCACHEPREFIX": _CACHE}
    )
    return {**kept, "PYTHONPATH": str(ROOT), **prefix}


_CACHE = str(Path(tempfile.gettempdir()) / f"amsctl-benchmark-cache-{os.getuid()}")


class _Watch:
    """Looks at a family of processes every 20 ms. Where there is no /proc it sees nothing, and ``end`` gives 0."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def end(self) -> int:
        self._over.set()
        self._thread.join()
        return self._peak

    def _look(self) -> None:
        page = resource.getpagesize()
        while True:
            family = list(_family(self._pid))
            now = sum(_resident_pages(pid) for pid in family) * page
            # With one process the kernel knows the peak exactly; with several the sum of this moment is what there is.
            self._peak = max(self._peak, now, _own_peak(self._pid) if len(family) == 1 else 0)
            if self._over.wait(_LOOK_SECONDS):
                return


def _family(pid: int) -> Iterable[int]:
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        # Between vfork and exec a child is its parent's memory under another number.
        if _command(int(child)) != _command(pid):
            yield from _family(int(child))


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _resident_pages(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def _own_peak(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except (OSError, IndexError, ValueError):
        pass
    return 0


def middle(runs: Sequence[Measured]) -> Measured:
    """The run whose wall time is the (lower) median, with the largest peak of all."""
    chosen = sorted(runs, key=lambda run: run.wall_seconds)[(len(runs) - 1) // 2]
    return Measured(
        wall_seconds=chosen.wall_seconds,
        cpu_seconds=statistics.median_low(run.cpu_seconds for run in runs),
        peak_bytes=max(run.peak_bytes for run in runs),
        exit_code=chosen.exit_code,
        output=chosen.output,
    )


def machine() -> dict[str, object]:
    """What it was measured on, in general terms."""
    return {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.system()}


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> str:
    """A Markdown table; the first ``left`` columns are texts, the others numbers."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * left + "---:|" * (len(head) - left)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"
