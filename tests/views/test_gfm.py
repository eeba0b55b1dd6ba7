"""Hostile texts by the thousand through every view: nothing in a comment is more than text, and nothing on a terminal is more than it shows."""

from __future__ import annotations

import random

import pytest

from amsctl.views.formats import MARKDOWN_BYTES, PLAN_FORMATS, REPORT_FORMATS, plan_in, report_in
from amsctl.views.style import Look
from tests.conftest import CAMPAIGN
from tests.views.filled import filled, filled_plan
from tests.views.gfm import active
from tests.views.samples import bad_report, good_report, postponed_report, quiet_plan, rich_plan, stale_report
from tests.views.servers import commands
from tests.views.test_formats import nasty
from tests.views.test_hostile import assert_clean

STRINGS = 20_000 if CAMPAIGN > 1 else 3_000


@pytest.mark.parametrize(
    "text",
    [
        *("http://evil.example", "see https://x.y", "www.evil.example", "a@evil.example", "@jo", "hi @org/team", "#12", "x/y#12", "GH-12"),
        *("commit 4be1c0ffee", "![x](y)", "[x](http://y)", "<b>x</b>", "<img src=x>", "<!-- x -->", "a <script>", "[x]\n\n[x]: http://y"),
        *("<https://evil.example>", "mailto:a@b", "!12", "~bug", "[[page]]", "&12", "[^1]", ":smile:", "```mermaid\nx\n```", "<!-- amsctl:plan:a--> b -->"),
        *("| a |\n|---|\n| @jo |", "~~#12~~", "**@jo**", "<details>@jo</details>"),
    ],
)  # fmt: skip
def test_the_reader_sees_what_is_active(text: str) -> None:
    """Each of these would be a link, an image, a mention, a reference or HTML."""
    assert active(text)


@pytest.mark.parametrize(
    "text",
    [
        "`@jo #12 http://x`",
        "a | b",
        "+5.8%, 2,147,483,647",
        "a & b",
        "a ~ b",
        "`` ` ``",
        "C#",
        "<details>\n<summary>x</summary>\n\ny\n\n</details>",
    ],
)
def test_the_reader_takes_text_for_text(text: str) -> None:
    """Code and plain words are nothing more."""
    assert active(text) == []


@pytest.mark.parametrize("draw", [rich_plan, quiet_plan])
def test_harmless_plans_have_nothing_active(draw: object) -> None:
    """Not even ours: no link, no mention, no commit that a forge would look up."""
    plan = draw()  # type: ignore[operator]
    for limit in MARKDOWN_BYTES.values():
        assert active("".join(plan_in("markdown", plan, Look(), limit_bytes=limit))) == []


@pytest.mark.no_cover
def test_thousands_of_strings_through_every_view() -> None:
    """A new string for every place of a plan and a report: no control or bidirectional character, no link, image, mention, reference, HTML, no command."""
    chance = random.Random(20)
    made = 0

    def one() -> str:
        nonlocal made
        made += 1
        return nasty(chance)

    while made < STRINGS:
        plan = filled_plan(rich_plan(), one)
        looks = (Look(color=True, width=chance.choice((40, 80, 140))), Look(unicode=False))
        for form in PLAN_FORMATS:
            assert_printed(form, "".join(plan_in(form, plan, looks[made % 2])))
        draw = chance.choice((good_report, bad_report, stale_report, postponed_report))
        report = filled(draw(rich_plan()), one)
        for form in REPORT_FORMATS:
            assert_printed(form, "".join(report_in(form, report, plan, looks[made % 2])))
    assert made >= STRINGS


def assert_printed(form: str, text: str) -> None:
    assert_clean(text)
    if form == "markdown":
        assert active(text) == []
    if form != "github":
        assert commands(text) == []
