"""Rows of plain values as a block of numbers, in one pass and without a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nenrin.training.columns import ColumnSpec, RowEncoder
from nenrin.training.containers import to_numpy

_NAN = float("nan")
_EXACT = 2**53


class BlockEncoder:
    """Encodes rows given as dicts as a compiled model takes them.

    Plain values are read here; a row with any other is read by :class:`RowEncoder`, which knows them all and
    says what is wrong. Both give the same block.

    Args:
        specs: the columns, in order, with the vocabularies of training.
    """

    def __init__(self, specs: Sequence[ColumnSpec]) -> None:
        self._columns = [
            (
                spec.name,
                spec.kind,
                {text: float(at) for at, text in enumerate(spec.vocabulary or ())},
            )
            for spec in specs
        ]
        self._rows = RowEncoder(specs)

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """float64 (n, columns): missing is NaN, a text its place in the vocabulary, an unseen one missing.

        Raises:
            RequestError: a value does not fit its column's kind.
        """
        values: list[float] = []
        add = values.append
        for row in rows:
            get = row.get
            for name, kind, places in self._columns:
                value = get(name)
                if value is None:
                    add(_NAN)
                elif kind == "string" and type(value) is str:
                    add(places.get(value, _NAN))
                elif kind == "number" and type(value) is float:
                    add(value)
                elif type(value) is int and kind != "string" and -_EXACT < value < _EXACT:
                    if kind == "boolean" and value not in (0, 1):
                        return to_numpy(self._rows.encode(rows))
                    add(float(value))
                elif kind == "boolean" and type(value) is bool:
                    add(float(value))
                else:
                    return to_numpy(self._rows.encode(rows))
        return np.array(values, np.float64).reshape(len(rows), len(self._columns))
