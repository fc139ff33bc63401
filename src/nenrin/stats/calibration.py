"""Calibration: whether what was said with probability p happens in a share p of the cases.

Reliability bins and their mean error as in Naeini, Cooper and Hauskrecht, "Obtaining Well
Calibrated Probabilities Using Bayesian Binning", 2015, with bins of equal width.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

BINS = 10


class Reliability(NamedTuple):
    """A curve: of each bin with rows, in order, the mean ``p``, the mean ``y``, their number."""

    p: np.ndarray
    y: np.ndarray
    n: np.ndarray


def bias(y: np.ndarray, p: np.ndarray) -> float:
    """Mean of ``y - p``: above 0 where too little was foretold; NaN without rows."""
    return float((y - p).mean()) if len(y) else float("nan")


def reliability(y: np.ndarray, p: np.ndarray, bins: int = BINS) -> Reliability:
    """The reliability curve of probabilities ``p`` in ``bins`` bins of equal width over [0, 1].

    Args:
        y: labels 0.0 and 1.0, shape (rows,).
        p: probabilities, shape (rows,).
        bins: number of bins; those without rows are left out.

    >>> reliability(np.array([0.0, 1.0]), np.array([0.1, 0.7]), bins=2).n.tolist()
    [1, 1]
    """
    at = np.minimum((p * bins).astype(np.int64), bins - 1)
    n = np.bincount(at, minlength=bins)
    used = n > 0
    said = np.bincount(at, weights=p, minlength=bins)[used] / n[used]
    happened = np.bincount(at, weights=y, minlength=bins)[used] / n[used]
    return Reliability(p=said, y=happened, n=n[used])


def expected_calibration_error(curve: Reliability) -> float:
    """Mean over rows of their bin's ``|mean y - mean p|``; NaN without rows."""
    total = int(curve.n.sum())
    return float((np.abs(curve.y - curve.p) * curve.n).sum()) / total if total else float("nan")
