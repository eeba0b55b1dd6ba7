"""The windows of the project file: what arrives, what is refused and where, and what that costs a project without any."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from amsctl.config import Applies, Effect, Recurring, Weekly, Window
from amsctl.diagnostics import Diagnostic, Source
from amsctl.errors import ManifestErrors
from amsctl.manifests.format import canonical
from amsctl.manifests.project import load_project
from tests.project.checkout import ROOT

HEAD = "apiVersion: amsctl/v1\nkind: Project\nspec:\n  environments: {sandbox: {url: 'http://127.0.0.1'}}\n  windows:\n"
DAY = 1440
GOOD = "name: w, effect: deny, timeZone: America/Chicago"
WEEKLY = 'weekly: {from: "Mon 07:00", to: "Fri 17:00"}'
RULE = "rrule: FREQ=DAILY, start: 2026-01-05T08:00, duration: PT45M"


def windows(root: Path, *lines: str) -> tuple[Window, ...]:
    (root / "amsctl.yaml").write_text(HEAD + "".join(f"    - {{{line}}}\n" for line in lines))
    return load_project(root).windows


def refused(root: Path, *lines: str) -> list[Diagnostic]:
    with pytest.raises(ManifestErrors) as caught:
        windows(root, *lines)
    return list(caught.value.diagnostics)


def test_every_key_arrives(tmp_path: Path) -> None:
    """Each setting reaches its value; what is not written has its default."""
    found = windows(
        tmp_path,
        'name: desk, effect: allow, timeZone: America/Chicago, weekly: {from: "Mon 07:00", to: "Fri 17:00"}',
        "name: open, effect: deny, applies: loosen, timeZone: UTC, rrule: FREQ=WEEKLY, start: 2026-01-02T08:15, duration: P1DT2H3M4S, "
        "environments: [sandbox]",
    )
    assert found == (
        Window(
            name="desk",
            effect=Effect.ALLOW,
            applies=Applies.ALL,
            time_zone="America/Chicago",
            times=Weekly(spans=((7 * 60, 4 * DAY + 17 * 60),)),
            environments=(),
            source=Source("amsctl.yaml", 6, 7),
        ),
        Window(
            name="open",
            effect=Effect.DENY,
            applies=Applies.LOOSEN,
            time_zone="UTC",
            times=Recurring(rrule="FREQ=WEEKLY", start="2026-01-02T08:15", days=1, seconds=7384),
            environments=("sandbox",),
            source=Source("amsctl.yaml", 7, 7),
        ),
    )


@pytest.mark.parametrize(
    ("weekly", "spans"),
    [
        ('from: "Mon 00:00", to: "Mon 00:01"', ((0, 1),)),
        ('from: "Fri 18:00", to: "Mon 06:00"', ((4 * DAY + 1080, 7 * DAY + 360),)),
        ('from: "Mon 07:00", to: "Mon 06:59"', ((420, 7 * DAY + 419),)),
        ("days: [Wed, Mon], from: 07:00, to: '17:00'", ((420, 1020), (2 * DAY + 420, 2 * DAY + 1020))),
        ("days: [Sun], from: 22:00, to: 06:00", ((6 * DAY + 1320, 7 * DAY + 360),)),
        ("days: [Tue], from: 22:00, to: 00:00", ((DAY + 1320, 2 * DAY),)),
    ],
)
def test_weekly_times_are_minutes_of_the_week(weekly: str, spans: tuple[tuple[int, int], ...], tmp_path: Path) -> None:
    """Over midnight and over the weekend; listed days each have their own."""
    assert [window.times for window in windows(tmp_path, f"{GOOD}, weekly: {{{weekly}}}")] == [Weekly(spans=spans)]


@pytest.mark.parametrize(
    ("text", "days", "seconds"), [("P2W", 14, 0), ("P3D", 3, 0), ("PT90M", 0, 5400), ("P1DT12H", 1, 43200), ("PT5S", 0, 5)]
)
def test_durations_are_of_iso_8601(text: str, days: int, seconds: int, tmp_path: Path) -> None:
    """Weeks and days are days of the calendar, the rest is exact."""
    times = windows(tmp_path, f"{GOOD}, {RULE}".replace("PT45M", text))[0].times
    assert times == Recurring(rrule="FREQ=DAILY", start="2026-01-05T08:00", days=days, seconds=seconds)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (f"name: §' x', effect: deny, timeZone: UTC, {WEEKLY}", "name"),
        (f"name: w, effect: §forbid, timeZone: UTC, {WEEKLY}", "choice"),
        (f"name: w, effect: deny, applies: §raise, timeZone: UTC, {WEEKLY}", "choice"),
        (f"name: w, effect: deny, timeZone: §America/Chicagoo, {WEEKLY}", "time-zone"),
        (f"name: w, effect: deny, timeZone: §../UTC, {WEEKLY}", "time-zone"),
        (f"name: w, effect: deny, timeZone: §Mars/Olympus, {RULE}", "time-zone"),
        (f"name: w, effect: deny, timeZone: §right/UTC, {WEEKLY}", "time-zone"),
        (f"name: w, effect: deny, timeZone: §[UTC], {WEEKLY}", "type"),
        (f"{GOOD}, {WEEKLY}, §until: x", "unknown-key"),
        (f"{GOOD}, {WEEKLY}, environments: [§sandbux]", "unknown-environment"),
        (f"{GOOD}, {WEEKLY}, environments: §[]", "length"),
        (f"{GOOD}, {WEEKLY}, environments: [sandbox, §sandbox]", "repeated"),
        (f"{GOOD}, weekly: §[]", "type"),
        (f"{GOOD}, §weekly: {{from: 'Mon 07:00'}}", "missing-key"),
        (f"{GOOD}, weekly: {{from: §'Mon 7:00', to: 'Fri 17:00'}}", "clock-time"),
        (f"{GOOD}, weekly: {{from: §'Monday 07:00', to: 'Fri 17:00'}}", "clock-time"),
        (f"{GOOD}, weekly: {{from: 'Mon 07:00', to: §'Fri 24:00'}}", "clock-time"),
        (f"{GOOD}, weekly: {{from: §07:00, to: 'Fri 17:00'}}", "clock-time"),
        (f"{GOOD}, weekly: {{from: 'Mon 07:00', to: §17:00}}", "clock-time"),
        (f"{GOOD}, weekly: {{days: [Mon], from: §'Mon 07:00', to: 17:00}}", "clock-time"),
        (f"{GOOD}, weekly: {{days: [Mon], from: 07:00, to: §07:00}}", "window-times"),
        (f"{GOOD}, weekly: {{from: 'Mon 07:00', to: §'Mon 07:00'}}", "window-times"),
        (f"{GOOD}, weekly: {{days: [§Mo], from: 07:00, to: 08:00}}", "choice"),
        (f"{GOOD}, weekly: {{days: [Mon, §Mon], from: 07:00, to: 08:00}}", "repeated"),
        (f"§{GOOD}", None),
        (f"§{GOOD}, {WEEKLY}, {RULE}", None),
        (f"§effect: deny, timeZone: UTC, {WEEKLY}", "missing-key"),
        (f"§{GOOD}, {WEEKLY}, duration: PT1H", None),
        (f"§{GOOD}, rrule: FREQ=DAILY, start: 2026-01-05T08:00", None),
        (f"{GOOD}, rrule: §FREQ=SECONDLY, start: 2026-01-05T08:00, duration: PT1S", "rrule"),
        (f'{GOOD}, rrule: §"FREQ=DAILY\\nEXDATE:20260105T080000", start: 2026-01-05T08:00, duration: PT1S', "rrule"),
        (f"{GOOD}, rrule: §'', start: 2026-01-05T08:00, duration: PT1S", "length"),
        (f"{GOOD}, rrule: FREQ=DAILY, start: §2026-01-05, duration: PT1S", "start"),
        (f"{GOOD}, rrule: FREQ=DAILY, start: §2026-01-05T08:00Z, duration: PT1S", "start"),
        (f"{GOOD}, rrule: FREQ=DAILY, start: §2026-02-30T08:00, duration: PT1S", "start"),
        (f"{GOOD}, rrule: FREQ=WEEKLY;BYDAY=MO, start: §2026-01-06T08:00, duration: PT1S", "start"),
        (f"{GOOD}, rrule: FREQ=DAILY, start: 2026-01-05T08:00, duration: §PT0S", "duration"),
        (f"{GOOD}, rrule: FREQ=DAILY, start: 2026-01-05T08:00, duration: §P", "duration"),
        (f"{GOOD}, rrule: FREQ=DAILY, start: 2026-01-05T08:00, duration: §-PT1H", "duration"),
        (f"{GOOD}, rrule: FREQ=DAILY, start: 2026-01-05T08:00, duration: §P1M", "duration"),
        (f"{GOOD}, rrule: FREQ=DAILY, start: 2026-01-05T08:00, duration: §P500D", "duration"),
        (f"{GOOD}, rrule: FREQ=DAILY, start: 2026-01-05T08:00, duration: §45 minutes", "duration"),
    ],
)  # fmt: skip
def test_a_window_that_is_none_is_refused_at_its_place(line: str, code: str | None, tmp_path: Path) -> None:
    """Each is one error with line and column; ``§`` stands before the place (at the beginning: the whole window)."""
    before, _, after = line.partition("§")
    found = refused(tmp_path, before + after)
    assert len(found) == 1
    assert (found[0].source.line, found[0].source.column) == (6, 8 + len(before) if before else 7)
    assert found[0].code == (code or "window-times")
    assert found[0].hint or found[0].expected


def test_the_windows_of_the_documents_are_sound_and_canonical(tmp_path: Path) -> None:
    """docs/howto/windows.md is copied from: what it shows can be used, and amsctl fmt leaves it as it is."""
    page = (ROOT / "docs" / "howto" / "windows.md").read_text()
    shown = page.split("```yaml\nspec:\n  windows:\n")[1].split("```")[0]
    text = HEAD.replace("'http://127.0.0.1'", '"http://127.0.0.1"').replace("sandbox", "production") + shown
    (tmp_path / "amsctl.yaml").write_text(text)
    assert [window.name for window in load_project(tmp_path).windows] == ["desk hours", "no raises at the open", "expiry", "year end"]
    assert canonical(text, file="amsctl.yaml") == text


def test_two_windows_of_one_name_are_refused(tmp_path: Path) -> None:
    """A message names a window by its name; all errors of all windows come in one run."""
    found = refused(tmp_path, f"{GOOD}, {WEEKLY}", f"{GOOD}, {WEEKLY}", f"{GOOD.replace('w,', 'x,')}, {RULE.replace('DAILY', 'HOURLY')}")
    assert [(one.code, one.source.line) for one in found] == [("repeated", 7), ("rrule", 8)]
    assert found[0].related == Source("amsctl.yaml", 6, 14)


def test_what_is_written_in_place_of_windows_is_refused(tmp_path: Path) -> None:
    """A mapping, nothing, an item that is none."""
    for text, code in (("    a: b\n", "type"), ("    []\n", "length"), ("    - x\n", "type"), ("", "type")):
        (tmp_path / "amsctl.yaml").write_text(HEAD + text)
        with pytest.raises(ManifestErrors) as caught:
            load_project(tmp_path)
        assert [one.code for one in caught.value.diagnostics] == [code]


@pytest.mark.parametrize(
    ("line", "loaded"),
    [
        ("", []),
        (f"{GOOD}, {WEEKLY}", ["amsctl.windows.zones", "zoneinfo"]),
        (f"{GOOD}, {RULE}", ["amsctl.windows.zones", "dateutil.rrule", "zoneinfo"]),
    ],
)
def test_who_has_no_windows_does_not_pay_for_them(line: str, loaded: list[str], tmp_path: Path) -> None:
    """Time zones are loaded where there are windows, dateutil only where one recurs, the ledger's library never."""
    (tmp_path / "amsctl.yaml").write_text(HEAD + f"    - {{{line}}}\n" if line else HEAD.removesuffix("  windows:\n"))
    watched = {"amsctl.windows.zones", "zoneinfo", "dateutil.rrule", "sqlalchemy", "alembic"}
    program = f"import sys; from amsctl.manifests.project import load_project; load_project({str(tmp_path)!r}); print(*sorted({watched!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == loaded
