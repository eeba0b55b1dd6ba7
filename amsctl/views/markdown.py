"""A plan or report → GitHub and GitLab Markdown, for merge request comments and step summaries.

The verdict comes first, then every row that lets more through, worst first; tightening and the rest are collapsed below. Whatever a manifest or a
server said stands in code spans: nothing in them is a link, a mention, HTML or a table's edge (reliability threat F2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from amsctl.applying.report import Report, StepReport
from amsctl.errors import ExitCode
from amsctl.model import Direction, Outcome, Special, UnsetMeans
from amsctl.planning.plan import Change, ChangeKind, Finding, Plan
from amsctl.views.escape import visible
from amsctl.views.exposure import Exposure, exposure_of, worst_first
from amsctl.views.layout import count
from amsctl.views.ranking import findings_worst_first
from amsctl.views.report_text import OUTCOME_MEANING, WORST_FIRST
from amsctl.views.style import PLAIN
from amsctl.views.words import (
    approval_words,
    difference_words,
    effect_words,
    leg_words,
    rollback_words,
    subject_words,
    usage_words,
    value_words,
)

MARKER: Final = "<!-- amsctl:{what}:{environment} -->"
_RUNS: Final = re.compile("`+")
_DANGER_HEAD: Final = "| account | EF | product | leg | before → after | change | effect |\n| --- | --- | --- | --- | --- | --- | --- |"
_RESERVE: Final = 1_400
"""Bytes kept for what closes the text: the notice of what did not fit, and the facts at the foot."""
_CUT_BYTES: Final = 120
"""Bytes kept for the line that tells how much of a list was cut."""
_NAME: Final = 60
_FRAME: Final = 200
"""Characters of somebody else's text that the frame of a page holds at most; rows are as long as they are, and fit or do not."""


def code(text: str, *, most: int | None = None) -> str:
    """The text as a code span that nothing in it can leave. A ``|`` would end a table's cell even there, so it is written as ``\\u{7C}``. Of a text
    longer than ``most`` characters the rest is cut, with a sign that it was.
    """
    if most is not None and len(text) > most:
        text = text[:most] + "…"
    shown = visible(text).replace("|", "\\u{7C}")
    if not shown.strip():
        shown = "(empty)" if not shown else "(blank)"
    fence = "`" * (max((len(run) for run in _RUNS.findall(shown)), default=0) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


class _Page:
    """A text that grows up to a number of bytes and no further."""

    def __init__(self, limit_bytes: int) -> None:
        self.left = limit_bytes - _RESERVE
        self.pieces: list[str] = []

    def add(self, text: str) -> None:
        """Part of the frame, which always fits."""
        self.left -= len(text.encode())
        self.pieces.append(text)

    def rows(self, head: str, rows: Iterable[str], tail: str = "", *, keep: int = 0) -> int:
        """A head, as many rows as fit, and a tail; nothing at all when no row fits. ``keep`` bytes are left for what follows. How many rows there are."""
        frame = len(head.encode()) + len(tail.encode()) + 2 + keep
        fitting, size = [], frame
        for row in rows:
            size += len(row.encode()) + 1
            if size > self.left:
                break
            fitting.append(row)
        if fitting:
            self.add("\n".join([head, *fitting]) + "\n" + tail)
        return len(fitting)

    def text(self) -> str:
        return "".join(self.pieces)


def plan_markdown(plan: Plan, *, limit_bytes: int) -> str:
    """The plan as a comment of at most ``limit_bytes`` bytes. What lets more through is only ever left out for want of room, and then the text says how
    much is missing right below the verdict.
    """
    unset_means = UnsetMeans(plan.target.unset_means)
    ordered = worst_first(plan.changes, unset_means)
    dangerous = [change for change in ordered if change.direction is Direction.LOOSEN]
    others = [change for change in ordered if change.direction is not Direction.LOOSEN]
    exposure = exposure_of(plan)
    page = _Page(limit_bytes)
    page.add(_head(plan, exposure))
    blocking = [_finding_row(finding) for finding in plan.blocking]
    blocking_shown = page.rows("\n### What blocks it\n", blocking)
    # What opens is written to a page of its own first, so that the notice of what is missing can stand above it.
    body = _Page(page.left + _RESERVE)
    shown = _danger_tables(dangerous, plan, body)
    page.add(_missing(len(dangerous) - shown, len(dangerous), len(blocking) - blocking_shown))
    page.add(body.text())
    _others(others, plan, page)
    _findings(plan, page)
    page.add(_foot(plan))
    return page.text()


def _head(plan: Plan, exposure: Exposure) -> str:
    protected = " (protected)" if plan.target.protected else ""
    summary = plan.summary
    lines = [
        MARKER.format(what="plan", environment=_marker_word(plan.target.environment)),
        f"## Limits plan for {code(plan.target.environment, most=_FRAME)}{protected}",
        "",
        f"**{verdict_words(plan, exposure)}**",
        "",
    ]
    if plan.changes:
        lines.append(
            f"{count(summary.changes, 'change')} in {count(summary.accounts_changed, 'account')} of {summary.accounts:,}: "
            f"{summary.loosen:,} loosen, {summary.tighten:,} tighten, {summary.neutral:,} neutral; {count(summary.requests, 'request')}."
        )
    elif summary.accounts:
        lines.append(f"{count(summary.accounts, 'account')} read; nothing to write.")
    else:
        lines.append("No account was planned.")
    back = rollback_words(plan.origin, lambda name: code(name, most=_NAME))
    lines += [f"\n{words}" for words in (f"This plan {back}." if back else "", approval_words(plan)) if words]
    return "\n".join(lines) + "\n"


def _marker_word(environment: str) -> str:
    """The environment's name in the hidden marker by which a pipeline finds its own comment again."""
    return re.sub("[^A-Za-z0-9._-]", "_", environment[:_FRAME]).replace("--", "-_")


def verdict_words(plan: Plan, exposure: Exposure) -> str:
    """What a reviewer must know first, in one sentence: whether more may be lost than before, and how."""
    blocked = f"Blocked by {count(len(plan.blocking), 'finding')}. " if plan.blocking else ""
    if not plan.changes:
        return f"{blocked}No changes."
    if not exposure.grows:
        still = f"; {count(exposure.not_binding, 'limit')} raised where the other side binds" if exposure.not_binding else ""
        return f"{blocked}Nothing lets more through than before{still}."
    facts = []
    if exposure.activated:
        facts.append(f"{count(exposure.activated, 'account is', 'accounts are')} activated")
    if exposure.released:
        facts.append(f"{count(exposure.released, 'execution firm is', 'execution firms are')} released")
    if exposure.unlimited:
        facts.append(f"{count(len(exposure.unlimited), 'leg ends', 'legs end')} without a limit")
    if exposure.raised:
        facts.append(
            f"the effective limit rises on {count(len(exposure.raised), 'leg')}, by {count(exposure.lots, 'contract')} in all"
            f" and {exposure.raised[0].lots or 0:,} at most"
        )
    return f"{blocked}More may be lost than before: {'; '.join(facts)}."


def _missing(changes: int, total: int, findings: int) -> str:
    """The notice above a list that is not whole; empty where all of it is there."""
    told = []
    if findings:
        told.append(f"{count(findings, 'finding that blocks', 'findings that block')} the plan")
    if changes:
        told.append(f"{changes:,} of the {count(total, 'change that lets', 'changes that let')} more through")
    if not told:
        return ""
    return f"\n> **Not whole:** {' and '.join(told)} did not fit here. The plan file has all of them: review that, not this text alone.\n"


def _danger_tables(changes: Sequence[Change], plan: Plan, page: _Page) -> int:
    if not changes:
        return 0
    title = f"\n### Lets more through ({len(changes):,})\n\n"
    return page.rows(title + _DANGER_HEAD, (_row(change, plan) for change in changes))


def _row(change: Change, plan: Plan) -> str:
    """One change as a row of the table. Values that are ours alone, numbers and fixed words, stand as they are."""
    moved = f"{_value(change, change.before)} → **{_value(change, change.after)}**"
    if change.kind is not ChangeKind.LIMIT:
        firm = code(change.execution_firm) if change.execution_firm is not None else ""
        what = "release" if change.kind is ChangeKind.SUSPENSION and change.after is False else subject_words(change).split(" ")[0]
        return f"| {code(str(change.account_key))} | {firm} | | {what} | {moved} | | |"
    assert isinstance(change.before, int | Special)
    assert isinstance(change.after, int | Special)
    difference = " ".join(part for part in difference_words(change.before, change.after, plan.target.unset_means) if part)
    notes = "; ".join(note for note in (effect_words(change, PLAIN), usage_words(change)) if note)
    return (
        f"| {code(str(change.account_key))} | {code(change.row_key.execution_firm)} | {code(change.row_key.product)} "
        f"| {leg_words(change.owner, change.leg)} | {moved} | {difference.replace('<', '&lt;').replace('>', '&gt;')} | {notes} |"
    )


def _value(change: Change, value: object) -> str:
    """A number or a fixed word as it is; a status, which is the server's word, as code."""
    return code(str(value)) if change.kind is ChangeKind.STATUS else value_words(change, value)


def _others(changes: Sequence[Change], plan: Plan, page: _Page) -> None:
    if not changes:
        return
    title = f"{count(len(changes), 'change')} that {'lets' if len(changes) == 1 else 'let'} no more through"
    head = f"\n<details><summary>{title}</summary>\n\n{_DANGER_HEAD}"
    shown = page.rows(head, (_row(change, plan) for change in changes), "\n</details>\n", keep=_CUT_BYTES)
    _cut(page, len(changes) - shown, title)


def _findings(plan: Plan, page: _Page) -> None:
    others = findings_worst_first(finding for finding in plan.findings if not finding.blocks)
    if not others:
        return
    title = f"{count(len(others), 'finding')} to look at"
    shown = page.rows(f"\n<details><summary>{title}</summary>\n", map(_finding_row, others), "\n</details>\n", keep=_CUT_BYTES)
    _cut(page, len(others) - shown, title)


def _cut(page: _Page, missing: int, title: str) -> None:
    if missing:
        page.add(f"\nNot shown for want of room: {missing:,} of {title}. The file has them all.\n")


def _finding_row(finding: Finding) -> str:
    where = f" ({code(str(finding.source))})" if finding.source is not None else ""
    return f"- {finding.severity.value} {code(finding.code)} at {code(finding.where)}{where}: {code(finding.message)}"


def _foot(plan: Plan) -> str:
    git = plan.origin.git
    commit = ""
    if git is not None:
        commit = f", commit {code(git.commit[:12])} by {code(git.author, most=_NAME)}" + (", with uncommitted changes" if git.dirty else "")
    when = f"made {code(plan.created_at, most=_NAME)}, to be applied before {code(plan.expires_at, most=_NAME)}"
    return f"\nPlan {code(plan.digest, most=_FRAME)}, {when}{commit}. Not binding: the other side's limit is lower and stays.\n"


# --- reports ---


def report_markdown(report: Report, plan: Plan | None = None, *, limit_bytes: int) -> str:
    """The report as a comment of at most ``limit_bytes`` bytes: the outcome first, then every step that is not as it should be, then the rest."""
    if plan is not None and plan.digest != report.plan_digest:
        plan = None
    page = _Page(limit_bytes)
    page.add(_report_head(report, plan))
    bad = [step for outcome in WORST_FIRST[:4] for step in report.steps if step.outcome is outcome]
    good = [step for step in report.steps if step.outcome in (Outcome.VERIFIED, Outcome.SKIPPED)]
    stale = [f"- {code(text)}" for text in report.stale]
    missing = len(stale) - page.rows("\n### What had moved\n", stale)
    head = "| step | account | what | outcome | HTTP | message |\n| --- | --- | --- | --- | --- | --- |"
    if bad:
        missing += len(bad) - page.rows(f"\n### Not as planned ({len(bad):,})\n\n{head}", _report_rows(bad, plan))
    if missing:
        page.add(f"\n> **Not whole:** {count(missing, 'line')} did not fit here; the report file has all of them.\n")
    if good:
        title = f"{count(len(good), 'step')} as planned"
        shown = page.rows(f"\n<details><summary>{title}</summary>\n\n{head}", _report_rows(good, plan), "\n</details>\n", keep=_CUT_BYTES)
        _cut(page, len(good) - shown, title)
    run = f", run {code(report.run, most=_NAME)}" if report.run else ""
    when = f"{code(report.started_at, most=_NAME)} to {code(report.finished_at, most=_NAME)}"
    page.add(f"\nPlan {code(report.plan_digest, most=_FRAME)}{run}; {when}.\n")
    return page.text()


def _report_head(report: Report, plan: Plan | None) -> str:
    where = "" if plan is None else f" to {code(plan.target.environment, most=_FRAME)}"
    counts = report.counts
    told = ", ".join(f"{counts[outcome]:,} {outcome.value}" for outcome in WORST_FIRST if counts[outcome]) or "nothing to do"
    exit_code = report.exit_code
    verdict = "Done: every step is verified." if exit_code is ExitCode.DONE else f"Not done as planned: exit code {int(exit_code)}."
    lines = [
        MARKER.format(what="report", environment="" if plan is None else _marker_word(plan.target.environment)),
        f"## Limits applied{where}",
        "",
        f"**{verdict}** {count(len(report.steps), 'step')}: {told}.",
    ]
    lines += [f"\n{text}" for text in _report_troubles(report)]
    return "\n".join(lines) + "\n"


def _report_troubles(report: Report) -> Iterator[str]:
    if report.postponed is not None:
        yield f"Kept from being sent: {code(report.postponed, most=_FRAME)}"
    if report.unread:
        shown = ", ".join(code(account, most=_NAME) for account in report.unread[:10])
        yield f"Could not be read once more at the end: {shown}" + (
            f" and {len(report.unread) - 10:,} more" if len(report.unread) > 10 else ""
        )
    if report.unrecorded is not None:
        yield f"Could not be written down: {code(report.unrecorded, most=_FRAME)}"


def _report_rows(steps: Iterable[StepReport], plan: Plan | None) -> Iterator[str]:
    known = {} if plan is None else {step.id: step for step in plan.steps}
    for step in steps:
        planned = known.get(step.id)
        account = "" if planned is None else code(str(planned.account_key))
        what = "" if planned is None else f"{planned.phase.value}, {count(len(planned.changes), 'change')}"
        status = "" if step.http_status is None else str(step.http_status)
        message = code(step.message) if step.message else OUTCOME_MEANING[step.outcome]
        yield f"| {code(step.id)} | {account} | {what} | {step.outcome.value} | {status} | {message} |"
