"""What the programs that run pipelines read in the lines that a step prints: small models of their parsers, by their documentation.

GitHub: a line that begins, after blanks, with ``::name key=value::text`` is a command, as is ``##[name]text`` at any place of a line (the older form,
which runners still obey). While commands are stopped, ``::TOKEN::`` starts them again, so any name counts. Azure Pipelines: ``##vso[area.action …]text``
and ``##[name]``; TeamCity: ``##teamcity[…]``; GitLab: ``section_start:TIME:NAME``, carriage return, ``ESC [0K`` folds the log.
"""

from __future__ import annotations

import re
from typing import NamedTuple

COLORS = re.compile("\x1b\\[[0-9;]*m")
_LINES = re.compile("\r\n|\r|\n|\x85|\u2028|\u2029")
_OLDER = re.compile(r"##\[([^\] ]*)[^\]]*\]")
_BRACKETED = re.compile(r"##[A-Za-z]+\[")
_SECTION = re.compile(r"section_(?:start|end):")


class Command(NamedTuple):
    """A command as it was understood: who understood it, its name, its properties, its text."""

    server: str
    name: str
    properties: dict[str, str]
    text: str


def commands(printed: str) -> list[Command]:
    """Every command in what was printed. Colours are taken off first: a reader may do so."""
    return [found for line in _LINES.split(COLORS.sub("", printed)) for found in _in_line(line)]


def _in_line(line: str) -> list[Command]:
    found = [Command("github, older", match[1], {}, line) for match in _OLDER.finditer(line)]
    found += [Command("azure or teamcity", match[0], {}, line) for match in _BRACKETED.finditer(line)]
    found += [Command("gitlab", match[0], {}, line) for match in _SECTION.finditer(line)]
    newer = _newer(line.strip())
    return found if newer is None else [newer, *found]


def _newer(line: str) -> Command | None:
    """``::name key=value,key=value::text``; a name is what stands before the first blank, and without one there is no command."""
    if not line.startswith("::") or (end := line.find("::", 2)) < 0:
        return None
    name, _, rest = line[2:end].partition(" ")
    if not name:
        return None
    pairs = (part.partition("=") for part in rest.split(",") if "=" in part)
    return Command("github", name, {key.strip(): value for key, _, value in pairs}, line[end + 2 :])
