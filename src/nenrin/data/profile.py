"""What a column holds: the profile of a table, plain values only.

Exact: distinct values are counted, quantiles are of all rows. Sums are numpy's in row order, so
that two profiles of the same rows are equal to the bit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl

from nenrin.data.times import EVENT, KNOWN

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_TOP = 10
_BINS = 20


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
    columns = [name for name in frame.columns if name not in (EVENT, KNOWN)]
    return {"rows": frame.height, "columns": {name: column(frame[name]) for name in columns}}


def column(series: pl.Series) -> dict[str, Any]:
    """The profile of one column; see :func:`profile`."""
    kind = _kind(series.dtype)
    nested = series.dtype.is_nested() or series.dtype == pl.Binary
    result: dict[str, Any] = {
        "kind": kind,
        "type": str(series.dtype),
        "nulls": series.null_count(),
        "distinct": None if nested else series.drop_nulls().n_unique(),
    }
    present = series.drop_nulls()
    if present.is_empty():
        return result
    match kind:
        case "number":
            return result | _numbers(present.cast(pl.Float64).to_numpy())
        case "boolean":
            return result | {"mean": float(present.to_numpy().mean())}
        case "text":
            return result | {"top": _top(present)}
        case "time":
            return result | {"min": _iso(present.min()), "max": _iso(present.max())}
    return result


def _kind(kind: pl.DataType) -> str:
    if kind.is_numeric():
        return "number"
    if isinstance(kind, pl.Datetime | pl.Date):
        return "time"
    return {pl.Boolean: "boolean", pl.String: "text"}.get(type(kind), "other")


def _numbers(values: np.ndarray) -> dict[str, Any]:
    nans = int(np.isnan(values).sum())
    finite = values[np.isfinite(values)]
    result: dict[str, Any] = {"nans": nans, "infinite": len(values) - nans - len(finite)}
    if not len(finite):
        return result
    low, high = float(finite.min()), float(finite.max())
    levels = np.quantile(finite, QUANTILES).tolist()
    result |= {"min": low, "max": high, "mean": float(finite.mean()), "std": float(finite.std())}
    result["quantiles"] = dict(zip(map(str, QUANTILES), levels, strict=True))
    if math.isfinite(high - low):
        counts, edges = np.histogram(finite, bins=_BINS if high > low else 1)
        result["histogram"] = {"edges": edges.tolist(), "counts": counts.tolist()}
    return result


def _top(texts: pl.Series) -> list[list[Any]]:
    counts = texts.alias("value").value_counts(name="count")
    top = counts.sort(["count", "value"], descending=[True, False]).head(_TOP)
    return [list(pair) for pair in top.rows()]


def _iso(moment: Any) -> str:
    return str(moment.isoformat()).replace("+00:00", "Z")
