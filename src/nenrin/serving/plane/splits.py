"""The short way of ``dataframe_split``: a row is decoded to a tuple of the types of its columns.

It reads what :mod:`nenrin.serving.plane.invocations` would have read. Whatever is not plain, or not right, is
left to that.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from nenrin.serving.plane.rows import RowReader
from nenrin.training.records import Records

_COLUMNS_BYTES = 2**16  # of names that are remembered


class _Split(msgspec.Struct, gc=False):
    """``index`` and others are passed over."""

    columns: msgspec.Raw
    data: msgspec.Raw


class _Body(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    dataframe_split: _Split


_decode = msgspec.json.Decoder(_Body).decode
_names = msgspec.json.Decoder(tuple[str, ...]).decode


class _Layout(msgspec.Struct, frozen=True):
    """How the rows of some columns are read. Attributes: ``nulls``: columns that they leave out."""

    names: tuple[str, ...]
    nulls: tuple[str, ...]
    decoder: msgspec.json.Decoder[list[tuple[Any, ...]]]


def read(body: bytes, reader: RowReader) -> Records | None:
    """The rows of a plain body; None: it is not one."""
    try:
        split = _decode(body).dataframe_split
        columns = bytes(split.columns)
        layout = _layout(reader, columns) if len(columns) <= _COLUMNS_BYTES else None
        if layout is None:
            return None
        rows = layout.decoder.decode(split.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not rows:
        return None
    return Records.of_tuples(layout.names, rows, layout.nulls, bytes(split.data))


@lru_cache(256)
def _layout(reader: RowReader, columns: bytes) -> _Layout | None:
    """Of the names, as they stand in a body; None where they need a closer look."""
    names = _names(columns)
    typed = reader.typed(names)
    if typed is None or not names:
        return None
    row, nulls = typed
    rows: Any = list[row]  # type: ignore[valid-type]
    return _Layout(names, nulls, msgspec.json.Decoder(rows))
