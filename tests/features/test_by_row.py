from __future__ import annotations

from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from nenrin.core.errors import DataError, RefusedError, StepError
from nenrin.features.by_row import RowFunction
from nenrin.features.kinds import physical
from nenrin.features.trace import trace
from tests.features.makers import line_of, make_dataset, make_view

FAR = 1500
FRAME = pl.DataFrame(
    {
        "distance": [100, 2000, None],
        "name": ["a", "b", None],
        "good": [True, None, False],
        "at": pl.Series([0, 3_600_000_000, None], dtype=pl.Int64).cast(pl.Datetime("us", "UTC")),
        "day": [date(2013, 7, 1), None, date(2013, 7, 2)],
        "unread": [1.0, 2.0, 3.0],
    }
)


def by_row(function: Any, frame: pl.DataFrame = FRAME) -> RowFunction:
    traced = trace(make_view(make_dataset("rows"), function), frame.schema, "Asia/Tokyo")
    assert traced.python
    return RowFunction(traced, "Asia/Tokyo", function)


def answers(part: RowFunction, frame: pl.DataFrame = FRAME) -> pl.DataFrame:
    """Of all rows at once, having checked that one by one they are the same."""
    many = part.at(frame, np.zeros(frame.height, dtype=np.int64))
    again = RowFunction.loads(part.dumps())
    plain = physical(frame, part.traced.columns).rows(named=True)
    assert [again.row(row, 0) for row in plain] == many.rows(named=True)
    assert part.names == tuple(many.columns)
    return many


def features(r: Any) -> dict[str, Any]:
    return {
        "far": None if r.distance is None else r.distance > FAR,
        "hour": r.at.hour if r["at"] else None,
        "name": (r.name or "?").upper(),
        "half": r.distance / 2 if r.distance else 0,
        "late": r.day is not None and r.day > date(2013, 7, 1),
        "scalar": np.int32(3),
        "nothing": None,
    }


def test_the_function_gets_plain_values() -> None:
    found = answers(by_row(features))
    assert found.to_dict(as_series=False) == {
        "far": [False, True, None],
        "hour": [9.0, 10.0, None],
        "name": ["A", "B", "?"],
        "half": [50.0, 1000.0, 0.0],
        "late": [False, False, True],
        "scalar": [3.0] * 3,
        "nothing": [None] * 3,
    }
    assert found.schema["nothing"] == pl.Float64
    assert "unread" not in by_row(features).traced.columns


def test_instants_are_aware_and_local() -> None:
    def when(r: Any) -> dict[str, Any]:
        assert isinstance(r.at, datetime)
        return {"zone": str(r.at.tzinfo)}

    assert by_row(when).at(FRAME.head(1), np.zeros(1, np.int64))["zone"].to_list() == ["Asia/Tokyo"]


def test_what_it_raises_names_the_line_and_the_row() -> None:
    def broken(r: Any) -> dict[str, Any]:
        half = None if r.distance is None else 1
        return {"x": r.name + half}  # raises

    with pytest.raises(StepError) as caught:
        answers(by_row(broken))
    assert caught.value.where == f"{__file__}:{line_of('# raises', __file__)}"
    assert "TypeError" in caught.value.message
    assert "'name': 'a'" in caught.value.hint


def test_errors_that_explain_themselves_pass() -> None:
    def refusing(r: Any) -> dict[str, Any]:
        if r.name:
            raise RefusedError("no")
        return {}

    with pytest.raises(RefusedError):
        answers(by_row(refusing))


WRONG = [
    (lambda r: {"x": 1 if r.name == "a" else "b"}, "x as float and str"),
    (lambda r: {"x": True if r.name == "a" else 1.5}, "x as bool and float"),
    (lambda r: {"x": 1} if r.name == "a" else {"y": 1}, "['y'] for one row and ['x'] for others"),
    (lambda r: {"x": [r.name]} if r.name else {}, "no number, text or truth value"),
    (lambda r: {"x": 2**53 + 1} if r.name else {}, "no float holds exactly"),
    (lambda r: [r.name] if r.name else {}, "not a dict"),
]


@pytest.mark.parametrize(("function", "message"), WRONG)
def test_features_keep_their_names_and_types(function: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        answers(by_row(function))
    assert message in caught.value.message
    assert caught.value.where.startswith(f"{__file__}:")


def test_a_column_that_the_code_does_not_name_is_no_attribute() -> None:
    def hidden(r: Any) -> dict[str, Any]:
        return {"x": 1 if getattr(r, "".join(["un", "read"])) else 0}

    with pytest.raises(StepError, match="no column 'unread'"):
        answers(by_row(hidden))
