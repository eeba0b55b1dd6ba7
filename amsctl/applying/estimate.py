"""How long carrying out a plan will take, told from how long reading its accounts took. Pure.

Neither too short, or a run that cannot finish before a window closes is begun all the same and stopped half-way; nor too long, or one that could is
refused. So the calls are counted as they will be made, and each is taken to be as quick as those before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from amsctl.applying.course import LETS_MORE_THROUGH
from amsctl.applying.means import Barrier, Work
from amsctl.model import Phase
from amsctl.planning.plan import Step

_LIMITS: Final = frozenset({Phase.TIGHTEN, Phase.LOOSEN})
_OTHER_PARTS: Final = 2
"""Calls that read an account besides the pages of its limits: its status and its suspensions."""
_POST_FACTOR: Final = 3
"""How much longer a POST takes than a GET: it is announced in the ledger first, and makes a connection of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How quickly the AMS answers (measured, without the wait for a turn), and what the project file allows: calls a second, ``None`` without a cap,
    and side by side.
    """

    answer_seconds: float
    per_second: float | None
    concurrency: int


def seconds_needed(work: Sequence[Work], speed: Speed, barrier: Barrier) -> float:
    """From the first write to the last read-back, when nothing goes wrong."""
    if barrier is Barrier.RUN:
        parts = [
            [Work(steps=tuple(step for step in one.steps if (step.phase in LETS_MORE_THROUGH) is loose), pages=one.pages) for one in work]
            for loose in (False, True)
        ]
        return sum(_pass_seconds([one for one in part if one.steps], speed, read_first=True) for part in parts)
    return _pass_seconds(work, speed, read_first=len(work) > 1)  # one account alone was read a moment ago


def _pass_seconds(work: Sequence[Work], speed: Speed, *, read_first: bool) -> float:
    """Accounts run side by side, the steps of each in order: whichever takes longest, the account with the most to do, all of them over the places
    that there are, or the pace.
    """
    gap = 0.0 if speed.per_second is None else 1 / speed.per_second
    answer, posting = speed.answer_seconds, speed.answer_seconds * _POST_FACTOR
    longest = busy = 0.0
    calls = 0
    for one in work:
        gets, posts = sum(_gets(one.steps, one.pages, read_first=read_first)), len(one.steps)
        longest = max(longest, gets * max(answer, gap) + posts * max(posting, gap))
        busy += gets * answer + posts * posting
        calls += gets + posts
    return max(longest, busy / speed.concurrency, calls * gap)


def _gets(steps: Iterable[Step], pages: int, *, read_first: bool) -> Iterator[int]:
    """GETs of one account: right before its writes, and after each step what it wrote, after the last the whole."""
    if read_first:
        yield _OTHER_PARTS + pages
    previous: Step | None = None
    for step in steps:
        if previous is not None:
            yield pages if previous.phase in _LIMITS else 1
            if step.phase in _LIMITS and previous.phase not in _LIMITS:
                yield pages  # rows are read right before they are written
        previous = step
    yield _OTHER_PARTS + pages
