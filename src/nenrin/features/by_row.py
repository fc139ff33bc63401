"""View functions that cannot be traced: called once a row, with plain Python values.

Training and the live request call the same function with the same values: whole numbers, floats, truth
values, texts, aware datetimes in the dataset's time zone, dates, and None for null.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable, Mapping
from typing import Any

import cloudpickle
import numpy as np
import polars as pl

from nenrin.core.errors import USERS_ERRORS, DataError, NenrinError, StepError
from nenrin.features.arrays import Ints
from nenrin.features.compiled import calendar_date, local
from nenrin.features.declare import ViewFunction
from nenrin.features.kinds import Kind, physical
from nenrin.features.traced import Traced


class PlainRow:
    """The row of a function that is not traced: columns are attributes and items, plain values."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in self._values:
            raise AttributeError(f"the row has no column {name!r} that the function names")
        return self._values[name]


class RowFunction:
    """A feature view's function over request rows.

    Args:
        traced: the view, with the columns its function names and the reason why it is not traced.
        zone: time zone of the datetimes it gets.
        function: the user's function.
    """

    def __init__(self, traced: Traced, zone: str, function: ViewFunction) -> None:
        self.traced = traced
        self.zone = zone
        self.function = function
        self.names: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """Why the function runs row by row, with its line."""
        return self.traced.python

    def learn(self, rows: pl.DataFrame) -> None:
        """Learn the features' names from the first row, if there is one."""
        self.at(rows.head(1), np.zeros(min(rows.height, 1), dtype=np.int64))

    def at(self, rows: pl.DataFrame, _asked: Ints) -> pl.DataFrame:
        """The features of all rows, in their order.

        Raises:
            StepError, DataError: as :meth:`row`; DataError too if a feature changes its type.
        """
        values = physical(rows, self.traced.columns)
        found = [self.row(row, 0) for row in _dicts(values, rows.height)]
        columns = ((name, [row[name] for row in found]) for name in self.names)
        return pl.DataFrame([self._series(name, values) for name, values in columns])

    def row(self, row: Mapping[str, Any], _asked: int) -> dict[str, Any]:
        """The features of one physical row; whole numbers become floats, as in a column.

        Raises:
            StepError: the function raised; ``where`` is the user's line.
            DataError: it gave other features than before, or a value that is no feature.
        """
        plain = {name: self._plain(kind, row[name]) for name, kind in self.traced.columns.items()}
        try:
            found = self.function(PlainRow(plain))
        except NenrinError:
            raise
        except USERS_ERRORS as error:
            raise StepError.of(
                error,
                f"feature view {self.traced.view} raised {type(error).__name__}: {error}",
                hint=f"it runs row by row, on plain values that may be None; the row was {plain}",
                where=line_of(error, self.traced.where),
            ) from error
        if not isinstance(found, Mapping):
            raise self._wrong(f"gives {type(found).__name__}, not a dict of features")
        self.names = self.names or tuple(found)
        if tuple(found) != self.names:
            raise self._wrong(f"gives {[*found]} for one row and {[*self.names]} for others")
        return {name: self._value(name, value) for name, value in found.items()}

    def dumps(self) -> bytes:
        """The function by value; reading it back runs code, so only trusted stores are read."""
        module = sys.modules.get(self.function.__module__)
        if module is not None:
            cloudpickle.register_pickle_by_value(module)
        try:
            return bytes(cloudpickle.dumps(self))
        finally:
            if module is not None:
                cloudpickle.unregister_pickle_by_value(module)

    @staticmethod
    def loads(data: bytes) -> RowFunction:
        """The function that :meth:`dumps` wrote."""
        loaded = cloudpickle.loads(data)
        if not isinstance(loaded, RowFunction):
            raise TypeError("not a row function")
        return loaded

    def _plain(self, kind: Kind, value: Any) -> Any:
        if value is None or kind not in ("instant", "date"):
            return value
        return local(value, self.zone) if kind == "instant" else calendar_date(value)

    def _value(self, name: str, value: Any) -> Any:
        if value is None or isinstance(value, bool | float | str):
            return value
        if isinstance(value, int):
            if abs(value) > 2**53:
                raise self._wrong(f"gives {name} = {value}, which no float holds exactly")
            return float(value)
        if hasattr(value, "item"):  # a numpy scalar
            return self._value(name, value.item())
        raise self._wrong(f"gives {name} = {value!r}, which is no number, text or truth value")

    def _series(self, name: str, values: list[Any]) -> pl.Series:
        kinds = {type(value) for value in values if value is not None}
        if len(kinds) > 1:
            raise self._wrong(
                f"gives {name} as {' and '.join(sorted(kind.__name__ for kind in kinds))}"
            )
        dtype = {bool: pl.Boolean, str: pl.String}.get(next(iter(kinds), float), pl.Float64)
        return pl.Series(name, values, dtype=dtype)

    def _wrong(self, what: str) -> DataError:
        return DataError(
            f"feature view {self.traced.view} {what}",
            hint="give the same features, each of one type, for every row",
            where=self.traced.where,
        )


def _dicts(values: pl.DataFrame, height: int) -> Iterable[dict[str, Any]]:
    return values.iter_rows(named=True) if values.width else ({} for _ in range(height))


def line_of(error: BaseException, otherwise: str) -> str:
    """The innermost line in the file of the view function."""
    path = otherwise.rpartition(":")[0]
    lines = [
        step.lineno for step in traceback.extract_tb(error.__traceback__) if step.filename == path
    ]
    return f"{path}:{lines[-1]}" if lines else otherwise
