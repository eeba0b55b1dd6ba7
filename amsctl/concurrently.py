"""Work on many things side by side, not more than so many at a time. Standard library only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


async def for_each(items: Sequence[T], work: Callable[[T], Awaitable[None]], *, concurrency: int) -> None:
    """``work`` on every item once, begun in their order, up to ``concurrency`` at a time. The first failure cancels the others and is raised alone."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(max(1, min(concurrency, len(items)))):
                group.create_task(worker())
    except BaseExceptionGroup as failed:
        raise first_of(failed) from None


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first failure of several that ran side by side; the others were cancelled because of it."""
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first
