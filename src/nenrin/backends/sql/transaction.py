"""A database transaction that begins when somebody first needs its connection."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, Engine


class Transaction:
    """One transaction. Whoever opened it ends it.

    Attributes:
        engine: of the database; tells how durable its commits are.

    Args:
        engine: as above.
        begin: begins it; called once at most.
    """

    def __init__(self, engine: Engine, begin: Callable[[], Connection]) -> None:
        self.engine = engine
        self._begin = begin
        self._connection: Connection | None = None

    @property
    def begun(self) -> bool:
        """Whether anybody needed its connection."""
        return self._connection is not None

    @property
    def connection(self) -> Connection:
        """Its connection, in the transaction."""
        if self._connection is None:
            self._connection = self._begin()
        return self._connection


def begun(connection: Connection) -> Transaction:
    """The transaction that a connection is in."""
    transaction = Transaction(connection.engine, lambda: connection)
    assert transaction.connection is connection
    return transaction
