"""Which keys changed between two indexes of one view."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from nenrin.features.changes import changed
from tests.features.makers import index_of
from tests.features.streams import START, stream

ROWS = {
    "place": ["a", "b", "c"],
    "value": [1.5, 2.5, 3.5],
    "whole": [1, 2, 3],
    "__event__": [START, START, START],
    "__known__": [START, START, START],
}


@pytest.mark.parametrize(
    "view",
    [
        lambda r: {"value": r.value, "whole": r.whole},
        lambda r: {"total": r.value.sum("1h"), "whole": r.whole.sum("1h")},
    ],
)
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("value", 2.25),
        ("value", float("nan")),
        ("value", None),
        ("whole", 7),
        ("__event__", START - 1),
    ],
)
def test_finds_the_one_key_that_answers_otherwise(view: Any, column: str, value: Any) -> None:
    before = index_of(pl.DataFrame(ROWS), view, by="place")
    other = {**ROWS, column: [ROWS[column][0], value, ROWS[column][2]]}
    now = index_of(pl.DataFrame(other), view, by="place")
    found = changed(before, now)
    assert found is not None
    assert now.keys.keys["place"].gather(found).to_list() == ["b"]


def test_the_same_rows_in_another_order_are_the_same() -> None:
    frame = stream(2).unique(["place", "__event__"], maintain_order=True)
    view = lambda r: {"value": r.whole, "n": r.count("1h")}  # noqa: E731
    found = changed(index_of(frame, view, by="place"), index_of(frame.reverse(), view, by="place"))
    assert found is not None
    assert found.size == 0


def test_a_new_key_is_found_and_one_that_is_gone_said() -> None:
    view = lambda r: {"value": r.value}  # noqa: E731
    few, all_of_them = pl.DataFrame(ROWS).head(2), pl.DataFrame(ROWS)
    found = changed(index_of(few, view, by="place"), index_of(all_of_them, view, by="place"))
    assert found is not None
    assert found.tolist() == [2]
    assert changed(index_of(all_of_them, view, by="place"), index_of(few, view, by="place")) is None
