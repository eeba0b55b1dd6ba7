"""Recurrence rules: what RFC 5545 says where clocks change, what is refused, and that nothing of it takes long."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import assume, given
from hypothesis import strategies as st

from amsctl.config import Recurring
from amsctl.windows.recurrence import MOST_A_YEAR, around, rule_problem
from tests.patience import unit_seconds

CHICAGO = ZoneInfo("America/Chicago")
UNITS = 200
"""CPU time that a rule may take, in units of plain Python: about two seconds."""


def spans(rule: str, start: str, low: str, high: str, *, days: int = 0, seconds: int = 3600, wide: bool = True) -> list[str]:
    """Begin and end of each span that touches ``[low, high)``, all in UTC."""
    edges = [int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) for text in (low, high)]
    recurring = Recurring(rrule=rule, start=start, days=days, seconds=seconds)
    assert rule_problem(recurring, CHICAGO) is None
    return [
        "/".join(datetime.fromtimestamp(moment, UTC).strftime("%m-%dT%H:%M") for moment in span)
        for span in around(recurring, CHICAGO, *edges, wide=wide)
    ]


def problem(rule: str, start: str = "2026-01-05T08:00", *, days: int = 0, seconds: int = 60) -> tuple[str, str, str] | None:
    """Key, what, and expected or hint."""
    began = time.process_time()
    found = rule_problem(Recurring(rrule=rule, start=start, days=days, seconds=seconds), CHICAGO)
    assert time.process_time() - began < UNITS * unit_seconds()
    return (found[0], found[1].what, found[1].expected or found[1].hint or "") if found is not None else None


# --- what RFC 5545 says ---


@pytest.mark.parametrize(("wide", "changed"), [(True, "03-08T08:00/03-08T09:30"), (False, "03-08T08:30/03-08T09:00")])
def test_a_time_that_the_clock_skips_is_read_so_that_less_is_let_through(wide: bool, changed: str) -> None:
    """02:30 on 8 March 2026 is 03:00 CDT at the earliest and 03:30 CDT (RFC 5545 3.3.5) at the latest; the days beside it are as ever."""
    rule = "FREQ=DAILY"
    assert spans(rule, "2026-03-01T02:30", "2026-03-07T00:00", "2026-03-10T00:00", wide=wide) == [
        "03-07T08:30/03-07T09:30",
        changed,
        "03-09T07:30/03-09T08:30",
    ]


@pytest.mark.parametrize(
    ("start", "seconds", "wide", "span"),
    [
        ("01:30", 7200, True, ["11-01T06:30/11-01T09:30"]),
        ("01:30", 7200, False, ["11-01T07:30/11-01T08:30"]),
        ("00:30", 3600, True, ["11-01T05:30/11-01T07:30"]),
        ("00:30", 3600, False, ["11-01T05:30/11-01T06:30"]),
        ("01:15", 1800, True, ["11-01T06:15/11-01T07:45"]),
        ("01:15", 1800, False, []),
    ],
)
def test_a_time_that_occurs_twice_is_read_so_that_less_is_let_through(start: str, seconds: int, wide: bool, span: list[str]) -> None:
    """On 1 November 2026 the clock shows 01:00 to 02:00 first in CDT, then in CST."""
    assert spans("FREQ=DAILY", f"2026-10-01T{start}", "2026-11-01T01:00", "2026-11-01T12:00", seconds=seconds, wide=wide) == span


@pytest.mark.parametrize(("wide", "span"), [(True, "03-07T08:30/03-08T08:30"), (False, "03-07T08:30/03-08T08:00")])
def test_a_day_that_ends_in_a_gap(wide: bool, span: str) -> None:
    assert spans("FREQ=DAILY;COUNT=1", "2026-03-07T02:30", "2026-03-07", "2026-03-09", days=1, seconds=0, wide=wide) == [span]


@pytest.mark.parametrize(
    ("day", "nominal", "exact"),
    [
        ("2026-03-07", "03-07T18:00/03-08T17:00", "03-07T18:00/03-08T18:00"),
        ("2026-10-31", "10-31T17:00/11-01T18:00", "10-31T17:00/11-01T17:00"),
    ],
)
def test_days_are_nominal_and_hours_exact(day: str, nominal: str, exact: str) -> None:
    """RFC 5545 3.3.6: P1D ends at the same time on the wall, PT24H after 24 hours."""
    high = (datetime.fromisoformat(day) + timedelta(days=3)).strftime("%Y-%m-%d")
    assert spans("FREQ=DAILY;COUNT=1", f"{day}T12:00", day, high, days=1, seconds=0) == [nominal]
    assert spans("FREQ=DAILY;COUNT=1", f"{day}T12:00", day, high, seconds=24 * 3600) == [exact]


def test_until_is_a_moment_and_included_and_count_counts_from_the_start() -> None:
    """RFC 5545 3.3.10: UNTIL is UTC where the start has a time zone."""
    start = "2026-11-20T08:00"
    assert spans("FREQ=DAILY;UNTIL=20261122T140000Z", start, "2026-11-01", "2026-12-01", seconds=60) == [
        "11-20T14:00/11-20T14:01",
        "11-21T14:00/11-21T14:01",
        "11-22T14:00/11-22T14:01",
    ]
    assert len(spans("FREQ=DAILY;UNTIL=20261122T135959Z", start, "2026-11-01", "2026-12-01")) == 2
    assert len(spans("FREQ=DAILY;COUNT=5", start, "2026-11-22", "2026-12-01")) == 3


@pytest.mark.parametrize(
    ("rule", "start", "wanted"),
    [
        ("FREQ=MONTHLY;BYDAY=3FR", "2026-01-16T08:00", ["01-16", "02-20", "03-20", "04-17"]),
        ("FREQ=MONTHLY;BYDAY=-1FR", "2026-01-30T08:00", ["01-30", "02-27", "03-27", "04-24"]),
        ("FREQ=MONTHLY;BYMONTHDAY=31", "2026-01-31T08:00", ["01-31", "03-31"]),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "2026-01-30T08:00", ["01-30", "02-27", "03-31", "04-30"]),
        ("FREQ=WEEKLY;INTERVAL=4;WKST=SU;BYDAY=TU", "2026-01-06T08:00", ["01-06", "02-03", "03-03", "03-31", "04-28"]),
        ("FREQ=YEARLY;BYWEEKNO=10;BYDAY=MO", "2026-03-02T08:00", ["03-02"]),
        ("FREQ=YEARLY;BYYEARDAY=100", "2026-04-10T08:00", ["04-10"]),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=27,28", "2026-02-27T08:00", ["02-27", "02-28"]),
    ],
)
def test_rules_mean_what_the_standard_says(rule: str, start: str, wanted: list[str]) -> None:
    """Worked by hand from the calendar of 2026."""
    assert [span[:5] for span in spans(rule, start, "2026-01-01", "2026-05-01")] == wanted


def test_a_leap_day_is_found_years_away_and_on_its_weekday() -> None:
    """Rules are evaluated 7600 years later, where the calendar is the same: leap years and weekdays, too."""
    found = spans("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "2028-02-29T08:00", "2028-01-01", "2049-01-01")
    assert len(found) == 6
    assert len(spans("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;BYDAY=TU", "2028-02-29T08:00", "2028-01-01", "2100-01-01")) == 3


def test_a_span_that_began_long_before_is_seen() -> None:
    """Whether it is open now depends on a beginning of weeks ago."""
    assert spans("FREQ=YEARLY", "2025-12-20T00:00", "2026-01-04", "2026-01-05", days=16, seconds=0) == ["12-20T06:00/01-05T06:00"]


# --- what is refused ---


@pytest.mark.parametrize(
    ("rule", "what", "rest"),
    [
        ("FREQ=SECONDLY", "FREQ of the rule cannot be used", "DAILY or WEEKLY or MONTHLY or YEARLY"),
        ("FREQ=MINUTELY;INTERVAL=1", "FREQ of the rule cannot be used", "DAILY"),
        ("FREQ=HOURLY", "FREQ of the rule cannot be used", "DAILY"),
        ("FREQ=daily", "FREQ of the rule cannot be used", "DAILY"),
        ("freq=DAILY", "unknown part", "FREQ"),
        ("INTERVAL=2", "FREQ is missing", "3.3.10"),
        ("FREQ=DAILY;FREQ=WEEKLY", "says FREQ twice", "keep one"),
        ("FREQ=DAILY;", "unknown part", "FREQ"),
        ("FREQ", "unknown part", "FREQ"),
        ("RRULE:FREQ=DAILY", "unknown part", "FREQ"),
        ("FREQ=DAILY\nDTSTART:20260101T000000", "FREQ of the rule cannot be used", "DAILY"),
        ("DTSTART:20260101T000000\nRRULE:FREQ=DAILY", "unknown part", "FREQ"),
        ("FREQ=DAILY;EXDATE=20260101T000000", "unknown part", "FREQ"),
        ("FREQ=DAILY;DTSTART=20260101T000000", "unknown part", "FREQ"),
        ("FREQ=YEARLY;BYEASTER=0", "unknown part", "FREQ"),
        ("FREQ=DAILY;BYSECOND=1", "unknown part", "FREQ"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL of the rule", "a number from 1 to 1000"),
        ("FREQ=DAILY;INTERVAL=1001", "INTERVAL of the rule", "1000"),
        ("FREQ=DAILY;INTERVAL=1,2", "INTERVAL of the rule", "1000"),
        ("FREQ=DAILY;INTERVAL=-1", "INTERVAL of the rule", "1000"),
        ("FREQ=DAILY;INTERVAL=99999999999999999999", "INTERVAL of the rule", "1000"),
        ("FREQ=DAILY;COUNT=0", "COUNT of the rule", "1 to 10000"),
        ("FREQ=DAILY;BYMONTH=13", "BYMONTH of the rule", "up to 62 numbers from 1 to 12"),
        ("FREQ=DAILY;BYMONTH=-1", "BYMONTH of the rule", "1 to 12"),
        ("FREQ=DAILY;BYHOUR=24", "BYHOUR of the rule", "0 to 23"),
        ("FREQ=DAILY;BYMINUTE=60", "BYMINUTE of the rule", "0 to 59"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "BYMONTHDAY of the rule", "negative from the end"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY of the rule", "1 to 31"),
        ("FREQ=MONTHLY;BYMONTHDAY=١", "BYMONTHDAY of the rule", "1 to 31"),
        ("FREQ=WEEKLY;BYDAY=MON", "BYDAY of the rule", "MO,WE"),
        ("FREQ=WEEKLY;BYDAY=", "BYDAY of the rule", "MO,WE"),
        ("FREQ=MONTHLY;BYDAY=54FR", "BYDAY of the rule", "MO,WE"),
        ("FREQ=MONTHLY;BYDAY=0FR", "BYDAY of the rule", "MO,WE"),
        ("FREQ=WEEKLY;BYDAY=MO(+1)", "BYDAY of the rule", "MO,WE"),
        ("FREQ=WEEKLY;WKST=MO,TU", "WKST of the rule", "MO"),
        ("FREQ=WEEKLY;BYDAY=3FR", "a counted day (as 3FR) is for FREQ=MONTHLY or YEARLY", "3.3.10"),
        ("FREQ=DAILY;BYHOUR=8,9;BYSETPOS=1", "BYSETPOS does not go with FREQ=DAILY", "3.3.10"),
        ("FREQ=WEEKLY;BYDAY=MO;BYSETPOS=" + ",".join(map(str, range(2, 15))), "BYSETPOS of the rule", "up to 12 numbers from 1 to 366"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=" + "30," * 400 + "31", "BYMONTHDAY of the rule", "up to 62"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=" + "30," * 61 + "31", "never occurs", "exclude"),
        ("FREQ=YEARLY;BYDAY=" + "53FR," * 70 + "MO", "BYDAY of the rule", "MO,WE"),
        ("FREQ=MONTHLY;BYDAY=6MO", "a month has five of a day at most", "3.3.10"),
        ("FREQ=YEARLY;BYMONTH=12;BYDAY=MO,-53TU", "a month has five of a day at most", "3.3.10"),
        ("FREQ=YEARLY;INTERVAL=400;BYDAY=53FR;BYMONTHDAY=1", "never occurs", "exclude"),
        ("FREQ=YEARLY;BYWEEKNO=3;BYDAY=3FR", "does not go with BYWEEKNO", "3.3.10"),
        ("FREQ=WEEKLY;BYMONTHDAY=3", "BYMONTHDAY does not go with FREQ=WEEKLY", "3.3.10"),
        ("FREQ=MONTHLY;BYYEARDAY=3", "BYYEARDAY is for FREQ=YEARLY", "3.3.10"),
        ("FREQ=MONTHLY;BYWEEKNO=3", "BYWEEKNO is for FREQ=YEARLY", "3.3.10"),
        ("FREQ=MONTHLY;BYSETPOS=1", "BYSETPOS stands alone", "3.3.10"),
        ("FREQ=DAILY;COUNT=1;UNTIL=20270101T000000Z", "ends twice", "3.3.10"),
        ("FREQ=DAILY;UNTIL=20270101T000000", "UNTIL of the rule", "in UTC"),
        ("FREQ=DAILY;UNTIL=20270101", "UNTIL of the rule", "in UTC"),
        ("FREQ=DAILY;UNTIL=20271301T000000Z", "UNTIL of the rule", "in UTC"),
        ("FREQ=DAILY;UNTIL=20260105T135959Z", "ends before it begins", "UNTIL at or after start"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "never occurs", "exclude"),
        ("FREQ=DAILY;INTERVAL=7;BYDAY=TU", "never occurs", "exclude"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "never occurs", "exclude"),
        ("FREQ=YEARLY;BYWEEKNO=53;BYYEARDAY=100", "never occurs", "exclude"),
        ("FREQ=DAILY;BYHOUR=" + ",".join(map(str, range(24))), "occurs too often", str(MOST_A_YEAR)),
        ("FREQ=DAILY;BYHOUR=8;BYMINUTE=" + ",".join(map(str, range(60))), "occurs too often", str(MOST_A_YEAR)),
        ("FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR;BYHOUR=8,9;BYMINUTE=" + ",".join(map(str, range(60))), "occurs too often", str(MOST_A_YEAR)),
    ],
)  # fmt: skip
def test_a_rule_that_is_none_is_refused_soon(rule: str, what: str, rest: str) -> None:
    """Not the grammar, not for windows, never, too often, or with properties smuggled in; each refusal within two seconds."""
    found = problem(rule)
    assert found is not None
    assert found[0] == "rrule"
    assert what in found[1]
    assert rest in found[2]


def test_what_only_dateutil_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer dateutil may know more rules that cannot be: its reason is repeated, and nothing is raised."""

    for kind in (ValueError, IndexError):

        def refuse(*_: object, kind: type[Exception] = kind, **__: object) -> None:
            raise kind("the moon is full")

        monkeypatch.setattr("dateutil.rrule.rrulestr", refuse)
        assert problem("FREQ=DAILY") == ("rrule", "the rule cannot be used: the moon is full", "see RFC 5545, 3.3.10")


def test_what_is_refused_is_shown_cut() -> None:
    """A text of any length is repeated in part, and its cause is guessed."""
    found = rule_problem(Recurring(rrule="x" * 4000, start="2026-01-05T08:00", seconds=1), CHICAGO)
    assert found is not None
    assert (found[1].found, found[1].hint) == ("x" * 64 + "…", "in capitals")
    for rule, hint in (
        ("RRULE:FREQ=DAILY", "the rule alone"),
        ("FREQ=HOURLY", "not that short"),
        ("FREQ=DAILY;BYSECOND=1", "not that short"),
    ):
        found = rule_problem(Recurring(rrule=rule, start="2026-01-05T08:00", seconds=1), CHICAGO)
        assert found is not None
        assert hint in str(found[1].hint)


def test_every_other_hour_is_not_too_often() -> None:
    """The cap is above what a calendar may need."""
    assert problem("FREQ=DAILY;BYHOUR=" + ",".join(map(str, range(0, 24, 2)))) is None


@pytest.mark.parametrize(
    ("start", "what", "expected"),
    [
        ("2026-01-06T08:00", "does not occur at its own start", "as 2026-01-12T08:00"),
        ("2026-02-30T08:00", "no such day or time", "YYYY"),
        ("2026-01-05T24:00", "no such day or time", "YYYY"),
        ("1999-12-27T08:00", "too far away", "2000 to 2199"),
        ("2200-01-06T08:00", "too far away", "2000 to 2199"),
        ("0000-01-01T00:00", "no such day or time", "YYYY"),
    ],
)
def test_a_start_that_is_none_is_refused(start: str, what: str, expected: str) -> None:
    """RFC 5545 3.8.5.3 leaves open what a rule means that its own start does not fit; the first beginning that it has is named."""
    found = problem("FREQ=WEEKLY;BYDAY=MO", start)
    assert found is not None
    assert found[0] == "start"
    assert what in found[1]
    assert expected in found[2]


@pytest.mark.parametrize(
    ("days", "seconds", "what"), [(0, 0, "zero"), (367, 0, "too long"), (366, 1, "too long"), (0, 99_999_999, "too long")]
)
def test_a_duration_that_is_none_is_refused(days: int, seconds: int, what: str) -> None:
    """A window of no length says nothing; one of more than a year is a mistake."""
    found = problem("FREQ=DAILY", days=days, seconds=seconds)
    assert found is not None
    assert found[0] == "duration"
    assert what in found[1]
    assert problem("FREQ=DAILY", days=366) == ("duration", "the duration is too long", "at most 366 days")


# --- any rule ---

DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def listed(values: st.SearchStrategy[object]) -> st.SearchStrategy[str]:
    return st.lists(values.map(str), min_size=1, max_size=3, unique=True).map(",".join)


PARTS = {
    "INTERVAL": st.integers(1, 1000).map(str),
    "COUNT": st.integers(1, 10_000).map(str),
    "BYMONTH": listed(st.integers(1, 12)),
    "BYMONTHDAY": listed(st.one_of(st.integers(1, 31), st.integers(-31, -1))),
    "BYYEARDAY": listed(st.one_of(st.integers(1, 366), st.integers(-366, -1))),
    "BYWEEKNO": listed(st.one_of(st.integers(1, 53), st.integers(-53, -1))),
    "BYSETPOS": listed(st.one_of(st.integers(1, 366), st.integers(-366, -1))),
    "BYHOUR": listed(st.integers(0, 23)),
    "BYMINUTE": listed(st.integers(0, 59)),
    "BYDAY": listed(
        st.one_of(st.sampled_from(DAYS), st.tuples(st.integers(-53, 53), st.sampled_from(DAYS)).map(lambda pair: f"{pair[0]}{pair[1]}"))
    ),
    "WKST": st.sampled_from(DAYS),
}
RULES = st.tuples(
    st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]),
    st.lists(st.sampled_from(sorted(PARTS)), max_size=3, unique=True).flatmap(
        lambda keys: st.tuples(*(PARTS[key].map(lambda value, key=key: f"{key}={value}") for key in keys))  # type: ignore[misc]
    ),
).map(lambda pair: ";".join([f"FREQ={pair[0]}", *pair[1]]))


@pytest.mark.no_cover
@given(RULES)
def test_any_rule_is_judged_soon_and_one_that_passes_means_what_it_means_today(rule: str) -> None:
    """No rule raises or takes long; evaluated 7600 years later, a rule gives the same as evaluated now, weekdays and leap days included."""
    found = problem(rule)
    if found is not None and found[0] == "start":
        found = problem(rule, found[2][-16:])  # what the refusal proposes is accepted, unless it occurs too often
        assert found is None or found[0] == "rrule"
        return
    assume(found is None)
    recurring = Recurring(rrule=rule, start="2026-01-05T08:00", seconds=60)
    low, high = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2026, 2034))
    plain = rrulestr(rule, dtstart=datetime(2026, 1, 5, 8)).between(datetime(2026, 1, 1), datetime(2034, 1, 1), inc=True)[:100]
    wanted = [int(local.replace(tzinfo=CHICAGO).timestamp()) for local in plain]
    assert [begin for begin, _ in islice(around(recurring, CHICAGO, low, high, wide=True), 100)] == wanted


@given(st.text(alphabet="FREQ=DAILYBHOUNTSWKM;:,+-0123456789\n ٣", max_size=60))
def test_any_text_is_judged(text: str) -> None:
    """Whatever stands there is refused or understood, never raised."""
    found = problem(text)
    assert found is None or found[0] in ("rrule", "start")
