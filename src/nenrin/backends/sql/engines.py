"""The databases that state can be kept in, SQLite and PostgreSQL: all that differs between them.

SQLite: the file is in WAL mode, readers never wait for the writer. A writing transaction begins IMMEDIATE, so
that what it reads first is still true when it writes (a deferred one would fail half-way instead); threads
are committed together.

PostgreSQL: :mod:`nenrin.backends.sql.postgres`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import (
    Connection,
    Engine,
    Insert,
    Table,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import QueuePool

from nenrin.backends.sql.group import GroupCommit
from nenrin.backends.sql.ledger import Sealer, SealInTransaction
from nenrin.backends.sql.postgres import Postgres
from nenrin.backends.sql.transaction import Transaction, begun
from nenrin.core.errors import (
    IntegrityError,
    NenrinError,
    NotFoundError,
    RequestError,
    UnavailableError,
)

_BUSY_SECONDS = 30.0
_HINT = "sqlite:////absolute/path/state.db, or postgresql://user@host/database"


class Engines(Protocol):
    """One database, and how it is written to.

    Attributes:
        durable, relaxed: engines whose commits survive power loss; a kill of the process only.
        reader: an engine that only reads; each of its transactions sees one snapshot.
        sealer: gives events their place in the chain.
    """

    durable: Engine
    relaxed: Engine
    reader: Engine
    sealer: Sealer

    def prepare(self) -> None:
        """Make room for a new database, where that is nenrin's to do."""
        ...

    def turn(self, engine: Engine) -> AbstractContextManager[Transaction]:
        """A transaction for the block, durable when this returns, rolled back when the block raises."""
        ...

    def alone(self, connection: Connection, name: str) -> None:
        """Wait until no other transaction has ``name``, and keep it until this one ends."""
        ...

    def count_on(self, connection: Connection) -> None:
        """Let positions go on after those that were copied in."""
        ...

    def explained(self, error: DBAPIError) -> NenrinError | None:
        """What the database's error means; ``None``: nothing but a bug of nenrin's."""
        ...


def engines_of(url: str, *, durable: bool = True) -> Engines:
    """The engines of a URL.

    Args:
        url: ``sqlite:////absolute/path/state.db``, or ``postgresql://user@host/database``.
        durable: ``False``: no commit waits for the disk (tests).

    Raises:
        RequestError: it is no URL, or of another database.
        MissingExtraError: the database's driver is not installed.
    """
    if is_server(url):
        return Postgres(_parsed(url), durable=durable)
    return _Sqlite(sqlite_path(url), durable=durable)


def is_server(url: str) -> bool:
    """Whether a URL is of a server, which many processes write to, and of no file.

    Raises:
        RequestError: it is no URL.
    """
    return _parsed(url).get_backend_name() == "postgresql"


class _InsertNew(Insert):
    """Both databases write it in the same way."""

    inherit_cache = True


@compiles(_InsertNew)
def _insert_new(query: _InsertNew, compiler: Any, **more: Any) -> str:
    return f"{compiler.visit_insert(query, **more)} ON CONFLICT DO NOTHING"


def insert_new(table: Table) -> Insert:
    """An insert that leaves out rows whose key is taken."""
    return _InsertNew(table).inline()


def sqlite_path(url: str) -> Path:
    """The file that a ``sqlite:///`` URL names.

    Raises:
        RequestError: it is no URL, or of another database.
    """
    parsed = _parsed(url)
    if (
        parsed.get_backend_name() != "sqlite"
        or not parsed.database
        or parsed.database == ":memory:"
    ):
        raise RequestError(f"state cannot be kept in {parsed.render_as_string()}", hint=_HINT)
    return Path(parsed.database).absolute()


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except Exception:  # noqa: BLE001 - whatever SQLAlchemy says, the URL is what is wrong
        raise RequestError(
            "this is not a database URL", hint=_HINT, where="NENRIN_DATABASE_URL"
        ) from None


class _Sqlite:
    """One file."""

    def __init__(self, path: Path, *, durable: bool) -> None:
        self._path = path
        self.reader = reading_engine(path)
        self.durable = writing_engine(path, durable=durable)
        self.relaxed = writing_engine(path, durable=False)
        self.sealer: Sealer = SealInTransaction()
        self._group = GroupCommit()

    def prepare(self) -> None:
        """Make the file's folder."""
        self._path.parent.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def turn(self, engine: Engine) -> Iterator[Transaction]:
        """With what other threads write meanwhile."""
        with self._group.turn(engine) as connection:
            yield begun(connection)

    def alone(self, connection: Connection, name: str) -> None:
        """Every transaction that writes is alone from its beginning."""

    def count_on(self, connection: Connection) -> None:
        """SQLite counts from the highest that is there."""

    def explained(self, error: DBAPIError) -> NenrinError | None:
        """A file that cannot be used, or is damaged."""
        if isinstance(error, OperationalError):
            return UnavailableError(
                f"the database cannot be used: {error.orig}",
                hint="make room if the disk is full, end whatever else holds the file; then do it again",
            )
        if type(error) is DatabaseError:
            return IntegrityError(
                f"the database is damaged: {error.orig}", hint="restore it from a backup"
            )
        return None


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

    return _sqlite_engine(connect, "BEGIN IMMEDIATE")


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

    return _sqlite_engine(connect, "BEGIN")


def _sqlite_engine(connect: Callable[[], sqlite3.Connection], begin: str) -> Engine:
    engine = create_engine(
        "sqlite://", creator=connect, poolclass=QueuePool, pool_size=4, max_overflow=-1
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
