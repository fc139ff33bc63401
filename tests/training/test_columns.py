"""Feature columns as numpy arrays."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.core.errors import ProjectError, RequestError
from nenrin.training.columns import (
    ColumnSpec,
    FeatureColumn,
    RowEncoder,
    encode,
    encode_as,
    recode,
)

texts = st.none() | st.sampled_from(["", "a", "b", "ä", "日", "a b"])
rows = st.lists(
    st.tuples(
        st.none() | st.floats(allow_nan=False),
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.booleans(),
        texts,
    ),
    min_size=1,
    max_size=12,
)


def _frame(values: list[tuple[Any, ...]]) -> pl.DataFrame:
    schema = {"number": pl.Float64, "integer": pl.Int64, "boolean": pl.Boolean, "string": pl.String}
    return pl.DataFrame(values, schema=schema, orient="row")


def _values(column: FeatureColumn) -> list[Any]:
    """The plain values of a column, by its documented encoding."""
    if column.kind == "string":
        return [None if code < 0 else column.vocabulary[code] for code in column.values]
    if column.kind == "boolean":
        return [None if value < 0 else bool(value) for value in column.values]
    if column.kind == "integer":
        mask = column.mask if column.mask is not None else np.zeros(len(column.values), dtype=bool)
        return [None if gone else int(v) for v, gone in zip(column.values, mask, strict=True)]
    return [None if np.isnan(value) else float(value) for value in column.values]


@given(rows)
def test_encoding_keeps_every_value_exactly(values: list[tuple[Any, ...]]) -> None:
    columns = encode(_frame(values))
    assert [column.kind for column in columns] == ["number", "integer", "boolean", "string"]
    assert list(zip(*map(_values, columns), strict=True)) == values
    assert list(columns[3].vocabulary) == sorted({row[3] for row in values} - {None})


@given(rows, rows)
def test_other_rows_keep_what_the_model_knows(
    trained: list[tuple[Any, ...]], asked: list[tuple[Any, ...]]
) -> None:
    specs = [column.spec for column in encode(_frame(trained))]
    known = {row[3] for row in trained} - {None}
    wanted = [(*row[:3], row[3] if row[3] in known else None) for row in asked]
    by_frame = encode_as(specs, _frame(asked))
    by_rows = RowEncoder(specs).encode(_frame(asked).to_dicts())
    by_code = recode(encode(_frame(asked))[::-1], specs)
    for columns in (by_frame, by_rows, by_code):
        assert list(zip(*map(_values, columns), strict=True)) == wanted
        assert [column.spec for column in columns] == specs


@given(rows, st.data())
def test_narrowed_rows_know_their_own_texts_only(
    values: list[tuple[Any, ...]], data: st.DataObject
) -> None:
    kept = data.draw(st.lists(st.integers(0, len(values) - 1), unique=True).map(sorted))
    index = np.array(kept, dtype=np.int64)
    columns = encode(_frame(values))
    narrowed = columns[3].narrowed(index)
    assert _values(narrowed.take(index)) == [values[place][3] for place in kept]
    assert list(narrowed.vocabulary) == sorted({values[place][3] for place in kept} - {None})
    assert columns[0].narrowed(index) is columns[0]


@given(rows)
def test_numbers_of_everything(values: list[tuple[Any, ...]]) -> None:
    for column in encode(_frame(values)):
        plain = _values(column)
        wanted = [
            column.vocabulary.index(value) if isinstance(value, str) else value for value in plain
        ]
        expected = np.array([np.nan if v is None else float(v) for v in wanted])
        np.testing.assert_array_equal(column.numbers(), expected)


def test_taking_a_slice_copies_nothing() -> None:
    column = encode(pl.DataFrame({"x": [1.0, 2.0, 3.0]}))[0]
    assert np.shares_memory(column.take(slice(1, 3)).values, column.values)


def test_instants_durations_and_decimals_become_numbers() -> None:
    frame = pl.DataFrame(
        {
            "at": [datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)],
            "day": [date(1970, 1, 2)],
            "took": [timedelta(seconds=2)],
            "price": [Decimal("1.50")],
            "small": pl.Series([7], dtype=pl.Int8),
            "kind": pl.Series(["a"], dtype=pl.Categorical),
            "gone": [None],
        }
    )
    found = {column.name: (column.kind, _values(column)[0]) for column in encode(frame)}
    assert found == {
        "at": ("integer", 1_000_000),
        "day": ("integer", 86_400_000_000),
        "took": ("integer", 2_000_000),
        "price": ("number", 1.5),
        "small": ("integer", 7),
        "kind": ("string", "a"),
        "gone": ("boolean", None),
    }
    specs = [column.spec for column in encode(frame)]
    again = RowEncoder(specs).encode(frame.to_dicts())
    assert [_values(column) for column in again] == [[value] for _, value in found.values()]


def test_a_column_that_no_model_takes_is_refused() -> None:
    with pytest.raises(ProjectError, match="'tags' holds List") as caught:
        encode(pl.DataFrame({"tags": [["a"]]}), "project.py:3")
    assert caught.value.where == "project.py:3"


def test_rows_without_a_column_are_refused() -> None:
    specs = [ColumnSpec(name="x", kind="number"), ColumnSpec(name="y", kind="number")]
    with pytest.raises(RequestError, match="lack y"):
        encode_as(specs, pl.DataFrame({"x": [1.0]}))
    assert np.isnan(RowEncoder(specs).encode([{"x": 1.0}])[1].values[0])


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("number", "far"),
        ("number", "7"),
        ("integer", "7"),
        ("integer", 7.5),
        ("boolean", "maybe"),
        ("boolean", 2),
        ("string", 3),
        ("string", True),
    ],
)
def test_values_of_another_kind_are_refused(kind: str, value: object) -> None:
    spec = ColumnSpec(name="x", kind=kind, vocabulary=("a",))
    with pytest.raises(RequestError, match=r"x is a .* to the model") as caught:
        RowEncoder([spec]).encode([{"x": value}])
    assert caught.value.where == "x"
    with pytest.raises(RequestError, match=r"x is a .* to the model"):
        encode_as([spec], pl.DataFrame({"x": [value]}))


def test_integers_beyond_64_bits_are_refused() -> None:
    with pytest.raises(RequestError):
        RowEncoder([ColumnSpec(name="x", kind="integer")]).encode([{"x": 2**70}])


@pytest.mark.parametrize(
    ("kind", "given", "wanted"),
    [
        ("number", 7, 7.0),
        ("number", True, 1.0),
        ("integer", 7.0, 7),
        ("integer", False, 0),
        ("boolean", 1, True),
        ("boolean", 0.0, False),
        ("string", "unseen", None),
        ("string", None, None),
        ("number", None, None),
        ("integer", None, None),
    ],
)
def test_values_that_say_the_same_are_taken(kind: str, given: object, wanted: object) -> None:
    spec = ColumnSpec(name="x", kind=kind, vocabulary=("a",) if kind == "string" else ())
    assert _values(RowEncoder([spec]).encode([{"x": given}])[0]) == [wanted]
    assert _values(encode_as([spec], pl.DataFrame({"x": [given]}))[0]) == [wanted]


def test_a_frame_of_kinds_that_no_model_takes_is_refused() -> None:
    with pytest.raises(RequestError, match=r"List\(String\) was given"):
        encode_as([ColumnSpec(name="x", kind="string")], pl.DataFrame({"x": [["a"]]}))
