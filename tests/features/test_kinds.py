from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from nenrin.core.errors import DataError
from nenrin.features.kinds import kind_of, kinds, physical


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        (pl.UInt16(), "integer"),
        (pl.Int128(), "integer"),
        (pl.Float32(), "number"),
        (pl.Null(), "number"),
        (pl.Boolean(), "boolean"),
        (pl.Enum(["a"]), "text"),
        (pl.Categorical(), "text"),
        (pl.Datetime("ns", "Asia/Tokyo"), "instant"),
        (pl.Date(), "date"),
        (pl.Duration(), None),
        (pl.Decimal(5, 2), None),
        (pl.List(pl.Int64), None),
        (pl.Time(), None),
        (pl.Binary(), None),
    ],
)
def test_kinds_of_columns(dtype: Any, kind: str | None) -> None:
    assert kind_of(dtype) == kind


def test_nenrins_own_columns_are_not_readable() -> None:
    assert kinds(pl.Schema({"a": pl.Int8, "b": pl.Time, "__event__": pl.Int64})) == {"a": "integer"}


def test_physical_values_are_exact_or_refused() -> None:
    frame = pl.DataFrame({"n": pl.Series([2**64 - 1], dtype=pl.UInt64), "x": [None]})
    assert physical(frame, {"x": "number"}).schema == {"x": pl.Float64}
    with pytest.raises(DataError, match="does not fit"):
        physical(frame, {"x": "number", "n": "integer"})
