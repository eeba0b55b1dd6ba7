"""The one kind of plan that is carried out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from amsctl.config import GuardName
from amsctl.model import AccountKey, LiveAccount
from amsctl.planning.plan import Plan

_DOOR: Final = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorisedPlan:
    """A plan whose every part was derived again and whose approvals count. ``operations.authorise`` makes it, and nothing else can.

    ``approvals`` and ``overrides`` go to the ledger as they were found good. ``read`` holds accounts that were read for it, from ``read_at`` on (monotonic
    seconds), as long as they are few; ``moved`` those that are not as the plan saw them, with a line for each value: what is written to them was not derived,
    so nothing is.
    """

    plan: Plan
    approvals: tuple[Mapping[str, object], ...] = ()
    overrides: tuple[GuardName, ...] = ()
    moved: Mapping[AccountKey, tuple[str, ...]] = field(default_factory=dict)
    read: Mapping[AccountKey, LiveAccount] = field(default_factory=dict)
    read_at: float = 0.0
    door: object = field(repr=False)

    def __post_init__(self) -> None:
        if self.door is not _DOOR:
            raise TypeError("an AuthorisedPlan is made by operations.authorise alone")


def grant(
    plan: Plan,
    *,
    approvals: Collection[Mapping[str, object]] = (),
    overrides: Collection[GuardName] = (),
    moved: Mapping[AccountKey, tuple[str, ...]] | None = None,
    read: Mapping[AccountKey, LiveAccount] | None = None,
    read_at: float = 0.0,
) -> AuthorisedPlan:
    """For ``operations.authorise``: a test walks the imports, and fails on any other use in the product."""
    return AuthorisedPlan(
        plan=plan, approvals=tuple(approvals), overrides=tuple(overrides), moved=moved or {}, read=read or {}, read_at=read_at, door=_DOOR
    )
