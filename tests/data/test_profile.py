from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from unittest import mock

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from nenrin.core.instants import DAY
from nenrin.data.files import Manifest, parquet, write_files
from nenrin.data.profile import QUANTILES, column, column_of_files, profile, profiled
from nenrin.data.times import EVENT, KNOWN
from tests.data.fakes import FolderStore


def test_a_profile_is_plain_values_and_leaves_out_the_instants():
    frame = pl.DataFrame(
        {
            "n": [1, None, 3],
            "x": [0.5, float("nan"), float("inf")],
            "s": ["b", "a", "b"],
            "f": [True, False, None],
            "t": [datetime(2020, 1, 1, tzinfo=UTC), None, datetime(2020, 1, 2, tzinfo=UTC)],
            "d": [date(2020, 1, 1)] * 3,
            "l": [[1], [2], None],
            "e": pl.Series([None] * 3, dtype=pl.Float64),
            "__event__": [0, 0, 0],
            "__known__": [0, 0, 0],
        }
    )
    found = profile(frame)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    columns = found["columns"]
    assert found["rows"] == 3
    assert [columns[name]["kind"] for name in columns] == [
        "number", "number", "text", "boolean", "time", "time", "other", "number",
    ]  # fmt: skip
    assert columns["n"] | {"quantiles": 0, "histogram": 0} == {
        "kind": "number", "type": "Int64", "nulls": 1, "distinct": 2, "nans": 0, "infinite": 0,
        "min": 1.0, "max": 3.0, "mean": 2.0, "std": 1.0, "quantiles": 0, "histogram": 0,
    }  # fmt: skip
    assert (columns["x"]["nans"], columns["x"]["infinite"], columns["x"]["max"]) == (1, 1, 0.5)
    assert columns["s"]["top"] == [["b", 2], ["a", 1]]
    assert columns["f"]["mean"] == 0.5
    assert columns["t"]["max"] == "2020-01-02T00:00:00Z"
    assert columns["d"]["min"] == "2020-01-01"
    assert columns["e"]["nulls"] == 3


@given(st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), min_size=1))
def test_numbers_agree_with_a_plain_reference(values):
    found = column(pl.Series(values, dtype=pl.Float64))
    finite = sorted(value for value in values if not math.isnan(value))
    assert found["nans"] == len(values) - len(finite)
    if not finite:
        assert "min" not in found
        return
    assert (found["min"], found["max"]) == (finite[0], finite[-1])
    assert math.isclose(found["mean"], math.fsum(finite) / len(finite), rel_tol=1e-9, abs_tol=1e-6)
    for level in QUANTILES:
        place = level * (len(finite) - 1)
        low = finite[math.floor(place)]
        high = finite[math.ceil(place)]
        assert low - 1e-6 <= found["quantiles"][str(level)] <= high + 1e-6
    assert sum(found["histogram"]["counts"]) == len(finite)


def test_the_ten_most_frequent_texts_do_not_depend_on_their_order():
    texts = [f"t{i % 30}" for i in range(95)]
    shuffled = np.random.default_rng(0).permutation(texts).tolist()
    top = column(pl.Series(texts))["top"]
    assert top == column(pl.Series(shuffled))["top"]
    assert [count for _, count in top] == [4] * 5 + [3] * 5


@given(
    st.lists(
        st.tuples(
            st.none()
            | st.floats(-1e9, 1e9)
            | st.sampled_from([float("nan"), float("inf"), -0.0, 0.5]),
            st.none() | st.integers(-(2**60), 2**60),
            st.none() | st.sampled_from(["a", "b", "c"]),
            st.none() | st.booleans(),
        ),
        min_size=1,
        max_size=60,
    ),
    st.integers(1, 20),
)
@settings(max_examples=40, deadline=None)
def test_files_have_the_profile_of_their_rows(tmp_path_factory, rows, most):
    kinds = {"x": pl.Float64, "n": pl.Int64, "s": pl.String, "f": pl.Boolean}
    days = pl.Series(KNOWN, [DAY * (i // 7) for i in range(len(rows))], dtype=pl.Int64)
    frame = pl.DataFrame(rows, schema=kinds, orient="row").with_columns(
        pl.Series("l", [[i] for i in range(len(rows))]), days.alias(EVENT), days
    )
    store = FolderStore(tmp_path_factory.mktemp("store"))
    files = write_files(frame, store)
    manifest = Manifest(
        dataset="rows",
        schema={name: str(kind) for name, kind in frame.schema.items()},
        header=store.put(parquet(frame.clear())),
        files=tuple(files),
        bound=0,
        rows=frame.height,
    )
    with mock.patch("nenrin.data.profile.PART", most):
        found = {name: column_of_files(manifest, store, name) for name in profiled(frame.columns)}
    # repr, and not ==: to the bit, and the sign of a zero too
    assert repr({"rows": frame.height, "columns": found}) == repr(profile(frame))


@given(st.lists(st.integers(-50, 50).map(lambda n: n / 7) | st.floats(-1e6, 1e6), min_size=1))
def test_counted_numbers_are_those_of_numpy(values):
    found, array = column(pl.Series(values * 3, dtype=pl.Float64)), np.array(values * 3)
    close = {"rel_tol": 1e-9, "abs_tol": 1e-7}
    assert math.isclose(found["mean"], array.mean(), **close)
    assert math.isclose(found["std"], array.std(), **close)
    levels = np.quantile(array, QUANTILES)
    assert np.allclose(list(found["quantiles"].values()), levels, rtol=1e-12, atol=1e-9)
    assert (
        found["histogram"]["counts"]
        == np.histogram(array, bins=len(found["histogram"]["counts"]))[0].tolist()
    )


def test_sums_are_rounded_once():
    values = [1e16, 1.0, -1e16, 1.0] * 5
    assert column(pl.Series(values))["mean"] == 0.5


def test_numbers_that_are_too_large_to_be_added_are_infinite_and_no_error():
    found = column(pl.Series([1.7e308, 1.7e308, -1.7e308]))
    assert found["std"] == math.inf
    assert found["max"] == 1.7e308
