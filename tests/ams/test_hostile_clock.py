"""Two clocks that disagree: how far the server's is from ours, and what a jump of ours does to a token."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from email.utils import format_datetime

import httpx
import pytest

from amsctl.ams.client import open_reader
from amsctl.ams.clock import ServerTime, http_date
from amsctl.ams.writer import open_writer
from amsctl.config import Auth, AuthType, Secret
from amsctl.errors import AmsRefused
from tests.ams.doubles import answer, environment, requests, run, wire
from tests.hostile.canaries import CANARIES

DAY = 86_400.0
START = 1_795_262_400.0
"""Saturday 2026-11-21 12:00:00 UTC."""


class TwoClocks:
    """A monotonic clock and a wall clock that can be set while it runs."""

    def __init__(self, wall: float = START) -> None:
        self.elapsed = 5_000.0
        self._base = wall - self.elapsed

    def monotonic(self) -> float:
        return self.elapsed

    def wall(self) -> float:
        return self._base + self.elapsed

    async def sleep(self, seconds: float) -> None:
        self.elapsed += seconds
        await asyncio.sleep(0)

    def jump(self, seconds: float) -> None:
        self._base += seconds


def date(at: float) -> str:
    return format_datetime(datetime.fromtimestamp(int(at), UTC), usegmt=True)


FIRMS = {"entitlements": [{"service": "ICC", "clearingFirms": [{"firmName": "F", "clearingId": "1"}]}]}


class Ams(httpx.AsyncBaseTransport):
    """Answers with the Date of a clock that is ``ahead``, after ``seconds`` on the way there and again on the way back; gives out tokens."""

    def __init__(self, clock: TwoClocks, *, ahead: float = 0.0, seconds: float = 0.0, header: str | None = "", life: int = 1799) -> None:
        self.clock, self.ahead, self.seconds, self.header, self.life = clock, ahead, seconds, header, life
        self.true_start = clock.wall() - clock.monotonic()
        self.tokens: dict[str, float] = {}
        self.token_calls = 0
        self.refused = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.clock.elapsed += self.seconds
        now = self.clock.monotonic()
        header = date(self.true_start + now + self.ahead) if self.header == "" else self.header
        headers = {"content-type": "application/json", **({} if header is None else {"date": header})}
        if request.url.path == "/token":
            self.token_calls += 1
            token = f"t{self.token_calls}"
            self.tokens[f"Bearer {token}"] = now + self.life
            self.clock.elapsed += self.seconds
            # The token server's Date is from another machine and must not count.
            body = {"access_token": token, "token_type": "bearer", "expires_in": self.life}
            return httpx.Response(200, json=body, headers={"date": date(START + 9 * DAY)})
        given = request.headers.get("authorization")
        self.clock.elapsed += self.seconds
        if given is not None and self.tokens.get(given, 0.0) <= now:
            self.refused += 1
            return httpx.Response(401, json={"errorType": "401", "error": "expired"}, headers=headers)
        return httpx.Response(200, json=FIRMS, headers=headers)


def offset(ams: Ams, clock: TwoClocks, *, calls: int = 1) -> float | None:
    async def within() -> float | None:
        async with open_reader(environment("http://ams", auth=Auth()), requests(), clock=clock, transport=ams) as reader:
            assert reader.clock_offset_seconds is None
            for _ in range(calls):
                await reader._get("/myFirms/", {}, where="")
            return reader.clock_offset_seconds

    found: float | None = run(within())
    return found


@pytest.mark.parametrize("ahead", [0.0, 301.0, -301.0, 3600.0, -3600.0, 30 * DAY, -10 * 365 * DAY])
@pytest.mark.parametrize("seconds", [0.0, 0.2, 20.0])
def test_the_offset_is_told_to_within_the_round_trip(ahead: float, seconds: float) -> None:
    """Positive when the server is ahead of us; off by at most half a second and half of the round trip."""
    clock = TwoClocks()
    found = offset(Ams(clock, ahead=ahead, seconds=seconds), clock)
    assert found is not None
    assert abs(found - ahead) <= 0.5 + seconds


def test_many_answers_narrow_it() -> None:
    """Each answer bounds it; the estimate is what all agree on, so one quick answer among slow ones decides."""
    chance = random.Random(4)
    clock = TwoClocks()
    known = ServerTime(clock)
    for seconds in (30.0, 4.0, 0.02, 60.0, 9.0, 0.05, 0.3, 2.0) * 4:
        asked_at = clock.monotonic()
        clock.elapsed += seconds * chance.random()
        made = clock.wall() + 123.4
        clock.elapsed += seconds / 2
        known.observe(date(made), asked_at=asked_at)
        clock.elapsed += chance.random()
    assert known.offset_seconds == pytest.approx(123.4, abs=0.2)


@pytest.mark.parametrize("jump", [-3600.0, 3600.0, 30 * DAY, 301.0])
def test_a_jump_of_our_wall_clock_shows_at_once(jump: float) -> None:
    """Before the next answer, and after it: the estimate stands on the monotonic clock."""
    clock = TwoClocks()
    ams = Ams(clock)

    async def within() -> None:
        async with open_reader(environment("http://ams", auth=Auth()), requests(), clock=clock, transport=ams) as reader:
            await reader.firms()
            clock.jump(jump)
            assert reader.clock_offset_seconds == pytest.approx(-jump, abs=0.6)
            await reader._get("/myFirms/", {}, where="")
            assert reader.clock_offset_seconds == pytest.approx(-jump, abs=0.6)

    run(within())


def test_a_clock_of_the_server_that_is_set_begins_anew() -> None:
    """Answers that contradict the old ones win: a clock that was put right must not block for ever."""
    clock = TwoClocks()
    known = ServerTime(clock)
    for ahead in (400.0, 0.0):
        known.observe(date(clock.wall() + ahead), asked_at=clock.monotonic())
        assert known.offset_seconds == pytest.approx(ahead, abs=0.6)


NO_DATES = ["", " ", "now", "Sat, 99 Nov 2026 12:00:30 GMT", "\x00", "0", "1795262400", "2026-11-21T12:00:00Z", "Sat, 21 Nov 2026", "é",
            "9" * 5000, "Sat, 21 Nov 99999 12:00:00 GMT", "Sat, 21 Nov 2026 25:00:00 GMT", "Sat, 21 Nov 2026 12:00:00 +99999999", ",,,",
            "Sat, 21 Nov -1 1:1:1 GMT"]  # fmt: skip


@pytest.mark.parametrize("text", NO_DATES)
def test_a_date_that_is_none_tells_nothing(text: str) -> None:
    """Unknown, never zero and never an exception."""
    assert http_date(text) is None
    known = ServerTime(TwoClocks())
    known.observe(text, asked_at=4_000.0)
    assert known.offset_seconds is None


def test_an_answer_without_a_date_tells_nothing_and_takes_nothing_back() -> None:
    clock = TwoClocks()
    assert offset(Ams(clock, ahead=60, header=None), clock) is None
    known = ServerTime(clock)
    known.observe(date(clock.wall() + 60), asked_at=clock.monotonic())
    known.observe("nonsense", asked_at=clock.monotonic())
    assert known.offset_seconds == pytest.approx(60, abs=0.6)


def test_a_date_that_a_cache_kept_is_not_taken_for_now() -> None:
    """RFC 9111 §5.1: with an Age, Date is when the answer was made, not when it was sent."""
    clock = TwoClocks()
    known = ServerTime(clock)
    known.observe(date(clock.wall() - 900), asked_at=clock.monotonic(), age="900")
    assert known.offset_seconds is None
    known.observe(date(clock.wall()), asked_at=clock.monotonic(), age="0")
    assert known.offset_seconds == pytest.approx(0, abs=0.6)


@pytest.mark.parametrize("text", ["Sat, 21 Nov 2026 12:00:00 GMT", "Saturday, 21-Nov-26 12:00:00 GMT", "Sat Nov 21 12:00:00 2026"])
def test_all_three_forms_of_an_http_date_are_read(text: str) -> None:
    """RFC 9110 §5.6.7: a recipient must take all three."""
    assert http_date(text) == START


def test_a_post_tells_the_time_too_and_the_token_server_does_not() -> None:
    """Only the environment's own answers count, also those that refuse."""
    clock = TwoClocks()
    auth = Auth(type=AuthType.OAUTH2, client_id="API_T", client_secret=Secret(CANARIES["the client secret"]), token_url="http://ams/token")

    async def within() -> None:
        ams = Ams(clock, ahead=77)
        async with open_writer(environment("http://ams", auth=auth), requests(), clock=clock, transport=ams) as writer:
            await writer.post("/x", {}, {})
            assert writer.reader.clock_offset_seconds == pytest.approx(77, abs=0.6)
            ams.ahead = 5_000
            ams.tokens.clear()
            with pytest.raises(AmsRefused):
                await writer.post("/x", {}, {})
            assert writer.reader.clock_offset_seconds == pytest.approx(5_000, abs=0.6)

    run(within())


def test_over_a_real_connection() -> None:
    """The header of a real answer, in whatever case, reaches the estimate."""
    import time

    async def within() -> float | None:
        headers = f"DATE: {date(time.time() + 7200)}\r\n"
        async with wire(lambda _: answer('{"entitlements": []}', headers=headers)) as server:  # noqa: SIM117
            async with open_reader(environment(server.url), requests()) as reader:
                await reader._get("/myFirms/", {}, where="")
                return reader.clock_offset_seconds

    assert run(within()) == pytest.approx(7200, abs=2)


DST_FALLS_BACK = 1_793_514_600.0
"""2026-11-01 06:30 UTC, half an hour before Chicago's clocks go back."""
JUMPS = {"back an hour": -3600.0, "on an hour": 3600.0, "on 30 days": 30 * DAY, "back 30 days": -30 * DAY, "to 1970": -START, "DST": 0.0}


@pytest.mark.parametrize("jump", JUMPS)
def test_a_jump_of_the_wall_clock_neither_ages_a_token_nor_keeps_it(jump: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every 60 s for three hours with a jump every ten minutes: no request carries an expired token, and not one token more is asked for."""
    import time

    monkeypatch.setenv("TZ", "America/Chicago")
    time.tzset()
    try:
        clock = TwoClocks(DST_FALLS_BACK if jump == "DST" else START)
        ams = Ams(clock)
        auth = Auth(
            type=AuthType.OAUTH2, client_id="API_T", client_secret=Secret(CANARIES["the client secret"]), token_url="http://ams/token"
        )

        async def within() -> None:
            async with open_reader(environment("http://ams", auth=auth), requests(), clock=clock, transport=ams) as reader:
                for minute in range(180):
                    if minute % 10 == 5:
                        clock.jump(JUMPS[jump] * (-1) ** (minute // 10))
                    await reader._get("/myFirms/", {}, where="")
                    await clock.sleep(60)

        run(within())
        assert ams.refused == 0
        assert ams.token_calls == -(-180 * 60 // 1440)  # 80 % of 1,799 s, met at whole minutes: every 24
    finally:
        monkeypatch.undo()
        time.tzset()
