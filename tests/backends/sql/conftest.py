"""Fresh databases: on SQLite and PostgreSQL for what holds on both, or on one of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from nenrin.backends.sql.database import Database
from nenrin.testing.postgres import PostgresServer


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.fresh()


@pytest.fixture
def units(url: str) -> Iterator[Database]:
    with Database(url, durable=False) as database:
        yield database


@pytest.fixture
def in_file(tmp_path: Path) -> Iterator[Database]:
    """On SQLite, in ``state.db``."""
    with Database(f"sqlite:///{tmp_path / 'state.db'}", durable=False) as database:
        yield database


@pytest.fixture
def on_server(postgres: PostgresServer) -> Iterator[Database]:
    """On PostgreSQL."""
    with Database(postgres.fresh(), durable=False) as database:
        yield database


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """The SQL that is said from now on, by any database: what a unit costs, on however busy a machine."""
    said: list[str] = []

    def hear(connection: Any, cursor: Any, statement: str, *others: Any) -> None:
        said.append(statement)

    event.listen(Engine, "before_cursor_execute", hear)
    yield said
    event.remove(Engine, "before_cursor_execute", hear)
