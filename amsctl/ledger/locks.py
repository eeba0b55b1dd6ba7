"""Locks as rows: a lease with a fencing number, judged by whichever clock both sides share.

On one machine that is the monotonic clock, which no clock jump moves. Between machines it is the wall time: PostgreSQL's own, or that of the two machines.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from amsctl.errors import Locked, LockLost
from amsctl.ledger.chain import text_of
from amsctl.ledger.holder import one_clock
from amsctl.ledger.values import Draft, Holder, Kind, Lease, Lock, Scope

if TYPE_CHECKING:
    from sqlalchemy import RowMapping

Dead = Callable[[Holder], bool]
"""Whether a holder is known to be gone."""
_ID_LENGTH: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Now, as one process sees it. ``wall`` is the ledger's."""

    wall: float
    monotonic: float
    machine: str


def stamp(wall: float) -> str:
    """UTC with milliseconds: ``2026-11-21T08:15:30.125Z``."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_id(scope: Scope, fence: int, run: str) -> str:
    """The name of a lock, another one for each holder; the same in a replay."""
    return hashlib.sha256("\n".join((*scope, run, str(fence))).encode()).hexdigest()[:_ID_LENGTH]


def holder_of(row: RowMapping) -> Holder:
    """The holder that a row names."""
    return Holder(**json.loads(row["holder"]))


def seconds_left(row: RowMapping, holder: Holder, now: Moment) -> float:
    """For how long a lease still holds; zero or less when it has run out."""
    if one_clock(holder.machine, now.machine):
        return float(row["expires_monotonic"]) - now.monotonic
    return float(row["expires_wall"]) - now.wall


def shortened(row: RowMapping, holder: Holder, now: Moment) -> dict[str, float] | None:
    """The expiry of a lease that would hold for longer than leases do (a clock was set back, or the holder's was ahead); ``None`` for an ordinary one.

    From the first look on it holds as long as a new one would, so a wrong clock keeps no lock for ever. A living holder renews it meanwhile.
    """
    seconds = row["milliseconds"] / 1000
    if seconds_left(row, holder, now) <= seconds:
        return None
    if one_clock(holder.machine, now.machine):
        return {"expires_monotonic": now.monotonic + seconds, "expires_wall": now.wall + seconds}
    return {"expires_wall": now.wall + seconds}


def lock_of(row: RowMapping, now: Moment, dead: Dead) -> Lock:
    """A row as ``lock status`` shows it. A row of before there were names has no name for its AMS, only the address."""
    holder = holder_of(row)
    left = seconds_left(row, holder, now)
    return Lock(
        scope=Scope(row.get("ams", "") or row["url"], row["firm"]),
        url=row["url"],
        id=row["id"],
        fence=row["fence"],
        run=row["run"],
        holder=holder,
        since=row["since"],
        expires_at=stamp(now.wall + left),
        expired=left <= 0,
        dead=dead(holder),
    )


def locked(lock: Lock) -> Locked:
    """The error for somebody who wants a lock that another one has."""
    holder = lock.holder
    place = f" ({holder.run_url})" if holder.run_url else ""
    return Locked(
        "another run is writing to this clearing firm",
        where=f"{lock.scope.firm} at {lock.url}",
        expected="no other writer",
        found=f"run {lock.run} of {holder.user or '?'} on {holder.host or '?'}, process {holder.pid}{place}, since {lock.since}",
        hint=f"wait for it: its lease runs until {lock.expires_at} unless it is renewed; if it is gone for good: amsctl lock break {lock.id}",
    )


def lost(lease: Lease) -> LockLost:
    """The error for a run whose lock is another's by now, or was broken."""
    return LockLost(
        "the lock of this run is no longer its own: it was broken, or taken over after its lease had run out",
        where=f"{lease.scope.firm} at {lease.url}",
        expected=f"lock {lease.id} with fence {lease.fence}",
        hint="amsctl lock status shows who has it; amsctl resume goes on when it is free",
    )


def taken(lease: Lease, holder: Holder, environment: str, before: Mapping[str, Any] | None) -> Draft:
    """The record of a lock that was taken."""
    body = {
        "lock": lease.id,
        "fence": lease.fence,
        "milliseconds": round(lease.seconds * 1000),
        "environment": environment,
        "holder": asdict(holder),
        "taken_over_from": before,
    }
    return Draft(kind=Kind.LOCK_TAKEN, ams=lease.scope.ams, url=lease.url, firm=lease.scope.firm, run=lease.run, body=body)


def predecessor(row: RowMapping, why: str) -> dict[str, Any]:
    """Whose lock was taken over, and why that was allowed."""
    return {"lock": row["id"], "fence": row["fence"], "run": row["run"], "holder": json.loads(row["holder"]), "why": why}


def bound(lease: Lease, holder: Holder, at: str) -> dict[str, Any]:
    """What ``statements.TAKEN`` binds for a lock that is taken now."""
    return {
        "new_url": lease.url,
        "new_id": lease.id,
        "new_fence": lease.fence,
        "new_held": True,
        "new_run": lease.run,
        "new_holder": text_of(asdict(holder)),
        "new_since": at,
        "new_milliseconds": round(lease.seconds * 1000),
    }


def of(scope: Scope) -> dict[str, Any]:
    """What names a scope's row."""
    return {"of_ams": scope.ams, "of_firm": scope.firm}


def held_by(lease: Lease) -> dict[str, Any]:
    """What names a scope's row as long as the lock is this lease's."""
    return {**of(lease.scope), "of_id": lease.id, "of_fence": lease.fence}
