"""What a commit of the repository says of accounts, by the project file that it has: in the project's folder, or wherever the project stood then."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from amsctl.config import PROJECT_FILE, Project
from amsctl.errors import AmsctlError, ConfigError, ManifestErrors
from amsctl.manifests.load import Desired, load
from amsctl.manifests.project import load_project
from amsctl.manifests.records import Layer
from amsctl.model import AccountKey, DesiredAccount, DesiredRow
from amsctl.provenance.facts import Unknown
from amsctl.provenance.repository import Repository
from amsctl.provenance.trees import Entry, Kind, Tree, TreeFiles, tree_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """A project of a commit, and what its manifests say of the accounts that were asked for. ``layers`` are the profiles that each of them uses.
    ``documents`` are the files, below the top of the repository, that all of it stands in, with the ids of their contents; none where links lead to them.
    ``borrowed``: the commit's own project file cannot be read, or leads to what cannot, and ``project`` is the one that rules.
    """

    folder: str
    project: Project
    accounts: tuple[DesiredAccount, ...]
    layers: Mapping[AccountKey, tuple[Layer, ...]]
    documents: Mapping[str, str]
    manifests: Desired
    borrowed: bool = False

    def profile(self, name: str, execution_firm: str) -> tuple[DesiredRow, ...]:
        """The rows that a profile gives to an execution firm which uses it."""
        found = self.manifests.profile(name, execution_firm)
        return () if found is None else found[1]


def stated_at(
    repository: Repository,
    commit: str,
    folders: Sequence[str],
    numbers: Collection[str],
    *,
    profiles: Collection[str] = (),
    first: Collection[str] = (),
    otherwise: Project | None = None,
) -> tuple[Stated, ...] | Unknown:
    """What a commit says of the accounts of these numbers, whatever their firm is called there, and of these profiles: for the first of ``folders``
    (absolute) that holds a project file then, or else for each project that the commit has. None from before the project. Unknown where a project file or a
    manifest cannot be read.

    Files of ``first`` (below the top of the repository) that hold all of it are enough: the others are then not read, and may be broken. ``otherwise`` is the
    project that rules where the commit's own project file in that folder cannot be read.
    """
    tree = tree_of(repository, commit)
    if isinstance(tree, Unknown):
        return tree
    places = project_folders(tree, folders)
    if isinstance(places, Unknown):
        return places
    found = []
    for folder in places:
        stated = _stated(tree, folder, numbers, profiles, first, otherwise)
        if isinstance(stated, Unknown):
            return stated
        found += [stated] if stated is not None else []
    return tuple(found)


def _stated(
    tree: Tree, folder: str, numbers: Collection[str], profiles: Collection[str], first: Collection[str], otherwise: Project | None
) -> Stated | Unknown | None:
    files = TreeFiles(tree)
    borrowed = False
    try:
        project = load_project(folder, files)
    except AmsctlError as problem:
        if otherwise is None or otherwise.root != folder:
            return _unreadable(tree.commit, problem)
        project, borrowed = otherwise, True
    desired = _of_first(tree, project, files, numbers, profiles, first)
    if desired is None:
        try:
            desired = load(project, files=files)
        except AmsctlError as problem:
            if _holds_none(problem, project):
                return None
            lent = None if borrowed or otherwise is None or otherwise.root != folder else _loaded(otherwise, files)
            if lent is None or otherwise is None:
                return _unreadable(tree.commit, problem)
            desired, project, borrowed = lent, otherwise, True
    layered = tuple(desired.layered([key for key in desired.keys() if key.number in numbers]))  # noqa: SIM118  no mapping
    used = {*profiles, *(layer.profile for _, layers in layered for layer in layers)}
    defined = [found[0] for name in used if (found := desired.profile(name, "")) is not None]
    names = {*(account.source.file for account, _ in layered), *defined}
    return Stated(
        folder=folder,
        project=project,
        accounts=tuple(account for account, _ in layered),
        layers={account.key: layers for account, layers in layered},
        documents=_documents(tree, project, files, names),
        manifests=desired,
        borrowed=borrowed,
    )


def _loaded(project: Project, files: TreeFiles) -> Desired | None:
    """The manifests of a project; ``None`` where they cannot be read."""
    try:
        return load(project, files=files)
    except AmsctlError:
        return None


def _documents(tree: Tree, project: Project, files: TreeFiles, names: Collection[str]) -> dict[str, str]:
    """The files of these names and the project file. None where a link leads to one of them: another commit may lack the link."""
    paths = [os.path.join(project.root, name) for name in names]
    whole = os.path.join(project.root, PROJECT_FILE)
    if files.real(whole) != whole or not _lie_in(paths, project, files):
        return {}
    return contents(tree, {below(tree.repository.top, path) for path in (*paths, whole)})


def _of_first(
    tree: Tree, project: Project, files: TreeFiles, numbers: Collection[str], profiles: Collection[str], first: Collection[str]
) -> Desired | None:
    """The manifests of the files that are likely to hold all that is asked for; ``None`` where they do not, or are not among those of the project."""
    paths = [os.path.join(tree.repository.top, path) for path in sorted(first) if os.path.basename(path) != PROJECT_FILE]
    if not paths or not _lie_in(paths, project, files):
        return None
    try:
        desired = load(project, [path for path in paths if files.exists(path)] or paths, files=files)
    except (AmsctlError, OSError):
        return None
    known = set(numbers) <= {key.number for key in desired.keys()}  # noqa: SIM118  no mapping
    return desired if known and all(desired.profile(name, "") is not None for name in profiles) else None


def _lie_in(paths: Collection[str], project: Project, files: TreeFiles) -> bool:
    """Whether all paths lie among the manifests of a project without any link on the way."""
    starts = [os.path.normpath(os.path.join(project.root, start)) for start in project.manifests]
    return all(files.real(start) == start for start in starts) and all(any(_lies_in(path, start) for start in starts) for path in paths)


def _lies_in(path: str, start: str) -> bool:
    """Whether a search of a file or folder comes across a path: names that begin with a dot are passed over."""
    if path == start:
        return True
    rest = path.removeprefix(start.rstrip(os.sep) + os.sep)
    return rest != path and not any(part.startswith(".") for part in rest.split(os.sep))


def contents(tree: Tree, paths: Collection[str]) -> dict[str, str]:
    """The ids of the contents of these files, of those that a commit has."""
    entries = {path: tree.entry(path) for path in paths}
    return {path: entry.object_id for path, entry in entries.items() if isinstance(entry, Entry)}


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
