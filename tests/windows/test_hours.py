"""When an environment may be written to: CME's calendar to the second, windows against an independent computation, and what is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsctl.config import Applies, Calendar, Effect, Recurring, Weekly, Window
from amsctl.diagnostics import Source
from amsctl.errors import ConfigError, ExitCode, WindowClosed
from amsctl.model import Phase
from amsctl.windows.hours import LOOK_AHEAD_SECONDS, Hours

CHICAGO = "America/Chicago"
HOUR, DAY = 3600, 86_400
YEARS = range(2024, 2034)
TIGHTENING, LOOSENING = (Phase.HALT, Phase.TIGHTEN), (Phase.LOOSEN, Phase.RELEASE)


def at(text: str) -> float:
    """A moment, written in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def weekly(name: str, *spans: tuple[int, int], **more: object) -> Window:
    usual: dict[str, object] = {"effect": Effect.DENY, "time_zone": "UTC"}
    return Window(name=name, times=Weekly(spans=spans), **(usual | more))  # type: ignore[arg-type]


def hours(*windows: Window, calendar: Calendar = Calendar.NONE, environment: str = "e") -> Hours:
    return Hours(calendar=calendar, windows=windows, environment=environment)


CME = hours(calendar=Calendar.CME)

# --- CME's calendar ---


def sunday(year: int, month: int, which: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(6 - first.weekday()) % 7 + 7 * (which - 1))


def changes() -> Iterator[tuple[date, int, int]]:
    """The Sundays on which Chicago's clocks change, with the hours that it is behind UTC before and after: the law, not a database."""
    for year in YEARS:
        yield sunday(year, 3, 2), 6, 5
        yield sunday(year, 11, 1), 5, 6


def utc(day: date, hour: int, behind: int) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() + (hour + behind) * HOUR


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize(("change", "before", "after"), list(changes()), ids=str)
def test_cme_closes_and_opens_to_the_second_where_clocks_change(change: date, before: int, after: int, phase: Phase) -> None:
    """AMS 2: closed from Friday 18:00 to Sunday 12:00 in Chicago, also on the weekends of both changes, at ±1 s of each edge."""
    friday = change - timedelta(days=2)
    closes, opens, changed = utc(friday, 18, before), utc(change, 12, after), utc(change, 2, before)
    assert opens - closes == (42 + after - before) * HOUR
    for edge, wanted in ((closes, (False, True, True)), (changed, (True, True, True)), (opens, (True, False, False))):
        assert tuple(CME.closed(edge + second, phase) is not None for second in (-1, 0, 1)) == wanted
    closure = CME.closed(closes, phase)
    assert closure is not None
    assert (closure.name, closure.where, closure.until) == ("CME's calendar", None, opens)
    assert CME.next_close(closes - 1, phase) == (closes, closure)
    week_after = utc(change + timedelta(days=5), 18, after)
    assert [moment for moment, _ in [CME.next_close(opens, phase) or (None, None)]] == [week_after]
    week_before = utc(change - timedelta(days=9), 18, before)
    assert [moment for moment, _ in [CME.next_close(week_before, phase) or (None, None)]] == [week_before]


@pytest.mark.parametrize("change", [date(2026, 3, 8), date(2026, 11, 1), date(2027, 3, 14), date(2027, 11, 7)], ids=str)
def test_cme_is_closed_in_every_minute_in_which_the_clock_on_the_wall_says_so(change: date) -> None:
    """Nine days around each change, minute by minute, against what a clock in Chicago shows."""
    zone = ZoneInfo(CHICAGO)
    start = int(datetime(change.year, change.month, change.day, tzinfo=UTC).timestamp()) - 5 * DAY
    wrong = []
    for moment in range(start, start + 9 * DAY, 60):
        wall = datetime.fromtimestamp(moment, zone)
        clock = (wall.weekday(), wall.hour)
        if (CME.closed(moment, Phase.TIGHTEN) is not None) != ((4, 18) <= clock < (6, 12)):
            wrong.append(wall)
    assert wrong == []


def test_without_calendar_and_windows_nothing_is_ever_closed() -> None:
    """The sandbox and the demo work at the weekend."""
    none = hours()
    assert (none.always, CME.always) == (True, False)
    saturday = at("2026-11-28T12:00")
    assert none.closed(saturday, Phase.LOOSEN) is None
    assert none.next_close(saturday, Phase.LOOSEN) is None
    none.check(saturday, 1e9)


# --- what windows mean ---

NIGHT, NOON = at("2026-11-25T03:00"), at("2026-11-25T12:00")  # a Wednesday
ALL_DAY = tuple((day * 1440 + 8 * 60, day * 1440 + 17 * 60) for day in range(7))
LUNCH = tuple((day * 1440 + 12 * 60, day * 1440 + 13 * 60) for day in range(7))


def why(book: Hours, moment: float, phase: Phase) -> str | None:
    closure = book.closed(moment, phase)
    return closure.why if closure is not None else None


def test_outside_of_what_is_allowed_is_closed_and_what_is_denied_wins() -> None:
    """One window that allows is enough to close all other times; a denial inside of it holds."""
    book = hours(weekly("desk", *ALL_DAY, effect=Effect.ALLOW), weekly("lunch", *LUNCH))
    assert why(book, NIGHT, Phase.TIGHTEN) == 'outside of window "desk"'
    assert why(book, NOON, Phase.TIGHTEN) == 'closed by window "lunch"'
    assert why(book, NOON - 1, Phase.TIGHTEN) is None
    two = hours(weekly("desk", *ALL_DAY, effect=Effect.ALLOW), weekly("night", (2 * 1440 + 120, 2 * 1440 + 240), effect=Effect.ALLOW))
    assert why(two, NIGHT, Phase.TIGHTEN) is None
    assert why(two, NIGHT - 2 * HOUR, Phase.TIGHTEN) == 'outside of windows "desk", "night"'


def test_a_window_for_loosening_leaves_tightening_alone() -> None:
    """`applies: loosen` closes the phases loosen and release, and no other."""
    for effect, moment in ((Effect.DENY, NOON), (Effect.ALLOW, NIGHT)):
        book = hours(weekly("w", *LUNCH, effect=effect, applies=Applies.LOOSEN))
        assert [book.closed(moment, phase) is not None for phase in Phase] == [False, False, True, True]


def test_a_window_that_allows_loosening_narrows_and_never_widens() -> None:
    """Loosening must be inside of a window for it and of one for all: nothing loosens where nothing may be tightened."""
    book = hours(weekly("desk", *ALL_DAY, effect=Effect.ALLOW), weekly("raise", *LUNCH, effect=Effect.ALLOW, applies=Applies.LOOSEN))
    assert why(book, NOON, Phase.LOOSEN) is None
    assert why(book, NOON - 1, Phase.LOOSEN) == 'outside of window "raise"'
    assert why(book, NOON - 1, Phase.TIGHTEN) is None
    other = hours(
        weekly("desk", *ALL_DAY, effect=Effect.ALLOW), weekly("raise", (0, 7 * 1440), effect=Effect.ALLOW, applies=Applies.LOOSEN)
    )
    assert why(other, NIGHT, Phase.LOOSEN) == 'outside of window "desk"'


def test_a_window_is_for_the_environments_that_it_names() -> None:
    """Without names it is for all."""
    window = weekly("lunch", *LUNCH, environments=("production", "new-release"))
    assert [hours(window, environment=name).closed(NOON, Phase.HALT) is not None for name in ("production", "sandbox")] == [True, False]


def test_what_opens_only_to_be_closed_again_does_not_open() -> None:
    """`until` is when nothing is closed any more, not when the first reason ends."""
    book = hours(
        weekly("lunch", *LUNCH), weekly("pause", *((end, end + 30) for _, end in LUNCH)), weekly("desk", *ALL_DAY, effect=Effect.ALLOW)
    )
    closure = book.closed(NOON, Phase.LOOSEN)
    assert closure is not None
    assert closure.until == NOON + 90 * 60
    evening = book.closed(NOON + 4.5 * HOUR + 1800, Phase.LOOSEN)
    assert evening is not None
    assert evening.until == at("2026-11-26T08:00")


@pytest.mark.parametrize(
    ("spring", "begin", "end", "denied", "allowed"),
    [
        (True, 135, 165, ("08:00", "08:45"), None),
        (True, 150, 180, None, None),
        (True, 150, 190, ("08:00", "08:10"), None),
        (True, 150, 300, ("08:00", "10:00"), ("08:30", "10:00")),
        (True, 60, 150, ("07:00", "08:30"), ("07:00", "08:00")),
        (True, 60, 180, ("07:00", "08:00"), ("07:00", "08:00")),
        (False, 0, 90, ("05:00", "07:30"), ("05:00", "06:30")),
        (False, 60, 90, ("06:00", "07:30"), None),
        (False, 90, 120, ("06:30", "08:00"), ("07:30", "08:00")),
        (False, 90, 180, ("06:30", "09:00"), ("07:30", "09:00")),
    ],
)
def test_weekly_windows_where_clocks_change(
    spring: bool, begin: int, end: int, denied: tuple[str, str] | None, allowed: tuple[str, str] | None
) -> None:
    """Of the moments that a time on the wall can mean, the one that lets less through; absent where the end would come before the beginning."""
    sunday, day = 6 * 1440, "2026-03-08" if spring else "2026-11-01"
    for effect, wanted in ((Effect.DENY, denied), (Effect.ALLOW, allowed)):
        book = hours(replace(weekly("w", (sunday + begin, sunday + end), time_zone=CHICAGO), effect=effect))
        inside = [
            moment
            for moment in range(int(at(f"{day}T00:00")), int(at(f"{day}T23:00")), 60)
            if (book.closed(moment, Phase.HALT) is not None) is (effect is Effect.DENY)
        ]
        assert (inside[0], inside[-1] + 60) == tuple(at(f"{day}T{edge}") for edge in wanted) if wanted else not inside


@pytest.mark.parametrize("day", ["2026-03-08", "2026-11-01"])
@pytest.mark.parametrize("times", ["weekly", "rrule"])
def test_nothing_is_open_while_the_clock_on_the_wall_is_inside_a_window_that_denies(day: str, times: str) -> None:
    """Every span of whole quarters of an hour in the night in which clocks change, minute by minute."""
    zone, midnight = ZoneInfo(CHICAGO), datetime.fromisoformat(day)
    moments = [at(f"{day}T04:00") + 60.0 * minute for minute in range(8 * 60)]
    on_the_wall = [datetime.fromtimestamp(moment, zone).replace(tzinfo=None) for moment in moments]
    for begin in range(0, 240, 15):
        for end in range(begin + 15, 255, 15):
            first, last = (midnight + timedelta(minutes=minute) for minute in (begin, end))
            window = weekly("w", (6 * 1440 + begin, 6 * 1440 + end), time_zone=CHICAGO)
            if times == "rrule":
                start = (first - timedelta(days=7)).isoformat(timespec="minutes")
                window = replace(window, times=Recurring(rrule="FREQ=WEEKLY", start=start, seconds=(end - begin) * 60))
                # Hours are exact: on the wall such a window may end earlier in November, and it is the wall's time of its end that counts.
                last = min(last, datetime.fromtimestamp(_moment_of(first, zone) + (end - begin) * 60, zone).replace(tzinfo=None))
            deny, allow = hours(window), hours(replace(window, effect=Effect.ALLOW))
            for moment, local in zip(moments, on_the_wall, strict=True):
                assert not first <= local < last or deny.closed(moment, Phase.HALT) is not None
                assert deny.closed(moment, Phase.HALT) is not None or allow.closed(moment, Phase.HALT) is not None


def _moment_of(local: datetime, zone: ZoneInfo) -> float:
    return local.replace(tzinfo=zone).timestamp()


def test_an_opening_far_away_is_found_and_one_beyond_is_said_not_to_be() -> None:
    """A window once a year is looked for; what never opens says so."""
    yearly = Window(
        name="audit", effect=Effect.ALLOW, time_zone="UTC", times=Recurring(rrule="FREQ=YEARLY", start="2026-06-01T09:00", seconds=HOUR)
    )
    closure = hours(yearly).closed(NOON, Phase.HALT)
    assert closure is not None
    assert (closure.until, closure.opens) == (at("2027-06-01T09:00"), "opens again Tue 2027-06-01 09:00 UTC (2027-06-01 09:00 UTC)")
    never = hours(weekly("frozen", (0, 7 * 1440))).closed(NOON, Phase.HALT)
    assert never is not None
    assert (never.until, never.opens) == (None, "does not open again within 400 days")


def test_nothing_closes_beyond_what_is_looked_at() -> None:
    """`next_close` looks eight days ahead: to the second."""
    once = Recurring(rrule="FREQ=DAILY;COUNT=1", start="2026-12-03T12:00", seconds=HOUR)
    book = hours(Window(name="once", effect=Effect.DENY, time_zone="UTC", times=once))
    assert LOOK_AHEAD_SECONDS == 8 * DAY
    assert book.next_close(NOON - 1, Phase.HALT) is None
    assert [moment for moment, _ in [book.next_close(NOON, Phase.HALT) or (None, None)]] == [NOON + 8 * DAY]


def test_a_clock_that_jumps_changes_no_answer() -> None:
    """What is kept from one question to the next is never used for a moment that it does not cover (D10)."""
    moments = [NOON, NOON - HOUR, NOON + HOUR, NOON + 30 * DAY, NOON - 400 * DAY, NOON, NOON + 15.9 * DAY, NOON + 0.1, 0.0]
    kept = hours(weekly("lunch", *LUNCH), weekly("desk", *ALL_DAY, effect=Effect.ALLOW), calendar=Calendar.CME)
    for moment in moments:
        fresh = hours(weekly("lunch", *LUNCH), weekly("desk", *ALL_DAY, effect=Effect.ALLOW), calendar=Calendar.CME)
        for phase in Phase:
            assert kept.next_close(moment, phase) == fresh.next_close(moment, phase)


# --- what is refused, and in which words ---


def refusal(book: Hours, now: float, needs_seconds: float, phases: tuple[Phase, ...] = tuple(Phase)) -> WindowClosed:
    with pytest.raises(WindowClosed) as caught:
        book.check(now, needs_seconds, phases)
    assert caught.value.exit_code is ExitCode.LATER
    return caught.value


def test_a_run_in_the_closure_is_refused_and_told_when_to_come_back() -> None:
    """Local time and UTC, on both sides of a change of the clocks."""
    error = refusal(CME, at("2026-10-31T12:00:07"), 0)
    assert (error.what, error.where) == ("nothing can be written now: closed by CME's calendar", None)
    assert error.found == "it is Sat 2026-10-31 07:00:07 America/Chicago (2026-10-31 12:00:07 UTC)"
    assert error.hint == "opens again Sun 2026-11-01 12:00 America/Chicago (2026-11-01 18:00 UTC)"


def test_a_run_that_cannot_finish_before_the_close_is_refused() -> None:
    """One that ends right when it closes is not: the last call is then over."""
    closes = at("2026-11-28T00:00")
    CME.check(closes - 600, 600)
    error = refusal(CME, closes - 600, 601)
    assert error.what == "the run cannot finish before it is closed by CME's calendar"
    assert error.expected == "601 s"
    assert error.found == "600 s, until Fri 2026-11-27 18:00 America/Chicago (2026-11-28 00:00 UTC)"
    assert error.hint == "opens again Sun 2026-11-29 12:00 America/Chicago (2026-11-29 18:00 UTC); a smaller plan needs less time"


def test_a_refusal_of_loosening_says_that_it_is_loosening_alone_and_where_that_is_written() -> None:
    """A risk officer can still tighten, and finds the line to look at."""
    book = hours(weekly("lunch", *LUNCH, applies=Applies.LOOSEN, source=Source("amsctl.yaml", 9, 7)))
    book.check(NOON, 600, TIGHTENING)
    book.check(NOON - 600, 600, LOOSENING)
    error = refusal(book, NOON, 0, (Phase.TIGHTEN, Phase.LOOSEN))
    assert (error.what, error.where) == ('limits cannot be loosened now: closed by window "lunch"', "amsctl.yaml:9:7")
    assert refusal(book, NOON - 1, 60).what == 'the run cannot finish before loosening is closed by window "lunch"'
    assert refusal(hours(weekly("lunch", *LUNCH)), NOON, 0, LOOSENING).what == 'nothing can be written now: closed by window "lunch"'


def test_a_zone_that_is_not_there_is_told_before_anything_is_done() -> None:
    """A plan made elsewhere may name a zone that this machine lacks."""
    with pytest.raises(ConfigError, match="no such time zone"):
        hours(weekly("w", (0, 1), time_zone="America/Chicagoo"))


# --- against an independent computation ---

ZONES = ("America/Chicago", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kolkata", "UTC", "Pacific/Apia")
BASE = int(at("2026-01-05T00:00"))  # a Monday


def moments_of(local: datetime, name: str) -> tuple[int, int]:
    """Without Python's fold: the moments at which the clock shows it, or else the first one after the gap and the offset before the gap."""
    zone = ZoneInfo(name)
    naive = int(local.replace(tzinfo=UTC).timestamp())
    before, after = (int((datetime.fromtimestamp(naive + shift, zone).utcoffset() or timedelta()).total_seconds()) for shift in (-DAY, DAY))
    showing = [naive - offset for offset in (before, after) if datetime.fromtimestamp(naive - offset, zone).replace(tzinfo=None) == local]
    if showing:
        return min(showing), max(showing)
    shown = (
        moment
        for moment in range(naive - after, naive - before + 1, 900)
        if datetime.fromtimestamp(moment, zone).replace(tzinfo=None) > local
    )
    return next(shown), naive - before


def spans_of(window: Window, low: int, high: int) -> Iterator[tuple[int, int]]:
    """Every span of a window between two moments, day by day: the longest of what denies, the shortest of what allows."""
    early, late = (0, 1) if window.effect is Effect.DENY else (1, 0)
    name = window.time_zone
    day = datetime.fromtimestamp(low - 9 * DAY, UTC).replace(tzinfo=None, hour=0, minute=0, second=0)
    while day.replace(tzinfo=UTC).timestamp() < high + DAY:
        if isinstance(window.times, Weekly):
            for begin, end in window.times.spans:
                if begin // 1440 == day.weekday():
                    midnight = day - timedelta(days=day.weekday())
                    yield (
                        moments_of(midnight + timedelta(minutes=begin), name)[early],
                        moments_of(midnight + timedelta(minutes=end), name)[late],
                    )
        else:
            local = datetime.combine(day.date(), datetime.fromisoformat(window.times.start).time())
            if local >= datetime.fromisoformat(window.times.start):  # the rules below are daily
                end = moments_of(local, name)[late] + window.times.seconds
                shown = datetime.fromtimestamp(end, ZoneInfo(name)).replace(tzinfo=None)
                yield moments_of(local, name)[early], moments_of(shown, name)[late]
        day += timedelta(days=1)


def is_closed(windows: list[Window], moment: float, phase: Phase, known: dict[str, list[tuple[int, int]]]) -> bool:
    """Word for word what the documents say."""
    ours = [window for window in windows if phase in LOOSENING or window.applies is Applies.ALL]
    inside = {window.name for window in ours if any(begin <= moment < end for begin, end in known[window.name])}
    if any(window.effect is Effect.DENY and window.name in inside for window in ours):
        return True
    groups = [[window for window in ours if window.effect is Effect.ALLOW and window.applies is applies] for applies in Applies]
    return any(group and not any(window.name in inside for window in group) for group in groups)


minutes = st.integers(0, 7 * 96 - 1).map(lambda quarter: quarter * 15)


@st.composite
def any_window(draw: st.DrawFn, name: str) -> Window:
    times: Weekly | Recurring
    if draw(st.booleans()):
        begins = draw(st.lists(minutes, min_size=1, max_size=3, unique=True))
        times = Weekly(spans=tuple((begin, begin + draw(st.integers(1, 7 * 96).map(lambda quarter: quarter * 15))) for begin in begins))
    else:
        clock = draw(st.integers(0, 95)) * 15
        start = f"2026-01-01T{clock // 60:02}:{clock % 60:02}"
        times = Recurring(rrule="FREQ=DAILY", start=start, seconds=draw(st.integers(1, 100)) * 900)
    return Window(
        name=name,
        effect=draw(st.sampled_from(Effect)),
        applies=draw(st.sampled_from(Applies)),
        time_zone=draw(st.sampled_from(ZONES)),
        times=times,
    )


books = st.integers(1, 4).flatmap(lambda count: st.tuples(*(any_window(name) for name in "abcd"[:count]))).map(list)
# Any day of two years, and more often the days on which one of the zones changes its clocks.
days = st.one_of(
    st.integers(0, 730), st.sampled_from([62, 88, 83, 302, 293, 300, 90, 430]).flatmap(lambda day: st.integers(day - 9, day + 2))
)


@given(books, days, st.integers(0, DAY * 4).map(lambda quarter: quarter / 4))
def test_hours_are_what_an_independent_computation_says(windows: list[Window], day: int, second: float) -> None:
    """`closed`, `next_close` and `until` agree with spans enumerated day by day, in all phases, also where clocks change."""
    now = BASE + day * DAY + second
    known = {window.name: list(spans_of(window, int(now) - DAY, int(now) + 10 * DAY)) for window in windows}
    book = hours(*windows)
    edges = sorted({edge for spans in known.values() for span in spans for edge in span if now < edge <= now + 9 * DAY})
    for phase in (Phase.TIGHTEN, Phase.LOOSEN):
        points = [now, *map(float, edges)]
        closed = [is_closed(windows, point, phase, known) for point in points]
        found = book.closed(now, phase)
        assert (found is not None) == closed[0]
        wanted = next((point for point, shut in zip(points, closed, strict=True) if shut and point <= now + LOOK_AHEAD_SECONDS), None)
        close = book.next_close(now, phase)
        assert (close[0] if close is not None else None) == wanted
        if found is not None:
            opening = next((point for point, shut in zip(points, closed, strict=True) if not shut), None)
            assert found.until == opening or (opening is None and (found.until is None or found.until > points[-1]))
        for point, following in pairwise(points[:8]):  # between two edges nothing changes
            assert (book.closed((point + following) / 2, phase) is None) == (not is_closed(windows, (point + following) / 2, phase, known))
    if book.closed(now, Phase.TIGHTEN) is not None:
        assert book.closed(now, Phase.LOOSEN) is not None
