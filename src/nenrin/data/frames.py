"""Anything that holds a table, as one polars frame: frames, Arrow, dicts, CSV and Parquet files.

Categories, and columns without any value, become text; every other column keeps its type. A column
without a name is called by its place. What times mean is :mod:`nenrin.data.times`' work.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import polars as pl

from nenrin.core.errors import DataError, MissingExtraError
from nenrin.data.delimited import SEPARATORS, ending, read_text
from nenrin.data.spec import DatasetSpec

_TAKES = "return a polars, pandas or Arrow table, a dict of lists, a list of dicts or of tables, or a path"
_PARQUET = b"PAR1"
_FURTHER = re.compile(r"_duplicated_\d+")


def table(
    source: object, spec: DatasetSpec, frozen: Mapping[str, pl.DataType] | None = None
) -> pl.DataFrame:
    """``source`` as a polars frame.

    Args:
        source: polars DataFrame or LazyFrame, pandas DataFrame (a named index becomes columns),
            anything with an Arrow stream, dict of lists, list of dicts, or the path of a CSV, TSV
            or Parquet file; or a list of tables, one below the other.
        spec: the dataset it is for, named in errors.
        frozen: the types of earlier loads.

    Raises:
        DataError: ``source`` is none of these, cannot be read, or has two columns of one name.
    """
    try:
        frame = _frame(source, spec, frozen or {})
        frame = frame.rename(_names_for_the_nameless(frame.columns))
    except (pl.exceptions.PolarsError, ValueError, TypeError, OverflowError) as error:
        raise DataError(
            f"the table of dataset {spec.name} cannot be read: {str(error).splitlines()[0]}",
            hint="every column needs one type and all columns the same length",
            where=spec.where,
        ) from error
    objects = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Object)]
    if objects:
        raise DataError(
            f"column {objects[0]} of dataset {spec.name} holds Python objects",
            hint="give it one plain type: numbers, texts, truth values or times",
            where=spec.where,
        )
    known = frozen or {}
    return frame.with_columns(
        # a column of nothing but nulls has no type of its own: that of earlier loads, else numbers
        pl.col(name).cast(known.get(name, pl.Float64()) if kind == pl.Null else pl.String())
        for name, kind in frame.schema.items()
        if isinstance(kind, pl.Categorical | pl.Enum | pl.Null)
    ).rechunk()


def unnamed(place: int) -> str:
    """What a column without a name is called; ``place`` counts from 1."""
    return f"unnamed_{place}"


def _names_for_the_nameless(columns: list[str]) -> dict[str, str]:
    """A name for each column without one, as pandas writes its index; polars numbers the further ones."""
    if not any(name.strip() == "" for name in columns):
        return {}
    return {
        name: unnamed(place)
        for place, name in enumerate(columns, 1)
        if name.strip() == "" or _FURTHER.fullmatch(name)
    }


def _frame(source: object, spec: DatasetSpec, frozen: Mapping[str, pl.DataType]) -> pl.DataFrame:
    match source:
        case pl.DataFrame():
            return source
        case pl.LazyFrame():
            return source.collect()
        case str() | Path():
            return _file(Path(source), spec, frozen)
        case dict():
            return pl.DataFrame(source, infer_schema_length=None)
        case [*rows] if all(isinstance(row, dict) for row in rows):
            return pl.DataFrame(rows, infer_schema_length=None)
        case [*parts] if not any(isinstance(part, list | dict | str) for part in parts):
            return pl.concat([_frame(part, spec, frozen) for part in parts], how="vertical_relaxed")
    if type(source).__module__.partition(".")[0] == "pandas" and hasattr(source, "columns"):
        return _from_pandas(source, spec)
    if hasattr(source, "__arrow_c_stream__"):
        return pl.DataFrame(cast(Any, source))
    raise DataError(
        f"dataset {spec.name} gave {_spoken(source)}, which is not a table",
        hint=_TAKES,
        where=spec.where,
    )


def _spoken(source: object) -> str:
    kind = type(source).__name__
    return "nothing (None)" if source is None else f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _from_pandas(source: Any, spec: DatasetSpec) -> pl.DataFrame:
    if any(name is not None for name in source.index.names):
        source = source.reset_index()
    twice = list(source.columns[source.columns.duplicated()])
    if twice:
        raise DataError(
            f"dataset {spec.name} has two columns called {twice[0]}",
            hint="rename one of them, or leave it out",
            where=spec.where,
        )
    try:
        return pl.from_pandas(source)
    except ModuleNotFoundError as error:
        raise MissingExtraError.of("pyarrow", "sklearn") from error


def _file(path: Path, spec: DatasetSpec, frozen: Mapping[str, pl.DataType]) -> pl.DataFrame:
    if not path.is_file():
        raise DataError(
            f"dataset {spec.name}: there is no file {path}",
            hint="a path in nr.file(…) is relative to the project file",
            where=spec.where,
        )
    kind = ending(path)
    if kind in (".parquet", ".pq"):
        return _parquet(path, spec)
    if kind in SEPARATORS:
        return read_text(path, spec, frozen)
    raise DataError(
        f"dataset {spec.name}: {path.name} is neither CSV, TSV nor Parquet by its name",
        hint="name it .csv, .csv.gz, .tsv or .parquet, or read it in a function under @nr.dataset",
        where=spec.where,
    )


def _parquet(path: Path, spec: DatasetSpec) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        with path.open("rb") as file:
            begins = file.read(len(_PARQUET))
        if begins == _PARQUET:
            what = f"cannot be read: {str(error).splitlines()[0]}"
            hint = "it may be cut off: write or copy it again"
        else:
            what = "is not Parquet, as its ending says" if begins else "is empty"
            hint = "name a text file .csv, or write the table as Parquet"
        raise DataError(
            f"the file of dataset {spec.name} {what}", hint=hint, where=spec.where
        ) from error
