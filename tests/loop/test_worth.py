"""What an answer is worth, and how a backtest tells it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nenrin as nr
from nenrin.core.errors import ProjectError
from nenrin.loop.report import scores


def test_of_probabilities_each_outcome_has_its_worth() -> None:
    worth = nr.value(above=0.3, hit=40, false_alarm=-5, miss=-20, quiet=1)
    y, p = np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.9, 0.4, 0.3, 0.1])
    assert worth.of(y, p).tolist() == [40, -5, -20, 1]


def test_of_numbers_a_unit_too_high_or_too_low_has_its_worth() -> None:
    worth = nr.value(over=-1, under=-3)
    y, p = np.array([10.0, 10.0, 10.0]), np.array([12.0, 9.0, 10.0])
    assert worth.of(y, p).tolist() == [-2, -3, 0]


def test_a_report_has_the_mean_worth_of_an_answer() -> None:
    y, p = np.array([1.0, 0.0]), np.array([0.9, 0.1])
    worth = nr.value(above=0.5, hit=10)
    assert scores("binary", y, p, worth)["value"] == 5.0
    assert "value" not in scores("binary", y, p)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"hit": 40},
        {"above": 0.3},
        {"above": 3, "hit": 40},
        {"above": 0.3, "hit": 40, "over": -1},
        {"above": 0.3, "hit": "much"},
        {"over": float("nan")},
    ],
)
def test_what_says_nothing_or_too_much_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ProjectError) as caught:
        nr.value(**given)
    assert caught.value.hint
    assert "test_worth.py" in caught.value.where
