"""What the ledger tells → text: the log, who last moved a limit, locks and freezes, calls that were settled later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from amsctl.errors import ExitCode
from amsctl.planning.plan import ChangeKind
from amsctl.provenance.people import who_words
from amsctl.views.escape import visible
from amsctl.views.layout import cells, count, left, right, widths, wrap
from amsctl.views.report_text import STYLE_OF
from amsctl.views.style import PLAIN, Look
from amsctl.views.words import step_words, value_words

if TYPE_CHECKING:
    from amsctl.ledger.history import Act, Blamed, Log, LoggedRun, Move, Sending, Subject
    from amsctl.ledger.values import Freeze, Head, Lock, Run, Scope
    from amsctl.ledger.verification import Verified
    from amsctl.operations.runs import Settled

EVERY_FIRM: Final = "*"
"""``ledger.values.ALL_FIRMS``, which this room may not import; a test holds the two together."""
CHANGES_PER_SENDING: Final = 20
"""How many changes of one sending the log writes out."""
_ENDINGS: Final[Mapping[int, str]] = {
    ExitCode.DONE: "done",
    ExitCode.STALE: "stale",
    ExitCode.PARTIAL: "partial",
    ExitCode.UNVERIFIED: "not verified",
    ExitCode.LATER: "postponed",
    ExitCode.INTERRUPTED: "interrupted",
    ExitCode.TERMINATED: "terminated",
}
_INDENT: Final = " " * 4
_WIDEST_STATE: Final = "left behind"


def time_words(at: str) -> str:
    """``2026-11-23T23:17:26.123Z`` as ``2026-11-23 23:17:26Z``; anything else as it is."""
    return visible(at[:10] + " " + at[11:19] + "Z" if len(at) >= 20 and at[10] == "T" and at.endswith("Z") else at)


def firm_words(firm: str) -> str:
    """A clearing firm, or all of them."""
    return "every clearing firm" if firm == EVERY_FIRM else visible(firm)


def _paragraph(text: str, look: Look, *, indent: str = _INDENT) -> Iterator[str]:
    """Text from anywhere on as many lines as it takes; a line after the first stands two blanks further in."""
    yield from wrap(visible(text), width=look.width, first=indent, indent=indent + "  ")


def _headline(painted: str, plain: str, environment: str, url: str, look: Look) -> Iterator[str]:
    """What it is about, the environment and its address; the address on a line of its own where they do not fit beside each other."""
    heading = f"{painted}  {visible(environment)}".rstrip()
    if cells(f"{plain}  {visible(environment)}  {visible(url)}") <= look.width:
        yield f"{heading}  {look.quiet(visible(url))}"
    else:
        yield heading
        yield look.quiet(f"{_INDENT}{visible(url)}")


# --- log ---


def log_text(log: Log, look: Look = PLAIN) -> str:
    """The log, newest first: runs and what persons did in one order."""
    told = [(logged.run.at, list(_run_lines(logged, look))) for logged in log.runs]
    told += [(act.at, list(_act_lines(act, look))) for act in log.acts]
    told.sort(key=lambda entry: entry[0], reverse=True)
    lines = [line for _, entry in told for line in (*entry, "")]
    if not told:
        lines = ["The ledger has no such record."]
    if log.more:
        lines.append(look.quiet("There are older ones: --limit N shows more."))
    return "\n".join(lines).rstrip("\n") + "\n"


def _run_lines(logged: LoggedRun, look: Look) -> Iterator[str]:
    run = logged.run
    yield f"{look.bold(visible(run.id))}  {ending_words(run, look)}{_counts_words(logged)}"
    yield f"{_INDENT}{time_words(run.at)}  {visible(run.environment)}  {count(int(_number(run.body.get('steps'))), 'step')}"
    if logged.rollback is not None:
        yield from _paragraph(f"takes back {logged.rollback.get('run')}, asked for by {logged.rollback.get('asked_by')}", look)
    yield from cause_lines(run, look, uncommitted=logged.uncommitted is True)
    if logged.source is None:
        yield look.danger(f"{_INDENT}its stored plan was changed from outside: amsctl ledger verify")
    if logged.postponed:
        yield from _paragraph(f"postponed: {logged.postponed}", look)
    # Accounts are written side by side; what was sent to one of them is told together.
    for account, items in groupby(sorted(logged.sendings or (), key=_account_words), key=_account_words):
        yield look.bold(f"  {visible(account)}")
        for item in items:
            yield from _sending_lines(item, look)


def _account_words(item: Sending) -> str:
    return f"{item.firm}/{item.account}"


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def ending_words(run: Run, look: Look) -> str:
    """How a run ended, in colour: ``done``, ``partial (exit 5)``, or ``not finished``."""
    code = run.exit_code
    if code is None:
        return look.caution("not finished")
    words = _ENDINGS.get(code, "ended")
    return look.good(words) if code == ExitCode.DONE else look.danger(f"{words} (exit {code})")


def _counts_words(logged: LoggedRun) -> str:
    told = ", ".join(f"{number:,} {visible(outcome)}" for outcome, number in logged.counts.items() if number)
    return f": {told}" if told else ""


def cause_lines(run: Run, look: Look, *, indent: str = _INDENT, uncommitted: bool = False) -> Iterator[str]:
    """By whom, why, which plan, and who agreed to it. ``uncommitted``: the manifests were not those of the commit."""
    who, why = _part(run, "who"), _part(run, "why")
    yield from _paragraph(f"by {who_words(who) or 'nobody knows whom'}", look, indent=indent)
    if reasons := list(_reasons(why, uncommitted)):
        yield from _paragraph(f"why: {'; '.join(reasons)}", look, indent=indent)
    yield from _paragraph(f"plan {run.plan_digest}", look, indent=indent)
    if run.body.get("resumes"):
        yield from _paragraph(f"resumes {run.body['resumes']}", look, indent=indent)
    agreed = [str(run.body["consent"])] if run.body.get("consent") else []
    approvals = run.body.get("approvals")
    agreed += [_approval(item) for item in approvals if isinstance(item, Mapping)] if isinstance(approvals, Sequence) else []
    if agreed:
        yield from _paragraph(f"consent: {'; '.join(agreed)}", look, indent=indent)
    overrides = run.body.get("overrides")
    if isinstance(overrides, Sequence) and overrides:
        yield from _paragraph(f"overridden guards: {', '.join(map(str, overrides))}", look, indent=indent)


def _part(run: Run, name: str) -> Mapping[str, Any]:
    part = run.body.get(name)
    return part if isinstance(part, Mapping) else {}


def _reasons(why: Mapping[str, Any], uncommitted: bool) -> Iterator[str]:
    """Reason and commit; the ticket on its own only where neither line shows it."""
    reason = str(why.get("reason") or "")
    message = str(why.get("message") or "").split("\n")[0]
    ticket = str(why.get("ticket") or "")
    if ticket and ticket not in f"{reason}\n{message}":
        yield ticket
    if reason:
        yield reason
    if why.get("commit"):
        yield f"commit {str(why['commit'])[:12]} {message}".rstrip() + (", with uncommitted changes" if uncommitted else "")


def _approval(item: Mapping[str, Any]) -> str:
    return f"approved by {item.get('by') or item.get('name') or 'somebody'}"


def _sending_lines(item: Sending, look: Look) -> Iterator[str]:
    outcome = look.caution("not recorded") if item.outcome is None else look.paint(STYLE_OF[item.outcome], item.outcome.value)
    facts = [visible(item.step), visible(item.phase)]
    facts += [f"attempt {item.attempt}"] if item.attempt > 1 else []
    facts += [f"HTTP {item.http_status}"] if item.http_status is not None else []
    yield f"{_INDENT}{time_words(item.at)}  {outcome}  {', '.join(facts)}"
    if item.message:
        yield from _paragraph(item.message, look, indent=_INDENT * 2)
    for change in item.changes[:CHANGES_PER_SENDING]:
        yield f"{_INDENT * 2}{step_words(change, look)}"
    if len(item.changes) > CHANGES_PER_SENDING:
        yield look.quiet(f"{_INDENT * 2}and {count(len(item.changes) - CHANGES_PER_SENDING, 'more change')}; --format json tells all")


def _act_lines(act: Act, look: Look) -> Iterator[str]:
    match act.kind.value:
        case "freeze":
            words = look.danger("freeze")
        case "thaw":
            words = look.good("thaw")
        case _:
            words = look.caution("lock broken")
    yield f"{words}  {firm_words(act.firm)}"
    yield f"{_INDENT}{time_words(act.at)}  {visible(act.url)}"
    yield from _paragraph(f"by {act.by or 'nobody knows whom'}", look)
    if act.reason:
        yield from _paragraph(f"why: {act.reason}", look)
    if act.run:
        yield from _paragraph(f"run {act.run} held it", look)


# --- blame ---


def blame_text(blamed: Sequence[Blamed], look: Look = PLAIN, *, environment: str, url: str) -> str:
    """Who last moved what, by account and row, and below the runs that did, each once."""
    runs = {move.run.id: move.run for one in blamed for move in _moves(one)}
    newest_first = sorted(runs, key=lambda name: (runs[name].at, name), reverse=True)
    numbers = {name: number for number, name in enumerate(newest_first, 1)}
    lines = [] if blamed else [f"The ledger has no such change at {visible(environment)}."]
    for account, of_account in groupby(blamed, key=lambda one: one.subject.account):
        lines += _headline(look.bold(visible(str(account))), str(account), environment, url, look)
        lines += _blamed_lines(list(of_account), numbers, look)
        lines.append("")
    for name, number in numbers.items():
        lines.append(f"[{number}] {look.bold(visible(name))}  {ending_words(runs[name], look)}")
        lines += cause_lines(runs[name], look)
    return "\n".join(lines).rstrip("\n") + "\n"


def _blamed_lines(blamed: list[Blamed], numbers: Mapping[str, int], look: Look) -> Iterator[str]:
    wide = {
        limits: widths(_moved_words(move) for one in blamed for move in _moves(one) if (one.subject.kind is ChangeKind.LIMIT) is limits)
        for limits in (True, False)
    }
    above: tuple[str, str] | None = None
    for one in blamed:
        subject = one.subject
        if subject.kind is ChangeKind.LIMIT and (subject.execution_firm, subject.product) != above:
            above = (subject.execution_firm, subject.product)
            yield f"  {visible(subject.execution_firm)} {visible(subject.product)}"
        for move in _moves(one):
            before, after = (
                pad(text, width)
                for pad, text, width in zip((right, left), _moved_words(move), wide[subject.kind is ChangeKind.LIMIT], strict=True)
            )
            line = f"    {_name(subject):<10}  {before} {look.arrow} {after}  {time_words(move.at)}  [{numbers[move.run.id]}] {visible(move.step)}"
            yield line
            if move is not one.moved:
                yield from wrap(f"which {_doubt(move)}", width=look.width, first=" " * 16, indent=" " * 16)


def _moves(one: Blamed) -> Iterator[Move]:
    if one.moved is not None:
        yield one.moved
    yield from one.doubtful


def _moved_words(move: Move) -> tuple[str, str]:
    return value_words(move.change, move.change.before), value_words(move.change, move.change.after)


def _name(subject: Subject) -> str:
    match subject.kind:
        case ChangeKind.LIMIT:
            return f"{subject.owner} {subject.leg}"
        case ChangeKind.SUSPENSION:
            return visible(subject.execution_firm)
        case ChangeKind.STATUS:
            return "account"


def _doubt(move: Move) -> str:
    if move.outcome is None:
        return "may have landed: no outcome is recorded (amsctl resolve)"
    return f"may have landed: its call is {move.outcome.value}"


# --- locks and freezes ---


def lock_status_text(locks: Sequence[Lock], freezes: Sequence[Freeze], look: Look = PLAIN, *, names: Mapping[str, str]) -> str:
    """Who holds what, and what is stopped. ``names`` are the environments of the project by the name of their AMS."""
    if not locks and not freezes:
        return "Nothing is locked or frozen.\n"
    lines: list[str] = []
    for freeze in freezes:
        lines += _scope_lines(look.danger("frozen"), freeze.scope, freeze.url, names, look)
        lines += _paragraph(f"since {time_words(freeze.since)} by {freeze.by}", look)
        lines += _paragraph(f"why: {freeze.reason}", look)
    for lock in locks:
        lines += _scope_lines(_lock_state(lock, look), lock.scope, lock.url, names, look)
        lines += _lock_lines(lock, look)
    return "\n".join(lines) + "\n"


def _scope_lines(state: str, scope: Scope, url: str, names: Mapping[str, str], look: Look) -> Iterator[str]:
    words = firm_words(scope.firm)
    called = names.get(scope.ams, "" if ":" in scope.ams else scope.ams)  # an address, where it has no name
    yield from _headline(f"{state}  {look.bold(words)}", f"{_WIDEST_STATE}  {words}", called, url, look)


def _lock_state(lock: Lock, look: Look) -> str:
    if lock.dead:
        return look.caution("left behind")
    return look.caution("run out") if lock.expired else look.good("locked")


def _lock_lines(lock: Lock, look: Look) -> Iterator[str]:
    holder = lock.holder
    yield from _paragraph(f"lock {lock.id}", look)
    yield from _paragraph(f"by {holder.user}@{holder.host}, process {holder.pid}, run {lock.run}", look)
    if holder.run_url:
        yield from _paragraph(holder.run_url, look)
    yield from _paragraph(f"since {time_words(lock.since)}, lease until {time_words(lock.expires_at)}", look)
    if lock.dead:
        yield from _paragraph("its process is gone: the next run takes it over at once", look)
    elif lock.expired:
        yield from _paragraph("it was not renewed: the next run takes it over", look)


# --- verification ---


def verified_text(verified: Verified, anchor: Head | None, look: Look = PLAIN) -> str:
    """What was checked and found to be as it was written."""
    head = verified.head
    lines = [look.good(f"The ledger is whole: {count(head.seq, 'record')}.")]
    parts = (count(verified.runs, "run"), count(verified.attempts, "attempt"), count(verified.plans, "plan"))
    lines.append(f"{_INDENT}{', '.join(parts)}: each as the records tell it")
    lines.append(f"{_INDENT}head {head}")
    if anchor is not None:
        lines += _paragraph(f"record {anchor.seq:,} is the one that was anchored, and everything after it follows from it", look)
    else:
        lines += _paragraph("not checked: whether its end was cut off; --head SEQ:HASH with a head that was kept outside tells", look)
    return "\n".join(lines) + "\n"


# --- calls that were settled later ---


def settled_text(found: Sequence[Settled], look: Look = PLAIN) -> str:
    """What became of the calls that ``resolve`` looked at, those that are still open first."""
    if not found:
        return "No account is in quarantine: nothing had to be resolved.\n"
    lines: list[str] = []
    for item in sorted(found, key=lambda item: item.settlement is not None):
        outcome = None if item.settlement is None else item.settlement.outcome
        word = look.danger("STILL OPEN") if outcome is None else look.paint(STYLE_OF[outcome], f"{outcome.value:<10}")
        lines.append(f"{word}  {look.bold(visible(str(item.attempt.account_key)))}  {visible(item.attempt.step)}")
        lines += _paragraph(f"of run {item.attempt.run}, sent {time_words(item.attempt.at)}", look, indent=" " * 12)
        lines += _paragraph(item.problem if item.settlement is None else item.settlement.message, look, indent=" " * 12)
    counted = Counter("still open" if item.settlement is None else item.settlement.outcome.value for item in found)
    told = ", ".join(f"{number:,} {word}" for word, number in counted.items())
    lines.append(f"{count(len(found), 'call')}: {told}.")
    return "\n".join(lines) + "\n"
