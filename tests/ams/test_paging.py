"""No complete result comes of an incomplete read."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field, replace

import pytest

from amsctl.ams.paging import MAX_PAGES, Page, Paging, Whole, read_whole
from amsctl.config import Assumptions, OffsetCounts
from amsctl.errors import AmsError, AmsRefused, IncompleteRead
from amsctl.wire.answers import PageMarks
from tests.ams.doubles import JumpingClock, run

SIZE = 5


@dataclass
class Source:
    """A paged list over the real page-reading code: what it is asked, and what a fault makes of its answers."""

    rows: int
    numbered: bool = True
    counted: bool = False
    counts_per_page: bool = False
    limit_said: bool = True
    offset_said: bool = True
    cap: int = SIZE
    by_rows: bool = False
    first_offset: int = 1
    fault: str | None = None
    at: int = 1
    lie: int = 1
    reads_broken: int = 99
    beyond: str = "empty"
    calls: list[int] = field(default_factory=list)
    reads: int = 0

    @property
    def size(self) -> int:
        return min(SIZE, self.cap)

    @property
    def last(self) -> int:
        return max(1, -(-self.rows // self.size))

    def page(self, number: int, shift: int = 0) -> list[int]:
        start = (number - 1) * self.size + shift
        return [row for row in range(max(start, 0), start + self.size) if row < self.rows]

    def number(self, offset: int) -> int:
        step = offset - self.first_offset
        if self.by_rows:
            return self.last + 1 if step >= max(self.rows, 1) and step % self.size else step // self.size + 1
        return step + 1

    async def fetch(self, offset: int) -> Page[int, str]:
        self.calls.append(offset)
        number = self.number(offset)
        self.reads += number == 1
        rows = self.page(number)
        available, counts, said = self.last, self.rows, offset
        if number > self.last and not (self.fault in ENDLESS and self.reads <= self.reads_broken):
            if self.beyond == "refused":
                raise AmsRefused("no such page", http_status=404)
            rows = self.page(self.last) if self.beyond == "clamped" else []
        elif self.fault is not None and self.reads <= self.reads_broken and number >= self.at:
            rows, available, counts, said = self.broken(number, rows, offset)
        if self.counts_per_page:
            counts = len(rows)
        marks = PageMarks(
            limit=self.size if self.limit_said else None,
            offset=said if self.offset_said and number <= self.last else None,
            available=available if self.numbered else None,
            counts=counts if self.counted else None,
        )
        return Page(rows=tuple((row, f"value {row}") for row in rows), marks=marks, size=len(rows))

    def broken(self, number: int, rows: list[int], offset: int) -> tuple[list[int], int, int, int]:
        here = number == self.at
        available, counts, said = self.last, self.rows, offset
        match self.fault:
            case "loop":
                rows = self.page(1)
            case "stuck":
                rows = self.page(max(1, self.at - 1))
            case "duplicate" if here:
                rows = [*rows, rows[0]]
            case "overlap" if here and number > 1:
                rows = [*self.page(number - 1)[-1:], *rows[1:]]
            case "short" if here:
                rows = rows[: max(0, len(rows) - self.lie)]
            case "missing" if here:
                rows = []
            case "row went away":  # since page `at`: later pages start one row late, the marks are computed anew
                rows = self.page(number, 1) if number > self.at else rows
                if number > self.at:
                    counts -= 1
                    available = max(1, -(-counts // self.size))
            case "row came in front":
                rows = self.page(number, -1) if number > self.at else rows
            case "counts more":
                counts += self.lie
            case "counts less":
                counts -= self.lie
            case "available more":
                available += self.lie
            case "available less":
                available -= self.lie
            case "available changes" if number > self.at:
                available += self.lie
            case "other page" if here and number > 1:
                rows, said = self.page(number - 1), offset - 1
        return rows, available, counts, said


ENDLESS = {"loop", "stuck"}
FAULTS = (
    "loop", "stuck", "duplicate", "overlap", "short", "missing", "row went away", "row came in front", "counts more", "counts less",
    "available more", "available less", "available changes", "other page",
)  # fmt: skip


def paging_of(source: Source) -> Paging:
    counts = OffsetCounts.ROWS if source.by_rows else OffsetCounts.PAGES
    return Paging(page_size=SIZE, assumptions=Assumptions(first_offset=source.first_offset, offset_counts=counts))


async def read(source: Source) -> Whole[int, str] | AmsError:
    try:
        return await read_whole(source.fetch, paging_of(source), clock=JumpingClock(), where="FIRM/A1")
    except (IncompleteRead, AmsRefused) as error:
        return error


def invisible(source: Source) -> str | None:
    """Why no client could notice the fault from the answers alone; ``None`` where it could."""
    if source.fault == "short" and source.at == source.last and not source.counted and source.lie < len(source.page(source.last)):
        return "the last page silently lacks its last rows"
    if source.fault in {"short", "missing"} and source.last == 1 and not source.counted:
        return "the only page is empty, and an account may have no rows"
    if not source.numbered and not source.counted:
        if source.fault in {"short", "missing"}:
            return "an end that looks like the end"
        if source.fault == "row went away":
            return "nothing says how many rows there are"
    if source.fault == "row went away" and not source.counted and -(-(source.rows - 1) // source.size) == source.last:
        return "a row moved to a page already read, and the number of pages stayed"
    return None


def draw(seed: int) -> Source:
    rng = random.Random(seed)
    numbered, counted = rng.choice([(True, False), (True, True), (False, True), (False, False)])
    source = Source(
        rows=rng.randint(1, 6 * SIZE),
        numbered=numbered,
        counted=counted,
        offset_said=rng.random() < 0.8,
        limit_said=rng.random() < 0.8,
        by_rows=rng.random() < 0.3,
        first_offset=rng.choice([0, 1, 1, 1]),
        beyond=rng.choice(["empty", "clamped", "refused"]) if numbered else "empty",
        fault=rng.choice(FAULTS),
        lie=rng.randint(1, SIZE),
    )
    return replace(source, at=rng.randint(1, source.last), calls=[])


def test_ten_thousand_seeded_faults_never_pass_for_a_whole() -> None:
    """10,000 seeded paging faults: whatever is returned is every row, once; the rest is refused, and ends within 3 requests of a loop."""
    seen: Counter[str] = Counter()

    async def campaign() -> None:
        for seed in range(10_000):
            source = draw(seed)
            result = await read(source)
            if isinstance(result, AmsError):
                seen["refused"] += 1
                assert "FIRM/A1" in str(result) or isinstance(result, AmsRefused), seed
            elif sorted(result.rows) == list(range(source.rows)):
                seen["whole all the same"] += 1
            else:
                reason = invisible(source)
                assert reason is not None, (seed, source, sorted(result.rows))
                seen["invisible"] += 1
            assert len(source.calls) <= 3 * (source.last + 3), (seed, source)

    asyncio.run(campaign())
    assert seen["refused"] > 4000
    assert seen["invisible"] < 1500, seen
    assert seen["whole all the same"] < 4500, seen


def test_two_thousand_sound_lists_are_read_whole() -> None:
    """Without a fault every shape of list is read to its last row, whatever the server says of it and however it ends."""

    async def campaign() -> None:
        for seed in range(2_000):
            source = replace(draw(seed), fault=None, calls=[])
            result = await read(source)
            assert isinstance(result, Whole), (seed, source, result)
            assert sorted(result.rows) == list(range(source.rows)), (seed, source)
            assert len(source.calls) <= source.last + 1, (seed, source)

    asyncio.run(campaign())


@pytest.mark.parametrize("fault", FAULTS)
def test_a_passing_fault_is_read_over(fault: str) -> None:
    """Rows that move while pages are read cost a second read, not the plan."""
    source = Source(rows=23, counted=True, fault=fault, at=2, reads_broken=1)
    result = run(read(source))
    assert isinstance(result, Whole)
    assert sorted(result.rows) == list(range(23))
    assert source.reads <= 2


def test_a_lasting_fault_is_read_three_times_with_pauses_then_named() -> None:
    """Two more reads, then IncompleteRead that names account and finding."""
    source, clock = Source(rows=23, fault="missing", at=3), JumpingClock()
    with pytest.raises(IncompleteRead) as caught:
        run(read_whole(source.fetch, paging_of(source), clock=clock, where="FIRM/A1, limits"))
    assert source.reads == 3
    assert clock.slept == [0.2, 0.4]
    assert "FIRM/A1, limits" in str(caught.value)
    assert "page 3 of 5 is empty" in str(caught.value)


@pytest.mark.parametrize("fault", ["loop", "stuck"])
@pytest.mark.parametrize("numbered", [True, False])
def test_a_loop_stops_at_once(fault: str, numbered: bool) -> None:
    """After the first repeated page at most 3 more requests are made in a read."""
    source = Source(rows=30, fault=fault, at=4, numbered=numbered, reads_broken=1_000)
    assert isinstance(run(read(source)), IncompleteRead)
    assert len(source.calls) == 3 * 4


def test_an_exactly_full_last_page_is_checked_for_more() -> None:
    """availableOffsets alone is not believed when the last page is full: rows beyond it are an error, not a loss."""
    source = Source(rows=15, fault="available less", lie=1, at=1)
    assert isinstance(run(read(source)), IncompleteRead)
    sound = Source(rows=15)
    assert isinstance(run(read(sound)), Whole)
    assert sound.calls == [1, 2, 3, 4]
    counted = Source(rows=15, counted=True)
    assert isinstance(run(read(counted)), Whole)
    assert counted.calls == [1, 2, 3]


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_refusal_that_does_not_speak_of_the_page_is_no_end(status: int) -> None:
    """Only "there is no such page" ends the check beyond the last page."""
    source = Source(rows=5)

    async def fetch(offset: int) -> Page[int, str]:
        if offset == 2:
            raise AmsRefused("no", http_status=status)
        return await source.fetch(offset)

    with pytest.raises(AmsRefused):
        run(read_whole(fetch, paging_of(source), clock=JumpingClock(), where="x"))


def test_a_refused_page_that_should_exist_is_no_end() -> None:
    """A 404 for a page that availableOffsets promises is an error."""
    source = Source(rows=12)

    async def fetch(offset: int) -> Page[int, str]:
        if offset == 2:
            raise AmsRefused("no", http_status=404)
        return await source.fetch(offset)

    with pytest.raises(AmsRefused):
        run(read_whole(fetch, paging_of(source), clock=JumpingClock(), where="x"))


def unmarked(rows: int) -> Page[int, str]:
    return Page(rows=tuple((row, "v") for row in range(rows)), marks=PageMarks(), size=rows)


@pytest.mark.parametrize("rows", [0, 1, SIZE - 1, SIZE + 1, 3 * SIZE])
def test_a_server_that_does_not_page_is_read_whole(rows: int) -> None:
    """The specification's limits example has no paging fields: everything comes, and comes again when page 2 is asked for."""

    async def fetch(offset: int) -> Page[int, str]:
        return unmarked(rows)

    whole = run(read_whole(fetch, Paging(page_size=SIZE), clock=JumpingClock(), where="x"))
    assert len(whole.rows) == rows
    assert whole.pages == (2 if rows else 1)


def test_exactly_a_page_twice_without_a_word_is_not_believed() -> None:
    """A full page that comes twice is a loop where nothing says that it is all."""

    async def fetch(offset: int) -> Page[int, str]:
        return unmarked(SIZE)

    with pytest.raises(IncompleteRead, match="nothing new"):
        run(read_whole(fetch, Paging(page_size=SIZE), clock=JumpingClock(), where="x"))


@pytest.mark.parametrize("rows", [1, 3, 6, 7, 8, 9, 24])
@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("per_page", [True, False])
@pytest.mark.parametrize("numbered", [True, False])
@pytest.mark.parametrize("limit_said", [True, False])
def test_smaller_pages_than_asked_for_lose_nothing(rows: int, counted: bool, per_page: bool, numbered: bool, limit_said: bool) -> None:
    """A server that caps the page size, and counts that are per page or in all: every row arrives."""
    source = Source(
        rows=rows, cap=3, counted=counted, counts_per_page=per_page, numbered=numbered, limit_said=limit_said, offset_said=False
    )
    result = run(read(source))
    if numbered and not limit_said and rows > 3:
        assert isinstance(result, IncompleteRead)  # pages of 3 where 5 were asked for, and no word why
    else:
        assert isinstance(result, Whole)
        assert sorted(result.rows) == list(range(rows))


def test_too_many_pages_are_refused_before_they_are_read() -> None:
    """The number of pages is bounded, said or found."""
    calls = []

    async def promised(offset: int) -> Page[int, str]:
        calls.append(offset)
        return Page(rows=((offset, "v"),), marks=PageMarks(available=MAX_PAGES + 1, limit=1), size=1)

    with pytest.raises(IncompleteRead, match="more than the 10000"):
        run(read_whole(promised, Paging(page_size=1), clock=JumpingClock(), where="x"))
    assert len(calls) == 3

    async def endless(offset: int) -> Page[int, str]:
        return Page(rows=((offset, "v"),), marks=PageMarks(limit=1), size=1)

    with pytest.raises(IncompleteRead, match="no end"):
        run(read_whole(endless, Paging(page_size=1), clock=JumpingClock(), where="x"))


def test_unevenly_filled_pages_are_allowed_where_the_unit_is_unknown() -> None:
    """Eligible products come per execution firm: a page may hold fewer rows than its limit and not be the last."""

    async def fetch(offset: int) -> Page[int, str]:
        return Page(rows=((offset, "v"),), marks=PageMarks(limit=50, offset=offset, available=3), size=1)

    assert len(run(read_whole(fetch, Paging(page_size=50, evenly_filled=False), clock=JumpingClock(), where="x")).rows) == 3


def test_available_zero_goes_with_no_rows_only() -> None:
    """availableOffsets 0 is an empty list, and a lie beside rows."""
    empty: Page[int, str] = Page(rows=(), marks=PageMarks(available=0), size=0)
    some = Page(rows=((1, "v"),), marks=PageMarks(available=0), size=1)

    async def fetch_empty(offset: int) -> Page[int, str]:
        return empty

    async def fetch_some(offset: int) -> Page[int, str]:
        return some

    assert run(read_whole(fetch_empty, Paging(page_size=5), clock=JumpingClock(), where="x")).rows == {}
    with pytest.raises(IncompleteRead, match="says 0"):
        run(read_whole(fetch_some, Paging(page_size=5), clock=JumpingClock(), where="x"))
