"""From what clients send to rows of plain values, checked against the request signature.

Numbers become ``int`` or ``float`` as their column is stored, times aware ``datetime`` in UTC. What
does not fit is refused with the column, the row and what was expected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from difflib import get_close_matches
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from nenrin.core.errors import RequestError
from nenrin.serving.signature import RequestField, RequestSignature

Row = dict[str, Any]


class RowReader:
    """Reads the rows of requests for one deployment."""

    def __init__(self, signature: RequestSignature) -> None:
        zone = ZoneInfo(signature.zone) if signature.zone else UTC
        self._fields = {field.name: field for field in signature.fields}
        self._readers = {field.name: _reader(field, zone) for field in signature.fields}
        self._required = [field.name for field in signature.fields if field.required]
        self._key = signature.key
        self._lookup = signature.lookup

    def columns(self, columns: Mapping[str, Sequence[Any]], *, strict: bool = False) -> list[Row]:
        """Rows from columns of equal length; a column that may be left out is then null, or looked up later.

        Args:
            columns: values by column name.
            strict: refuse columns that the deployment does not read, instead of passing them over.

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
        if not lengths or lengths == {0}:
            raise RequestError("the request has no rows", hint="send at least one row")
        read = {
            name: self._column(name, columns[name]) if name in columns else [None] * max(lengths)
            for name in self._fields
            if name in columns or not self._looked_up(name, columns)
        }
        return [dict(zip(read, values, strict=True)) for values in zip(*read.values(), strict=True)]

    def records(self, records: Sequence[Any]) -> list[Row]:
        """Rows from JSON objects, one a row; members that nobody reads are passed over.

        Raises:
            RequestError: a record is not an object, lacks a column, or a value does not fit.
        """
        if not records:
            raise RequestError("the request has no rows", hint="send at least one row")
        rows = []
        for number, record in enumerate(records):
            if not isinstance(record, dict):
                raise RequestError(
                    f"row {number} is not an object", hint='send {"column": value, …} for each row'
                )
            self._check_names(record, strict=False)
            rows.append(
                {
                    name: self._value(name, record[name], number) if name in record else None
                    for name in self._fields
                    if name in record or not self._looked_up(name, record)
                }
            )
        return rows

    def _looked_up(self, name: str, given: Mapping[str, Any]) -> bool:
        """Whether a column that is left out is looked up: it is absent from the row then, not null."""
        return (
            self._lookup is not None
            and name not in self._key
            and all(given.get(part) is not None for part in self._key)
        )

    def _check_names(self, given: Mapping[str, Any], strict: bool) -> None:
        missing = [name for name in self._required if name not in given]
        if self._lookup and any(given.get(part) is None for part in self._key):
            missing += [name for name in self._lookup.columns if name not in given]
        if missing:
            near = get_close_matches(missing[0], list(given), 1)
            raise RequestError(
                f"the request lacks the column {missing[0]!r}",
                hint=f"rename {near[0]!r}" if near else self._needs(),
            )
        unknown = [name for name in given if name not in self._fields] if strict else []
        if unknown:
            near = get_close_matches(unknown[0], list(self._fields), 1)
            raise RequestError(
                f"there is no input {unknown[0]!r}",
                hint=f"did you mean {near[0]!r}?"
                if near
                else f"the inputs are {', '.join(self._fields)}",
            )

    def _needs(self) -> str:
        looked_up = self._lookup.columns if self._lookup else ()
        needed = ", ".join([*self._required, *looked_up])
        by_key = f", or {', '.join(self._key)} alone, of a row that is loaded" if looked_up else ""
        return f"a row needs {needed}{by_key}"

    def _column(self, name: str, values: Sequence[Any]) -> list[Any]:
        return [self._value(name, value, number) for number, value in enumerate(values)]

    def _value(self, name: str, value: Any, number: int) -> Any:
        if value is None:
            return None
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
