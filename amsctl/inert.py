"""Text that a build server would take for a command, written so that it takes it for nothing.

What a step of a pipeline prints is read for commands by the machine that runs it. GitHub's runner obeys ``::name key=val::text`` where a line, without the
blanks before it, begins so, and the older ``##[name]text`` wherever it stands; Azure Pipelines obeys ``##vso[…]``, TeamCity ``##teamcity[…]``, and GitLab's
log folds at ``section_start:``. One character of each is written as its number: the text stays readable, and a second pass changes nothing.
"""

from __future__ import annotations

import re
from typing import Final

_ANYWHERE: Final = re.compile(r"##(?=[A-Za-z]*\[)|section_(?=(?:start|end):)")
_AT_A_START: Final = re.compile(r"(?<![^ ])::(?! )")
"""Where a text begins, or a word of it: a view may begin a line with the one, and break a line before the other."""


def inert(text: str) -> str:
    """A text of one line, printable and with no blank but U+0020, in which no line that is made of it can be or hold a command."""
    if "##" in text or "section_" in text:
        text = _ANYWHERE.sub(lambda found: f"{found[0][:-1]}\\u{{{ord(found[0][-1]):X}}}", text)
    return _AT_A_START.sub(r"\\u{3A}:", text) if "::" in text else text


def inert_json(text: str) -> str:
    """JSON as ``json.dumps`` writes it, ASCII without control characters, and what would begin a command anywhere in a line is ``\\uXXXX`` too. A line of
    JSON begins with no colon.
    """
    if "##" in text or "section_" in text:
        text = _ANYWHERE.sub(lambda found: f"{found[0][:-1]}\\u{ord(found[0][-1]):04x}", text)
    return text
