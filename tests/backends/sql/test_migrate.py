"""The schema and its migrations say the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from nenrin.backends.sql import migrate
from nenrin.backends.sql.database import Database
from nenrin.backends.sql.engines import writing_engine
from nenrin.backends.sql.schema import metadata
from nenrin.core.errors import ConflictError


def _differences(path: Path) -> list[object]:
    engine = writing_engine(path, durable=False)
    with engine.begin() as connection:
        found: list[object] = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    return found


def test_a_new_database_has_the_schema(tmp_path: Path) -> None:
    Database(f"sqlite:///{tmp_path / 'state.db'}").close()
    assert _differences(tmp_path / "state.db") == []


@pytest.mark.parametrize("schema", [None, *sorted(migrate._KNOWN)])
def test_every_earlier_schema_becomes_the_newest(tmp_path: Path, schema: str | None) -> None:
    path = tmp_path / "state.db"
    engine = writing_engine(path, durable=False)
    with engine.begin() as connection:
        migrate.upgrade(connection, schema or "head")
    engine.dispose()
    with Database(f"sqlite:///{path}") as database, database.write("dev", 1) as unit:
        unit.record("day.closed", "delay", {})
    assert _differences(path) == []


def test_the_heads_of_an_older_database_are_noted(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    engine = writing_engine(path, durable=False)
    with engine.begin() as connection:
        migrate.upgrade(connection, "0002")
        for environment, sequence in (("dev", 1), ("dev", 2), ("prod", 1)):
            connection.exec_driver_sql(
                f"INSERT INTO events VALUES ('{environment}', {sequence}, 1, 'day.closed', 'd', '{{}}',"
                f" '{environment}{sequence}')"
            )
    engine.dispose()
    with Database(f"sqlite:///{path}") as database:
        kept = {name: (each.sequence, each.hash) for name, each in database.kept().items()}
    assert kept == {"dev": (2, "dev2"), "prod": (1, "prod1")}


def test_the_newest_migration_is_known() -> None:
    scripts = ScriptDirectory(str(migrate._FOLDER))
    assert scripts.get_heads() == [migrate.NEWEST]
    assert {script.revision for script in scripts.walk_revisions()} == migrate._KNOWN


def test_a_database_of_a_newer_nenrin_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with Database(f"sqlite:///{path}") as database, database.write("dev", 1) as unit:
        unit.record("day.closed", "delay", {})
    engine = writing_engine(path, durable=False)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    with pytest.raises(ConflictError, match="9999"):
        Database(f"sqlite:///{path}")
    with Database(f"sqlite:///{path}", read_only=True) as database:
        assert database.head("dev")[0] == 1


def test_a_schema_that_cannot_be_made_leaves_an_empty_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(migrate, "text", fails)
    with pytest.raises(ZeroDivisionError):
        Database(f"sqlite:///{tmp_path / 'state.db'}")
    monkeypatch.undo()
    Database(f"sqlite:///{tmp_path / 'state.db'}").close()
