"""Labels: joined to rows by key, with the instant at which each became known and its corrections."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl

from nenrin.core.errors import ProjectError
from nenrin.core.instants import NEVER
from nenrin.data.declare import Comparison
from nenrin.training.asking import KEY, AskedRows, row_keys
from nenrin.training.declare import Model

MOST_SHOWN = 5

_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    {
        "==": operator.eq,
        "!=": operator.ne,
        "<": operator.lt,
        "<=": operator.le,
        ">": operator.gt,
        ">=": operator.ge,
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """The labels of n rows.

    Attributes:
        answered: int64 of shape (n,): when the first label became known; ``NEVER`` without one.
        y: float64 of shape (n,): the first label, NaN without one.
        corrected: int64 of shape (c,): rows whose label changed later, in the order of ``corrected_at``.
        corrected_at: int64 of shape (c,): when the change became known.
        corrected_y: float64 of shape (c,): the label from then on; NaN takes it back.
    """

    answered: np.ndarray
    y: np.ndarray
    corrected: np.ndarray
    corrected_at: np.ndarray
    corrected_y: np.ndarray


def join_labels(model: Model, rows: AskedRows, frame: pl.DataFrame) -> Labels:
    """The labels of ``rows``, from every version of every row of the label's dataset.

    A null label is a row not yet answered, or one whose answer was taken back. No label is known
    before its row is.

    Raises:
        ProjectError: the label's dataset has another key than the rows, its column is absent, or its
            values are no labels.
    """
    check_label_key(model)
    dataset = model.label_column.dataset
    told = pl.DataFrame(
        [
            row_keys(dataset, frame),
            frame.get_column("__known__").alias("known"),
            label_values(model, frame).alias("y"),
        ]
    )
    places = pl.DataFrame([rows.keys]).with_row_index("row")
    told = told.join(places, on=KEY, how="inner", maintain_order="left")
    row = told.get_column("row").to_numpy().astype(np.int64)
    known = np.maximum(told.get_column("known").to_numpy(), rows.known[row])
    y = told.get_column("y").fill_null(float("nan")).to_numpy()
    order = np.lexsort((known, row))  # stable: equal instants stay in the order of loading
    return _history(len(rows.keys), row[order], known[order], y[order])


def _history(n: int, row: np.ndarray, known: np.ndarray, y: np.ndarray) -> Labels:
    """First labels and corrections, from what was told in the order of (row, known)."""
    told = np.flatnonzero(~np.isnan(y))
    labelled, first_of = np.unique(row[told], return_index=True)
    first = np.full(n, len(row), dtype=np.int64)
    first[labelled] = told[first_of]
    answered = np.full(n, NEVER, dtype=np.int64)
    answered[labelled] = known[first[labelled]]
    label = np.full(n, np.nan)
    label[labelled] = y[first[labelled]]
    before = np.roll(y, 1)  # the entry before is of the same row wherever a later one is looked at
    same = (y == before) | (np.isnan(y) & np.isnan(before))
    changed = np.flatnonzero((np.arange(len(row)) > first[row]) & ~same)
    changed = changed[np.argsort(known[changed], kind="stable")]
    return Labels(answered, label, row[changed], known[changed], y[changed])


def check_label_key(model: Model) -> None:
    """Refuse a label whose dataset cannot be joined to the rows.

    Raises:
        ProjectError: its key is not the rows' key.
    """
    rows, labels = model.rows, model.label_column.dataset
    if labels is rows or (rows.declared.key and labels.declared.key == rows.declared.key):
        return
    keys = [", ".join(dataset.declared.key) or "none" for dataset in (rows, labels)]
    raise ProjectError(
        f"{model.label} cannot be joined: the key of {rows.declared.name} is {keys[0]}, "
        f"that of {labels.declared.name} is {keys[1]}",
        hint="declare the same key= for the rows and for the label's dataset",
        where=model.declared.where,
    )


def check_columns(model: Model, rows: pl.DataFrame, labels: pl.DataFrame) -> None:
    """Refuse a model that names columns which are not there, or a label that is the same everywhere.

    Args:
        model: the declared model.
        rows: frame of its rows.
        labels: frame of its label's dataset.

    Raises:
        ProjectError: says which, on the model's own line.
    """
    for name in model.declared.drop:
        if name not in rows.columns:
            raise ProjectError(
                f"drop= names {name}, a column that {model.rows.declared.name} does not have",
                hint=f"did you mean {_near(name, rows)}?",
                where=model.declared.where,
            )
    answers = label_values(model, labels).drop_nulls()
    if answers.n_unique() == 1:
        raise ProjectError(
            f"the label {model.label} is {_told(model, answers[0])} in every row that has one: "
            "there is nothing to tell apart",
            hint=_others(model, labels),
            where=model.declared.where,
        )


def _told(model: Model, value: float) -> str:
    return str(bool(value)).lower() if isinstance(model.label, Comparison) else f"{value:g}"


def _others(model: Model, frame: pl.DataFrame) -> str:
    """What the label could be compared with instead."""
    column = model.label_column
    found = frame.get_column(column.name).drop_nulls().unique().sort().to_list()
    if not isinstance(model.label, Comparison) or len(found) < 2:
        return f"see that the load of {column.dataset.declared.name} holds more than one outcome"
    shown = ", ".join(repr(value) for value in found[:MOST_SHOWN])
    others = " and others" if len(found) > MOST_SHOWN else ""
    return f"{column} holds {shown}{others}: compare with one of them"


def _near(name: str, frame: pl.DataFrame) -> str:
    visible = [column for column in frame.columns if not column.startswith("__")]
    return " or ".join(difflib.get_close_matches(name, visible, n=3) or visible)


def label_values(model: Model, frame: pl.DataFrame) -> pl.Series:
    """The label of every row of its dataset as Float64, null where there is none.

    Raises:
        ProjectError: the column is absent, holds no numbers or truth values, or cannot be compared
            with the value that the label compares it with.
    """
    column = model.label_column
    if column.name not in frame.columns:
        raise ProjectError(
            f"the label {model.label} names a column that {column.dataset.declared.name} does not have",
            hint=f"did you mean {_near(column.name, frame)}?",
            where=model.declared.where,
        )
    if isinstance(model.label, Comparison):
        return _compared(model, model.label, frame)
    values = frame.get_column(column.name)
    dtype = values.dtype
    if not (dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)):
        raise ProjectError(
            f"the label {model.label} holds {dtype}, neither numbers nor truth values",
            hint=f"name the positive class: label={model.label} == {_example(values)!r}",
            where=model.declared.where,
        )
    return values.cast(pl.Float64).fill_nan(None)


def _compared(model: Model, label: Comparison, frame: pl.DataFrame) -> pl.Series:
    column = pl.col(label.column.name)
    dtype = frame.schema[label.column.name]
    if dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    try:
        answer = frame.select(_COMPARE[label.op](column, label.value).cast(pl.Float64))
    except pl.exceptions.PolarsError as error:
        raise ProjectError(
            f"the label {model.label} compares {dtype} with {type(label.value).__name__}",
            hint=f"compare it with a value of its own kind, such as {_example(frame[label.column.name])!r}",
            where=model.declared.where,
        ) from error
    return answer.to_series()


def _example(values: pl.Series) -> object:
    present = values.drop_nulls()
    return present[0] if len(present) else None
