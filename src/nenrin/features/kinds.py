"""The kinds of value that feature expressions know, and how stored columns become them.

Both evaluators compute on *physical* values: a 64-bit integer, a 64-bit float, a boolean or a text.
Instants are whole microseconds since 1970 UTC, dates whole days since 1970-01-01, so that comparing and
subtracting them is integer arithmetic, equal everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Literal as OneOf

import polars as pl

from nenrin.core.errors import DataError

Kind = OneOf["integer", "number", "boolean", "text", "instant", "date", "span", "clock"]
"""``span`` (a difference of instants, in microseconds) and ``clock`` (an instant seen in a time zone) live
inside expressions only; the other six are kinds of column."""

FEATURE_KINDS: tuple[Kind, ...] = ("integer", "number", "boolean", "text")
"""What a feature may be; instants and dates must be turned into one of these."""


@cache
def physical_types() -> Mapping[Kind, pl.DataType]:
    """The polars type of each kind's physical values; a function, for a data plane may never need polars."""
    return {
        "integer": pl.Int64(),
        "number": pl.Float64(),
        "boolean": pl.Boolean(),
        "text": pl.String(),
        "instant": pl.Int64(),
        "date": pl.Int64(),
        "span": pl.Int64(),
    }


def kind_of(dtype: pl.DataType) -> Kind | None:
    """The kind of a stored column, or None if expressions cannot read such a column.

    A column of nothing but nulls (``pl.Null``) counts as numbers. ``Decimal``, ``Duration``, ``Time``,
    lists and structs have no kind: a loader turns them into numbers or text.
    """
    if dtype.is_integer():
        return "integer"
    if dtype.is_float() or dtype == pl.Null:
        return "number"
    if dtype == pl.Boolean:
        return "boolean"
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return "text"
    if dtype == pl.Datetime:
        return "instant"
    return "date" if dtype == pl.Date else None


def kinds(schema: pl.Schema) -> dict[str, Kind]:
    """The readable columns of a frame with their kinds; nenrin's own ``__event__`` and ``__known__`` not."""
    found = {name: kind_of(dtype) for name, dtype in schema.items() if not name.startswith("__")}
    return {name: kind for name, kind in found.items() if kind is not None}


def physical(frame: pl.DataFrame, wanted: Mapping[str, Kind]) -> pl.DataFrame:
    """The columns ``wanted`` of a frame as physical values, in the order of ``wanted``.

    Raises:
        DataError: an unsigned or 128-bit integer does not fit in 64 signed bits.
    """
    try:
        return frame.select(
            _physical(name, kind, frame.schema[name]) for name, kind in wanted.items()
        )
    except pl.exceptions.InvalidOperationError as error:
        raise DataError(
            f"a whole number does not fit: {str(error).splitlines()[0]}",
            hint="integers must lie within 64 signed bits; turn others into text in the loader",
        ) from error


def _physical(name: str, kind: Kind, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if kind == "instant" and isinstance(dtype, pl.Datetime):
        return column.dt.cast_time_unit("us").to_physical().cast(pl.Int64)
    if kind == "date":
        return column.to_physical().cast(pl.Int64)
    return column.cast(physical_types()[kind])
