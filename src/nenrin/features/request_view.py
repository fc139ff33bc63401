"""A traced view over the request's own row."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import polars as pl

from nenrin.core.errors import IntegrityError
from nenrin.features.arrays import Ints
from nenrin.features.compiled import row_function
from nenrin.features.kinds import physical
from nenrin.features.polars_expr import feature_columns
from nenrin.features.traced import Traced


class RequestView:
    """Features of the row itself; the instant it was asked does not matter."""

    def __init__(self, traced: Traced) -> None:
        self.traced = traced

    @property
    def names(self) -> tuple[str, ...]:
        """The features, in declared order."""
        return tuple(self.traced.features)

    def at(self, rows: pl.DataFrame, _asked: Ints) -> pl.DataFrame:
        """The features of n rows, in their order."""
        values = physical(rows, self.traced.columns)
        if not values.width:
            values = pl.DataFrame({"__row__": np.zeros(rows.height, dtype=np.int8)})
        return feature_columns(values, self.traced.features)

    def row(self, row: Mapping[str, Any], _asked: int) -> dict[str, Any]:
        """The features of one row of physical values."""
        found: dict[str, Any] = self._function(row)
        return found

    def dumps(self) -> bytes:
        """The view as bytes."""
        return msgspec.msgpack.encode(self.traced.stored())

    @classmethod
    def loads(cls, data: bytes) -> RequestView:
        """The view that :meth:`dumps` wrote."""
        try:
            return cls(msgspec.msgpack.decode(data, type=Traced))
        except msgspec.MsgspecError as error:
            raise IntegrityError(f"a stored feature view cannot be read: {error}") from error

    @cached_property
    def _function(self) -> Any:
        return row_function(self.traced.features, self.traced.view)
