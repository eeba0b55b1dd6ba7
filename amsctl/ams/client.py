"""Reading the AMS: live state as values, complete or an error. Nothing here can write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Final, TypeVar

from amsctl.ams.channel import JsonObject, Opened, Statistics, opened
from amsctl.ams.clock import Clock, SystemClock, stamp
from amsctl.ams.paging import Page, Paging, Whole, read_whole
from amsctl.ams.transport import Transport
from amsctl.concurrently import for_each
from amsctl.config import Environment, Requests
from amsctl.errors import AmsError, AmsRefused
from amsctl.model import AccountKey, Firm, LiveAccount, LiveRow, RowKey
from amsctl.wire import answers, paths
from amsctl.wire.answers import AccountEntry

__all__ = ["AccountEntry", "Reader", "Statistics", "open_reader"]

FEW: Final = 2
"""Up to so many accounts are asked for one by one; for more, a first page of the listing tells what is cheaper."""
K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")
Decode = Callable[[JsonObject], tuple[tuple[tuple[K, V], ...], int]]
"""Body → keyed rows, and how many rows the page counts as."""


class Reader:
    """Live state of one environment. All methods raise AmsUnreachable, AmsNoAnswer, AmsRefused, AmsMalformed or IncompleteRead."""

    def __init__(self, parts: Opened) -> None:
        self._get = parts.get.get
        self._shared = parts.shared
        self._firms: tuple[Firm, ...] | None = None
        self._firms_lock = asyncio.Lock()

    @property
    def statistics(self) -> Statistics:
        """Requests, bytes and retries so far, of this client as a whole."""
        return self._shared.statistics

    @property
    def calls(self) -> int:
        """Requests sent so far."""
        return self._shared.statistics.calls

    @property
    def bytes(self) -> int:
        """Bytes of bodies received so far, as they came over the wire."""
        return self._shared.statistics.bytes

    @property
    def clock_offset_seconds(self) -> float | None:
        """How far the clock of the AMS is ahead of this machine's wall clock (negative: behind), by the ``Date`` of its answers.

        ``None`` while no answer told. Good to about half a second and half of the quickest round trip.
        """
        return self._shared.server_time.offset_seconds

    async def firms(self) -> tuple[Firm, ...]:
        """The clearing firms that this API ID may use for ICC, sorted by name. Asked for once."""
        async with self._firms_lock:
            if self._firms is None:
                body = await self._get(paths.FIRMS, {}, where="myFirms")
                with self._concealing():
                    self._firms = answers.firms(body)
            return self._firms

    async def resolve(self, firm_text: str) -> Firm:
        """The firm that a manifest names, by name or clearing id (AMS §3.6); AmsError that lists what is available."""
        firms = await self.firms()
        found = [firm for firm in firms if firm_text in {firm.name, firm.clearing_id}]
        if len(found) == 1:
            return found[0]
        available = ", ".join(f"{firm.name} ({firm.clearing_id})" for firm in firms) or "none at all"
        if found:
            raise AmsError("the clearing firm is ambiguous", where=firm_text, expected="a name or clearing id of one firm", found=available)
        hint = "check the spelling, and with CME that this API ID is entitled to ICC for it"
        raise AmsError(
            "this API ID has no such clearing firm", where=firm_text, expected="a name or clearing id", found=available, hint=hint
        )

    async def statuses(self, firm: Firm, numbers: Collection[str]) -> Mapping[str, AccountEntry]:
        """Status, owner and segregation of the accounts named, by exact number; one that does not exist is missing from the map.

        Pages through the listing or asks for each account, by what takes fewer calls. AmsMalformed when one of those named has a status that nobody
        knows; on any other account of the listing that is nobody's business.
        """
        found = await self._found(firm, set(numbers))
        with self._concealing():
            for entry in found.values():
                entry.check(f"{firm.name}/{entry.number}")
        return found

    async def _found(self, firm: Firm, wanted: set[str]) -> dict[str, AccountEntry]:
        if len(wanted) <= FEW:
            return await self._each_status(firm, wanted)
        paging = self._paging()
        first = await self._page(paths.accounts(firm.name), paging, paging.assumptions.first_offset, self._accounts(firm), firm.name)
        found = {number: entry for number, entry in first.rows if number in wanted}
        missing = wanted - set(found)
        if len(missing) < _pages_left(first, paging):
            return {**found, **await self._each_status(firm, missing)}
        whole = await self._whole(paths.accounts(firm.name), self._accounts(firm), firm.name, first=first)
        return {number: entry for number, entry in whole.rows.items() if number in wanted}

    async def _each_status(self, firm: Firm, numbers: Collection[str]) -> dict[str, AccountEntry]:
        found: dict[str, AccountEntry] = {}

        async def ask(number: str) -> None:
            entry = await self._status(firm, number)
            if entry is not None:
                found[entry.number] = entry

        await for_each(sorted(numbers), ask, concurrency=len(numbers))
        return {number: found[number] for number in sorted(found)}

    async def _status(self, firm: Firm, number: str) -> AccountEntry | None:
        """One account's entry, ``None`` when it does not exist. Should the AMS not heed ``accountNumber``, the whole listing is read and looked through."""
        where = f"{firm.name}/{number}"
        try:
            whole = await self._whole(paths.accounts(firm.name), self._accounts(firm), where, query={"accountNumber": number})
        except AmsRefused as refusal:
            if refusal.http_status == 404 and refusal.error_type is not None:
                return None
            raise
        return whole.rows.get(number)

    async def accounts(self, firm: Firm) -> AsyncIterator[AccountEntry]:
        """All accounts of a firm in the order of the AMS, once the listing is known to be complete."""
        whole = await self._whole(paths.accounts(firm.name), self._accounts(firm), firm.name)
        for entry in whole.rows.values():
            yield entry

    async def account(self, firm: Firm, number: str, *, status: AccountEntry | None = None) -> LiveAccount:
        """One account, whole: status (asked for when not given), suspension from ``/efStatus`` only, limits unfiltered (AMS §3.1, §3.4).

        AmsError when the account does not exist.
        """
        entry = status if status is not None else (await self.statuses(firm, (number,))).get(number)
        if entry is None:
            raise AmsError("the AMS has no such account", where=f"{firm.name}/{number}", hint="check the number and the clearing firm")
        assert entry.number == number, "the status is of another account"
        suspended = await self.suspensions(firm, number)
        limits = await self._limits(firm, number)
        return LiveAccount(
            key=AccountKey(firm.name, number),
            status=entry.status,
            execution_firms=suspended,
            rows=answers.with_a_limit(limits.rows),
            row_count=len(limits.rows),
            pages=limits.pages,
            read_at=stamp(self._shared.clock.wall()),
        )

    async def limits(self, firm: Firm, number: str) -> Mapping[RowKey, LiveRow]:
        """The rows of an account that hold at least one number (AMS §3.3)."""
        return answers.with_a_limit((await self._limits(firm, number)).rows)

    async def _limits(self, firm: Firm, number: str) -> Whole[RowKey, LiveRow]:
        shown_as = self._shared.environment.assumptions.unlimited_shown_as

        def decode(body: JsonObject) -> tuple[tuple[tuple[RowKey, LiveRow], ...], int]:
            rows = answers.limit_rows(body, firm=firm, number=number, shown_as=shown_as)
            return rows, len(rows)

        return await self._whole(paths.limits(firm.name, number), decode, f"{firm.name}/{number}, limits")

    async def suspensions(self, firm: Firm, number: str) -> Mapping[str, bool]:
        """Execution firm → suspended, of one account."""

        def decode(body: JsonObject) -> tuple[tuple[tuple[str, bool], ...], int]:
            rows = answers.suspensions(body, firm=firm, number=number)
            return rows, len(rows)

        whole = await self._whole(paths.execution_firm_status(firm.name, number), decode, f"{firm.name}/{number}, efStatus")
        return whole.rows

    async def eligible_products(self, firm: Firm, number: str) -> Mapping[str, frozenset[str]]:
        """Execution firm → products that may be given a limit on the account."""
        names: set[str] = set()

        def decode(body: JsonObject) -> tuple[tuple[tuple[tuple[str, str], None], ...], int]:
            entries = answers.eligible_products(body, firm=firm, number=number)
            names.update(name for name, _ in entries)
            listed = [(name, product) for name, products in entries for product in products]
            # A product named twice in one answer is eligible all the same; twice over several pages means that pages moved, and is refused.
            return tuple((key, None) for key in dict.fromkeys(listed)), max(len(listed), len(entries))

        path = paths.eligible_products(firm.name, number)
        # Whether ``limit`` counts products or execution firms here is not published, so pages need not be evenly filled.
        whole = await self._whole(path, decode, f"{firm.name}/{number}, eligibleProducts", evenly_filled=False)
        products: dict[str, set[str]] = {name: set() for name in sorted(names)}
        for name, product in whole.rows:
            products[name].add(product)
        return {name: frozenset(found) for name, found in products.items()}

    # --- pages ---

    def _paging(self, *, evenly_filled: bool = True) -> Paging:
        shared = self._shared
        return Paging(page_size=shared.requests.page_size, assumptions=shared.environment.assumptions, evenly_filled=evenly_filled)

    def _accounts(self, firm: Firm) -> Decode[str, AccountEntry]:
        def decode(body: JsonObject) -> tuple[tuple[tuple[str, AccountEntry], ...], int]:
            rows = answers.accounts(body, firm=firm, where=firm.name)
            return rows, len(rows)

        return decode

    async def _page(
        self, path: str, paging: Paging, offset: int, decode: Decode[K, V], where: str, query: Mapping[str, str] | None = None
    ) -> Page[K, V]:
        body = await self._get(path, {**(query or {}), **paging.query(offset)}, where=where)
        with self._concealing():
            rows, size = decode(body)
            return Page(rows=rows, marks=answers.page_marks(body, where), size=size)

    @contextmanager
    def _concealing(self) -> Iterator[None]:
        """Whatever cannot be used of an answer is quoted without our secrets: a server may repeat what it was sent."""
        try:
            yield
        except AmsError as problem:
            problem.rewrite(self._shared.credential.conceal)
            raise

    async def _whole(
        self,
        path: str,
        decode: Decode[K, V],
        where: str,
        *,
        query: Mapping[str, str] | None = None,
        evenly_filled: bool = True,
        first: Page[K, V] | None = None,
    ) -> Whole[K, V]:
        """All pages of a path. ``first`` is the first page when it was read already; a re-read does not use it again."""
        paging = self._paging(evenly_filled=evenly_filled)
        at_hand = [first] if first is not None else []

        async def fetch(offset: int) -> Page[K, V]:
            if at_hand:
                return at_hand.pop()
            return await self._page(path, paging, offset, decode, where, query)

        return await read_whole(fetch, paging, clock=self._shared.clock, where=where)


def _pages_left(first: Page[K, V], paging: Paging) -> int:
    """How many more pages the listing has, as far as its first page tells."""
    if first.marks.available is not None:
        return max(0, first.marks.available - 1)
    if first.marks.counts is not None and first.size:
        return -(-first.marks.counts // first.size) - 1
    return 0


@asynccontextmanager
async def open_reader(
    environment: Environment,
    requests: Requests,
    *,
    clock: Clock | None = None,
    transport: Transport | None = None,
    draw: Callable[[], float] | None = None,
) -> AsyncIterator[Reader]:
    """A Reader of the environment; its connections close with the block.

    ``transport`` (an ``httpx.AsyncBaseTransport``), ``clock`` and ``draw`` (random numbers in [0, 1) for the jitter of retries) are for tests and
    simulators. Raises ConfigError when the environment cannot be used.
    """
    async with opened(environment, requests, clock=clock or SystemClock(), transport=transport, draw=draw) as parts:
        yield Reader(parts)
