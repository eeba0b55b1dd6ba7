"""A client in a process of its own: reads one sound answer, then the hostile one, and tells how much memory that took at most."""

from __future__ import annotations

import asyncio
import re
import sys

from amsctl.ams.client import open_reader
from amsctl.ams.writer import open_writer
from amsctl.config import Environment, Requests
from amsctl.errors import AmsError
from amsctl.model import Firm


def peak_kib() -> int:
    """The most memory that this process ever held (VmHWM)."""
    with open("/proc/self/status", encoding="ascii") as status:
        match = re.search(r"VmHWM:\s*(\d+) kB", status.read())
    assert match is not None
    return int(match.group(1))


async def main(url: str, method: str) -> None:
    """Prints the extra KiB and what was raised."""
    environment, requests = Environment(name="t", url=url), Requests(per_second=None, retries=0, timeout_seconds=20.0)
    async with open_writer(environment, requests) as writer, open_reader(environment, requests) as reader:
        await writer.post("/sound", {}, {})
        await reader.firms()
        before = peak_kib()
        problem: AmsError | None = None
        try:
            if method == "POST":
                await writer.post("/bomb", {}, {})
            else:
                await reader.limits(Firm(name="GREENTEA", clearing_id="780"), "A")
        except AmsError as error:
            problem = error
        print(peak_kib() - before, type(problem).__name__, problem)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
