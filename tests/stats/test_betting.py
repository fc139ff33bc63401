"""The watch's bets: arithmetic, the supermartingale, and false alarms and power in one table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.stats.betting import Wealth, clip_of, margin

BLOCKS_A_DAY = 8
DAYS = 14


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


def found_within(
    days: int, harm: float, day_sd: float, seed: int, *, tolerate: float | None
) -> float:
    """Share of 200 promotions that are rolled back within ``days`` days of 8 blocks.

    Days differ by a zero-mean effect, blocks by noise; the margin is the rule's, from 28 days
    before, or ``tolerate``.
    """
    random = np.random.default_rng(seed)
    found = 0
    for _ in range(200):
        m = margin(random.normal(scale=day_sd, size=28), 0.1) if tolerate is None else tolerate
        effect = np.repeat(random.normal(scale=day_sd, size=days), BLOCKS_A_DAY)
        blocks = harm + effect + random.normal(scale=0.02, size=len(effect))
        wealth = Wealth()
        for x in blocks.tolist():
            wealth = wealth.bet(x, m, 0.1)
            if wealth.alarms:
                found += 1
                break
    return found / 200


@pytest.mark.parametrize("day_sd", [0.01, 0.02, 0.03, 0.05, 0.1])
def test_successors_that_differ_only_by_day_are_left_alone(day_sd):
    assert found_within(DAYS, 0.0, day_sd, seed=1, tolerate=None) <= 0.05


@pytest.mark.parametrize(("day_sd", "power"), [(0.01, 0.99), (0.03, 0.95), (0.05, 0.3)])
def test_a_tenth_of_a_nat_is_found_within_four_days(day_sd, power):
    assert found_within(4, 0.1, day_sd, seed=2, tolerate=None) >= power


def test_betting_on_any_harm_at_all_would_roll_back_good_versions():
    """Why the margin: without it every seventh harmless successor would go."""
    assert found_within(DAYS, 0.0, 0.03, seed=3, tolerate=0.0) >= 0.14
    assert found_within(DAYS, 0.0, 0.0, seed=3, tolerate=0.0) <= 0.05
