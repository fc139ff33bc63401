"""Monitoring's verbs: turn findings into alarms that open, stay and resolve, and show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from nenrin.core.unit import Unit, Units
from nenrin.monitoring.alarms import Alarm, Finding, reconcile
from nenrin.monitoring.ports import Alarms


class MonitoringService:
    """Keeps alarms.

    Args:
        units: opens units of work.
        records: keeps alarms.
    """

    def __init__(self, units: Units, records: Alarms) -> None:
        self._units = units
        self._records = records

    def observe(
        self, unit: Unit, subjects: Iterable[str], findings: Sequence[Finding]
    ) -> list[Alarm]:
        """Take in all that one look found at the unit's instant.

        An alarm that opens or resolves is an event; one that stays is only updated.

        Args:
            unit: open for writing.
            subjects: what was looked at: a standing alarm about one of them that is not found again
                is resolved.
            findings: what was found about them.

        Returns:
            the alarms that opened, stayed or resolved.
        """
        standing = [
            alarm
            for subject in sorted(set(subjects))
            for alarm in self._records.all(unit, subject, standing=True)
        ]
        changed = reconcile(standing, findings, unit.at)
        for alarm in changed:
            self._records.put(unit, alarm)
            if alarm.resolved is not None:
                unit.record("alarm.resolved", alarm.id, {"opened": alarm.opened})
            elif alarm.seen == 1:
                unit.record("alarm.opened", alarm.id, msgspec.to_builtins(alarm.finding))
        return changed

    def alarm(self, environment: str, alarm_id: str) -> Alarm:
        """An alarm by its id.

        Raises:
            NotFoundError: there is none.
        """
        with self._units.read(environment) as unit:
            return self._records.get(unit, alarm_id)

    def alarms(
        self, environment: str, subject: str | None = None, *, standing: bool = False
    ) -> list[Alarm]:
        """Alarms about a subject, or about all, oldest first; only open ones if ``standing``."""
        with self._units.read(environment) as unit:
            return self._records.all(unit, subject, standing=standing)
