"""Files read by several processes, with the same results in the same order as one after the other.

Each process is this interpreter started afresh, not a fork: the program may run threads, and its main module need not bear being imported twice. The
files go in, batch by batch, results come out; when one does not come, the files are read here, so that a lost process costs time and nothing else.
"""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import IO, Final

from amsctl.manifests.documents import FileRead, read_file, read_given
from amsctl.manifests.files import DISK, Files, ManifestFile
from amsctl.manifests.findings import MAX_FILE_BYTES

FILES_AT_ONCE: Final = 16
"""Files whose results are handed over together."""
_START: Final = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); from amsctl.manifests.apart import work; "
    "work(sys.stdin.buffer, sys.stdout.buffer)"
)
_Given = list[tuple[tuple[str, str, bool], bytes | OSError | None]]
"""A batch as it is handed over: each file, and its bytes where they do not come from the disk."""


def read_apart(files: Sequence[ManifestFile], count: int, *, projects: bool, source: Files = DISK) -> Iterator[FileRead]:
    """What each file holds, in the order of ``files``, read by ``count`` processes, of which this is one."""
    batches = [files[start : start + FILES_AT_ONCE] for start in range(0, len(files), FILES_AT_ONCE)]
    readers = [_Reader(batches[number::count], projects, source) for number in range(1, min(count, len(batches)))]
    try:
        for number, batch in enumerate(batches):
            turn = number % count
            found = readers[turn - 1].next() if turn else None
            yield from found if found is not None else read_batch(_given(batch, source), projects)
    finally:
        for reader in readers:
            reader.end()


def _given(batch: Sequence[ManifestFile], source: Files) -> _Given:
    plain = [(file.shown, file.path, file.explicit) for file in batch]
    if source is DISK:
        return [(file, None) for file in plain]
    return list(zip(plain, source.read_all([file.path for file in batch], MAX_FILE_BYTES), strict=True))


def read_batch(given: _Given, projects: bool) -> list[FileRead]:
    """What some files hold, from the disk where no bytes are given."""
    files = [(ManifestFile(*file), content) for file, content in given]
    return [
        read_file(file, projects=projects) if content is None else read_given(file, content, projects=projects) for file, content in files
    ]


class _Reader:
    """A process that reads batches of files, and as many results ahead as its pipe holds."""

    def __init__(self, batches: Sequence[Sequence[ManifestFile]], projects: bool, source: Files) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._feeder: threading.Thread | None = None
        with suppress(OSError):
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, on a program of our own
                [sys.executable, "-P", "-c", _START], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            self._feeder = threading.Thread(target=_feed, args=(_stream(self._process.stdin), batches, projects, source), daemon=True)
            self._feeder.start()

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
        if self._feeder is not None:
            self._feeder.join()
            self._feeder = None


def _feed(stream: IO[bytes], batches: Sequence[Sequence[ManifestFile]], projects: bool, source: Files) -> None:
    """Hand batches over as fast as they are taken; their bytes are in memory no longer than that."""
    # Relative entries would lead elsewhere once the program has changed its directory.
    path = [entry for entry in sys.path if os.path.isabs(entry)]
    with suppress(OSError), stream:
        pickle.dump(path, stream)
        pickle.dump(projects, stream)
        for batch in batches:
            pickle.dump(_given(batch, source), stream, pickle.HIGHEST_PROTOCOL)
            stream.flush()


def _stream(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def work(requests: IO[bytes], results: IO[bytes]) -> None:
    """The other process: read each batch of ``requests``, and write what it holds to ``results``."""
    gc.disable()  # as in the program itself: positioned values hold no cycles
    projects = pickle.load(requests)  # noqa: S301 - from the process that started this one
    with suppress(BrokenPipeError, EOFError):
        while True:
            given = pickle.load(requests)  # noqa: S301 - as above
            pickle.dump(read_batch(given, projects), results, pickle.HIGHEST_PROTOCOL)
            results.flush()
