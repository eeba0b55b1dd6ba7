"""What two saved plans do not have in common. Pure; when a plan was made is no difference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from amsctl.model import AccountKey
from amsctl.planning.codec import encode_members
from amsctl.planning.plan import Change, Finding, Plan

_CONTEXT = ("tool", "target", "source")
Subject: TypeAlias = tuple[str, ...]
"""What a change is about: account, kind, execution firm, product, owner, leg."""


class Fact(NamedTuple):
    """A member of a plan that both have, with the value of each; ``None`` where one has none."""

    name: str
    first: object
    second: object


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanDifference:
    """``gone``: changes of the first plan alone; ``new``: of the second alone; ``other``: both change the same thing, otherwise. ``moved``: accounts that
    both read and that were not the same. ``facts``: target, commit, manifests and tool where they differ.
    """

    first: Plan
    second: Plan
    gone: tuple[Change, ...]
    new: tuple[Change, ...]
    other: tuple[tuple[Change, Change], ...]
    findings_gone: tuple[Finding, ...]
    findings_new: tuple[Finding, ...]
    moved: tuple[AccountKey, ...]
    facts: tuple[Fact, ...]

    @property
    def same_changes(self) -> bool:
        """Whether both plans do the same, whatever else differs."""
        return not (self.gone or self.new or self.other)

    @property
    def nothing(self) -> bool:
        """Whether nothing differs but when they were made."""
        return self.same_changes and not (self.findings_gone or self.findings_new or self.moved or self.facts)


def compare(first: Plan, second: Plan) -> PlanDifference:
    """What differs between two plans, in the order of the plans."""
    one, two = _by_subject(first.changes), _by_subject(second.changes)
    before, after = {_told(finding): finding for finding in first.findings}, {_told(finding): finding for finding in second.findings}
    read = {seen.account_key: seen.sha256 for seen in first.observed}
    return PlanDifference(
        first=first,
        second=second,
        gone=tuple(change for subject, change in one.items() if subject not in two),
        new=tuple(change for subject, change in two.items() if subject not in one),
        other=tuple((one[subject], change) for subject, change in two.items() if subject in one and _does(one[subject]) != _does(change)),
        findings_gone=tuple(finding for told, finding in before.items() if told not in after),
        findings_new=tuple(finding for told, finding in after.items() if told not in before),
        moved=tuple(seen.account_key for seen in second.observed if read.get(seen.account_key, seen.sha256) != seen.sha256),
        facts=tuple(_facts(_context(first), _context(second))),
    )


def _by_subject(changes: Iterable[Change]) -> dict[Subject, Change]:
    return {subject_of(change): change for change in changes}


def subject_of(change: Change) -> Subject:
    """What a change is about, whatever it does to it."""
    parts = (change.clearing_firm, change.account, change.kind, change.execution_firm, change.product, change.owner, change.leg)
    return tuple("" if part is None else str(part) for part in parts)


def _does(change: Change) -> tuple[object, ...]:
    """What a change does, and how it is judged; where it is written down is no part of that."""
    return (
        *(_typed(change.before), _typed(change.after), change.direction, change.binding),
        *(_typed(change.effective_before), _typed(change.effective_after)),
    )


def _typed(value: object) -> tuple[str, object]:
    """A value that equals no value of another type, as ``True`` does ``1``."""
    return type(value).__name__, value


def _told(finding: Finding) -> tuple[str, str, str, bool]:
    return finding.code, finding.where, finding.message, finding.blocks


def _context(plan: Plan) -> dict[str, Any]:
    members = encode_members(plan)
    return {name: members[name] for name in _CONTEXT}


def _facts(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Fact]:
    from deepdiff import DeepDiff  # heavy, and only wanted here

    tree = DeepDiff(first, second, view="tree")
    found = []
    for levels in tree.values():
        for level in levels:
            name = ".".join(str(part) for part in level.path(output_format="list"))
            found.append(Fact(name, *(None if type(side).__name__ == "NotPresent" else side for side in (level.t1, level.t2))))
    yield from sorted(found, key=lambda fact: fact.name)
