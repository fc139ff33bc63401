"""The features of a model that names none: every column of its rows that can be one."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from nenrin.core.errors import ProjectError
from nenrin.data.declare import Dataset
from nenrin.features.declare import FeatureView, ViewSpec
from nenrin.features.kinds import kind_of

_EPOCHS = {"instant": datetime(1970, 1, 1, tzinfo=UTC), "date": date(1970, 1, 1)}


def every_column(rows: Dataset, schema: pl.Schema, drop: Collection[str]) -> FeatureView:
    """A view of every column but key, time and ``drop``; times become days since 1970 UTC.

    Raises:
        ProjectError: a column to drop does not exist, one cannot be a feature, or none is left.
    """
    spec = rows.declared
    names = [name for name in schema if not name.startswith("__")]
    for name in drop:
        if name not in names:
            near = difflib.get_close_matches(name, names) or names
            raise ProjectError(
                f"{spec.name} has no column {name} to leave out",
                hint=f"did you mean {' or '.join(near)}?",
                where=spec.where,
            )
    left = [name for name in names if name not in {*spec.key, spec.time, spec.known_column, *drop}]
    for name in left:
        if kind_of(schema[name]) is None:
            raise ProjectError(
                f"column {spec.name}.{name} holds {schema[name]}, which cannot be a feature",
                hint=f'leave it out, drop=["{name}"], or turn it into numbers or text in the loader',
                where=spec.where,
            )
    if not left:
        raise ProjectError(
            f"{spec.name} has no column left that could be a feature",
            hint="give the model features=[…], or drop fewer columns",
            where=spec.where,
        )

    def features(row: Any) -> dict[str, Any]:
        found = {name: row[name] for name in left}
        return {
            name: (value - _EPOCHS[value.kind]).days if value.kind in _EPOCHS else value
            for name, value in found.items()
        }

    return FeatureView(ViewSpec(name=spec.name, where=spec.where), rows, features)
