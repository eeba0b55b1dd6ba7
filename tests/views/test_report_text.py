"""A report as text: what went wrong first, what to do next, the summary last."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from amsctl.applying.report import Report, RowsDone, StepReport
from amsctl.errors import ExitCode
from amsctl.model import Outcome, Phase
from amsctl.planning.plan import Plan
from amsctl.views.report_text import report_summary_words, report_text
from amsctl.views.style import Look
from tests.views import samples
from tests.views.golden import assert_golden
from tests.views.samples import bad_report, good_report, interrupted_report, leg, plan_of, postponed_report, rich_plan, stale_report, step


def later_report(plan: Plan) -> Report:
    """Somebody else holds the lock: nothing was sent."""
    report = stale_report(plan)
    return replace(report, stale=(), postponed="another run is writing to this clearing firm")


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("sample", ["good_report", "bad_report", "stale_report", "postponed_report"])
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
        (bad_report, ExitCode.UNVERIFIED, "amsctl resolve finds out what became of unknown calls"),
        (bad_report, ExitCode.UNVERIFIED, f"amsctl resume {samples.RUN} reads everything again"),
        (bad_report, ExitCode.UNVERIFIED, f"amsctl rollback {samples.RUN} -o FILE"),
        (stale_report, ExitCode.STALE, "Nothing was written. Make a new plan"),
        (interrupted_report, ExitCode.INTERRUPTED, f"amsctl resume {samples.RUN} reads everything again"),
        (postponed_report, ExitCode.PARTIAL, f"mend the cause. amsctl resume {samples.RUN} reads"),
        (later_report, ExitCode.LATER, "amsctl lock status shows locks and freezes"),
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


def test_what_was_announced_and_never_left_is_gone_on_with_by_resume() -> None:
    """A plan is good for one apply, and the ledger holds that this one began: to apply it again would be refused."""
    announced = replace(later_report(rich_plan()), steps=(StepReport(id="s1", outcome=Outcome.FAILED, announced=True),))
    text = " ".join(report_text(announced).split())
    assert announced.exit_code is ExitCode.LATER
    assert f"amsctl resume {samples.RUN} reads everything again" in text
    assert "Apply the same plan again" not in text


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


def test_rows_are_listed_exactly() -> None:
    """Of a call that took effect in part, every row is named, however many: somebody has to look at them."""
    done = tuple(f"3N1/P{number}.FUT.CME" for number in range(300))
    not_done = tuple(f"350/Q{number}.FUT.CME" for number in range(200))
    step_told = StepReport(id="s1", outcome=Outcome.DIVERGED, attempts=1, rows=RowsDone(done=done, not_done=not_done))
    text = report_text(replace(good_report(rich_plan()), steps=(step_told,)))
    assert re.findall(r"3N1/P\d+\.FUT\.CME", text) == list(done)
    assert re.findall(r"350/Q\d+\.FUT\.CME", text) == list(not_done)
    assert text.index("300 rows as asked: ") < text.index("200 rows NOT as asked: ")
    nothing = replace(step_told, rows=RowsDone(done=(), not_done=("A/B",)))
    assert "0 rows as asked: none\n" in report_text(replace(good_report(rich_plan()), steps=(nothing,)))


def test_what_is_true_of_the_whole_run_is_told() -> None:
    """Postponed, unread, unrecorded: each with its own words, and none where there is nothing of it."""
    plan = rich_plan()
    text = " ".join(report_text(postponed_report(plan), plan).split())
    assert "Postponed: writes to GREENTEA_API_CLEARING2 are frozen" in text
    assert "is not known: GREENTEA_API_CLEARING2/DV10121801A: could not be read at the end" in text
    assert "Not in the ledger: the ledger failed: the disk is full (outcome of s3); this report is the only trace of it" in text
    assert not {"Postponed", "Not read", "Not in"} & set(re.findall("Postponed|Not read|Not in", report_text(bad_report(plan), plan)))


def test_a_rollback_is_offered_only_where_something_landed() -> None:
    """Nothing that was only blocked can be taken back; without a ledger's name for the run, RUN stands for it."""
    plan = rich_plan()
    assert "rollback" not in report_text(stale_report(plan), plan)
    assert "rollback" not in report_text(later_report(plan), plan)
    nameless = replace(postponed_report(plan), run="")
    assert "amsctl rollback RUN -o FILE" in " ".join(report_text(nameless).split())
    assert "\n  run " not in report_text(nameless)


def test_verified_and_yet_partial() -> None:
    """Every step landed, but an account could not be read again: the report does not speak of steps that did not land."""
    text = report_text(replace(good_report(rich_plan()), unread=("A: no answer",)))
    assert "Every step was verified, but not everything about the run is known or kept." in " ".join(text.split())
    assert "exit code 5" in text


def test_a_plan_without_steps() -> None:
    """Nothing was sent and nothing is wrong: the report says so, and offers no command."""
    text = report_text(replace(good_report(plan_of([])), steps=()))
    assert "Next: The plan has no steps: nothing was sent, and nothing had to be.\nApply: 0 steps" in text
