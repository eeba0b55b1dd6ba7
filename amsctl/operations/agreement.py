"""Whether enough people agreed to a plan: the rules of the branch of record, the commits of the change and what was brought along, as facts for
``approvals``. Lists of signers are those of the branch; the checkout's own names people too, and lets none of them approve.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from amsctl.applying.means import stamp
from amsctl.approvals.approval import APPROVAL_FORMAT, Approval, Statement
from amsctl.approvals.decision import PlanFacts
from amsctl.approvals.judging import Case, Rules, SignedCommit, judge, sign
from amsctl.approvals.makers import UnknownMakers, UnprovenAuthor
from amsctl.approvals.names import folded
from amsctl.approvals.signatures import Keygen, find_keygen
from amsctl.approvals.signers import SignerList, parse_signers, read_signers
from amsctl.config import Approvals, ApprovalSource, GuardName
from amsctl.errors import AmsctlError, ApprovalMissing
from amsctl.model import UnsetMeans
from amsctl.operations.introduction import introducing
from amsctl.operations.record import RuleSet, Sources, safeguards_of
from amsctl.planning.approvals import approval_need
from amsctl.planning.content import content_of
from amsctl.planning.plan import Plan
from amsctl.provenance.commits import commits_between
from amsctl.provenance.facts import Unknown
from amsctl.provenance.pipeline import Pipeline

if TYPE_CHECKING:
    from amsctl.applying.ports import Clock
    from amsctl.approvals.reviews import Reviews


def agreed(
    plan: Plan,
    sources: Sources,
    rules: Sequence[RuleSet],
    approvals: Sequence[Approval],
    reviews: Reviews | None,
    overrides: Sequence[GuardName],
    clock: Clock,
    *,
    spent: datetime | None = None,
) -> tuple[Mapping[str, object], ...]:
    """The approvals that count, as the ledger keeps them; none where none are needed. ApprovalMissing when they are not enough, with what was wrong and who
    could approve. ``spent`` is when another plan of the same content was last carried out.
    """
    if max(needed_by(one, plan, overrides) for one in rules) == 0:
        return ()
    case = case_of(plan, sources, rules, overrides)
    case = replace(case, plan=replace(case.plan, spent=spent))
    decision = judge(case, approvals, reviews, keygen=keygen_of(sources), now=datetime.fromtimestamp(clock.wall(), UTC))
    refusal = decision.refusal()
    if refusal is not None:
        raise refusal
    return tuple(_whole(one, approvals) for one in decision.approvals)


def _whole(record: Mapping[str, object], approvals: Sequence[Approval]) -> Mapping[str, object]:
    """What the ledger keeps of an approval: a signed one whole, so that a resume can verify it again."""
    for one in approvals:
        if record.get("sha256") == one.sha256:
            return {**record, "format": APPROVAL_FORMAT, "statement": one.statement.members(), "signature": one.signature}
    return record


def makers_words(plan: Plan, sources: Sources, rules: Sequence[RuleSet]) -> str | None:
    """How many must approve with the authors who are not proven, in words; ``None`` where all are, where that is known only with what the forge says, or
    where the plan cannot be approved, which it says itself.
    """
    if max(needed_by(one, plan, ()) for one in rules) == 0:
        return None
    try:
        case = case_of(plan, sources, rules, ())
        decision = judge(case, (), None, keygen=keygen_of(sources), now=datetime.now(UTC))
    except AmsctlError:
        return None
    most = max(decision.sets, key=lambda one: one.needed if one.source is ApprovalSource.SIGNATURES else 0)
    if most.source is not ApprovalSource.SIGNATURES or not most.unproven:
        return None
    more = ", ".join(f"1 more since {one.name} is not proven: {one.why}" for one in most.unproven)
    return f"needs {most.needed} approvals: {most.rule} by the rules, {more}{most.way_out}"


def needed_by(rules: RuleSet, plan: Plan, overrides: Sequence[GuardName]) -> int:
    """How many must approve a plan by a set of rules, before authors who are not proven."""
    asked = safeguards_of(rules, plan.target.environment).approvals
    need = approval_need(plan.changes, asked, unset_means=UnsetMeans(plan.target.unset_means), overridden=bool(overrides))
    return 0 if need is None else need.needed


def case_of(plan: Plan, sources: Sources, rules: Sequence[RuleSet], overrides: Sequence[GuardName]) -> Case:
    """Everything that approvals of a plan are judged by. ApprovalMissing where a plan is one that cannot be approved."""
    git, base, rollback = plan.origin.git, plan.origin.base, plan.origin.rollback
    if sources.record is not None and (git is None or git.dirty) and rollback is None:
        raise ApprovalMissing(
            "the plan was made of manifests that are not those of a commit, so it is unknown whose change it is",
            hint="commit them, plan again, and have that plan approved",
        )
    if base is None or sources.record is None:
        raise ApprovalMissing(
            "the plan was made without a branch of record, which says who may approve",
            found=sources.unapprovable or None,
            hint="amsctl plan --base origin/main -o FILE, with the branch that the change is for",
        )
    if sources.record.why_not_approvable:
        raise ApprovalMissing(
            "no plan on this base can be approved", found=sources.record.why_not_approvable, hint="plan again with --base"
        )
    lists = [one for one in (_list_here(sources, rules, plan),) if one is not None]
    asked = tuple(_rules_of(one, plan, overrides) for one in rules)
    return Case(
        plan=PlanFacts(
            digest=plan.digest,
            content=content_of(plan),
            environment=plan.target.environment,
            url=plan.target.url,
            ams=plan.target.ams,
            commit=None if git is None else git.commit,
            base_commit=base.commit,
        ),
        rules=asked,
        commits=() if rollback is not None else _commits(plan, sources, base.commit, git.commit if git is not None else ""),
        lists=tuple(lists),
        also=frozenset([*([git.started_by] if git is not None and git.started_by else []), *_askers(plan, sources.pipeline)]),
        unproven=_unproven_askers(plan, sources.pipeline, asked),
        without_commits=rollback is not None,
        branch=sources.branch,
    )


def _askers(plan: Plan, pipeline: Pipeline | None) -> tuple[str, ...]:
    """Everybody who asks for a rollback: the account that first started its job, and whoever ran that job again and so asks anew. What the plan file leaves
    out of those who ran a job again, the job that applies it tells.
    """
    rollback, git = plan.origin.rollback, plan.origin.git
    if rollback is None:
        return ()
    again = (git.rerun_by if git is not None else None, pipeline.rerun_by if pipeline is not None else None)
    return tuple(dict.fromkeys([rollback.asked_by, *(name for name in again if name)]))


def _unproven_askers(plan: Plan, pipeline: Pipeline | None, rules: Sequence[Rules]) -> tuple[UnprovenAuthor, ...]:
    """Those who ask for a rollback of whom it is not proven who they are."""
    found: list[UnprovenAuthor] = []
    for number, name in enumerate(_askers(plan, pipeline)):
        if number == 0:
            found += _unproven_asker(name, pipeline, rules)
        elif pipeline is None or not any(_knows(one, name, pipeline) for one in rules):
            found.append(UnprovenAuthor(name=name, why="ran the job of the rollback again, and the rules know no person of that account"))
    return tuple(found)


def _unproven_asker(name: str, pipeline: Pipeline | None, rules: Sequence[Rules]) -> tuple[UnprovenAuthor, ...]:
    """The person who asks for a rollback, where it is not proven who that is. Only the job that applies it proves it, whose actor has asked; and only where
    the rules know that account: one that no list of signers names may be an approver's.
    """
    why = ""
    if pipeline is None:
        why = "asked for the rollback at a terminal, where a name is only what the machine calls its user"
    elif not pipeline.started_by or folded(pipeline.started_by) != folded(name):
        why = f"asked for the rollback, by its plan alone: this job was started by {pipeline.started_by or 'an account that it does not name'}"
    elif not any(_knows(one, name, pipeline) for one in rules):
        why = "asked for the rollback, and the rules know no person of that account"
    return (UnprovenAuthor(name=name, why=why),) if why else ()


def _knows(rules: Rules, name: str, pipeline: Pipeline) -> bool:
    """Whether an account of the pipeline is one that a set of rules tells from all others: the forge's own, or one that the list of signers names."""
    if rules.settings.source is not ApprovalSource.SIGNATURES:
        return rules.settings.source.value == pipeline.system
    return rules.signers is not None and any(folded(name) in person for person in rules.signers.people())


def _rules_of(rules: RuleSet, plan: Plan, overrides: Sequence[GuardName]) -> Rules:
    settings = safeguards_of(rules, plan.target.environment).approvals or Approvals()
    signers = None
    if settings.source is ApprovalSource.SIGNATURES:
        content = rules.file(settings.signers)
        if isinstance(content, Unknown):
            raise content.as_error("the list of signers cannot be read", where=f"{settings.signers}, {rules.place}")
        signers = None if content is None else parse_signers(content, f"{settings.signers}, {rules.place}")
    return Rules(place=rules.place, settings=settings, needed=needed_by(rules, plan, overrides), signers=signers)


def _list_here(sources: Sources, rules: Sequence[RuleSet], plan: Plan) -> SignerList | None:
    """The checkout's own list, for the names that it knows; ``None`` where signatures do not count or it has none."""
    settings = safeguards_of(rules[0], plan.target.environment).approvals
    if settings is None or settings.source is not ApprovalSource.SIGNATURES:
        return None
    if not os.path.lexists(os.path.join(sources.here.root, settings.signers)):
        return None
    return read_signers(sources.here.root, settings.signers)


def _commits(plan: Plan, sources: Sources, base: str, head: str) -> Sequence[SignedCommit] | UnknownMakers:
    """The commits of the change: those that the base lacks, and those that brought in what the base has and the AMS has not yet."""
    if sources.repository is None:
        return UnknownMakers(reason="there is no repository of git here", hint="apply in a clone")
    found = commits_between(sources.repository, base, head)
    if not isinstance(found, Unknown) and not found:
        return UnknownMakers(
            reason=f"the base {base[:12]} has the commit {head[:12]} already", hint="plan again: the base of a plan lacks its change"
        )
    earlier = introducing(plan, sources)
    for one in (found, earlier):
        if isinstance(one, Unknown):
            return UnknownMakers(reason=one.reason, hint=one.hint)
    assert not isinstance(found, Unknown)
    assert not isinstance(earlier, Unknown)
    known = {commit.id for commit in found}
    return (*found, *(commit for commit in earlier if commit.id not in known))


def keygen_of(sources: Sources) -> Callable[[], Keygen]:
    """What finds ssh-keygen: never one that lies in the repository."""
    outside = sources.repository.top if sources.repository is not None else sources.here.root
    return lambda: find_keygen(os.environ, outside=outside)


def signed(
    plan: Plan,
    sources: Sources,
    rules: Sequence[RuleSet],
    key: str,
    clock: Clock,
    *,
    verdict_sha256: str | None,
    reason: str | None,
    keygen: Callable[[], Keygen] | None = None,
) -> Approval:
    """An approval of a plan, signed with a key. ApprovalMissing when the project asks for none that is signed, or it would not count: the key is not
    on the list, or belongs to a person who made the change. ``keygen`` finds
    what stands in for ssh-keygen (``approvals.foreseen``: what would be said of a signature).
    """
    asked = [one for rule_set in rules if (one := safeguards_of(rule_set, plan.target.environment).approvals) is not None]
    if not asked:
        raise ApprovalMissing("the project asks for no approvals", where=f"spec.approvals, environment {plan.target.environment}")
    if any(one.source is not ApprovalSource.SIGNATURES for one in asked):
        raise ApprovalMissing(
            "approvals are reviews here, and no signatures",
            found=f"approvals: {asked[0].source}",
            hint="approve the pull or merge request at the commit that was planned",
        )
    case = case_of(plan, sources, rules, ())
    hours = min([sources.project.plan_valid_hours, *(one.valid_hours for one in asked)])
    draft = Statement(
        plan_digest=plan.digest,
        environment=plan.target.environment,
        url=plan.target.url,
        ams=plan.target.ams,
        base_commit=case.plan.base_commit,
        by="",
        made_at=stamp(clock),
        expires_at=min(stamp(clock, later_seconds=3600 * hours), plan.expires_at),
        nonce=secrets.token_hex(16),
        verdict_sha256=verdict_sha256,
        reason=reason,
    )
    return sign(draft, case, key, keygen=(keygen or keygen_of(sources))(), now=datetime.fromtimestamp(clock.wall(), UTC))
