"""A seed, played: the real planner, executor, ledger and client over a simulated network and clock, with everything that can go wrong.

One person (and often a second one, on this machine or another) plans and applies until it is done or patience ends; runs crash, are stopped, are resumed
or begun anew; somebody else edits meanwhile. Then the faults end, and everything must come to rest. The same seed gives the same history, byte for byte.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Any
from unittest.mock import patch

from amsctl import runs
from amsctl.ams.client import open_reader
from amsctl.applying.means import Stop
from amsctl.applying.report import Report, encode_report
from amsctl.errors import AmsctlError, ExitCode
from amsctl.flow import Wish, check_age, make_plan
from amsctl.ledger.recorder import Cause
from amsctl.ledger.values import Scope
from amsctl.planning.codec import text_of
from amsctl.planning.plan import Plan
from tests.faults import loop as virtual
from tests.faults.bugs import planted
from tests.faults.history import History
from tests.faults.ledgers import Books, RecordedLedger
from tests.faults.loop import Machine
from tests.faults.process import CURRENT, Crashed, Process
from tests.faults.server import BASE, Server
from tests.faults.transport import Network, SimTransport, random_edit
from tests.faults.worlds import CLEARING_ID, FIRM, PRODUCTS, URL, Wishes, World, world_of

FRESH_SECONDS = 10.0
"""How old what was read of an account may be when its rows are written; a disk that takes its time comes on top."""
SLOW_DISK_SECONDS = (0.05, 1.0, 8.0)
MOST_ROUNDS = 6


@dataclass(frozen=True)
class Played:
    """A seed that was played: what happened, and which faults it met how often."""

    seed: int
    history: History
    faults: dict[str, int]


def run_seed(seed: int, *, bug: str | None = None) -> Played:
    """Play one seed to its end."""
    with planted(bug):
        return virtual.run(_play(seed))


async def _play(seed: int) -> Played:
    simulation = Simulation(seed)
    with (
        patch("amsctl.ledger.holder.this_holder", lambda environ: simulation.books.holder()),
        patch("amsctl.flow.version", lambda: "0"),  # looked up on the disk each time
        patch("amsctl.runs.version", lambda: "0"),
    ):
        try:
            await simulation.play()
        finally:
            simulation.books.close()
    return Played(seed, simulation.history, dict(sorted(simulation.world.weather.seen.items())))


class Simulation:
    """One world and what happens in it."""

    def __init__(self, seed: int) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: None)  # tasks of crashed processes end in what nobody asks for
        self.seed = seed
        self.rng = Random(seed)
        self.world: World = world_of(self.rng)
        self.history = History(loop.time)
        world = self.world
        self.server = Server(FIRM, CLEARING_ID, world.accounts, PRODUCTS, world.dialect)
        requests = world.project.requests
        self.network = Network(
            self.server,
            self.history,
            self.rng,
            world.weather,
            timeout_seconds=requests.timeout_seconds,
            settle_seconds=requests.settle_seconds,
        )
        self.network.edit = lambda account: random_edit(self.server, self.rng, self.history, account, PRODUCTS, structural=world.structural)
        self.books = Books(self.history, self.rng)
        self.machines = [Machine("one", boot=5000.0, skew=world.skew), Machine("two", boot=70.0, skew=-world.skew / 2)]
        self.history.add(
            "setup",
            seed=seed,
            firm=FIRM,
            base=BASE,
            unset_means=world.project.unset_means.value,
            ownership=[owner.value for owner in world.project.ownership],
            settle_seconds=requests.settle_seconds,
            timeout_seconds=requests.timeout_seconds,
            fresh_seconds=FRESH_SECONDS + (2 * max(SLOW_DISK_SECONDS) if world.slow_disk else 0.0),
            accounts={number: account.plain() for number, account in world.accounts.items()},
            wishes=world.wished,
        )

    async def play(self) -> None:
        """Everything, to the end."""
        world = self.world
        people = [self._person(world.wishes, self.machines[0], delay=0.0)]
        if world.second:
            machine = self.machines[1 if world.other_machine else 0]
            people.append(self._person(world.others, machine, delay=self.rng.random() * 40))
        await asyncio.gather(*people)
        await self._come_to_rest()

    # --- people ---

    async def _person(self, wishes: Wishes, machine: Machine, *, delay: float) -> None:
        """Applies, and after whatever goes wrong tries again: by resume, by resolve and apply, or by apply alone."""
        await asyncio.sleep(delay)
        saved: Plan | None = None
        for attempt in range(self.rng.randint(1, 4)):
            if attempt and self.rng.random() < self.world.jump:
                self._jump(machine)
            verb = "apply" if not attempt else self.rng.choice(("resume", "resume", "apply", "apply", "resolve", "saved"))
            if verb == "saved" and saved is None:
                verb = "apply"
            ended = await self._process(machine, verb, wishes, saved)
            saved = ended.plan or saved
            if ended.good and verb != "resolve" and self.rng.random() < 0.8:
                return
            await asyncio.sleep(self.rng.choice((0.0, 1.0, 60.0)) * self.rng.random())

    def _jump(self, machine: Machine) -> None:
        seconds = self.rng.choice((-3600.0, -100.0, 100.0, 3600.0, 30 * 86400.0))
        machine.skew += seconds
        self.history.add("jump", machine=machine.name, seconds=seconds)

    async def _process(self, machine: Machine, verb: str, wishes: Wishes, saved: Plan | None) -> Ended:
        """One process from start to end, or to its crash."""
        rng, world = self.rng, self.world
        process = self._start(machine, verb)
        ended = Ended()
        stop = Stop()
        loop = asyncio.get_running_loop()
        timers = []
        if not world.weather.calm:
            if rng.random() < world.crash / 3:
                timers.append(loop.call_later(rng.random() * 60, process.crash, "some time"))
            if rng.random() < world.signal:
                timers.append(loop.call_later(rng.random() * 20, stop.request, "interrupted", ExitCode.INTERRUPTED))
            if rng.random() < world.jump / 2:
                timers.append(loop.call_later(rng.random() * 20, self._jump, machine))
            if rng.random() < world.meddling:
                timers.append(loop.call_later(rng.random() * 20, self._meddle, process))
        work = self._work(process, verb, wishes, saved, stop, ended)
        process.task = loop.create_task(self._within(process, work))
        await asyncio.wait([process.task])
        process.ended = True
        for timer in timers:
            timer.cancel()
        return ended

    def _start(self, machine: Machine, verb: str) -> Process:
        rng, world = self.rng, self.world
        stormy = not world.weather.calm
        crash_at, crash_on = None, None
        if stormy and rng.random() < world.crash:
            crash_on = rng.choice((None, "after-send"))
            crash_at = rng.randint(1, rng.choice((15, 80)) if crash_on is None else 4)
        pause_at = rng.randint(1, 40) if stormy and rng.random() < world.pause else None
        process = Process(
            len(self.books.processes) + 1,
            machine,
            self.history,
            crash_at=crash_at,
            crash_on=crash_on,
            pause_at=pause_at,
            pause_seconds=rng.choice((5.0, 50.0, 130.0, 400.0)),
        )
        self.books.processes[process.number] = process
        process.on_crash.append(self.network.crashed)
        self.history.add("process", p=process.number, machine=machine.name, verb=verb, barrier=world.barrier.value)
        return process

    async def _within(self, process: Process, work: Awaitable[None]) -> None:
        CURRENT.set(process)
        try:
            await work
        except AmsctlError as problem:
            self._note_error(process, problem, defect=False)
        except (Crashed, asyncio.CancelledError):
            if not process.dead:
                raise
        except Exception as problem:
            self._note_error(process, problem, defect=True)

    def _note_error(self, process: Process, problem: Exception, *, defect: bool) -> None:
        if not process.dead:
            code = int(problem.exit_code) if isinstance(problem, AmsctlError) else None
            name = type(problem).__name__
            self.history.add("error", p=process.number, error=name, exit_code=code, message=str(problem), defect=defect)

    async def _work(self, process: Process, verb: str, wishes: Wishes, saved: Plan | None, stop: Stop, ended: Ended) -> None:
        u = self._undertaking(process, stop)
        match verb:
            case "apply":
                plan = await self._plan(process, wishes)
                ended.plan = plan
                if plan.steps and not plan.blocking:
                    self._reported(process, await runs.carry_out(plan, u), ended)
                else:
                    ended.good = True
            case "saved":
                assert saved is not None
                check_age(saved, process.clock)
                self._note_plan(process, saved)
                self._reported(process, await runs.carry_out(saved, u), ended)
            case "resume":
                run = runs.find_run(u.ledger, None, url=URL)
                if not runs.finished_well(run):
                    plan = runs.plan_of(u.ledger, run)
                    self._note_plan(process, plan)
                    self._reported(process, await runs.resume(run, u), ended)
            case "resolve":
                await runs.resolve(u)
                ended.good = True

    def _undertaking(self, process: Process, stop: Stop) -> runs.Undertaking:
        world = self.world
        calm = world.weather.calm
        around = runs.Surroundings(
            clock=process.clock,
            transport=SimTransport(self.network, process),
            draw=self.rng.random,
            token=lambda: f"{process.number:06x}",
            offload=self._offload_of(process),
        )
        return runs.Undertaking(
            project=world.project,
            environment=world.environment,
            ledger=RecordedLedger(self.books, process, full_disk=0.0 if calm else world.full_disk),  # type: ignore[arg-type]
            cause=Cause(),
            barrier=world.barrier,
            stop=stop,
            surroundings=around,
        )

    def _offload_of(self, process: Process) -> Callable[..., Awaitable[Any]]:
        async def offload(work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
            await process.awake()
            if not self.world.weather.calm and self.rng.random() < self.world.slow_disk:
                await asyncio.sleep(self.rng.choice(SLOW_DISK_SECONDS) * self.rng.random())
                await process.awake()
            result = work(*arguments, **named)
            await process.awake()
            return result

        return offload

    async def _plan(self, process: Process, wishes: Wishes) -> Plan:
        world = self.world
        around = {"clock": process.clock, "transport": SimTransport(self.network, process), "draw": self.rng.random}
        async with open_reader(world.environment, world.project.requests, **around) as reader:  # type: ignore[arg-type]
            wish = Wish(project=world.project, environment=world.environment, desired=wishes)  # type: ignore[arg-type]
            plan = await make_plan(wish, reader, clock=process.clock)
        self._note_plan(process, plan)
        return plan

    def _note_plan(self, process: Process, plan: Plan) -> None:
        self.history.add("plan", p=process.number, plan=json.loads("".join(text_of(plan))))

    def _reported(self, process: Process, report: Report, ended: Ended) -> None:
        self.history.add("report", p=process.number, report=encode_report(report), exit_code=int(report.exit_code))
        ended.good = report.exit_code is ExitCode.DONE

    def _meddle(self, process: Process) -> None:
        """A person breaks the lock, or freezes the firm for a while."""
        ledger = self.books.open(process.machine)
        if self.rng.random() < 0.5:
            for lock in ledger.locks(URL):
                ledger.break_lock(lock.id, by="somebody", reason="it was in the way")
        else:
            scope = Scope(URL, FIRM)
            ledger.freeze(scope, reason="a fire", by="somebody")
            seconds = self.rng.random() * 60

            def thaw() -> None:
                ledger.thaw(scope, reason="no fire", by="somebody")
                self.books.note(None)

            asyncio.get_running_loop().call_later(seconds, thaw)
        self.books.note(None)

    # --- the end ---

    async def _come_to_rest(self) -> None:
        """The faults end; what is on its way lands; then the same wishes are applied until nothing is left to do."""
        loop = asyncio.get_running_loop()
        self.world.weather.calm = True
        for machine in self.machines:
            machine.skew = 0.0
        await asyncio.sleep(max(0.0, self.network.quiet_after() - loop.time()) + 61.0)
        self.history.add("calm")
        lease = self.world.project.ledger.lease_seconds
        for number in range(MOST_ROUNDS):
            resolved = await self._process(self.machines[0], "resolve", self.world.wishes, None)
            ended = await self._process(self.machines[0], "apply", self.world.wishes, None)
            if resolved.good and ended.plan is not None and (not ended.plan.steps or ended.plan.blocking):
                self.history.add("converged", steps=len(ended.plan.steps), blocked=bool(ended.plan.blocking), rounds=number + 1)
                return
            await asyncio.sleep(0.0 if resolved.good and ended.good else lease)


@dataclass
class Ended:
    """What a process leaves to the person who started it."""

    plan: Plan | None = None
    good: bool = False
