from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.core.errors import DataError
from nenrin.features.fixed_point import check_range, joined, joined_one, split

VALUES = st.lists(st.floats(-1e15, 1e15), min_size=1, max_size=30)


@given(VALUES)
def test_sums_are_near_the_exact_sum(values: list[float]) -> None:
    whole, high, low = (part.sum(keepdims=True) for part in split(np.array(values)))
    exact = float(sum(map(Fraction, values)))
    found = float(joined(whole, high, low)[0])
    assert abs(found - exact) <= 2 * math.ulp(exact) + len(values) * 2.0**-60
    assert joined_one(int(whole[0]), int(high[0]), int(low[0])) == found


@given(VALUES)
def test_adding_and_taking_away_leaves_nothing(values: list[float]) -> None:
    parts = split(np.array(values))
    back = split(-np.array(values))
    assert not (parts + back).any()


@given(st.floats(-1e15, 1e15).filter(lambda x: x == 0 or abs(x) >= 2.0**-7))
def test_one_value_comes_back_exactly(value: float) -> None:
    assert joined(*split(np.array([value])))[0] == value


def test_values_too_large_are_refused() -> None:
    with pytest.raises(DataError, match="62 bits"):
        split(np.array([2.0**62]))
    check_range(np.array([2**61]), np.array([0, 1]))
    with pytest.raises(DataError, match="62 bits"):
        check_range(np.array([2**61, 2**61]), np.array([0, 1, 2, 3]))
    check_range(
        np.array([2**61, 2**61]), np.array([0, 2, 1, 3])
    )  # one is gone before the other comes
    with pytest.raises(DataError, match="62 bits"):
        check_range(np.array([-(2**63)]), np.array([0, 1]))
