"""Paired comparison of two artefacts on the same closed days, and what admits a refresh."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np

from nenrin.stats.intervals import FEWEST_DAYS, ONE_SIDED_5, day_mean_interval

SLACK = 0.005  # nat; a twentieth of the watch's clip for other losses

Outcome = Literal["better", "worse", "undecided", "none"]
Unit = Literal["day", "row"]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """How much more one artefact loses than another, with days as units.

    Attributes:
        mean: mean over days of (loss of the judged - loss of the other); below 0 is better. NaN
            without days.
        se: its standard error over days; infinite with fewer than three days.
        days: closed days that counted for both; rows where ``unit`` is ``row``.
        verdict: ``better`` or ``worse`` at one-sided 5 %, else ``undecided``; ``none`` where there
            was nothing to compare: the two are one, or share fewer than three days.
    """

    mean: float
    se: float
    days: int
    verdict: Outcome
    unit: Unit = "day"

    @property
    def low(self) -> float:
        """Lower one-sided 5 % bound of the mean difference."""
        return self.mean - ONE_SIDED_5 * self.se

    @property
    def high(self) -> float:
        """Upper one-sided 5 % bound of the mean difference."""
        return self.mean + ONE_SIDED_5 * self.se


def compare(e: np.ndarray | None, unit: Unit = "day") -> Comparison:
    """Compare by day means.

    Args:
        e: day means of (loss of the judged - loss of the other) on closed days, float64 of shape
            (days,); NaN for a day that does not count for both; None where the two are the same
            artefact.
        unit: ``row`` where there is no time and rows are taken to be independent: ``e`` then has
            one difference a row.

    >>> compare(np.array([-0.02, -0.01, -0.03, -0.02])).verdict
    'better'
    """
    if e is None:
        return Comparison(mean=float("nan"), se=float("inf"), days=0, verdict="none", unit=unit)
    mean, se = day_mean_interval(e)
    days = int(np.count_nonzero(~np.isnan(e)))
    verdict: Outcome = "undecided"
    if days < FEWEST_DAYS:
        verdict = "none"
    elif mean + ONE_SIDED_5 * se < 0.0:
        verdict = "better"
    elif mean - ONE_SIDED_5 * se > 0.0:
        verdict = "worse"
    return Comparison(mean=mean, se=se, days=days, verdict=verdict, unit=unit)
