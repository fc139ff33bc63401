"""Slices: right means, few false alarms over many slices, harm found where it is."""

from __future__ import annotations

import numpy as np
import pytest

from nenrin.gates.slices import SliceColumn, compare_slices, ranges

ROWS, DAYS = 20_000, 28


def stream(seed: int, slices: int, day_sd: float = 0.02):
    """Rows with a slice and a day, whose differences share a zero-mean effect of slice and day."""
    random = np.random.default_rng(seed)
    codes = random.integers(0, slices, size=ROWS)
    days = np.sort(random.integers(0, DAYS, size=ROWS))
    effect = random.normal(scale=day_sd, size=(slices, DAYS))
    e = effect[codes, days] + random.normal(scale=0.3, size=ROWS)
    return SliceColumn(codes, tuple(f"s{at}" for at in range(slices))), days, e


def test_a_slice_is_the_mean_of_its_days():
    column, days, e = stream(0, 3)
    for found in compare_slices({"origin": column}, days, e):
        inside = column.codes == column.names.index(found.value)
        means = [e[inside & (days == day)].mean() for day in range(DAYS)]
        assert found.rows == inside.sum()
        assert found.days == DAYS
        assert found.mean == pytest.approx(np.mean(means))
        assert found.se == pytest.approx(np.std(means, ddof=1) / np.sqrt(DAYS))


def test_thirty_slices_that_differ_by_chance_seldom_alarm():
    alarms = sum(
        any(found.worse for found in compare_slices({"dest": column}, days, e, floor=0.0))
        for column, days, e in (stream(seed, 30) for seed in range(60))
    )
    assert alarms <= 6


def test_a_hurt_slice_is_named_and_no_other():
    column, days, e = stream(1, 20)
    e = e + np.where(column.codes == 7, 0.12, 0.0)
    found = compare_slices({"dest": column}, days, e)
    assert [result.value for result in found if result.worse] == ["s7"]


def test_harm_below_the_floor_is_nobodys():
    column, days, e = stream(2, 2, day_sd=0.0)
    found = compare_slices({"dest": column}, days, e * 0.01 + 0.015)
    assert not any(result.worse for result in found)
    assert all(
        r.worse for r in compare_slices({"dest": column}, days, e * 0.01 + 0.015, floor=0.01)
    )


def test_small_slices_unlabelled_rows_and_wide_columns_are_left_out():
    column, days, e = stream(3, 4)
    rare = SliceColumn(np.where(np.arange(ROWS) < 300, 0, -1), ("rare",))
    wide = SliceColumn(np.arange(ROWS) % 99, tuple(map(str, range(99))))
    e[column.codes == 2] = np.nan
    found = compare_slices({"dest": column, "rare": rare, "wide": wide}, days, e)
    assert [result.value for result in found] == ["s0", "s1", "s3"]
    assert compare_slices({"dest": column}, days, np.full(ROWS, np.nan)) == ()


def test_ranges_cut_numbers_by_quantiles():
    values = np.array([1.0, 2.0, 3.0, 4.0, np.nan, 5.0, 6.0, 7.0, 8.0])
    column = ranges(values)
    assert column.names == ("(-inf, 2.75]", "(2.75, 4.5]", "(4.5, 6.25]", "(6.25, inf]")
    assert column.codes.tolist() == [0, 0, 1, 1, -1, 2, 2, 3, 3]
    assert ranges(np.full(5, 3.0)).codes.tolist() == [0] * 5
    assert ranges(np.full(5, np.nan)).names == ()
