"""A unit of work over one database transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from nenrin.backends.sql.ledger import Recorded, Sealer, recorded
from nenrin.backends.sql.transaction import Transaction
from nenrin.core.actor import signed
from nenrin.core.errors import ConflictError
from nenrin.core.unit import Unit

Alone = Callable[[Connection, str], None]
"""Waits until no other transaction has a name, and keeps it until this one ends."""


class SqlUnit:
    """One transaction of one environment, and the events it will commit.

    Args:
        transaction: it begins when somebody needs its connection.
        environment: the environment it belongs to.
        at: business instant of what it writes, microseconds UTC; 0 in a unit that reads.
        sealer: takes the events over before the commit; ``None`` in a unit that reads.
        alone: takes the environment for the transaction, before the unit reads state.
    """

    def __init__(
        self,
        transaction: Transaction,
        environment: str,
        at: int,
        sealer: Sealer | None = None,
        alone: Alone | None = None,
    ) -> None:
        self._transaction = transaction
        self._environment = environment
        self._at = at
        self._sealer = sealer
        self._alone = alone
        self._recorded: list[Recorded] = []

    @property
    def connection(self) -> Connection:
        """Its connection, in its transaction."""
        return self._transaction.connection

    @property
    def environment(self) -> str:
        """The environment it belongs to."""
        return self._environment

    @property
    def at(self) -> int:
        """The business instant of what it writes."""
        return self._at

    def record(self, kind: str, subject: str, body: dict[str, Any]) -> None:
        """Append an event, sealed when the unit commits, in the order of these calls.

        Raises:
            ConflictError: the unit only reads, or has ended.
            TypeError: the body holds something that is not a plain value.
        """
        if self._sealer is None:
            raise ConflictError(
                f"{kind} cannot be recorded in a unit that only reads, or has ended",
                hint="record it inside `with units.write(environment, at)`",
            )
        self._recorded.append(recorded(self._at, kind, subject, signed(body)))

    @property
    def has_recorded(self) -> bool:
        """Whether there are events to commit."""
        return bool(self._recorded)

    def hand_over(self) -> None:
        """Hand the events over, just before the commit."""
        if self._sealer is not None and self._recorded:
            self._sealer.hand_over(self._transaction, self._environment, self._recorded)

    def alone(self) -> Connection:
        """The connection, with the environment to oneself until the unit ends."""
        if self._alone is not None:
            self._alone(self.connection, self._environment)
            self._alone = None
        return self.connection

    def end(self) -> None:
        """Nothing can be recorded any more."""
        self._sealer = None


def connection_of(unit: Unit) -> Connection:
    """The transaction behind a unit that a room hands to its SQL adapter.

    What a writing unit reads through it is still true when it writes.

    Raises:
        TypeError: the unit comes from another kind of ``Units``.
    """
    return _sql(unit).alone()


def shared_connection_of(unit: Unit) -> Connection:
    """The same, for statements each of which is right whatever others write beside it.

    Raises:
        TypeError: the unit comes from another kind of ``Units``.
    """
    return _sql(unit).connection


def _sql(unit: Unit) -> SqlUnit:
    if not isinstance(unit, SqlUnit):
        raise TypeError(
            f"an SQL adapter needs a unit of its own database, not {type(unit).__name__}"
        )
    return unit
