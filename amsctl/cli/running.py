"""What apply, resume and resolve share: the ledger of the project, and everything that a run needs to know besides its plan."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from amsctl.errors import ExitCode, Interrupted, Later, ManifestErrors, NotBegun, Stale

if TYPE_CHECKING:
    from amsctl.applying.means import Stop
    from amsctl.applying.report import Report
    from amsctl.cli.session import Session
    from amsctl.ledger.store import Ledger
    from amsctl.operations.apply import ApplyRequest, Around
    from amsctl.operations.runs import Undertaking
    from amsctl.planning.plan import Plan

F = TypeVar("F", bound=Callable[..., Any])


def run_options(command: F) -> F:
    """``--barrier``, ``--reason``, ``--events`` and ``--format``: how a run is carried out and told."""
    for option in (
        click.option(
            "--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print the report; the default is text."
        ),
        click.option("--events", "events_path", metavar="FILE", help="Write each outcome to FILE as it happens, one JSON object a line."),
        click.option("--reason", metavar="TEXT", help="Why; kept in the ledger beside the commit message."),
        click.option(
            "--barrier",
            type=click.Choice(["account", "run"]),
            help="What a step that does not verify keeps from loosening: the rest of its account, or of the whole run. "
            "The default is account; resume keeps what the run had.",
        ),
    ):
        command = option(command)
    return command


@contextmanager
def project_ledger(session: Session, *, create: bool = True, writes: bool | None = None) -> Iterator[Ledger]:
    """The ledger of the project, for what adds records to it (``writes``, by default what may make it) or only reads it. ConfigError or LedgerFailed when
    it cannot be used, or is not there and shall not be made. What is worth a word of its place is told to those who write to it; to those who read, where
    it holds nothing: they may look at another one than they mean.
    """
    from amsctl.operations import ledger as kept

    adds = create if writes is None else writes
    told: list[str] = []

    def tell() -> None:
        for line in told:
            session.console.note(f"{line}. By hand that is fine; to choose another, export the variable")

    with ExitStack() as stack:
        try:
            opening = kept.project_ledger(session.project(), session.environ, create=create, writes=adds, tell=told.append)
            ledger = stack.enter_context(opening)
        except BaseException:
            tell()
            raise
        if told and (adds or ledger.began() is None):
            tell()
        yield ledger


def warn_of_ledger(session: Session) -> None:
    """Say so when what is planned or shown here could not be applied here, for its ledger."""
    from amsctl.operations.ledger import ledger_warning
    from amsctl.provenance.pipeline import is_pipeline

    if not is_pipeline(session.environ) or not session.has_project():
        return
    try:
        warning = ledger_warning(session.project(), session.environ)
    except ManifestErrors:
        return  # a plan is shown wherever it lies
    if warning is not None:
        session.console.warn(warning)


def around_of(
    session: Session, *, consent: str, barrier: str | None, reason: str | None, events_path: str | None, stack: ExitStack
) -> Around:
    """What surrounds a run on the command line: signals stop it, its progress is shown, its events go to a file."""
    from amsctl.applying.recorders import EventsFile
    from amsctl.cli.files import refuse_links
    from amsctl.cli.signals import stopping
    from amsctl.operations.apply import Around

    if events_path is not None:
        refuse_links(events_path)
    recorders = [stack.enter_context(EventsFile(events_path))] if events_path is not None else []
    return Around(
        environ=session.environ,
        consent=consent,
        reason=reason,
        barrier=barrier,
        recorders=recorders,
        stopping=lambda: stopping(session.console),
        watched=lambda total: session.console.progress("applying steps", total),
        tell=session.console.note,
    )


def run_to_end(work: Coroutine[object, object, Report], stops: Sequence[Stop]) -> Report:
    """The report of a run. Interrupted when a second signal stops it at once."""
    import asyncio

    from amsctl.operations import flow

    try:
        return flow.run(work)
    except asyncio.CancelledError:
        raise Interrupted(
            "stopped at once; calls under way may still take effect",
            exit_code=next((stop.signalled for stop in stops if stop.signalled is not None), ExitCode.INTERRUPTED),
            hint="amsctl resume reads what landed and goes on with the rest",
        ) from None


def remembering(stopping: Callable[[], AbstractContextManager[Stop]], stops: list[Stop]) -> Callable[[], AbstractContextManager[Stop]]:
    """The same, with each stop kept in ``stops``: what signalled it is asked once the run is over."""

    @contextmanager
    def kept() -> Iterator[Stop]:
        with stopping() as stop:
            stops.append(stop)
            yield stop

    return kept


def carry_out(
    session: Session,
    request: ApplyRequest,
    ledger: Ledger,
    work: Callable[[ApplyRequest, Ledger], Coroutine[object, object, Report]],
) -> Report:
    """What ``work`` reports of a request, run to its end with signals heeded."""
    from dataclasses import replace

    from amsctl.operations.ledger import place_words

    session.console.note(place_words(ledger))
    stops: list[Stop] = []
    around = replace(request.around, stopping=remembering(request.around.stopping, stops))
    return run_to_end(work(replace(request, around=around), ledger), stops)


def undertaking_of(session: Session, ledger: Ledger) -> Undertaking:
    """Everything that looking at an earlier run's calls needs."""
    from amsctl.operations import runs

    environment = session.environment()
    return runs.Undertaking(
        project=session.project(),
        environment=environment,
        ledger=ledger,
        cause=runs.cause_of(None, session.project(), environment, session.environ, consent="", reason=None),
        tell=session.console.note,
        surroundings=runs.Surroundings(environ=session.environ),
    )


@contextmanager
def refusals_told(session: Session, plan: Plan, form: str) -> Iterator[None]:
    """Where the report is JSON, a run that ends before anything was written prints one too: every step is blocked, and says why."""
    try:
        yield
    except (Stale, Later, NotBegun) as refusal:
        if form == "json":
            show_report(session, plan, _untouched(plan, refusal), form)
        raise


def _untouched(plan: Plan, refusal: Stale | Later | NotBegun) -> Report:
    from amsctl.ams.clock import SystemClock
    from amsctl.applying.means import stamp
    from amsctl.applying.report import Report, StepReport
    from amsctl.model import Outcome

    now = stamp(SystemClock())
    return Report(
        plan_digest=plan.digest,
        started_at=now,
        finished_at=now,
        steps=tuple(StepReport(id=step.id, outcome=Outcome.BLOCKED, message=refusal.what) for step in plan.steps),
        stale=(str(refusal),) if isinstance(refusal, Stale) else (),
        interrupted=refusal.exit_code if isinstance(refusal, NotBegun) else None,
        postponed=str(refusal) if isinstance(refusal, Later) else None,
    )


def show_report(session: Session, plan: Plan, report: Report, form: str) -> None:
    """Print a report, and keep in mind whether anything was written."""
    from amsctl.applying.report import encode_report
    from amsctl.views.report_text import report_text

    session.console.wrote = any(step.attempts for step in report.steps)
    if form == "json":
        session.console.result_json(encode_report(report))
    else:
        session.console.result(report_text(report, plan, session.console.look))
    if report.exit_code is not ExitCode.DONE:
        session.console.detail(f"exit code {int(report.exit_code)}")
