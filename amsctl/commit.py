"""Which commit a folder stands at, and who wrote it: asked of git itself, nothing when there is none."""

from __future__ import annotations

import os
import subprocess
from typing import Final

from amsctl.planning.plan import Git

_GIT_SECONDS: Final = 10
_GIT_NEEDS: Final = frozenset({"PATH", "HOME", "USER", "XDG_CONFIG_HOME", "TMPDIR", "SYSTEMROOT", "USERPROFILE"})
_NO_PROGRAMS: Final = ("-c", "core.fsmonitor=false", "-c", "log.showSignature=false")


def commit_of(directory: str) -> Git | None:
    """Commit, author and whether anything below ``directory`` differs from it; ``None`` outside a repository, before the first commit, or
    without git.
    """
    head = _git(directory, "log", "-1", "--format=%H%n%an <%ae>")
    changed = _git(directory, "status", "--porcelain", "--", ".")
    if head is None or changed is None:
        return None
    commit, _, author = head.strip().partition("\n")
    return Git(commit=commit, author=author, dirty=bool(changed.strip()))


def message_of(directory: str, commit: str) -> str | None:
    """The message of a commit; ``None`` where there is no such commit, no repository or no git."""
    said = _git(directory, "log", "-1", "--format=%B", "--end-of-options", commit)
    return None if said is None else said.strip()


def _git(directory: str, *arguments: str) -> str | None:
    """The output of a git command as text, or ``None`` when it fails."""
    said = git_output(directory, *arguments)
    return None if said is None else said.decode("utf-8", "replace")


def git_output(directory: str, *arguments: str, given: bytes = b"") -> bytes | None:
    """The output of a git command that writes nothing and is ``given`` a standard input, or ``None`` when it fails.

    A repository's own configuration may name programs for git to run: none of them is run, and of this process's environment, where secrets are, git
    is given only what it needs.
    """
    kept = {name: value for name, value in os.environ.items() if name in _GIT_NEEDS or name.startswith("GIT_")}
    environ = {**kept, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(  # noqa: S603  fixed arguments, no shell
            ["git", "-C", directory, *_NO_PROGRAMS, *arguments],  # noqa: S607  git is found where the user's PATH has it
            capture_output=True,
            env=environ,
            timeout=_GIT_SECONDS,
            check=True,
            input=given,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
