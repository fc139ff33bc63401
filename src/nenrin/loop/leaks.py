"""Columns that alone all but answer the question: were they known when it was asked?"""

from __future__ import annotations

import numpy as np
import polars as pl

from nenrin.gates.leak import single_column_auc
from nenrin.training.columns import FeatureColumn
from nenrin.training.table import RowTable

ENOUGH = 20_000


def column_aucs(table: RowTable, y: np.ndarray) -> dict[str, float]:
    """The AUC that each feature reaches alone, highest first, on at most the newest 20,000 labelled rows.

    Args:
        table: the row table.
        y: labels of its first ``len(y)`` rows, float64, NaN without one.
    """
    rows = np.flatnonzero(np.isfinite(y))[-ENOUGH:]
    found = {c.name: single_column_auc(_series(c, rows), y[rows]) for c in table.columns}
    return dict(sorted(found.items(), key=lambda item: (-np.nan_to_num(item[1]), item[0])))


def _series(column: FeatureColumn, rows: np.ndarray) -> pl.Series:
    taken = column.take(rows)
    if taken.kind != "string":
        return pl.Series(taken.name, taken.numbers()).fill_nan(None)
    texts = np.array([*taken.vocabulary, None], dtype=object)
    return pl.Series(taken.name, texts[taken.values].tolist(), dtype=pl.String)
