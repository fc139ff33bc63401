"""Which stretch of history a backtest replays."""

from __future__ import annotations

from datetime import date, time, timedelta

import pytest

from nenrin.core.errors import RequestError
from nenrin.core.instants import local_instant, local_midnight
from nenrin.loop.window import LEAST_HISTORY, Window, window
from tests.loop.world import ZONE, noon


def chosen(begin: date, end: date, **more: str) -> Window:
    return window(first=noon(begin), last=noon(end), zone=ZONE, clock=time(4), **more)


def looks_on(found: Window) -> date:
    for day in (date(2012, 1, 1) + timedelta(days=n) for n in range(1500)):
        if local_instant(day, time(4), ZONE) == found.look:
            return day
    raise AssertionError(found)


def test_a_year_is_replayed_from_april_to_its_end() -> None:
    found = chosen(date(2013, 1, 1), date(2013, 12, 31))
    assert looks_on(found) == date(2013, 4, 1)
    assert found.until == local_midnight(date(2014, 1, 1), ZONE)


@pytest.mark.parametrize(
    ("begin", "end", "first"),
    [
        (date(2013, 1, 1), date(2016, 12, 31), date(2014, 1, 1)),
        (date(2013, 1, 1), date(2014, 1, 31), date(2013, 7, 1)),
        (date(2013, 3, 20), date(2013, 12, 31), date(2013, 7, 1)),
        (date(2013, 1, 1), date(2013, 3, 31), date(2013, 2, 1)),  # April is not there
        (date(2013, 1, 1), date(2013, 2, 20), date(2013, 2, 1)),  # no day before 29 January
        (date(2013, 1, 5), date(2013, 2, 10), date(2013, 2, 2)),  # no first of a month fits
    ],
)
def test_without_a_date_it_begins_after_a_quarter(begin: date, end: date, first: date) -> None:
    assert looks_on(chosen(begin, end)) == first


@pytest.mark.parametrize("end", [date(2013, 4, 30), date(2013, 9, 29), date(2013, 12, 30)])
def test_data_that_ends_earlier_is_replayed_from_the_same_day(end: date) -> None:
    whole = chosen(date(2013, 1, 1), date(2013, 12, 31))
    assert chosen(date(2013, 1, 1), end).look == whole.look


def test_dates_are_local_and_the_end_is_the_datas() -> None:
    found = chosen(date(2013, 1, 1), date(2013, 12, 31), from_="2013-07-01", until="2020-01-01")
    assert found == Window(
        local_instant(date(2013, 7, 1), time(4), ZONE), local_midnight(date(2014, 1, 1), ZONE)
    )
    found = chosen(date(2013, 1, 1), date(2013, 12, 31), from_="2013-03-10", until="2013-03-11")
    assert found.until - found.look == 20 * 3600 * 1_000_000


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"from_": "2013-01-28"}, "less than 28 days of history"),
        ({"from_": "2014-01-01"}, "no day to replay"),
        ({"from_": "2013-04-01", "until": "2013-04-01"}, "no day to replay"),
        ({"from_": "1 April"}, "'1 April' is not a date"),
        ({"until": "soon"}, "'soon' is not a date"),
    ],
)
def test_windows_that_do_not_fit_are_refused(asked: dict[str, str], says: str) -> None:
    with pytest.raises(RequestError, match=says) as caught:
        chosen(date(2013, 1, 1), date(2013, 12, 31), **asked)
    assert caught.value.hint


def test_the_least_history_is_enough() -> None:
    first = date(2013, 1, 1) + timedelta(days=LEAST_HISTORY)
    found = chosen(date(2013, 1, 1), date(2013, 12, 31), from_=first.isoformat())
    assert looks_on(found) == first


def test_too_short_a_history_is_refused_without_dates() -> None:
    with pytest.raises(RequestError, match="no day to replay"):
        chosen(date(2013, 1, 1), date(2013, 1, 20))
