"""Whether enough people agreed to a plan: the project as it is now and the base branch that the plan was made for, as facts for ``approvals.judging``."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from amsctl.applying.means import stamp
from amsctl.approvals.approval import Approval, Statement
from amsctl.approvals.decision import PlanFacts
from amsctl.approvals.judging import Case, Rules, SignedCommit, judge, sign
from amsctl.approvals.makers import UnknownMakers
from amsctl.approvals.signatures import Keygen, find_keygen
from amsctl.approvals.signers import SignerList, parse_signers, read_signers
from amsctl.base import file_at, project_at
from amsctl.config import Approvals, ApprovalSource, Project
from amsctl.errors import ApprovalMissing
from amsctl.flow import approvals_needed
from amsctl.planning.content import content_of
from amsctl.provenance.commits import commits_between
from amsctl.provenance.facts import Unknown
from amsctl.provenance.repository import Repository, find

if TYPE_CHECKING:
    from amsctl.applying.ports import Clock
    from amsctl.approvals.reviews import Reviews
    from amsctl.config import GuardName
    from amsctl.planning.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What was brought along: signed approvals, and the reviews of the request."""

    approvals: tuple[Approval, ...] = ()
    reviews: Reviews | None = None


def approved(
    plan: Plan, project: Project, given: Given, clock: Clock, overrides: Sequence[GuardName] = (), *, branch: str | None = None
) -> tuple[Mapping[str, object], ...]:
    """The approvals that count, as the ledger keeps them. ApprovalMissing when they are not enough, with what was wrong and who could approve.

    ``branch`` is the name of the branch of record, which reviewed requests must be for.
    """
    base = None if plan.origin.base is None else project_at(project.root, plan.origin.base.commit)
    here = approvals_needed(plan, project.safeguards, overrides)
    there = 0 if base is None else approvals_needed(plan, base.safeguards, overrides)
    if max(here, there) == 0:
        return ()
    case = _case(plan, project, base, here, there, branch)
    decision = judge(case, given.approvals, given.reviews, keygen=_keygen(project), now=datetime.fromtimestamp(clock.wall(), UTC))
    refusal = decision.refusal()
    if refusal is not None:
        raise refusal
    return decision.approvals


def sign_plan(plan: Plan, project: Project, key: str, clock: Clock, *, verdict_sha256: str | None, reason: str | None) -> Approval:
    """An approval of a plan, signed with a key. ApprovalMissing when the project asks for none that is signed, or it would not count: the key is not
    on the list, or belongs to a person who made the change.
    """
    base = None if plan.origin.base is None else project_at(project.root, plan.origin.base.commit)
    settings = [one for one in (_settings(plan, project), _settings(plan, base)) if one is not None]
    if not settings:
        raise ApprovalMissing("the project asks for no approvals", where=f"spec.approvals, environment {plan.target.environment}")
    if all(one.source is not ApprovalSource.SIGNATURES for one in settings):
        raise ApprovalMissing(
            "approvals are reviews here, and no signatures",
            found=f"approvals: {settings[0].source}",
            hint="approve the pull or merge request at the commit that was planned",
        )
    case = _case(plan, project, base, 1, 1, None)
    draft = Statement(
        plan_digest=plan.digest,
        environment=plan.target.environment,
        url=plan.target.url,
        ams=case.plan.ams,
        base_commit=case.plan.base_commit,
        by="",
        made_at=stamp(clock),
        expires_at=stamp(clock, later_seconds=3600 * min(one.valid_hours for one in settings)),
        nonce=secrets.token_hex(16),
        verdict_sha256=verdict_sha256,
        reason=reason,
    )
    return sign(draft, case, key, keygen=_keygen(project)(), now=datetime.fromtimestamp(clock.wall(), UTC))


def _keygen(project: Project) -> Callable[[], Keygen]:
    repository = find(project.root)
    outside = repository.top if isinstance(repository, Repository) else project.root
    return lambda: find_keygen(os.environ, outside=outside)


def _settings(plan: Plan, project: Project | None) -> Approvals | None:
    return None if project is None else project.safeguards.at(plan.target.environment).approvals


def _case(plan: Plan, project: Project, base: Project | None, here: int, there: int, branch: str | None) -> Case:
    git, base_commit = plan.origin.git, plan.origin.base
    if git is None or git.dirty:
        raise ApprovalMissing(
            "the plan was made of manifests that are not those of a commit, so it is unknown whose change it is",
            hint="commit them, plan again, and have that plan approved",
        )
    if base_commit is None:
        raise ApprovalMissing(
            "the plan was made without a base branch, whose list says who may approve",
            hint="amsctl plan --base origin/main -o FILE, with the branch that the change is to be merged into",
        )
    rules = []
    settings = _settings(plan, project)
    if settings is not None:
        signers = read_signers(project.root, settings.signers) if settings.source is ApprovalSource.SIGNATURES else None
        rules.append(Rules(place="the project file here", settings=settings, needed=here, signers=signers))
    said = _settings(plan, base)
    settings = said or settings or Approvals()
    signers = None if said is None or said.source is not ApprovalSource.SIGNATURES else _list_at(project, base_commit.commit, said.signers)
    # The base branch names no one yet: who may approve is merged first.
    needed = there if said is not None else here
    rules.append(Rules(place="the base branch", settings=settings, needed=needed, signers=signers))
    return Case(
        plan=PlanFacts(
            digest=plan.digest,
            content=content_of(plan),
            environment=plan.target.environment,
            url=plan.target.url,
            ams=_ams(project, plan.target.environment),
            commit=git.commit,
            base_commit=base_commit.commit,
        ),
        rules=tuple(rules),
        commits=_commits(project, base_commit.commit, git.commit),
        # What the plan says of its makers is not enough, and counts all the same.
        also=frozenset({git.author.rpartition("<")[2].removesuffix(">"), *git.contributors, *([git.started_by] if git.started_by else [])}),
        branch=branch,
    )


def _ams(project: Project, environment: str) -> str:
    """The name of the environment's AMS, as ``Environment.ams_name``."""
    written = project.environments.get(environment)
    name = written.get("ams") if isinstance(written, Mapping) else None
    return name if isinstance(name, str) else environment


def _list_at(project: Project, commit: str, path: str) -> SignerList | None:
    content = file_at(project.root, commit, path)
    return None if content is None else parse_signers(content, f"{path} at {commit[:12]}")


def _commits(project: Project, base: str, head: str) -> Sequence[SignedCommit] | UnknownMakers:
    repository = find(project.root)
    if repository is None or isinstance(repository, Unknown):
        reason = "there is no repository" if repository is None else repository.reason
        return UnknownMakers(reason=reason, hint="" if repository is None else repository.hint)
    found = commits_between(repository, base, head)
    return UnknownMakers(reason=found.reason, hint=found.hint) if isinstance(found, Unknown) else found
