"""Plan files that no amsctl wrote: refused in words, never a defect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from amsctl.errors import PlanFileError
from amsctl.planning.codec import decode, encode
from tests.planning.test_diff import CJ, live, made, row, want
from tests.planning.test_properties import whole


def plan_file() -> dict[str, Any]:
    plan = whole(made(want(row(CJ, 1, 2, None, None)), live({("3N1", CJ): (5, 5, 5, 5)})))
    return dict(json.loads(json.dumps(encode(plan))))


def nested(levels: int) -> object:
    value: object = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
@pytest.mark.parametrize("place", ["tool", "path", "body"])
def test_half_a_character_is_refused(text: str, place: str) -> None:
    value = plan_file()
    if place == "tool":
        value["tool"]["version"] = text
    elif place == "path":
        value["steps"][0]["path"] = text
    else:
        value["steps"][0]["body"]["limits"][0]["product"] = text
    with pytest.raises(PlanFileError, match="half a character"):
        decode(value)


def test_a_body_of_many_levels_is_refused() -> None:
    value = plan_file()
    value["steps"][0]["body"]["limits"] = nested(100_000)
    with pytest.raises(PlanFileError):
        decode(value)
