"""The repository that a folder belongs to: found upwards here, then by git itself, and both must have found the same.

A repository is the nearest folder upwards that holds ``.git``, spelled so: a folder, or the file of a linked worktree or of ``--separate-git-dir``. What a
commit can bring along is never one: a bare repository (``HEAD``, ``objects``, ``refs``) is not looked at, ``.GIT`` and the like are not ``.git``, and a
submodule, whose branches are its author's own, is refused.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from amsctl.provenance.facts import Unknown
from amsctl.provenance.git import Git, Objects, environment, inside, program

_GIT: Final = ".git"
_MOST_POINTER: Final = 8192


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Repository:
    """A repository that git itself has found where we did.

    ``top`` is its top folder and ``folder`` the folder that was asked for, links resolved; ``prefix`` is ``folder`` below ``top``, ``""`` or ``limits/eu``.
    ``git_folder`` is where this work tree's own state lies, ``digits`` the length of an object id, 40 or 64. ``shallow``: some of its history is missing.
    """

    top: str
    folder: str
    prefix: str
    git_folder: str
    digits: int
    shallow: bool
    git: Git
    objects: Objects

    def below(self, path: str) -> str:
        """The path below ``top`` of one that is relative to the folder asked for: ``/`` between folders, without ``.`` and ``..``."""
        return os.path.normpath(os.path.join(self.prefix, path)).replace(os.sep, "/")

    def close(self) -> None:
        """End what still runs for it."""
        self.objects.close()

    def __str__(self) -> str:
        return self.top


def find(folder: str | os.PathLike[str], environ: Mapping[str, str] | None = None) -> Repository | Unknown | None:
    """The repository of a folder; ``None`` where no folder upwards holds ``.git``. Unknown, with git's reason, where one does and git does not take it."""
    environ = os.environ if environ is None else environ
    here = os.path.realpath(folder)
    top = _holder(here)
    if top is None or isinstance(top, Unknown):
        return top
    git_folder = _git_folder(top)
    if isinstance(git_folder, Unknown):
        return git_folder
    around = _brought_along_by(top, git_folder)
    if around is not None:
        return Unknown(
            reason=f"{top} is a submodule of {around}, or kept within it: its branches are not those that changes of {around} are reviewed on",
            hint="clone it on its own, and run amsctl there; or move the files into the repository itself",
        )
    found = program(environ, top)
    if isinstance(found, Unknown):
        return found
    git = Git(program=found, top=top, environ=environment(environ, top))
    told = _told(git)
    if isinstance(told, Unknown):
        return told.because(f"the repository {top} cannot be used")
    digits, shallow, at = told
    if os.path.realpath(at) != git_folder:
        return Unknown(
            reason=f"git finds another repository than the one in {top}: {at}",
            hint=f"{os.path.join(top, _GIT)} is no repository: git init, or remove it",
        )
    return Repository(
        top=top,
        folder=here,
        prefix="" if here == top else os.path.relpath(here, top).replace(os.sep, "/"),
        git_folder=git_folder,
        digits=digits,
        shallow=shallow,
        git=git,
        objects=Objects(git),
    )


def setting(folder: str | os.PathLike[str], name: str, environ: Mapping[str, str] | None = None) -> str | Unknown | None:
    """What the person who runs this has git set to, for the repository of a folder or, outside of one, for themselves; ``None`` where it is not set."""
    environ = os.environ if environ is None else environ
    here = os.path.realpath(folder)
    repository = find(here, environ)
    if isinstance(repository, Unknown):
        return repository
    git, scope = (None, ["--global"]) if repository is None else (repository.git, [])
    if git is None:
        found = program(environ, here)
        if isinstance(found, Unknown):
            return found
        git = Git(program=found, top=here, environ=environment(environ, here))
    answer = git.ask("config", *scope, "--get", name, none=1)
    return answer if answer is None or isinstance(answer, Unknown) else os.fsdecode(answer).removesuffix("\n")


def _holder(folder: str) -> str | Unknown | None:
    """The nearest folder upwards that holds ``.git``, spelled so, which it need not be where the file system takes other spellings for it."""
    while True:
        if os.path.lexists(os.path.join(folder, _GIT)):
            try:
                if _GIT in os.listdir(folder):
                    return folder
            except OSError as error:
                return Unknown(reason=f"the folder {folder} cannot be listed: {error.strerror}")
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above


def _git_folder(top: str) -> str | Unknown:
    """Where ``.git`` leads, links resolved: itself, or what the file names."""
    path = os.path.join(top, _GIT)
    if os.path.isdir(path):
        return os.path.realpath(path)
    words = b""
    try:
        if os.path.isfile(path):  # anything else may never come to an end
            with open(path, "rb") as stream:
                words = stream.read(_MOST_POINTER + 1)
    except OSError as error:
        return Unknown(reason=f"{path} cannot be read: {error.strerror}")
    named = os.fsdecode(words.removeprefix(b"gitdir:").lstrip(b" ").rstrip(b"\r\n"))
    if not words.startswith(b"gitdir:") or not named or len(words) > _MOST_POINTER:
        return Unknown(reason=f"{path} is neither a folder nor a file that says gitdir: FOLDER")
    return os.path.realpath(os.path.join(top, named))


def _brought_along_by(top: str, git_folder: str) -> str | None:
    """The repository around this one that has brought it along: its ``.git`` leads to a place in that one, where git keeps submodules, or a folder of it."""
    if git_folder == os.path.join(top, _GIT) or _is_linked_worktree(top, git_folder):
        return None
    above = os.path.dirname(top)
    while above != os.path.dirname(above):
        around = _git_folder(above) if os.path.lexists(os.path.join(above, _GIT)) else None
        if around is not None and (inside(git_folder, above) or (isinstance(around, str) and inside(git_folder, around))):
            return above
        above = os.path.dirname(above)
    return None


def _is_linked_worktree(top: str, git_folder: str) -> bool:
    """Whether it is where a repository keeps the state of this work tree (``git worktree``): in its ``worktrees``, with a pointer back."""
    if os.path.basename(os.path.dirname(git_folder)) != "worktrees":
        return False
    try:
        with open(os.path.join(git_folder, "gitdir"), "rb") as stream:
            back = os.fsdecode(stream.read(_MOST_POINTER).rstrip(b"\r\n"))
    except OSError:
        return False
    return os.path.realpath(os.path.join(git_folder, back)) == os.path.join(top, _GIT)


def _told(git: Git) -> tuple[int, bool, str] | Unknown:
    """What git says of the repository that it finds in the top folder: digits of its ids, whether it is shallow, and where it is."""
    answer = git.ask("rev-parse", "--show-object-format", "--is-shallow-repository", "--absolute-git-dir")
    if isinstance(answer, Unknown):
        return answer
    assert answer is not None
    kind, _, rest = answer.partition(b"\n")
    shallow, _, folder = rest.partition(b"\n")
    digits = {b"sha1": 40, b"sha256": 64}.get(kind)
    if digits is None or shallow not in {b"true", b"false"}:
        return Unknown(
            reason=f"git {kind.decode('ascii', 'replace')!r} is too old or keeps its objects in a way not known here",
            hint="git 2.35 or newer",
        )
    return digits, shallow == b"true", os.fsdecode(folder.removesuffix(b"\n"))
