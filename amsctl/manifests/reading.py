"""Files read one after the other, or by several processes where there are many bytes; the results come in the order of the files either way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from amsctl.manifests.documents import FileRead, read_file
from amsctl.manifests.files import ManifestFile


def read_files(files: Sequence[ManifestFile], *, projects: bool = False) -> Iterator[FileRead]:
    """What each file holds, in the order of ``files``."""
    for file in files:
        yield read_file(file, projects=projects)
