"""The project's ledger: where it is, and whether it may be there.

A ledger that a commit brings along, or that a link of the commit leads to, says what the author of the commit wants: it is refused. One that is lost with
a pipeline's job promises nothing: plans are applied twice, freezes are not seen. In a pipeline it is refused for whatever writes, unless the project
accepts that.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from amsctl.errors import ConfigError
from amsctl.provenance.facts import Unknown

if TYPE_CHECKING:
    from amsctl.config import Project, Secret
    from amsctl.ledger.store import Ledger
    from amsctl.provenance.repository import Repository

Tell = Callable[[str], None]
_SQLITE: Final = "sqlite:///"
_BESIDE: Final = ("", "-wal", "-shm", "-journal")
"""What SQLite reads as part of a database: the file, and those beside it."""
_MOST_LINKS: Final = 64
_ELSEWHERE: Final = 'a PostgreSQL database, or a file outside of the checkout that outlives the job: ledger: {url: "${AMS_LEDGER_URL}"}'


@contextmanager
def project_ledger(
    project: Project, environ: Mapping[str, str], *, create: bool = True, writes: bool = True, tell: Tell = lambda line: None
) -> Iterator[Ledger]:
    """The ledger of the project. ConfigError when it may not be where it is, LedgerFailed when it cannot be used, or is not there and shall not be made.

    ``tell`` is given what a person must know of it: that the default file stands for an address that is missing. ``writes`` is true for whatever adds a
    record, at the AMS or not.
    """
    from amsctl.ams.clock import SystemClock
    from amsctl.ledger.store import open_ledger
    from amsctl.manifests.project import names_of

    url = ledger_url(project, environ, writes=writes, tell=tell)
    with open_ledger(url, clock=SystemClock(), names=names_of(project), create=create) as ledger:
        yield ledger


def ledger_url(project: Project, environ: Mapping[str, str], *, writes: bool, tell: Tell = lambda line: None) -> Secret:
    """Where the ledger is, which may be there for this. ConfigError otherwise."""
    from amsctl.manifests.project import resolve_ledger, unset_ledger
    from amsctl.provenance.pipeline import is_pipeline

    job = is_pipeline(environ)
    unset = unset_ledger(project, environ)
    if unset is not None:
        if job and writes:
            raise _unset_in_a_job(project, unset)
        tell(f"the environment variable {unset} is not set: the ledger is the default file, .amsctl/ledger.db")
    url = resolve_ledger(project, environ)
    path = url.reveal().removeprefix(_SQLITE)
    if path != url.reveal():
        at = _own(project, path)
        if job and writes and not project.ledger.ephemeral and _is_below(at, _top_of(project.root)):
            raise _lost_with_the_job(project, path)
    return url


def ledger_warning(project: Project, environ: Mapping[str, str]) -> str | None:
    """Why whatever writes would be refused for its ledger, for those that only read; ``None`` when nothing is known against it."""
    from amsctl.manifests.project import unset_ledger

    try:
        ledger_url(project, environ, writes=True)
    except ConfigError as problem:
        return (
            f"{problem.what}; apply will refuse to write: {problem.hint}" if problem.hint else f"{problem.what}; apply will refuse to write"
        )
    unset = unset_ledger(project, environ)
    return None if unset is None else f"the environment variable {unset} is not set: the ledger is the default file, .amsctl/ledger.db"


def place_words(ledger: Ledger) -> str:
    """Where a ledger is and since when it exists, without its secrets: ``ledger /var/lib/amsctl/ledger.db, since 2026-11-21T08:15:30.125Z``."""
    began = ledger.began()
    return f"{ledger.place}, {'new' if began is None else f'since {began}'}"


# --- what is refused ---


def _unset_in_a_job(project: Project, name: str) -> ConfigError:
    return ConfigError(
        f"the environment variable {name} is not set, and the record of what this pipeline writes would be lost with the job",
        where=str(project.ledger.source or project.source),
        expected=f"{name}: the address of a ledger that outlives the job",
        hint=f"set {name} in the pipeline's settings, to postgresql://USER:PASSWORD@HOST/NAME or to a SQLite file outside of the checkout",
    )


def _lost_with_the_job(project: Project, path: str) -> ConfigError:
    return ConfigError(
        "the ledger lies below the checkout and would be lost with the job: plans could be applied twice, and freezes would not be seen",
        where=f"ledger {path}, {project.ledger.source or project.source}",
        expected=_ELSEWHERE,
        hint="name a ledger that outlives the job in spec.ledger.url; ledger: {ephemeral: accepted} if its loss is accepted",
    )


def _own(project: Project, path: str) -> str:
    """The ledger's file, links resolved. ConfigError when a commit may have brought it: git tracks it, or a link inside a repository leads to it."""
    at = _through_links(path, _top_of(project.root))
    folder, name = os.path.split(at)
    names = [os.path.join(folder, name + end) for end in _BESIDE]
    found = tracked(folder, names)
    if isinstance(found, Unknown):
        raise ConfigError(
            "whether git tracks the ledger is unknown, so it is not used",
            where=f"ledger {path}",
            found=found.reason,
            hint=found.hint or "name a ledger outside of this repository in spec.ledger.url",
        )
    if found is not None:
        raise ConfigError(
            "git tracks the ledger: what it says was brought by a commit",
            where=f"ledger {path}",
            found=f"{found} in the index or the commit",
            hint=f"git rm --cached {os.path.basename(found)}, commit that, and use a ledger that no commit has written",
        )
    return at


def _through_links(path: str, top: str) -> str:
    """The file itself. ConfigError at a link that lies inside of the repository with the top folder ``top``, or that git tracks anywhere."""
    done, left, seen = os.sep, [part for part in path.split(os.sep) if part], 0
    while left:
        part = left.pop(0)
        if part == os.pardir:
            done = os.path.dirname(done)
            continue
        at = os.path.join(done, part)
        if part == os.curdir or not os.path.islink(at):
            done = done if part == os.curdir else at
            continue
        seen += 1
        if seen > _MOST_LINKS:
            raise ConfigError("the path of the ledger leads through links without end", where=f"ledger {path}")
        if _is_below(at, top) or _may_track(done, at):
            raise ConfigError(
                "a link inside the repository leads to the ledger: a commit can make it lead anywhere",
                where=f"ledger {path}",
                found=f"the link {at}",
                hint="remove the link, and write the path that it led to into spec.ledger.url",
            )
        target = os.readlink(at)
        done = os.sep if os.path.isabs(target) else done
        left[:0] = [step for step in target.split(os.sep) if step]
    return done


def _may_track(folder: str, link: str) -> bool:
    found = tracked(folder, [link])
    return found is not None  # unknown counts as tracked


def tracked(folder: str, paths: list[str]) -> str | Unknown | None:
    """Which of ``paths`` the repository of ``folder`` tracks, in its index or in the commit that is checked out, in whatever spelling; ``None`` for none."""
    from amsctl.provenance.repository import find

    if _holder(folder) is None:
        return None
    repository = find(folder)
    if repository is None or isinstance(repository, Unknown):
        return repository
    try:
        return _tracked_by(repository, [os.path.relpath(path, repository.top).replace(os.sep, "/") for path in paths])
    finally:
        repository.close()


def _tracked_by(repository: Repository, names: list[str]) -> str | Unknown | None:
    listed = repository.git.ask("ls-files", "--cached", "-z", "--", *(f":(top,literal,icase){name}" for name in names))
    if isinstance(listed, Unknown):
        return listed
    if listed:
        return os.fsdecode(listed.split(b"\0")[0])
    return _committed(repository, names)


def _committed(repository: Repository, names: list[str]) -> str | Unknown | None:
    """The same in the commit that is checked out, where nothing of the index is believed."""
    from amsctl.provenance.refs import head
    from amsctl.provenance.trees import Kind, tree_of

    commit = head(repository)
    if commit is None or isinstance(commit, Unknown):
        return commit
    tree = tree_of(repository, commit.commit)
    if isinstance(tree, Unknown):
        return tree
    wanted = [name.casefold().split("/") for name in names]
    folders = [("", 0)]
    for folder, depth in folders:
        entries = tree.entries(folder)
        if isinstance(entries, Unknown):
            return entries
        for entry in entries:
            fits = [parts for parts in wanted if parts[: depth + 1] == entry.path.casefold().split("/")]
            if any(len(parts) == depth + 1 for parts in fits) or (fits and entry.kind is not Kind.FOLDER):
                return entry.path
            if fits:
                folders.append((entry.path, depth + 1))
    return None


# --- where it is ---


def _holder(folder: str) -> str | None:
    """The nearest folder upwards that holds ``.git``."""
    while not os.path.lexists(os.path.join(folder, ".git")):
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above
    return folder


def _top_of(root: str) -> str:
    """The checkout: git's work tree, or the project's folder where there is no git."""
    return _holder(os.path.realpath(root)) or os.path.realpath(root)


def _is_below(path: str, top: str) -> bool:
    """Whether a path leads below a folder, by whatever name: links, ``/proc/self/cwd``, a folder that is mounted twice, another case of letters."""
    at = os.path.realpath(os.path.dirname(path))
    while True:
        try:
            if at == top or os.path.samefile(at, top):
                return True
        except OSError:
            pass  # it is not there yet
        above = os.path.dirname(at)
        if above == at:
            return False
        at = above
