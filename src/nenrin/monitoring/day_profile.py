"""What one day of a dataset looked like: counts that stand for its rows from then on."""

from __future__ import annotations

import msgspec
import numpy as np
import polars as pl

MOST_VALUES = 200


class Middle(msgspec.Struct, frozen=True, kw_only=True):
    """A numeric column's least and greatest value of a day, and its quartiles between them."""

    least: float
    lower: float
    upper: float
    greatest: float


class DayProfile(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of one day's rows.

    Attributes:
        day: number of the day, as the caller counts days.
        rows: number of rows that became known in it.
        newest: instant at which the newest of them became known, microseconds UTC.
        gap: longest time between two rows of the day becoming known, the last row before it
            included.
        nulls: number of nulls (of floats also NaN and infinities) by column.
        numbers: middles of numeric columns that have a value.
        values: number of rows by value, of text and Boolean columns with at most 200 values in the
            day.
    """

    day: int
    rows: int
    newest: int
    gap: int
    nulls: dict[str, int]
    numbers: dict[str, Middle]
    values: dict[str, dict[str, int]]


def profile_days(frame: pl.DataFrame, days: np.ndarray, known: np.ndarray) -> list[DayProfile]:
    """Profile every day that has rows.

    Args:
        frame: the columns to look at, rows in the order in which they became known.
        days: number of each row's day, int64 of shape (rows,), never falling.
        known: instant at which each row became known, int64 of shape (rows,), never falling.
    """
    columns = [_Column(series) for series in frame.iter_columns()]
    gaps = np.diff(known, prepend=known[:1])
    numbers, starts = np.unique(days, return_index=True)
    profiles = []
    for day, start, end in zip(numbers, starts, [*starts, len(days)][1:], strict=True):
        middles = {column.name: column.middle(start, end) for column in columns}
        values = {column.name: column.values(start, end) for column in columns}
        profiles.append(
            DayProfile(
                day=int(day),
                rows=int(end - start),
                newest=int(known[end - 1]),
                gap=int(gaps[start:end].max()),
                nulls={column.name: column.nulls(start, end) for column in columns},
                numbers={name: middle for name, middle in middles.items() if middle is not None},
                values={name: counts for name, counts in values.items() if counts is not None},
            )
        )
    return profiles


class _Column:
    """One column as arrays, so that a day of it is a slice."""

    def __init__(self, series: pl.Series) -> None:
        self.name = series.name
        self._missing = series.is_null().to_numpy()
        self._numbers: np.ndarray | None = None
        self._codes: np.ndarray | None = None
        self._names: list[str] = []
        if series.dtype.is_numeric():
            self._numbers = series.cast(pl.Float64).to_numpy()
            self._missing = ~np.isfinite(self._numbers)
        elif isinstance(series.dtype, pl.String | pl.Boolean | pl.Categorical | pl.Enum):
            texts = series.cast(pl.String)
            self._names = texts.drop_nulls().unique().sort().to_list()
            order = pl.Enum(self._names)
            self._codes = texts.cast(order).to_physical().cast(pl.Int64).fill_null(-1).to_numpy()

    def nulls(self, start: int, end: int) -> int:
        return int(np.count_nonzero(self._missing[start:end]))

    def middle(self, start: int, end: int) -> Middle | None:
        if self._numbers is None:
            return None
        present = self._numbers[start:end][~self._missing[start:end]]
        if len(present) == 0:
            return None
        least, lower, upper, greatest = np.quantile(
            present, [0.0, 0.25, 0.75, 1.0], method="nearest"
        )
        return Middle(
            least=float(least), lower=float(lower), upper=float(upper), greatest=float(greatest)
        )

    def values(self, start: int, end: int) -> dict[str, int] | None:
        if self._codes is None:
            return None
        codes, counts = np.unique(self._codes[start:end], return_counts=True)
        if len(codes) > MOST_VALUES:
            return None
        pairs = zip(codes.tolist(), counts.tolist(), strict=True)
        return {self._names[code]: count for code, count in pairs if code >= 0}
