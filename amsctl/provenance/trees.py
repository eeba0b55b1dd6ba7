"""What a commit holds: its files and links as bytes in memory. Nothing is written, no filter runs, and a name that climbs is refused."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from amsctl.provenance.facts import Unknown
from amsctl.provenance.git import MOST_BYTES
from amsctl.provenance.repository import Repository


class Kind(StrEnum):
    """What an entry of a tree is."""

    FILE = "file"
    LINK = "link"
    FOLDER = "folder"
    SUBMODULE = "submodule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a commit: its path below the top of the repository (``/`` between folders; bytes that are no UTF-8 as ``os.fsdecode`` keeps them)."""

    path: str
    kind: Kind
    object_id: str

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


_KINDS: Final = {
    b"100644": Kind.FILE,
    b"100755": Kind.FILE,
    b"100664": Kind.FILE,
    b"120000": Kind.LINK,
    b"40000": Kind.FOLDER,
    b"160000": Kind.SUBMODULE,
}
_IGNORED: Final = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_GIT_NAME: Final = re.compile(r"(?:\.git|git~[0-9]+)[ .]*(?::.*)?\Z", re.IGNORECASE).match
_MOST_LINKS: Final = 40
_MOST_TARGET: Final = 4096


class Tree:
    """The tree of a commit. Folders are read when they are asked for, each once; what is refused or cannot be read is Unknown."""

    def __init__(self, repository: Repository, commit: str, tree: str) -> None:
        self.repository = repository
        self.commit = commit
        self._root = Entry(path="", kind=Kind.FOLDER, object_id=tree)
        self._folders: dict[str, dict[str, Entry] | Unknown] = {}

    def entry(self, path: str) -> Entry | Unknown | None:
        """What stands at a path; ``None`` where nothing does. Links are not followed."""
        at = self._root
        for name in _parts(path):
            if at.kind is not Kind.FOLDER:
                return None
            names = self._names(at)
            if isinstance(names, Unknown):
                return names
            found = names.get(name)
            if found is None:
                return None
            at = found
        return at

    def entries(self, folder: str) -> tuple[Entry, ...] | Unknown:
        """The entries of a folder, by name; none where there is no such folder."""
        at = self.entry(folder)
        if isinstance(at, Unknown):
            return at
        if at is None or at.kind is not Kind.FOLDER:
            return ()
        names = self._names(at)
        return names if isinstance(names, Unknown) else tuple(names[name] for name in sorted(names))

    def walk(self, folder: str = "") -> tuple[Entry, ...] | Unknown:
        """Everything below a folder, folders themselves too, by path."""
        found: list[Entry] = []
        at = self.entry(folder)
        if isinstance(at, Unknown):
            return at
        level = [at] if at is not None and at.kind is Kind.FOLDER else []
        while level:
            self._read(level)
            below: list[Entry] = []
            for one in level:
                names = self._names(one)
                if isinstance(names, Unknown):
                    return names
                found += names.values()
                below += [entry for entry in names.values() if entry.kind is Kind.FOLDER]
            level = below
        return tuple(sorted(found, key=lambda entry: entry.path))

    def content(self, entry: Entry, *, most_bytes: int = MOST_BYTES) -> bytes | Unknown:
        """The bytes of a file, or the target of a link."""
        return self.repository.objects.read(entry.object_id, type="blob", most_bytes=most_bytes)

    def contents(self, entries: Sequence[Entry], *, most_bytes: int = MOST_BYTES) -> Iterator[bytes | Unknown]:
        """The bytes of each, in this order."""
        return self.repository.objects.read_all([entry.object_id for entry in entries], type="blob", most_bytes=most_bytes)

    def file(self, path: str, *, most_bytes: int = MOST_BYTES) -> bytes | Unknown | None:
        """The bytes of the file at a path; ``None`` where there is none, or something else than a file."""
        at = self.entry(path)
        if at is None or isinstance(at, Unknown):
            return at
        return self.content(at, most_bytes=most_bytes) if at.kind is Kind.FILE else None

    def _names(self, folder: Entry) -> dict[str, Entry] | Unknown:
        if folder.path not in self._folders:
            self._read([folder])
        return self._folders[folder.path]

    def _read(self, folders: Sequence[Entry]) -> None:
        """Read folders that were not read yet, all at once."""
        wanted = [folder for folder in folders if folder.path not in self._folders]
        contents = self.repository.objects.read_all([folder.object_id for folder in wanted], type="tree")
        for folder, content in zip(wanted, contents, strict=True):
            names = content if isinstance(content, Unknown) else _decoded(content, folder.path, self.repository.digits)
            self._folders[folder.path] = names.because(f"commit {self.commit[:12]}") if isinstance(names, Unknown) else names


def tree_of(repository: Repository, commit: str) -> Tree | Unknown:
    """The tree of a commit."""
    content = repository.objects.read(commit, type="commit")
    if isinstance(content, Unknown):
        return content
    word, _, tree = content.partition(b"\n")[0].decode("ascii", "replace").partition(" ")
    return (
        Tree(repository, commit, tree)
        if word == "tree"
        else Unknown(reason=f"the commit {commit} names no tree", hint="git fsck says more")
    )


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in {"", "."}]


def _decoded(content: bytes, folder: str, digits: int) -> dict[str, Entry] | Unknown:
    """The entries of one tree object by name."""
    names: dict[str, Entry] = {}
    at, size = 0, digits // 2
    where = folder or "its top folder"
    while at < len(content):
        end = content.find(b"\0", at)
        mode, blank, raw = content[at:end].partition(b" ") if end >= 0 else (b"", b"", b"")
        object_id = content[end + 1 : end + 1 + size].hex()
        kind, name = _KINDS.get(mode), os.fsdecode(raw)
        if end < 0 or not blank or kind is None or len(object_id) != digits:
            return Unknown(reason=f"{where} holds an entry that git does not make", hint="git fsck says more")
        if not _plain(name) or name in names:
            return Unknown(
                reason=f"{where} holds a name that no checkout may have: {name!r}", hint="git fsck says more; remove it from the commit"
            )
        names[name] = Entry(path=f"{folder}/{name}" if folder else name, kind=kind, object_id=object_id)
        at = end + 1 + size
    return names


def _plain(name: str) -> bool:
    """Whether a name is one of a file below its folder on every file system, and not that of a repository."""
    if name in {"", ".", ".."} or "/" in name or "\\" in name:
        return False
    return _GIT_NAME(_IGNORED.sub("", name)) is None


# --- as a place to read files from ---


class TreeFiles:
    """A commit as a place to read files from, under the paths that its files have on disk (``manifests.files.Files``).

    Links are followed within the commit alone. What git cannot answer is an OSError with git's reason. ``submodules`` are the paths, below the top of the
    repository, of those that were come across.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._top = tree.repository.top
        self.submodules: set[str] = set()

    def real(self, path: str) -> str:
        """The path with its links resolved, as far as they lead through the commit. Links that go round in circles are left as they are."""
        path = os.path.normpath(path)
        below = self._below(path)
        return path if below is None else self._resolved(_parts(below))

    def exists(self, path: str) -> bool:
        """Whether the commit has a file or folder at a path without links. Within a submodule it has none: the submodule is noted."""
        if self._at(path) is not None:
            return True
        above = self._below(path)
        while above:
            above = above.rpartition("/")[0]
            found = self._tree.entry(above)
            if isinstance(found, Entry) and found.kind is Kind.SUBMODULE:
                self.submodules.add(above)
        return False

    def is_folder(self, path: str) -> bool:
        """Whether it is a folder, of which a submodule is one that cannot be looked into."""
        at = self._at(path)
        return at is not None and at.kind in {Kind.FOLDER, Kind.SUBMODULE}

    def names(self, folder: str) -> list[tuple[str, bool]]:
        """The names in a folder, sorted, each with whether it is a link."""
        at = self._at(folder)
        if at is not None and at.kind is Kind.SUBMODULE:
            self.submodules.add(at.path)
            return []
        below = self._below(folder)
        entries = self._tree.entries(below) if below is not None else ()
        if isinstance(entries, Unknown):
            raise _failed(entries)
        return [(entry.name, entry.kind is Kind.LINK) for entry in entries]

    def read(self, path: str, most_bytes: int) -> bytes:
        """The bytes of a file; one more than ``most_bytes`` at most. OSError where there is none."""
        (content,) = self.read_all([path], most_bytes)
        if isinstance(content, OSError):
            raise content
        return content

    def read_all(self, paths: Sequence[str], most_bytes: int) -> Iterator[bytes | OSError]:
        """The bytes of each file, in this order, or why they cannot be read."""
        entries = [self._file(path) for path in paths]
        contents = self._tree.contents([entry for entry in entries if isinstance(entry, Entry)], most_bytes=MOST_BYTES)
        for entry in entries:
            if isinstance(entry, OSError):
                yield entry
                continue
            content = next(contents)
            yield _failed(content) if isinstance(content, Unknown) else content[: most_bytes + 1]

    def _file(self, path: str) -> Entry | OSError:
        try:
            at = self._at(path)
        except OSError as error:
            return error
        if at is None or at.kind is not Kind.FILE:
            return FileNotFoundError(errno.ENOENT, "the commit has no such file", path)
        return at

    def _at(self, path: str) -> Entry | None:
        below = self._below(path)
        found = self._tree.entry(below) if below is not None else None
        if isinstance(found, Unknown):
            raise _failed(found)
        return found if found is None or found.kind is not Kind.LINK else None

    def _below(self, path: str) -> str | None:
        """A path below the top of the repository; ``None`` where it lies elsewhere."""
        if path == self._top:
            return ""
        start = self._top.rstrip(os.sep) + os.sep
        return path[len(start) :].replace(os.sep, "/") if path.startswith(start) else None

    def _resolved(self, parts: list[str]) -> str:
        """A path below the top without links; where it leads out of the repository, that place."""
        done: list[str] = []
        links = 0
        while parts:
            name = parts.pop(0)
            if name == ".." and done:
                done.pop()
                continue
            outside = os.path.join(os.path.dirname(self._top), *parts) if name == ".." else None
            at = self._tree.entry("/".join([*done, name])) if outside is None else None
            if isinstance(at, Unknown):
                raise _failed(at)
            if at is not None and at.kind is Kind.LINK:
                links += 1
                target = self._tree.content(at, most_bytes=_MOST_TARGET)
                if isinstance(target, Unknown):
                    raise _failed(target)
                if links > _MOST_LINKS:
                    return os.path.join(self._top, *done, name)
                text = os.fsdecode(target)
                outside = os.path.join(text, *parts) if os.path.isabs(text) else None
                parts = [*_parts(text), *parts]
            elif outside is None:
                done.append(name)
            if outside is not None:
                below = self._below(os.path.normpath(outside))
                if below is None:
                    return os.path.normpath(outside)
                done, parts = [], _parts(below)
        return os.path.join(self._top, *done)


def _failed(unknown: Unknown) -> OSError:
    return OSError(errno.EIO, unknown.reason)
