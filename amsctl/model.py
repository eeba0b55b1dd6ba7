"""Identities and values: what a limit is, whose it is, and which way a change goes. Standard library only.

A row of the AMS is keyed by (account, execution firm, product) and has four legs: the execution firm's and the clearing member's, long and short.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from functools import lru_cache
from typing import Final, Literal, NamedTuple, TypeAlias, assert_never
from unicodedata import normalize

from amsctl.diagnostics import Source

SERVICE: Final = "ICC"
MAX_LIMIT: Final = 2_147_483_647
"""The largest limit a manifest may name, in contracts."""


class Special(Enum):
    """The two amounts that are not numbers."""

    UNLIMITED = "unlimited"
    UNSET = "unset"

    def __repr__(self) -> str:
        return self.name


UNLIMITED: Final = Special.UNLIMITED
UNSET: Final = Special.UNSET
Amount: TypeAlias = int | Special
"""Contracts (0 blocks), ``UNLIMITED``, or ``UNSET`` for a leg of a row that does not exist."""


class Owner(StrEnum):
    """Whose side of a row: the execution firm's or the clearing member firm's."""

    EF = "ef"
    CMF = "cmf"


class Leg(StrEnum):
    """Which direction of position a limit caps."""

    LONG = "long"
    SHORT = "short"


class LegRef(NamedTuple):
    """One of the four legs of a row."""

    owner: Owner
    leg: Leg


LEGS: Final[tuple[LegRef, ...]] = tuple(LegRef(owner, leg) for owner in Owner for leg in Leg)
"""The four legs in their fixed order: ef long, ef short, cmf long, cmf short. Every 4-tuple of legs in this program is in this order."""

FourAmounts: TypeAlias = tuple[Amount, Amount, Amount, Amount]
FourWishes: TypeAlias = tuple[Amount | None, Amount | None, Amount | None, Amount | None]

NO_ROW: Final[FourAmounts] = (UNSET, UNSET, UNSET, UNSET)
ALL_UNLIMITED: Final[FourAmounts] = (UNLIMITED, UNLIMITED, UNLIMITED, UNLIMITED)


class UnsetMeans(StrEnum):
    """What "no limit set" lets through at this firm; the API does not tell (AMS §1), so the project file does."""

    UNLIMITED = "unlimited"
    BLOCKED = "blocked"


class Undeclared(StrEnum):
    """What becomes of live rows of a managed account that no manifest names."""

    IGNORE = "ignore"
    REPORT = "report"
    UNSET = "unset"


class AccountStatus(StrEnum):
    """The status of an account. ``CLOSED`` is read, never written (AMS §3.2)."""

    ACTIVE = "Active"
    INACTIVE = "Inactive"
    CLOSED = "Closed"


class Direction(StrEnum):
    """Whether a change lets less through, more, or neither."""

    TIGHTEN = "tighten"
    LOOSEN = "loosen"
    NEUTRAL = "neutral"


class Phase(StrEnum):
    """The order of writes within an account, first to last."""

    HALT = "halt"
    TIGHTEN = "tighten"
    LOOSEN = "loosen"
    RELEASE = "release"


class Outcome(StrEnum):
    """What became of a planned step."""

    VERIFIED = "verified"
    DIVERGED = "diverged"
    FAILED = "failed"
    UNKNOWN = "unknown"
    BLOCKED = "blocked"
    SKIPPED = "skipped"


class AccountKey(NamedTuple):
    """An account: its clearing firm and its number. Sorts as written."""

    firm: str
    number: str

    def __str__(self) -> str:
        return f"{self.firm}/{self.number}"


class RowKey(NamedTuple):
    """A row within an account: execution firm and product."""

    execution_firm: str
    product: str

    def __str__(self) -> str:
        return f"{self.execution_firm}/{self.product}"


def near(text: str) -> str:
    """What is left of a name when its spelling is set aside: letters and digits alone, in one case and one width (NFKC).

    Identifiers with the same rest are two to this program and may be one to the AMS, or to whoever typed them: what depends on one of them being absent
    must not be concluded while the other is there.
    """
    return _near(text) if len(text) <= _LONGEST_KEPT else _letters(text)


_LONGEST_KEPT: Final = 64


@lru_cache(maxsize=4096)
def _near(text: str) -> str:
    return _letters(text)


def _letters(text: str) -> str:
    folded = text.lower() if text.isascii() else normalize("NFKC", normalize("NFKC", text).casefold())
    return "".join(letter for letter in folded if letter.isalnum()) or text


NO_LIMIT: Final = 1 << 62
"""Larger than any number of contracts: how much "unlimited" lets through, so that amounts can be compared."""


def lets_through(amount: Amount, unset_means: UnsetMeans) -> int:
    """How many contracts an amount lets through, as a number that can be compared; no limit is larger than any limit."""
    match amount:
        case Special.UNLIMITED:
            return NO_LIMIT
        case Special.UNSET:
            return NO_LIMIT if unset_means is UnsetMeans.UNLIMITED else 0
        case int():
            return amount
        case _:
            assert_never(amount)


def effective(ef: Amount, cmf: Amount, unset_means: UnsetMeans) -> Amount:
    """The amount that binds orders, min(ef, cmf) (AMS §1): the more restrictive side; ``ef`` when both let the same through."""
    return ef if lets_through(ef, unset_means) <= lets_through(cmf, unset_means) else cmf


def direction_of(before: Amount, after: Amount, unset_means: UnsetMeans) -> Direction:
    """The sign of the change in what is let through."""
    then, now = lets_through(before, unset_means), lets_through(after, unset_means)
    if now < then:
        return Direction.TIGHTEN
    return Direction.LOOSEN if now > then else Direction.NEUTRAL


# --- desired: what the manifests say ---


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredRow:
    """What the manifests say of one row.

    ``legs`` holds, in the order of ``LEGS``, the wanted amount or ``None`` for a leg that is not written and so not managed. ``sources`` holds the
    place of each value. ``unset`` is the tombstone: the row must not exist (``legs`` are then all ``None``).
    """

    execution_firm: str
    product: str
    legs: FourWishes
    sources: tuple[Source | None, Source | None, Source | None, Source | None]
    source: Source
    unset: bool = False

    @property
    def key(self) -> RowKey:
        """Execution firm and product."""
        return RowKey(self.execution_firm, self.product)


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredExecutionFirm:
    """What the manifests say of one execution firm on an account. ``suspended`` is ``None`` when not managed. ``rows`` are sorted by product."""

    id: str
    source: Source
    suspended: bool | None = None
    suspended_source: Source | None = None
    rows: tuple[DesiredRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredAccount:
    """What the manifests say of one account, profiles merged in. ``key.firm`` is as written (name or clearing id). Execution firms are sorted by id."""

    key: AccountKey
    source: Source
    labels: Mapping[str, str] = field(default_factory=dict)
    status: Literal[AccountStatus.ACTIVE, AccountStatus.INACTIVE] | None = None
    status_source: Source | None = None
    undeclared: Undeclared | None = None
    protected: bool = False
    execution_firms: tuple[DesiredExecutionFirm, ...] = ()


# --- live: what the AMS says ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Firm:
    """A clearing firm as the AMS names it."""

    name: str
    clearing_id: str


class NotShown(Enum):
    """What a row did not show at all, which is neither ``null`` nor a value."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return self.name


ABSENT: Final = NotShown.ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRow:
    """One row as read: the four legs (never ``UNSET``), and the use of the day per leg, ``None`` where the AMS does not tell (unknown, not zero).

    ``wire`` keeps ``efLimits`` and ``cmfLimits`` as they came when a leg was not a plain number, ``ABSENT`` for a side that was left out: a leg that a
    write does not move goes back exactly like that. ``None``: four numbers, or a row that was computed and not read.
    """

    legs: FourAmounts
    usage_long: int | None = None
    usage_short: int | None = None
    wire: tuple[object, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveAccount:
    """One account as read, whole. ``key.firm`` is the name that the AMS uses.

    ``execution_firms`` maps id to suspended (from ``/efStatus`` only, AMS §3.1). ``rows`` holds only rows with at least one numeric leg: a row of four
    unlimited legs is the same as none (AMS §3.3). ``row_count`` and ``pages`` tell what was fetched.
    """

    key: AccountKey
    status: AccountStatus
    execution_firms: Mapping[str, bool]
    rows: Mapping[RowKey, LiveRow]
    row_count: int
    pages: int
    read_at: str
