"""A JSON Schema as a page: one table row per key, in the order in which the schema writes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]
DEEPEST = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One key of a document: ``path`` with ``<name>`` for a key of the user's own and ``[]`` for an item of a list."""

    path: str
    kind: str
    required: bool
    meaning: str


def rows(schema: Schema) -> list[Row]:
    """Every key that the schema knows, parents before children, each path once."""
    found: dict[str, Row] = {}
    for row in _rows(schema, schema, "", False, 0):
        known = found.get(row.path)
        if known is None:
            found[row.path] = row
        elif row.kind and row.kind not in known.kind:
            found[row.path] = Row(path=row.path, kind=_joined([known.kind, row.kind]), required=known.required, meaning=known.meaning)
    return [row for row in found.values() if row.path]


def table(schema: Schema, *, defaults: dict[str, str] | None = None) -> str:
    """The rows as a Markdown table; a column of defaults where some are given."""
    lines = ["| key | value | meaning |", "|---|---|---|"]
    if defaults is not None:
        lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for row in rows(schema):
        cells = [f"`{row.path}`" + (" (required)" if row.required else ""), row.kind, row.meaning]
        if defaults is not None:
            cells.insert(2, f"`{defaults[row.path]}`" if row.path in defaults else "")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def alternatives(schema: Schema) -> dict[str, Schema]:
    """The branches of a schema that is one of several, by the word that tells them apart; the whole under an empty name otherwise."""
    branches = [_resolved(branch, schema) for branch in schema.get("oneOf", ())]
    if not branches:
        return {"": schema}
    return {_telling_word(branch): {**branch, "definitions": schema.get("definitions", {})} for branch in branches}


def _telling_word(branch: Schema) -> str:
    for name, part in branch["properties"].items():
        words = part.get("enum", [part.get("const")])
        if len(words) == 1 and words[0] is not None and name != "format":
            return f"{name}: {words[0]}"
    raise AssertionError("the alternatives of a schema must differ in a word")


def _rows(schema: Schema, root: Schema, path: str, required: bool, depth: int) -> Iterator[Row]:
    assert depth <= DEEPEST, f"{path} is nested too deeply for a table: does the schema contain itself?"
    schema = _resolved(schema, root)
    yield Row(path=path, kind=_kind(schema, root), required=required, meaning=_meaning(schema))
    for part in _parts(schema, root):
        needed = set(part.get("required", ()))
        for name, child in part.get("properties", {}).items():
            if child is not False:
                yield from _rows(_schema(child), root, f"{path}.{name}" if path else name, name in needed, depth + 1)
        rest = part.get("additionalProperties")
        if isinstance(rest, dict) and (rest or "propertyNames" in part):
            name = part.get("propertyNames", {}).get("title", "name")
            yield from _rows(rest, root, f"{path}.<{name}>" if path else f"<{name}>", False, depth + 1)
        items = part.get("items")
        if isinstance(items, dict) and _has_keys(items, root):
            for row in _rows(items, root, f"{path}[]", False, depth + 1):
                if row.path != f"{path}[]":
                    yield row


def _schema(node: object) -> Schema:
    return node if isinstance(node, dict) else {}


def _resolved(schema: Schema, root: Schema) -> Schema:
    """The schema with its reference followed; what stands beside the reference (a description) wins."""
    while "$ref" in schema:
        reference: str = schema["$ref"]
        assert reference.startswith("#/"), reference
        target: Any = root
        for step in reference[2:].split("/"):
            target = target[step]
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def _parts(schema: Schema, root: Schema) -> Iterator[Schema]:
    """The schema itself and every alternative or condition that may add keys to it."""
    yield schema
    for word in ("allOf", "anyOf", "oneOf"):
        for branch in schema.get(word, ()):
            yield from _parts(_resolved(branch, root), root)
    if "if" in schema:
        for word in ("then", "else"):
            if isinstance(schema.get(word), dict):
                yield from _parts(_resolved(schema[word], root), root)


def _has_keys(schema: Schema, root: Schema) -> bool:
    return any(
        part.get("properties") or isinstance(part.get("additionalProperties"), dict) for part in _parts(_resolved(schema, root), root)
    )


def _meaning(schema: Schema) -> str:
    return " ".join(str(schema.get("description", "")).split())


def _kind(schema: Schema, root: Schema) -> str:
    """What may stand there, in words."""
    if "const" in schema:
        return f"`{_word(schema['const'])}`"
    if "enum" in schema:
        return " or ".join(f"`{_word(value)}`" for value in schema["enum"])
    if "if" in schema:
        kinds = [_kind(_resolved(schema[word], root), root) for word in ("then", "else") if isinstance(schema.get(word), dict)]
        return _joined(kinds) or "object"
    for word in ("anyOf", "oneOf"):
        if word in schema and "properties" not in schema:
            return _joined([_kind(_resolved(branch, root), root) for branch in schema[word]])
    if "allOf" in schema and "type" not in schema:
        return _joined([_kind(_resolved(branch, root), root) for branch in schema["allOf"]])
    return _of_type(schema, root)


def _of_type(schema: Schema, root: Schema) -> str:
    types = schema.get("type")
    names = types if isinstance(types, list) else [types]
    if {"string", "number", "boolean"} <= set(names):
        return "text"  # an identifier: a number in an editor's eyes, text as written in ours
    return _joined([_of_one_type(str(name), schema, root) for name in names if name])


def _of_one_type(name: str, schema: Schema, root: Schema) -> str:
    if name == "array":
        inner = _kind(_resolved(_schema(schema.get("items")), root), root)
        return f"list of {inner}" if inner else "list"
    if name in {"integer", "number"}:
        word = "whole number" if name == "integer" else "number"
        low, high = schema.get("minimum"), schema.get("maximum")
        if "exclusiveMinimum" in schema:
            word += f" above {schema['exclusiveMinimum']}"
        elif low is not None:
            word += f" from {low}"
        return word + (f" to {high}" if high is not None else "")
    return {"string": "text", "boolean": "`true` or `false`", "null": "`null`", "object": "object"}[name]


def _word(value: object) -> str:
    return {None: "null", True: "true", False: "false"}.get(value, str(value)) if value is None or isinstance(value, bool) else str(value)


def _joined(kinds: list[str]) -> str:
    return " or ".join(dict.fromkeys(kind for kind in kinds if kind))
