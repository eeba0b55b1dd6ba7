"""The way from any earlier version to this one, and the refusal of later ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from amsctl.config import Secret
from amsctl.errors import LedgerFailed
from amsctl.ledger import database, migrations, schema
from amsctl.ledger.store import Ledger, open_ledger
from tests.ledger.samples import Place, TestClock, started
from tests.project.checkout import ROOT


def test_known_revisions_are_the_migrations() -> None:
    """One line from the first to the last, and the list that a cheap look is compared with names them in that order."""
    folder = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert [script.revision for script in reversed(list(folder.walk_revisions()))] == list(schema.REVISIONS)
    assert folder.get_heads() == [schema.REVISIONS[-1]]


def test_migrations_make_what_is_declared(ledger: Ledger) -> None:
    """From nothing to the tables, columns, types and indexes of ``schema``."""
    with ledger._database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": schema.VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, schema.metadata) == []
        found = inspect(connection)
        assert set(found.get_table_names()) == {*schema.metadata.tables, schema.VERSION_TABLE}
        for name, table in schema.metadata.tables.items():
            assert {(one["name"], one["nullable"]) for one in found.get_columns(name)} == {
                (one.name, one.nullable) for one in table.columns
            }
            assert found.get_pk_constraint(name)["constrained_columns"] == [one.name for one in table.primary_key]
            assert {one["name"] for one in found.get_indexes(name)} == {one.name for one in table.indexes}
            assert {one["name"]: bool(one["unique"]) for one in found.get_indexes(name)} == {one.name: one.unique for one in table.indexes}


@pytest.mark.parametrize("revision", schema.REVISIONS)
def test_every_earlier_version_is_migrated(place: Place, clock: TestClock, revision: str) -> None:
    """A ledger of any revision becomes one of the last when it is opened to write."""
    if place.path is not None:
        database.make_file(str(place.path))
    older = database.Database(place.url, durable=True)
    with older.writing() as connection:
        migrations.upgrade(connection, revision)
    older.close()
    with open_ledger(place.url, clock=clock) as ledger:
        ledger.append([started()])
        assert ledger.verify().runs == 1
        with ledger._database.reading() as connection:
            assert ledger._database._revision(connection) == schema.REVISIONS[-1]


def test_an_older_version_is_not_migrated_by_looking(place: Place, clock: TestClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `create` nothing is changed."""
    open_ledger(place.url, clock=clock).close()
    monkeypatch.setattr(database, "REVISIONS", (*schema.REVISIONS, "r9999"))
    with pytest.raises(LedgerFailed, match=r"of an older version.*the next apply makes it ready"):
        open_ledger(place.url, clock=clock, create=False)
    with pytest.raises(LedgerFailed, match=r"cannot be migrated.*r9999"):
        open_ledger(place.url, clock=clock)


def test_a_newer_version_is_refused(place: Place, clock: TestClock) -> None:
    """It is left as it is, and the way out is named."""
    open_ledger(place.url, clock=clock).close()
    with place.around() as raw:
        raw("UPDATE ledger_version SET version_num = 'r9999'")
    for create in (True, False):
        with pytest.raises(LedgerFailed, match=r"written by a newer amsctl.*at most r0002, found r9999; upgrade amsctl here"):
            open_ledger(place.url, clock=clock, create=create)


def test_a_migration_that_fails_leaves_nothing(place: Place, clock: TestClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are made in one transaction, on SQLite too."""

    def fail(connection: Any, revision: str) -> None:
        real(connection, revision)
        raise KeyboardInterrupt

    real = migrations.upgrade
    monkeypatch.setattr(migrations, "upgrade", fail)
    with pytest.raises(KeyboardInterrupt):
        open_ledger(place.url, clock=clock)
    with place.around() as raw:
        catalogue = "sqlite_master" if place.path is not None else f"pg_tables WHERE schemaname = '{place.name}'"
        assert raw(f"SELECT count(*) FROM {catalogue}") == [(0,)]
    monkeypatch.undo()
    open_ledger(place.url, clock=clock).close()


def test_whoever_comes_second_finds_it_made(place: Place, clock: TestClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look and the lock somebody else may have made the ledger: it is looked at again."""
    open_ledger(place.url, clock=clock).close()
    answers: list[Any] = [None]
    real = database.Database._revision
    monkeypatch.setattr(database.Database, "_revision", lambda self, connection: answers.pop() if answers else real(self, connection))
    with open_ledger(place.url, clock=clock) as ledger:
        assert answers == []
        ledger.append([started()])


def test_an_existing_ledger_is_opened_without_alembic(tmp_path: Path) -> None:
    """The library of migrations is loaded when there is something to migrate."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    open_ledger(Secret(url), clock=TestClock()).close()
    program = (
        "import sys; from amsctl.config import Secret; from amsctl.ledger.store import open_ledger\n"
        "from tests.ledger.samples import TestClock\nopen_ledger(Secret(sys.argv[1]), clock=TestClock()).head()\n"
        "print({'alembic', 'mako'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program, url], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
