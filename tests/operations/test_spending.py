"""What spends the reviews of a content: a run of another plan of it, whose calls may have taken effect."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from amsctl.errors import PlanFileError
from amsctl.ledger.values import Kind, Record, Run
from amsctl.operations import spending
from amsctl.operations.spending import reviews_of, spent_at
from amsctl.planning.plan import Plan
from tests.planning.test_codec import plan as some_plan

PLAN = replace(some_plan(), digest="sha256:" + "a" * 64)
REVIEWED = ("2026-11-27T12:00:00Z",)
T = "2026-11-27T10:{:02}:00.500Z"
NUMBERS = itertools.count(1)


def record(minute: int, step: str = "s1", outcome: str | None = None, attempts: int = 1) -> Record:
    body: Mapping[str, object] = {"step": step} if outcome is None else {"step": step, "outcome": outcome, "attempts": attempts}
    kind = Kind.INTENT if outcome is None else Kind.OUTCOME
    return Record(
        seq=next(NUMBERS), at=T.format(minute), kind=kind, url="u", firm="F", account="A", run="r", body=body, previous="", hash="", ams="x"
    )


@dataclass
class Kept:
    """A ledger of runs with their plans and records, newest first."""

    listed: list[tuple[Run, Plan | None, list[Record]]] = field(default_factory=list)

    def add(
        self, *records: Record, plan: Plan | None = PLAN, digest: str = "sha256:" + "b" * 64, at: str = "2026-11-27T10:00:00.000Z"
    ) -> Kept:
        run = Run(
            id=f"r{len(self.listed)}", at=at, ams="x", url="u", environment="e", plan_digest=digest, inverse_digest="", exit_code=0,
            finished_at=None, body={},
        )  # fmt: skip
        self.listed.append((run, plan, list(records)))
        return self

    def runs(self, *, ams: str) -> list[Run]:
        assert ams == "x"
        return [run for run, _, _ in self.listed]

    def records(self, *, run: str, kinds: object) -> list[Record]:
        return next(records for one, _, records in self.listed if one.id == run)


@pytest.fixture(autouse=True)
def plans(monkeypatch: pytest.MonkeyPatch) -> None:
    def plan_of(ledger: Kept, run: Run) -> Plan:
        plan = next(plan for one, plan, _ in ledger.listed if one is run)
        if plan is None:
            raise PlanFileError("the ledger does not keep this plan")
        return plan

    monkeypatch.setattr(spending, "plan_of", plan_of)


def spent(kept: Kept) -> str | None:
    found = spent_at(PLAN, "x", cast("Any", kept), REVIEWED)
    return None if found is None else found.astimezone(UTC).strftime("%H:%M:%S.%f")[:-3]


OTHER = replace(PLAN, target=replace(PLAN.target, environment="another"))


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        (Kept(), None),
        (Kept().add(record(1), record(2, outcome="verified")), "10:02:00.500"),
        (Kept().add(record(1), record(2, outcome="unknown")), "10:02:00.500"),
        (Kept().add(record(1), record(2, outcome="diverged")), "10:02:00.500"),
        (Kept().add(record(1)), "10:01:00.500"),
        (Kept().add(record(1), record(2, outcome="failed")), None),
        (Kept().add(record(1), record(2, outcome="unknown", attempts=0)), None),
        (Kept().add(record(1), record(2, outcome="failed"), record(3, "s2"), record(4, "s2", "verified")), "10:04:00.500"),
        (Kept().add(), None),
        (Kept().add(record(1), record(2, outcome="verified"), digest=PLAN.digest), None),
        (Kept().add(record(1), record(2, outcome="verified"), plan=OTHER), None),
        (Kept().add(record(1), record(2, outcome="verified"), plan=None), "10:02:00.500"),
        (Kept().add(record(7, outcome="verified")).add(record(3, outcome="verified")), "10:07:00.500"),
        (Kept().add(record(3, outcome="verified")).add(record(7, outcome="verified")), "10:07:00.500"),
        (Kept().add(record(1, outcome="verified"), at="2026-11-25T13:00:00.000Z"), "10:01:00.500"),
        (Kept().add(record(1, outcome="verified"), at="2026-11-25T11:00:00.000Z"), None),
    ],
)
def test_when_a_content_was_carried_out(kept: Kept, expected: str | None) -> None:
    """By the last record of its calls; not by a run of the same plan (which is good for one apply as it is), of another content, that changed nothing, or
    that was over long before the reviews.
    """
    assert spent(kept) == expected


def test_a_moment_has_its_zone() -> None:
    found = spent_at(PLAN, "x", cast("Any", Kept().add(record(1))), REVIEWED)
    assert found == datetime(2026, 11, 27, 10, 1, 0, 500_000, tzinfo=UTC)


def test_signatures_are_over_one_plan_file() -> None:
    assert reviews_of([{"how": "signature", "at": "a"}, {"how": "github", "at": "b"}]) == ("b",)
