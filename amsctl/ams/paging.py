"""Pages → the whole, or an error: an incomplete read must never look like a deletion (AMS §3.5).

Noticed: a page that repeats earlier rows (loop, duplicate, shift), a short or empty page before the last, more or fewer rows than ``counts`` says,
``availableOffsets`` or ``counts`` that change on the way, an answer for another offset than asked, rows beyond the last page.
What no client can notice where an answer carries no ``counts``: a last (or only) page that silently lacks rows, and a row that moves to a page already
read while everything the answers say stays the same. The re-read before each write is what catches these.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from enum import Enum, auto
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


class Beyond(Enum):
    """What the page to ask for next may turn out to be."""

    ROWS = auto()
    """A page with rows, or the plain end of pages that are not numbered."""
    NOTHING = auto()
    """A page beyond the last, asked for because the last was exactly full: it must bring nothing new."""
    PERHAPS = auto()
    """A page that may well not exist, because what came may be all: more rows, none, a refusal, or all of it a second time from a server that
    does not page."""


class Assembler(Generic[K, V]):
    """Adds page to page. Pure: ``add`` takes what came, ``offset`` is what to ask for next, ``None`` when the read is complete."""

    def __init__(self, paging: Paging) -> None:
        self._paging = paging
        self._first = PageMarks()
        self._last_rows: tuple[tuple[K, V], ...] = ()
        self._counts: int | None = None
        self._counts_per_page = False
        self._size = 0
        self.rows: dict[K, V] = {}
        self.pages = 0
        self.beyond = Beyond.ROWS
        self.offset: int | None = paging.assumptions.first_offset

    def add(self, page: Page[K, V]) -> None:
        """Take the page that was asked for; Inconsistent when it does not fit."""
        asked = self.offset
        assert asked is not None, "nothing was asked for"
        self.pages += 1
        if self.beyond is Beyond.NOTHING:
            if any(key not in self.rows for key, _ in page.rows):
                raise Inconsistent(f"rows beyond page {self.pages - 1}, said to be the last")
            self.offset = None
            return
        if page.marks.offset is not None and page.marks.offset != asked:
            raise Inconsistent(f"offset {page.marks.offset} came where {asked} was asked for")
        if self.beyond is Beyond.PERHAPS and page.rows == self._last_rows and page.marks.offset is None:
            self.offset = None
            return
        self._check_marks(page)
        self._take(page)
        self.beyond = Beyond.ROWS
        self.offset = self._after_unnumbered(page) if self._first.available is None else self._after_numbered(page, self._first.available)

    def end(self) -> None:
        """The page was refused, and it need not exist: the read is complete."""
        assert self.beyond is not Beyond.ROWS
        self.offset = None

    def _check_marks(self, page: Page[K, V]) -> None:
        """What a page says of the whole must be what the first page said."""
        marks = page.marks
        if self.pages == 1:
            self._first = marks
            if (marks.available or 0) > MAX_PAGES:
                raise Inconsistent(f"{marks.available} pages, more than the {MAX_PAGES} that are read")
            # "Number of accounts returned" (CME): of all pages, or of this one? Where it is the size of a first page that is not the only one, the latter.
            self._counts_per_page = marks.counts == page.size > 0 and marks.available != 1
            self._counts = None if self._counts_per_page else marks.counts
        if marks.available != self._first.available:
            raise Inconsistent(
                f"availableOffsets changed from {_said(self._first.available)} to {_said(marks.available)} on page {self.pages}"
            )
        expected = (page.size if page.rows else marks.counts) if self._counts_per_page else self._counts
        if marks.counts != expected:
            raise Inconsistent(f"counts says {_said(marks.counts)} on page {self.pages}, where it should say {_said(expected)}")

    def _take(self, page: Page[K, V]) -> None:
        """Keep the rows, each of which must be new."""
        before = len(self.rows)
        self.rows.update(page.rows)
        repeated = before + len(page.rows) - len(self.rows)
        if repeated and len(self.rows) == before:
            raise Inconsistent(f"page {self.pages} brings nothing new (a loop)")
        if repeated:
            raise Inconsistent(f"{repeated} row{'s' if repeated > 1 else ''} of page {self.pages} came twice")
        self._last_rows = page.rows
        self._size += page.size
        if self._counts is not None and len(self.rows) > self._counts:
            raise Inconsistent(f"{len(self.rows)} rows where counts says {self._counts}")
        if self.pages >= MAX_PAGES:
            raise Inconsistent(f"no end after {MAX_PAGES} pages")

    def _is_full(self, page: Page[K, V]) -> bool:
        return page.size >= (page.marks.limit or self._paging.page_size)

    def _after_numbered(self, page: Page[K, V], available: int) -> int | None:
        """The next offset where the answers say how many pages there are."""
        if not page.rows and (self.pages > 1 or available > 1):
            raise Inconsistent(f"page {self.pages} of {available} is empty")
        if page.rows and available == 0:
            raise Inconsistent(f"{len(self.rows)} rows where availableOffsets says 0")
        if self.pages < available:
            if self._paging.evenly_filled and not self._is_full(page):
                raise Inconsistent(f"page {self.pages} of {available} has only {page.size} rows")
            return self._following()
        if self._counts is not None:
            if len(self.rows) < self._counts:
                raise Inconsistent(f"{len(self.rows)} rows where counts says {self._counts}")
            return None
        return self._one_more() if page.rows and self._is_full(page) else None

    def _one_more(self) -> int:
        """The offset beyond the last page, where nothing new may be."""
        self.beyond = Beyond.NOTHING
        return self._following()

    def _after_unnumbered(self, page: Page[K, V]) -> int | None:
        """The next offset where the answers do not say how many pages there are."""
        if self._counts is not None:
            if len(self.rows) < self._counts and not page.rows:
                raise Inconsistent(f"{len(self.rows)} rows where counts says {self._counts}")
            if len(self.rows) == self._counts:
                return self._one_more() if page.rows and self._is_full(page) else None
            return self._following()
        if not page.rows or (page.marks.limit is not None and not self._is_full(page)):
            return None
        # Without a word on the page size a short page may be a whole page of a server that caps it: only nothing more is the end.
        unsure = page.marks.limit is None and page.size != self._paging.page_size
        if unsure or (self.pages == 1 and self._counts_per_page):
            self.beyond = Beyond.PERHAPS
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
            if assembler.beyond is not Beyond.ROWS and _no_such_page(refusal):
                assembler.end()
                continue
            raise
        assembler.add(page)
    return Whole(rows=assembler.rows, pages=assembler.pages)


def _no_such_page(refusal: AmsRefused) -> bool:
    """Whether a refusal can mean that the page does not exist; not when it speaks of who asks, how often, or of trouble on the other side."""
    return refusal.http_status in {200, 400, 404, 416, 422}
