"""The statements of every append, built once: building them costs more than running them."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Double, bindparam, cast, func, insert, select, text, update
from sqlalchemy.sql.elements import ColumnElement

from amsctl.ledger import schema
from amsctl.ledger.values import ALL_FIRMS, Kind

_records, _locks, _attempts = schema.records.c, schema.locks.c, schema.attempts.c

# Written out, not bound: only then can SQLite see that the index over such rows alone will do.
FREEZING: Final = text("kind IN ('freeze', 'thaw')")
UNSETTLED: Final = text("(outcome IS NULL OR outcome = 'unknown')")

HEAD: Final = select(schema.head.c.seq, schema.head.c.hash)
LOCKED_HEAD: Final = HEAD.with_for_update()
LAST: Final = select(_records.seq, _records.hash).order_by(_records.seq.desc()).limit(1)
MOVE_HEAD: Final = update(schema.head).values(seq=bindparam("last_seq"), hash=bindparam("last_hash"))
ADD_RECORDS: Final = insert(schema.records)

FREEZES: Final = (
    select(schema.records)
    .where(
        _records.seq.in_(
            select(func.max(_records.seq))
            .where(_records.url == bindparam("of_url"), _records.firm.in_((bindparam("of_firm"), ALL_FIRMS)), FREEZING)
            .group_by(_records.firm)
        ),
        _records.kind == Kind.FREEZE.value,
    )
    .order_by(_records.seq)
)
"""The freezes that hold for a firm: its own, that of all firms."""

ADD_RUN: Final = insert(schema.runs)
END_RUN: Final = update(schema.runs).where(schema.runs.c.id == bindparam("of_run"))
ADD_ATTEMPT: Final = insert(schema.attempts)
_step = (_attempts.run == bindparam("of_run"), _attempts.step == bindparam("of_step"))
SETTLE: Final = update(schema.attempts).where(*_step).values(outcome=bindparam("found"))
SETTLE_OPEN: Final = SETTLE.where(UNSETTLED)

IS_LOCK: Final = (_locks.url == bindparam("of_url"), _locks.firm == bindparam("of_firm"))
IS_HELD: Final = (*IS_LOCK, _locks.id == bindparam("of_id"), _locks.fence == bindparam("of_fence"), _locks.held)
LOCK: Final = select(schema.locks).where(*IS_LOCK)
LOCKED_LOCK: Final = LOCK.with_for_update()
"""Before it is judged: a renewal in between would be overlooked."""
TAKEN: Final = ("id", "fence", "held", "run", "holder", "since", "milliseconds")
"""What a new holder sets of a lock's row, its expiry aside; bound with ``new_`` before each name."""
RELEASE: Final = update(schema.locks).where(*IS_HELD).values(held=False)


class Expiring:
    """Statements in which the ledger's wall time stands: PostgreSQL's own clock, or the time that ``at`` binds."""

    def __init__(self, *, server_clock: bool) -> None:
        self._server_clock = server_clock
        now: ColumnElement[float] = (
            cast(func.extract("epoch", func.clock_timestamp()), Double) if server_clock else bindparam("now_wall", type_=Double)
        )
        expiry: dict[str, Any] = {
            "expires_wall": now + bindparam("for_seconds", type_=Double),
            "expires_monotonic": bindparam("until_monotonic", type_=Double),
        }
        self.now = select(cast(now, Double))
        self.renew = update(schema.locks).where(*IS_HELD).values(expiry)
        taken: dict[str, Any] = {name: bindparam(f"new_{name}") for name in TAKEN}
        self.take = update(schema.locks).where(*IS_LOCK).values({**taken, **expiry})
        self.take_first = insert(schema.locks).values({"url": bindparam("of_url"), "firm": bindparam("of_firm"), **taken, **expiry})

    def at(self, wall: float) -> dict[str, float]:
        """What binds the wall time."""
        return {} if self._server_clock else {"now_wall": wall}
