"""The way between amsctl and the model of the AMS, and everything that can go wrong on it.

Each seed switches on a random subset of the faults (swarm) with a probability of its own, so that rare combinations meet. What was sent may take effect
whether or not the sender still lives. A write lands at the latest ``settle_seconds`` after the connection ended (an answer, a time-out, a reset, a
crash), which is what amsctl is promised (``settleSeconds``); the faults of ``BEYOND`` break that promise and are labelled as such in the history.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from random import Random
from typing import Any

import httpx

from tests.faults.history import History
from tests.faults.loop import Machine, SimClock
from tests.faults.process import Crashed, Process
from tests.faults.server import ADMITTED, BASE, NO_ROW, SHAPES, SIDES, Account, Json, Server, hide

POST_FAULTS = (
    "unreachable",
    "lost-request",
    "lost-answer",
    "late",
    "duplicate",
    "partial",
    "partial-lost",
    "partial-500",
    "stored-nothing",
    "stored-nothing-old",
    "wrong-body",
    "malformed",
    "malformed-before",
    "html",
    "html-before",
    "error-200",
    "400",
    "400-after",
    "401",
    "403",
    "429",
    "500-before",
    "500-after",
    "502-before",
    "502-late",
    "503-before",
    "503-after",
    "504-after",
    "504-late",
    "reset-before",
    "reset-after",
    "slow",
)
BEYOND = ("beyond", "late-duplicate")
"""A write that lands later than amsctl is promised, or lands a second time after it was answered: nobody can guard against these."""
GET_FAULTS = (
    "unreachable",
    "hang",
    "reset",
    "401",
    "403",
    "429",
    "500",
    "502",
    "503",
    "504",
    "html",
    "truncated",
    "wrong-account",
    "slow",
    "page-loop",
    "page-short",
    "page-duplicate",
    "page-shift",
)
JSON = "application/json"
HTML = b"<!doctype html><title>Down for maintenance</title>"


@dataclass
class Weather:
    """What goes wrong, and how often."""

    post: dict[str, float] = field(default_factory=dict)
    get: dict[str, float] = field(default_factory=dict)
    edit_after_read: float = 0.0
    edit_before_landing: float = 0.0
    edit_after_landing: float = 0.0
    edit_between: float = 0.0
    hiding: float = 0.0
    """How often an answer hides a side of the rows that it lists."""
    calm: bool = False
    seen: dict[str, int] = field(default_factory=dict)

    def note(self, name: str) -> None:
        """Count a fault that happened."""
        self.seen[name] = self.seen.get(name, 0) + 1


@dataclass
class Flight:
    """A POST on its way: the landings that are still to come."""

    process: Process
    event: Json
    target: str
    body: Json
    landings: list[asyncio.TimerHandle] = field(default_factory=list)
    connected: bool = True


class Network:
    """Everything between the processes and the server."""

    def __init__(
        self, server: Server, history: History, rng: Random, weather: Weather, *, timeout_seconds: float, settle_seconds: float
    ) -> None:
        self.server = server
        self.history = history
        self.rng = rng
        self.weather = weather
        self.timeout_seconds, self.settle_seconds = timeout_seconds, settle_seconds
        self.requests = 0
        self.flights: list[Flight] = []
        self.edit: Callable[[str | None], None] = lambda account: None
        self.true_clock = SimClock(Machine("ams"))
        self.tokens = 0
        self.hider = Random(0)
        server.journal = lambda event: history.add("effect", **event)  # type: ignore[assignment,return-value]

    def draw(self, faults: dict[str, float]) -> str | None:
        """Which fault befalls a request, if any."""
        if self.weather.calm or not faults:
            return None
        at = self.rng.random()
        for name, share in faults.items():
            at -= share
            if at < 0:
                return name
        return None

    def third(self, share: float, account: str | None) -> None:
        """Perhaps somebody else edits, just now."""
        if not self.weather.calm and share and self.rng.random() < share:
            self.edit(account)

    def hidden(self, body: Json) -> str | None:
        """Perhaps what an answer shows of its rows is less than they hold; how, where it is."""
        rng = self.hider
        if self.weather.calm or not self.weather.hiding or not body.get("limits") or rng.random() >= self.weather.hiding:
            return None
        shape = rng.choice(sorted(SHAPES.keys() - ADMITTED.get(self.server.dialect.unlimited, ())))
        hide(body, rng.choice([side for side, _ in SIDES]), shape, rng)
        self.weather.note(f"hidden {shape}")
        return f"hidden {shape}"

    # --- writes on their way ---

    def land_at(
        self, flight: Flight, seconds: float, *, only: Callable[[int], bool] = lambda index: True, beyond: bool = False
    ) -> asyncio.Future[tuple[int, Json]]:
        """The server takes the POST in so many seconds; the future holds its answer."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[tuple[int, Json]] = loop.create_future()

        def land() -> None:
            number = flight.event["account"]
            self.third(self.weather.edit_before_landing, number)
            who = {"by": "us", "id": flight.event["id"], "p": flight.process.number, "beyond": beyond}
            answer = self.server.post(flight.target, flight.body, who=who, only=only)
            self.third(self.weather.edit_after_landing, number)
            if not done.done():
                done.set_result(answer)

        flight.landings.append(loop.call_later(seconds, land))
        return done

    def crashed(self, process: Process) -> None:
        """The sender is gone and with it its connections: what was on its way lands soon, or within the settling time, or never."""
        loop = asyncio.get_running_loop()
        latest = loop.time() + self.settle_seconds * 0.99
        for flight in self.flights:
            if flight.process is not process or not flight.connected:
                continue
            for handle in [handle for handle in flight.landings if not handle.cancelled() and handle.when() >= loop.time()]:
                fate = self.rng.random()
                if handle.when() <= latest and fate < 0.5:
                    continue
                callback = handle._callback  # type: ignore[attr-defined]
                handle.cancel()
                if fate < 0.85:
                    self.weather.note("late-after-crash")
                    flight.landings.append(loop.call_at(loop.time() + self.rng.random() * self.settle_seconds * 0.99, callback))

    @contextmanager
    def leaving(self, flight: Flight) -> Iterator[None]:
        """The sender may crash right when its bytes have left: they arrive soon, late, or never."""
        try:
            yield
        except Crashed:
            fate = self.rng.random()
            if fate < 0.7:
                self.weather.note("landed-after-crash")
                self.land_at(flight, self.rng.random() * (0.2 if fate < 0.3 else self.settle_seconds * 0.99))
            raise

    def quiet_after(self) -> float:
        """When the last write on its way will have landed."""
        return max((handle.when() for flight in self.flights for handle in flight.landings if not handle.cancelled()), default=0.0)


class SimTransport(httpx.AsyncBaseTransport):
    """An httpx transport of one process."""

    def __init__(self, network: Network, process: Process) -> None:
        self._network = network
        self._process = process
        self._rng = network.rng

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        process, network = self._process, self._network
        await process.awake()
        target = request.url.raw_path.decode("ascii")
        network.requests += 1
        try:
            if target == "/token":
                return await self._token()
            if request.method == "GET":
                return await self._get(target, network.requests)
            process.point("before-send")
            return await self._post(target, request.content, network.requests)
        finally:
            await process.awake()

    async def _travel(self, least: float = 0.01, most: float = 0.15) -> None:
        await asyncio.sleep(least + (most - least) * self._rng.random())

    async def _token(self) -> httpx.Response:
        network = self._network
        await self._travel()
        if network.draw({"503": sum(network.weather.get.values()) / 4}):
            return _response(503, b"{}")
        network.tokens += 1
        body = {"access_token": f"token-{network.tokens}", "token_type": "bearer", "expires_in": 1799}
        return _response(200, json.dumps(body).encode())

    # --- reads ---

    async def _get(self, target: str, number: int) -> httpx.Response:
        network, process = self._network, self._process
        fault = network.draw(network.weather.get)
        if fault == "unreachable":
            network.weather.note("get unreachable")
            raise httpx.ConnectError("")
        left = network.history.add("get", id=number, p=process.number, target=target)["t"]
        await self._travel()
        account = _account_in(target)
        status, body = network.server.get(target)
        served = round(asyncio.get_running_loop().time(), 6)
        if fault is not None and fault.startswith("page-") and not _damage(fault, body, self._rng):
            fault = None
        if fault is not None:
            network.weather.note(f"get {fault}")
        if fault in (None, "slow"):
            fault = network.hidden(body) or fault
        response = await self._answer_get(fault, status, body)
        network.third(network.weather.edit_after_read, account)
        await self._travel()
        details = {} if fault not in (None, "slow") or status != 200 else _read(body)
        network.history.add(
            "read",
            id=number,
            p=process.number,
            target=target,
            left=left,
            served=served,
            status=response.status_code,
            fault=fault,
            **details,
        )
        return response

    async def _answer_get(self, fault: str | None, status: int, body: Json) -> httpx.Response:
        match fault:
            case "hang":
                await asyncio.sleep(1e7)
            case "reset":
                raise httpx.ReadError("")
            case "html":
                return self._response(self._rng.choice((200, 503)), HTML, "text/html")
            case "truncated":
                content = _bytes(body)
                return self._response(200, content[: self._rng.randrange(len(content))])
            case "wrong-account":
                if "accountNumber" not in body:
                    return self._response(200, b"[]")
                return self._response(200, _bytes({**body, "accountNumber": "OTHER"}))
            case "429":
                return self._response(429, _error("429"), retry_after=self._rng.choice((None, 1, 7, 45)))
            case "slow":
                await asyncio.sleep(self._rng.random() * self._network.timeout_seconds * 0.9)
            case "401" | "403" | "500" | "502" | "503" | "504":
                return self._response(int(fault), _error(fault))
        return self._response(status, _bytes(body))

    # --- writes ---

    async def _post(self, target: str, content: bytes, number: int) -> httpx.Response:
        network, process = self._network, self._process
        fault = network.draw(network.weather.post)
        if fault is not None:
            network.weather.note(f"post {fault}")
        if fault == "unreachable":
            raise httpx.ConnectError("")
        body = json.loads(content)
        account = network.server.account_of(target, body)
        digest = hashlib.sha256(content).hexdigest()
        event = network.history.add(
            "post", id=number, p=process.number, target=target, account=account, body=body, request_sha256=digest, fault=fault
        )
        flight = Flight(process, event, target, body)
        network.flights.append(flight)
        try:
            with network.leaving(flight):
                process.point("after-send")
            response = await self._answer_post(fault, flight)
        except httpx.HTTPError as problem:
            network.history.add("answer", id=number, p=process.number, status=None, error=type(problem).__name__)
            raise
        except asyncio.CancelledError:
            network.history.add("answer", id=number, p=process.number, status=None, error="gave up")
            raise
        finally:
            flight.connected = False
        process.point("before-answer")
        network.history.add("answer", id=number, p=process.number, status=response.status_code, error=None)
        return response

    async def _answer_post(self, fault: str | None, flight: Flight) -> httpx.Response:
        """One fate per fault: when and what the server takes, and what the sender hears of it."""
        rng, network = self._rng, self._network
        quick = 0.01 + 0.15 * rng.random()
        whole = network.timeout_seconds
        settle = network.settle_seconds * 0.98
        gives_up = rng.choice((whole, whole * rng.random()))
        """When the connection ends without an answer: by the sender's patience, or by a reset before that."""
        some = _some_of(flight.body, rng)
        match fault:
            case "lost-request":
                return await self._nothing(gives_up)
            case "lost-answer":
                network.land_at(flight, quick)
                return await self._nothing(max(gives_up, quick))
            case "late":
                network.land_at(flight, gives_up + rng.random() * settle)
                return await self._nothing(gives_up)
            case "beyond":
                network.land_at(flight, gives_up + network.settle_seconds * (1.05 + 2 * rng.random()), beyond=True)
                return await self._nothing(gives_up)
            case "late-duplicate":
                network.land_at(flight, quick + 0.5 + rng.random() * settle, beyond=True)
            case "duplicate":
                network.land_at(flight, quick * rng.random())
            case "partial" | "partial-lost" | "partial-500":
                status, body = await network.land_at(flight, quick, only=some)
                if fault == "partial-lost":
                    raise httpx.ReadError("")
                return self._response(500, _error("500")) if fault == "partial-500" else self._response(status, _bytes(body))
            case "stored-nothing":
                await asyncio.sleep(quick)
                status, body = network.server.post(flight.target, flight.body, who={}, dry=True)
                return self._response(status, _bytes(body))
            case "stored-nothing-old":
                await asyncio.sleep(quick)
                status, body = network.server.post(flight.target, flight.body, who={}, only=lambda index: False, dry=True)
                return self._response(status, _bytes(body))
            case "wrong-body":
                status, body = await network.land_at(flight, quick)
                return self._response(status, _bytes(_wrong(body, rng)))
            case "malformed" | "html" | "500-after" | "503-after" | "504-after" | "400-after" | "reset-after":
                await network.land_at(flight, quick)
                return self._bad(fault)
            case "502-late" | "504-late":
                network.land_at(flight, quick + rng.random() * settle)
                await asyncio.sleep(quick)
                return self._bad(fault)
            case "slow":
                status, body = await network.land_at(flight, quick + rng.random() * whole * 0.4)
                await asyncio.sleep(rng.random() * whole * 0.5)
                return self._response(status, _bytes(body))
            case None:
                pass
            case _:
                await asyncio.sleep(quick)
                return self._bad(fault)
        status, body = await network.land_at(flight, quick)
        network.hidden(body)
        await self._travel()
        return self._response(status, _bytes(body))

    async def _nothing(self, seconds: float) -> httpx.Response:
        """No answer: the connection breaks after a while, or the sender loses patience."""
        if seconds >= self._network.timeout_seconds:
            await asyncio.sleep(1e7)
        await asyncio.sleep(seconds)
        raise httpx.ReadError("")

    def _bad(self, fault: str) -> httpx.Response:
        kind = fault.partition("-")[0]
        match kind:
            case "malformed":
                return self._response(200, b'{"service":"ICC","limits":[{"product"')
            case "html":
                return self._response(self._rng.choice((200, 502, 503)), HTML, "text/html")
            case "error":
                return self._response(
                    200, json.dumps({"errorType": "IllegalArgumentException", "error": "Limit Type not found: X"}).encode()
                )
            case "reset":
                raise httpx.ReadError("")
            case "429":
                return self._response(429, _error("429"), retry_after=self._rng.choice((None, 2, 20)))
        return self._response(int(kind), _error(kind))

    def _response(self, status: int, content: bytes, content_type: str = JSON, *, retry_after: int | None = None) -> httpx.Response:
        headers = {"content-type": content_type, "date": formatdate(self._network.true_clock.wall(), usegmt=True)}
        if retry_after is not None:
            headers["retry-after"] = str(retry_after)
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(content))


def _response(status: int, content: bytes) -> httpx.Response:
    return httpx.Response(status, headers={"content-type": JSON}, stream=httpx.ByteStream(content))


def _bytes(body: Json) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def _error(kind: str) -> bytes:
    return json.dumps({"errorType": kind, "error": "Not today"}).encode()


def _account_in(target: str) -> str | None:
    parts = target.partition("?")[0].removeprefix(BASE).strip("/").split("/")
    return parts[4] if len(parts) == 5 and parts[0] in {"accountLimitsUtilization", "efStatus"} else None


def _items_of(body: Json) -> list[Any]:
    return next((value for value in body.values() if isinstance(value, list)), [])


def _some_of(body: Json, rng: Random) -> Callable[[int], bool]:
    """A part of a POST's items: never all of several."""
    count = len(_items_of(body))
    kept = {index for index in range(count) if rng.random() < 0.5}
    if len(kept) == count:
        kept.discard(rng.randrange(count))
    return lambda index: index in kept


def _wrong(body: Json, rng: Random) -> Json:
    """An answer that is not about what was asked."""
    name, items = next((name, value) for name, value in body.items() if isinstance(value, list))
    match rng.randrange(3):
        case 0:
            return {
                **body,
                "accountNumber": "OTHER",
                name: [{**item, "accountNumber": "OTHER"} if "accountNumber" in item else item for item in items],
            }
        case 1:
            return {**body, name: items[1:]}
    changed = [dict(item) for item in items]
    for item in changed[:1]:
        if "status" in item:
            item["status"] = "Rejected"
        elif "suspended" in item:
            item["suspended"] = "N" if item["suspended"] == "Y" else "Y"
        elif "efLimits" in item:
            item["efLimits"] = {**item["efLimits"], "long": 424242}
    return {**body, name: changed}


def _damage(fault: str, body: Json, rng: Random) -> bool:
    """Damage one page in a way that a client can notice; ``False`` where this page offers none."""
    name = next((name for name, value in body.items() if isinstance(value, list)), None)
    pages = body.get("availableOffsets", 1)
    if name is None or pages < 2 or name == "products":
        return False
    items, page = body[name], body["offset"]
    match fault:
        case "page-short" if page < pages:
            body[name] = items[:-1]
        case "page-duplicate" if len(items) > 1:
            body[name] = [*items[:-1], items[0]]
        case "page-shift" if page > 1:
            body["availableOffsets"] = pages + 1
        case "page-loop" if page > 1:
            body["offset"] = 1
        case _:
            return False
    return True


def _read(body: Json) -> Json:
    """What a reader saw, as far as the checker needs it."""
    found: Json = {"pages": body.get("availableOffsets", 1), "offset": body.get("offset", 1)}
    if "limits" in body:
        found["rows"] = [[_ef(row), row["product"], *_four(row)] for row in body["limits"]]
    elif "executionFirms" in body:
        found["suspended"] = {_ef(item): item["suspended"] == "Y" for item in body["executionFirms"]}
    elif "clearingAccounts" in body:
        found["statuses"] = {item["accountNumber"]: item["status"][0].upper() for item in body["clearingAccounts"]}
    return found


def _ef(item: Json) -> str:
    found = item.get("efId", item.get("efID"))
    assert isinstance(found, str)
    return found


def _four(row: Json) -> list[int | None]:
    return [
        value if isinstance(value := row[side].get(leg), int) else None for side in ("efLimits", "cmfLimits") for leg in ("long", "short")
    ]


def random_edit(server: Server, rng: Random, history: History, account: str | None, products: tuple[str, ...], *, structural: bool) -> None:
    """Somebody else changes one value, somewhere. ``structural``: rows may come and go too."""
    number = account if account is not None and rng.random() < 0.9 else rng.choice(sorted(server.accounts))
    target = server.accounts[number]
    changes: list[Json] = []
    kind = rng.random()
    if kind < 0.1:
        before, target.status = target.status, "I" if target.status == "A" else "A"
        changes.append({"what": ["status"], "before": before, "after": target.status})
    elif kind < 0.25 and target.suspended:
        ef = rng.choice(sorted(target.suspended))
        flag = target.suspended[ef]
        target.suspended[ef] = not flag
        changes.append({"what": ["suspended", ef], "before": flag, "after": not flag})
    else:
        _edit_row(target, rng, changes, products, structural)
    if changes:
        history.add("effect", by="third", account=number, changes=changes)


def revert(server: Server, rng: Random, history: History, account: str | None) -> bool:
    """Somebody else takes back what a call of ours has made, one value of it or all, if there is one that stands: it is as it was before that call."""
    written: dict[tuple[str, tuple[Any, ...]], tuple[int, Json]] = {}
    for event in history.events:
        if event["kind"] != "effect":
            continue
        for change in event["changes"]:
            key = (event["account"], tuple(change["what"]))
            if event["by"] == "us":
                written[key] = (event["n"], change)
            else:
                written.pop(key, None)
    found = [(number, call, change) for (number, _), (call, change) in written.items() if account is None or number == account]
    if not found:
        return False
    number, call, change = rng.choice(found)
    target, changes = server.accounts[number], list[Json]()
    for taken in [other for _, of, other in found if of == call] if rng.random() < 0.6 else [change]:
        _take_back(target, taken, changes)
    history.add("effect", by="third", account=number, changes=changes)
    return True


def _take_back(target: Account, change: Json, changes: list[Json]) -> None:
    match change["what"]:
        case ["status"]:
            target.status = change["before"]
            changes.append({"what": ["status"], "before": change["after"], "after": change["before"]})
        case ["suspended", ef]:
            target.suspended[ef] = change["before"]
            changes.append({"what": ["suspended", ef], "before": change["after"], "after": change["before"]})
        case ["leg", ef, product, index]:
            legs = list(target.rows.get((ef, product), NO_ROW))
            legs[index] = change["before"]
            Server.set_row(target, (ef, product), (legs[0], legs[1], legs[2], legs[3]), changes)


def _edit_row(target: Account, rng: Random, changes: list[Json], products: tuple[str, ...], structural: bool) -> None:
    keys = sorted(target.rows)
    if structural and target.suspended and (not keys or rng.random() < 0.2):
        key = (rng.choice(sorted(target.suspended)), rng.choice(products))
        Server.set_row(target, key, (rng.randrange(100), rng.randrange(100), rng.randrange(100), rng.randrange(100)), changes)
        return
    if not keys:
        return
    key = rng.choice(keys)
    if structural and rng.random() < 0.2:
        Server.set_row(target, key, (None, None, None, None), changes)
        return
    legs = list(target.rows[key])
    legs[rng.randrange(4)] = rng.randrange(100)
    Server.set_row(target, key, (legs[0], legs[1], legs[2], legs[3]), changes)
