"""Why something is done: the commit, its message, the reason that was given, and the ticket that either names."""

from __future__ import annotations

from amsctl.operations.material import MOST_MESSAGE
from amsctl.planning.tickets import tickets_in


def why(*, commit: str | None, message: str | None, reason: str | None) -> dict[str, object]:
    """Why: the commit with its message, the reason given on the command line, and the first ticket (``ABC-123``) that either names."""
    message = None if message is None else message[:MOST_MESSAGE]
    reason = None if reason is None else reason[:MOST_MESSAGE]
    tickets = tickets_in(f"{reason or ''}\n{message or ''}")
    return {"commit": commit, "message": message, "ticket": tickets[0] if tickets else None, "reason": reason}
