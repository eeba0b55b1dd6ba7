"""The windows of the project file, to their values. Imported only where a project has some: time zones are loaded, and dateutil where a rule recurs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from amsctl.config import Applies, Effect, Recurring, Weekly, Window
from amsctl.manifests.decoding import mapping_of, refuse, scalar_at, sequence_at, word_at
from amsctl.manifests.findings import Findings
from amsctl.manifests.identifiers import NAME, matcher, nearest
from amsctl.manifests.nodes import Map, Node, Seq, source
from amsctl.windows.zones import Unusable, zone_of, zone_problem

MOST: Final = 100
"""Windows of a project."""
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WEEK: Final = 7 * 1_440
_is_name: Final = matcher(NAME).match
_is_zone: Final = re.compile("[A-Za-z][A-Za-z0-9_+-]{0,31}(?:/[A-Za-z0-9_+-]{1,31}){0,2}\\Z").match
_clock: Final = re.compile("(?:(Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?([01][0-9]|2[0-3]):([0-5][0-9])\\Z").match
_is_start: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2})?\\Z").match
_duration: Final = re.compile("P(?:([0-9]{1,2})W|(?:([0-9]{1,3})D)?(?:T(?:([0-9]{1,4})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,8})S)?)?)\\Z").match


def windows_of(node: Node, environments: Mapping[str, object], findings: Findings) -> tuple[Window, ...]:
    """The windows that a sequence describes; those that mean nothing are left out and told in ``findings``.

    Raises :class:`Refused` when they are not as the schema wants them.
    """
    if not isinstance(node, Seq) or not 0 < len(node.items) <= MOST:
        refuse()
    maps = [_shaped(item) for item in node.items]
    _check_names(maps, findings)
    windows = (_window(item, environments, findings) for item in maps)
    return tuple(window for window in windows if window is not None)


def _shaped(node: Node) -> Map:
    """A window as the schema wants it."""
    keys = ("name", "effect", "applies", "timeZone", "weekly", "rrule", "start", "duration", "environments")
    window = mapping_of(node, keys, ("name", "effect", "timeZone"))
    word_at(window, "effect", tuple(Effect))
    word_at(window, "applies", tuple(Applies))
    sequence_at(window, "environments", 1000)
    if not _is_name(scalar_at(window, "name")[0]) or not _is_zone(scalar_at(window, "timeZone")[0]):
        refuse()
    recurring = [key for key in ("rrule", "start", "duration") if key in window.entries]
    if ("weekly" in window.entries) == bool(recurring) or len(recurring) not in (0, 3):
        refuse()
    if recurring:
        rule, start, duration = (scalar_at(window, key)[0] for key in recurring)
        if not rule or not _is_start(start) or not _duration(duration):
            refuse()
    else:
        weekly = mapping_of(window.entries["weekly"][1], ("days", "from", "to"), ("from", "to"))
        days = sequence_at(weekly, "days", 7)
        if not all(text in _DAYS for text, _, _ in days) or not all(_clock(scalar_at(weekly, key)[0]) for key in ("from", "to")):
            refuse()
    return window


def _check_names(maps: list[Map], findings: Findings) -> None:
    """A name stands for one window, in messages and in reports."""
    seen: dict[str, int] = {}
    for window in maps:
        name, _, pos = scalar_at(window, "name")
        if name in seen:
            findings.add("repeated", "two windows have the same name", pos, found=name, hint="name them apart", related=seen[name])
        seen.setdefault(name, pos)


def _window(node: Map, environments: Mapping[str, object], findings: Findings) -> Window | None:
    """The window, unless what it says cannot be."""
    known = len(findings.items)
    names = sequence_at(node, "environments", 1000)
    for name, _, pos in names:
        if name not in environments:
            close = nearest(name, environments)
            hint = f"did you mean {close}?" if close is not None else "name one of spec.environments"
            findings.add("unknown-environment", "the window is for an environment that there is not", pos, found=name, hint=hint)
    zone, _, pos = scalar_at(node, "timeZone")
    wrong = zone_problem(zone)
    if wrong is not None:
        _tell(wrong, pos, findings)
    times = _weekly(node, findings) if "weekly" in node.entries else _recurring(node, zone if wrong is None else None, findings)
    if times is None or len(findings.items) > known:
        return None
    return Window(
        name=scalar_at(node, "name")[0],
        effect=Effect(scalar_at(node, "effect")[0]),
        applies=Applies(word_at(node, "applies", tuple(Applies)) or Applies.ALL),
        time_zone=zone,
        times=times,
        environments=tuple(name for name, _, _ in names),
        source=source(findings.file, node.pos),
    )


def _weekly(window: Map, findings: Findings) -> Weekly | None:
    node = mapping_of(window.entries["weekly"][1], ("days", "from", "to"))
    days = [_DAYS.index(text) for text, _, _ in sequence_at(node, "days", 7)]
    minutes = []
    for key in ("from", "to"):
        text, _, pos = scalar_at(node, key)
        match = _clock(text)
        assert match is not None
        if (match[1] is None) != bool(days):
            expected = "HH:MM" if days else "a day and a time, as in Mon 07:00"
            hint = "the days are listed already" if days else "or list the days: {days: [Mon, Tue], from: 07:00, to: 17:00}"
            findings.add(
                "clock-time",
                f"{key} of the window {'names a day' if days else 'lacks its day'}",
                pos,
                expected=expected,
                found=text,
                hint=hint,
            )
            return None
        minutes.append((_DAYS.index(match[1]) if match[1] else 0) * 1_440 + int(match[2]) * 60 + int(match[3]))
    begin, end = minutes
    if begin == end:
        hint = "a window that is open all day or all week is none: remove it"
        findings.add("window-times", "the window ends where it begins", scalar_at(node, "to")[2], found=scalar_at(node, "to")[0], hint=hint)
        return None
    length = (end - begin) % (1_440 if days else _WEEK)
    return Weekly(spans=tuple((day * 1_440 + begin, day * 1_440 + begin + length) for day in sorted(days) or [0]))


def _recurring(node: Map, zone: str | None, findings: Findings) -> Recurring | None:
    rule, start, duration = (scalar_at(node, key)[0] for key in ("rrule", "start", "duration"))
    match = _duration(duration)
    assert match is not None
    weeks, days, hours, minutes, seconds = (int(text or 0) for text in match.groups())
    recurring = Recurring(rrule=rule, start=start, days=weeks * 7 + days, seconds=hours * 3600 + minutes * 60 + seconds)
    if zone is None:
        return None
    from amsctl.windows.recurrence import rule_problem

    wrong = rule_problem(recurring, zone_of(zone))
    if wrong is not None:
        key, problem = wrong
        _tell(problem, scalar_at(node, key)[2], findings)
        return None
    return recurring


def _tell(wrong: Unusable, pos: int, findings: Findings) -> None:
    findings.add(wrong.code, wrong.what, pos, expected=wrong.expected, found=wrong.found, hint=wrong.hint)
