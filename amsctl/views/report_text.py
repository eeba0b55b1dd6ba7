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
from amsctl.views.layout import count, wrap
from amsctl.views.style import PLAIN, Look, Style
from amsctl.views.words import step_words

_WORST_FIRST: Final = (Outcome.UNKNOWN, Outcome.DIVERGED, Outcome.FAILED, Outcome.BLOCKED, Outcome.VERIFIED, Outcome.SKIPPED)
_GOOD: Final = frozenset({Outcome.VERIFIED, Outcome.SKIPPED})
_STYLE: Final[Mapping[Outcome, Style]] = {
    Outcome.UNKNOWN: Style.DANGER,
    Outcome.DIVERGED: Style.DANGER,
    Outcome.FAILED: Style.DANGER,
    Outcome.BLOCKED: Style.CAUTION,
    Outcome.VERIFIED: Style.GOOD,
    Outcome.SKIPPED: Style.QUIET,
}
_MEANING: Final[Mapping[Outcome, str]] = {
    Outcome.UNKNOWN: "sent, and nobody can tell whether it took effect",
    Outcome.DIVERGED: "sent, and the AMS holds something else than was asked",
    Outcome.FAILED: "refused by the AMS, or it could not be sent",
    Outcome.BLOCKED: "not sent, because something before it did not verify",
    Outcome.VERIFIED: "sent, and read back as asked",
    Outcome.SKIPPED: "not sent, because it was already as wanted",
}
_NEXT: Final[Mapping[ExitCode, str]] = {
    ExitCode.DONE: "Everything was read back from the AMS and is as planned. Nothing is left to do.",
    ExitCode.STALE: "The AMS is no longer what the plan saw. Nothing further was written. Make a new plan and review it: amsctl plan -o FILE",
    ExitCode.PARTIAL: (
        "Some steps did not land. What landed is verified. Read the messages above, mend the cause, and plan again: "
        "the new plan holds exactly what is left."
    ),
    ExitCode.UNVERIFIED: (
        "What the AMS holds is not known to be what was reviewed. Look at the accounts above now (amsctl get limits FIRM/ACCOUNT), "
        "tell the desk, and plan again before anything else is written."
    ),
    ExitCode.INTERRUPTED: "Stopped on request. Calls that were running were finished and recorded; plan again for the rest.",
    ExitCode.TERMINATED: "Stopped on request. Calls that were running were finished and recorded; plan again for the rest.",
}
_INDENT: Final = " " * 12
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
    told = ", ".join(f"{counts[outcome]:,} {outcome.value}" for outcome in _WORST_FIRST if counts[outcome]) or "nothing to do"
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
    empty = not report.steps and report.exit_code is ExitCode.DONE
    following = _NEXT[report.exit_code] if not empty else "The plan has no steps: nothing was sent, and nothing had to be."
    yield from wrap(following, width=look.width, first="Next: ", indent="      ")
    paint = look.good if report.exit_code is ExitCode.DONE else look.danger
    yield paint(report_summary_words(report))


def _header(report: Report, plan: Plan | None, look: Look) -> Iterator[str]:
    where = "" if plan is None else f" to {visible(plan.target.environment)}"
    url = "" if plan is None else f"  {visible(plan.target.url)}"
    yield f"{look.bold(f'Apply{where}')}{url}"
    yield look.quiet(visible(f"  plan {report.plan_digest}"))
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
    return _WORST_FIRST.index(told.outcome)


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
    yield f"  {look.paint(_STYLE[told.outcome], f'{word:<8}')}  {', '.join(facts)}  {what}".rstrip()
    if told.message and told.outcome is not Outcome.VERIFIED:
        yield from wrap(visible(told.message), width=look.width, indent=_INDENT)
    if sent_in_vain:
        yield from (f"{_INDENT}{step_words(change, look)}" for change in mine[:CHANGES_PER_STEP])
        if len(mine) > CHANGES_PER_STEP:
            yield f"{_INDENT}and {count(len(mine) - CHANGES_PER_STEP, 'more change')} of this step"


def _meanings(report: Report, look: Look) -> Iterator[str]:
    """What the outcomes that went wrong mean, once each."""
    counts = report.counts
    bad = [outcome for outcome in _WORST_FIRST if counts[outcome] and outcome not in _GOOD]
    for outcome in bad:
        yield from wrap(f"{outcome.value}: {_MEANING[outcome]}", width=look.width, indent="  ")
    if bad:
        yield ""
