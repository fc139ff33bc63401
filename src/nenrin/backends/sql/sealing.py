"""Sealing where many write: events queue up, and whoever holds the lease gives them their place.

A unit adds its events to the queue, as one row, in its own transaction and waits for nobody. A batch is one
transaction: it takes the lease, takes what is committed out of the queue, and adds it to the ends of the
chains. The lease is a lock of that transaction. A sealer whose process dies loses it at once with its
connection; one that hangs loses it when the server, by its own clock, ends a transaction that does nothing.
What it had not committed is still in the queue, and nothing that it does later can be written.

The order is that of commits. Batches see what was committed before them, whole transactions only; within a
batch units stand as they were queued, which happens at the end of their transactions, so that what was read
comes before what was made of it. A transaction that commits late is in a later batch: it holds up nobody,
and no reader has passed the place that it gets.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import BigInteger, Connection, Engine, delete, select, text
from sqlalchemy.exc import DBAPIError

from nenrin.backends.sql.ledger import Add, Recorded, add_each, append, queued, unqueued
from nenrin.backends.sql.queueing import Queue
from nenrin.backends.sql.schema import events, unsealed
from nenrin.backends.sql.transaction import Transaction
from nenrin.core.errors import DataError, NenrinError

_BATCH = 1000  # units at a time
_PACE = 0.03  # seconds between batches, so that they are worth their commit
_AGAIN = 0.1  # seconds after which a process looks whether the one that leads still does
_IDLE = 1.0  # seconds after which a process looks for what another left behind
_LARGEST = 2**63
# a batch takes milliseconds, and one that leads is never idle for longer than a pace
_HANGS = "-c idle_in_transaction_session_timeout=5000 -c idle_session_timeout=5000"

_QUEUE = "'unsealed'::regclass::oid::int"  # the table's own, wherever it is
_TAKE_LEASE = text(f"SELECT pg_advisory_xact_lock(20571, {_QUEUE})")
_TRY_TO_LEAD = text(f"SELECT pg_try_advisory_lock(20572, {_QUEUE})")
_LEAD_NO_MORE = text(f"SELECT pg_advisory_unlock(20572, {_QUEUE})")
_TAKE = (
    delete(unsealed)
    .where(
        unsealed.c.position.in_(
            select(unsealed.c.position).order_by(unsealed.c.position).limit(_BATCH)
        )
    )
    .returning(unsealed.c.position, unsealed.c.environment, unsealed.c.events)
)
# as the driver has it, in its binary form: arrays as text take twice as long
_ADD = (
    f"INSERT INTO events ({', '.join(events.c.keys())}) SELECT * FROM unnest("
    + ", ".join(
        f"CAST(%({column.name})b AS {'bigint' if isinstance(column.type, BigInteger) else 'text'}[])"
        for column in events.c
    )
    + ")"
)


class SealBehind:
    """Seals behind the writers' backs: by a thread of each process that writes, and before it reads.

    Args:
        connected: makes an engine whose sessions have the given options of the server.
    """

    def __init__(self, connected: Callable[[str], Engine]) -> None:
        self._engine = connected(_HANGS)
        self._queue = Queue()
        self._one_at_a_time = threading.Lock()
        self._owing = True  # a process before this one may have left events in the queue
        self._away = False
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def hand_over(
        self, transaction: Transaction, environment: str, recorded: Sequence[Recorded]
    ) -> None:
        """Queue the events, in the transaction that commits them.

        Raises:
            DataError: one of them could never leave the queue, and would hold up all behind it.
        """
        for at, kind, subject, _ in recorded:
            if not -_LARGEST <= at < _LARGEST or "\0" in kind or "\0" in subject:
                raise DataError(
                    f"{kind} of {subject!r} at {at} cannot be kept",
                    hint="PostgreSQL keeps whole numbers of 64 bits, and texts without character zero",
                )
        self._queue.add(transaction, environment, queued(recorded))

    def committed(self) -> None:
        """There is something in the queue."""
        self._owing = True
        self._start()
        self._wake.set()

    def catch_up(self) -> None:
        """Seal what this process committed, so that it reads what it wrote.

        Raises:
            DBAPIError: the database is away.
        """
        self._start()
        if not self._owing:
            # another thread may be at what this one wrote
            with self._one_at_a_time:
                if not self._owing:
                    return
        self._seal()

    def close(self) -> None:
        """Seal what is left, if that can be done, and end."""
        self._closed.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            if self._owing and not self._away:
                with suppress(DBAPIError, NenrinError):  # whoever comes next finds it in the queue
                    self._seal()
        self._engine.dispose()

    def _start(self) -> None:
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name="sealer", daemon=True)
                    self._thread.start()

    def _work(self) -> None:
        pause, pace = _IDLE, _PACE
        while not self._closed.is_set():
            self._wake.wait(pause)
            self._wake.clear()
            if self._closed.wait(pace):
                return
            pause, pace = _IDLE, _PACE
            try:
                if not self._lead():
                    pause, pace = 0.0, _AGAIN
                self._away = False
            except (DBAPIError, NenrinError):
                self._away = True  # who writes or reads hears of it

    def _lead(self) -> bool:
        """Seal at a pace until there is nothing; False where another process does."""
        with self._engine.connect() as connection:
            leading = connection.execution_options(isolation_level="AUTOCOMMIT")
            if not leading.execute(_TRY_TO_LEAD).scalar():
                return False
            try:
                while self._seal() and not self._closed.wait(_PACE):
                    pass
                leading.execute(_LEAD_NO_MORE)
            except BaseException:
                leading.invalidate()  # nobody leads by a session that is gone
                raise
        return True

    def _seal(self) -> int:
        """Seal until the queue is empty; how many units."""
        sealed = 0
        with self._one_at_a_time:
            self._owing = False
            try:
                while True:
                    with self._engine.begin() as connection:
                        connection.execute(_TAKE_LEASE)
                        count = _batch(connection, _add_at_once)
                    sealed += count
                    if count < _BATCH:
                        return sealed
            except BaseException:
                self._owing = True
                raise


def seal_queue(connection: Connection) -> None:
    """Seal all of the queue, in a transaction of which nobody else writes to the chains."""
    while _batch(connection, add_each) == _BATCH:
        pass


def _add_at_once(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """One statement in place of one a row."""
    connection.exec_driver_sql(_ADD, {name: [row[name] for row in rows] for name in rows[0]})


def _batch(connection: Connection, add: Add) -> int:
    """Seal the oldest units of the queue; how many."""
    units = sorted(map(tuple, connection.execute(_TAKE)))
    chains: dict[str, list[Recorded]] = {}
    for _, environment, queued_events in units:
        chains.setdefault(environment, []).extend(unqueued(queued_events))
    for environment, recorded in chains.items():
        append(connection, environment, recorded, add)
    return len(units)
