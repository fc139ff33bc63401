"""Intervals of any metric."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nenrin.stats.bootstrap import metric_interval
from nenrin.stats.metrics import METRICS

RANDOM = np.random.default_rng(0)
P = RANDOM.random(2_000)
Y = (RANDOM.random(2_000) < P).astype(float)
DAYS = np.repeat(np.arange(40), 50)


def test_rows_give_the_textbook_interval_of_a_mean():
    low, high = metric_interval(METRICS["brier"], Y, P, draws=500)
    losses = (Y - P) ** 2
    half = 1.96 * losses.std() / math.sqrt(2_000)
    assert (low, high) == pytest.approx((losses.mean() - half, losses.mean() + half), abs=half / 6)


def test_days_that_differ_make_it_wider():
    random = np.random.default_rng(1)
    y = np.clip(P + random.normal(scale=0.3, size=40)[DAYS], 0, 1)
    by_row = metric_interval(METRICS["mae"], y, P)
    by_day = metric_interval(METRICS["mae"], y, P, days=DAYS)
    assert by_day.high - by_day.low > 2 * (by_row.high - by_row.low)


def test_a_difference_is_paired():
    worse = np.clip(P + 0.02, 0, 1)
    low, high = metric_interval(METRICS["roc_auc"], Y, P, minus=P, days=DAYS)
    assert (low, high) == (0.0, 0.0)
    low, high = metric_interval(METRICS["log_loss"], Y, P, minus=worse, days=DAYS)
    whole = metric_interval(METRICS["log_loss"], Y, P, days=DAYS)
    assert high - low < (whole.high - whole.low) / 2


def test_what_cannot_be_shown_has_no_ends():
    assert metric_interval(METRICS["rmse"], Y[:100], P[:100], days=DAYS[:100]) == (
        -math.inf,
        math.inf,
    )
    assert metric_interval(METRICS["roc_auc"], np.ones(50), P[:50]) == (-math.inf, math.inf)
    assert metric_interval(METRICS["rmse"], np.empty(0), np.empty(0)) == (-math.inf, math.inf)


def test_the_seed_alone_decides():
    calls = [metric_interval(METRICS["f1"], Y, P, seed=seed, draws=50) for seed in (1, 1, 2)]
    assert calls[0] == calls[1] != calls[2]
