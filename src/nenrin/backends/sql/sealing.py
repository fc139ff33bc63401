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
from nenrin.backends.sql.schema import events, unsealed
from nenrin.core.errors import DataError, NenrinError

_BATCH = 1000  # units at a time
_PACE = 0.06  # seconds between batches, so that they are worth their commit
_IDLE = 1.0  # seconds after which a process looks for what another left behind
_LARGEST = 2**63
_HANGS = "-c idle_in_transaction_session_timeout=5000"  # a batch takes milliseconds

_LEASE = "(20571, 'unsealed'::regclass::oid::int)"  # the table's own, wherever it is
_TAKE_LEASE = text(f"SELECT pg_advisory_xact_lock{_LEASE}")
_TRY_LEASE = text(f"SELECT pg_try_advisory_xact_lock{_LEASE}")
_TAKE = (
    delete(unsealed)
    .where(
        unsealed.c.position.in_(
            select(unsealed.c.position).order_by(unsealed.c.position).limit(_BATCH)
        )
    )
    .returning(unsealed.c.position, unsealed.c.environment, unsealed.c.events)
)
_ADD = text(
    f"INSERT INTO events ({', '.join(events.c.keys())}) SELECT * FROM unnest("
    + ", ".join(
        f"CAST(:{column.name} AS {'bigint' if isinstance(column.type, BigInteger) else 'text'}[])"
        for column in events.c
    )
    + ")"
)
# as the driver has it: with a statement that SQLAlchemy makes a unit takes half as long again
_QUEUE = "INSERT INTO unsealed (environment, events) VALUES (%(environment)s, %(events)s)"


class SealBehind:
    """Seals behind the writers' backs: by a thread of each process that writes, and before it reads.

    Args:
        connected: makes an engine whose sessions have the given options of the server.
    """

    def __init__(self, connected: Callable[[str], Engine]) -> None:
        self._engine = connected(_HANGS)
        self._one_at_a_time = threading.Lock()
        self._owing = True  # a process before this one may have left events in the queue
        self._away = False
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def hand_over(
        self, connection: Connection, environment: str, recorded: Sequence[Recorded]
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
        row = {"environment": environment, "events": queued(recorded)}
        driver: Any = connection.connection.driver_connection
        # nothing but events: a statement that commits by itself, one round trip in place of three
        if not driver.info.transaction_status:
            driver.autocommit = True
        try:
            connection.exec_driver_sql(_QUEUE, row)
        finally:
            if not driver.closed and driver.autocommit:
                driver.autocommit = False

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
        self._seal(_TAKE_LEASE)

    def close(self) -> None:
        """Seal what is left, if that can be done, and end."""
        self._closed.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            if self._owing and not self._away:
                with suppress(DBAPIError, NenrinError):  # whoever comes next finds it in the queue
                    self._seal(_TAKE_LEASE)
        self._engine.dispose()

    def _start(self) -> None:
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name="sealer", daemon=True)
                    self._thread.start()

    def _work(self) -> None:
        pause = _PACE
        while not self._closed.is_set():
            self._wake.wait(pause)
            self._wake.clear()
            if self._closed.wait(_PACE):
                return
            try:
                pause = _IDLE if self._seal(_TRY_LEASE) else _PACE
                self._away = False
            except (DBAPIError, NenrinError):
                pause, self._away = _IDLE, True  # who writes or reads hears of it

    def _seal(self, lease: object) -> bool:
        """Seal until the queue is empty; whether the lease was to be had."""
        with self._one_at_a_time:
            self._owing = False
            try:
                while True:
                    with self._engine.begin() as connection:
                        if connection.execute(lease).scalar() is False:  # type: ignore[call-overload]
                            self._owing = True
                            return False
                        if _batch(connection, _add_at_once) < _BATCH:
                            return True
            except BaseException:
                self._owing = True
                raise


def seal_queue(connection: Connection) -> None:
    """Seal all of the queue, in a transaction of which nobody else writes to the chains."""
    while _batch(connection, add_each) == _BATCH:
        pass


def _add_at_once(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """One statement in place of one a row."""
    connection.execute(_ADD, {name: [row[name] for row in rows] for name in rows[0]})


def _batch(connection: Connection, add: Add) -> int:
    """Seal the oldest units of the queue; how many."""
    units = sorted(map(tuple, connection.execute(_TAKE)))
    chains: dict[str, list[Recorded]] = {}
    for _, environment, queued_events in units:
        chains.setdefault(environment, []).extend(unqueued(queued_events))
    for environment, recorded in chains.items():
        append(connection, environment, recorded, add)
    return len(units)
