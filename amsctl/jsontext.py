"""JSON that can be trusted: UTF-8, no member twice, no fractions, nothing that is no number. Standard library and errors only."""

from __future__ import annotations

import json
from typing import NoReturn

from amsctl.errors import PlanFileError


def json_value(content: bytes, path: str) -> object:
    """The JSON value that the bytes of a file hold. Strict: UTF-8, no member twice, no NaN, no fractions. Raises PlanFileError."""
    try:
        return json.loads(content.decode("utf-8-sig"), object_pairs_hook=_members, parse_constant=_no_constant, parse_float=_no_float)
    except UnicodeDecodeError as error:
        raise PlanFileError("the file is not UTF-8", where=f"{path}, byte {error.start:,}") from None
    except json.JSONDecodeError as error:
        where = f"{path}:{error.lineno}:{error.colno}"
        expected = "what amsctl plan -o or amsctl apply --format json wrote"
        raise PlanFileError(f"the file is not JSON: {error.msg}", where=where, expected=expected) from None
    except (_Twice, ValueError) as error:
        raise PlanFileError(f"the file is not JSON that can be trusted: {error}", where=path) from None
    except RecursionError:
        raise PlanFileError("the file is nested too deeply", where=path) from None


class _Twice(ValueError):
    """A member is there twice."""


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Twice(f"the member {twice!r} is there twice")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _no_float(text: str) -> NoReturn:
    raise ValueError(f"{text} is no whole number")
