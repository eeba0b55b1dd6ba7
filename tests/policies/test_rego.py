"""The example policies in rego, run by an engine: their own tests, real plans, large plans in pieces, and one that never ends."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from amsctl.approvals.verdict import decode_verdict
from amsctl.planning.codec import encode
from tests.cli.schemas import assert_valid
from tests.planning.ordinary import book, plan_between
from tests.project.checkout import ROOT

PACK = ROOT / "examples" / "policies"
MOST_CHANGES = 1_000
"""How many the engine is given at once: its time grows with the square of them."""
SECONDS = 10
_EVALUATE = """
import json, sys
from regopy import Interpreter
told = json.load(sys.stdin)
found = []
for plan in told["inputs"]:
    rego = Interpreter()
    for name, text in told["modules"].items():
        rego.add_module(name, text)
    if plan is not None:
        rego.set_input(plan)
    found.append([json.loads(str(rego.query(query)))["expressions"][0] for query in told["queries"]])
print(json.dumps(found))
"""


class PolicyFailed(Exception):
    """The engine did not come to an end, or not to a good one: the plan does not pass."""


FOR_OPA_ALONE = "every_case_test.rego"
"""It goes through the cases by ``with``, on which this engine breaks down; here each case is given as the engine's input."""


def modules() -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(PACK.glob("*.rego")) if path.name != FOR_OPA_ALONE}


def evaluated(
    *queries: str, plans: Sequence[object] = (None,), more: dict[str, str] | None = None, seconds: int = SECONDS
) -> list[list[Any]]:
    """What each query gives on each plan, from an engine in a process of its own with a limit of time (its allocator reserves more
    addresses than any limit would leave it). Whatever goes wrong is a failure."""
    told = json.dumps({"modules": modules() | (more or {}), "inputs": plans, "queries": queries})

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))

    ran = subprocess.run([sys.executable, "-c", _EVALUATE], input=told, capture_output=True, text=True, preexec_fn=limited, check=False)
    if ran.returncode:
        raise PolicyFailed(f"exit code {ran.returncode}: {ran.stderr[-500:]}")
    found: list[list[Any]] = json.loads(ran.stdout)
    return found


def pieces(plan: dict[str, Any], most: int = MOST_CHANGES) -> list[dict[str, Any]]:
    """A large plan as several of at most so many changes, an account's together."""
    listed: list[list[Any]] = [[]]
    for _, group in sorted(_by_account(plan["changes"]).items()):
        if listed[-1] and len(listed[-1]) + len(group) > most:
            listed.append([])
        listed[-1] += group
    return [{**plan, "changes": part, "steps": [], "observed": []} for part in listed]


def _by_account(changes: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for change in changes:
        found.setdefault(f"{change['clearing_firm']}/{change['account']}", []).append(change)
    return found


def denied(plan: dict[str, Any]) -> set[str]:
    return {str(message) for (said,) in evaluated("data.main.deny", plans=pieces(plan)) for message in said}


def failing(more: dict[str, str] | None = None) -> list[str]:
    """The cases of the pack's tests that do not come out as they should."""
    [[cases]] = evaluated("data.main.cases", more=more)
    found = evaluated("data.main.deny", "data.main.warn", plans=[case["plan"] for case in cases.values()], more=more)
    return [
        name for (name, case), said in zip(cases.items(), found, strict=True) if [case["denied"], case["warned"]] != list(map(len, said))
    ]


def test_the_tests_of_the_pack_pass() -> None:
    """Each case comes out as it says, and a boundary that is moved by one is found."""
    assert len(evaluated("data.main.cases")[0][0]) == 18
    assert failing() == []
    text = (PACK / "limits.rego").read_text()
    for right, wrong, found in (
        ("> most\n", ">= most\n", "up to the maximum"),
        ("> most_times", ">= most_times", "three times as much"),
        ("change.execution_firm == released.execution_firm", "true", "released and raised elsewhere"),
    ):
        assert text.count(right) == 1
        assert found in failing({"limits.rego": text.replace(right, wrong)})


@pytest.mark.parametrize("times", [1, 2, 5])
def test_real_plans(times: int) -> None:
    """Of an ordinary firm: legs that grow more than threefold are denied, one by one; what is not committed is denied as soon as anything loosens."""
    live = book(6)
    wanted = json.loads(json.dumps(live))
    for row in rows_of(wanted):
        for side in ("ef", "cmf"):
            row[side]["long"] *= times
    plan: Any = encode(plan_between(live, wanted))
    grown = {
        (c["account"], c["execution_firm"], c["product"]) for c in plan["changes"] if c["effective_after"] > 3 * c["effective_before"] > 0
    }
    said = denied(plan)
    assert len([message for message in said if "times as much" in message]) == len(grown)
    assert bool(grown) == (times > 3)
    assert ("the manifests are not those of a commit" in said) == (times > 1)


def rows_of(firm: Any) -> Iterator[Any]:
    return (row for spec in firm.values() for ef in spec["executionFirms"].values() for row in ef["limits"].values())


def test_a_verdict_is_what_approve_reads() -> None:
    """data.amsctl.verdict is the whole file: the plan's digest, and passed or why not."""
    live = book(2)
    wanted = json.loads(json.dumps(live))
    for row in rows_of(wanted):
        row["ef"]["long"] += 1
        row["cmf"]["long"] += 1
    plans: Any = [encode(plan_between(live, live)), encode(plan_between(live, wanted))]
    [passed], [not_passed] = evaluated("data.amsctl.verdict", plans=plans)
    for verdict, plan in ((passed, plans[0]), (not_passed, plans[1])):
        assert_valid("verdict.v1", verdict)
        assert decode_verdict(verdict, "verdict.json").plan_digest == plan["digest"]
    assert (passed["passed"], passed["denied"]) == (True, [])
    assert (not_passed["passed"], "the manifests are not those of a commit" in not_passed["denied"]) == (False, True)


def test_a_large_plan_in_pieces_is_judged_as_a_whole() -> None:
    """Pieces, of which each holds whole accounts, say together what the whole says."""
    live = book(12)
    wanted = json.loads(json.dumps(live))
    for row in rows_of(wanted):
        for side in ("ef", "cmf"):
            row[side]["short"] = row[side]["short"] * 4 + 1
    plan: Any = encode(plan_between(live, wanted))
    assert len(plan["changes"]) > 120
    [[whole]] = evaluated("data.main.deny", plans=[{**plan, "steps": [], "observed": []}])
    parts = pieces(plan, most=40)
    assert len(parts) > 3
    assert sum(len(part["changes"]) for part in parts) == len(plan["changes"])
    assert {message for (said,) in evaluated("data.main.deny", plans=parts) for message in said} == set(whole)
    assert len(whole) > 40


def test_a_policy_that_never_ends_lets_nothing_pass() -> None:
    """It is stopped within its time, and that is a refusal."""
    bomb = "package main\nimport rego.v1\ndeny contains x if {\n some a in numbers.range(1, 3000)\n some b in numbers.range(1, 3000)\n x := a * b\n}\n"
    with pytest.raises(PolicyFailed, match="exit code"):
        evaluated("data.main.deny", plans=[{}], more={"bomb.rego": bomb}, seconds=1)


def test_a_policy_that_cannot_be_read_lets_nothing_pass() -> None:
    with pytest.raises(PolicyFailed):
        evaluated("data.main.deny", plans=[{}], more={"wrong.rego": "package main\ndeny contains"})
