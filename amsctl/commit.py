"""Which commit a project stands at, and who made it: what ``provenance`` knows, for the plan. A repository that git cannot answer for is an error."""

from __future__ import annotations

from collections.abc import Callable

from amsctl.errors import Stale
from amsctl.planning.plan import Git
from amsctl.provenance.checkout import Checkout
from amsctl.provenance.commits import Commit, commit_at, commits_between
from amsctl.provenance.facts import Unknown, known
from amsctl.provenance.refs import head, resolve
from amsctl.provenance.repository import Repository, find
from amsctl.provenance.trees import Tree, tree_of
from amsctl.who import MOST_MESSAGE

Comparison = Callable[[Tree], Checkout | Unknown]
"""What was read, held against a commit (``committed.held_against``)."""


def commit_of(directory: str, comparison: Comparison, *, base: str | None = None, pusher: str | None = None) -> Git | None:
    """Commit, author and whether what was read differs from it; ``None`` outside a repository, and before the first commit. ``base`` is the commit of the
    base branch: messages and contributors are then those of every commit that it lacks. ConfigError, with git's reason, where any of it is unknown.
    """
    repository = repository_of(directory)
    if repository is None:
        return None
    at = known(head(repository), "which commit is checked out is not known")
    if at is None:
        return None
    last = known(commit_at(repository, at.commit), "the commit that is checked out cannot be read")
    checkout = known(comparison(_tree(repository, at.commit)), "whether the manifests are those of the commit is not known")
    made = _made_by(repository, at.commit, base)
    return Git(
        commit=at.commit,
        author=f"{last.author.name} <{last.author.address}>",
        dirty=not checkout.clean,
        message="\n\n".join(commit.message.strip() for commit in made)[:MOST_MESSAGE],
        contributors=_people(made),
        started_by=pusher or None,
    )


def contributors_of(directory: str, commit: str, base: str | None) -> tuple[str, ...] | None:
    """Addresses of the authors and committers of a commit and of what ``base`` lacks; ``None`` where git does not know all of them."""
    repository = repository_of(directory)
    if repository is None or isinstance(commit_at(repository, commit), Unknown):
        return None
    return _people(_made_by(repository, commit, base))


def _made_by(repository: Repository, commit: str, base: str | None) -> tuple[Commit, ...]:
    found = () if base is None else known(commits_between(repository, base, commit), "who made the change is not known")
    return found or (known(commit_at(repository, commit), "who made the change is not known"),)


def _people(commits: tuple[Commit, ...]) -> tuple[str, ...]:
    return tuple(sorted({person.address for commit in commits for person in (commit.author, commit.committer)} - {""}))


def check_merged(directory: str, planned: str, merged: str, comparison: Comparison) -> None:
    """Stale unless ``directory`` is checked out at ``merged``, unchanged, and holds exactly what it held at ``planned``.

    The commit itself may be another one: merging and squashing make new commits of the same content.
    """
    repository = repository_of(directory)
    if repository is None:
        raise Stale("this is no checkout of git, so nobody can tell what was merged", where=directory, expected=merged)
    at = known(head(repository), "which commit is checked out is not known")
    wanted = resolve(repository, merged)
    if isinstance(wanted, Unknown):
        raise Stale("the commit that was merged is not known here", where=merged, found=wanted.reason, hint=wanted.hint)
    if at is None or wanted.commit != at.commit:
        raise Stale(
            "another commit is checked out than the one that was merged", expected=merged, found="none" if at is None else at.commit
        )
    checkout = known(comparison(_tree(repository, at.commit)), "whether the manifests are those of the commit is not known")
    if not checkout.clean:
        raise Stale(
            "the checkout is not as it was committed", where=merged, found=str(checkout.differences[0]), hint="apply from a clean checkout"
        )
    then, now = (_folder(repository, commit) for commit in (planned, at.commit))
    if then != now:
        raise Stale(
            "what was merged is not what was planned",
            where=f"planned {planned[:12]}, merged {merged[:12]}",
            hint="something else was merged in between: plan what is there now",
        )


def _folder(repository: Repository, commit: str) -> str | None:
    """The id of the project's folder in a commit."""
    tree = tree_of(repository, commit)
    if isinstance(tree, Unknown):
        raise Stale("git does not know a commit", where=commit, found=tree.reason, hint="git fetch origin COMMIT, and apply again")
    entry = known(tree.entry(repository.prefix), "what the commit holds is not known")
    return None if entry is None else entry.object_id


def message_of(directory: str, commit: str) -> str | None:
    """The message of a commit; ``None`` where there is no such commit, or no repository."""
    repository = repository_of(directory)
    found = None if repository is None else commit_at(repository, commit)
    return None if found is None or isinstance(found, Unknown) else found.message.strip()


def repository_of(directory: str) -> Repository | None:
    """The repository of a folder; ``None`` outside of any. ConfigError, with git's reason, where it cannot be used."""
    return known(find(directory), "the repository of git cannot be used")


def _tree(repository: Repository, commit: str) -> Tree:
    return known(tree_of(repository, commit), "what the commit holds is not known")
