"""Names of commits: a full object id, or the name of one ref. In full and unambiguously, or Unknown."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from amsctl.provenance.facts import Unknown
from amsctl.provenance.repository import Repository

FETCH_HEAD: Final = "FETCH_HEAD"
_BRANCHES: Final = ("refs/heads/", "refs/remotes/")
_PLACES: Final = ("refs/{}", "refs/tags/{}", "refs/heads/{}", "refs/remotes/{}", "refs/remotes/{}/HEAD")
"""Where git looks for a name (gitrevisions), but for what is no ref: ``HEAD`` and its like."""
_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|\Z)|\A[-./@]\Z|\A[-/.]|[/.]\Z")
_SPECIAL: Final = re.compile(r"[A-Z_]*HEAD\Z").match
_FETCHED: Final = re.compile(rb"([0-9a-f]{40,64})\t(not-for-merge)?\t")
_FORMAT: Final = "--format=%(objectname) %(refname)"
_MOST_TAGS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What a name stands for: ``ref`` in full, ``None`` where a commit was named by its id; and the id of the commit."""

    ref: str | None
    commit: str

    @property
    def branch(self) -> str | None:
        """The full name of the branch, local or of a remote; ``None`` for a tag, another ref or a bare commit."""
        return self.ref if self.ref is not None and self.ref.startswith(_BRANCHES) else None


def resolve(repository: Repository, name: str) -> Resolved | Unknown:
    """The one thing that ``name`` stands for.

    A name is a full object id, a full ref (``refs/heads/main``), a short one (``main``, ``origin/main``, a tag), or ``FETCH_HEAD`` after a fetch of one
    thing. Where more than one thing is called so it is Unknown, whatever git would take first, and so is the language of revisions (``main~3``,
    ``@{-1}``, ``:/text``): what it means changes with what is checked out. ``HEAD`` is refused here: :func:`head` asks for it.
    """
    if name == FETCH_HEAD:
        return _fetched(repository)
    if _FORBIDDEN.search(name) or not name:
        return Unknown(reason=f"{name!r} is not the name of a branch", hint=_NAMES)
    if _SPECIAL(name):
        return Unknown(reason=f"{name} is whatever is checked out, not a branch", hint=_NAMES)
    places = [name] if name.startswith("refs/") else [place.format(name) for place in _PLACES]
    found = existing(repository, places)
    if isinstance(found, Unknown):
        return found
    is_id = len(name) == repository.digits and re.fullmatch("[0-9a-fA-F]+", name) is not None
    if len(found) + is_id > 1:
        named = [*(["the commit " + name] if is_id else []), *found]
        return Unknown(reason=f"{name} is ambiguous: {' and '.join(named)}", hint=f"name one in full, as in {next(iter(found))}")
    if is_id:
        commit = commit_of(repository, name.lower())
        return commit if isinstance(commit, Unknown) else Resolved(ref=None, commit=commit)
    for ref, object_id in found.items():
        commit = commit_of(repository, object_id)
        return commit.because(ref) if isinstance(commit, Unknown) else Resolved(ref=ref, commit=commit)
    return Unknown(reason=f"there is no branch or tag {name} in {repository}", hint=_fetch_words(name))


_NAMES: Final = "name a branch (main, origin/main), a full ref or a full commit id"


def _fetch_words(name: str) -> str:
    short = name.removeprefix("refs/heads/").removeprefix("refs/remotes/").removeprefix("origin/")
    return (
        f"check the spelling, or fetch it: git fetch origin {short}:refs/remotes/origin/{short} (a pipeline: fetch-depth: 0, GIT_DEPTH: 0)"
    )


def branch_named(repository: Repository, name: str) -> Resolved | Unknown | None:
    """The branch that a setting or a forge calls ``name``: that of a remote, or else the local one; ``None`` where this clone has neither.

    Where remotes have different ones (a fork and what it was made of), it is that which the local branch of this name follows, or else which
    ``checkout.defaultRemote`` names, or else Unknown.
    """
    short = name.removeprefix("refs/heads/")
    if _FORBIDDEN.search(short) or not short:
        return Unknown(reason=f"{name!r} is not the name of a branch", hint=_NAMES)
    remotes = remotes_of(repository)
    if isinstance(remotes, Unknown):
        return remotes
    local = f"refs/heads/{short}"
    found = existing(repository, [*(f"refs/remotes/{remote}/{short}" for remote in remotes), local])
    if isinstance(found, Unknown):
        return found
    there = [ref for ref in found if ref != local]
    if len({found[ref] for ref in there}) > 1:
        followed = _followed(repository, short)
        if isinstance(followed, Unknown):
            return followed
        there = [ref for ref in there if ref == f"refs/remotes/{followed}/{short}"] or there
        if len(there) > 1:
            return Unknown(
                reason=f"{name} is not the same branch at every remote: {' and '.join(there)}",
                hint=f"name one with --base, as in {there[0]}; or choose one: git config checkout.defaultRemote {remotes[0]}",
            )
    for ref in there or found:
        commit = commit_of(repository, found[ref])
        return commit.because(ref) if isinstance(commit, Unknown) else Resolved(ref=ref, commit=commit)
    return None


def remotes_of(repository: Repository) -> tuple[str, ...] | Unknown:
    """The names of all remotes, ``origin`` first: those that are set up, and those of which branches are here."""
    keys = repository.git.ask("config", "--null", "--name-only", "--get-regexp", r"^remote\..*\.(url|fetch)$", none=1)
    kept = repository.git.ask("for-each-ref", "--format=%(refname)", "--", "refs/remotes/")
    if isinstance(keys, Unknown):
        return keys
    if isinstance(kept, Unknown):
        return kept
    names = {os.fsdecode(key).partition(".")[2].rpartition(".")[0] for key in (keys or b"").split(b"\0") if key}
    assert kept is not None
    for line in kept.splitlines():
        below = os.fsdecode(line).removeprefix("refs/remotes/")
        if not any(below.startswith(f"{name}/") for name in names):
            names.add(below.partition("/")[0])
    return tuple(sorted(names, key=lambda name: (name != "origin", name)))


def fetches_all(repository: Repository, remote: str) -> bool | Unknown:
    """Whether every branch of a remote is fetched, as in a clone that is not of a single branch."""
    said = repository.git.ask("config", "--null", "--get-all", f"remote.{remote}.fetch", none=1)
    if isinstance(said, Unknown):
        return said
    specs = os.fsdecode(said or b"").split("\0")
    sources = {spec.removeprefix("+").partition(":")[0] for spec in specs}
    return bool(sources & {"refs/heads/*", "refs/*"}) and not any(spec.startswith("^") for spec in specs)


def _followed(repository: Repository, name: str) -> str | Unknown | None:
    """The remote whose branch of this name the person who set this clone up has chosen."""
    for key in (f"branch.{name}.remote", "checkout.defaultRemote"):
        said = repository.git.ask("config", "--get", key, none=1)
        if said is not None:
            return said if isinstance(said, Unknown) else os.fsdecode(said).removesuffix("\n")
    return None


def stands_alone(repository: Repository) -> bool | Unknown:
    """Whether nothing tells of another place that has more of this repository: no remote, nothing fetched, no end of a shallow clone. What is not here is
    nowhere, then; in any other clone that a branch is missing proves nothing.
    """
    remotes = remotes_of(repository)
    if isinstance(remotes, Unknown):
        return remotes
    above = os.path.dirname(repository.git_folder)
    folders = [repository.git_folder, *([os.path.dirname(above)] if os.path.basename(above) == "worktrees" else [])]
    fetched = any(os.path.lexists(os.path.join(folder, FETCH_HEAD)) for folder in folders)
    return not (remotes or fetched or repository.shallow)


def existing(repository: Repository, refs: Sequence[str]) -> dict[str, str] | Unknown:
    """Those of some full refs that exist, each with the id of its object."""
    listed = repository.git.ask("for-each-ref", _FORMAT, "--", *refs)
    if isinstance(listed, Unknown):
        return listed
    assert listed is not None
    pairs = [line.partition(b" ") for line in listed.splitlines()]
    found = {os.fsdecode(ref): object_id.decode("ascii", "replace") for object_id, _, ref in pairs}
    return {ref: found[ref] for ref in refs if ref in found}


def head(repository: Repository) -> Resolved | Unknown | None:
    """The commit that is checked out, and its branch, ``None`` as ref where it is on none; ``None`` before the first commit."""
    ref = repository.git.ask("symbolic-ref", "--quiet", "HEAD", none=1)
    if isinstance(ref, Unknown):
        return ref
    if ref is None:
        said = repository.git.ask("rev-parse", "--verify", "--end-of-options", "HEAD")
        if isinstance(said, Unknown):
            return said
        assert said is not None
        commit = commit_of(repository, said.decode("ascii", "replace").strip())
        return commit if isinstance(commit, Unknown) else Resolved(ref=None, commit=commit)
    branch = os.fsdecode(ref).removesuffix("\n")
    found = existing(repository, [branch])
    if isinstance(found, Unknown):
        return found
    if branch not in found:
        return None
    commit = commit_of(repository, found[branch])
    return commit if isinstance(commit, Unknown) else Resolved(ref=branch, commit=commit)


def commit_of(repository: Repository, object_id: str) -> str | Unknown:
    """The id of the commit that an object is or, as a tag, names."""
    for _ in range(_MOST_TAGS):
        found = repository.objects.object(object_id)
        if isinstance(found, Unknown):
            return found
        if found.type == "commit":
            return object_id
        if found.type != "tag":
            return Unknown(reason=f"{object_id} is a {found.type}, not a commit")
        object_id = found.content.partition(b"\n")[0].removeprefix(b"object ").decode("ascii", "replace")
    return Unknown(reason=f"more than {_MOST_TAGS} tags in a row")


def _fetched(repository: Repository) -> Resolved | Unknown:
    """What the last fetch brought, where that was one thing."""
    path = os.path.join(repository.git_folder, FETCH_HEAD)
    try:
        with open(path, "rb") as stream:
            lines = stream.read(1 << 20).splitlines()
    except OSError as error:
        return Unknown(reason=f"{FETCH_HEAD} cannot be read: {error.strerror}", hint=_NAMES)
    matches = [match for match in map(_FETCHED.match, lines) if match is not None]
    wanted = {match.group(1) for match in matches if not match.group(2)}
    if len(matches) != len(lines) or len(wanted) != 1:
        return Unknown(reason=f"{FETCH_HEAD} names {len(wanted)} commits", hint=_NAMES)
    commit = commit_of(repository, wanted.pop().decode("ascii"))
    return commit.because(FETCH_HEAD) if isinstance(commit, Unknown) else Resolved(ref=None, commit=commit)
