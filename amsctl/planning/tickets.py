"""Tickets that a text names."""

from __future__ import annotations

import re
from typing import Final

_TICKET: Final = re.compile(r"\b[A-Z][A-Z0-9]{1,15}-[1-9][0-9]{0,9}\b")


def tickets_in(text: str) -> tuple[str, ...]:
    """Each ``ABC-123`` in a text, in their order."""
    return tuple(_TICKET.findall(text))
