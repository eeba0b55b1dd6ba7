"""Files read by several processes, with the same results in the same order as one after the other.

Each process is this interpreter started afresh, not a fork: the program may run threads, and its main module need not bear being imported twice. The
list of files goes in, results come out; when one does not come, the files are read here, so that a lost process costs time and nothing else.
"""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import IO, Final

from amsctl.manifests.documents import FileRead, read_file
from amsctl.manifests.files import ManifestFile

FILES_AT_ONCE: Final = 16
"""Files whose results are handed over together."""
_START: Final = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); from amsctl.manifests.apart import work; "
    "work(sys.stdin.buffer, sys.stdout.buffer)"
)


def read_apart(files: Sequence[ManifestFile], count: int, *, projects: bool) -> Iterator[FileRead]:
    """What each file holds, in the order of ``files``, read by ``count`` processes, of which this is one."""
    batches = [files[start : start + FILES_AT_ONCE] for start in range(0, len(files), FILES_AT_ONCE)]
    readers = [_Reader(batches[number::count], projects) for number in range(1, min(count, len(batches)))]
    try:
        for number, batch in enumerate(batches):
            turn = number % count
            found = readers[turn - 1].next() if turn else None
            yield from found if found is not None else (read_file(file, projects=projects) for file in batch)
    finally:
        for reader in readers:
            reader.end()


class _Reader:
    """A process that reads batches of files, and as many results ahead as its pipe holds."""

    def __init__(self, batches: Sequence[Sequence[ManifestFile]], projects: bool) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        # Relative entries would lead elsewhere once the program has changed its directory.
        path = [entry for entry in sys.path if os.path.isabs(entry)]
        plain = [[tuple(file) for file in batch] for batch in batches]
        with suppress(OSError):
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, on a program of our own
                [sys.executable, "-P", "-c", _START], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            with _stream(self._process.stdin) as stream:
                pickle.dump(path, stream)
                pickle.dump((plain, projects), stream)

    def next(self) -> list[FileRead] | None:
        """The results of the next batch, ``None`` when they will not come."""
        if self._process is None:
            return None
        try:
            found: list[FileRead] = pickle.load(_stream(self._process.stdout))  # noqa: S301 - from the process that we started
        except (EOFError, OSError, pickle.UnpicklingError):
            self.end()
            return None
        return found

    def end(self) -> None:
        """End the process, whatever it is doing: it only reads."""
        if self._process is not None:
            self._process.kill()
            _stream(self._process.stdout).close()
            self._process.wait()
            self._process = None


def _stream(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def work(requests: IO[bytes], results: IO[bytes]) -> None:
    """The other process: read the batches that ``requests`` names, and write the results of each to ``results``."""
    gc.disable()  # as in the program itself: positioned values hold no cycles
    batches, projects = pickle.load(requests)  # noqa: S301 - from the process that started this one
    with suppress(BrokenPipeError):
        for batch in batches:
            pickle.dump([read_file(ManifestFile(*file), projects=projects) for file in batch], results, pickle.HIGHEST_PROTOCOL)
            results.flush()
