"""Data of an enemy: whatever a server or a manifest says, no view lets a control character through."""

from __future__ import annotations

import random
import re
from dataclasses import fields, replace
from typing import Any

from amsctl.applying.report import StepReport
from amsctl.diagnostics import Diagnostic, Source
from amsctl.errors import AmsctlError
from amsctl.model import Outcome
from amsctl.views.diagnostics_text import diagnostic_line, error_line
from amsctl.views.escape import visible
from amsctl.views.plan_text import plan_text
from amsctl.views.report_text import report_text
from amsctl.views.style import Look
from amsctl.views.tables import csv_text, table_text, yaml_text
from tests.views.samples import bad_report, rich_plan, stale_report

POISON = (
    "\x1b[2J",
    "\x1b]8;;http://evil\x07",
    "\x9b31m",
    "\r",
    "\n",
    "\x00",
    "\x7f",
    "\u202e",
    "\u2066",
    "\u200b",
    "\ufeff",
    "\u2028",
    "\ud800",
    "\U000e0001",
    "\x08",
)
OURS = re.compile("\x1b\\[(?:1;31|33|32|2|1|0)m")


def hostile(chance: random.Random) -> str:
    return "".join(
        chance.choice((*POISON, "A", "9", " ", "/", "-", chr(chance.randrange(0x110000)))) for _ in range(chance.randrange(1, 12))
    )


def assert_clean(text: str) -> None:
    rest = OURS.sub("", text).replace("\n", "")
    bad = [char for char in rest if not char.isprintable()]
    assert not bad, f"{bad[:5]!r}"


def poisoned(value: Any, chance: random.Random) -> Any:
    """The value with every free text in it replaced."""
    changes = {}
    for field in fields(value):
        found = getattr(value, field.name)
        if type(found) is str and field.name not in {"id", "digest", "plan_digest", "method"}:
            changes[field.name] = hostile(chance)
        elif isinstance(found, Source):
            changes[field.name] = Source(hostile(chance), 1, 1)
    return replace(value, **changes)


def test_twenty_thousand_strings() -> None:
    """None of them comes out with anything invisible in it."""
    chance = random.Random(1)
    for _ in range(20_000):
        assert visible(hostile(chance)).isprintable()


def test_whole_plans_and_reports() -> None:
    """Plans and reports with every text poisoned, in colour and plain, with and without the plan."""
    chance = random.Random(2)
    for _ in range(120):
        plan = rich_plan()
        keys = {change.account_key: (hostile(chance), hostile(chance)) for change in plan.changes}
        changes = []
        for change in plan.changes:
            firm, account = keys[change.account_key]
            spoiled = poisoned(change, chance)
            value = {} if not isinstance(change.before, str) else {"before": hostile(chance), "after": hostile(chance)}
            changes.append(replace(spoiled, clearing_firm=firm, account=account, **value))
        plan = replace(
            plan,
            changes=tuple(changes),
            steps=tuple(replace(item, clearing_firm=keys[item.account_key][0], account=keys[item.account_key][1]) for item in plan.steps),
            findings=tuple(poisoned(item, chance) for item in plan.findings),
            target=poisoned(plan.target, chance),
            origin=replace(
                plan.origin,
                manifests_sha256=hostile(chance),
                git=poisoned(plan.origin.git, chance),
                selection=replace(plan.origin.selection, paths=(hostile(chance),)),
            ),
            created_at=hostile(chance),
            expires_at=hostile(chance),
        )
        look = Look(color=chance.random() < 0.5, width=chance.choice((40, 80, 140)), unicode=True)
        assert_clean(plan_text(plan, look))
        for make in (bad_report, stale_report):
            report = make(plan)
            report = replace(
                report,
                started_at=hostile(chance),
                stale=tuple(hostile(chance) for _ in report.stale),
                steps=(
                    *(poisoned(item, chance) for item in report.steps),
                    StepReport(id=hostile(chance), outcome=Outcome.FAILED, message=hostile(chance)),
                ),
            )
            assert_clean(report_text(report, plan, look))
            assert_clean(report_text(report, None, look))


def test_lines_and_tables() -> None:
    """Diagnostics, errors, tables, CSV and YAML."""
    chance = random.Random(3)
    for _ in range(300):
        texts = [hostile(chance) for _ in range(6)]
        source = Source(texts[0], 1, 1)
        assert_clean(
            diagnostic_line(
                Diagnostic(
                    code="c", what=texts[1], source=source, expected=texts[2], found=texts[3], hint=texts[4], related=Source(texts[5], 2, 2)
                )
            )
        )
        assert_clean(error_line(AmsctlError(texts[0], where=texts[1], expected=texts[2], found=texts[3], hint=texts[4])))
        assert_clean(table_text(["a", "b"], [texts[:2], texts[2:4]]))
        assert_clean(csv_text(["a", "b"], [texts[:2], texts[2:4]]))
        assert_clean(yaml_text({texts[0]: texts[1:]}))
