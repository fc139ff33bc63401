"""An interval for a mean of few days that holds at every look.

The confidence sequence of the sequential t-test with a normal prior on the standardised effect (Lai, "On
confidence sequences", 1976; Wang and Ramdas, "Anytime-valid t-tests and confidence sequences for Gaussian
means with unknown variance", 2025). Its Bayes factor (Gönen, Johnson, Lu and Westfall, "The Bayesian
two-sample t test", 2005) is a martingale whatever the variance, so that with normal day values the interval
covers the mean at all days at once with chance 1 - alpha, from the first day on: no asymptotics, no least
sample. Until about the fifth day it is infinite by itself.
"""

from __future__ import annotations

import math

PRIOR = 1.0
"""Variance of the prior on (mean / standard deviation of a day)."""


def radius(days: int, alpha: float = 0.05) -> float:
    """Half the width of the interval, in standard errors of the mean of ``days`` values.

    >>> [round(radius(days), 1) for days in (4, 5, 7, 14, 60)]
    [inf, 8.5, 4.6, 3.6, 3.3]
    """
    if days < 2:
        return math.inf
    spread = 1 + days * PRIOR
    reach = (math.sqrt(spread) / alpha) ** (2 / days)
    if reach >= spread:
        return math.inf
    return math.sqrt((days - 1) * (reach - 1) / (1 - reach / spread))
