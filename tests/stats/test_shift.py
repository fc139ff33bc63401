"""Shift between days: components against numpy's Legendre polynomials, errors against scipy's t test."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial.legendre import legval
from scipy.stats import rankdata, ttest_ind

from nenrin.stats.shift import COMPONENTS, POINTS, compare_days, components, day_points


def days(seed: int, number: int, spread: float = 0.2, lasting: float = 0.0) -> np.ndarray:
    """Points of days of 200 normal values, moved by a day's own amount."""
    random = np.random.default_rng(seed)
    moved, found = 0.0, []
    for _ in range(number):
        moved = lasting * moved + np.sqrt(1 - lasting**2) * random.normal(scale=spread)
        found.append(day_points(random.normal(size=200) + moved))
    return np.stack(found)


def test_a_days_points_are_values_of_it_and_equally_likely():
    points = day_points(np.array([3.0, 1.0, 2.0, 2.0]))
    values, counts = np.unique(points, return_counts=True)
    assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == {1.0: 25, 2.0: 50, 3.0: 25}
    assert day_points(np.array([0.5])).tolist() == [0.5] * POINTS


def test_components_are_means_of_legendre_polynomials_of_midranks():
    reference, others = np.round(days(1, 9), 1), np.round(days(2, 3) + 0.3, 1)  # with ties
    found = components(reference, reference)
    ranks = ((rankdata(reference.ravel()) - 0.5) / reference.size).reshape(reference.shape)
    for number in range(4):
        weights = np.eye(5)[number + 1] * np.sqrt(2 * (number + 1) + 1)
        expected = legval(2 * ranks - 1, weights).mean(axis=1)
        assert found[:, number] == pytest.approx(expected, abs=1e-12)
    pool = reference.ravel()
    for row, day in zip(components(reference, others), others, strict=True):
        u = np.array([(np.sum(pool < x) + np.sum(pool == x) / 2) / len(pool) for x in day])
        assert row[0] == pytest.approx(np.sqrt(3) * np.mean(2 * u - 1), abs=1e-12)


def test_untied_components_have_mean_0_and_deviation_1():
    pool = np.random.default_rng(3).normal(size=(50, POINTS))
    each = components(pool, pool.reshape(-1, 1))
    assert each.mean(axis=0) == pytest.approx(0, abs=1e-3)
    assert each.std(axis=0) == pytest.approx(1, abs=1e-3)


def test_a_tenth_of_a_deviation_is_what_the_docstring_says():
    random = np.random.default_rng(4)
    before = random.normal(size=(400, POINTS))
    now = random.normal(size=(400, POINTS))
    moved, wider = compare_days(before, now + 0.1), compare_days(before, now * 1.1)
    assert moved.effect[:2] == pytest.approx([0.098, 0], abs=0.035)
    assert wider.effect[:2] == pytest.approx([0, 0.12], abs=0.035)


def test_the_error_is_the_pooled_t_tests_widened_for_days_that_last():
    reference, recent = days(5, 28), days(6, 7) + 0.1
    found = compare_days(reference, recent)
    for number in range(len(COMPONENTS)):
        before = components(reference, reference)[:, number]
        now = components(reference, recent)[:, number]
        t = ttest_ind(now, before).statistic
        widened = found.se[number] / (found.effect[number] / t)
        rest = [before - before.mean(), now - now.mean()]
        lag = sum(np.sum(r[1:] * r[:-1]) for r in rest) / sum(np.sum(r**2) for r in rest)
        r = min(max(lag + (1 + 3 * lag) / 35, 0), 0.8)
        assert widened == pytest.approx(np.sqrt((1 + r) / (1 - r)))


def test_days_that_last_widen_the_error():
    plain = [compare_days(days(s, 28), days(90 + s, 7)).se[0] for s in range(20)]
    series = [days(s, 35, lasting=0.8) for s in range(20)]
    lasting = [compare_days(each[:28], each[28:]).se[0] for each in series]
    assert np.mean(lasting) > 1.3 * np.mean(plain)


def test_ranks_do_not_know_the_scale():
    reference, recent = days(7, 28), days(8, 7) + 0.3
    plain, stretched = (
        compare_days(reference, recent),
        compare_days(*map(np.exp, (reference, recent))),
    )
    assert stretched.effect == pytest.approx(plain.effect, abs=1e-12)
    assert stretched.se == pytest.approx(plain.se, abs=1e-12)


def test_constant_answers_have_no_error_and_move_where_they_change():
    same, other = np.full((28, POINTS), 0.2), np.full((7, POINTS), 0.3)
    still = compare_days(same, same[:7])
    assert still.effect == pytest.approx(0, abs=1e-12)
    moved = compare_days(same, other)
    assert moved.effect[0] == pytest.approx(np.sqrt(3))
    assert moved.se == pytest.approx(0, abs=1e-12)
