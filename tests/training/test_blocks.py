"""Blocks of three local hours, and the days that they make up."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.core.instants import DAY, HOUR, from_us, local_midnight, to_us
from nenrin.training.blocks import BLOCK, Blocks

ZONES = [
    "UTC",
    "America/New_York",  # 02:00 -> 03:00
    "Europe/Athens",  # 03:00 -> 04:00: on a block's edge
    "America/Sao_Paulo",  # had no midnight at the change
    "Asia/Kathmandu",  # 5:45 ahead
    "Australia/Lord_Howe",  # changes by half an hour
    "Pacific/Apia",  # skipped 30 December 2011
]


@given(
    zone=st.sampled_from(ZONES),
    start=st.integers(
        to_us(datetime(2005, 1, 1, tzinfo=UTC)), to_us(datetime(2025, 1, 1, tzinfo=UTC))
    ),
    offsets=st.lists(st.integers(0, 5 * DAY), min_size=1, max_size=30),
)
def test_every_instant_lies_in_the_block_of_its_clock(
    zone: str, start: int, offsets: list[int]
) -> None:
    blocks = Blocks(zone, start, start + 5 * DAY)
    asked = np.array([start + offset for offset in offsets], dtype=np.int64)
    place = blocks.of(asked)
    for instant, block, day in zip(asked, place, blocks.days_of(asked), strict=True):
        local = from_us(int(instant)).astimezone(ZoneInfo(zone))
        begins = from_us(int(blocks.edges[block])).astimezone(ZoneInfo(zone))
        assert blocks.edges[block] <= instant < blocks.edges[block + 1]
        assert blocks.days[day] == local.date() == begins.date()
        assert begins.hour // 3 == local.hour // 3


@given(zone=st.sampled_from(ZONES), day=st.dates(date(2005, 1, 1), date(2025, 1, 1)))
def test_days_are_whole_and_in_order(zone: str, day: date) -> None:
    lo = local_midnight(day, zone)
    blocks = Blocks(zone, lo, lo + 40 * DAY)
    assert (np.diff(blocks.edges) > 0).all()
    assert blocks.days == sorted(set(blocks.days))
    assert blocks.day_ends[-1] == blocks.edges[-1]
    ends = [local_midnight(each + timedelta(days=1), zone) for each in blocks.days]
    assert blocks.day_ends.tolist() == ends


def test_clock_changes_make_a_block_shorter_and_longer() -> None:
    spring = local_midnight(date(2013, 3, 10), "America/New_York")
    autumn = local_midnight(date(2013, 11, 3), "America/New_York")
    for midnight, first in ((spring, 2 * HOUR), (autumn, 4 * HOUR)):
        lengths = np.diff(Blocks("America/New_York", midnight, midnight).edges).tolist()
        assert lengths == [first, *[BLOCK] * 7]


def test_a_skipped_date_has_no_blocks() -> None:
    lo = local_midnight(date(2011, 12, 29), "Pacific/Apia")
    blocks = Blocks("Pacific/Apia", lo, lo + 2 * DAY)
    assert date(2011, 12, 30) not in blocks.days
    assert len(blocks.days) == 3


def test_a_block_closes_when_its_end_is_older_than_the_settle_age() -> None:
    lo = local_midnight(date(2013, 5, 1), "America/New_York")
    blocks = Blocks("America/New_York", lo, lo + 3 * DAY)
    settle = 9 * HOUR
    end = lo + BLOCK
    assert blocks.closed_blocks(end + settle - 1, settle) == 0
    assert blocks.closed_blocks(end + settle, settle) == 1
    assert blocks.cutoff(end + settle - 1, settle) == lo
    assert blocks.cutoff(end + settle, settle) == end
    assert blocks.closes_at(settle)[0] == end + settle
    midnight = lo + DAY
    assert blocks.closed_days(midnight + settle - 1, settle) == 0
    assert blocks.closed_days(midnight + settle, settle) == 1
    assert blocks.closed_blocks(lo + 90 * DAY, settle) == len(blocks.day_of)
    assert blocks.cutoff(lo + 90 * DAY, settle) == blocks.edges[-1]


def test_without_a_zone_days_are_utc() -> None:
    blocks = Blocks(None, 0, DAY - 1)
    assert blocks.days == [date(1970, 1, 1)]
    assert blocks.of(np.array([-1, 0, DAY])).tolist() == [-1, 0, 8]


def test_a_year_is_cut_in_little_time() -> None:
    lo = local_midnight(date(2013, 1, 1), "America/New_York")
    blocks = Blocks("America/New_York", lo, lo + 364 * DAY)
    assert len(blocks.days) == 365
    assert len(blocks.day_of) == pytest.approx(365 * 8)
