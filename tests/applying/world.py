"""A small AMS in memory, with everything that can go wrong with a POST, behind the ports that an apply works with.

The state and its rules are the planner's reference model; no code of ``applying`` is used to build it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from amsctl.applying.executor import execute
from amsctl.applying.means import Means, Stop
from amsctl.applying.recorders import Recorders
from amsctl.applying.report import Report, StepReport
from amsctl.config import Safeguards
from amsctl.errors import AmsError, AmsMalformed, AmsNoAnswer, AmsRefused, AmsUnreachable, IncompleteRead
from amsctl.model import DesiredAccount, Firm, LiveAccount, LiveRow, RowKey
from amsctl.planning.arrange import arrange, assemble
from amsctl.planning.diff import Rules, diff
from amsctl.planning.plan import Origin, Plan, Step, Target
from amsctl.wire.answers import AccountEntry
from tests.authorised import authorised
from tests.planning.reference import Account

FIRM = "GREENTEA"
FAULTS = (
    "refused",
    "refused-200",
    "failed-before",
    "failed-after",
    "gateway-before",
    "gateway-after",
    "lost-request",
    "lost-answer",
    "late",
    "unreachable",
    "stored-nothing",
    "stored-nothing-old",
    "partial",
    "partial-lost",
    "wrong-answer",
    "malformed",
    "malformed-after",
    "unauthorised",
    "foreign-edit",
)


@dataclass
class Clock:
    """Time that passes only when somebody sleeps; what is due then happens."""

    now: float = 1_700_000_000.0
    due: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    def wall(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        for moment, happen in list(self.due):
            if moment <= self.now:
                self.due.remove((moment, happen))
                happen()
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Answer:
    http_status: int
    body: Mapping[str, object]
    response_sha256: str | None = None


class Refusal(AmsRefused):
    """A 401 after which a fresh credential is at hand."""

    credential_refreshed = True


@dataclass
class World:
    """Accounts, what was sent to them, and the faults to come: ``faults`` maps the n-th POST (from 1) to its fault."""

    accounts: dict[str, Account]
    faults: dict[int, str] = field(default_factory=dict)
    failing_reads: set[int] = field(default_factory=set)
    clock: Clock = field(default_factory=Clock)
    posts: list[tuple[str, Mapping[str, str], Mapping[str, object]]] = field(default_factory=list)
    reads: int = 0
    instants: list[dict[str, Account]] = field(default_factory=list)
    watch: Callable[[World], None] = lambda world: None

    def __post_init__(self) -> None:
        self.remember()

    def remember(self) -> None:
        self.instants.append({number: account.copy() for number, account in self.accounts.items()})
        self.watch(self)

    # --- reading ---

    async def _read(self, number: str) -> Account:
        self.reads += 1
        await asyncio.sleep(0)
        if self.reads in self.failing_reads:
            raise IncompleteRead("a page fell short", where=f"{FIRM}/{number}")
        if number not in self.accounts:
            raise AmsError("no such account", where=f"{FIRM}/{number}")
        return self.accounts[number]

    async def statuses(self, firm: Firm, numbers: Collection[str]) -> Mapping[str, AccountEntry]:
        found = {}
        for number in numbers:
            if number in self.accounts:
                account = await self._read(number)
                found[number] = AccountEntry(number=number, status_word=account.status)
        return found

    async def account(self, firm: Firm, number: str, *, status: AccountEntry | None = None) -> LiveAccount:
        return (await self._read(number)).live()

    async def limits(self, firm: Firm, number: str) -> Mapping[RowKey, LiveRow]:
        return (await self._read(number)).live().rows

    async def suspensions(self, firm: Firm, number: str) -> Mapping[str, bool]:
        return dict((await self._read(number)).suspended)

    # --- writing ---

    async def post(
        self, path: str, query: Mapping[str, str], body: Mapping[str, object], *, leaving: Callable[[], None] | None = None
    ) -> Answer:
        if leaving is not None:
            leaving()
        self.posts.append((path, query, body))
        await asyncio.sleep(0)
        account = self.accounts[_number(body)]
        fault = self.faults.get(len(self.posts))
        if fault is None:
            self._take_effect(account, path, query, body)
            return Answer(200, _answer(account, path))
        return self._faulty(fault, account, path, query, body)

    def _take_effect(self, account: Account, path: str, query: Mapping[str, str], body: Mapping[str, object]) -> None:
        account.post(_step(account, path, query, body))
        self.remember()

    def _faulty(self, fault: str, account: Account, path: str, query: Mapping[str, str], body: Mapping[str, object]) -> Answer:
        def effect() -> None:
            self._take_effect(account, path, query, body)

        match fault:
            case "refused":
                raise AmsRefused("Bad Request", http_status=400, error_type="400")
            case "refused-200":
                raise AmsRefused("Limit Type not found", http_status=200, error_type="IllegalArgumentException")
            case "unauthorised":
                raise Refusal("Unauthorized", http_status=401)
            case "failed-before" | "gateway-before":
                raise AmsRefused("failed", http_status=500 if fault.startswith("failed") else 502)
            case "timed-out":
                self.clock.due.append((self.clock.now + 20, effect))
                raise AmsRefused("Request Timeout", http_status=408)
            case "failed-after" | "gateway-after":
                effect()
                raise AmsRefused("failed", http_status=500 if fault.startswith("failed") else 504)
            case "lost-request":
                raise AmsNoAnswer("no answer within 30 s")
            case "lost-answer":
                effect()
                raise AmsNoAnswer("connection reset")
            case "late":
                self.clock.due.append((self.clock.now + 20, effect))
                raise AmsNoAnswer("no answer within 30 s")
            case "unreachable":
                raise AmsUnreachable("connection refused")
            case "stored-nothing":
                would_be = account.copy()
                would_be.post(_step(account, path, query, body))
                return Answer(200, _answer(would_be, path))
            case "stored-nothing-old":
                return Answer(200, _answer(account, path))
            case "partial" | "partial-lost":
                self._take_effect(account, path, query, _first_item(body))
                if fault == "partial-lost":
                    raise AmsNoAnswer("connection reset")
                return Answer(200, _answer(account, path))
            case "wrong-answer":
                effect()
                return Answer(200, _answer(Account(account.firm, account.number), path))
            case "malformed":
                raise AmsMalformed("the answer is a web page", http_status=200)
            case "malformed-after":
                effect()
                raise AmsMalformed("the answer is a web page", http_status=200)
            case "foreign-edit":
                effect()
                account.rows["OFF", "ZZZ.FUT.CME"] = (1, 2, 3, 4)
                account.suspended.setdefault("OFF", False)
                return Answer(200, _answer(account, path))
        raise AssertionError(fault)


def _number(body: Mapping[str, object]) -> str:
    if "clearingAccounts" in body:
        return str(body["clearingAccounts"][0]["accountNumber"])  # type: ignore[index]
    return str(body["accountNumber"])


def _step(account: Account, path: str, query: Mapping[str, str], body: Mapping[str, object]) -> Step:
    from amsctl.model import Phase

    return Step(id="", phase=Phase.HALT, clearing_firm=account.firm, account=account.number, path=path, query=query, body=body, changes=())


def _first_item(body: Mapping[str, object]) -> dict[str, object]:
    return {name: value[:1] if isinstance(value, list) and name != "clearingAccounts" else value for name, value in body.items()}


def _answer(account: Account, path: str) -> dict[str, object]:
    if path.startswith("/status/"):
        return {"clearingAccounts": [{"accountNumber": account.number, "status": "Successful" if account.suspended else "Failed"}]}
    head = {"service": "ICC", "clearingFirm": account.firm, "accountNumber": account.number}
    if path.startswith("/efStatus/"):
        return {**head, "executionFirms": [{"efId": name, "suspended": "Y" if flag else "N"} for name, flag in account.suspended.items()]}
    rows = [
        {
            "product": product,
            "efId": name,
            "efLimits": {"long": legs[0], "short": legs[1]},
            "cmfLimits": {"long": legs[2], "short": legs[3]},
        }
        for (name, product), legs in account.rows.items()
    ]
    return {**head, "limits": rows}


# --- planning and applying in this world ---


class Notes:
    """A recorder that keeps everything, in order."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    async def started(self, plan: Plan, inverse: Plan | None, at: str) -> None:
        self.lines.append(("started", plan.digest))

    async def intended(self, step: Step, attempt: int, at: str, *, previous_status: int | None) -> None:
        self.lines.append(("intended", f"{step.id}#{attempt}"))

    async def settled(self, report: StepReport, at: str) -> None:
        self.lines.append(("settled", f"{report.id} {report.outcome.value}"))

    async def finished(self, report: Report) -> None:
        self.lines.append(("finished", str(int(report.exit_code))))


def plan_of(world: World, wishes: Mapping[str, DesiredAccount], rules: Rules = Rules()) -> Plan:  # noqa: B008  frozen
    parts = []
    for number, desired in wishes.items():
        live = world.accounts[number].live()
        parts.append(arrange(diff(desired, live, rules), live, rules))
    return assemble(
        parts,
        target=Target(
            environment="x",
            ams="x",
            url="http://x",
            service="ICC",
            principal="x",
            ownership=(),
            unset_means=rules.unset_means.value,
            protected=False,
        ),
        origin=Origin(manifests_sha256="0" * 64),
        created_at="2026-01-01T00:00:00Z",
        expires_at="2026-01-02T00:00:00Z",
        tool_version="0",
        safeguards=Safeguards(guards={}),
    )


def apply(
    world: World,
    plan: Plan,
    *,
    stop: Stop | None = None,
    notes: object | None = None,
    concurrency: int = 4,
    progress: Callable[[int, int], None] = lambda done, total: None,
    **more: object,
) -> Report:
    means = Means(
        reader=world,
        writer=world,
        clock=world.clock,
        firms={FIRM: Firm(name=FIRM, clearing_id="780")},
        recorder=Recorders([notes] if notes is not None else []),  # type: ignore[list-item]
        settle_seconds=30,
        concurrency=concurrency,
        stop=stop or Stop(),
        progress=progress,
        **more,  # type: ignore[arg-type]
    )
    return asyncio.run(execute(authorised(plan), means))
