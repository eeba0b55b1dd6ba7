"""What a commit of the repository says of accounts, by the project file that it has: in the project's folder, or wherever the project stood then."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from amsctl.config import PROJECT_FILE, Project
from amsctl.errors import AmsctlError, ConfigError, ManifestErrors
from amsctl.manifests.load import load
from amsctl.manifests.project import load_project
from amsctl.model import DesiredAccount
from amsctl.provenance.facts import Unknown
from amsctl.provenance.repository import Repository
from amsctl.provenance.trees import Kind, Tree, TreeFiles, tree_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """A project of a commit, and what its manifests say of the accounts that were asked for."""

    project: Project
    accounts: tuple[DesiredAccount, ...]


def stated_at(repository: Repository, commit: str, folders: Sequence[str], numbers: Collection[str]) -> tuple[Stated, ...] | Unknown:
    """What a commit says of the accounts of these numbers, whatever their firm is called there: for the first of ``folders`` (absolute) that holds a project
    file then, or else for each project that the commit has. None from before the project. Unknown where a project file or a manifest cannot be read.
    """
    tree = tree_of(repository, commit)
    if isinstance(tree, Unknown):
        return tree
    places = project_folders(tree, folders)
    if isinstance(places, Unknown):
        return places
    found = []
    for folder in places:
        files = TreeFiles(tree)
        try:
            project = load_project(folder, files)
        except AmsctlError as problem:
            return _unreadable(commit, problem)
        try:
            desired = load(project, files=files)
        except AmsctlError as problem:
            if not _holds_none(problem, project):
                return _unreadable(commit, problem)
            continue
        wanted = [key for key in desired.keys() if key.number in numbers]  # noqa: SIM118  no mapping
        found.append(Stated(project=project, accounts=tuple(desired.some(wanted))))
    return tuple(found)


def project_folders(tree: Tree, folders: Sequence[str]) -> list[str] | Unknown:
    """The folders, absolute, of the project files of a commit: the first of ``folders`` that has one, or else every one in the tree."""
    top = tree.repository.top
    for folder in folders:
        entry = tree.entry(below(top, os.path.join(folder, PROJECT_FILE)))
        if isinstance(entry, Unknown):
            return entry
        if entry is not None and entry.kind in {Kind.FILE, Kind.LINK}:
            return [folder]
    entries = tree.walk()
    if isinstance(entries, Unknown):
        return entries
    return [
        os.path.join(top, os.path.dirname(entry.path)).rstrip(os.sep)
        for entry in entries
        if entry.name == PROJECT_FILE and entry.kind in {Kind.FILE, Kind.LINK}
    ]


def below(top: str, path: str) -> str:
    """A path below the top of the repository, as trees name it."""
    return os.path.relpath(path, top).replace(os.sep, "/")


def _holds_none(problem: AmsctlError, project: Project) -> bool:
    """Whether a commit simply has no manifests yet: the project file was merged first."""
    if isinstance(problem, ManifestErrors):
        return len(problem.diagnostics) == len(project.manifests) and all(one.code == "no-such-path" for one in problem.diagnostics)
    return isinstance(problem, ConfigError)


def _unreadable(commit: str, problem: AmsctlError) -> Unknown:
    return Unknown(reason=f"the manifests of {commit[:12]} cannot be read: {problem}", hint="amsctl validate says what is wrong there")
