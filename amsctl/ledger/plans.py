"""The plans of runs, as the ledger keeps them: opened by the checks that every plan file passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amsctl.errors import PlanFileError
from amsctl.planning.planfile import PlanFile

if TYPE_CHECKING:
    from amsctl.ledger.store import Ledger
    from amsctl.ledger.values import Run
    from amsctl.planning.plan import Plan


def plan_file_of(ledger: Ledger, run: Run) -> PlanFile:
    """The plan of a run. PlanFileError where the ledger does not keep it, or keeps what is no plan."""
    content = ledger.plan(run.plan_digest) if run.plan_digest else None
    if content is None:
        raise PlanFileError("the ledger does not keep this plan", where=f"run {run.id}", expected=run.plan_digest or "a plan", found="none")
    return PlanFile.open(content, f"run {run.id}")


def plan_of(ledger: Ledger, run: Run) -> Plan:
    """The plan of a run, as a value."""
    return plan_file_of(ledger, run).plan
