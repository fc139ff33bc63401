"""Instants and durations."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.core.errors import ProjectError
from nenrin.core.instants import (
    DAY,
    HOUR,
    MINUTE,
    duration,
    from_us,
    iso,
    local_date,
    local_instant,
    local_midnight,
    spell,
    to_us,
)

NEW_YORK = "America/New_York"


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("30m", 30 * MINUTE),
        ("3h", 3 * HOUR),
        ("7d", 7 * DAY),
        ("2w", 14 * DAY),
        ("1d 12h", 36 * HOUR),
        (" 1d12h ", 36 * HOUR),
        ("0s", 0),
    ],
)
def test_reads_durations(text: str, us: int) -> None:
    assert duration(text) == us


@pytest.mark.parametrize("text", ["", "3", "h", "3 hours", "-3h", "1.5h", "3h!", "three hours"])
def test_refuses_what_is_no_duration(text: str) -> None:
    with pytest.raises(ProjectError) as caught:
        duration(text)
    assert '"30m"' in caught.value.hint


@given(st.integers(0, 10**9).map(lambda seconds: seconds * 1_000_000))
def test_spelling_a_duration_reads_back(us: int) -> None:
    assert duration(spell(us)) == us


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)))
def test_instants_are_exact(moment: datetime) -> None:
    assert from_us(to_us(moment)) == moment
    assert datetime.fromisoformat(iso(to_us(moment))) == moment


def test_zones_name_the_same_instant() -> None:
    tokyo = timezone(timedelta(hours=9))
    assert to_us(datetime(2013, 7, 1, 9, tzinfo=tokyo)) == to_us(datetime(2013, 7, 1))
    assert iso(to_us(datetime(2013, 7, 1))) == "2013-07-01T00:00:00Z"


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2013, 3, 10), 23), (date(2013, 7, 1), 24), (date(2013, 11, 3), 25)],
)
def test_days_are_as_long_as_the_zone_says(day: date, hours: int) -> None:
    begins = local_midnight(day, NEW_YORK)
    assert local_midnight(day + timedelta(days=1), NEW_YORK) - begins == hours * HOUR
    assert local_date(begins, NEW_YORK) == day
    assert local_date(begins - 1, NEW_YORK) == day - timedelta(days=1)


def test_of_a_doubled_hour_the_first() -> None:
    instant = local_instant(date(2013, 11, 3), time(1, 30), NEW_YORK)
    assert iso(instant) == "2013-11-03T05:30:00Z"


def test_a_missing_hour_moves_on() -> None:
    instant = local_instant(date(2013, 3, 10), time(2, 30), NEW_YORK)
    assert iso(instant) == "2013-03-10T07:30:00Z"
