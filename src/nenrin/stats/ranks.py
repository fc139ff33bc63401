"""Spearman's rank correlation, ties sharing their mean rank (Spearman, 1904)."""

from __future__ import annotations

import numpy as np


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """How alike two columns of numbers order their rows, -1 to 1; 1 where both are constant.

    >>> rank_correlation(np.array([0.1, 0.2, 0.9]), np.array([1.0, 5.0, 6.0]))
    1.0
    """
    a, b = _ranks(one), _ranks(other)
    a, b = a - a.mean(), b - b.mean()
    spread = float(np.sqrt((a * a).sum() * (b * b).sum()))
    if spread == 0:
        return float(np.array_equal(a, b))
    return float((a * b).sum() / spread)


def _ranks(values: np.ndarray) -> np.ndarray:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return ((ends - counts + ends - 1) / 2)[places]
