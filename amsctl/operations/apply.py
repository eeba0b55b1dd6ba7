"""Apply and resume: a plan file through the door, and carried out. The command line and ``amsctl.api`` come through here alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from amsctl.applying.means import Barrier, Stop
from amsctl.approvals.approval import decode_approval
from amsctl.errors import AmsctlError, ApprovalMissing, Stale, UsageError
from amsctl.operations import flow, runs
from amsctl.operations.authorise import Evidence, Reviewed, beside_rollback, review
from amsctl.operations.record import Sources
from amsctl.operations.rollback import LedgerWayBack
from amsctl.planning.planfile import PlanFile

if TYPE_CHECKING:
    from amsctl.applying.ports import Clock, Recorder
    from amsctl.applying.report import Report
    from amsctl.approvals.approval import Approval
    from amsctl.approvals.reviews import Reviews
    from amsctl.config import Environment
    from amsctl.ledger.store import Ledger
    from amsctl.ledger.values import Run
    from amsctl.manifests.load import Desired
    from amsctl.planning.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What surrounds a run beside its plan. ``barrier`` of ``None`` is the account, or what the run had that is resumed."""

    environ: Mapping[str, str]
    consent: str = ""
    reason: str | None = None
    barrier: str | None = None
    recorders: Sequence[Recorder] = ()
    stopping: Callable[[], AbstractContextManager[Stop]] = lambda: nullcontext(Stop())
    watched: Callable[[int], AbstractContextManager[flow.Progress]] = lambda total: nullcontext(flow.silent)
    tell: Callable[[str], None] = lambda line: None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyRequest:
    """A plan file, whose rules hold, where it goes, and what was brought along. ``here`` are the manifests of the checkout where they were read already."""

    file: PlanFile
    sources: Sources
    environment: Environment
    evidence: Evidence = field(default_factory=Evidence)
    around: Around
    here: Desired | None = None


def environment_of(file: PlanFile, asked: str | None) -> str:
    """The environment that a plan is for; Stale where another one was asked for."""
    planned = file.plan.target.environment
    if asked is not None and asked != planned:
        raise Stale("the plan was made for another environment", expected=planned, found=asked, hint="leave out -e, or plan again")
    return planned


def reviewed(request: ApplyRequest, ledger: Ledger | None, clock: Clock) -> Reviewed:
    """The plan of the request, once everything that needs no AMS speaks for it. ``ledger`` is where the run of a rollback is looked up."""
    way_back = way_back_of(request.file.plan, request.sources, request.environment, ledger, clock)
    return review(request.file, request.sources, request.environment, request.evidence, clock, here=request.here, way_back=way_back)


def way_back_of(plan: Plan, sources: Sources, environment: Environment, ledger: Ledger | None, clock: Clock) -> LedgerWayBack | None:
    """How the plan of a rollback follows from the ledger; ``None`` of another plan, and where there is no ledger. Stale where it does not know the run."""
    rollback = plan.origin.rollback
    if rollback is None or ledger is None:
        return None
    return LedgerWayBack(
        run=_run_of(ledger, rollback.run),
        sources=sources,
        environment=environment,
        ledger=ledger,
        clock=clock,
        desired=beside_rollback(plan, sources),
    )


def _run_of(ledger: Ledger, name: str) -> Run:
    try:
        return runs.find_run(ledger, name)
    except UsageError:
        raise Stale(
            "this plan takes back a run that the ledger here does not know", where=f"run {name}", hint="plan the rollback here"
        ) from None


async def apply(request: ApplyRequest, ready: Reviewed, ledger: Ledger) -> Report:
    """Carry the plan of a request out, recorded in ``ledger``; the report of every step."""
    around = request.around
    with around.watched(len(ready.plan.steps)) as progress, around.stopping() as stop:
        return await runs.carry_out(ready, undertaking_of(request, ledger, stop=stop, progress=progress))


# --- resuming ---


def resumable(run: Run, request: ApplyRequest, clock: Clock, *, reviews: Reviews | None = None) -> Reviewed:
    """The plan of a run, judged again under today's lists and rules, by the statements and overrides that its record keeps."""
    evidence = Evidence(approvals=statements_of(run), reviews=reviews, overrides=runs.overridden(run), merged=request.evidence.merged)
    try:
        return review(request.file, request.sources, request.environment, evidence, clock, here=request.here, resuming=True)
    except ApprovalMissing as problem:
        problem.hint = problem.hint or "amsctl resume --reviews FILE brings the reviews again, where reviews count"
        raise


def statements_of(run: Run) -> tuple[Approval, ...]:
    """The signed approvals under which a run began, whole, as its record keeps them; those that cannot be read are none."""
    found = []
    kept = run.body.get("approvals")
    for one in kept if isinstance(kept, list) else ():
        if isinstance(one, Mapping) and "statement" in one and "signature" in one:
            value: dict[str, Any] = {"format": one.get("format"), "statement": one["statement"], "signature": one["signature"]}
            try:
                found.append(decode_approval(value, f"run {run.id}"))
            except AmsctlError:
                continue
    return tuple(found)


async def resume(run: Run, request: ApplyRequest, ready: Reviewed, ledger: Ledger) -> Report:
    """Go on with a run: what is still wanted of its plan is sent, once everything was read again."""
    around = request.around
    with around.watched(len(ready.plan.steps)) as progress, around.stopping() as stop:
        return await runs.resume(run, ready, undertaking_of(request, ledger, resumed=run, stop=stop, progress=progress))


def undertaking_of(
    request: ApplyRequest,
    ledger: Ledger,
    *,
    resumed: Run | None = None,
    stop: Stop | None = None,
    progress: flow.Progress = flow.silent,
) -> runs.Undertaking:
    """Everything that a run needs to know besides its plan."""
    around = request.around
    barrier = around.barrier or ("account" if resumed is None else str(resumed.body.get("barrier") or "account"))
    return runs.Undertaking(
        project=request.sources.project,
        environment=request.environment,
        ledger=ledger,
        cause=runs.cause_of(
            request.file.plan,
            request.sources.project,
            request.environment,
            around.environ,
            consent=around.consent,
            reason=around.reason,
            resumed=resumed,
        ),
        barrier=Barrier(barrier),
        recorders=around.recorders,
        stop=stop or Stop(),
        progress=progress,
        tell=around.tell,
        surroundings=runs.Surroundings(environ=around.environ),
    )
