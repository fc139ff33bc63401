from __future__ import annotations

import pytest

from nenrin.serving.plane.costs import Costs


def test_a_call_and_its_rows() -> None:
    costs = Costs.measured(one=0.002, rows=101, many=0.012)
    assert costs.seconds(1) == pytest.approx(0.002)
    assert costs.seconds(101) == pytest.approx(0.012)
    assert costs.rows_in(0.01201) == 101
    assert costs.rows_in(0.0) == 1


def test_many_rows_that_took_no_longer_than_one() -> None:
    costs = Costs.measured(one=0.002, rows=64, many=0.001)
    assert costs.seconds(64) == pytest.approx(0.002, rel=1e-3)
    assert costs.rows_in(1.0) > 1_000


def test_what_a_batch_takes_is_followed_and_a_pause_is_not() -> None:
    costs = Costs.measured(one=0.001, rows=11, many=0.002)
    for _ in range(40):
        costs.learn(0.004, 11)
    assert costs.seconds(11) == pytest.approx(0.004, rel=1e-3)
    costs.learn(9.0, 11)
    assert costs.seconds(11) < 0.007
