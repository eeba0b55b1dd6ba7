"""The ledger's words: records and their kinds, attempts, runs, leases. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from amsctl.model import AccountKey, Outcome

ALL_FIRMS: Final = "*"
"""The firm of a freeze that holds for every clearing firm of an AMS."""
AMS_NAME: Final = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
"""What an AMS may be called (``ams`` of an environment, or the environment's own name)."""


class Scope(NamedTuple):
    """What one writer has for itself: an AMS by the name that the project gives it, and a clearing firm under the AMS's name for it.

    Records of before there were names (revision ``r0001``) have the address alone. ``ams`` is then the name under which the project, or a later record,
    has that address, and the address itself where neither has it.
    """

    ams: str
    firm: str


class Kind(StrEnum):
    """What a record tells."""

    RUN_STARTED = "run-started"
    INTENT = "intent"
    OUTCOME = "outcome"
    RESOLVED = "resolved"
    RUN_FINISHED = "run-finished"
    LOCK_TAKEN = "lock-taken"
    LOCK_BROKEN = "lock-broken"
    LOCK_RELEASED = "lock-released"
    FREEZE = "freeze"
    THAW = "thaw"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A record before it has a place in the chain. ``body`` is a JSON object without floats (``planning.fingerprint.canonical``). ``url`` is the base
    address of the AMS at this moment, ``ams`` its name.
    """

    kind: Kind
    ams: str
    url: str
    firm: str = ""
    account: str = ""
    run: str = ""
    body: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record. ``at`` is UTC with milliseconds; ``hash`` is over everything else, ``previous`` (the hash of the record before) included; ``ams`` is
    empty in a record of before there were names, and then not part of what is hashed.
    """

    seq: int
    at: str
    kind: Kind
    url: str
    firm: str
    account: str
    run: str
    body: Mapping[str, object]
    previous: str
    hash: str
    ams: str


class Head(NamedTuple):
    """The last record's number and hash; ``(0, GENESIS)`` of an empty ledger."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


GENESIS: Final = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One sending of one step. ``outcome`` is ``None`` as long as none was recorded: a crash, or a run that is under way."""

    run: str
    step: str
    attempt: int
    scope: Scope
    url: str
    account: str
    intent_seq: int
    at: str
    outcome: Outcome | None
    intent: Mapping[str, object]
    """The body of the intent record."""

    @property
    def account_key(self) -> AccountKey:
        """The account that was written."""
        return AccountKey(self.scope.firm, self.account)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One apply, resume or rollback. ``exit_code`` is ``None`` as long as it did not finish. ``body`` is that of its ``run-started`` record."""

    id: str
    at: str
    ams: str
    url: str
    environment: str
    plan_digest: str
    inverse_digest: str
    exit_code: int | None
    finished_at: str | None
    body: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds, or wants, a lock. ``machine`` is the boot and process namespace (empty where the system tells none): on the same one, a process
    can be looked up, and monotonic times compared.
    """

    user: str
    host: str
    pid: int
    process_started: str
    machine: str
    run_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to write to a scope until a moment, as its holder sees it.

    ``fence`` grows with every holder. ``until_monotonic`` is on the holder's own monotonic clock, counted from before the database was asked, so it is
    never later than what the database grants. ``also`` are other names of the scope's firm (its clearing id), under which it may be frozen as well.
    ``url`` is the address of its AMS.
    """

    scope: Scope
    url: str
    id: str
    fence: int
    run: str
    seconds: float
    until_monotonic: float
    also: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[Scope, ...]:
        """The scope under each name of its firm."""
        return (self.scope, *(Scope(self.scope.ams, name) for name in self.also))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock as ``lock status`` shows it. ``expired`` by the ledger's clock; ``dead`` when its process is known to be gone."""

    scope: Scope
    url: str
    id: str
    fence: int
    run: str
    holder: Holder
    since: str
    expires_at: str
    expired: bool
    dead: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """A stop on writes. ``scope.firm`` may be ``ALL_FIRMS``."""

    scope: Scope
    url: str
    reason: str
    by: str
    since: str
