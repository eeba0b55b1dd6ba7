"""The last word before a write, at the wire: what becomes forbidden while a connection is made is not sent either."""

from __future__ import annotations

import asyncio

import pytest

from amsctl.ams.writer import open_writer
from amsctl.errors import AmsUnreachable, LockLost
from tests.ams.doubles import answer, environment, requests, run, wire


def test_a_no_that_comes_while_connecting_still_counts() -> None:
    """The lock is lost between the first asking and the connection: the server sees a connection and not one byte; the next POST goes through."""
    asked = 0

    def leaving() -> None:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise LockLost("somebody took the lock over")

    async def within() -> None:
        received = bytearray()

        async def listen(state: object, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            received.extend(await reader.read(65536))
            if received:
                writer.write(answer())
                await writer.drain()

        async with wire(listen, raw=True) as server, open_writer(environment(server.url), requests()) as writer:
            with pytest.raises(AmsUnreachable, match="took the lock over"):
                await writer.post("/x", {}, {}, leaving=leaving)
            await asyncio.sleep(0.05)
            assert (server.connections, bytes(received), asked) == (1, b"", 2)
            assert (await writer.post("/x", {}, {}, leaving=leaving)).http_status == 200
            assert (server.connections, asked) == (2, 4)
            # Whoever does not ask is not asked for.
            assert (await writer.post("/x", {}, {})).http_status == 200
            assert asked == 4

    run(within())
