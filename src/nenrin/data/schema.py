"""The schema of a dataset is frozen at its first load: what a later load may and may not bring."""

from __future__ import annotations

import difflib

import polars as pl

from nenrin.core.errors import DataError
from nenrin.data.spec import DatasetSpec


def fit_schema(loaded: pl.DataFrame, stored: pl.DataFrame, spec: DatasetSpec) -> pl.DataFrame:
    """``loaded`` in the order and the types of ``stored``.

    A number of another width or kind is taken where every value stays what it is (pandas turns
    integers with a gap into floats). A column without any value fits every type, on either side.

    Raises:
        DataError: a column is gone or new, or has a type that does not fit; every such column is
            named.
    """
    gone = [name for name in stored.columns if name not in loaded.columns]
    new = [name for name in loaded.columns if name not in stored.columns]
    problems = [f"{name} is gone" + _renamed(name, new) for name in gone]
    problems += [f"{name} is new" for name in new]
    columns = {
        name: _fit(loaded[name], stored[name]) for name in stored.columns if name not in gone
    }
    problems += [
        f"{name} is {loaded[name].dtype}, it was {stored[name].dtype}"
        for name, fitted in columns.items()
        if fitted is None
    ]
    if problems:
        raise DataError(
            f"dataset {spec.name} is not as at its first load: {'; '.join(problems)}",
            hint="mend the source or its loader; for a new shape of the data declare a new dataset",
            where=spec.where,
        )
    return pl.DataFrame([series for series in columns.values() if series is not None])


def check_names(columns: list[str], spec: DatasetSpec) -> None:
    """Refuse a table without columns, and names that a stored frame needs for itself.

    Raises:
        DataError: there is no column, or the name of one begins with ``__``.
    """
    if not columns:
        raise DataError(
            f"the load of dataset {spec.name} has no columns",
            hint="see what its source gives",
            where=spec.where,
        )
    taken = [name for name in columns if name.startswith("__")]
    if taken:
        raise DataError(
            f"dataset {spec.name} has a column called {taken[0]}",
            hint="rename it: names that begin with __ are nenrin's own",
            where=spec.where,
        )


def _renamed(name: str, new: list[str]) -> str:
    near = difflib.get_close_matches(name, new, n=1, cutoff=0.8)
    return f" (renamed to {near[0]}?)" if near else ""


def _fit(series: pl.Series, stored: pl.Series) -> pl.Series | None:
    frozen = stored.dtype
    if series.dtype == frozen or stored.null_count() == len(stored):
        return series
    if series.null_count() == len(series):
        return series.clear(len(series)).cast(frozen)
    if not (series.dtype.is_numeric() and frozen.is_numeric()):
        return None
    there = series.cast(frozen, strict=False)
    back = there.cast(series.dtype, strict=False)
    return there if back.eq_missing(series).all() else None
