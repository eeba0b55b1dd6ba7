"""What a GET costs through each HTTP library: 2,000 pages of 9.4 and 28.8 KB at 8 and 32 calls in flight, over loopback.

Run: ``python benchmarks/transport.py``. The server is a process of its own that answers prepared bytes, so the CPU time shown is the client's alone.
Each figure is the median of ``ROUNDS`` rounds, taken in turn so that the noise of the machine meets all alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import aiohttp
import httpx

from amsctl.ams.transport import AiohttpTransport, Line, Origin
from amsctl.config import Tls

CALLS, ROUNDS, SIZES, WIDTHS = 2_000, 3, (9_400, 28_800), (8, 32)
Get = Callable[[str], Awaitable[int]]


def page(size: int) -> bytes:
    row = b'{"product":"CJ.FUT.NYMEX","efId":"3N1","efLimits":{"short":567,"long":324},"cmfLimits":{"short":2000,"long":9000}}'
    count = size // (len(row) + 1)
    return b'{"limits":[' + b",".join([row] * count) + b"]}"


class _Served(asyncio.Protocol):
    answers: dict[bytes, bytes]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.waiting = b""

    def data_received(self, chunk: bytes) -> None:
        self.waiting += chunk
        while b"\r\n\r\n" in self.waiting:
            head, _, self.waiting = self.waiting.partition(b"\r\n\r\n")
            self.transport.write(self.answers[head.split(b" ", 2)[1]])  # type: ignore[attr-defined]


def serve(ready: multiprocessing.connection.Connection) -> None:  # type: ignore[name-defined]
    _Served.answers = {}
    for size in SIZES:
        body = page(size)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        _Served.answers[f"/p/{size}".encode()] = head.encode() + body

    async def forever() -> None:
        server = await asyncio.get_running_loop().create_server(_Served, "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(forever())


@contextlib.asynccontextmanager
async def httpx_async(url: str) -> AsyncIterator[Get]:
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    async with httpx.AsyncClient(base_url=url, trust_env=False, limits=limits) as client:

        async def get(path: str) -> int:
            return len((await client.get(path)).content)

        yield get


class _OverAiohttp(httpx.AsyncBaseTransport):
    """The thinnest bridge that can be written: what httpx.AsyncClient costs above aiohttp."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        async with self._session.get(str(request.url)) as answer:
            return httpx.Response(answer.status, headers=list(answer.raw_headers), content=await answer.read())


@contextlib.asynccontextmanager
async def httpx_over_aiohttp(url: str) -> AsyncIterator[Get]:
    async with (
        aiohttp.ClientSession() as session,
        httpx.AsyncClient(base_url=url, trust_env=False, transport=_OverAiohttp(session)) as client,
    ):

        async def get(path: str) -> int:
            return len((await client.get(path)).content)

        yield get


@contextlib.asynccontextmanager
async def bare_aiohttp(url: str) -> AsyncIterator[Get]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def get(path: str) -> int:
            async with session.get(url + path) as answer:
                return len(await answer.read())

        yield get


@contextlib.asynccontextmanager
async def ours(url: str) -> AsyncIterator[Get]:
    transport = AiohttpTransport(tls=Tls())
    line = Line(transport, Origin.of(url, what="url"), methods=("GET",), max_body_bytes=1 << 24)

    async def get(path: str) -> int:
        answer = await line.exchange("GET", path, headers=(("Accept-Encoding", "gzip"),), timeout_seconds=30, where="")
        return len(answer.content)

    yield get
    await transport.aclose()


async def _fetch(
    opened: Callable[[str], contextlib.AbstractAsyncContextManager[Get]], url: str, size: int, width: int
) -> tuple[float, float]:
    async with opened(url) as get:
        await get(f"/p/{size}")
        left = iter(range(CALLS))

        async def worker() -> None:
            for _ in left:
                assert await get(f"/p/{size}") > size // 2

        started, used = time.perf_counter(), time.process_time()
        await asyncio.gather(*(worker() for _ in range(width)))
        return time.perf_counter() - started, time.process_time() - used


def httpx_sync(url: str, size: int, width: int) -> tuple[float, float]:
    with httpx.Client(base_url=url, trust_env=False, limits=httpx.Limits(max_connections=64)) as client, ThreadPoolExecutor(width) as pool:
        client.get(f"/p/{size}")
        started, used = time.perf_counter(), time.process_time()
        for length in pool.map(lambda _: len(client.get(f"/p/{size}").content), range(CALLS)):
            assert length > size // 2
        return time.perf_counter() - started, time.process_time() - used


def main() -> None:
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{here.recv()}"
    clients: dict[str, Callable[[int, int], tuple[float, float]]] = {
        "httpx.AsyncClient": lambda size, width: asyncio.run(_fetch(httpx_async, url, size, width)),
        "httpx.Client, threads": lambda size, width: httpx_sync(url, size, width),
        "httpx.AsyncClient over aiohttp": lambda size, width: asyncio.run(_fetch(httpx_over_aiohttp, url, size, width)),
        "amsctl (httpx values over aiohttp)": lambda size, width: asyncio.run(_fetch(ours, url, size, width)),
        "aiohttp alone": lambda size, width: asyncio.run(_fetch(bare_aiohttp, url, size, width)),
    }
    print(
        f"Microseconds per GET, wall / client CPU; {CALLS} GETs, median of {ROUNDS}; {os.cpu_count()} CPUs, Python {sys.version.split()[0]},"
    )
    print(f"httpx {httpx.__version__}, aiohttp {aiohttp.__version__}\n")
    columns = [(size, width) for size in SIZES for width in WIDTHS]
    print("| client | " + " | ".join(f"{size / 1000:.1f} KB, {width} wide" for size, width in columns) + " |")
    print("|---|" + "---:|" * len(columns))
    taken: dict[tuple[str, int, int], list[tuple[float, float]]] = {}
    for _ in range(ROUNDS):
        for size, width in columns:
            for name, measure in clients.items():
                taken.setdefault((name, size, width), []).append(measure(size, width))
    for name in clients:
        cells = []
        for size, width in columns:
            walls, cpus = zip(*taken[name, size, width], strict=True)
            cells.append(f"{statistics.median(walls) / CALLS * 1e6:.0f} / {statistics.median(cpus) / CALLS * 1e6:.0f}")
        print(f"| {name} | " + " | ".join(cells) + " |")
    server.terminate()


if __name__ == "__main__":
    main()
