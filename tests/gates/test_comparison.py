"""Comparison by days, and what lets a refresh in."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from nenrin.gates.comparison import compare
from nenrin.gates.evidence import Change, Evidence, read_policy

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


def lets_in(e: np.ndarray | None, change: Change = "refresh", **more: Any) -> bool:
    """Whether the default policy does, by the comparison with the champion alone."""
    evidence = Evidence(change=change, champion=compare(e), **more)
    return all(check.admits for check in read_policy().check(evidence.numbers()))


def test_a_refresh_goes_out_unless_it_is_worse():
    assert [lets_in(e) for e in (BETTER, MIXED, -BETTER, None)] == [True, True, False, True]


def test_the_anchor_must_be_better():
    ok = [lets_in(e, "anchor") for e in (BETTER, MIXED, -BETTER, None)]
    assert ok == [True, False, False, False]


@pytest.mark.parametrize(("change", "probation"), [("refresh", True), ("recipe", False)])
def test_probation_and_another_recipe_ask_for_no_harm_on_average(change: Change, probation: bool):
    ok = [
        lets_in(e, change, probation=probation) for e in (BETTER, MIXED, -BETTER, None, BETTER[:2])
    ]
    assert ok == [True, True, False, False, False]
    assert not lets_in(MIXED + 0.0051, change, probation=probation)
    assert lets_in(MIXED + 0.0051, change, probation=probation, slack=0.01)


def test_rows_are_units_where_there_is_no_time():
    assert compare(BETTER, unit="row").unit == "row"
    assert compare(None).unit == "day"
