"""Judges what happened: the sandbox's own journal of requests and states beside what stands in the ledger's database, read here row by row.

Imports nothing of amsctl, and knows nothing of it but its promises, its tables and how its records are hashed.

No clock is compared with another one: everything that the sandbox sees has a place in one order (``Journal``), and what the ledger held when a POST
arrived was read from its database at that moment. So a verdict is the same however quick or slow the machine is.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol
from urllib.parse import quote, unquote

from tests.chaos.worlds import Account, Key, Legs, World

INFINITE = 1 << 62
GENESIS = "0" * 64
SQLITE = "sqlite:///"


# --- what is judged ---


class Entry(Protocol):
    """One request, as the sandbox logs it; ``status`` is ``None`` where nothing was answered."""

    @property
    def number(self) -> int: ...
    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def query(self) -> str: ...
    @property
    def body(self) -> str: ...
    @property
    def status(self) -> int | None: ...
    @property
    def faults(self) -> tuple[str, ...]: ...


class Named(Protocol):
    """A clearing firm."""

    @property
    def name(self) -> str: ...


class Held(Protocol):
    """An account in the sandbox's book."""

    @property
    def firm(self) -> Named: ...
    @property
    def number(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def execution_firms(self) -> Mapping[str, bool]: ...
    def items(self) -> Iterable[tuple[tuple[str, str], Legs]]: ...


@dataclass(frozen=True)
class Lock:
    """A lock that is held, and by which process."""

    id: str
    run: str
    holder: Mapping[str, Any]

    @property
    def alive(self) -> bool:
        """Whether its holder still runs: the same process, not one that was given its number later (proc(5), the fields from the state on)."""
        try:
            with open(f"/proc/{self.holder['pid']}/stat", encoding="ascii", errors="replace") as told:
                fields = told.read().rpartition(")")[2].split()
        except OSError:
            return False
        return fields[0] not in "ZX" and fields[19] == self.holder["process_started"]


@dataclass(frozen=True)
class Recorded:
    """What stands in the ledger: its records in order, the head that it names, locks that are held, calls that are open (run, step)."""

    records: Sequence[Mapping[str, Any]] = ()
    head: tuple[int, str] = (0, GENESIS)
    locks: Sequence[Lock] = ()
    open: Sequence[tuple[str, str]] = ()


_QUERIES = {
    "records": "SELECT seq, at, kind, url, firm, account, run, body, previous, hash, ams FROM ledger_records ORDER BY seq",
    "head": "SELECT seq, hash FROM ledger_head",
    "locks": "SELECT id, run, holder FROM ledger_locks WHERE held ORDER BY id",
    "open": "SELECT run, step FROM ledger_attempts WHERE outcome IS NULL OR outcome = 'unknown' ORDER BY intent_seq",
}
_COLUMNS = ("seq", "at", "kind", "url", "firm", "account", "run", "body", "previous", "hash", "ams")


def read_ledger(url: str) -> Recorded | None:
    """What stands in the database at ``sqlite:////FILE`` or ``postgresql://…``; ``None`` when it has no tables yet."""
    found = _read_sqlite(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else _read_postgresql(url)
    if found is None:
        return None
    records = [{**dict(zip(_COLUMNS, row, strict=True)), "body": json.loads(row[7])} for row in found["records"]]
    (head,) = found["head"]
    locks = [Lock(row[0], row[1], json.loads(row[2])) for row in found["locks"]]
    return Recorded(records, (head[0], head[1]), locks, [(row[0], row[1]) for row in found["open"]])


Rows = dict[str, list[Any]]


def _read_sqlite(path: str, queries: Mapping[str, str] = _QUERIES, mode: str = "rw") -> Rows | None:
    if not os.path.exists(path):
        return None
    with closing(sqlite3.connect(f"file:{quote(path)}?mode={mode}", uri=True, isolation_level=None, timeout=60)) as connection:
        connection.execute("BEGIN")
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'ledger_attempts'").fetchall():
            return None
        return {name: connection.execute(query).fetchall() for name, query in queries.items()}


def _read_postgresql(url: str, queries: Mapping[str, str] = _QUERIES) -> Rows | None:
    import psycopg

    with psycopg.connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        if connection.execute("SELECT to_regclass('ledger_attempts')").fetchall() == [(None,)]:
            return None
        return {name: connection.execute(query).fetchall() for name, query in queries.items()}


def head_of(url: str) -> int | None:
    """The number of the last record that another process can see in the ledger now, 0 where there is none; ``None`` while its server is away."""
    queries = {"head": _QUERIES["head"]}
    if url.startswith(SQLITE):
        # Read only, beside a process that writes: nothing that it has left half-way is brought to an end by looking at it.
        found = _read_sqlite(url.removeprefix(SQLITE), queries, mode="ro")
    else:
        import psycopg

        try:
            found = _read_postgresql(url, queries)
        except psycopg.OperationalError:
            return None
    if found is None:
        return 0
    ((number, _),) = found["head"]
    return int(number)


@dataclass(frozen=True)
class Moment:
    """What an account held from a place in the order on."""

    at: int
    key: Key
    account: Account


@dataclass
class Passage:
    """Where a request stands in the order: when it arrived and when its answer had been sent (``None``: not yet). ``head``: the last record that the
    ledger held when it arrived, for a POST whose ledger could be read.
    """

    entry: Entry
    arrived: int
    answered: int | None = None
    head: int | None = None


class Journal:
    """One order of everything that the sandbox sees: each request arriving, each state of each account, each answer. It is the book's listener."""

    def __init__(self) -> None:
        self._count = 0
        self._moments: list[Moment] = []
        self._passages: dict[int, Passage] = {}
        self._lock = threading.Lock()

    def _next(self) -> int:
        self._count += 1
        return self._count

    def __call__(self, held: Held, present: bool) -> None:
        with self._lock:
            self._moments.append(Moment(self._next(), (held.firm.name, held.number), snapshot(held)))

    def arrives(self, begin: Callable[[], Entry], head: int | None) -> Entry:
        """A request arrives; ``begin`` logs it. ``head`` was read before."""
        with self._lock:
            entry = begin()
            self._passages[id(entry)] = Passage(entry, self._next(), head=head)
            return entry

    def is_answered(self, entry: Entry) -> None:
        """All that is ever said to a request has been sent."""
        with self._lock:
            if id(entry) in self._passages:
                self._passages[id(entry)].answered = self._next()

    def passage(self, entry: Entry) -> Passage:
        """Where a request stands that arrived since the past was forgotten."""
        with self._lock:
            return self._passages[id(entry)]

    def clear(self) -> None:
        with self._lock:
            self._moments.clear()
            self._passages.clear()

    def of(self, key: Key) -> list[Moment]:
        with self._lock:
            return [moment for moment in self._moments if moment.key == key]


def snapshot(held: Held) -> Account:
    """What an account of the book holds now."""
    rows = {key: legs for key, legs in held.items() if any(leg is not None for leg in legs)}
    return Account(status=held.status, suspended=dict(held.execution_firms), rows=rows)


# --- what is let through ---


def _number(leg: int | None) -> int:
    return INFINITE if leg is None else leg


def _raw(account: Account, row: tuple[str, str]) -> tuple[int, ...]:
    return tuple(_number(leg) for leg in account.rows.get(row, (None,) * 4))


def _effective(account: Account, row: tuple[str, str]) -> tuple[int, int]:
    if account.status != "Active" or account.suspended.get(row[0], False):
        return (0, 0)
    ef_long, ef_short, cmf_long, cmf_short = _raw(account, row)
    return (min(ef_long, cmf_long), min(ef_short, cmf_short))


def _rows(*accounts: Account) -> list[tuple[str, str]]:
    return sorted({row for account in accounts for row in account.rows})


# --- the POSTs ---


@dataclass(frozen=True)
class Post:
    """One POST as the sandbox received it, and what the account held around it."""

    entry: Entry
    key: Key
    before: Account
    after: Account
    at: int
    """Its place in the order."""
    head: int | None
    """See ``Passage``."""

    @property
    def sha256(self) -> str:
        return sha256(self.entry.body.encode()).hexdigest()

    @property
    def has_effect(self) -> bool:
        return self.before != self.after

    def __str__(self) -> str:
        return f"POST {self.entry.number} to {self.key[1]}"


def key_of(entry: Entry) -> Key | None:
    """The account that a request is about."""
    parts = [unquote(part) for part in entry.path.split("/")]
    if entry.method == "POST":
        body = json.loads(entry.body)
        if "clearingAccounts" in body:
            return (parts[-1], body["clearingAccounts"][0]["accountNumber"])
    if parts[-1] and parts[-2] and parts[-3] == "ICC":
        return (parts[-2], parts[-1])
    return None


def posts(world: World, log: Iterable[Entry], journal: Journal) -> list[Post]:
    """Every POST, with the states right before and after it."""
    found = []
    entries = [entry for entry in log if entry.method == "POST"]
    for entry in entries:
        key = key_of(entry)
        assert key is not None
        passage = journal.passage(entry)
        later = [journal.passage(other).arrived for other in entries if key_of(other) == key]
        until = min((arrived for arrived in later if arrived > passage.arrived), default=INFINITE)
        before, after = world.before[key], None
        for moment in journal.of(key):
            if moment.at < passage.arrived:
                before = moment.account
            elif moment.at < until:
                after = moment.account
        found.append(Post(entry, key, before, before if after is None else after, passage.arrived, passage.head))
    return found


# --- the judgement ---


def judge(
    world: World,
    log: Sequence[Entry],
    journal: Journal,
    ledger: Recorded | None,
    *,
    finished: bool = True,
    strict: bool = True,
) -> list[str]:
    """Every breach of what is promised. ``finished``: the end must be as wished for, nothing left open or held. ``strict``: a POST without any effect is
    one too many.
    """
    ledger = ledger or Recorded()
    records, sent = ledger.records, posts(world, log, journal)
    breaches = [
        *_chain(ledger),
        *_safety(world, journal),
        *_intents(sent, records),
        *_order(world, sent, log, journal),
        *_twice(sent, log, journal, strict=strict),
    ]
    if finished:
        breaches += [*_lost(world, journal), *_truth(sent, records), *_left(ledger)]
    return breaches


def _chain(ledger: Recorded) -> Iterator[str]:
    """Every record is what its hash says and follows the one before it; the head names the last one."""
    last = (0, GENESIS)
    for record in ledger.records:
        if (record["seq"], record["previous"]) != (last[0] + 1, last[1]):
            yield f"chain: record {record['seq']} does not follow record {last[0]}"
        content = {name: value for name, value in record.items() if name != "hash"}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        if sha256(text.encode()).hexdigest() != record["hash"]:
            yield f"chain: record {record['seq']} is not what its hash says"
        last = (record["seq"], record["hash"])
    if ledger.head != last:
        yield f"chain: the head names record {ledger.head[0]}, the last is record {last[0]}"


def _left(ledger: Recorded) -> Iterator[str]:
    """Nothing is left behind. A lock whose process is gone keeps nobody out."""
    for lock in ledger.locks:
        if lock.alive:
            yield f"lock: {lock.id} of run {lock.run} is left"
    for run, step in ledger.open:
        yield f"open: {step} of run {run}"


def _safety(world: World, journal: Journal) -> Iterable[str]:
    """No state lets more through, on any leg, than the larger of before and after."""
    for key, before in world.before.items():
        after = world.after[key]
        for moment in journal.of(key):
            for row in _rows(before, after, moment.account):
                for what, read in (("effective", _effective), ("stored", _raw)):
                    bound = [max(pair) for pair in zip(read(before, row), read(after, row), strict=True)]
                    if any(leg > most for leg, most in zip(read(moment.account, row), bound, strict=True)):
                        yield f"safety: {key[1]} {row}: {what} {read(moment.account, row)} beyond {bound}"


def _intents(sent: Sequence[Post], records: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """Every POST has an intent of its own for this request, which stood in the ledger when it arrived."""
    intents = [(record["seq"], record["body"]) for record in records if record["kind"] == "intent"]
    for post in sent:
        # While a server is away nothing is recorded: what is there at all was there before.
        last = INFINITE if post.head is None else post.head
        fitting = [
            (seq, body)
            for seq, body in intents
            if body["request_sha256"] == post.sha256 and post.entry.path.endswith(body["path"]) and seq <= last
        ]
        if not fitting:
            yield f"intent: {post} has none before it"
        else:
            intents.remove(max(fitting, key=lambda one: one[0]))


def _loosens(one: Account, other: Account) -> bool:
    if any(one.suspended.get(firm) and not suspended for firm, suspended in other.suspended.items()):
        return True
    if (one.status, other.status) == ("Inactive", "Active"):
        return True
    return any(now > then for row in _rows(one, other) for then, now in zip(_raw(one, row), _raw(other, row), strict=True))


def _releases(one: Account, other: Account) -> list[str]:
    """The execution firms that are let go."""
    if (one.status, other.status) == ("Inactive", "Active"):
        return [firm for firm, suspended in other.suspended.items() if not suspended]
    return [firm for firm, suspended in other.suspended.items() if one.suspended.get(firm) and not suspended]


def _not_tightened(before: Account, after: Account, now: Account) -> list[str]:
    """What is to be tightened and is not yet."""
    found = [f"{firm} suspended" for firm, wanted in after.suspended.items() if wanted and not now.suspended.get(firm)]
    if after.status == "Inactive" and now.status == "Active":
        found.append("status")
    for row in _rows(before, after):
        for then, wanted, held in zip(_raw(before, row), _raw(after, row), _raw(now, row), strict=True):
            if wanted < then and held != wanted:
                found.append(f"{row}: {held} instead of {wanted}")
    return found


def _order(world: World, sent: Sequence[Post], log: Sequence[Entry], journal: Journal) -> Iterable[str]:
    """Nothing loosens before all that tightens in its account is there and was read; nothing is released before its limits are there and were read."""
    for post in sent:
        if not _loosens(post.before, post.after):
            continue
        left = _not_tightened(world.before[post.key], world.after[post.key], post.before)
        if left:
            yield f"order: {post} loosens before {left}"
        wanted = world.after[post.key].rows
        for firm in _releases(post.before, post.after):
            missing = [row for row, legs in wanted.items() if row[0] == firm and post.before.rows.get(row) != legs]
            if missing:
                yield f"order: {post} releases {firm} before {missing}"
        changed = [moment.at for moment in journal.of(post.key) if world.before[post.key] != moment.account and moment.at < post.at]
        if changed and not _read_between(log, journal, post.key, max(changed), post.at):
            yield f"order: {post} loosens without a look at what was written before it"


def _read_between(log: Sequence[Entry], journal: Journal, key: Key, after: int, before: int) -> bool:
    """Whether the account was asked for after the one place, and the answer sent before the other."""

    def is_between(passage: Passage) -> bool:
        return after < passage.arrived and passage.answered is not None and passage.answered < before

    return any(
        entry.method == "GET"
        and entry.status == 200
        and (key_of(entry) == key or f"accountNumber={key[1]}&" in entry.query)
        and is_between(journal.passage(entry))
        for entry in log
    )


def _twice(sent: Sequence[Post], log: Sequence[Entry], journal: Journal, *, strict: bool) -> Iterable[str]:
    """Nothing is sent again without a look in between; nothing is sent that stands already."""
    last: dict[tuple[Key, str, str], Post] = {}
    for post in sent:
        name = (post.key, post.entry.path, post.sha256)
        earlier = last.get(name)
        if earlier is not None and not _read_between(log, journal, post.key, earlier.at, post.at):
            yield f"twice: {post} repeats POST {earlier.entry.number} without a look"
        last[name] = post
        if strict and not post.has_effect and post.entry.status in (200, None) and not post.entry.faults:
            yield f"twice: {post} asks for what stands already"


def _lost(world: World, journal: Journal) -> Iterable[str]:
    """At the end every account is as wished for, and whatever nobody asked for is as it was."""
    for key, wanted in world.after.items():
        moments = journal.of(key)
        found = moments[-1].account if moments else world.before[key]
        if (found.status, dict(found.suspended), dict(found.rows)) != (wanted.status, dict(wanted.suspended), dict(wanted.rows)):
            yield f"lost: {key[1]} ended as {found}"


def _truth(sent: Sequence[Post], records: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """What the ledger says of each call is what the sandbox's journal says: one effect for each that is verified, none for one that failed."""
    outcomes: dict[tuple[str, str], str] = {}
    digests: dict[tuple[str, str], tuple[str, str]] = {}
    settled: set[tuple[str, str]] = set()
    for record in records:
        body = record["body"]
        if record["kind"] == "intent":
            digests[record["run"], body["step"]] = (body["path"], body["request_sha256"])
            outcomes.setdefault((record["run"], body["step"]), "open")
        elif record["kind"] == "resolved":
            settled.add((record["run"], body["step"]))
            outcomes[record["run"], body["step"]] = body["outcome"]
        elif record["kind"] == "outcome" and (record["run"], body["step"]) not in settled:
            # A run that was taken for dead and comes back tells what it finds then; what its successor has settled stands.
            outcomes[record["run"], body["step"]] = body["outcome"]
    told = Counter(digests.get(name, name) for name, outcome in outcomes.items() if outcome == "verified")
    seen: Counter[tuple[str, str]] = Counter()
    for post in sent:
        if post.has_effect:
            path = post.entry.path.partition("/rest/v2")[2]
            seen[path, post.sha256] += 1
    for name, outcome in outcomes.items():
        if outcome in ("open", "unknown"):
            yield f"truth: step {name[1]} of run {name[0]} is {outcome} at the end"
    if told != seen:
        yield f"truth: the ledger has verified {dict(told)}, the sandbox has seen {dict(seen)}"
