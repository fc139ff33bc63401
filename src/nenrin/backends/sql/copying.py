"""Copies of the SQLite file, made while others write to it, and what is read in them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Set
from contextlib import closing, contextmanager
from pathlib import Path

from nenrin.backends.sql.engines import sqlite_path
from nenrin.core.errors import IntegrityError, NotFoundError
from nenrin.core.named import digests_in

_NOTHING: Mapping[str, Set[str]] = {}


class SqliteStates:
    """The ``States`` of :mod:`nenrin.core.backup`.

    Args:
        url: ``sqlite:////absolute/path/state.db``.
    """

    def __init__(self, url: str) -> None:
        self.path = sqlite_path(url)

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
        with _reading(self.path) as source, closing(sqlite3.connect(to)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it

    def check(self, state: Path) -> list[str]:
        """What SQLite finds wrong with a file: a line each, at most ten."""
        with _reading(state) as connection:
            found = [str(line) for (line,) in connection.execute("PRAGMA quick_check(10)")]
        return [] if found == ["ok"] else found

    def schema(self, state: Path) -> str:
        """The number of a file's schema; empty before there is one."""
        with _reading(state) as connection:
            try:
                row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            except sqlite3.OperationalError:
                return ""
        return str(row[0]) if row else ""

    def named(self, state: Path, without: Mapping[str, Set[str]] = _NOTHING) -> set[str]:
        """Every digest in any column of any table.

        ``without``: by table, rows that are left out, by their first column.
        """
        named: set[str] = set()
        with _reading(state) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (table,) in tables.fetchall():
                left_out = without.get(table, frozenset())
                for row in connection.execute(f'SELECT * FROM "{table}"'):
                    for value in () if row[0] in left_out else row:
                        if isinstance(value, str):
                            named |= digests_in(value.encode())
                        elif isinstance(value, bytes):
                            named |= digests_in(value)
        return named

    def heads(self, state: Path) -> dict[str, str]:
        """The noted heads of the chains, ``sequence:hash`` by environment."""
        with _reading(state) as connection:
            rows = connection.execute("SELECT environment, sequence, hash FROM heads")
            return {environment: f"{sequence}:{hash_}" for environment, sequence, hash_ in rows}


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30)) as opened:
            yield opened
    except sqlite3.DatabaseError as error:
        raise IntegrityError(
            f"the database cannot be read: {error}",
            where=str(path),
            hint="restore a backup: nenrin restore FROM",
        ) from error
