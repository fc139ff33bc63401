"""``Units`` on SQL: state and ledger, written in one transaction."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from sqlalchemy import Engine
from sqlalchemy.exc import DatabaseError, OperationalError

from nenrin.backends.sql import ledger
from nenrin.backends.sql.engines import reading_engine, sqlite_path, writing_engine
from nenrin.backends.sql.group import GroupCommit
from nenrin.backends.sql.migrate import migrate
from nenrin.backends.sql.unit import SqlUnit
from nenrin.core import environment as environments
from nenrin.core.errors import ConflictError, IntegrityError, UnavailableError
from nenrin.core.ledger import Event, Kept

_PAGE = 1000


class Database:
    """Opens units of work over one database file, and reads its ledger. Safe to use from many
    threads, whose units are committed together where they are ready together.

    Opening makes the file, or brings its schema up to date. Commits survive power loss, except
    those of backtests, which survive a kill of the process and can be computed again.

    Args:
        url: ``sqlite:////absolute/path/state.db``.
        durable: ``False``: no commit waits for the disk (tests).
        read_only: open an existing file for reading; ``write`` is refused.
    """

    def __init__(self, url: str, *, durable: bool = True, read_only: bool = False) -> None:
        path = sqlite_path(url)
        self._sealer = ledger.SealInTransaction()
        self._reader = reading_engine(path)
        self._durable = writing_engine(path, durable=durable)
        self._relaxed = writing_engine(path, durable=False)
        self._read_only = read_only
        self._turns = GroupCommit()
        self._writing: set[int] = set()
        if not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _explained():
                migrate(self._durable)

    @contextmanager
    def write(self, environment: str, at: int) -> Iterator[SqlUnit]:
        """A unit that commits when its block ends and rolls back when the block raises.

        Raises:
            ConflictError: this thread has a unit open already, or the database is open read-only.
            UnavailableError: the database cannot be written: full, locked by another process.
        """
        environments.checked(environment)
        engine = self._writer(environment)
        with self._alone_in_thread(), _explained(), self._turns.turn(engine) as connection:
            unit = SqlUnit(connection, environment, at, self._sealer)
            try:
                yield unit
                unit.seal()
            finally:
                unit.end()

    @contextmanager
    def read(self, environment: str) -> Iterator[SqlUnit]:
        """A unit that only reads, from one consistent snapshot."""
        with _explained(), self._reader.begin() as connection:
            yield SqlUnit(connection, environment, 0)

    def events(self, environment: str, after: int = 0) -> Iterator[Event]:
        """Sealed events with a sequence greater than ``after``, in order: a consumer's cursor."""
        while True:
            with self.read(environment) as unit:
                found = ledger.page(unit.connection, environment, after=after, limit=_PAGE)
            yield from map(ledger.read, found)  # one by one: those before a damaged one are read
            if len(found) < _PAGE:
                return
            after = found[-1].sequence

    def find(
        self,
        environment: str,
        *,
        kind: str | None = None,
        subject: str | None = None,
        limit: int | None = None,
    ) -> list[Event]:
        """Sealed events of a kind, a subject, or both, in order; with a ``limit`` the newest."""
        with self.read(environment) as unit:
            found = ledger.page(
                unit.connection, environment, kind=kind, subject=subject, limit=limit, newest=True
            )
        return [ledger.read(row) for row in found]

    def head(self, environment: str) -> tuple[int, str]:
        """Sequence and hash of the newest sealed event; ``(0, GENESIS)`` before the first."""
        with self.read(environment) as unit:
            return ledger.head(unit.connection, environment)

    def environments(self) -> list[str]:
        """Every environment that has events, sorted."""
        with self.read(environments.DEFAULT) as unit:
            return ledger.environments(unit.connection)

    def kept(self) -> dict[str, Kept]:
        """What the state beside the ledger says of each environment that it has something of."""
        with self.read(environments.DEFAULT) as unit:
            return ledger.kept(unit.connection)

    def close(self) -> None:
        """Close every connection."""
        for engine in (self._reader, self._durable, self._relaxed):
            engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _writer(self, environment: str) -> Engine:
        return self._relaxed if environments.is_backtest(environment) else self._durable

    @contextmanager
    def _alone_in_thread(self) -> Iterator[None]:
        if self._read_only:
            raise ConflictError(
                "this database is open for reading only",
                hint="write through the process that holds the folder's lock",
            )
        thread = threading.get_ident()
        if thread in self._writing:
            raise ConflictError(
                "this thread has a unit of work open already",
                hint="pass the open unit on instead of opening a second one",
            )
        self._writing.add(thread)
        try:
            yield
        finally:
            self._writing.discard(thread)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise UnavailableError(
            f"the database cannot be used: {error.orig}",
            hint="make room if the disk is full, end whatever else holds the file; then do it again",
        ) from error
    except DatabaseError as error:
        if type(error) is not DatabaseError:
            raise
        raise IntegrityError(
            f"the database is damaged: {error.orig}", hint="restore it from a backup"
        ) from error
