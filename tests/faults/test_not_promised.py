"""What cannot be promised (docs/reliability.md), each shown to its exact extent, and what is done about it all the same.

An edit by somebody else is lost between our last read of a row and our write of it: it is tried before every single call of an apply, from its first
read for the plan to its last one after the write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from amsctl.model import AccountKey, DesiredAccount, DesiredExecutionFirm, DesiredRow
from tests.faults import loop as virtual
from tests.faults.checker import judge
from tests.faults.server import Account, Json, Server
from tests.faults.simulate import Simulation, played
from tests.faults.transport import Weather
from tests.faults.worlds import AMS, FIRM, HERE, PRODUCTS, World, quiet_world

ROW, OTHER_ROW = ("3N1", PRODUCTS[0]), ("3N1", PRODUCTS[1])
Edit = Callable[[Account, list[Json]], None]


def _foreign_leg(account: Account, changes: list[Json]) -> None:
    Server.set_row(account, ROW, (*account.rows[ROW][:2], 33, account.rows[ROW][3]), changes)


def _other_row(account: Account, changes: list[Json]) -> None:
    Server.set_row(account, OTHER_ROW, (1, 2, 3, 4), changes)


def _suspension(account: Account, changes: list[Json]) -> None:
    account.suspended["OFF"] = True
    changes.append({"what": ["suspended", "OFF"], "before": False, "after": True})


EDITS: dict[str, tuple[Edit, Callable[[Account], bool]]] = {
    "foreign leg": (_foreign_leg, lambda account: account.rows[ROW][2] == 33),
    "other row": (_other_row, lambda account: account.rows[OTHER_ROW] == (1, 2, 3, 4)),
    "suspension": (_suspension, lambda account: account.suspended["OFF"]),
}
"""What somebody else does, and whether it still stands."""


def _world(post: dict[str, float], *, short: int | None = None) -> World:
    """One account, one leg of the execution firm's side to tighten (and perhaps another to set); nothing goes wrong but ``post``."""
    row = DesiredRow(execution_firm=ROW[0], product=ROW[1], legs=(40, short, None, None), sources=(HERE,) * 4, source=HERE, unset=False)
    firms = (DesiredExecutionFirm(id=ROW[0], source=HERE, rows=(row,)),)
    listed = (DesiredAccount(key=AccountKey(FIRM, "DV1"), source=HERE, execution_firms=firms),)
    accounts = {"DV1": Account("A", {"3N1": False, "OFF": False}, {ROW: (50, 50, 50, 50), OTHER_ROW: (7, 7, 7, 7)})}
    return quiet_world(accounts, listed, [["DV1", ["leg", *ROW, 0], 40]], Weather(post=post))


@dataclass(frozen=True)
class Course:
    """An apply with an edit in it: the calls that the server got, whether the edit stands, and what was said."""

    calls: list[str]
    stands: bool
    report: Json | None
    exit_code: int | None
    breaches: list[str]

    @property
    def told(self) -> bool:
        """Whether the run says that a value is not what it should be: on its own, or in the step that wrote its row."""
        return self.report is not None and bool(self.report["stale"] or any(step["outcome"] == "diverged" for step in self.report["steps"]))


def _course(edit: str, at: int | None, post: dict[str, float] | None = None) -> Course:
    """Apply once; somebody edits right before the server gets call number ``at``."""

    async def play() -> Course:
        simulation = Simulation(0, _world(post or {}))
        server, account, calls = simulation.server, simulation.server.accounts["DV1"], list[str]()
        work, stands = EDITS[edit]

        def perhaps(call: str) -> None:
            calls.append(call)
            if len(calls) - 1 == at:
                changes: list[Json] = []
                work(account, changes)
                simulation.history.add("effect", by="third", account="DV1", changes=changes)

        get, post_ = server.get, server.post

        def got(target: str) -> tuple[int, Json]:
            perhaps(f"GET {target.split('/')[3]}")
            return get(target)

        def posted(target: str, body: Json, **named: Any) -> tuple[int, Json]:
            perhaps("POST")
            return post_(target, body, **named)

        server.get, server.post = got, posted  # type: ignore[method-assign]

        async def apply() -> None:
            await simulation.process(simulation.machines[0], "apply", simulation.world.wishes)

        await played(simulation, apply)
        reports = simulation.history.of("report")
        errors = simulation.history.of("error")
        assert len(reports) + len(errors) == 1
        breaches = [str(breach) for breach in judge(simulation.history.events) if breach.rule != "end"]
        report = reports[0]["report"] if reports else None
        return Course(calls, stands(account), report, (reports or errors)[0]["exit_code"], breaches)

    return virtual.run(play())


def _window() -> tuple[list[str], range, int]:
    """The calls of an undisturbed apply, those before which an edit falls between the last read of the row and its write, and the read-back."""
    calls = _course("foreign leg", None).calls
    write = calls.index("POST")
    rows = [number for number, call in enumerate(calls) if call == "GET accountLimitsUtilization"]
    read = max(number for number in rows if number < write)
    back = min(number for number in rows if number > write)
    assert len(rows) == 3  # for the plan, right before the write, right after it
    return calls, range(read + 1, write + 1), back


def test_only_an_edit_inside_the_round_trip_is_lost() -> None:
    """Before every single call somebody sets the other side's leg of the row that we write: it is overwritten between the last read and the write, by the
    echo, and nobody can tell; before that nothing is sent or the plan reckons with it, after that it stands, and is told when the read-back saw it.
    """
    calls, window, back = _window()
    plan_read = calls.index("GET accountLimitsUtilization")
    for at in range(len(calls)):
        course = _course("foreign leg", at)
        assert course.breaches == [], at
        assert course.stands == (at not in window), (at, calls)
        if at in window:
            assert (course.exit_code, course.told) == (0, False)
        elif at <= plan_read:
            assert course.exit_code == 0
        elif at <= window.start:
            assert course.told
            assert "POST" not in course.calls
        else:
            assert course.told == (at <= back), at


@pytest.mark.parametrize("edit", ["other row", "suspension"])
def test_an_edit_beside_the_row_stands_and_is_told(edit: str) -> None:
    """In the same window whatever is not in the row that we write is not overwritten, and the run says that it has moved."""
    _, window, _ = _window()
    for at in window:
        course = _course(edit, at)
        assert course.breaches == []
        assert course.stands
        assert course.told, course.calls
        assert course.exit_code != 0


def test_what_the_read_back_shows_of_it_is_told() -> None:
    """An edit of the row itself inside the window, and a write that stores nothing, so that the edit is there to be seen: it is in the report."""
    _, window, _ = _window()
    for at in window:
        course = _course("foreign leg", at, {"stored-nothing": 1.0})
        assert course.breaches == []
        assert course.stands
        assert course.report is not None
        (step,) = course.report["steps"]
        assert step["outcome"] == "diverged"
        assert "33" in step["message"]
        assert course.exit_code != 0


# --- calls that land late, or twice ---


async def _apply(simulation: Simulation) -> Json:
    """The report of one more apply."""
    await simulation.process(simulation.machines[0], "apply", simulation.world.wishes)
    report: Json = simulation.history.of("report")[-1]["report"]
    return report


async def _landed(simulation: Simulation) -> None:
    """Everything that is on its way has arrived."""
    await asyncio.sleep(max(0.0, simulation.network.quiet_after() - asyncio.get_running_loop().time()) + 1.0)


def test_a_call_that_lands_too_late_is_found_by_the_next_plan() -> None:
    """Without an answer, and not there when the settling time is over: told as not stored, and nothing more is sent. It lands after all, and the next
    plan, which reads, has nothing to do: it is not sent a second time.
    """

    async def play() -> None:
        simulation = Simulation(0, _world({"beyond": 1.0}))

        async def late() -> None:
            report = await _apply(simulation)
            assert [step["outcome"] for step in report["steps"]] == ["failed"]
            assert "nothing was stored" in report["steps"][0]["message"]
            assert simulation.server.accounts["DV1"].rows[ROW][0] == 50
            await _landed(simulation)
            assert simulation.server.accounts["DV1"].rows[ROW][0] == 40
            await simulation.process(simulation.machines[0], "apply", simulation.world.wishes)
            assert simulation.history.of("plan")[-1]["plan"]["steps"] == []
            assert len(simulation.history.of("post")) == 1
            assert [breach for breach in judge(simulation.history.events) if breach.rule != "end"] == []

        await played(simulation, late)

    virtual.run(play())


def test_a_call_that_lands_twice_is_found_by_the_next_plan() -> None:
    """Verified, changed by somebody else, and then stored once more on its way to us: that overwrites the other's value, and nobody can prevent it. The
    value is the plan's own, and the next plan finds it.
    """

    async def play() -> None:
        simulation = Simulation(0, _world({"late-duplicate": 1.0}))

        async def twice() -> None:
            report = await _apply(simulation)
            assert [step["outcome"] for step in report["steps"]] == ["verified"]
            account, changes = simulation.server.accounts["DV1"], list[Json]()
            assert len([event for event in simulation.history.of("effect") if event["by"] == "us"]) == 1
            Server.set_row(account, ROW, (35, 50, 50, 50), changes)
            simulation.history.add("effect", by="third", account="DV1", changes=changes)
            await _landed(simulation)
            assert account.rows[ROW] == (40, 50, 50, 50)
            assert simulation.history.of("effect")[-1]["beyond"]
            await simulation.process(simulation.machines[0], "apply", simulation.world.wishes)
            assert simulation.history.of("plan")[-1]["plan"]["steps"] == []
            assert len(simulation.history.of("post")) == 1

        await played(simulation, twice)

    virtual.run(play())


# --- a lock that a person breaks ---


def test_a_call_that_was_announced_leaves_although_its_lock_is_broken() -> None:
    """Broken between the intent and the first byte: this one call arrives, planned and recorded as it is; nothing leaves after it, and the report says why."""

    async def play() -> None:
        simulation = Simulation(0, _world({}, short=60))
        draw = simulation.network.draw

        def broken(faults: dict[str, float]) -> str | None:
            if faults is simulation.world.weather.post and not simulation.history.of("post"):
                ledger = simulation.books.open(simulation.machines[0])
                (lock,) = ledger.locks(AMS)
                ledger.break_lock(lock.id, by="somebody", reason="it was in the way")
                simulation.books.note(None)
            return draw(faults)

        simulation.network.draw = broken  # type: ignore[method-assign]

        async def apply() -> None:
            report = await _apply(simulation)
            assert [step["outcome"] for step in report["steps"]] == ["verified", "blocked"]
            assert "lock" in report["postponed"]
            assert len(simulation.history.of("post")) == 1
            kinds = [event["record"]["kind"] for event in simulation.history.of("ledger")]
            assert kinds[:4] == ["lock-taken", "run-started", "intent", "lock-broken"]
            rules = {breach.rule for breach in judge(simulation.history.events)}
            assert rules == {"end"}  # which was not played
            late = [dict(event) for event in simulation.history.events]
            for event in late[simulation.history.of("post")[0]["n"] :]:
                event["t"] += 30  # far longer after it was announced than a call may leave
            assert "lock" in {breach.rule for breach in judge(late)}

        await played(simulation, apply)

    virtual.run(play())
