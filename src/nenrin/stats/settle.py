"""The settle age: how long to wait until the labels of a block have come.

Early labels are a biased sample of all labels, so a block of asked time counts only once its end is
older than the age by which 99 % of past labels had come.
"""

from __future__ import annotations

import numpy as np

from nenrin.core.errors import DataError
from nenrin.core.instants import HOUR

BLOCK = 3 * HOUR


def settle_age(ages: np.ndarray, *, block: int = BLOCK, percent: int = 99) -> int:
    """The age by which ``percent`` of the labels had come, rounded up to whole blocks.

    Args:
        ages: answered - asked of the labelled rows, int64 microseconds of shape (rows,); a label
            known before its row was asked is as good as one known at once.
        block: length of a block in microseconds.
        percent: share of the labels to wait for.

    Returns:
        microseconds, a multiple of ``block``; 0 where that share of the labels is known at once.

    Raises:
        DataError: there is no label.

    >>> settle_age(np.array([2 * HOUR, 4 * HOUR])) // HOUR
    6
    """
    if len(ages) == 0:
        raise DataError(
            "no row has a label yet, so nothing says how long labels take",
            hint="load labels first, or give the deployment settle=",
        )
    rank = -(-percent * len(ages) // 100) - 1
    age = max(0, int(np.partition(ages, rank)[rank]))
    return -(-age // block) * block
