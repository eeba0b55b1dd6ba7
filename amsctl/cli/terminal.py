"""Who is at the other end of a stream."""

from __future__ import annotations

from typing import TextIO


def is_terminal(stream: TextIO) -> bool:
    """Whether a person sits at the other end; a closed stream has nobody."""
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False
