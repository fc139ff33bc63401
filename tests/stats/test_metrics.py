"""Metrics against scikit-learn, with ties, weights and edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nenrin.stats.metrics import HIGHER_IS_BETTER, METRICS, ROW_LOSS_OF, ROW_LOSSES

sklearn_metrics = pytest.importorskip("sklearn.metrics")

EMPTY = np.empty(0)


def oracle(name: str, y: np.ndarray, p: np.ndarray, weight: np.ndarray | None) -> float:
    said = (p > 0.5).astype(float)
    kwargs = {"sample_weight": weight}
    return {
        "log_loss": lambda: sklearn_metrics.log_loss(y, p, labels=[0.0, 1.0], **kwargs),
        "brier": lambda: sklearn_metrics.brier_score_loss(y, p, **kwargs),
        "roc_auc": lambda: sklearn_metrics.roc_auc_score(y, p, **kwargs),
        "average_precision": lambda: sklearn_metrics.average_precision_score(y, p, **kwargs),
        "accuracy": lambda: sklearn_metrics.accuracy_score(y, said, **kwargs),
        "f1": lambda: sklearn_metrics.f1_score(y, said, zero_division=0.0, **kwargs),
        "rmse": lambda: sklearn_metrics.root_mean_squared_error(y, p, **kwargs),
        "mae": lambda: sklearn_metrics.mean_absolute_error(y, p, **kwargs),
        "r2": lambda: sklearn_metrics.r2_score(y, p, **kwargs),
    }[name]()


@st.composite
def answered_rows(draw):
    n = draw(st.integers(2, 40))
    # Few distinct probabilities, 0 and 1 among them: ties and certain errors are the hard cases.
    grid = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5000001, 0.75, 1.0])
    p = np.array(draw(st.lists(grid, min_size=n, max_size=n)))
    y = np.array(draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=n, max_size=n)))
    y[:2] = [0.0, 1.0]
    weights = st.lists(st.floats(0.1, 5.0), min_size=n, max_size=n)
    return y, p, draw(st.none() | weights.map(np.array))


@pytest.mark.parametrize("name", METRICS)
@settings(max_examples=60, deadline=None)
@given(rows=answered_rows())
def test_metrics_are_scikit_learns(name, rows):
    y, p, weight = rows
    assert METRICS[name](y, p, weight) == pytest.approx(oracle(name, y, p, weight), abs=1e-12)


def test_regression_metrics_on_any_numbers():
    random = np.random.default_rng(0)
    y, p = random.normal(size=500) * 100, random.normal(size=500) * 100
    for name in ("rmse", "mae", "r2"):
        assert METRICS[name](y, p) == pytest.approx(oracle(name, y, p, None))


@pytest.mark.parametrize("name", METRICS)
def test_no_rows_have_no_metric(name):
    assert math.isnan(METRICS[name](EMPTY, EMPTY))
    assert math.isnan(METRICS[name](EMPTY, EMPTY, EMPTY))


def test_what_the_rows_cannot_show_is_nan():
    ones, zeros, p = np.ones(3), np.zeros(3), np.array([0.1, 0.2, 0.3])
    assert math.isnan(METRICS["roc_auc"](ones, p))
    assert math.isnan(METRICS["roc_auc"](zeros, p))
    assert math.isnan(METRICS["average_precision"](zeros, p))
    assert math.isnan(METRICS["r2"](ones, p))
    assert METRICS["f1"](zeros, p) == 0.0


def test_a_certain_error_costs_a_finite_loss():
    assert ROW_LOSSES["log_loss"](np.array([1.0]), np.array([0.0]))[0] == pytest.approx(
        36.04, abs=0.01
    )


@pytest.mark.parametrize(
    ("metric", "loss"), [("log_loss", "log_loss"), ("brier", "squared"), ("mae", "absolute")]
)
def test_a_metric_is_the_mean_of_its_row_loss(metric, loss):
    random = np.random.default_rng(1)
    y, p = (random.random(200) > 0.5).astype(float), random.random(200)
    assert METRICS[metric](y, p) == pytest.approx(ROW_LOSSES[loss](y, p).mean())


def test_every_metric_has_a_row_loss_and_a_direction():
    assert set(ROW_LOSS_OF) == set(METRICS)
    assert set(ROW_LOSS_OF.values()) <= set(ROW_LOSSES)
    assert HIGHER_IS_BETTER.issubset(METRICS)
