"""Files read one after the other, or by several processes where there are many bytes; the results come in the order of the files either way."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from amsctl.manifests.documents import FileRead, read_file
from amsctl.manifests.files import ManifestFile

APART_BYTES: Final = 4 * 1024 * 1024
"""From so many bytes on, starting processes costs less than it saves."""
MOST_PROCESSES: Final = 4


def read_files(files: Sequence[ManifestFile], *, projects: bool = False) -> Iterator[FileRead]:
    """What each file holds, in the order of ``files``."""
    count = _processes(files)
    if count > 1:
        from amsctl.manifests.apart import read_apart

        yield from read_apart(files, count, projects=projects)
        return
    for file in files:
        yield read_file(file, projects=projects)


def _processes(files: Sequence[ManifestFile]) -> int:
    """How many processes are to read: one where there is little to read, or where this interpreter cannot be started again."""
    if len(files) < 2 or not sys.executable or getattr(sys, "frozen", False):
        return 1
    size = 0
    for file in files:
        try:
            size += os.stat(file.path).st_size
        except OSError:
            continue
        if size >= APART_BYTES:
            return min(_cores(), MOST_PROCESSES)
    return 1


def _cores() -> int:
    """The processors that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
