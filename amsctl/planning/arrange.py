"""Differences → the plan: calls in the order that never lets more through than before or after.

Per account: halt (deactivate, suspend), tighten, then loosen, then release (lift suspensions, activate). A row whose legs move both ways is written
twice, the tightening legs first with the others at their live values. Rows of one account and phase share a POST. Every loosening waits for all that
tightens in its account, every release for everything else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from amsctl.config import PROJECT_FILE, Safeguards, UnlimitedShownAs
from amsctl.diagnostics import Severity
from amsctl.errors import AmsError
from amsctl.model import (
    LEGS,
    AccountKey,
    AccountStatus,
    Direction,
    FourAmounts,
    LegRef,
    LiveAccount,
    Phase,
    UnsetMeans,
)
from amsctl.planning.approvals import approval_need
from amsctl.planning.codec import sealed
from amsctl.planning.diff import Difference, RowChange, Rules
from amsctl.planning.fingerprint import fingerprint
from amsctl.planning.guards import guard_findings, switched_off, unmeasured
from amsctl.planning.plan import Change, ChangeKind, Finding, Observed, Origin, Plan, Step, Summary, Target, value_words
from amsctl.planning.points import Past, no_past, points_of, references
from amsctl.planning.policies import judge_policies
from amsctl.wire import bodies, paths
from amsctl.wire.answers import read_side


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPlan:
    """One account's part of a plan. Change and step ids are local: numbers from 1, as text, until ``assemble`` numbers the whole."""

    key: AccountKey
    changes: tuple[Change, ...]
    steps: tuple[Step, ...]
    findings: tuple[Finding, ...]
    observed: Observed


def arrange(difference: Difference, live: LiveAccount, rules: Rules) -> AccountPlan:
    """One account's changes, and the calls that make them, in order."""
    changes = tuple(replace(change, id=str(number)) for number, change in enumerate(difference.changes, 1))
    ids = {_identity(change): change.id for change in changes}
    return AccountPlan(
        key=live.key,
        changes=changes,
        steps=tuple(_numbered(_calls(difference, live, rules, ids))),
        findings=difference.findings,
        observed=observed_of(live),
    )


def observed_of(live: LiveAccount) -> Observed:
    """What a plan records of an account that was read."""
    return Observed(
        clearing_firm=live.key.firm,
        account=live.key.number,
        sha256=fingerprint(live),
        read_at=live.read_at,
        rows=len(live.rows),
        pages=live.pages,
        status=live.status.value,
        execution_firms=len(live.execution_firms),
        suspended=sum(live.execution_firms.values()),
    )


def _identity(change: Change) -> tuple[object, ...]:
    return (change.kind, change.execution_firm, change.product, change.owner, change.leg)


def _numbered(calls: Iterable[Step]) -> Iterator[Step]:
    """Local ids, and for each step what must be verified before it."""
    strict: list[str] = []
    earlier: list[str] = []
    for number, call in enumerate(calls, 1):
        after: tuple[str, ...] = ()
        if call.phase is Phase.LOOSEN:
            after = tuple(strict)
        elif call.phase is Phase.RELEASE:
            after = tuple(earlier)
        else:
            strict.append(str(number))
        if call.phase is not Phase.RELEASE:
            earlier.append(str(number))
        yield replace(call, id=str(number), after=after)


# --- the calls of one account ---


def _calls(difference: Difference, live: LiveAccount, rules: Rules, ids: Mapping[tuple[object, ...], str]) -> Iterator[Step]:
    status, suspensions = difference.status, difference.suspensions
    if status is not None and status.direction is Direction.TIGHTEN:
        yield _status_call(status, live, Phase.HALT, ids)
    yield from _suspension_call([change for change in suspensions if change.after is True], live, Phase.HALT, ids)
    yield from _limit_calls(difference.rows, live, rules, Phase.TIGHTEN, ids)
    yield from _limit_calls(difference.rows, live, rules, Phase.LOOSEN, ids)
    yield from _suspension_call([change for change in suspensions if change.after is False], live, Phase.RELEASE, ids)
    if status is not None and status.direction is Direction.LOOSEN:
        yield _status_call(status, live, Phase.RELEASE, ids)


def _step(live: LiveAccount, phase: Phase, path: str, body: bodies.JsonObject, changes: Iterable[str], *, delete: bool = False) -> Step:
    return Step(
        id="",
        phase=phase,
        clearing_firm=live.key.firm,
        account=live.key.number,
        path=path,
        query=dict(bodies.DELETE_QUERY) if delete else {},
        body=body,
        changes=tuple(changes),
    )


def _status_call(change: Change, live: LiveAccount, phase: Phase, ids: Mapping[tuple[object, ...], str]) -> Step:
    body = bodies.account_status_body(live.key, AccountStatus(cast("str", change.after)))
    return _step(live, phase, paths.account_status(live.key.firm), body, [ids[_identity(change)]])


def _suspension_call(changes: list[Change], live: LiveAccount, phase: Phase, ids: Mapping[tuple[object, ...], str]) -> Iterator[Step]:
    if changes:
        wanted = {cast("str", change.execution_firm): change.after is True for change in changes}
        body = bodies.execution_firm_body(live.key, wanted)
        yield _step(live, phase, paths.execution_firm_status(*live.key), body, [ids[_identity(change)] for change in changes])


def _limit_calls(
    rows: tuple[RowChange, ...], live: LiveAccount, rules: Rules, phase: Phase, ids: Mapping[tuple[object, ...], str]
) -> Iterator[Step]:
    for delete in (False, True):
        writes = [write for row in rows if row.deletes is delete and (write := _write(row, phase)) is not None]
        for start in range(0, len(writes), rules.rows_per_post):
            batch = writes[start : start + rules.rows_per_post]
            body = bodies.limits_body(live.key, (_body_row(write, rules, delete=delete) for write in batch))
            carried = [
                ids[(ChangeKind.LIMIT, write.row.key.execution_firm, write.row.key.product, ref.owner, ref.leg)]
                for write in batch
                for ref in write.carries
            ]
            yield _step(live, phase, paths.limits(*live.key), body, carried, delete=delete)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Write:
    """One row as one phase writes it: all four legs, and the legs that it carries to their wanted value."""

    row: RowChange
    legs: FourAmounts
    carries: tuple[LegRef, ...]


def _write(row: RowChange, phase: Phase) -> _Write | None:
    """What a phase writes of a row; ``None`` when the row has nothing in it.

    Neutral legs ride with the first write of their row. A row that is deleted, or that opens an effective limit without a loosening leg, is
    written once: with whichever way it goes.
    """
    loosens = tuple(ref for ref, direction in row.moves if direction is Direction.LOOSEN)
    calm = tuple(ref for ref, direction in row.moves if direction is not Direction.LOOSEN)
    everything = tuple(ref for ref, _ in row.moves)
    if row.deletes or row.opens or row.adds or not loosens or not _any_tightens(row):
        home = Phase.LOOSEN if loosens or row.opens else Phase.TIGHTEN
        return _Write(row=row, legs=row.after, carries=everything) if phase is home else None
    if phase is Phase.TIGHTEN:
        held = tuple(old if ref in loosens else new for ref, old, new in zip(LEGS, row.before, row.after, strict=True))
        return _Write(row=row, legs=cast("FourAmounts", held), carries=calm)
    return _Write(row=row, legs=row.after, carries=loosens)


def _any_tightens(row: RowChange) -> bool:
    return any(direction is Direction.TIGHTEN for _, direction in row.moves)


def _body_row(write: _Write, rules: Rules, *, delete: bool) -> bodies.JsonObject:
    """The row whole; a deleted one names its live values. A leg that stands as it was read goes back exactly as it came: not one that an earlier write
    of the same row has moved, which would be moved back.
    """
    row = write.row
    legs = row.before if delete else write.legs
    moved = frozenset(ref for ref, old, new in zip(LEGS, row.before, legs, strict=True) if old != new)
    read = None if row.live is None else row.live.wire
    if read is not None:
        _check_read(row, read, moved, rules)
    return bodies.limit_row(row.key, legs, unlimited_as=rules.unlimited_as, read=read, moved=moved)


def _check_read(row: RowChange, read: tuple[object, object], moved: frozenset[LegRef], rules: Rules) -> None:
    """AmsError unless each leg that goes back unmoved was read in so many words: then there is no plan, since it would write a value of our own."""
    where = f"{row.changes[0].account_key}/{row.key}"
    shown = (
        amount
        for (_, name), side in zip(bodies.SIDE_KEYS.items(), read, strict=True)
        for amount in read_side(side, shown_as=rules.unlimited_shown_as, name=name, where=where)
    )
    for ref, amount, old in zip(LEGS, shown, row.before, strict=True):
        if ref not in moved and amount != old:
            raise AmsError(
                f"{ref.owner}.{ref.leg} would be written with a value that was not read",
                where=where,
                expected=value_words(amount),
                found=value_words(old),
                hint="no plan is made of this account; this is a defect, please report it",
            )


# --- the whole ---


def assemble(
    parts: Iterable[AccountPlan],
    *,
    target: Target,
    origin: Origin,
    created_at: str,
    expires_at: str,
    tool_version: str,
    safeguards: Safeguards,
    protected: Collection[AccountKey] = (),
    labels: Mapping[AccountKey, Collection[str]] | None = None,
    past: Past = no_past,
    told: Sequence[Finding] = (),
    unlimited_shown_as: UnlimitedShownAs = UnlimitedShownAs.NULL,
) -> Plan:
    """The plan of a whole run: parts in the order of their accounts, whatever the order they came in; ids numbered through; held against the safeguards
    that are for its environment; sealed by its digest. ``protected`` are the accounts that lose nothing of what holds them without a word, ``labels``
    those of each account. ``told`` are findings about the sources of the plan. ``past`` gives the values that raises are measured against besides what
    the plan itself saw. ``unlimited_shown_as`` is how the accounts were read; what of that rests on an assumption is a finding.
    """
    safeguards, labels = safeguards.at(target.environment), labels or {}
    changes: list[Change] = []
    steps: list[Step] = []
    observed: list[Observed] = []
    findings: list[Finding] = []
    changed = 0
    for part in sorted(parts, key=lambda item: item.key):
        first_change, first_step = len(changes), len(steps)
        changes += (replace(change, id=f"c{first_change + int(change.id)}") for change in part.changes)
        steps += (_renumbered(step, first_change, first_step) for step in part.steps)
        observed.append(replace(part.observed, protected=part.key in protected, labels=tuple(sorted(labels.get(part.key, ())))))
        findings += part.findings
        changed += bool(part.changes)
    directions = Counter(change.direction for change in changes)
    unset_means = UnsetMeans(target.unset_means)
    known = past(changes) if safeguards.guards else no_past(changes)
    referred = references(changes, known.points, unset_means)
    verdicts, held = guard_findings(
        changes,
        observed,
        safeguards.guards,
        unset_means=unset_means,
        unprotected=origin.unprotected,
        points=points_of(referred),
    )
    rulings, broken = judge_policies(changes, observed, safeguards.policies, target=target, git=origin.git)
    return sealed(
        Plan(
            digest="",
            created_at=created_at,
            expires_at=expires_at,
            tool_version=tool_version,
            target=target,
            origin=origin,
            summary=Summary(
                accounts=len(observed),
                accounts_changed=changed,
                changes=len(changes),
                tighten=directions[Direction.TIGHTEN],
                loosen=directions[Direction.LOOSEN],
                neutral=directions[Direction.NEUTRAL],
                requests=len(steps),
            ),
            changes=tuple(changes),
            steps=tuple(steps),
            observed=tuple(observed),
            against=known.against,
            references=referred,
            guards=verdicts,
            policies=rulings,
            approvals=approval_need(changes, safeguards.approvals, unset_means=unset_means),
            findings=(
                *switched_off(safeguards.guards, target),
                *unmeasured(known.against),
                *_assumed(unlimited_shown_as),
                *held,
                *broken,
                *told,
                *findings,
            ),
        )
    )


def _assumed(shown_as: UnlimitedShownAs) -> Iterator[Finding]:
    """What every plan says of an AMS that leaves out whole sides: a side that it only does not show would read the same."""
    if shown_as is UnlimitedShownAs.SIDE_ABSENT:
        yield Finding(
            code="assumption-side-absent",
            severity=Severity.WARNING,
            message=f"assumed: a side that the AMS does not show has no limit (assumptions.unlimitedShownAs: {shown_as})",
            where=PROJECT_FILE,
        )


def _renumbered(step: Step, first_change: int, first_step: int) -> Step:
    return replace(
        step,
        id=f"s{first_step + int(step.id)}",
        changes=tuple(f"c{first_change + int(change)}" for change in step.changes),
        after=tuple(f"s{first_step + int(earlier)}" for earlier in step.after),
    )
