"""How the database of an older nenrin becomes one of this: numbered steps, run at opening."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from nenrin.backends.sql.schema import metadata
from nenrin.backends.sql.unit import Alone
from nenrin.core.errors import ConflictError

NEWEST = "0005"

_FOLDER = Path(__file__).parent / "migrations"
_KNOWN = frozenset(f"{number:04}" for number in range(1, int(NEWEST) + 1))


def migrate(engine: Engine, alone: Alone) -> None:
    """Make the schema, or bring it up to date, in one transaction; costs one look when it is.

    Args:
        engine: of the database.
        alone: keeps other processes that open the same database waiting.

    Raises:
        ConflictError: the database was written by a newer nenrin.
    """
    with engine.begin() as connection:
        alone(connection, "schema")
        found = schema_of(connection)
        if found == NEWEST:
            return
        if found is not None and found not in _KNOWN:
            raise ConflictError(
                f"the database has schema {found}, this nenrin knows schemas up to {NEWEST}",
                hint="install the nenrin that wrote it, or a newer one",
            )
        if found is None:
            _make(connection)
        else:
            upgrade(connection)


def _make(connection: Connection) -> None:
    """The newest schema, as all migrations together would make it."""
    metadata.create_all(connection, checkfirst=False)
    connection.execute(
        text(
            "CREATE TABLE alembic_version ("
            "version_num VARCHAR(32) NOT NULL, "
            "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(text("INSERT INTO alembic_version VALUES (:newest)"), {"newest": NEWEST})


def schema_of(connection: Connection) -> str | None:
    """The number of a database's schema, ``None`` before there is one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(connection: Connection, to: str = "head") -> None:
    """Run the migrations up to the schema ``to``."""
    # a third of a second to import, needed only where a database is older than this nenrin
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)
