"""The manifests of a commit, and whether those that were read from the disk are they."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from amsctl.manifests.documents import is_json, is_output
from amsctl.manifests.files import Files, Found
from amsctl.manifests.findings import MAX_FILE_BYTES
from amsctl.manifests.load import discover_project, found_files, load
from amsctl.provenance.checkout import Checkout, Difference, Why, below_top, compare
from amsctl.provenance.facts import Unknown
from amsctl.provenance.trees import Tree, TreeFiles

if TYPE_CHECKING:
    from amsctl.config import Project
    from amsctl.manifests.load import Desired


def held_against(
    tree: Tree, project: Project, desired: Desired, *, paths: Sequence[str] | None = None, base: str | None = None
) -> Checkout | Unknown:
    """What ``desired`` was read from, held against a commit: the files that its reader would find there are those that it has read, and each holds the
    same. ``paths`` and ``base`` are those that it was loaded with.
    """
    files = TreeFiles(tree)
    found = found_files(project, paths, base=base, files=files)
    places = [found, *([discover_project(project, files)] if desired.looked_up else [])]
    expected: set[str] = set()
    for place in places:
        manifests = _manifests(place, files)
        if isinstance(manifests, Unknown):
            return manifests
        expected |= manifests
    checkout = compare(tree, desired.read, expected, files.submodules)
    if isinstance(checkout, Unknown) or not found.diagnostics:
        return checkout
    wrong = {below_top(tree, os.path.join(project.root, one.source.file)) or one.source.file for one in found.diagnostics}
    wrong -= {difference.path for difference in checkout.differences}
    more = tuple(Difference(path=path, why=Why.CHANGED) for path in sorted(wrong))
    return Checkout(commit=checkout.commit, differences=(*checkout.differences, *more), line_ends=checkout.line_ends)


def manifests_of(tree: Tree, project: Project, *, paths: Sequence[str] | None = None, base: str | None = None) -> Desired:
    """What the manifests of a commit want: as ``manifests.load``, and raises as it does."""
    return load(project, paths, base=base, files=TreeFiles(tree))


def _manifests(found: Found, files: Files) -> set[str] | Unknown:
    """The real paths of those that are manifests: an output of amsctl among them is none."""
    candidates = [file.path for file in found.files if is_json(file)]
    outputs: set[str] = set()
    for path, content in zip(candidates, files.read_all(candidates, MAX_FILE_BYTES), strict=True):
        if isinstance(content, OSError):
            return Unknown(reason=content.strerror or type(content).__name__)
        if is_output(content):
            outputs.add(path)
    return {file.path for file in found.files} - outputs
