"""Plan files that say something else than what they do, sealed anew: even where a second person signs what they show, nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from amsctl.cli.planning import read_plan
from amsctl.model import Direction
from amsctl.planning.plan import Change, Plan, Rollback
from tests.alone.cases import Cases
from tests.alone.desk import LIVE, RAISED, SIGNATURES, Desk, account, project_text
from tests.cli.conftest import Ran

CASES = Cases()
Edit = Callable[[Desk, Plan], Plan]


def policies(desk: Desk) -> str:
    """main: at most 10% of a book, at most 650 contracts, a ticket, and one approval."""
    limits = "  policies:\n    - {name: most, maximum: {contracts: 650}}\n    - {name: why, ticket: {keys: [RISK]}}\n"
    return project_text(desk.ams.url, SIGNATURES + limits)


def forged(
    name: str, code: int, edit: Edit, *, says: str = "", to: object = RAISED, ruled: bool = False, message: str = "RISK-7 raise"
) -> None:
    """sam's raise, its plan edited, and kim, who was shown that, signs: what was signed is not what the manifests give."""

    @CASES.add(name, code, says)
    def _(desk: Desk) -> Ran:
        if ruled:
            desk.on_main("amsctl.yaml", policies(desk))
        desk.raise_it("sam", to=to, message=message)
        file = desk.edited(desk.plan(), lambda plan: edit(desk, plan))
        desk.sign("kim", file)
        return desk.apply(file)


def changes(plan: Plan, **members: object) -> tuple[Change, ...]:
    return tuple(replace(change, **members) for change in plan.changes)  # type: ignore[arg-type]


def git(plan: Plan, **members: object) -> Plan:
    assert plan.origin.git is not None
    return replace(plan, origin=replace(plan.origin, git=replace(plan.origin.git, **members)))  # type: ignore[arg-type]


def base(plan: Plan, **members: object) -> Plan:
    assert plan.origin.base is not None
    return replace(plan, origin=replace(plan.origin, base=replace(plan.origin.base, **members)))  # type: ignore[arg-type]


def with_body(plan: Plan, change: Callable[[dict[str, object]], None]) -> Plan:
    step = plan.steps[0]
    body = json.loads(json.dumps(step.body))
    change(body)
    return replace(plan, steps=(replace(step, body=body), *plan.steps[1:]))


forged("the change is said not to bind", 4, lambda desk, plan: replace(plan, changes=changes(plan, binding=not plan.changes[0].binding)))
forged("what it lets through is said to be less", 4, lambda desk, plan: replace(plan, changes=changes(plan, effective_after=LIVE)))
forged("the raise is said to tighten", 1, lambda desk, plan: replace(plan, changes=changes(plan, direction=Direction.TIGHTEN)))
forged("the value before is said to be as high", 1, lambda desk, plan: replace(plan, changes=changes(plan, before=RAISED)))
forged(
    "a body writes more than its change", 4, lambda desk, plan: with_body(plan, lambda body: body.update({"cmfLimits": {"long": 999_999}}))
)
forged("a body has a member that no change speaks of", 4, lambda desk, plan: with_body(plan, lambda body: body.update({"efID": "350"})))
forged("a change is left out, its call is not", 1, lambda desk, plan: replace(plan, changes=()))
forged("the plan lives until 2099", 1, lambda desk, plan: replace(plan, expires_at="2099-01-01T00:00:00Z"))
forged("the plan lives for a week", 4, lambda desk, plan: replace(plan, expires_at=_later(plan)), says="lives longer")
forged(
    "a plan of an AMS elsewhere",
    4,
    lambda desk, plan: replace(plan, target=replace(plan.target, url=desk.ams.url.replace("127.0.0.1", "localhost"))),
)
forged("a plan under another principal", 4, lambda desk, plan: replace(plan, target=replace(plan.target, principal="API_OTHER")))
forged("a plan for which unset means blocked", 4, lambda desk, plan: replace(plan, target=replace(plan.target, unset_means="blocked")))
forged("the message has a ticket that the commit lacks", 4, lambda desk, plan: git(plan, message="RISK-1"), message="raise", says="message")
forged("the author is said to be jo", 4, lambda desk, plan: git(plan, author="jo <jo@firm.example>"), says="author")
forged("the contributors leave sam out", 4, lambda desk, plan: git(plan, contributors=("jo@firm.example",)), says="contributors")
forged("the commit is main's", 4, lambda desk, plan: git(plan, commit=desk.git("rev-parse", "main")))
forged("the commit is one that git does not know", 4, lambda desk, plan: git(plan, commit="12" * 20), says="is missing in this repository")
forged("there is said to be no commit", 4, lambda desk, plan: replace(plan, origin=replace(plan.origin, git=None)))
forged(
    "there is said to be no base",
    4,
    lambda desk, plan: replace(plan, origin=replace(plan.origin, base=None)),
    says="without the branch of record",
)
forged("the base is the change itself", 4, lambda desk, plan: base(plan, commit=desk.git("rev-parse", "HEAD")))
forged("the base is another branch", 4, lambda desk, plan: base(plan, ref="refs/heads/change"), says="another branch of record")
forged("the base is a commit that is not there", 4, lambda desk, plan: base(plan, commit="34" * 20))
forged(
    "other manifests are said to have been read",
    4,
    lambda desk, plan: replace(plan, origin=replace(plan.origin, manifests_sha256="0" * 64)),
)
forged(
    "it is said to be a rollback",
    4,
    lambda desk, plan: replace(plan, origin=replace(plan.origin, rollback=Rollback(run="none", asked_by="jo"))),
)
forged("the need for approvals is left out", 4, lambda desk, plan: replace(plan, approvals=None))
forged("the digits of the version are free text", 1, lambda desk, plan: replace(plan, tool_version="0.1.0 (see below)"))
forged("a finding is added that calms", 4, lambda desk, plan: replace(plan, findings=(*plan.findings, _calming(plan))))
forged(
    "the maximum is said to be met",
    1,
    lambda desk, plan: replace(plan, policies=tuple(replace(one, broken=0) for one in plan.policies)),
    ruled=True,
)
forged("the policies are left out", 1, lambda desk, plan: replace(plan, policies=(), findings=()), ruled=True)
forged("nothing is edited, and the maximum is broken", 3, lambda desk, plan: plan, ruled=True)
forged(
    "the account is said to be read another way",
    4,
    lambda desk, plan: replace(plan, observed=tuple(replace(one, sha256="0" * 64) for one in plan.observed)),
)
forged(
    "the labels are others",
    4,
    lambda desk, plan: replace(plan, observed=tuple(replace(one, labels=("desk=hedge",)) for one in plan.observed)),
)
forged(
    "another account is said to have been read",
    1,
    lambda desk, plan: replace(plan, observed=tuple(replace(one, account="X") for one in plan.observed)),
)


def _later(plan: Plan) -> str:
    from datetime import datetime, timedelta

    created = datetime.fromisoformat(plan.created_at)
    return (created + timedelta(hours=167)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _calming(plan: Plan) -> object:
    from amsctl.diagnostics import Severity
    from amsctl.planning.plan import Finding

    return Finding(code="checked", severity=Severity.NOTE, message="kim has looked at this already", where="the desk")


@CASES.add("the protection of main is taken away in the plan alone", 4)
def _(desk: Desk) -> Ran:
    desk.on_main("accounts/a.yaml", account(LIVE, protected=True))
    desk.raise_it("jo")
    file = desk.edited(
        desk.plan(),
        lambda plan: replace(base(plan, unprotected=()), observed=tuple(replace(one, protected=False) for one in plan.observed)),
    )
    desk.sign("sam", file)
    return desk.apply(file)


@CASES.add("the protection of main is taken away by the change", 3)
def _(desk: Desk) -> Ran:
    desk.on_main("amsctl.yaml", project_text(desk.ams.url, guards=""))
    desk.on_main("accounts/a.yaml", account(LIVE, protected=True))
    desk.raise_it("jo")
    return desk.alone(who="kim")


@CASES.add("a plan file with a blank more", 1)
def _(desk: Desk) -> Ran:
    desk.raise_it("jo")
    file = desk.plan()
    desk.sign("sam", file)
    Path(file).write_text(Path(file).read_text() + " ")
    return desk.run("apply", file)


@CASES.add("a digest that is not that of the plan", 1)
def _(desk: Desk) -> Ran:
    desk.raise_it("jo")
    file = desk.plan()
    desk.sign("sam", file)
    Path(file).write_text(Path(file).read_text().replace(f'"after": {RAISED}', '"after": 9999'))
    return desk.run("apply", file)


# --- guards ---


def guarded(desk: Desk, more: str = SIGNATURES) -> str:
    """main holds a guard, and sam's raise is above it; its plan."""
    desk.on_main("amsctl.yaml", project_text(desk.ams.url, more, guards="  guards: {raised: {factor: 2, amount: 0}}\n"))
    desk.raise_it("sam", to=5000)
    return desk.plan()


@CASES.add("sam overrides a guard and approves", 8)
def _(desk: Desk) -> Ran:
    file = guarded(desk)
    desk.sign("sam", file)
    return desk.run("apply", file, "--override", f"raised@{read_plan(file).digest}")


@CASES.add("sam overrides a guard by twelve digits", 3, "an override is for another plan")
def _(desk: Desk) -> Ran:
    file = guarded(desk)
    return desk.run("apply", file, "--override", f"raised@{read_plan(file).digest[:19]}")


@CASES.add("sam overrides another guard than the one that holds", 3)
def _(desk: Desk) -> Ran:
    file = guarded(desk)
    desk.sign("kim", file)
    return desk.run("apply", file, "--override", f"jumpsUp@{read_plan(file).digest}")


@CASES.add("a guard holds, and nothing is said of it", 3)
def _(desk: Desk) -> Ran:
    file = guarded(desk)
    desk.sign("kim", file)
    return desk.apply(file)


@CASES.add("the verdict of a guard is edited", 1)
def _(desk: Desk) -> Ran:
    file = desk.edited(
        guarded(desk), lambda plan: replace(plan, guards=tuple(replace(one, passed=True) for one in plan.guards), findings=())
    )
    desk.sign("kim", file)
    return desk.apply(file)


@CASES.add("the guards are left out of the plan", 1)
def _(desk: Desk) -> Ran:
    file = desk.edited(guarded(desk), lambda plan: replace(plan, guards=(), findings=()))
    desk.sign("kim", file)
    return desk.apply(file)


@CASES.add("the change loosens the guard of main", 3)
def _(desk: Desk) -> Ran:
    desk.on_main("amsctl.yaml", project_text(desk.ams.url, guards="  guards: {raised: {factor: 2, amount: 0}}\n"))
    desk.git("switch", "-q", "-c", "change")
    desk.write("amsctl.yaml", project_text(desk.ams.url))
    desk.raise_it("jo", to=5000)
    file = desk.plan()
    desk.sign("kim", file)
    return desk.apply(file)


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_written_that_does_not_follow(name: str, desk: Desk) -> None:
    """Apply derives; it does not believe."""
    CASES.check(name, desk)
