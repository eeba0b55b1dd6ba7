"""Text that the runner of a pipeline would obey, if it stood in a log as it came: no view, report, table or message lets any of it through."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import pytest

from amsctl.diagnostics import Diagnostic, Source
from amsctl.errors import AmsctlError
from amsctl.planning.plan import Plan
from amsctl.views.diagnostics_text import diagnostic_line, error_line
from amsctl.views.escape import visible
from amsctl.views.formats import PLAN_FORMATS, REPORT_FORMATS, plan_in, report_in
from amsctl.views.json_text import json_line, json_text
from amsctl.views.style import Look
from amsctl.views.tables import csv_text, table_text, yaml_text
from tests.views.samples import bad_report, rich_plan

_V2 = (
    "error",
    "warning",
    "notice",
    "debug",
    "group",
    "endgroup",
    "add-mask",
    "add-matcher",
    "remove-matcher",
    "set-output",
    "save-state",
    "set-env",
)
_V2 += ("add-path", "stop-commands", "echo", "internal-set-repo-path")
_V1 = ("error", "command", "group", "endgroup", "section", "debug", "warning", "set-env", "add-path")
PAYLOADS = (
    *(f"::{name}::x" for name in _V2),
    *(f"::{name} file=a,line=1::x" for name in _V2[:8]),
    *(f"##[{name}]x" for name in _V1),
    *(f"  ::{name}::x" for name in _V2[:5]),
    *(f"ok ::{name}::x" for name in _V2[:5]),
    *(f"ok ##[{name}]x" for name in _V1[:4]),
    *(f"\t::{name}::x" for name in _V2[:4]),
    *(f"a\n::{name}::x" for name in _V2[:4]),
    *("\r::error::x", "\u00a0::error::x", "\u2028::error::x", "\ufeff::error::x", "\x1b[0m::error::x", "::ERROR::x", "::error ::x"),
    *(
        "##vso[task.setvariable variable=a]b",
        "##vso[task.prependpath]c",
        "##teamcity[buildStatus text='x']",
        "x##teamcity[progressMessage 'x']",
    ),
    *("section_start:1700000000:x\r\x1b[0Kx", "section_end:1700000000:x\r\x1b[0K", "\r\x1b[0Ksection_start:1:x[collapsed=true]\r\x1b[0Kx"),
    *("::::error::x", ":: error::x", "##[[error]]x", "###[error]x"),
)
# The rules of the runners: GitHub's trims a line and obeys what begins with ::name …::, and ##[name] wherever it stands; Azure and TeamCity likewise
# after their own prefixes; GitLab's wants a carriage return and an escape sequence after the marker of a section.
_OBEYED = (
    re.compile(r"^\s*::[A-Za-z-]+(?: [^\n]*?)?::", re.MULTILINE),
    re.compile(r"##\[[A-Za-z-]+"),
    re.compile(r"##(?:vso|teamcity)\["),
    re.compile("section_(?:start|end):[0-9]+:[^\r\n]*\r\x1b"),
)


def obeyed(text: str) -> list[str]:
    """What of a log the runners would obey; GitHub's takes a carriage return and Unicode's separators for the end of a line as well."""
    lines = re.sub("\r(?!\x1b)|[\u2028\u2029\x85\x0b\x0c]", "\n", text)
    return [match[0] for pattern in _OBEYED for match in pattern.finditer(lines)]


def test_there_are_sixty_and_the_runner_obeys_them() -> None:
    """Each payload is one as it stands, or after a prefix that a line may be cut at: the model below finds most of them by itself."""
    assert len(set(PAYLOADS)) >= 60
    assert sum(bool(obeyed(payload)) for payload in PAYLOADS) >= 45


@pytest.mark.parametrize("payload", PAYLOADS)
def test_none_is_left_in_a_text(payload: str) -> None:
    """Made visible it is inert, wherever a line is broken; made visible again it stays as it is; what it was can be seen."""
    shown = visible(payload)
    assert obeyed(shown) == []
    assert [obeyed(shown[at + 1 :]) for at, letter in enumerate(shown) if letter == " "] == [[]] * shown.count(" ")
    assert visible(shown) == shown
    assert obeyed(json_text({payload: [payload]})) + obeyed(json_line([payload])) + obeyed(yaml_text({payload: [payload]})) == []
    assert json.loads(json_line([payload])) == [payload]


@pytest.mark.parametrize(
    "text", ["a::b", "std::string", "10:30", "A:B", "fe80::1", "#1", "## heading", "a [b]", "x: y", ":", "::", "a#[b]"]
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


def poisoned(value: Any, payload: str) -> Any:
    changes: dict[str, Any] = {}
    for field in fields(value):
        found = getattr(value, field.name)
        if type(found) is str and field.name not in {"id", "digest", "plan_digest", "method", "unset_means"}:
            changes[field.name] = payload
        elif isinstance(found, Source):
            changes[field.name] = Source(payload, 1, 1)
    return replace(value, **changes)


def poisoned_plan(payload: str) -> Plan:
    plan = rich_plan()
    return replace(
        plan,
        changes=tuple(
            replace(
                change,
                clearing_firm=payload,
                account=payload,
                **({"execution_firm": payload, "product": payload} if change.product else {}),
            )
            for change in plan.changes
        ),
        steps=tuple(replace(step, clearing_firm=payload, account=payload) for step in plan.steps),
        findings=tuple(poisoned(item, payload) for item in plan.findings),
        target=poisoned(plan.target, payload),
        origin=replace(plan.origin, git=poisoned(plan.origin.git, payload), selection=replace(plan.origin.selection, paths=(payload,))),
    )


def printed(payload: str) -> Iterator[tuple[str, str]]:
    """Everything that prints a plan, a report, a table or a message, with the payload in every text of somebody else's."""
    plan = poisoned_plan(payload)
    report = bad_report(plan)
    report = replace(report, stale=(payload,), steps=tuple(poisoned(step, payload) for step in report.steps))
    for look in (Look(width=40), Look(width=140, color=True)):
        yield from ((f"plan {form}", "".join(plan_in(form, plan, look))) for form in PLAN_FORMATS if form in {"text"} or look.color)
        yield from ((f"report {form}", "".join(report_in(form, report, plan, look))) for form in REPORT_FORMATS)
    yield "csv", csv_text(["a"], [[payload]])
    yield "table", table_text(["a"], [[payload]])
    yield "error", error_line(AmsctlError(payload, where=payload, expected=payload, found=payload, hint=payload))
    yield "diagnostic", diagnostic_line(Diagnostic(code="c", what=payload, source=Source(payload, 1, 1), found=payload, hint=payload))


@pytest.mark.no_cover
@pytest.mark.parametrize("payload", PAYLOADS)
def test_none_is_left_in_anything_that_is_printed(payload: str) -> None:
    """In every format; the annotations, which are commands, are ours alone."""
    for name, text in printed(payload):
        found = obeyed(text)
        if name.endswith(" github"):
            ours = [line for line in text.splitlines() if line.startswith(("::error ", "::warning ", "::notice "))]
            assert 0 < len(ours) <= 10
            assert len(ours) >= len(text.splitlines()) - 1  # and how many more there are
            found = obeyed("\n".join(line.partition("::")[2] for line in ours))
            found += [one for line in text.splitlines() if line not in ours for one in obeyed(line)]
        assert found == [], (name, found)
