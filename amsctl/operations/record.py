"""Whose rules hold: the project file of the branch of record, whole, and what it says at the commits that a change is held against.

The change brings manifests. Addresses, credentials, windows, guards, policies, approvers and every file that they name inside the repository are those of
the branch of record; what the change does to them takes effect after its merge (SECURITY.md).
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from amsctl.config import PROJECT_FILE, Environment, Project, Safeguards, Tls
from amsctl.diagnostics import Severity
from amsctl.errors import AmsctlError, ConfigError, ManifestErrors
from amsctl.manifests.project import load_project, resolve_environment
from amsctl.planning.plan import Finding
from amsctl.provenance.branch import DEFAULT_BRANCH, Question, Record, Wanted, branch_of_record, undisputed
from amsctl.provenance.commits import commit_at
from amsctl.provenance.facts import Unknown
from amsctl.provenance.pipeline import Pipeline, pipeline_of
from amsctl.provenance.refs import Resolved, resolve
from amsctl.provenance.refs import head as head_of
from amsctl.provenance.repository import Repository, find
from amsctl.provenance.trees import Kind, Tree, TreeFiles, tree_of

_MOST_STEPS_BACK: Final = 200
"""How far back along the branch a project file that can be read is looked for, where the newest cannot."""
_NAMES_BRANCH: Final = re.compile(rb"^\s*[{,]?\s*baseBranch\s*:\s*[\"']?([A-Za-z0-9_./+-]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """What one commit of the branch of record asks for. ``place`` names it in a message; ``tree`` holds the files that its project file names; ``folder`` is
    that of the project file, absolute, as it would stand in the checkout.
    """

    place: str
    project: Project
    tree: Tree | None = None
    folder: str = ""

    def file(self, path: str) -> bytes | Unknown | None:
        """The bytes of a file that the project file names, at this commit; ``None`` where there is none. A link is not followed."""
        if self.tree is None:
            return None
        below = self.tree.repository.below(os.path.join(os.path.relpath(self.folder, self.tree.repository.folder), path))
        return self.tree.file(below)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Everything around a plan that is not the plan: the project file that rules, the branch of record, and what cannot be known.

    ``project`` rules, with the checkout's folder as its root; ``here`` is the project file of the checkout. ``rules`` are the sets that must all be met,
    the ruling one first. ``record`` is ``None`` where no branch of record rules, and ``adoption`` then says why. ``head`` is the commit that is checked
    out. ``unapprovable`` says why a plan of these sources cannot be approved, empty where it can; ``findings`` are what a plan tells of them.
    """

    here: Project
    project: Project
    rules: tuple[RuleSet, ...]
    repository: Repository | None = None
    head: str | None = None
    record: Record | None = None
    adoption: str = ""
    broken: str = ""
    pipeline: Pipeline | None = None
    findings: tuple[Finding, ...] = ()
    _folders: list[tempfile.TemporaryDirectory[str]] = field(default_factory=list, repr=False)

    @property
    def branch(self) -> str | None:
        """The short name of the branch of record."""
        return None if self.record is None else short_name(self.record.ref)

    @property
    def unapprovable(self) -> str:
        """Why a plan of these sources cannot be approved; empty where it can."""
        if self.record is None:
            return self.adoption
        if self.record.base is None:
            return (
                f"{self.branch} holds this commit already and has none without it, so there is nothing to compare with: make the change on a branch, "
                f"and plan with --base {self.branch}"
            )
        return self.record.why_not_approvable

    def environment(self, name: str | None, environ: Mapping[str, str]) -> Environment:
        """The environment of that name by the rules that hold, certificates inside the repository as the branch of record has them. ConfigError."""
        environment = resolve_environment(self.project, name, environ)
        ruling = self.rules[0]
        if ruling.tree is None:
            return environment
        tls = environment.tls
        recorded = replace(
            tls,
            ca_file=self._recorded(tls, "caFile", tls.ca_file, ruling.tree),
            certificate_file=self._recorded(tls, "certificateFile", tls.certificate_file, ruling.tree),
            key_file=self._recorded(tls, "keyFile", tls.key_file, ruling.tree),
        )
        return replace(environment, tls=recorded)

    def _recorded(self, tls: Tls, setting: str, path: str | None, tree: Tree) -> str | None:
        """A certificate's path; one inside the repository is a copy of what the branch of record has there, readable by its owner alone."""
        if path is None:
            return None
        top = tree.repository.top
        plain = os.path.normpath(path)
        if not any(_inside(one, top) for one in (plain, os.path.realpath(plain))):
            return path
        below = os.path.relpath(plain, top).replace(os.sep, "/")
        content, where = tree.file(below), tls.written.get(setting, below)
        if isinstance(content, Unknown):
            raise content.as_error("a certificate of the project file cannot be read", where=where)
        if content is None:
            raise ConfigError(
                "a certificate that lies in the repository is not on the branch of record",
                where=where,
                expected=f"a file at commit {tree.commit[:12]}",
                hint="merge it first, or keep it outside of the repository and name it by its absolute path",
            )
        folder = tempfile.TemporaryDirectory(prefix="amsctl-tls-")
        self._folders.append(folder)
        copy = os.path.join(folder.name, os.path.basename(below))
        with open(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(content)
        return copy


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def short_name(ref: str | None) -> str | None:
    """``main`` of ``refs/heads/main`` and of ``refs/remotes/origin/main``."""
    if ref is None:
        return None
    if ref.startswith("refs/remotes/"):
        return ref.removeprefix("refs/remotes/").partition("/")[2]
    return ref.removeprefix("refs/heads/")


# --- finding them ---


def without_git(project: Project, reason: str = "there is no repository of git here") -> Sources:
    """The sources of a project that no branch of record rules."""
    return Sources(
        here=project, project=project, rules=(RuleSet(place=PROJECT_FILE, project=project, folder=project.root),), adoption=reason
    )


def sources_of(
    directory: str | os.PathLike[str], environ: Mapping[str, str], *, option: str | None = None, head: str | None = None
) -> Sources:
    """Whose rules hold for the project in ``directory``. ``option`` is that of ``--base``; ``head`` the commit of the change, that which is checked out where
    it is ``None``.

    ConfigError, with git's reason, where it cannot be known; where a pipeline or ``--base`` names a branch that has no project file yet, since nothing is
    then sent anywhere; and where the branch of record has its project file elsewhere. ManifestErrors where the checkout's own project file is wrong.
    """
    here = load_project(directory)
    pipeline = pipeline_of(environ)
    repository = find(here.root, environ)
    if isinstance(repository, Unknown):
        raise repository.as_error("whose rules hold here is not known", where=here.root)
    _not_led_out(os.path.abspath(directory), repository, environ)
    if repository is None:
        if option is not None:
            raise ConfigError("there is no repository of git here", where=here.root, found=f"--base {option}", hint="run amsctl in a clone")
        _no_job_of_a_branch(here, pipeline)
        return replace(without_git(here), pipeline=pipeline)
    with repository.git.one_look():
        return _sources_in(here, repository, option, head, pipeline)


def _sources_in(here: Project, repository: Repository, option: str | None, head: str | None, pipeline: Pipeline | None) -> Sources:
    """``sources_of`` in a repository."""
    at = head_of(repository)
    if isinstance(at, Unknown):
        raise at.as_error("which commit is checked out is not known", where=str(repository))
    if at is None:
        if option is not None:
            raise ConfigError("the repository has no commit yet", where=str(repository), found=f"--base {option}", hint="commit first")
        _no_job_of_a_branch(here, pipeline)
        return replace(without_git(here, "the repository has no commit yet"), repository=repository, pipeline=pipeline)
    change = head or at.commit
    wanted = Wanted(
        option=option,
        job=pipeline.branch if pipeline is not None else "",
        request=pipeline is not None and pipeline.request,
        default=pipeline.default if pipeline is not None else "",
        pipeline=pipeline is not None,
        setting=here.base_branch,
        written=here.base_branch != DEFAULT_BRANCH,
    )
    record = branch_of_record(
        repository, change, wanted, lambda commit, path: _named_at(repository, commit, path), repository.below(PROJECT_FILE)
    )
    if isinstance(record, Unknown):
        raise record.as_error("the branch of record is not known", where=str(repository))
    if record is None:
        if pipeline is not None:
            raise ConfigError(
                "a pipeline does not know its branch of record, so nothing is sent anywhere",
                expected=f"a branch {here.base_branch}",
                hint="fetch it, and name it with --base or baseBranch",
            )
        reason = f"the repository has no branch {here.base_branch}, which would be the branch of record"
        return replace(without_git(here, reason), repository=repository, head=at.commit, pipeline=pipeline)
    return _ruled(here, repository, at.commit, record, pipeline, strict=option is not None or pipeline is not None)


def _no_job_of_a_branch(here: Project, pipeline: Pipeline | None) -> None:
    """A job for a request or a branch has files of a commit, and whose rules hold for them, git alone can tell: a checkout without git, as an archive is,
    would take those that the change brings. ConfigError.
    """
    if pipeline is None or not (pipeline.request or pipeline.branch):
        return
    if isinstance(pipeline.branch, Unknown):
        raise pipeline.branch.as_error(
            "the job's checkout is no clone, and its branch is not known, so nothing is sent anywhere", where=here.root
        )
    raise ConfigError(
        f"the job is for {'a request' if pipeline.request else 'a branch'}, and its checkout is no clone, so nothing is sent anywhere",
        where=here.root,
        expected=f"a clone with the branch {pipeline.branch or here.base_branch}, whose project file rules",
        found="no commit of git",
        hint="install git in the image so that the checkout is a clone (actions/checkout downloads an archive where git is missing)",
    )


def _not_led_out(named: str, repository: Repository | None, environ: Mapping[str, str]) -> None:
    """A commit with a link in the place of the project's folder must not lead to another repository's rules, or to a place that none rules. ConfigError."""
    top = named
    while not os.path.lexists(os.path.join(top, ".git")):
        if top == os.path.dirname(top):
            return
        top = os.path.dirname(top)
    if top == named or (repository is not None and os.path.realpath(top) == repository.top):
        return
    around = find(top, environ)
    at = around if around is None or isinstance(around, Unknown) else head_of(around)
    if isinstance(at, Unknown):
        raise at.as_error("whether a commit leads out of its repository is not known", where=top)
    if around is None or isinstance(around, Unknown) or at is None:
        return
    tree, below = _tree(around, at.commit), ""
    for part in os.path.relpath(named, top).split(os.sep):
        below = f"{below}/{part}" if below else part
        entry = tree.entry(below)
        if isinstance(entry, Unknown):
            raise entry.as_error("the commit that is checked out cannot be read", where=at.commit[:12])
        if entry is not None and entry.kind is Kind.LINK:
            raise ConfigError(
                "the commit has a link in the place of the project's folder, which leads out of the repository, so nothing is sent anywhere",
                where=f"{below} in {top}",
                expected="a folder of the repository",
                hint="run amsctl where the project file is, or keep the project in the repository",
            )


def _ruled(here: Project, repository: Repository, head: str, record: Record, pipeline: Pipeline | None, *, strict: bool) -> Sources:
    """The sources where a branch of record is known. ``strict``: a pipeline or ``--base`` has named it."""
    tree = _tree(repository, record.tip)
    name = short_name(record.ref) or record.tip[:12]
    folder = _folder_of_record(repository, tree, head, name, strict=strict)
    if folder is None:
        reason = f"the branch of record, {name}, has no project file yet: merge it first"
        return replace(without_git(here, reason), repository=repository, head=head, pipeline=pipeline)
    ruling, broken = _readable(repository, record.tip, folder, name)
    if ruling is None:
        raise ConfigError(
            "no project file of the branch of record can be read, so nothing is sent anywhere",
            where=name,
            found=broken,
            hint="mend it and merge that first; amsctl validate says what is wrong",
        )
    rules = [ruling]
    if broken:  # the strictest reading: the last one that could be read, and what the change makes of it
        rules.append(RuleSet(place=f"{PROJECT_FILE} here", project=here, tree=_tree(repository, head), folder=here.root))
    rules += _of_rivals(repository, head, record, ruling, folder, pipeline)
    if record.base is not None and record.base != record.tip:
        older, _ = _readable(repository, record.base, folder, name) if _has(repository, record.base, folder) else (None, "")
        rules += [older] if older is not None else []
    return Sources(
        here=here,
        project=replace(ruling.project, root=here.root),
        rules=tuple(rules),
        repository=repository,
        head=head,
        record=record,
        broken=broken,
        pipeline=pipeline,
        findings=tuple(_told(here, ruling, name, folder, broken)),
    )


def _of_rivals(repository: Repository, head: str, record: Record, ruling: RuleSet, folder: str, pipeline: Pipeline | None) -> list[RuleSet]:
    """The rules of other branches that call themselves the branch of record, which must be met, too. ConfigError where they and those that rule cannot both
    be met, and where such a branch is not in this clone.

    A request names any branch that its author likes, and so does a push: one of no review neither makes the rules lighter nor leads a credential, write or
    record elsewhere, also where ``--base`` repeats what the job says.
    """
    against: tuple[str, ...] = ()
    if pipeline is not None and (pipeline.request or pipeline.branch == short_name(record.ref)):
        against = _against_job(repository, head, record, folder, pipeline.default)
    where = f"{short_name(record.ref) or record.tip[:12]}: {_below(repository, folder)}"
    for rules in _claimed(repository, against, folder):
        if _places(rules.project) != _places(ruling.project):
            raise ConfigError(
                "the job is for a branch whose project file sends to other places than that of the branch of record, so nothing is sent anywhere",
                where=where,
                expected=f"the environments and the ledger of {rules.place}",
                hint="make the request for the branch of record; or bring the project file of this branch into line with that one first",
            )
    found = _claimed(repository, dict.fromkeys([*record.rivals, *against]), folder)
    for rules in found:
        otherwise = _measures_otherwise(ruling.project, rules.project)
        if otherwise:
            raise ConfigError(
                "two branches call themselves the branch of record, and their project files measure a plan differently, so nothing is sent anywhere",
                where=where,
                expected=f"{', '.join(otherwise)} of {rules.place}",
                hint="name the branch of record, by --base or as the target of the request; or bring the project file of this branch into line first",
            )
    return found


def _against_job(repository: Repository, head: str, record: Record, folder: str, default: str) -> tuple[str, ...]:
    """The branches with a claim against the one that a job is for."""
    question = Question(
        repository=repository,
        head=head,
        named_at=lambda commit, path: _named_at(repository, commit, path),
        path=_below(repository, folder),
        default=default,
    )
    found = undisputed(question, Resolved(ref=record.ref, commit=record.tip))
    if isinstance(found, Unknown):
        raise found.as_error("whether the job is for the branch of record is not known, so nothing is sent anywhere", where=str(repository))
    return found


def _measures_otherwise(ruling: Project, rival: Project) -> list[str]:
    """The members by which a plan under ``ruling`` cannot be held against the rules of ``rival``: what its numbers mean, which of them it sets, what its
    guards measure against, and a longer life.
    """
    differs = {
        "unsetMeans": ruling.unset_means is not rival.unset_means,
        "ownership": set(ruling.ownership) != set(rival.ownership),
        "guardsAgainst": rival.measured_days not in {0, ruling.measured_days},
        "planValid": ruling.plan_valid_hours > rival.plan_valid_hours,
    }
    return [member for member, one in differs.items() if one]


def _places(project: Project) -> tuple[object, ...]:
    """Where a project sends credentials and writes, and where it keeps the record of them."""
    plain = _plain(project)
    return plain.environments, plain.default_environment, plain.ledger.url


def _claimed(repository: Repository, rivals: Iterable[str], folder: str) -> list[RuleSet]:
    """The rules of other branches with a claim to be the branch of record."""
    found = []
    for ref in rivals:
        named = resolve(repository, ref)
        if isinstance(named, Unknown):
            raise named.as_error("a branch that claims to be the branch of record cannot be read", where=ref)
        for place in _folders_at(repository, named.commit, folder):
            rules, broken = _readable(repository, named.commit, place, short_name(ref) or ref)
            if rules is None:
                raise ConfigError(
                    "the project file of a branch that claims to be the branch of record cannot be read, so nothing is sent anywhere",
                    where=ref,
                    found=broken,
                    hint="name the branch that the change is for with --base",
                )
            found.append(rules)
    return found


def _folders_at(repository: Repository, commit: str, folder: str) -> list[str]:
    """The folders of the project files of a commit that may be this project's: the same folder, or else every one."""
    if _has(repository, commit, folder):
        return [folder]
    entries = _tree(repository, commit).walk()
    if isinstance(entries, Unknown):
        raise entries.as_error("a commit cannot be read", where=commit[:12])
    paths = [entry.path for entry in entries if entry.name == PROJECT_FILE and entry.kind in {Kind.FILE, Kind.LINK}]
    return [os.path.join(repository.top, os.path.dirname(path)) for path in paths]


def _tree(repository: Repository, commit: str) -> Tree:
    tree = tree_of(repository, commit)
    if isinstance(tree, Unknown):
        raise tree.as_error("a commit of the branch of record cannot be read", where=commit[:12])
    return tree


def _has(repository: Repository, commit: str, folder: str) -> bool:
    entry = _tree(repository, commit).entry(_below(repository, folder))
    if isinstance(entry, Unknown):
        raise entry.as_error("a commit of the branch of record cannot be read", where=commit[:12])
    return entry is not None and entry.kind in {Kind.FILE, Kind.LINK}


def _below(repository: Repository, folder: str) -> str:
    return os.path.relpath(os.path.join(folder, PROJECT_FILE), repository.top).replace(os.sep, "/")


def _folder_of_record(repository: Repository, tree: Tree, head: str, name: str, *, strict: bool) -> str | None:
    """The folder, absolute, of the project file that rules: the checkout's own, or the one that the change has moved it away from. ``None`` where the
    branch has none, which only a person at a terminal may go on with.
    """
    if _has(repository, tree.commit, repository.folder):
        return repository.folder
    entries = tree.walk()
    if isinstance(entries, Unknown):
        raise entries.as_error("the branch of record cannot be read", where=name)
    elsewhere = [entry.path for entry in entries if entry.name == PROJECT_FILE and entry.kind in {Kind.FILE, Kind.LINK}]
    left = [path for path in elsewhere if not _has_path(repository, head, path)]
    if len(left) == 1 and len(elsewhere) >= 1:
        return os.path.join(repository.top, os.path.dirname(left[0]))
    if elsewhere or strict:
        raise ConfigError(
            "the branch of record has no project file for this folder, so nothing is sent anywhere",
            where=f"{name}: {repository.below(PROJECT_FILE)}",
            found=f"project files in {', '.join(os.path.dirname(path) or '.' for path in elsewhere[:5])}" if elsewhere else "none",
            hint="merge the project file first, without accounts if you like, and plan the change then; or, to try things out, use a folder that is in no git "
            "repository",
        )
    return None


def _has_path(repository: Repository, commit: str, path: str) -> bool:
    entry = _tree(repository, commit).entry(path)
    if isinstance(entry, Unknown):
        raise entry.as_error("the commit that is checked out cannot be read", where=commit[:12])
    return entry is not None


def _readable(repository: Repository, commit: str, folder: str, name: str) -> tuple[RuleSet | None, str]:
    """The rules at ``commit``, or at the newest commit of the branch before it whose project file can be read; and what is wrong with the first, with file
    and line, empty where nothing is.
    """
    broken, at = "", commit
    for _ in range(_MOST_STEPS_BACK):
        tree = _tree(repository, at)
        try:
            project = load_project(folder, TreeFiles(tree))
        except AmsctlError as problem:
            broken = broken or place_of(problem, at)
        else:
            return RuleSet(place=f"{name} at {at[:12]}", project=project, tree=tree, folder=folder), broken
        found = commit_at(repository, at)
        if isinstance(found, Unknown):
            raise found.as_error("a commit of the branch of record cannot be read", where=at[:12])
        if not found.parents or not _has(repository, found.parents[0], folder):
            break
        at = found.parents[0]
    return None, broken


def rules_between(sources: Sources, path: Sequence[str]) -> tuple[RuleSet, ...]:
    """The sets of rules of the branch of record at each commit of ``path``, beside those that hold anyway: each different project file once."""
    found = list(sources.rules)
    seen = {_ids_of(rules) for rules in found}
    for rules in rules_along(sources, path):
        if _ids_of(rules) not in seen:
            seen.add(_ids_of(rules))
            found.append(rules)
    return tuple(found)


def rules_along(sources: Sources, path: Iterable[str]) -> Iterator[RuleSet]:
    """The rules of the branch of record at each commit of ``path`` that has a project file, read as they are asked for."""
    repository, folder = sources.repository, sources.rules[0].folder
    assert repository is not None
    read: dict[str, RuleSet | None] = {}
    for commit in path:
        tree = _tree(repository, commit)
        entry = tree.entry(_below(repository, folder))
        if isinstance(entry, Unknown):
            raise entry.as_error("a commit of the branch of record cannot be read", where=commit[:12])
        if entry is None:
            continue
        if entry.object_id not in read:
            read[entry.object_id] = _readable(repository, commit, folder, sources.branch or "")[0]
        rules = read[entry.object_id]
        if rules is not None:
            yield replace(rules, tree=tree, place=f"{sources.branch} at {commit[:12]}")


def ruled_at(sources: Sources, commit: str) -> tuple[RuleSet, str] | None:
    """The rules of the branch of record as a plan was made under them when ``commit`` was its newest, and what was wrong with its project file; ``None``
    where it had none.
    """
    repository, folder = sources.repository, sources.rules[0].folder
    assert repository is not None
    if not _has(repository, commit, folder):
        return None
    rules, broken = _readable(repository, commit, folder, sources.branch or commit[:12])
    return None if rules is None else (rules, broken)


def told_at(sources: Sources, change: str, ruled: tuple[RuleSet, str]) -> tuple[Finding, ...]:
    """What a plan of the commit ``change`` tells of its project file where these rules hold."""
    repository = sources.repository
    assert repository is not None
    here = load_project(sources.here.root, TreeFiles(_tree(repository, change)))
    rules, broken = ruled
    record = sources.record
    assert record is not None
    return tuple(_told(here, rules, short_name(record.ref) or record.tip[:12], rules.folder, broken))


def _ids_of(rules: RuleSet) -> tuple[object, ...]:
    """What tells two sets of rules apart: what the project file says, and the list of signers that it names."""
    approvals = rules.project.approvals
    signers = rules.file(approvals.signers) if approvals is not None else None
    return repr(_plain(rules.project)), signers if isinstance(signers, bytes) else str(signers)


def place_of(problem: AmsctlError, commit: str) -> str:
    """What is wrong, with file and line."""
    if isinstance(problem, ManifestErrors) and problem.diagnostics:
        first = problem.diagnostics[0]
        more = f" (and {len(problem.diagnostics) - 1} more)" if len(problem.diagnostics) > 1 else ""
        return f"{first.message}{more} at commit {commit[:12]}"
    return f"{problem} at commit {commit[:12]}"


def _named_at(repository: Repository, commit: str, path: str) -> str | Unknown | None:
    """What the project file of a commit calls its base branch. One that cannot be read by this version still says so in its text."""
    tree = tree_of(repository, commit)
    if isinstance(tree, Unknown):
        return tree
    content = tree.file(path)
    if content is None or isinstance(content, Unknown):
        return content
    try:
        return load_project(os.path.join(repository.top, os.path.dirname(path)), TreeFiles(tree)).base_branch
    except AmsctlError:
        found = _NAMES_BRANCH.search(content)
        return found[1].decode("ascii") if found else DEFAULT_BRANCH


def _told(here: Project, ruling: RuleSet, name: str, folder: str, broken: str) -> list[Finding]:
    """What a plan tells of the project file: that the change has another, which takes effect after the merge; that the branch's own is broken."""
    found = []
    if folder != here.root:
        found.append(
            Finding(
                code="project-moved",
                severity=Severity.WARNING,
                message=f"the change moves the project file: that of {name} rules until the merge",
                where=PROJECT_FILE,
            )
        )
    if broken:
        found.append(
            Finding(
                code="base-broken",
                severity=Severity.WARNING,
                message=f"the project file of {name} cannot be read ({broken}); the last one that can, and that of this change, must both be met",
                where=PROJECT_FILE,
            )
        )
    elif _differs(here, ruling.project):
        found.append(
            Finding(
                code="project-file-changed",
                severity=Severity.WARNING,
                message=f"this change has another project file than {name}: it takes effect after the merge, and this plan is made without it",
                where=PROJECT_FILE,
            )
        )
    return found


def _differs(here: Project, ruling: Project) -> bool:
    """Whether two project files say anything different, wherever they stand and however they are laid out."""
    return _plain(here) != _plain(ruling)


def _plain(project: Project) -> Project:
    from amsctl.manifests.nodes import plain

    environments = {name: plain(node) for name, node in project.environments.items()}
    ledger, windows = replace(project.ledger, source=None), tuple(replace(one, source=None) for one in project.windows)
    return replace(
        project,
        root="",
        source=project.source._replace(line=0, column=0),
        manifests_sources=(),
        environments=environments,
        ledger=ledger,
        windows=windows,
    )


def safeguards_of(rule_set: RuleSet, environment: str) -> Safeguards:
    """What a set of rules asks for in an environment."""
    return rule_set.project.safeguards.at(environment)
