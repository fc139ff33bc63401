"""Platt recalibration of probabilities, held close to the identity by a ridge.

The logit of a prediction becomes ``a + b * logit`` (Platt, "Probabilistic Outputs for Support
Vector Machines", 1999). The ridge weighs like 25 rows: two weeks of a small deployment barely move
it.
"""

from __future__ import annotations

import msgspec
import numpy as np

from nenrin.stats.intervals import ONE_SIDED_5, day_mean_interval

RIDGE_ROWS = 25.0
FEWEST_GAIN_DAYS = 8

_EPSILON = float(np.finfo(np.float64).eps)
_STEPS = 100


def logit(p: np.ndarray) -> np.ndarray:
    """``log(p / (1 - p))`` of probabilities, at most 36.04 in size."""
    inside = np.clip(p, _EPSILON, 1.0 - _EPSILON)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def sigmoid(z: np.ndarray) -> np.ndarray:
    """The probability of a logit, without overflow."""
    small = np.exp(-np.abs(z))
    return np.asarray(np.where(z >= 0.0, 1.0, small) / (1.0 + small))


class Platt(msgspec.Struct, frozen=True):
    """A recalibration: ``a`` is added to the logit after it is multiplied by ``b``."""

    a: float = 0.0
    b: float = 1.0

    def apply(self, p: np.ndarray) -> np.ndarray:
        """The recalibrated probabilities of ``p``, same shape."""
        return sigmoid(self.a + self.b * logit(p))


def fit_platt(y: np.ndarray, p: np.ndarray) -> Platt:
    """The recalibration of least ``summed log loss + 12.5 (a^2 + (b - 1)^2)``, by Newton's method.

    Args:
        y: labels 0.0 and 1.0, shape (rows,).
        p: probabilities that were served, shape (rows,).

    Returns:
        the identity where there is no row.
    """
    z = logit(p)
    at, value = np.array([0.0, 1.0]), _objective(np.array([0.0, 1.0]), y, z)
    for _ in range(_STEPS):
        step = _newton_step(at, y, z)
        # Far from the optimum a full step may overshoot: halve it until it helps.
        while (after := _objective(at - step, y, z)) > value and np.abs(step).max() > 1e-12:
            step = step / 2.0
        if after > value:
            break
        at, value = at - step, after
        if np.abs(step).max() <= 1e-10:
            break
    return Platt(a=float(at[0]), b=float(at[1]))


def gains(day_gains: np.ndarray) -> bool:
    """Whether a recalibration has shown that it pays, so that it is applied.

    Args:
        day_gains: day means of (loss as served - loss recalibrated) over the last 28 closed days,
            each recalibrated by what was fitted before that day; NaN for a day without labels.
    """
    mean, se = day_mean_interval(day_gains)
    enough = int(np.count_nonzero(~np.isnan(day_gains))) >= FEWEST_GAIN_DAYS
    return enough and mean > ONE_SIDED_5 * se


def _objective(at: np.ndarray, y: np.ndarray, z: np.ndarray) -> float:
    margin = np.where(y > 0.5, 1.0, -1.0) * (at[0] + at[1] * z)
    ridge = RIDGE_ROWS / 2.0 * (at[0] ** 2 + (at[1] - 1.0) ** 2)
    return float(np.logaddexp(0.0, -margin).sum() + ridge)


def _newton_step(at: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    said = sigmoid(at[0] + at[1] * z)
    error, spread = said - (y > 0.5), said * (1.0 - said)
    gradient = np.array([error.sum(), (error * z).sum()]) + RIDGE_ROWS * (at - [0.0, 1.0])
    cross = (spread * z).sum()
    curvature = np.array([[spread.sum(), cross], [cross, (spread * z * z).sum()]])
    return np.asarray(np.linalg.solve(curvature + RIDGE_ROWS * np.eye(2), gradient))
