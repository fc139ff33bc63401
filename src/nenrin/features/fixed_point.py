"""Sums of floats that do not depend on their order: fixed point in three 64-bit integers.

A float is cut into a whole part and two parts of 30 bits behind the point; each is summed as an integer, so
adding and taking away again is exact, in any order, batch or stream. What is lost is what lies below 2**-60
(about 1e-18). The same idea, with more parts: Kulisch, "Computer Arithmetic and Validity" (2013), ch. 8.
"""

from __future__ import annotations

import numpy as np

from nenrin.core.errors import DataError
from nenrin.features.arrays import Floats, Ints

PARTS = 3
_SCALE = 2.0**30
_MASK = 2**30 - 1
_LARGEST = 2.0**62


def split(values: Floats) -> Ints:
    """Finite floats, float64[n], as their parts, int64[3, n].

    Raises:
        DataError: a value has 2**62 or more before the point.
    """
    if values.size and np.abs(values).max() >= _LARGEST:
        raise too_large()
    parts = np.empty((PARTS, values.size), dtype=np.int64)
    rest = values
    for i in range(PARTS - 1):
        whole = np.trunc(rest)
        parts[i] = whole.astype(np.int64)
        rest = (rest - whole) * _SCALE  # both steps exact: the sign stays, and 30 is a shift
    parts[PARTS - 1] = np.rint(rest).astype(np.int64)
    return parts


def joined(whole: Ints, high: Ints, low: Ints) -> Floats:
    """Sums of parts, int64[n] each, as floats within an ulp or two of the exact sums."""
    units, fraction = _carried(whole, high, low)
    negative = units < 0
    sign = np.where(negative, -1, 1)
    units, fraction = _carried(sign * whole, sign * high, sign * low)
    size = units.astype(np.float64) + fraction.astype(np.float64) * 2.0**-60
    return np.where(negative, -size, size)


def joined_one(whole: int, high: int, low: int) -> float:
    """:func:`joined` for one sum, with the same roundings."""
    total = (whole << 60) + (high << 30) + low
    size = abs(total)
    result = float(size >> 60) + float(size & (1 << 60) - 1) * 2.0**-60
    return -result if total < 0 else result


def check_range(values: Ints, order: Ints) -> None:
    """Refuse running sums that leave 62 bits, of ``[*values, *-values]`` in ``order`` (int64[2n]).

    The integers themselves wrap around and come back; only sums that are asked for must fit.

    Raises:
        DataError: they do not fit.
    """
    sizes = values.astype(np.float64)
    if not sizes.size or np.abs(sizes).max() * 2 * sizes.size < _LARGEST:
        return
    if np.abs(np.cumsum(np.concatenate([sizes, -sizes])[order])).max() >= _LARGEST:
        raise too_large()


def too_large() -> DataError:
    """The error for window sums that do not fit."""
    return DataError(
        "the sum over a window does not fit in 62 bits",
        hint='scale the column down where the window takes it: (a.amount / 1_000_000).sum("1d")',
    )


def _carried(whole: Ints, high: Ints, low: Ints) -> tuple[Ints, Ints]:
    """The whole part, rounded down, and 60 bits of fraction."""
    high = high + (low >> 30)
    return whole + (high >> 30), ((high & _MASK) << 30) + (low & _MASK)
