"""Row losses and metrics of binary classification and regression.

``y`` are labels (0.0 and 1.0, or numbers), ``p`` predictions of the same length (probability of the
positive class, or numbers), ``weight`` non-negative row weights or None for equal ones; all float64
of shape (n,), without NaN in ``y``. Metrics of no rows, or that the rows cannot show (an AUC of one
class), are NaN. The definitions are scikit-learn's; the work is one sort of the rows at most.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

import numpy as np

RowLoss = Callable[[np.ndarray, np.ndarray], np.ndarray]

_EPSILON = float(np.finfo(np.float64).eps)


class Metric(Protocol):
    """A number that says how well ``p`` foretold ``y``."""

    def __call__(self, y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float: ...  # noqa: D102


def row_log_loss(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """``-log`` of the probability given to what happened, in nat; shape (n,), at most 36.04."""
    happened = np.where(y > 0.5, p, 1.0 - p)
    return np.asarray(-np.log(np.clip(happened, _EPSILON, 1.0 - _EPSILON)))


def row_squared(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Squared error of each row, shape (n,)."""
    return np.asarray(np.square(y - p))


def row_absolute(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Absolute error of each row, shape (n,)."""
    return np.asarray(np.abs(y - p))


ROW_LOSSES: Mapping[str, RowLoss] = MappingProxyType(
    {"log_loss": row_log_loss, "squared": row_squared, "absolute": row_absolute}
)


def _mean(values: np.ndarray, weight: np.ndarray | None) -> float:
    total = float(len(values)) if weight is None else float(weight.sum())
    if total <= 0.0:
        return float("nan")
    return float((values if weight is None else values * weight).sum()) / total


def log_loss(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Mean log loss in nat.

    >>> round(log_loss(np.array([1.0, 0.0]), np.array([0.8, 0.2])), 4)
    0.2231
    """
    return _mean(row_log_loss(y, p), weight)


def brier(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Mean squared error of probabilities (Brier 1950)."""
    return _mean(row_squared(y, p), weight)


def _cumulated(
    y: np.ndarray, p: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Mass of positives and of negatives at or above each distinct ``p``, highest first."""
    order = np.argsort(-p, kind="stable")
    ranked, positive = p[order], y[order] > 0.5
    last_of_tie = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    mass = np.ones(len(y)) if weight is None else weight[order]
    return (
        np.cumsum(np.where(positive, mass, 0.0))[last_of_tie],
        np.cumsum(np.where(positive, 0.0, mass))[last_of_tie],
    )


def roc_auc(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Chance that a positive ranks above a negative, ties counting half (Hanley, McNeil 1982).

    >>> roc_auc(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.4, 0.4, 0.8]))
    0.875
    """
    if len(y) == 0:
        return float("nan")
    hits, misses = _cumulated(y, p, weight)
    if hits[-1] <= 0.0 or misses[-1] <= 0.0:
        return float("nan")
    hits, misses = np.append(0.0, hits), np.append(0.0, misses)
    area = float((np.diff(misses) * (hits[1:] + hits[:-1])).sum()) / 2.0
    return area / float(hits[-1] * misses[-1])


def average_precision(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Mean precision over the steps of recall, not interpolated."""
    if len(y) == 0:
        return float("nan")
    hits, misses = _cumulated(y, p, weight)
    if hits[-1] <= 0.0:
        return float("nan")
    seen = hits + misses
    precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0.0)
    return float((np.diff(hits, prepend=0.0) * precision).sum()) / float(hits[-1])


def accuracy(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Share of rows on the right side of one half; a probability of exactly one half says no."""
    return _mean(((y > 0.5) == (p > 0.5)).astype(np.float64), weight)


def f1(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Harmonic mean of precision and recall at one half; 0 where nothing is positive in either."""
    if len(y) == 0:
        return float("nan")
    mass = np.ones(len(y)) if weight is None else weight
    happened, said = y > 0.5, p > 0.5
    both = float(mass[happened].sum() + mass[said].sum())
    return 2.0 * float(mass[happened & said].sum()) / both if both > 0.0 else 0.0


def rmse(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Root of the mean squared error, in the label's unit."""
    return float(np.sqrt(_mean(row_squared(y, p), weight)))


def mae(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Mean absolute error, in the label's unit."""
    return _mean(row_absolute(y, p), weight)


def r2(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Share of the label's variance that is explained; NaN where the label does not vary."""
    spread = _mean(np.square(y - _mean(y, weight)), weight)
    return 1.0 - _mean(row_squared(y, p), weight) / spread if spread > 0.0 else float("nan")


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "log_loss": log_loss,
        "brier": brier,
        "roc_auc": roc_auc,
        "average_precision": average_precision,
        "accuracy": accuracy,
        "f1": f1,
        "rmse": rmse,
        "mae": mae,
        "r2": r2,
    }
)

HIGHER_IS_BETTER = frozenset({"roc_auc", "average_precision", "accuracy", "f1", "r2"})

# The row loss that the loop acts on: the declared metric's own, else its task's proper one.
ROW_LOSS_OF: Mapping[str, str] = MappingProxyType(
    {
        "log_loss": "log_loss",
        "brier": "squared",
        "roc_auc": "log_loss",
        "average_precision": "log_loss",
        "accuracy": "log_loss",
        "f1": "log_loss",
        "rmse": "squared",
        "mae": "absolute",
        "r2": "squared",
    }
)
