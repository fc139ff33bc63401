"""Leaks: columns that answer the question by themselves."""

from __future__ import annotations

import math
from datetime import datetime

import numpy as np
import polars as pl
import pytest

from nenrin.gates.leak import leaking, single_column_auc

RANDOM = np.random.default_rng(0)
Y = (RANDOM.random(2_000) < 0.2).astype(float)
NOISE = RANDOM.normal(size=2_000)


def test_an_honest_number_reaches_what_its_auc_is():
    from sklearn.metrics import roc_auc_score

    x = NOISE + Y
    assert single_column_auc(pl.Series(x), Y) == pytest.approx(roc_auc_score(Y, x))
    assert single_column_auc(pl.Series(-x), Y) == pytest.approx(roc_auc_score(Y, x))


@pytest.mark.parametrize(
    "x",
    [
        pl.Series(np.where(Y > 0, 9.0, np.nan)),
        pl.Series(["refund" if y else None for y in Y]),
        pl.Series([datetime(2024, 1, 1) if y else None for y in Y]),
        pl.Series(Y > 0),
        pl.Series(["yes" if y else "no" for y in Y], dtype=pl.Categorical),
        pl.Series((Y * 5).astype(int)),
    ],
)
def test_leaks_of_every_type_are_found(x):
    assert single_column_auc(x, Y) >= 0.99


@pytest.mark.parametrize(
    "x",
    [
        pl.Series([f"customer {at}" for at in range(2_000)]),
        pl.Series(RANDOM.choice(["a", "b", "c"], size=2_000).tolist()),
        pl.Series([None] * 2_000),
        pl.Series([[1]] * 2_000),
        pl.Series(np.full(2_000, 3.0)),
    ],
)
def test_ids_and_noise_and_nothing_are_no_leaks(x):
    assert single_column_auc(x, Y) < 0.6


def test_a_regression_target_is_cut_at_its_median():
    target = NOISE * 100
    assert single_column_auc(pl.Series(target * 2 + 1), target) == 1.0
    assert single_column_auc(pl.Series(RANDOM.normal(size=2_000)), target) < 0.6


def test_rows_without_labels_say_nothing():
    y = np.where(np.arange(2_000) < 100, Y, np.nan)
    x = np.where(np.arange(2_000) < 100, Y, 1 - Y)
    assert single_column_auc(pl.Series(x), y) == 1.0
    assert math.isnan(single_column_auc(pl.Series(x[:49]), Y[:49]))


def test_leaking_columns_are_named_highest_first():
    columns = [pl.Series("noise", NOISE), pl.Series("copy", Y), pl.Series("near", Y + NOISE / 9)]
    assert list(leaking(columns, Y)) == ["copy", "near"]
