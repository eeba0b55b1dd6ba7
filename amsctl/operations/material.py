"""What a plan is made of: manifests, the commit that they are of, and what the branch of record knows of the same accounts.

Only files that were read can make a plan dirty. What the commit has and the disk lacks is told by name, never taken for an empty folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from amsctl.config import Project
from amsctl.diagnostics import Severity
from amsctl.errors import AmsctlError, ConfigError, ManifestErrors
from amsctl.manifests.load import Desired, discover_project, load
from amsctl.model import AccountKey
from amsctl.operations.committed import held_against
from amsctl.operations.derivation import NOT_APPROVABLE
from amsctl.operations.flow import BaseBranch, labels_of
from amsctl.operations.record import RuleSet, Sources, place_of
from amsctl.planning.plan import Finding, Git, Selection
from amsctl.provenance.checkout import Checkout, Difference, Why
from amsctl.provenance.commits import Commit, commit_at, commits_between
from amsctl.provenance.facts import Unknown
from amsctl.provenance.refs import head as head_of
from amsctl.provenance.repository import Repository, find
from amsctl.provenance.trees import Tree, TreeFiles, tree_of

MOST_MESSAGE: Final = 2000
"""Characters of the messages of a change that a plan keeps."""
_MOST_TOLD: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Manifests that were read, and what is known of where they come from.

    ``desired`` are those of the commit where nothing that was read differs from it. ``git`` is ``None`` outside of a repository and before its first
    commit. ``unapprovable`` says why a plan of this cannot be approved, empty where it can.
    """

    desired: Desired
    git: Git | None
    base: BaseBranch | None
    findings: tuple[Finding, ...]
    unapprovable: str


def material_of(sources: Sources, selection: Selection, *, folder: str | None = None) -> Material:
    """What the manifests of the checkout want, and their provenance. ``folder``: where the paths of ``selection`` are relative to (the working directory).

    ManifestErrors, ConfigError and UsageError as ``manifests.load`` raises them; ConfigError where git cannot say whether they are those of the commit.
    """
    project = sources.project
    desired = load(project, selection.paths, accounts=selection.accounts, labels=selection.labels, base=folder)
    partial = bool(selection.paths or selection.accounts or selection.labels)
    base = None if sources.record is None else base_branch(sources, desired if not partial else load(project))
    if sources.repository is None or sources.head is None:
        return Material(
            desired=desired, git=None, base=base[0] if base else None, findings=sources.findings, unapprovable=sources.unapprovable
        )
    checkout = _checkout(sources, sources.repository, sources.head, desired, selection, folder)
    if checkout.clean and checkout.line_ends:  # the commit's bytes count: a checkout with other line ends gives the same plan
        files = TreeFiles(_known_tree(sources.repository, sources.head))
        desired = load(project, selection.paths, accounts=selection.accounts, labels=selection.labels, base=folder, files=files)
    git, unknown = _git(sources, sources.repository, sources.head, checkout)
    dirty = "" if checkout.clean else _dirty_words(checkout)
    unapprovable = sources.unapprovable or dirty or unknown
    if dirty and sources.record is not None and sources.record.base is None:  # the change is no commit yet, so no branch can lack it
        unapprovable = dirty
    findings = [*sources.findings, *_missing(checkout), *(base[1] if base else ())]
    return Material(desired=desired, git=git, base=base[0] if base else None, findings=tuple(findings), unapprovable=unapprovable)


def _known_tree(repository: Repository, commit: str) -> Tree:
    tree = tree_of(repository, commit)
    if isinstance(tree, Unknown):
        raise tree.as_error("the commit that is checked out cannot be read", where=commit[:12])
    return tree


def _checkout(sources: Sources, repository: Repository, head: str, desired: Desired, selection: Selection, folder: str | None) -> Checkout:
    found = held_against(_known_tree(repository, head), sources.project, desired, paths=selection.paths or None, base=folder)
    if isinstance(found, Unknown):
        raise found.as_error("whether the manifests are those of the commit is not known", where=str(repository))
    return found


def left_out(project: Project, environ: Mapping[str, str]) -> tuple[Finding, ...]:
    """What the commit has below the manifests of a project and the disk lacks: submodules, and files that are deleted or left out of a sparse checkout.
    None outside of a repository. ConfigError with git's reason where it is not known.
    """
    repository = find(project.root, environ)
    if repository is None:
        return ()
    at = repository if isinstance(repository, Unknown) else head_of(repository)
    if isinstance(at, Unknown):
        raise at.as_error("whether the commit has more manifests than the disk is not known", where=project.root)
    if at is None or isinstance(repository, Unknown):
        return ()
    files = TreeFiles(_known_tree(repository, at.commit))
    absent = [file.path for file in discover_project(project, files).files if not os.path.lexists(file.path)]
    told = [Difference(path=os.path.relpath(path, repository.top), why=Why.NOT_HERE) for path in absent]
    told += [Difference(path=path, why=Why.SUBMODULE) for path in sorted(files.submodules)]
    return tuple(_missing(Checkout(commit=at.commit, differences=tuple(told), line_ends=())))


def _dirty_words(checkout: Checkout) -> str:
    first = checkout.differences[0]
    more = f" (and {len(checkout.differences) - 1} more)" if len(checkout.differences) > 1 else ""
    return f"its manifests are not those of the commit: {first}{more}"


def not_approvable(why: str) -> tuple[Finding, ...]:
    """The finding of a plan that cannot be approved, for that reason; none where it can."""
    if not why:
        return ()
    return (Finding(code=NOT_APPROVABLE, severity=Severity.NOTE, message=f"this plan cannot be approved: {why}", where="source"),)


def _missing(checkout: Checkout) -> Iterator[Finding]:
    """What lies below the manifests in the commit and was not read: an account that drops out unnoticed would be left alive and unwatched."""
    for difference in checkout.differences[:_MOST_TOLD]:
        if difference.why in {Why.NOT_HERE, Why.SUBMODULE}:
            yield Finding(
                code="manifest-not-read",
                severity=Severity.WARNING,
                message=str(difference),
                where=difference.path,
            )


def _git(sources: Sources, repository: Repository, head: str, checkout: Checkout) -> tuple[Git, str]:
    """The facts of the commit, and why the commits of the change are not known, empty where they are."""
    last = commit_at(repository, head)
    if isinstance(last, Unknown):
        raise last.as_error("the commit that is checked out cannot be read", where=head[:12])
    made: Sequence[Commit] | Unknown = (last,)
    if sources.record is not None and sources.record.base is not None:
        made = commits_between(repository, sources.record.base, head)
    unknown = f"who made the change is not known: {made.reason}" if isinstance(made, Unknown) else ""
    commits = (last,) if isinstance(made, Unknown) or not made else tuple(made)
    pipeline = sources.pipeline
    git = Git(
        commit=head,
        author=f"{last.author.name} <{last.author.address}>",
        dirty=not checkout.clean,
        message=message_of(commits),
        contributors=contributors_of(commits),
        started_by=None if pipeline is None else pipeline.started_by or None,
        rerun_by=None if pipeline is None else pipeline.rerun_by or None,
    )
    return git, unknown


def rollback_git(sources: Sources) -> Git | None:
    """The facts of the commit that a rollback is made at: it comes from no manifests, so none of them makes it dirty."""
    if sources.repository is None or sources.head is None:
        return None
    last = commit_at(sources.repository, sources.head)
    if isinstance(last, Unknown):
        raise last.as_error("the commit that is checked out cannot be read", where=sources.head[:12])
    base = None if sources.record is None else sources.record.tip
    made = () if base is None else commits_between(sources.repository, base, sources.head)
    commits = (last,) if isinstance(made, Unknown) or not made else made
    pipeline = sources.pipeline
    return Git(
        commit=sources.head,
        author=f"{last.author.name} <{last.author.address}>",
        dirty=False,
        message=message_of(commits),
        contributors=contributors_of(commits),
        started_by=None if pipeline is None else pipeline.started_by or None,
        rerun_by=None if pipeline is None else pipeline.rerun_by or None,
    )


def message_of(commits: Sequence[Commit]) -> str:
    """The messages of a change, newest first, as a plan keeps them."""
    return "\n\n".join(commit.message.strip() for commit in commits)[:MOST_MESSAGE]


def contributors_of(commits: Sequence[Commit]) -> tuple[str, ...]:
    """The addresses of authors, committers and people named by messages, sorted."""
    people = {person.address for commit in commits for person in (commit.author, commit.committer)}
    people |= {named.address for commit in commits for named in commit.named}
    return tuple(sorted(people - {""}))


# --- what the branch of record knows ---


def base_branch(sources: Sources, whole: Desired) -> tuple[BaseBranch, tuple[Finding, ...]]:
    """What the branch of record says of its accounts, at the newest commit that can be read, beside the whole of the manifests that are planned; and what
    there is to tell of it: accounts that are no longer managed, and manifests that cannot be read.
    """
    record = sources.record
    assert record is not None
    last = sources.rules[-1]
    held = sources.rules[0]
    if record.base not in {None, record.tip} and last.tree is not None and last.tree.commit != sources.head:
        held = last  # the base's own, which comes last
    return base_by(held, whole, ref=record.ref or "", commit=record.base or record.tip, branch=sources.branch)


def base_by(held: RuleSet, whole: Desired, *, ref: str, commit: str, branch: str | None) -> tuple[BaseBranch, tuple[Finding, ...]]:
    """The same by the rules and the accounts of one commit."""
    known, broken = accounts_at(held)
    here = {account.key for account in whole.headers()}
    kept = tuple(account.key for account in whole.headers() if account.protected)
    protected = known.protected
    if broken:  # the strictest reading: an account whose protection cannot be read is protected
        protected = tuple(sorted({*protected, *(here - known.accounts)}))
    base = BaseBranch(commit=commit, ref=ref, safeguards=None, protected=protected, kept=kept, labels=known.labels)
    return base, (*_leavers(known.accounts, here, branch), *_broken(broken, branch))


def _leavers(before: frozenset[AccountKey], here: set[AccountKey], branch: str | None) -> Iterator[Finding]:
    numbers = {key.number for key in here}
    gone = sorted(key for key in before if key not in here and key.number not in numbers)
    for key in gone[:_MOST_TOLD]:
        yield Finding(
            code="no-longer-managed",
            severity=Severity.WARNING,
            message=f"{branch} manages this account and the change does not: its limits stay as they are, and nothing watches them",
            where=str(key),
        )
    if len(gone) > _MOST_TOLD:
        yield Finding(
            code="no-longer-managed", severity=Severity.WARNING, message=f"and {len(gone) - _MOST_TOLD} more accounts", where="accounts"
        )


def _broken(broken: str, branch: str | None) -> Iterator[Finding]:
    if broken:
        yield Finding(
            code="base-broken",
            severity=Severity.WARNING,
            message=f"manifests of {branch} cannot be read ({broken}): an account whose protection they may hold is taken as protected",
            where="manifests",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountsThere:
    """The accounts of a commit: which, which are protected, and their labels. Firms as written."""

    accounts: frozenset[AccountKey]
    protected: tuple[AccountKey, ...]
    labels: Mapping[AccountKey, Sequence[str]]


def accounts_at(rules: RuleSet, *, steps: int = 50) -> tuple[AccountsThere, str]:
    """The accounts of a commit of the branch of record; of the newest one before it that can be read, where it cannot, and what is wrong with it."""
    assert rules.tree is not None
    broken, tree = "", rules.tree
    for _ in range(steps):
        try:
            desired = load(rules.project, files=TreeFiles(tree))
        except AmsctlError as problem:
            if _holds_none(problem):
                return AccountsThere(accounts=frozenset(), protected=(), labels={}), broken
            broken = broken or place_of(problem, tree.commit)
        else:
            protected = tuple(account.key for account in desired.headers() if account.protected)
            labels = {account.key: labels_of(account) for account in desired.accounts() if account.labels}
            return AccountsThere(accounts=frozenset(desired.keys()), protected=protected, labels=labels), broken
        found = commit_at(tree.repository, tree.commit)
        if isinstance(found, Unknown):
            raise found.as_error("a commit of the branch of record cannot be read", where=tree.commit[:12])
        if not found.parents:
            break
        tree = _known_tree(tree.repository, found.parents[0])
    return AccountsThere(accounts=frozenset(), protected=(), labels={}), broken


def _holds_none(problem: AmsctlError) -> bool:
    """Whether a commit simply has no manifests yet: the project file was merged first."""
    if isinstance(problem, ManifestErrors):
        return all(one.code == "no-such-path" for one in problem.diagnostics)
    return isinstance(problem, ConfigError)
