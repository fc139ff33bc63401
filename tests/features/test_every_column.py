from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest

from nenrin.core.errors import ProjectError
from nenrin.features.every_column import every_column
from nenrin.features.trace import trace
from tests.features.makers import both, make_dataset

ROWS = make_dataset("customers", key="id", time="seen", known="told")
FRAME = pl.DataFrame(
    {
        "id": [1, 2],
        "seen": [datetime(2013, 1, 1, tzinfo=UTC)] * 2,
        "told": [datetime(2013, 1, 1, tzinfo=UTC)] * 2,
        "plan": ["a", None],
        "since": [date(1970, 1, 11), None],
        "last": [datetime(1970, 1, 2, 12, tzinfo=UTC), None],
        "age": [30, None],
        "tags": [["x"], ["y"]],
        "churned": ["Yes", "No"],
        "__event__": [0, 0],
        "__known__": [0, 0],
    }
)


def test_every_column_that_can_be_one_is_a_feature() -> None:
    view = every_column(ROWS, FRAME.schema, {"tags", "churned"})
    assert both(view.function, FRAME) == [
        {"plan": "a", "since": 10.0, "last": 1.5, "age": 30},
        {"plan": None, "since": None, "last": None, "age": None},
    ]
    assert trace(view, FRAME.schema, None).view == "customers"


@pytest.mark.parametrize(
    ("drop", "message"),
    [
        ({"churned"}, "customers.tags holds List(String)"),
        ({"tags", "chured"}, "no column chured"),
        ({"tags", "churned", "plan", "since", "last", "age"}, "no column left"),
    ],
)
def test_what_cannot_be_one_is_named(drop: set[str], message: str) -> None:
    with pytest.raises(ProjectError) as caught:
        every_column(ROWS, FRAME.schema, drop)
    assert message in caught.value.message
    assert caught.value.where == ROWS.declared.where
    assert caught.value.hint
