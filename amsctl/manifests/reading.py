"""Files read one after the other, or by several processes where there are many bytes; the results come in the order of the files either way."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from amsctl.manifests.documents import FileRead, read_file, read_given
from amsctl.manifests.files import DISK, Files, ManifestFile
from amsctl.manifests.findings import MAX_FILE_BYTES

APART_BYTES: Final = 4 * 1024 * 1024
"""From so many bytes on, starting processes costs less than it saves."""
APART_FILES: Final = 1024
"""The same, where the bytes are not known."""
MOST_PROCESSES: Final = 4


def read_files(files: Sequence[ManifestFile], *, projects: bool = False, source: Files = DISK) -> Iterator[FileRead]:
    """What each file holds, in the order of ``files``, whose bytes ``source`` has."""
    count = _processes(files) if source is DISK else _processes_for(len(files))
    if count > 1:
        from amsctl.manifests.apart import read_apart

        yield from read_apart(files, count, projects=projects, source=source)
        return
    if source is DISK:
        for file in files:
            yield read_file(file, projects=projects)
        return
    contents = source.read_all([file.path for file in files], MAX_FILE_BYTES)
    for file, content in zip(files, contents, strict=True):
        yield read_given(file, content, projects=projects)


def _processes(files: Sequence[ManifestFile]) -> int:
    """How many processes are to read: one where there is little to read, or where this interpreter cannot be started again."""
    if len(files) < 2 or not _starts_again():
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


def _processes_for(count: int) -> int:
    """How many, where the size of files is not known before they are read: one for few."""
    return min(_cores(), MOST_PROCESSES) if count >= APART_FILES and _starts_again() else 1


def _starts_again() -> bool:
    return bool(sys.executable) and not getattr(sys, "frozen", False)


def _cores() -> int:
    """The processors that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
