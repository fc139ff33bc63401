"""Shares of a mixture that follow the best member, and its successor when the world moves.

Herbster and Warmuth, "Tracking the Best Expert", 1998: every closed day multiplies a member's share
by ``exp(-rate * loss)``; then a little of everything is shared out again, so that no member is ever
lost. A member that sleeps for a day, because it served nothing then, keeps its part of the whole (Freund,
Schapire, Singer and Warmuth, "Using and combining predictors that specialize", 1997).

With ``rate`` 1 on log losses and nothing shared, the mixture of K members loses at most ``ln(K)`` in all more
than the best of them in hindsight, whatever the days bring; rate 10 and sharing trade that bound for speed.
"""

from __future__ import annotations

import numpy as np

RATE = 10.0
SHARED = 0.02


def equal_shares(members: int) -> np.ndarray:
    """The shares that a mixture starts with, shape (members,)."""
    return np.full(members, 1.0 / members)


def fixed_share(
    shares: np.ndarray, losses: np.ndarray, *, rate: float = RATE, shared: float = SHARED
) -> np.ndarray:
    """The shares after a closed day.

    Args:
        shares: before it, non-negative with sum 1, shape (members,).
        losses: day mean loss of what each member served, shape (members,); NaN of a member that
            served nothing. Where all are NaN nothing changes.
        rate: 10 a nat; the inverse of the watch's clip where losses have another unit.
        shared: part of the whole that is shared out equally.

    >>> fixed_share(equal_shares(2), np.array([0.5, 0.5])).tolist()
    [0.5, 0.5]
    """
    awake = ~np.isnan(losses)
    if not awake.any():
        return shares
    moved = shares.copy()
    moved[awake] *= np.exp(-rate * (losses[awake] - losses[awake].min()))
    moved[awake] *= shares[awake].sum() / moved[awake].sum()
    return np.asarray((1.0 - shared) * moved + shared / len(shares))
