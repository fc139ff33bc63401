"""Shares of a mixture: sums, the regret bound, and following a change."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.stats.fixed_share import equal_shares, fixed_share


@given(st.lists(st.floats(0.0, 50.0), min_size=1, max_size=6), st.integers(1, 30))
def test_shares_stay_shares(losses, days):
    shares = equal_shares(len(losses))
    for _ in range(days):
        shares = fixed_share(shares, np.array(losses))
    assert shares.sum() == pytest.approx(1.0)
    assert shares.min() >= 0.02 / len(losses) - 1e-12


def test_a_day_by_hand():
    shares = fixed_share(np.array([0.5, 0.5]), np.array([0.4, 0.5]))
    moved = np.array([1.0, math.exp(-1.0)])
    assert shares == pytest.approx(0.98 * moved / moved.sum() + 0.01)


def test_a_day_without_labels_changes_nothing():
    shares = np.array([0.2, 0.8])
    assert fixed_share(shares, np.array([np.nan, np.nan])) is shares


def test_a_member_that_sleeps_keeps_its_part():
    shares = np.array([0.5, 0.3, 0.2])
    after = fixed_share(shares, np.array([0.4, np.nan, 0.5]), shared=0.0)
    moved = np.array([0.5, 0.2 * math.exp(-1.0)])
    assert after[1] == pytest.approx(0.3)
    assert after[[0, 2]] == pytest.approx(0.7 * moved / moved.sum())


def test_rows_of_a_day_keep_the_bound_of_its_means():
    """Shares follow day means, rows are answered by the blend: by Hoelder's inequality the bound holds."""
    random = np.random.default_rng(3)
    p = random.uniform(0.02, 0.98, (90, 50, 3))
    y = random.random((90, 50)) < p[..., 1]
    losses = -np.log(np.where(y[..., None], p, 1 - p))
    shares, mixed = equal_shares(3), 0.0
    for day in range(90):
        blend = p[day] @ shares
        mixed += float(np.mean(-np.log(np.where(y[day], blend, 1 - blend))))
        shares = fixed_share(shares, losses[day].mean(axis=0), rate=1.0, shared=0.0)
    assert mixed <= losses.mean(axis=1).sum(axis=0).min() + math.log(3) + 1e-9


def test_without_sharing_the_mixture_keeps_its_bound():
    """Rate 1, nothing shared out: at most ln(K) worse in sum than the best member, on any losses."""
    random = np.random.default_rng(0)
    p = random.random((275, 4))
    y = (random.random(275) < p[:, 2]).astype(float)[:, None]
    losses = -np.log(np.where(y > 0.5, p, 1 - p))
    shares, mixed = equal_shares(4), 0.0
    for day in range(275):
        mixed -= math.log(float((shares * np.exp(-losses[day])).sum()))
        shares = fixed_share(shares, losses[day], rate=1.0, shared=0.0)
    assert mixed <= losses.sum(axis=0).min() + math.log(4) + 1e-9


def test_it_follows_a_change_within_weeks():
    shares = equal_shares(3)
    for _ in range(200):
        shares = fixed_share(shares, np.array([0.40, 0.45, 0.45]))
    for _ in range(28):
        shares = fixed_share(shares, np.array([0.45, 0.45, 0.40]))
    assert shares.argmax() == 2
