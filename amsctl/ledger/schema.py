"""The ledger's tables, the same on SQLite and PostgreSQL. ``migrations`` makes them; a test holds the two together.

Names begin with ``ledger_``: a PostgreSQL database may be shared with others.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)

VERSION_TABLE: Final = "ledger_version"
REVISIONS: Final = ("r0001", "r0002")
"""Every revision that this amsctl knows, oldest first; the last is the one it works with."""

metadata = MetaData()

_Number = BigInteger().with_variant(Integer(), "sqlite")
# Compared byte by byte: the order of a language would be another one in each database.
_Bytewise = Text().with_variant(Text(collation="C"), "postgresql")

records = Table(
    "ledger_records",
    metadata,
    Column("seq", _Number, primary_key=True, autoincrement=False),
    Column("at", _Bytewise, nullable=False),
    Column("kind", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("firm", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("body", Text, nullable=False),  # canonical JSON as it was hashed: a JSON type would lose the bytes
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("ams", Text, nullable=False, server_default=""),  # empty: a record of before there were names
    Index("ledger_records_by_run", "run", "seq"),
    Index("ledger_records_by_account", "account", "firm", "seq"),
    Index(
        "ledger_records_freezing",
        "ams",
        "firm",
        "seq",
        sqlite_where=text("kind IN ('freeze', 'thaw')"),
        postgresql_where=text("kind IN ('freeze', 'thaw')"),
    ),
)
"""The chain. Triggers refuse every UPDATE, DELETE and TRUNCATE."""

head = Table(
    "ledger_head",
    metadata,
    Column("id", SmallInteger, CheckConstraint("id = 1", name="ledger_head_is_one_row"), primary_key=True, autoincrement=False),
    Column("seq", _Number, nullable=False),
    Column("hash", Text, nullable=False),
)
"""One row: the last record. Whoever appends locks it first, so that appends come one after the other."""

plans = Table(
    "ledger_plans",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
)
"""Plans by their digest: zlib-compressed text, and the SHA-256 of those bytes. That of the text stands in a record of the chain."""

runs = Table(
    "ledger_runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("started_seq", _Number, nullable=False),
    Column("ams", Text, nullable=False, server_default=""),
    Column("url", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("plan_digest", Text, nullable=False),
    Column("inverse_digest", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("exit_code", Integer),
    Column("finished_at", Text),
    Index("ledger_runs_by_start", "started_seq", unique=True),
    Index("ledger_runs_by_plan", "plan_digest"),
)
"""What the chain says of runs, kept ready."""

attempts = Table(
    "ledger_attempts",
    metadata,
    Column("intent_seq", _Number, primary_key=True, autoincrement=False),
    Column("run", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("ams", Text, nullable=False, server_default=""),
    Column("url", Text, nullable=False),
    Column("firm", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("outcome", Text),
    Index("ledger_attempts_by_step", "run", "step"),
    Index("ledger_attempts_by_account", "account", "firm"),
    Index(
        "ledger_attempts_open",
        "ams",
        "firm",
        sqlite_where=text("outcome IS NULL OR outcome = 'unknown'"),
        postgresql_where=text("outcome IS NULL OR outcome = 'unknown'"),
    ),
)
"""What the chain says of sendings, kept ready."""

locks = Table(
    "ledger_locks",
    metadata,
    Column("ams", Text, primary_key=True),
    Column("firm", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("fence", _Number, nullable=False),
    Column("held", Boolean(create_constraint=False), nullable=False),
    Column("run", Text, nullable=False),
    Column("holder", Text, nullable=False),
    Column("since", Text, nullable=False),
    Column("milliseconds", _Number, nullable=False),
    Column("expires_wall", Double, nullable=False),
    Column("expires_monotonic", Double, nullable=False),
)
"""One row per scope that was ever locked; it stays after a release, for its fencing number. All but the two expiries is told by the chain."""

addresses = Table(
    "ledger_addresses",
    metadata,
    Column("url", Text, primary_key=True),
    Column("ams", Text, nullable=False),
    Column("before_names", Boolean(create_constraint=False), nullable=False),
)
"""Every address that a record names, and what the AMS there is called; empty as long as only records of before there were names have it.
``before_names``: such records have it.
"""

locks_before_names = Table(
    "ledger_locks_before_names",
    metadata,
    Column("url", Text, primary_key=True),
    Column("firm", Text, primary_key=True),
    Column("id", Text, nullable=False),
    Column("fence", _Number, nullable=False),
    Column("held", Boolean(create_constraint=False), nullable=False),
    Column("run", Text, nullable=False),
    Column("holder", Text, nullable=False),
    Column("since", Text, nullable=False),
    Column("milliseconds", _Number, nullable=False),
    Column("expires_wall", Double, nullable=False),
    Column("expires_monotonic", Double, nullable=False),
)
"""The locks of before there were names, as they were when the ledger was migrated. One that is held keeps everybody else out until it has run out."""
