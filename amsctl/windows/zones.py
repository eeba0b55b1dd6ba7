"""Time zones: which there are, and wall-clock times to moments and back. The system's own database, or else the package ``tzdata``."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from amsctl.errors import ConfigError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_NOT_ZONES: Final = ("right/", "posix/", "localtime", "posixrules", "Factory")
"""What a system keeps beside its zones: other readings of them (``right/`` counts leap seconds), and this machine's own."""


class Unusable(NamedTuple):
    """What is wrong with a setting: code, words, what would be right, what is there, what to do."""

    code: str
    what: str
    expected: str | None = None
    found: str | None = None
    hint: str | None = None


@cache
def zone_of(name: str) -> ZoneInfo:
    """The time zone of that name.

    Raises :class:`ConfigError` when there is none, or when neither the system nor the package ``tzdata`` has it.
    """
    from zoneinfo import ZoneInfo

    try:
        if not name.startswith(_NOT_ZONES):
            return ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # not there, not a name, a folder of zones
        pass
    hint = "pip install tzdata, where the system has no time zones" if not _known() else None
    raise ConfigError("there is no such time zone", expected="a name as America/Chicago", found=name, hint=hint)


def zone_problem(name: str) -> Unusable | None:
    """Why a name cannot be a window's time zone, or ``None``."""
    try:
        zone_of(name)
    except ConfigError as error:
        return Unusable("time-zone", error.what, error.expected, error.found, error.hint or _near(name))
    return None


def _known() -> frozenset[str]:
    from zoneinfo import available_timezones

    return frozenset(name for name in available_timezones() if not name.startswith(_NOT_ZONES))


def _near(name: str) -> str | None:
    from difflib import get_close_matches

    folded = {known.lower(): known for known in sorted(_known())} | {
        known.lower().rpartition("/")[2]: known for known in sorted(_known(), reverse=True) if known.startswith("America/")
    }
    close = get_close_matches(name.lower().replace(" ", "_"), folded, n=1, cutoff=0.8)
    return f"did you mean {folded[close[0]]}?" if close else None


def moment_of(local: datetime, zone: ZoneInfo) -> int:
    """Seconds since 1970, UTC, of a wall-clock time without an offset.

    A time that occurs twice is its first occurrence; one that is skipped is read with the offset before the gap (RFC 5545 §3.3.5, PEP 495 ``fold=0``).
    """
    return int(local.replace(tzinfo=zone, fold=0).timestamp())


def readings(local: datetime, zone: ZoneInfo) -> tuple[int, int]:
    """The earliest and the latest moment that a wall-clock time without an offset can mean; one and the same but where clocks change.

    A time that occurs twice: its occurrences. One that is skipped: the first moment after the gap, and what it is with the offset before the gap.
    """
    one, other = (int(local.replace(tzinfo=zone, fold=fold).timestamp()) for fold in (0, 1))
    return (one, other) if one <= other else (_first_after_gap(other, one, zone), one)


def _first_after_gap(before: int, after: int, zone: ZoneInfo) -> int:
    """The moment at which the clock is set forward, of which there is one between two moments."""
    offset = datetime.fromtimestamp(before, zone).utcoffset()
    while after - before > 1:
        middle = (before + after) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


def local_of(moment: float, zone: ZoneInfo) -> datetime:
    """What the clock on the wall shows at a moment, without an offset."""
    return datetime.fromtimestamp(moment, zone).replace(tzinfo=None, fold=0)


def weekday_of(moment: float, name: str) -> int:
    """The day of the week that it is at a moment in a zone: 0 for Monday."""
    return datetime.fromtimestamp(moment, zone_of(name)).weekday()


def tell(moment: float, name: str) -> str:
    """A moment to a person: ``Sun 2026-11-29 12:00 America/Chicago (2026-11-29 18:00 UTC)``; seconds where there are some."""
    local = datetime.fromtimestamp(moment, zone_of(name))
    form = "%Y-%m-%d %H:%M" if int(moment) % 60 == 0 else "%Y-%m-%d %H:%M:%S"
    return f"{_DAYS[local.weekday()]} {local.strftime(form)} {name} ({datetime.fromtimestamp(moment, UTC).strftime(form)} UTC)"
