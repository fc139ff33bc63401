"""From what clients send to rows of plain values, checked against the request signature.

Numbers become ``int`` or ``float`` as their column is stored, times aware ``datetime`` in UTC. What
does not fit is refused with the column, the row and what was expected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from difflib import get_close_matches
from functools import partial
from types import MappingProxyType
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from nenrin.core.errors import RequestError
from nenrin.serving.signature import RequestField, RequestSignature
from nenrin.training.records import LEFT_OUT, Records

Row = dict[str, Any]

_NONE: frozenset[type] = frozenset()
_AS_THEY_ARE = {
    "number": frozenset({float}),
    "string": frozenset({str, type(None)}),
    "boolean": frozenset({bool, type(None)}),
}
"""Types of which every value is what its column holds."""

_TYPES: Mapping[str, Any] = MappingProxyType(
    {
        "number": float | None,
        "integer": Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None,
        "string": str | None,
        "boolean": bool | None,
    }
)
"""Types of the JSON values that are what a column of the kind holds."""


class RowReader:
    """Reads the rows of requests for one deployment.

    Attributes:
        needed: the columns of a whole row, in order.
        numbers: the columns that a row needs, if all of them are numbers: then a request may send them
            as one tensor, in this order; else empty.
    """

    def __init__(self, signature: RequestSignature) -> None:
        zone = ZoneInfo(signature.zone) if signature.zone else UTC
        self._fields = {field.name: field for field in signature.fields}
        self._readers = {field.name: _reader(field, zone) for field in signature.fields}
        self._required = signature.required
        self._key = signature.key
        self._lookup = signature.lookup
        self._looked_up = signature.looked_up
        self._stored = frozenset(self._looked_up)
        known = {*self._required, *self._looked_up}
        needed = [name for name in self._fields if name in known]
        kinds = {self._fields[name].kind for name in needed}
        self.numbers = tuple(needed) if kinds == {"number"} else ()
        self.needed = tuple(needed)
        self._others = tuple(name for name in self._fields if name not in needed)

    def typed(self, names: tuple[str, ...]) -> tuple[type, tuple[str, ...]] | None:
        """What a row of these columns is, as a decoder takes it, and the columns that it leaves out.

        None: they need a closer look.
        """
        given = {*names}
        others = tuple(name for name in self._fields if name not in given)
        needed = {*self._required}
        if others and self._lookup is not None:
            if given.issuperset(self._key):
                return None  # what is left out is looked up
            needed.update(self._looked_up)
        if len(given) < len(names) or not needed <= given <= self._fields.keys():
            return None
        kinds = [_TYPES.get(self._fields[name].kind) for name in names]
        if None in kinds:
            return None
        return tuple[*kinds], others  # type: ignore[valid-type]

    def columns(self, columns: Mapping[str, Sequence[Any]], *, strict: bool = False) -> Records:
        """Rows from columns of equal length; one that may be left out is then null, or looked up later.

        Args:
            columns: values by column name: lists, or arrays of one axis.
            strict: refuse columns that the deployment does not read, instead of passing them over; they
                are refused too where another is looked up.

        Raises:
            RequestError: a column is missing, unknown or too short, or a value does not fit.
        """
        self._check_names(columns, strict)
        lengths = {len(columns[name]) for name in self._fields if name in columns}
        if len(lengths) > 1:
            raise RequestError(
                f"the columns have different lengths: {sorted(lengths)}",
                hint="send one value a row in every column",
            )
        rows = max(lengths, default=0)
        if not rows:
            raise RequestError("the request has no rows", hint="send at least one row")
        gap = self._left_out(columns)
        read = {
            name: self._column(name, columns[name])
            if name in columns
            else [None if name in self._key else gap] * rows
            for name in self._fields
        }
        return Records(read, rows, gaps=gap is LEFT_OUT)

    def block(self, values: np.ndarray) -> Records:
        """Rows from numbers: float64 (rows, columns), the columns being ``numbers``; NaN is null.

        Raises:
            RequestError: there are no rows, or not that many columns.
        """
        if not self.numbers or values.ndim != 2 or values.shape[1] != len(self.numbers):
            raise RequestError(
                f"numbers of the shape {list(values.shape)} are not the columns of a row",
                hint=f"send [rows, {len(self.numbers)}]: {', '.join(self.numbers)}"
                if self.numbers
                else "send an input for every column",
            )
        if not len(values):
            raise RequestError("the request has no rows", hint="send at least one row")
        return Records.of_block(self.numbers, values, self._others)

    def records(self, records: Sequence[Any]) -> Records:
        """Rows from JSON objects, one a row; members that nobody reads are passed over.

        Raises:
            RequestError: a record is not an object, lacks a column, has one that nobody reads where another
                is looked up, or a value does not fit.
        """
        if not records:
            raise RequestError("the request has no rows", hint="send at least one row")
        for number, record in enumerate(records):
            if not isinstance(record, dict):
                raise RequestError(
                    f"row {number} is not an object", hint='send {"column": value, …} for each row'
                )
            self._check_names(record, strict=False)
        left_out = [self._left_out(record) for record in records]
        return Records(
            {
                name: self._column(
                    name,
                    [
                        record.get(name, gap if name not in self._key else None)
                        for record, gap in zip(records, left_out, strict=True)
                    ],
                )
                for name in self._fields
            },
            len(records),
            gaps=any(gap is LEFT_OUT for gap in left_out),
        )

    def _left_out(self, given: Mapping[str, Any]) -> Any:
        """What stands for columns that are left out: null, or the sign that the key looks them up."""
        if self._lookup is None or self._fields.keys() <= given.keys():
            return None
        return None if any(given.get(part) is None for part in self._key) else LEFT_OUT

    def _check_names(self, given: Mapping[str, Any], strict: bool) -> None:
        missing = [name for name in self._required if name not in given]
        if self._lookup and any(given.get(part) is None for part in self._key):
            missing += [name for name in self._looked_up if name not in given]
        if missing:
            near = like(missing[0], [name for name in given if name not in self._fields])
            raise RequestError(
                f"the request lacks the column {missing[0]!r}",
                hint=f"rename {near!r}" if near else self._needs(),
            )
        # a misspelt name would else become what is stored under the right one
        strict = strict or not given.keys() >= self._stored
        unknown = [name for name in given if name not in self._fields] if strict else []
        if unknown:
            near = like(unknown[0], [name for name in self._fields if name not in given])
            raise RequestError(
                f"there is no input {unknown[0]!r}",
                hint=f"did you mean {near!r}?"
                if near
                else f"the inputs are {', '.join(self._fields)}",
            )

    def _needs(self) -> str:
        needed = ", ".join([*self._required, *self._looked_up])
        alone = ", ".join(dict.fromkeys([*self._key, *self._required]))
        by_key = f", or {alone} alone, of a row that is loaded" if self._looked_up else ""
        return f"a row needs {needed}{by_key}"

    def _column(self, name: str, values: Sequence[Any] | np.ndarray) -> Sequence[Any]:
        plain: Sequence[Any] = values.tolist() if isinstance(values, np.ndarray) else values
        if set(map(type, plain)) <= _AS_THEY_ARE.get(self._fields[name].kind, _NONE):
            return plain
        return [self._value(name, value, number) for number, value in enumerate(plain)]

    def _value(self, name: str, value: Any, number: int) -> Any:
        if value is None or value is LEFT_OUT:
            return value
        try:
            return self._readers[name](value)
        except (ValueError, TypeError, OverflowError) as error:
            expected = (
                str(error) if isinstance(error, _UnfitError) else _EXPECTED[self._fields[name].kind]
            )
            raise RequestError(
                f"column {name!r}, row {number}: {value!r:.60} is not {expected}",
                hint=f"send {expected}, or null",
                where=name,
            ) from None


def like(name: str, names: Sequence[str]) -> str | None:
    """The one of some names that may be meant by another, or the other way round; None: none is like it."""
    spelled = {each.casefold(): each for each in names}
    near = get_close_matches(name.casefold(), spelled, 1)
    return spelled[near[0]] if near else None


class _UnfitError(ValueError):
    """A value that is of the right type and still wrong; its text completes "is not …"."""


_EXPECTED = {
    "number": "a number",
    "integer": "a whole number of 64 bits",
    "boolean": "true or false",
    "string": "a text",
    "datetime": 'a time such as "2013-07-01T18:30:00"',
    "date": 'a date such as "2013-07-01"',
}


def _reader(field: RequestField, zone: Any) -> Callable[[Any], Any]:
    if field.kind == "datetime":
        return partial(_datetime, zone=zone)
    return _READERS[field.kind]


def _number(value: Any) -> float:
    if type(value) is float or type(value) is int:
        return float(value)
    raise TypeError


def _integer(value: Any) -> int:
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is int and -(2**63) <= value < 2**63:
        return value
    raise TypeError


def _boolean(value: Any) -> bool:
    if type(value) is bool or (type(value) is int and value in (0, 1)):
        return bool(value)
    raise TypeError


def _string(value: Any) -> str:
    if type(value) is str:
        return value
    raise TypeError


def _date(value: Any) -> date:
    return date.fromisoformat(_string(value))


def _datetime(value: Any, zone: Any) -> datetime:
    """An ISO 8601 text; without an offset it is local, of a doubled hour the first."""
    moment = datetime.fromisoformat(_string(value))
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    instant = moment.replace(tzinfo=zone).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) != moment:
        raise _UnfitError(f"a time that exists in {zone}")
    return instant


_READERS: dict[str, Callable[[Any], Any]] = {
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "string": _string,
    "date": _date,
}
