"""State that moves between databases: from a file into a server, and as a copy back into a file.

Every table is copied as it is, in one transaction, and what has come is compared with what was there before
that transaction commits.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
from sqlalchemy import Connection, func, insert, select

from nenrin.backends.sql import ledger
from nenrin.backends.sql.copying import SqliteStates
from nenrin.backends.sql.database import Database
from nenrin.backends.sql.engines import is_server
from nenrin.backends.sql.schema import heads, metadata
from nenrin.backends.sql.sealing import seal_queue
from nenrin.core.environment import DEFAULT
from nenrin.core.errors import ConflictError, IntegrityError, NotFoundError, RequestError

_AT_A_TIME = 1000


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """What was copied: the rows of each table, and ``sequence:hash`` of each chain's newest event."""

    rows: Mapping[str, int]
    heads: Mapping[str, str]


def move(source: str, target: str) -> Moved:
    """Copy all state of a SQLite file into an empty PostgreSQL database.

    Args:
        source: URL of the file; its schema is brought up to date, nothing else is changed.
        target: URL of the database.

    Raises:
        NotFoundError: there is no file.
        RequestError: ``target`` is no server.
        ConflictError: there is state in the database already; nothing was changed.
        IntegrityError: what came is not what was there; nothing was changed.
        UnavailableError: one of them cannot be used; nothing was changed.
    """
    path = SqliteStates(source).path
    if not path.exists():
        raise NotFoundError(
            f"there is no state in {path.parent}",
            where=str(path),
            hint="there is nothing to move: set NENRIN_DATABASE_URL, and begin there",
        )
    if not is_server(target):
        raise RequestError(
            "state is moved into PostgreSQL, and that is another database",
            hint="name it by --to or NENRIN_DATABASE_URL: postgresql://user@host/database",
        )
    with Database(source) as old, Database(target) as new, old.read(DEFAULT) as reading:
        return new.fill(lambda connection: _copy(reading.connection, connection))


def _copy(source: Connection, target: Connection) -> Moved:
    if any(_counts(target).values()):
        raise ConflictError(
            "there is state in the database already",
            hint="name an empty database, or an empty schema of one; nothing was changed",
        )
    for table in metadata.sorted_tables:
        rows = source.execution_options(yield_per=_AT_A_TIME).execute(select(table)).mappings()
        for part in rows.partitions():
            target.execute(insert(table).inline(), [dict(row) for row in part])
    moved, came = _moved(source), _moved(target)
    if moved != came:
        raise IntegrityError(
            "what came is not what was there before, and was left out again",
            hint="let nobody else use the database meanwhile, and do it again",
        )
    return came


def _counts(connection: Connection) -> dict[str, int]:
    # in one statement, which sees one moment: a sealer may be moving events from one table to another
    counts = [
        select(func.count()).select_from(table).scalar_subquery().label(table.name)
        for table in metadata.sorted_tables
    ]
    return dict(connection.execute(select(*counts)).mappings().one())


def _moved(connection: Connection) -> Moved:
    noted = {
        row.environment: f"{row.sequence}:{row.hash}" for row in connection.execute(select(heads))
    }
    found = {
        name: "{}:{}".format(*ledger.head(connection, name))
        for name in ledger.environments(connection)
    }
    # a ledger that was damaged before has other heads than the state notes: it is moved as it is
    return Moved(rows=_counts(connection), heads={**noted, **found})


class ServerStates:
    """The ``States`` of :mod:`nenrin.core.backup` on a server: a copy is a SQLite file, as of one instant.

    Args:
        url: ``postgresql://user@host/database``.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def copy(self, to: Path) -> None:
        """Write the database as it is at one instant to the file ``to``.

        Events that had no place in a chain at that instant get one in the copy.
        """
        to.unlink(missing_ok=True)
        with Database(self._url, read_only=True) as old, Database(f"sqlite:///{to}") as new:
            with old.read(DEFAULT) as reading:
                new.fill(lambda connection: _copy(reading.connection, connection))
            new.fill(seal_queue)
        with closing(sqlite3.connect(to)) as copied:
            copied.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it

    def check(self, state: Path) -> list[str]:
        """What is wrong with a copy: a line each, at most ten."""
        return _file(state).check(state)

    def named(self, state: Path) -> set[str]:
        """Every digest in any column of any table of a copy."""
        return _file(state).named(state)

    def heads(self, state: Path) -> dict[str, str]:
        """The noted heads of the chains of a copy, ``sequence:hash`` by environment."""
        return _file(state).heads(state)

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """A file that is moved into the server when the block ends."""
        with Database(self._url) as units:
            if units.kept():
                raise ConflictError(
                    "there is state in the database already",
                    hint="name an empty database, or an empty schema of one",
                )
        with tempfile.TemporaryDirectory(prefix="nenrin-restore-") as folder:
            path = Path(folder) / "state.db"
            yield path
            move(f"sqlite:///{path}", self._url)


def states_of(url: str) -> SqliteStates | ServerStates:
    """The states of a URL."""
    return ServerStates(url) if is_server(url) else SqliteStates(url)


def _file(path: Path) -> SqliteStates:
    return SqliteStates(f"sqlite:///{path}")
