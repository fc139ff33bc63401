"""Tails against scipy."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nenrin.stats.quantiles import beta_binomial_tail, normal_tail, t_tail

stats = pytest.importorskip("scipy.stats")


@given(st.floats(-6, 6))
def test_normal_tail(z):
    assert normal_tail(z) == pytest.approx(stats.norm.sf(z), rel=1e-9)


@settings(deadline=None)
@given(st.floats(-4, 4), st.integers(6, 200))
def test_t_tail_is_close(t, df):
    assert t_tail(t, df) == pytest.approx(stats.t.sf(t, df), rel=0.03)


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.5, 50), st.floats(0.5, 500))
def test_beta_binomial_tail(k, more, a, b):
    chance = beta_binomial_tail(k, k + more, a, b)
    assert chance == pytest.approx(stats.betabinom.sf(k - 1, k + more, a, b), rel=1e-6, abs=1e-9)


def test_a_day_of_a_million_rows_is_quick_and_a_chance():
    assert 0.0 <= beta_binomial_tail(500_000, 1_000_000, 100.5, 27_999_900.5) < 1e-9
    assert beta_binomial_tail(0, 1_000_000, 0.5, 0.5) == 1.0
