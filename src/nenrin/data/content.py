"""The digest of rows, whatever file they are kept in.

The bytes of a Parquet file depend on its writer; what is digested here are the values alone, in row order:
for each column its name and type, which rows are null, and the values (texts as lengths and UTF-8).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
from blake3 import blake3

from nenrin.core.digest import canonical

_Feed = Callable[[int, int], list[memoryview]]


class RowContent:
    """The rows of a frame, ready to give the digest of any range of them."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._head = canonical([[name, str(kind)] for name, kind in frame.schema.items()])
        self._feeds = [_feed(series) for series in frame.get_columns()]

    def digest(self, start: int, stop: int) -> str:
        """BLAKE3 of the rows from ``start`` up to, not with, ``stop``; 64 hexadecimal digits."""
        hasher = blake3(self._head)
        for feed in self._feeds:
            for part in feed(start, stop):
                hasher.update(part)
        return hasher.hexdigest()


def digest_rows(frame: pl.DataFrame) -> str:
    """BLAKE3 of all rows of ``frame``."""
    return RowContent(frame).digest(0, frame.height)


def _feed(series: pl.Series) -> _Feed:
    missing = series.is_null().to_numpy()
    if series.dtype == pl.String:
        return _texts(series, missing)
    if series.dtype.is_numeric() or series.dtype.is_temporal() or series.dtype == pl.Boolean:
        if not isinstance(series.dtype, pl.Decimal):
            values = series.to_physical().fill_null(False if series.dtype == pl.Boolean else 0)
            return _arrays(missing, np.ascontiguousarray(values.to_numpy()))
    # lists, structs, decimals, bytes: rare and small, by their Python values
    return _texts(pl.Series([repr(value) for value in series.to_list()], dtype=pl.String), missing)


def _arrays(*arrays: np.ndarray) -> _Feed:
    whole = [array.view(np.uint8).reshape(len(array), -1) for array in arrays]
    return lambda start, stop: [array[start:stop].reshape(-1).data for array in whole]


def _texts(series: pl.Series, missing: np.ndarray) -> _Feed:
    lengths = series.str.len_bytes().fill_null(0).cast(pl.Int64).to_numpy()
    text = memoryview((series.str.join("").item() or "").encode())
    ends = np.concatenate([[0], np.cumsum(lengths)])
    numbers = _arrays(missing, np.ascontiguousarray(lengths))
    return lambda start, stop: [*numbers(start, stop), text[ends[start] : ends[stop]]]
