"""Feature columns as numpy arrays: one plain encoding between feature frames, row tables and models.

========  =========  ============================  ==========================================
kind      values     missing                       comes from
========  =========  ============================  ==========================================
number    float64    NaN                           floats, decimals
integer   int64      a mask (0 beneath it)         whole numbers; instants and durations in µs
boolean   int8       -1                            truth values
string    int32      -1, else place in vocabulary  texts, categories
========  =========  ============================  ==========================================

A vocabulary is sorted, and a text outside it is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from numbers import Real
from typing import Any

import msgspec
import numpy as np
import polars as pl

from nenrin.core.errors import ProjectError, RequestError
from nenrin.core.instants import to_us
from nenrin.training.records import Records

Index = slice | np.ndarray

_ARTICLE = {
    "number": "a number",
    "integer": "a whole number",
    "boolean": "a truth value",
    "string": "a text",
}


# what JSON has of texts and of numbers: of others it is asked value by value whether they are any
_TEXTS, _NUMBERS = {str, type(None)}, {float, int, type(None)}


class ColumnSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A column as a model knows it: its kind, and the texts that it was trained on.

    A vocabulary of None is open: a model that was fitted elsewhere is given every text as it is.
    """

    name: str
    kind: str
    vocabulary: tuple[str, ...] | None = ()


@dataclass(frozen=True, slots=True)
class FeatureColumn:
    """One encoded column of n rows; ``mask`` (bool, n) marks the missing values of integers only."""

    name: str
    kind: str
    values: np.ndarray
    mask: np.ndarray | None = None
    vocabulary: tuple[str, ...] = ()

    @property
    def spec(self) -> ColumnSpec:
        """Name, kind and vocabulary."""
        return ColumnSpec(name=self.name, kind=self.kind, vocabulary=self.vocabulary)

    def take(self, index: Index) -> FeatureColumn:
        """The rows at ``index``; a slice copies nothing."""
        mask = None if self.mask is None else self.mask[index]
        return replace(self, values=self.values[index], mask=mask)

    def narrowed(self, index: Index) -> FeatureColumn:
        """The same rows, the vocabulary only the texts that occur in those at ``index``."""
        if self.kind != "string":
            return self
        # One more place than texts: code -1 counts there.
        seen = np.zeros(len(self.vocabulary) + 1, dtype=bool)
        seen[self.values[index]] = True
        if seen[:-1].all():
            return self
        return self.recoded(
            tuple(text for text, here in zip(self.vocabulary, seen, strict=False) if here)
        )

    def recoded(self, vocabulary: tuple[str, ...] | None) -> FeatureColumn:
        """The same texts as places in another sorted vocabulary; texts outside it are missing."""
        if self.kind != "string" or vocabulary is None or vocabulary == self.vocabulary:
            return self
        place = {text: code for code, text in enumerate(vocabulary)}
        codes = np.array([*(place.get(text, -1) for text in self.vocabulary), -1], dtype=np.int32)
        return replace(self, values=codes[self.values], vocabulary=vocabulary)

    def numbers(self) -> np.ndarray:
        """float64 of shape (n,), missing as NaN; a text is its place in the vocabulary."""
        if self.kind == "number":
            return self.values
        values = self.values.astype(np.float64)
        missing = self.mask if self.kind == "integer" else self.values < 0
        if missing is not None:
            values[missing] = np.nan
        return values


def encode(frame: pl.DataFrame, where: str = "") -> tuple[FeatureColumn, ...]:
    """Encode every column of ``frame``, the vocabularies being the texts that occur.

    Raises:
        ProjectError: a column is of a kind that no model takes (lists, structs, bytes, objects).
    """
    return tuple(_encoded(series, where) for series in frame.iter_columns())


def encode_as(specs: Sequence[ColumnSpec], frame: pl.DataFrame) -> tuple[FeatureColumn, ...]:
    """Encode the columns that a model knows, as it knows them.

    Raises:
        RequestError: a column is absent, or its values do not fit its kind.
    """
    absent = [spec.name for spec in specs if spec.name not in frame.columns]
    if absent:
        raise RequestError(
            f"the rows lack {', '.join(absent)}",
            hint=f"the model takes {', '.join(spec.name for spec in specs)}",
        )
    return tuple(_fitted(spec, frame.get_column(spec.name)) for spec in specs)


class RowEncoder:
    """Encodes a few rows given as dicts, without a frame, as a model knows their columns."""

    def __init__(self, specs: Sequence[ColumnSpec]) -> None:
        self._specs = tuple(specs)
        self._places = {spec.name: _places(spec.vocabulary or ()) for spec in specs}

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> tuple[FeatureColumn, ...]:
        """The columns of ``rows``; an absent name is missing.

        Raises:
            RequestError: a value does not fit its column's kind.
        """
        if isinstance(rows, Records):
            columns, nulls = rows.columns, [None] * len(rows)
            return tuple(
                _of_values(spec, columns.get(spec.name, nulls), self._places)
                for spec in self._specs
            )
        return tuple(
            _of_values(spec, [row.get(spec.name) for row in rows], self._places)
            for spec in self._specs
        )


Vocabularies = Mapping[str, frozenset[str] | None]
"""The texts that training saw, by column of texts; None: every text is taken."""


def vocabularies(specs: Iterable[ColumnSpec]) -> Vocabularies:
    """What a model with these columns was trained on."""
    return {
        spec.name: None if spec.vocabulary is None else frozenset(spec.vocabulary)
        for spec in specs
        if spec.kind == "string"
    }


def take(columns: Iterable[FeatureColumn], index: Index) -> tuple[FeatureColumn, ...]:
    """The rows at ``index`` of every column."""
    return tuple(column.take(index) for column in columns)


def recode(
    columns: Sequence[FeatureColumn], specs: Sequence[ColumnSpec]
) -> tuple[FeatureColumn, ...]:
    """The columns that ``specs`` name, in their order and over their vocabularies."""
    by_name = {column.name: column for column in columns}
    return tuple(by_name[spec.name].recoded(spec.vocabulary) for spec in specs)


def _encoded(series: pl.Series, where: str) -> FeatureColumn:
    dtype = series.dtype
    if dtype == pl.Boolean or dtype == pl.Null:
        return _booleans(series.cast(pl.Boolean))
    if dtype.is_float() or dtype.is_decimal():
        return _numbers(series)
    if dtype.is_integer() or dtype.is_temporal():
        return _integers(series)
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return _strings(series.cast(pl.String))
    raise ProjectError(
        f"column {series.name!r} holds {dtype}, which no model takes",
        hint="make numbers, truth values, texts or times of it in a feature view, or drop it",
        where=where,
    )


def _fitted(spec: ColumnSpec, series: pl.Series) -> FeatureColumn:
    try:
        column = _encoded(series, spec.name)
    except ProjectError as error:
        raise _unfit(spec, f"{series.dtype}") from error
    if column.kind == spec.kind:
        return column.recoded(spec.vocabulary)
    numbers = column.numbers()
    if spec.kind == "string" or column.kind == "string":
        # A column of nulls has no kind of its own.
        fits = np.isnan(numbers).all()
    elif spec.kind == "integer":
        fits = _whole(numbers).all()
    else:
        fits = spec.kind == "number" or np.isin(numbers[~np.isnan(numbers)], (0.0, 1.0)).all()
    if not fits:
        raise _unfit(spec, f"{series.dtype}")
    return of_numbers(spec, numbers)


def _whole(numbers: np.ndarray) -> np.ndarray:
    """Which numbers are missing, or whole and exact in 64 bits."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.isnan(numbers) | ((numbers % 1 == 0) & (np.abs(numbers) < 2.0**63)))


def of_numbers(spec: ColumnSpec, numbers: np.ndarray) -> FeatureColumn:
    """The column of ``spec`` whose values are ``numbers`` (float64), which fit its kind; NaN is missing.

    A text is its place in the vocabulary: the inverse of :meth:`FeatureColumn.numbers`.
    """
    missing = np.isnan(numbers)
    if spec.kind == "number":
        return FeatureColumn(spec.name, "number", numbers)
    if spec.kind == "integer":
        values = np.where(missing, 0.0, numbers).astype(np.int64)
        return FeatureColumn(spec.name, "integer", values, missing if missing.any() else None)
    codes = np.where(missing, -1.0, numbers)
    dtype = np.int8 if spec.kind == "boolean" else np.int32
    return FeatureColumn(spec.name, spec.kind, codes.astype(dtype), None, spec.vocabulary or ())


def _numbers(series: pl.Series) -> FeatureColumn:
    values = series.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return FeatureColumn(series.name, "number", values)


def _integers(series: pl.Series) -> FeatureColumn:
    whole = _microseconds(series).cast(pl.Int64)
    mask = whole.is_null().to_numpy() if whole.null_count() else None
    return FeatureColumn(series.name, "integer", whole.fill_null(0).to_numpy(), mask)


def _microseconds(series: pl.Series) -> pl.Series:
    if isinstance(series.dtype, pl.Datetime):
        return series.dt.epoch("us")
    if isinstance(series.dtype, pl.Duration):
        return series.dt.total_microseconds()
    if series.dtype == pl.Date:
        return series.cast(pl.Datetime("us")).dt.epoch("us")
    return series


def _booleans(series: pl.Series) -> FeatureColumn:
    values = series.cast(pl.Int8).fill_null(-1).to_numpy()
    return FeatureColumn(series.name, "boolean", values)


def _strings(series: pl.Series) -> FeatureColumn:
    vocabulary = tuple(series.drop_nulls().unique().sort().to_list())
    codes = series.cast(pl.Enum(vocabulary)).to_physical()
    values = codes.cast(pl.Int32).fill_null(-1).to_numpy()
    return FeatureColumn(series.name, "string", values, None, vocabulary)


def _of_values(
    spec: ColumnSpec, values: Sequence[Any], places: Mapping[str, Mapping[str, int]]
) -> FeatureColumn:
    mask, vocabulary = None, spec.vocabulary or ()
    types = set(map(type, values))
    try:
        if spec.kind == "string":
            if not types <= _TEXTS:
                values = [None if value is None else _text(value) for value in values]
            place = places[spec.name]
            if spec.vocabulary is None:
                vocabulary = tuple(sorted({value for value in values if value is not None}))
                place = _places(vocabulary)
            array = np.array([place.get(value, -1) for value in values], dtype=np.int32)
        elif spec.kind == "number":
            if not types <= _NUMBERS:
                values = [None if value is None else float(_real(value)) for value in values]
            array = np.array(values, dtype=np.float64)  # of None it makes NaN
        elif spec.kind == "integer":
            missing = np.array([value is None for value in values])
            mask = missing if missing.any() else None
            whole = [0 if value is None else _integer(value) for value in values]
            array = np.array(whole, dtype=np.int64)
        else:
            truths = [-1 if value is None else _truth(value) for value in values]
            array = np.array(truths, dtype=np.int8)
    except (TypeError, ValueError, OverflowError) as error:
        given = sorted({type(value).__name__ for value in values if value is not None})
        raise _unfit(spec, ", ".join(given)) from error
    return FeatureColumn(spec.name, spec.kind, array, mask, vocabulary)


def _places(vocabulary: Sequence[str]) -> dict[str, int]:
    return {text: code for code, text in enumerate(vocabulary)}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _real(value: Any) -> Any:
    if not isinstance(value, Real | Decimal | np.bool):
        raise TypeError
    return value


def _integer(value: Any) -> int:
    if isinstance(value, datetime):
        return to_us(value)
    if isinstance(value, date):
        return to_us(datetime.combine(value, time()))
    if isinstance(value, timedelta):
        return value // timedelta(microseconds=1)
    if int(_real(value)) != value:
        raise ValueError
    return int(value)


def _truth(value: Any) -> int:
    if _real(value) not in (0, 1):
        raise ValueError
    return int(value)


def _unfit(spec: ColumnSpec, given: str) -> RequestError:
    return RequestError(
        f"{spec.name} is {_ARTICLE[spec.kind]} to the model, and {given} was given",
        hint="send null, or what the model was trained on",
        where=spec.name,
    )
