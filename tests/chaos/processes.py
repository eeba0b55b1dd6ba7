"""Runs of the command line as processes: started, watched, signalled, waited for."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.hostile.canaries import ENVIRON, HUNT

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 240.0
"""Beyond it something hangs; it is no measure of anything."""
OUT, ERR, TOLD = range(3)
"""The streams of a process: standard output, standard error, and the points that it passes."""


class Ended(NamedTuple):
    """A process that has ended: its exit code (negative: the signal), what it printed, and the points it passed."""

    code: int
    out: str
    err: str
    points: tuple[str, ...]

    @property
    def report(self) -> dict[str, Any]:
        """The JSON object that it printed."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def outcomes(self) -> list[str]:
        """Of each step of its report."""
        return [step["outcome"] for step in self.report["steps"]]


@dataclass
class Started:
    """A process that was started."""

    pid: int
    streams: tuple[int, int, int]
    ended: threading.Event = field(default_factory=threading.Event)
    code: int = 0
    _texts: dict[int, bytes] = field(default_factory=dict)

    def send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def stopped(self, seconds: float = PATIENCE_SECONDS) -> bool:
        """Wait until it has stopped (SIGSTOP); ``False`` when it ended instead."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.ended.is_set():
                return False
            try:
                if Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
                    return True
            except OSError:
                pass
            time.sleep(0.005)
        raise AssertionError("the process did not stop")

    def says(self, text: str, stream: int = ERR) -> bool:
        """Wait until it has said this; ``False`` when it ended without."""
        return self._reads(stream, lambda content: text.encode() in content)

    def passes(self, number: int) -> bool:
        """Wait until it has passed so many points; ``False`` when it ended before."""
        return self._reads(TOLD, lambda content: content.count(b"\n") >= number)

    def wait(self, seconds: float = PATIENCE_SECONDS) -> Ended:
        """Until it has ended by itself."""
        try:
            texts = [self._read(stream, time.monotonic() + seconds) for stream in range(3)]
            assert self.ended.wait(seconds), "the process did not end"
        except BaseException:
            self.send(signal.SIGKILL)
            raise
        finally:
            for stream in self.streams:
                with suppress(OSError):
                    os.close(stream)
        for text, name in zip(texts, ("output", "error"), strict=False):
            HUNT.search(text, f"standard {name} of a process")
        return Ended(self.code, texts[0], texts[1], tuple(texts[2].splitlines()))

    def _read(self, stream: int, deadline: float) -> str:
        while self._more(stream, deadline):
            continue
        return self._texts.get(stream, b"").decode()

    def _reads(self, stream: int, condition: Callable[[bytes], bool]) -> bool:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition(self._texts.get(stream, b"")):
            if not self._more(stream, deadline):
                return False
        return True

    def _more(self, stream: int, deadline: float) -> bool:
        """Read a piece; ``False`` at the end of the stream."""
        ready, _, _ = select.select([self.streams[stream]], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, "the process did not end in time"
        piece = os.read(self.streams[stream], 65536)
        self._texts[stream] = self._texts.get(stream, b"") + piece
        return bool(piece)


class Processes:
    """Starts processes: forked from one that has imported everything, or ``cold``, as a person starts them. ``preload``: a library that goes first."""

    def __init__(self, preload: Path | None = None) -> None:
        ours, theirs = socket.socketpair()
        self._control = ours
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.killed", "--serve", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **({"LD_PRELOAD": str(preload)} if preload else {})},
        )
        theirs.close()
        self._lines = ours.makefile("rb")
        assert self._lines.readline() == b"ready\n"
        self._starting = threading.Lock()
        self._answer: list[int] = []
        self._answered = threading.Condition()
        self._running: dict[int, Started] = {}
        self._early: dict[int, int] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self._lines:
            word, *numbers = line.split()
            with self._answered:
                if word == b"started":
                    self._answer.append(int(numbers[0]))
                else:
                    pid, code = int(numbers[0]), int(numbers[1])
                    started = self._running.pop(pid, None)
                    if started is None:
                        self._early[pid] = code
                    else:
                        started.code = code
                        started.ended.set()
                self._answered.notify_all()

    def start(self, folder: Path, *arguments: str, environ: Mapping[str, str] | None = None, **order: Any) -> Started:
        """A run in a folder. ``order``: see ``killed``."""
        pipes = [os.pipe() for _ in range(3)]
        surroundings = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "LC_ALL": "C.UTF-8", **ENVIRON, **(environ or {})}
        message = {"folder": str(folder), "arguments": ["-C", str(folder), *arguments], "environ": surroundings, "order": order}
        with self._starting:
            socket.send_fds(self._control, [json.dumps(message).encode()], [write for _, write in pipes])
            with self._answered:
                while not self._answer:
                    assert self._answered.wait(PATIENCE_SECONDS), "no process was started"
                pid = self._answer.pop()
                started = Started(pid, (pipes[0][0], pipes[1][0], pipes[2][0]))
                if pid in self._early:
                    started.code = self._early.pop(pid)
                    started.ended.set()
                else:
                    self._running[pid] = started
        for _, write in pipes:
            os.close(write)
        return started

    def run(self, folder: Path, *arguments: str, environ: Mapping[str, str] | None = None, **order: Any) -> Ended:
        """A run from beginning to end."""
        return self.start(folder, *arguments, environ=environ, **order).wait()

    def close(self) -> None:
        """Let the server go."""
        self._control.shutdown(socket.SHUT_RDWR)
        self._server.wait(10)
        self._control.close()


def cold(folder: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """``python -m amsctl …`` as a person would start it."""
    return subprocess.Popen(
        [sys.executable, "-m", "amsctl", "-C", str(folder), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env={"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "LC_ALL": "C.UTF-8", **ENVIRON, **(environ or {})},
    )


@contextmanager
def processes(preload: Path | None = None) -> Iterator[Processes]:
    """A server of processes."""
    server = Processes(preload)
    try:
        yield server
    finally:
        server.close()
