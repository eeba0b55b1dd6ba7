"""One seed → one world: what the AMS holds, what two people wish for, and how bad the weather is. Small names and numbers, so that they meet."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, cast

from amsctl.applying.means import Barrier
from amsctl.config import Assumptions, Auth, AuthType, Environment, LedgerSettings, Project, Requests, Secret, UnlimitedShownAs
from amsctl.diagnostics import Source
from amsctl.manifests.load import Header
from amsctl.model import (
    UNLIMITED,
    AccountKey,
    AccountStatus,
    Amount,
    DesiredAccount,
    DesiredExecutionFirm,
    DesiredRow,
    Owner,
    Undeclared,
    UnsetMeans,
)
from tests.faults.server import NO_ROW, Account, Dialect, Legs
from tests.faults.transport import BEYOND, GET_FAULTS, POST_FAULTS, Weather
from tests.hostile.canaries import CANARIES

FIRM, CLEARING_ID = "GREENTEA", "780"
EXECUTION_FIRMS = ("027", "3N1", "OFF")
PRODUCTS = ("CJ.FUT.NYMEX", "GLB.FUT.CME", "RO.OOF.CME")
AMS = "sim"
URL = "http://ams.sim/rest/v2"
HERE = Source("accounts/a.yaml", 1, 1)
SHOWN_AS = {"null": UnlimitedShownAs.NULL, "omit": UnlimitedShownAs.LEG_ABSENT, "word": UnlimitedShownAs.WORD}
"""What the project file says of each dialect."""
NO_MANIFESTS = os.path.dirname(os.path.abspath(__file__))
"""The folder of the project: what is read beside a rollback there is nothing, as no manifest lies in it."""
APART_SECONDS = (0.0, 2.0, -2.0)
"""How far the clocks of two machines are apart that share one SQLite file: its leases are only as good as they agree (PostgreSQL's have one clock)."""
LEGS = ((Owner.EF, 0), (Owner.EF, 1), (Owner.CMF, 2), (Owner.CMF, 3))


@dataclass(frozen=True)
class Wishes:
    """Stands where ``manifests.load.Desired`` does."""

    listed: tuple[DesiredAccount, ...]
    manifests_sha256: str

    @property
    def firms(self) -> tuple[tuple[str, Source], ...]:
        return tuple((text, HERE) for text in sorted({account.key.firm for account in self.listed}))

    def accounts(self) -> Iterator[DesiredAccount]:
        return iter(self.listed)

    def some(self, keys: Collection[AccountKey]) -> Iterator[DesiredAccount]:
        return (account for account in self.listed if account.key in keys)

    def keys(self) -> Iterator[AccountKey]:
        return (account.key for account in self.listed)

    def headers(self) -> Iterator[Header]:
        return (Header(account.key, account.source) for account in self.listed)

    def __len__(self) -> int:
        return len(self.listed)


@dataclass
class World:
    """Everything that a seed decides before anything happens."""

    accounts: dict[str, Account]
    dialect: Dialect
    project: Project
    environment: Environment
    wishes: Wishes
    others: Wishes
    weather: Weather
    barrier: Barrier
    structural: bool
    crash: float
    pause: float
    other_machine: bool
    second: bool
    jump: float
    skew: float
    signal: float
    meddling: float
    slow_disk: float
    full_disk: float
    power: float
    reverting: float
    next: str
    """What people try next as a rule, after a run that did not go well (or did, before a rollback)."""
    wished: list[Any] = field(default_factory=list)


def world_of(rng: Random) -> World:
    """The world of a seed."""
    accounts = {f"DV{number}": _account(rng) for number in range(1, rng.choice((1, 1, 1, 2, 2, 3)) + 1)}
    ownership = rng.choice(((Owner.EF, Owner.CMF), (Owner.EF, Owner.CMF), (Owner.EF,), (Owner.CMF,)))
    unset_means = rng.choice(tuple(UnsetMeans))
    requests = Requests(
        concurrency=rng.choice((1, 2, 4, 8)),
        per_second=rng.choice((None, None, None, 20.0)),
        timeout_seconds=rng.choice((5.0, 30.0)),
        settle_seconds=rng.choice((10.0, 30.0)),
        rows_per_post=rng.choice((1, 2, 3, 500)),
        page_size=rng.choice((2, 3, 50, 50)),
        retries=rng.choice((0, 2, 4)),
    )
    project = Project(
        root=NO_MANIFESTS,
        source=HERE,
        ownership=ownership,
        unset_means=unset_means,
        undeclared=rng.choice((Undeclared.IGNORE, Undeclared.REPORT, Undeclared.UNSET)),
        requests=requests,
        ledger=LedgerSettings(lease_seconds=rng.choice((60.0, 120.0))),
        guards={},
    )
    counts = rng.random() < 0.5
    dialect = Dialect(
        rng.choice(("efId", "efID")), rng.choice(("null", "omit", "word")), rng.choice((("Active", "Inactive"), ("A", "I"))), counts
    )
    auth = Auth()
    if rng.random() < 0.35:
        auth = Auth(
            type=AuthType.OAUTH2, client_id="API_SIM", client_secret=Secret(CANARIES["the client secret"]), token_url="http://ams.sim/token"
        )
    weather = _weather(rng)
    if auth.type is AuthType.OAUTH2 and rng.random() < 0.5:
        weather.post["401"] = 0.15  # a token that ran out: the one case in which a call is sent twice
    wishes, wished = _wishes(rng, accounts, ownership, unset_means, "1")
    same = rng.random() < 0.4
    others = wishes if same else _wishes(rng, accounts, ownership, unset_means, "2")[0]
    second, other_machine = rng.random() < 0.35, rng.random() < 0.5
    apart = second and other_machine
    return World(
        accounts=accounts,
        dialect=dialect,
        project=project,
        environment=Environment(name=AMS, url=URL, auth=auth, assumptions=Assumptions(unlimited_shown_as=SHOWN_AS[dialect.unlimited])),
        wishes=wishes,
        others=others,
        weather=weather,
        barrier=rng.choice((Barrier.ACCOUNT, Barrier.ACCOUNT, Barrier.RUN)),
        structural=counts or requests.page_size == 50,
        crash=rng.choice((0.0, 0.3, 0.8)),
        pause=rng.choice((0.0, 0.0, 0.3)),
        other_machine=other_machine,
        second=second,
        jump=0.0 if apart else rng.choice((0.0, 0.0, 0.3)),
        skew=rng.choice(APART_SECONDS if apart else (0.0, 0.0, 90.0, -90.0)),
        signal=rng.choice((0.0, 0.0, 0.2)),
        meddling=rng.choice((0.0, 0.0, 0.2)),
        slow_disk=rng.choice((0.0, 0.0, 0.1)),
        full_disk=rng.choice((0.0, 0.0, 0.0, 0.05)),
        power=rng.choice((0.0, 0.0, 0.0, 0.6)),
        reverting=rng.choice((0.2, 0.7)),
        next=rng.choice(("resume", "resume", "apply", "apply", "rollback")),
        wished=wished,
    )


def quiet_world(
    accounts: dict[str, Account], listed: tuple[DesiredAccount, ...], wished: list[Any], weather: Weather | None = None
) -> World:
    """One person with these wishes of the execution firm's side; nothing goes wrong but what ``weather`` brings."""
    world = world_of(Random(0))
    world.accounts, world.dialect = accounts, Dialect()
    world.project = Project(root=NO_MANIFESTS, source=HERE, ownership=(Owner.EF,), requests=Requests(retries=0), guards={})
    world.environment = Environment(name=AMS, url=URL, auth=Auth())
    world.wishes, world.wished = Wishes(listed, f"sha256:{'1' * 64}"), wished
    world.weather = weather or Weather()
    world.barrier = Barrier.ACCOUNT
    world.second = False
    world.crash = world.pause = world.jump = world.skew = world.signal = world.meddling = 0.0
    world.slow_disk = world.full_disk = world.power = 0.0
    return world


def _account(rng: Random) -> Account:
    efs = sorted(rng.sample(EXECUTION_FIRMS, rng.randint(1, 3)))
    keys = [(ef, product) for ef in efs for product in PRODUCTS]
    rows = {}
    for key in rng.sample(keys, min(len(keys), rng.randint(1, 8))):
        legs = _legs(rng)
        if legs != NO_ROW:
            rows[key] = legs
    traded = {key for key in keys if rng.random() < 0.1}
    return Account("A" if rng.random() < 0.75 else "I", {ef: rng.random() < 0.25 for ef in efs}, rows, traded)


def _legs(rng: Random) -> Legs:
    found = [None if rng.random() < 0.15 else rng.randrange(100) for _ in range(4)]
    return (found[0], found[1], found[2], found[3])


def _wishes(
    rng: Random, accounts: dict[str, Account], ownership: tuple[Owner, ...], unset_means: UnsetMeans, name: str
) -> tuple[Wishes, list[Any]]:
    listed, wished = [], []
    whole = rng.random() < 0.85
    """Whether this person writes every leg of a new row where a missing one is blocked, and names the other side's limits as they are."""
    numbers = sorted(accounts)
    for number in numbers if rng.random() < 0.7 else rng.sample(numbers, 1):
        account = accounts[number]
        firms = []
        for ef in sorted(account.suspended):
            if rng.random() < 0.15:
                continue
            rows = tuple(
                _row(rng, number, ef, product, account, ownership, wished, whole=whole, blocked=unset_means is UnsetMeans.BLOCKED)
                for product in PRODUCTS
                if rng.random() < 0.6
            )
            suspended = rng.choice((None, None, True, False, False))
            if suspended is not None:
                wished.append([number, ["suspended", ef], suspended])
            firms.append(DesiredExecutionFirm(id=ef, source=HERE, suspended=suspended, suspended_source=HERE, rows=rows))
        status = rng.choice((None, None, AccountStatus.ACTIVE, AccountStatus.ACTIVE, AccountStatus.INACTIVE))
        if status is not None:
            wished.append([number, ["status"], status.value[0]])
        listed.append(
            DesiredAccount(key=AccountKey(FIRM, number), source=HERE, status=status, status_source=HERE, execution_firms=tuple(firms))
        )
    return Wishes(tuple(listed), "sha256:" + name * 64), wished


def _row(
    rng: Random,
    number: str,
    ef: str,
    product: str,
    account: Account,
    ownership: tuple[Owner, ...],
    wished: list[Any],
    *,
    whole: bool,
    blocked: bool,
) -> DesiredRow:
    unset = rng.random() < 0.12
    legs: list[Amount | None] = [None, None, None, None]
    held = account.rows.get((ef, product))
    if not unset:
        share = 1.0 if whole and blocked and held is None else rng.choice((0.4, 0.9))
        for owner, index in LEGS:
            if rng.random() < share:
                legs[index] = UNLIMITED if rng.random() < 0.08 else rng.randrange(100)
                if whole and owner not in ownership:
                    found = None if held is None else held[index]
                    legs[index] = found if found is not None else (None if held is None else UNLIMITED)
    for owner, index in LEGS:
        wish = legs[index]
        if owner in ownership and (unset or wish is not None):
            wished.append([number, ["leg", ef, product, index], wish if isinstance(wish, int) else None])
    four = cast("tuple[Amount | None, Amount | None, Amount | None, Amount | None]", tuple(legs))
    return DesiredRow(execution_firm=ef, product=product, legs=four, sources=(HERE, HERE, HERE, HERE), source=HERE, unset=unset)


def _weather(rng: Random) -> Weather:
    """A random subset of the faults, each with a share of its own."""
    weather = Weather()
    bad = rng.choice((0.0, 0.15, 0.3, 0.6))
    if bad:
        names = rng.sample(POST_FAULTS, rng.randint(1, 8))
        weights = [rng.random() for _ in names]
        weather.post = {name: bad * weight / sum(weights) for name, weight in zip(names, weights, strict=True)}
    if rng.random() < 0.12:
        weather.post[rng.choice(BEYOND)] = 0.25
    bad = rng.choice((0.0, 0.0, 0.02, 0.05, 0.15))
    if bad:
        names = rng.sample(GET_FAULTS, rng.randint(1, 6))
        # Of those that damage a page most meet a list of one page, which has nothing to damage.
        weights = [2.0 if name.startswith("page-") else 1.0 for name in names]
        weather.get = {name: bad * weight / sum(weights) for name, weight in zip(names, weights, strict=True)}
    if rng.random() < 0.4:
        weather.edit_after_read = rng.choice((0.0, 0.02, 0.06))
        weather.edit_before_landing = rng.choice((0.0, 0.05, 0.2))
        weather.edit_after_landing = rng.choice((0.0, 0.05, 0.2))
        weather.edit_between = rng.choice((0.0, 0.5, 0.9))
    return weather
