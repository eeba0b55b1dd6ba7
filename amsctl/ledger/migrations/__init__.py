"""The ledger's migrations: alembic, run in this process on a transaction that the ledger opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sqlalchemy import Connection

_HERE: Final = Path(__file__).resolve().parent


def upgrade(connection: Connection, revision: str) -> None:
    """Bring the database to ``revision`` inside the connection's transaction. Alembic is imported here and nowhere before."""
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    command.upgrade(config, revision)
