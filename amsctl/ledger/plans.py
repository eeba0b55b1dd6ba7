"""The plans of runs, as the ledger keeps them: opened by the checks that every plan file passes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from amsctl.errors import PlanFileError
from amsctl.planning.planfile import PlanFile

if TYPE_CHECKING:
    from amsctl.ledger.store import Ledger
    from amsctl.ledger.values import Run
    from amsctl.planning.plan import Plan

_SOURCE: Final = '"source":'


def plan_file_of(ledger: Ledger, run: Run) -> PlanFile:
    """The plan of a run. PlanFileError where the ledger does not keep it, or keeps what is no plan."""
    content = ledger.plan(run.plan_digest) if run.plan_digest else None
    if content is None:
        raise PlanFileError("the ledger does not keep this plan", where=f"run {run.id}", expected=run.plan_digest or "a plan", found="none")
    return PlanFile.open(content, f"run {run.id}")


def source_of(ledger: Ledger, run: Run) -> Mapping[str, Any]:
    """What the plan of a run says of where it came from; empty where the ledger does not keep the plan. Only that part of a long plan is read.
    LedgerFailed where the stored plan is another one by now.
    """
    text = (ledger.plan(run.plan_digest) or b"").decode("utf-8")
    # Members stand in reading order, and a quote within a text is escaped: the first of this name is the plan's own.
    at = text.find(_SOURCE)
    source = None if at < 0 else json.JSONDecoder().raw_decode(text[at + len(_SOURCE) :].lstrip())[0]
    return source if isinstance(source, Mapping) else {}


def plan_of(ledger: Ledger, run: Run) -> Plan:
    """The plan of a run, as a value."""
    return plan_file_of(ledger, run).plan
