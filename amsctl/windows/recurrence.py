"""Recurrence rules of RFC 5545 §3.3.10, as far as time windows need them: daily to yearly, to the minute, begun at a wall-clock time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from amsctl.config import Recurring
from amsctl.windows.zones import Unusable, local_of, moment_of, readings

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

MOST_A_YEAR: Final = 5_000
"""Occurrences: a rule with more of them says something else than a time window, and costs more than it should."""
FIRST_YEAR, LAST_YEAR = 2000, 2199
_SHIFT_YEARS: Final = 7600
"""dateutil looks for the next occurrence up to the year 9999, which takes seconds where there is none. So rules are evaluated 7600 years later: the
calendar, weekdays included, repeats every 400 years.
"""

_FREQUENCIES: Final = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_BOUNDS: Final = {
    "INTERVAL": (1, 1000),
    "COUNT": (1, 10_000),
    "BYMONTH": (1, 12),
    "BYMONTHDAY": (1, 31),
    "BYYEARDAY": (1, 366),
    "BYWEEKNO": (1, 53),
    "BYSETPOS": (1, 366),
    "BYHOUR": (0, 23),
    "BYMINUTE": (0, 59),
}
_SIGNED: Final = ("BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYSETPOS")
_MOST_VALUES: Final = {"INTERVAL": 1, "COUNT": 1, "BYSETPOS": 12}
"""Values of one part; of any other 62, which are all the days of a month from both ends. Each costs time where a rule never occurs."""
_KEYS: Final = ("FREQ", "UNTIL", "BYDAY", "WKST", *_BOUNDS)
_DAY: Final = "(?:MO|TU|WE|TH|FR|SA|SU)"
_is_days: Final = re.compile(f"{_DAY}(?:,{_DAY})*\\Z").match
_COUNTED_DAY: Final = f"(?:[+-]?(?:[1-9]|[1-4][0-9]|5[0-3]))?{_DAY}"
_is_counted_days: Final = re.compile(f"{_COUNTED_DAY}(?:,{_COUNTED_DAY}){{0,61}}\\Z").match
_is_numbers: Final = re.compile("[+-]?[0-9]{1,5}(?:,[+-]?[0-9]{1,5})*\\Z").match
_is_until: Final = re.compile("[0-9]{8}T[0-9]{6}Z\\Z").match


def starts(recurring: Recurring, zone: ZoneInfo, low: datetime, high: datetime) -> Iterator[datetime]:
    """The wall-clock times, from ``low`` to ``high``, at which the rule's spans begin."""
    parts = _parts(recurring.rrule)
    until = _until(parts)
    for local in takewhile(lambda local: local <= high, _occurrences(parts, datetime.fromisoformat(recurring.start))):
        if until is not None and moment_of(local, zone) > until:
            return
        if local >= low:
            yield local


def rule_problem(recurring: Recurring, zone: ZoneInfo) -> tuple[str, Unusable] | None:
    """Why a rule cannot be a window's, with the key (``rrule``, ``start`` or ``duration``) that is wrong, or ``None``."""
    if recurring.days * 86_400 + recurring.seconds <= 0:
        return "duration", Unusable("duration", "the duration is zero", "a duration, as in PT45M", hint="remove the window instead")
    if recurring.days * 86_400 + recurring.seconds > 366 * 86_400:
        return "duration", Unusable("duration", "the duration is too long", "at most 366 days")
    try:
        start = datetime.fromisoformat(recurring.start)
    except ValueError:
        return "start", Unusable("start", "there is no such day or time", "YYYY-MM-DDTHH:MM", recurring.start)
    if not FIRST_YEAR <= start.year <= LAST_YEAR:
        return "start", Unusable("start", "the start is too far away", f"a year from {FIRST_YEAR} to {LAST_YEAR}", recurring.start)
    wrong = _grammar_problem(recurring.rrule)
    return ("rrule", wrong) if wrong is not None else _occurrence_problem(recurring, start, zone)


def _occurrence_problem(recurring: Recurring, start: datetime, zone: ZoneInfo) -> tuple[str, Unusable] | None:
    """Why what the rule gives, begun at ``start``, cannot be used."""
    parts = _parts(recurring.rrule)
    until = _until(parts)
    if until is not None and until < moment_of(start, zone):
        return "rrule", Unusable("rrule", "the rule ends before it begins", "UNTIL at or after start", hint="UNTIL is UTC, start is not")
    try:
        occurrences = _occurrences(parts, start)
        first = next(occurrences, None)
    except (ValueError, LookupError) as error:  # LookupError: dateutil stumbles over counts that no month has
        return "rrule", Unusable("rrule", f"the rule cannot be used: {error}", hint="see RFC 5545, 3.3.10")
    if first is None or first.year > LAST_YEAR:
        return "rrule", Unusable("rrule", "the rule never occurs", hint="its parts exclude each other")
    if first != start:  # RFC 5545 §3.8.5.3 leaves undefined what is meant
        expected = f"a start that it names, as {first.isoformat(timespec='minutes')}"
        return "start", Unusable("start", "the rule does not occur at its own start", expected, recurring.start)
    year = takewhile(lambda local: local < start + timedelta(days=365), occurrences)
    if sum(1 for _ in zip(range(MOST_A_YEAR), year, strict=False)) == MOST_A_YEAR:
        return "rrule", Unusable("rrule", "the rule occurs too often", f"fewer than {MOST_A_YEAR} times a year", hint="write longer spans")
    return None


def _occurrences(parts: dict[str, str], start: datetime) -> Iterator[datetime]:
    """Wall-clock times, without an offset and without heeding UNTIL, which is a moment."""
    from dateutil.rrule import rrulestr

    text = ";".join(f"{key}={value}" for key, value in parts.items() if key != "UNTIL")
    for local in rrulestr(text, dtstart=start.replace(year=start.year + _SHIFT_YEARS)):
        yield local.replace(year=local.year - _SHIFT_YEARS)


def _parts(text: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in text.split(";"))


def _until(parts: dict[str, str]) -> float | None:
    return datetime.strptime(parts["UNTIL"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp() if "UNTIL" in parts else None


# --- grammar ---


def _grammar_problem(text: str) -> Unusable | None:
    """What in a rule is not of RFC 5545, or not for time windows. Whatever is not known is refused: properties beside the rule, too."""
    seen: dict[str, str] = {}
    for part in text.split(";"):
        key, mark, value = part.partition("=")
        if key not in _KEYS or not mark:
            return Unusable("rrule", "the rule has an unknown part", " or ".join(_KEYS), _cut(part), _hint(key))
        if key in seen:
            return Unusable("rrule", f"the rule says {key} twice", found=_cut(part), hint="keep one of them")
        seen[key] = value
        expected = _value_problem(key, value)
        if expected is not None:
            return Unusable("rrule", f"{key} of the rule cannot be used", expected, _cut(value), _hint(value))
    return _combination_problem(seen)


def _hint(word: str) -> str | None:
    if word in ("SECONDLY", "MINUTELY", "HOURLY", "BYSECOND"):
        return "a window is not that short: write BYHOUR and BYMINUTE"
    if re.match("(?:RRULE|DTSTART|EXDATE|RDATE|EXRULE)", word, re.IGNORECASE):
        return "the rule alone: its first beginning is start"
    return "in capitals" if word != word.upper() else None


def _value_problem(key: str, value: str) -> str | None:
    """What would be right in place of ``value``, or ``None`` when it is right."""
    match key:
        case "FREQ":
            return None if value in _FREQUENCIES else " or ".join(_FREQUENCIES)
        case "UNTIL":
            return None if _is_moment(value) else "a moment in UTC, as in 20271231T235959Z"
        case "BYDAY":
            return None if _is_counted_days(value) else "days, as in MO,WE or 3FR or -1SU"
        case "WKST":
            return None if _is_days(value) and len(value) == 2 else "a day, as in MO"
        case _:
            return None if _in_bounds(key, value) else _bounds_text(key)


def _is_moment(text: str) -> bool:
    if not _is_until(text):
        return False
    try:
        return _until({"UNTIL": text}) is not None
    except ValueError:
        return False


def _in_bounds(key: str, value: str) -> bool:
    if not _is_numbers(value) or (key not in _SIGNED and re.search("[+-]", value)):
        return False
    low, high = _BOUNDS[key]
    numbers = [abs(int(number)) for number in value.split(",")]
    return len(numbers) <= _MOST_VALUES.get(key, 62) and all(low <= number <= high for number in numbers)


def _bounds_text(key: str) -> str:
    low, high = _BOUNDS[key]
    most = _MOST_VALUES.get(key, 62)
    count = "a number" if most == 1 else f"up to {most} numbers"
    return f"{count} from {low} to {high}" + (", or negative from the end" if key in _SIGNED else "")


def _combination_problem(parts: dict[str, str]) -> Unusable | None:
    """Parts that RFC 5545 does not allow together; dateutil would take them and mean something else."""
    frequency = parts.get("FREQ")
    counts = [abs(int(count)) for count in re.findall("[+-]?[0-9]+", parts.get("BYDAY", ""))]
    counted, of_a_month = bool(counts), frequency == "MONTHLY" or "BYMONTH" in parts
    for wrong, what in (
        (frequency is None, "the rule does not say how often: FREQ is missing"),
        ("COUNT" in parts and "UNTIL" in parts, "the rule ends twice: by COUNT and by UNTIL"),
        (counted and frequency not in ("MONTHLY", "YEARLY"), "a counted day (as 3FR) is for FREQ=MONTHLY or YEARLY"),
        (of_a_month and max(counts, default=0) > 5, "a month has five of a day at most"),
        (counted and "BYWEEKNO" in parts, "a counted day (as 3FR) does not go with BYWEEKNO"),
        ("BYMONTHDAY" in parts and frequency == "WEEKLY", "BYMONTHDAY does not go with FREQ=WEEKLY"),
        ("BYYEARDAY" in parts and frequency != "YEARLY", "BYYEARDAY is for FREQ=YEARLY"),
        ("BYWEEKNO" in parts and frequency != "YEARLY", "BYWEEKNO is for FREQ=YEARLY"),
        ("BYSETPOS" in parts and frequency == "DAILY", "BYSETPOS does not go with FREQ=DAILY"),
        ("BYSETPOS" in parts and not any(key.startswith("BY") and key != "BYSETPOS" for key in parts), "BYSETPOS stands alone"),
    ):
        if wrong:
            return Unusable("rrule", what, hint="see RFC 5545, 3.3.10")
    return None


def _cut(text: str) -> str:
    return text if len(text) <= 64 else text[:64] + "…"


def around(recurring: Recurring, zone: ZoneInfo, low: int, high: int, *, wide: bool) -> Iterator[tuple[int, int]]:
    """The spans ``[begin, end)`` of a rule that touch ``[low, high)``, in seconds since 1970.

    Days are nominal, hours and less exact, days first (RFC 5545 §3.3.6): a day more is the same time on the wall, 24 hours more may be another. Where a
    time on the wall can be read in two ways, ``wide`` spans are the longest that any reading gives, others the shortest; that may be none.
    """
    longest = recurring.days * 86_400 + recurring.seconds + 3 * 86_400  # no change of a clock is longer than a day
    for local in starts(recurring, zone, local_of(low - longest, zone), local_of(high, zone) + timedelta(days=1)):
        first, last = readings(local, zone)
        begin, end = (first, last) if wide else (last, first)
        if recurring.days:
            end = readings((local_of(last, zone) if wide else local) + timedelta(days=recurring.days), zone)[wide]
        end = readings(local_of(end + recurring.seconds, zone), zone)[wide]
        if begin < high and end > low and begin < end:
            yield begin, end
