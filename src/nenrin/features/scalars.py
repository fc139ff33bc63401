"""Operators that both evaluators compute with the very same Python function.

Libraries disagree in the last bit of ``exp`` and ``pow``, in the sign of a float remainder and in Unicode
tables. These operators are rare enough in features that the column evaluator can afford to call the
function of the row evaluator once a value (about 0.1 us), and then there is nothing to disagree about.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any


def divide(a: float, b: float) -> float:
    """``a / b`` as IEEE 754 has it: by zero an infinity with the right sign, 0/0 is NaN."""
    if b != 0.0:
        return a / b
    if a == 0.0 or a != a:
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)


def floor_divide(a: float, b: float) -> float:
    """Python's ``a // b`` for floats; by zero, and from an infinity, what ``a / b`` is."""
    if b == 0.0 or math.isinf(a):
        return divide(a, b)
    return a // b


def remainder(a: float, b: float) -> float:
    """Python's ``a % b`` for floats, the sign of ``b``; by zero, and of an infinity, NaN."""
    if b == 0.0 or math.isinf(a):
        return math.nan
    return a % b


def power(a: float, b: float) -> float:
    """C's ``pow``: never an error, never a complex number."""
    try:
        return math.pow(a, b)
    except OverflowError:
        odd = b % 2.0 == 1.0
        return -math.inf if a < 0.0 and odd else math.inf
    except ValueError:
        if a != 0.0:
            return math.nan
        return math.copysign(math.inf, a) if b % 2.0 == 1.0 else math.inf


def exp(x: float) -> float:
    """e to the power ``x``; infinity where that does not fit."""
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def log1p(x: float) -> float:
    """log(1 + x); -infinity at -1, NaN below."""
    if x > -1.0 or x != x:
        return math.log1p(x)
    return -math.inf if x == -1.0 else math.nan


def square_root(x: float) -> float:
    """The square root; NaN below zero."""
    return math.sqrt(x) if x >= 0.0 else math.nan


def floor(x: float) -> float:
    """The largest whole number not above ``x``, as a float; NaN, infinities and -0.0 stay."""
    if not math.isfinite(x):
        return x
    return math.copysign(float(math.floor(x)), x)


SCALARS: Mapping[str, Callable[..., Any]] = {
    "floordiv": floor_divide,
    "mod": remainder,
    "pow": power,
    "exp": exp,
    "log1p": log1p,
    "lower": str.lower,
}
"""The shared functions, by operator (``floordiv`` and ``mod`` of numbers; those of integers are exact)."""
