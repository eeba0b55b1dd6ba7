"""One plan, the rules that hold for it, and what was brought along: gathered into facts, and decided."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from amsctl.approvals.approval import Approval, Statement
from amsctl.approvals.decision import Decision, Evidence, PlanFacts, RuleSet, decide
from amsctl.approvals.makers import CommitFacts, ForgeRecord, Makers, UnknownMakers, UnprovenAuthor, makers
from amsctl.approvals.names import Identities, folded, main_name
from amsctl.approvals.reviews import Reviews
from amsctl.approvals.signatures import Checked, Keygen, check_approval, check_commit
from amsctl.approvals.signers import SignerList
from amsctl.config import Approvals, ApprovalSource
from amsctl.errors import ApprovalMissing


class CommitSignature(Protocol):
    """A signature of a commit and the bytes that it is over."""

    @property
    def signature(self) -> bytes: ...  # noqa: D102
    @property
    def payload(self) -> bytes: ...  # noqa: D102


class SignedCommit(CommitFacts, Protocol):
    """A commit with its signature: ``provenance.commits.Commit`` is one."""

    @property
    def signature(self) -> CommitSignature | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What one commit of the branch of record asks for: its approvals, how many of them the plan needs by the rules that it meets, and its list of
    signers (``None`` where reviews count, or where it has none).
    """

    place: str
    settings: Approvals
    needed: int
    signers: SignerList | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything that approvals of a plan are judged by.

    ``rules`` are those of the newest commit of the branch of record, of the one that the change is held against, and of what lies between. ``lists`` are
    further lists of signers (the checkout's), which make no approver and name people all the same. ``also`` names those who made the change beside its
    commits, ``unproven`` those of whom it is not proven who they are (the person who asks for a rollback at a terminal). ``without_commits``: the change
    is made of none, as a rollback is; else a change of no commits is one whose makers are unknown. ``branch`` is the name of the branch of record.
    """

    plan: PlanFacts
    rules: tuple[Rules, ...]
    commits: Sequence[SignedCommit] | UnknownMakers
    lists: tuple[SignerList, ...] = ()
    also: frozenset[str] = frozenset()
    unproven: tuple[UnprovenAuthor, ...] = ()
    without_commits: bool = False
    branch: str | None = None

    @property
    def needed(self) -> int:
        """The most that a rule asks for, before authors who are not proven."""
        return max((one.needed for one in self.rules), default=0)


def judge(case: Case, approvals: Collection[Approval], reviews: Reviews | None, *, keygen: Callable[[], Keygen], now: datetime) -> Decision:
    """Whether enough people agreed. ``keygen`` finds ssh-keygen, and is called only where there is a signature to look at."""
    if case.needed == 0:
        return decide(case.plan, (), Evidence(), identities=Identities.of(()), branch=case.branch, now=now)
    lists = _lists(case)
    identities = _identities(lists)
    checked = tuple((one, check_approval(keygen(), one, lists)) for one in approvals)
    evidence = Evidence(signatures=checked, reviews=reviews)
    signed = _signed_commits(case, lists, keygen)
    sets = tuple(_rule_set(one, case, lists, identities, signed, reviews) for one in case.rules)
    return decide(case.plan, sets, evidence, identities=identities, branch=case.branch, now=now)


def _lists(case: Case) -> tuple[SignerList, ...]:
    return tuple(dict.fromkeys([*(one.signers for one in case.rules if one.signers is not None), *case.lists]))


def _identities(lists: Sequence[SignerList]) -> Identities:
    return Identities.of(group for one in lists for group in one.groups())


def _signed_commits(case: Case, lists: Sequence[SignerList], keygen: Callable[[], Keygen]) -> Mapping[str, Checked]:
    if isinstance(case.commits, UnknownMakers) or not lists:
        return {}
    signed = ((commit.id, commit.signature) for commit in case.commits)
    return {
        number: check_commit(keygen(), signature.payload, signature.signature, lists)
        for number, signature in signed
        if signature is not None
    }


def _rule_set(
    rules: Rules, case: Case, lists: Sequence[SignerList], identities: Identities, signed: Mapping[str, Checked], reviews: Reviews | None
) -> RuleSet:
    number = None if rules.signers is None else lists.index(rules.signers)
    made: Makers | UnknownMakers
    if isinstance(case.commits, UnknownMakers):
        made = case.commits
    elif not case.commits and not case.without_commits:
        made = UnknownMakers(
            reason="no commit lies between the base and what was planned", hint="name the branch that the change is for (--base)"
        )
    else:
        found = makers(
            case.commits,
            rules.settings.makers,
            identities=identities,
            signed=signed,
            list_number=number,
            forge=None if reviews is None else forge_record(reviews),
            also=case.also,
        )
        made = replace(found, unproven=(*found.unproven, *case.unproven))
    return RuleSet(
        place=rules.place, settings=rules.settings, needed=rules.needed, makers=made, list_number=number, people=_people(rules, identities)
    )


def _people(rules: Rules, identities: Identities) -> tuple[frozenset[str], ...]:
    """Everybody whom a set lets approve, with all names that any list knows."""
    if rules.settings.source is not ApprovalSource.SIGNATURES:
        return tuple(frozenset({name}) for name in sorted(rules.settings.approvers))
    return () if rules.signers is None else rules.signers.people()


def forge_record(reviews: Reviews) -> ForgeRecord:
    """What the forge says of who made the request."""
    return ForgeRecord(
        author=reviews.author,
        commits={one.id: one for one in reviews.commits},
        pushes=reviews.pushes,
        bots=frozenset(map(folded, reviews.bots)),
    )


def sign(draft: Statement, case: Case, key: str, *, keygen: Keygen, now: datetime) -> Approval:
    """An approval signed with ``key``, by the name that every list of the case knows it by, where there is one. ApprovalMissing when no list lets the key
    approve, or it would not count under one that does: its holder made the change, or a verdict is asked for.
    """
    lists = _lists(case)
    # Whose key it is, the list says: the draft is signed to find out, and thrown away.
    checked = check_approval(keygen, Approval(statement=draft, signature=keygen.sign(draft.to_sign(), key)), lists)
    names = [frozenset(held.names) for held in checked.held]
    mine = [found for one, found in zip(lists, names, strict=True) if any(one is rules.signers for rules in case.rules) and found]
    if not mine:
        raise ApprovalMissing(
            "the key is not one of those who may approve",
            where=key,
            found="; ".join(dict.fromkeys(f"{held.place}: {held.reason or checked.problem}" for held in checked.held))
            or "no list of signers",
            hint=f"could approve: {_could(case)}. Have the key added on the branch of record, and the plan made again (docs/howto/approvals.md)",
        )
    common = frozenset.intersection(*mine)
    statement = replace(draft, by=main_name(common or mine[0]))
    approval = Approval(statement=statement, signature=keygen.sign(statement.to_sign(), key))
    asked = replace(case, rules=tuple(replace(one, needed=max(one.needed, 1)) for one in case.rules))
    decision = judge(asked, [approval], None, keygen=lambda: keygen, now=now)
    lacking = [
        reason
        for rules, one in zip(case.rules, decision.sets, strict=True)
        if rules.signers is not None and names[lists.index(rules.signers)] and not one.counted
        for reason in one.refused
    ]
    if lacking:
        raise ApprovalMissing("this approval would not count", found="; ".join(dict.fromkeys(lacking)))
    return approval


def _could(case: Case) -> str:
    people = sorted({main_name(names) for one in case.rules for names in (() if one.signers is None else one.signers.people())})
    return ", ".join(people) or "none on the list of signers"
