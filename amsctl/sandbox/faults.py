"""The fault switchboard: rules that say which call goes wrong, and how. Standard library only.

A rule strikes the calls that match it: all of them, the ``nth`` one, at most ``times`` of them, or each with a ``probability`` drawn from a
seeded generator of its own, so that a run can be repeated. What a strike does is carried out by ``mishaps``.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
import re
import threading
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import parse_qsl, unquote

from amsctl.sandbox.damage import MALFORMED
from amsctl.sandbox.endpoints import BASE_PATH
from amsctl.sandbox.pagefaults import PAGING

FaultKind: TypeAlias = Literal[
    "error_before", "error_after", "drop_before", "drop_after", "late", "stored_nothing", "partial", "slow", "too_many_requests", "unavailable",
    "html", "malformed", "paging", "wrong_body", "redirect", "foreign_edit",
]  # fmt: skip

FAULT_KINDS: Final[tuple[str, ...]] = typing.get_args(FaultKind)

VARIANTS: Final[Mapping[str, tuple[str, ...]]] = {
    "drop_before": ("close", "reset"),
    "drop_after": ("close", "reset"),
    "late": ("close", "reset", "error"),
    "stored_nothing": ("asked", "old"),
    "partial": ("true", "asked", "error"),
    "malformed": tuple(MALFORMED),
    "paging": tuple(PAGING),
}
"""The variants of the kinds that have any; the first is the default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One fault. ``kind`` says what happens:

    - ``error_before``, ``error_after``: ``status`` (500) with ``body``, the call without or with its effect.
    - ``drop_before``, ``drop_after``: the connection ends without an answer. ``late``: it ends (or, variant ``error``, ``status`` 504 comes) and
      the effect lands ``seconds`` later.
    - ``stored_nothing``: 200 without any effect, answering what was asked or what still is.
    - ``partial``: only the first ``rows`` entries of a POST take effect; the answer shows the truth, what was asked, or ``status`` (500).
    - ``slow``: ``seconds`` pass, ``when`` before or after the effect.
    - ``too_many_requests`` (429), ``unavailable`` (503): no effect, with ``retry_after`` (seconds or an HTTP date; ``""`` sends none).
    - ``html``: a web page with ``status`` (502), ``when`` before (no effect) or after it.
    - ``malformed``: the effect, and an answer damaged as ``variant`` says. ``paging``: a page that is not what it should be.
    - ``wrong_body``: the effect, and the answer of account ``other`` (default: the next one of the book).
    - ``redirect``: ``status`` (307) to ``location`` (default: another origin), no effect.
    - ``foreign_edit``: a third party makes ``edit`` right ``when`` before or after the call, which is otherwise answered well.

    Matching: ``method``; ``path``, a glob over the encoded path below the base path (``/efStatus/*``), or with ``re:`` in front an expression that is
    searched for in the whole path; ``query``, a glob over the query string; ``account``, the number in path, query or status body.
    """

    kind: FaultKind
    id: str = ""
    method: str | None = None
    path: str | None = None
    query: str | None = None
    account: str | None = None
    nth: int | None = None
    times: int | None = None
    probability: float = 1.0
    seed: int = 0
    variant: str = ""
    when: Literal["before", "after"] = "before"
    status: int | None = None
    body: str | None = None
    content_type: str = "application/json"
    seconds: float = 0.0
    retry_after: str = "1"
    rows: int = 1
    other: str | None = None
    location: str | None = None
    edit: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Check what would otherwise fail in the middle of a call."""
        if self.kind not in FAULT_KINDS:
            raise ValueError(f"unknown kind {self.kind!r}: expected one of {', '.join(FAULT_KINDS)}")
        variants = VARIANTS.get(self.kind, ("",))
        if not self.variant:
            object.__setattr__(self, "variant", variants[0])
        if self.variant not in variants:
            raise ValueError(f"{self.kind}: unknown variant {self.variant!r}: expected one of {', '.join(variants)}")
        if self.path is not None and self.path.startswith("re:"):
            try:
                re.compile(self.path[3:])
            except re.error as error:
                raise ValueError(f"path: not a regular expression: {error}") from None
        if not (0.0 <= self.probability <= 1.0 and self.seconds >= 0 and self.rows >= 1 and (self.status or 500) in range(200, 600)):
            raise ValueError("expected 0 <= probability <= 1, seconds >= 0, rows >= 1 and 200 <= status <= 599")
        if self.when not in ("before", "after"):
            raise ValueError(f"when: expected before or after, found {self.when!r}")
        if self.kind == "foreign_edit" and not (self.edit and "accountNumber" in self.edit):
            raise ValueError("foreign_edit: edit must name an accountNumber")

    @classmethod
    def from_mapping(cls, document: Mapping[str, Any]) -> Rule:
        """The rule of a decoded JSON object. Raises ``ValueError`` for an unknown field or a bad value."""
        names = {entry.name for entry in dataclasses.fields(cls)}
        for name in document:
            if name not in names:
                raise ValueError(f"unknown field {name!r}: expected one of {', '.join(sorted(names))}")
        if "kind" not in document:
            raise ValueError(f"no kind: expected one of {', '.join(FAULT_KINDS)}")
        try:
            return cls(**document)
        except TypeError as error:
            raise ValueError(f"not a rule: {error}") from None

    def to_mapping(self) -> dict[str, Any]:
        """The rule ready for JSON, defaults left out."""
        values = ((entry.name, getattr(self, entry.name), entry.default) for entry in dataclasses.fields(self))
        return {name: value for name, value, default in values if value != default}

    def matches(self, method: str, path: str, query: str, body: bytes) -> bool:
        """Whether a request is one that this rule is about."""
        if self.method not in (None, method):
            return False
        if self.path is not None:
            fits = re.search(self.path[3:], path) if self.path.startswith("re:") else fnmatchcase(path.removeprefix(BASE_PATH), self.path)
            if not fits:
                return False
        if self.query is not None and not fnmatchcase(query, self.query):
            return False
        return self.account is None or _names(self.account, path, query, body)


def _names(account: str, path: str, query: str, body: bytes) -> bool:
    if any(unquote(segment) == account for segment in path.split("/")):
        return True
    return ("accountNumber", account) in parse_qsl(query) or f'"{account}"'.encode() in body


@dataclass(slots=True)
class _Standing:
    """A rule in force, with its counts."""

    rule: Rule
    dice: random.Random
    matched: int = 0
    struck: int = 0


@dataclass(slots=True)
class Faults:
    """The rules in force, in the order of adding. Safe to use from several threads."""

    _rules: dict[str, _Standing] = field(default_factory=dict)
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, rule: Rule) -> Rule:
        """Put a rule in force and give it back with its id; one of the same id is replaced, its counts start again."""
        with self._lock:
            rule = rule if rule.id else dataclasses.replace(rule, id=f"f{next(self._ids)}")
            self._rules[rule.id] = _Standing(rule, random.Random(rule.seed))
            return rule

    def remove(self, rule_id: str) -> bool:
        """Lift a rule; ``False`` if there was none of this id."""
        with self._lock:
            return self._rules.pop(rule_id, None) is not None

    def clear(self) -> None:
        """Lift every rule."""
        with self._lock:
            self._rules.clear()

    def rules(self) -> tuple[Rule, ...]:
        """The rules in force."""
        with self._lock:
            return tuple(standing.rule for standing in self._rules.values())

    def strikes(self, rule_id: str) -> int:
        """How often a rule has struck; 0 for an unknown one."""
        with self._lock:
            return self._rules[rule_id].struck if rule_id in self._rules else 0

    def striking(self, method: str, path: str, query: str, body: bytes) -> tuple[Rule, ...]:
        """The rules that strike this request; counts it."""
        if not self._rules:
            return ()
        with self._lock:
            return tuple(standing.rule for standing in self._rules.values() if _strikes(standing, method, path, query, body))


def _strikes(standing: _Standing, method: str, path: str, query: str, body: bytes) -> bool:
    rule = standing.rule
    if not rule.matches(method, path, query, body):
        return False
    standing.matched += 1
    drawn = standing.dice.random() < rule.probability
    if not drawn or rule.nth not in (None, standing.matched) or (rule.times is not None and standing.struck >= rule.times):
        return False
    standing.struck += 1
    return True
