"""What a column holds: the profile of a table, plain values only.

It is made part by part, of how often each text occurs and of the sorted numbers of one column at a time: so
the profile of many files is that of their rows together, to the bit. Exact: distinct values are counted,
quantiles are of all rows. Sums are rounded once, so that neither order nor parts matter (``math.fsum``:
Shewchuk, "Adaptive precision floating-point arithmetic", 1997).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np
import polars as pl

from nenrin.core.store import ContentStore
from nenrin.data.files import Manifest, read_stretch, stretches
from nenrin.data.times import EVENT, KNOWN

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
PART = 2_000_000
"""Rows that are counted at a time."""
MOST = 20_000_000
"""Different texts, beyond which they are not counted."""

_TOP = 10
_BINS = 20
_CHUNK = 2**16
_WIDE = (pl.Decimal, pl.Int128, pl.UInt128)  # wider than numpy's numbers


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

    In memory are one column's numbers, 8 bytes a row, or its different texts.
    """
    return _of(
        read_stretch(manifest, store, part, [name])[name] for part in stretches(manifest, PART)
    )


def _of(parts: Iterator[pl.Series]) -> dict[str, Any]:
    """The profile of what the parts of a column hold together; there is at least one."""
    first = next(parts)
    kind = _kind(first.dtype)
    collected = _Ordered() if kind in ("number", "time") else _Counted(first.dtype)
    nulls = 0
    for part in chain([first], parts):
        nulls += part.null_count()
        collected.add(part.drop_nulls())
    distinct, found = collected.found(kind)
    return {
        "kind": kind,
        "type": str(first.dtype),
        "nulls": nulls,
        "distinct": distinct,
        **found,
    }


class _Ordered:
    """All values of a column of numbers or times: 8 bytes a row, 16 at most on the way."""

    def __init__(self) -> None:
        self._arrays: list[np.ndarray] = []
        self._ends: list[Any] = []

    def add(self, part: pl.Series) -> None:
        """Take a part without nulls."""
        if part.dtype in _WIDE:
            part = part.cast(pl.Float64)
        self._ends += [] if part.is_empty() else [part.min(), part.max()]
        self._arrays.append(part.to_physical().to_numpy())

    def found(self, kind: str) -> tuple[int, dict[str, Any]]:
        """How many different values there are, and what is told of them."""
        values = np.concatenate(self._arrays)
        self._arrays.clear()
        values.sort()
        missing = int(np.isnan(values).sum())  # they are sorted to the end, and count as one value
        present = values[: values.size - missing]
        distinct = int((present[1:] != present[:-1]).sum()) + bool(present.size) + bool(missing)
        if not values.size:
            return 0, {}
        if kind == "time":
            return distinct, {"min": _iso(min(self._ends)), "max": _iso(max(self._ends))}
        return distinct, _numbers(present.astype(np.float64, copy=False), missing)


class _Counted:
    """How often each other value occurs: memory for the different ones. Nested values are not counted."""

    def __init__(self, dtype: pl.DataType) -> None:
        self._dtype = dtype
        self._stopped = dtype.is_nested() or dtype == pl.Binary
        self._counts = self._of(pl.Series([], dtype=dtype))
        self._waiting: list[pl.DataFrame] = []

    def add(self, part: pl.Series) -> None:
        """Count a part without nulls; parts are merged when they outgrow what was merged before."""
        if self._stopped:
            return
        self._waiting.append(self._of(part))
        if sum(each.height for each in self._waiting) > max(PART, self._counts.height):
            self._merge()

    def found(self, kind: str) -> tuple[int | None, dict[str, Any]]:
        """How many different values there are, None if they were not counted; and what is told of them."""
        self._merge()
        if self._stopped:
            return None, {}
        counts = self._counts
        if counts.is_empty() or kind == "other":
            return counts.height, {}
        if kind == "text":
            return counts.height, {"top": _top(counts)}
        true = counts.filter(pl.col("value"))["count"].sum()
        return counts.height, {"mean": int(true) / int(counts["count"].sum())}

    def _merge(self) -> None:
        if self._waiting:
            merged = pl.concat([self._counts, *self._waiting]).group_by("value")
            self._waiting = []
            self._counts = merged.agg(pl.col("count").sum())
        if self._counts.height > MOST:
            self._stopped = True
            self._counts = self._counts.clear()

    def _of(self, part: pl.Series) -> pl.DataFrame:
        frame = pl.DataFrame({"value": part.clear() if self._stopped else part})
        return frame.group_by("value").agg(pl.len().cast(pl.Int64).alias("count"))


def _kind(kind: pl.DataType) -> str:
    if kind.is_numeric():
        return "number"
    if isinstance(kind, pl.Datetime | pl.Date):
        return "time"
    return {pl.Boolean: "boolean", pl.String: "text"}.get(type(kind), "other")


def _numbers(values: np.ndarray, nans: int) -> dict[str, Any]:
    """Of sorted values, float64[n], beside which there are ``nans``."""
    finite = values[np.isfinite(values)]
    result: dict[str, Any] = {"nans": nans, "infinite": values.size - finite.size}
    if not finite.size:
        return result
    finite += 0.0  # one zero, whichever came first
    low, high = float(finite[0]), float(finite[-1])
    mean = _sum(finite) / finite.size
    std = math.sqrt(_sum(finite, mean) / finite.size)
    result |= {"min": low, "max": high, "mean": mean, "std": std}
    result["quantiles"] = {str(level): _quantile(finite, level) for level in QUANTILES}
    if math.isfinite(high - low):
        counts, edges = np.histogram(finite, bins=_BINS if high > low else 1)
        result["histogram"] = {"edges": edges.tolist(), "counts": counts.tolist()}
    return result


def _sum(values: np.ndarray, mean: float | None = None) -> float:
    """The sum of values, or of their squared distances from ``mean``, rounded once; infinite if too large."""
    pieces = (values[start : start + _CHUNK] for start in range(0, values.size, _CHUNK))
    try:
        with np.errstate(over="ignore"):
            return math.fsum(
                term
                for piece in pieces
                for term in (piece if mean is None else (piece - mean) ** 2).tolist()
            )
    except OverflowError:
        return math.inf


def _quantile(values: np.ndarray, level: float) -> float:
    """numpy's default quantile (Hyndman and Fan, 1996, number 7) of sorted values."""
    place = level * (values.size - 1)
    below = math.floor(place)
    low, high = float(values[below]), float(values[math.ceil(place)])
    return low + (high - low) * (place - below)


def _top(counts: pl.DataFrame) -> list[list[Any]]:
    top = counts.sort(["count", "value"], descending=[True, False]).head(_TOP)
    return [list(pair) for pair in top.rows()]


def _iso(moment: Any) -> str:
    return str(moment.isoformat()).replace("+00:00", "Z")
