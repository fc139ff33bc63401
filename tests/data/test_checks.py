from __future__ import annotations

import polars as pl

from nenrin.data.checks import check
from nenrin.data.spec import DatasetSpec

SPEC = DatasetSpec(name="orders", key=("id",), time="t")
GOOD = pl.DataFrame({"id": [1, 2], "v": [1, 2], "__event__": [1, 2], "__known__": [1, 2]})


def outcomes(frame: pl.DataFrame) -> dict[str, str]:
    return {found["name"]: found["outcome"] for found in check(frame, SPEC)}


def test_good_rows_pass():
    assert set(outcomes(GOOD).values()) == {"pass"}


def test_what_is_wrong_is_said():
    frame = GOOD.with_columns(
        id=pl.Series([1, None]),
        v=pl.Series([None, None], dtype=pl.Int64),
        __event__=pl.Series([None, 2]),
    )
    found = {one["name"]: one for one in check(frame, SPEC)}
    assert found["keys"]["outcome"] == "fail"
    assert found["values"] == {
        "name": "values", "outcome": "warn", "numbers": {"columns": 1}, "says": "no value at all in v",
    }  # fmt: skip
    assert found["event time"]["outcome"] == "warn"
    assert found["event time"]["numbers"] == {"nulls": 1}


def test_doubled_keys_and_no_rows_fail():
    assert outcomes(pl.concat([GOOD, GOOD]))["keys"] == "fail"
    assert outcomes(GOOD.clear())["rows"] == "fail"
    assert outcomes(GOOD.clear())["values"] == "pass"
