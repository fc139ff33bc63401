"""Whether a distribution has moved between two groups of days: in location, scale or shape.

Values become ranks among the reference's, and the ranks' first four Legendre polynomials are the
components of Neyman's smooth test ("Smooth test for goodness of fit", Skandinavisk Aktuarietidskrift,
1937): location, scale, and skew and tails as shape. Ranks are bounded and free of the values' scale. A
day is one figure a component, and days are the units that vary.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

POINTS = 100
COMPONENTS = ("location", "scale", "skew", "tails")
MOST_CORRELATION = 0.8
_LEVELS = (np.arange(POINTS) + 0.5) / POINTS


class Moved(NamedTuple):
    """A difference of day means for each of :data:`COMPONENTS`, and its standard error; float64 (4,).

    The unit is the standard deviation of the component over untied rows: a normal distribution that
    moves by .1 sd has a location of .098, one whose sd grows by a tenth a scale of .12.
    """

    effect: np.ndarray
    se: np.ndarray


def day_points(values: np.ndarray) -> np.ndarray:
    """A day as equally likely points: 100 quantiles of its values, float64 (100,); days weigh the same.

    Args:
        values: finite, float64 of shape (rows,), at least one.
    """
    points: np.ndarray = np.quantile(values, _LEVELS, method="inverted_cdf")
    return points


def components(reference: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Each day's means of the components of its ranks among the reference, float64 (days, 4).

    Args:
        reference: points of the reference's days, float64 of shape (reference days, 100).
        days: points of the days asked about, float64 of shape (days, 100).
    """
    pool = np.sort(reference, axis=None)
    below = np.searchsorted(pool, days, side="left") + np.searchsorted(pool, days, side="right")
    x = below / len(pool) - 1.0  # the middle of tied ranks, from -1 to 1
    polynomials = (
        np.sqrt(3.0) * x,
        np.sqrt(5.0) * (3.0 * x**2 - 1.0) / 2.0,
        np.sqrt(7.0) * (5.0 * x**3 - 3.0 * x) / 2.0,
        3.0 * (35.0 * x**4 - 30.0 * x**2 + 3.0) / 8.0,
    )
    return np.stack([each.mean(axis=1) for each in polynomials], axis=1)


def compare_days(reference: np.ndarray, recent: np.ndarray) -> Moved:
    """How far the recent days lie from the reference days.

    The standard error pools the variance between days within both groups, and is widened by the
    correlation of neighbouring days (times (1 + r) / (1 - r); r is corrected for its bias in short
    series after Kendall, "Note on bias in the estimation of autocorrelation", 1954, and kept within 0
    and .8), for weather lasts.

    Args:
        reference, recent: points of days in order, float64 of shape (days, 100), two at least each.
    """
    before, now = components(reference, reference), components(reference, recent)
    effect = now.mean(axis=0) - before.mean(axis=0)
    rest = (before - before.mean(axis=0), now - now.mean(axis=0))
    squares = sum((each**2).sum(axis=0) for each in rest)
    products = sum((each[1:] * each[:-1]).sum(axis=0) for each in rest)
    days = len(before) + len(now)
    lag = np.divide(products, squares, out=np.zeros_like(effect), where=squares > 0.0)
    correlation = np.clip(lag + (1.0 + 3.0 * lag) / days, 0.0, MOST_CORRELATION)
    variance = squares / (days - 2) * (1.0 + correlation) / (1.0 - correlation)
    return Moved(effect, np.sqrt(variance * (1.0 / len(before) + 1.0 / len(now))))
