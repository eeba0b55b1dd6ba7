"""The branch of record: the branch whose project file rules, and what of it lacks the change.

It is named by ``--base``, else by the event of the job, else by ``baseBranch`` of the project file that is checked out, and then only where no other branch
has the better claim: a change that names another branch in its own project file does not choose the rules that it is held to.

A clone may lack the branch that rules: a job fetches one branch, ``--single-branch`` does, a remote may be called otherwise. So a branch that is not here is
never taken for one that does not exist, unless nothing tells of any other place that has more of the repository.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from amsctl.config import PROJECT_FILE
from amsctl.provenance.commits import is_ancestor, newest_without
from amsctl.provenance.facts import Unknown
from amsctl.provenance.refs import Resolved, branch_named, fetches_all, remotes_of, resolve, stands_alone
from amsctl.provenance.repository import Repository
from amsctl.provenance.trees import tree_of

NamedAt = Callable[[str, str], str | Unknown | None]
"""What the project file of a commit, at a path below the top of the repository, calls its base branch (the default where it says nothing); ``None`` where
the commit has no such file.
"""


DEFAULT_BRANCH: Final = "main"
_MOST_VERSIONS: Final = 2_000
_MOST_BRANCHES: Final = 5_000


class NamedBy(StrEnum):
    """What has named the branch of record."""

    OPTION = "--base"
    JOB = "the job's event"
    SETTING = "baseBranch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What may name the branch: ``option`` is that of ``--base``; ``job``, ``request`` and ``default`` (the forge's own default branch) are those of the
    ``pipeline``; ``setting`` is ``baseBranch`` of the project file that is checked out (its default, where it says nothing), and ``written`` whether it stands
    there in so many words.
    """

    option: str | None = None
    job: str | Unknown = ""
    request: bool = False
    default: str = ""
    pipeline: bool = False
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Of which change it is asked: ``head`` is its newest commit, ``path`` that of its project file below the top of the repository, and ``default`` the
    forge's own default branch, empty where it is not known.
    """

    repository: Repository
    head: str
    named_at: NamedAt
    path: str
    default: str = ""


class NotHere(Unknown):
    """A branch that may be the branch of record is not in this clone."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """Other branches, in full, that call themselves the branch of record: ``rivals`` are those that something else tells of, too. ``proven``: the forge or a
    remote gives a branch that says the same as the one in question, or there is nothing but this repository.
    """

    rivals: tuple[str, ...]
    others: tuple[str, ...]
    proven: bool


def branch_of_record(repository: Repository, head: str, wanted: Wanted, named_at: NamedAt, path: str) -> Record | Unknown | None:
    """The branch of record for a change whose newest commit is ``head``. ``path`` is that of the project file below the top of the repository.

    ``None`` where nothing names a branch but the default, and there is none of that name, here or elsewhere: a repository without a branch of record.
    NotHere where a branch that may be it is not in this clone.
    """
    question = Question(repository=repository, head=head, named_at=named_at, path=path, default=wanted.default)
    if wanted.option is not None:
        return _by_option(question, wanted, wanted.option)
    if isinstance(wanted.job, Unknown):
        return wanted.job
    return _by_name(question, wanted)


def _by_name(question: Question, wanted: Wanted) -> Record | Unknown | None:
    """What the job or the setting names, where nothing disputes it."""
    job = wanted.job if isinstance(wanted.job, str) else ""
    named_by = NamedBy.JOB if job else NamedBy.SETTING
    found = branch_named(question.repository, job or wanted.setting)
    if isinstance(found, Unknown):
        return found
    if found is None:
        return _missing(question.repository, job, wanted)
    if not (wanted.request and named_by is NamedBy.JOB):
        claims = claims_against(question, found)
        if isinstance(claims, Unknown):
            return claims
        if claims.rivals:
            return Unknown(
                reason=f"{named_by} names {found.ref}, and the project file of this history named {' and '.join(claims.rivals)}, which still says so of itself",
                hint="name the branch that the change is for with --base; or change baseBranch there first, or delete the branch that is no longer used",
            )
        unclear = f"the job names no branch, and nothing in this clone proves that {found.ref} is the branch of record"
        if claims.others:
            unclear = f"{named_by} names {found.ref}, and {' and '.join(claims.others)} says of itself that it is the branch of record"
        elif claims.proven or not wanted.pipeline or job or wanted.option is not None:
            unclear = ""
        if unclear:
            remote = _remote(question.repository)
            hint = (
                f"name the branch that the change is for with --base; or tell which one {remote} gives: git remote set-head {remote} --auto"
            )
            return Unknown(reason=unclear, hint=hint)
    return _record(question.repository, question.head, found, named_by)


def _missing(repository: Repository, job: str, wanted: Wanted) -> Unknown | None:
    """What it means that the clone has no branch of the name: nothing has one only where it is the default, and nothing tells of another place."""
    if job or wanted.written:
        named_by = NamedBy.JOB if job else NamedBy.SETTING
        return _not_fetched(repository, job or wanted.setting, f"{named_by} names the branch {{}}, which this clone does not have")
    alone = stands_alone(repository)
    if alone is True or isinstance(alone, Unknown):
        return None if alone is True else alone
    missing = _not_fetched(
        repository, wanted.setting, "{} is the branch of record where baseBranch names no other, and is not in this clone"
    )
    return NotHere(
        reason=missing.reason,
        hint=f"{missing.hint.partition(';')[0]}; or write the branch of record into {PROJECT_FILE} there: baseBranch; or, to try things out, use a folder that "
        "is in no git repository",
    )


def _not_fetched(repository: Repository, name: str, what: str) -> NotHere:
    """``what`` says what is wrong, with ``{}`` in the place of the branch."""
    remote = _remote(repository)
    places = shlex.quote(f"{name}:refs/remotes/{remote}/{name}")
    return NotHere(
        reason=what.format(name),
        hint=f"git fetch {remote} {places}; where {remote} has none of that name: git remote set-branches {remote} '*', git fetch --prune {remote}, "
        f"git remote set-head {remote} --auto",
    )


def _remote(repository: Repository) -> str:
    """The remote to name in advice."""
    remotes = remotes_of(repository)
    return "origin" if isinstance(remotes, Unknown) or not remotes else remotes[0]


def _by_option(question: Question, wanted: Wanted, option: str) -> Record | Unknown | None:
    """What ``--base`` names: a branch; or a commit, which counts where it is one of the branch that the job or the setting names."""
    repository, head = question.repository, question.head
    found = resolve(repository, option)
    if isinstance(found, Unknown):
        return found
    elsewhere = _otherwise(repository, wanted)
    other = elsewhere.ref if isinstance(elsewhere, Resolved) and _short(elsewhere.ref) != _short(found.ref) else None
    if found.branch is not None:
        by_forge = wanted.request and isinstance(elsewhere, Resolved) and other is None
        rivals = () if by_forge else rivals_of(question, found, anywhere=False)
        if isinstance(rivals, Unknown):
            if not _may_be_usual(question, found, rivals):
                return rivals
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
            return _by_name(question, wanted)
    rivals = () if other is None else (other,)
    no_branch = Resolved(ref=None, commit=found.commit)
    return _record(repository, head, no_branch, NamedBy.OPTION, rivals=rivals, why=_why_no_branch(option, elsewhere))


def _otherwise(repository: Repository, wanted: Wanted) -> Resolved | Unknown | None:
    """The branch that the job or the setting names."""
    name = wanted.job if isinstance(wanted.job, Unknown) else wanted.job or wanted.setting
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


def rivals_of(question: Question, found: Resolved, *, anywhere: bool = True) -> tuple[str, ...] | Unknown:
    """Other branches with a claim, in full. NotHere where one that may have it is not in this clone."""
    claims = claims_against(question, found, anywhere=anywhere)
    return claims if isinstance(claims, Unknown) else (*claims.rivals, *claims.others)


def undisputed(question: Question, found: Resolved) -> tuple[str, ...] | Unknown:
    """Other branches with a claim against one that a forge names; none where their claims cannot be told and it is the usual one."""
    rivals = rivals_of(question, found)
    return () if isinstance(rivals, Unknown) and _may_be_usual(question, found, rivals) else rivals


def _may_be_usual(question: Question, found: Resolved, why: Unknown) -> bool:
    """Whether a branch is that which the repository is usually kept on, although it is not known whether others have a claim."""
    given = _given(question)
    if isinstance(why, NotHere) or isinstance(given, Unknown):
        return False
    if _short(found.ref) in (given.names if given.proves else {DEFAULT_BRANCH}):
        return True
    usual = _usual(question, anywhere=True, alone=True)
    return not isinstance(usual, Unknown) and _proven(usual, _short(found.ref))


def claims_against(question: Question, found: Resolved, *, anywhere: bool = True) -> Claims | Unknown:
    """What speaks against the branch ``found`` and for it. A branch has a claim that exists and whose own project file calls it the base branch, and that

    - a project file in the history of ``found`` names, or in that of the change where ``found`` has no project at all;
    - the forge or a remote gives to whoever clones the repository, or ``main``: a branch may be without a history;
    - the project file of such a usual branch names;
    - is in this clone, where neither the forge says that ``found`` is the one, nor it is ``main``: anybody may have made it.

    Else a change that is not on the branch disputes nothing. One that may have a claim and is not here is Unknown (NotHere). ``anywhere``: any project file of
    the usual branches counts, since the change may have moved its own to a place without a history.
    """
    alone = stands_alone(question.repository)
    if isinstance(alone, Unknown):
        return alone
    named = _named_in_history(question, found)
    if isinstance(named, Unknown):
        return named
    usual = _usual(question, anywhere=anywhere, alone=alone or not anywhere)
    if isinstance(usual, Unknown):
        return usual
    own = _short(found.ref)
    proven = _proven(usual, own)
    nowhere = alone or proven
    told = "{}, which the project file of this history names as the branch of record, is not in this clone"
    claimed = _claimed(question, dict.fromkeys(named, told), nowhere=nowhere, anywhere=False)
    if isinstance(claimed, Unknown):
        return claimed
    names = {
        name: f"{{}}, which the project file of {one.name} names as the branch of record, is not in this clone"
        for one in usual
        for name in (one.ruling - {own} if one.name not in one.ruling else ())
    }
    pointed = _claimed(question, names, nowhere=nowhere, anywhere=anywhere)
    if isinstance(pointed, Unknown):
        return pointed
    sure = (proven and bool(question.default)) or ((proven or alone) and own == DEFAULT_BRANCH)
    others = _every_claim(question) if anywhere and not sure else []
    if isinstance(others, Unknown):
        return others
    rivals = {*claimed, *pointed, *(one.ref for one in usual if one.name in one.says)}
    rivals, more = ({ref for ref in refs if ref != found.ref and _short(ref) != own} for refs in (rivals, others))
    return Claims(rivals=tuple(sorted(rivals)), others=tuple(sorted(more - rivals)), proven=proven or alone)


def _named_in_history(question: Question, found: Resolved) -> list[str] | Unknown:
    """What the project files in the history of a branch call the base branch; in that of the change, where the branch has no project."""
    projects = _projects_of(question.repository, found.commit)
    if isinstance(projects, Unknown):
        return projects
    commits = [found.commit]
    for tip in [found.commit, *([] if projects else [question.head])]:
        versions = versions_of(question.repository, tip, question.path)
        if isinstance(versions, Unknown):
            return versions
        commits += versions
    names: dict[str, None] = {}
    for commit in commits:
        named = question.named_at(commit, question.path)
        if isinstance(named, Unknown):
            return named.because(f"which branch the project file of {commit[:12]} names cannot be told")
        if named is not None:
            names[named] = None
    return sorted(names)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """The names of branches that are given to whoever clones the repository, each with what is wrong where it is not here. ``proves``: there are, and the
    forge itself says so, or the remotes that do are fetched whole: a clone of a single branch proves nothing.
    """

    names: Mapping[str, str]
    proves: bool


def _given(question: Question) -> _Given | Unknown:
    """The branch that the forge calls its default, or else that which ``origin`` gives to whoever clones it, or else those of the other remotes."""
    if question.default:
        return _Given(names={question.default: "{}, the default branch of the forge, is not in this clone"}, proves=True)
    remotes = remotes_of(question.repository)
    if isinstance(remotes, Unknown):
        return remotes
    names: dict[str, str] = {}
    whole = True
    for remote in remotes:
        told = question.repository.git.ask("symbolic-ref", "--quiet", f"refs/remotes/{remote}/HEAD", none=1)
        ref = os.fsdecode(told).removesuffix("\n") if isinstance(told, bytes) else ""
        if ref.startswith(f"refs/remotes/{remote}/"):
            name = ref.removeprefix(f"refs/remotes/{remote}/")
            names.setdefault(name, f"{{}}, the branch that {remote} gives to whoever clones it, is not in this clone")
            whole = whole and fetches_all(question.repository, remote) is True
        if names and remote == "origin":
            break
    return _Given(names=names, proves=whole and bool(names))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Usual:
    """A branch that a repository is usually kept on, which is here. ``given``: the forge or a remote says that it is. ``ruling`` is what its project file calls
    the base branch, or any of its project files where it has none for this project; ``says`` what any does that counts.
    """

    name: str
    ref: str
    given: bool
    ruling: frozenset[str]
    says: frozenset[str]


def _usual(question: Question, *, anywhere: bool, alone: bool) -> list[_Usual] | Unknown:
    """The branches that are given, and ``main``. One that is given has to be here, and so has ``main`` where none is, unless nothing could be elsewhere."""
    given = _given(question)
    if isinstance(given, Unknown):
        return given
    found = []
    for name in dict.fromkeys([*given.names, DEFAULT_BRANCH]):
        branch = branch_named(question.repository, name)
        if isinstance(branch, Unknown):
            return branch
        if branch is None:
            if name in given.names:
                return _not_fetched(question.repository, name, given.names[name])
            if not (given.proves or alone):
                return _not_fetched(
                    question.repository, name, "{}, the usual branch of record, is not in this clone, and nothing here proves another"
                )
            continue
        says = _said_by(question, branch, anywhere=anywhere)
        if isinstance(says, Unknown):
            return says.because(f"whether {branch.ref} is the branch of record cannot be told")
        ruling, everything = says
        found.append(_Usual(name=name, ref=branch.ref or "", given=given.proves and name in given.names, ruling=ruling, says=everything))
    return found


def _proven(usual: list[_Usual], name: str) -> bool:
    """Whether a branch that is given says that the branch of record is called so."""
    return any(one.given and name in one.ruling for one in usual)


def _said_by(question: Question, branch: Resolved, *, anywhere: bool) -> tuple[frozenset[str], frozenset[str]] | Unknown:
    """What the project files of a usual branch call the base branch: that which rules, and all that count."""
    paths = [question.path]
    if anywhere:
        projects = _projects_of(question.repository, branch.commit)
        if isinstance(projects, Unknown):
            return projects
        paths += projects
    said: list[str | None] = []
    for path in paths:
        named = question.named_at(branch.commit, path)
        if isinstance(named, Unknown):
            return named
        said.append(named)
    everything = frozenset(name for name in said if name is not None)
    return (everything if said[0] is None else frozenset({said[0]})), everything


def _claimed(question: Question, names: Mapping[str, str], *, nowhere: bool, anywhere: bool) -> list[str] | Unknown:
    """Which of the branches of these names call themselves the base branch, where this project has its project file, or ``anywhere``. ``nowhere``: one that
    is not here does not matter; else it is told as ``names`` has it.
    """
    found = []
    for name, what in names.items():
        branch = branch_named(question.repository, name)
        if isinstance(branch, Unknown):
            return branch
        if branch is None:
            if not nowhere:
                return _not_fetched(question.repository, name, what)
            continue
        says = _said_by(question, branch, anywhere=anywhere)
        if isinstance(says, Unknown):
            return says.because(f"whether {branch.ref} is the branch of record cannot be told")
        if name in says[1]:
            found.append(branch.ref or "")
    return found


def _every_claim(question: Question) -> list[str] | Unknown:
    """Every branch of this clone, in full, whose project file calls it the base branch. The same file is read once."""
    listed = question.repository.git.ask("for-each-ref", "--format=%(objectname) %(refname)", "--", "refs/heads/", "refs/remotes/")
    if isinstance(listed, Unknown):
        return listed
    assert listed is not None
    pairs = [line.partition(b" ") for line in listed.splitlines()]
    if len(pairs) > _MOST_BRANCHES:
        return Unknown(reason=f"there are more than {_MOST_BRANCHES} branches in this clone", hint="name the branch with --base")
    read: dict[str, str | None] = {}
    found = []
    for object_id, _, ref in pairs:
        commit = object_id.decode("ascii", "replace")
        named = _named_once(question, commit, read)
        if isinstance(named, Unknown):
            return named.because(f"whether {os.fsdecode(ref)} is the branch of record cannot be told")
        if named is not None and named == _short(os.fsdecode(ref)):
            found.append(os.fsdecode(ref))
    return found


def _named_once(question: Question, commit: str, read: dict[str, str | None]) -> str | Unknown | None:
    tree = tree_of(question.repository, commit)
    entry = tree if isinstance(tree, Unknown) else tree.entry(question.path)
    if entry is None or isinstance(entry, Unknown):
        return entry
    if entry.object_id not in read:
        named = question.named_at(commit, question.path)
        if isinstance(named, Unknown):
            return named
        read[entry.object_id] = named
    return read[entry.object_id]


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
