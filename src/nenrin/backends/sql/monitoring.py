"""Monitoring's alarms in SQL."""

from __future__ import annotations

from nenrin.backends.sql.records import Records
from nenrin.backends.sql.schema import alarms
from nenrin.core.unit import Unit
from nenrin.monitoring.alarms import Alarm


class SqlAlarms:
    """The ``Alarms`` of :mod:`nenrin.monitoring.ports`."""

    def __init__(self) -> None:
        self._records = Records(alarms, Alarm)

    def put(self, unit: Unit, record: Alarm) -> None:
        """Keep an alarm, in place of an earlier form of it."""
        self._records.put(unit, record.id, record.finding.subject, record)

    def get(self, unit: Unit, alarm_id: str) -> Alarm:
        """The alarm of that id.

        Raises:
            NotFoundError: there is none.
        """
        return self._records.must(unit, alarm_id)

    def all(self, unit: Unit, subject: str | None = None, *, standing: bool = False) -> list[Alarm]:
        """Alarms about one subject or all; only open ones if ``standing``; oldest first."""
        found = self._records.all(unit, subject)
        return [alarm for alarm in found if alarm.resolved is None or not standing]
