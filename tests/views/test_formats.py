"""The formats that reviewers and pipelines read: each says what the plan says, within its limits, and nothing foreign gets out of its place."""

from __future__ import annotations

import csv
import json
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from xml.etree import ElementTree as Xml

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from amsctl.applying.report import Report
from amsctl.diagnostics import Severity, Source
from amsctl.model import UNLIMITED, UNSET, Direction, UnsetMeans
from amsctl.planning.plan import Finding, Plan
from amsctl.views.exposure import exposure_of, worst_first
from amsctl.views.formats import MARKDOWN_BYTES, PLAN_FORMATS, REPORT_FORMATS, plan_in, report_in
from amsctl.views.github import ANNOTATIONS_AT_MOST
from amsctl.views.markdown import code
from amsctl.views.plan_csv import PLAN_COLUMNS
from amsctl.views.sarif import RESULTS_AT_MOST
from amsctl.views.style import PLAIN
from tests.conftest import CAMPAIGN
from tests.views.samples import FIRM, bad_report, good_report, leg, plan_of, postponed_report, quiet_plan, rich_plan, stale_report, status
from tests.views.test_hostile import assert_clean, hostile, poisoned

GFM = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
OURS = re.compile(r"</?details>|</?summary>|<!-- amsctl:(?:plan|report):(?!.*--.*-->)[\w.-]* -->")
MARK = "EVIL"
NASTY = (
    *("`", "``", "|", "\\", "\\|", "\\`", "<script>alert(1)</script>", "</details>", "<!--", "-->", "<img src=//evil>", "&lt;", "&#64;"),
    *("[x](http://evil.example)", "![x](http://evil.example)", "http://evil.example", "www.evil.example", "a@evil.example", "@team", "#1"),
    *(
        "~~",
        "**",
        "__",
        "]: http://evil.example",
        "\n\n# x",
        "\r\n::error::x",
        "::add-mask::x",
        "%0A::error::x",
        "##[error]x",
        "=1+1",
        "@SUM(1)",
    ),
    *(
        "https://evil.example/a(b)",
        "ftp://evil.example",
        "<https://evil.example>",
        "mailto:a@evil.example",
        "xmpp:a@evil.example/b",
        "@evil-user",
    ),
    *(
        "@evil/team",
        "GH-12",
        "evil/repo#12",
        "evil@4be1c0ffee00",
        "4be1c0ffee0000000000000000000000000000aa",
        "!12",
        "&12",
        "%12",
        "~bug",
        "$12",
    ),
    *(
        "[x][1]",
        "[1]: http://evil.example",
        "[^1]",
        "<a href=//evil>",
        "<svg/onload=alert(1)>",
        "javascript:alert(1)",
        "<!DOCTYPE",
        "<?x",
        "<![CDATA[",
    ),
    *(
        ":smile:",
        "$`x`$",
        "\n```mermaid\ngraph",
        "\n- [ ] x",
        "\n\n| a |\n|---|",
        "\n    x",
        "\t",
        "<details open>",
        "\n> [!NOTE]",
        "[[evil]]",
    ),
    *("$(id)", "${{ secrets.X }}", "\x1b[2J", "\u202e", "\x00", "]]>", "\ud800", "'", '"'),
)


def shown(form: str, plan: Plan, **more: int) -> str:
    return "".join(plan_in(form, plan, PLAIN, **more))


def told(form: str, report: Report, plan: Plan | None = None) -> str:
    return "".join(report_in(form, report, plan, PLAIN))


def tokens(text: str) -> Iterator[Token]:
    for token in GFM.parse(text):
        yield token
        yield from token.children or ()


def nasty(chance: random.Random) -> str:
    parts = [chance.choice((*NASTY, "a", " ", "9", hostile(chance))) for _ in range(chance.randrange(1, 5))]
    parts.insert(chance.randrange(len(parts) + 1), MARK)
    return "".join(parts)


def spoiled(plan: Plan, chance: random.Random) -> Plan:
    """The plan with every foreign text replaced."""

    def one() -> str:
        return nasty(chance)

    return replace(
        plan,
        changes=tuple(
            replace(
                change,
                clearing_firm=one(),
                account=one(),
                execution_firm=None if change.execution_firm is None else one(),
                product=None if change.product is None else one(),
                source=None if chance.random() < 0.3 else Source(one(), 3, 5),
                **({"before": one(), "after": one()} if isinstance(change.before, str) else {}),
            )
            for change in plan.changes
        ),
        findings=tuple(
            replace(item, code=one(), message=one(), where=one(), source=Source(one(), 1, 1) if chance.random() < 0.5 else None)
            for item in plan.findings
        ),
        target=replace(plan.target, environment=one()),
        origin=replace(plan.origin, git=poisoned(plan.origin.git, chance)),
        created_at=one(),
        expires_at=one(),
    )


STRINGS = 4_000 if CAMPAIGN == 1 else 20_000


@pytest.mark.no_cover
def test_a_code_span_holds_any_text() -> None:
    """Twenty thousand strings in a campaign, four in every run, each alone in a table's cell: one cell, one code span, and nothing else."""
    chance = random.Random(11)
    for _ in range(STRINGS):
        text = "".join(chance.choice((*NASTY, "a", " ", hostile(chance))) for _ in range(chance.randrange(4)))
        parsed = list(tokens(f"| a | b |\n| --- | --- |\n| {code(text)} | end |\n"))
        inner = [token.children or [] for token in parsed if token.type == "inline"]
        assert [[child.type for child in children] for children in inner] == [["text"], ["text"], ["code_inline"], ["text"]], text
        assert inner[3][0].content == "end"


@pytest.mark.parametrize("limit_bytes", MARKDOWN_BYTES.values())
def test_nothing_foreign_leaves_its_code_span(limit_bytes: int) -> None:
    """What a manifest or a server said is code, wherever it stands; the only HTML is ours."""
    chance = random.Random(limit_bytes)
    for _ in range(60):
        plan = spoiled(rich_plan(), chance)
        report = replace(bad_report(plan), steps=tuple(replace(step, message=nasty(chance)) for step in bad_report(plan).steps))
        late = replace(
            postponed_report(plan), postponed=nasty(chance), unread=(nasty(chance),), unrecorded=nasty(chance), run=nasty(chance)
        )
        stale = replace(stale_report(plan), stale=(nasty(chance), nasty(chance)))
        texts = [shown("markdown", plan, limit_bytes=limit_bytes)]
        texts += [told("markdown", item, plan) for item in (report, late, stale)]
        for text in texts:
            assert MARK in text
            assert_clean(text)
            for token in tokens(text):
                if token.type in ("html_block", "html_inline"):
                    rest = OURS.sub("", token.content)
                    assert "<" not in rest, token.content
                    assert MARK not in rest, token.content
                elif token.type == "text":
                    assert MARK not in token.content, token.content
                else:
                    assert token.type not in ("link_open", "image"), text


def test_every_other_format_stays_whole() -> None:
    """Control characters out, and each format read back by a reader of its kind with as many entries as the plan has."""
    chance = random.Random(5)
    for _ in range(40):
        plan = spoiled(rich_plan(), chance)
        for form in PLAN_FORMATS:
            assert_clean(shown(form, plan))
        rows = list(csv.reader(shown("csv", plan).splitlines()))
        assert [len(row) for row in rows] == [len(PLAN_COLUMNS)] * (len(plan.changes) + 1)
        assert not [cell for row in rows[1:] for cell in row if cell[:1] in ("=", "+", "@", "\t", "\r")]
        results = json.loads(shown("sarif", plan))["runs"][0]["results"]
        assert len(results) == len(plan.findings)
        cases = Xml.fromstring(shown("junit", plan)).findall("testsuite/testcase")
        assert len(cases) == len(plan.findings) + 1
        for report in (bad_report(plan), stale_report(plan)):
            report = replace(report, steps=tuple(replace(step, message=nasty(chance)) for step in report.steps))
            for form in REPORT_FORMATS:
                assert_clean(told(form, report, plan))
            assert len(Xml.fromstring(told("junit", report, plan)).findall("testsuite/testcase")) == len(report.steps)
            assert len(list(csv.reader(told("csv", report).splitlines()))) == len(report.steps) + 1


def test_annotations_hold_any_text() -> None:
    """At most ten workflow commands, each one line that begins with one of ours; what is foreign can neither end a property nor begin a command."""
    chance = random.Random(7)
    for _ in range(200):
        plan = spoiled(rich_plan(), chance)
        *commands, last = shown("github", plan).splitlines()
        assert len(commands) == ANNOTATIONS_AT_MOST
        assert (
            last
            == f"{len(plan.findings) + plan.summary.loosen - ANNOTATIONS_AT_MOST} more entries without an annotation: see the plan file."
        )
        for command in commands:
            found = re.fullmatch(r"::(error|warning|notice) ((?:[a-z]+=[^,:]*,?)+)::(.*)", command)
            assert found is not None, command
            names = [part.split("=")[0] for part in found[2].split(",")]
            assert names in (["title"], ["file", "line", "col", "title"])
            assert not re.search("%(?!25|3A|2C)", found[2] + found[3]), command


# --- what they say ---


def test_the_verdict_comes_first() -> None:
    """Before any table: whether more may be lost than before, and what blocks."""
    lines = shown("markdown", rich_plan()).splitlines()
    assert lines[0] == "<!-- amsctl:plan:new-release -->"
    assert lines[3] == (
        "**Blocked by 1 finding. More may be lost than before: 1 account is activated; 1 execution firm is released; 1 leg ends without a limit; "
        "the effective limit rises on 3 legs, by 2,147,483,719 contracts in all and 2,147,483,646 at most.**"
    )
    assert "**No changes.**" in shown("markdown", quiet_plan())
    tightened = plan_of(
        [leg("c1", "A", "3N1/CJ.FUT.NYMEX", "ef.long", 5, 3, other=9), leg("c2", "A", "3N1/CJ.FUT.NYMEX", "cmf.long", 9, 12, other=5)]
    )
    assert "**Nothing lets more through than before; 1 limit raised where the other side binds.**" in shown("markdown", tightened)
    assert "**Nothing lets more through than before.**" in shown(
        "markdown", plan_of([leg("c1", "A", "3N1/X.FUT.Y", "ef.long", 5, 3, other=9)])
    )


def test_exposure_counts_a_leg_once() -> None:
    """Both sides of a leg may rise together: the effective limit moves once."""
    both = [leg("c1", "A", "3N1/X.FUT.Y", "ef.long", 5, 9, other=9), leg("c2", "A", "3N1/X.FUT.Y", "cmf.long", 5, 9, other=9)]
    exposure = exposure_of(plan_of(both))
    assert (len(exposure.raised), exposure.lots) == (1, 4)
    assert not exposure_of(plan_of([leg("c1", "A", "3N1/X.FUT.Y", "ef.long", 5, 3, other=9)])).grows


def test_an_unknown_effective_limit_counts_in_full() -> None:
    """Where min(ef, cmf) is not known, the change itself is taken for it."""
    unknown = replace(leg("c1", "A", "3N1/X.FUT.Y", "ef.long", 5, 105, other=3), effective_before=None, effective_after=None, binding=False)
    assert exposure_of(plan_of([unknown])).lots == 100
    assert [
        change.id for change in worst_first([leg("c2", "A", "3N1/Z.FUT.Y", "ef.long", 5, 6, other=9), unknown], UnsetMeans.UNLIMITED)
    ] == ["c2", "c1"]


def test_worst_first() -> None:
    """Activations, releases, what ends open, then the largest rise; what does not bind is last among what loosens."""
    order = [change.id for change in worst_first(rich_plan().changes, UnsetMeans.UNLIMITED)]
    assert order[:8] == ["c12", "c9", "c5", "c13", "c6", "c8", "c2", "c3"]
    blocked = leg("c1", "A", "3N1/X.FUT.Y", "ef.long", 5, UNSET, other=UNLIMITED, unset_means=UnsetMeans.BLOCKED)
    assert blocked.direction is Direction.TIGHTEN


def test_findings_stand_at_their_manifest() -> None:
    """SARIF, annotations and GitLab's report point to file and line where the finding has one, and to the project file where not."""
    source = Source("accounts/a b.yaml", 7, 3)
    placed = Finding(code="unknown-ef", severity=Severity.ERROR, message="m", where="F/A/3N1", blocks=True, source=source)
    loose = Finding(code="undeclared-row", severity=Severity.WARNING, message="m", where="F/A/3N1/X.FUT.Y")
    plan = plan_of([], findings=(loose, placed, loose))
    first, second, _ = json.loads(shown("sarif", plan))["runs"][0]["results"]
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "accounts/a%20b.yaml", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 7, "startColumn": 3},
    }
    assert (first["level"], second["level"]) == ("error", "warning")
    assert second["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "amsctl.yaml"
    assert shown("github", plan).splitlines() == [
        "::error file=accounts/a b.yaml,line=7,col=3,title=unknown-ef (blocks the plan)::F/A/3N1: m",
        *["::warning title=undeclared-row::F/A/3N1/X.FUT.Y: m"] * 2,
    ]
    issues = json.loads(shown("gitlab-codequality", plan))
    assert [(item["severity"], item["location"]) for item in issues] == [
        ("blocker", {"path": "accounts/a b.yaml", "lines": {"begin": 7}}),
        *[("minor", {"path": "amsctl.yaml", "lines": {"begin": 1}})] * 2,
    ]
    assert len({item["fingerprint"] for item in issues}) == 3
    case = Xml.fromstring(shown("junit", plan)).findall("testsuite/testcase")[1]
    assert case.findtext("failure") == "accounts/a b.yaml:7:3: m"


def test_terraform_counts() -> None:
    """A row counts once: created where every changed leg was unset, deleted where every one ends unset."""
    row = "3N1/X.FUT.Y"
    changes = [
        leg("c1", "A", row, "ef.long", UNSET, 5, other=9),
        leg("c2", "A", row, "ef.short", UNSET, 5, other=9),
        leg("c3", "B", row, "ef.long", 5, UNSET, other=9),
        leg("c4", "C", row, "ef.long", 5, 6, other=9),
        leg("c5", "D", row, "ef.long", 5, UNSET, other=9),
        leg("c6", "D", row, "ef.short", 5, 7, other=9),
        status("c7", "E", "Active"),
    ]
    assert json.loads(shown("gitlab-terraform", plan_of(changes))) == {"create": 1, "update": 3, "delete": 1}


def test_a_report_in_every_format() -> None:
    """Outcomes keep their meaning: failed and diverged fail, unknown is an error, what was not sent is skipped."""
    plan = rich_plan()
    report = bad_report(plan)
    suite = Xml.fromstring(told("junit", report, plan)).find("testsuite")
    assert suite is not None
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == [
        str(number)
        for number in (
            len(report.steps),
            *(sum(step.outcome in words for step in report.steps) for words in ({"failed", "diverged"}, {"unknown"}, {"blocked"})),
        )
    ]
    assert len(Xml.fromstring(told("junit", report)).findall("testsuite/testcase")) == len(report.steps)
    text = told("markdown", report, plan)
    assert "Not done as planned: exit code 6." in text
    assert text.index("| unknown |") < text.index("| diverged |") < text.index("| verified |")
    assert "**Done: every step is verified.**" in told("markdown", good_report(plan), plan)
    assert FIRM not in told("markdown", report, quiet_plan()).split("### Not as planned")[0], "another plan's words are not used"
    assert told("github", report).count("::error title=") == 3
    assert told("github", good_report(plan)) == ""
    assert "What had moved" in told("markdown", stale_report(plan), plan)
    assert "Kept from being sent" in told("markdown", postponed_report(plan), plan)


# --- limits ---


@pytest.fixture(scope="module")
def long_plan() -> Plan:
    """Every second change loosens: far more than any comment holds."""
    changes = [
        leg(
            f"c{number + 1}",
            f"A{number // 50:05}",
            f"3N1/P{number % 50}.FUT.CME",
            "ef.long",
            100,
            100 + (number if number % 2 else -1),
            other=1_000_000,
        )
        for number in range(20_000)
    ]
    findings = tuple(
        Finding(code="undeclared-row", severity=Severity.WARNING, message="m" * 80, where=f"F/A{number}") for number in range(6_000)
    )
    return plan_of(changes, findings=findings)


def test_markdown_within_its_limit(long_plan: Plan) -> None:
    """The largest rises are there, what is missing is counted right below the verdict, and it points to the whole."""
    for limit_bytes in MARKDOWN_BYTES.values():
        text = shown("markdown", long_plan, limit_bytes=limit_bytes)
        assert limit_bytes * 0.8 < len(text.encode()) <= limit_bytes
        rises = [int(number.replace(",", "")) for number in re.findall(r"100 → \*\*([\d,]+)\*\*", text)]
        rises = [number for number in rises if number > 100]
        assert rises == sorted(rises, reverse=True)
        assert rises[0] == 100 + 19_999
        missing = 10_000 - len(rises)
        notice = f"> **Not whole:** {missing:,} of the 10,000 changes that let more through did not fit here."
        assert (notice in text) == bool(missing)
        if missing:
            assert text.index("Not whole") < text.index("Lets more through")
    assert len(shown("markdown", long_plan).encode()) < 65_536


def test_no_room_for_a_single_row() -> None:
    """A row wider than the page is not half there: it is counted as missing."""
    plan = rich_plan()
    wide = replace(plan.findings[0], message="x" * 70_000, blocks=True)
    text = shown("markdown", replace(plan, findings=(wide,), changes=()))
    assert len(text.encode()) <= MARKDOWN_BYTES["comment"]
    assert "> **Not whole:** 1 finding that blocks the plan did not fit here." in text
    report = replace(bad_report(plan), stale=("y" * 70_000,))
    assert "> **Not whole:** 1 line did not fit here" in told("markdown", report, plan)


def test_sarif_within_its_limit(long_plan: Plan) -> None:
    """Not more results than are shown, and the rest counted."""
    run = json.loads(shown("sarif", long_plan))["runs"][0]
    assert len(run["results"]) == RESULTS_AT_MOST
    assert run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"] == "1,000 more findings are in the plan file only"
