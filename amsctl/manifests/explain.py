"""Why a part was refused, in words for a person: JSON Schema finds what is wrong, this maps it back to places in the file.

Imported only when something was refused: jsonschema takes longer to import than most repositories take to read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from jsonschema import Draft7Validator, ValidationError, validators
from jsonschema.protocols import Validator

from amsctl.manifests import phrases
from amsctl.manifests.compile import Refused
from amsctl.manifests.findings import Findings
from amsctl.manifests.identifiers import matcher
from amsctl.manifests.nodes import Map, Node, Seq, pos_of
from amsctl.resources import schema

_NUMBER: Final = re.compile("-?(?:0|[1-9][0-9]*)(?:\\.[0-9]+)?\\Z")
_WHOLE: Final = re.compile("(?:0|-?[1-9][0-9]*)\\Z")
"""``-0`` is none: it is refused like every other spelling of a number that is not its plain one."""


class Text(str):
    """A scalar as JSON Schema sees it: always a string, and a number or a boolean too when it stands there without quotes and looks like one."""

    __slots__ = ("plain",)
    plain: bool

    @classmethod
    def of(cls, text: str, plain: bool) -> Text:
        """The text with its quoting."""
        made = cls(text)
        made.plain = plain
        return made


def instance_of(node: Node, without: tuple[str, ...] | None = None) -> Any:
    """The document as JSON Schema sees it; a mapping at the path ``without`` (``*`` is any key) is judged on its own and taken for empty."""
    if isinstance(node, Map):
        if without == ():
            return {}
        step, rest = (without[0], without[1:]) if without else (None, None)
        return {key: instance_of(value, rest if step in (key, "*") else None) for key, (_, value) in node.entries.items()}
    if isinstance(node, Seq):
        return [instance_of(item) for item in node.items]
    return Text.of(node[0], node[1])


def _is_integer(_: object, value: object) -> bool:
    return isinstance(value, Text) and value.plain and _WHOLE.match(value) is not None and len(value) < 20


def _is_number(_: object, value: object) -> bool:
    return isinstance(value, Text) and value.plain and _NUMBER.match(value) is not None and len(value) < 20


def _is_boolean(_: object, value: object) -> bool:
    return isinstance(value, Text) and value.plain and value in ("true", "false")


def _pattern(_: Validator, pattern: str, instance: Any, __: object) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not matcher(pattern).search(instance):
        yield ValidationError("pattern")


def _bound(word: str) -> Any:
    def check(validator: Validator, limit: float, instance: Any, __: object) -> Iterator[ValidationError]:
        if validator.is_type(instance, "number"):
            amount = float(instance)
            if amount < limit if word == "minimum" else amount > limit if word == "maximum" else amount <= limit:
                yield ValidationError(word)

    return check


_TEXT_VALIDATOR: Final[Any] = validators.extend(  # type: ignore[no-untyped-call]
    Draft7Validator,
    {"pattern": _pattern} | {word: _bound(word) for word in ("minimum", "maximum", "exclusiveMinimum")},
    type_checker=Draft7Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": _is_integer,
            "number": _is_number,
            "boolean": _is_boolean,
            "null": lambda _, value: False,
        }
    ),
)


@cache
def validator(name: str, definition: str | None = None) -> Validator:
    """The validator of a schema, or of one of its definitions, for documents as :func:`instance_of` gives them."""
    whole = schema(name)
    judged = whole if definition is None else {"$ref": f"#/definitions/{definition}", "definitions": whole["definitions"]}
    made: Validator = _TEXT_VALIDATOR(judged)
    return made


_PARTS: Final[dict[str, tuple[str, ...]]] = {
    "account": ("spec", "executionFirms"),
    "limitProfile": ("spec", "limits"),
    "executionFirms": ("*", "limits"),
}


def explain(refused: Refused, findings: Findings) -> None:
    """Adds to ``findings`` what is wrong with a refused account, profile or a part of one."""
    part = instance_of(refused.node, _PARTS.get(refused.definition))
    _report(validator("account.v1", refused.definition), part, refused.node, findings)


def explain_whole(name: str, document: Node, findings: Findings) -> None:
    """Adds to ``findings`` what is wrong with a document by the schema of that name."""
    _report(validator(name), instance_of(document), document, findings)


def _report(judge: Validator, instance: Any, node: Node, findings: Findings) -> None:
    errors = 0
    for error in judge.iter_errors(instance):
        phrases.say(error, _locate(node, list(error.absolute_path)), findings)
        errors += 1
    if not errors:
        findings.add("refused", "this part cannot be understood", pos_of(node), hint="compare it with the schema")


def _locate(node: Node, path: list[str | int]) -> phrases.Place:
    """The value at a path, with its key when it has one."""
    key: str | None = None
    key_pos: int | None = None
    for step in path:
        if isinstance(node, Map) and isinstance(step, str):
            key = step
            key_pos, node = node.entries[step]
        elif isinstance(node, Seq) and isinstance(step, int):
            node = node.items[step]
            key_pos = None  # the key is that of the whole sequence
    return phrases.Place(key, key_pos, node, tuple(str(step) for step in path))
