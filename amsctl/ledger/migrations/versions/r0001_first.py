"""The ledger's first tables, and what forbids the database to change a record.

A migration is history: it repeats the tables instead of importing them from ``schema``, which moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision = None
branch_labels = None
depends_on = None

_NEVER_CHANGED = ("ledger_records", "ledger_plans")
_NEVER_REMOVED = ("ledger_head",)


def upgrade() -> None:
    """From nothing."""
    _records()
    _head()
    _plans()
    _runs()
    _attempts()
    _locks()
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgresql()


def _number() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _records() -> None:
    bytewise = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "ledger_records",
        sa.Column("seq", _number(), primary_key=True, autoincrement=False),
        sa.Column("at", bytewise, nullable=False),
        *(_text(name) for name in ("kind", "url", "firm", "account", "run", "body", "previous", "hash")),
    )
    op.create_index("ledger_records_by_run", "ledger_records", ["run", "seq"])
    op.create_index("ledger_records_by_account", "ledger_records", ["account", "url", "firm", "seq"])
    freezing = sa.text("kind IN ('freeze', 'thaw')")
    op.create_index("ledger_records_freezing", "ledger_records", ["url", "firm", "seq"], sqlite_where=freezing, postgresql_where=freezing)


def _head() -> None:
    head = op.create_table(
        "ledger_head",
        sa.Column(
            "id", sa.SmallInteger(), sa.CheckConstraint("id = 1", name="ledger_head_is_one_row"), primary_key=True, autoincrement=False
        ),
        sa.Column("seq", _number(), nullable=False),
        _text("hash"),
    )
    op.bulk_insert(head, [{"id": 1, "seq": 0, "hash": "0" * 64}])


def _plans() -> None:
    op.create_table(
        "ledger_plans",
        sa.Column("digest", sa.Text(), primary_key=True),
        _text("sha256"),
        sa.Column("content", sa.LargeBinary(), nullable=False),
    )


def _runs() -> None:
    op.create_table(
        "ledger_runs",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("started_seq", _number(), nullable=False),
        *(_text(name) for name in ("url", "environment", "plan_digest", "inverse_digest", "at")),
        sa.Column("exit_code", sa.Integer()),
        _text("finished_at", nullable=True),
    )
    op.create_index("ledger_runs_by_start", "ledger_runs", ["started_seq"], unique=True)


def _attempts() -> None:
    op.create_table(
        "ledger_attempts",
        sa.Column("intent_seq", _number(), primary_key=True, autoincrement=False),
        _text("run"),
        _text("step"),
        sa.Column("attempt", sa.Integer(), nullable=False),
        *(_text(name) for name in ("url", "firm", "account", "at")),
        _text("outcome", nullable=True),
    )
    op.create_index("ledger_attempts_by_step", "ledger_attempts", ["run", "step"])
    op.create_index("ledger_attempts_by_account", "ledger_attempts", ["account", "url", "firm"])
    unsettled = sa.text("outcome IS NULL OR outcome = 'unknown'")
    op.create_index("ledger_attempts_open", "ledger_attempts", ["url", "firm"], sqlite_where=unsettled, postgresql_where=unsettled)


def _locks() -> None:
    op.create_table(
        "ledger_locks",
        sa.Column("url", sa.Text(), primary_key=True),
        sa.Column("firm", sa.Text(), primary_key=True),
        _text("id"),
        sa.Column("fence", _number(), nullable=False),
        sa.Column("held", sa.Boolean(create_constraint=False), nullable=False),
        _text("run"),
        _text("holder"),
        _text("since"),
        sa.Column("milliseconds", _number(), nullable=False),
        sa.Column("expires_wall", sa.Double(), nullable=False),
        sa.Column("expires_monotonic", sa.Double(), nullable=False),
    )


def _guard_sqlite() -> None:
    guarded = [(table, event) for table in _NEVER_CHANGED for event in ("UPDATE", "DELETE")] + [
        (table, "DELETE") for table in _NEVER_REMOVED
    ]
    for table, event in guarded:
        op.execute(
            f"CREATE TRIGGER {table}_no_{event.lower()} BEFORE {event} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table}: what is recorded stays as it is'); END"
        )


def _guard_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '%: what is recorded stays as it is', TG_TABLE_NAME; END $$"
    )
    guarded = [(table, "UPDATE OR DELETE OR TRUNCATE") for table in _NEVER_CHANGED] + [
        (table, "DELETE OR TRUNCATE") for table in _NEVER_REMOVED
    ]
    for table, events in guarded:
        op.execute(f"CREATE TRIGGER {table}_guard BEFORE {events} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse()")
