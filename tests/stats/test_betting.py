"""The watch's bets: arithmetic, the supermartingale, and an independent implementation as oracle."""

from __future__ import annotations

import numpy as np
import pytest
import ville
from hypothesis import given
from hypothesis import strategies as st

from nenrin.stats.betting import Wealth, clip_of, margin

BLOCKS = 112  # of a watch of 14 days
FIXED = 1e-300  # so small an alpha that ville's bet is always at its bound, c / m


def test_a_bet_by_hand():
    wealth = Wealth().bet(0.05, m=0.02, c=0.1)
    assert wealth.low == pytest.approx(1 + 0.3 * 0.03 / 0.12)
    assert wealth.high == pytest.approx(1 + 0.9 * 0.03 / 0.12)
    assert wealth.mean == pytest.approx((wealth.low + wealth.high) / 2)
    assert not wealth.alarms


def test_a_block_counts_no_more_than_its_clip():
    assert Wealth().bet(9.0, m=0.02, c=0.1) == Wealth().bet(0.1, m=0.02, c=0.1)
    assert Wealth().bet(-9.0, m=0.02, c=0.1) == Wealth().bet(-0.1, m=0.02, c=0.1)


@pytest.mark.parametrize(("m", "fewest"), [(0.005, 7), (0.02, 8), (0.05, 14)])
def test_fewest_blocks_of_an_alarm(m, fewest):
    wealth, blocks = Wealth(), 0
    while not wealth.alarms:
        wealth, blocks = wealth.bet(1.0, m=m, c=0.1), blocks + 1
    assert blocks == fewest


@given(
    m=st.floats(0.0, 0.05),
    c=st.floats(0.05, 2.0),
    share=st.floats(0.0, 1.0),
    low=st.floats(0.1, 10.0),
    high=st.floats(0.1, 10.0),
)
def test_wealth_does_not_grow_on_average_when_harm_is_tolerable(m, c, share, low, high):
    """Two-point blocks whose mean is at most ``m``: the expected wealth after one is at most that before."""
    best, worst = -c, m + share * (c - m)
    chance = min(1.0, (m - best) / (worst - best)) if worst > best else 1.0
    wealth = Wealth(low, high)
    after = chance * wealth.bet(worst, m, c).mean + (1 - chance) * wealth.bet(best, m, c).mean
    assert after <= wealth.mean * (1 + 1e-9)
    assert min(wealth.bet(best, m, c).low, wealth.bet(best, m, c).high) > 0.0


def test_margin_follows_how_much_predecessors_differ():
    days = np.array([0.03, -0.03] * 14)
    assert margin(days, 0.1) == pytest.approx(days.std(ddof=1))
    assert margin(days / 100, 0.1) == pytest.approx(0.005)
    assert margin(days * 100, 0.1) == pytest.approx(0.05)
    assert margin(days[:13], 0.1) == pytest.approx(0.02)
    assert margin(np.append(days[:13], np.nan), 0.1) == pytest.approx(0.02)
    assert margin(days[:13], 2.0) == pytest.approx(0.4)


def test_clip_is_a_tenth_of_a_nat_or_a_fifth_of_the_loss():
    days = np.array([4.0, np.nan, 6.0])
    assert clip_of("log_loss", days) == 0.1
    assert clip_of("squared", days) == 1.0
    assert clip_of("squared", np.array([np.nan])) == 0.1


def path(blocks: np.ndarray, m: float, c: float) -> list[Wealth]:
    """The wealth after each block."""
    wealth, steps = Wealth(), []
    for x in blocks.tolist():
        wealth = wealth.bet(x, m, c)
        steps.append(wealth)
    return steps


def oracle(blocks: np.ndarray, m: float, c: float, bet: float) -> np.ndarray:
    """Wealth by ville's one-sided betting test on the clipped blocks, its bet fixed at its upper bound.

    There the null is "the mean is at most m" on [-c, c], and the bound of the bet is ``bet`` of the greatest
    that cannot go bankrupt, which is what .3 and .9 mean here.
    """
    test = ville.BettingTest(m, bounds=(-c, c), alternative="greater", alpha=FIXED, c=bet)
    values: np.ndarray = test.fit(np.clip(blocks, -c, c)).e_values_
    return values


@pytest.mark.parametrize(
    ("m", "c"), [(0.0, 0.1), (0.005, 0.1), (0.02, 0.1), (0.05, 0.1), (0.4, 2.0)]
)
@pytest.mark.parametrize("harm", [-0.5, 0.0, 0.3, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_wealth_is_that_of_another_implementation(m, c, harm, seed):
    blocks = c * np.random.default_rng([7, seed]).normal(harm, 0.4, BLOCKS)
    ours = path(blocks, m, c)
    low, high = oracle(blocks, m, c, 0.3), oracle(blocks, m, c, 0.9)
    assert [each.low for each in ours] == pytest.approx(low, rel=1e-9)
    assert [each.high for each in ours] == pytest.approx(high, rel=1e-9)
    mean = ville.evalues.combine([low, high], axis=0)
    assert [each.mean for each in ours] == pytest.approx(mean, rel=1e-9)
    assert [each.alarms for each in ours] == (mean >= 20).tolist()
    if harm in {-0.5, 1.0}:
        assert (mean >= 20).any() == (harm == 1.0)
