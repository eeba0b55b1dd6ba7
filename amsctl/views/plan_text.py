"""A plan → what a risk officer reads at a glance: worst first, marked, with the effect on the limit that binds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Final, NamedTuple

from amsctl.diagnostics import Severity
from amsctl.model import AccountKey, Direction, Special
from amsctl.planning.plan import Change, ChangeKind, Finding, Plan
from amsctl.views.escape import visible
from amsctl.views.layout import cells, count, left, right, widths, wrap
from amsctl.views.ranking import findings_worst_first
from amsctl.views.style import PLAIN, Look, Style
from amsctl.views.words import (
    approval_words,
    difference_words,
    direction_words,
    effect_words,
    leg_words,
    rollback_words,
    selection_words,
    subject_words,
    usage_words,
    value_words,
)

ALL_OF_IT: Final = "--format json lists all"
FINDINGS_PER_CODE: Final = 20
"""How many findings that do not block are written out per code."""
UNDECLARED_PER_ACCOUNT: Final = 3
"""More undeclared rows of one account than this are counted, not listed."""


def plan_text(plan: Plan, look: Look = PLAIN, *, limit: int | None = None) -> str:
    """The whole plan as text. ``limit`` caps how many changes are written out; those that loosen are always written out."""
    return "".join(line + "\n" for line in plan_lines(plan, look, limit=limit))


def plan_lines(plan: Plan, look: Look = PLAIN, *, limit: int | None = None) -> Iterator[str]:
    """The same line by line: header, what blocks, the changes by account, other findings, and the summary last."""
    yield from _header(plan, look)
    yield from _blocking(plan, look)
    yield from _accounts(plan, look, limit)
    yield from _other_findings(plan, look)
    yield from _footer(plan, look)


# --- header and footer ---


def _header(plan: Plan, look: Look) -> Iterator[str]:
    target, origin = plan.target, plan.origin
    guarded = " (protected)" if target.protected else ""
    yield f"{look.bold(f'Plan for {visible(target.environment)}{guarded}')}  {visible(target.url)}"
    sides = " and ".join(owner.value for owner in target.ownership) or "no side"
    yield from _facts(f"{target.service} as {target.principal}, writing {sides}; unset means {target.unset_means}", look)
    git = origin.git
    commit = ""
    if git is not None:
        commit = f", commit {git.commit[:12]} by {git.author}" + (", with uncommitted changes" if git.dirty else "")
    yield from _facts(f"manifests {_short(origin.manifests_sha256)}{commit}", look)
    if origin.rollback is not None:
        yield from _facts(rollback_words(origin), look)
    chosen = selection_words(origin.selection)
    if chosen:
        yield from _facts(f"only {chosen}", look)
    yield ""


def _facts(text: str, look: Look) -> list[str]:
    return [look.quiet(line) for line in wrap(visible(text), width=look.width, indent="    ", first="  ")]


def _short(digest: str) -> str:
    return digest[:19] if digest.startswith("sha256:") else digest[:12]


def _footer(plan: Plan, look: Look) -> Iterator[str]:
    still = plan.summary.accounts - plan.summary.accounts_changed
    if plan.changes and still > 0:
        yield from wrap(f"{count(still, 'other account')} read and left as {'it is' if still == 1 else 'they are'}.", width=look.width)
    if plan.approvals is not None:
        yield from wrap(approval_words(plan), width=look.width)
    yield look.quiet(visible(f"Digest {plan.digest}"))
    yield look.quiet(visible(f"Made {plan.created_at}, expires {plan.expires_at}"))
    paint = look.danger if plan.blocking else look.bold
    yield paint(summary_words(plan))


def summary_words(plan: Plan) -> str:
    """``Plan: 3 changes in 1 account: 2 loosen, 1 tighten; 2 requests; blocked by 1 finding.``"""
    summary, blocking = plan.summary, len(plan.blocking)
    others = len(plan.findings) - blocking
    tail = f"; blocked by {count(blocking, 'finding')}" if blocking else ""
    if not plan.changes:
        matched = f"Nothing to write for {count(summary.accounts, 'account')}" if summary.accounts else "No account was planned"
        looked = f"; {count(others, 'finding')} to look at" if others else ""
        return f"No changes. {matched}{looked}{tail}."
    ways = ((summary.loosen, "loosen"), (summary.tighten, "tighten"), (summary.neutral, "neutral"))
    moves = ", ".join(f"{number:,} {word}" for number, word in ways if number)
    where = f"{count(summary.changes, 'change')} in {count(summary.accounts_changed, 'account')}"
    return f"Plan: {where}: {moves}; {count(summary.requests, 'request')}{tail}."


def _painted(lines: Sequence[str], paint: Callable[[str], str]) -> Iterator[str]:
    return (paint(line) for line in lines)


# --- changes ---


class _Row(NamedTuple):
    """One change cut into columns."""

    change: Change
    head: tuple[str, ...]
    before: str
    after: str
    difference: tuple[str, str]
    notes: str


def badness(change: Change) -> int:
    """The place of a change within its account: what lets more through first, and there what opens most: 0 is worst."""
    kind = {ChangeKind.STATUS: 0, ChangeKind.SUSPENSION: 1, ChangeKind.LIMIT: 2}[change.kind]
    if change.kind is ChangeKind.LIMIT:
        opened = change.direction is Direction.LOOSEN and isinstance(change.after, Special)
        kind = (2 if opened else 3) if change.binding else 4
    return {Direction.LOOSEN: 0, Direction.NEUTRAL: 10, Direction.TIGHTEN: 20}[change.direction] + kind


def by_account(changes: Sequence[Change]) -> list[tuple[AccountKey, list[Change]]]:
    """The accounts, those that loosen first, each with its changes worst first; otherwise in the plan's order."""
    grouped: dict[AccountKey, list[Change]] = defaultdict(list)
    for change in changes:
        grouped[change.account_key].append(change)
    for group in grouped.values():
        group.sort(key=badness)
    return sorted(grouped.items(), key=lambda item: (badness(item[1][0]), item[0]))


def _accounts(plan: Plan, look: Look, limit: int | None) -> Iterator[str]:
    loosening = sum(change.direction is Direction.LOOSEN for change in plan.changes)
    room = None if limit is None else max(0, limit - loosening)
    cut_changes = cut_accounts = 0
    for key, changes in by_account(plan.changes):
        shown = changes
        if room is not None:
            dangerous = sum(change.direction is Direction.LOOSEN for change in changes)
            shown = changes[: dangerous + room]
            room -= len(shown) - dangerous
        cut = len(changes) - len(shown)
        if not shown:
            cut_changes, cut_accounts = cut_changes + cut, cut_accounts + 1
            continue
        yield f"{look.bold(visible(str(key)))}  {_tally(changes)}"
        yield from _account_rows(plan, shown, look)
        if cut:
            yield look.quiet(f"  {count(cut, 'more change')}, none of which loosens; {ALL_OF_IT}")
        yield ""
    if cut_accounts:
        text = f"Not shown: {count(cut_changes, 'change')} in {count(cut_accounts, 'account')}, none of which loosens; {ALL_OF_IT}."
        yield from _painted(wrap(text, width=look.width), look.quiet)
        yield ""


def _tally(changes: Sequence[Change]) -> str:
    counted = [(sum(change.direction is direction for change in changes), direction) for direction in (Direction.LOOSEN, Direction.TIGHTEN)]
    words = [f"{number:,} {direction.value}" for number, direction in counted if number]
    rest = len(changes) - sum(number for number, _ in counted)
    return ", ".join([*words, f"{rest:,} neutral"] if rest else words)


def _row(change: Change, plan: Plan, look: Look) -> _Row:
    difference = ("", "")
    head: tuple[str, ...]
    if change.kind is ChangeKind.LIMIT:
        row = change.row_key
        head = (
            direction_words(change.direction, look),
            visible(row.execution_firm),
            visible(row.product),
            leg_words(change.owner, change.leg),
        )
        assert isinstance(change.before, int | Special)
        assert isinstance(change.after, int | Special)
        difference = difference_words(change.before, change.after, plan.target.unset_means)
    else:
        head = (direction_words(change.direction, look), subject_words(change))
    notes = [note for note in (effect_words(change, look), usage_words(change)) if note]
    before, after = value_words(change, change.before), value_words(change, change.after)
    return _Row(change, head, before, after, difference, "; ".join(notes))


def _account_rows(plan: Plan, changes: Sequence[Change], look: Look) -> Iterator[str]:
    """The lines of one account. All of them break at the same places, or none does."""
    rows = [_row(change, plan, look) for change in changes]
    limits = [row for row in rows if len(row.head) == 4]
    columns = _columns(limits, look)
    for row in rows:
        if len(row.head) == 4:
            yield from _limit_lines(row, columns, look)
        else:
            mark = left(row.head[0], columns.heads[0] if limits else 0)
            yield _mark(row.change, f"  {mark}  {row.head[1]}", look) + f"  {row.before} {look.arrow} {row.after}"
    unknown = sum(
        change.usage is None and change.binding and change.direction is Direction.TIGHTEN for change in (row.change for row in limits)
    )
    if unknown:
        yield look.quiet(f"  use unknown for {count(unknown, 'tightened limit')}")


class _Columns(NamedTuple):
    """How wide the columns of an account are, and where its lines break. ``move`` is the difference and its share together."""

    heads: list[int]
    before: int
    after: int
    difference: int
    move: int
    values_break: bool
    notes_break: bool


def _columns(rows: Sequence[_Row], look: Look) -> _Columns:
    heads = widths(row.head for row in rows)
    before, after, difference, note = widths((row.before, row.after, row.difference[0], row.notes) for row in rows) or (0, 0, 0, 0)
    move = max((len(_move(row.difference, difference)) for row in rows), default=0)
    head_width = 2 + sum(heads) + 2 * len(heads[1:])
    value_width = before + after + len(f" {look.arrow} ") + 2 + move
    values_break = head_width + 2 + value_width > look.width
    notes_break = values_break or head_width + 2 + value_width + 2 + note > look.width
    return _Columns(heads, before, after, difference, move, values_break, notes_break)


def _move(difference: tuple[str, str], width: int) -> str:
    """``+33  +5.8%``, the differences under each other; a word alone where there is none."""
    moved, part = difference
    return f"{right(moved, width)}  {part}" if moved else part


def _limit_lines(row: _Row, columns: _Columns, look: Look) -> Iterator[str]:
    mark, firm, product, leg = (left(cell, width) for cell, width in zip(row.head, columns.heads, strict=True))
    plain = f"  {mark}  {firm}  {product}  {leg}"
    head = _mark(row.change, plain.rstrip() if columns.values_break else plain, look)
    move = left(_move(row.difference, columns.difference), columns.move)
    value = f"{right(row.before, columns.before)} {look.arrow} {left(row.after, columns.after)}  {move}"
    indent = " " * (4 + columns.heads[0])
    line = head if columns.values_break else f"{head}  {value}"
    if columns.values_break:
        yield line
        line = f"{indent}{value}"
    if not row.notes:
        yield line.rstrip()
    elif columns.notes_break:
        yield line.rstrip()
        yield indent + _notes(row, look)
    else:
        yield f"{line}  {_notes(row, look)}"


def _mark(change: Change, text: str, look: Look) -> str:
    match change.direction:
        case Direction.LOOSEN:
            # What lets no more through today, because the other side binds, is marked and not loud.
            return look.danger(text) if change.binding else look.caution(text)
        case Direction.TIGHTEN:
            return look.good(text)
        case Direction.NEUTRAL:
            return text


def _notes(row: _Row, look: Look) -> str:
    if row.notes.endswith("is above it"):
        return look.caution(row.notes)
    return row.notes if row.change.binding else look.quiet(row.notes)


# --- findings ---


def _blocking(plan: Plan, look: Look) -> Iterator[str]:
    """What stops an apply, every one of it, before anything else."""
    blocking = plan.blocking
    if not blocking:
        return
    stop = f"BLOCKED: apply will refuse this plan because of {count(len(blocking), 'finding')}:"
    yield from _painted(wrap(stop, width=look.width), look.danger)
    for finding in blocking:
        yield from _finding(finding, look)
    yield ""


def _other_findings(plan: Plan, look: Look) -> Iterator[str]:
    """The rest, grouped by severity and code; many of one kind are counted."""
    others = findings_worst_first(finding for finding in plan.findings if not finding.blocks)
    if not others:
        return
    yield look.bold(f"{count(len(others), 'finding')} to look at:")
    undeclared: dict[str, list[Finding]] = defaultdict(list)
    shown: dict[str, list[Finding]] = defaultdict(list)
    for finding in others:
        if finding.code == "undeclared-row":
            undeclared[_account_of(finding)].append(finding)
        else:
            shown[finding.code].append(finding)
    for code, findings in shown.items():
        yield from chain.from_iterable(_finding(finding, look) for finding in findings[:FINDINGS_PER_CODE])
        if len(findings) > FINDINGS_PER_CODE:
            yield from wrap(
                f"{len(findings) - FINDINGS_PER_CODE:,} more of {visible(code)}; {ALL_OF_IT}", width=look.width, indent="    ", first="  "
            )
    yield from _undeclared(undeclared, look)
    yield ""


def _undeclared(undeclared: dict[str, list[Finding]], look: Look) -> Iterator[str]:
    cut = False
    for number, (account, findings) in enumerate(undeclared.items()):
        if number == FINDINGS_PER_CODE:
            rest = list(undeclared.values())[number:]
            rows = sum(len(items) for items in rest)
            yield from wrap(
                f"{count(rows, 'more undeclared row')} in {count(len(rest), 'more account')}", width=look.width, indent="    ", first="  "
            )
            cut = True
            break
        if len(findings) <= UNDECLARED_PER_ACCOUNT:
            yield from chain.from_iterable(_finding(finding, look) for finding in findings)
            continue
        cut = True
        yield f"  {look.caution('warning')}  undeclared-row  {visible(account)}"
        yield from wrap(f"{count(len(findings), 'row')} with limits that no manifest names", width=look.width, indent="      ")
    if cut:
        yield look.quiet(f"  {ALL_OF_IT}")


def _account_of(finding: Finding) -> str:
    return "/".join(finding.where.split("/", 2)[:2])


_FINDING_STYLE: Final = {Severity.ERROR: Style.DANGER, Severity.WARNING: Style.CAUTION, Severity.NOTE: Style.QUIET}


def _finding(finding: Finding, look: Look) -> Iterator[str]:
    word = look.paint(_FINDING_STYLE[finding.severity], finding.severity.value)
    code, where = visible(finding.code), visible(finding.where)
    if cells(f"  {finding.severity}  {code}  {where}") <= look.width:
        yield f"  {word}  {code}  {where}"
    else:
        yield f"  {word}  {code}"
        yield f"      {where}"
    yield from wrap(visible(finding.message), width=look.width, indent="      ")
