"""The two hands and the function between them: manifests and live state in, a plan out; a plan in, a report out.

The command line and the public interface both come through here; there is no second way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeAlias, TypeVar

from amsctl.applying.means import lifetime, stamp
from amsctl.concurrently import first_of
from amsctl.config import (
    Applies,
    Effect,
    Environment,
    GuardName,
    Guards,
    NoLoosening,
    Project,
    Safeguards,
    Weekday,
    Weekly,
    Window,
)
from amsctl.diagnostics import Diagnostic, Source
from amsctl.errors import AmsError, ManifestErrors, Refused, Stale, UsageError
from amsctl.model import SERVICE, AccountKey, DesiredAccount, Firm, LiveAccount, Owner, UnsetMeans
from amsctl.operations.derivation import outlived
from amsctl.planning.arrange import AccountPlan, arrange, assemble
from amsctl.planning.diff import Rules, added_rows, diff
from amsctl.planning.guards import finding_code, guards_in, judge, verdict_words
from amsctl.planning.plan import Base, Change, Finding, Git, Origin, Plan, Selection, Target, Verdict
from amsctl.planning.points import Past, Points, no_past, points_of
from amsctl.planning.policies import days_words, judge_policies, loosens
from amsctl.version import version

if TYPE_CHECKING:
    from amsctl.ams.client import Reader
    from amsctl.applying.ports import Clock
    from amsctl.manifests.load import Desired
    from amsctl.wire.answers import AccountEntry

_NAMED_ACCOUNTS: Final = 10
_DAY_MINUTES: Final = 1_440
OVERRIDE_DIGITS: Final = 32
"""So many digits of a plan's digest name it: a pair of plans with the same twelve is found in two minutes."""
T = TypeVar("T")
Work: TypeAlias = Callable[[DesiredAccount, LiveAccount, Firm], Awaitable[T]]
"""What is done with one account once it is read."""


@dataclass(frozen=True, slots=True)
class _Done(Generic[T]):
    """A result, told apart from the failure and the end that travel in the same queue."""

    result: T


class Progress(Protocol):
    """Told how far a long read or an apply is: things done, things in all, calls made so far."""

    def __call__(self, done: int, total: int, calls: int) -> None:
        """One more is done."""
        ...


def silent(done: int, total: int, calls: int) -> None:
    """No progress is wanted."""


def rules_of(project: Project, environment: Environment) -> Rules:
    """What the project file decides about planning."""
    return Rules(
        ownership=frozenset(project.ownership),
        unset_means=project.unset_means,
        undeclared=project.undeclared,
        unlimited_as=environment.assumptions.unlimited_as,
        unlimited_shown_as=environment.assumptions.unlimited_shown_as,
        rows_per_post=project.requests.rows_per_post,
    )


def target_of(project: Project, environment: Environment) -> Target:
    """Which AMS, as whom, under which rules: what a plan is bound to."""
    return Target(
        environment=environment.name,
        ams=environment.ams_name,
        url=environment.url,
        service=SERVICE,
        principal=environment.auth.principal,
        ownership=tuple(owner for owner in Owner if owner in project.ownership),
        unset_means=project.unset_means.value,
        protected=environment.protected,
    )


def run(work: Coroutine[object, object, T]) -> T:
    """What ``work`` gives, run to its end on an event loop of its own; whatever it raises.

    The result goes round the task: when ``asyncio.run`` puts the signals back, CPython formats its task into the text of an error that nobody sees, and
    with it a whole plan.
    """
    results: list[T] = []

    async def keep() -> None:
        results.append(await work)

    asyncio.run(keep())
    return results[0]


# --- reading ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Roll:
    """The accounts that the manifests name, as the AMS knows them: checked for doubles and for absence before anything else is read."""

    firms: Mapping[str, Firm]
    """Firm text as written → firm."""
    statuses: Mapping[AccountKey, AccountEntry]
    """Account under the AMS's name of its firm → status."""

    def key_of(self, written: AccountKey) -> AccountKey:
        """The account under the AMS's name of its firm."""
        return resolve_key(written, self.firms)


def resolve_key(written: AccountKey, firms: Mapping[str, Firm]) -> AccountKey:
    """An account under the AMS's name of its firm. ``firms``: text as written → firm."""
    return AccountKey(firms[written.firm].name, written.number)


async def call_the_roll(desired: Desired, reader: Reader) -> Roll:
    """Firms resolved through ``/myFirms`` and the status of every account named.

    ManifestErrors when one account is declared under its firm's name and again under the clearing id; AmsError when a firm is not ours or an
    account is not there, with the accounts named.
    """
    firms: dict[str, Firm] = {}
    for text, source in desired.firms:
        try:
            firms[text] = await reader.resolve(text)
        except AmsError as problem:
            if problem.where == text:  # it is about this firm, and so about the manifest that names it
                problem.move(f"{text} at {source}")
            raise
    _refuse_doubles(desired, firms)
    numbers: dict[str, list[str]] = {}
    for account in desired.headers():
        numbers.setdefault(firms[account.key.firm].name, []).append(account.key.number)
    by_name = {firm.name: firm for firm in firms.values()}
    statuses = {
        AccountKey(name, number): entry
        for name, listed in sorted(numbers.items())
        for number, entry in (await reader.statuses(by_name[name], listed)).items()
    }
    roll = Roll(firms=firms, statuses=statuses)
    _refuse_absent(desired, roll)
    return roll


def _refuse_doubles(desired: Desired, firms: Mapping[str, Firm]) -> None:
    seen: dict[AccountKey, Source] = {}
    doubles = []
    for account in desired.headers():
        key = AccountKey(firms[account.key.firm].name, account.key.number)
        first = seen.setdefault(key, account.source)
        if first is not account.source:
            doubles.append(
                Diagnostic(
                    code="duplicate-account",
                    what=f"the account {key} is declared twice, by the name of its firm and by the clearing id",
                    source=account.source,
                    found=f"the first at {first}",
                    hint="keep one of them",
                    related=first,
                )
            )
    if doubles:
        raise ManifestErrors(doubles)


def _refuse_absent(desired: Desired, roll: Roll) -> None:
    absent = [account for account in desired.headers() if roll.key_of(account.key) not in roll.statuses]
    if absent:
        named = ", ".join(f"{account.key} at {account.source}" for account in absent[:_NAMED_ACCOUNTS])
        more = f" and {len(absent) - _NAMED_ACCOUNTS} more" if len(absent) > _NAMED_ACCOUNTS else ""
        raise AmsError(
            f"the AMS does not list {'an account' if len(absent) == 1 else f'{len(absent)} accounts'} that the manifests name",
            where=named + more,
            hint="correct the firm or the account number, or take the manifest out",
        )


async def side_by_side(desired: Desired, reader: Reader, work: Work[T], *, concurrency: int) -> AsyncIterator[T]:
    """``work`` on each declared account and its live state, results in the order they are done; not more than ``concurrency`` in flight.

    The first read that fails ends the whole: AmsError names the account. Nothing is ever concluded from a failed or incomplete read.
    """
    roll = await call_the_roll(desired, reader)
    waiting = desired.accounts()
    done: asyncio.Queue[_Done[T] | BaseException | None] = asyncio.Queue(maxsize=concurrency)

    async def worker() -> None:
        for account in waiting:
            key, firm = roll.key_of(account.key), roll.firms[account.key.firm]
            try:
                live = await reader.account(firm, key.number, status=roll.statuses[key])
                await done.put(_Done(await work(account, live, firm)))
            except AmsError as problem:
                problem.place(str(key))
                raise

    async def all_workers() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(concurrency):
                    group.create_task(worker())
        except BaseExceptionGroup as failed:
            await done.put(first_of(failed))
        else:
            await done.put(None)

    task = asyncio.create_task(all_workers())
    try:
        while (item := await done.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item.result
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# --- planning ---


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseBranch:
    """The branch that a change is to be merged into, as far as it holds for the change: whoever proposes one cannot take away what guards it.

    ``safeguards`` are those of its project file, ``None`` where it has none yet; ``protected`` its protected accounts and ``kept`` those that are
    protected in the whole of the manifests planned, ``labels`` what its accounts are labelled with: firms as written.
    """

    commit: str
    ref: str = ""
    safeguards: Safeguards | None
    protected: tuple[AccountKey, ...]
    kept: tuple[AccountKey, ...]
    labels: Mapping[AccountKey, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked for: the manifests, where they stand, for which AMS, and which branch they are to be merged into."""

    project: Project
    environment: Environment
    desired: Desired
    selection: Selection = field(default_factory=Selection)
    git: Git | None = None
    base: BaseBranch | None = None
    told: tuple[Finding, ...] = ()
    """What there is to say of the sources of the plan."""


async def make_plan(wish: Wish, reader: Reader, *, clock: Clock, progress: Progress = silent, past: Past = no_past) -> Plan:
    """The plan for the manifests on the live state. Reads only. AmsError when any read fails; ManifestErrors for doubles that only the AMS shows."""
    rules = rules_of(wish.project, wish.environment)
    parts: list[AccountPlan] = []
    protected: set[AccountKey] = set()
    labels: dict[AccountKey, set[str]] = {}

    async def plan_account(desired: DesiredAccount, live: LiveAccount, firm: Firm) -> AccountPlan:
        if desired.protected:
            protected.add(live.key)
        labels[live.key] = set(labels_of(desired))
        eligible = await reader.eligible_products(firm, live.key.number) if added_rows(desired, live, rules) else None
        return arrange(diff(desired, live, rules, eligible), live, rules)

    async for part in side_by_side(wish.desired, reader, plan_account, concurrency=wish.project.requests.concurrency):
        parts.append(part)
        progress(len(parts), len(wish.desired), reader.calls)
    firms = () if wish.base is None else await reader.firms()
    base = held_by_base(wish.base, firms, protected, labels)
    return assembled(wish, parts, clock, protected=protected, labels=labels, base=base, past=past)


def held_by_base(
    base: BaseBranch | None, firms: Iterable[Firm], protected: set[AccountKey], labels: dict[AccountKey, set[str]]
) -> Base | None:
    """What the plan says of its base branch, whose protections and labels are added to those of the manifests: whoever takes one away does not take
    away what is said of it. ``firms`` are those that the AMS knows.
    """
    if base is None:
        return None
    named = naming(tuple(firms))
    before, kept = ({named(key) for key in keys} for keys in (base.protected, base.kept))
    protected |= before
    for key, listed in base.labels.items():
        labels.setdefault(named(key), set()).update(listed)
    return Base(ref=base.ref, commit=base.commit, unprotected=tuple(str(key) for key in sorted(before - kept)))


def labels_of(desired: DesiredAccount) -> tuple[str, ...]:
    """``key=value`` of each label."""
    return tuple(f"{key}={value}" for key, value in desired.labels.items())


def naming(firms: Sequence[Firm]) -> Callable[[AccountKey], AccountKey]:
    """What gives an account under the AMS's name of its firm; a firm that it does not know (any more) stays as written."""

    def named(key: AccountKey) -> AccountKey:
        known = [firm.name for firm in firms if key.firm in {firm.name, firm.clearing_id}]
        return AccountKey(known[0] if len(known) == 1 else key.firm, key.number)

    return named


def assembled(
    wish: Wish,
    parts: Iterable[AccountPlan],
    clock: Clock,
    *,
    protected: Collection[AccountKey] = (),
    labels: Mapping[AccountKey, Collection[str]] | None = None,
    base: Base | None = None,
    past: Past = no_past,
) -> Plan:
    """The plan of a run from the plans of its accounts."""
    safeguards = wish.project.safeguards if wish.base is None or wish.base.safeguards is None else wish.base.safeguards
    created_at, expires_at = lifetime(clock, wish.project.plan_valid_hours * 3600)
    return assemble(
        parts,
        target=target_of(wish.project, wish.environment),
        origin=Origin(manifests_sha256=manifests_hash(wish.desired), git=wish.git, selection=wish.selection, base=base),
        created_at=created_at,
        expires_at=expires_at,
        tool_version=version(),
        safeguards=safeguards,
        protected=protected,
        labels=labels,
        past=past,
        told=(*wish.told, *outlived(wish.project, wish.environment.calendar, wish.environment.name, expires_at)),
        unlimited_shown_as=wish.environment.assumptions.unlimited_shown_as,
    )


def manifests_hash(desired: Desired) -> str:
    """Hexadecimal SHA-256 over path and bytes of every manifest that was read, whatever was selected of them."""
    return desired.manifests_sha256.removeprefix("sha256:")


# --- applying ---


def check_target(plan: Plan, project: Project, environment: Environment) -> None:
    """Stale unless the plan was made for exactly this AMS, principal and rules."""
    now = target_of(project, environment)
    for name in Target.__slots__:
        seen, found = getattr(plan.target, name), getattr(now, name)
        if seen != found:
            raise Stale(
                f"the plan was made for another target: {name.replace('_', ' ')} differs",
                expected=_words(seen),
                found=_words(found),
                hint="plan again against the target that you mean",
            )


def _words(value: object) -> str:
    return ", ".join(str(item) for item in value) if isinstance(value, tuple) else str(value)


def check_age(plan: Plan, clock: Clock) -> None:
    """Stale when the plan has expired."""
    now = stamp(clock)
    if now >= plan.expires_at:
        raise Stale("the plan has expired", expected=f"use before {plan.expires_at}", found=now, hint="plan again")


def check_findings(
    plan: Plan, guards: Guards, overrides: Collection[GuardName] = (), *, saved: bool = True, points: Points | None = None
) -> None:
    """Refused when a finding blocks the plan, or a guard of the project holds it up, and it is not one that was overridden by name.

    ``guards`` are those of the project as it is now: a plan that was made under laxer ones does not pass by them. A plan that is not ``saved`` cannot be
    overridden: nobody can look at it again. ``points`` are the values of the past as they are known now; without them, those that the plan was made on count.
    """
    overridden = {finding_code(guard) for guard in overrides}
    blocking = [finding for finding in plan.blocking if finding.code not in overridden]
    if blocking:
        first = blocking[0]
        others = f" (and {len(blocking) - 1} more)" if len(blocking) > 1 else ""
        raise Refused(
            f"the plan is blocked: {first.code}: {first.message}{others}", where=first.where, hint=_way_out(plan, blocking, saved=saved)
        )
    for verdict in _judged_now(plan, guards, points):
        if verdict.passed and verdict.guard not in overrides:
            same = guards_in(plan.guards) == guards
            raise Refused(
                f"a guard holds the plan up {'by now' if same else 'that it was not made under'}: {verdict_words(verdict)}",
                where=verdict.where,
                hint=f"plan again: the {'values of the past, as the ledger has them,' if same else 'guards of the project file'} have changed",
            )
    if not guards and plan.target.protected:
        raise Refused("a protected environment needs guards", found="guards: none", hint="take it out of amsctl.yaml and plan again")


def check_policies(plan: Plan, safeguards: Safeguards, clock: Clock) -> None:
    """Refused when a policy of the project as it is now is broken: by the plan, or by the day on which it is applied. There is no override."""
    policies = safeguards.at(plan.target.environment).policies
    if tuple(ruling.policy for ruling in plan.policies) != policies:  # those that it was made under stand among its findings
        _, broken = judge_policies(plan.changes, plan.observed, policies, target=plan.target, git=plan.origin.git)
        for finding in broken:
            if finding.blocks:
                raise Refused(
                    f"a policy that the plan was not made under is broken: {finding.message}",
                    where=finding.where,
                    hint="plan again: the policies of the project file have changed",
                )
    loosening = next(filter(loosens, plan.changes), None)
    for policy in policies:
        if loosening is not None and isinstance(policy.rule, NoLoosening):
            _check_day(policy.name, policy.rule, loosening, clock)


def _check_day(name: str, rule: NoLoosening, loosening: Change, clock: Clock) -> None:
    from amsctl.windows.zones import tell, weekday_of  # with time zones: most projects have no such policy

    now = clock.wall()
    if tuple(Weekday)[weekday_of(now, rule.time_zone)] in rule.days:
        raise Refused(
            f"policy {name}: nothing that lets more through is applied on {days_words(rule)}",
            where=loosening.where,
            found=f"now {tell(now, rule.time_zone)}",
            hint="wait for another day; a plan of what tightens alone passes (plan --account, or a commit of its own)",
        )


def quiet_windows(safeguards: Safeguards) -> Iterator[Window]:
    """The days of ``noLoosening`` as windows: a run that is still going when such a day begins stops letting more through."""
    for policy in safeguards.policies:
        if isinstance(policy.rule, NoLoosening):
            days = [list(Weekday).index(day) for day in policy.rule.days]
            yield Window(
                name=f"policy {policy.name}",
                effect=Effect.DENY,
                applies=Applies.LOOSEN,
                time_zone=policy.rule.time_zone,
                times=Weekly(spans=tuple((day * _DAY_MINUTES, (day + 1) * _DAY_MINUTES) for day in days)),
                environments=policy.environments,
            )


def _judged_now(plan: Plan, guards: Guards, points: Points | None) -> tuple[Verdict, ...]:
    """What ``guards`` say of the plan. Those that it was made under are not measured again on the same points: its own verdicts must follow from it
    (``consistency``).
    """
    if guards_in(plan.guards) == guards and points is None:
        return plan.guards
    return judge(
        plan.changes,
        plan.observed,
        guards,
        unset_means=UnsetMeans(plan.target.unset_means),
        unprotected=plan.origin.unprotected,
        points={**points_of(plan.references), **(points or {})},
    )


def _way_out(plan: Plan, blocking: Iterable[Finding], *, saved: bool) -> str:
    names = {finding_code(guard): guard for guard in GuardName}
    guards = [names.get(finding.code) for finding in blocking]
    if None in guards:
        return "correct the manifests and plan again"
    if not saved:
        return "correct the manifests; or, if it is meant: amsctl plan -o FILE, look at it, and amsctl apply FILE says how to go on"
    meant = " ".join(f"--override {guard}@{plan.digest[: len('sha256:') + OVERRIDE_DIGITS]}" for guard in guards)
    return f"correct the manifests and plan again; or, if it is meant: amsctl apply FILE {meant}"


def is_digest_of(text: str, plan: Plan) -> bool:
    """Whether a text names the plan: its digest, or enough digits of it."""
    hexadecimal = text.removeprefix("sha256:")
    return len(hexadecimal) >= OVERRIDE_DIGITS and plan.digest.removeprefix("sha256:").startswith(hexadecimal)


def overrides_of(texts: Iterable[str], plan: Plan) -> tuple[GuardName, ...]:
    """The guards that ``GUARD@DIGEST`` texts override for this plan. UsageError when one names no guard, Refused when its digest is another plan's or
    too short to be one.
    """
    found = []
    for text in texts:
        name, _, digest = text.partition("@")
        if name not in list(GuardName) or not digest:
            raise UsageError(
                "an override is GUARD@DIGEST",
                found=text,
                expected=f"one of {', '.join(GuardName)}, and the digest of the plan that it is for",
            )
        if not is_digest_of(digest, plan):
            raise Refused(
                "an override is for another plan",
                where=name,
                expected=f"at least {OVERRIDE_DIGITS} digits of {plan.digest}",
                found=digest,
                hint="look at this plan, and name its own digest if it is meant",
            )
        found.append(GuardName(name))
    return tuple(dict.fromkeys(found))
