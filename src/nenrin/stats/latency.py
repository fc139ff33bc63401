"""Always-valid evidence that one side is slower, from counts in fixed bins; and quantiles of them.

Counts above a threshold turn a quantile into a proportion (Howard and Ramdas, "Sequential estimation
of quantiles with applications to A/B testing and best-arm identification", 2022): if both sides are
equally fast, each answer that took longer than the threshold is the challenger's with the chance of
the split (:mod:`nenrin.stats.share`). The thresholds are the edges of the bins, fixed before the
first request, and the mean of their evidences is evidence again, so nobody chooses a quantile.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

from nenrin.stats.share import bets, log_mean

EDGES = tuple(float(10.0 ** (step / 8 - 4)) for step in range(49))
"""Seconds: from a tenth of a millisecond to a hundred seconds, eight a decade."""

BINS = len(EDGES) + 1
_STEP = 10.0 ** (1 / 8)


def bin_of(seconds: float) -> int:
    """The bin of a duration: the number of edges below it."""
    return bisect_left(EDGES, seconds)


def log_evidence_slower(mine: Sequence[int], theirs: Sequence[int], share: float) -> float:
    """Natural logarithm of the evidence that one side's answers take longer.

    Args:
        mine: answers by :func:`bin_of`, of the side that is judged.
        theirs: of the other side.
        share: the chance that an answer is of the side that is judged.
    """
    return log_mean(bets(_longer(mine), _longer(theirs), share))


def quantile(counts: Sequence[int], at: float) -> float:
    """The duration (seconds) that a part ``at`` of the answers did not exceed, between edges by logarithms.

    NaN without answers; the last edge where it lies above that.
    """
    reached = np.cumsum(counts)
    if not len(reached) or reached[-1] == 0:
        return float("nan")
    wanted = at * reached[-1]
    place = int(np.searchsorted(reached, wanted))
    if place >= len(EDGES):
        return EDGES[-1]
    inside = 1.0 - (reached[place] - wanted) / counts[place]
    return float(EDGES[place] * _STEP ** (inside - 1.0))


def _longer(counts: Sequence[int]) -> np.ndarray:
    """How many answers took longer than each edge, int64 (edges,)."""
    above: np.ndarray = np.cumsum(np.asarray(counts, dtype=np.int64)[::-1])[::-1][1:]
    return above
