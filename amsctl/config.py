"""What `amsctl.yaml` says, as values. Standard library only; reading it is ``manifests.project``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, TypeAlias

from amsctl.diagnostics import Diagnostic, Source
from amsctl.model import Owner, Undeclared, UnsetMeans

PROJECT_FILE: Final = "amsctl.yaml"


class Secret:
    """A text that shows itself to nobody: ``reveal()`` is the only way to it, and only ``ams.auth`` calls it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(•••)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "Secret(•••)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(("Secret", self._text))

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret is never pickled or copied")


class AuthType(StrEnum):
    """How requests prove who sends them."""

    NONE = "none"
    BASIC = "basic"
    OAUTH2 = "oauth2"
    SESSION = "session"


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """Credentials of one environment. ``client_id`` (the API ID) is public and case sensitive; the secret is not shown. ``shown_id`` is shown in place of an
    id that came from an environment variable and does not look like one of CME's: what else a variable may hold is not shown.
    """

    type: AuthType = AuthType.NONE
    client_id: str | None = None
    shown_id: str | None = None
    client_secret: Secret | None = None
    token_url: str | None = None
    logon_path: str = "/logon"

    @property
    def principal(self) -> str:
        """The API ID as it is shown, or ``anonymous`` where none is configured."""
        return self.shown_id or self.client_id or "anonymous"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Own CA bundle and client certificate, as paths. Verification itself cannot be switched off. ``written`` is how a path that came from an environment
    variable is written in the project file, by the name of its setting: what a variable holds is not shown.
    """

    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    written: Mapping[str, str] = field(default_factory=dict)

    def shown(self, setting: str, path: str | None) -> str:
        """How a message names the file of a setting."""
        return f"tls.{setting}: {self.written.get(setting, path)}"


class UnlimitedAs(StrEnum):
    """How an unlimited leg is written on the wire; CME does not publish it."""

    NULL = "null"
    OMIT = "omit"
    WORD = "Unlimited"


class UnlimitedShownAs(StrEnum):
    """How the AMS shows a leg without a limit; CME does not publish it. Any other shape of a side is refused."""

    NULL = "null"
    WORD = "Unlimited"
    LEG_ABSENT = "leg-absent"
    SIDE_ABSENT = "side-absent"


class OffsetCounts(StrEnum):
    """What the ``offset`` of a paged request counts; CME does not publish it."""

    PAGES = "pages"
    ROWS = "rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """What CME has not published, one setting each (docs/assumptions.md)."""

    unlimited_as: UnlimitedAs = UnlimitedAs.NULL
    unlimited_shown_as: UnlimitedShownAs = UnlimitedShownAs.NULL
    first_offset: int = 1
    offset_counts: OffsetCounts = OffsetCounts.PAGES


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """Pace and patience. ``per_second`` of ``None`` means no cap of ours."""

    concurrency: int = 8
    per_second: float | None = 20.0
    timeout_seconds: float = 30.0
    deadline_seconds: float = 300.0
    settle_seconds: float = 30.0
    rows_per_post: int = 500
    page_size: int = 50
    max_body_bytes: int = 16 * 1024 * 1024
    retries: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings:
    """Where the ledger is kept, and for how long one writer has a clearing firm to itself without saying that it is still there.

    ``url`` is the text as written, with ``${NAME}`` and relative to the project's root: ``manifests.project.resolve_ledger`` makes an address of it.
    ``ephemeral``: a pipeline may keep the ledger below its checkout, where it is lost with the job.
    """

    url: str = field(default="sqlite:///.amsctl/ledger.db", repr=False)  # may carry a password
    lease_seconds: float = 120.0
    ephemeral: bool = False
    source: Source | None = None


class Calendar(StrEnum):
    """Whose hours an environment keeps."""

    CME = "cme"
    NONE = "none"


class Effect(StrEnum):
    """Whether a window opens or closes."""

    ALLOW = "allow"
    DENY = "deny"


class Applies(StrEnum):
    """The steps that a window is for: all, or those alone that let more through (phases loosen and release)."""

    ALL = "all"
    LOOSEN = "loosen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weekly:
    """The same spans every week, in minutes of the wall clock since Monday 00:00: each begins below 10,080 and ends up to a week later."""

    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurring:
    """Spans that begin where a recurrence rule (RFC 5545) says. ``start`` is a wall-clock time, ``days`` count on the calendar, ``seconds`` exactly."""

    rrule: str
    start: str
    days: int = 0
    seconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Times at which writes are allowed or denied. ``environments`` of ``()`` means every environment."""

    name: str
    effect: Effect
    applies: Applies = Applies.ALL
    time_zone: str
    times: Weekly | Recurring
    environments: tuple[str, ...] = ()
    source: Source | None = None


class GuardName(StrEnum):
    """What a guard measures in a plan (``planning.guards``)."""

    ACCOUNTS_CHANGED = "accountsChanged"
    ROWS_CHANGED = "rowsChanged"
    ROWS_UNSET = "rowsUnset"
    ACCOUNT_ROWS_UNSET = "accountRowsUnset"
    RAISED = "raised"
    RAISED_LOTS = "raisedLots"
    UNLIMITED = "unlimited"
    ZERO_CROSSINGS = "zeroCrossings"
    JUMPS_UP = "jumpsUp"
    JUMPS_DOWN = "jumpsDown"
    ABOVE_USE = "aboveUse"
    BELOW_USE = "belowUse"
    RELEASED = "released"
    ACTIVATED = "activated"
    SUSPENDED = "suspended"
    DEACTIVATED = "deactivated"
    PROTECTED = "protected"


class Op(StrEnum):
    """How the two halves of a threshold go together."""

    AND = "and"
    OR = "or"


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Passed when more than ``amount`` things, or more than ``percent`` of all there are, are met with; with both, ``op`` tells whether one is enough.
    ``factor`` is what the guards that compare amounts compare with, ``None`` for the others.

    There is no size below which a plan is not looked at: who wants small ones to pass says so with ``op: and`` and an amount.
    """

    percent: int | None = None
    amount: int | None = None
    op: Op = Op.OR
    factor: int | None = None

    def passed(self, measured: int, of: int | None) -> bool:
        """Whether a measure is beyond it. Of nothing, anything is all; a measure that has no whole is held against the amount alone."""
        over = []
        if self.amount is not None:
            over.append(measured > self.amount)
        if self.percent is not None and of is not None:
            over.append(measured * 100 > self.percent * of)
        return bool(over) and (all(over) if self.op is Op.AND else any(over))


Guards: TypeAlias = Mapping[GuardName, tuple[Threshold, ...]]
"""The guards that are on, each with the thresholds of which none may be passed. Empty: all are switched off."""


def _small_or(percent: int, amount: int, *more: Threshold, factor: int | None = None) -> tuple[Threshold, ...]:
    """More than a part of the whole, but not where it is only a few."""
    return (Threshold(percent=percent, amount=amount, op=Op.AND, factor=factor), *more)


USUAL_GUARDS: Final[Guards] = {
    GuardName.ACCOUNTS_CHANGED: _small_or(50, 10, Threshold(amount=50)),
    GuardName.ROWS_CHANGED: _small_or(50, 20, Threshold(amount=500)),
    GuardName.ROWS_UNSET: (Threshold(percent=50), Threshold(amount=20)),
    GuardName.ACCOUNT_ROWS_UNSET: (Threshold(percent=50),),
    GuardName.RAISED: _small_or(25, 4, Threshold(amount=20, factor=2), Threshold(amount=0, factor=5), factor=2),
    GuardName.RAISED_LOTS: _small_or(50, 10_000, Threshold(amount=100_000)),
    GuardName.UNLIMITED: (Threshold(percent=50), Threshold(amount=20)),
    GuardName.ZERO_CROSSINGS: _small_or(50, 4, Threshold(amount=20)),
    GuardName.JUMPS_UP: (Threshold(amount=0, factor=10),),
    GuardName.JUMPS_DOWN: _small_or(25, 4, Threshold(amount=20, factor=10), factor=10),
    GuardName.ABOVE_USE: _small_or(50, 4, factor=100),
    GuardName.BELOW_USE: _small_or(25, 4, Threshold(amount=10)),
    GuardName.RELEASED: _small_or(50, 2, Threshold(amount=10)),
    GuardName.ACTIVATED: _small_or(50, 2, Threshold(amount=10)),
    GuardName.SUSPENDED: _small_or(50, 4, Threshold(amount=50)),
    GuardName.DEACTIVATED: _small_or(50, 4, Threshold(amount=50)),
    GuardName.PROTECTED: (Threshold(amount=0),),
}
"""Where the project file says nothing else (docs/howto/guards.md tells what each is for)."""

USUAL_FACTORS: Final[Mapping[GuardName, int]] = {
    GuardName.RAISED: 2,
    GuardName.JUMPS_UP: 10,
    GuardName.JUMPS_DOWN: 10,
    GuardName.ABOVE_USE: 100,
}
"""The guards that compare amounts, and the factor where a threshold does not name one."""


class Weekday(StrEnum):
    """A day of the week, as the project file writes it; the order is that of the week."""

    MONDAY = "Mon"
    TUESDAY = "Tue"
    WEDNESDAY = "Wed"
    THURSDAY = "Thu"
    FRIDAY = "Fri"
    SATURDAY = "Sat"
    SUNDAY = "Sun"


@dataclass(frozen=True, slots=True, kw_only=True)
class Maximum:
    """No leg is raised to more than ``contracts``. Empty ``products`` (patterns: ``*`` stands for anything), ``types`` and ``labels`` (``key=value``, all of
    them) mean every one. With an ``owner``, what is written on that side counts; without, what is let through.
    """

    contracts: int
    products: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    owner: Owner | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketNeeded:
    """The commit names a ticket of one of these projects (``RISK`` of ``RISK-12``). Without keys ``UTF-8`` would be a ticket."""

    keys: tuple[str, ...]
    applies: Applies = Applies.LOOSEN


@dataclass(frozen=True, slots=True, kw_only=True)
class NoLoosening:
    """Nothing that lets more through is applied on these days of a time zone."""

    days: tuple[Weekday, ...]
    time_zone: str


Rule: TypeAlias = Maximum | TicketNeeded | NoLoosening


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A rule of the firm that no plan breaks. There is no override: who wants another rule changes it where it stands. ``environments`` of ``()`` means
    every environment.
    """

    name: str
    rule: Rule
    environments: tuple[str, ...] = ()


class ApprovalSource(StrEnum):
    """Where approvals come from: signatures over the plan, or the reviews of a pull or merge request."""

    SIGNATURES = "signatures"
    GITHUB = "github"
    GITLAB = "gitlab"


class MakersFrom(StrEnum):
    """What proves who made a commit: a signature by a listed key, the forge's record, or nothing but the addresses in it (weak)."""

    SIGNED = "signed"
    FORGE = "forge"
    ADDRESSES = "addresses"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRule:
    """How many people must approve a plan that this is met by. With neither ``factor``, ``lots`` nor ``overridden`` it is met by every plan that lets
    more through (``applies``: loosen) or changes anything at all (all).

    ``factor``: a leg is raised to more than so many times, from zero, or loses its limit. ``lots``: more than so many contracts more
    are let through in all. ``overridden``: a guard is overridden.
    """

    approvals: int
    applies: Applies = Applies.LOOSEN
    factor: int | None = None
    lots: int | None = None
    overridden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Approvals:
    """Four eyes. ``signers`` is a file of OpenSSH's allowed signers, relative to the project file; ``approvers`` the accounts at GitHub or GitLab whose
    reviews count, which must be written where reviews do. ``environments`` of ``()`` means every environment. ``makers_from`` of ``None`` is the
    default of the source (``makers``).
    """

    source: ApprovalSource = ApprovalSource.SIGNATURES
    signers: str = "approvers"
    approvers: tuple[str, ...] = ()
    valid_hours: int = 24
    verdict: bool = False
    environments: tuple[str, ...] = ()
    rules: tuple[ApprovalRule, ...] = (ApprovalRule(approvals=1),)
    makers_from: MakersFrom | None = None

    @property
    def makers(self) -> MakersFrom:
        """What proves who made a commit: what is written, else the forge's record where reviews count and signatures where signatures do."""
        if self.makers_from is not None:
            return self.makers_from
        return MakersFrom.SIGNED if self.source is ApprovalSource.SIGNATURES else MakersFrom.FORGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Safeguards:
    """What a plan is held against: guards, which a person may override by name; policies, which nobody may; and who must approve."""

    guards: Guards = field(default_factory=lambda: USUAL_GUARDS)
    policies: tuple[Policy, ...] = ()
    approvals: Approvals | None = None

    @property
    def ask_for_labels(self) -> bool:
        """Whether a policy is for accounts with some label."""
        return any(isinstance(policy.rule, Maximum) and policy.rule.labels for policy in self.policies)

    def at(self, environment: str) -> Safeguards:
        """Those that are for an environment."""
        kept = tuple(policy for policy in self.policies if not policy.environments or environment in policy.environments)
        approvals = self.approvals
        if approvals is not None and approvals.environments and environment not in approvals.environments:
            approvals = None
        return replace(self, policies=kept, approvals=approvals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One AMS that can be planned against. ``${NAME}`` is already replaced. ``ams`` names the AMS itself: locks, freezes and open calls go by clearing
    firm and this name, whatever the address.
    """

    name: str
    url: str
    ams: str = ""
    auth: Auth = field(default_factory=Auth)
    protected: bool = False
    tls: Tls = field(default_factory=Tls)
    proxy: str | None = field(default=None, repr=False)  # may carry a password
    assumptions: Assumptions = field(default_factory=Assumptions)
    calendar: Calendar = Calendar.NONE
    source: Source | None = None
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def ams_name(self) -> str:
        """The name of the AMS: ``ams``, or the environment's own name where none is written."""
        return self.ams or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The project file, whole. ``root`` is the folder it stands in (absolute); ``environments`` are still unresolved texts: choosing one of them
    with ``manifests.project.resolve_environment`` reads ``${NAME}`` from the process environment. ``base_branch`` is the branch of record.
    ``plan_valid_hours``: how long a plan may be applied. ``guards_days``: guards measure a raise also against the value of so many days ago; 0
    switches that off.
    """

    root: str
    source: Source
    manifests: tuple[str, ...] = (".",)
    manifests_sources: tuple[Source | None, ...] = (None,)
    ownership: tuple[Owner, ...] = (Owner.EF, Owner.CMF)
    unset_means: UnsetMeans = UnsetMeans.UNLIMITED
    undeclared: Undeclared = Undeclared.REPORT
    default_environment: str | None = None
    environments: Mapping[str, object] = field(default_factory=dict)
    requests: Requests = field(default_factory=Requests)
    ledger: LedgerSettings = field(default_factory=LedgerSettings)
    windows: tuple[Window, ...] = ()
    guards: Guards = field(default_factory=lambda: USUAL_GUARDS)
    policies: tuple[Policy, ...] = ()
    approvals: Approvals | None = None
    base_branch: str = "main"
    plan_valid_hours: int = 24
    guards_days: int = 30

    @property
    def safeguards(self) -> Safeguards:
        """What the plans of this project are held against."""
        return Safeguards(guards=self.guards, policies=self.policies, approvals=self.approvals)

    @property
    def measured_days(self) -> int:
        """How many days back guards measure a raise; 0 where they do not, or where there are none."""
        return self.guards_days if self.guards else 0
