"""What a plan would do, as one digest: two plans of the same content ask reviewers for the same decision, whenever and by which run they were made."""

from __future__ import annotations

import hashlib
from typing import Final

from amsctl.planning.fingerprint import amount_json, canonical
from amsctl.planning.plan import Change, ChangeValue, Plan, Step

CONTENT_PREFIX: Final = "sha256:"


def content_of(plan: Plan) -> str:
    """``sha256:…`` (64 digits) over the target, every change with its value before and after, and every call with its body, in their order.

    Not part of it is what a second run of the planning job may move without changing the decision: identifiers, times, use, the place in a manifest,
    findings, and the commit. A body carries the other legs of its rows as they were read, so a value that moved beside a change is another content.
    """
    digest = hashlib.sha256()
    target = plan.target
    digest.update(canonical({"environment": target.environment, "url": target.url, "service": target.service}))
    for kind, items in (("change", map(_change, plan.changes)), ("step", map(_step, plan.steps))):
        for item in items:
            digest.update(b"\n" + canonical({kind: item}))
    return CONTENT_PREFIX + digest.hexdigest()


def _change(change: Change) -> dict[str, object]:
    return {
        "kind": change.kind.value,
        "clearing_firm": change.clearing_firm,
        "account": change.account,
        "execution_firm": change.execution_firm,
        "product": change.product,
        "owner": None if change.owner is None else change.owner.value,
        "leg": None if change.leg is None else change.leg.value,
        "before": _value(change.before),
        "after": _value(change.after),
        "direction": change.direction.value,
    }


def _value(value: ChangeValue) -> int | str | bool:
    return value if isinstance(value, bool | str) else amount_json(value)


def _step(step: Step) -> dict[str, object]:
    return {"phase": step.phase.value, "method": step.method, "path": step.path, "query": dict(step.query), "body": dict(step.body)}
