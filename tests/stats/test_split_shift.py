"""Shift on a split: against scipy's beta-binomial, and its mean under the split."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nenrin.stats.split_shift import STRENGTHS, distance, log_evidence_shift


def test_it_is_the_product_of_scipys_beta_binomials() -> None:
    stats = pytest.importorskip("scipy.stats")
    mine, theirs, share = [3, 0, 12], [20, 7, 9], 0.2
    means = [
        math.prod(
            stats.betabinom.pmf(a, a + b, share * s, (1 - share) * s)
            / stats.binom.pmf(a, a + b, share)
            for a, b in zip(mine, theirs, strict=True)
        )
        for s in STRENGTHS
    ]
    assert log_evidence_shift(mine, theirs, share) == pytest.approx(math.log(np.mean(means)))


def test_its_mean_is_one_where_both_answer_alike() -> None:
    share, first, second = 0.4, 9, 6
    mean = 0.0
    for a in range(first + 1):
        for b in range(second + 1):
            chance = math.comb(first, a) * math.comb(second, b)
            chance *= share ** (a + b) * (1 - share) ** (first + second - a - b)
            mean += chance * math.exp(log_evidence_shift([a, b], [first - a, second - b], share))
    assert mean == pytest.approx(1.0)


def test_both_directions_count_and_equal_shares_do_not() -> None:
    assert log_evidence_shift([90, 10], [50, 50], 0.5) > 5
    assert log_evidence_shift([10, 90], [50, 50], 0.5) > 5
    assert log_evidence_shift([20, 20], [80, 80], 0.2) < 0


def test_distance() -> None:
    assert distance([1, 1], [2, 2]) == 0.0
    assert distance([1, 0], [0, 5]) == 1.0
    assert distance([0, 0], [1, 1]) == 0.0
