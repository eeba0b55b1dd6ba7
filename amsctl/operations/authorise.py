"""The one door to a write: may this plan be carried out? Everything in it that follows from manifests, live state and git is derived again, and whoever
must agree has agreed. What cannot be known refuses.

``review`` asks what needs no AMS and ``authorise`` the rest, under the locks of the run; both come before the first byte of a write. Apply, resume,
rollback and ``amsctl.api`` come through here; ``applying`` takes nothing else than what ``authorise`` gives.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol

from amsctl.applying.authorised import AuthorisedPlan, grant
from amsctl.applying.resuming import holds
from amsctl.applying.state import state_of
from amsctl.concurrently import for_each
from amsctl.config import Environment, GuardName, Project
from amsctl.errors import Refused, Stale
from amsctl.flow import (
    check_age,
    check_findings,
    check_policies,
    check_target,
    labels_of,
    manifests_hash,
    resolve_key,
    rules_of,
)
from amsctl.model import AccountKey, DesiredAccount, Firm, LiveAccount, UnsetMeans
from amsctl.operations.agreement import agreed
from amsctl.operations.material import contributors_of, message_of
from amsctl.operations.record import RuleSet, Sources, short_name
from amsctl.planning.arrange import AccountPlan, arrange, assemble
from amsctl.planning.diff import Rules, added_rows, diff
from amsctl.planning.fingerprint import fingerprint
from amsctl.planning.guards import judge
from amsctl.planning.inverse import inverted, made
from amsctl.planning.plan import Change, Finding, Git, Observed, Plan, Step
from amsctl.provenance.commits import commit_at, commits_between, first_parent_path, is_ancestor
from amsctl.provenance.facts import Unknown
from amsctl.provenance.refs import resolve
from amsctl.provenance.repository import Repository
from amsctl.provenance.trees import TreeFiles, tree_of

if TYPE_CHECKING:
    from amsctl.ams.client import Reader
    from amsctl.applying.ports import Clock
    from amsctl.approvals.approval import Approval
    from amsctl.approvals.reviews import Reviews
    from amsctl.ledger.evidence import Earlier
    from amsctl.manifests.load import Desired
    from amsctl.planning.planfile import PlanFile

MOST_KEPT: Final = 200
"""Accounts whose reading is handed on to the apply; of more, the apply reads each again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was brought along: approvals, the reviews of the request, guards that are overridden by name, and the commit that was merged."""

    approvals: tuple[Approval, ...] = ()
    reviews: Reviews | None = None
    overrides: tuple[GuardName, ...] = ()
    merged: str | None = None


class WayBack(Protocol):
    """How the plan of a rollback follows from the ledger and what is live."""

    async def parts(self, reader: Reader) -> Sequence[AccountPlan]:
        """The parts of its accounts."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """A plan that everything without the AMS speaks for. ``wanted`` are the manifests that it follows from, ``same`` further ones that must say the same of
    the accounts that it changes; ``way_back`` stands in their place where it is a rollback.
    """

    plan: Plan
    project: Project
    environment: Environment | None
    rules: tuple[RuleSet, ...]
    overrides: tuple[GuardName, ...]
    approvals: tuple[Mapping[str, object], ...]
    wanted: Desired | None
    same: tuple[tuple[str, Desired], ...] = ()
    protected: frozenset[AccountKey] = frozenset()
    labels: Mapping[AccountKey, Sequence[str]] = field(default_factory=dict)
    way_back: WayBack | None = None


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
    _check_life(plan, sources)
    if environment is not None:
        check_target(plan, sources.project, environment)
    rules = _rules(plan, sources)
    _check_commit(plan, sources)
    wanted, same = (None, ()) if plan.origin.rollback is not None else _manifests(plan, sources, evidence, here)
    if plan.origin.rollback is not None and way_back is None and not resuming:
        raise Stale(
            "this plan takes back a run that the ledger here does not know", where=f"run {plan.origin.rollback.run}", hint="plan again"
        )
    approvals: tuple[Mapping[str, object], ...] = ()
    if not signing:
        for one in rules:
            check_findings(plan, one.project.guards, evidence.overrides)
            check_policies(plan, one.project.safeguards, clock)
        approvals = agreed(plan, sources, rules, evidence.approvals, evidence.reviews, evidence.overrides, clock)
    protected, labels = _known_at_base(plan, sources)
    return Reviewed(
        plan=plan,
        project=sources.project,
        environment=environment,
        rules=rules,
        overrides=evidence.overrides,
        approvals=approvals,
        wanted=wanted,
        same=same,
        protected=protected,
        labels=labels,
        way_back=way_back,
    )


def _check_life(plan: Plan, sources: Sources) -> None:
    from amsctl.planning.planfile import seconds_of_life

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
    if base is None:
        raise Stale(
            "the plan was made without the branch of record",
            expected=f"a plan under the rules of {sources.branch}",
            found="none",
            hint="plan again",
        )
    if short_name(base.ref) != sources.branch:
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
    ):
        raise Stale(
            "the base that the plan names has the change already",
            where=base.commit[:12],
            found=f"commit {git.commit[:12]} is part of it",
            hint="plan again: the base of a plan lacks its change",
        )
    exact = git is not None and not git.dirty and _known(is_ancestor(sources.repository, git.commit, record.tip))
    if exact or base.commit == record.tip:
        return sources.rules
    return rules_between(sources, path)


def _known(answer: bool | Unknown) -> bool:
    if isinstance(answer, Unknown):
        raise Stale("what git knows is not enough to judge the plan by", found=answer.reason, hint=answer.hint or None)
    return answer


def _check_commit(plan: Plan, sources: Sources) -> None:
    """What the plan says of its commit must be what git says of it."""
    git = plan.origin.git
    if git is None or git.dirty:
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
        git, author=f"{last.author.name} <{last.author.address}>", message=message_of(commits), contributors=contributors_of(commits)
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
    if evidence.merged is not None:
        tip = _merged(plan, sources, evidence.merged)
        same.append((f"{sources.branch} now", _at(tip[0], tip[1], project, plan)))
    assert wanted is not None
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


def _known_at_base(plan: Plan, sources: Sources) -> tuple[frozenset[AccountKey], Mapping[AccountKey, Sequence[str]]]:
    """The protected accounts and the labels that the branch of record knows at the plan's base: firms as written."""
    from amsctl.operations.material import accounts_at

    if plan.origin.base is None or sources.repository is None or plan.origin.rollback is not None:
        return frozenset(), {}
    tree = tree_of(sources.repository, plan.origin.base.commit)
    if isinstance(tree, Unknown):
        raise Stale("git cannot read the base of the plan", where=plan.origin.base.commit, found=tree.reason, hint=tree.hint or None)
    ruling = sources.rules[0]
    there, _ = accounts_at(replace(ruling, tree=tree))
    return frozenset(there.protected), there.labels


# --- what needs the AMS ---


async def authorise(
    reviewed: Reviewed,
    reader: Reader,
    firms: Mapping[str, Firm],
    clock: Clock,
    *,
    earlier: Earlier | None = None,
    leave: frozenset[AccountKey] = frozenset(),
) -> AuthorisedPlan:
    """The second half, on what is live now: the plan's changes and calls must be those that its manifests give, and no verdict may have got worse.

    ``earlier`` is what runs of the same plan have done already (a resume); accounts of ``leave`` are in quarantine: nothing of theirs is written, or read.
    Stale or Refused; AmsError when an account cannot be read.
    """
    plan = reviewed.plan
    derived = _Derived()
    read_at = clock.monotonic()
    if reviewed.way_back is not None:
        parts = await reviewed.way_back.parts(reader)
        _compare(plan, parts, reviewed)
        return grant(plan, approvals=reviewed.approvals, overrides=reviewed.overrides)
    if reviewed.wanted is not None and plan.changes:
        derived = await _derive(reviewed, reader, firms, earlier, leave)
        _judge_anew(reviewed, derived)
    return grant(plan, approvals=reviewed.approvals, overrides=reviewed.overrides, moved=derived.moved, read=derived.read, read_at=read_at)


@dataclass(slots=True)
class _Derived:
    """The parts of a plan that were derived again, and the accounts that are no longer as it saw them."""

    parts: dict[AccountKey, AccountPlan] = field(default_factory=dict)
    moved: dict[AccountKey, str] = field(default_factory=dict)
    read: dict[AccountKey, LiveAccount] = field(default_factory=dict)
    protected: set[AccountKey] = field(default_factory=set)
    labels: dict[AccountKey, set[str]] = field(default_factory=dict)


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
    rules = rules_of(reviewed.project, reviewed.environment)
    observed = {seen.account_key: seen for seen in plan.observed}
    by_account: dict[AccountKey, list[Change]] = {}
    for change in plan.changes:
        by_account.setdefault(change.account_key, []).append(change)

    async def derive(key: AccountKey) -> None:
        firm = firms[key.firm] if key.firm in firms else await reader.resolve(key.firm)
        live = await reader.account(firm, key.number)
        before = _before(live, by_account[key], plan, earlier)
        if fingerprint(before) != observed[key].sha256:
            derived.moved[key] = f"{key}: a value is no longer what the plan saw"
            return
        eligible = await reader.eligible_products(firm, key.number) if added_rows(mine[key], before, rules) else None
        derived.parts[key] = arrange(diff(mine[key], before, rules, eligible), before, rules)
        if len(derived.read) < MOST_KEPT:
            derived.read[key] = live
        if mine[key].protected or _named(firm, key) & reviewed.protected:
            derived.protected.add(key)
        derived.labels[key] = {*labels_of(mine[key])}
        for name in _named(firm, key):
            derived.labels[key] |= set(reviewed.labels.get(name, ()))

    await for_each(sorted(changed - leave), derive, concurrency=reviewed.project.requests.concurrency)
    return derived


def _named(firm: Firm, key: AccountKey) -> set[AccountKey]:
    """The account under each name of its firm."""
    return {AccountKey(firm.name, key.number), AccountKey(firm.clearing_id, key.number)}


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


def _judge_anew(reviewed: Reviewed, derived: _Derived) -> None:
    """The plan of what was derived, held against the plan: the same changes, calls and sights of the accounts that change; no verdict that got worse."""
    plan = reviewed.plan
    if derived.moved:
        return  # the apply tells what has moved, and writes nothing
    _compare(plan, [derived.parts[key] for key in sorted(derived.parts)], reviewed)
    observed = []
    for seen in plan.observed:
        part = derived.parts.get(seen.account_key)
        if part is None:
            observed.append(seen)
            continue
        key = seen.account_key
        fresh = replace(
            part.observed,
            protected=key in derived.protected,
            labels=tuple(sorted(derived.labels[key])),
            read_at=seen.read_at,
            pages=seen.pages,
        )
        if fresh != seen:
            name = next(name for name in Observed.__slots__ if getattr(fresh, name) != getattr(seen, name))
            raise _not_derived(f"observed.{name}", str(key), getattr(fresh, name), getattr(seen, name))
        observed.append(fresh)
    _check_use(reviewed, derived, observed)


def _compare(plan: Plan, parts: Iterable[AccountPlan], reviewed: Reviewed) -> None:
    """Stale unless these parts give the changes and calls of the plan, one by one, use excepted."""
    fresh = assemble(
        parts,
        target=plan.target,
        origin=plan.origin,
        created_at=plan.created_at,
        expires_at=plan.expires_at,
        tool_version=plan.tool_version,
        safeguards=reviewed.project.safeguards,
    )
    _same_list("changes", fresh.changes, plan.changes, lambda change: replace(change, usage=None))
    _same_list("steps", fresh.steps, plan.steps, lambda step: step)
    accounts = {part.key for part in parts} if isinstance(parts, list | tuple) else set()
    mine = [finding for part in parts for finding in part.findings] if accounts else []
    theirs = [finding for finding in plan.findings if _about(finding, accounts) and finding.code in _DERIVED]
    _same_list("findings", [one for one in mine if one.code in _DERIVED], theirs, lambda finding: finding)


_DERIVED: Final = frozenset(
    {
        "foreign-mismatch",
        "release-unproven",
        "undeclared-row",
        "closed-account",
        "unknown-ef",
        "ineligible-product",
        "implicit-unlimited",
    }
)
"""The findings that follow from one account's manifest and what is live on it."""


def _about(finding: Finding, accounts: Collection[AccountKey]) -> bool:
    return any(finding.where == str(key) or finding.where.startswith((f"{key}/", f"{key} ")) for key in accounts)


def _same_list(name: str, fresh: Sequence[object], planned: Sequence[object], part: object) -> None:
    assert callable(part)
    for number, (one, other) in enumerate(zip(fresh, planned, strict=False)):
        if part(one) != part(other):
            raise _not_derived(f"{name}[{number}]", _where(other), _words_of(one), _words_of(other))
    if len(fresh) != len(planned):
        raise _not_derived(name, name, f"{len(fresh)} of them", f"{len(planned)} of them")


def _where(item: object) -> str:
    return item.where if isinstance(item, Change | Finding) else f"{item.account_key}" if isinstance(item, Step) else "the plan"


def _words_of(item: object) -> str:
    if isinstance(item, Change):
        return f"{item.where} {item.before} → {item.after} ({item.direction}, effective {item.effective_before} → {item.effective_after})"
    if isinstance(item, Step):
        return f"{item.id} {item.phase} {item.method} {item.path} {item.body}"[:300]
    return str(getattr(item, "message", item))[:300]


def _not_derived(name: str, where: str, expected: object, found: object) -> Stale:
    return Stale(
        f"the plan is not what these manifests give on what is live now: {name}",
        where=where,
        expected=str(expected)[:300],
        found=str(found)[:300],
        hint="plan again, and have that plan reviewed",
    )


def _check_use(reviewed: Reviewed, derived: _Derived, observed: Sequence[Observed]) -> None:
    """Use moves with every fill: guards are measured on what it is now, and refuse where that made one worse; a difference alone refuses nothing."""
    plan = reviewed.plan
    use = {
        (change.account_key, change.kind, change.execution_firm, change.product, change.owner, change.leg): change.usage
        for part in derived.parts.values()
        for change in part.changes
    }
    changes = [
        replace(change, usage=use[change.account_key, change.kind, change.execution_firm, change.product, change.owner, change.leg])
        for change in plan.changes
    ]
    unset_means = UnsetMeans(plan.target.unset_means)
    held = {(verdict.guard, verdict.threshold) for verdict in plan.guards if verdict.passed}
    for rules in reviewed.rules:
        for verdict in judge(changes, observed, rules.project.guards, unset_means=unset_means, unprotected=plan.origin.unprotected):
            if verdict.passed and (verdict.guard, verdict.threshold) not in held and verdict.guard not in reviewed.overrides:
                from amsctl.planning.guards import verdict_words

                raise Refused(
                    f"a guard holds the plan up on what is used now: {verdict_words(verdict)}",
                    where=verdict.where,
                    hint="plan again, and look at it",
                )


__all__ = ["Evidence", "Reviewed", "Rules", "authorise", "review"]
