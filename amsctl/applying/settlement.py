"""What became of a call whose outcome was never recorded, or never known: told from what the account holds now. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from amsctl.applying.resuming import holds, proven
from amsctl.applying.state import AccountState, value_of
from amsctl.model import Outcome, Special
from amsctl.planning.plan import Change, value_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What a later reading shows of one call. ``done`` are the ids of the changes that are as asked; ``found`` names each value that is neither as
    before nor as asked, or that is not as asked while others are.
    """

    outcome: Outcome
    message: str
    done: tuple[str, ...] = ()
    found: tuple[str, ...] = ()


def settlement(changes: Iterable[Change], state: AccountState) -> Settlement:
    """``VERIFIED``: everything that the call asked for is there. ``FAILED``: nothing of it is. ``DIVERGED``: anything else."""
    changes = tuple(changes)
    # Between "unlimited" and "unset" nothing can be told of a leg alone: the legs with a number in the same row tell it.
    listed = tuple(change for change in changes if not (isinstance(change.before, Special) and isinstance(change.after, Special)))
    done = [change for change in listed if holds(change, state)]
    if len(done) == len(listed):
        return Settlement(
            outcome=Outcome.VERIFIED, message="read later, the AMS holds what was asked", done=tuple(change.id for change in changes)
        )
    undone = [change for change in listed if not holds(change, state)]
    untouched = [change for change in undone if _as_before(change, state)]
    if not done and len(untouched) == len(undone):
        return Settlement(outcome=Outcome.FAILED, message="read later, nothing of it was stored")
    found = tuple(f"{change.where}: asked {value_words(change.after)}, found {value_words(value_of(change, state))}" for change in undone)
    return Settlement(
        outcome=Outcome.DIVERGED,
        message=f"read later, {len(done)} of {len(listed)} values are as asked: {'; '.join(found[:12])}",
        done=proven(changes, state),
        found=found,
    )


def _as_before(change: Change, state: AccountState) -> bool:
    found = value_of(change, state)
    return found == change.before or (isinstance(found, Special) and isinstance(change.before, Special))
