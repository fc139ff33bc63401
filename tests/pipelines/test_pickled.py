"""What a pickle names is read without importing it."""

from __future__ import annotations

import pickle
from fractions import Fraction
from pathlib import PurePosixPath

import cloudpickle
import pytest

from nenrin.pipelines.pickled import named_in


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_classes_and_functions_are_named(protocol: int) -> None:
    value = [Fraction(1, 2), Fraction(1, 3), PurePosixPath("a"), PurePosixPath("b"), named_in]
    named = named_in(pickle.dumps({"a": value, "b": value}, protocol))
    assert {("fractions", "Fraction"), ("pathlib", "PurePosixPath")} <= named
    assert ("nenrin.pipelines.pickled", "named_in") in named


def test_nested_names_are_whole() -> None:
    assert named_in(pickle.dumps([Outer.Inner(), Outer()], 4)) == {
        (__name__, "Outer.Inner"),
        (__name__, "Outer"),
    }


def test_plain_values_name_nothing() -> None:
    value = {"fractions": ["Fraction", 1, 2.0, None, b"x"], "Fraction": ("fractions", {1})}
    assert named_in(pickle.dumps(value, 4)) == named_in(cloudpickle.dumps(value)) == set()


def test_what_is_no_pickle_is_refused() -> None:
    with pytest.raises(ValueError, match="opcode"):
        named_in(b"\xff\xff")


class Outer:
    class Inner:
        pass
