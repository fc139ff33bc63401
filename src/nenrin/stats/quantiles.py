"""Quantiles and tails of the few distributions that monitors and gates need, without scipy."""

from __future__ import annotations

import math
from statistics import NormalDist

_NORMAL = NormalDist()


def normal_tail(z: float) -> float:
    """Chance that a standard normal exceeds ``z``."""
    return math.erfc(z / math.sqrt(2.0)) / 2.0


def t_tail(t: float, df: int) -> float:
    """Chance that Student's t with ``df`` degrees of freedom exceeds ``t``.

    By the normal transform of Wallace, "Bounds on Normal Approximations to Student's and the
    Chi-Square Distributions", 1959: relative error below 3 % for ``df >= 6`` down to tails of 1e-4.
    """
    size = math.sqrt(df * math.log1p(t * t / df)) * (8.0 * df + 1.0) / (8.0 * df + 3.0)
    return normal_tail(math.copysign(size, t))


def beta_binomial_tail(k: int, n: int, a: float, b: float) -> float:
    """Chance of ``k`` or more hits in ``n`` draws of a rate that is Beta(a, b) distributed.

    With ``a = hits + .5`` and ``b = misses + .5`` of a reference it is the predictive chance of
    what is seen now, the reference's own uncertainty included.

    >>> round(beta_binomial_tail(1, 1, 1.0, 1.0), 12)
    0.5
    """
    if k <= 0:
        return 1.0
    mean = a / (a + b)
    if k < n * mean:  # the sum runs outwards from the mode, where terms only shrink
        return 1.0 - beta_binomial_tail(n - k + 1, n, b, a)
    term = math.exp(
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        + math.lgamma(k + a) + math.lgamma(n - k + b) - math.lgamma(n + a + b)
        + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    )  # fmt: skip
    total = 0.0
    for hits in range(k, n + 1):
        total += term
        if hits == n or term < total * 1e-12:
            break
        term *= (n - hits) * (hits + a) / ((hits + 1) * (n - hits - 1 + b))
    return min(1.0, total)
