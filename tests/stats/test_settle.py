"""The settle age."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.core.errors import DataError
from nenrin.core.instants import HOUR, MINUTE
from nenrin.stats.settle import BLOCK, settle_age


def test_whole_blocks():
    assert settle_age(np.array([HOUR])) == 3 * HOUR
    assert settle_age(np.array([3 * HOUR])) == 3 * HOUR
    assert settle_age(np.array([3 * HOUR + 1])) == 6 * HOUR
    assert settle_age(np.array([0])) == 0
    assert settle_age(np.array([-5 * HOUR])) == 0


def test_the_last_hundredth_is_not_waited_for():
    ages = np.append(np.full(99, 50 * MINUTE), 300 * HOUR)
    assert settle_age(ages) == 3 * HOUR
    assert settle_age(ages, percent=100) == 300 * HOUR


def test_no_label_no_age():
    with pytest.raises(DataError, match="no row has a label"):
        settle_age(np.empty(0, dtype=np.int64))


@given(st.lists(st.integers(0, 2**52), min_size=1, max_size=300), st.integers(1, 100))
def test_least_whole_blocks_by_which_that_share_had_come(ages, percent):
    settled = settle_age(np.array(ages), percent=percent)
    come = sum(age <= settled for age in ages)
    before = sum(age <= settled - BLOCK for age in ages)
    assert settled % BLOCK == 0
    assert come * 100 >= percent * len(ages)
    assert settled == 0 or before * 100 < percent * len(ages)
