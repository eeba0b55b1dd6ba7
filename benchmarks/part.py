"""One part of the work alone, for ``books`` to run in a fresh process: ``load FOLDER``, ``fetch ADDRESSES CONCURRENCY bare|decoded``, or
``send CALLS CONCURRENCY``."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path


def load(folder: str) -> None:
    """Read all manifests of a project, and nothing else."""
    from amsctl.manifests.load import load as load_manifests
    from amsctl.manifests.project import load_project

    assert len(load_manifests(load_project(folder))) > 0


def fetch(addresses: str, concurrency: int, *, decoded: bool) -> None:
    """GET every address of a file (one a line) with aiohttp alone, and let the bodies go; ``decoded`` parses each as JSON before."""
    import aiohttp
    import yarl

    async def all_of_them() -> None:
        with Path(addresses).open() as lines:  # noqa: ASYNC230 - opened once, before anything else runs
            waiting = iter(lines)

            async def worker() -> None:
                for line in waiting:
                    async with session.get(yarl.URL(line.rstrip("\n"), encoded=True)) as answer:
                        body = await answer.read()
                        assert answer.status == 200
                        if decoded:
                            json.loads(body)

            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session, asyncio.TaskGroup() as group:
                for _ in range(concurrency):
                    group.create_task(worker())

    asyncio.run(all_of_them())


def send(calls: str, concurrency: int) -> None:
    """Send every call of a file (lists of calls, one list after the other's start; the calls of one list in order), and let the answers go."""
    import aiohttp
    import yarl

    waiting = iter(json.loads(Path(calls).read_text()))

    async def all_of_them() -> None:
        async def worker() -> None:
            for listed in waiting:
                for call in listed:
                    async with session.request(call["method"], yarl.URL(call["url"], encoded=True), json=call["body"]) as answer:
                        await answer.read()
                        assert answer.status == 200

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session, asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(worker())

    asyncio.run(all_of_them())


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["load", folder]:
            load(folder)
        case ["fetch", addresses, concurrency, ("bare" | "decoded") as mode]:
            fetch(addresses, int(concurrency), decoded=mode == "decoded")
        case ["send", calls, concurrency]:
            send(calls, int(concurrency))
        case _:
            raise SystemExit(__doc__)
