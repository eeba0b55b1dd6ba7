"""Values → JSON that may be shown on any terminal."""

from __future__ import annotations

from amsctl.inert import inert_json


def json_text(value: object) -> str:
    """Indented JSON, ASCII alone: what is not printable ASCII is ``\\uXXXX``, DEL too, so that no control or formatting character reaches a
    terminal, nor a command a build server. Ends with a line break.
    """
    import json  # only here: most runs print none, and start sooner without

    return inert_json(json.dumps(value, indent=2, allow_nan=False)) + "\n"


def json_line(value: object) -> str:
    """The same as one line, for events and logs; no line break at the end."""
    import json

    return inert_json(json.dumps(value, separators=(", ", ": "), allow_nan=False))
