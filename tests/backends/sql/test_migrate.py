"""The schema and its migrations say the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from nenrin.backends.sql import migrate
from nenrin.backends.sql.database import Database
from nenrin.backends.sql.engines import engines_of
from nenrin.backends.sql.schema import metadata
from nenrin.core.errors import ConflictError


@contextmanager
def _writing(url: str) -> Iterator[Connection]:
    engine = engines_of(url, durable=False).durable
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def _differences(url: str) -> list[object]:
    with _writing(url) as connection:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))


def test_a_new_database_has_the_schema(url: str) -> None:
    Database(url).close()
    assert _differences(url) == []


@pytest.mark.parametrize("schema", [None, *sorted(migrate._KNOWN)])
def test_every_earlier_schema_becomes_the_newest(url: str, schema: str | None) -> None:
    with _writing(url) as connection:
        migrate.upgrade(connection, schema or "head")
    with Database(url) as database:
        with database.write("dev", 1) as unit:
            unit.record("day.closed", "delay", {})
        assert database.head("dev")[0] == 1
    assert _differences(url) == []


def test_the_heads_of_an_older_database_are_noted(url: str) -> None:
    with _writing(url) as connection:
        migrate.upgrade(connection, "0002")
        for environment, sequence in (("dev", 1), ("dev", 2), ("prod", 1)):
            connection.exec_driver_sql(
                f"INSERT INTO events VALUES ('{environment}', {sequence}, 1, 'day.closed', 'd', '{{}}',"
                f" '{environment}{sequence}')"
            )
    with Database(url) as database:
        kept = {name: (each.sequence, each.hash) for name, each in database.kept().items()}
    assert kept == {"dev": (2, "dev2"), "prod": (1, "prod1")}


def test_the_newest_migration_is_known() -> None:
    scripts = ScriptDirectory(str(migrate._FOLDER))
    assert scripts.get_heads() == [migrate.NEWEST]
    assert {script.revision for script in scripts.walk_revisions()} == migrate._KNOWN


def test_a_database_of_a_newer_nenrin_is_refused_and_left_alone(url: str) -> None:
    with Database(url) as database, database.write("dev", 1) as unit:
        unit.record("day.closed", "delay", {})
    with _writing(url) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConflictError, match="9999"):
        Database(url)
    with Database(url, read_only=True) as database:
        assert database.head("dev")[0] == 1


def test_a_schema_that_cannot_be_made_leaves_an_empty_database(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(migrate, "text", fails)
    with pytest.raises(ZeroDivisionError):
        Database(url)
    monkeypatch.undo()
    Database(url).close()
