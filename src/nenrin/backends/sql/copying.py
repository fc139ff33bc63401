"""Copies of the SQLite file, made while others write to it, and what is read in them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from nenrin.backends.sql.engines import sqlite_path
from nenrin.core.errors import IntegrityError, NenrinError, NotFoundError, UnavailableError
from nenrin.core.named import digests_in

_PATIENCE = 30.0  # seconds that a file may be held by others
_HELD = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_UNREADABLE = (
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
)


class SqliteStates:
    """The ``States`` of :mod:`nenrin.core.backup`.

    Args:
        url: ``sqlite:////absolute/path/state.db``.
        patience: seconds that the file may be held by others.
    """

    def __init__(self, url: str, patience: float = _PATIENCE) -> None:
        self.path = sqlite_path(url)
        self._patience = patience

    def copy(self, to: Path) -> None:
        """Write the database as it is at one instant to the file ``to``.

        One step of SQLite's backup: one snapshot, that writers need not wait for (WAL).

        Raises:
            NotFoundError: there is no database.
        """
        if not self.path.exists():
            raise NotFoundError(
                f"there is no state in {self.path.parent}",
                where=str(self.path),
                hint="there is nothing to be kept yet: nenrin run",
            )
        with _reading(self.path, self._patience) as source, closing(sqlite3.connect(to)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it

    def check(self, state: Path) -> list[str]:
        """What SQLite finds wrong with a file: a line each, at most ten."""
        with _reading(state, self._patience) as connection:
            found = [str(line) for (line,) in connection.execute("PRAGMA quick_check(10)")]
        return [] if found == ["ok"] else found

    def schema(self, state: Path) -> str:
        """The number of a file's schema; empty before there is one."""
        with _reading(state, self._patience) as connection:
            try:
                row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            except sqlite3.OperationalError:
                return ""
        return str(row[0]) if row else ""

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """A file that is the state when the block ends."""
        yield self.path

    def named(self, state: Path) -> set[str]:
        """Every digest in any column of any table."""
        named: set[str] = set()
        with _reading(state, self._patience) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (table,) in tables.fetchall():
                for row in connection.execute(f'SELECT * FROM "{table}"'):
                    named |= digests_of(row)
        return named

    def heads(self, state: Path) -> dict[str, str]:
        """The noted heads of the chains, ``sequence:hash`` by environment."""
        with _reading(state, self._patience) as connection:
            rows = connection.execute("SELECT environment, sequence, hash FROM heads")
            return {environment: f"{sequence}:{hash_}" for environment, sequence, hash_ in rows}


def digests_of(row: Iterable[object]) -> set[str]:
    """Every digest in the values of a row."""
    named: set[str] = set()
    for value in row:
        if isinstance(value, str):
            named |= digests_in(value.encode())
        elif isinstance(value, bytes):
            named |= digests_in(value)
    return named


@contextmanager
def _reading(path: Path, patience: float = _PATIENCE) -> Iterator[sqlite3.Connection]:
    try:
        uri = f"{path.as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=patience)) as opened:
            yield opened
    except sqlite3.DatabaseError as error:
        raise _ailment(error, path) from error


def _ailment(error: sqlite3.DatabaseError, path: Path) -> NenrinError:
    """What keeps a file from being read: somebody who holds it, its permissions, or damage."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _HELD:
        return UnavailableError(
            f"another process holds the database: {error}",
            where=str(path),
            hint="end whoever works on the file outside of nenrin, or ask again later",
        )
    if code in _UNREADABLE:
        return UnavailableError(
            f"the database cannot be read: {error}",
            where=str(path),
            hint=f"let this user read and write {path.parent}",
        )
    return IntegrityError(
        f"the database cannot be read: {error}",
        where=str(path),
        hint="bring a backup back into another folder: nenrin -C FOLDER restore FROM",
    )
