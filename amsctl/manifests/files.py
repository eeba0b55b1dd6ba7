"""Which files are manifests, and their bytes: regular files below the roots only, each exactly once, none larger than the limit.

They are looked for in one way, on disk or in whatever else holds files (:class:`Files`): a commit is read as a checkout of it would be.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from amsctl.config import PROJECT_FILE
from amsctl.diagnostics import Diagnostic, Source
from amsctl.manifests.findings import MAX_FILE_BYTES

SUFFIXES: Final = (".yaml", ".yml", ".json")
"""How a manifest's name ends, in any case: a file that is passed over in silence is an account that drops out unnoticed."""


class ManifestFile(NamedTuple):
    """A file: as shown to the user, and where it really is (absolute, links resolved). ``explicit`` when it was named itself."""

    shown: str
    path: str
    explicit: bool


class Files(Protocol):
    """A place that holds files under absolute paths. What cannot be read is an OSError whose ``strerror`` says why."""

    def real(self, path: str) -> str:
        """The path with its links resolved."""

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder at a path without links."""

    def is_folder(self, path: str) -> bool:
        """Whether that is a folder."""

    def names(self, folder: str) -> list[tuple[str, bool]]:
        """The names in a folder, sorted, each with whether it is a link."""

    def read(self, path: str, most_bytes: int) -> bytes:
        """The bytes of a regular file, one more than ``most_bytes`` where there are more."""

    def read_all(self, paths: Sequence[str], most_bytes: int) -> Iterator[bytes | OSError]:
        """The bytes of each of several files, in this order, or why they cannot be read."""


class _Disk:
    """The files of this machine."""

    def real(self, path: str) -> str:
        """The path with its links resolved."""
        return os.path.realpath(path)

    def exists(self, path: str) -> bool:
        """Whether there is anything at a path."""
        return os.path.exists(path)

    def is_folder(self, path: str) -> bool:
        """Whether that is a folder."""
        return os.path.isdir(path)

    def names(self, folder: str) -> list[tuple[str, bool]]:
        """The names in a folder, sorted, each with whether it is a link."""
        with os.scandir(folder) as entries:
            return sorted((entry.name, entry.is_symlink()) for entry in entries)

    def read(self, path: str, most_bytes: int) -> bytes:
        """The bytes of a regular file of at most so many; its size is looked at before it is read. Raises :class:`Unreadable`."""
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise Unreadable("not-a-file", "not a regular file", hint="remove it, or take it out of spec.manifests")
            if status.st_size > most_bytes:
                raise _too_large(status.st_size)
            return stream.read(most_bytes + 1)

    def read_all(self, paths: Sequence[str], most_bytes: int) -> Iterator[bytes | OSError]:
        """The bytes of each of several files, in this order, or why they cannot be read."""
        for path in paths:
            try:
                yield self.read(path, most_bytes)
            except OSError as error:
                yield error


DISK: Final[Files] = _Disk()


class Start(NamedTuple):
    """A file or folder where looking begins; ``source`` is the place in the project file that names it, ``None`` for the command line."""

    path: str
    source: Source | None


@dataclass(slots=True, kw_only=True)
class Found:
    """What a search brought: the files sorted by the name shown, and what was wrong on the way."""

    files: list[ManifestFile] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)


def discover(root: str, starts: Sequence[Start], *, explicit: bool, projects: bool = False, files: Files = DISK) -> Found:
    """The manifest files below ``starts``, which are absolute or relative to ``root``, as ``files`` has them.

    Folders are searched for ``.yaml``, ``.yml`` and ``.json`` without hidden names. The project file of ``root`` is left out unless ``explicit``
    names it; that of another project in a searched folder is an error, since its manifests would be read as ours. With ``projects``, project files
    are files like any other. A link must lead to a place
    below ``root`` (below the named folder, where that lies elsewhere).
    """
    try:
        top = files.real(root)
    except OSError as error:
        what = "the folder of the project cannot be looked at"
        return Found(diagnostics=[Diagnostic(code="unreadable", what=what, source=Source(PROJECT_FILE, 1, 1), found=error.strerror)])
    return _Search(top, explicit, projects, files).run(starts)


class _Search:
    def __init__(self, root: str, explicit: bool, projects: bool, files: Files) -> None:
        self._on = files
        self._projects = projects
        self._root = root
        self._explicit = explicit
        self._found = Found()
        self._files: dict[str, ManifestFile] = {}
        self._folders: set[str] = set()

    def run(self, starts: Sequence[Start]) -> Found:
        for start in starts:
            try:
                self._start(start)
            except OSError as error:
                self._wrong(
                    "unreadable", f"{start.path} cannot be looked at", start.source or Source(start.path, 1, 1), None, found=error.strerror
                )
        self._found.files = sorted(self._files.values())
        return self._found

    def _start(self, start: Start) -> None:
        named = os.path.join(self._root, start.path)
        path = self._on.real(named)
        if not self._on.exists(path):
            hint = "check the spelling"
            if start.source is not None:
                hint = "create it (a .gitkeep file keeps an empty folder in git), or take it out of spec.manifests"
            self._wrong(
                "no-such-path",
                f"no such file or folder{'' if start.source is None else f': {start.path}'}",
                start.source or Source(start.path, 1, 1),
                hint,
            )
        elif self._on.is_folder(path):
            boundary = self._root if self._explicit is False or _inside(path, self._root) else path
            if not _inside(path, boundary):
                self._wrong("outside", f"{start.path} lies outside of the repository", start.source or Source(start.path, 1, 1), None)
                return
            self._folder(path, boundary)
        elif self._explicit is False and not _inside(path, self._root):
            self._wrong("outside", f"{start.path} lies outside of the repository", start.source or Source(start.path, 1, 1), None)
        else:
            self._files[path] = ManifestFile(self._shown(path), path, True)

    def _folder(self, folder: str, boundary: str) -> None:
        """Searches one folder and those below it; links are followed to where they lead, and nothing is searched twice."""
        waiting = [folder]
        while waiting:
            here = waiting.pop()
            if here in self._folders:
                continue
            self._folders.add(here)
            for name, is_link in self._names(here):
                path = self._resolve(os.path.join(here, name), is_link, boundary)
                if path is None:
                    continue
                if self._on.is_folder(path):
                    waiting.append(path)
                elif name.lower().endswith(SUFFIXES):
                    self._file(path)

    def _names(self, folder: str) -> list[tuple[str, bool]]:
        try:
            return [(name, is_link) for name, is_link in self._on.names(folder) if not name.startswith(".")]
        except OSError as error:
            self._wrong("unreadable", "the folder cannot be read", Source(self._shown(folder), 1, 1), None, found=error.strerror)
            return []

    def _resolve(self, named: str, is_link: bool, boundary: str) -> str | None:
        """Where an entry really is, or ``None`` when it is no place to look."""
        if not is_link:
            return named
        path = self._on.real(named)
        place = Source(self._shown(named), 1, 1)
        if not _inside(path, boundary):
            self._wrong("link-outside", "a link that leads out of the repository", place, "copy the file, or remove the link")
        elif self._on.exists(path):
            return path
        elif named.lower().endswith(SUFFIXES):
            self._wrong("broken-link", "a link that leads nowhere", place, "correct or remove the link")
        return None

    def _file(self, path: str) -> None:
        if os.path.basename(path) == PROJECT_FILE and not self._projects:
            if os.path.dirname(path) != self._root:
                hint = "list the folders of this project in spec.manifests of its own amsctl.yaml"
                self._wrong("nested-project", "another project inside of this one", Source(self._shown(path), 1, 1), hint)
            return
        if path not in self._files:
            self._files[path] = ManifestFile(self._shown(path), path, False)

    def _shown(self, path: str) -> str:
        name = os.path.relpath(path, self._root) if _inside(path, self._root) else path
        return name.replace(os.sep, "/").encode(errors="surrogateescape").decode(errors="replace")

    def _wrong(self, code: str, what: str, source: Source, hint: str | None, found: str | None = None) -> None:
        self._found.diagnostics.append(Diagnostic(code=code, what=what, source=source, hint=hint, found=found))


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


class Unreadable(Exception):
    """The file cannot be read: code and words for a finding."""

    def __init__(self, code: str, what: str, *, expected: str | None = None, found: str | None = None, hint: str | None = None) -> None:
        super().__init__(what)
        self.code, self.what, self.expected, self.found, self.hint = code, what, expected, found, hint


def content_of(path: str, files: Files = DISK) -> bytes:
    """The bytes of a regular file of at most ``MAX_FILE_BYTES``. Raises :class:`Unreadable`."""
    try:
        content = files.read(path, MAX_FILE_BYTES)
    except OSError as error:
        raise unreadable(error) from None
    return checked(content)


def checked(content: bytes) -> bytes:
    """The same, if it is not larger than a manifest may be. Raises :class:`Unreadable`."""
    if len(content) > MAX_FILE_BYTES:
        raise _too_large(len(content))
    return content


def unreadable(error: OSError) -> Unreadable:
    """What a finding says of a file that the system, or git, did not give."""
    return Unreadable("unreadable", "the file cannot be read", found=error.strerror or type(error).__name__)


def first_bytes(path: str, count: int) -> bytes:
    """The first ``count`` bytes of a regular file, or none when it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            return stream.read(count) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    except OSError:
        return b""


def _too_large(size: int) -> Unreadable:
    return Unreadable(
        "too-large",
        "the file is too large",
        expected=f"at most {MAX_FILE_BYTES} bytes",
        found=f"{size} bytes",
        hint="split it into several files",
    )
