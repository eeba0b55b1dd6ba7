"""The page for the risk officer: it says what the plan says, holds any text as text, and forbids itself everything but its own style and script."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from amsctl.diagnostics import Severity, Source
from amsctl.model import UNLIMITED, UnsetMeans
from amsctl.planning.plan import Finding, Plan
from amsctl.views.html import FINDINGS_PER_CODE, HEAT_COLUMNS, HEAT_ROWS, MOVERS, ROWS_WITHOUT_SCRIPT, _template, moved_legs, plan_html
from tests.views.samples import leg, plan_of, quiet_plan, rich_plan, undeclared
from tests.views.test_formats import MARK, NASTY, nasty, spoiled
from tests.views.test_hostile import assert_clean


class Page(HTMLParser):
    """Tags with their attributes, and the text of each kind of place."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "input", "br", "rect"):
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("rect", "br"):
            assert self.inside.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.inside[-1] if self.inside else "", []).append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data!r}")

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def rows(self) -> dict[str, Any]:
        [text] = [text for text in self.texts["script"] if text.startswith("{")]
        loaded: dict[str, Any] = json.loads(text)
        return loaded


def hash_of(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


@pytest.mark.parametrize("plan", [rich_plan(), quiet_plan(), plan_of([])], ids=["rich", "quiet", "empty"])
def test_the_page_forbids_itself_everything_else(plan: Plan) -> None:
    """One style and one script, named by their hashes; nothing is loaded, no attribute holds a style, a handler or an address of elsewhere."""
    page = Page(plan_html(plan))
    policy = page.all("meta")[1]["content"]
    style, script = page.texts["style"][0], next(text for text in page.texts["script"] if not text.startswith("{"))
    assert policy == (f"default-src 'none'; style-src {hash_of(style)}; script-src {hash_of(script)}; base-uri 'none'; form-action 'none'")
    assert {tag for tag, _ in page.tags} & {"link", "img", "iframe", "object", "base", "audio", "video"} == set()
    for _, attributes in page.tags:
        assert not [name for name in attributes if name == "style" or name.startswith("on") or name == "src"]
        assert attributes.get("href") in (None, "#changes")
    assert "url(" not in style
    assert "@import" not in style
    assert "innerHTML" not in script


@pytest.mark.no_cover
def test_any_text_stays_text() -> None:
    """Hostile texts in every place: the tags and their attributes are those of the same plan with harmless ones, and nothing invisible is in it."""
    chance = random.Random(21)
    for _ in range(40):
        plan = spoiled(rich_plan(), chance)
        tame = replace(plan, findings=tuple(replace(one, code="c", where="w", message="m") for one in plan.findings))
        text = plan_html(plan)
        assert_clean(text)
        page = Page(text)
        assert {tag for tag, _ in page.tags} <= {tag for tag, _ in Page(plan_html(rich_plan())).tags} | {"p", "br"}
        assert len(page.all("tr")) == len(Page(plan_html(tame)).all("tr"))
        for tag, attributes in page.tags:
            assert MARK not in str(attributes), (tag, attributes)
        assert not [one for one in page.texts["script"] if "<" in one and one.startswith("{")]
        accounts = page.rows()["accounts"]
        assert len(accounts) == len({change.account_key for change in plan.changes})


def test_the_rows_are_all_there_worst_first() -> None:
    """The page itself holds the worst rows for readers without JavaScript; the data holds every one."""
    plan = rich_plan()
    page = Page(plan_html(plan))
    data = page.rows()
    assert len(data["rows"]) == len(plan.changes)
    first = data["rows"][0]
    assert [first[0], first[1], data["accounts"][first[2]], first[5], first[6], first[7]] == [
        *(0, 2, "GREENTEA_API_CLEARING2/CU-METALS-01", "activate", "Inactive", "Active")
    ]
    numbers = [row[6:8] for row in data["rows"] if row[1] == 0]
    assert [567, 600] in numbers
    assert ["unset", 100] in numbers
    assert [1000, "unlimited"] in numbers
    assert sum(row[0] == 0 for row in data["rows"]) == plan.summary.loosen


def test_what_opens_is_in_no_sum() -> None:
    """A leg that loses its limit is no move to nothing: it is told in words, and counted beside the sums."""
    plan = plan_of(
        [
            leg("c1", "A", "3N1/X.FUT.Y", "ef.long", 1000, UNLIMITED, other=UNLIMITED),
            leg("c2", "A", "3N1/Z.FUT.Y", "ef.long", 5, 9, other=99),
        ]
    )
    legs = moved_legs(plan.changes, UnsetMeans.UNLIMITED)
    assert [(one.opens, one.move, one.tone) for one in legs] == [(True, 0, "bad"), (False, 4, "bad")]
    text = plan_html(plan)
    assert "−1,000" not in text
    assert '<td class="right">1 more</td>' in text
    assert '<td class="l4">∞</td>' in text
    assert ">no limit<" in text
    closed = plan_of([leg("c1", "A", "3N1/X.FUT.Y", "ef.long", UNLIMITED, 10, other=UNLIMITED)])
    assert '<td class="right">1 fewer</td>' in plan_html(closed)
    assert ">gets a limit<" in plan_html(closed)


def test_nothing_that_moves_is_not_moved() -> None:
    """A change that does not bind, or whose effective limit is unknown, moves no leg; both are in the table of changes."""
    plan = plan_of(
        [
            leg("c1", "A", "3N1/X.FUT.Y", "ef.long", 5, 9, other=3),
            replace(leg("c2", "A", "3N1/Z.FUT.Y", "ef.long", 5, 9, other=99), effective_before=None, effective_after=None),
        ]
    )
    assert moved_legs(plan.changes, UnsetMeans.UNLIMITED) == []
    page = Page(plan_html(plan))
    assert len(page.rows()["rows"]) == 2
    assert "Largest movers" not in "".join(page.texts["h2"])


def test_long_plans_are_cut_and_say_so() -> None:
    """The page names how many of how many are shown, in each place."""
    changes = [
        leg(f"c{number}", f"A{number % 70:03}", f"3N1/P{number // 10:03}.FUT.CME", "ef.long", 10, 10 + 2 * number, other=99_999)
        for number in range(1, 700)
    ]
    same = [undeclared("A1", number) for number in range(FINDINGS_PER_CODE + 5)]
    text = plan_html(plan_of(changes, findings=tuple(same)))
    page = Page(text)
    assert f"The {MOVERS} that move most of 699." in text
    assert f"Shown: {HEAT_ROWS} of 70 accounts and {HEAT_COLUMNS} of 70 products, those that move most." in text
    assert f"The worst {ROWS_WITHOUT_SCRIPT} of 699, worst first." in text
    assert "5 more are in the plan file." in text
    assert len(page.rows()["rows"]) == 699
    assert "+1.4k" in text


def test_a_quiet_plan_and_blocking_findings() -> None:
    """No changes is said; what blocks stands above everything else that is listed, with its place."""
    _template.cache_clear()
    assert "No changes." in plan_html(quiet_plan())
    blocked = Finding(
        code="unknown-ef", severity=Severity.ERROR, message="told so", where="F/A/3N1", blocks=True, source=Source("a.yaml", 7, 3)
    )
    text = plan_html(plan_of([leg("c1", "A", "3N1/X.FUT.Y", "ef.long", 5, 3, other=9)], findings=(blocked,)))
    assert text.index("told so") < text.index("Largest movers")
    assert "a.yaml:7:3" in text
    assert re.search(r'class="verdict bad"[^>]*>Blocked by 1 finding', text)


def test_nasty_is_nasty() -> None:
    """The strings that are hidden in the plans do hold what a page must withstand."""
    assert "<script>alert(1)</script>" in NASTY
    assert MARK in nasty(random.Random(1))
