"""What two plans do not have in common, in words and as JSON."""

from __future__ import annotations

import json
import random
from dataclasses import replace

from amsctl.planning.compare import compare
from amsctl.views.compare_text import comparison_text, encode_comparison
from amsctl.views.json_text import json_text
from tests.cli.schemas import validator
from tests.views.samples import FIRM, leg, plan_of, quiet_plan, rich_plan, status
from tests.views.test_formats import spoiled
from tests.views.test_hostile import assert_clean

ROW = "3N1/CJ.FUT.NYMEX"


def test_in_words() -> None:
    """What lets more through stands first in each list, and the summary last."""
    first = plan_of([leg("c1", "A", ROW, "ef.long", 5, 6, other=99), leg("c2", "A", ROW, "ef.short", 5, 6, other=99)])
    second = plan_of(
        [leg("c1", "A", ROW, "ef.long", 5, 3, other=99), leg("c2", "B", ROW, "ef.long", 5, 3, other=99), status("c3", "B", "Active")]
    )
    lines = comparison_text(compare(first, second)).splitlines()
    start = lines.index("Only in the second:")
    assert lines[start + 1 :] == [
        f"  + {FIRM}/B: activate account: Inactive → Active",
        f"  + {FIRM}/B: 3N1 CJ.FUT.NYMEX ef long 5 → 3  effective 5 → 3",
        "",
        "Only in the first:",
        f"  - {FIRM}/A: 3N1 CJ.FUT.NYMEX ef short 5 → 6  effective 5 → 6",
        "",
        "Otherwise in the second:",
        f"  ~ {FIRM}/A: 3N1 CJ.FUT.NYMEX ef long 5 → 3  was 5 → 6",
        "",
        "Second against first: 2 new, 1 gone, 1 other (4 changes in all).",
    ]


def test_no_difference() -> None:
    """Said in one line; and when only what surrounds the changes differs, that is said."""
    assert (
        comparison_text(compare(rich_plan(), rich_plan())).splitlines()[-1]
        == "No difference: both plans do the same, on the same live state."
    )
    plan = rich_plan()
    text = comparison_text(compare(plan, replace(plan, tool_version="9", observed=(replace(plan.observed[0], sha256="1" * 64),))))
    assert "tool.version: 0.1.0 → 9" in text
    assert "1 account that the AMS showed otherwise:" in text
    assert text.splitlines()[-1] == "Both plans make the same changes; what else differs stands above."


def test_findings_and_facts() -> None:
    """What blocks is marked; a member that one plan lacks is none."""
    quiet = replace(quiet_plan(), origin=replace(quiet_plan().origin, git=None))
    text = comparison_text(compare(quiet, rich_plan()))
    assert "  + error (blocks) unknown-ef" in text
    assert "source.git: none →" in text
    assert "Findings only in the first:" in comparison_text(compare(rich_plan(), quiet))


def test_as_json_by_its_schema() -> None:
    """Every list, against the schema that ships."""
    for first, second in ((rich_plan(), quiet_plan()), (quiet_plan(), rich_plan()), (rich_plan(), rich_plan())):
        text = json_text(encode_comparison(compare(first, second)))
        validator("plan-diff.v1").validate(json.loads(text))
    moved = replace(rich_plan(), observed=(replace(rich_plan().observed[0], sha256="1" * 64),))
    validator("plan-diff.v1").validate(json.loads(json_text(encode_comparison(compare(rich_plan(), moved)))))


def test_hostile_plans() -> None:
    """Nothing that does not show itself comes out."""
    chance = random.Random(41)
    for _ in range(40):
        assert_clean(comparison_text(compare(spoiled(rich_plan(), chance), spoiled(rich_plan(), chance))))
