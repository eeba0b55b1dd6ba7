"""Pipelines print what amsctl prints, and the programs that run them read it: no text of a manifest, a file name or a server is a command to them."""

from __future__ import annotations

import io
import json
import random
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsctl.cli.console import Console
from amsctl.config import GuardName, Threshold
from amsctl.diagnostics import Diagnostic, Severity, Source
from amsctl.errors import AmsctlError
from amsctl.ledger.history import Log, LoggedRun
from amsctl.planning.codec import encode, encode_change, text_of
from amsctl.planning.compare import compare
from amsctl.planning.plan import Base, Verdict
from amsctl.views.compare_text import comparison_text, encode_comparison
from amsctl.views.escape import visible, visible_lines
from amsctl.views.formats import PLAN_FORMATS, REPORT_FORMATS, plan_in, report_in
from amsctl.views.github import ANNOTATIONS_AT_MOST
from amsctl.views.json_text import json_line, json_text
from amsctl.views.ledger_json import encode_blame, encode_lock_status, encode_log
from amsctl.views.ledger_text import blame_text, lock_status_text, log_text, settled_text
from amsctl.views.style import Look
from amsctl.views.tables import csv_text, grouped_table_text, table_text, yaml_text
from tests.conftest import CAMPAIGN
from tests.views import test_ledger_text as ledgers
from tests.views.filled import filled, filled_plan
from tests.views.samples import bad_report, postponed_report, rich_plan, stale_report
from tests.views.servers import commands

NAMES = (
    *("error", "warning", "notice", "debug", "add-mask", "group", "endgroup", "stop-commands", "set-output", "set-env", "add-path"),
    *("save-state", "add-matcher", "remove-matcher", "echo", "internal-set-repo-path"),
)
PAYLOADS = (
    # The runner's commands, each alone; with properties; after blanks; after a line's end of every kind.
    *(f"::{name}::EVIL" for name in NAMES),
    *(f"##[{name}]EVIL" for name in NAMES),
    *("::error file=a.yaml,line=1,col=2,title=t::EVIL", "::set-output name=ok::EVIL", "::set-env name=PATH::/evil", "::set-env name=LD_PRELOAD::/e"),
    *("##[set-env name=PATH;]/evil", "##[error file=a.yaml;line=1]EVIL", "##[add-path]/evil", "##[section]EVIL", "##[command]rm"),
    *("  ::error::EVIL", "   ##[error]EVIL", "\t::error::EVIL", "\u00a0::error::EVIL", "\u3000::error::EVIL", "\x1b[31m::error::EVIL"),
    *("a\n::error::EVIL", "a\r::error::EVIL", "a\r\n::error::EVIL", "a\x0b::error::EVIL", "a\x85::error::EVIL", "a\u2028::error::EVIL"),
    *("a ::error::EVIL", "a  ::error::EVIL ::error::EVIL", "::error::", "::a::", "::EvilToken9f2c::", "::9f2c::", "::error ::x::y", ":::::error::x"),
    *("####[error]EVIL", "##[##[error]EVIL", "x##[error]EVIL", "##[error", "##[ error]x", "::##[error]x::", "##[error]::error::x"),
    # Words that are commands only beside others of their kind.
    *("::", ":", ":: ", "##", "#", "[", "[error]x", "]", "error::x", "vso[", "section", "_start:1:x"),
    # Azure Pipelines, TeamCity, GitLab.
    *("##vso[task.setvariable variable=x]EVIL", "##vso[task.complete result=Succeeded;]x", "##VSO[task.logissue type=error]x"),
    *("##teamcity[buildStatus status='SUCCESS']", "##teamcity[setParameter name='x' value='y']"),
    *("section_start:1560896352:evil\r\x1b[0Kx", "\x1b[0Ksection_start:1560896352:evil[collapsed=true]\r\x1b[0Kx", "section_end:1560896352:evil\r\x1b[0K"),
)  # fmt: skip
LOOKS = (Look(), Look(color=True, width=40), Look(width=140, unicode=False))
GUARDED = Verdict(guard=GuardName.ROWS_CHANGED, threshold=Threshold(amount=5), measured=13, of=240, passed=False, where="x")


PLAN = rich_plan()
WHOLE = replace(
    PLAN,
    guards=(GUARDED, replace(GUARDED, passed=True)),
    origin=replace(PLAN.origin, base=Base(ref="refs/heads/main", commit="c", unprotected=("F/A",))),
)
"""A plan with something in every place."""


def printed(make: Callable[[], str]) -> Iterator[tuple[str, str]]:
    """Everything that amsctl prints with the made texts in it, by name; but for annotations, which are commands by their nature."""
    plan = filled_plan(WHOLE, make)
    for look in LOOKS:
        for form in PLAN_FORMATS:
            if form != "github" and (form in ("text", "markdown") or look is LOOKS[0]):
                yield f"plan as {form}", "".join(plan_in(form, plan, look))
        for draw in (bad_report, stale_report, postponed_report):
            report = filled(draw(WHOLE), make)
            report = replace(
                report,
                plan_digest=plan.digest,
                steps=tuple(replace(one, id=step.id) for one, step in zip(report.steps, plan.steps, strict=True)),
            )
            for form in REPORT_FORMATS:
                if form != "github" and (form in ("text", "markdown") or look is LOOKS[0]):
                    yield f"{draw.__name__} as {form}", "".join(report_in(form, report, plan, look))
                    yield f"{draw.__name__} without a plan as {form}", "".join(report_in(form, report, None, look))
        yield "difference", comparison_text(compare(plan, filled_plan(WHOLE, make)), look)
        yield from ledger(make, look)
        yield "table", table_text(["a", "b", "c"], [[make(), 5, make()], [make(), None, make()]], look)
        yield "grouped table", grouped_table_text(["a", "b", "c"], [[make(), make(), make()]], look, group=2)
    yield "difference as json", json_text(encode_comparison(compare(plan, filled_plan(WHOLE, make))))
    yield "csv", csv_text(["a", "b"], [[make(), make()]])
    yield "yaml", yaml_text({make(): [make(), {"a": make(), "b": [make()]}]})
    yield "lines", visible_lines(f"{make()}\n  {make()}\n\n{make()}\n")
    for json_logs in (False, True):
        yield f"messages, JSON {json_logs}", messages(make, json_logs=json_logs)


def ledger(make: Callable[[], str], look: Look) -> Iterator[tuple[str, str]]:
    log: Log = filled(ledgers.DETAILED, make)
    brief: Log = filled(ledgers.LOG, make)
    brief = replace(brief, runs=(*brief.runs, LoggedRun(run=brief.runs[0].run, counts={make(): 1}, postponed=make(), sendings=None)))
    blamed = tuple(filled(one, make) for one in ledgers.BLAMED)
    locks = tuple(filled(one, make) for one in ledgers.LOCKS)
    freezes = tuple(filled(one, make) for one in ledgers.FREEZES)
    names = {one.scope.ams: make() for one in (*locks, *freezes)}
    yield "ledger log", log_text(brief, look)
    yield "ledger log of a run", log_text(log, look)
    yield "blame", blame_text(blamed, look, environment=make(), url=make())
    yield "lock status", lock_status_text(locks, freezes, look, names=names)
    yield "resolve", settled_text(tuple(filled(one, make) for one in ledgers.SETTLED), look)
    yield "ledger log as json", json_text(encode_log(log)) + json_line(encode_log(brief))
    yield "blame as json", json_text(encode_blame(blamed, environment=make(), url=make()))
    yield "lock status as json", json_text(encode_lock_status(locks, freezes, names=names))


def messages(make: Callable[[], str], *, json_logs: bool) -> str:
    """What goes to standard error: notes, warnings, errors, findings in files, a question, a long read."""
    stream = io.StringIO()
    console = Console(stdout=stream, stderr=stream, stdin=io.StringIO("no\n"), environ={}, json_logs=json_logs, verbosity=1)
    for tell in (console.note, console.detail, console.warn, console.error):
        tell(make(), where=make())
    console.failed(AmsctlError(make(), where=make(), expected=make(), found=make(), hint=make()))
    place, other = Source(make(), 1, 1), Source(make(), 2, 2)
    console.diagnostics(
        Diagnostic(code="c", what=make(), source=place, severity=severity, expected=make(), found=make(), hint=make(), related=other)
        for severity in Severity
    )
    console.ask(make())
    stream.write("\n")
    console.note(console.progress(make(), 5).text(1.0))
    console.result_json({make(): make()})
    return stream.getvalue()


def test_the_payloads_bite() -> None:
    """Printed as they are, alone on a line, most are commands to one reader or another; the rest are parts of one."""
    assert len(PAYLOADS) >= 60
    assert len(set(PAYLOADS)) == len(PAYLOADS)
    biting = [payload for payload in PAYLOADS if commands(payload)]
    assert len(biting) >= 60
    assert {found.server for payload in biting for found in commands(payload)} == {"github", "github, older", "azure or teamcity", "gitlab"}
    assert commands("  ::set-env name=A,b=c::x::y") == [("github", "set-env", {"name": "A", "b": "c"}, "x::y")]


@pytest.mark.no_cover
@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: ascii(payload)[:40])
def test_no_payload_is_a_command_in_anything_printed(payload: str) -> None:
    """One text in every place of every view and message, and the text again beside itself."""
    for name, text in printed(lambda: payload):
        assert commands(text) == [], name


@pytest.mark.no_cover
def test_parts_of_commands_do_not_meet() -> None:
    """Parts drawn anew for each place: nothing that stands side by side in a view becomes a command."""
    chance = random.Random(61)
    parts = ("::", ":", "#", "##", "[", "]", "error", " ", "x", "section_", "start:", "vso[", "1", "\n", "", "/", "-")
    for _ in range(5 * CAMPAIGN):
        for name, text in printed(lambda: "".join(chance.choices(parts, k=chance.randrange(5)))):
            assert commands(text) == [], name


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: ascii(payload)[:40])
def test_annotations_are_ours_alone(payload: str) -> None:
    """The view for GitHub prints commands: each of one of our three kinds, with our properties, ten at most, and no other in them or beside them."""
    plan = filled_plan(WHOLE, lambda: payload)
    report = filled(bad_report(WHOLE), lambda: payload)
    for text in ("".join(plan_in("github", plan, Look())), "".join(report_in("github", report, plan, Look()))):
        found = commands(text)
        assert 0 < len(found) <= ANNOTATIONS_AT_MOST
        assert {one.server for one in found} == {"github"}
        assert {one.name for one in found} <= {"error", "warning", "notice"}
        assert {tuple(one.properties) for one in found} <= {("title",), ("file", "line", "col", "title")}
        assert len(found) == sum(line.lstrip().startswith("::") for line in text.splitlines())


@given(st.lists(st.sampled_from(("::", ":", "#", "##", "[", "]", "a", " ", "error", "section_", "start:", "vso", "\n", "é"))).map("".join))
def test_any_text_is_inert_however_a_view_lays_it_out(text: str) -> None:
    """At the start of a line, after blanks, after a word, broken at any blank, as a value in JSON and YAML; and a second pass changes nothing."""
    once = visible(text)
    assert visible(once) == once
    for before in ("", "  ", "- ", "error: ", "\x1b[1m"):
        assert commands(before + once) == []
    for width in (5, 10, 20):
        assert commands("\n".join(textwrap.wrap(once, width, break_long_words=False, break_on_hyphens=False))) == []
    assert commands(json_text([text, {text: text}]) + json_line(text) + yaml_text({"a": text})) == []


@pytest.mark.parametrize(
    "text",
    [
        "a::b",
        "http://[::1]:8480",
        "std::string",
        "a :: b",
        "a:: b",
        "# one",
        "## two [x](y)",
        "C#[1]",
        "#[x]",
        "12:30",
        "section start:",
        "x_section_1",
    ],
)
def test_other_text_stays(text: str) -> None:
    """Colons, hashes and brackets that nobody reads as a command."""
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", '"plain"'),
        ("a\x7fb", '"a\\u007fb"'),
        ("##[error]x", '"#\\u0023[error]x"'),
        ("section_start:1", '"section\\u005fstart:1"'),
        ("## x", '"## x"'),
        ("é\\##[x]", '"\\u00e9\\\\#\\u0023[x]"'),
    ],
)
def test_how_it_looks_in_json(text: str, shown: str) -> None:
    """The same, in the way of JSON: it reads back as it was."""
    assert json_line(text) == shown
    assert json.loads(shown) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::error::x", "\\u{3A}:error::x"),
        ("see ::error::x", "see \\u{3A}:error::x"),
        ("##[error]x", "#\\u{23}[error]x"),
        ("##vso[task]x", "#\\u{23}vso[task]x"),
        ("section_end:1:x", "section\\u{5F}end:1:x"),
    ],
)
def test_how_it_looks(text: str, shown: str) -> None:
    """One character is written as its number; the rest can be read."""
    assert visible(text) == shown


def test_a_plan_says_the_same_in_its_file() -> None:
    """JSON that reads back as it was: only how a character is written differs, and the digest is over what it says."""
    plan = filled_plan(WHOLE, lambda: "##[error]x section_start:1:y \x7f")
    text = "".join(text_of(plan))
    assert json.loads(text) == json.loads(json.dumps(encode(plan)))
    assert "#\\u0023[error]x section\\u005fstart:1:y \\u007f" in text
    change: Any = encode_change(plan.changes[0])
    assert json.loads(json_text(change)) == json.loads(json_line(change)) == json.loads(json.dumps(change))
