"""What holds on the branch that a change is to be merged into: its guards and its protected accounts, read from git as it stands there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from amsctl.commit import git_output
from amsctl.config import PROJECT_FILE
from amsctl.errors import AmsctlError, ConfigError
from amsctl.flow import BaseBranch, labels_of
from amsctl.manifests.files import SUFFIXES
from amsctl.manifests.load import load
from amsctl.manifests.project import load_project

if TYPE_CHECKING:
    from amsctl.config import Project
    from amsctl.manifests.load import Desired

_LINK: Final = b"120000"
_FILES: Final = (b"100644", b"100755")


class _Entry(NamedTuple):
    """One entry of a commit's tree: the mode that git gives it, the name of its blob, and its path below the project."""

    mode: bytes
    blob: str
    path: str


def base_branch(project: Project, ref: str, desired: Desired) -> BaseBranch:
    """What ``ref`` (a branch, tag or commit) says at the project's place. ``desired`` is the whole of the manifests that are planned.

    ConfigError when there is no such ref, or what stands there cannot be read: what should guard a change is never left out because it cannot be read.
    """
    said = git_output(project.root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if said is None:
        raise ConfigError(
            "git does not know the base branch",
            found=ref,
            expected="a branch, tag or commit of this repository",
            hint="fetch it first: a pipeline's checkout has often one commit alone (fetch-depth: 0, GIT_DEPTH: 0)",
        )
    commit = said.decode("ascii").strip()
    kept = tuple(account.key for account in desired.headers() if account.protected)
    with tempfile.TemporaryDirectory(prefix="amsctl-base-") as folder:
        entries = _entries(project.root, commit)
        _check_out(project.root, commit, folder, [entry for entry in entries if entry.path == PROJECT_FILE])
        if not os.path.lexists(os.path.join(folder, PROJECT_FILE)):
            return BaseBranch(commit=commit, safeguards=None, protected=(), kept=kept)
        try:
            base = load_project(folder)
            named = {os.path.normpath(path) for path in base.manifests}
            for entry in entries:  # a folder may hold nothing that is read, and be named all the same
                os.makedirs(os.path.dirname(os.path.join(folder, entry.path)), exist_ok=True)
            _check_out(project.root, commit, folder, [entry for entry in entries if _may_be_read(entry, named)])
            desired = load(base)
            protected = tuple(account.key for account in desired.headers() if account.protected)
            labelled = desired.accounts() if base.safeguards.ask_for_labels else ()
            labels = {account.key: labels_of(account) for account in labelled if account.labels}
        except AmsctlError as problem:
            raise ConfigError(
                f"what stands on the base branch cannot be used: {problem}",
                where=f"{ref} ({commit[:12]})",
                hint="mend it there first: its guards and protections hold for this change, and cannot be read",
            ) from None
    return BaseBranch(commit=commit, safeguards=base.safeguards, protected=protected, kept=kept, labels=labels)


def project_at(root: str, commit: str) -> Project | None:
    """The project file of a commit; ``None`` where it has none. ConfigError when it cannot be read."""
    with tempfile.TemporaryDirectory(prefix="amsctl-base-") as folder:
        _check_out(root, commit, folder, [entry for entry in _entries(root, commit) if entry.path == PROJECT_FILE])
        if not os.path.lexists(os.path.join(folder, PROJECT_FILE)):
            return None
        try:
            return load_project(folder)
        except AmsctlError as problem:
            raise ConfigError("the project file of the base branch cannot be used", where=commit[:12], found=str(problem)) from None


def file_at(root: str, commit: str, path: str) -> bytes | None:
    """The bytes of a file below the project at a commit; ``None`` where it has none."""
    return git_output(root, "cat-file", "blob", f"{commit}:./{path}")


def _may_be_read(entry: _Entry, named: set[str]) -> bool:
    """Whether the reader of manifests would open it, or follow it: whatever it finds on the branch to be merged, it must find here."""
    if entry.path == PROJECT_FILE:
        return False  # there already
    return entry.mode == _LINK or entry.path.lower().endswith(SUFFIXES) or entry.path in named


def _entries(root: str, commit: str) -> list[_Entry]:
    """The files and links of a commit below ``root``, links last: nothing is written through one."""
    listed = git_output(root, "ls-tree", "-r", "-z", commit)
    if listed is None:
        raise ConfigError("git cannot list the base branch", where=commit)
    found = []
    for line in listed.split(b"\0"):
        facts, _, path = line.partition(b"\t")
        mode, _, rest = facts.partition(b" ")
        if mode == _LINK or mode in _FILES:
            found.append(_Entry(mode, rest.rpartition(b" ")[2].decode("ascii"), os.fsdecode(path)))
    return sorted(found, key=lambda entry: entry.mode == _LINK)


def _check_out(root: str, commit: str, folder: str, entries: Sequence[_Entry]) -> None:
    """These entries of a commit, byte for byte (no filter of the repository runs), into a folder."""
    blobs = git_output(root, "cat-file", "--batch", given="".join(f"{entry.blob}\n" for entry in entries).encode("ascii"))
    if blobs is None:
        raise ConfigError("git cannot read the base branch", where=commit)
    at = 0
    for mode, blob, path in entries:
        head, _, _ = blobs[at : at + 200].partition(b"\n")
        told = head.split(b" ")
        if len(told) != 3 or told[0].decode("ascii", "replace") != blob:
            raise ConfigError("git cannot read a file of the base branch", where=f"{commit}: {path}")
        begin, size = at + len(head) + 1, int(told[2])
        content, place = blobs[begin : begin + size], os.path.join(folder, path)
        if mode == _LINK:
            os.symlink(os.fsdecode(content), place)
        else:
            with open(place, "wb") as stream:
                stream.write(content)
        at = begin + size + 1
