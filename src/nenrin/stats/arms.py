"""The difference between two arms of an experiment, where days have weather and keys come back.

The estimate is the mean over days of (mean of the second arm - mean of the first): what a day does to both
arms cancels, and a day counts once however many rows it has, so that weights may change from day to day.
Two things can make that mean wrong, and rows know of neither: the effect may change from day to day, and
keys that stay in one arm carry their own level through all days. Its variance is therefore clustered both
ways, by day and by key (Cameron, Gelbach and Miller, "Robust Inference with Multiway Clustering", 2011):
by day + by key - by row, never less than the greater of the first two. The interval is
:func:`nenrin.stats.always.radius` standard errors to both sides, and holds at every look.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nenrin.stats.always import radius


class Difference(NamedTuple):
    """Second arm minus first.

    Attributes:
        estimate: mean over days; NaN without a day.
        low, high: the always-valid interval; infinite at first.
        se: standard error; infinite before the second day.
        days: days on which both arms have outcomes.
    """

    estimate: float
    low: float
    high: float
    se: float
    days: int


def difference(
    y: np.ndarray, arm: np.ndarray, day: np.ndarray, key: np.ndarray, alpha: float = 0.05
) -> Difference:
    """How the second arm differs from the first.

    Args:
        y: finite outcomes, float64 (n,).
        arm: 0 or 1, integer (n,).
        day: number of the day, integer (n,).
        key: who was dealt to the arm, integer (n,).
        alpha: chance that the interval ever leaves the truth out.
    """
    second = arm == 1
    days, day = np.unique(day, return_inverse=True)
    counts = [np.bincount(day[mine], minlength=len(days)) for mine in (~second, second)]
    both = (counts[0] > 0) & (counts[1] > 0)
    n = int(both.sum())
    if n == 0:
        return Difference(math.nan, -math.inf, math.inf, math.inf, 0)
    sums = [np.bincount(day[mine], y[mine], minlength=len(days)) for mine in (~second, second)]
    means = [sums[i] / np.maximum(counts[i], 1) for i in (0, 1)]
    differences = (means[1] - means[0])[both]
    estimate = float(differences.mean())
    if n < 2:
        return Difference(estimate, -math.inf, math.inf, math.inf, n)
    rows = both[day]
    y, second, day, key = y[rows], second[rows], day[rows], key[rows]
    size = np.where(second, counts[1][day], counts[0][day])
    mean = np.where(second, means[1][day], means[0][day])
    pull = np.where(second, 1.0, -1.0) * (y - mean) / (n * size)
    _, place = np.unique(key, return_inverse=True)
    # a key that has moved pulls at both arms, as one
    by_key = float((np.bincount(place, pull) ** 2).sum())
    by_row, by_day = float((pull**2).sum()), float(differences.var(ddof=1)) / n
    se = math.sqrt(max(by_day + by_key - by_row, by_day, by_key))
    half = radius(n, alpha) * se if se > 0 else math.inf
    return Difference(estimate, estimate - half, estimate + half, se, n)
