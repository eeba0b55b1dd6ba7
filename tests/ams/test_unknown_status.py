"""A status word that nobody knows stops a plan of that account, and no other account's."""

from __future__ import annotations

import asyncio

import pytest

from amsctl.ams.client import Reader, open_reader
from amsctl.config import Environment, Requests
from amsctl.errors import AmsMalformed
from amsctl.model import AccountStatus, Firm
from amsctl.sandbox.books import book_from_mapping
from amsctl.sandbox.server import serve

BOOK = {
    "firms": [{"name": "GREENTEA", "clearingId": "780"}],
    "accounts": [{"accountNumber": number, "executionFirms": {"3N1": False}} for number in "ABCD"],
}


def test_only_the_accounts_that_are_asked_for_are_judged() -> None:
    with serve(book_from_mapping(BOOK)) as sandbox:
        sandbox.book.account("D").status = "Pending"  # type: ignore[assignment]
        environment = Environment(name="x", url=sandbox.url)

        async def asked(*numbers: str) -> list[AccountStatus]:
            async with open_reader(environment, Requests(per_second=None)) as reader:
                return [entry.status for entry in (await reader.statuses(FIRM, numbers)).values()]

        async def listed() -> list[str]:
            async with open_reader(environment, Requests(per_second=None)) as reader:
                return [entry.status_shown for entry in await _all(reader)]

        assert asyncio.run(asked("A", "B", "C")) == [AccountStatus.ACTIVE] * 3
        assert asyncio.run(listed()) == ["Active", "Active", "Active", "Pending"]
        for numbers in (("D",), ("A", "B", "C", "D")):
            with pytest.raises(
                AmsMalformed, match=r"status is not usable \(GREENTEA/D\): expected Active, Inactive or Closed, found Pending"
            ):
                asyncio.run(asked(*numbers))


FIRM = Firm(name="GREENTEA", clearing_id="780")


async def _all(reader: Reader) -> list:  # type: ignore[type-arg]
    return [entry async for entry in reader.accounts(FIRM)]
