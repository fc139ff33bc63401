from __future__ import annotations

import polars as pl

from nenrin.features.keys import KeyTable, repeated

BIG = 2**53


def test_equal_keys_have_equal_numbers_and_nulls_none() -> None:
    frame = pl.DataFrame({"k": [BIG, BIG + 1, None, BIG], "s": ["a", "a", "a", None]})
    table = KeyTable.of({"k": "integer", "s": "text"}, frame)
    assert len(table) == 2
    asked = pl.DataFrame(
        {
            "s": ["a", "a", "a", None, "b"],
            "k": pl.Series([BIG + 1, BIG, None, BIG, 0], dtype=pl.Int64),
        }
    )
    assert table.numbers(asked).tolist() == [1, 0, -1, -1, -1]
    assert [table.number(row) for row in asked.select("k", "s").rows()] == [1, 0, -1, -1, -1]


def test_versions_of_a_row_share_a_number() -> None:
    frame = pl.DataFrame({"a": [1, 2, 1], "b": ["x", "x", "x"]})
    found = repeated(frame, ["a", "b"])
    assert found is not None
    assert found[0] == found[2] != found[1]
    assert repeated(frame.head(2), ["a", "b"]) is None
    assert repeated(frame, []) is None
