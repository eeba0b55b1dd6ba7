"""A report as text: what went wrong first, what to do next, the summary last."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from amsctl.applying.report import StepReport
from amsctl.errors import ExitCode
from amsctl.model import Outcome, Phase
from amsctl.views.report_text import report_summary_words, report_text
from amsctl.views.style import Look
from tests.views import samples
from tests.views.golden import assert_golden
from tests.views.samples import bad_report, good_report, interrupted_report, leg, plan_of, rich_plan, stale_report, step


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("sample", ["good_report", "bad_report", "stale_report"])
def test_golden(sample: str, width: int, color: bool) -> None:
    """The text that a person has looked at."""
    plan = rich_plan()
    text = report_text(getattr(samples, sample)(plan), plan, Look(color=color, width=width))
    assert_golden(f"{sample}-{width}{'-color' if color else ''}", text)


def test_without_a_plan() -> None:
    """A report alone is told by step ids; another plan's words are never put on it."""
    plan = rich_plan()
    report = bad_report(plan)
    text = report_text(report)
    assert_golden("bad_report-alone-80", text)
    assert report_text(report, replace(plan, digest="sha256:another")) == text


def test_ascii_terminals_get_ascii() -> None:
    """Where only ASCII arrives, only ASCII is sent."""
    assert report_text(bad_report(rich_plan()), rich_plan(), Look(unicode=False)).isascii()


def test_the_worst_comes_first() -> None:
    """Unknown before diverged before failed before blocked before verified before skipped."""
    words = re.findall("^  (UNKNOWN|DIVERGED|FAILED|BLOCKED|verified|skipped)", report_text(bad_report(rich_plan())), re.MULTILINE)
    assert words == ["UNKNOWN", "DIVERGED", "FAILED", "BLOCKED", "BLOCKED", "verified", "skipped"]


def test_every_outcome_that_went_wrong_is_explained_once() -> None:
    """A desk reads what diverged means without a manual."""
    text = report_text(bad_report(rich_plan()), rich_plan())
    for word in ("unknown:", "diverged:", "failed:", "blocked:"):
        assert text.count(f"\n  {word}") == 1
    assert "verified: " not in report_text(good_report(rich_plan()))


@pytest.mark.parametrize(
    ("make", "code", "advice"),
    [
        (good_report, ExitCode.DONE, "Everything was read back"),
        (bad_report, ExitCode.UNVERIFIED, "not known to be what was reviewed"),
        (stale_report, ExitCode.STALE, "Make a new plan"),
        (interrupted_report, ExitCode.INTERRUPTED, "plan again for the rest"),
    ],
)
def test_what_to_do_next_follows_the_exit_code(make: object, code: ExitCode, advice: str) -> None:
    """Each exit code of an apply has its advice, and the last line carries the number."""
    report = make(rich_plan())  # type: ignore[operator]
    text = " ".join(report_text(report).split())
    assert report.exit_code is code
    assert advice in text
    assert text.endswith(f"exit code {int(code)}.")


def test_every_exit_code_that_a_report_can_have_has_advice() -> None:
    """Partial and terminated too."""
    partial = replace(good_report(rich_plan()), steps=(StepReport(id="s1", outcome=Outcome.FAILED),))
    assert "Some steps did not land" in report_text(partial)
    assert "Stopped on request" in report_text(replace(partial, steps=(), interrupted=ExitCode.TERMINATED))


def test_the_summary_counts_worst_first() -> None:
    """One line, the worst outcome first; an apply of nothing says so."""
    assert report_summary_words(bad_report(rich_plan())) == (
        "Apply: 7 steps: 1 unknown, 1 diverged, 1 failed, 2 blocked, 1 verified, 1 skipped; exit code 6."
    )
    assert report_summary_words(replace(good_report(rich_plan()), steps=())) == "Apply: 0 steps: nothing to do; exit code 0."


def test_long_reports_count_what_went_well_and_what_a_step_held() -> None:
    """Good steps beyond twenty of an account, and changes of a bad step beyond ten, are numbers; no bad step is ever left out."""
    changes = [leg(f"c{i}", "A", f"3N1/P{i}.FUT.CME", "ef.long", 5, 4, other=9) for i in range(1, 42)]
    steps = (
        *(step(f"s{i}", Phase.TIGHTEN, "A", (f"c{i}",)) for i in range(1, 31)),
        step("s31", Phase.TIGHTEN, "A", tuple(f"c{i}" for i in range(30, 42))),
    )
    plan = plan_of(changes, steps=steps)
    good = good_report(plan)
    report = replace(good, steps=(*good.steps[:-1], replace(good.steps[-1], outcome=Outcome.DIVERGED)))
    text = report_text(report, plan)
    assert text.count("  verified  s") == 20
    assert "10 more steps verified or skipped" in text
    assert "and 2 more changes of this step" in text


def test_steps_that_the_plan_does_not_know() -> None:
    """A report with a stray step shows it all the same."""
    plan = rich_plan()
    report = replace(good_report(plan), steps=(StepReport(id="s99", outcome=Outcome.VERIFIED, attempts=3),))
    assert "steps that are not in the plan\n  verified  s99, 3 attempts\n" in report_text(report, plan)
