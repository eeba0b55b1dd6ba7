"""What other programs read, held against what they publish about it: sample plans, hostile plans, and a plan of a hundred thousand changes."""

from __future__ import annotations

import csv
import gc
import gzip
import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import xmlschema

from amsctl.diagnostics import Severity, Source
from amsctl.planning.plan import Finding, Plan
from amsctl.views.formats import MARKDOWN_BYTES, plan_in, report_in
from amsctl.views.github import ANNOTATIONS_AT_MOST
from amsctl.views.sarif import RESULTS_AT_MOST
from amsctl.views.style import PLAIN
from tests.conftest import CAMPAIGN
from tests.views.filled import filled, filled_plan
from tests.views.samples import bad_report, good_report, large_plan, leg, plan_of, postponed_report, quiet_plan, rich_plan, stale_report
from tests.views.servers import commands
from tests.views.test_formats import nasty

SCHEMAS: Final = Path(__file__).parent / "schemas"
MANY: Final = 100_000
FORMULA: Final = re.compile("[=+\\-@\t\r\n＝＋－＠]")
URI: Final = re.compile(r"(?:[A-Za-z0-9._~/!$&'()*+,;=@-]|%[0-9A-F]{2})*")
"""What RFC 3986 lets stand in a relative reference of path alone, but for a colon."""

PLACED = Finding(
    code="unknown-ef", severity=Severity.ERROR, message="m", where="F/A/9ZZ", blocks=True, source=Source("accounts/a ü#[1].yaml", 7, 3)
)
PLANS: Final[dict[str, Callable[[], Plan]]] = {
    "rich": rich_plan,
    "quiet": quiet_plan,
    "empty": lambda: plan_of([]),
    "placed": lambda: plan_of([leg("c1", "A", "3N1/X.FUT.Y", "ef.long", 5, 6, other=9)], findings=(PLACED, PLACED)),
}


def hostile_plan(seed: int) -> Plan:
    chance = random.Random(seed)
    return filled_plan(rich_plan(), lambda: nasty(chance))


PLANS.update({f"hostile {seed}": (lambda seed=seed: hostile_plan(seed)) for seed in range(8 * CAMPAIGN)})  # type: ignore[misc]


@pytest.fixture(params=PLANS, scope="module")
def plan(request: pytest.FixtureRequest) -> Plan:
    return PLANS[request.param]()


@cache
def json_schema(name: str) -> Any:
    document = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    kind = jsonschema.validators.validator_for(document)
    kind.check_schema(document)
    return kind(document)


def assert_fits(name: str, document: Any) -> None:
    problems = [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in json_schema(name).iter_errors(document)]
    assert problems == []


@cache
def junit_schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(str(SCHEMAS / "junit-10.xsd"))


def shown(form: str, plan: Plan, **more: Any) -> str:
    return "".join(plan_in(form, plan, PLAIN, **more))


def assert_sarif(text: str) -> dict[str, Any]:
    """SARIF's schema, and what GitHub asks beyond it: paths below the root, places from 1, a text, a fingerprint, not too many results."""
    document = json.loads(text)
    assert_fits("sarif-2.1.0-rtm.5", document)
    [run] = document["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(set(rules)) == len(rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        [location] = result["locations"]
        uri = location["physicalLocation"]["artifactLocation"]["uri"]
        assert URI.fullmatch(uri), uri
        assert result["message"]["text"]
        assert result["partialFingerprints"]
    found: dict[str, Any] = run
    return found


def test_sarif(plan: Plan) -> None:
    """Every finding is a result that the published schema accepts."""
    assert len(assert_sarif(shown("sarif", plan))["results"]) == len(plan.findings)


def test_junit(plan: Plan) -> None:
    """Plans and reports, against the schema that Jenkins' plugin reads by; the counts are those of the cases."""
    texts = [shown("junit", plan)]
    for draw in (good_report, bad_report, stale_report, postponed_report):
        report = draw(plan)
        texts += ["".join(report_in("junit", report, of, PLAIN)) for of in (plan, None)]
        texts += ["".join(report_in("junit", filled(report, lambda: "\x00<&]]>\x1b\ud800"), None, PLAIN))]
    for text in texts:
        junit_schema().validate(text)


def test_gitlab(plan: Plan) -> None:
    """The widgets' reports, and a fingerprint of its own for each finding."""
    issues = json.loads(shown("gitlab-codequality", plan))
    assert_fits("gitlab-codequality", issues)
    assert len({issue["fingerprint"] for issue in issues}) == len(issues) == len(plan.findings)
    assert_fits("gitlab-terraform", json.loads(shown("gitlab-terraform", plan)))


def test_annotations(plan: Plan) -> None:
    """Each is a command by GitHub's grammar with nothing but a place and a title; what is escaped reads back as it was shown."""
    found = commands(shown("github", plan))
    assert len(found) <= ANNOTATIONS_AT_MOST
    for one in found:
        assert one.name in ("error", "warning", "notice")
        assert tuple(one.properties) in (("title",), ("file", "line", "col", "title"))
        assert not re.search("%(?!25|3A|2C)|[\r\n]", "".join(one.properties.values())), one
        assert not re.search("%(?!25)", one.text), one


def test_csv_has_no_formula(plan: Plan) -> None:
    """No cell begins as a spreadsheet's formula does, plain or in wide letters; every line has every column."""
    texts = [shown("csv", plan)]
    texts += ["".join(report_in("csv", filled(draw(plan), lambda: "=1+1"), None, PLAIN)) for draw in (bad_report, stale_report)]
    for text in texts:
        rows = list(csv.reader(text.splitlines()))
        assert len({len(row) for row in rows}) == 1
        assert [cell for row in rows for cell in row if FORMULA.match(cell) and not re.fullmatch(r"-?[\d,]+", cell)] == []


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_what_a_spreadsheet_would_run_is_text(start: str) -> None:
    """In every column that holds somebody else's text."""
    plan = filled_plan(rich_plan(), lambda: f"{start}cmd|' /C calc'!A0")
    cells = [cell for row in csv.reader(shown("csv", plan).splitlines()) for cell in row if "calc" in cell]
    assert len(cells) > 40
    assert {cell[0] for cell in cells} == {"'"}


def test_the_schemas_refuse() -> None:
    """What is wrong is seen: a level that SARIF does not know, a case without a name, a severity that GitLab does not know, a count that is no number."""
    run = json.loads(shown("sarif", rich_plan()))
    run["runs"][0]["results"][0]["level"] = "bad"
    assert not json_schema("sarif-2.1.0-rtm.5").is_valid(run)
    assert not junit_schema().is_valid(shown("junit", rich_plan()).replace(' name="GREENTEA', ' nom="GREENTEA', 1))
    assert not json_schema("gitlab-codequality").is_valid([{"description": "x"}])
    assert not json_schema("gitlab-terraform").is_valid({"create": 1, "update": "2", "delete": 0})


# --- a hundred thousand changes ---


def large() -> Plan:
    """A hundred thousand changes, half of which let more through, and thirty thousand findings, of which the last one blocks."""
    plan = large_plan(MANY)
    chance = random.Random(8)
    noise = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz0123456789 /.", k=400_000))
    findings = [
        Finding(code=f"undeclared-row-{n % 9}", severity=Severity.WARNING, message=noise[n * 9 : n * 9 + 300], where=f"F/A{n}/3N1")
        for n in range(30_000)
    ]
    return replace(plan, findings=(*findings, PLACED))


@pytest.fixture
def without_collector() -> Iterator[None]:
    """Millions of values that hold no cycle: looking for some takes half of the time."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.no_cover
@pytest.mark.usefixtures("without_collector")
def test_a_hundred_thousand_changes_keep_to_every_limit() -> None:
    """What is dangerous is never cut without saying so: what blocks stands first in every format, and what did not fit is counted."""
    plan = large()
    assert_markdown_within_limits(plan)
    assert_annotations_within_limits(plan)
    assert_sarif_within_limits(plan)
    counts = json.loads(shown("gitlab-terraform", plan))
    assert_fits("gitlab-terraform", counts)
    assert sum(counts.values()) == MANY, "a row for each change"


def assert_markdown_within_limits(plan: Plan) -> None:
    """A comment holds 65,536 characters, a summary 1 MiB. Rows are worst first, and the rest is counted right below the verdict."""
    for name, most in (("comment", 65_536), ("summary", 1_048_576)):
        text = shown("markdown", plan, limit_bytes=MARKDOWN_BYTES[name])
        assert 0.8 * most < len(text.encode()) <= most
        rises = [int(number.replace(",", "")) for number in re.findall(r"1,000 → \*\*([\d,]+)\*\*", text)]
        rises = [rise for rise in rises if rise > 1_000]
        assert rises == sorted(rises, reverse=True)
        assert rises[0] == 2_999
        missing = plan.summary.loosen - len(rises)
        assert missing > 0
        notice = f"> **Not whole:** {missing:,} of the {plan.summary.loosen:,} changes that let more through did not fit here."
        assert text.index("`unknown-ef`") < text.index(notice) < text.index("Lets more through")


def assert_annotations_within_limits(plan: Plan) -> None:
    """Ten, the first of what blocks."""
    text = shown("github", plan)
    first, *_, last = text.splitlines()
    assert len(commands(text)) == ANNOTATIONS_AT_MOST
    assert first.startswith("::error file=")
    assert "title=unknown-ef (blocks the plan)::" in first
    rest = len(plan.findings) + plan.summary.loosen - ANNOTATIONS_AT_MOST
    assert last == f"{rest:,} more entries without an annotation: see the plan file."


def assert_sarif_within_limits(plan: Plan) -> None:
    """25,000 results and 10 MB packed is what GitHub takes."""
    text = shown("sarif", plan)
    assert len(gzip.compress(text.encode(), 1)) <= 10_000_000
    document = json.loads(text)
    run = document["runs"][0]
    assert len(run["results"]) == RESULTS_AT_MOST <= 25_000
    assert run["results"][0]["ruleId"] == "unknown-ef"
    missing = len(plan.findings) - RESULTS_AT_MOST
    assert (
        run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"] == f"{missing:,} more findings are in the plan file only"
    )
    run["results"] = run["results"][:100]  # a hundred of one kind are as good as 5,000
    assert_sarif(json.dumps(document))
