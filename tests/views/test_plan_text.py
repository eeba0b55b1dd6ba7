"""A plan as text: worst first, nothing dangerous ever left out, the summary last."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from itertools import pairwise

import pytest

from amsctl.diagnostics import Severity
from amsctl.model import UNLIMITED, UNSET, AccountKey, Direction, Owner
from amsctl.planning.plan import Change, Finding, Rollback
from amsctl.views.html import plan_html
from amsctl.views.layout import cells
from amsctl.views.markdown import plan_markdown
from amsctl.views.plan_text import badness, by_account, plan_text, summary_words
from amsctl.views.style import Look
from tests.patience import unit_seconds
from tests.views import samples
from tests.views.golden import assert_golden
from tests.views.samples import FIRM, leg, plan_of, rich_plan, undeclared

ANSI = re.compile("\x1b\\[[0-9;]*m")


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("sample", ["rich_plan", "quiet_plan"])
def test_golden(sample: str, width: int, color: bool) -> None:
    """The text that a person has looked at."""
    text = plan_text(getattr(samples, sample)(), Look(color=color, width=width))
    assert_golden(f"{sample}-{width}{'-color' if color else ''}", text)


def test_colour_adds_nothing_but_colour() -> None:
    """Without its escape sequences the coloured text is the plain one."""
    assert ANSI.sub("", plan_text(rich_plan(), Look(color=True))) == plan_text(rich_plan(), Look())


def test_colour_tells_what_opens_now_from_what_may_open_later() -> None:
    """A loosening that moves the effective limit is loud, one that does not is marked, a tightening is calm."""
    lines = [line for line in plan_text(rich_plan(), Look(color=True, width=140)).splitlines() if "loosens" in line or "tightens" in line]
    styles = {("not binding" in line, "loosens" in line): line.split("m")[0].removeprefix("\x1b[") for line in lines}
    assert styles == {(False, True): "1;31", (True, True): "33", (False, False): "32"}


def test_ascii_terminals_get_ascii() -> None:
    """Where only ASCII arrives, only ASCII is sent."""
    assert plan_text(rich_plan(), Look(unicode=False)).isascii()


@pytest.mark.parametrize("width", [80, 140])
def test_lines_fit(width: int) -> None:
    """No line but those of one unbreakable thing (digest, summary, address) is wider than the terminal."""
    for line in plan_text(rich_plan(), Look(width=width)).splitlines():
        assert cells(line) <= width or line.startswith(("Plan: ", "Plan for ", "Digest ")), line


def test_the_summary_is_the_last_line() -> None:
    """Counts, requests and what blocks, on one line at the end."""
    last = plan_text(rich_plan()).splitlines()[-1]
    assert last == "Plan: 13 changes in 3 accounts: 8 loosen, 5 tighten; 7 requests; blocked by 1 finding."


def test_no_changes() -> None:
    """A plan without changes says so first on its last line, and what else there is to look at."""
    assert summary_words(samples.quiet_plan()) == "No changes. Nothing to write for 12 accounts; 1 finding to look at."
    assert summary_words(plan_of([])) == "No changes. No account was planned."
    blocked = plan_of([], findings=(samples.UNKNOWN_FIRM,), accounts=1)
    assert summary_words(blocked) == "No changes. Nothing to write for 1 account; blocked by 1 finding."


def test_loosening_comes_first_everywhere() -> None:
    """Accounts that loosen come before those that do not, and within an account no tightening stands above a loosening."""
    groups = by_account(rich_plan().changes)
    assert [key.number for key, _ in groups] == ["CU-METALS-01", "DV10121801A", "HALT77"]
    for _, changes in groups:
        assert [badness(change) for change in changes] == sorted(badness(change) for change in changes)
        loosens = [change.direction is Direction.LOOSEN for change in changes]
        assert all(not later or earlier for earlier, later in pairwise(loosens))


def test_each_change_is_there_once() -> None:
    """Every leg of a plan is one line with its row and both amounts."""
    plan = rich_plan()
    text = plan_text(plan, Look(width=200))
    for change in plan.changes:
        if change.product is not None:
            pattern = rf"{change.execution_firm} +{re.escape(change.product)} +{change.owner} {change.leg} "
            assert len(re.findall(pattern, text)) == 1


def many(tightening: int, loosening: int, per_account: int = 50) -> list[Change]:
    total = tightening + loosening
    return [
        leg(
            f"c{i}",
            f"A{i // per_account:05d}",
            f"3N1/P{i % per_account:05d}.FUT.CME",
            "ef.long",
            500,
            600 if i < loosening else 400,
            other=9000,
        )
        for i in range(total)
    ]


def test_a_cap_never_cuts_what_loosens() -> None:
    """``limit`` leaves out tightenings only, and says how many of them in how many accounts."""
    plan = plan_of(many(940, 60))
    text = plan_text(plan, Look(width=140), limit=10)
    assert text.count("▲ loosens") == 60
    assert text.count("▼ tightens") == 0
    assert "40 more changes, none of which loosens" in text
    assert "Not shown: 900 changes in 18 accounts, none of which loosens; --format json lists all." in text
    roomy = plan_text(plan, Look(width=140), limit=100)
    assert (roomy.count("▲ loosens"), roomy.count("▼ tightens")) == (60, 40)
    assert plan_text(plan, limit=1000) == plan_text(plan)


def test_a_large_plan_is_quick() -> None:
    """A plan of 20,000 changes is written out whole in a second or two (a hundred thousand take as many without a debugger or coverage)."""
    plan = replace(rich_plan(), changes=tuple(many(12_000, 8_000, per_account=1000)))
    started = time.process_time()
    text = plan_text(plan, Look(width=140))
    assert text.count("\n") > 20_000
    assert time.process_time() - started < 1000 * unit_seconds()


def test_blocking_findings_are_all_shown_and_first() -> None:
    """What stops an apply stands above every change and is never counted away."""
    blocking = tuple(replace(samples.UNKNOWN_FIRM, where=f"{FIRM}/A/{i:03d}") for i in range(50))
    text = plan_text(plan_of(many(2, 0), findings=blocking))
    assert text.count("unknown-ef") == 50
    assert text.index("BLOCKED") < text.index("tightens")


def test_many_undeclared_rows_become_a_count() -> None:
    """Undeclared rows are listed while few and counted per account when many; accounts beyond twenty are counted too."""
    few = plan_text(plan_of([], findings=(undeclared("A", 1), undeclared("A", 2)), accounts=1))
    assert few.count("undeclared-row") == 2
    assert "lists all" not in few
    findings = tuple(undeclared(f"A{account:02d}", row) for account in range(25) for row in range(4))
    text = plan_text(plan_of([], findings=findings, accounts=25))
    assert text.count("4 rows with limits that no manifest names") == 20
    assert "20 more undeclared rows in 5 more accounts" in text
    assert "--format json lists all" in text


def test_many_findings_of_one_code_are_counted() -> None:
    """Twenty of a kind are written out, the rest is a number."""
    text = plan_text(plan_of([], findings=tuple(replace(samples.MISMATCH, where=f"{FIRM}/A{i}") for i in range(25)), accounts=25))
    assert text.count("warning  foreign-mismatch") == 20
    assert "5 more of foreign-mismatch" in text


def test_notes_and_errors_that_do_not_block() -> None:
    """Severity is a word; worse stands above better."""
    note = Finding(code="guards-off", severity=Severity.NOTE, message="m", where="w")
    text = plan_text(plan_of([], findings=(note, samples.MISMATCH, replace(samples.UNKNOWN_FIRM, blocks=False)), accounts=1))
    assert text.index("error  unknown-ef") < text.index("warning  foreign-mismatch") < text.index("note  guards-off")


def test_the_header_tells_what_matters() -> None:
    """Environment, address, principal, sides, what unset means, commit and selection."""
    text = plan_text(rich_plan(), Look(width=140))
    for part in (
        "Plan for new-release (protected)  https://amsapinr.cmegroup.com/rest/v2",
        "ICC as API_GREENTEA_RISK, writing ef and cmf; unset means unlimited",
        "commit 4be1c0ffee00 by Jo Risk <jo@example.com>, with uncommitted changes",
        "only paths accounts; labels desk=softs",
    ):
        assert part in text
    plan = rich_plan()
    bare = replace(
        plan,
        target=replace(plan.target, ownership=(Owner.EF,), protected=False),
        origin=replace(plan.origin, git=None, manifests_sha256="0123456789abcdef"),
    )
    assert "writing ef; unset" in plan_text(bare)
    assert "manifests 0123456789ab\n" in plan_text(bare)


def test_a_rollback_says_so_in_every_view() -> None:
    """Who reviews it sees which run it takes back, and who asked for that; names of others are escaped as everywhere."""
    plan = replace(
        rich_plan(), origin=replace(rich_plan().origin, rollback=Rollback(run="20261123T231726Z-ab12cd", asked_by="an\x1bn|<b>"))
    )
    told = "takes back 20261123T231726Z-ab12cd, asked for by"
    assert f"  {told} an\\u{{1B}}n|<b>\n" in plan_text(plan, Look(width=140))
    assert "This plan takes back `20261123T231726Z-ab12cd`, asked for by `an\\u{1B}n\\u{7C}<b>`." in plan_markdown(plan, limit_bytes=65_536)
    page = plan_html(plan)
    assert f"<dd>{told} an" in page
    assert "<b>" not in page
    for text in (plan_text(rich_plan()), plan_markdown(rich_plan(), limit_bytes=65_536), plan_html(rich_plan())):
        assert "takes back" not in text


def test_only_one_account_left() -> None:
    """The number of accounts that were read and stay as they are."""
    assert "1 other account read and left as it is." in plan_text(plan_of(many(1, 0), accounts=2))
    assert "other account" not in plan_text(plan_of(many(1, 0)))


def test_neutral_changes() -> None:
    """A change that moves nothing that is let through has its own word and count."""
    change = replace(leg("c1", "A", "3N1/X.FUT.CME", "ef.long", UNSET, UNLIMITED, other=UNSET), direction=Direction.NEUTRAL, binding=False)
    text = plan_text(plan_of([change]), Look(color=True))
    assert "1 neutral" in text
    assert "• neutral" in text


def test_a_leg_without_an_effect_has_no_note() -> None:
    """Nothing is said where nothing is known."""
    change = replace(leg("c1", "A", "3N1/X.FUT.CME", "ef.long", 1, 2, other=9), effective_before=None, effective_after=None)
    assert "effective" not in plan_text(plan_of([change]))


def test_by_account_keeps_the_plan_order_otherwise() -> None:
    """Equal changes stay in the order of the plan."""
    changes = many(3, 0)
    assert by_account(changes) == [(AccountKey(FIRM, "A00000"), changes)]
