"""What a table tells about the project that predicts one of its columns."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from nenrin.core.errors import DataError
from nenrin.core.instants import from_us
from nenrin.data.frames import table, unnamed
from nenrin.data.spec import DatasetSpec
from nenrin.data.times import EVENT, time_columns, with_instants
from nenrin.gates.leak import leaking

_POSITIVE = ("yes", "y", "true", "t", "1", "positive", "pos")
_FEWEST_ROWS = 50
_ADDRESS = r"^\S+@\S+\.\S+$"
# spelled, so that nobody mistakes a month for a day
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Inferred(msgspec.Struct, frozen=True, kw_only=True):
    """What a table tells about the project that predicts one of its columns.

    Attributes:
        path: the table, absolute.
        target: the column to predict.
        positive: the value whose probability is predicted; None where the target is a number or a
            truth value itself.
        task: ``binary`` or ``regression``.
        key: columns that identify a row; empty: its content does.
        time: column of the event, if there is one.
        drop: columns that are no features, each with the reason.
        notes: what whoever reads the project file should know, one sentence each.
    """

    path: Path
    target: str
    positive: str | int | float | None
    task: str
    key: tuple[str, ...]
    time: str | None
    drop: dict[str, str]
    notes: tuple[str, ...]


def infer(
    path: str | Path, target: str, time: str | None = None, key: str | None = None
) -> Inferred:
    """Read a CSV or Parquet file and decide how one of its columns is predicted.

    A target with two values, or of truth values, is binary: its positive class is what reads like yes,
    else the rarer value. Other numbers are a regression. Without ``key``, a column without doubles whose
    name ends in *id* is the key. Columns that alone reach AUC .99, texts that differ in every row,
    and e-mail addresses are named and left out.

    Raises:
        DataError: the file or a named column is not there, a key has doubles, or the target is of a
            kind that cannot be predicted.
    """
    path = Path(path).absolute()
    if not path.is_file():
        raise DataError(
            f"there is no file {path}", hint="give the path of a CSV, TSV or Parquet file"
        )
    spec = DatasetSpec(name=path.stem, path=str(path), where=str(path))
    frame = table(path, spec)
    for column in (target, time, key):
        _check_column(frame, column, spec)
    notes = _time_notes(frame, time, spec)
    task, positive, y = _target(frame, target, spec)
    keys = _given_key(frame, key, time, spec) if key else _guessed_key(frame, target, time)
    features = [name for name in frame.columns if name not in {target, time, *keys}]
    drop = _left_out(frame.select(features), y, _unnamed(frame))
    return Inferred(
        path=path,
        target=target,
        positive=positive,
        task=task,
        key=keys,
        time=time,
        drop=drop,
        notes=(*_notes(frame, target, positive, task, keys, drop), *notes),
    )


def _check_column(frame: pl.DataFrame, column: str | None, spec: DatasetSpec) -> None:
    if column is not None and column not in frame.columns:
        near = difflib.get_close_matches(column, frame.columns, n=3, cutoff=0.5)
        columns = f"its columns are: {', '.join(frame.columns)}"
        said = f"did you mean {' or '.join(near)}?" if near else columns
        raise DataError(f"there is no column {column}", hint=said, where=spec.where)


def _time_notes(frame: pl.DataFrame, time: str | None, spec: DatasetSpec) -> list[str]:
    """How the time column is read, or which column could be it.

    Raises:
        DataError: the named column is no time, or a row has none.
    """
    if time is None:
        found = ", ".join(time_columns(frame))
        if not found:
            return []
        return [
            f"no --time: rows are taken to have none, though {found} could say when they happened"
        ]
    read = with_instants(frame, msgspec.structs.replace(spec, time=time), 0)[EVENT].to_numpy()
    if not len(read):
        return []
    first, low, high = (
        f"{day.day} {_MONTHS[day.month - 1]} {day:%Y %H:%M}"
        for day in (from_us(us) for us in map(int, (read[0], read.min(), read.max())))
    )
    return [
        f"{time} is when a row happened: the first row on {first} UTC, all from {low} to {high} UTC; "
        "tz= in the project file says where its times are local"
    ]


def _target(
    frame: pl.DataFrame, target: str, spec: DatasetSpec
) -> tuple[str, str | int | float | None, np.ndarray]:
    """Task, positive class, and the target as float64, NaN where it is null."""
    series = frame[target]
    values = series.drop_nulls().unique().sort()
    kind = series.dtype
    if len(values) < 2:
        only = f"only the value {values[0]!r}" if len(values) else "no value"
        raise DataError(
            f"column {target} has {only}: there is nothing to tell apart",
            hint="give a target with at least two values",
            where=spec.where,
        )
    if kind == pl.Boolean:
        return "binary", None, _floats(series)
    if (kind.is_numeric() or kind == pl.String) and len(values) == 2:
        positive = _positive(series, values.to_list())
        return "binary", positive, _floats(series == positive)
    if kind.is_numeric():
        return "regression", None, _floats(series)
    what = f"{len(values)} different texts" if kind == pl.String else f"values of type {kind}"
    raise DataError(
        f"column {target} has {what}: only numbers and two classes can be predicted so far",
        hint="name a numeric column, or add one that says yes or no to the class that matters",
        where=spec.where,
    )


def _positive(series: pl.Series, values: list[str | int | float]) -> str | int | float:
    """The value that reads like yes, else the rarer one, else the later one."""
    spoken = [
        value for value in values if str(value).strip().lower().removesuffix(".0") in _POSITIVE
    ]
    if len(spoken) == 1:
        return spoken[0]
    first = int((series == values[0]).sum())
    return values[0] if 2 * first < series.len() - series.null_count() else values[1]


def _floats(series: pl.Series) -> np.ndarray:
    return series.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _given_key(
    frame: pl.DataFrame, key: str, time: str | None, spec: DatasetSpec
) -> tuple[str, ...]:
    for keys in [(key,)] + ([(key, time)] if time else []):
        if _identifies(frame, keys):
            return keys
    raise DataError(
        f"column {key} does not identify rows: it has nulls or doubles",
        hint="name another --key, or leave it out: rows are then told apart by their content",
        where=spec.where,
    )


def _guessed_key(frame: pl.DataFrame, target: str, time: str | None) -> tuple[str, ...]:
    named = [
        name
        for name, kind in frame.schema.items()
        if name.lower().endswith("id") and name != target
        if kind.is_integer() or kind == pl.String
    ]
    for keys in [(name,) for name in named] + [(name, time) for name in named if time]:
        if _identifies(frame, keys):
            return keys
    return ()


def _identifies(frame: pl.DataFrame, keys: Sequence[str]) -> bool:
    part = frame.select(keys)
    return part.n_unique() == part.height and not sum(part.null_count().row(0))


def _unnamed(frame: pl.DataFrame) -> list[str]:
    """The columns to which the table gives no name, as they are called."""
    return [name for place, name in enumerate(frame.columns, 1) if name == unnamed(place)]


def _counts(series: pl.Series) -> bool:
    """Whether the column numbers the rows, as pandas' index in a CSV file does."""
    steps = series.is_not_null().all() and series.dtype.is_integer() and len(series) > 1
    return bool(steps and (series.diff().drop_nulls() == 1).all())


def _mostly(holds: pl.Series) -> bool:
    """Whether it holds for more than half of the values that are there."""
    there = holds.drop_nulls()
    return 2 * int(there.sum()) > len(there)


def _left_out(features: pl.DataFrame, y: np.ndarray, nameless: Sequence[str]) -> dict[str, str]:
    """Columns that are no features, in the order of the table, and why."""
    leaks = {
        name: f"which alone tells the target (AUC {auc:.3f}): was it known when it was asked?"
        for name, auc in leaking(features.get_columns(), y).items()
    }
    texts = {
        name: "a text that differs in every row"
        for name, kind in features.schema.items()
        if kind == pl.String and features.height >= _FEWEST_ROWS
        if features[name].drop_nulls().n_unique() == features.height
    }
    people = {
        name: "e-mail addresses: they name people"
        for name, kind in features.schema.items()
        if kind == pl.String and _mostly(features[name].str.contains(_ADDRESS))
    }
    numbers = {
        name: "a column without a name that only numbers the rows"
        for name in nameless
        if name in features.columns and _counts(features[name])
    }
    found = texts | people | leaks | numbers
    return {name: found[name] for name in features.columns if name in found}


def _notes(
    frame: pl.DataFrame,
    target: str,
    positive: object,
    task: str,
    keys: tuple[str, ...],
    drop: dict[str, str],
) -> list[str]:
    yes = f", the probability that it is {positive!r}" if positive is not None else ""
    notes = [f"{target} is predicted as {task}{yes}, from {frame.height} rows"]
    identity = " and ".join(keys)
    notes.append(f"{identity} identifies a row" if keys else "no key: a row is its content")
    notes += [
        f"{name} is what a column without a name is called: it is a feature"
        for name in _unnamed(frame)
        if name not in (target, *keys, *drop)
    ]
    notes += [f"left out: {name}, {why}" for name, why in drop.items()]
    missing = frame[target].null_count()
    if missing:
        notes.append(f"{missing} rows have no {target}: they are not answered yet")
    return notes
