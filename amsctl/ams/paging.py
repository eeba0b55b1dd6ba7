"""Pages → the whole, or an error: an incomplete read must never look like a deletion (AMS §3.5).

Noticed: a page that repeats earlier rows (loop, duplicate, shift), a short or empty page before the last, more or fewer rows than ``counts`` says,
``availableOffsets`` or ``counts`` that change on the way, an answer for another offset than asked, rows beyond the last page.
What no client can notice: a last page that silently lacks its last rows when the answer carries no ``counts``, and a row that moves to a page already
read while everything the answers say stays the same. The re-read before each write is what catches these.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from amsctl.ams.clock import Clock
from amsctl.config import Assumptions, OffsetCounts
from amsctl.errors import AmsRefused, IncompleteRead
from amsctl.wire.answers import PageMarks

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MAX_PAGES: Final = 10_000
REREADS: Final = 2
PAUSE_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[K, V]):
    """One page: its rows keyed, in order, and what it says of itself. ``size`` is how many rows it counts as against the page size."""

    rows: tuple[tuple[K, V], ...]
    marks: PageMarks
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole(Generic[K, V]):
    """A complete read: all rows, and how many pages (requests) it took."""

    rows: dict[K, V]
    pages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """How pages are asked for. ``evenly_filled``: every page but the last is full, which holds where a row is what ``limit`` counts."""

    page_size: int
    assumptions: Assumptions = field(default_factory=Assumptions)
    evenly_filled: bool = True

    def query(self, offset: int) -> dict[str, str]:
        """The query that asks for a page."""
        return {"limit": str(self.page_size), "offset": str(offset)}


class Inconsistent(Exception):
    """The pages do not add up; the text says what was found."""


class Assembler(Generic[K, V]):
    """Adds page to page. Pure: ``add`` takes what came, ``offset`` is what to ask for next, ``None`` when the read is complete.

    ``probing`` tells that the next page is one beyond the last, asked for because the last was exactly full.
    """

    def __init__(self, paging: Paging) -> None:
        self._paging = paging
        self._first: PageMarks | None = None
        self._repeatable: tuple[tuple[K, V], ...] | None = None
        self._size = 0
        self.rows: dict[K, V] = {}
        self.pages = 0
        self.probing = False
        self.offset: int | None = paging.assumptions.first_offset

    def add(self, page: Page[K, V]) -> None:
        """Take the page that was asked for; Inconsistent when it does not fit."""
        asked = self.offset
        assert asked is not None, "nothing was asked for"
        self.pages += 1
        if self.probing:
            self._add_probe(page)
            return
        marks = page.marks
        if marks.offset is not None and marks.offset != asked:
            raise Inconsistent(f"offset {marks.offset} came where {asked} was asked for")
        first = self._same_marks(marks)
        if not self._take(page):
            self.offset = None
            return
        self.offset = self._next(page, first)

    def end_probe(self) -> None:
        """The page beyond the last was refused: there is none, so the read is complete."""
        assert self.probing
        self.offset = None

    def _add_probe(self, page: Page[K, V]) -> None:
        if any(key not in self.rows for key, _ in page.rows):
            raise Inconsistent(f"rows beyond page {self.pages - 1}, said to be the last")
        self.offset = None

    def _same_marks(self, marks: PageMarks) -> PageMarks:
        if self._first is None:
            self._first = marks
            if (marks.available or 0) > MAX_PAGES:
                raise Inconsistent(f"{marks.available} pages, more than the {MAX_PAGES} that are read")
        first = self._first
        for name, then, now in (
            ("availableOffsets", first.available, marks.available),
            ("counts", first.counts, marks.counts),
        ):
            if then != now:
                raise Inconsistent(f"{name} changed from {_said(then)} to {_said(now)} on page {self.pages}")
        return first

    def _take(self, page: Page[K, V]) -> bool:
        """Keep the rows; ``False`` when this server does not page at all and has just sent everything a second time."""
        if self._repeatable is not None and page.rows == self._repeatable and page.marks == PageMarks():
            return False
        repeated = 0
        before = len(self.rows)
        for key, value in page.rows:
            if key in self.rows:
                repeated += 1
            self.rows[key] = value
        if repeated and len(self.rows) == before:
            raise Inconsistent(f"page {self.pages} brings nothing new (a loop)")
        if repeated:
            raise Inconsistent(f"{repeated} row{'s' if repeated > 1 else ''} of page {self.pages} came twice")
        self._size += page.size
        unpaged = self.pages == 1 and page.marks == PageMarks() and page.size > self._paging.page_size
        self._repeatable = page.rows if unpaged else None
        return True

    def _next(self, page: Page[K, V], first: PageMarks) -> int | None:
        """The offset to ask for next, ``None`` at the end."""
        full = page.size >= (page.marks.limit or self._paging.page_size)
        total = len(self.rows)
        if first.counts is not None and total > first.counts:
            raise Inconsistent(f"{total} rows where counts says {first.counts}")
        if self.pages >= MAX_PAGES:
            raise Inconsistent(f"no end after {MAX_PAGES} pages")
        if first.available is None:
            return self._next_unnumbered(page, first.counts, full)
        if not page.rows and (self.pages > 1 or first.available > 1):
            raise Inconsistent(f"page {self.pages} of {first.available} is empty")
        if page.rows and first.available == 0:
            raise Inconsistent(f"{total} rows where availableOffsets says 0")
        if self.pages < first.available:
            if not full and self._paging.evenly_filled:
                raise Inconsistent(f"page {self.pages} of {first.available} has only {page.size} rows")
            return self._following()
        if first.counts is not None:
            if total < first.counts:
                raise Inconsistent(f"{total} rows where counts says {first.counts}")
            return None
        self.probing = full
        return self._following() if full else None

    def _next_unnumbered(self, page: Page[K, V], counts: int | None, full: bool) -> int | None:
        """The next offset where the answers do not say how many pages there are."""
        if counts is None:
            return self._following() if full and page.rows else None
        if len(self.rows) == counts:
            return None
        if not page.rows:
            raise Inconsistent(f"{len(self.rows)} rows where counts says {counts}")
        return self._following()

    def _following(self) -> int:
        step = self.pages if self._paging.assumptions.offset_counts is OffsetCounts.PAGES else self._size
        return self._paging.assumptions.first_offset + step


def _said(mark: int | None) -> str:
    return "nothing" if mark is None else str(mark)


Fetch = Callable[[int], Awaitable[Page[K, V]]]
"""Reads the page at an offset."""


async def read_whole(fetch: Fetch[K, V], paging: Paging, *, clock: Clock, where: str) -> Whole[K, V]:
    """All rows of all pages. When they do not add up, the whole is read again, up to twice, after a short pause: rows may have moved meanwhile.

    Raises IncompleteRead that says what was found, and whatever ``fetch`` raises.
    """
    attempt = 0
    while True:
        try:
            return await _read_once(fetch, paging)
        except Inconsistent as inconsistent:
            reason = str(inconsistent)
        if attempt == REREADS:
            raise IncompleteRead(
                "the pages of the AMS do not add up",
                where=where,
                expected="every row once",
                found=f"{reason}, in {attempt + 1} reads",
                hint="nothing is concluded from this account; run again, and if it stays, ask CME",
            )
        await clock.sleep(PAUSE_SECONDS * 2**attempt)
        attempt += 1


async def _read_once(fetch: Fetch[K, V], paging: Paging) -> Whole[K, V]:
    assembler: Assembler[K, V] = Assembler(paging)
    while (offset := assembler.offset) is not None:
        try:
            page = await fetch(offset)
        except AmsRefused as refusal:
            if assembler.probing and _no_such_page(refusal):
                assembler.end_probe()
                continue
            raise
        assembler.add(page)
    return Whole(rows=assembler.rows, pages=assembler.pages)


def _no_such_page(refusal: AmsRefused) -> bool:
    """Whether a refusal can mean that the page does not exist; not when it speaks of who asks, how often, or of trouble on the other side."""
    return refusal.http_status in {200, 400, 404, 416, 422}
