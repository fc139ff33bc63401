"""SQLAlchemy engines over one SQLite file: two that write, one that can only read.

The file is in WAL mode: readers never wait for the writer. A writing transaction begins IMMEDIATE,
so that what it reads first is still true when it writes (a deferred one would fail half-way
instead).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.pool import QueuePool

from nenrin.core.errors import NotFoundError, RequestError

_BUSY_SECONDS = 30.0


def sqlite_path(url: str) -> Path:
    """The file that a ``sqlite:///`` URL names.

    Raises:
        RequestError: it is no URL, or of another database.
    """
    hint = "sqlite:////absolute/path/state.db"
    try:
        parsed = make_url(url)
    except Exception:  # noqa: BLE001 - whatever SQLAlchemy says, the URL is what is wrong
        raise RequestError(f"{url!r} is not a database URL", hint=hint) from None
    if (
        parsed.get_backend_name() != "sqlite"
        or not parsed.database
        or parsed.database == ":memory:"
    ):
        raise RequestError(f"state cannot be kept in {parsed.render_as_string()}", hint=hint)
    return Path(parsed.database).absolute()


def writing_engine(path: Path, *, durable: bool) -> Engine:
    """An engine whose commits survive power loss, or (not ``durable``) a kill of the process only.

    Either way the file stays consistent, and a later durable commit covers all those before it.
    """

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    return _engine(connect, "BEGIN IMMEDIATE")


def reading_engine(path: Path) -> Engine:
    """An engine that opens the file read-only; each of its transactions sees one snapshot."""

    def connect() -> sqlite3.Connection:
        if not path.exists():
            raise NotFoundError(
                f"there is no state in {path.parent}",
                hint="run `nenrin run` or `nenrin up` in the project's folder first",
                where=str(path),
            )
        return sqlite3.connect(
            f"{path.as_uri()}?mode=ro",
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )

    return _engine(connect, "BEGIN")


def _engine(connect: Callable[[], sqlite3.Connection], begin: str) -> Engine:
    engine = create_engine(
        "sqlite://", creator=connect, poolclass=QueuePool, pool_size=4, max_overflow=-1
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
