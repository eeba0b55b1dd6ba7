"""JSON that can be trusted: UTF-8, no member twice, no fractions, nothing that is no number. Standard library and errors only."""

from __future__ import annotations

import json
import re
from typing import Final, NoReturn

from amsctl.errors import PlanFileError
from amsctl.unicodes import readable


def json_value(content: bytes, path: str) -> object:
    """The JSON value that the bytes of a file hold. Strict: UTF-8, no member twice, no NaN, no fractions. Raises PlanFileError."""
    try:
        text = content.decode("utf-8-sig")
        value = json.loads(text, object_pairs_hook=_members, parse_constant=_no_constant, parse_float=_no_float)
        if _HALF.search(text) is not None:  # half of a pair may stand alone, which no text can be written with
            _check_texts(value)
        return value
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


_HALF: Final = re.compile(r"\\u[dD][89a-fA-F]")


def _check_texts(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"a text in it is not valid Unicode: {readable(error.object[error.start : error.end])}") from None


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
