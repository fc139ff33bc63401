"""What monitoring needs from a store."""

from __future__ import annotations

from typing import Protocol

from nenrin.core.unit import Unit
from nenrin.monitoring.alarms import Alarm


class Alarms(Protocol):
    """Keeps alarms of the unit's environment. Adapter: ``nenrin.backends.sql.monitoring``."""

    def put(self, unit: Unit, record: Alarm) -> None:
        """Keep an alarm, in place of an earlier form of it."""
        ...

    def get(self, unit: Unit, alarm_id: str) -> Alarm:
        """The alarm of that id.

        Raises:
            NotFoundError: there is none.
        """
        ...

    def all(self, unit: Unit, subject: str | None = None, *, standing: bool = False) -> list[Alarm]:
        """Alarms about one subject or all; only open ones if ``standing``; oldest first."""
        ...
