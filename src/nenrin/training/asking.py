"""Which rows are predicted, and when they are asked: one row a key, in the order of asking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from nenrin.core.errors import ProjectError
from nenrin.data.declare import Dataset, Shifted
from nenrin.training.declare import Model

KEY = "__key__"
ASKED = "__asked__"


@dataclass(frozen=True, slots=True, eq=False)
class AskedRows:
    """The rows of a model, sorted by (asked, key).

    Attributes:
        frame: the rows' own columns, with ``__event__`` and ``__known__``.
        keys: String of shape (n,), each once.
        asked: int64 of shape (n,), microseconds: when each prediction is made.
        known: int64 of shape (n,): when each row could be known.
    """

    frame: pl.DataFrame
    keys: pl.Series
    asked: np.ndarray
    known: np.ndarray


def ask(model: Model, frame: pl.DataFrame) -> AskedRows:
    """The rows that ``model`` predicts, from the versions of its rows' dataset.

    Of a key with several versions the one counts that was known when it was asked: the first whose
    successor became known only after its own asked instant. So a later load never changes what was
    asked before. Rows without a time are asked when they became known; a row whose own time is
    missing, which a load refuses, is never asked: when it was loaded says nothing of it.

    Args:
        model: the declared model.
        frame: every version of every row, in the order of becoming known.

    Raises:
        ProjectError: ``at=`` names a column that is absent or no instant.
    """
    asked = _asked(model, frame)
    keyed = frame.with_columns(row_keys(model.rows, frame), asked)
    if model.rows.declared.time is not None:
        keyed = keyed.filter(pl.col("__event__").is_not_null())
    if model.rows.declared.key and keyed.get_column(KEY).n_unique() < keyed.height:
        followed = pl.col("__known__").shift(-1).over(KEY)
        keyed = keyed.filter(followed.is_null() | (followed > pl.col(ASKED))).unique(
            subset=KEY, keep="first", maintain_order=True
        )
    keyed = keyed.sort(ASKED, KEY)
    return AskedRows(
        frame=keyed.drop(KEY, ASKED),
        keys=keyed.get_column(KEY),
        asked=keyed.get_column(ASKED).to_numpy(),
        known=keyed.get_column("__known__").to_numpy(),
    )


def asked_by(model: Model) -> tuple[str | None, int]:
    """The rows' column that says when a prediction is asked, and how far from it (microseconds)."""
    if isinstance(model.at, Shifted):
        return model.at.column.name, model.at.us
    return (model.at.name if model.at is not None else model.rows.declared.time), 0


def row_keys(dataset: Dataset, frame: pl.DataFrame) -> pl.Series:
    """One text a row that identifies it: its key, the parts of several joined by ``|``.

    Without a declared key it is the row's place in the dataset.
    """
    key = dataset.declared.key
    if not key:
        return frame.select(
            pl.int_range(pl.len()).cast(pl.String).str.zfill(12).alias(KEY)
        ).to_series()
    parts = [pl.col(column).cast(pl.String) for column in key]
    if len(parts) > 1:
        parts = [part.str.replace_all(r"([\\|])", r"\${1}") for part in parts]
    return frame.select(pl.concat_str(parts, separator="|").alias(KEY)).to_series()


def plain_columns(model: Model, columns: list[str]) -> list[str]:
    """The columns of the rows that are features where ``features=`` is left out.

    All but key, time, label, ``drop`` and what nenrin adds.

    Raises:
        ProjectError: ``drop`` names a column that the rows do not have.
    """
    spec, rows = model.declared, model.rows.declared
    absent = [name for name in spec.drop if name not in columns]
    if absent:
        raise ProjectError(
            f"drop names {', '.join(map(repr, absent))}, which {rows.name} does not have",
            hint=f"its columns are {', '.join(columns)}",
            where=spec.where,
        )
    label = model.label_column
    taken = {*rows.key, *spec.drop, rows.time, rows.known_column}
    if label.dataset is model.rows:
        taken.add(label.name)
    return [name for name in columns if name not in taken and not name.startswith("__")]


def _asked(model: Model, frame: pl.DataFrame) -> pl.Series:
    event = pl.coalesce("__event__", "__known__")
    if model.at is None:
        return frame.select(event.alias(ASKED)).to_series()
    column, shift = (
        (model.at.column, model.at.us) if isinstance(model.at, Shifted) else (model.at, 0)
    )
    if column.name == model.rows.declared.time:
        instant = pl.col("__event__")
    else:
        instant = _instant(model, frame, column.name)
    return frame.select((pl.coalesce(instant, event) + shift).alias(ASKED)).to_series()


def _instant(model: Model, frame: pl.DataFrame, name: str) -> pl.Expr:
    dtype = frame.schema.get(name)
    if isinstance(dtype, pl.Datetime):
        return pl.col(name).dt.epoch("us")
    if dtype == pl.Date:
        midnight = (
            pl.col(name)
            .cast(pl.Datetime("us"))
            .dt.replace_time_zone(
                model.rows.declared.tz or "UTC", ambiguous="earliest", non_existent="null"
            )
        )
        return midnight.dt.epoch("us")
    what = "does not exist" if dtype is None else f"holds {dtype}, no instants"
    times = [column for column, kind in frame.schema.items() if kind.is_temporal()]
    raise ProjectError(
        f"at= names {model.rows.declared.name}.{name}, which {what}",
        hint=f"columns with instants: {', '.join(times) or 'none'}",
        where=model.declared.where,
    )
