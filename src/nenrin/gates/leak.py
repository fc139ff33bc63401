"""Leaks: a single column that all but answers the question was hardly known when it was asked."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl

from nenrin.stats.metrics import roc_auc

LEAKS = 0.99
FEWEST_ROWS = 50

_FOLDS = 2


def single_column_auc(x: pl.Series, y: np.ndarray) -> float:
    """The AUC that a column reaches alone, in the better of both directions; at least one half.

    Numbers, Booleans and times rank as they are, with nulls below and then above all. Texts rank by
    their labels' mean in the other half of the rows, so that an id, new in every row, reaches one
    half.

    Args:
        x: the column, (rows,).
        y: its labels, float64 of shape (rows,), NaN where there is none; with more than two values
            they are cut at their median.

    Returns:
        NaN where the labels are too few (fewer than fifty) or of one class.
    """
    labelled = ~np.isnan(y)
    if np.count_nonzero(labelled) < FEWEST_ROWS:
        return float("nan")
    values, answers = x.filter(pl.Series(labelled)), _two_valued(y[labelled])
    if values.dtype.is_nested() or values.dtype == pl.Null:
        return 0.5
    if isinstance(values.dtype, pl.String | pl.Categorical | pl.Enum):
        return _reached(answers, _label_means(values, answers))
    if values.dtype.is_float():
        values = values.fill_nan(None)
    ranks = values.rank("dense").cast(pl.Float64)
    return max(
        _reached(answers, ranks.fill_null(beyond).to_numpy()) for beyond in (0.0, len(ranks) + 1.0)
    )


def leaking(columns: Iterable[pl.Series], y: np.ndarray) -> dict[str, float]:
    """AUC by name of the columns that alone reach .99, highest first."""
    reached = {column.name: single_column_auc(column, y) for column in columns}
    found = [(name, auc) for name, auc in reached.items() if auc >= LEAKS]
    return dict(sorted(found, key=lambda item: (-item[1], item[0])))


def _reached(y: np.ndarray, score: np.ndarray) -> float:
    auc = roc_auc(y, score)
    return max(auc, 1.0 - auc)


def _two_valued(y: np.ndarray) -> np.ndarray:
    if np.isin(y, (0.0, 1.0)).all():
        return y
    return np.where(y > np.median(y), 1.0, 0.0)


def _label_means(values: pl.Series, y: np.ndarray) -> np.ndarray:
    """Each row's score: the mean label of its value among the other half of the rows."""
    codes: np.ndarray = values.rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
    size = int(codes.max()) + 1
    fold = np.arange(len(y)) % _FOLDS
    score = np.empty(len(y))
    for part in range(_FOLDS):
        others = fold != part
        rows = np.bincount(codes[others], minlength=size)
        positive = np.bincount(codes[others], weights=y[others], minlength=size)
        overall = float(y[others].mean())
        # One row's worth of the overall mean: a value seen once says less than one seen often.
        means = (positive + overall) / (rows + 1.0)
        score[~others] = means[codes[~others]]
    return score
