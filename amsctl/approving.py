"""Whether enough people agreed to a plan: its approvals held against the project as it is now and the base branch that the plan was made for.

Lists of approvers and rules count as they stand in both: a change adds no approver of its own, and who was taken off the list since does not count.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

from amsctl.applying.means import stamp
from amsctl.approvals.approval import Approval, Statement
from amsctl.approvals.judge import Judgement, People, judge_reviews, judge_signatures, main_name
from amsctl.approvals.signatures import people_in, sign, signer_of
from amsctl.base import file_at, project_at
from amsctl.commit import contributors_of
from amsctl.config import Approvals, ApprovalSource, Project
from amsctl.errors import ApprovalMissing
from amsctl.flow import approvals_needed

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
    plan: Plan, project: Project, given: Given, clock: Clock, overrides: Sequence[GuardName] = ()
) -> tuple[dict[str, object], ...]:
    """The approvals that count, as the ledger keeps them. ApprovalMissing when they are not enough, with what was wrong and who could approve."""
    asked = _asked(plan, project)
    needed = max(approvals_needed(plan, project.safeguards, overrides), asked.needed(overrides))
    if needed == 0:
        return ()
    people = asked.people()
    now = datetime.fromtimestamp(clock.wall(), UTC)
    if asked.source is ApprovalSource.SIGNATURES:
        found = judge_signatures(plan, given.approvals, settings=asked.settings, people=people, signer=asked.signer, now=now)
    elif given.reviews is None:
        found = Judgement(refused=["no reviews were brought along (amsctl ci reviews -o FILE, amsctl apply --reviews FILE)"])
    else:
        known = People(made_it=people.made_it | _makers(given.reviews), may=people.may)
        people, found = known, judge_reviews(plan, given.reviews, settings=asked.settings, people=known, now=now)
    if len(found.counted) < needed:
        _refuse(needed, found, people, asked.source)
    return tuple(found.counted)


def _makers(reviews: Reviews) -> frozenset[str]:
    return frozenset({reviews.author, *reviews.contributors, *([reviews.pusher] if reviews.pusher else [])})


def _refuse(needed: int, found: Judgement, people: People, source: ApprovalSource) -> NoReturn:
    could = people.could(found.names)
    whose = (
        "whoever may review there and has not made the change"
        if source is not ApprovalSource.SIGNATURES
        else "nobody on the list of signers"
    )
    raise ApprovalMissing(
        f"the plan needs {needed} {'approval' if needed == 1 else 'approvals'}",
        found=f"{len(found.counted)} that count{'s' if len(found.counted) == 1 else ''}" + "".join(f"; {one}" for one in found.refused),
        hint=f"could approve: {', '.join(could) or whose}",
    )


class _Asked:
    """What is asked for now and on the base branch."""

    def __init__(self, plan: Plan, project: Project, base: Project | None) -> None:
        self.plan, self.project, self.base = plan, project, base
        environment = plan.target.environment
        found = [one.safeguards.at(environment).approvals for one in (project, base) if one is not None]
        self.settings: tuple[Approvals, ...] = tuple(one for one in found if one is not None)

    def needed(self, overrides: Sequence[GuardName]) -> int:
        """The most that the base branch asks for."""
        return 0 if self.base is None else approvals_needed(self.plan, self.base.safeguards, overrides)

    def signed_ones(self) -> tuple[Approvals, ...]:
        """The settings; ApprovalMissing where no signatures are asked for."""
        if not self.settings:
            raise ApprovalMissing("the project asks for no approvals", where=f"spec.approvals, environment {self.plan.target.environment}")
        if self.source is not ApprovalSource.SIGNATURES:
            raise ApprovalMissing(
                "approvals are reviews here, and no signatures",
                found=f"approvals: {self.source}",
                hint="approve the pull or merge request at the commit that was planned",
            )
        return self.settings

    @property
    def source(self) -> ApprovalSource:
        """Where approvals come from; ApprovalMissing where it is not the same everywhere."""
        sources = {one.source for one in self.settings} | ({self.plan.approvals.source} if self.plan.approvals is not None else set())
        if len(sources) > 1:
            raise ApprovalMissing(
                "where approvals come from has changed since the plan was made",
                expected="one of them",
                found=" and ".join(sorted(sources)),
                hint="plan again",
            )
        return sources.pop()

    def people(self) -> People:
        """Who made the change, by git itself: what the plan says of it is not enough. ApprovalMissing where that cannot be known."""
        git, base = self.plan.origin.git, self.plan.origin.base
        if git is None or git.dirty:
            raise ApprovalMissing(
                "the plan was made of manifests that are not those of a commit, so nobody knows whose change it is",
                hint="commit them, plan again, and have that plan approved",
            )
        if base is None:
            raise ApprovalMissing(
                "the plan was made without a base branch, whose list says who may approve",
                hint="amsctl plan --base origin/main -o FILE, with the branch that the change is to be merged into",
            )
        told = contributors_of(self.project.root, git.commit, base.commit)
        if told is None:
            raise ApprovalMissing(
                "git does not know the commit that was planned, so nobody knows whose change it is",
                where=git.commit,
                hint="git fetch origin COMMIT, and apply again",
            )
        address = git.author.rpartition("<")[2].removesuffix(">")
        made_it = {address, *git.contributors, *told, *([git.started_by] if git.started_by else [])} - {""}
        return People(made_it=frozenset(made_it), may=self._may())

    def _may(self) -> tuple[frozenset[str], ...]:
        """Who could approve, by both lists."""
        if self.source is ApprovalSource.SIGNATURES:
            here, there = map(people_in, self._lists())
            return tuple(here[key] | there[key] for key in here if key in there)
        listed = [frozenset(one.approvers) for one in self.settings if one.approvers]
        return tuple(frozenset({name}) for name in frozenset.intersection(*listed)) if listed else ()

    def _lists(self) -> tuple[str, str]:
        """The list of signers here, and on the base branch."""
        settings = self.project.approvals or (None if self.base is None else self.base.approvals) or Approvals()
        return _list_here(self.project.root, settings.signers), self._list_there()

    def _list_there(self) -> str:
        assert self.plan.origin.base is not None
        there = None if self.base is None or self.base.approvals is None else self.base.approvals
        if there is None:
            return ""  # the base branch names nobody yet: who may approve is merged first
        content = file_at(self.project.root, self.plan.origin.base.commit, there.signers)
        return "" if content is None else content.decode("utf-8", "surrogateescape")

    def signer(self, approval: Approval) -> frozenset[str]:
        """All names of whoever signed; none where one of the lists does not know the key."""
        known = [signer_of(approval, text) for text in self._lists()]
        return frozenset.union(*known) if all(known) else frozenset()


def _asked(plan: Plan, project: Project) -> _Asked:
    base = plan.origin.base
    return _Asked(plan, project, None if base is None else project_at(project.root, base.commit))


def _list_here(root: str, path: str) -> str:
    try:
        with open(os.path.join(root, path), encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read()
    except OSError as error:
        raise ApprovalMissing(
            "the list of signers cannot be read",
            where=path,
            found=error.strerror,
            hint='write NAME namespaces="amsctl-approval" PUBLIC-KEY, a line for each who may approve (docs/howto/approvals.md)',
        ) from None


def sign_plan(plan: Plan, project: Project, key: str, clock: Clock, *, verdict_sha256: str | None, reason: str | None) -> Approval:
    """An approval of a plan, signed with a key. ApprovalMissing when the project asks for none that is signed, or it would not count: the key is not
    on the list, or belongs to somebody who made the change.
    """
    asked = _asked(plan, project)
    settings = asked.signed_ones()
    people, now = asked.people(), clock.wall()
    draft = Statement(
        plan_digest=plan.digest,
        environment=plan.target.environment,
        url=plan.target.url,
        by="",
        made_at=stamp(clock),
        expires_at=stamp(clock, later_seconds=3600 * min(one.valid_hours for one in settings)),
        nonce=secrets.token_hex(16),
        verdict_sha256=verdict_sha256,
        reason=reason,
    )
    # Whose key it is, the list tells: the draft is signed to find out, and thrown away.
    names = asked.signer(Approval(statement=draft, signature=sign(draft.to_sign(), key)))
    if not names:
        raise ApprovalMissing(
            "the key is not on the list of those who may approve",
            where=key,
            expected=f"a key of {', '.join(people.could()) or 'somebody on the list'}, here and on the base branch",
            hint="have it added, merged, and the plan made again (docs/howto/approvals.md)",
        )
    statement = replace(draft, by=main_name(names))
    found = judge_signatures(
        plan,
        [approval := Approval(statement=statement, signature=sign(statement.to_sign(), key))],
        settings=settings,
        people=people,
        signer=asked.signer,
        now=datetime.fromtimestamp(now, UTC),
    )
    if found.refused:
        raise ApprovalMissing("this approval would not count", found="; ".join(found.refused))
    return approval
