"""Intervals from days: exactness on small cases, honesty when days differ."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nenrin.stats.intervals import day_mean_interval, moving_blocks


def test_mean_and_standard_error_of_days():
    mean, se = day_mean_interval(np.array([1.0, np.nan, 2.0, 6.0]))
    assert mean == 3.0
    assert se == pytest.approx(np.std([1.0, 2.0, 6.0], ddof=1) / math.sqrt(3))


def test_fewer_than_three_days_decide_nothing():
    assert day_mean_interval(np.array([-1.0, np.nan, -1.0])) == (-1.0, math.inf)
    mean, se = day_mean_interval(np.array([np.nan]))
    assert math.isnan(mean)
    assert se == math.inf
    assert moving_blocks(np.array([-1.0, -1.0])) == (-math.inf, math.inf)


def test_blocks_are_those_of_a_plain_loop():
    """The vectorised draws are the textbook's: whole blocks, then one cut short to fill the history."""
    random = np.random.default_rng(5)
    sums, rows = random.normal(size=30), random.integers(1, 9, size=30)
    low, high = moving_blocks(sums, rows, block=7, draws=300, seed=11)
    draw = np.random.default_rng(11)
    starts, short = draw.integers(0, 24, size=(300, 4)), draw.integers(0, 29, size=300)
    means = []
    for history, last in zip(starts, short, strict=True):
        days = [start + step for start in history for step in range(7)] + [last, last + 1]
        means.append(sums[days].sum() / rows[days].sum())
    assert (low, high) == pytest.approx(np.quantile(means, [0.025, 0.975]))


def test_the_seed_alone_decides():
    sums, rows = np.sin(np.arange(40.0)), np.full(40, 3)
    assert moving_blocks(sums, rows, seed=3) == moving_blocks(sums, rows, seed=3)
    assert moving_blocks(sums, rows, seed=3) != moving_blocks(sums, rows, seed=4)


def test_days_without_rows_have_no_say():
    sums, rows = np.arange(1.0, 22.0), np.full(21, 2)
    with_gap = np.insert(sums, 4, np.nan), np.insert(rows, 4, 0)
    assert moving_blocks(*with_gap) == moving_blocks(sums, rows)


def test_short_histories_have_shorter_blocks():
    low, high = moving_blocks(np.array([0.0, 3.0, 6.0]))
    assert 0.0 <= low < 3.0 < high <= 6.0


def test_intervals_hold_where_days_differ_and_weeks_hang_together():
    """Coverage of a true mean of 0 when each day has its own effect and days are autocorrelated.

    An interval from rows, shown beside it, misses the truth most of the time.
    """
    random = np.random.default_rng(7)
    covered = {"days": 0, "blocks": 0, "rows": 0}
    trials = 150
    for trial in range(trials):
        shocks = random.normal(scale=0.05, size=120)
        effect = shocks + 0.5 * np.roll(shocks, 1)
        rows = random.normal(scale=0.3, size=(120, 200)) + effect[:, None]
        days = rows.mean(axis=1)
        mean, se = day_mean_interval(days)
        covered["days"] += abs(mean) <= 1.96 * se
        low, high = moving_blocks(rows.sum(axis=1), np.full(120, 200), draws=400, seed=trial)
        covered["blocks"] += low <= 0.0 <= high
        covered["rows"] += abs(rows.mean()) <= 1.96 * rows.std() / math.sqrt(rows.size)
    assert covered["blocks"] >= 0.88 * trials
    assert covered["days"] >= 0.78 * trials
    assert covered["rows"] <= 0.6 * trials
