"""The prediction log of a replay: whole days of predictions, kept by content.

A day's digest goes into the ledger, so it is taken over the values (numpy, in row order) and not
over a file format's bytes; the content digest says where the day's Parquet file is.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import msgspec
import numpy as np
import polars as pl

from nenrin.core.digest import digest, digest_arrays
from nenrin.core.errors import DataError
from nenrin.core.store import ContentStore

SCHEMA = pl.Schema(
    {
        "key": pl.String(),
        "asked": pl.Int64(),
        "policy": pl.String(),
        "version": pl.String(),
        "variant": pl.Int8(),
        "cutoff": pl.Int64(),
        "p": pl.Float64(),
    }
)
"""A prediction: row key, instant asked (us), who answered (the deployment, or a comparator's name),
the version and the index of its variant, its training cut-off (us), the answer."""


class LoggedDay(msgspec.Struct, frozen=True, kw_only=True):
    """A written day: ``digest`` names its values, ``content`` its file in the content store."""

    digest: str
    content: str
    rows: int


class PredictionLog:
    """Writes and reads days of predictions."""

    def __init__(self, store: ContentStore) -> None:
        self._store = store

    def write_day(self, frame: pl.DataFrame) -> LoggedDay:
        """Keep one day.

        Args:
            frame: the columns of :data:`SCHEMA`, in any order; the order of rows is kept.

        Raises:
            DataError: a column is missing, has another type, or holds a null.
        """
        try:
            day = frame.select(SCHEMA.names())
        except pl.exceptions.ColumnNotFoundError as error:
            raise DataError(f"the prediction log needs the column {error}", hint=_HINT) from error
        wrong = [name for name, dtype in SCHEMA.items() if day.schema[name] != dtype]
        wrong += [name for name in SCHEMA if day[name].null_count()]
        if wrong:
            raise DataError(f"the prediction log cannot take the column {wrong[0]!r}", hint=_HINT)
        file = BytesIO()
        day.write_parquet(file, compression="zstd")
        content = self._store.put(file.getvalue())
        return LoggedDay(digest=values_digest(day), content=content, rows=day.height)

    def read(self, contents: Sequence[str]) -> pl.DataFrame:
        """The predictions of several days (their ``content`` digests), in the order given."""
        days = [pl.read_parquet(BytesIO(self._store.get(content))) for content in contents]
        return pl.concat([SCHEMA.to_frame(), *days])


_HINT = f"give {', '.join(f'{name}: {dtype}' for name, dtype in SCHEMA.items())}, without nulls"


def values_digest(frame: pl.DataFrame) -> str:
    """A digest of a frame's values in row order, independent of how polars keeps them."""
    return digest([frame.height, *(_column_digest(frame[name]) for name in frame.columns)])


def _column_digest(column: pl.Series) -> str:
    if column.dtype == pl.String:
        texts = [text.encode() for text in column.to_list()]
        lengths = np.fromiter((len(text) for text in texts), dtype=np.int64, count=len(texts))
        return digest_arrays(lengths, np.frombuffer(b"".join(texts), dtype=np.uint8))
    return digest_arrays(column.to_numpy())
