"""Looks stand at local times on a grid of local days, over both clock changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.core.instants import HOUR, from_us, iso, local_instant, to_us
from nenrin.loop.declare import every
from nenrin.loop.schedule import grid_look, next_at, skip_missed_looks
from tests.loop.world import BEGIN, ZONE, Told, deployed, row_table

HERE = ZoneInfo(ZONE)
MADE = deployed(row_table(40, 5)[0], Told({}), look=BEGIN + timedelta(days=30))


def clocked(period: str, at: str) -> None:
    MADE.declared = msgspec.structs.replace(MADE.declared, refresh=every(period, at=at))


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2021, 3, 10), 7 * 24 - 1), (date(2021, 11, 3), 7 * 24 + 1)],
)
def test_the_grid_keeps_its_local_hour_over_a_clock_change(day: date, hours: int) -> None:
    clocked("7d", "04:00")
    at = local_instant(day, time(4), ZONE)
    after = grid_look(MADE, at)
    assert after - at == hours * HOUR
    assert from_us(after).astimezone(HERE) == datetime.combine(
        day + timedelta(days=7), time(4), HERE
    )


@pytest.mark.parametrize(
    ("clock", "day", "told"),
    [
        ("02:30", date(2021, 3, 14), "2021-03-14T07:30:00Z"),  # a missing hour moves on by it
        ("01:30", date(2021, 11, 7), "2021-11-07T05:30:00Z"),  # of a doubled hour the first
    ],
)
def test_missing_and_doubled_hours(clock: str, day: date, told: str) -> None:
    clocked("7d", clock)
    before = local_instant(day - timedelta(days=1), time(23), ZONE)
    assert iso(next_at(MADE, before)) == told
    clocked("1d", clock)
    eve = local_instant(day - timedelta(days=1), time.fromisoformat(clock), ZONE)
    assert iso(grid_look(MADE, eve)) == told


@given(
    st.datetimes(datetime(2020, 12, 1), datetime(2022, 1, 31)),
    st.times().map(lambda t: t.replace(second=0, microsecond=0)),
)
def test_the_next_local_time_is_the_first_that_is_later(moment: datetime, clock: time) -> None:
    clocked("7d", clock.isoformat("minutes"))
    after = to_us(moment.replace(tzinfo=UTC))
    day = from_us(after).astimezone(HERE).date()
    every_day = [local_instant(day + timedelta(days=n), clock, ZONE) for n in (-1, 0, 1, 2)]
    assert next_at(MADE, after) == min(at for at in every_day if at > after)


def test_after_a_long_silence_one_look_is_left() -> None:
    clocked("7d", "04:00")
    first = local_instant(BEGIN + timedelta(days=41), time(4), ZONE)
    MADE.state.next_look = first
    newest = int(MADE.ground.table.asked[-1])
    now = local_instant(BEGIN + timedelta(days=100), time(12), ZONE)
    skip_missed_looks(MADE, now)
    left = MADE.state.next_look
    assert newest < left <= now < grid_look(MADE, left)
    step = first
    while step < left:
        step = grid_look(MADE, step)
    assert step == left


def test_looks_that_the_data_reaches_are_not_skipped() -> None:
    made = deployed(row_table(90, 5)[0], Told({}), look=BEGIN + timedelta(days=30))
    first = made.state.next_look
    skip_missed_looks(made, local_instant(BEGIN + timedelta(days=80), time(12), ZONE))
    assert made.state.next_look == first
