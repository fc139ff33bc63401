"""What a column holds: the profile of a table, plain values only.

It is made of how often each value occurs, which is counted part by part and added up: so a profile of many
files is that of their rows together, to the bit. Exact: distinct values are counted, quantiles are of all
rows. Sums are rounded once (``math.fsum``; Shewchuk, "Adaptive precision floating-point arithmetic", 1997),
so that neither order nor parts matter.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import polars as pl

from nenrin.core.store import ContentStore
from nenrin.data.files import Manifest, read_stretch, stretches
from nenrin.data.times import EVENT, KNOWN

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
PART = 2_000_000
"""Rows that are counted at a time."""

_TOP = 10
_BINS = 20
_CHUNK = 2**16


def profile(frame: pl.DataFrame) -> dict[str, Any]:
    """The profile of a frame without its ``__event__`` and ``__known__``.

    Returns:
        ``{"rows": n, "columns": {name: {...}}}``. Every column has ``kind`` ("number", "boolean",
        "text", "time" or "other"), ``type``, ``nulls`` and ``distinct``; numbers have ``min``,
        ``max``, ``mean``, ``std`` (of the population), ``nans``, ``quantiles`` (by their level)
        and ``histogram`` (``edges``, ``counts`` of equal width between min and max); times ``min``
        and ``max`` in ISO 8601; booleans ``mean``; texts ``top``: the ten most frequent as
        ``[value, count]``.
    """
    return {
        "rows": frame.height,
        "columns": {name: column(frame[name]) for name in profiled(frame.columns)},
    }


def profiled(columns: Iterable[str]) -> list[str]:
    """The columns that a profile tells of."""
    return [name for name in columns if name not in (EVENT, KNOWN)]


def column(series: pl.Series) -> dict[str, Any]:
    """The profile of one column; see :func:`profile`."""
    return _of(iter([series]))


def column_of_files(manifest: Manifest, store: ContentStore, name: str) -> dict[str, Any]:
    """The profile of one column of a version: :func:`column` of all its rows.

    Memory is for its different values and ``PART`` rows, however many there are.
    """
    return _of(
        read_stretch(manifest, store, part, [name])[name] for part in stretches(manifest, PART)
    )


def _of(parts: Iterator[pl.Series]) -> dict[str, Any]:
    """The profile of what the parts of a column hold together; there is at least one."""
    counter: _Counter | None = None
    for part in parts:
        counter = counter or _Counter(part.dtype)
        counter.add(part)
    assert counter is not None
    kind, counts = _kind(counter.dtype), counter.counts()
    result: dict[str, Any] = {
        "kind": kind,
        "type": str(counter.dtype),
        "nulls": counter.nulls,
        "distinct": None if counter.is_nested else counts.height,
    }
    if counts.is_empty():
        return result
    values, count = counts["value"], counts["count"].to_numpy()
    match kind:
        case "number":
            return result | _numbers(values.cast(pl.Float64).to_numpy() + 0.0, count)
        case "boolean":
            return result | {"mean": int(count[values.to_numpy()].sum()) / int(count.sum())}
        case "text":
            return result | {"top": _top(counts)}
        case "time":
            return result | {"min": _iso(values.min()), "max": _iso(values.max())}
    return result


class _Counter:
    """How often each value of a column occurs. Of nested values only the nulls are counted."""

    def __init__(self, dtype: pl.DataType) -> None:
        self.dtype = dtype
        self.is_nested = dtype.is_nested() or dtype == pl.Binary
        self.nulls = 0
        self._counts = self._of(pl.Series([], dtype=dtype))
        self._waiting: list[pl.DataFrame] = []

    def add(self, part: pl.Series) -> None:
        """Count a part; parts are merged when they outgrow what was merged before."""
        self.nulls += part.null_count()
        if self.is_nested:
            return
        self._waiting.append(self._of(part))
        if sum(each.height for each in self._waiting) > max(PART, self._counts.height):
            self.counts()

    def counts(self) -> pl.DataFrame:
        """``value``, each once and no null, and ``count``."""
        if self._waiting:
            merged = pl.concat([self._counts, *self._waiting]).group_by("value")
            self._waiting = []
            self._counts = merged.agg(pl.col("count").sum())
        return self._counts

    def _of(self, part: pl.Series) -> pl.DataFrame:
        frame = pl.DataFrame({"value": part if not self.is_nested else part.clear()}).drop_nulls()
        return frame.group_by("value").agg(pl.len().cast(pl.Int64).alias("count"))


def _kind(kind: pl.DataType) -> str:
    if kind.is_numeric():
        return "number"
    if isinstance(kind, pl.Datetime | pl.Date):
        return "time"
    return {pl.Boolean: "boolean", pl.String: "text"}.get(type(kind), "other")


def _numbers(values: np.ndarray, count: np.ndarray) -> dict[str, Any]:
    """Of different values, float64[n], that occur int64[n] times."""
    order = np.argsort(values)
    values, count = values[order], count[order]
    finite = np.isfinite(values)
    nans, rows = int(count[np.isnan(values)].sum()), int(count.sum())
    values, count = values[finite], count[finite]
    total = int(count.sum())
    result: dict[str, Any] = {"nans": nans, "infinite": rows - nans - total}
    if not total:
        return result
    low, high = float(values[0]), float(values[-1])
    mean = _sum(values, count) / total
    with np.errstate(over="ignore"):
        std = math.sqrt(_sum((values - mean) ** 2, count) / total)
    result |= {"min": low, "max": high, "mean": mean, "std": std}
    result["quantiles"] = _quantiles(values, np.cumsum(count))
    if math.isfinite(high - low):
        counts, edges = np.histogram(values, bins=_BINS if high > low else 1, weights=count)
        result["histogram"] = {"edges": edges.tolist(), "counts": counts.astype(int).tolist()}
    return result


def _sum(values: np.ndarray, count: np.ndarray) -> float:
    """The sum of ``values`` times ``count``, rounded once; infinite where it is too large on the way."""
    # a value times a power of two is exact, and a count is a sum of those
    bits = range(int(count.max()).bit_length())
    parts = ((values[count >> bit & 1 == 1], 2.0**bit) for bit in bits)
    try:
        return math.fsum(
            term
            for part, power in parts
            for start in range(0, part.size, _CHUNK)
            for term in (part[start : start + _CHUNK] * power).tolist()
        )
    except (OverflowError, ValueError):
        return math.inf


def _quantiles(values: np.ndarray, upto: np.ndarray) -> dict[str, float]:
    """numpy's default quantiles (Hyndman and Fan, 1996, number 7) of sorted values.

    Args:
        values: float64[n], ascending.
        upto: int64[n], how many rows have this value or a lesser one.
    """
    found = {}
    for level in QUANTILES:
        place = level * (int(upto[-1]) - 1)
        below = math.floor(place)
        two = np.searchsorted(upto, (below, math.ceil(place)), side="right")
        low, high = values[two].tolist()
        found[str(level)] = low + (high - low) * (place - below)
    return found


def _top(counts: pl.DataFrame) -> list[list[Any]]:
    top = counts.sort(["count", "value"], descending=[True, False]).head(_TOP)
    return [list(pair) for pair in top.rows()]


def _iso(moment: Any) -> str:
    return str(moment.isoformat()).replace("+00:00", "Z")
