"""A plan file, opened: the one set of checks that show, diff, approve, apply and the ledger share. Pure."""

from __future__ import annotations

import json
import re
from calendar import monthrange, timegm
from dataclasses import dataclass
from typing import Final

from amsctl.errors import PlanFileError
from amsctl.jsontext import json_value
from amsctl.model import AccountStatus
from amsctl.planning.codec import check_text, decode, digest_of
from amsctl.planning.consistency import check_consistency
from amsctl.planning.plan import PLAN_FORMAT, Plan

MOST_LIFETIME_SECONDS: Final = 168 * 3600
"""The longest life that the setting ``planValid`` can give a plan."""
_VERSION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,63}\Z")
_TIME: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:[.]([0-9]{1,6}))?Z\Z")
_HASH: Final = re.compile(r"[0-9a-f]{64}\Z")
_MOST_TEXT: Final = 20_000
_MOST_NAME: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFile:
    """A plan that passed every check that needs neither the project nor the AMS. Made by ``open`` and ``of`` alone."""

    plan: Plan
    where: str

    @classmethod
    def open(cls, content: bytes, where: str) -> PlanFile:
        """The plan that the bytes of a file hold. PlanFileError when they are none, are not as they were written, or say two things at once."""
        value = json_value(content, where)
        if not isinstance(value, dict) or value.get("format") != PLAN_FORMAT:
            found = value.get("format") if isinstance(value, dict) else None
            raise PlanFileError(
                "this is no plan",
                where=where,
                expected=f"a file with format {PLAN_FORMAT}",
                found=repr(found)[:80] if found is not None else "no format at all",
                hint="amsctl plan -o FILE writes one",
            )
        plan = decode(value)
        check_text(plan, content, value)
        return cls._checked(plan, where)

    @classmethod
    def of(cls, plan: Plan) -> PlanFile:
        """A plan that a program holds as a value, under the same checks. PlanFileError."""
        if _digest(plan) != plan.digest:
            raise PlanFileError("the plan was changed after it was made", where="digest", expected=plan.digest, hint="plan again")
        return cls._checked(plan, "plan")

    @classmethod
    def _checked(cls, plan: Plan, where: str) -> PlanFile:
        check_consistency(plan)
        _check_bounds(plan, where)
        return cls(plan=plan, where=where)


def _digest(plan: Plan) -> str:
    """The digest of a plan whose bodies, and every other value, are such as a file can hold."""
    try:
        for step in plan.steps:
            json_value(json.dumps(step.body).encode("ascii"), f"plan: step {step.id}")
        return digest_of(plan)
    except (ValueError, TypeError, RecursionError, AttributeError) as problem:
        raise PlanFileError(
            "the plan holds a value that no plan file can hold",
            where="plan",
            found=f"{type(problem).__name__}: {problem}"[:300],
            hint="plan again",
        ) from None


def seconds_of_life(plan: Plan) -> float:
    """From when a plan was made to when it may no longer be applied."""
    return _moment(plan.expires_at, "expires_at", "plan") - _moment(plan.created_at, "created_at", "plan")


def _check_bounds(plan: Plan, where: str) -> None:
    """The members that nothing can derive: they are bounded, and decide nothing."""
    created, expires = (_moment(text, name, where) for text, name in ((plan.created_at, "created_at"), (plan.expires_at, "expires_at")))
    if not 0 < expires - created <= MOST_LIFETIME_SECONDS:
        raise PlanFileError(
            "the plan lives longer than a plan can",
            where=f"{where}: expires_at",
            expected=f"at most {MOST_LIFETIME_SECONDS // 3600} hours after {plan.created_at}",
            found=plan.expires_at,
            hint="plan again",
        )
    for seen in plan.observed:
        _moment(seen.read_at, "observed.read_at", where)
        if _HASH.match(seen.sha256) is None or seen.status not in list(AccountStatus):
            raise PlanFileError(
                "the plan file is not as it must be", where=f"{where}: observed, {seen.account_key}", found=seen.status[:80]
            )
    git, rollback = plan.origin.git, plan.origin.rollback
    for name in (*((git.started_by, git.rerun_by) if git is not None else ()), *((rollback.asked_by,) if rollback is not None else ())):
        if name is not None and len(name) > _MOST_NAME:
            raise PlanFileError("a name is longer than any account's", where=f"{where}: source", found=f"{name[:80]}…")
    if _VERSION.match(plan.tool_version) is None:
        raise PlanFileError("the plan names no version of amsctl", where=f"{where}: tool.version", found=repr(plan.tool_version)[:80])
    for finding in plan.findings:
        if len(finding.message) > _MOST_TEXT or len(finding.where) > _MOST_TEXT:
            raise PlanFileError("a finding is longer than any that amsctl writes", where=f"{where}: findings, {finding.code[:40]}")


def _moment(text: str, name: str, where: str) -> float:
    """A UTC time as seconds since 1970."""
    found = _TIME.match(text)
    if found is not None:
        year, month, day, hour, minute, second = (int(digits) for digits in found.groups()[:6])
        if year and 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1] and hour < 24 and minute < 60 and second < 60:
            return timegm((year, month, day, hour, minute, second)) + float(f"0.{found[7] or 0}")
    raise PlanFileError(
        "the plan file is not as it must be", where=f"{where}: {name}", expected="YYYY-MM-DDTHH:MM:SSZ", found=repr(text)[:80]
    )
