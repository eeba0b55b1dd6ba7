"""What holds on the branch that a change is to be merged into: its guards and its protected accounts, read from git as it stands there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amsctl.commit import repository_of
from amsctl.config import PROJECT_FILE
from amsctl.errors import AmsctlError, ConfigError, ManifestErrors
from amsctl.flow import BaseBranch, labels_of
from amsctl.manifests.load import load
from amsctl.manifests.project import load_project
from amsctl.provenance.facts import Unknown, known
from amsctl.provenance.refs import resolve
from amsctl.provenance.trees import Kind, Tree, TreeFiles, tree_of

if TYPE_CHECKING:
    from amsctl.config import Project
    from amsctl.manifests.load import Desired


def base_branch(project: Project, ref: str, desired: Desired) -> BaseBranch:
    """What ``ref`` (a branch, tag or commit) says at the project's place. ``desired`` is the whole of the manifests that are planned.

    ConfigError when there is no such ref, or what stands there cannot be read: what should guard a change is never left out because it cannot be read.
    """
    repository = repository_of(project.root)
    if repository is None:
        raise ConfigError("git does not know the base branch", where=ref, found=f"{project.root} is in no repository of git")
    found = resolve(repository, ref)
    if isinstance(found, Unknown):
        raise found.as_error("git does not know the base branch", where=ref)
    tree = known(tree_of(repository, found.commit), "git cannot read the base branch", where=ref)
    kept = tuple(account.key for account in desired.headers() if account.protected)
    base = _project_in(tree, project.root, ref)
    if base is None:
        return BaseBranch(commit=found.commit, safeguards=None, protected=(), kept=kept)
    try:
        there = load(base, files=TreeFiles(tree))
        protected = tuple(account.key for account in there.headers() if account.protected)
        labelled = there.accounts() if base.safeguards.ask_for_labels else ()
        labels = {account.key: labels_of(account) for account in labelled if account.labels}
    except AmsctlError as problem:
        raise _unusable(problem, ref, found.commit) from None
    return BaseBranch(commit=found.commit, safeguards=base.safeguards, protected=protected, kept=kept, labels=labels)


def _project_in(tree: Tree, root: str, ref: str) -> Project | None:
    entry = known(tree.entry(tree.repository.below(PROJECT_FILE)), "git cannot read the base branch", where=ref)
    if entry is None or entry.kind not in {Kind.FILE, Kind.LINK}:
        return None
    try:
        return load_project(root, TreeFiles(tree))
    except AmsctlError as problem:
        raise _unusable(problem, ref, tree.commit) from None


def _unusable(problem: AmsctlError, ref: str, commit: str) -> ConfigError:
    first = f": {problem.diagnostics[0].message}" if isinstance(problem, ManifestErrors) else ""
    return ConfigError(
        f"what stands on the base branch cannot be used: {problem}{first}",
        where=f"{ref} ({commit[:12]})",
        hint="mend it there first: its guards and protections hold for this change, and cannot be read",
    )


def project_at(root: str, commit: str) -> Project | None:
    """The project file of a commit; ``None`` where it has none. ConfigError when it cannot be read."""
    repository = repository_of(root)
    if repository is None:
        return None
    return _project_in(known(tree_of(repository, commit), "git cannot read the base branch", where=commit[:12]), root, commit[:12])


def file_at(root: str, commit: str, path: str) -> bytes | None:
    """The bytes of a file below the project at a commit; ``None`` where it has none."""
    repository = repository_of(root)
    if repository is None:
        return None
    tree = known(tree_of(repository, commit), "git cannot read the base branch", where=commit[:12])
    return known(tree.file(repository.below(path)), "git cannot read the base branch", where=f"{commit[:12]}: {path}")
