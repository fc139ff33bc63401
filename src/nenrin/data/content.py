"""The digest of rows, whatever file they are kept in.

The bytes of a Parquet file depend on its writer; what is digested here are the values alone, in row
order: for each column its name and type, which rows are null, and the values (texts as lengths and
UTF-8). A column without a value in the rows does not count: neither does a file have to hold it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
from blake3 import blake3

from nenrin.core.digest import canonical

_Values = Callable[[int, int], list[memoryview]]


class RowContent:
    """The rows of a frame, ready to give the digest of any range of them."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._columns = [
            (
                canonical([name, str(frame.schema[name])]),
                frame[name].is_null().to_numpy(),
                _values(frame[name]),
            )
            for name in frame.columns
        ]

    def digest(self, start: int, stop: int) -> str:
        """BLAKE3 of the rows from ``start`` up to, not with, ``stop``; 64 hexadecimal digits."""
        hasher = blake3(canonical(stop - start))
        for head, missing, values in self._columns:
            gaps = missing[start:stop]
            if gaps.all():
                continue
            hasher.update(head)
            hasher.update(gaps.view(np.uint8).data)
            for part in values(start, stop):
                hasher.update(part)
        return hasher.hexdigest()


def digest_rows(frame: pl.DataFrame) -> str:
    """BLAKE3 of all rows of ``frame``."""
    return RowContent(frame).digest(0, frame.height)


def _values(series: pl.Series) -> _Values:
    if series.dtype == pl.String:
        return _texts(series)
    if series.dtype == pl.Boolean:
        return _array(series.fill_null(False).to_numpy())
    wide = series.dtype in (pl.Decimal, pl.Int128, pl.UInt128)  # wider than numpy's numbers
    if series.dtype.is_temporal() or (series.dtype.is_numeric() and not wide):
        return _array(series.to_physical().fill_null(0).to_numpy())
    # lists, structs, bytes, wide numbers: rare and small, by their Python values
    return _texts(pl.Series([repr(value) for value in series.to_list()], dtype=pl.String))


def _array(array: np.ndarray) -> _Values:
    rows = np.ascontiguousarray(array).view(np.uint8).reshape(len(array), array.itemsize)
    return lambda start, stop: [rows[start:stop].reshape(-1).data]


def _texts(series: pl.Series) -> _Values:
    lengths = series.str.len_bytes().fill_null(0).cast(pl.Int64).to_numpy()
    text = memoryview("".join(series.str.join("").to_list()).encode())
    ends = np.concatenate([[0], np.cumsum(lengths)])
    numbers = _array(lengths)
    return lambda start, stop: [*numbers(start, stop), text[ends[start] : ends[stop]]]
