"""Faults of the data: what each turns a frame into, and what it leaves alone."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from nenrin.core.errors import RequestError
from nenrin.core.instants import DAY, HOUR, local_midnight
from nenrin.data.faults import LASTS, DataFault, is_data_fault

ZONE = "America/New_York"
BEGIN = local_midnight(date(2013, 7, 29), ZONE)
KNOWN = [BEGIN - DAY, BEGIN - HOUR, BEGIN, BEGIN + DAY, BEGIN + LASTS - 1, BEGIN + LASTS]
FRAME = pl.DataFrame(
    {
        "station": list("abcdef"),
        "temp": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        "__event__": [known - HOUR for known in KNOWN],
        "__known__": KNOWN,
    }
)


def struck(text: str, *, rows: bool = False, label: bool = False) -> pl.DataFrame:
    return DataFault.parse(text).apply(FRAME, ZONE, rows=rows, label=label)


def test_a_stuck_sensor_repeats_its_last_value_for_a_week() -> None:
    found = struck("sensor_stuck:temp:2013-07-29")
    assert found["temp"].to_list() == [1.0, 2.0, 2.0, 2.0, 2.0, 6.0]
    assert found.drop("temp").equals(FRAME.drop("temp"))


def test_a_stuck_sensor_that_had_no_value_stays_as_it_is() -> None:
    late = DataFault.parse("sensor_stuck:temp:2013-07-28")
    assert late.apply(FRAME[2:], ZONE, rows=False, label=False).equals(FRAME[2:])


def test_a_burst_of_nulls() -> None:
    found = struck("null_burst:station:2013-07-29")
    assert found["station"].to_list() == ["a", "b", None, None, None, "f"]
    assert found.schema == FRAME.schema


def test_refused_loads_come_at_once_when_the_schema_is_back() -> None:
    found = struck("schema_change:temp:2013-07-29")
    assert found["__known__"].to_list() == [*KNOWN[:2], *[BEGIN + LASTS] * 4]
    assert found["__event__"].to_list() == FRAME["__event__"].to_list()


def test_labels_come_later_and_nothing_else_does() -> None:
    found = struck("late_labels:3d:2013-07-29", label=True)
    assert found["__known__"].to_list() == [*KNOWN[:2], *(known + 3 * DAY for known in KNOWN[2:])]
    assert struck("late_labels:3d:2013-07-29") is FRAME


def test_nothing_comes_on_an_empty_day_but_what_is_predicted() -> None:
    assert struck("empty_day:2013-07-29")["station"].to_list() == list("abdef")
    assert struck("empty_day:2013-07-29", rows=True) is FRAME


def test_a_duplicate_comes_a_day_later_in_order() -> None:
    found = struck("duplicate_load:2013-07-29")
    assert found["station"].to_list() == list("abcdcef")  # at one instant the first stays the first
    assert found["__known__"].is_sorted()


def test_a_column_that_a_dataset_has_not_leaves_it_alone() -> None:
    for kind in ("sensor_stuck", "null_burst", "schema_change"):
        assert struck(f"{kind}:wind:2013-07-29") is FRAME


@pytest.mark.parametrize(
    "text",
    [
        "null_burst:2013-07-29",
        "null_burst:temp",
        "empty_day:temp:2013-07-29",
        "empty_day:soon",
        "late_labels:soon:2013-07-29",
        "flood:2013-07-29",
    ],
)
def test_what_is_no_fault_is_refused(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        DataFault.parse(text)
    assert "null_burst:temp:2013-07-29" in caught.value.hint


def test_faults_of_fits_are_others() -> None:
    assert is_data_fault("null_burst:temp:2013-07-29")
    assert not is_data_fault("scrambled_fit:2013-07-29")
    fault = DataFault.parse("late_labels:3d:2013-07-29")
    assert DataFault.parse(fault.text) == fault
