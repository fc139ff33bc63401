"""Monitoring's service: events when alarms open and resolve, not while they stay."""

from __future__ import annotations

import pytest

from nenrin.core.errors import NotFoundError
from nenrin.monitoring.alarms import Alarm, Finding
from nenrin.monitoring.service import MonitoringService
from tests.gates.fakes import FakeUnit, FakeUnits

NULLS = Finding(kind="nulls", subject="weather", columns=("temp",), text="weather: nulls")


class FakeAlarms:
    def __init__(self) -> None:
        self.kept: dict[str, Alarm] = {}

    def put(self, unit: FakeUnit, record: Alarm) -> None:
        self.kept[record.id] = record

    def get(self, unit: FakeUnit, alarm_id: str) -> Alarm:
        if alarm_id not in self.kept:
            raise NotFoundError("no such alarm")
        return self.kept[alarm_id]

    def all(self, unit, subject=None, *, standing=False) -> list[Alarm]:
        return [
            alarm
            for alarm in self.kept.values()
            if subject in (None, alarm.finding.subject)
            and not (standing and alarm.resolved is not None)
        ]


@pytest.fixture
def units() -> FakeUnits:
    return FakeUnits()


@pytest.fixture
def service(units) -> MonitoringService:
    return MonitoringService(units, FakeAlarms())


def look(service, units, at, findings, subjects=("weather",)):
    with units.write("dev", at) as unit:
        return service.observe(unit, subjects, findings)


def test_an_alarm_lives_from_its_opening_to_its_end(service, units):
    (opened,) = look(service, units, 10, [NULLS])
    look(service, units, 20, [NULLS])
    assert service.alarms("dev", standing=True)[0].seen == 2
    look(service, units, 30, [])
    assert service.alarms("dev", standing=True) == []
    assert service.alarm("dev", opened.id).resolved == 30
    assert [kind for kind, _, _ in units.recorded] == ["alarm.opened", "alarm.resolved"]
    assert units.recorded[0][2]["columns"] == ("temp",)


def test_what_was_not_looked_at_stays_open(service, units):
    look(service, units, 10, [NULLS])
    assert look(service, units, 20, [], subjects=["flights"]) == []
    assert len(service.alarms("dev", "weather", standing=True)) == 1


def test_an_unknown_alarm(service):
    with pytest.raises(NotFoundError):
        service.alarm("dev", "alarm-0")
