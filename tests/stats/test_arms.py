"""What an experiment's statistics promise, on streams with days of weather and keys that come back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as oracle

from nenrin.stats.always import radius
from nenrin.stats.arms import difference
from nenrin.stats.cuped import adjusted
from nenrin.stats.power import cases_for_means, cases_for_shares, least_effect, power_of_means
from nenrin.stats.sample_ratio import log_evidence_mismatch
from nenrin.stats.thompson import weights


def test_the_radius_covers_the_mean_at_all_days_at_once() -> None:
    random = np.random.default_rng(1)
    missed = 0
    for _ in range(1_000):
        values = random.normal(size=60)
        for n in range(2, 61):
            so_far = values[:n]
            if abs(so_far.mean()) > radius(n) * so_far.std(ddof=1) / math.sqrt(n):
                missed += 1
                break
    assert 0 < missed <= 50


def _stream(
    random: np.random.Generator, days: int, per_day: int, weather: float, own: float, swing: float
) -> tuple[np.ndarray, ...]:
    """Outcomes without an effect; keys come back, and the arms' difference swings from day to day."""
    keys = 120
    level = random.normal(scale=own, size=keys)
    key = random.integers(0, keys, size=days * per_day)
    side = random.permutation(keys) % 2
    arm, day = side[key], np.repeat(np.arange(days), per_day)
    moved = random.normal(scale=weather, size=days)[day]
    moved = moved + arm * random.normal(scale=swing, size=days)[day]
    return level[key] + moved + random.normal(size=len(key)), arm, day, key


@pytest.mark.parametrize(("own", "swing"), [(0.0, 0.0), (1.0, 0.0), (0.0, 0.5), (0.5, 0.3)])
def test_the_difference_covers_at_every_look(own: float, swing: float) -> None:
    random = np.random.default_rng(2)
    missed = 0
    for _ in range(150):
        y, arm, day, key = _stream(random, 30, 80, 2.0, own, swing)
        for n in range(5, 31, 1):
            to = n * 80
            found = difference(y[:to], arm[:to], day[:to], key[:to])
            if not found.low <= 0 <= found.high:
                missed += 1
                break
    assert missed <= 0.05 * 150 + 5


def test_rows_as_the_unit_would_be_wrong_where_keys_come_back() -> None:
    random = np.random.default_rng(3)
    wrong = 0
    for _ in range(100):
        y, arm, *_ = _stream(random, 30, 80, 0.0, 1.0, 0.0)
        wrong += oracle.ttest_ind(y[arm == 1], y[arm == 0]).pvalue < 0.05
    assert wrong > 30  # the streams of the test before would tell


def test_an_effect_is_found() -> None:
    random = np.random.default_rng(4)
    y, arm, day, key = _stream(random, 30, 400, 2.0, 0.1, 0.1)
    found = difference(y + 0.5 * arm, arm, day, key)
    assert found.low > 0
    assert found.days == 30
    assert found.estimate == pytest.approx(0.5, abs=0.15)


def test_one_day_says_nothing() -> None:
    found = difference(np.arange(4.0), np.array([0, 1, 0, 1]), np.zeros(4, int), np.arange(4))
    assert (found.days, found.high) == (1, math.inf)
    none = difference(np.arange(2.0), np.zeros(2, int), np.arange(2), np.arange(2))
    assert none.days == 0


def test_cuped_takes_the_variance_and_leaves_the_effect() -> None:
    random = np.random.default_rng(5)
    before = random.normal(size=4_000)
    arm = random.integers(0, 2, size=4_000)
    y = 2 * before + arm + random.normal(size=4_000)
    after, slope = adjusted(y, before, arm)
    assert slope == pytest.approx(2, abs=0.05)
    assert after.var() < 0.35 * y.var()
    assert after[arm == 1].mean() - after[arm == 0].mean() == pytest.approx(1, abs=0.1)
    same, none = adjusted(y, np.full(4_000, 0.1), arm)
    assert none == 0.0
    assert same is y
    half, _ = adjusted(y, np.where(arm == 0, np.nan, before), arm)
    assert np.array_equal(half[arm == 0], y[arm == 0])


def test_sample_ratio_is_seldom_called_broken_where_it_is_sound() -> None:
    random = np.random.default_rng(6)
    alarms = 0
    for _ in range(400):
        second = np.cumsum(random.random(3_000) < 0.3)
        seen = range(10, 3_001, 10)
        worst = max(
            log_evidence_mismatch([n - second[n - 1], second[n - 1]], [0.7, 0.3]) for n in seen
        )
        alarms += worst > math.log(20)
    assert alarms <= 0.05 * 400
    assert log_evidence_mismatch([6_600, 3_400], [0.7, 0.3]) > math.log(1_000)


def test_sample_ratio_is_the_ratio_of_two_likelihoods() -> None:
    counts, shares = [40, 60], [0.5, 0.5]
    prior = oracle.dirichlet_multinomial([50, 50], 100).logpmf(counts)
    said = oracle.multinomial(100, shares).logpmf(counts)
    assert log_evidence_mismatch(counts, shares) == pytest.approx(prior - said)


def test_power_is_what_a_simulation_has() -> None:
    random = np.random.default_rng(7)
    n = cases_for_means(0.3, 1.0) // 2
    seen = [
        oracle.ttest_ind(random.normal(0.3, 1, n), random.normal(0, 1, n)).pvalue < 0.05
        for _ in range(800)
    ]
    assert np.mean(seen) == pytest.approx(0.8, abs=0.05)
    m = cases_for_shares(0.1, 0.05, share=0.3)
    one, other = round(0.7 * m), round(0.3 * m)
    a, b = random.binomial(one, 0.1, 4_000) / one, random.binomial(other, 0.15, 4_000) / other
    pooled = (a * one + b * other) / m
    z = (b - a) / np.sqrt(pooled * (1 - pooled) * (1 / one + 1 / other))
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.8, abs=0.03)
    assert power_of_means(least_effect(0.1), 0.1) == pytest.approx(0.8, abs=1e-4)


def _played(
    random: np.random.Generator, chances: list[float], delay: int, learns: bool
) -> tuple[float, list[int]]:
    """Rewards missed in 60 days of 200 requests; labels come ``delay`` days late; and the least weights."""
    arms, now = len(chances), np.full(len(chances), 100 // len(chances))
    now[0] += 100 - now.sum()
    days: list[tuple[np.ndarray, np.ndarray]] = []
    missed, least = 0.0, []
    for today in range(60):
        arm = random.choice(arms, size=200, p=now / 100)
        weather = random.uniform(0.5, 1.0)  # scales both: days differ
        chance = np.array(chances)[arm] * weather
        missed += float((max(chances) * weather - chance).sum())
        days.append((arm, (random.random(200) < chance).astype(float)))
        known = days[: max(0, today + 1 - delay)]
        if learns and known:
            arm_, reward = (np.concatenate(each) for each in zip(*known, strict=True))
            told = weights(reward, arm_, np.repeat(np.arange(len(known)), 200), arms, seed=today)
            now = np.array(told) if told else now
        least.append(int(now.min()))
    return missed, least


@pytest.mark.parametrize("delay", [1, 14])
def test_a_bandit_misses_less_than_even_weights_and_never_collapses(delay: int) -> None:
    learnt, even = [], []
    for seed in range(8):
        missed, least = _played(np.random.default_rng(seed), [0.3, 0.2, 0.4], delay, learns=True)
        learnt.append(missed)
        assert min(least) >= 5
        even.append(_played(np.random.default_rng(seed), [0.3, 0.2, 0.4], delay, learns=False)[0])
    assert np.mean(learnt) < (0.45 if delay == 1 else 0.65) * np.mean(even)


def test_weights_are_whole_seeded_and_follow_days_not_rows() -> None:
    random = np.random.default_rng(9)
    arm = random.integers(0, 3, size=300)
    reward, day = random.normal(size=300) + (arm == 2), random.integers(0, 5, size=300)
    told = weights(reward, arm, day, 3, seed=1)
    assert told == weights(reward, arm, day, 3, seed=1)
    assert told is not None
    assert sum(told) == 100
    assert told[2] == max(told) == 90
    assert weights(reward[arm == 0], arm[arm == 0], day[arm == 0], 3, seed=1) is None
    # the first arm had its weight on the good day, and is the worse one on both
    arm = np.repeat([0, 1, 0, 1], [900, 100, 100, 900])
    day = np.repeat([0, 0, 1, 1], [900, 100, 100, 900])
    chance = np.select(
        [(arm == 0) & (day == 0), (arm == 1) & (day == 0), arm == 0], [0.8, 0.9, 0.1], 0.2
    )
    place = np.concatenate([np.arange(n) / n for n in (900, 100, 100, 900)])
    reward = (place < chance).astype(float)
    assert reward[arm == 0].mean() > reward[arm == 1].mean()
    biased = weights(reward, arm, day, 2, seed=1)
    assert biased is not None
    assert biased[1] > 90
