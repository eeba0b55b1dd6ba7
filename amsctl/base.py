"""What holds on the branch that a change is to be merged into: its guards and its protected accounts, read from git as it stands there."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, Final

from amsctl.commit import git_output
from amsctl.config import PROJECT_FILE
from amsctl.errors import AmsctlError, ConfigError
from amsctl.flow import BaseBranch
from amsctl.manifests.load import load
from amsctl.manifests.project import load_project

if TYPE_CHECKING:
    from amsctl.config import Project
    from amsctl.manifests.load import Desired

_ENDINGS: Final = (".yaml", ".yml", ".json")


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
        _check_out(project.root, commit, folder)
        if not os.path.exists(os.path.join(folder, PROJECT_FILE)):
            return BaseBranch(commit=commit, guards=None, protected=(), kept=kept)
        try:
            base = load_project(folder)
            protected = tuple(account.key for account in load(base).headers() if account.protected)
        except AmsctlError as problem:
            raise ConfigError(
                f"what stands on the base branch cannot be used: {problem}",
                where=f"{ref} ({commit[:12]})",
                hint="mend it there first: its guards and protections hold for this change, and cannot be read",
            ) from None
    return BaseBranch(commit=commit, guards=base.guards, protected=protected, kept=kept)


def _check_out(root: str, commit: str, folder: str) -> None:
    """The manifests and the project file of a commit, byte for byte (no filter, no link), into an empty folder."""
    listed = git_output(root, "ls-tree", "-r", "-z", commit)
    if listed is None:
        raise ConfigError("git cannot list the base branch", where=commit)
    wanted: list[tuple[str, str]] = []
    for entry in listed.split(b"\0"):
        facts, _, raw = entry.partition(b"\t")
        mode, _, rest = facts.partition(b" ")
        path = os.fsdecode(raw)
        if mode in (b"100644", b"100755") and path.endswith(_ENDINGS):
            wanted.append((rest.rpartition(b" ")[2].decode("ascii"), path))
    blobs = git_output(root, "cat-file", "--batch", given="".join(f"{name}\n" for name, _ in wanted).encode("ascii"))
    if blobs is None:
        raise ConfigError("git cannot read the base branch", where=commit)
    at = 0
    for name, path in wanted:
        head, _, _ = blobs[at : at + 200].partition(b"\n")
        told = head.split(b" ")
        if len(told) != 3 or told[0].decode("ascii", "replace") != name:
            raise ConfigError("git cannot read a file of the base branch", where=f"{commit}: {path}")
        begin, size = at + len(head) + 1, int(told[2])
        place = os.path.join(folder, path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb") as stream:
            stream.write(blobs[begin : begin + size])
        at = begin + size + 1
