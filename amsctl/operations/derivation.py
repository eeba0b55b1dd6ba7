"""A plan, assembled again from what it follows from, and held against what the plan file says, byte for byte: what differs was not derived, and refuses.

What cannot be derived is taken from the plan file, and decides nothing (docs/explanation.md, "What of a plan is derived again"): when it was made and its
accounts were read, the version of the tool, who started the planning job, the part of the repository that was selected, the
numbers and findings of accounts that do not change, the use of the day, and the values of the past. The last three are measured again where a guard or an
account is judged by them; a finding about an account that does not change is one that its manifest and some answer of the AMS give, and never free text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeVar

from amsctl.config import Approvals, Calendar, Project, Safeguards, UnlimitedShownAs
from amsctl.diagnostics import Severity
from amsctl.errors import Stale
from amsctl.model import AccountKey, DesiredAccount, Phase
from amsctl.planning.arrange import AccountPlan, assemble
from amsctl.planning.codec import encode_members
from amsctl.planning.diff import Rules
from amsctl.planning.guards import guards_in
from amsctl.planning.plan import Change, Finding, Plan, Target
from amsctl.planning.points import Known, points_of
from amsctl.planning.wording import unsaid

_T = TypeVar("_T")
NOT_APPROVABLE: Final = "not-approvable"
"""The finding of a plan that cannot be approved, which says why."""
OUTLIVED: Final = "plan-outlived"
"""The note of a plan that a closure or a window outlives: windows change, and the run looks at them itself. Held against times and windows by ``outlived``."""
ABOUT_SOURCES: Final = frozenset(
    {"project-file-changed", "project-moved", "base-broken", "no-longer-managed", "manifest-not-read", NOT_APPROVABLE}
)
"""The findings about what a plan was made of."""
ABOUT_ACCOUNTS: Final = frozenset(
    {
        "foreign-mismatch",
        "release-unproven",
        "undeclared-row",
        "closed-account",
        "unknown-ef",
        "ineligible-product",
        "implicit-unlimited",
    }
)
"""The findings that follow from one account's manifest and what is live on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """What a plan follows from, as it is found now: the parts of the accounts that change, and what is known of every account. ``left`` are the accounts that
    the plan file may speak of beside them. ``told`` are the findings about the sources, ``None`` where they cannot be derived: the manifests are those of no
    commit.
    """

    target: Target
    parts: Mapping[AccountKey, AccountPlan]
    left: Collection[AccountKey] = ()
    protected: Collection[AccountKey] = ()
    labels: Mapping[AccountKey, Collection[str]]
    unprotected: tuple[str, ...] = ()
    told: Sequence[Finding] | None = None
    shown_as: UnlimitedShownAs = UnlimitedShownAs.NULL


def check_derived(plan: Plan, derived: Derived) -> None:
    """Stale unless the plan says, in every member, what is derived."""
    fresh = _again(plan, derived)
    found, expected = encode_members(plan), encode_members(fresh)
    for name in (*_READ_FIRST, *(name for name in found if name not in (*_READ_FIRST, "digest"))):
        one, other = expected[name], found[name]
        if isinstance(one, Iterator) and isinstance(other, Iterator):
            _same_items(name, list(one), list(other), getattr(plan, name))
        elif _text(one) != _text(other):
            raise _not_derived(name, "the plan", one, other)


_READ_FIRST: Final = ("changes", "steps", "observed")
"""What a message names rather than the counts that follow from it."""


def _again(plan: Plan, derived: Derived) -> Plan:
    """The plan of the derived parts. Accounts without one do not change, or are left alone: theirs are taken as they stand."""
    held = _Stated(plan)
    told = derived.told if derived.told is not None else [one for one in plan.findings if one.code in ABOUT_SOURCES and not one.blocks]
    told = [*told, *(one for one in plan.findings if one.code == OUTLIVED and not one.blocks)]
    base = plan.origin.base
    return assemble(
        (*(_as_seen(part, plan, held) for part in derived.parts.values()), *held.parts(derived.left)),
        target=derived.target,
        origin=replace(plan.origin, base=None if base is None else replace(base, unprotected=derived.unprotected)),
        created_at=plan.created_at,
        expires_at=plan.expires_at,
        tool_version=plan.tool_version,
        safeguards=stated_safeguards(plan),
        protected=derived.protected,
        labels=derived.labels,
        past=lambda changes: Known(against=plan.against, points=points_of(plan.references)),
        told=told,
        unlimited_shown_as=derived.shown_as,
    )


def stated_safeguards(plan: Plan) -> Safeguards:
    """The guards, policies and approvals that a plan says it was made under."""
    need = plan.approvals
    return Safeguards(
        guards=guards_in(plan.guards),
        policies=tuple(ruling.policy for ruling in plan.policies),
        approvals=None if need is None else Approvals(source=need.source, rules=tuple(one.rule for one in need.rules)),
    )


def _as_seen(part: AccountPlan, plan: Plan, held: _Stated) -> AccountPlan:
    """A derived part with what moves and what cannot be derived as the plan has it: use, and when it was read."""
    seen = held.observed.get(part.key)
    return replace(
        part,
        changes=tuple(
            replace(change, usage=held.usage[identity(change)]) if identity(change) in held.usage else change for change in part.changes
        ),
        observed=part.observed if seen is None else replace(part.observed, read_at=seen.read_at, pages=seen.pages),
    )


def identity(change: Change) -> tuple[object, ...]:
    """What a change is about."""
    return (change.account_key, change.kind, change.execution_firm, change.product, change.owner, change.leg)


class _Stated:
    """What the plan file says of each account."""

    def __init__(self, plan: Plan) -> None:
        self.usage = {identity(change): change.usage for change in plan.changes}
        self.observed = {seen.account_key: seen for seen in plan.observed}
        self._changes = _grouped(plan.changes, lambda change: change.account_key)
        self._steps = _grouped(plan.steps, lambda step: step.account_key)
        self._findings = findings_by_account(plan)

    def parts(self, left: Collection[AccountKey]) -> Iterator[AccountPlan]:
        """The accounts that nothing is derived of."""
        for key, seen in self.observed.items():
            if key not in left:
                continue
            changes, steps = self._changes.get(key, ()), self._steps.get(key, ())
            numbers = {change.id: str(number) for number, change in enumerate(changes, 1)}
            calls = {step.id: str(number) for number, step in enumerate(steps, 1)}
            yield AccountPlan(
                key=key,
                changes=tuple(replace(change, id=numbers[change.id]) for change in changes),
                steps=tuple(
                    replace(
                        step,
                        id=calls[step.id],
                        changes=tuple(numbers.get(change, "0") for change in step.changes),
                        after=tuple(calls.get(one, "0") for one in step.after),
                    )
                    for step in steps
                ),
                findings=tuple(self._findings.get(key, ())),
                observed=seen,
            )


def findings_by_account(plan: Plan) -> dict[AccountKey | None, tuple[Finding, ...]]:
    """What a plan says of each account that it read; of ``None``, of others."""
    names = {str(seen.account_key): seen.account_key for seen in plan.observed}
    about = (one for one in plan.findings if one.code in ABOUT_ACCOUNTS)
    return {key: tuple(found) for key, found in _grouped(about, lambda one: _about(one.where, names)).items()}


def _grouped(items: Iterable[_T], key: Callable[[_T], AccountKey | None]) -> dict[AccountKey | None, list[_T]]:
    found: dict[AccountKey | None, list[_T]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


def _about(where: str, names: Mapping[str, AccountKey]) -> AccountKey | None:
    """The account that a finding is about: the longest name that its place begins with, since an account number may hold a slash."""
    end = len(where)
    while end > 0:
        key = names.get(where[:end])
        if key is not None:
            return key
        end = max(where.rfind("/", 0, end), where.rfind(" ", 0, end))
    return None


def outlived(project: Project, calendar: Calendar, environment: str, expires_at: str) -> tuple[Finding, ...]:
    """A note where a closure or a window outlives a plan that expires then: it could not be applied from its beginning to the plan's end."""
    from amsctl.windows.hours import Hours

    hours = Hours(calendar=calendar, windows=project.windows, environment=environment)
    closure = None if hours.always else hours.closed(datetime.fromisoformat(expires_at).timestamp(), Phase.TIGHTEN)
    if closure is None:
        return ()
    message = f"{closure.why} when this plan expires, and {closure.opens}: what is not applied before must be planned again (planValid)"
    return (Finding(code=OUTLIVED, severity=Severity.NOTE, message=message, where=closure.where or environment),)


def check_outlived(plan: Plan, ways: Iterable[tuple[Project, Calendar]]) -> None:
    """Stale unless the plan says of its closures what one of the project files says that it may have been made under, each with a calendar."""
    stated = tuple(one for one in plan.findings if one.code == OUTLIVED)
    first: tuple[Finding, ...] | None = None
    for project, calendar in ways:
        found = outlived(project, calendar, plan.target.environment, plan.expires_at)
        if found == stated:
            return
        first = found if first is None else first
    raise Stale(
        "the plan says something else of the closures that outlive it than the windows of the project give",
        where=stated[0].where if stated else plan.target.environment,
        expected=_sentences(first or ()),
        found=_sentences(stated),
        hint="plan again, and have that plan reviewed",
    )


def check_stated(findings: Sequence[Finding], account: DesiredAccount, key: AccountKey, rules: Rules) -> None:
    """Stale unless everything that a plan says of an account that does not change is what its manifest and some answer of the AMS give."""
    odd = unsaid(findings, account, key, rules)
    if odd is not None:
        raise Stale(
            "the plan says of an account that does not change what amsctl does not say of it",
            where=odd.where,
            expected=f"what its manifest gives ({account.source})",
            found=f"{odd.severity} {odd.code}: {odd.message}"[:300],
            hint="plan again, and have that plan reviewed",
        )


def _sentences(findings: Iterable[Finding]) -> str:
    return "; ".join(one.message for one in findings)[:300] or "nothing"


# --- the first difference ---


def _same_items(name: str, fresh: list[object], planned: list[object], stated: Sequence[object]) -> None:
    for number, (one, other) in enumerate(zip(fresh, planned, strict=False)):
        if _text(one) != _text(other):
            raise _not_derived(f"{name}[{number}]", _where(stated[number]), one, other)
    if len(fresh) != len(planned):
        raise _not_derived(name, name, f"{len(fresh)} of them", f"{len(planned)} of them")


def _text(value: object) -> str:
    """The one text of a value, the order of its members included: 1, 1.0 and true are three things."""
    return json.dumps(value)


def _difference(one: object, other: object) -> tuple[str, object, object]:
    """The place of the first difference, and what stands there."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in one if list(one) == list(other) else ():
            if _text(one[name]) != _text(other[name]):
                place, expected, found = _difference(one[name], other[name])
                return f".{name}{place}", expected, found
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (expected, found) in enumerate(zip(one, other, strict=True)):
            if _text(expected) != _text(found):
                place, expected, found = _difference(expected, found)
                return f"[{number}]{place}", expected, found
    return "", one, other


def _where(item: object) -> str:
    if isinstance(item, Change | Finding):
        return item.where
    key = getattr(item, "account_key", None)
    return "the plan" if key is None else str(key)


def _not_derived(name: str, where: str, one: object, other: object) -> Stale:
    place, expected, found = _difference(one, other)
    return Stale(
        f"the plan is not what these manifests give on what is live now: {name}{place}",
        where=where,
        expected=_words(expected),
        found=_words(found),
        hint="plan again, and have that plan reviewed",
    )


def _words(value: object) -> str:
    return (value if isinstance(value, str) else _text(value))[:300]
