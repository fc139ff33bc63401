"""Group commit: units of several threads that are ready together wait for the disk once.

SQLite writes one transaction at a time, and a durable commit waits for the disk. A thread whose unit is
done does not commit where another waits for its turn: that one writes into the same transaction, and the
last of them commits for all. Nobody waits for a timer, and a thread that is alone commits at once.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

LARGEST = 64


class GroupCommit:
    """Turns of threads that write to one file, through one engine or several."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._counting = threading.Lock()
        self._waiting: Counter[Engine] = Counter()
        self._open: _Batch | None = None

    @contextmanager
    def turn(self, engine: Engine) -> Iterator[Connection]:
        """A transaction for the block, which nobody else writes to meanwhile; durable when this returns.

        A block that raises leaves nothing behind, and takes nothing of the others with it.
        """
        with self._taken(engine):
            batch = self._joined(engine)
            try:
                with batch.member() as connection:
                    yield connection
            finally:
                self._commit_unless_awaited(batch)
        batch.wait()

    @contextmanager
    def _taken(self, engine: Engine) -> Iterator[None]:
        """The turn; whoever has it before knows that this thread waits."""
        self._count(engine, 1)
        try:
            self._turn.acquire()
        except BaseException:  # Ctrl-C: what was left open for this thread must not stay so
            self._count(engine, -1)
            with self._turn:
                if self._open is not None:
                    self._commit_unless_awaited(self._open)
            raise
        self._count(engine, -1)
        try:
            yield
        finally:
            self._turn.release()

    def _count(self, engine: Engine, more: int) -> None:
        with self._counting:
            self._waiting[engine] += more

    def _commit_unless_awaited(self, batch: _Batch) -> None:
        if batch.members >= LARGEST or not self._waiting[batch.engine]:
            self._open = None
            batch.commit()

    def _joined(self, engine: Engine) -> _Batch:
        """The open transaction of this engine, or a new one."""
        if self._open is not None and self._open.engine is not engine:
            self._open.commit()
            self._open = None
        if self._open is None:
            self._open = _Batch(engine)
        return self._open


class _Batch:
    """One transaction, and whoever waits for it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.members = 0
        self._connection = engine.connect()
        try:
            self._transaction = self._connection.begin()
        except BaseException:
            self._connection.close()
            raise
        self._ended = threading.Event()
        self._error: Exception | None = None

    @contextmanager
    def member(self) -> Iterator[Connection]:
        """Write between two savepoints."""
        with self._connection.begin_nested():
            yield self._connection
        self.members += 1

    def commit(self) -> None:
        """Commit for every member; each of them hears from :meth:`wait` whether it held."""
        try:
            self._transaction.commit()
        except Exception as error:  # noqa: BLE001 - raised again to every member
            self._error = error
            self._connection.invalidate()  # whatever is left of the transaction goes with it
        finally:
            self._connection.close()
            self._ended.set()

    def wait(self) -> None:
        """Wait for the commit.

        Raises:
            DatabaseError: it failed, and nothing of any member was written.
        """
        self._ended.wait()
        if self._error is not None:
            raise self._error
