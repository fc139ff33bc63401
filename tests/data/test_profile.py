from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from nenrin.data.profile import QUANTILES, column, profile


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
