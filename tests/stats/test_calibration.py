"""Reliability and bias."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nenrin.stats.calibration import bias, expected_calibration_error, reliability


def test_bins_hold_every_row_once():
    p = np.array([0.0, 0.05, 0.5, 0.95, 1.0])
    curve = reliability(np.array([0.0, 1.0, 1.0, 1.0, 1.0]), p)
    assert curve.n.tolist() == [2, 1, 2]
    assert curve.p.tolist() == pytest.approx([0.025, 0.5, 0.975])
    assert curve.y.tolist() == [0.5, 1.0, 1.0]


def test_error_is_the_mean_distance_over_rows():
    y, p = np.array([1.0, 0.0, 0.0, 0.0]), np.array([0.8, 0.8, 0.1, 0.1])
    assert expected_calibration_error(reliability(y, p)) == pytest.approx(0.5 * 0.3 + 0.5 * 0.1)


def test_the_curve_is_scikit_learns():
    calibration = pytest.importorskip("sklearn.calibration")
    random = np.random.default_rng(0)
    p = random.random(2_000)
    y = (random.random(2_000) < p).astype(float)
    happened, said = calibration.calibration_curve(y, p, n_bins=10)
    curve = reliability(y, p)
    assert curve.y == pytest.approx(happened)
    assert curve.p == pytest.approx(said)


def test_bias_and_no_rows():
    assert bias(np.array([1.0, 0.0]), np.array([0.2, 0.2])) == pytest.approx(0.3)
    assert math.isnan(bias(np.empty(0), np.empty(0)))
    assert math.isnan(expected_calibration_error(reliability(np.empty(0), np.empty(0))))
