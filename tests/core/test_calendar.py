"""Business time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from nenrin.core.calendar import SimulatedCalendar, SystemCalendar
from nenrin.core.errors import ConflictError
from nenrin.core.instants import to_us


def test_the_system_calendar_is_the_machines() -> None:
    before = to_us(datetime.now(UTC))
    assert before <= SystemCalendar().now() <= to_us(datetime.now(UTC))


def test_a_simulated_calendar_stands_until_it_is_moved() -> None:
    calendar = SimulatedCalendar(5)
    assert calendar.now() == calendar.now() == 5
    calendar.move(5)
    calendar.move(9)
    assert calendar.now() == 9


def test_it_never_runs_backwards() -> None:
    calendar = SimulatedCalendar(5)
    with pytest.raises(ConflictError, match="1970-01-01"):
        calendar.move(4)
    assert calendar.now() == 5
