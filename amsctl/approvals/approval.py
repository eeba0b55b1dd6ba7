"""An approval: one person's signed statement that one plan may be carried out, as a value and as a file (``amsctl.approval/v1``)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from amsctl.errors import ApprovalMissing
from amsctl.planning.fingerprint import canonical

APPROVAL_FORMAT: Final = "amsctl.approval/v1"
_MOST_TEXT: Final = 4_096
_DIGEST: Final = re.compile("sha256:[0-9a-f]{64}")
LEAST_DIGITS: Final = 32
"""Of a digest that a person names: two plans of the same twelve are found in two minutes."""


def is_digest_of(text: str, digest: str) -> bool:
    """Whether a text names a digest (``sha256:…``): its beginning, with 32 digits at least; ``sha256:`` may be left out."""
    digits = text.removeprefix("sha256:")
    return len(digits) >= LEAST_DIGITS and digest.removeprefix("sha256:").startswith(digits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What is signed. ``plan_digest`` is whole; ``ams`` names the AMS of the environment, ``base_commit`` the commit of the branch of record that the plan
    is held against (``None`` without one). Times are UTC, ``YYYY-MM-DDTHH:MM:SSZ``. ``verdict_sha256`` is over the file of a verdict of own policies,
    ``None`` where none was looked at; ``nonce`` tells two approvals of one person apart.
    """

    plan_digest: str
    environment: str
    url: str
    ams: str
    base_commit: str | None
    by: str
    made_at: str
    expires_at: str
    nonce: str
    verdict_sha256: str | None = None
    reason: str | None = None

    def to_sign(self) -> bytes:
        """The bytes that the signature is over: canonical JSON (RFC 8785), the format first among its members' words."""
        return canonical({"format": APPROVAL_FORMAT, **self.members()})

    def members(self) -> dict[str, object]:
        """The members by name."""
        return {name: getattr(self, name) for name in Statement.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A statement with its signature (OpenSSH, armored). Only ``signatures.check_approval`` tells whether it holds."""

    statement: Statement
    signature: str
    file: str = ""

    @property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 over what is signed and the signature."""
        return hashlib.sha256(self.statement.to_sign() + self.signature.encode("utf-8")).hexdigest()


def approval_text(approval: Approval) -> str:
    """The file of an approval."""
    value = {"format": APPROVAL_FORMAT, "statement": approval.statement.members(), "signature": approval.signature}
    return json.dumps(value, indent=2) + "\n"


def decode_approval(value: object, file: str) -> Approval:
    """The approval that a file holds; ApprovalMissing tells what is not as it must be."""
    outer = _object(value, ("format", "statement", "signature"), file, "")
    if outer["format"] != APPROVAL_FORMAT:
        raise _not_one(file, "format", APPROVAL_FORMAT, outer["format"])
    inner = _object(outer["statement"], tuple(Statement.__slots__), file, "statement")
    optional = ("base_commit", "verdict_sha256", "reason")
    for name, text in (*inner.items(), ("signature", outer["signature"])):
        if not ((isinstance(text, str) and len(text) <= _MOST_TEXT) or (text is None and name in optional)):
            raise _not_one(file, name, f"a text of at most {_MOST_TEXT:,} characters", text)
    try:
        approval = Approval(
            statement=Statement(**cast("Mapping[str, str]", inner)),
            signature=cast("str", outer["signature"]),
            file=file,
        )
        approval.sha256  # noqa: B018  half a character cannot be signed
    except UnicodeEncodeError:
        raise _not_one(file, "statement", "text", "half a character") from None
    if _DIGEST.fullmatch(approval.statement.plan_digest) is None:
        raise _not_one(file, "plan_digest", "sha256: and 64 digits", approval.statement.plan_digest)
    return approval


def _object(value: object, names: tuple[str, ...], file: str, where: str) -> Mapping[str, object]:
    if not isinstance(value, dict) or set(value) != set(names):
        raise _not_one(file, where or "top level", "an object of " + ", ".join(names), value)
    return value


def _not_one(file: str, where: str, expected: str, found: object) -> ApprovalMissing:
    return ApprovalMissing(
        "this is not an approval that this version reads",
        where=f"{file}: {where}",
        expected=expected,
        found=repr(found)[:80],
        hint="take the file as amsctl approve wrote it",
    )
