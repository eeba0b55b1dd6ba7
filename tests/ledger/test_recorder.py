"""Intents that wait for one transaction: each is told what became of it, and one whose sender has gone takes nobody with it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from amsctl.errors import LedgerFailed
from amsctl.ledger.recorder import Cause, LedgerRecorder
from amsctl.ledger.values import Draft, Kind
from tests.ams.doubles import run

INTENT = Draft(kind=Kind.INTENT, ams="a", url="http://ams", firm="TEA", account="A1", run="r1", body={})


def recorder(fails: bool) -> tuple[LedgerRecorder, asyncio.Event, list[int]]:
    """One whose disk waits for the event, and how many drafts each transaction had."""
    let_go, sizes = asyncio.Event(), []

    async def offload(work: Any, drafts: list[Draft], **named: Any) -> Any:
        await let_go.wait()
        sizes.append(len(drafts))
        if fails:
            raise LedgerFailed("the ledger cannot be used: the disk is full")
        return (), "renewed"

    leases: Any = SimpleNamespace(of=lambda firm: "lease", renewed=lambda lease: None)
    ledger: Any = SimpleNamespace(append=None)
    return LedgerRecorder(ledger, ams="a", run="r1", leases=leases, cause=Cause(), offload=offload, sent_at=dict), let_go, sizes


@pytest.mark.parametrize("fails", [False, True])
def test_one_that_is_cut_off_while_it_waits_leaves_the_others_their_word(fails: bool) -> None:
    """A second signal cuts off one account while the disk is slow; what the others wait for is still told to them."""

    async def scenario() -> None:
        told, let_go, sizes = recorder(fails)
        first, second, third = (asyncio.create_task(told._together(INTENT)) for _ in range(3))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.sleep(0)
        let_go.set()
        ends = await asyncio.gather(first, second, third, return_exceptions=True)
        assert isinstance(ends[1], asyncio.CancelledError)
        assert [type(end) for end in (ends[0], ends[2])] == [LedgerFailed if fails else type(None)] * 2
        assert sum(sizes) == 3

    run(scenario())
