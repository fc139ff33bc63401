"""Figures have the decimals that their size deserves."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.core.figures import figure


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0000"),
        (0.43781, "0.4378"),
        (-0.00004, "-0.0000"),
        (1.23456, "1.235"),
        (92.8952, "92.90"),
        (122.04, "122.0"),
        (-104883.9209, "-104,884"),
    ],
)
def test_digits(value: float, text: str) -> None:
    assert figure(value) == text


@given(st.floats(-1e12, 1e12))
def test_four_digits_are_kept(value: float) -> None:
    written = figure(value, plus=True)
    read = float(written.replace(",", ""))
    assert math.isclose(read, value, rel_tol=5.1e-4, abs_tol=5.1e-5)
    assert written[0] in "+-"
