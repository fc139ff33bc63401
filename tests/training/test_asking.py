"""Which rows are predicted, and when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.core.errors import ProjectError
from nenrin.core.instants import HOUR, to_us
from nenrin.data.declare import Dataset, dataset
from nenrin.training.asking import ask, plain_columns, row_keys
from nenrin.training.declare import Model, model


@dataset(key="id", time="at", tz="America/New_York", known="1h")
def flights() -> None: ...


@dataset(key=["shop", "day"], time="at")
def sales() -> None: ...


@dataset()
def loose() -> None: ...


def _model(rows: Dataset = flights, **changes: Any) -> Model:
    @model(**{"rows": rows, "label": rows.late, **changes})
    def guess(rows: Any) -> Any: ...

    return guess


def _frame(versions: list[tuple[int, int | None, int]]) -> pl.DataFrame:
    """(key, event, known) of each version, in the order of becoming known."""
    ordered = sorted(versions, key=lambda version: version[2])
    return pl.DataFrame(
        {
            "id": [f"k{key}" for key, _, _ in ordered],
            "version": list(range(len(ordered))),
            "__event__": pl.Series([event for _, event, _ in ordered], dtype=pl.Int64),
            "__known__": pl.Series([known for _, _, known in ordered], dtype=pl.Int64),
        }
    )


versions = st.lists(
    st.tuples(st.integers(0, 3), st.none() | st.integers(0, 9), st.integers(0, 9)),
    max_size=12,
    unique_by=lambda version: (version[0], version[2]),
)


def _reference(rows: list[dict[str, Any]]) -> list[tuple[int, str, int]]:
    """(asked, key, version): the version that stood when its own asked instant came."""
    chosen = []
    for key in {row["id"] for row in rows}:
        mine = [row for row in rows if row["id"] == key and row["__event__"] is not None]
        for place, row in enumerate(mine):
            asked = row["__event__"]
            later = mine[place + 1]["__known__"] if place + 1 < len(mine) else None
            if later is None or later > asked:
                chosen.append((asked, key, row["version"]))
                break
    return sorted(chosen)


@given(versions)
def test_each_key_is_asked_once_as_it_stood(drawn: list[tuple[int, int | None, int]]) -> None:
    frame = _frame(drawn)
    asked = ask(_model(), frame)
    found = zip(asked.asked.tolist(), asked.keys, asked.frame["version"], strict=True)
    assert list(found) == _reference(frame.to_dicts())
    assert asked.known.tolist() == asked.frame["__known__"].to_list()


@given(versions, st.integers(0, 9))
def test_what_was_asked_never_changes_with_later_loads(
    drawn: list[tuple[int, int | None, int]], cut: int
) -> None:
    full = _frame(drawn)
    whole = ask(_model(), full)
    part = ask(_model(), full.filter(pl.col("__known__") <= cut))
    before = {
        key: (asked, version)
        for key, asked, version in zip(part.keys, part.asked, part.frame["version"], strict=True)
        if asked <= cut
    }
    after = dict(
        zip(whole.keys, zip(whole.asked, whole.frame["version"], strict=True), strict=True)
    )
    assert {key: after[key] for key in before} == before


def test_rows_come_in_the_order_of_asking_then_key() -> None:
    asked = ask(_model(), _frame([(2, 5, 0), (1, 5, 1), (3, 4, 2)]))
    assert asked.keys.to_list() == ["k3", "k1", "k2"]


def test_at_moves_the_instant_and_the_time_column_is_the_event() -> None:
    frame = _frame([(1, 5 * HOUR, 0)]).with_columns(at=pl.lit(None))
    asked = ask(_model(at=flights.at - "2h"), frame)
    assert asked.asked.tolist() == [3 * HOUR]


def test_at_takes_instants_and_local_days_and_falls_back_on_the_event() -> None:
    when = datetime(2013, 7, 1, 12, tzinfo=UTC)
    frame = _frame([(1, 5, 0), (2, 6, 0)]).with_columns(
        booked=pl.Series([when, None], dtype=pl.Datetime("us", "UTC")),
        day=pl.Series([when.date(), None], dtype=pl.Date),
    )
    assert ask(_model(at=flights.booked), frame).asked.tolist() == [6, to_us(when)]
    midnight = to_us(datetime(2013, 7, 1, 4, tzinfo=UTC))
    assert ask(_model(at=flights.day), frame).asked.tolist() == [6, midnight]


@pytest.mark.parametrize(("name", "says"), [("boked", "does not exist"), ("version", "Int64")])
def test_at_wants_an_instant(name: str, says: str) -> None:
    with pytest.raises(ProjectError, match=says) as caught:
        ask(_model(at=flights[name]), _frame([(1, 5, 0)]))
    assert "test_asking.py:" in caught.value.where


def test_a_row_without_an_event_is_never_asked() -> None:
    assert ask(_model(), _frame([(1, 5, 0), (2, None, 900)])).asked.tolist() == [5]


def test_keys_of_several_columns_cannot_be_confused() -> None:
    frame = pl.DataFrame({"shop": ["a|", "a", "a\\"], "day": ["b", "|b", "|b"]})
    keys = row_keys(sales, frame)
    assert keys.n_unique() == 3
    assert row_keys(sales, pl.DataFrame({"shop": [3], "day": ["mon"]})).to_list() == ["3|mon"]


def test_without_a_key_every_row_is_its_own() -> None:
    frame = _frame([(1, 5, 0), (1, 5, 1)])
    asked = ask(_model(loose), frame)
    assert asked.keys.to_list() == ["000000000000", "000000000001"]
    assert np.array_equal(asked.asked, [5, 5])


def test_plain_columns_are_all_but_key_time_label_and_dropped() -> None:
    columns = ["id", "at", "late", "x", "notes", "__event__"]
    declared = _model(drop=["notes"])
    assert plain_columns(declared, columns) == ["x"]
    with pytest.raises(ProjectError, match="'nots'"):
        plain_columns(_model(drop=["nots"]), columns)
