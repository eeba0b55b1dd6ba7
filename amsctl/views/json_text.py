"""Values → JSON that may be shown on any terminal."""

from __future__ import annotations

import re
from typing import Final

_COMMANDS: Final = re.compile(r"(##[A-Za-z]*)\[")


def json_text(value: object) -> str:
    """Indented JSON, ASCII alone: what is not printable ASCII is ``\\uXXXX``, DEL too, so that no control or formatting character reaches a
    terminal. Ends with a line break.
    """
    import json  # only here: most runs print none, and start sooner without

    return _inert(json.dumps(value, indent=2, allow_nan=False)) + "\n"


def json_line(value: object) -> str:
    """The same as one line, for events and logs; no line break at the end."""
    import json

    return _inert(json.dumps(value, separators=(", ", ": "), allow_nan=False))


def _inert(text: str) -> str:
    """Neither DEL nor ``##…[``, which is a command to the runner of a pipeline, wherever it stands in a log. Both only ever stand inside texts."""
    text = text.replace("\x7f", "\\u007f")
    return _COMMANDS.sub(r"\1\\u005b", text) if "##" in text else text
