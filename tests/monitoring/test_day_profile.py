"""Profiles of days against plain counting."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import polars as pl

from nenrin.monitoring.day_profile import Middle, profile_days

FRAME = pl.DataFrame(
    {
        "x": [1.0, None, math.nan, 4.0, 5.0, math.inf],
        "n": [1, 2, None, 4, 5, 6],
        "s": ["a", "b", None, "a", "a", None],
        "b": [True, None, False, True, True, True],
        "t": [datetime(2024, 1, 1, tzinfo=UTC), None, None, None, None, None],
        "c": pl.Series(["u", "v", "u", None, "v", "v"], dtype=pl.Categorical),
    }
)
DAYS = np.array([7, 7, 7, 9, 9, 9])
KNOWN = np.array([10, 20, 25, 90, 91, 99])


def test_days_are_counted():
    first, second = profile_days(FRAME, DAYS, KNOWN)
    assert (first.day, first.rows, first.newest, first.gap) == (7, 3, 25, 10)
    assert (second.day, second.rows, second.newest, second.gap) == (9, 3, 99, 65)
    assert first.nulls == {"x": 2, "n": 1, "s": 1, "b": 1, "t": 2, "c": 0}
    assert second.nulls == {"x": 1, "n": 0, "s": 1, "b": 0, "t": 3, "c": 1}
    assert first.values == {
        "s": {"a": 1, "b": 1},
        "b": {"true": 1, "false": 1},
        "c": {"u": 2, "v": 1},
    }
    assert second.numbers["n"] == Middle(least=4.0, lower=4.0, upper=6.0, greatest=6.0)
    assert first.numbers["x"] == Middle(least=1.0, lower=1.0, upper=1.0, greatest=1.0)


def test_a_day_is_the_same_whatever_days_come_with_it():
    whole = profile_days(FRAME, DAYS, KNOWN)
    cut = profile_days(FRAME.head(3), DAYS[:3], KNOWN[:3])
    assert cut == whole[:1]


def test_columns_with_too_many_values_have_none():
    frame = pl.DataFrame({"id": [f"row {at}" for at in range(201)]})
    (profile,) = profile_days(frame, np.zeros(201, dtype=int), np.arange(201))
    assert profile.values == {}
    assert profile.nulls == {"id": 0}


def test_no_rows_have_no_days():
    assert profile_days(FRAME.clear(), np.empty(0, dtype=int), np.empty(0, dtype=int)) == []
