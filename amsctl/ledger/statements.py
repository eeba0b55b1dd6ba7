"""The statements of every append, built once: building them costs more than running them."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Double, and_, bindparam, case, cast, func, insert, or_, select, text, update
from sqlalchemy.sql.elements import ColumnElement

from amsctl.ledger import schema
from amsctl.ledger.values import ALL_FIRMS

_records, _locks, _attempts = schema.records.c, schema.locks.c, schema.attempts.c

# Written out, not bound: only then can SQLite see that the index over such rows alone will do.
FREEZING: Final = text("kind IN ('freeze', 'thaw')")
UNSETTLED: Final = text("(outcome IS NULL OR outcome = 'unknown')")

HEAD: Final = select(schema.head.c.seq, schema.head.c.hash)
LOCKED_HEAD: Final = HEAD.with_for_update()
LAST: Final = select(_records.seq, _records.hash).order_by(_records.seq.desc()).limit(1)
MOVE_HEAD: Final = update(schema.head).values(seq=bindparam("last_seq"), hash=bindparam("last_hash"))
ADD_RECORDS: Final = insert(schema.records)

_apart: Final = (_records.ams, case((_records.ams == "", _records.url), else_=""), _records.firm)
"""What has a freeze of its own: a firm of an AMS, or of an address in records of before there were names."""
LAST_FREEZING: Final = (
    select(schema.records).where(_records.seq.in_(select(func.max(_records.seq)).where(FREEZING).group_by(*_apart))).order_by(_records.seq)
)
"""The last freeze or thaw of everything that has a freeze of its own."""
FREEZING_OF: Final = (
    select(schema.records)
    .where(
        _records.seq.in_(
            select(func.max(_records.seq))
            .where(
                or_(_records.ams == bindparam("of_ams"), and_(_records.ams == "", _records.url.in_(bindparam("of_urls", expanding=True)))),
                _records.firm.in_((bindparam("of_firm"), ALL_FIRMS)),
                FREEZING,
            )
            .group_by(*_apart)
        ),
    )
    .order_by(_records.seq)
)
"""The same for one firm: its own, that of all firms, and those of addresses in records of before there were names."""

NAMED: Final = select(schema.addresses.c.ams).where(schema.addresses.c.url == bindparam("of_url"))
BEFORE_NAMES: Final = select(schema.addresses.c.url, schema.addresses.c.ams).where(schema.addresses.c.before_names)
NAMES: Final = select(schema.addresses.c.url, schema.addresses.c.ams).where(
    schema.addresses.c.url.in_(bindparam("of_urls", expanding=True))
)
ADD_NAME: Final = insert(schema.addresses)
GIVE_NAME: Final = update(schema.addresses).where(schema.addresses.c.url == bindparam("of_url")).values(ams=bindparam("new_ams"))

_before: Final = schema.locks_before_names.c
LOCKS_BEFORE_NAMES: Final = (
    select(schema.locks_before_names)
    .where(_before.held, _before.firm == bindparam("of_firm"), _before.url.in_(bindparam("of_urls", expanding=True)))
    .order_by(_before.url)
    .with_for_update()
)
"""The locks of before there were names that are held on a firm."""
END_BEFORE_NAMES: Final = update(schema.locks_before_names).where(_before.id == bindparam("of_id"), _before.held).values(held=False)

ADD_RUN: Final = insert(schema.runs)
END_RUN: Final = update(schema.runs).where(schema.runs.c.id == bindparam("of_run"))
ADD_ATTEMPT: Final = insert(schema.attempts)
_step = (_attempts.run == bindparam("of_run"), _attempts.step == bindparam("of_step"))
SETTLE: Final = update(schema.attempts).where(*_step).values(outcome=bindparam("found"))
SETTLE_OPEN: Final = SETTLE.where(UNSETTLED)

IS_LOCK: Final = (_locks.ams == bindparam("of_ams"), _locks.firm == bindparam("of_firm"))
IS_HELD: Final = (*IS_LOCK, _locks.id == bindparam("of_id"), _locks.fence == bindparam("of_fence"), _locks.held)
LOCK: Final = select(schema.locks).where(*IS_LOCK)
LOCKED_LOCK: Final = LOCK.with_for_update()
"""Before it is judged: a renewal in between would be overlooked."""
TAKEN: Final = ("url", "id", "fence", "held", "run", "holder", "since", "milliseconds")
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
        self.take_first = insert(schema.locks).values({"ams": bindparam("of_ams"), "firm": bindparam("of_firm"), **taken, **expiry})

    def at(self, wall: float) -> dict[str, float]:
        """What binds the wall time."""
        return {} if self._server_clock else {"now_wall": wall}
