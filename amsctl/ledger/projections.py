"""What the chain says of runs, attempts, locks and plans, as rows. Pure: the store keeps such rows ready, and verification makes them again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, assert_never

from amsctl.ledger.chain import text_of
from amsctl.ledger.values import Kind, Record
from amsctl.model import Outcome

KEPT_PLANS: Final = "kept"
"""The member of a body that names the plans kept with it: digest → SHA-256 of the text."""

Columns = dict[str, Any]


def run_row(record: Record) -> Columns:
    """The row of a run, from its first record."""
    body = record.body
    return {
        "id": record.run,
        "started_seq": record.seq,
        "ams": record.ams,
        "url": record.url,
        **{name: str(body.get(name) or "") for name in ("environment", "plan_digest", "inverse_digest")},
        "at": record.at,
        "exit_code": None,
        "finished_at": None,
    }


def run_end(record: Record) -> Columns:
    """What a run's last record sets."""
    return {"exit_code": record.body.get("exit_code"), "finished_at": record.at}


def attempt_row(record: Record) -> Columns:
    """The row of an attempt, from its intent."""
    return {
        "intent_seq": record.seq,
        "run": record.run,
        "step": record.body["step"],
        "attempt": record.body["attempt"],
        "ams": record.ams,
        "url": record.url,
        "firm": record.firm,
        "account": record.account,
        "at": record.at,
        "outcome": None,
    }


def outcome_of(record: Record) -> str:
    """The outcome that an ``outcome`` or ``resolved`` record sets."""
    return Outcome(str(record.body["outcome"])).value


def is_open(outcome: str | None) -> bool:
    """Whether nobody knows yet what became of an attempt."""
    return outcome is None or outcome == Outcome.UNKNOWN.value


def lock_row(record: Record) -> Columns:
    """The row of a lock, from the record of its taking; without its expiry, which only renewals know."""
    body = record.body
    return {
        "ams": record.ams,
        "firm": record.firm,
        "url": record.url,
        "id": body["lock"],
        "fence": body["fence"],
        "held": True,
        "run": record.run,
        "holder": holder_text(body["holder"]),
        "since": record.at,
        "milliseconds": body["milliseconds"],
    }


def holder_text(holder: object) -> str:
    """A holder as its row keeps it."""
    assert isinstance(holder, Mapping)
    return text_of(holder)


class Folded:
    """All rows that a chain leads to, record by record."""

    def __init__(self) -> None:
        self.runs: dict[str, Columns] = {}
        self.attempts: dict[int, Columns] = {}
        self.locks: dict[tuple[str, str], Columns] = {}
        self.plans: dict[str, str] = {}
        self.addresses: dict[str, tuple[str, bool]] = {}
        self.locks_before_names: dict[tuple[str, str], Columns] = {}
        self._steps: dict[tuple[str, str], list[Columns]] = {}

    def take(self, record: Record) -> None:
        """One more record."""
        ams, before_names = self.addresses.get(record.url, ("", False))
        self.addresses[record.url] = (record.ams or ams, before_names or not record.ams)
        kept = record.body.get(KEPT_PLANS)
        if isinstance(kept, Mapping):
            self.plans.update(kept)
        match record.kind:
            case Kind.RUN_STARTED:
                self.runs[record.run] = run_row(record)
            case Kind.RUN_FINISHED:
                self.runs.get(record.run, {}).update(run_end(record))
            case Kind.INTENT:
                row = attempt_row(record)
                self.attempts[record.seq] = row
                self._steps.setdefault((record.run, str(row["step"])), []).append(row)
            case Kind.OUTCOME | Kind.RESOLVED:
                self._settle(record)
            case Kind.LOCK_TAKEN:
                self._lock(record)
            case Kind.LOCK_RELEASED | Kind.LOCK_BROKEN:
                self._unlock(record, record.body.get("lock"))
            case Kind.FREEZE | Kind.THAW:
                pass  # looked up in the chain itself
            case _:
                assert_never(record.kind)

    def _lock(self, record: Record) -> None:
        before = record.body.get("taken_over_from")
        if isinstance(before, Mapping):
            self._unlock(record, before.get("lock"))
        row = lock_row(record)
        if record.ams:
            self.locks[record.ams, record.firm] = row
        else:
            del row["ams"]
            self.locks_before_names[record.url, record.firm] = row

    def _unlock(self, record: Record, name: object) -> None:
        """The lock of that name is held no more: this AMS's, or one of before there were names, which a named record may end as well."""
        named = self.locks.get((record.ams, record.firm))
        for row in (*([named] if named is not None else []), *self.locks_before_names.values()):
            if row["id"] == name:
                row["held"] = False

    def _settle(self, record: Record) -> None:
        for row in self._steps.get((record.run, str(record.body["step"])), ()):
            if record.kind is Kind.OUTCOME or is_open(row["outcome"]):
                row["outcome"] = outcome_of(record)
