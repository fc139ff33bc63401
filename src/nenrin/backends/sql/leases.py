"""Leases in a database that many processes write to, by its own clock."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

from sqlalchemy import text

from nenrin.backends.sql.database import Database
from nenrin.backends.sql.unit import shared_connection_of
from nenrin.core import environment as environments
from nenrin.core.errors import NenrinError
from nenrin.core.leases import LEASE, Ours
from nenrin.core.timer import SystemTimer, Timer

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
        timer: process time.
    """

    def __init__(
        self,
        units: Database,
        holder: str,
        seconds: float = LEASE,
        timer: Timer | None = None,
    ) -> None:
        self._units = units
        self._holder = holder
        self._seconds = seconds
        self._timer = timer or SystemTimer()
        self._until: dict[str, float] = {}

    @contextmanager
    def hold(self, name: str) -> Iterator[Ours]:
        """Whether the lease ``name`` is ours; if so it is kept up as long as the block lasts.

        Raises:
            UnavailableError: the database is away.
        """
        if not self._take(name):
            yield lambda: False
            return
        over = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(name, over), name="lease", daemon=True)
        keeper.start()
        try:
            yield partial(self._ours, name)
        finally:
            over.set()
            keeper.join()

    def close(self) -> None:
        """Let go of every lease, so that another process need not wait."""
        held = [name for name in self._until if self._ours(name)]
        self._until.clear()
        if not held:
            return
        with suppress(NenrinError), self._units.write(environments.DEFAULT, 0) as unit:
            for name in held:
                given = {"name": name, "holder": self._holder}
                shared_connection_of(unit).execute(_RELEASE, given)

    def _ours(self, name: str) -> bool:
        return self._timer.wall() < self._until.get(name, 0.0)

    def _keep(self, name: str, over: threading.Event) -> None:
        while not over.wait(self._seconds / 3):
            try:
                if not self._take(name):
                    _LOG.warning("the lease %s was lost to another process", name)
                    return
            except NenrinError as error:
                _LOG.warning("the lease %s could not be kept up: %s", name, error)

    def _take(self, name: str) -> bool:
        """Take the lease, or keep it up; whether that could be done."""
        given = {"name": name, "holder": self._holder, "seconds": self._seconds}
        asked = self._timer.wall()  # before the database counts: so ours is over before theirs
        with self._units.write(environments.DEFAULT, 0) as unit:
            taken = shared_connection_of(unit).execute(_TAKE, given).rowcount == 1
        self._until[name] = asked + self._seconds if taken else 0.0
        return taken
