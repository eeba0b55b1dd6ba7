"""Plans and reports that show every form a view must draw, made from the same values that planning makes."""

from __future__ import annotations

from dataclasses import replace

from amsctl.applying.report import Report, RowsDone, StepReport
from amsctl.diagnostics import Severity, Source
from amsctl.errors import ExitCode
from amsctl.model import UNLIMITED, UNSET, Amount, Direction, Leg, Outcome, Owner, Phase, UnsetMeans, direction_of, effective, lets_through
from amsctl.planning.codec import sealed
from amsctl.planning.plan import Change, ChangeKind, Finding, Git, Observed, Origin, Plan, Selection, Step, Summary, Target

FIRM = "GREENTEA_API_CLEARING2"
RUN = "20261120T092000Z-ab12cd"


def leg(
    name: str,
    account: str,
    row: str,
    side: str,
    before: Amount,
    after: Amount,
    *,
    other: Amount,
    usage: int | None = None,
    firm: str = FIRM,
    unset_means: UnsetMeans = UnsetMeans.UNLIMITED,
) -> Change:
    """A limit change whose direction, binding and effective limit follow from the other side's amount."""
    execution_firm, product = row.split("/")
    owner, which = side.split(".")
    then, now = effective(before, other, unset_means), effective(after, other, unset_means)
    return Change(
        id=name,
        kind=ChangeKind.LIMIT,
        clearing_firm=firm,
        account=account,
        execution_firm=execution_firm,
        product=product,
        owner=Owner(owner),
        leg=Leg(which),
        before=before,
        after=after,
        direction=direction_of(before, after, unset_means),
        binding=lets_through(then, unset_means) != lets_through(now, unset_means),
        effective_before=then,
        effective_after=now,
        usage=usage,
        source=Source("accounts/softs.yaml", 14, 9),
    )


def suspension(name: str, account: str, execution_firm: str, after: bool) -> Change:
    return Change(
        id=name,
        kind=ChangeKind.SUSPENSION,
        clearing_firm=FIRM,
        account=account,
        execution_firm=execution_firm,
        before=not after,
        after=after,
        direction=Direction.TIGHTEN if after else Direction.LOOSEN,
        binding=True,
    )


def status(name: str, account: str, after: str) -> Change:
    return Change(
        id=name,
        kind=ChangeKind.STATUS,
        clearing_firm=FIRM,
        account=account,
        before="Inactive" if after == "Active" else "Active",
        after=after,
        direction=Direction.LOOSEN if after == "Active" else Direction.TIGHTEN,
        binding=True,
    )


def plan_of(
    changes: list[Change],
    *,
    findings: tuple[Finding, ...] = (),
    steps: tuple[Step, ...] = (),
    accounts: int | None = None,
    **origin: object,
) -> Plan:
    """A sealed plan around some changes, with counts that agree with them."""
    changed = len({change.account_key for change in changes})
    counted = {direction: sum(change.direction is direction for change in changes) for direction in Direction}
    return sealed(
        Plan(
            digest="",
            created_at="2026-11-20T09:15:00Z",
            expires_at="2026-11-21T09:15:00Z",
            tool_version="0.1.0",
            target=Target(
                environment="new-release",
                ams="new-release",
                url="https://amsapinr.cmegroup.com/rest/v2",
                service="ICC",
                principal="API_GREENTEA_RISK",
                ownership=(Owner.EF, Owner.CMF),
                unset_means="unlimited",
                protected=True,
            ),
            origin=Origin(
                manifests_sha256="9f2c1e0b7a" + "0" * 54,
                git=Git(commit="4be1c0ffee" + "0" * 30, author="Jo Risk <jo@example.com>", dirty=True),
                selection=Selection(**origin),  # type: ignore[arg-type]
            ),
            summary=Summary(
                accounts=changed if accounts is None else accounts,
                accounts_changed=changed,
                changes=len(changes),
                tighten=counted[Direction.TIGHTEN],
                loosen=counted[Direction.LOOSEN],
                neutral=counted[Direction.NEUTRAL],
                requests=len(steps),
            ),
            changes=tuple(changes),
            steps=steps,
            observed=(
                Observed(
                    clearing_firm=FIRM,
                    account="DV10121801A",
                    sha256="0" * 64,
                    read_at="2026-11-20T09:14:58Z",
                    rows=3,
                    pages=1,
                    status="Active",
                    execution_firms=2,
                    suspended=0,
                ),
            ),
            findings=findings,
        )
    )


def step(name: str, phase: Phase, account: str, changes: tuple[str, ...], after: tuple[str, ...] = ()) -> Step:
    return Step(
        id=name,
        phase=phase,
        clearing_firm=FIRM,
        account=account,
        path=f"/accountLimitsUtilization/clearing/ICC/{FIRM}/{account}",
        body={"accountLimits": []},
        changes=changes,
        after=after,
    )


def undeclared(account: str, number: int) -> Finding:
    return Finding(
        code="undeclared-row",
        severity=Severity.WARNING,
        message="the AMS has a limit that no manifest names: ef.long 5, ef.short 5, cmf.long unlimited, cmf.short unlimited",
        where=f"{FIRM}/{account}/3N1/P{number}.FUT.CME",
    )


MISMATCH = Finding(
    code="foreign-mismatch",
    severity=Severity.WARNING,
    message="the cmf side is not ours to write: expected 9000 long, found 8000",
    where=f"{FIRM}/DV10121801A/3N1/CJ.FUT.NYMEX cmf.long",
)
UNKNOWN_FIRM = Finding(
    code="unknown-ef",
    severity=Severity.ERROR,
    message="execution firm 9ZZ is not on this account (accounts/softs.yaml:31:5); the AMS has: 350, 3N1, 0OJ",
    where=f"{FIRM}/DV10121801A/9ZZ",
    blocks=True,
)


def rich_plan() -> Plan:
    """Every form of change in three accounts."""
    softs, halted, metals = "DV10121801A", "HALT77", "CU-METALS-01"
    changes = [
        leg("c1", softs, "3N1/CJ.FUT.NYMEX", "ef.long", 324, 300, other=9000, usage=312),
        leg("c2", softs, "3N1/CJ.FUT.NYMEX", "ef.short", 567, 600, other=2000, usage=120),
        leg("c3", softs, "3N1/CJ.FUT.NYMEX", "cmf.long", 9000, 12000, other=324),
        leg("c4", softs, "3N1/CC.OOF.NYMEX", "ef.long", UNSET, 100, other=UNSET),
        leg("c5", softs, "0OJ/DRS.FUT.CBT", "ef.short", 250, UNSET, other=UNSET),
        leg("c6", softs, "0OJ/DRS.FUT.CBT", "cmf.short", 1, 2147483647, other=UNLIMITED),
        leg("c7", softs, "350/KC.FUT.NYMEX", "ef.long", 40, 0, other=50, usage=0),
        leg("c8", softs, "350/KC.FUT.NYMEX", "ef.short", 0, 40, other=50, usage=0),
        suspension("c9", softs, "350", False),
        suspension("c10", halted, "3N1", True),
        status("c11", halted, "Inactive"),
        status("c12", metals, "Active"),
        leg("c13", metals, "3N1/HG.FUT.COMEX", "ef.long", 1000, UNLIMITED, other=UNLIMITED),
    ]
    steps = (
        step("s1", Phase.TIGHTEN, softs, ("c1", "c4", "c7")),
        step("s2", Phase.LOOSEN, softs, ("c2", "c3", "c5", "c6", "c8"), ("s1",)),
        step("s3", Phase.RELEASE, softs, ("c9",), ("s1", "s2")),
        step("s4", Phase.HALT, halted, ("c10",)),
        step("s5", Phase.HALT, halted, ("c11",)),
        step("s6", Phase.LOOSEN, metals, ("c13",)),
        step("s7", Phase.RELEASE, metals, ("c12",), ("s6",)),
    )
    findings = (UNKNOWN_FIRM, MISMATCH, undeclared(halted, 1), *(undeclared(metals, number) for number in range(7)))
    return plan_of(changes, findings=findings, steps=steps, accounts=240, paths=("accounts",), labels=("desk=softs",))


def quiet_plan() -> Plan:
    """Nothing to write, one thing to look at."""
    return plan_of([], findings=(MISMATCH,), accounts=12)


def good_report(plan: Plan) -> Report:
    return Report(
        plan_digest=plan.digest,
        started_at="2026-11-20T09:20:00Z",
        finished_at="2026-11-20T09:20:12Z",
        steps=tuple(StepReport(id=item.id, outcome=Outcome.VERIFIED, http_status=200, attempts=1) for item in plan.steps),
        run=RUN,
    )


def bad_report(plan: Plan) -> Report:
    """One step of every outcome."""
    told = {
        "s1": StepReport(
            id="s1",
            outcome=Outcome.DIVERGED,
            http_status=200,
            attempts=1,
            message="the answer differs from what was asked at 3N1/CJ.FUT.NYMEX ef.long: expected 300, found 324",
            rows=RowsDone(done=("3N1/CC.OOF.NYMEX", "350/KC.FUT.NYMEX"), not_done=("3N1/CJ.FUT.NYMEX",)),
        ),
        "s2": StepReport(id="s2", outcome=Outcome.BLOCKED, message="s1 did not verify"),
        "s3": StepReport(id="s3", outcome=Outcome.BLOCKED, message="s1 did not verify"),
        "s4": StepReport(
            id="s4", outcome=Outcome.UNKNOWN, attempts=2, message="no answer within 30 s, and the read-back failed: connection refused"
        ),
        "s5": StepReport(id="s5", outcome=Outcome.SKIPPED, message="already Inactive"),
        "s6": StepReport(
            id="s6", outcome=Outcome.FAILED, http_status=400, attempts=1, message="IllegalArgumentException: Limit Type not found"
        ),
    }
    good = good_report(plan)
    return replace(good, steps=tuple(told.get(item.id, item) for item in good.steps))


def stale_report(plan: Plan) -> Report:
    good = good_report(plan)
    return replace(
        good,
        steps=tuple(StepReport(id=item.id, outcome=Outcome.BLOCKED, message="the plan is stale") for item in good.steps),
        stale=(f"{FIRM}/DV10121801A: 3N1/CJ.FUT.NYMEX ef.short was 567 when planned and is 580 now",),
    )


def postponed_report(plan: Plan) -> Report:
    """A freeze came in the middle: what was sent is verified, the rest is blocked; one account could not be read again, one outcome not be written."""
    frozen = f"writes to {FIRM} are frozen ('RISK-1234 market event', by jo@desk, since 2026-11-20T09:20:05.000Z); amsctl thaw lifts it"
    good = good_report(plan)
    blocked = tuple(StepReport(id=item.id, outcome=Outcome.BLOCKED, message=frozen) for item in good.steps[3:])
    return replace(
        good,
        steps=(*good.steps[:3], *blocked),
        postponed=frozen,
        unread=(f"{FIRM}/DV10121801A: could not be read at the end: no answer within 30 s",),
        unrecorded="the ledger failed: the disk is full (outcome of s3)",
    )


def interrupted_report(plan: Plan) -> Report:
    return replace(bad_report(plan), steps=good_report(plan).steps, interrupted=ExitCode.INTERRUPTED)


def large_plan(changes: int) -> Plan:
    """So many changes, a row each of 50 products and two execution firms; every second one lets more through, by 1 to 1,999 contracts.
    Not sealed: that takes as long as the rest, and views do not ask."""
    firms, pattern = ("3N1", "350"), leg("c0", "A", "3N1/X.FUT.CME", "ef.long", 1_000, 1_001, other=1_000_000)
    made = []
    for number in range(changes):
        after = 1_000 + (number * 7 % 1_999 + 1 if number % 2 else -(number % 999) - 1)
        made.append(
            replace(
                pattern,
                id=f"c{number + 1}",
                account=f"DV{number // 100:07}",
                execution_firm=firms[number // 50 % 2],
                product=f"P{number % 50:02}.FUT.CME",
                after=after,
                effective_before=1_000,
                effective_after=after,
                direction=Direction.LOOSEN if after > 1_000 else Direction.TIGHTEN,
                usage=number % 700 if number % 3 else None,
            )
        )
    empty = plan_of([])
    loosen = sum(change.direction is Direction.LOOSEN for change in made)
    accounts = changes // 100
    counted = replace(
        empty.summary,
        accounts=accounts,
        accounts_changed=accounts,
        changes=changes,
        loosen=loosen,
        tighten=changes - loosen,
        requests=accounts,
    )
    return replace(empty, summary=counted, changes=tuple(made))
