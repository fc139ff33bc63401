"""``Units`` on SQL: state and ledger, written in one transaction."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from nenrin.backends.sql import ledger
from nenrin.backends.sql.engines import engines_of
from nenrin.backends.sql.migrate import migrate, schema_of
from nenrin.backends.sql.transaction import begun
from nenrin.backends.sql.unit import SqlUnit
from nenrin.core import environment as environments
from nenrin.core.errors import ConflictError
from nenrin.core.ledger import Event, Kept

_PAGE = 1000
T = TypeVar("T")


class Database:
    """Opens units of work over one database, and reads its ledger. Safe to use from many threads.

    Opening makes the schema, or brings it up to date. Commits survive power loss, except those of
    backtests, which survive a kill of the process and can be computed again. What this process has
    written, it reads; what others have, as soon as it is sealed.

    Args:
        url: ``sqlite:////absolute/path/state.db``, or ``postgresql://user@host/database``.
        durable: ``False``: no commit waits for the disk (tests).
        read_only: open an existing database for reading; ``write`` is refused.
    """

    def __init__(self, url: str, *, durable: bool = True, read_only: bool = False) -> None:
        self._engines = engines_of(url, durable=durable)
        self._read_only = read_only
        self._writing: set[int] = set()
        if not read_only:
            self._engines.prepare()
            try:
                with self._explained():
                    migrate(self._engines.durable, self._engines.alone)
            except BaseException:
                self.close()
                raise

    @contextmanager
    def write(self, environment: str, at: int) -> Iterator[SqlUnit]:
        """A unit that commits when its block ends and rolls back when the block raises.

        Raises:
            ConflictError: this thread has a unit open already, the database is open read-only, or
                another change came first.
            UnavailableError: the database cannot be written: full, locked by another process, away.
        """
        environments.checked(environment)
        engines, unit = self._engines, None
        with self._alone_in_thread(), self._explained():
            try:
                with engines.turn(self._writer(environment)) as transaction:
                    unit = SqlUnit(transaction, environment, at, engines.sealer, engines.alone)
                    try:
                        yield unit
                        unit.hand_over()
                    finally:
                        unit.end()
            finally:
                if unit is not None and unit.has_recorded:  # also where the answer was lost
                    engines.sealer.committed()

    @contextmanager
    def read(self, environment: str) -> Iterator[SqlUnit]:
        """A unit that only reads, from one consistent snapshot."""
        with self._explained(), self._engines.reader.begin() as connection:
            yield SqlUnit(begun(connection), environment, 0)

    def events(self, environment: str, after: int = 0) -> Iterator[Event]:
        """Sealed events with a sequence greater than ``after``, in order: a consumer's cursor."""
        self._catch_up()
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
        self._catch_up()
        with self.read(environment) as unit:
            found = ledger.page(
                unit.connection, environment, kind=kind, subject=subject, limit=limit, newest=True
            )
        return [ledger.read(row) for row in found]

    def head(self, environment: str) -> tuple[int, str]:
        """Sequence and hash of the newest sealed event; ``(0, GENESIS)`` before the first."""
        self._catch_up()
        with self.read(environment) as unit:
            return ledger.head(unit.connection, environment)

    def environments(self) -> list[str]:
        """Every environment that has events, sorted."""
        self._catch_up()
        with self.read(environments.DEFAULT) as unit:
            return ledger.environments(unit.connection)

    def kept(self) -> dict[str, Kept]:
        """What the state beside the ledger says of each environment that it has something of."""
        self._catch_up()
        with self.read(environments.DEFAULT) as unit:
            return ledger.kept(unit.connection)

    def fill(self, work: Callable[[Connection], T]) -> T:
        """Let ``work`` write to all tables, in one transaction: for databases that nobody uses yet."""
        engines = self._engines
        with self._explained(), engines.turn(engines.durable) as transaction:
            connection = transaction.connection
            engines.alone(connection, "schema")
            found = work(connection)
            engines.count_on(connection)
        return found

    def schema(self) -> str:
        """The number of the database's schema; empty before there is one."""
        with self._explained(), self._engines.reader.begin() as connection:
            return schema_of(connection) or ""

    def close(self) -> None:
        """Seal what is left, and close every connection."""
        engines = self._engines
        engines.sealer.close()
        for engine in (engines.reader, engines.durable, engines.relaxed):
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
        engines = self._engines
        return engines.relaxed if environments.is_backtest(environment) else engines.durable

    def _catch_up(self) -> None:
        """Let what this process wrote be sealed, before it reads the ledger."""
        if not self._read_only:
            with self._explained():
                self._engines.sealer.catch_up()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            explained = self._engines.explained(error)
            if explained is None:
                raise
            raise explained from error

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
