"""Always-valid evidence that one side is slower, from short spells; and quantiles of counts in fixed bins.

A stall makes everything slow that waits for it, so requests are no units: a spell of time is one. In each,
every answer of one side is paired with every answer of the other (Cliff, "Dominance statistics", 1993):
how much more often did the challenger take longer by what matters? If in no spell that is to be expected
given the past, bets on it are a supermartingale that starts at 1 (Waudby-Smith and Ramdas, "Estimating
means of bounded random variables by betting", 2024), and by Ville's inequality evidence that holds however
often one looks. A stall that strikes one side is one observation; one that strikes both is none.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

from nenrin.stats.betting import BOLD, CAUTIOUS
from nenrin.stats.share import log_mean

EDGES = tuple(float(10.0 ** (step / 8 - 4)) for step in range(49))
"""Seconds: from a tenth of a millisecond to a hundred seconds, eight a decade."""

BINS = len(EDGES) + 1
SECONDS = 0.001
"""A difference that nobody notices."""

_STEP = 10.0 ** (1 / 8)
_TOPS = np.array([*EDGES, EDGES[-1] * _STEP])
_APART = _TOPS[:, None] - _TOPS[None, :]
_SIGNS = np.where(np.abs(_APART) >= SECONDS, np.sign(_APART), 0.0)


def bin_of(seconds: float) -> int:
    """The bin of a duration: the number of edges below it."""
    return bisect_left(EDGES, seconds)


def longer(mine: Sequence[int], theirs: Sequence[int]) -> float:
    """How much more often one side took longer than the other, over all pairs of their answers, -1 to 1.

    A pair counts whose bins are a millisecond apart.

    Args:
        mine: answers by :func:`bin_of`, of the side that is judged; at least one.
        theirs: of the other side; at least one.
    """
    pairs = np.asarray(mine, dtype=np.float64) @ _SIGNS @ np.asarray(theirs, dtype=np.float64)
    return float(pairs / (sum(mine) * sum(theirs)))


def bet(logs: Sequence[float], more: float) -> list[float]:
    """Natural logarithms of what both bets hold after a spell.

    Args:
        logs: of what they held before; zeros at the start.
        more: :func:`longer` of the spell.
    """
    staked = np.log1p(np.array([CAUTIOUS, BOLD]) * more)
    after: list[float] = (np.asarray(logs) + staked).tolist()
    return after


def log_evidence_slower(logs: Sequence[float]) -> float:
    """Natural logarithm of the evidence that one side's answers take longer: of the mean of both bets."""
    return log_mean(np.asarray(logs))


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
