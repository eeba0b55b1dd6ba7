"""What the records prove of single changes: which took effect, what the runs of a plan have done so far, and what others have moved since. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from amsctl.ledger.values import Kind, Record, Run
from amsctl.model import Outcome

if TYPE_CHECKING:
    from amsctl.ledger.store import Ledger
    from amsctl.planning.plan import Change, Plan


def landed(change: Change, record: Record) -> bool | None:
    """Whether a change took effect, by the last record about its call; ``None`` when nobody knows.

    A call that diverged names the changes that were read back as asked. The others may have been stored otherwise than asked.
    """
    return took_effect(change.id, record)


def took_effect(number: str, record: Record) -> bool | None:
    """The same of a change by its id."""
    if record.kind is Kind.INTENT:
        return None
    body: Mapping[str, Any] = record.body
    match Outcome(body["outcome"]):
        case Outcome.VERIFIED:
            return True
        case Outcome.UNKNOWN:
            return None
        case Outcome.DIVERGED:
            return True if number in (body.get("done") or ()) else None
        case _:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What the runs of a plan have done so far: steps that were sent (or may have been), changes that were proven to be done, and changes of calls of
    which nobody knows what became (``doubtful``). Whatever else they meant to change, they did not.
    """

    sent: frozenset[str]
    made: frozenset[str]
    doubtful: frozenset[str]


def earlier_of(plan: Plan, ledger: Ledger) -> tuple[list[Run], Earlier]:
    """The runs of a plan, newest first, and what they have done: by its digest alone, wherever its AMS had its address then."""
    runs = list(ledger.runs(plan_digest=plan.digest))
    changes = {change.id: change for change in plan.changes}
    steps = {step.id: step for step in plan.steps}
    last: dict[tuple[str, str], Record] = {}
    for run in runs:
        for record in ledger.records(run=run.id, kinds=(Kind.INTENT, Kind.OUTCOME, Kind.RESOLVED)):
            last[run.id, str(record.body["step"])] = record
    sent, made, doubtful = set(), set(), set()
    for (_, name), record in last.items():
        if record.kind is Kind.OUTCOME and record.body["attempts"] == 0:
            continue  # it was announced, and kept back at the last moment
        sent.add(name)
        for number in steps[name].changes if name in steps else ():  # ``ledger verify`` tells of a step that is in no plan
            proof = landed(changes[number], record)
            if proof:
                made.add(number)
            elif proof is None and record.body.get("outcome") != Outcome.DIVERGED:
                doubtful.add(number)
    return runs, Earlier(sent=frozenset(sent), made=frozenset(made), doubtful=frozenset(doubtful))
