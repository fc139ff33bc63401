"""The raw columns of a request, from JSON values to physical values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import polars as pl

from nenrin.core.errors import RequestError
from nenrin.core.instants import local_midnight, to_us
from nenrin.features.kinds import Kind

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_WANTED = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "text": "a text",
    "instant": 'a time such as "2013-07-01T17:00:00-04:00", or microseconds since 1970 UTC',
    "date": 'a date such as "2013-07-01"',
}


@cache
def _dtypes() -> Mapping[Kind, pl.DataType]:
    return {
        "integer": pl.Int64(),
        "number": pl.Float64(),
        "boolean": pl.Boolean(),
        "text": pl.String(),
        "instant": pl.Datetime("us", "UTC"),
        "date": pl.Date(),
    }


class RequestColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A raw column that a request must bring.

    Attributes:
        name: as in the rows' dataset.
        kind: what it holds.
        single: the dataset stores it as 32-bit floats, so a request's value is rounded to one.
        zone: in which a time without an offset is local.
    """

    name: str
    kind: Kind
    single: bool = False
    zone: str = "UTC"

    @property
    def dtype(self) -> pl.DataType:
        """The polars type of the column."""
        return pl.Float32() if self.single else _dtypes()[self.kind]

    def physical(self, value: Any) -> Any:
        """A request's value as a physical value; None stays None.

        Raises:
            RequestError: the value is not of this kind, or no such local time exists.
        """
        if value is None:
            return None
        try:
            return _READ[self.kind](self, value)
        except (TypeError, ValueError, OverflowError) as error:
            raise RequestError(
                f"{self.name} is {value!r}: {error}",
                hint=f"send {_WANTED[self.kind]}, or null",
                where=self.name,
            ) from None

    def instant(self, physical: int) -> int:
        """The instant, in microseconds, of a physical value; of a date, its first in the zone."""
        if self.kind != "date":
            return physical
        return local_midnight(date.fromordinal(physical + _EPOCH_DAY), self.zone)


def _integer(_: RequestColumn, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError("not a whole number")
    whole = int(value)
    if whole != value:
        raise ValueError("not a whole number")
    if not -(2**63) <= whole < 2**63:
        raise ValueError("more than 64 bits")
    return whole


def _number(column: RequestColumn, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError("not a number")
    if not column.single or not math.isfinite(value):
        return float(value)
    with np.errstate(over="ignore"):
        return float(np.float32(value))


def _boolean(_: RequestColumn, value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise TypeError("neither true nor false")
    return bool(value)


def _text(_: RequestColumn, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _instant(column: RequestColumn, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return _integer(column, value)
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        raise TypeError("not a time")
    if moment.tzinfo is not None:
        return to_us(moment)
    aware = moment.replace(tzinfo=ZoneInfo(column.zone)).astimezone(UTC)
    if aware.astimezone(ZoneInfo(column.zone)).replace(tzinfo=None) != moment:
        raise ValueError(f"the clocks of {column.zone} skipped it")
    return to_us(aware)


def _date(_: RequestColumn, value: Any) -> int:
    day = date.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(day, date) or isinstance(day, datetime):
        raise TypeError("not a date")
    return day.toordinal() - _EPOCH_DAY


_READ: Mapping[Kind, Any] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "text": _text,
    "instant": _instant,
    "date": _date,
}


def physical_row(columns: Sequence[RequestColumn], raw: Mapping[str, Any]) -> dict[str, Any]:
    """A request's values of ``columns`` as physical values; members that nobody reads are passed over.

    Raises:
        RequestError: a column is missing, or its value is not of its kind.
    """
    missing = [column.name for column in columns if column.name not in raw]
    if missing:
        wanted = ", ".join(column.name for column in columns)
        raise RequestError(
            f"the request has no {', '.join(missing)}",
            hint=f"send {wanted}; null where a value is unknown",
        )
    return {column.name: column.physical(raw[column.name]) for column in columns}
