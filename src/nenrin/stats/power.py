"""How many cases an experiment needs before it can see an effect, by the normal approximation.

Fleiss, Levin and Paik, "Statistical Methods for Rates and Proportions" (3rd ed., 2003), chapter 4. The
figure is for one look at a fixed time: intervals that hold at every look are wider, and need more.
"""

from __future__ import annotations

import math
from statistics import NormalDist

_NORMAL = NormalDist()


def cases_for_means(
    effect: float, sd: float, *, share: float = 0.5, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Cases in both arms together that show a difference of means.

    Args:
        effect: the difference that must not be missed, not 0.
        sd: standard deviation of one case, the same in both arms.
        share: part of the cases in the second arm, between 0 and 1.
        alpha: chance of a difference where there is none, two-sided.
        power: chance of seeing ``effect``.

    >>> cases_for_means(0.5, 1.0)
    126
    """
    z = _NORMAL.inv_cdf(1 - alpha / 2) + _NORMAL.inv_cdf(power)
    return math.ceil((z * sd / effect) ** 2 / (share * (1 - share)))


def cases_for_shares(
    base: float, effect: float, *, share: float = 0.5, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Cases in both arms together that show a share of ``base + effect`` instead of ``base``.

    The other arguments are those of :func:`cases_for_means`.

    >>> cases_for_shares(0.10, 0.02)
    7682
    """
    other = base + effect
    pooled = (1 - share) * base + share * other
    null = math.sqrt(pooled * (1 - pooled) / (share * (1 - share)))
    real = math.sqrt(base * (1 - base) / (1 - share) + other * (1 - other) / share)
    z = _NORMAL.inv_cdf(1 - alpha / 2) * null + _NORMAL.inv_cdf(power) * real
    return math.ceil((z / effect) ** 2)


def power_of_means(effect: float, se: float, *, alpha: float = 0.05) -> float:
    """Chance that a difference of ``effect``, known to a standard error ``se``, is seen at one look.

    >>> round(power_of_means(2.8, 1.0), 2)
    0.8
    """
    z = _NORMAL.inv_cdf(1 - alpha / 2)
    return _NORMAL.cdf(abs(effect) / se - z) + _NORMAL.cdf(-abs(effect) / se - z)


def least_effect(se: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The effect that is seen with chance ``power`` at one look, at a standard error ``se``."""
    return se * (_NORMAL.inv_cdf(1 - alpha / 2) + _NORMAL.inv_cdf(power))
