"""``policies`` and ``approvals`` of the project file: rules that no plan breaks, and who must agree to one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from amsctl.config import (
    Applies,
    ApprovalRule,
    Approvals,
    ApprovalSource,
    MakersFrom,
    Maximum,
    NoLoosening,
    Policy,
    Rule,
    TicketNeeded,
    Weekday,
)
from amsctl.manifests.decoding import (
    free_text,
    mapping_of,
    refuse,
    scalar_at,
    sequence_at,
    switch_at,
    whole_number,
    word_at,
)
from amsctl.manifests.findings import Findings
from amsctl.manifests.identifiers import LABEL_KEY, NAME, matcher, nearest
from amsctl.manifests.nodes import Map, Node, Seq
from amsctl.model import Owner

PRODUCT_PATTERN: Final = "^[A-Za-z0-9_+&/.*-]{1,42}$"
"""A product in which ``*`` stands for any characters."""
TYPE: Final = "^[A-Z][A-Z0-9]{0,9}$"
TICKET_KEY: Final = "^[A-Z][A-Z0-9]{1,15}$"
SIGNERS_PATH: Final = "^(?!.*[.][.])[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$"
LOGIN: Final = "^[A-Za-z0-9][A-Za-z0-9._@-]{0,254}$"
"""An account at GitHub or GitLab."""
_ZONE: Final = "^[A-Za-z][A-Za-z0-9_+-]{0,31}(?:/[A-Za-z0-9_+-]{1,31}){0,2}$"
_MOST: Final = 100
_MOST_CONTRACTS: Final = 2_147_483_647
_MOST_LOTS: Final = 9_999_999_999
_MOST_APPROVALS: Final = 10
_MOST_HOURS: Final = 168
_MOST_FACTOR: Final = 1_000_000
_OVERRIDDEN: Final = "overridden"
_KINDS: Final = ("maximum", "ticket", "noLoosening")
_is_name: Final = matcher(NAME).match


# --- policies ---


def policies_of(spec: Map, environments: Mapping[str, object], findings: Findings) -> tuple[Policy, ...]:
    """The policies that are written; those that mean nothing are told in ``findings``."""
    if "policies" not in spec.entries:
        return ()
    node = spec.entries["policies"][1]
    if not isinstance(node, Seq) or not 0 < len(node.items) <= _MOST:
        refuse()
    items = [mapping_of(item, ("name", *_KINDS, "environments"), ("name",)) for item in node.items]
    policies = tuple(map(_policy, items))
    seen: dict[str, int] = {}
    for item, policy in zip(items, policies, strict=True):
        _, _, pos = scalar_at(item, "name")
        if policy.name in seen:
            findings.add(
                "repeated", "two policies have the same name", pos, found=policy.name, hint="name them apart", related=seen[policy.name]
            )
        seen.setdefault(policy.name, pos)
        _check_environments(item, environments, findings)
        _check_zone(item, findings)
    return policies


def _policy(item: Map) -> Policy:
    name = scalar_at(item, "name")[0]
    kinds = [kind for kind in _KINDS if kind in item.entries]
    if not _is_name(name) or len(kinds) != 1:
        refuse()
    return Policy(name=name, rule=_RULES[kinds[0]](item.entries[kinds[0]][1]), environments=_texts(item, "environments"))


def _maximum(node: Node) -> Rule:
    rule = mapping_of(node, ("contracts", "products", "types", "labels", "owner"), ("contracts",))
    labels: tuple[str, ...] = ()
    if "labels" in rule.entries:
        written = rule.entries["labels"][1]
        if not isinstance(written, Map) or not 0 < len(written.entries) <= _MOST:
            refuse()
        if not all(matcher(LABEL_KEY).match(key) and _is_name(scalar_at(written, key)[0]) for key in written.entries):
            refuse()
        labels = tuple(sorted(f"{key}={scalar_at(written, key)[0]}" for key in written.entries))
    owner = word_at(rule, "owner", tuple(Owner))
    return Maximum(
        contracts=whole_number(rule, "contracts", 0, _MOST_CONTRACTS, 0),
        products=_matching(rule, "products", PRODUCT_PATTERN),
        types=_matching(rule, "types", TYPE),
        labels=labels,
        owner=None if owner is None else Owner(owner),
    )


def _ticket(node: Node) -> Rule:
    rule = mapping_of(node, ("keys", "applies"), ("keys",))
    return TicketNeeded(
        keys=_matching(rule, "keys", TICKET_KEY), applies=Applies(word_at(rule, "applies", tuple(Applies)) or Applies.LOOSEN)
    )


def _no_loosening(node: Node) -> Rule:
    rule = mapping_of(node, ("days", "timeZone"), ("days", "timeZone"))
    zone = scalar_at(rule, "timeZone")[0]
    days = _texts(rule, "days")
    if not all(day in tuple(Weekday) for day in days) or not matcher(_ZONE).match(zone):
        refuse()
    return NoLoosening(days=tuple(day for day in Weekday if day in days), time_zone=zone)


_RULES: Final = {"maximum": _maximum, "ticket": _ticket, "noLoosening": _no_loosening}


def _check_zone(item: Map, findings: Findings) -> None:
    if "noLoosening" not in item.entries:
        return
    from amsctl.windows.zones import zone_problem  # with time zones: most projects have no such policy

    rule = item.entries["noLoosening"][1]
    assert isinstance(rule, Map)
    zone, _, pos = scalar_at(rule, "timeZone")
    wrong = zone_problem(zone)
    if wrong is not None:
        findings.add(wrong.code, wrong.what, pos, expected=wrong.expected, found=wrong.found, hint=wrong.hint)


def _check_environments(item: Map, environments: Mapping[str, object], findings: Findings) -> None:
    for name, _, pos in sequence_at(item, "environments", 1000):
        if name not in environments:
            close = nearest(name, environments)
            hint = f"did you mean {close}?" if close is not None else "name one of spec.environments"
            findings.add("environment", "no environment is called so", pos, found=name, hint=hint)


# --- approvals ---


def approvals_of(spec: Map, environments: Mapping[str, object], findings: Findings) -> Approvals | None:
    """Who must approve; ``None`` where no approvals are asked for. ``signatures`` alone: one approval for anything that lets more through. Reviews need
    the list of those whose reviews count.
    """
    if "approvals" not in spec.entries:
        return None
    node = spec.entries["approvals"][1]
    if isinstance(node, tuple):
        word_at(spec, "approvals", (ApprovalSource.SIGNATURES,))
        return Approvals()
    written = mapping_of(node, ("from", "signers", "approvers", "validHours", "verdict", "environments", "rules", "makers"))
    source = ApprovalSource(word_at(written, "from", tuple(ApprovalSource)) or ApprovalSource.SIGNATURES)
    signed = source is ApprovalSource.SIGNATURES
    if ("approvers" if signed else "signers") in written.entries or (not signed and "verdict" in written.entries):
        refuse()
    if not signed and "approvers" not in written.entries:
        refuse()
    _check_environments(written, environments, findings)
    usual = Approvals()
    makers = word_at(written, "makers", tuple(MakersFrom))
    if signed and makers == MakersFrom.FORGE:
        refuse()
    return Approvals(
        source=source,
        signers=_path(written, usual.signers),
        approvers=_matching(written, "approvers", LOGIN),
        valid_hours=whole_number(written, "validHours", 1, _MOST_HOURS, usual.valid_hours),
        verdict=switch_at(written, "verdict"),
        environments=_texts(written, "environments"),
        rules=_approval_rules(written) or usual.rules,
        makers_from=None if makers is None else MakersFrom(makers),
    )


def _path(node: Map, usual: str) -> str:
    """A file below the project's folder: what is read from the base branch must be in the repository."""
    path = free_text(node, "signers") or usual
    if not matcher(SIGNERS_PATH).match(path):
        refuse()
    return path


def _approval_rules(node: Map) -> tuple[ApprovalRule, ...]:
    if "rules" not in node.entries:
        return ()
    written = node.entries["rules"][1]
    if not isinstance(written, Seq) or not 0 < len(written.items) <= _MOST:
        refuse()
    return tuple(map(_approval_rule, written.items))


def _approval_rule(node: Node) -> ApprovalRule:
    rule = mapping_of(node, ("approvals", "applies", "factor", "lots"), ("approvals",))
    if len(rule.entries) > 2:  # two measures of one plan are two rules
        refuse()
    applies = word_at(rule, "applies", (*Applies, _OVERRIDDEN)) or Applies.LOOSEN
    return ApprovalRule(
        approvals=whole_number(rule, "approvals", 0, _MOST_APPROVALS, 0),
        applies=Applies.LOOSEN if applies == _OVERRIDDEN else Applies(applies),
        factor=whole_number(rule, "factor", 1, _MOST_FACTOR, 1) if "factor" in rule.entries else None,
        lots=whole_number(rule, "lots", 0, _MOST_LOTS, 0) if "lots" in rule.entries else None,
        overridden=applies == _OVERRIDDEN,
    )


# --- parts ---


def _texts(node: Map, key: str) -> tuple[str, ...]:
    return tuple(text for text, _, _ in sequence_at(node, key, 1000))


def _matching(node: Map, key: str, pattern: str) -> tuple[str, ...]:
    matches = matcher(pattern).match
    texts = _texts(node, key)
    if not all(matches(text) for text in texts):
        refuse()
    return texts
