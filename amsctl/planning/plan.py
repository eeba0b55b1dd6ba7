"""The plan as data: what would change, the calls that would change it, and everything that was assumed. Built by ``diff`` and ``arrange``;
written and read by ``codec``. The one list of steps feeds plan, show and apply.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from amsctl.config import ApprovalRule, ApprovalSource, GuardName, Policy, Threshold
from amsctl.diagnostics import Severity, Source
from amsctl.model import AccountKey, Amount, Direction, Leg, Owner, Phase, RowKey, Special

PLAN_FORMAT: Final = "amsctl.plan/v1"


class ChangeKind(StrEnum):
    """What a change is about."""

    STATUS = "status"
    SUSPENSION = "suspension"
    LIMIT = "limit"


ChangeValue: TypeAlias = Amount | bool | str
"""A limit's amount, a suspension's flag, or a status word."""


def value_words(value: ChangeValue | None) -> str:
    """A value in a message; ``None`` is what is not there."""
    match value:
        case None:
            return "absent"
        case bool():
            return "suspended" if value else "not suspended"
        case Special():
            return value.value
        case _:
            return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One leg, one suspension or one status, before and after.

    ``binding`` tells whether this change takes part in moving the effective limit, min(ef, cmf), which goes from ``effective_before`` to
    ``effective_after`` (limits only). ``usage`` is the use of the day in contracts, ``None`` where it is unknown.
    """

    id: str
    kind: ChangeKind
    clearing_firm: str
    account: str
    execution_firm: str | None = None
    product: str | None = None
    owner: Owner | None = None
    leg: Leg | None = None
    before: ChangeValue
    after: ChangeValue
    direction: Direction
    binding: bool
    effective_before: Amount | None = None
    effective_after: Amount | None = None
    usage: int | None = None
    source: Source | None = None

    @property
    def account_key(self) -> AccountKey:
        """The account that changes."""
        return AccountKey(self.clearing_firm, self.account)

    @property
    def row_key(self) -> RowKey:
        """Execution firm and product of a limit."""
        assert self.execution_firm is not None
        assert self.product is not None
        return RowKey(self.execution_firm, self.product)

    @property
    def where(self) -> str:
        """``firm/account[/EF[/product owner.leg]]``: the change's address in messages."""
        parts = [part for part in (self.clearing_firm, self.account, self.execution_firm, self.product) if part is not None]
        address = "/".join(parts)
        return address if self.leg is None else f"{address} {self.owner}.{self.leg}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One call that apply makes. ``after`` names the steps that must have been verified first; ``changes`` those that it carries out."""

    id: str
    phase: Phase
    clearing_firm: str
    account: str
    path: str
    body: Mapping[str, object]
    query: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    changes: tuple[str, ...]
    after: tuple[str, ...] = ()

    @property
    def account_key(self) -> AccountKey:
        """The account that is written."""
        return AccountKey(self.clearing_firm, self.account)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What a plan saw of an account: the fingerprint of its whole state, how much was read, and what guards and policies are measured on. ``protected``:
    its manifest says so, or that of the base branch. ``labels`` (``key=value``, sorted) are those of its manifest and of that of the base branch.
    """

    clearing_firm: str
    account: str
    sha256: str
    read_at: str
    rows: int
    pages: int
    status: str
    execution_firms: int
    suspended: int
    protected: bool = False
    labels: tuple[str, ...] = ()

    @property
    def account_key(self) -> AccountKey:
        """The account that was read."""
        return AccountKey(self.clearing_firm, self.account)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something a reviewer must know. ``blocks``: apply refuses the plan as long as it holds. ``source`` is the place in a manifest that it comes from,
    ``None`` where no manifest speaks of it.
    """

    code: str
    severity: Severity
    message: str
    where: str
    blocks: bool = False
    source: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one threshold of a guard says of a plan. ``of`` is the whole that ``measured`` is a part of, ``None`` where there is none; ``where`` the worst
    of what was measured, empty where there was nothing.
    """

    guard: GuardName
    threshold: Threshold
    measured: int
    of: int | None
    passed: bool
    where: str


class PointSource(StrEnum):
    """What says which value a leg had in the past."""

    LEDGER = "ledger"
    HISTORY = "history"


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """The past that guards measure a plan against besides its own before-values: the values of ``days`` days ago. ``sources`` are the records that were
    looked at; ``unread`` is why the ledger could not be, empty where it could or where there is none.
    """

    days: int
    sources: tuple[PointSource, ...] = ()
    unread: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A value in the past, in contracts and above zero, that a leg of the plan is measured against: of one side as written, or (``owner`` ``None``) what
    both sides let through. ``at`` is when the leg had it.
    """

    clearing_firm: str
    account: str
    execution_firm: str
    product: str
    leg: Leg
    owner: Owner | None
    value: int
    at: str
    source: PointSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What a policy says of a plan: how often it is broken, and where first (empty where it is not)."""

    policy: Policy
    broken: int
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleMet:
    """A rule of who must approve, whether the plan is one that it is for, and what makes it one (empty where it is not)."""

    rule: ApprovalRule
    met: bool
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalNeed:
    """How many must approve a plan, and why. What somebody overrides at apply may need more."""

    source: ApprovalSource
    rules: tuple[RuleMet, ...]

    @property
    def needed(self) -> int:
        """The most that a rule asks for; 0 where none is met."""
        return max((one.rule.approvals for one in self.rules if one.met), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Which AMS a plan is for, as whom, and under which rules of the project file. ``ams`` is the name that locks and freezes go by."""

    environment: str
    ams: str
    url: str
    service: str
    principal: str
    ownership: tuple[Owner, ...]
    unset_means: str
    protected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Git:
    """The commit that the manifests stand at. ``message`` and ``contributors`` (addresses of authors and committers, sorted) are those of every commit
    that the base branch lacks, where one was named, else of this one. ``started_by`` is the account that first started the planning job and ``rerun_by``
    the one that ran it again, as the pipeline names them; ``None`` outside of one.
    """

    commit: str
    author: str
    dirty: bool
    message: str = ""
    contributors: tuple[str, ...] = ()
    started_by: str | None = None
    rerun_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which part of the repository was planned: path arguments, accounts and labels as given; all empty for the whole."""

    paths: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The branch of record (its full ref, empty where it has none), its newest commit that lacks the change, and the protected accounts that lose their
    protection against it.
    """

    ref: str
    commit: str
    unprotected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """The run whose changes a plan takes back, and who asked for that: the account that a pipeline names, or the user of the machine."""

    run: str
    asked_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the wishes came from: a hash of every manifest read, the commit, the selection, and the base branch where one was named. ``rollback`` is set
    where a plan takes back what a run changed, and comes from no manifests.
    """

    manifests_sha256: str
    git: Git | None = None
    selection: Selection = Selection()
    base: Base | None = None
    rollback: Rollback | None = None

    @property
    def unprotected(self) -> tuple[str, ...]:
        """The protected accounts that lose their protection; none where no base branch was named."""
        return () if self.base is None else self.base.unprotected


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The counts of a plan."""

    accounts: int
    accounts_changed: int
    changes: int
    tighten: int
    loosen: int
    neutral: int
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A plan, whole. Times are UTC, ``YYYY-MM-DDTHH:MM:SSZ``. ``digest`` is over all the rest (``codec.digest_of``). ``references`` are the values of the
    past that its guards were measured against; ``against`` is ``None`` where the project file switches that off.
    """

    digest: str
    created_at: str
    expires_at: str
    tool_version: str
    target: Target
    origin: Origin
    summary: Summary
    changes: tuple[Change, ...]
    steps: tuple[Step, ...]
    observed: tuple[Observed, ...]
    against: Against | None = None
    references: tuple[Reference, ...] = ()
    guards: tuple[Verdict, ...] = ()
    policies: tuple[Ruling, ...] = ()
    approvals: ApprovalNeed | None = None
    findings: tuple[Finding, ...]

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """The findings that stop an apply."""
        return tuple(finding for finding in self.findings if finding.blocks)
