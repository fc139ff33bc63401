"""Unit of work: a state change and its events, written together or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

from nenrin.core.ledger import Event, Kept


class Unit(Protocol):
    """An open transaction of one environment. Rooms' stores take it as their first argument."""

    @property
    def environment(self) -> str:
        """The environment it writes to."""
        ...

    @property
    def at(self) -> int:
        """The business instant of what it writes."""
        ...

    def record(self, kind: str, subject: str, body: dict[str, Any]) -> None:
        """Append an event, sealed when the unit commits, in the order of these calls."""
        ...


class Units(Protocol):
    """Opens units of work and reads the ledger. Adapter: ``nenrin.backends.sql.database``."""

    def write(self, environment: str, at: int) -> AbstractContextManager[Unit]:
        """A unit that commits when its block ends and rolls back when the block raises."""
        ...

    def read(self, environment: str) -> AbstractContextManager[Unit]:
        """A unit that only reads, from one consistent snapshot."""
        ...

    def events(self, environment: str, after: int = 0) -> Iterator[Event]:
        """Sealed events with a sequence greater than ``after``, in order: a consumer's cursor."""
        ...

    def find(
        self,
        environment: str,
        *,
        kind: str | None = None,
        subject: str | None = None,
        limit: int | None = None,
    ) -> list[Event]:
        """Sealed events of a kind, a subject, or both, in order; with a ``limit`` the newest."""
        ...

    def head(self, environment: str) -> tuple[int, str]:
        """Sequence and hash of the newest sealed event; ``(0, GENESIS)`` before the first."""
        ...

    def environments(self) -> list[str]:
        """Every environment that has events, sorted."""
        ...

    def kept(self) -> dict[str, Kept]:
        """What the state beside the ledger says of each environment that it has something of."""
        ...
