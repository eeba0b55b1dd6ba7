"""An apply report → what was done, the bad first, and what to do next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from amsctl.applying.report import Report, StepReport
from amsctl.errors import ExitCode
from amsctl.model import Outcome
from amsctl.planning.plan import Change, Plan, Step
from amsctl.views.escape import visible
from amsctl.views.layout import cells, count, wrap
from amsctl.views.style import PLAIN, Look, Style
from amsctl.views.words import step_words

WORST_FIRST: Final = (Outcome.UNKNOWN, Outcome.DIVERGED, Outcome.FAILED, Outcome.BLOCKED, Outcome.VERIFIED, Outcome.SKIPPED)
_GOOD: Final = frozenset({Outcome.VERIFIED, Outcome.SKIPPED})
STYLE_OF: Final[Mapping[Outcome, Style]] = {
    Outcome.UNKNOWN: Style.DANGER,
    Outcome.DIVERGED: Style.DANGER,
    Outcome.FAILED: Style.DANGER,
    Outcome.BLOCKED: Style.CAUTION,
    Outcome.VERIFIED: Style.GOOD,
    Outcome.SKIPPED: Style.QUIET,
}
OUTCOME_MEANING: Final[Mapping[Outcome, str]] = {
    Outcome.UNKNOWN: "sent; outcome unknown",
    Outcome.DIVERGED: "sent, and the AMS holds something else than was asked",
    Outcome.FAILED: "refused by the AMS, or it could not be sent",
    Outcome.BLOCKED: "not sent, because something before it did not verify",
    Outcome.VERIFIED: "sent, and read back as asked",
    Outcome.SKIPPED: "not sent, because it was already as wanted",
}
_INDENT: Final = " " * 12
_BELOW_NEXT: Final = " " * 6
VERIFIED_PER_ACCOUNT: Final = 20
"""How many steps of one account that went well are written out."""
CHANGES_PER_STEP: Final = 10
"""How many changes of one step that went wrong are written out."""


def report_text(report: Report, plan: Plan | None = None, look: Look = PLAIN) -> str:
    """The whole report as text. With the plan that was applied, steps are told by account and in the plan's words; without it (or with another
    plan) by their ids.
    """
    if plan is not None and plan.digest != report.plan_digest:
        plan = None
    return "".join(line + "\n" for line in _lines(report, plan, look))


def report_summary_words(report: Report) -> str:
    """``Apply: 5 steps: 1 diverged, 1 blocked, 3 verified; exit code 6.``"""
    counts = report.counts
    told = ", ".join(f"{counts[outcome]:,} {outcome.value}" for outcome in WORST_FIRST if counts[outcome]) or "nothing to do"
    return f"Apply: {count(len(report.steps), 'step')}: {told}; exit code {int(report.exit_code)}."


def _lines(report: Report, plan: Plan | None, look: Look) -> Iterator[str]:
    yield from _header(report, plan, look)
    if report.stale:
        yield look.danger("Stale: the AMS moved since the plan was made:")
        for moved in report.stale:
            yield from wrap(visible(moved), width=look.width, indent="    ", first="  ")
        yield ""
    if plan is None:
        yield from _steps(report.steps, None, {}, look)
    else:
        yield from _accounts(report, plan, look)
    yield from _meanings(report, look)
    yield from _troubles(report, look)
    yield from _next(report, look)
    paint = look.good if report.exit_code is ExitCode.DONE else look.danger
    yield paint(report_summary_words(report))


def _header(report: Report, plan: Plan | None, look: Look) -> Iterator[str]:
    where = "" if plan is None else f" to {visible(plan.target.environment)}"
    url = "" if plan is None else f"  {visible(plan.target.url)}"
    yield f"{look.bold(f'Apply{where}')}{url}"
    yield look.quiet(visible(f"  plan {report.plan_digest}"))
    if report.run:
        yield look.quiet(visible(f"  run {report.run}"))
    yield look.quiet(visible(f"  from {report.started_at} to {report.finished_at}"))
    yield ""


def _accounts(report: Report, plan: Plan, look: Look) -> Iterator[str]:
    steps = {step.id: step for step in plan.steps}
    changes = {change.id: change for change in plan.changes}
    grouped: dict[str, list[StepReport]] = defaultdict(list)
    for told in report.steps:
        step = steps.get(told.id)
        grouped["" if step is None else str(step.account_key)].append(told)
    for account, items in sorted(grouped.items(), key=lambda item: (min(map(_rank, item[1])), item[0])):
        yield look.bold(visible(account) or "steps that are not in the plan")
        yield from _steps(items, steps, changes, look)


def _rank(told: StepReport) -> int:
    return WORST_FIRST.index(told.outcome)


def _steps(
    items: list[StepReport] | tuple[StepReport, ...], steps: Mapping[str, Step] | None, changes: Mapping[str, Change], look: Look
) -> Iterator[str]:
    good = 0
    for told in sorted(items, key=_rank):
        good += told.outcome in _GOOD
        if good <= VERIFIED_PER_ACCOUNT:
            yield from _step(told, None if steps is None else steps.get(told.id), changes, look)
    if good > VERIFIED_PER_ACCOUNT:
        yield look.quiet(f"  {count(good - VERIFIED_PER_ACCOUNT, 'more step')} verified or skipped")
    yield ""


def _step(told: StepReport, step: Step | None, changes: Mapping[str, Change], look: Look) -> Iterator[str]:
    sent_in_vain = told.outcome in (Outcome.UNKNOWN, Outcome.DIVERGED, Outcome.FAILED)
    mine = [] if step is None else [changes[name] for name in step.changes if name in changes]
    facts = [visible(told.id)] if step is None else [visible(told.id), step.phase.value]
    if told.http_status is not None:
        facts.append(f"HTTP {told.http_status}")
    if told.attempts > 1:
        facts.append(count(told.attempts, "attempt"))
    what = ""
    if mine and not sent_in_vain:
        what = step_words(mine[0], look) if len(mine) == 1 else count(len(mine), "change")
    word = told.outcome.value if told.outcome in _GOOD else told.outcome.value.upper()
    yield f"  {look.paint(STYLE_OF[told.outcome], f'{word:<8}')}  {', '.join(facts)}  {what}".rstrip()
    if told.message and told.outcome is not Outcome.VERIFIED:
        yield from wrap(visible(told.message), width=look.width, indent=_INDENT)
    yield from _rows(told, look)
    if sent_in_vain:
        yield from (f"{_INDENT}{step_words(change, look)}" for change in mine[:CHANGES_PER_STEP])
        if len(mine) > CHANGES_PER_STEP:
            yield f"{_INDENT}and {count(len(mine) - CHANGES_PER_STEP, 'more change')} of this step"


def _rows(told: StepReport, look: Look) -> Iterator[str]:
    """Which rows of a call that took effect in part are as asked and which are not: every one, since somebody has to look at them."""
    if told.rows is None:
        return
    for words, rows in (("as asked:", told.rows.done), ("NOT as asked:", told.rows.not_done)):
        shown = visible(", ".join(rows)) or "none"
        yield from wrap(f"{count(len(rows), 'row')} {words} {shown}", width=look.width, first=_INDENT, indent=_INDENT + "  ")


def _troubles(report: Report, look: Look) -> Iterator[str]:
    """What is true of the run as a whole and of none of its steps alone."""
    if report.postponed is not None:
        yield from _trouble(look.caution("Postponed:"), report.postponed, look)
    if report.unread:
        yield look.danger("Not read once more at the end; what the AMS holds there now is not known:")
        for account in report.unread:
            yield from wrap(visible(account), width=look.width, indent="    ", first="  ")
    if report.unrecorded is not None:
        yield from _trouble(look.danger("Not in the ledger:"), f"{report.unrecorded}; this report is the only trace of it: keep it", look)
    if report.postponed is not None or report.unread or report.unrecorded is not None:
        yield ""


def _trouble(heading: str, text: str, look: Look) -> Iterator[str]:
    yield heading
    yield from wrap(visible(text), width=look.width, indent="  ")


def _next(report: Report, look: Look) -> Iterator[str]:
    """What to do now, by the exit code: a sentence, and each command on a line of its own, to be copied."""
    said, commands = _advice(report)
    yield from wrap(said, width=look.width, first="Next: ", indent="      ")
    for command, meaning in commands:
        line = f"{_BELOW_NEXT}{visible(command)}  {meaning}"
        if cells(line) <= look.width:
            yield line
        else:
            yield f"{_BELOW_NEXT}{visible(command)}"
            yield from wrap(meaning, width=look.width, indent=_BELOW_NEXT + "    ")


def _advice(report: Report) -> tuple[str, list[tuple[str, str]]]:
    run = report.run or "RUN"
    sent = any(step.attempts for step in report.steps)
    landed = any(step.attempts and step.outcome in (Outcome.VERIFIED, Outcome.DIVERGED) for step in report.steps)
    resume = (f"amsctl resume {run}", "reads everything again and sends what is still wanted of this plan")
    again = ("amsctl plan -o FILE", "a new plan holds exactly what is left")
    resolve = ("amsctl resolve", "finds out what became of unknown calls; until then their accounts are not written to")
    back = [(f"amsctl rollback {run} -o FILE", "makes the plan that takes back what landed")] if landed else []
    match report.exit_code:
        case ExitCode.DONE if not report.steps:
            return "The plan has no steps: nothing was sent, and nothing had to be.", []
        case ExitCode.DONE:
            return "Everything was read back from the AMS and is as planned. Nothing is left to do.", []
        case ExitCode.STALE:
            nothing = "Nothing further was written" if sent else "Nothing was written"
            return f"The AMS is no longer what the plan saw. {nothing}. Make a new plan and review it.", [again, *back]
        case ExitCode.UNVERIFIED:
            said = "What the AMS holds is not known to be what was reviewed. Look at the accounts above now, and tell the desk."
            look_at = ("amsctl get limits FIRM/ACCOUNT", "shows what an account holds now")
            return said, [look_at, *([resolve] if report.counts[Outcome.UNKNOWN] else []), resume, *back]
        case ExitCode.LATER:
            blocking = ("amsctl lock status", "shows locks and freezes")
            if report.counts[Outcome.FAILED]:  # the ledger has a run that was about to send, to go on with
                return "Nothing was sent. Go on when nothing stands in its way.", [blocking, resume]
            return "Nothing was sent. Apply the same plan again when nothing stands in its way.", [blocking]
        case ExitCode.INTERRUPTED | ExitCode.TERMINATED:
            return "Stopped on request. Calls that were running were finished and recorded.", [resume, *back]
        case _:
            return f"{_what_landed(report)} Read the messages above, and mend the cause.", [resume, again, *back]


def _what_landed(report: Report) -> str:
    if any(step.outcome not in _GOOD for step in report.steps):
        return "Some steps did not land. What landed is verified."
    return "Every step was verified, but not everything about the run is known or kept."


def _meanings(report: Report, look: Look) -> Iterator[str]:
    """What the outcomes that went wrong mean, once each."""
    counts = report.counts
    bad = [outcome for outcome in WORST_FIRST if counts[outcome] and outcome not in _GOOD]
    for outcome in bad:
        yield from wrap(f"{outcome.value}: {OUTCOME_MEANING[outcome]}", width=look.width, indent="  ")
    if bad:
        yield ""
