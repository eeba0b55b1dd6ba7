"""What alembic runs around the migrations: they join the transaction that the ledger has opened, and commit nothing themselves."""

from __future__ import annotations

from alembic import context

from amsctl.ledger.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE, transactional_ddl=False
)
context.run_migrations()
