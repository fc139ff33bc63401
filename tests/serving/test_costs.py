from __future__ import annotations

import numpy as np
import pytest

from nenrin.serving.plane.costs import Costs


def test_a_call_and_its_rows() -> None:
    costs = Costs(call=1.0, row=1.0)
    for rows in (1, 64, 1, 64):
        costs.learn(0.002 + 0.0001 * rows, rows)
    assert costs.seconds(1) == pytest.approx(0.0021)
    assert costs.seconds(1000) == pytest.approx(0.102)
    assert costs.rows_in(0.01201) == 100
    assert costs.rows_in(0.0) == 1


def test_sizes_that_do_not_vary_leave_the_rows_part_as_it_was() -> None:
    costs = Costs(call=0.0, row=0.01)
    for rows in (1, 5):
        costs.learn(0.01 + 0.0002 * rows, rows)
    for _ in range(200):
        costs.learn(0.0102, 1)
    assert costs.seconds(1) == pytest.approx(0.0102)
    assert costs.seconds(100) == pytest.approx(0.03)


def test_rows_that_cost_less_than_thought() -> None:
    costs = Costs(call=0.0, row=0.01)
    costs.learn(0.002, 1)
    assert costs.seconds(1) == pytest.approx(0.002)
    costs.learn(0.001, 64)  # no slower than one
    assert 0.0 < costs.seconds(1) <= 0.002
    assert costs.seconds(64) < 0.01


def test_a_slow_call_is_never_taken_for_a_quick_one() -> None:
    """Large batches of cheap rows say nothing good of a single row."""
    random = np.random.default_rng(1)
    costs = Costs(call=0.001, row=0.001)
    for _ in range(3):
        costs.learn(0.01, 1)
    for _ in range(500):
        rows = int(random.integers(20, 200))
        costs.learn(0.01 + rows * 2e-5 + random.exponential(2e-4), rows)
        assert costs.seconds(1) > 0.005


def test_what_a_batch_takes_is_followed_and_a_pause_is_not() -> None:
    costs = Costs(call=0.001, row=0.0001)
    for _ in range(40):
        costs.learn(0.004, 11)
    assert costs.seconds(11) == pytest.approx(0.004, rel=1e-2)
    costs.learn(9.0, 11)
    assert costs.seconds(11) < 0.007
