"""Rows of plain values as a block of numbers, without a frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Any

import numpy as np

from nenrin.training.columns import ColumnSpec, RowEncoder
from nenrin.training.containers import to_numpy
from nenrin.training.records import Records

_NAN = float("nan")
_EXACT = 2**53
_TEXT, _NUMBER = frozenset({str, type(None)}), frozenset({float, type(None)})


class BlockEncoder:
    """Encodes rows as a compiled model takes them, column by column.

    Plain values are read here; a column with any other is read by :class:`RowEncoder`, which knows them all
    and says what is wrong. Both give the same block.

    Args:
        specs: the columns, in order, with the vocabularies of training.
    """

    def __init__(self, specs: Sequence[ColumnSpec]) -> None:
        self._names = tuple(spec.name for spec in specs)
        self._readers = [_READERS[spec.kind] for spec in specs]
        self._places = [
            {text: float(at) for at, text in enumerate(spec.vocabulary or ())} for spec in specs
        ]
        self._numbers = all(spec.kind == "number" for spec in specs)
        self._rows = RowEncoder(specs)

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """float64 (n, columns): missing is NaN, a text its place in the vocabulary, an unseen one missing.

        Of :class:`~nenrin.training.records.Records` the columns are read, and no dict is made.

        Raises:
            RequestError: a value does not fit its column's kind.
        """
        if isinstance(rows, Records):
            matrix = rows.matrix(self._names) if self._numbers else None
            if matrix is not None:
                return np.ascontiguousarray(matrix)
            columns, nulls = rows.columns, [None] * len(rows)
            values = [columns.get(name, nulls) for name in self._names]
        else:
            values = [[row.get(name) for row in rows] for name in self._names]
        try:
            found = [
                read(column, places)
                for read, column, places in zip(self._readers, values, self._places, strict=True)
            ]
        except _NotPlainError:
            return to_numpy(self._rows.encode(rows))
        plain = chain.from_iterable(found)  # of a null numpy makes NaN
        block = np.fromiter(plain, np.float64, len(self._names) * len(rows))
        return np.ascontiguousarray(block.reshape(len(self._names), len(rows)).T)


class _NotPlainError(Exception):
    pass


def _texts(values: Sequence[Any], places: Mapping[str, float]) -> Iterable[float | None]:
    if not {*map(type, values)} <= _TEXT:
        raise _NotPlainError
    return map(places.get, values)


def _numbers(values: Sequence[Any], _: object) -> Iterable[float | None]:
    if {*map(type, values)} <= _NUMBER:
        return values
    return [_NAN if value is None else _number(value) for value in values]


def _number(value: Any) -> float:
    if type(value) is float:
        return value
    return _whole(value)


def _wholes(values: Sequence[Any], _: object) -> list[float]:
    return [_NAN if value is None else _whole(value) for value in values]


def _whole(value: Any) -> float:
    if type(value) is int and -_EXACT < value < _EXACT:
        return float(value)
    raise _NotPlainError


def _truths(values: Sequence[Any], _: object) -> list[float]:
    if any(value is not None and type(value) is not bool for value in values):
        raise _NotPlainError
    return [_NAN if value is None else float(value) for value in values]


_READERS: Mapping[str, Callable[[Sequence[Any], Mapping[str, float]], Iterable[float | None]]] = (
    MappingProxyType({"number": _numbers, "integer": _wholes, "boolean": _truths, "string": _texts})
)
