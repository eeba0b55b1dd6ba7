"""What became of each planned step (``amsctl.report/v1``), and the exit code that follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from amsctl.errors import ExitCode, PlanFileError
from amsctl.model import Outcome

REPORT_FORMAT: Final = "amsctl.report/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsDone:
    """Which rows of one call are as asked and which are not, as ``EF/PRODUCT``, in the order of the call."""

    done: tuple[str, ...]
    not_done: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """One planned step: its outcome, the last HTTP status (``None``: no answer, or never sent), how often it was sent, and why.

    ``rows`` is there when a call of several rows took effect in part. To the ledger alone go ``response_sha256``, over the last answer's body; ``done``,
    the changes that were read back as asked (``None``: not read back); and ``announced``: the ledger holds an intent of the step, which may never have
    left.
    """

    id: str
    outcome: Outcome
    http_status: int | None = None
    attempts: int = 0
    message: str = ""
    rows: RowsDone | None = None
    response_sha256: str | None = None
    done: tuple[str, ...] | None = None
    announced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An apply, told truthfully: every planned step exactly once, in the plan's order.

    ``stale`` tells what had moved when the apply refused (or stopped) because live state was no longer what the plan saw; ``interrupted`` is the
    exit code of the signal that stopped it. ``postponed`` tells which lock, freeze or window kept steps from being sent; ``unread`` which accounts
    could not be read once more at the end; ``unrecorded`` what could no longer be written down after it had happened. ``run`` is the ledger's name
    for this run, empty where there is none.
    """

    plan_digest: str
    started_at: str
    finished_at: str
    steps: tuple[StepReport, ...]
    stale: tuple[str, ...] = ()
    interrupted: ExitCode | None = None
    postponed: str | None = None
    unread: tuple[str, ...] = ()
    unrecorded: str | None = None
    run: str = ""

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many steps ended in each outcome; every outcome is a key."""
        counted = Counter(step.outcome for step in self.steps)
        return {outcome: counted[outcome] for outcome in Outcome}

    @property
    def exit_code(self) -> ExitCode:
        """The worst that happened, by the contract's table.

        Unverified beats everything: what the AMS holds is then not known to be what was reviewed. Then stale, then interrupted. ``LATER`` says that a
        lock, a freeze or a window forbade it and that nothing was sent. Then partial: a step failed or was blocked, whether or not others landed.
        """
        counts = self.counts
        if counts[Outcome.DIVERGED] or counts[Outcome.UNKNOWN]:
            return ExitCode.UNVERIFIED
        if self.stale:
            return ExitCode.STALE
        if self.interrupted is not None:
            return self.interrupted
        if self.postponed is not None and not any(step.attempts for step in self.steps):
            return ExitCode.LATER
        if counts[Outcome.FAILED] or counts[Outcome.BLOCKED] or self.unread or self.unrecorded is not None:
            return ExitCode.PARTIAL
        return ExitCode.DONE


def encode_step_report(step: StepReport) -> dict[str, object]:
    """One step as the report and the events file write it; ``rows`` only where there is something to tell."""
    rows = {} if step.rows is None else {"rows": {"done": list(step.rows.done), "not_done": list(step.rows.not_done)}}
    return {
        "id": step.id,
        "outcome": step.outcome.value,
        "http_status": step.http_status,
        "attempts": step.attempts,
        "message": step.message,
        **rows,
    }


def encode_report(report: Report) -> dict[str, object]:
    """The report as one JSON object."""
    return {
        "format": REPORT_FORMAT,
        "plan_digest": report.plan_digest,
        "started_at": report.started_at,
        "finished_at": report.finished_at,
        "steps": [encode_step_report(step) for step in report.steps],
        "stale": list(report.stale),
        "interrupted": None if report.interrupted is None else int(report.interrupted),
        "postponed": report.postponed,
        "unread": list(report.unread),
        "unrecorded": report.unrecorded,
        "run": report.run,
        "summary": {
            "steps": len(report.steps),
            **{outcome.value: count for outcome, count in report.counts.items()},
            "exit_code": int(report.exit_code),
        },
    }


def decode_report(value: object) -> Report:
    """The report that a JSON value holds; PlanFileError when it is not one or contradicts itself."""
    try:
        if not isinstance(value, dict) or value["format"] != REPORT_FORMAT:
            raise TypeError
        report = Report(
            plan_digest=_text(value["plan_digest"]),
            started_at=_text(value["started_at"]),
            finished_at=_text(value["finished_at"]),
            steps=tuple(_decode_steps(value["steps"])),
            stale=tuple(_text(line) for line in value["stale"]),
            interrupted=None if value["interrupted"] is None else ExitCode(value["interrupted"]),
            postponed=_text_or_none(value["postponed"]),
            unread=tuple(_text(line) for line in value["unread"]),
            unrecorded=_text_or_none(value["unrecorded"]),
            run=_text(value["run"]),
        )
        if encode_report(report) != value:
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise PlanFileError(
            "this is not an apply report that this version reads",
            expected=REPORT_FORMAT,
            hint="use a file that apply --format json printed",
        ) from None
    return report


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _text_or_none(value: object) -> str | None:
    return None if value is None else _text(value)


def _decode_rows(value: object) -> RowsDone | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise TypeError
    return RowsDone(done=tuple(map(_text, value["done"])), not_done=tuple(map(_text, value["not_done"])))


def _decode_steps(items: Iterable[dict[str, object]]) -> Iterable[StepReport]:
    for item in items:
        status, attempts = item["http_status"], item["attempts"]
        if not isinstance(attempts, int) or not (status is None or isinstance(status, int)):
            raise TypeError
        yield StepReport(
            id=_text(item["id"]),
            outcome=Outcome(_text(item["outcome"])),
            http_status=status,
            attempts=attempts,
            message=_text(item["message"]),
            rows=_decode_rows(item.get("rows")),
        )
