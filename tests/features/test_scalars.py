from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.features import scalars
from tests.features.makers import same

FLOATS = st.floats() | st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, -3.0, math.inf, -math.inf])


@pytest.mark.parametrize(
    ("ours", "numpys"), [(scalars.divide, np.divide), (scalars.remainder, np.remainder)]
)
@given(a=FLOATS, b=FLOATS)
def test_division_is_what_numpy_has(
    ours: Callable[[float, float], float], numpys: np.ufunc, a: float, b: float
) -> None:
    with np.errstate(all="ignore"):
        expected = float(numpys(a, b))
    assert same(ours(a, b), expected)


@given(a=FLOATS, b=FLOATS)
def test_floor_division_is_pythons_where_python_has_one(a: float, b: float) -> None:
    found = scalars.floor_divide(a, b)
    if b == 0.0 or math.isinf(a):
        assert same(found, scalars.divide(a, b))
    else:
        assert same(found, a // b)


@given(a=FLOATS, b=FLOATS)
def test_powers_are_cs(a: float, b: float) -> None:
    with np.errstate(all="ignore"):
        expected = float(np.float_power(a, b))
    found = scalars.power(a, b)
    if math.isfinite(expected) and expected:
        assert found == pytest.approx(expected, rel=1e-14)
    else:
        assert same(found, expected)


@pytest.mark.parametrize(
    ("function", "numpys"),
    [
        (scalars.exp, np.exp),
        (scalars.log1p, np.log1p),
        (scalars.square_root, np.sqrt),
        (scalars.floor, np.floor),
    ],
)
@given(x=FLOATS)
def test_functions_never_raise(
    function: Callable[[float], float], numpys: np.ufunc, x: float
) -> None:
    with np.errstate(all="ignore"):
        expected = float(numpys(x))
    assert same(function(x), expected) or function(x) == pytest.approx(
        expected, rel=1e-14, abs=1e-323
    )
