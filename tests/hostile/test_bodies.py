"""Bodies of an enemy: bombs, drips, cuts, and every kind of malformed answer to every kind of call (B4)."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import subprocess
import sys
import zlib
from collections.abc import Awaitable, Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from amsctl.ams.body import MAX_RATIO, RATIO_FREE_BYTES
from amsctl.ams.client import open_reader
from amsctl.ams.writer import open_writer
from amsctl.applying.executor import execute
from amsctl.applying.means import Means
from amsctl.applying.recorders import Recorders
from amsctl.applying.report import Report
from amsctl.cli.console import Console
from amsctl.cli.main import main
from amsctl.cli.planning import read_plan
from amsctl.errors import AmsError, AmsMalformed, AmsNoAnswer, AmsRefused, IncompleteRead
from amsctl.model import Firm, Outcome
from amsctl.planning.plan import Plan
from amsctl.sandbox.books import spec_book
from amsctl.sandbox.damage import MALFORMED as EVERY_DAMAGE
from amsctl.sandbox.endpoints import Answer
from amsctl.sandbox.faults import Rule
from amsctl.sandbox.server import Sandbox, serve
from tests.ams.doubles import Heard, JumpingClock, Wire, answer, environment, requests, run, wire
from tests.ams.test_body import MALFORMED
from tests.authorised import authorised
from tests.hostile.canaries import AUTH, ENVIRON
from tests.hostile.stub import BODIES, POSTS, READS, body_for, post
from tests.order import HANG_SECONDS

MIB = 1024 * 1024
DAMAGE = {kind: damage for kind, damage in EVERY_DAMAGE.items() if kind != "gzip_bomb"}  # a bomb has tests of its own, here


# --- bombs ---


@cache
def packed(size: int, beginning: bytes = b'{"limits": ["', filler: bytes = b" ") -> bytes:
    """A gzip body of so many bytes, as small as gzip makes it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(beginning)]
    for _ in range(size // MIB):
        parts.append(packer.compress(filler * MIB))
    return b"".join([*parts, packer.flush()])


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_bomb_takes_at_most_32_mib(method: str) -> None:
    """300 KB that inflate to 300 MiB: an error with the status, and at most 32 MiB more than a sound answer took, in a process of its own."""
    bomb = packed(300 * MIB)
    assert 250_000 < len(bomb) < 350_000
    sent = answer(bomb, headers="Content-Encoding: gzip\r\n")

    def reply(heard: Heard) -> bytes:
        if "myFirms" in heard.target or "sound" in heard.target:
            return answer(json.dumps(BODIES["/myFirms/"]))
        return sent

    async def within() -> str:
        async with wire(reply) as server:
            command = (sys.executable, "-m", "tests.hostile.bomb_child", server.url, method)
            child = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
            out, _ = await child.communicate()
            return out.decode()

    said = run(within())
    extra, kind, message = said.split(" ", 2)
    assert (kind, "cannot be read" in message) == ("AmsMalformed", True)
    assert 0 <= int(extra) <= 32 * 1024


@pytest.mark.parametrize(("times", "sound"), [(95, True), (105, False)])
def test_a_hundred_to_one_is_the_bound(times: int, sound: bool) -> None:
    """Just below the ratio an answer is read, just above it is refused: neither by luck."""
    noise = random.Random(1).randbytes(1500).hex()
    pad = 1_000_000
    while True:
        body = json.dumps({**BODIES["/myFirms/"], "noise": noise, "pad": " " * pad}).encode()
        zipped = gzip.compress(body, 9)
        ratio = len(body) / len(zipped)
        if abs(ratio - times) < 1:
            break
        noise += random.Random(len(noise)).randbytes(200).hex() if ratio > times else ""
        pad += 20_000 if ratio < times else 0
    assert len(body) > RATIO_FREE_BYTES
    assert (ratio < MAX_RATIO) is sound

    async def within() -> object:
        async with (
            wire(lambda _: answer(zipped, headers="Content-Encoding: gzip\r\n")) as server,
            open_reader(environment(server.url), requests()) as reader,
        ):
            try:
                return await reader.firms()
            except AmsMalformed as error:
                return str(error)

    found = run(within())
    assert isinstance(found, tuple) if sound else "times its size" in found


# --- drips ---


def dripping(parts: Iterator[bytes], every_seconds: float) -> Callable[..., Awaitable[None]]:
    async def drip(state: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(every_seconds)

    return drip


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
DRIPS: dict[str, tuple[bytes, bytes]] = {
    "the body": (HEAD + b"Content-Length: 9000\r\n\r\n", b" "),
    "the status line": (b"", b"H"),
    "a header": (HEAD + b"X-Slow: ", b"x"),
    "the size of a chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "a body without end": (HEAD + b"\r\n", b" "),
    "gzip": (HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"")[:10], b"\x00"),
    "informational answers": (b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
}


@pytest.mark.parametrize("kind", DRIPS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_drip_ends_with_the_deadline(method: str, kind: str) -> None:
    """A byte every 20 ms, for ever: over with the whole deadline, repetitions included; a POST is sent once, and over with its timeout."""
    beginning, drop = DRIPS[kind]
    drops = 0

    async def within() -> int:
        def parts() -> Iterator[bytes]:
            nonlocal drops
            yield beginning
            while True:
                drops += 1
                yield drop

        async def serve_one(state: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await dripping(parts(), 0.02)(state, reader, writer)

        async with wire(serve_one, raw=True) as server:
            settings = requests(timeout_seconds=1.0, deadline_seconds=2.5, retries=9)
            async with asyncio.timeout(HANG_SECONDS), open_writer(environment(server.url), settings, draw=lambda: 0.1) as writer:
                with pytest.raises((AmsNoAnswer, AmsMalformed)):
                    await (post(writer, "limits") if method == "POST" else READS["firms"](writer.reader))
                return server.connections

    connections = run(within())
    # What is malformed at once is tried ten times; what only drips, as often as its timeout fits into the deadline.
    assert 1 <= connections <= (1 if method == "POST" else 10 if kind == "the status line" else 3)
    # In one event loop no more drops fall in a time than there are fiftieths in it, and one at each beginning.
    assert drops <= 50 * (1.0 if method == "POST" else 2.5) + connections


def test_half_a_second_a_byte_against_a_deadline_of_two_seconds() -> None:
    """The figure itself, at its real size: the deadline comes after the fourth half second, and before the fifth has brought its byte."""
    given = 0

    def parts() -> Iterator[bytes]:
        nonlocal given
        yield HEAD + b"Content-Length: 900\r\n\r\n"
        while given < 900:
            given += 1
            yield b" "

    async def within() -> float:
        settings = requests(timeout_seconds=2.0, deadline_seconds=2.0)
        async with wire(dripping(parts(), 0.5), raw=True) as server, open_reader(environment(server.url), settings) as reader:
            begun = asyncio.get_running_loop().time()
            with pytest.raises(AmsNoAnswer):
                async with asyncio.timeout(HANG_SECONDS):
                    await reader.firms()
            return asyncio.get_running_loop().time() - begun

    assert run(within()) >= 1.9
    assert 1 <= given <= 4


# --- every kind of malformed body, to every kind of call ---


def framed(head: str, body: bytes) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n{head}\r\n".encode() + body


FRAMES: dict[str, Callable[[bytes], bytes]] = {
    "cut in the middle": lambda body: framed(f"Content-Length: {len(body)}\r\n", body[: len(body) // 2]),
    "without its last byte": lambda body: framed(f"Content-Length: {len(body)}\r\n", body[:-1]),
    "shorter than its length": lambda body: framed(f"Content-Length: {len(body) + 1}\r\n", body),
    "longer than its length": lambda body: framed(f"Content-Length: {len(body) - 1}\r\n", body),
    "no number for a length": lambda body: framed("Content-Length: many\r\n", body),
    "a negative length": lambda body: framed("Content-Length: -1\r\n", body),
    "two lengths": lambda body: framed(f"Content-Length: {len(body)}\r\nContent-Length: 2\r\n", body),
    "length and chunks": lambda body: framed(f"Content-Length: {len(body)}\r\nTransfer-Encoding: chunked\r\n", b"5\r\n" + body),
    "chunks without an end": lambda body: framed("Transfer-Encoding: chunked\r\n", f"{len(body):x}\r\n".encode() + body + b"\r\n"),
    "a chunk cut off": lambda body: framed("Transfer-Encoding: chunked\r\n", f"{len(body):x}\r\n".encode() + body[:-5]),
    "a chunk of no size": lambda body: framed("Transfer-Encoding: chunked\r\n", b"zz\r\n" + body + b"\r\n0\r\n\r\n"),
    "a chunk of negative size": lambda body: framed("Transfer-Encoding: chunked\r\n", b"-5\r\n" + body + b"\r\n0\r\n\r\n"),
    "a chunk of a huge size": lambda body: framed("Transfer-Encoding: chunked\r\n", b"f" * 17 + b"\r\n" + body),
    "a chunk without its end": lambda body: framed("Transfer-Encoding: chunked\r\n", f"{len(body):x}\r\n".encode() + body + b"0\r\n\r\n"),
    "gzip cut": lambda body: answer(gzip.compress(body)[:-9], headers="Content-Encoding: gzip\r\n"),
    "gzip without its check": lambda body: answer(gzip.compress(body)[:-8], headers="Content-Encoding: gzip\r\n"),
    "gzip with a wrong check": lambda body: answer(gzip.compress(body)[:-8] + bytes(8), headers="Content-Encoding: gzip\r\n"),
    "gzip that is none": lambda body: answer(body, headers="Content-Encoding: gzip\r\n"),
    "gzip with more behind": lambda body: answer(gzip.compress(body) + b"x", headers="Content-Encoding: gzip\r\n"),
    "gzip twice over": lambda body: answer(gzip.compress(gzip.compress(body)), headers="Content-Encoding: gzip, gzip\r\n"),
    "gzip and not said": lambda body: answer(gzip.compress(body)),
    "deflate": lambda body: answer(zlib.compress(body), headers="Content-Encoding: deflate\r\n"),
    "only a head": lambda body: framed("Content-Length: 5\r\n", b""),
    "a head cut off": lambda body: b"HTTP/1.1 200 OK\r\nContent-Ty",
    "not HTTP": lambda body: b"220 mail.example ESMTP\r\n" + body,
    "no version": lambda body: b"HTTP/9.9 200 OK\r\n\r\n" + body,
    "no status": lambda body: b"HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\n{}",
    "no content": lambda body: b"HTTP/1.1 204 No Content\r\n\r\n",
    "a thousand headers": lambda body: framed("".join(f"X-{n}: y\r\n" for n in range(9000)), body),
    "a header of a megabyte": lambda body: framed(f"X-A: {'y' * MIB}\r\n", body),
    "nothing": lambda body: b"",
    "a web page": lambda body: answer("<html>closed</html>", content_type="text/html"),
    "not UTF-8, and said so": lambda body: answer(body.decode().encode("utf-16"), content_type="application/json; charset=utf-16"),
    "a download": lambda body: answer(body, content_type="application/octet-stream"),
}
CALLS = [*READS, *(f"POST {kind}" for kind in POSTS)]


def call(writer: Any, name: str) -> Awaitable[Any]:
    return post(writer, name.removeprefix("POST ")) if name.startswith("POST ") else READS[name](writer.reader)


@pytest.mark.parametrize("name", CALLS)
def test_every_kind_of_malformed_body(name: str) -> None:
    """38 kinds of text that is not one JSON object, to every read and write: an AmsError, one request, and to a write never the word that nothing was sent."""
    asked = 0
    content = b""

    def reply(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        return httpx.Response(200, content=content, headers={"content-type": "application/json"})

    async def within() -> None:
        nonlocal content, asked
        for kind, bad in MALFORMED.items():
            content, asked = bad, 0
            async with open_writer(
                environment("http://ams"), requests(retries=4), clock=JumpingClock(), transport=httpx.MockTransport(reply)
            ) as writer:
                with pytest.raises(AmsMalformed) as caught:
                    await call(writer, name)
            assert (asked, caught.value.http_status) == (1, 200), kind
            assert len(str(caught.value)) < 500

    run(within())


@pytest.mark.parametrize("name", CALLS)
def test_every_kind_of_broken_frame(name: str) -> None:
    """34 ways in which what carries the body is broken: AmsMalformed where an answer came, AmsNoAnswer where none did; a POST is sent once."""
    frame = FRAMES["nothing"]

    async def within() -> None:
        nonlocal frame

        async def reply(state: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            heard = Heard(head[:-4], b"")
            await reader.readexactly(int(heard.header("content-length") or 0))
            state.heard.append(heard)
            writer.write(frame(json.dumps(body_for(heard)).encode()))
            await writer.drain()

        async with wire(reply, raw=True) as server:
            for kind in FRAMES:
                frame = FRAMES[kind]
                server.heard.clear()
                async with open_writer(environment(server.url), requests()) as writer:
                    with pytest.raises((AmsMalformed, AmsNoAnswer, AmsRefused)):
                        await call(writer, name)
                assert len(server.heard) == 1, kind

    run(within())


def damaged(name: str, kind: str) -> tuple[object, object]:
    """What a call makes of the sound answer, and what of the damaged one."""

    def reply(change: Callable[[Answer], Answer]) -> Callable[[httpx.Request], httpx.Response]:
        def make(request: httpx.Request) -> httpx.Response:
            heard = Heard(f"{request.method} {request.url.raw_path.decode()} HTTP/1.1\r\n".encode(), b"")
            given = change(Answer(body=json.dumps(body_for(heard)).encode()))
            headers = [("content-type", given.content_type)] if given.content_type else []
            return httpx.Response(given.status, stream=httpx.ByteStream(given.body), headers=[*headers, *given.headers])

        return make

    async def ask(change: Callable[[Answer], Answer]) -> object:
        transport = httpx.MockTransport(reply(change))
        async with open_reader(environment("http://ams"), requests(), clock=JumpingClock(), transport=transport) as reader:
            try:
                return await READS[name](reader)
            except AmsError as error:
                return error

    return run(ask(lambda given: given)), run(ask(DAMAGE[kind]))


ANOTHER_MEANING = {("listing", "status_unknown"), ("suspensions", "suspended_bool")}
"""Damage that is a sound answer of another meaning: a listing shows statuses as they come, and true is one of the spellings of suspended."""


@pytest.mark.parametrize("name", READS)
def test_sound_json_that_does_not_mean_what_it_should(name: str) -> None:
    """Wrong types, wrong account, missing rows, twins, huge numbers: an AmsError, or the very same state; never a smaller or another one."""
    refused = 0
    for kind in DAMAGE:
        if kind in {
            "content_length_long",
            "content_length_short",
            "content_length_twice",
            "chunk_cut",
            "chunk_size_bad",
            "not_http",
            "header_cut",
        }:
            continue  # what carries the body: above
        clean, found = damaged(name, kind)
        if (name, kind) in ANOTHER_MEANING:
            assert not isinstance(found, AmsError)
            assert found != clean
            continue
        if not isinstance(found, AmsError):
            assert found == clean, kind
            continue
        assert isinstance(found, AmsMalformed | IncompleteRead), (kind, found)
        refused += 1
    assert refused >= 25


# --- through an apply ---

FIRM, NUMBER = "GREENTEA_API_CLEARING2", "DV10121801A"
SPECS = {
    "limits": ("{executionFirms: {3N1: {limits: {CJ.FUT.NYMEX: {ef: {long: 300, short: 500}}}}}}", "/accountLimitsUtilization/*"),
    "efStatus": ("{executionFirms: {3N1: {suspended: true}}}", "/efStatus/*"),
    "status": ("{status: Inactive}", "/status/*"),
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with serve(spec_book()) as served:
        yield served


@pytest.fixture(scope="module")
def plans(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Plan]:
    """One plan of one tightening call for each kind of call."""
    sandbox.reset()
    found = {}
    for kind, (spec, _) in SPECS.items():
        folder = tmp_path_factory.mktemp(kind)
        (folder / "amsctl.yaml").write_text(
            "apiVersion: amsctl/v1\nkind: Project\nspec:\n  guards: none\n  manifests: [a.yaml]\n  defaultEnvironment: s\n  environments:\n"
            f"    s: {{url: '{sandbox.url}', auth: {AUTH}}}\n"
        )
        (folder / "a.yaml").write_text(
            f"apiVersion: amsctl/v1\nkind: Account\nmetadata: {{clearingFirm: {FIRM}, accountNumber: {NUMBER}}}\nspec: {spec}\n"
        )
        assert main(["-C", str(folder), "plan", "-o", str(folder / "plan.json")], console=Console(environ=ENVIRON)) == 0
        found[kind] = read_plan(str(folder / "plan.json"))
        assert len(found[kind].steps) == 1
    return found


def carried_out(sandbox: Sandbox, plan: Plan) -> Report | AmsError:
    async def within() -> Report | AmsError:
        async with open_writer(environment(sandbox.url), requests(), clock=JumpingClock()) as writer:
            means = Means(
                reader=writer.reader,
                writer=writer,
                clock=JumpingClock(),
                firms={FIRM: Firm(name=FIRM, clearing_id="780")},
                recorder=Recorders([]),
                settle_seconds=0.0,
                concurrency=1,
            )
            try:
                return await execute(authorised(plan), means)
            except AmsError as error:
                return error

    found: Report | AmsError = run(within())
    return found


@pytest.mark.parametrize("kind", SPECS)
def test_a_post_with_a_malformed_answer_is_read_back_and_not_repeated(kind: str, sandbox: Sandbox, plans: dict[str, Plan]) -> None:
    """Every kind of damage to the answer of every kind of POST: one POST, a read after it, and a verdict that rests on what was read."""
    verified = 0
    for damage in DAMAGE:
        sandbox.reset()
        sandbox.faults.add(Rule(kind="malformed", variant=damage, method="POST"))
        report = carried_out(sandbox, plans[kind])
        assert isinstance(report, Report)
        methods = [entry.method for entry in sandbox.log]
        assert methods.count("POST") == 1, damage
        assert "GET" in methods[methods.index("POST") :], damage
        (step,) = report.steps
        # Sound JSON that says otherwise than asked is a failure of its own (a 200 is not believed); of what is no answer at all only the reading counts.
        assert step.outcome is Outcome.VERIFIED or (step.outcome is Outcome.DIVERGED and "the answer" in (step.message or "")), damage
        verified += step.outcome is Outcome.VERIFIED
    assert verified >= 25


@pytest.mark.parametrize("kind", SPECS)
def test_nothing_is_written_after_a_read_that_cannot_be_trusted(kind: str, sandbox: Sandbox, plans: dict[str, Plan]) -> None:
    """Every kind of damage to what is read before the write: 0 POSTs, unless what was read is what was there."""
    unheeded = set()
    for damage in DAMAGE:
        sandbox.reset()
        sandbox.faults.add(Rule(kind="malformed", variant=damage, method="GET"))
        result = carried_out(sandbox, plans[kind])
        if sandbox.log.calls("POST"):
            unheeded.add(damage)
            continue
        assert isinstance(result, AmsError) or all(step.outcome is not Outcome.VERIFIED for step in result.steps), damage
    assert unheeded <= {"content_type_absent"}  # CME does not document the header
    assert len(DAMAGE) - len(unheeded) >= 55
