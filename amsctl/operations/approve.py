"""Approve: everything that apply will derive is derived before a person signs, as far as it can be reached, and what cannot is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from amsctl.errors import AmsctlError, AmsError, ConfigError, Stale
from amsctl.operations import flow
from amsctl.operations.agreement import signed
from amsctl.operations.authorise import Evidence, Reviewed, authorise, review
from amsctl.operations.record import Sources
from amsctl.planning.planfile import PlanFile

if TYPE_CHECKING:
    from amsctl.applying.ports import Clock
    from amsctl.approvals.approval import Approval
    from amsctl.config import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A plan that is about to be signed, and what could not be checked of it, each in so many words; empty where all was."""

    reviewed: Reviewed
    unchecked: tuple[str, ...]


def checked(file: PlanFile, sources: Sources, environ: Mapping[str, str], clock: Clock) -> Checked:
    """The plan, derived again as far as git, manifests and the AMS can be reached. Stale or Refused where it is not what they give."""
    plan, unchecked = file.plan, []
    environment: Environment | None = None
    try:
        environment = sources.environment(plan.target.environment, environ)
    except ConfigError as problem:
        unchecked.append(
            f"the target, the live values, the calls and whether they are what the manifests give: the AMS cannot be asked ({problem})"
        )
    reviewed = review(file, sources, environment, Evidence(), clock, signing=True, resuming=plan.origin.rollback is not None)
    if plan.origin.rollback is not None:
        unchecked.append("the calls of the rollback: they follow from the ledger, and are derived from it when the plan is applied")
    elif environment is not None:
        unread = _reach(reviewed, environment, clock)
        if unread is not None:
            unchecked.append(f"the live values, the calls and whether they are what the manifests give: the AMS was not read ({unread})")
    return Checked(reviewed=reviewed, unchecked=tuple(unchecked))


def _reach(reviewed: Reviewed, environment: Environment, clock: Clock) -> AmsctlError | None:
    """Derive the plan again on what is live; the reason where the AMS cannot be read."""
    from amsctl.ams.client import open_reader

    async def derive() -> None:
        async with open_reader(environment, reviewed.project.requests) as reader:
            found = await authorise(reviewed, reader, {}, clock)
            if found.moved:
                raise Stale(
                    "the plan is not what these manifests give on what is live now",
                    found="; ".join(next(iter(found.moved.values()))),
                    hint="plan again, and look at that plan",
                )

    try:
        flow.run(derive())
    except AmsError as problem:
        return problem
    return None


def approve(found: Checked, sources: Sources, key: str, clock: Clock, *, verdict_sha256: str | None, reason: str | None) -> Approval:
    """The signed approval of a plan that was checked. ApprovalMissing when it would not count."""
    return signed(found.reviewed.plan, sources, found.reviewed.rules, key, clock, verdict_sha256=verdict_sha256, reason=reason)
