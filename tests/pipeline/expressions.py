"""Expressions of GitHub's workflows, as far as ours use them: paths through contexts, texts, ==, !=, &&, ||, !, brackets and the status functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

_TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|(==|!=|&&|\|\||!|\(|\))|([A-Za-z_][\w.-]*))")
_FENCE = re.compile(r"\$\{\{(.*?)\}\}")


def filled(text: str, contexts: Mapping[str, Any]) -> str:
    """The text with every ``${{ … }}`` replaced by what it stands for."""
    return _FENCE.sub(lambda match: _shown(value_of(match[1], contexts)), text)


def holds(condition: str, contexts: Mapping[str, Any]) -> bool:
    """Whether an ``if`` holds; without a status function it also wants everything before to have succeeded."""
    inside = _FENCE.fullmatch(condition.strip())
    text = inside[1] if inside else condition
    asked = re.search(r"\b(always|failure|cancelled|success)\(\)", text)
    return bool(value_of(text, contexts)) and (asked is not None or bool(contexts["succeeded"]))


def value_of(text: str, contexts: Mapping[str, Any]) -> Any:
    tokens: list[str] = []
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        assert match, f"cannot read {text[position:]!r}"
        tokens.append(match[0].strip())
        position = match.end()
    value, rest = _either(tokens, contexts)
    assert not rest, f"left over: {rest}"
    return value


def _either(tokens: list[str], contexts: Mapping[str, Any]) -> tuple[Any, list[str]]:
    return _chain(tokens, contexts, "||", _both, lambda left, right: left or right)


def _both(tokens: list[str], contexts: Mapping[str, Any]) -> tuple[Any, list[str]]:
    return _chain(tokens, contexts, "&&", _compared, lambda left, right: left and right)


def _chain(
    tokens: list[str], contexts: Mapping[str, Any], word: str, part: Callable[..., Any], join: Callable[[Any, Any], Any]
) -> tuple[Any, list[str]]:
    value, rest = part(tokens, contexts)
    while rest and rest[0] == word:
        other, rest = part(rest[1:], contexts)
        value = join(value, other)
    return value, rest


def _compared(tokens: list[str], contexts: Mapping[str, Any]) -> tuple[Any, list[str]]:
    value, rest = _one(tokens, contexts)
    if rest and rest[0] in {"==", "!="}:
        other, after = _one(rest[1:], contexts)
        return (value == other) is (rest[0] == "=="), after
    return value, rest


def _one(tokens: list[str], contexts: Mapping[str, Any]) -> tuple[Any, list[str]]:
    word, rest = tokens[0], tokens[1:]
    if word == "!":
        value, rest = _one(rest, contexts)
        return not value, rest
    if word == "(":
        value, rest = _either(rest, contexts)
        assert rest[0] == ")"
        return value, rest[1:]
    if word.startswith("'"):
        return word[1:-1].replace("''", "'"), rest
    if rest[:2] == ["(", ")"]:
        return {"always": True, "success": contexts["succeeded"], "failure": not contexts["succeeded"]}[word], rest[2:]
    value: Any = contexts
    for part in word.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value, rest


def _shown(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
