"""The ledger: records appended to a chain in a database, what they say of runs and attempts, plans, locks and freezes.

Every method is one transaction, durable when it returns, and raises LedgerFailed when the database fails or is not what it says. Only ``locks``, ``freezes``,
``records`` and the like read without writing.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, Protocol, assert_never

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, Table, and_, func, insert, or_, select, update

from amsctl.config import Secret
from amsctl.errors import Frozen, LedgerFailed, UsageError
from amsctl.ledger import locks as leasing
from amsctl.ledger import projections, schema, statements, verification
from amsctl.ledger.chain import EMPTY, Row, link, record_of
from amsctl.ledger.database import POSTGRESQL, SQLITE, Database, make_file
from amsctl.ledger.holder import is_dead, this_machine
from amsctl.ledger.locks import Dead, Moment, stamp
from amsctl.ledger.names import Names, check_name, is_name
from amsctl.ledger.values import ALL_FIRMS, Attempt, Draft, Freeze, Head, Holder, Kind, Lease, Lock, Record, Run, Scope
from amsctl.ledger.verification import Contents, Progress, Verified, silent
from amsctl.model import Outcome
from amsctl.wire.addresses import normalised

_PAGE: Final = 500
"""Records that are read at a time."""
_STREAM: Final = 1000
_NO_PLANS: Final[Mapping[str, bytes]] = MappingProxyType({})
_NO_NAMES: Final[Mapping[str, str]] = MappingProxyType({})
_BEGINNINGS: Final = frozenset({Kind.INTENT, Kind.RUN_STARTED})
"""What a freeze forbids; what has happened is recorded all the same."""


class Clock(Protocol):
    """What the ledger needs of time."""

    def monotonic(self) -> float:
        """Seconds that only go forward, the same for every process of a machine."""
        ...

    def wall(self) -> float:
        """Seconds since 1970, UTC."""
        ...


def open_ledger(
    url: Secret,
    *,
    clock: Clock,
    names: Mapping[str, str] = _NO_NAMES,
    create: bool = True,
    durable: bool = True,
    dead: Dead = is_dead,
    machine: str | None = None,
) -> Ledger:
    """The ledger at ``sqlite:////absolute/path`` or ``postgresql://…``, made or migrated first with ``create``. A context manager.

    ``names`` (normalised address → name of the AMS) are those of the project: they say whose the records of before there were names are.
    LedgerFailed when it is not there (without ``create``), broken, somebody else's, or of a newer amsctl. ``durable``, ``dead`` and ``machine`` are for
    simulators: whether a commit waits for the disk, which holders are gone, and where this process runs.
    """
    revealed = url.reveal()
    if revealed.startswith(SQLITE):
        path = revealed.removeprefix(SQLITE)
        if create:
            make_file(path)
        elif not os.path.exists(path):
            raise LedgerFailed("there is no ledger yet", where=f"ledger {path}", hint="the first apply makes it")
    elif not revealed.startswith(POSTGRESQL):
        raise LedgerFailed("the ledger's address cannot be used", expected="sqlite:///FILE or postgresql://HOST/NAME")
    database = Database(url, durable=durable)
    try:
        database.prepare(create=create)
    except BaseException:
        database.close()
        raise
    return Ledger(database, clock, dead=dead, machine=this_machine() if machine is None else machine, names=names)


def exists(url: Secret) -> bool:
    """Whether there is a ledger to open: SQLite's file; a server is always taken to be there."""
    revealed = url.reveal()
    return not revealed.startswith(SQLITE) or os.path.exists(revealed.removeprefix(SQLITE))


class Ledger:
    """See :func:`open_ledger`. May be used from several threads; one at a time is let in."""

    def __init__(self, database: Database, clock: Clock, *, dead: Dead, machine: str, names: Mapping[str, str]) -> None:
        self._database = database
        self._clock = clock
        self._dead = dead
        self._expiring = statements.Expiring(server_clock=not database.is_sqlite)
        self._machine = machine
        self._project_names = names
        self._named: set[tuple[str, str]] = set()
        """Names and addresses that are known to belong together for good."""

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    @property
    def place(self) -> str:
        """Where it is, without secrets: ``ledger /path`` or ``ledger HOST/NAME``."""
        return self._database.place

    def began(self) -> str | None:
        """The time of the first record; ``None`` when there is none."""
        with self._database.reading() as connection:
            return connection.execute(select(schema.records.c.at).order_by(schema.records.c.seq).limit(1)).scalar()

    # --- appending ---

    def append(
        self, drafts: Sequence[Draft], *, lease: Lease | None = None, plans: Mapping[str, bytes] = _NO_PLANS
    ) -> tuple[tuple[Record, ...], Lease | None]:
        """The records, durable, and the lease renewed; all of ``drafts`` or none.

        LockLost when ``lease`` is no longer the lock's, Frozen when a draft is an intent or the start of a run and its firm is frozen. ``plans`` (digest →
        text) are kept whole; the first record names them with their SHA-256.
        """
        before = self._clock.monotonic()
        with self._database.writing() as connection:
            last = self._locked_head(connection)
            if lease is not None:
                lease = self._renewed(connection, lease, before)
            self._check_frozen(connection, drafts, lease)
            if plans:
                drafts = [_with_plans(drafts[0], _keep_plans(connection, plans)), *drafts[1:]]
            records = self._chain(connection, last, drafts)
        return records, lease

    def _locked_head(self, connection: Connection) -> Head:
        """The head, locked until this transaction ends. LedgerFailed when the last record is not the one that it names."""
        found = connection.execute(statements.LOCKED_HEAD).all()
        last = connection.execute(statements.LAST).one_or_none()
        heads = [Head(seq, digest) for seq, digest in found]
        if heads != [Head(*last) if last is not None else EMPTY]:
            raise LedgerFailed(
                "the ledger was changed from outside: its head does not name the last record",
                where=self._database.place,
                expected=", ".join(map(str, heads)) or "a head",
                found="no record" if last is None else str(Head(*last)),
                hint="amsctl ledger verify names the first broken record; nothing is written until that is cleared up",
            )
        return heads[0]

    def _chain(self, connection: Connection, last: Head, drafts: Sequence[Draft]) -> tuple[Record, ...]:
        for ams, url in sorted({(draft.ams, normalised(draft.url)) for draft in drafts}):
            self._name(connection, ams, url)
        at = stamp(self._clock.wall())
        rows: list[Row] = []
        for draft in drafts:
            rows.append(link(last, draft, at))
            last = Head(rows[-1].seq, rows[-1].hash)
        records = tuple(map(record_of, rows))
        if rows:
            connection.execute(statements.ADD_RECORDS, [row._asdict() for row in rows])
            connection.execute(statements.MOVE_HEAD, {"last_seq": last.seq, "last_hash": last.hash})
        for record in records:
            _project(connection, record)
        return records

    def _name(self, connection: Connection, ams: str, url: str) -> None:
        """An AMS and its address belong together from the first record on. LedgerFailed when they do not."""
        if (ams, url) in self._named:
            return
        found = _check_same(connection, ams, url)
        if found is None:
            connection.execute(statements.ADD_NAME, {"url": url, "ams": ams, "before_names": False})
        elif not found:
            connection.execute(statements.GIVE_NAME, {"of_url": url, "new_ams": ams})
        else:
            self._named.add((ams, url))  # not what this transaction has yet to commit

    def _names(self, connection: Connection) -> Names:
        """Whose the records of before there were names are, as of now."""
        before = [row.url for row in connection.execute(statements.BEFORE_NAMES)]
        if not before:
            return Names({}, {}, ())
        wanted = {"of_urls": sorted({*before, *map(normalised, before)})}
        return Names({row.url: row.ams for row in connection.execute(statements.NAMES, wanted)}, self._project_names, tuple(before))

    def _check_frozen(self, connection: Connection, drafts: Sequence[Draft], lease: Lease | None) -> None:
        beginnings = [draft for draft in drafts if draft.kind in _BEGINNINGS]
        scopes = {Scope(draft.ams, draft.firm): draft.url for draft in beginnings}
        if beginnings and lease is not None:
            scopes.update(dict.fromkeys(lease.names, lease.url))
        names = self._names(connection) if scopes else None
        for scope, url in sorted(scopes.items()):
            assert names is not None
            _refuse_frozen(connection, scope, url, names)

    # --- reading ---

    def head(self) -> Head:
        """The last record's number and hash, to be kept outside. LedgerFailed when there is no such record."""
        with self._database.reading() as connection:
            return self._shown_head(connection)

    def _shown_head(self, connection: Connection) -> Head:
        row = connection.execute(statements.HEAD).first()
        if row is None:
            raise LedgerFailed("the ledger has no head", where=self._database.place, hint="amsctl ledger verify")
        return Head(*row)

    def records(
        self,
        *,
        after: int = 0,
        ams: str | None = None,
        firm: str | None = None,
        account: str | None = None,
        accounts: Collection[str] = (),
        run: str | None = None,
        since: str | None = None,
        kinds: Collection[Kind] = (),
    ) -> Iterator[Record]:
        """The records after number ``after`` that fit, in order, a page at a time. ``since`` is UTC as records have it, or a beginning of it. ``accounts``:
        those of any of these; a few dozen at most, as every page sorts what it finds of them.
        """
        table = schema.records.c
        query = select(schema.records).order_by(table.seq).limit(_PAGE)
        for column, wanted in ((table.firm, firm), (table.account, account), (table.run, run)):
            if wanted is not None:
                query = query.where(column == wanted)
        if accounts:
            query = query.where(table.account.in_(sorted(accounts)))
        if ams is not None:
            with self._database.reading() as connection:
                query = query.where(_of(schema.records, ams, self._names(connection)))
        if since is not None:
            query = query.where(table.at >= since)
        if kinds:
            query = query.where(table.kind.in_(sorted(kind.value for kind in kinds)))
        while True:
            with self._database.reading() as connection:
                page = [_record(row) for row in connection.execute(query.where(table.seq > after)).mappings()]
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].seq

    def plan(self, digest: str) -> bytes | None:
        """The text of a plan as it was stored; ``None`` when there is none. LedgerFailed when it is another one by now."""
        table = schema.plans.c
        with self._database.reading() as connection:
            row = connection.execute(select(table.content, table.sha256).where(table.digest == digest)).first()
            if row is None:
                return None
            recorded = _recorded_plan(connection, digest)
        text = None if recorded is None else verification.plan_text(row.content, row.sha256, recorded)
        if text is None:
            raise LedgerFailed("the stored plan was changed from outside", where=f"plan {digest}", hint="amsctl ledger verify")
        return text

    def run(self, id_or_prefix: str) -> Run | None:
        """A run by its name or an unambiguous beginning of it; ``None`` when there is none. UsageError when several begin so."""
        name = schema.runs.c.id
        query = _runs().where(func.substr(name, 1, len(id_or_prefix)) == id_or_prefix).limit(9)
        with self._database.reading() as connection:
            names = self._names(connection)
            found = [_run(row, names) for row in connection.execute(query).mappings()]
        exact = [run for run in found if run.id == id_or_prefix]
        if len(found) > 1 and not exact:
            raise UsageError("several runs begin so", found=", ".join(run.id for run in found), hint="name more of it")
        return next(iter(exact or found), None)

    def runs(
        self, *, ams: str | None = None, environment: str | None = None, plan_digest: str | None = None, limit: int | None = None
    ) -> Iterator[Run]:
        """The runs, newest first."""
        table = schema.runs.c
        query = _runs()
        with self._database.reading() as connection:
            names = self._names(connection)
        if ams is not None:
            query = query.where(_of(schema.runs, ams, names))
        if environment is not None:
            query = query.where(table.environment == environment)
        if plan_digest is not None:
            query = query.where(table.plan_digest == plan_digest)
        left, before = limit, None
        while left is None or left > 0:
            size = _PAGE if left is None else min(left, _PAGE)
            page_query = query.limit(size) if before is None else query.limit(size).where(table.started_seq < before)
            with self._database.reading() as connection:
                page = connection.execute(page_query).mappings().all()
            yield from (_run(row, names) for row in page)
            if len(page) < size:
                return
            before = page[-1]["started_seq"]
            left = None if left is None else left - size

    def attempts(
        self, *, run: str | None = None, scope: Scope | None = None, account: str | None = None, open_only: bool = False
    ) -> tuple[Attempt, ...]:
        """The sendings that fit, oldest first; with ``open_only`` those of which nobody knows what became of them."""
        table = schema.attempts.c
        query = (
            select(schema.attempts, schema.records.c.body)
            .join(schema.records, schema.records.c.seq == table.intent_seq)
            .order_by(table.intent_seq)
        )
        if run is not None:
            query = query.where(table.run == run)
        if account is not None:
            query = query.where(table.account == account)
        if open_only:
            query = query.where(statements.UNSETTLED)
        with self._database.reading() as connection:
            names = self._names(connection)
            if scope is not None:
                query = query.where(_of(schema.attempts, scope.ams, names), table.firm == scope.firm)
            return tuple(_attempt(row, names) for row in connection.execute(query).mappings())

    # --- locks ---

    def acquire(
        self,
        scope: Scope,
        *,
        url: str,
        run: str,
        holder: Holder,
        seconds: float,
        environment: str,
        writes: bool = True,
        also: tuple[str, ...] = (),
    ) -> Lease:
        """The lock of a scope at the address ``url``, for ``seconds`` from before this was asked. Locked when somebody has it, Frozen when nobody may.

        A lease that has run out, or whose holder is known to be gone, is taken over; every holder has a higher fence than the one before. Without
        ``writes`` a freeze is no obstacle: it forbids what is written to the AMS, not finding out what was. ``also`` are other names of the firm, under
        which it may be frozen as well.
        """
        url = normalised(url)
        self._refuse_early(scope, holder)
        before = self._clock.monotonic()
        with self._database.writing() as connection:
            last = self._locked_head(connection)
            self._name(connection, scope.ams, url)
            names = self._names(connection)
            for name in (scope.firm, *also) if writes else ():
                _refuse_frozen(connection, Scope(scope.ams, name), url, names)
            row = connection.execute(statements.LOCKED_LOCK, leasing.of(scope)).mappings().one_or_none()
            took_over, rival = self._rivals(connection, scope, row, names, holder)
            if rival is None:
                fence = 1 if row is None else row["fence"] + 1
                lease = Lease(
                    scope=scope,
                    url=url,
                    id=leasing.new_id(scope, fence, run),
                    fence=fence,
                    run=run,
                    seconds=seconds,
                    until_monotonic=before + seconds,
                    also=also,
                )
                if took_over is not None:
                    connection.execute(statements.END_BEFORE_NAMES, {"of_id": took_over["lock"]})
                (record,) = self._chain(connection, last, [leasing.taken(lease, holder, environment, took_over)])
                self._write_lock(connection, lease, holder, record.at, fresh=row is None)
                return lease
        # After the commit: an expiry that was shortened has to last.
        raise leasing.locked(rival)

    def _rivals(
        self, connection: Connection, scope: Scope, row: RowMapping | None, names: Names, holder: Holder
    ) -> tuple[dict[str, Any] | None, Lock | None]:
        """Whom a lock is taken over from, or who keeps it: under the name of the AMS, or under one of its addresses from before there were names."""
        held = [row] if row is not None and row["held"] else []
        took_over = None
        for table, rows in ((schema.locks, held), (schema.locks_before_names, self._held_before_names(connection, scope, names))):
            for one in rows:
                took, rival = self._contested(connection, table, one, self._moment(connection, holder.machine))
                if rival is not None:
                    return None, rival
                took_over = took_over or took
        return took_over, None

    def _held_before_names(self, connection: Connection, scope: Scope, names: Names) -> Sequence[RowMapping]:
        urls = names.before(scope.ams)
        if not urls:
            return ()
        return connection.execute(statements.LOCKS_BEFORE_NAMES, {"of_firm": scope.firm, "of_urls": urls}).mappings().all()

    def _refuse_early(self, scope: Scope, holder: Holder) -> None:
        """Whoever waits for a lock asks again and again: as long as it is plainly held, that is a look, and stops nobody who writes."""
        with self._database.reading() as connection:
            row = connection.execute(statements.LOCK, leasing.of(scope)).mappings().one_or_none()
            if row is None or not row["held"]:
                return
            now = self._moment(connection, holder.machine)
            lock = leasing.lock_of(row, now, self._dead)
            frozen = _freezes_for(connection, scope, self._names(connection))
            if not (lock.dead or lock.expired or frozen or leasing.shortened(row, lock.holder, now)):
                raise leasing.locked(lock)

    def _contested(self, connection: Connection, table: Table, row: RowMapping, now: Moment) -> tuple[dict[str, Any] | None, Lock | None]:
        """Whom a lock is taken over from, or who keeps it."""
        lock = leasing.lock_of(row, now, self._dead)
        if lock.dead:
            return leasing.predecessor(row, "its holder is gone"), None
        if lock.expired:
            return leasing.predecessor(row, "its lease had run out"), None
        sooner = leasing.shortened(row, lock.holder, now)
        if sooner is not None:
            # By hand, not by a statement of Expiring: which of the two expiries is out of order depends on whose clock is.
            connection.execute(update(table).where(table.c.id == lock.id, table.c.firm == lock.scope.firm).values(sooner))
        return None, lock

    def _write_lock(self, connection: Connection, lease: Lease, holder: Holder, at: str, *, fresh: bool) -> None:
        statement = self._expiring.take_first if fresh else self._expiring.take
        connection.execute(statement, {**leasing.of(lease.scope), **leasing.bound(lease, holder, at), **self._expiry(lease)})

    def _expiry(self, lease: Lease) -> dict[str, float]:
        return {
            **self._expiring.at(self._clock.wall()),
            "for_seconds": lease.seconds,
            "until_monotonic": lease.until_monotonic,
        }

    def _moment(self, connection: Connection, machine: str) -> Moment:
        wall = connection.execute(self._expiring.now, self._expiring.at(self._clock.wall())).scalar_one()
        return Moment(wall=wall, monotonic=self._clock.monotonic(), machine=machine)

    def renew(self, lease: Lease) -> Lease:
        """The lease, for as long again from before this was asked. LockLost when the lock is another's by now, or was broken."""
        before = self._clock.monotonic()
        with self._database.writing() as connection:
            return self._renewed(connection, lease, before)

    def _renewed(self, connection: Connection, lease: Lease, before: float) -> Lease:
        renewed = replace(lease, until_monotonic=before + lease.seconds)
        done = connection.execute(self._expiring.renew, {**leasing.held_by(lease), **self._expiry(renewed)})
        if done.rowcount != 1:
            raise leasing.lost(lease)
        return renewed

    def release(self, lease: Lease) -> None:
        """Give a lock back. Nothing happens when it was lost; when the ledger fails now, the lease runs out by itself."""
        try:
            with self._database.writing() as connection:
                last = self._locked_head(connection)
                done = connection.execute(statements.RELEASE, leasing.held_by(lease))
                if done.rowcount == 1:
                    body = {"lock": lease.id, "fence": lease.fence}
                    draft = Draft(
                        kind=Kind.LOCK_RELEASED, ams=lease.scope.ams, url=lease.url, firm=lease.scope.firm, run=lease.run, body=body
                    )
                    self._chain(connection, last, [draft])
        except LedgerFailed:
            return

    def locks(self, ams: str | None = None) -> tuple[Lock, ...]:
        """The locks that are held, also by holders that are gone or whose lease has run out."""
        with self._database.reading() as connection:
            found = [self._lock(connection, row) for row in self._held(connection)]
        return tuple(sorted((lock for lock in found if ams in (None, lock.scope.ams)), key=lambda lock: (lock.since, lock.id)))

    def _held(self, connection: Connection) -> Iterator[RowMapping]:
        for table in (schema.locks, schema.locks_before_names):
            yield from connection.execute(select(table).where(table.c.held)).mappings()

    def _lock(self, connection: Connection, row: RowMapping) -> Lock:
        lock = leasing.lock_of(row, self._moment(connection, self._machine), self._dead)
        return lock if "ams" in row else replace(lock, scope=Scope(self._names(connection).of(lock.url), lock.scope.firm))

    def break_lock(self, lock_id: str, *, by: str, reason: str) -> Lock:
        """Take a lock away from its holder, who writes nothing any more; the lock as it was. UsageError when nobody holds one of that name."""
        with self._database.writing() as connection:
            last = self._locked_head(connection)
            row = next((one for one in self._held(connection) if one["id"] == lock_id), None)
            if row is None:
                raise UsageError("nobody holds a lock of this name", found=lock_id, hint="amsctl lock status shows the locks that are held")
            lock = self._lock(connection, row)
            if not is_name(lock.scope.ams):
                raise UsageError(
                    "the lock is of an AMS that no environment has",
                    found=lock.url,
                    hint="it keeps nobody out: no environment has this address",
                )
            table = schema.locks if "ams" in row else schema.locks_before_names
            connection.execute(update(table).where(table.c.id == lock_id, table.c.held).values(held=False))
            body = {"lock": lock.id, "fence": lock.fence, "by": by, "reason": reason, "taken_from": leasing.predecessor(row, reason)}
            draft = Draft(kind=Kind.LOCK_BROKEN, ams=lock.scope.ams, url=lock.url, firm=lock.scope.firm, run=lock.run, body=body)
            self._chain(connection, last, [draft])
        return lock

    # --- freezes ---

    def freeze(self, scope: Scope, *, url: str, reason: str, by: str) -> Freeze:
        """Stop every write to a scope (whose AMS has the address ``url`` now), whatever the address, from the next intent on, until a thaw.
        ``scope.firm`` may be ``ALL_FIRMS``.
        """
        body = {"reason": reason, "by": by}
        self.append([Draft(kind=Kind.FREEZE, ams=scope.ams, url=url, firm=scope.firm, body=body)])
        return next(one for one in self.freezes(scope.ams) if one.scope == scope)

    def thaw(self, scope: Scope, *, url: str, reason: str, by: str) -> Freeze | None:
        """End the freeze of exactly this scope; what it was, or ``None`` when there was none."""
        with self._database.writing() as connection:
            last = self._locked_head(connection)
            _check_same(connection, scope.ams, normalised(url))
            found = next((one for one in _freezes_for(connection, scope, self._names(connection)) if one.scope == scope), None)
            if found is not None:
                body = {"reason": reason, "by": by}
                self._chain(connection, last, [Draft(kind=Kind.THAW, ams=scope.ams, url=url, firm=scope.firm, body=body)])
            return found

    def frozen(self, scope: Scope) -> Freeze | None:
        """The freeze that holds for a scope: its own, or that of all firms."""
        with self._database.reading() as connection:
            return next(iter(_freezes_for(connection, scope, self._names(connection))), None)

    def freezes(self, ams: str | None = None) -> tuple[Freeze, ...]:
        """The freezes that hold, oldest first."""
        with self._database.reading() as connection:
            holding = _holding(connection.execute(statements.LAST_FREEZING).mappings(), self._names(connection))
        return tuple(freeze for freeze in holding if ams in (None, freeze.scope.ams))

    # --- verification ---

    def verify(self, *, anchor: Head | None = None, progress: Progress = silent) -> Verified:
        """What was looked at. LedgerFailed naming the first broken record and why; ``anchor`` is a head that was kept outside."""
        with self._database.reading() as connection:
            return verification.verify(contents_of(connection), anchor=anchor, progress=progress)


def _check_same(connection: Connection, ams: str, url: str) -> str | None:
    """The name under which the ledger knows an address (``None``: it does not; empty: from before there were names). LedgerFailed when it is another
    one than ``ams``: two names for one AMS would have locks and freezes each.
    """
    check_name(ams)
    found: str | None = connection.execute(statements.NAMED, {"of_url": url}).scalar()
    if found and found != ams:
        raise LedgerFailed(
            "the ledger knows this AMS by another name",
            where=url,
            expected=f"ams: {found}",
            found=ams,
            hint=f"write ams: {found} into this environment of amsctl.yaml: locks, freezes and open calls go by that name",
        )
    return found


def contents_of(connection: Connection) -> Contents:
    """Everything in the database, streamed."""
    streaming = connection.execution_options(yield_per=_STREAM)

    def rows(query: Select[Any]) -> Iterator[dict[str, Any]]:
        return (dict(row) for row in streaming.execute(query).mappings())

    def ordered() -> Iterator[Row]:
        return (Row(*row) for row in streaming.execute(select(schema.records).order_by(schema.records.c.seq)))

    head, plans, addresses = schema.head.c, schema.plans.c, schema.addresses.c
    return Contents(
        records=ordered(),
        head=[(seq, digest) for seq, digest in connection.execute(select(head.seq, head.hash))],
        runs=rows(select(schema.runs)),
        attempts=rows(select(schema.attempts)),
        locks=rows(select(schema.locks)),
        locks_before_names=rows(select(schema.locks_before_names)),
        addresses=[(row[0], row[1], row[2]) for row in connection.execute(select(addresses.url, addresses.ams, addresses.before_names))],
        plans=((row[0], row[1], row[2]) for row in streaming.execute(select(plans.digest, plans.sha256, plans.content))),
    )


# --- plans ---


def _keep_plans(connection: Connection, plans: Mapping[str, bytes]) -> dict[str, str]:
    """Digest → SHA-256 of the text that is stored under it."""
    table = schema.plans.c
    kept: dict[str, str] = {}
    for digest, text in plans.items():
        kept[digest] = hashlib.sha256(text).hexdigest()
        row = connection.execute(select(table.content, table.sha256).where(table.digest == digest)).first()
        if row is None:
            content = zlib.compress(text)
            connection.execute(insert(schema.plans).values(digest=digest, sha256=hashlib.sha256(content).hexdigest(), content=content))
        elif verification.plan_text(row.content, row.sha256, kept[digest]) is None:
            raise LedgerFailed("another plan is stored under this digest", where=f"plan {digest}", hint="amsctl ledger verify")
    return kept


def _recorded_plan(connection: Connection, digest: str) -> str | None:
    """The SHA-256 under which the chain knows a plan; ``None`` when no run has brought it."""
    runs, records = schema.runs.c, schema.records.c
    query = (
        select(records.body)
        .join(schema.runs, runs.started_seq == records.seq)
        .where(or_(runs.plan_digest == digest, runs.inverse_digest == digest))
        .order_by(records.seq)
    )
    for row in connection.execute(query).mappings():
        kept = _body(row).get(projections.KEPT_PLANS)
        if isinstance(kept, Mapping) and digest in kept:
            return str(kept[digest])
    return None


def _with_plans(draft: Draft, kept: Mapping[str, str]) -> Draft:
    return replace(draft, body={**draft.body, projections.KEPT_PLANS: dict(kept)})


# --- what is kept ready ---


def _project(connection: Connection, record: Record) -> None:
    match record.kind:
        case Kind.RUN_STARTED:
            connection.execute(statements.ADD_RUN, projections.run_row(record))
        case Kind.RUN_FINISHED:
            connection.execute(statements.END_RUN.values(projections.run_end(record)), {"of_run": record.run})
        case Kind.INTENT:
            connection.execute(statements.ADD_ATTEMPT, projections.attempt_row(record))
        case Kind.OUTCOME:
            connection.execute(statements.SETTLE, _settlement(record))
        case Kind.RESOLVED:
            connection.execute(statements.SETTLE_OPEN, _settlement(record))
        case Kind.LOCK_TAKEN | Kind.LOCK_BROKEN | Kind.LOCK_RELEASED | Kind.FREEZE | Kind.THAW:
            pass  # locks are written by those who append these, freezes are looked up in the chain
        case _:
            assert_never(record.kind)


def _settlement(record: Record) -> dict[str, object]:
    return {"of_run": record.run, "of_step": record.body["step"], "found": projections.outcome_of(record)}


# --- rows as values ---


def _record(row: RowMapping) -> Record:
    return record_of(Row(**row))


def _runs() -> Select[Any]:
    return (
        select(schema.runs, schema.records.c.body)
        .join(schema.records, schema.records.c.seq == schema.runs.c.started_seq)
        .order_by(schema.runs.c.started_seq.desc())
    )


def _of(table: Table, ams: str, names: Names) -> ColumnElement[bool]:
    """What is of an AMS: by its name, or by an address of it in records of before there were names."""
    before = names.before(ams)
    named = table.c.ams == ams
    return or_(named, and_(table.c.ams == "", table.c.url.in_(before))) if before else named


def _run(row: RowMapping, names: Names) -> Run:
    columns = {name: row[name] for name in ("id", "at", "url", "environment", "plan_digest", "inverse_digest", "exit_code", "finished_at")}
    return Run(**columns, ams=row["ams"] or names.of(row["url"]), body=_body(row))


def _attempt(row: RowMapping, names: Names) -> Attempt:
    outcome = row["outcome"]
    return Attempt(
        run=row["run"],
        step=row["step"],
        attempt=row["attempt"],
        scope=Scope(row["ams"] or names.of(row["url"]), row["firm"]),
        url=row["url"],
        account=row["account"],
        intent_seq=row["intent_seq"],
        at=row["at"],
        outcome=None if outcome is None else Outcome(outcome),
        intent=_body(row),
    )


def _body(row: RowMapping) -> Mapping[str, object]:
    body: dict[str, object] = json.loads(row["body"])
    return body


# --- freezes ---


def _freezes_for(connection: Connection, scope: Scope, names: Names) -> list[Freeze]:
    """The freezes that hold for a scope: its own, that of all firms."""
    wanted = {**leasing.of(scope), "of_urls": names.before(scope.ams)}
    return _holding(connection.execute(statements.FREEZING_OF, wanted).mappings(), names)


def _holding(rows: Iterable[RowMapping], names: Names) -> list[Freeze]:
    """Of the last freezes and thaws, in order, the freezes that hold. What has a name ends all that its firm had from before there were names: each
    of them, by whatever spelling of the address, held until then.
    """
    held: list[Freeze] = []
    for record in map(_record, rows):
        scope = Scope(record.ams or names.of(record.url), record.firm)
        if record.ams:
            held = [freeze for freeze in held if freeze.scope != scope]
        if record.kind is Kind.FREEZE:
            by, reason = str(record.body.get("by", "")), str(record.body.get("reason", ""))
            held.append(Freeze(scope=scope, url=record.url, reason=reason, by=by, since=record.at))
    return held


def _refuse_frozen(connection: Connection, scope: Scope, url: str, names: Names) -> None:
    frozen = _freezes_for(connection, scope, names)
    if not frozen:
        return
    found = frozen[0]
    firm = scope.firm if found.scope.firm != ALL_FIRMS else "every clearing firm"
    raise Frozen(
        f"writes to {firm} are frozen",
        where=f"{scope.firm or ALL_FIRMS} at {url}",
        found=f"{found.reason!r}, by {found.by}, since {found.since}",
        hint="amsctl thaw lifts it; nothing was sent",
    )
