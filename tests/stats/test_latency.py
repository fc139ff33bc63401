"""Slowness from bins: edges, quantiles, and the mean over every threshold."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nenrin.stats.latency import BINS, EDGES, bin_of, log_evidence_slower, quantile
from nenrin.stats.share import log_evidence


def _counts(seconds: np.ndarray) -> list[int]:
    counts = [0] * BINS
    for each in seconds:
        counts[bin_of(float(each))] += 1
    return counts


def test_bins_hold_what_lies_up_to_their_edge() -> None:
    assert bin_of(0.0) == 0
    assert bin_of(EDGES[0]) == 0
    assert bin_of(np.nextafter(EDGES[0], 1)) == 1
    assert bin_of(1e9) == BINS - 1


def test_quantiles_are_nearly_those_of_the_sample() -> None:
    drawn = np.random.default_rng(1).lognormal(-5, 1, 5_000)
    for at in (0.5, 0.95, 0.99):
        exact = np.quantile(drawn, at)
        assert quantile(_counts(drawn), at) == pytest.approx(exact, rel=0.05)
    assert math.isnan(quantile([0] * BINS, 0.5))
    assert quantile(_counts(np.array([500.0])), 0.5) == EDGES[-1]


def test_it_is_the_mean_over_all_thresholds() -> None:
    random = np.random.default_rng(2)
    mine, theirs = random.lognormal(-4, 1, 80), random.lognormal(-5, 1, 300)
    each = [
        math.exp(log_evidence(int((mine > edge).sum()), int((theirs > edge).sum()), 0.2))
        for edge in EDGES
    ]
    found = log_evidence_slower(_counts(mine), _counts(theirs), 0.2)
    assert found == pytest.approx(math.log(np.mean(each)))


def test_the_faster_side_is_never_blamed() -> None:
    random = np.random.default_rng(2)
    mine, theirs = random.lognormal(-6, 1, 500), random.lognormal(-5, 1, 500)
    assert log_evidence_slower(_counts(mine), _counts(theirs), 0.5) < 0
