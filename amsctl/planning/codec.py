"""Plan ↔ JSON (``amsctl.plan/v1``), and the digest that seals it.

Decoding is strict: a missing, unknown or ill-typed member, another format, or a digest that does not match is refused with the place where it stands.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from enum import StrEnum
from itertools import product
from typing import Final, TypeVar, assert_never, cast

from amsctl.config import (
    Applies,
    ApprovalRule,
    ApprovalSource,
    GuardName,
    Maximum,
    NoLoosening,
    Op,
    Policy,
    Rule,
    Threshold,
    TicketNeeded,
    Weekday,
)
from amsctl.diagnostics import Severity, Source
from amsctl.errors import PlanFileError
from amsctl.inert import inert_json
from amsctl.model import Amount, Direction, Leg, Owner, Phase, Special
from amsctl.planning.fingerprint import amount_json, sha256_of_members
from amsctl.planning.plan import (
    PLAN_FORMAT,
    Against,
    ApprovalNeed,
    Base,
    Change,
    ChangeKind,
    ChangeValue,
    Finding,
    Git,
    Observed,
    Origin,
    Plan,
    PointSource,
    Reference,
    Rollback,
    RuleMet,
    Ruling,
    Selection,
    Step,
    Summary,
    Target,
    Verdict,
)

TOOL: Final = "amsctl"
_T = TypeVar("_T")
_E = TypeVar("_E", bound=StrEnum)


# --- text ---


def text_of(plan: Plan) -> Iterator[str]:
    """The plan as the one JSON text that it has, piece by piece: an item of each list a line, so that a diff of two plans reads well. Pure ASCII."""
    separator = "{"
    for name, value in encode_members(plan).items():
        yield f'{separator}\n"{name}": '
        if isinstance(value, Iterator):
            opening = "["
            for item in value:
                yield f"{opening}\n{_line(item)}"
                opening = ","
            yield "\n]" if opening == "," else "[]"
        else:
            yield _line(value)
        separator = ","
    yield "\n}\n"


def _line(value: object) -> str:
    return inert_json(json.dumps(value, separators=(", ", ": "), allow_nan=False))


def check_text(plan: Plan, content: bytes, value: object) -> None:
    """PlanFileError unless ``content`` is the text of ``plan`` byte for byte, or ``value`` (what it reads as) written anew by a program as a whole.

    The digest seals what a plan says; this finds the rest, a blank or a line break that somebody's hand has left in a file that was reviewed.
    """
    position = 0
    for piece in text_of(plan):
        expected = piece.encode("ascii")
        if content[position : position + len(expected)] != expected:
            break
        position += len(expected)
    else:
        if position == len(content):
            return
    if _written_anew(value, content):
        return
    raise PlanFileError(
        "the plan file was changed after it was written",
        expected="the bytes that amsctl plan wrote",
        found=f"a difference after byte {position:,}",
        hint="use the file as plan -o wrote it, or make the plan again",
    )


def _written_anew(value: object, content: bytes) -> bool:
    """Whether the text is one that a JSON writer makes of the value: on one line or indented, in its order or sorted, with or without a last line
    break.
    """
    text = content.removesuffix(b"\n")
    if len(content) - len(text) > 1 or text.endswith(b"\n"):
        return False
    indent = _indent_of(text)
    for separators in ((", ", ": "), (",", ":")) if indent is None else ((",", ": "),):
        for ascii_alone, ordered in product((True, False), repeat=2):
            form = json.dumps(value, indent=indent, separators=separators, ensure_ascii=ascii_alone, sort_keys=ordered)
            if form.encode("utf-8", "replace") == text:
                return True
    return False


def _indent_of(text: bytes) -> str | None:
    """What stands before the first member of an indented object; ``None`` for a text on one line."""
    if not text.startswith(b"{\n"):
        return None
    return text[2 : max(2, text.find(b'"'))].decode("ascii", "replace")


# --- encode ---


def encode(plan: Plan) -> dict[str, object]:
    """The plan as one JSON object, members in reading order."""
    return {name: list(value) if isinstance(value, Iterator) else value for name, value in encode_members(plan).items()}


def encode_members(plan: Plan) -> dict[str, object]:
    """The same with each list as an iterator over its items as JSON, to be walked once: a long plan is never in memory a second time."""
    return {
        "format": PLAN_FORMAT,
        "digest": plan.digest,
        "created_at": plan.created_at,
        "expires_at": plan.expires_at,
        "tool": {"name": TOOL, "version": plan.tool_version},
        "target": _target(plan.target),
        "source": _origin(plan.origin),
        "summary": {name: getattr(plan.summary, name) for name in Summary.__slots__},
        "changes": map(encode_change, plan.changes),
        "steps": map(encode_step, plan.steps),
        "observed": map(_observed, plan.observed),
        "guards_against": None if plan.against is None else _against(plan.against),
        "references": map(_reference, plan.references),
        "guards": map(_verdict, plan.guards),
        "policies": map(_ruling, plan.policies),
        "approvals": None if plan.approvals is None else _approvals(plan.approvals),
        "findings": map(encode_finding, plan.findings),
    }


def _observed(item: Observed) -> dict[str, object]:
    return {name: list(value) if isinstance(value := getattr(item, name), tuple) else value for name in Observed.__slots__}


def _against(against: Against) -> dict[str, object]:
    return {"days": against.days, "sources": [source.value for source in against.sources], "unread": against.unread}


def _reference(one: Reference) -> dict[str, object]:
    return {
        "clearing_firm": one.clearing_firm,
        "account": one.account,
        "execution_firm": one.execution_firm,
        "product": one.product,
        "leg": one.leg.value,
        "owner": None if one.owner is None else one.owner.value,
        "value": one.value,
        "at": one.at,
        "source": one.source.value,
    }


def _verdict(verdict: Verdict) -> dict[str, object]:
    threshold = verdict.threshold
    return {
        "guard": verdict.guard.value,
        "percent": threshold.percent,
        "amount": threshold.amount,
        "op": threshold.op.value,
        "factor": threshold.factor,
        "measured": verdict.measured,
        "of": verdict.of,
        "passed": verdict.passed,
        "where": verdict.where,
    }


def _ruling(ruling: Ruling) -> dict[str, object]:
    return {
        "name": ruling.policy.name,
        "rule": _rule(ruling.policy.rule),
        "environments": list(ruling.policy.environments),
        "broken": ruling.broken,
        "where": ruling.where,
    }


def _rule(rule: Rule) -> dict[str, object]:
    match rule:
        case Maximum():
            return {
                "kind": "maximum",
                "contracts": rule.contracts,
                "products": list(rule.products),
                "types": list(rule.types),
                "labels": list(rule.labels),
                "owner": None if rule.owner is None else rule.owner.value,
            }
        case TicketNeeded():
            return {"kind": "ticket", "keys": list(rule.keys), "applies": rule.applies.value}
        case NoLoosening():
            return {"kind": "no-loosening", "days": [day.value for day in rule.days], "time_zone": rule.time_zone}
        case _:
            assert_never(rule)


def _approvals(need: ApprovalNeed) -> dict[str, object]:
    return {"from": need.source.value, "needed": need.needed, "rules": list(map(_rule_met, need.rules))}


def _rule_met(one: RuleMet) -> dict[str, object]:
    rule = one.rule
    return {
        "approvals": rule.approvals,
        "applies": rule.applies.value,
        "factor": rule.factor,
        "lots": rule.lots,
        "overridden": rule.overridden,
        "met": one.met,
        "where": one.where,
    }


def digest_of(plan: Plan) -> str:
    """``sha256:…`` over everything but the digest itself, in canonical JSON (RFC 8785)."""
    members = encode_members(plan)
    del members["digest"]
    return "sha256:" + sha256_of_members(members)


def sealed(plan: Plan) -> Plan:
    """The plan with its digest filled in."""
    return replace(plan, digest=digest_of(plan))


def _target(target: Target) -> dict[str, object]:
    return {
        "environment": target.environment,
        "ams": target.ams,
        "url": target.url,
        "service": target.service,
        "principal": target.principal,
        "ownership": [owner.value for owner in target.ownership],
        "unset_means": target.unset_means,
        "protected": target.protected,
    }


def _origin(origin: Origin) -> dict[str, object]:
    git = origin.git
    return {
        "manifests_sha256": origin.manifests_sha256,
        "git": None
        if git is None
        else {name: list(value) if isinstance(value := getattr(git, name), tuple) else value for name in Git.__slots__},
        "selection": {
            "paths": list(origin.selection.paths),
            "accounts": list(origin.selection.accounts),
            "labels": list(origin.selection.labels),
        },
        "base": None
        if origin.base is None
        else {"ref": origin.base.ref, "commit": origin.base.commit, "unprotected": list(origin.base.unprotected)},
        "rollback": None if origin.rollback is None else {"run": origin.rollback.run, "asked_by": origin.rollback.asked_by},
    }


def _value_json(value: ChangeValue) -> int | str | bool:
    return amount_json(value) if isinstance(value, Special) else value


def encode_change(change: Change) -> dict[str, object]:
    """One change as JSON; members that do not apply to its kind are null."""
    return {
        "id": change.id,
        "kind": change.kind.value,
        "clearing_firm": change.clearing_firm,
        "account": change.account,
        "execution_firm": change.execution_firm,
        "product": change.product,
        "owner": None if change.owner is None else change.owner.value,
        "leg": None if change.leg is None else change.leg.value,
        "before": _value_json(change.before),
        "after": _value_json(change.after),
        "direction": change.direction.value,
        "binding": change.binding,
        "effective_before": None if change.effective_before is None else amount_json(change.effective_before),
        "effective_after": None if change.effective_after is None else amount_json(change.effective_after),
        "usage": change.usage,
        "source": None if change.source is None else change.source._asdict(),
    }


def encode_step(step: Step) -> dict[str, object]:
    """One step as JSON."""
    return {
        "id": step.id,
        "phase": step.phase.value,
        "clearing_firm": step.clearing_firm,
        "account": step.account,
        "method": step.method,
        "path": step.path,
        "query": dict(step.query),
        "body": step.body,
        "changes": list(step.changes),
        "after": list(step.after),
    }


def encode_finding(finding: Finding) -> dict[str, object]:
    """One finding as JSON."""
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "message": finding.message,
        "where": finding.where,
        "blocks": finding.blocks,
        **({} if finding.source is None else {"source": finding.source._asdict()}),
    }


# --- decode ---


def decode(value: object) -> Plan:
    """The plan that a JSON value holds; PlanFileError names the first member that is not as it must be, or a digest that does not match."""
    reader = _Reader(value, "")
    found = reader.take("format", _text)
    if found != PLAN_FORMAT:
        raise PlanFileError("this is not a plan that this version reads", where="format", expected=PLAN_FORMAT, found=repr(found))
    digest = reader.take("digest", _text)
    tool = reader.object("tool")
    if tool.take("name", _text) != TOOL:
        raise PlanFileError("this plan was written by another tool", where="tool.name", expected=TOOL)
    plan = Plan(
        digest=digest,
        created_at=reader.take("created_at", _text),
        expires_at=reader.take("expires_at", _text),
        tool_version=tool.take("version", _text),
        target=_read_target(reader.object("target")),
        origin=_read_origin(reader.object("source")),
        summary=_read_summary(reader.object("summary")),
        changes=tuple(reader.list("changes", _read_change)),
        steps=tuple(reader.list("steps", _read_step)),
        observed=tuple(reader.list("observed", _read_observed)),
        against=_read_against(reader),
        references=tuple(reader.list("references", _read_reference)),
        guards=tuple(reader.list("guards", _read_verdict)),
        policies=tuple(reader.list("policies", _read_ruling)),
        approvals=_read_approvals(reader),
        findings=tuple(reader.list("findings", _read_finding)),
    )
    tool.done()
    reader.done()
    actual = _digest_read(plan)
    if actual != digest:
        raise PlanFileError(
            "the plan was changed after it was written",
            where="digest",
            expected=digest,
            found=actual,
            hint="make the plan again with amsctl plan -o",
        )
    return plan


def _digest_read(plan: Plan) -> str:
    """The digest of what a file held, which need not be anything that ``encode`` writes: half a character, or a body of a thousand levels."""
    try:
        return digest_of(plan)
    except (UnicodeEncodeError, RecursionError):
        raise PlanFileError(
            "the plan file holds what no plan holds (half a character, or a value nested too deeply)",
            hint="make the plan again with amsctl plan -o",
        ) from None


class _Reader:
    """An object's members, taken one by one; what is left over at the end is unknown."""

    def __init__(self, value: object, where: str) -> None:
        self.where = where
        if not isinstance(value, Mapping):
            raise PlanFileError(
                "the plan file is not as it must be", where=where or "top level", expected="an object", found=type(value).__name__
            )
        self._members = dict(cast("Mapping[str, object]", value))

    def at(self, name: str) -> str:
        return f"{self.where}.{name}" if self.where else name

    def raw(self, name: str) -> object:
        if name not in self._members:
            raise PlanFileError("the plan file lacks a member", where=self.at(name))
        return self._members.pop(name)

    def take(self, name: str, read: Callable[[object], _T]) -> _T:
        value = self.raw(name)
        try:
            return read(value)
        except _NotAs as problem:
            raise PlanFileError(
                "the plan file is not as it must be", where=self.at(name), expected=problem.expected, found=repr(value)[:80]
            ) from None

    def has(self, name: str) -> bool:
        return name in self._members

    def optional(self, name: str, read: Callable[[object], _T]) -> _T | None:
        if self._members.get(name, _MISSING) is None:
            del self._members[name]
            return None
        return self.take(name, read)

    def object(self, name: str) -> _Reader:
        return _Reader(self.raw(name), self.at(name))

    def list(self, name: str, read: Callable[[_Reader], _T]) -> list[_T]:
        items = self.take(name, _list)
        result = []
        for number, item in enumerate(items):
            reader = _Reader(item, f"{self.at(name)}[{number}]")
            result.append(read(reader))
            reader.done()
        return result

    def done(self) -> None:
        if self._members:
            raise PlanFileError("the plan file has a member that this version does not know", where=self.at(sorted(self._members)[0]))


_MISSING: Final = object()


class _NotAs(Exception):
    def __init__(self, expected: str) -> None:
        self.expected = expected


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise _NotAs("a text")


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise _NotAs("true or false")


def _count(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise _NotAs("a whole number, 0 or more")


def _list(value: object) -> list[object]:
    if isinstance(value, list):
        return value
    raise _NotAs("a list")


def _texts(value: object) -> tuple[str, ...]:
    return tuple(_text(item) for item in _list(value))


def _text_map(value: object) -> dict[str, str]:
    if isinstance(value, dict):
        return {_text(key): _text(item) for key, item in value.items()}
    raise _NotAs("an object of texts")


def _json_object(value: object) -> dict[str, object]:
    if isinstance(value, dict):
        return value
    raise _NotAs("an object")


def _word(kind: type[_E]) -> Callable[[object], _E]:
    def read(value: object) -> _E:
        try:
            return kind(_text(value))
        except ValueError:
            raise _NotAs("one of " + ", ".join(kind)) from None

    return read


def _words(kind: type[_E]) -> Callable[[object], tuple[_E, ...]]:
    def read(value: object) -> tuple[_E, ...]:
        return tuple(_word(kind)(item) for item in _texts(value))

    return read


def _one_of(*words: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if _text(value) not in words:
            raise _NotAs("one of " + ", ".join(words))
        return _text(value)

    return read


def _amount(value: object) -> Amount:
    if isinstance(value, str):
        try:
            return Special(value)
        except ValueError:
            raise _NotAs("a whole number, unlimited or unset") from None
    return _count(value)


def _read_target(reader: _Reader) -> Target:
    target = Target(
        environment=reader.take("environment", _text),
        ams=reader.take("ams", _text),
        url=reader.take("url", _text),
        service=reader.take("service", _text),
        principal=reader.take("principal", _text),
        ownership=reader.take("ownership", _words(Owner)),
        unset_means=reader.take("unset_means", _text),
        protected=reader.take("protected", _flag),
    )
    reader.done()
    return target


def _read_origin(reader: _Reader) -> Origin:
    manifests = reader.take("manifests_sha256", _text)
    raw = reader.optional("git", _json_object)
    git = None
    if raw is not None:
        members = _Reader(raw, reader.at("git"))
        git = Git(
            commit=members.take("commit", _text),
            author=members.take("author", _text),
            dirty=members.take("dirty", _flag),
            message=members.take("message", _text),
            contributors=members.take("contributors", _texts),
            started_by=members.optional("started_by", _text),
            rerun_by=members.optional("rerun_by", _text),
        )
        members.done()
    members = reader.object("selection")
    selection = Selection(
        paths=members.take("paths", _texts), accounts=members.take("accounts", _texts), labels=members.take("labels", _texts)
    )
    members.done()
    raw, base = reader.optional("base", _json_object), None
    if raw is not None:
        members = _Reader(raw, reader.at("base"))
        base = Base(ref=members.take("ref", _text), commit=members.take("commit", _text), unprotected=members.take("unprotected", _texts))
        members.done()
    raw, rollback = reader.optional("rollback", _json_object), None
    if raw is not None:
        members = _Reader(raw, reader.at("rollback"))
        rollback = Rollback(run=members.take("run", _text), asked_by=members.take("asked_by", _text))
        members.done()
    reader.done()
    return Origin(manifests_sha256=manifests, git=git, selection=selection, base=base, rollback=rollback)


def _read_summary(reader: _Reader) -> Summary:
    summary = Summary(**{name: reader.take(name, _count) for name in Summary.__slots__})
    reader.done()
    return summary


_READ_VALUE: Final[Mapping[ChangeKind, Callable[[object], ChangeValue]]] = {
    ChangeKind.LIMIT: _amount,
    ChangeKind.SUSPENSION: _flag,
    ChangeKind.STATUS: _text,
}


def decode_changes(value: object) -> tuple[Change, ...]:
    """Changes as ``encode_change`` wrote them, in the order of their list; PlanFileError when they are not that."""
    return tuple(_Reader({"changes": value}, "").list("changes", _read_change))


def _read_change(reader: _Reader) -> Change:
    kind = reader.take("kind", _word(ChangeKind))
    return Change(
        id=reader.take("id", _text),
        kind=kind,
        clearing_firm=reader.take("clearing_firm", _text),
        account=reader.take("account", _text),
        execution_firm=reader.optional("execution_firm", _text),
        product=reader.optional("product", _text),
        owner=reader.optional("owner", _word(Owner)),
        leg=reader.optional("leg", _word(Leg)),
        before=reader.take("before", _READ_VALUE[kind]),
        after=reader.take("after", _READ_VALUE[kind]),
        direction=reader.take("direction", _word(Direction)),
        binding=reader.take("binding", _flag),
        effective_before=reader.optional("effective_before", _amount),
        effective_after=reader.optional("effective_after", _amount),
        usage=reader.optional("usage", _count),
        source=_read_source(reader),
    )


def _read_source(reader: _Reader) -> Source | None:
    raw = reader.optional("source", _json_object)
    if raw is None:
        return None
    members = _Reader(raw, reader.at("source"))
    source = Source(members.take("file", _text), members.take("line", _count), members.take("column", _count))
    members.done()
    return source


def _read_step(reader: _Reader) -> Step:
    return Step(
        id=reader.take("id", _text),
        phase=reader.take("phase", _word(Phase)),
        clearing_firm=reader.take("clearing_firm", _text),
        account=reader.take("account", _text),
        method=reader.take("method", _text),
        path=reader.take("path", _text),
        query=reader.take("query", _text_map),
        body=reader.take("body", _json_object),
        changes=reader.take("changes", _texts),
        after=reader.take("after", _texts),
    )


def _read_observed(reader: _Reader) -> Observed:
    return Observed(
        clearing_firm=reader.take("clearing_firm", _text),
        account=reader.take("account", _text),
        sha256=reader.take("sha256", _text),
        read_at=reader.take("read_at", _text),
        rows=reader.take("rows", _count),
        pages=reader.take("pages", _count),
        status=reader.take("status", _text),
        execution_firms=reader.take("execution_firms", _count),
        suspended=reader.take("suspended", _count),
        protected=reader.take("protected", _flag),
        labels=reader.take("labels", _texts),
    )


def _read_against(reader: _Reader) -> Against | None:
    raw = reader.optional("guards_against", _json_object)
    if raw is None:
        return None
    members = _Reader(raw, "guards_against")
    against = Against(
        days=members.take("days", _count), sources=members.take("sources", _words(PointSource)), unread=members.take("unread", _text)
    )
    members.done()
    return against


def _read_reference(reader: _Reader) -> Reference:
    return Reference(
        clearing_firm=reader.take("clearing_firm", _text),
        account=reader.take("account", _text),
        execution_firm=reader.take("execution_firm", _text),
        product=reader.take("product", _text),
        leg=reader.take("leg", _word(Leg)),
        owner=reader.optional("owner", _word(Owner)),
        value=reader.take("value", _count),
        at=reader.take("at", _text),
        source=reader.take("source", _word(PointSource)),
    )


def _read_verdict(reader: _Reader) -> Verdict:
    return Verdict(
        guard=reader.take("guard", _word(GuardName)),
        threshold=Threshold(
            percent=reader.optional("percent", _count),
            amount=reader.optional("amount", _count),
            op=reader.take("op", _word(Op)),
            factor=reader.optional("factor", _count),
        ),
        measured=reader.take("measured", _count),
        of=reader.optional("of", _count),
        passed=reader.take("passed", _flag),
        where=reader.take("where", _text),
    )


def _read_ruling(reader: _Reader) -> Ruling:
    policy = Policy(
        name=reader.take("name", _text),
        rule=_read_rule(reader.object("rule")),
        environments=reader.take("environments", _texts),
    )
    return Ruling(policy=policy, broken=reader.take("broken", _count), where=reader.take("where", _text))


def _read_rule(reader: _Reader) -> Rule:
    rule: Rule
    match reader.take("kind", _one_of("maximum", "ticket", "no-loosening")):
        case "maximum":
            rule = Maximum(
                contracts=reader.take("contracts", _count),
                products=reader.take("products", _texts),
                types=reader.take("types", _texts),
                labels=reader.take("labels", _texts),
                owner=reader.optional("owner", _word(Owner)),
            )
        case "ticket":
            rule = TicketNeeded(keys=reader.take("keys", _texts), applies=reader.take("applies", _word(Applies)))
        case _:
            rule = NoLoosening(days=reader.take("days", _words(Weekday)), time_zone=reader.take("time_zone", _text))
    reader.done()
    return rule


def _read_approvals(reader: _Reader) -> ApprovalNeed | None:
    raw = reader.optional("approvals", _json_object)
    if raw is None:
        return None
    members = _Reader(raw, "approvals")
    needed = members.take("needed", _count)
    need = ApprovalNeed(source=members.take("from", _word(ApprovalSource)), rules=tuple(members.list("rules", _read_rule_met)))
    members.done()
    if need.needed != needed:
        raise PlanFileError("the plan file is not as it must be", where="approvals.needed", expected=str(need.needed), found=str(needed))
    return need


def _read_rule_met(reader: _Reader) -> RuleMet:
    rule = ApprovalRule(
        approvals=reader.take("approvals", _count),
        applies=reader.take("applies", _word(Applies)),
        factor=reader.optional("factor", _count),
        lots=reader.optional("lots", _count),
        overridden=reader.take("overridden", _flag),
    )
    return RuleMet(rule=rule, met=reader.take("met", _flag), where=reader.take("where", _text))


def _read_finding(reader: _Reader) -> Finding:
    return Finding(
        code=reader.take("code", _text),
        severity=reader.take("severity", _word(Severity)),
        message=reader.take("message", _text),
        where=reader.take("where", _text),
        blocks=reader.take("blocks", _flag),
        source=_read_source(reader) if reader.has("source") else None,
    )
