"""Forms of values: equal values have equal forms, different ones different forms, in every process."""

from __future__ import annotations

import copy
import datetime as dt
import os
import subprocess
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import FunctionType, GenericAlias, SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.core.digest import digest
from nenrin.pipelines.values import Forms, UnknownValueError, flat, still


def by_name(value: Any, _inner: Any) -> Any:
    known = isinstance(value, (type, FunctionType)) and type(value) is not GenericAlias
    return value.__qualname__ if known else None


def form(value: Any) -> str:
    return digest(Forms(by_name, "/home").form(value))


plain = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4)),
    *(st.binary(max_size=4), st.complex_numbers(), st.dates(), st.timedeltas(), st.decimals()),
)
values = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.builds(deque, st.lists(inner, max_size=2)),
    ),
    max_leaves=8,
)


@given(values, values)
def test_forms_are_equal_as_reprs_are(one: Any, other: Any) -> None:
    assert (form(one) == form(other)) == (repr(one) == repr(other))


@given(values)
def test_a_copy_has_the_same_form(value: Any) -> None:
    assert form(copy.deepcopy(value)) == form(value)


@given(st.sets(st.one_of(st.text(), st.integers(), st.tuples(st.integers(), st.text()))))
def test_the_order_of_a_set_does_not_count(value: set[Any]) -> None:
    assert form(value) == form({*sorted(value, key=repr)})
    assert form(value) != form(frozenset(value))


@dataclass
class Point:
    x: int
    y: Any = None


class Color(Enum):
    RED = 1
    BLUE = 2


class Tag(str):
    __slots__ = ()


class Slotted:
    __slots__ = ("__hidden", "a")

    def __init__(self, a: int, hidden: int) -> None:
        self.a, self.__hidden = a, hidden


class Table(dict):  # type: ignore[type-arg]
    pass


PAIRS = [
    (Point(1), Point(2)),
    (Point(1), Slotted(1, 2)),
    (Slotted(1, 2), Slotted(1, 3)),
    (Color.RED, Color.BLUE),
    (Color.RED, 1),
    (Tag("a"), "a"),
    (Tag("a"), Tag("b")),
    (Table(a=1), {"a": 1}),
    (OrderedDict(a=1), {"a": 1, "b": 2}),
    (defaultdict(list), defaultdict(dict)),
    (Counter("a"), Counter("b")),
    (deque([1]), [1]),
    (SimpleNamespace(a=1), SimpleNamespace(a=2)),
    (bytearray(b"a"), b"a"),
    (np.array([1, 2]), np.array([1, 3])),
    (np.array([1, 2]), np.array([1.0, 2.0])),
    (np.array([[1, 2]]), np.array([1, 2])),
    (np.array(["a", None], object), np.array(["b", None], object)),
    (np.float64(1), 1.0),
    (np.float32(1), np.float64(1)),
    (np.dtype("f4"), np.dtype("f8")),
    (np.random.default_rng(1), np.random.default_rng(2)),
    (np.random.RandomState(1), np.random.RandomState(2)),
    (pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [2]})),
    (pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [1.0]})),
    (pl.Series("a", [1]), pl.Series("b", [1])),
    (pl.Datetime("us"), pl.Datetime("ms")),
    (Decimal("1.0"), Decimal("1.00")),
    (dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, tzinfo=dt.UTC)),
    (ZoneInfo("Europe/Paris"), ZoneInfo("Europe/Berlin")),
    (Path("a"), "a"),
    (range(3), range(4)),
    (list[int], list[str]),
    (int | None, str | None),
    (2**70, 2**71),
    (float("nan"), float("inf")),
]


@pytest.mark.parametrize("number", range(len(PAIRS)))
def test_different_values_have_different_forms(number: int) -> None:
    one, other = PAIRS[number]
    assert form(one) != form(other)
    assert form(copy.deepcopy(one)) == form(one)


def test_one_list_twice_is_not_two_lists() -> None:
    inner = [1]
    assert form([inner, inner]) != form([[1], [1]])
    pair = (1, 2)
    assert form([pair, pair]) == form([(1, 2), tuple([1, 2])])  # noqa: C409 - not one constant


def test_a_value_may_hold_itself() -> None:
    value: list[Any] = [1]
    value.append(value)
    other: list[Any] = [2]
    other.append(other)
    assert form(value) != form(other)


def test_paths_below_the_project_are_written_relative_to_it() -> None:
    one = Forms(by_name, "/a/project").form([Path("/a/project/x"), "/a/project/y"])
    assert one == Forms(by_name, "/b/other").form([Path("/b/other/x"), "/b/other/y"])


@pytest.mark.parametrize("value", [iter([1]), (x for x in [1]), memoryview(b"a")])
def test_what_has_no_form_is_refused(value: Any) -> None:
    with pytest.raises(UnknownValueError) as error:
        form({"a": [0, value]})
    assert error.value.path == "['a'][1]"


def test_what_cannot_change_is_still() -> None:
    for value in (
        1,
        "a",
        (1, (2,)),
        frozenset({1}),
        Color.RED,
        Path("a"),
        list[int],
        np.log,
        dt.date.min,
    ):
        assert still(value), value
    for changeable in ([1], {}, (1, [2]), Point(1), np.array([1]), Table(), Slotted(1, 2)):
        assert not still(changeable), changeable
    assert flat([1, (2,)])
    assert flat({"a": 1})
    assert not flat([[1]])


TOLD = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from tests.pipelines.projects import Written
code = Written(Path(sys.argv[1])).code({text!r})
print(sorted(code.parts.items()), code.coarse, code.doubts)
"""
TEXT = """
import nenrin as nr
from enum import Flag
NAMES = {"a", "b", "c", "d"}
FROZEN = frozenset(NAMES)
class Kind(Flag):
    A = 1
    B = 2
class Thing:
    names = {"x", "y", "z"}
    def fit(self, x): return x in {"p", "q", "r"}
@nr.step
def report(x): return len(NAMES), FROZEN, Thing().fit(x), Kind.A
"""


def test_another_process_tells_the_same(tmp_path: Path) -> None:
    script = TOLD.format(tests=str(Path(__file__).parents[2]), text=TEXT)
    told = {
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / seed)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(told) == 1
    assert "function report" in told.pop()
