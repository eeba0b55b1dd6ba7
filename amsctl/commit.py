"""Which commit a folder stands at, and who wrote it: asked of git itself, nothing when there is none."""

from __future__ import annotations

import os
import subprocess
from typing import Final

from amsctl.errors import Stale
from amsctl.planning.plan import Git
from amsctl.who import MOST_MESSAGE

_GIT_SECONDS: Final = 10
_MOST_COMMITS: Final = 1000
_TOLD: Final = "--format=%ae%x00%ce%x00%B%x00"
_GIT_NEEDS: Final = frozenset({"PATH", "HOME", "USER", "XDG_CONFIG_HOME", "TMPDIR", "SYSTEMROOT", "USERPROFILE"})
_NO_PROGRAMS: Final = ("-c", "core.fsmonitor=false", "-c", "log.showSignature=false")


def commit_of(directory: str, *, base: str | None = None, pusher: str | None = None) -> Git | None:
    """Commit, author and whether anything below ``directory`` differs from it; ``None`` outside a repository, before the first commit, or
    without git. ``base`` is the commit of the base branch: messages and contributors are then those of every commit that it lacks.
    """
    head = _git(directory, "log", "-1", "--format=%H%n%an <%ae>")
    changed = _git(directory, "status", "--porcelain", "--", ".")
    if head is None or changed is None:
        return None
    commit, _, author = head.strip().partition("\n")
    message, contributors = _told_by(directory, commit, base)
    return Git(
        commit=commit, author=author, dirty=bool(changed.strip()), message=message, contributors=contributors, started_by=pusher or None
    )


def _told_by(directory: str, commit: str, base: str | None) -> tuple[str, tuple[str, ...]]:
    """Messages and contributors of a commit, or of all that a base branch lacks."""
    told = None if base is None else _git(directory, "log", f"-{_MOST_COMMITS}", _TOLD, "--end-of-options", commit, f"^{base}")
    if not told:
        told = _git(directory, "log", "-1", _TOLD, "--end-of-options", commit) or ""
    parts = [part.strip() for part in told.split("\0")]
    people = {*parts[0::3], *parts[1::3]} - {""}  # author, committer, message; author, …
    return "\n\n".join(parts[2::3])[:MOST_MESSAGE], tuple(sorted(people))


def contributors_of(directory: str, commit: str, base: str | None) -> tuple[str, ...] | None:
    """Addresses of the authors and committers of a commit and of what ``base`` lacks; ``None`` where git does not know the commit."""
    if _git(directory, "cat-file", "-e", f"{commit}^{{commit}}") is None:
        return None
    return _told_by(directory, commit, base)[1]


def check_merged(directory: str, planned: str, merged: str) -> None:
    """Stale unless ``directory`` is checked out at ``merged``, unchanged, and holds exactly what it held at ``planned``.

    The commit itself may be another one: merging and squashing make new commits of the same content.
    """
    trees = [
        _git(directory, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}:./") for commit in (planned, merged, "HEAD")
    ]
    commits = [
        _git(directory, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}") for commit in (merged, "HEAD")
    ]
    for name, tree in zip((planned, merged, "HEAD"), trees, strict=True):
        if tree is None:
            raise Stale("git does not know a commit", where=name, hint="git fetch origin COMMIT, and apply again")
    if commits[0] != commits[1]:
        raise Stale("another commit is checked out than the one that was merged", expected=merged, found=(commits[1] or "none").strip())
    if _git(directory, "status", "--porcelain", "--", "."):
        raise Stale("the checkout is not as it was committed", where=merged, hint="apply from a clean checkout")
    if trees[0] != trees[1]:
        raise Stale(
            "what was merged is not what was planned",
            where=f"planned {planned[:12]}, merged {merged[:12]}",
            hint="something else was merged in between: plan what is there now",
        )


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
