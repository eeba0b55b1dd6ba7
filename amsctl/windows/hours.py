"""When an environment may be written to, and until when: CME's calendar, and the windows of the project file that are for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple, assert_never

from amsctl.config import Applies, Calendar, Effect, Recurring, Weekly, Window
from amsctl.errors import WindowClosed
from amsctl.model import Phase
from amsctl.windows.recurrence import around
from amsctl.windows.zones import local_of, readings, tell, zone_of

_DAY: Final = 86_400
_MINUTES_A_DAY: Final = 1_440
LOOK_AHEAD_SECONDS: Final = 8 * _DAY
"""How far :meth:`Hours.next_close` looks: no apply takes longer."""
_LOOK_FOR_OPENING_SECONDS: Final = 400 * _DAY

CME_CLOSURE: Final = Window(
    name="CME's calendar",
    effect=Effect.DENY,
    time_zone="America/Chicago",
    times=Weekly(spans=((4 * _MINUTES_A_DAY + 18 * 60, 6 * _MINUTES_A_DAY + 12 * 60),)),
)
"""The AMS is closed from Friday 18:00 to Sunday 12:00, Chicago time (AMS §2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """Why steps cannot be sent. ``windows`` is the one that denies them, or those outside of which they are; ``until`` is when they can be sent again
    (seconds since 1970), whatever else would then deny them; ``None``: not within 400 days.
    """

    windows: tuple[Window, ...]
    until: float | None

    @property
    def name(self) -> str:
        """``CME's calendar``, ``window "desk hours"``, or the names of several."""
        if self.windows == (CME_CLOSURE,):
            return CME_CLOSURE.name
        return f"window{'s' if len(self.windows) > 1 else ''} " + ", ".join(f'"{window.name}"' for window in self.windows)

    @property
    def where(self) -> str | None:
        """Where the first of the windows is written; CME's calendar stands in no file."""
        place = self.windows[0].source
        return str(place) if place is not None else None

    @property
    def why(self) -> str:
        """``closed by CME's calendar``, or ``outside of window "desk hours"``."""
        return f"closed by {self.name}" if self.windows[0].effect is Effect.DENY else f"outside of {self.name}"

    def tell(self, moment: float) -> str:
        """A moment, in the time zone of the window and in UTC."""
        return tell(moment, self.windows[0].time_zone)

    @property
    def opens(self) -> str:
        """When steps can be sent again, to a person."""
        return f"opens again {self.tell(self.until)}" if self.until is not None else "does not open again within 400 days"


class _Closed(NamedTuple):
    """A time ``[begin, end)`` that is closed, and by what."""

    begin: int
    end: int
    windows: tuple[Window, ...]


class Hours:
    """The times at which an environment may be written to.

    A step is held back inside of any window that denies it. Where windows allow, it must be inside of one of them: a step of any phase inside of one of
    those that apply to all, and a loosening one also inside of one of those that apply to loosening. So nothing loosens when nothing may be tightened.
    """

    __slots__ = ("_known", "_openings", "_windows")

    def __init__(self, *, calendar: Calendar, windows: Iterable[Window], environment: str) -> None:
        fitting = (window for window in windows if not window.environments or environment in window.environments)
        self._windows = ((CME_CLOSURE,) if calendar is Calendar.CME else ()) + tuple(fitting)
        for window in self._windows:
            zone_of(window.time_zone)  # a zone that is not there is told before anything is read or written
        self._known: dict[bool, tuple[int, int, list[_Closed]]] = {}
        self._openings: dict[tuple[bool, int], float | None] = {}

    @property
    def always(self) -> bool:
        """Whether nothing is ever closed."""
        return not self._windows

    def closed(self, at: float, phase: Phase) -> Closure | None:
        """Why a step of ``phase`` may not be sent at a moment (seconds since 1970), or ``None``. A close belongs to the closure, an opening does not."""
        loosening = _loosens(phase)
        for one in self._around(at, loosening):
            if one.begin <= at < one.end:
                return Closure(windows=one.windows, until=self._opening(one.end, loosening))
        return None

    def next_close(self, at: float, phase: Phase) -> tuple[float, Closure] | None:
        """The first moment from ``at`` on at which a step of ``phase`` may not be sent, and why; ``None``: not within eight days."""
        now = self.closed(at, phase)
        if now is not None:
            return at, now
        later = [one.begin for one in self._around(at, _loosens(phase)) if at < one.begin <= at + LOOK_AHEAD_SECONDS]
        if not later:
            return None
        moment = float(min(later))
        closure = self.closed(moment, phase)
        assert closure is not None, "a closure begins where it is closed"
        return moment, closure

    def check(self, now: float, needs_seconds: float, phases: Iterable[Phase] = tuple(Phase)) -> None:
        """Nothing, when steps of all these phases can be sent from ``now`` on for as long as the run needs.

        Raises :class:`WindowClosed`, which says what closes, when, and when it opens again.
        """
        for phase in phases:
            close = self.next_close(now, phase)
            if close is None:
                continue
            moment, closure = close
            alone = _loosens(phase) and self.closed(moment, Phase.TIGHTEN) is None
            if moment <= now:
                what = "limits cannot be loosened" if alone else "nothing can be written"
                raise WindowClosed(
                    f"{what} now: {closure.why}", where=closure.where, found=f"it is {closure.tell(int(now))}", hint=closure.opens
                )
            if moment < now + needs_seconds:
                raise WindowClosed(
                    f"the run cannot finish before {'loosening' if alone else 'it'} is {closure.why}",
                    where=closure.where,
                    expected=f"{needs_seconds:.0f} s",
                    found=f"{moment - now:.0f} s, until {closure.tell(moment)}",
                    hint=f"{closure.opens}; a smaller plan needs less time",
                )

    # --- spans ---

    def _around(self, at: float, loosening: bool) -> list[_Closed]:
        """What is closed from ``at`` on, at least as far as :meth:`next_close` looks. Kept: it is asked before every call."""
        low, high, found = self._known.get(loosening, (0, 0, []))
        if not low <= at <= high - LOOK_AHEAD_SECONDS:
            low = int(at // _DAY) * _DAY
            high = low + 2 * LOOK_AHEAD_SECONDS
            found = self._closures(low, high, loosening)
            self._known[loosening] = (low, high, found)
        return found

    def _opening(self, end: int, loosening: bool) -> float | None:
        """The first moment, from the end of a closure on, at which nothing is closed. Kept, as above."""
        key = (loosening, end)
        if key not in self._openings:
            self._openings[key] = self._look_for_opening(end, loosening)
        return self._openings[key]

    def _look_for_opening(self, end: int, loosening: bool) -> float | None:
        for ahead in (LOOK_AHEAD_SECONDS, _LOOK_FOR_OPENING_SECONDS):
            moment = end
            for one in sorted(self._closures(end, end + ahead, loosening), key=lambda one: one.begin):
                if one.begin <= moment < one.end:
                    moment = one.end
            if moment < end + ahead:
                return float(moment)
        return None

    def _closures(self, low: int, high: int, loosening: bool) -> list[_Closed]:
        """What is closed and touches ``[low, high)``: windows that deny first, in the order in which they are written."""
        ours = [window for window in self._windows if loosening or window.applies is Applies.ALL]
        closures = [_Closed(*span, (window,)) for window in ours if window.effect is Effect.DENY for span in _spans(window, low, high)]
        for applies in Applies:
            group = tuple(window for window in ours if window.effect is Effect.ALLOW and window.applies is applies)
            if group:
                closures += [_Closed(*span, group) for span in _outside(group, low, high)]
        return closures


def _loosens(phase: Phase) -> bool:
    return phase in (Phase.LOOSEN, Phase.RELEASE)


def _outside(group: tuple[Window, ...], low: int, high: int) -> Iterator[tuple[int, int]]:
    """What of ``[low, high)`` is in none of the windows."""
    reached = low
    for begin, end in sorted(span for window in group for span in _spans(window, low, high)):
        if begin > reached:
            yield reached, begin
        reached = max(reached, end)
    if reached < high:
        yield reached, high


def _spans(window: Window, low: int, high: int) -> Iterator[tuple[int, int]]:
    """The spans ``[begin, end)`` of a window that touch ``[low, high)``, in seconds since 1970. Where clocks change, a time on the wall can be read in two
    ways: what denies is then as long as any reading makes it, what allows as short, so that neither lets through what its author meant to be closed.
    """
    wide = window.effect is Effect.DENY
    match window.times:
        case Weekly():
            return _weekly(window.times, window.time_zone, low, high, wide=wide)
        case Recurring():
            return around(window.times, zone_of(window.time_zone), low, high, wide=wide)
        case _:
            assert_never(window.times)


def _weekly(weekly: Weekly, name: str, low: int, high: int, *, wide: bool) -> Iterator[tuple[int, int]]:
    zone = zone_of(name)
    first = local_of(low, zone).date()
    monday = datetime.combine(first, datetime.min.time()) - timedelta(days=first.weekday() + 14)  # a span may reach over two more weeks
    while readings(monday, zone)[0] < high:
        for from_minute, to_minute in weekly.spans:
            begin = readings(monday + timedelta(minutes=from_minute), zone)[not wide]
            end = readings(monday + timedelta(minutes=to_minute), zone)[wide]
            if begin < high and low < end and begin < end:  # one that a change of the clocks swallows is none
                yield begin, end
        monday += timedelta(days=7)
