"""Small datasets and views for this room's tests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from nenrin.data.declare import Dataset, dataset
from nenrin.features.arrays import NO_INSTANT
from nenrin.features.declare import FeatureView, feature_view
from nenrin.features.index import ViewIndex
from nenrin.features.kinds import physical
from nenrin.features.request_view import RequestView
from nenrin.features.trace import trace


def make_dataset(name: str = "events", **declared: Any) -> Dataset:
    declared.setdefault("key", ())

    def load() -> None:
        return None

    load.__name__ = name
    return dataset(**declared)(load)


def make_view(source: Dataset, function: Any, **declared: Any) -> FeatureView:
    return feature_view(source, **declared)(function)


def index_of(
    frame: pl.DataFrame,
    function: Any,
    *,
    key: Sequence[str] = (),
    tz: str | None = None,
    **declared: Any,
) -> ViewIndex:
    view = make_view(make_dataset(key=key, tz=tz), function, **declared)
    return ViewIndex.build(trace(view, frame.schema, tz), frame)


def instants(asked: Sequence[int | None]) -> np.ndarray:
    return np.array([NO_INSTANT if at is None else at for at in asked], dtype=np.int64)


def ask(index: ViewIndex, keys: pl.DataFrame, asked: Sequence[int | None]) -> list[dict[str, Any]]:
    """What the index answers for many rows, having checked that one by one it answers the same."""
    many = index.at(keys, instants(asked))
    assert many.columns == list(index.names)
    found = many.rows(named=True)
    plain = physical(keys.select(*index.traced.by), index.traced.by).rows(named=True)
    for row, key, at in zip(found, plain, instants(asked).tolist(), strict=True):
        one = index.row(key, at)
        assert list(one) == list(row)
        assert all(same(one[name], row[name]) for name in row), (key, at, one, row)
    return found


def both(function: Any, frame: pl.DataFrame, tz: str | None = None) -> list[dict[str, Any]]:
    """What both evaluators compute of a request view, having checked that it is the same to the bit."""
    traced = trace(make_view(make_dataset("rows", tz=tz), function), frame.schema, tz)
    assert not traced.python, traced.python
    view = RequestView.loads(RequestView(traced).dumps())
    many = view.at(frame, np.zeros(frame.height, dtype=np.int64)).rows(named=True)
    plain = physical(frame, traced.columns).rows(named=True) if traced.columns else [{}] * len(many)
    assert len(many) == frame.height
    for row, values in zip(many, plain, strict=True):
        one = view.row(values, 0)
        assert list(one) == list(row)
        for name in row:
            assert same(one[name], row[name]), (name, values, one[name], row[name])
    return many


def same(a: Any, b: Any) -> bool:
    """Equal in type and bits; any NaN is any other."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (a != a and b != b) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    return bool(a == b)


def crossed(columns: Mapping[str, tuple[Any, Sequence[Any]]]) -> pl.DataFrame:
    """Every combination of the columns' values."""
    frames = [
        pl.DataFrame({name: pl.Series(values, dtype=dtype, strict=True)})
        for name, (dtype, values) in columns.items()
    ]
    found = frames[0]
    for frame in frames[1:]:
        found = found.join(frame, how="cross")
    return found


def line_of(text: str, path: str) -> int:
    """The line of a file that holds ``text``."""
    lines = Path(path).read_text().splitlines()
    return next(i for i, line in enumerate(lines, 1) if text in line)
