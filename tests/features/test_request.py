from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from nenrin.core.errors import RequestError
from nenrin.core.instants import to_us
from nenrin.features.request import RequestColumn

NOON = to_us(datetime(2013, 7, 1, 16, tzinfo=UTC))


def read(kind: Any, value: Any, **more: Any) -> Any:
    return RequestColumn(name="c", kind=kind, **more).physical(value)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("integer", 3.0, 3),
        ("integer", 2**53 + 1, 2**53 + 1),
        ("integer", np.int32(4), 4),
        ("number", 3, 3.0),
        ("number", np.float32(0.5), 0.5),
        ("boolean", True, True),
        ("boolean", np.bool_(False), False),
        ("text", "", ""),
        ("instant", "2013-07-01T12:00:00-04:00", NOON),
        ("instant", "2013-07-01T16:00:00Z", NOON),
        ("instant", "2013-07-01 12:00", NOON),
        ("instant", datetime(2013, 7, 1, 12), NOON),
        ("instant", datetime(2013, 7, 1, 16, tzinfo=UTC), NOON),
        ("instant", NOON, NOON),
        ("date", "1970-01-03", 2),
        ("date", date(1969, 12, 31), -1),
    ],
)
def test_values_become_physical(kind: Any, value: Any, expected: Any) -> None:
    found = read(kind, value, zone="America/New_York")
    assert found == expected
    assert type(found) is type(expected)
    assert read(kind, None) is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("integer", 3.5),
        ("integer", True),
        ("integer", "3"),
        ("integer", 2**63),
        ("integer", float("nan")),
        ("integer", float("inf")),
        ("number", "3"),
        ("number", False),
        ("number", [3.0]),
        ("boolean", 1),
        ("text", 5),
        ("instant", "yesterday"),
        ("instant", 1.5),
        ("instant", True),
        ("instant", date(2013, 7, 1)),
        ("date", "2013-13-01"),
        ("date", datetime(2013, 7, 1)),
        ("date", 3),
    ],
)
def test_other_values_are_refused_by_name(kind: Any, value: Any) -> None:
    with pytest.raises(RequestError) as caught:
        read(kind, value)
    assert caught.value.where == "c"
    assert "null" in caught.value.hint


def test_both_clock_changes() -> None:
    first = read("instant", "2013-11-03T01:30:00", zone="America/New_York")
    assert first == to_us(datetime(2013, 11, 3, 5, 30, tzinfo=UTC))
    with pytest.raises(RequestError, match="skipped it"):
        read("instant", "2013-03-10T02:30:00", zone="America/New_York")


@pytest.mark.parametrize("value", [0.1, 1e300, -1e300, float("nan"), float("inf"), 3])
def test_single_precision_is_what_the_column_holds(value: float) -> None:
    with np.errstate(over="ignore"):
        stored = pl.Series(np.array([value], dtype=np.float32)).cast(pl.Float64)[0]
    assert read("number", value, single=True) == pytest.approx(stored, rel=0, abs=0, nan_ok=True)


@pytest.mark.parametrize("kind", ["integer", "number", "boolean", "text", "instant", "date"])
def test_types_of_columns(kind: Any) -> None:
    assert RequestColumn(name="c", kind=kind).dtype is not None
    assert RequestColumn(name="c", kind="number", single=True).dtype == pl.Float32
