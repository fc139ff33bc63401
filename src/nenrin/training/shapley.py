"""Shapley values of a model's answer by asking it, whatever it is made of.

What a feature adds depends on which others are set already: its Shapley value is the mean over all orders in
which they may be set. Here orders are sampled, each with its reverse, each from a row that the model was
trained on to the row that is explained (Strumbelj and Kononenko, "Explaining prediction models and individual
predictions with feature contributions", 2014; Mitchell et al., "Sampling permutations for Shapley value
estimation", 2022). Every order adds up exactly, and so does their mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nenrin.core.errors import RequestError
from nenrin.training.artefact import Artefact
from nenrin.training.columns import FeatureColumn, take

BACKGROUND = 100
"""Rows of the training, at most, that features are drawn from."""
BUDGET = 20_000
"""Rows, about, that a model is asked for one explained row."""

_CELLS = 4_000_000  # of one table that a model is asked: 32 MB of numbers

Columns = Sequence[FeatureColumn]


def shapley(
    artefact: Artefact, rows: Columns, background: Columns
) -> tuple[np.ndarray, np.ndarray]:
    """The base of each row, and what each feature adds, as a :data:`BUDGET` of answers tells.

    Args:
        artefact: the model.
        rows: the n rows to explain, encoded as the model knows its columns.
        background: rows that it was trained on, likewise; of these :data:`BACKGROUND` at most are used,
            evenly spaced.

    Returns:
        float64 (n,), the mean answer to the background; float64 (n, features). The same question has the
        same answer.

    Raises:
        RequestError: it has so many features that no order of them fits the budget.
        StepError: the model raised.
    """
    features, n = len(rows), len(rows[0].values)
    fits = BUDGET // (2 * (features + 1))
    if not fits:
        raise RequestError(
            f"{artefact.header.model} has {features:,} features, and {BUDGET:,} questions are too few "
            "to tell them apart",
            hint="LightGBM's models tell it of any number",
        )
    background = _spaced(background, min(BACKGROUND, fits))
    base = float(artefact.predict_columns(background).mean())
    parts = [_one(artefact, take(rows, slice(at, at + 1)), background) for at in range(n)]
    return np.full(n, base), np.array(parts)


def _spaced(columns: Columns, most: int) -> tuple[FeatureColumn, ...]:
    """At most so many of the rows, evenly spaced from the first to the last."""
    n = len(columns[0].values)
    return take(columns, np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))


def _one(artefact: Artefact, row: Columns, background: Columns) -> np.ndarray:
    """float64 (features,): the mean, over orders and background, of what a feature adds as it is set.

    An order starts at a row of the background and sets one feature after the other to the row's value.
    """
    pooled = [_joined(*pair) for pair in zip(background, row, strict=True)]
    starts, features = len(background[0].values), len(row)
    rounds = BUDGET // (2 * (features + 1) * starts)
    random = np.random.default_rng(0)  # the same question has the same answer
    ranks = random.permuted(np.tile(np.arange(features), (rounds * starts, 1)), axis=1)
    ranks = np.concatenate([ranks, features - 1 - ranks])
    start = np.tile(np.arange(starts), 2 * rounds)
    at_once = max(1, _CELLS // (features * (features + 1)))
    added = np.zeros(features)
    for first in range(0, len(ranks), at_once):
        part = slice(first, first + at_once)
        added += _walked(artefact, pooled, ranks[part], start[part])
    return added / len(ranks)


def _walked(
    artefact: Artefact, pooled: Columns, ranks: np.ndarray, start: np.ndarray
) -> np.ndarray:
    """float64 (features,): what each adds as it is set, summed over orders.

    Args:
        artefact: the model.
        pooled: the background, and the row behind it.
        ranks: int (orders, features): when each feature is set, 0 first.
        start: int (orders,): the place in the background at which each order starts.
    """
    orders, features = ranks.shape
    steps = np.arange(features + 1)
    row = len(pooled[0].values) - 1
    places = [
        np.where(ranks[:, [feature]] < steps, row, start[:, None]).ravel()
        for feature in range(features)
    ]
    asked = [column.take(place) for column, place in zip(pooled, places, strict=True)]
    answers = artefact.predict_columns(asked).reshape(orders, features + 1)
    gains = np.diff(answers, axis=1)
    return np.asarray(np.take_along_axis(gains, ranks, axis=1).sum(axis=0))


def _joined(above: FeatureColumn, below: FeatureColumn) -> FeatureColumn:
    """The rows of two columns of one feature, one after the other."""
    vocabulary = above.vocabulary
    if above.vocabulary != below.vocabulary:  # a model fitted elsewhere takes any text
        vocabulary = tuple(sorted({*above.vocabulary, *below.vocabulary}))
    above, below = above.recoded(vocabulary), below.recoded(vocabulary)
    masks = [
        np.zeros(len(each.values), dtype=bool) if each.mask is None else each.mask
        for each in (above, below)
    ]
    mask = np.concatenate(masks)
    values = np.concatenate([above.values, below.values])
    return replace(above, values=values, mask=mask if mask.any() else None)
