"""Records, runs, sendings and locks go by the name of the AMS; what is older keeps its address, by which the name is found.

No record is changed: what was hashed and anchored before verifies as it did. An older amsctl writes nothing further once this has run.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0002"
down_revision = "r0001"
branch_labels = None
depends_on = None

_REFUSAL = "a newer amsctl keeps this ledger by the names of the AMS: upgrade this one"


def upgrade() -> None:
    """From addresses to names."""
    for table in ("ledger_records", "ledger_runs", "ledger_attempts"):
        op.add_column(table, sa.Column("ams", sa.Text(), nullable=False, server_default=""))
    _indexes()
    _addresses()
    _locks()
    _refuse_nameless()


def _indexes() -> None:
    freezing = sa.text("kind IN ('freeze', 'thaw')")
    unsettled = sa.text("outcome IS NULL OR outcome = 'unknown'")
    op.drop_index("ledger_records_by_account", "ledger_records")
    op.create_index("ledger_records_by_account", "ledger_records", ["account", "firm", "seq"])
    op.drop_index("ledger_records_freezing", "ledger_records")
    op.create_index("ledger_records_freezing", "ledger_records", ["ams", "firm", "seq"], sqlite_where=freezing, postgresql_where=freezing)
    op.create_index("ledger_runs_by_plan", "ledger_runs", ["plan_digest"])
    op.drop_index("ledger_attempts_by_account", "ledger_attempts")
    op.create_index("ledger_attempts_by_account", "ledger_attempts", ["account", "firm"])
    op.drop_index("ledger_attempts_open", "ledger_attempts")
    op.create_index("ledger_attempts_open", "ledger_attempts", ["ams", "firm"], sqlite_where=unsettled, postgresql_where=unsettled)


def _addresses() -> None:
    op.create_table(
        "ledger_addresses",
        sa.Column("url", sa.Text(), primary_key=True),
        sa.Column("ams", sa.Text(), nullable=False),
        sa.Column("before_names", sa.Boolean(create_constraint=False), nullable=False),
    )
    op.execute("INSERT INTO ledger_addresses (url, ams, before_names) SELECT DISTINCT url, '', true FROM ledger_records")


def _locks() -> None:
    columns = ("url", "firm", "id", "fence", "held", "run", "holder", "since", "milliseconds", "expires_wall", "expires_monotonic")
    op.create_table("ledger_locks_before_names", *_lock_columns("url"))
    listed = ", ".join(columns)
    op.execute(f"INSERT INTO ledger_locks_before_names ({listed}) SELECT {listed} FROM ledger_locks")  # noqa: S608 - constants
    op.drop_table("ledger_locks")
    op.create_table("ledger_locks", *_lock_columns("ams"), sa.Column("url", sa.Text(), nullable=False))


def _lock_columns(key: str) -> tuple[sa.Column[object], ...]:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return (
        sa.Column(key, sa.Text(), primary_key=True),
        sa.Column("firm", sa.Text(), primary_key=True),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("fence", number, nullable=False),
        sa.Column("held", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("since", sa.Text(), nullable=False),
        sa.Column("milliseconds", number, nullable=False),
        sa.Column("expires_wall", sa.Double(), nullable=False),
        sa.Column("expires_monotonic", sa.Double(), nullable=False),
    )


def _refuse_nameless() -> None:
    """An older amsctl that is under way appends without a name, and would be beside everybody's locks."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            f"CREATE TRIGGER ledger_records_named BEFORE INSERT ON ledger_records WHEN NEW.ams = '' BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
        )
        return
    op.execute(
        f"CREATE FUNCTION ledger_refuse_nameless() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER ledger_records_named BEFORE INSERT ON ledger_records "
        "FOR EACH ROW WHEN (NEW.ams = '') EXECUTE FUNCTION ledger_refuse_nameless()"
    )
