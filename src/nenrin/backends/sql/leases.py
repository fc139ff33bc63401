"""Leases in a database that many processes write to, by its own clock."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import text

from nenrin.backends.sql.database import Database
from nenrin.backends.sql.unit import shared_connection_of
from nenrin.core import environment as environments
from nenrin.core.errors import NenrinError
from nenrin.core.leases import LEASE

_LOG = logging.getLogger(__name__)

_NOW = "extract(epoch FROM clock_timestamp())"
_TAKE = text(
    f"INSERT INTO leases (name, holder, until) VALUES (:name, :holder, {_NOW} + :seconds) "
    f"ON CONFLICT (name) DO UPDATE SET holder = :holder, until = {_NOW} + :seconds "
    f"WHERE leases.holder = :holder OR leases.until < {_NOW}"
)
_RELEASE = text("DELETE FROM leases WHERE name = :name AND holder = :holder")


class SqlLeases:
    """Leases as rows of the table ``leases``; for PostgreSQL.

    Args:
        units: the database.
        holder: tells this process from all others.
        seconds: how long a lease lasts without a sign of life.
    """

    def __init__(self, units: Database, holder: str, seconds: float = LEASE) -> None:
        self._units = units
        self._holder = holder
        self._seconds = seconds
        self._held: set[str] = set()

    @contextmanager
    def hold(self, name: str) -> Iterator[bool]:
        """Whether the lease ``name`` is ours for the block; kept up as long as the block lasts.

        Raises:
            UnavailableError: the database is away.
        """
        if not self._take(name):
            self._held.discard(name)
            yield False
            return
        self._held.add(name)
        over = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(name, over), name="lease", daemon=True)
        keeper.start()
        try:
            yield True
        finally:
            over.set()
            keeper.join()

    def close(self) -> None:
        """Let go of every lease, so that another process need not wait."""
        for name in self._held:
            with suppress(NenrinError), self._units.write(environments.DEFAULT, 0) as unit:
                given = {"name": name, "holder": self._holder}
                shared_connection_of(unit).execute(_RELEASE, given)
        self._held.clear()

    def _keep(self, name: str, over: threading.Event) -> None:
        while not over.wait(self._seconds / 3):
            try:
                if not self._take(name):
                    _LOG.warning("the lease %s was lost to another process", name)
                    return
            except NenrinError as error:
                _LOG.warning("the lease %s could not be kept up: %s", name, error)

    def _take(self, name: str) -> bool:
        given = {"name": name, "holder": self._holder, "seconds": self._seconds}
        with self._units.write(environments.DEFAULT, 0) as unit:
            return shared_connection_of(unit).execute(_TAKE, given).rowcount == 1
