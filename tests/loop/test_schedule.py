"""Looks stand at local times on a grid of local days, over both clock changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.core.errors import ProjectError
from nenrin.core.instants import DAY, HOUR, from_us, iso, local_instant, to_us
from nenrin.loop.declare import cron, every
from nenrin.loop.schedule import cron_tick, grid_look, next_at, skip_missed_looks
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


ZONES = ("America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Tokyo")


def _first_instant(day: date, clock: time, zone: ZoneInfo) -> int:
    """Of a doubled time the first; what is due in a gap comes right after it."""
    local = datetime.combine(day, clock, zone)
    there = local.astimezone(UTC).astimezone(zone)
    if there.replace(tzinfo=None) == local.replace(tzinfo=None):
        return to_us(local)
    minute = local.replace(tzinfo=None)
    while True:
        minute += timedelta(minutes=1)
        exists = minute.replace(tzinfo=zone)
        if exists.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == minute:
            return to_us(exists)


@given(
    st.sampled_from(ZONES),
    st.datetimes(datetime(2019, 12, 1), datetime(2022, 1, 31)),
    st.integers(0, 59),
    st.integers(0, 4) | st.integers(0, 23),
    st.none() | st.integers(0, 6),
    st.none() | st.integers(1, 28),
)
def test_cron_comes_when_a_plain_search_says(
    zone: str, moment: datetime, minute: int, hour: int, weekday: int | None, day: int | None
) -> None:
    """Both changes of clocks included, that of Lord Howe by half an hour too."""
    weekday = None if day is not None else weekday
    said = f"{minute} {hour} {day or '*'} * {'*' if weekday is None else weekday}"
    after = to_us(moment.replace(tzinfo=UTC))
    here = ZoneInfo(zone)
    begin = from_us(after).astimezone(here).date()
    days = [begin + timedelta(days=n) for n in range(-1, 40)]
    due = [
        _first_instant(each, time(hour, minute), here)
        for each in days
        if (day is None or each.day == day)
        and (weekday is None or each.isoweekday() % 7 == weekday)
    ]
    assert cron_tick(said, zone, after) == min(at for at in due if at > after)


@pytest.mark.parametrize("zone", [*ZONES[:3], "America/Havana", "Asia/Beirut"])
@pytest.mark.parametrize(
    "said", ["45 1 * * *", "30 2 * * *", "0 */24 * * *", "*/60 2 * * *", "55 23 * * *"]
)
def test_cron_moves_on_from_every_instant_around_a_change_of_clocks(zone: str, said: str) -> None:
    """From the second pass of a doubled hour too, and where the hour is written with a star."""
    declared, here = cron(said), ZoneInfo(zone)
    hours = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(366 * 24)]
    offsets = [hour.astimezone(here).utcoffset() for hour in hours]
    changes = [hours[n] for n in range(1, len(hours)) if offsets[n] != offsets[n - 1]]
    assert len(changes) == 2
    for change in changes:
        begin = change.astimezone(here).date()
        days = [begin + timedelta(days=n) for n in range(-3, 5)]
        due = [_first_instant(day, declared.clock, here) for day in days]
        for minutes in range(-26 * 60, 27 * 60, 10):
            after = to_us(change + timedelta(minutes=minutes))
            assert cron_tick(declared.cron, zone, after) == min(at for at in due if at > after)


def test_an_expression_that_hardly_ever_comes_is_a_schedule() -> None:
    leap_sundays = cron("0 4 29 2 */7")
    assert leap_sundays.period == 28 * 365 * DAY + 7 * DAY
    assert iso(cron_tick(leap_sundays.cron, "UTC", to_us(datetime(2024, 3, 1, tzinfo=UTC)))) == (
        "2032-02-29T04:00:00Z"
    )


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("every monday", "has not five fields"),
        ("0 0 4 * * 1", "has not five fields"),
        ("0 4 * * 9", "bad day-of-week"),
        ("0 0 30 2 *", "bad day-of-month"),
        ("0 4 */31 2 1#5", "it never comes"),
        ("0 */6 * * *", "more than once a day"),
        ("* 4 * * *", "more than once a day"),
        (None, "has not five fields"),
    ],
)
def test_what_is_no_schedule_is_refused(expression: str, says: str) -> None:
    with pytest.raises(ProjectError) as caught:
        cron(expression)
    assert says in str(caught.value.message)
    assert __file__ in caught.value.where


def test_how_it_is_declared_is_how_it_is_told() -> None:
    assert str(cron("0  4 * * 1")) == "cron 0 4 * * 1, missed looks: last"
    assert cron("0 4 * * 1").period == 7 * 24 * HOUR
    assert cron("30 4 1 * *").at == "04:30"
    assert cron("*/60 04 * * 1") == cron("0 4 * * 1")
    assert str(every("7d", at="04:00", catch_up="none")) == "every 7d at 04:00, missed looks: none"
    with pytest.raises(ProjectError, match="catch_up='some' is not known"):
        every("7d", catch_up="some")


@pytest.mark.parametrize("declared", [every, lambda _, **how: cron("0 4 * * 3", **how)])
def test_all_missed_looks_are_taken_or_none(declared: Any) -> None:
    made = deployed(row_table(40, 5)[0], Told({}), look=BEGIN + timedelta(days=30))
    first = local_instant(BEGIN + timedelta(days=41), time(4), ZONE)
    now = local_instant(BEGIN + timedelta(days=100), time(12), ZONE)
    for catch_up in ("all", "last", "none"):
        made.declared = msgspec.structs.replace(
            made.declared, refresh=declared("7d", catch_up=catch_up)
        )
        made.state.next_look = first
        skip_missed_looks(made, now)
        left = made.state.next_look
        if catch_up == "all":
            assert left == first
        elif catch_up == "last":
            assert left <= now < grid_look(made, left)
        else:
            assert left > now
    made.state.next_look = now - HOUR // 2  # a tick that is late is no look that was missed
    skip_missed_looks(made, now)
    assert made.state.next_look == now - HOUR // 2
