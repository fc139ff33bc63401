"""The queue of events: what a unit recorded, as one row that is committed with it.

A unit that only records events has no transaction of its own: threads of a process that are ready together
queue theirs by one statement, which commits by itself. A thread that is alone waits for nobody. While a
statement is under way others gather, and go with the next when it ends, or when they are enough to be worth
one beside it: so a thread waits for no statement of others but those that were under way when it came.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Engine

from nenrin.backends.sql.transaction import Transaction
from nenrin.core.errors import UnavailableError

_WORTH = 2  # units that are worth a statement beside another
# as the driver has it: with a statement that SQLAlchemy makes a unit takes half as long again
_ADD = "INSERT INTO unsealed (environment, events) VALUES (%(environments)s, %(events)s)"
_ADD_ALL = (
    "INSERT INTO unsealed (environment, events) "
    "SELECT * FROM unnest(CAST(%(environments)b AS text[]), CAST(%(events)b AS text[]))"
)


class Queue:
    """Adds to the queue, for all threads of a process."""

    def __init__(self) -> None:
        self._shared: dict[Engine, _Shared] = {}
        self._lock = threading.Lock()

    def add(self, transaction: Transaction, environment: str, events: str) -> None:
        """Add the events of a unit: in its transaction, or durably by now where it has not begun.

        Raises:
            DBAPIError: they cannot be added.
            UnavailableError: the thread that added them was interrupted.
        """
        if transaction.begun:
            row = {"environments": environment, "events": events}
            transaction.connection.exec_driver_sql(_ADD, row)
            return
        shared = self._shared.get(transaction.engine)
        if shared is None:
            with self._lock:
                shared = self._shared.setdefault(transaction.engine, _Shared(transaction.engine))
        shared.add(_Events(environment, events))


class _Events:
    """What a unit recorded, and the thread that waits until it is in the queue.

    Attributes:
        together: what this thread has to add; nothing where another one adds its own.
        connection: what it adds them by, where another thread has left it one.
        error: why it is not in the queue.
        told: released when its thread has something to do, or another has done it.
    """

    def __init__(self, environment: str, events: str) -> None:
        self.environment = environment
        self.events = events
        self.together: list[_Events] = []
        self.connection: Connection | None = None
        self.error: Exception | None = None
        self.told = threading.Lock()
        self.told.acquire()


class _Shared:
    """What threads add through one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._under_way = 0
        self._waiting: list[_Events] = []

    def add(self, mine: _Events) -> None:
        """Have them added, by this thread or by another."""
        error: Exception | None = None
        interrupted = True
        try:
            with self._lock:
                self._waiting.append(mine)
                if self._worth():
                    self._take(mine)
            if not mine.together:
                mine.told.acquire()
            if mine.together:
                mine.connection = mine.connection or self._connected()
                mine.connection.exec_driver_sql(_ADD_ALL, _columns(mine.together))
            interrupted = False
        except Exception as failed:  # noqa: BLE001 - raised again to all of them
            error, interrupted = failed, False
        finally:
            if interrupted:  # Ctrl-C: nobody knows whether they are there
                error = UnavailableError(
                    "another thread was interrupted while it wrote to the database",
                    hint="look whether the last change is there, and do it again if not",
                )
            self._leave(mine, error)
        if mine.error is not None:
            raise mine.error

    def _worth(self) -> bool:
        return not self._under_way or len(self._waiting) >= _WORTH

    def _take(self, leader: _Events) -> None:
        self._under_way += 1
        leader.together, self._waiting = self._waiting, []

    def _leave(self, mine: _Events, error: Exception | None) -> None:
        """Tell the others, and let the next thread add what has come meanwhile."""
        if error is not None:
            with self._lock, suppress(ValueError):  # nobody may wait for one that was interrupted
                self._waiting.remove(mine)
        if not mine.together:
            return
        left = mine.connection
        with self._lock:
            self._under_way -= 1
            if self._waiting and self._worth():
                following = self._waiting[0]
                self._take(following)
                if error is None:  # the pool takes as long as the statement
                    following.connection, left = left, None
                following.told.release()
        for each in mine.together:
            each.error = error
            if each is not mine:
                each.told.release()
        if left is not None:
            left.close()

    def _connected(self) -> Connection:
        return self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")


def _columns(together: Sequence[_Events]) -> dict[str, Any]:
    return {
        "environments": [each.environment for each in together],
        "events": [each.events for each in together],
    }
