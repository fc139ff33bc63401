"""The online store in a SQLite file: for planes that share a machine."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from nenrin.core.errors import UnavailableError
from nenrin.features.ports import Entry

_SCHEMA = """
CREATE TABLE IF NOT EXISTS online (
    space TEXT NOT NULL, key BLOB NOT NULL, version INTEGER NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (space, key)
)"""
_PUT = """
INSERT INTO online VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE
SET version = excluded.version, value = excluded.value WHERE excluded.version > version"""
_KEYS = 500  # of one statement
_PAGE = 1_000


class SqliteOnlineStore:
    """An ``OnlineStore`` in a file. What is acknowledged survives a kill, not power loss.

    Args:
        path: the file.
        reads_only: make no file where there is none.
    """

    def __init__(self, path: Path, *, reads_only: bool = False) -> None:
        self._path = path
        self._reads_only = reads_only
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def put_newer(self, space: str, entries: Iterable[Entry]) -> int:
        """Write what is newer, in one transaction; how many entries were."""
        rows = [(space, *entry) for entry in entries]
        with self._opened() as connection, connection:
            before = connection.total_changes
            connection.executemany(_PUT, rows)
            return connection.total_changes - before

    def get_many(self, space: str, keys: Sequence[bytes]) -> list[tuple[int, bytes] | None]:
        """Version and value of every key, of one snapshot."""
        found: dict[bytes, tuple[int, bytes]] = {}
        with self._opened() as connection:
            connection.execute("BEGIN")
            try:
                for start in range(0, len(keys), _KEYS):
                    part = keys[start : start + _KEYS]
                    marks = ",".join("?" * len(part))
                    asked = f"SELECT key, version, value FROM online WHERE space = ? AND key IN ({marks})"
                    for key, version, value in connection.execute(asked, (space, *part)):
                        found[key] = (version, value)
            finally:
                connection.rollback()
        return [found.get(key) for key in keys]

    def scan(self, space: str) -> Iterator[Entry]:
        """Every entry of a space, by key."""
        after = b""
        asked = (
            "SELECT key, version, value FROM online WHERE space = ? AND key > ?"
            " ORDER BY key LIMIT ?"
        )
        with self._opened() as connection:
            first = "SELECT key, version, value FROM online WHERE space = ? AND key = ?"
            page = connection.execute(first, (space, after)).fetchall()
        while True:
            yield from page
            with self._opened() as connection:
                page = connection.execute(asked, (space, after, _PAGE)).fetchall()
            if not page:
                return
            after = page[-1][0]

    def drop(self, space: str) -> None:
        """Take a space away."""
        with self._opened() as connection, connection:
            connection.execute("DELETE FROM online WHERE space = ?", (space,))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time."""
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._connect()
                yield self._connection
            except sqlite3.Error as error:
                raise UnavailableError(
                    f"the online store cannot be read or written: {error}",
                    where=str(self._path),
                    hint="make room on the disk, or delete the file: `nenrin up` fills it again",
                ) from error

    def _connect(self) -> sqlite3.Connection:
        if self._reads_only and not self._path.exists():
            raise UnavailableError(
                "the online store is empty",
                where=str(self._path),
                hint="fill it with NENRIN_ONLINE set: nenrin run, or nenrin up",
            )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=10.0, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(_SCHEMA)
        return connection
