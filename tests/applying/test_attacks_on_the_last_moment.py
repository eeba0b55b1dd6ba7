"""Attacks on the moment before a call leaves, and on what is told of it afterwards."""

from __future__ import annotations

import asyncio

import pytest

from amsctl.applying.means import Barrier, Stop
from amsctl.applying.recorders import Recorders
from amsctl.errors import AmsctlError, ExitCode, Later, LockLost, NotBegun, RecordingFailed
from amsctl.model import Outcome, Phase
from tests.applying.test_executor import CJ, account, wish
from tests.applying.test_resuming import slowly, two
from tests.applying.world import Notes, World, apply, plan_of
from tests.authorised import authorised


class Slow(Notes):
    """A ledger that takes a minute to write the first record of a run; somebody edits meanwhile."""

    def __init__(self, here: World) -> None:
        super().__init__()
        self.here = here

    async def started(self, plan: object, inverse: object, at: str) -> None:
        self.here.clock.now += 60
        self.here.accounts["A"].rows["3N1", CJ] = (324, 567, 1, 1)


def test_one_account_alone_is_read_again_when_the_ledger_was_slow() -> None:
    """Otherwise the other side's values, a minute old, would be echoed over somebody's edit."""
    here = World({"A": account()})
    plan = plan_of(here, {"A": wish()})
    report = apply(here, plan, notes=Slow(here))
    assert here.accounts["A"].rows["3N1", CJ][2:] == (1, 1)
    assert (report.exit_code, here.posts) == (ExitCode.STALE, [])


def test_a_call_that_waits_for_its_turn_does_not_leave_once_the_run_is_stopped() -> None:
    """A signal, a lock that is known to be lost, an edit found elsewhere: no write starts after it, announced or not."""
    here = World({"A": account()})
    plan, stop = plan_of(here, {"A": wish()}), Stop()
    post = here.post

    async def stopped_meanwhile(path: str, query: object, body: object, **leaving: object) -> object:
        stop.request("the run was stopped by SIGTERM", ExitCode.TERMINATED)
        return await post(path, query, body, **leaving)  # type: ignore[arg-type]

    here.post = stopped_meanwhile  # type: ignore[method-assign,assignment]
    report = apply(here, plan, stop=stop)
    assert here.posts == []
    assert report.exit_code is ExitCode.TERMINATED


class Lost(Notes):
    """The lock is lost when a call is announced for the second time."""

    async def intended(self, step: object, attempt: int, at: str, *, previous_status: int | None) -> None:
        if attempt == 2:
            raise LockLost("the lock of this run is no longer its own")
        await super().intended(step, attempt, at, previous_status=previous_status)  # type: ignore[arg-type]


def test_a_call_that_was_announced_and_then_never_sent_is_not_left_open() -> None:
    here = World({"A": account()})
    plan, notes = plan_of(here, {"A": wish()}), Lost()
    slowly(here, 45, 1)
    report = apply(here, plan, notes=notes)
    assert here.posts == []
    assert report.steps[0].outcome is Outcome.FAILED
    assert "no longer its own" in report.steps[0].message
    assert report.steps[0].attempts == 0
    assert {step.outcome for step in report.steps[1:]} == {Outcome.BLOCKED}
    assert report.exit_code is ExitCode.LATER


def test_an_account_is_looked_at_whole_before_a_release_that_waited_for_its_turn() -> None:
    """It may let orders through only when every limit is as planned, and that was read before the wait."""
    here = World({"A": account()})
    plan = plan_of(here, {"A": wish()})
    release = next(number for number, step in enumerate(plan.steps) if step.phase is Phase.RELEASE)
    post = here.post

    async def waiting(path: str, query: object, body: object, **leaving: object) -> object:
        if len(here.posts) == release and here.clock.now < 1_700_000_040:
            here.clock.now += 45
            here.accounts["A"].rows["3N1", CJ] = (9999, 9999, 9999, 9999)
        return await post(path, query, body, **leaving)  # type: ignore[arg-type]

    here.post = waiting  # type: ignore[method-assign,assignment]
    report = apply(here, plan)
    assert report.exit_code is ExitCode.STALE
    assert len(here.posts) == release


class Full(Notes):
    """A recorder that can write down intents but no outcome."""

    async def settled(self, report: object, at: str) -> None:
        raise RecordingFailed("the events file cannot be written")

    async def finished(self, report: object) -> None:
        raise RecordingFailed("the events file cannot be written")


def test_a_recorder_that_fails_takes_no_outcome_from_the_others() -> None:
    """A disk that is full for --events must not cost the ledger an outcome: an unknown call would come out of quarantine by itself."""
    here = World({"A": account()})
    plan, notes = plan_of(here, {"A": wish()}), Notes()
    report = apply(here, plan, notes=Recorders([Full(), notes]))
    assert report.unrecorded is not None
    assert ("settled", "s1 verified") in notes.lines
    assert notes.lines[-1] == ("finished", str(int(report.exit_code)))


def test_a_recorder_that_fails_at_the_very_end_is_told() -> None:
    class Late(Notes):
        async def finished(self, report: object) -> None:
            raise RecordingFailed("the events file cannot be written")

    here = World({"A": account()})
    report = apply(here, plan_of(here, {"A": wish()}), notes=Late())
    assert report.unrecorded is not None
    assert report.exit_code is ExitCode.PARTIAL


def test_a_run_cut_off_at_any_await_leaves_no_call_without_an_intent() -> None:
    """Cancelled after any number of turns of the loop: every call that left was announced, none twice, and no barrier was crossed."""
    for turns in range(0, 400, 3):
        here, plan = two({})
        notes = Notes()

        async def cut(here: World = here, plan: object = plan, notes: Notes = notes, turns: int = turns) -> None:
            from amsctl.applying.executor import execute
            from amsctl.applying.means import Means
            from amsctl.model import Firm
            from tests.applying.world import FIRM

            means = Means(
                reader=here,
                writer=here,  # type: ignore[arg-type]
                clock=here.clock,
                firms={FIRM: Firm(name=FIRM, clearing_id="780")},
                recorder=notes,
                settle_seconds=30,
                concurrency=2,
                barrier=Barrier.RUN,
            )
            task = asyncio.create_task(execute(authorised(plan), means))  # type: ignore[arg-type]
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        asyncio.run(cut())
        announced = [what for word, what in notes.lines if word == "intended"]
        assert len(here.posts) <= len(announced) == len(set(announced))


def waiting_at(here: World, *calls: int) -> None:
    """The calls with these numbers have to wait 45 seconds for their turn; a call that is kept back counts."""
    post, made = here.post, 0

    async def waiting(path: str, query: object, body: object, **leaving: object) -> object:
        nonlocal made
        made += 1
        if made in calls:
            here.clock.now += 45
        return await post(path, query, body, **leaving)  # type: ignore[arg-type]

    here.post = waiting  # type: ignore[method-assign,assignment]


def test_sendings_are_added_up_over_a_refused_credential_and_a_long_wait() -> None:
    """401, then kept back because its read had grown old, then sent: twice it left, three times it was announced."""
    here, notes = World({"A": account()}, faults={1: "unauthorised"}), Notes()
    plan = plan_of(here, {"A": wish()})
    waiting_at(here, 2)
    report = apply(here, plan, notes=notes)
    assert (report.exit_code, report.steps[0].attempts) == (ExitCode.DONE, 2)
    assert [what for word, what in notes.lines if word == "intended"][:4] == ["s1#1", "s1#2", "s1#3", "s2#1"]
    assert here.posts[0] == here.posts[1] != here.posts[2]


def test_no_step_is_sent_a_third_time_however_its_sendings_are_spread() -> None:
    here = World({"A": account()}, faults={1: "unauthorised", 2: "unauthorised"})
    plan = plan_of(here, {"A": wish()})
    waiting_at(here, 2)
    report = apply(here, plan)
    assert (report.steps[0].outcome, report.steps[0].attempts, report.steps[0].http_status) == (Outcome.FAILED, 2, 401)
    assert here.posts.count(here.posts[0]) == 2


def test_a_call_that_was_refused_and_then_given_up_is_not_told_as_never_sent() -> None:
    """The second sending never gets its turn in time; the first one left and was answered."""
    here = World({"A": account()}, faults={1: "unauthorised"})
    plan = plan_of(here, {"A": wish()})
    waiting_at(here, 2, 3, 4, 5, 6)
    told = apply(here, plan).steps[0]
    assert (told.outcome, told.attempts, told.http_status) == (Outcome.FAILED, 1, 401)
    assert "never sent" not in told.message
    assert "not sent again" in told.message
    assert "it had to wait too often" in told.message
    assert "read back, nothing was stored" in told.message


def test_a_refused_call_that_is_stopped_while_it_waits_is_told_by_its_first_sending() -> None:
    here, stop = World({"A": account()}, faults={1: "unauthorised"}), Stop()
    plan = plan_of(here, {"A": wish()})
    post, made = here.post, 0

    async def stopped(path: str, query: object, body: object, **leaving: object) -> object:
        nonlocal made
        made += 1
        if made == 2:
            stop.request("the run was stopped by SIGTERM", ExitCode.TERMINATED)
        return await post(path, query, body, **leaving)  # type: ignore[arg-type]

    here.post = stopped  # type: ignore[method-assign,assignment]
    told = apply(here, plan, stop=stop).steps[0]
    assert (told.outcome, told.attempts, told.http_status, len(here.posts)) == (Outcome.FAILED, 1, 401, 1)
    assert "not sent again: the run was stopped by SIGTERM" in told.message


class LostLater(Notes):
    """The lock is lost when a call is announced for the third time."""

    async def intended(self, step: object, attempt: int, at: str, *, previous_status: int | None) -> None:
        if attempt == 3:
            raise LockLost("the lock of this run is no longer its own")
        await super().intended(step, attempt, at, previous_status=previous_status)  # type: ignore[arg-type]


def test_a_refused_call_whose_lock_is_lost_while_it_waits_is_told_by_its_first_sending() -> None:
    """Something was sent: that is not 'try later', and the announcements must not stay open."""
    here, notes = World({"A": account()}, faults={1: "unauthorised"}), LostLater()
    plan = plan_of(here, {"A": wish()})
    waiting_at(here, 2)
    report = apply(here, plan, notes=notes)
    told = report.steps[0]
    assert (told.outcome, told.attempts, told.http_status) == (Outcome.FAILED, 1, 401)
    assert "no longer its own" in told.message
    assert report.exit_code is ExitCode.PARTIAL
    assert ("settled", "s1 failed") in notes.lines


class Closing:
    """A gate that closes for good when it is asked for the second time: right before the first byte."""

    def __init__(self) -> None:
        self.asked = 0

    def obstacle(self, step: object) -> str | None:
        self.asked += 1
        return "closed by window w" if self.asked > 2 else None


def test_a_window_that_closes_at_the_last_moment_before_anything_was_sent_is_to_be_tried_later() -> None:
    here, notes = World({"A": account()}), Notes()
    plan = plan_of(here, {"A": wish()})
    report = apply(here, plan, gate=Closing(), notes=notes)
    assert here.posts == []
    assert (report.steps[0].outcome, report.steps[0].attempts) == (Outcome.FAILED, 0)
    assert report.steps[0].message == "never sent: closed by window w"
    assert (report.postponed, report.exit_code) == ("closed by window w", ExitCode.LATER)
    assert ("settled", "s1 failed") in notes.lines


def test_a_defect_between_the_announcement_and_the_first_byte_sent_nothing() -> None:
    class Broken:
        def obstacle(self, step: object) -> str | None:
            self.asked = getattr(self, "asked", 0) + 1
            return "" + 1 if self.asked > 2 else None  # type: ignore[operator]

    here = World({"A": account()})
    report = apply(here, plan_of(here, {"A": wish()}), gate=Broken())
    assert here.posts == []
    assert (report.steps[0].outcome, report.steps[0].attempts) == (Outcome.FAILED, 0)
    assert {step.outcome for step in report.steps[1:]} == {Outcome.BLOCKED}


@pytest.mark.parametrize(("code", "error"), [(ExitCode.TERMINATED, NotBegun), (None, Later)])
def test_a_run_that_was_stopped_already_reads_nothing_and_leaves_no_record(code: ExitCode | None, error: type[AmsctlError]) -> None:
    here, stop, notes = World({"A": account()}), Stop(), Notes()
    plan = plan_of(here, {"A": wish()})
    stop.request("the run was stopped", code)
    with pytest.raises(error, match="stopped while reading: found the run was stopped; nothing was sent") as stopped:
        apply(here, plan, stop=stop, notes=notes)
    assert stopped.value.exit_code is (code or ExitCode.LATER)
    assert (here.reads, here.posts, notes.lines) == (0, [], [])
