"""What own policies, written in rego or anything else, say of a plan: the file that they leave (``amsctl.verdict/v1``), as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from amsctl.errors import PlanFileError

VERDICT_FORMAT: Final = "amsctl.verdict/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVerdict:
    """Which policies (a pack's name and version) judged which plan, whether it passed, and what they had to say."""

    plan_digest: str
    policy: str
    passed: bool
    denied: tuple[str, ...]
    warned: tuple[str, ...]


def decode_verdict(value: object, file: str) -> PolicyVerdict:
    """The verdict that a file holds. PlanFileError when it is not one, or says that a plan passed which it denies."""
    names = ("format", *PolicyVerdict.__slots__)
    if not isinstance(value, dict) or set(value) != set(names):
        raise _not_as(file, "top level", "an object of " + ", ".join(names))
    if value["format"] != VERDICT_FORMAT:
        raise _not_as(file, "format", VERDICT_FORMAT)
    for name in ("plan_digest", "policy"):
        if not isinstance(value[name], str) or not value[name]:
            raise _not_as(file, name, "a text")
    for name in ("denied", "warned"):
        if not isinstance(value[name], list) or not all(isinstance(item, str) for item in value[name]):
            raise _not_as(file, name, "a list of texts")
    if not isinstance(value["passed"], bool) or value["passed"] == bool(value["denied"]):
        raise _not_as(file, "passed", "true where nothing is denied, else false")
    return PolicyVerdict(
        plan_digest=value["plan_digest"],
        policy=value["policy"],
        passed=value["passed"],
        denied=tuple(value["denied"]),
        warned=tuple(value["warned"]),
    )


def _not_as(file: str, member: str, expected: str) -> PlanFileError:
    return PlanFileError(
        "this is not a verdict that this version reads", where=f"{file}: {member}", expected=expected, hint="docs/howto/policy-as-code.md"
    )
