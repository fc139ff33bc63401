"""Recalibration: the optimum, the ridge, and when it is applied."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nenrin.stats.metrics import log_loss
from nenrin.stats.platt import Platt, fit_platt, gains, logit, sigmoid


def rows(n: int, a: float, b: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    p = sigmoid(random.normal(scale=1.5, size=n))
    return (random.random(n) < sigmoid(a + b * logit(p))).astype(float), p


def objective(at: np.ndarray, y: np.ndarray, p: np.ndarray) -> float:
    ridge = 12.5 * (at[0] ** 2 + (at[1] - 1) ** 2)
    return len(y) * log_loss(y, Platt(*at).apply(p)) + ridge


def test_it_finds_what_was_bent():
    fitted = fit_platt(*rows(50_000, a=-0.5, b=0.7))
    assert (fitted.a, fitted.b) == pytest.approx((-0.5, 0.7), abs=0.05)


def test_it_is_scipys_optimum():
    optimize = pytest.importorskip("scipy.optimize")
    y, p = rows(400, a=1.0, b=0.5, seed=3)
    best = optimize.minimize(objective, np.array([0.0, 1.0]), args=(y, p), tol=1e-10)
    fitted = fit_platt(y, p)
    assert (fitted.a, fitted.b) == pytest.approx(tuple(best.x), abs=1e-4)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.floats(0.0, 1.0)), min_size=0, max_size=60)
)
def test_no_neighbour_is_better(pairs):
    y, p = np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])
    fitted = fit_platt(y, p)
    if not pairs:
        assert fitted == Platt()
        return
    at = np.array([fitted.a, fitted.b])
    best = objective(at, y, p)
    for step in (np.array([1e-3, 0]), np.array([0, 1e-3])):
        assert best <= objective(at + step, y, p) + 1e-9
        assert best <= objective(at - step, y, p) + 1e-9


def test_few_rows_barely_move_it():
    fitted = fit_platt(np.ones(3), np.full(3, 0.5))
    assert 0.0 < fitted.a < 0.1
    assert fitted.b == 1.0


def test_the_identity_changes_nothing():
    p = np.array([1e-12, 0.3, 1 - 1e-12])
    assert Platt().apply(p) == pytest.approx(p, rel=1e-9)
    assert np.isfinite(Platt(5.0, 3.0).apply(np.array([0.0, 1.0]))).all()


def test_it_is_applied_only_where_it_has_paid():
    paid = np.full(8, 0.01) + np.array([0.001, -0.001] * 4)
    assert gains(paid)
    assert not gains(paid[:7])
    assert not gains(np.append(paid[:7], np.nan))
    assert not gains(-paid)
    assert not gains(np.array([0.1, -0.1] * 4))
