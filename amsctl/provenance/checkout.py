"""Whether what was read is what the commit holds: file by file, by the ids of their bytes.

Git is not asked for the state of the checkout: what it says depends on flags of the index, on ignored names and on settings. A file that was not read
makes nothing dirty; one that the commit has and that was not read does.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from amsctl.objectids import BlobIds, blob_ids
from amsctl.provenance.facts import Unknown
from amsctl.provenance.trees import Kind, Tree


class Why(StrEnum):
    """In what a checkout is not the commit."""

    CHANGED = "is not as committed"
    NOT_COMMITTED = "is not committed"
    NOT_HERE = "is in the commit and was not read: deleted, or left out of a sparse checkout"
    SUBMODULE = "is a submodule: who wrote what it holds is not known here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One path in which they differ: below the top of the repository, or absolute where it lies outside."""

    path: str
    why: Why

    def __str__(self) -> str:
        return f"{self.path} {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """What was read, held against a commit. ``line_ends`` are the paths below the top of files that have CRLF where the commit has LF: the bytes of the
    commit are what counts, and what was read is the same but for them.
    """

    commit: str
    differences: tuple[Difference, ...]
    line_ends: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether all that was read is what the commit holds, and all that it holds was read."""
        return not self.differences


def compare(tree: Tree, read: Mapping[str, BlobIds], expected: Collection[str], submodules: Collection[str] = ()) -> Checkout | Unknown:
    """What was read (real paths and ids) with a commit, in which a reader finds ``expected`` (paths as on disk) and ``submodules`` (below the top)."""
    differences = [Difference(path=path, why=Why.SUBMODULE) for path in submodules]
    line_ends: list[str] = []
    for path, ids in read.items():
        below = below_top(tree, path)
        entry = tree.entry(below) if below is not None else None
        if isinstance(entry, Unknown):
            return entry
        if entry is None or entry.kind is not Kind.FILE:
            differences.append(Difference(path=below or path, why=Why.NOT_COMMITTED))
        elif ids.are_but_for_line_ends(entry.object_id):
            line_ends.append(entry.path)
        elif not ids.are(entry.object_id):
            differences.append(Difference(path=entry.path, why=Why.CHANGED))
    for path in expected:
        if path not in read:
            differences.append(Difference(path=below_top(tree, path) or path, why=Why.NOT_HERE))
    return Checkout(
        commit=tree.commit,
        differences=tuple(sorted(differences, key=lambda one: (one.path, one.why))),
        line_ends=tuple(sorted(line_ends)),
    )


def compare_file(tree: Tree, path: str, content: bytes) -> Checkout | Unknown:
    """One file that was read, by its real path."""
    return compare(tree, {path: blob_ids(content)}, [path])


def below_top(tree: Tree, path: str) -> str | None:
    """A real path below the top of the repository, ``/`` between folders; ``None`` where it lies elsewhere."""
    top = tree.repository.top
    relative = os.path.relpath(path, top)
    return None if relative == os.pardir or relative.startswith(os.pardir + os.sep) else relative.replace(os.sep, "/")
