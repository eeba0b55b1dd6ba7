"""The one door to a write: may this plan be carried out? Everything in it that follows from manifests, live state and git is derived again, and whoever
must agree has agreed. What cannot be known refuses.

``review`` asks what needs no AMS and ``authorise`` the rest, under the locks of the run; both come before the first byte of a write. Apply, resume,
rollback and ``amsctl.api`` come through here; ``applying`` takes nothing else than what ``authorise`` gives.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from amsctl.applying.authorised import AuthorisedPlan, grant
from amsctl.applying.freshness import stale
from amsctl.applying.means import stamp
from amsctl.applying.resuming import holds
from amsctl.applying.state import state_of
from amsctl.concurrently import for_each
from amsctl.config import Approvals, Calendar, Environment, GuardName, Project
from amsctl.diagnostics import Severity
from amsctl.errors import ConfigError, ManifestErrors, Refused, Stale, UsageError
from amsctl.model import AccountKey, DesiredAccount, Firm, LiveAccount, UnsetMeans
from amsctl.operations.agreement import agreed
from amsctl.operations.behind import check_not_behind
from amsctl.operations.derivation import (
    ABOUT_SOURCES,
    NOT_APPROVABLE,
    Derived,
    check_derived,
    check_outlived,
    check_stated,
    findings_by_account,
    identity,
    stated_safeguards,
)
from amsctl.operations.flow import (
    BaseBranch,
    check_age,
    check_findings,
    check_policies,
    check_target,
    held_by_base,
    labels_of,
    manifests_hash,
    naming,
    resolve_key,
    rules_of,
    target_of,
)
from amsctl.operations.material import accounts_at, base_by, contributors_of, message_of, not_approvable
from amsctl.operations.points import Branch, branch_points
from amsctl.operations.record import RuleSet, Sources, ruled_at, rules_along, short_name, told_at
from amsctl.planning.arrange import AccountPlan, arrange, observed_of
from amsctl.planning.diff import Rules, added_rows, diff
from amsctl.planning.fingerprint import fingerprint
from amsctl.planning.guards import Sight, got_worse, verdict_words
from amsctl.planning.inverse import inverted, made
from amsctl.planning.plan import Change, Finding, Git, Observed, Plan, PointSource, Selection, Verdict
from amsctl.planning.points import Point, PointKey, Points, both_records, open_keys, points_of, wanted_keys
from amsctl.planning.policies import judge_policies
from amsctl.provenance.checkout import Why
from amsctl.provenance.commits import commit_at, commits_between, first_parent_path, is_ancestor, newest_without
from amsctl.provenance.facts import Unknown
from amsctl.provenance.refs import resolve
from amsctl.provenance.repository import Repository
from amsctl.provenance.trees import Kind, TreeFiles, tree_of

if TYPE_CHECKING:
    from amsctl.ams.client import Reader
    from amsctl.applying.ports import Clock
    from amsctl.approvals.approval import Approval
    from amsctl.approvals.reviews import Reviews
    from amsctl.ledger.evidence import Earlier
    from amsctl.manifests.load import Desired
    from amsctl.operations.rollback import Parts
    from amsctl.planning.planfile import PlanFile

MOST_AHEAD_SECONDS: Final = 300
"""How far in the future a plan may have been made by this machine's clock."""
MOST_KEPT: Final = 200
"""Accounts whose reading is handed on to the apply; of more, the apply reads each again."""

T = TypeVar("T", bool, str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was brought along: approvals, the reviews of the request, guards that are overridden by name, and the commit that was merged."""

    approvals: tuple[Approval, ...] = ()
    reviews: Reviews | None = None
    overrides: tuple[GuardName, ...] = ()
    merged: str | None = None


class WayBack(Protocol):
    """How the plan of a rollback follows from the ledger and what is live."""

    async def parts(self, reader: Reader) -> Parts:
        """The parts of its accounts."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """A plan that everything without the AMS speaks for. ``wanted`` are the manifests that it follows from, ``same`` further ones that must say the same of
    the accounts that it changes; ``way_back`` stands in their place where it is a rollback. ``base`` is what the branch of record said of its accounts when
    the plan was made, ``also`` what it says at the commits whose rules must be met now; ``told`` are the findings about the plan's sources, ``None`` where
    they follow from no commit. ``agree_again`` gives the approvals that count where another plan of the same content was carried out at a moment.
    """

    plan: Plan
    project: Project
    environment: Environment | None
    rules: tuple[RuleSet, ...]
    overrides: tuple[GuardName, ...]
    approvals: tuple[Mapping[str, object], ...]
    wanted: Desired | None
    same: tuple[tuple[str, Desired], ...] = ()
    base: BaseBranch | None = None
    also: tuple[BaseBranch, ...] = ()
    told: tuple[Finding, ...] | None = None
    past: PastOfBranch | None = None
    way_back: WayBack | None = None
    agree_again: Callable[[datetime], tuple[Mapping[str, object], ...]] = lambda spent: ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PastOfBranch:
    """Where the history of the branch of record is, and from how many days ago values count."""

    repository: Repository
    tip: str
    days: int


# --- what needs no AMS ---


def review(
    file: PlanFile,
    sources: Sources,
    environment: Environment | None,
    evidence: Evidence,
    clock: Clock,
    *,
    here: Desired | None = None,
    way_back: WayBack | None = None,
    resuming: bool = False,
    signing: bool = False,
) -> Reviewed:
    """The first half: age, target, commit, branch of record, manifests, safeguards and approvals. ``here`` are the manifests of the checkout, read where
    they are not given. ``signing``: a person is about to sign the plan, whose approvals are not there yet; ``environment`` may then be ``None``, and what it
    would prove of the target stays unchecked.

    Stale, Refused or ApprovalMissing, each with what was expected and found. Nothing is sent anywhere.
    """
    plan = file.plan
    check_age(plan, clock)
    _check_life(plan, sources, clock)
    if environment is not None:
        check_target(plan, sources.project, environment)
    rules = _rules(plan, sources)
    _check_commit(plan, sources)
    wanted, same = (None, ()) if plan.origin.rollback is not None else _manifests(plan, sources, evidence, here)
    if plan.origin.rollback is not None and plan.origin.selection != Selection():
        raise Stale(
            "a rollback selects nothing", where="source.selection", expected="none", found="a selection", hint="plan the rollback again"
        )
    if plan.origin.rollback is not None and way_back is None and not resuming:
        raise Stale(
            "this plan takes back a run that the ledger here does not know", where=f"run {plan.origin.rollback.run}", hint="plan again"
        )
    approvals: tuple[Mapping[str, object], ...] = ()
    agree = partial(agreed, plan, sources, rules, evidence.approvals, evidence.reviews, evidence.overrides, clock)
    if not signing:
        for one in rules:
            check_findings(plan, one.project.guards, evidence.overrides)
            check_policies(plan, one.project.safeguards, clock)
        approvals = agree()
    _check_safeguards(plan, sources)
    if signing or not resuming:  # windows are widened so that a run can be gone on with: its plan was judged when it began
        check_outlived(plan, _ways(plan, sources, environment))
    base, told = _of_base(plan, sources, wanted, here, resuming=resuming)
    return Reviewed(
        plan=plan,
        project=sources.project,
        environment=environment,
        rules=rules,
        overrides=evidence.overrides,
        approvals=approvals,
        wanted=wanted,
        same=same,
        base=base,
        also=_of_rules(plan, sources, base),
        told=told,
        past=_past_of(plan, sources),
        way_back=way_back,
        agree_again=lambda spent: agree(spent=spent),
    )


def _check_life(plan: Plan, sources: Sources, clock: Clock) -> None:
    from amsctl.planning.planfile import seconds_of_life

    if plan.created_at > stamp(clock, later_seconds=MOST_AHEAD_SECONDS):
        raise Stale(
            "the plan was made in the future",
            expected=f"created_at at most {MOST_AHEAD_SECONDS // 60} minutes after {stamp(clock)}",
            found=plan.created_at,
            hint="set the clock of this machine, or plan again",
        )
    hours = sources.project.plan_valid_hours
    if seconds_of_life(plan) > hours * 3600:
        raise Stale(
            "the plan lives longer than the project lets a plan live",
            expected=f"planValid: {hours} hours after {plan.created_at}",
            found=f"expires_at {plan.expires_at}",
            hint="plan again",
        )


def _rules(plan: Plan, sources: Sources) -> tuple[RuleSet, ...]:
    """The sets of rules that must all be met: those of the branch of record now and at its newest commit that lacks the change; where it cannot be told
    which that is, as after a squash, every one from the plan's base up to now. An older, laxer one alone never counts.
    """
    from amsctl.operations.record import rules_between

    base, record = plan.origin.base, sources.record
    if record is None:
        if base is not None:
            raise Stale(
                "the plan was made for a branch of record, and none rules here",
                expected=base.ref or base.commit[:12],
                found=sources.adoption,
                hint="apply in a clone that has the branch; --base names it",
            )
        return sources.rules
    if record.why_not_approvable and not record.rivals:
        raise Stale(
            "which branch is the branch of record is not known, so nobody knows by which rules the plan is to be judged",
            found=record.why_not_approvable,
            hint="name the branch that the change is for with --base, in a whole clone",
        )
    if base is None:
        raise Stale(
            "the plan was made without the branch of record",
            expected=f"a plan under the rules of {sources.branch}",
            found="none",
            hint="plan again",
        )
    if (short_name(base.ref) or None) != sources.branch:
        raise Stale(
            "the plan was made for another branch of record",
            expected=sources.branch or "no branch",
            found=base.ref or "a commit that --base named",
            hint="name the branch that the change is for with --base, or plan again",
        )
    assert sources.repository is not None
    path = first_parent_path(sources.repository, base.commit, record.tip)
    if isinstance(path, Unknown):
        raise Stale(
            "the base that the plan names is not a commit of the branch of record",
            where=base.commit[:12],
            found=path.reason,
            hint=path.hint or "plan again on the branch that the change is for",
        )
    git = plan.origin.git
    if (
        git is not None
        and not git.dirty
        and plan.origin.rollback is None
        and _known(is_ancestor(sources.repository, git.commit, base.commit))
        and not _always_had(sources.repository, record.tip, git.commit)
    ):
        raise Stale(
            "the base that the plan names has the change already",
            where=base.commit[:12],
            found=f"commit {git.commit[:12]} is part of it",
            hint="plan again: the base of a plan lacks its change",
        )
    if git is not None and not git.dirty and _known(is_ancestor(sources.repository, git.commit, record.tip)):
        # The checkout may be at a later commit than the one that was planned: what lacked the change is asked of the plan's own.
        lacks = newest_without(sources.repository, record.tip, git.commit)
        return sources.rules if lacks is None else rules_between(sources, [_known(lacks)])
    return sources.rules if base.commit == record.tip else rules_between(sources, path)


def _always_had(repository: Repository, tip: str, change: str) -> bool:
    """Whether no commit of the branch lacks the change, as where it is the first one: such a plan says so, and cannot be approved."""
    found = newest_without(repository, tip, change)
    if found is not None:
        _known(found)
    return found is None


def _known(answer: T | Unknown) -> T:
    if isinstance(answer, Unknown):
        raise Stale("what git knows is not enough to judge the plan by", found=answer.reason, hint=answer.hint or None)
    return answer


def _check_commit(plan: Plan, sources: Sources) -> None:
    """What the plan says of its commit must be what git says of it."""
    git = plan.origin.git
    if git is None:
        if sources.head is not None:
            raise Stale(
                "the plan names no commit, and there are commits here",
                where="source.git",
                expected=f"a commit, as {sources.head[:12]}",
                found="none",
                hint="plan again",
            )
        return
    if sources.repository is None:
        raise Stale("the plan was made of a commit, and there is no repository here", where=git.commit[:12], hint="apply in a clone")
    last = commit_at(sources.repository, git.commit)
    if isinstance(last, Unknown):
        raise Stale(
            "git does not know the commit that was planned",
            where=git.commit,
            found=last.reason,
            hint="git fetch origin COMMIT, and try again",
        )
    base = plan.origin.base
    between = None if base is None else commits_between(sources.repository, base.commit, git.commit)
    commits = (last,) if between is None or isinstance(between, Unknown) or not between else between
    said = replace(
        git,
        commit=last.id,
        author=f"{last.author.name} <{last.author.address}>",
        message=message_of(commits),
        contributors=contributors_of(commits),
    )
    for name in Git.__slots__:
        if getattr(said, name) != getattr(git, name):
            raise Stale(
                f"the plan says something else of its commit than git: {name}",
                where=git.commit[:12],
                expected=str(getattr(said, name))[:200],
                found=str(getattr(git, name))[:200],
                hint="plan again",
            )


def _manifests(plan: Plan, sources: Sources, evidence: Evidence, here: Desired | None) -> tuple[Desired, tuple[tuple[str, Desired], ...]]:
    """The manifests that the plan follows from, and all others that must say the same of what it changes."""
    from amsctl.manifests.load import load

    chosen, git = plan.origin.selection, plan.origin.git
    project = sources.project
    if here is None and evidence.merged is None:
        here = load(project, chosen.paths, accounts=chosen.accounts, labels=chosen.labels)
    same: list[tuple[str, Desired]] = []
    wanted = here
    if git is not None and not git.dirty and sources.repository is not None:
        wanted = _at(sources.repository, git.commit, project, plan)
        if here is not None:
            same.append(("the checkout", here))
        if manifests_hash(wanted) != plan.origin.manifests_sha256:
            raise Stale(
                "the plan was not made of the manifests of its commit",
                where=git.commit[:12],
                expected=manifests_hash(wanted)[:16] + "…",
                found=plan.origin.manifests_sha256[:16] + "…",
                hint="plan again",
            )
    elif git is not None and sources.repository is not None:
        _check_dirty(plan, sources.repository, git, project)
    tip = _merged(plan, sources, evidence.merged) if evidence.merged is not None else _has_it(plan, sources)
    if tip is not None:
        same.append((f"{sources.branch} now", _at(tip[0], tip[1], project, plan)))
    assert wanted is not None
    if plan.origin.base is not None and sources.record is not None:
        check_not_behind(plan, wanted, sources, (plan.origin.base.commit, *(() if tip is not None else (sources.record.tip,))))
    return wanted, tuple(same)


def _at(repository: Repository, commit: str, project: Project, plan: Plan) -> Desired:
    from amsctl.manifests.load import load

    chosen = plan.origin.selection
    tree = tree_of(repository, commit)
    if isinstance(tree, Unknown):
        raise Stale("git cannot read a commit", where=commit, found=tree.reason, hint=tree.hint or "git fetch origin COMMIT, and try again")
    return load(project, chosen.paths, accounts=chosen.accounts, labels=chosen.labels, files=TreeFiles(tree))


def _merged(plan: Plan, sources: Sources, merged: str) -> tuple[Repository, str]:
    """The repository and the newest commit of the branch of record, which must have the commit that was merged."""
    git, repository, record = plan.origin.git, sources.repository, sources.record
    if git is None or git.dirty or repository is None or record is None:
        raise Stale(
            "the plan was not made of a commit for a branch of record, so it cannot be known whether it was merged",
            expected=merged,
            hint="commit, and plan again with --base",
        )
    found = resolve(repository, merged)
    if isinstance(found, Unknown):
        raise Stale("git does not know the commit that was merged", where=merged, found=found.reason, hint=found.hint or None)
    if not _known(is_ancestor(repository, found.commit, record.tip)):
        raise Stale(
            "the commit is not on the branch of record", where=found.commit[:12], expected=f"a commit of {sources.branch}", hint="git fetch"
        )
    return repository, record.tip


def _check_dirty(plan: Plan, repository: Repository, git: Git, project: Project) -> None:
    """Stale where the manifests of a plan are those of its commit although it says that they are not."""
    try:
        there = _at(repository, git.commit, project, plan)
    except (ManifestErrors, ConfigError, UsageError):
        return  # those of the commit cannot be read: it was planned from others
    tree = tree_of(repository, git.commit)
    entries = () if isinstance(tree, Unknown) else tree.walk()
    if isinstance(entries, Unknown) or any(entry.kind is Kind.SUBMODULE for entry in entries):
        return
    if manifests_hash(there) == plan.origin.manifests_sha256:
        raise Stale(
            "the plan says that its manifests are not those of the commit, and they are",
            where=git.commit[:12],
            expected="dirty: false",
            found="dirty: true",
            hint="plan again",
        )


def _has_it(plan: Plan, sources: Sources) -> tuple[Repository, str] | None:
    """The repository and the newest commit of the branch of record, where the branch has the commit that was planned and went on from it: what it says now
    counts, whether or not ``--merged`` says so. A change that was taken back is not to be had again from an old commit.
    """
    git, repository, record = plan.origin.git, sources.repository, sources.record
    if git is None or git.dirty or repository is None or record is None or git.commit == record.tip:
        return None
    return (repository, record.tip) if _known(is_ancestor(repository, git.commit, record.tip)) else None


def beside_rollback(plan: Plan, sources: Sources) -> Desired:
    """The manifests beside which a rollback was planned: those of its commit, or of the checkout where there is none."""
    from amsctl.manifests.load import load

    git = plan.origin.git
    if git is None or sources.repository is None:
        return load(sources.project, ())
    return _at(sources.repository, git.commit, sources.project, plan)


def _check_safeguards(plan: Plan, sources: Sources) -> None:
    """Stale unless the branch of record asked for the guards, policies and approvals that the plan says it was made under, at its base or since."""
    stated = stated_safeguards(plan)
    for one in _rules_since(plan, sources):
        project = one.project.safeguards.at(plan.target.environment)
        days = one.project.measured_days
        if (
            (project.guards, project.policies) == (stated.guards, stated.policies)
            and _asked(project.approvals) == _asked(stated.approvals)
            and (0 if plan.against is None else plan.against.days) == days
        ):
            return
    raise Stale(
        "the plan was made under other guards, policies or approvals than the project has",
        where=plan.target.environment,
        expected="those of the project file"
        if sources.record is None
        else f"those of {sources.branch or 'the base'} since the plan's base",
        hint="plan again",
    )


def _asked(approvals: Approvals | None) -> tuple[object, ...]:
    return () if approvals is None else (approvals.source, approvals.rules)


def _rules_since(plan: Plan, sources: Sources) -> Iterator[RuleSet]:
    """The rules that the plan may have been made under: today's first, then those of its base and of the commits since."""
    base, record = plan.origin.base, sources.record
    if base is None or record is None or sources.repository is None:
        yield sources.rules[0]
        return
    yield from (one for one in sources.rules if one.tree is not None)
    ruled = ruled_at(sources, base.commit)
    if ruled is not None:
        yield ruled[0]
    path = first_parent_path(sources.repository, base.commit, record.tip)
    yield from () if isinstance(path, Unknown) else rules_along(sources, reversed(path))


def _ways(plan: Plan, sources: Sources, environment: Environment | None) -> Iterator[tuple[Project, Calendar]]:
    """The windows and calendars that the plan may have been made under. None of a rollback, which tells no closure; and none may be gone by of a plan that
    was made without a branch of record, of which nobody knows what the project file said then.
    """
    never = (replace(sources.project, windows=()), Calendar.NONE)
    if plan.origin.rollback is not None:
        yield never
        return
    if environment is not None:
        yield sources.project, environment.calendar
    for rules in _rules_since(plan, sources):
        yield from ((rules.project, calendar) for calendar in Calendar if environment is None or rules.project != sources.project)
    if plan.origin.base is None:
        yield never


def _of_base(
    plan: Plan, sources: Sources, wanted: Desired | None, here: Desired | None, *, resuming: bool
) -> tuple[BaseBranch | None, tuple[Finding, ...] | None]:
    """What the branch of record said of its accounts when the plan was made, and what such a plan tells of its sources; ``None`` where its manifests are those
    of no commit, and what it tells is no more than a plan of a checkout can.
    """
    git, base = plan.origin.git, plan.origin.base
    if plan.origin.rollback is not None:
        return None, ()
    known: BaseBranch | None = None
    found = sources.findings
    more: tuple[Finding, ...] = ()
    ruled = (sources.rules[0], sources.broken)
    if base is not None and sources.record is not None:
        whole = _whole(plan, sources, wanted, here)
        ruled = ruled_at(sources, base.commit) or ruled
        known, more = base_by(ruled[0], whole, ref=base.ref, commit=base.commit, branch=sources.branch)
        found = (*found, *more)
    if git is not None and git.dirty:
        if not resuming:  # a run is gone on with whatever else was edited since: its plan was judged when it began
            _check_told(plan, found)
        return known, None
    if git is None or known is None:
        return known, (*found, *not_approvable(sources.unapprovable))
    stated = tuple(one for one in plan.findings if one.code in ABOUT_SOURCES)
    why = sources.unapprovable or _makers_unknown(plan, sources)
    first: tuple[Finding, ...] | None = None
    for one in (ruled, *((rules, "") for rules in _rules_since(plan, sources))):
        told = (*told_at(sources, git.commit, one), *more, *not_approvable(why))
        if told == stated:
            return known, told
        first = first or told
    return known, first


def _check_told(plan: Plan, found: Sequence[Finding]) -> None:
    """Stale where a plan of manifests that are those of no commit tells of its sources what this checkout does not give, or in other words than a plan does."""
    stated = [one for one in plan.findings if one.code in ABOUT_SOURCES]
    kept = [one for one in stated if one.code not in {NOT_APPROVABLE, "manifest-not-read"}]
    ways = {(NOT_APPROVABLE, "source", Severity.NOTE), *(("manifest-not-read", one.where, Severity.WARNING) for one in stated)}
    odd = next(
        (
            one
            for one in stated
            if one not in kept
            and ((one.code, one.where, one.severity) not in ways or one.blocks or one.source is not None or not _usual_words(one))
        ),
        None,
    )
    if odd is not None or kept != list(found):
        raise Stale(
            "the plan tells of its sources what this checkout does not give",
            where=(odd if odd is not None else [*kept, *found][0]).where,
            expected="; ".join(one.message for one in found)[:300] or "nothing",
            found="; ".join(one.message for one in ([odd] if odd is not None else kept))[:300] or "nothing",
            hint="plan again",
        )


def _usual_words(finding: Finding) -> bool:
    if finding.code == NOT_APPROVABLE:
        return finding.message.startswith("this plan cannot be approved: ")
    return finding.message in {f"{finding.where} {why}" for why in (Why.NOT_HERE, Why.SUBMODULE)}


def _makers_unknown(plan: Plan, sources: Sources) -> str:
    base, git = plan.origin.base, plan.origin.git
    assert base is not None
    assert git is not None
    assert sources.repository is not None
    made = commits_between(sources.repository, base.commit, git.commit)
    return f"who made the change is not known: {made.reason}" if isinstance(made, Unknown) else ""


def _whole(plan: Plan, sources: Sources, wanted: Desired | None, here: Desired | None) -> Desired:
    """All manifests beside those that were selected."""
    from amsctl.manifests.load import load

    chosen, git = plan.origin.selection, plan.origin.git
    if wanted is not None and not (chosen.paths or chosen.accounts or chosen.labels):
        return wanted
    if git is not None and not git.dirty and sources.repository is not None:
        tree = tree_of(sources.repository, git.commit)
        if isinstance(tree, Unknown):
            raise tree.as_error("git cannot read a commit", where=git.commit)
        return load(sources.project, files=TreeFiles(tree))
    return load(sources.project)


def _of_rules(plan: Plan, sources: Sources, base: BaseBranch | None) -> tuple[BaseBranch, ...]:
    """What the branch of record says of its accounts at the commits whose rules must be met: a plan that names an older base passes none of them by."""
    found = []
    for one in sources.rules:
        if one.tree is None or (base is not None and one.tree.commit == base.commit):
            continue
        known, _ = accounts_at(one)
        found.append(
            BaseBranch(commit=one.tree.commit, safeguards=None, protected=known.protected, kept=known.protected, labels=known.labels)
        )
    return tuple(found)


def _past_of(plan: Plan, sources: Sources) -> PastOfBranch | None:
    record = sources.record
    if record is None or record.base is None or sources.repository is None or plan.against is None or plan.origin.rollback is not None:
        return None
    return PastOfBranch(repository=sources.repository, tip=record.base, days=plan.against.days)


# --- what needs the AMS ---


async def authorise(
    reviewed: Reviewed,
    reader: Reader,
    firms: Mapping[str, Firm],
    clock: Clock,
    *,
    earlier: Earlier | None = None,
    leave: frozenset[AccountKey] = frozenset(),
    points: Points | None = None,
) -> AuthorisedPlan:
    """The second half, on what is live now: the plan's changes and calls must be those that its manifests give, and no verdict may have got worse.

    ``earlier`` is what runs of the same plan have done already (a resume); accounts of ``leave`` are in quarantine: nothing of theirs is written, or read.
    ``points`` are the values of the past by the ledger, ``None`` where it is not read: then those that the plan names count.
    Stale or Refused; AmsError when an account cannot be read.
    """
    plan = reviewed.plan
    derived = _Derived()
    read_at = clock.monotonic()
    if reviewed.way_back is not None:
        found = await reviewed.way_back.parts(reader)
        derived.parts = {part.key: part for part in found.parts}
        derived.protected, derived.labels = found.protected, found.labels
        await _judge_anew(reviewed, derived, reader, clock, points)
        return grant(plan, approvals=reviewed.approvals, overrides=reviewed.overrides)
    if reviewed.wanted is not None and plan.changes:
        derived = await _derive(reviewed, reader, firms, earlier, leave)
        if not derived.moved:  # else the apply tells what has moved, and writes nothing
            await _judge_anew(reviewed, derived, reader, clock, points)
    return grant(plan, approvals=reviewed.approvals, overrides=reviewed.overrides, moved=derived.moved, read=derived.read, read_at=read_at)


@dataclass(slots=True)
class _Derived:
    """The parts of a plan that were derived again, and the accounts that are no longer as it saw them."""

    parts: dict[AccountKey, AccountPlan] = field(default_factory=dict)
    moved: dict[AccountKey, tuple[str, ...]] = field(default_factory=dict)
    read: dict[AccountKey, LiveAccount] = field(default_factory=dict)
    protected: set[AccountKey] = field(default_factory=set)
    labels: dict[AccountKey, set[str]] = field(default_factory=dict)
    unprotected: tuple[str, ...] = ()
    left: frozenset[AccountKey] = frozenset()
    """The accounts of the manifests that nothing is derived of: they do not change, or are in quarantine."""


async def _derive(
    reviewed: Reviewed, reader: Reader, firms: Mapping[str, Firm], earlier: Earlier | None, leave: frozenset[AccountKey]
) -> _Derived:
    plan, wanted = reviewed.plan, reviewed.wanted
    assert wanted is not None
    written = await _written(wanted, reader)
    changed = {change.account_key for change in plan.changes}
    listed = {seen.account_key for seen in plan.observed}
    if listed != set(written):
        odd = sorted(listed ^ set(written))[0]
        raise Stale("the plan was not made of the accounts that its manifests name", where=str(odd), hint="plan again")
    mine = _accounts(wanted, {written[key] for key in changed if key in written}, written)
    for place, other in reviewed.same:
        names = await _written(other, reader)
        theirs = _accounts(other, {names[key] for key in changed if key in names}, names)
        for key in sorted(changed):
            if key not in theirs or plain(theirs[key]) != plain(mine[key]):
                raise Stale(
                    f"{place} says something else of an account than the manifests that were planned",
                    where=str(key),
                    hint="something else was merged, or the change was taken back: plan what is there now",
                )
    derived = _Derived()
    assert reviewed.environment is not None
    rules, stated = rules_of(reviewed.project, reviewed.environment), findings_by_account(plan)
    observed = {seen.account_key: seen for seen in plan.observed}
    by_account: dict[AccountKey, list[Change]] = {}
    for change in plan.changes:
        by_account.setdefault(change.account_key, []).append(change)

    async def derive(key: AccountKey) -> None:
        firm = firms[key.firm] if key.firm in firms else await reader.resolve(key.firm)
        live = await reader.account(firm, key.number)
        before = _before(live, by_account[key], plan, earlier)
        if fingerprint(before) != observed[key].sha256:
            derived.moved[key] = _moved(plan, before, observed[key])
            return
        eligible = await reader.eligible_products(firm, key.number) if added_rows(mine[key], before, rules) else None
        derived.parts[key] = arrange(diff(mine[key], before, rules, eligible), before, rules)
        if len(derived.read) < MOST_KEPT:
            derived.read[key] = live

    names = {one: key for key, one in written.items()}
    for account in wanted.accounts():
        key = names[account.key]
        derived.labels[key] = {*labels_of(account)}
        if account.protected:
            derived.protected.add(key)
        if key not in changed and key in stated:
            check_stated(stated[key], account, key, rules)
    base = held_by_base(reviewed.base, () if reviewed.base is None else await reader.firms(), derived.protected, derived.labels)
    derived.unprotected = () if base is None else base.unprotected
    derived.left = frozenset(written) - (changed - leave)
    await for_each(sorted(changed - leave), derive, concurrency=reviewed.project.requests.concurrency)
    return derived


def _moved(plan: Plan, before: LiveAccount, observed: Observed) -> tuple[str, ...]:
    """What is no longer as the plan saw it, a line each; ``before`` is the account without what runs of this plan have made of it."""
    steps = [step for step in plan.steps if step.account_key == before.key]
    return stale(observed, steps, {change.id: change for change in plan.changes}, before)


def _before(live: LiveAccount, changes: Sequence[Change], plan: Plan, earlier: Earlier | None) -> LiveAccount:
    """The account as it was before what runs of this plan have made of it already."""
    if earlier is None or not earlier.sent:
        return live
    state = state_of(live)
    sent = {number for step in plan.steps if step.id in earlier.sent for number in step.changes}
    done = [change for change in changes if change.id in sent and holds(change, state)]
    return made(live, map(inverted, done)) if done else live


async def _written(desired: Desired, reader: Reader) -> dict[AccountKey, AccountKey]:
    """Account under the AMS's name of its firm → as the manifests write it."""
    firms = {text: await reader.resolve(text) for text, _ in desired.firms}
    return {resolve_key(header.key, firms): header.key for header in desired.headers()}


def _accounts(
    desired: Desired, wanted: Collection[AccountKey], written: Mapping[AccountKey, AccountKey]
) -> dict[AccountKey, DesiredAccount]:
    names = {written_key: key for key, written_key in written.items()}
    return {names[account.key]: account for account in desired.some(wanted)}


def plain(account: DesiredAccount) -> tuple[object, ...]:
    """What a manifest wants of an account, wherever it stands and however the firm is called."""
    firms = sorted(
        (firm.id, firm.suspended, tuple(sorted((row.key, row.legs, row.unset) for row in firm.rows))) for firm in account.execution_firms
    )
    return (account.status, account.undeclared, account.protected, tuple(sorted(account.labels.items())), tuple(firms))


async def _judge_anew(reviewed: Reviewed, derived: _Derived, reader: Reader, clock: Clock, points: Points | None) -> None:
    """The plan of what was derived, held against the plan: the same in every member; and no verdict that got worse."""
    assert reviewed.environment is not None
    check_derived(
        reviewed.plan,
        Derived(
            target=target_of(reviewed.project, reviewed.environment),
            parts=derived.parts,
            left=derived.left,
            protected=derived.protected,
            labels=derived.labels,
            unprotected=derived.unprotected,
            told=reviewed.told,
            shown_as=reviewed.environment.assumptions.unlimited_shown_as,
        ),
    )
    await _check_verdicts(reviewed, derived, reader, clock, points)


async def _check_verdicts(reviewed: Reviewed, derived: _Derived, reader: Reader, clock: Clock, points: Points | None) -> None:
    """Refused where a guard or a policy says worse of the plan now than when it was made: of the use of the day, which moves with every fill, of values of
    the past, and of what the branch of record says of its accounts by now. A difference alone refuses nothing.

    Wholes are counted on the accounts that change, which were just read; only where that holds the plan up are the others read, too.
    """
    plan = reviewed.plan
    use = {identity(change): change.usage for part in derived.parts.values() for change in part.changes}
    changes = [replace(change, usage=use.get(identity(change), change.usage)) for change in plan.changes]
    firms = await reader.firms()
    changing = {change.account_key for change in plan.changes}
    mine = [_as_known_now(seen, reviewed.also, firms) for seen in plan.observed if seen.account_key in changing]
    _check_policies_now(reviewed, changes, mine)
    known = _points(reviewed, changes, firms, clock, points)
    if _worse(reviewed, changes, mine, known) is None:
        return
    others = [await _read_again(seen, reader) for seen in plan.observed if seen.account_key not in changing]
    worse = _worse(reviewed, changes, [*mine, *others], known)
    if worse is not None:
        verdict, against = worse
        more = f"; at worst {against}" if against else ""
        raise Refused(
            f"a guard holds the plan up on what is known now: {verdict_words(verdict)}{more}",
            where=verdict.where,
            expected="no more than the plan shows, which is what an override is given for",
            hint="plan again, where the ledger can be read, and look at it",
        )


def _as_known_now(seen: Observed, also: Iterable[BaseBranch], firms: Sequence[Firm]) -> Observed:
    """The account with the protection and the labels that the branch of record gives it at the commits whose rules must be met."""
    protected, labels = {seen.account_key} if seen.protected else set(), {seen.account_key: set(seen.labels)}
    for one in also:
        held_by_base(one, firms, protected, labels)
    return replace(seen, protected=seen.account_key in protected, labels=tuple(sorted(labels[seen.account_key])))


async def _read_again(seen: Observed, reader: Reader) -> Observed:
    """The numbers of an account that does not change, as they are now: what the plan file says of them decides nothing."""
    live = await reader.account(await reader.resolve(seen.clearing_firm), seen.account)
    now = observed_of(live)
    return replace(seen, rows=now.rows, status=now.status, execution_firms=now.execution_firms, suspended=now.suspended)


def _check_policies_now(reviewed: Reviewed, changes: Sequence[Change], observed: Sequence[Observed]) -> None:
    plan = reviewed.plan
    for rules in reviewed.rules:
        policies = rules.project.safeguards.at(plan.target.environment).policies
        _, found = judge_policies(changes, observed, policies, target=plan.target, git=plan.origin.git)
        broken = next((finding for finding in found if finding.blocks), None)
        # Where the plan itself says that it is broken, an apply is refused before this; a person who approves sees it.
        if broken is not None and not any(one.code == broken.code and one.blocks for one in plan.findings):
            raise Refused(f"a policy is broken by now: {broken.message}", where=broken.where, hint="plan again")


def _points(
    reviewed: Reviewed, changes: Sequence[Change], firms: Sequence[Firm], clock: Clock, points: Points | None
) -> Mapping[PointKey, Point]:
    """The values of the past: those of the ledger; of a leg that it does not name for as long, those of the branch of record."""
    plan, past = reviewed.plan, reviewed.past
    if points is None:
        points = points_of(one for one in plan.references if one.source is PointSource.LEDGER)
    unset_means = UnsetMeans(plan.target.unset_means)
    if past is None or not open_keys(wanted_keys(changes, unset_means), points):
        return points
    branch = Branch(repository=past.repository, tip=past.tip, named=naming(firms))
    found, problem = branch_points(branch, changes, now=clock.wall(), days=past.days, unset_means=unset_means)
    if problem and (plan.against is None or not plan.against.unread):
        raise Stale(
            "guards cannot measure against the history of the branch of record, and could when the plan was made",
            found=problem,
            hint="git fetch --unshallow; or plan again, and the plan says so",
        )
    return both_records(points, found)


def _worse(reviewed: Reviewed, changes: Sequence[Change], observed: Sequence[Observed], points: Points) -> tuple[Verdict, str] | None:
    """The first verdict that holds the plan up, and says worse of it than when it was made: an override is of what the plan shows."""
    plan = reviewed.plan
    then = Sight(changes=plan.changes, observed=plan.observed, points=points_of(plan.references))
    now = Sight(changes=changes, observed=observed, points=points)
    means, unprotected = UnsetMeans(plan.target.unset_means), plan.origin.unprotected
    found = (got_worse(then, now, rules.project.guards, unset_means=means, unprotected=unprotected) for rules in reviewed.rules)
    return next((one for one in found if one is not None), None)


__all__ = ["Evidence", "Reviewed", "Rules", "authorise", "review"]
