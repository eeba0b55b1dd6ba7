"""Documents against the schemas that ship."""

from __future__ import annotations

from functools import cache

import jsonschema

from amsctl.resources import schema


@cache
def validator(name: str) -> jsonschema.Draft7Validator:
    jsonschema.Draft7Validator.check_schema(schema(name))
    return jsonschema.Draft7Validator(schema(name))


def assert_valid(name: str, document: object) -> None:
    """The schema of this name accepts the document."""
    problems = [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in validator(name).iter_errors(document)]
    assert not problems, problems
