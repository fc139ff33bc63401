"""An interval of any metric, by drawing days (or rows) again: weights instead of copies."""

from __future__ import annotations

import numpy as np

from nenrin.stats.intervals import FEWEST_DAYS, Interval
from nenrin.stats.metrics import Metric


def metric_interval(
    metric: Metric,
    y: np.ndarray,
    p: np.ndarray,
    *,
    minus: np.ndarray | None = None,
    days: np.ndarray | None = None,
    draws: int = 200,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Percentile interval of a metric, or of the difference of two predictions of the same rows.

    Days are drawn with replacement, each with all its rows (Davison and Hinkley, "Bootstrap Methods
    and Their Application", 1997, section 3.8): rows of one day are not independent.

    Args:
        metric: one of :data:`nenrin.stats.metrics.METRICS`.
        y: labels, float64 of shape (rows,).
        p: predictions.
        minus: other predictions, whose metric is taken off on the same draw.
        days: number of each row's day; left out, every row is drawn for itself, as if independent.
        draws: resampled sets of days.
        seed: of the draws.
        level: coverage.

    Returns:
        infinite ends for fewer than three days, or where the metric is not a number on any draw.
    """
    day = np.arange(len(y)) if days is None else np.unique(days, return_inverse=True)[1]
    size = int(day.max(initial=-1)) + 1
    nothing = Interval(float("-inf"), float("inf"))
    if size < FEWEST_DAYS:
        return nothing
    random = np.random.default_rng(seed)
    values = np.empty(draws)
    for draw in range(draws):
        times = np.bincount(random.integers(0, size, size=size), minlength=size)
        weight = times[day].astype(np.float64)
        values[draw] = metric(y, p, weight) - (0.0 if minus is None else metric(y, minus, weight))
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return nothing
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(values, [tail, 1.0 - tail])
    return Interval(float(low), float(high))
