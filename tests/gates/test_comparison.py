"""Comparison by days, and what lets a refresh in."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nenrin.gates.comparison import admits, compare

BETTER = np.array([-0.02, -0.01, -0.03, -0.02])
MIXED = np.array([-0.02, 0.03, -0.03, 0.021])


@pytest.mark.parametrize(
    ("e", "verdict"), [(BETTER, "better"), (-BETTER, "worse"), (MIXED, "undecided")]
)
def test_three_verdicts(e, verdict):
    found = compare(e)
    assert found.verdict == verdict
    assert found.days == 4
    assert found.mean == pytest.approx(e.mean())
    assert (found.low, found.high) == pytest.approx(
        (e.mean() - 1.645 * e.std(ddof=1) / 2, e.mean() + 1.645 * e.std(ddof=1) / 2)
    )


@pytest.mark.parametrize("e", [None, np.empty(0), BETTER[:2], np.append(BETTER[:2], np.nan)])
def test_nothing_to_compare(e):
    found = compare(e)
    assert found.verdict == "none"
    assert found.se == math.inf


def test_days_that_do_not_count_for_both_are_left_out():
    assert compare(np.insert(BETTER, 2, np.nan)) == compare(BETTER)


def test_a_refresh_goes_out_unless_it_is_worse():
    assert [admits(compare(e)) for e in (BETTER, MIXED, -BETTER, None)] == [True, True, False, True]


def test_the_anchor_must_be_better():
    ok = [admits(compare(e), anchor=True) for e in (BETTER, MIXED, -BETTER, None)]
    assert ok == [True, False, False, False]


def test_probation_asks_for_no_harm_on_average():
    ok = [admits(compare(e), probation=True) for e in (BETTER, MIXED, -BETTER, None, BETTER[:2])]
    assert ok == [True, True, False, False, False]
    assert not admits(compare(MIXED + 0.0051), probation=True)
    assert admits(compare(MIXED + 0.0051), probation=True, slack=0.01)


def test_rows_are_units_where_there_is_no_time():
    assert compare(BETTER, unit="row").unit == "row"
    assert compare(None).unit == "day"
