"""The branch of record: the branch whose project file rules, and what of it lacks the change.

It is named by ``--base``, else by the event of the job, else by ``baseBranch`` of the project file that is checked out, and then only where no other branch
has the better claim: a change that names another branch in its own project file does not choose the rules that it is held to.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from amsctl.config import PROJECT_FILE
from amsctl.provenance.commits import is_ancestor, newest_without
from amsctl.provenance.facts import Unknown
from amsctl.provenance.refs import Resolved, branch_named, resolve
from amsctl.provenance.repository import Repository

NamedAt = Callable[[str, str], str | Unknown | None]
"""What the project file of a commit, at a path below the top of the repository, calls its base branch (the default where it says nothing); ``None`` where
the commit has no such file.
"""


DEFAULT_BRANCH: Final = "main"
_MOST_VERSIONS: Final = 2_000


class NamedBy(StrEnum):
    """What has named the branch of record."""

    OPTION = "--base"
    JOB = "the job's event"
    SETTING = "baseBranch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What may name the branch: ``option`` is that of ``--base``; ``job`` and ``request`` are those of the pipeline; ``setting`` is ``baseBranch`` of the
    project file that is checked out (its default, where it says nothing), and ``written`` whether it stands there in so many words.
    """

    option: str | None = None
    job: str | Unknown = ""
    request: bool = False
    setting: str = DEFAULT_BRANCH
    written: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The branch of record. ``ref`` is its full name, ``None`` where ``--base`` names something that is no branch.

    ``tip`` is its newest commit, ``base`` the newest along first parents that lacks the change, ``None`` where its first commit has it already. ``merged``:
    the branch has the change. ``rivals`` are other branches, in full, that a project file of this history calls the branch of record and that say so of
    themselves. ``why_not_approvable`` is empty where a plan on this base may be approved.
    """

    ref: str | None
    tip: str
    base: str | None
    named_by: NamedBy
    merged: bool
    rivals: tuple[str, ...] = ()
    why_not_approvable: str = ""


def branch_of_record(repository: Repository, head: str, wanted: Wanted, named_at: NamedAt, path: str) -> Record | Unknown | None:
    """The branch of record for a change whose newest commit is ``head``. ``path`` is that of the project file below the top of the repository.

    ``None`` where nothing names a branch but the default, and there is none of that name: a repository without a branch of record.
    """
    if isinstance(wanted.job, Unknown) and wanted.option is None:
        return wanted.job
    if wanted.option is not None:
        return _by_option(repository, head, wanted, wanted.option, named_at, path)
    named_by = NamedBy.JOB if wanted.job else NamedBy.SETTING
    name = wanted.job if isinstance(wanted.job, str) and wanted.job else wanted.setting
    found = branch_named(repository, name)
    if isinstance(found, Unknown):
        return found
    if found is None:
        return None if named_by is NamedBy.SETTING and not wanted.written else _not_fetched(name, named_by)
    rivals = () if wanted.request and named_by is NamedBy.JOB else rivals_of(repository, found, named_at, path, anywhere=True)
    if isinstance(rivals, Unknown):
        return rivals
    if rivals:
        return Unknown(
            reason=f"{named_by} names {found.ref}, and the project file of this history named {' and '.join(rivals)}, which still says so of itself",
            hint="name the branch that the change is for with --base; or change baseBranch there first, or delete the branch that is no longer used",
        )
    return _record(repository, head, found, named_by)


def _not_fetched(name: str, named_by: NamedBy) -> Unknown:
    return Unknown(
        reason=f"{named_by} names the branch {name}, which this clone does not have",
        hint=f"git fetch origin {name}:refs/remotes/origin/{name}",
    )


def _by_option(repository: Repository, head: str, wanted: Wanted, option: str, named_at: NamedAt, path: str) -> Record | Unknown:
    """What ``--base`` names: a branch; or a commit, which counts where it is one of the branch that the job or the setting names."""
    found = resolve(repository, option)
    if isinstance(found, Unknown):
        return found
    elsewhere = _otherwise(repository, wanted)
    other = elsewhere.ref if isinstance(elsewhere, Resolved) and _short(elsewhere.ref) != _short(found.ref) else None
    if found.branch is not None:
        by_forge = wanted.request and isinstance(elsewhere, Resolved) and other is None
        rivals = () if by_forge else rivals_of(repository, found, named_at, path, anywhere=False)
        if isinstance(rivals, Unknown):
            why = f"whether another branch than {found.ref} is the branch of record is not known: {rivals.reason}"
            return _record(repository, head, found, NamedBy.OPTION, why=why)
        why = ""
        if other is not None and wanted.job:
            why = f"--base names {found.ref}, and the job is for {other}"
            rivals = tuple(dict.fromkeys([*rivals, other]))
        elif rivals:
            why = f"--base names {found.ref}, and the project file of this history named {' and '.join(rivals)}, which still says so of itself"
        return _record(repository, head, found, NamedBy.OPTION, rivals=rivals, why=why)
    if isinstance(elsewhere, Resolved):
        on_it = is_ancestor(repository, found.commit, elsewhere.commit)
        if on_it is True:
            return _record(repository, head, elsewhere, NamedBy.JOB if wanted.job else NamedBy.SETTING)
    rivals = () if other is None else (other,)
    no_branch = Resolved(ref=None, commit=found.commit)
    return _record(repository, head, no_branch, NamedBy.OPTION, rivals=rivals, why=_why_no_branch(option, elsewhere))


def _otherwise(repository: Repository, wanted: Wanted) -> Resolved | Unknown | None:
    """The branch that the job or the setting names."""
    name = wanted.job or wanted.setting if not isinstance(wanted.job, Unknown) else wanted.job
    return name if isinstance(name, Unknown) else branch_named(repository, name)


def _why_no_branch(option: str, elsewhere: Resolved | Unknown | None) -> str:
    if isinstance(elsewhere, Resolved):
        return f"--base {option} is not a branch, and not a commit of {elsewhere.ref}"
    return f"--base {option} is not a branch"


def _short(ref: str | None) -> str:
    """The name of a branch wherever it is kept: ``main`` of ``refs/heads/main`` and of ``refs/remotes/origin/main``."""
    text = (ref or "").removeprefix("refs/heads/")
    return text.removeprefix("refs/remotes/").partition("/")[2] if text.startswith("refs/remotes/") else text


def _record(
    repository: Repository, head: str, found: Resolved, named_by: NamedBy, *, rivals: tuple[str, ...] = (), why: str = ""
) -> Record | Unknown:
    base = newest_without(repository, found.commit, head)
    if isinstance(base, Unknown):
        return base.because(f"what {found.ref or found.commit[:12]} has of the change cannot be told")
    return Record(
        ref=found.ref,
        tip=found.commit,
        base=base,
        named_by=named_by,
        merged=base != found.commit,
        rivals=rivals,
        why_not_approvable=why,
    )


# --- the claims of other branches ---


def rivals_of(repository: Repository, found: Resolved, named_at: NamedAt, path: str, *, anywhere: bool) -> tuple[str, ...] | Unknown:
    """Other branches with a claim, in full: what a project file in the history of the branch ``found`` calls the base branch, that exists, and whose own
    project file says the same of itself. A change that is not on the branch disputes nothing.

    So have the branch that ``origin`` gives to a clone, and ``main``, where their project file says so: a branch may be without a history. ``anywhere``:
    where any project file of theirs does, since the change may have moved its own to a place without a history.
    """
    versions = versions_of(repository, found.commit, path)
    if isinstance(versions, Unknown):
        return versions
    names: dict[str, list[str]] = {}
    for commit in (found.commit, *versions):
        named = named_at(commit, path)
        if isinstance(named, Unknown):
            return named.because(f"which branch the project file of {commit[:12]} names cannot be told")
        if named is not None:
            names.setdefault(named, [path])
    for name in _usual(repository):
        if anywhere:
            names[name] = []
        else:
            names.setdefault(name, [path])
    names.pop(_short(found.ref), None)
    rivals: list[str] = []
    for name, paths in sorted(names.items()):
        claim = _claim(repository, name, paths, named_at)
        if isinstance(claim, Unknown):
            return claim
        rivals += [claim] if claim is not None else []
    return tuple(rivals)


def _usual(repository: Repository) -> list[str]:
    """The branches that a repository is usually kept on: that which ``origin`` gives to whoever clones it, and the default of the setting."""
    told = repository.git.ask("symbolic-ref", "--quiet", "refs/remotes/origin/HEAD", none=1)
    given = [_short(os.fsdecode(told).removesuffix("\n"))] if isinstance(told, bytes) else []
    return [*given, DEFAULT_BRANCH]


def _claim(repository: Repository, name: str, paths: list[str], named_at: NamedAt) -> str | Unknown | None:
    """The full name of a branch that exists and whose project file, at one of these paths or anywhere, calls itself the base branch."""
    branch = branch_named(repository, name)
    if branch is None or isinstance(branch, Unknown):
        return branch
    projects = paths or _projects_of(repository, branch.commit)
    if isinstance(projects, Unknown):
        return projects
    for path in projects:
        named = named_at(branch.commit, path)
        if isinstance(named, Unknown):
            return named.because(f"whether {branch.ref} is the branch of record cannot be told")
        if named == name:
            return branch.ref
    return None


def _projects_of(repository: Repository, commit: str) -> list[str] | Unknown:
    """The paths of every project file of a commit."""
    listed = repository.git.ask("ls-tree", "-r", "-z", "--full-tree", "--name-only", commit)
    if isinstance(listed, Unknown):
        return listed
    paths = [os.fsdecode(path) for path in (listed or b"").split(b"\0")]
    return [path for path in paths if path.rpartition("/")[2] == PROJECT_FILE]


def versions_of(repository: Repository, head: str, path: str) -> tuple[str, ...] | Unknown:
    """The commits in the history of ``head`` that changed the file at ``path``, newest first. Unknown in a clone that lacks a part of the history."""
    if repository.shallow:
        return Unknown(
            reason=f"{repository} is a shallow clone: which branch its project file named before cannot be told",
            hint="git fetch --unshallow (fetch-depth: 0, GIT_DEPTH: 0)",
        )
    listed = repository.git.ask("rev-list", "--full-history", f"--max-count={_MOST_VERSIONS + 1}", head, "--", f":(top,literal){path}")
    if isinstance(listed, Unknown):
        return listed
    assert listed is not None
    commits = listed.decode("ascii", "replace").split()
    if len(commits) > _MOST_VERSIONS:
        return Unknown(reason=f"{path} was changed by more than {_MOST_VERSIONS} commits", hint="name the branch with --base")
    return tuple(commits)
