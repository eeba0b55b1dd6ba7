"""A seed, played: the real planner, executor, ledger and client over a simulated network and clock, with everything that can go wrong.

One person (and often a second one, on this machine or another) plans and applies until it is done or patience ends; runs crash, are stopped, are
resumed, taken back or begun anew; somebody else edits meanwhile. Then the faults end, and everything must come to rest. The same seed gives the same
history, byte for byte.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, TypeVar
from unittest.mock import patch

from amsctl.ams.client import Reader, open_reader
from amsctl.applying.means import Stop
from amsctl.applying.report import Report, encode_report
from amsctl.errors import AmsctlError, ExitCode
from amsctl.ledger.plans import plan_of
from amsctl.ledger.recorder import Cause
from amsctl.ledger.values import Run, Scope
from amsctl.operations import apply as operation
from amsctl.operations import runs
from amsctl.operations.apply import ApplyRequest, Around
from amsctl.operations.material import Material
from amsctl.operations.plan import PlanRequest
from amsctl.operations.plan import plan as make_plan
from amsctl.operations.record import without_git
from amsctl.operations.rollback import roll_back
from amsctl.planning.codec import text_of
from amsctl.planning.plan import Plan, Selection
from amsctl.planning.planfile import PlanFile
from amsctl.planning.points import no_past
from tests.faults import loop as virtual
from tests.faults.bugs import planted
from tests.faults.history import History
from tests.faults.ledgers import Books, RecordedLedger
from tests.faults.loop import Machine
from tests.faults.process import CURRENT, Crashed, Process
from tests.faults.server import BASE, Server
from tests.faults.transport import Network, SimTransport, random_edit, revert
from tests.faults.worlds import AMS, CLEARING_ID, FIRM, PRODUCTS, URL, Wishes, World, world_of

T = TypeVar("T")
FRESH_SECONDS = 10.0
"""How old what was read of an account may be when its rows are written; a disk that takes its time comes on top."""
SLOW_DISK_SECONDS = (0.05, 1.0, 8.0)
MOST_ROUNDS = 6
VERBS = ("resume", "resume", "apply", "apply", "resolve", "saved", "rollback")
"""What a person tries next; what the world is made for (``World.next``), as often as all of these."""


@dataclass(frozen=True)
class Played:
    """A seed that was played: what happened, and which faults it met how often."""

    seed: int
    history: History
    faults: dict[str, int]


def run_seed(seed: int, *, bug: str | None = None, hiding: bool = False) -> Played:
    """Play one seed to its end. ``hiding``: until the faults end, the AMS hides sides of the rows that it lists."""
    with planted(bug):
        return virtual.run(_play(seed, hiding=hiding))


async def _play(seed: int, *, hiding: bool) -> Played:
    simulation = Simulation(seed)
    if hiding:
        hider = simulation.network.hider = Random(f"hiding {seed}")
        simulation.world.weather.hiding = hider.choice((0.05, 0.2, 0.6, 1.0))
    await played(simulation, simulation.play)
    return Played(seed, simulation.history, dict(sorted(simulation.world.weather.seen.items())))


async def played(simulation: Simulation, work: Callable[[], Awaitable[T]]) -> T:
    """What ``work`` gives, done in a simulation, which is then over."""
    with (
        patch("amsctl.ledger.holder.this_holder", lambda environ: simulation.books.holder()),
        patch("amsctl.operations.flow.version", lambda: "0"),  # looked up on the disk each time
        patch("amsctl.operations.runs.version", lambda: "0"),
        patch("amsctl.operations.rollback.version", lambda: "0"),
    ):
        try:
            return await work()
        finally:
            simulation.books.close()


class Simulation:
    """One world and what happens in it: that of a seed, or one that is given."""

    def __init__(self, seed: int, world: World | None = None) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: None)  # tasks of crashed processes end in what nobody asks for
        self.seed = seed
        self.rng = Random(seed)
        self.world = world = world or world_of(self.rng)
        self.sources = without_git(world.project)
        self.history = History(loop.time)
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
        self.network.edit = self._edit
        self.books = Books(self.history, self.rng, power_fails=world.power > 0)
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
        """Applies, and after whatever goes wrong tries again: by resume, by resolve and apply, or by apply alone; or takes a run back."""
        await asyncio.sleep(delay)
        saved: Plan | None = None
        for attempt in range(self.rng.randint(1, 4)):
            if attempt and self.rng.random() < self.world.jump:
                self._jump(machine)
            verb = "apply" if not attempt else self.rng.choice((*VERBS, *(self.world.next,) * len(VERBS)))
            if verb == "saved" and saved is None:
                verb = "apply"
            ended = await self.process(machine, verb, wishes, saved)
            saved = ended.plan or saved
            if ended.good and verb != "resolve" and self.rng.random() < (0.3 if self.world.next == "rollback" else 0.8):
                return
            await asyncio.sleep(self.rng.choice((0.0, 1.0, 60.0)) * self.rng.random())
            if self.rng.random() < self.world.weather.edit_between:
                self._edit(None)

    def _edit(self, account: str | None) -> None:
        """Somebody else edits: anything, or what we have written, back to what it was."""
        if self.rng.random() < self.world.reverting and revert(self.server, self.rng, self.history, account):
            self.world.weather.note("reverted")
            return
        random_edit(self.server, self.rng, self.history, account, PRODUCTS, structural=self.world.structural)

    def _power_fails(self, machine: Machine, point: str) -> None:
        """All processes of a machine are gone at once, and what was not synced of what it keeps; it starts again with another monotonic clock."""
        self.world.weather.note("power")
        event = self.history.add("power", machine=machine.name, point=point, kept=None)
        for process in list(self.books.processes.values()):
            if process.machine is machine and not process.ended:
                process.crash("power")
        machine.start_again(asyncio.get_running_loop().time())
        if machine is self.machines[0]:  # the ledger is on its disk
            event["kept"] = self.books.power_failed()

    def _jump(self, machine: Machine) -> None:
        seconds = self.rng.choice((-3600.0, -100.0, 100.0, 3600.0, 30 * 86400.0))
        machine.skew += seconds
        self.history.add("jump", machine=machine.name, seconds=seconds)

    async def process(self, machine: Machine, verb: str, wishes: Wishes, saved: Plan | None = None) -> Ended:
        """One process from start to end, or to its crash."""
        rng, world = self.rng, self.world
        process = self._start(machine, verb)
        ended = Ended()
        stop = Stop()
        loop = asyncio.get_running_loop()
        timers = []
        if not world.weather.calm:
            if rng.random() < world.crash / 3:
                timers.append(loop.call_later(rng.random() * 60, process.falls, "some time"))
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
        if stormy and rng.random() < world.power:
            process.falls = partial(self._power_fails, machine)
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
                    await self._carry_out(process, plan, u, ended)
                else:
                    ended.good = True
            case "saved":
                assert saved is not None
                self._note_plan(process, saved)
                await self._carry_out(process, saved, u, ended)
            case "resume":
                run = self._some_run(u)
                if not runs.finished_well(run):
                    plan = plan_of(u.ledger, run)
                    self._note_plan(process, plan)
                    ready = operation.resumable(run, self._request(plan), process.clock)
                    self._reported(process, await runs.resume(run, ready, u), ended)
            case "resolve":
                await runs.resolve(u)
                ended.good = True
            case "rollback":
                plan = await self._way_back(process, wishes, self._some_run(u), u)
                if plan.steps and not plan.blocking:
                    await self._carry_out(process, plan, u, ended)

    async def _carry_out(self, process: Process, plan: Plan, u: runs.Undertaking, ended: Ended) -> None:
        ready = operation.reviewed(self._request(plan), u.ledger, process.clock)
        self._reported(process, await runs.carry_out(ready, u), ended)

    def _request(self, plan: Plan) -> ApplyRequest:
        """The plan, with the manifests that it was made of checked out."""
        world = self.world
        here = next(one for one in (world.wishes, world.others) if one.manifests_sha256 == f"sha256:{plan.origin.manifests_sha256}")
        return ApplyRequest(
            file=PlanFile.of(plan),
            sources=self.sources,
            environment=world.environment,
            around=Around(environ={}),
            here=here,  # type: ignore[arg-type]
        )

    def _some_run(self, u: runs.Undertaking) -> Run:
        """The newest run, as a rule."""
        newest = runs.find_run(u.ledger, None, ams=AMS)
        return newest if self.rng.random() < 0.7 else self.rng.choice(list(u.ledger.runs(ams=AMS, limit=3)))

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
        async with self._reader(process) as reader:
            plan = await make_plan(self._plan_request(process, wishes), reader, clock=process.clock, past=no_past)
        self._note_plan(process, plan)
        return plan

    async def _way_back(self, process: Process, wishes: Wishes, run: Run, u: runs.Undertaking) -> Plan:
        async with self._reader(process) as reader:
            plan = await roll_back(
                run,
                self.sources,
                self.world.environment,
                u.ledger,
                reader,
                process.clock,
                desired=wishes,  # type: ignore[arg-type]
                git=None,
                asked_by="somebody",
            )
        self._note_plan(process, plan, undoes=run.plan_digest)
        return plan

    def _plan_request(self, process: Process, wishes: Wishes) -> PlanRequest:
        sources = self.sources
        material = Material(
            desired=wishes,  # type: ignore[arg-type]
            git=None,
            base=None,
            findings=sources.findings,
            unapprovable=sources.unapprovable,
        )
        return PlanRequest(
            sources=sources, environment=self.world.environment, material=material, selection=Selection(), clock=process.clock
        )

    def _reader(self, process: Process) -> AbstractAsyncContextManager[Reader]:
        transport = SimTransport(self.network, process)
        world = self.world
        return open_reader(world.environment, world.project.requests, clock=process.clock, transport=transport, draw=self.rng.random)

    def _note_plan(self, process: Process, plan: Plan, *, undoes: str | None = None) -> None:
        self.history.add("plan", p=process.number, plan=json.loads("".join(text_of(plan))), undoes=undoes)

    def _reported(self, process: Process, report: Report, ended: Ended) -> None:
        self.history.add("report", p=process.number, report=encode_report(report), exit_code=int(report.exit_code))
        ended.good = report.exit_code is ExitCode.DONE

    def _meddle(self, process: Process) -> None:
        """A person breaks the lock, or freezes the firm for a while."""
        ledger = self.books.open(process.machine)
        if self.rng.random() < 0.5:
            for lock in ledger.locks(AMS):
                ledger.break_lock(lock.id, by="somebody", reason="it was in the way")
        else:
            scope = Scope(AMS, FIRM)
            ledger.freeze(scope, url=URL, reason="a fire", by="somebody")
            seconds = self.rng.random() * 60

            def thaw() -> None:
                ledger.thaw(scope, url=URL, reason="no fire", by="somebody")
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
            resolved = await self.process(self.machines[0], "resolve", self.world.wishes)
            ended = await self.process(self.machines[0], "apply", self.world.wishes)
            if resolved.good and ended.plan is not None and (not ended.plan.steps or ended.plan.blocking):
                self.history.add("converged", steps=len(ended.plan.steps), blocked=bool(ended.plan.blocking), rounds=number + 1)
                return
            await asyncio.sleep(0.0 if resolved.good and ended.good else lease)


@dataclass
class Ended:
    """What a process leaves to the person who started it."""

    plan: Plan | None = None
    good: bool = False
