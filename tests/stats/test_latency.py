"""Slowness from bins: edges, quantiles, and the mean over every threshold."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nenrin.stats.betting import BOLD, CAUTIOUS, Wealth
from nenrin.stats.latency import (
    BINS,
    EDGES,
    SECONDS,
    bet,
    bin_of,
    log_evidence_slower,
    longer,
    quantile,
)


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


def test_longer_is_a_plain_count_of_pairs() -> None:
    random = np.random.default_rng(2)
    mine, theirs = random.lognormal(-6, 1, 80), random.lognormal(-6.5, 1, 30)
    tops = [*EDGES, 1e9]
    pairs = [
        (a > b) - (a < b)
        for a in (tops[bin_of(each)] for each in mine)
        for b in (tops[bin_of(each)] for each in theirs)
        if abs(a - b) >= SECONDS
    ]
    found = longer(_counts(mine), _counts(theirs))
    assert found == pytest.approx(sum(pairs) / (80 * 30))
    assert longer(_counts(theirs), _counts(mine)) == pytest.approx(-found)
    assert longer(_counts(np.array([0.0009])), _counts(np.array([0.0001]))) == 0.0


def test_bets_are_those_of_the_watch() -> None:
    logs, wealth = [0.0, 0.0], Wealth()
    for more in np.random.default_rng(3).uniform(-1, 1, 50):
        logs, wealth = bet(logs, float(more)), wealth.bet(float(more), 0.0, 1.0)
    assert math.exp(log_evidence_slower(logs)) == pytest.approx(wealth.mean)


def test_sides_of_any_sizes_and_ties_expect_nothing() -> None:
    """The mean over all ways to deal the same answers to both sides is none, exactly."""
    seconds = np.array([0.001, 0.001, 0.001, 0.01, 0.5])
    found = [
        longer(_counts(seconds[[place]]), _counts(np.delete(seconds, place)))
        for place in range(len(seconds))
    ]
    assert sum(found) == pytest.approx(0.0)


def test_the_faster_side_is_never_blamed() -> None:
    random = np.random.default_rng(2)
    mine, theirs = random.lognormal(-5, 1, 500), random.lognormal(-4, 1, 500)
    assert log_evidence_slower(bet([0.0, 0.0], longer(_counts(mine), _counts(theirs)))) < 0


def test_bets_on_spells_that_stall_by_chance_rarely_reach_what_they_need() -> None:
    """2,000 streams of 300 spells; in a tenth a side that is drawn stalls. By Ville one in 60 at most."""
    random = np.random.default_rng(4)
    shape = (2_000, 300)
    stalls = np.where(random.random(shape) < 0.1, random.choice([-0.9, 0.9], shape), 0.0)
    more = np.clip(stalls + random.uniform(-0.3, 0.3, shape), -1, 1)
    staked = np.log1p(np.array([CAUTIOUS, BOLD]) * more[:, :, None])
    wealth = np.cumsum(staked, axis=1)
    reached = np.exp(wealth).mean(axis=2).max(axis=1) >= 60
    assert 0 < np.count_nonzero(reached) <= 2_000 / 60
    assert bet([0.0, 0.0], float(more[0, 0])) == pytest.approx(wealth[0, 0].tolist())
