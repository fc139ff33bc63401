"""Thompson sampling in days: each arm's weight is the chance that it is the best one.

Thompson, "On the likelihood that one unknown probability exceeds another" (1933); in batches, with delayed
rewards, Chapelle and Li, "An Empirical Evaluation of Thompson Sampling" (2011). The posterior is a Beta for
rewards of 0 and 1, else a normal. Days on which every arm has rewards count alike: with weights that change,
plain totals would call the arm good that had its weight on good days (Simpson's paradox). The means of days
are what an arm's mean is made of, and the rows that it is worth follow from their variance.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FLOOR = 5
"""Percent that no arm falls below: all go on learning, and no arm is lost to a late label."""


def weights(
    reward: np.ndarray,
    arm: np.ndarray,
    day: np.ndarray,
    arms: int,
    *,
    seed: int,
    floor: int = FLOOR,
    draws: int = 10_000,
) -> tuple[int, ...] | None:
    """Percentages of the arms, 100 in all; None while there is no day on which all have rewards.

    Args:
        reward: finite rewards, the more the better, float64 (n,).
        arm: 0 to ``arms`` - 1, integer (n,).
        day: number of the day, integer (n,).
        arms: how many there are.
        seed: of the draws; the same rewards and seed give the same weights.
        floor: least percentage of an arm.
        draws: of the posterior.
    """
    days, day = np.unique(day, return_inverse=True)
    cells, many = arm * len(days) + day, arms * len(days)
    counts = np.bincount(cells, minlength=many).reshape(arms, -1)
    whole = (counts > 0).all(axis=0)
    if not whole.any():
        return None
    sums = np.bincount(cells, reward, minlength=many).reshape(arms, -1)
    squares = np.bincount(cells, reward**2, minlength=many).reshape(arms, -1)
    counts, sums, squares = counts[:, whole], sums[:, whole], squares[:, whole]
    means = (sums / counts).mean(axis=1)
    worth = counts.shape[1] ** 2 / (1.0 / counts).sum(axis=1)  # rows with the same variance
    random = np.random.default_rng(seed)
    if np.isin(reward, (0.0, 1.0)).all():
        hits = worth * means
        drawn = random.beta(1 + hits, 1 + worth - hits, size=(draws, arms))
    else:
        spare = max(1, int(counts.sum()) - counts.size)
        within = float((squares - sums**2 / counts).sum()) / spare
        drawn = random.normal(means, np.sqrt(max(within, 0.0) / worth), size=(draws, arms))
    best = np.bincount(drawn.argmax(axis=1), minlength=arms) / draws
    return _whole(best, floor)


def _whole(best: np.ndarray, floor: int) -> tuple[int, ...]:
    """Whole percentages, none below the floor; what is left over goes to the largest remainders."""
    exact = floor + (100 - floor * len(best)) * best
    down = np.floor(exact).astype(int)
    late = np.argsort(-(exact - down), kind="stable")[: 100 - int(down.sum())]
    down[late] += 1
    shares: Sequence[int] = down.tolist()
    return tuple(shares)
