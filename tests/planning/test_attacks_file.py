"""Plan files that no amsctl wrote: refused in words, never a defect."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import Any

import pytest

from amsctl.errors import PlanFileError
from amsctl.jsontext import json_value
from amsctl.planning.codec import decode, encode, sealed
from amsctl.planning.plan import Plan
from amsctl.planning.planfile import PlanFile
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


# --- a plan that a program holds as a value ---


def changed(**members: object) -> Plan:
    """The plan with a body that has these members, sealed where that can be."""
    plan = decode(plan_file())
    first = replace(plan.steps[0], body={**plan.steps[0].body, **members})
    plan = replace(plan, steps=(first, *plan.steps[1:]))
    with contextlib.suppress(ValueError, TypeError, RecursionError):
        return sealed(plan)
    return plan


LOOP: list[object] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (float("nan"), "NaN is no number"),
        (float("inf"), "Infinity is no number"),
        (1.0, "1.0 is no whole number"),
        (1.5, "1.5 is no whole number"),
        ("\ud800", "a text in it is not valid Unicode: \\\\ud800"),
        (b"bytes", "TypeError"),
        (LOOP, "Circular reference"),
        (nested(100_000), "RecursionError|nested too deeply"),
    ],
)
def test_a_value_is_refused_as_a_file_is(value: object, says: str) -> None:
    """By the same rules, and never by a traceback."""
    with pytest.raises(PlanFileError, match=says):
        PlanFile.of(changed(limits=value))


def test_a_value_that_no_text_can_hold() -> None:
    """Outside of the bodies, too."""
    plan = decode(plan_file())
    with pytest.raises(PlanFileError, match="the plan holds a value that no plan file can hold"):
        PlanFile.of(replace(plan, tool_version="\ud800"))
    assert PlanFile.of(plan).plan == plan


@pytest.mark.parametrize("text", ['{"a": "\\ud800"}', '{"\\udfff": 1}', '["\\uD83D\\u0041"]'])
def test_json_with_half_a_character(text: str) -> None:
    """Of whatever file: approvals, reviews, verdicts, reports."""
    with pytest.raises(PlanFileError, match="a text in it is not valid Unicode"):
        json_value(text.encode(), "x.json")
    assert json_value(b'["\\ud83d\\ude00"]', "x.json") == ["\U0001f600"]
