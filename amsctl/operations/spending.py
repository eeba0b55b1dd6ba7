"""What reviews were given for and is done already. A review is of a commit and of what the plan would do, not of one plan file: planned anew, the same
changes would come under it a second time. A run that carried them out spends it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from amsctl.errors import PlanFileError
from amsctl.ledger.evidence import took_effect
from amsctl.ledger.plans import plan_of
from amsctl.ledger.values import Kind, Record, Run
from amsctl.planning.content import content_of
from amsctl.planning.plan import Plan

if TYPE_CHECKING:
    from amsctl.ledger.store import Ledger

_LONGEST_RUN: Final = timedelta(days=2)
"""A run that began as long before the first review may still have been going on when it was given."""


def reviews_of(approvals: Sequence[Mapping[str, object]]) -> tuple[str, ...]:
    """When those of the approvals were given that are reviews: a signature is over one plan file, which is good for one apply as it is."""
    return tuple(str(one["at"]) for one in approvals if one.get("how") != "signature")


def spent_at(plan: Plan, ams: str, ledger: Ledger, reviewed_at: Sequence[str]) -> datetime | None:
    """When a run of another plan of the same content last sent a call of it that may have taken effect, as far as reviews of these moments may have been for
    it; ``None`` where none did. A plan that cannot be read any more may have been the same.
    """
    since = datetime.fromisoformat(min(reviewed_at)) - _LONGEST_RUN
    content = content_of(plan)
    found: datetime | None = None
    for run in ledger.runs(ams=ams):
        if datetime.fromisoformat(run.at) < since:
            break
        if run.plan_digest != plan.digest and _is_of(content, run, ledger):
            at = _last_effect(run, ledger)
            found = max(found or at, at) if at is not None else found
    return found


def _is_of(content: str, run: Run, ledger: Ledger) -> bool:
    try:
        return content_of(plan_of(ledger, run)) == content
    except PlanFileError:
        return True


def _last_effect(run: Run, ledger: Ledger) -> datetime | None:
    """The moment of the last record of a run's calls, where one of them may have changed anything."""
    last: dict[tuple[str, str], Record] = {}
    at = ""
    for record in ledger.records(run=run.id, kinds=(Kind.INTENT, Kind.OUTCOME)):
        last[record.account, str(record.body["step"])] = record
        at = max(at, record.at)
    done = (record for record in last.values() if record.kind is Kind.INTENT or record.body["attempts"])
    if all(took_effect("", record) is False for record in done):
        return None
    return datetime.fromisoformat(at).astimezone(UTC)
