"""The containers that model functions ask for."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.training.columns import encode
from nenrin.training.containers import Frames, labels, to_numpy, to_pandas, to_polars

FRAME = pl.DataFrame(
    {
        "temp": [1.5, None, -3.0],
        "seats": [2**60, 5, None],
        "day": [1, 2, 3],
        "wet": [True, None, False],
        "far": [True, True, False],
        "carrier": ["UA", None, "AA"],
    }
)


def test_polars_gets_enums_over_the_vocabulary() -> None:
    frame = to_polars(encode(FRAME))
    assert frame.schema["carrier"] == pl.Enum(["AA", "UA"])
    assert frame.cast({"carrier": pl.String}).equals(FRAME)


def test_pandas_gets_unordered_categories_and_float_booleans() -> None:
    frame = to_pandas(encode(FRAME))
    carrier = frame["carrier"].dtype
    assert isinstance(carrier, pd.CategoricalDtype)
    assert not carrier.ordered
    assert list(carrier.categories) == ["AA", "UA"]
    assert frame["carrier"].isna().tolist() == [False, True, False]
    assert {name: str(dtype) for name, dtype in frame.dtypes.items() if name != "carrier"} == {
        "temp": "float64",
        "seats": "float64",
        "day": "int64",
        "wet": "float32",
        "far": "float32",
    }
    np.testing.assert_array_equal(frame["wet"], [1.0, np.nan, 0.0])


def test_numpy_gets_places_in_the_vocabulary() -> None:
    matrix = to_numpy(encode(FRAME))
    assert matrix.dtype == np.float64
    np.testing.assert_array_equal(matrix[:, 5], [1.0, np.nan, 0.0])
    np.testing.assert_array_equal(matrix[:, 0], [1.5, np.nan, -3.0])


@pytest.mark.parametrize("size", [1, 255, 256, 257, 70_000])
def test_vocabularies_of_any_size(size: int) -> None:
    frame = pl.DataFrame({"x": [f"{place:06}" for place in range(size)] + [None]})
    columns = encode(frame)
    assert to_polars(columns).cast(pl.String).equals(frame)
    assert to_pandas(columns)["x"].astype(object).isna().sum() == 1


def test_no_text_at_all() -> None:
    columns = encode(pl.DataFrame({"x": pl.Series([None, None], dtype=pl.String)}))
    assert to_polars(columns)["x"].null_count() == 2
    assert to_pandas(columns)["x"].isna().all()
    assert np.isnan(to_numpy(columns)).all()


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=10))
def test_whole_numbers_stay_exact_in_polars(values: list[int | None]) -> None:
    columns = encode(pl.DataFrame({"x": pl.Series(values, dtype=pl.Int64)}))
    assert to_polars(columns)["x"].to_list() == values


@given(st.lists(st.text('ab_ %[5B\n",é', min_size=1, max_size=6), unique=True, max_size=4))
def test_labels_are_taken_by_libraries_and_give_the_names_back(names: list[str]) -> None:
    given = labels(names)
    assert [unquote(label) for label in given] == names
    assert len({label.replace(" ", "_") for label in given}) == len(names)
    assert not set("".join(given)) & set('[\n",')


def test_plain_names_are_their_own_labels() -> None:
    plain = ["temp", "Odd name?", "humidity %", "größe", "a_b", "a-b (c) 100%"]
    assert labels(plain) == plain
    assert labels(["size [cm]", "a b", "a_b"]) == ["size %5Bcm%5D", "a%20b", "a_b"]


def test_building_does_not_change_the_columns() -> None:
    columns = encode(FRAME)
    before = [column.values.copy() for column in columns]
    frame = to_pandas(columns)
    frame.loc[:, "day"] = 0
    to_numpy(columns)[:] = 0.0
    for column, values in zip(columns, before, strict=True):
        np.testing.assert_array_equal(column.values, values)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_frames_of_the_same_columns_share_nothing_that_a_caller_could_change(
    container: str,
) -> None:
    once = {"pandas": to_pandas, "polars": to_polars}[container]
    frames = Frames(FRAME.columns)
    build = {"pandas": frames.pandas, "polars": frames.polars}[container]
    others = FRAME.with_columns(carrier=pl.Series(["DL", "B6", None]))  # another vocabulary
    for frame in (FRAME, FRAME[:1], others, FRAME):
        columns = encode(frame)
        built: Any = build(columns)
        assert built.equals(once(columns))
        if container == "pandas":
            built.columns.name = "renamed"
            built["carrier"].cat.categories.name = "renamed"
            again = frames.pandas(columns)
            assert again.columns.name is None
            assert again["carrier"].cat.categories.name is None


def test_a_frame_that_is_not_copied_at_once_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    few = to_pandas(encode(FRAME))
    monkeypatch.setattr("nenrin.training.containers._FEW", 0)
    pd.testing.assert_frame_equal(few, to_pandas(encode(FRAME)))
