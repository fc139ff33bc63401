"""Rows of files as a request would bring them: plain values, times as ISO 8601 texts.

What a text file holds is told by the deployment's signature, never by what its first rows look like. A
text that is no number where one is needed stays a text, so that whoever reads the row refuses it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self

import polars as pl

from nenrin.data.delimited import NO_NUMBER
from nenrin.serving.plane.csvrows import real
from nenrin.serving.plane.rows import RowReader
from nenrin.serving.signature import Kind, RequestField
from nenrin.training.records import Records

_NAIVE = "%Y-%m-%dT%H:%M:%S%.6f"
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


Values = Callable[[pl.DataFrame], dict[str, list[Any]]]


class Batch(Protocol):
    """Some rows of a file.

    Attributes:
        numbers: of its rows in the file, from 1.
        last: the number of the last row that was looked at; blank lines are counted, and are no rows.
    """

    numbers: Sequence[int]
    last: int

    def read(self, reader: RowReader) -> Records:
        """The rows, checked.

        Raises:
            RequestError: a value does not fit.
        """
        ...

    def part(self, start: int, stop: int) -> Self:
        """The rows from place ``start`` to before ``stop``."""
        ...

    def given(self) -> Any:
        """The first row as it stands in the file."""
        ...


class Columns:
    """Rows of a table; plain values are made of it only as they are read.

    Args:
        numbers, last: see :class:`Batch`.
        frame: the table.
        values: its columns as plain values.
    """

    def __init__(
        self, numbers: Sequence[int], frame: pl.DataFrame, values: Values, last: int
    ) -> None:
        self.numbers = numbers
        self.last = last
        self._frame = frame
        self._values = values

    def read(self, reader: RowReader) -> Records:
        """The rows, checked."""
        return reader.columns(self._values(self._frame))

    def part(self, start: int, stop: int) -> Self:
        """The rows from place ``start`` to before ``stop``."""
        return type(self)(
            self.numbers[start:stop], self._frame[start:stop], self._values, self.last
        )

    def given(self) -> Any:
        """The first row as it stands in the file."""
        return {name: values[0] for name, values in self._values(self._frame[:1]).items()}


class Lines:
    """Rows of a file of JSON lines.

    Args:
        numbers, last: see :class:`Batch`.
        records: the value of each line.
    """

    def __init__(self, numbers: Sequence[int], records: Sequence[Any], last: int) -> None:
        self.numbers = numbers
        self.last = last
        self._records = records

    def read(self, reader: RowReader) -> Records:
        """The rows, checked."""
        return reader.records(self._records)

    def part(self, start: int, stop: int) -> Self:
        """The rows from place ``start`` to before ``stop``."""
        return type(self)(self.numbers[start:stop], self._records[start:stop], self.last)

    def given(self) -> Any:
        """The first row as it stands in the file."""
        return self._records[0]


def of_table(fields: Sequence[RequestField], frame: pl.DataFrame) -> dict[str, list[Any]]:
    """The columns of a frame that are read, as plain values."""
    return {field.name: _plain(frame[field.name]) for field in fields}


def of_texts(
    fields: Sequence[RequestField], separator: str, frame: pl.DataFrame
) -> dict[str, list[Any]]:
    """The columns of a frame of texts that are read, as the values that they spell.

    Where the separator is no comma, a comma may be the decimal sign.
    """
    comma = separator != ","
    return {field.name: _spelled(frame[field.name], field.kind, comma) for field in fields}


def _plain(values: pl.Series) -> list[Any]:
    kind = values.dtype
    if isinstance(kind, pl.Datetime):
        shown = values.dt.cast_time_unit("us")
        if kind.time_zone is None:
            return shown.dt.to_string(_NAIVE).to_list()
        return shown.dt.convert_time_zone("UTC").dt.to_string(f"{_NAIVE}+00:00").to_list()
    if kind == pl.Date:
        return values.dt.to_string("%Y-%m-%d").to_list()
    if isinstance(kind, pl.Categorical | pl.Enum):
        return values.cast(pl.String).to_list()
    if kind.is_decimal():
        return values.cast(pl.Float64).to_list()
    return values.to_list()


def _spelled(texts: pl.Series, kind: Kind, comma: bool) -> list[Any]:
    if kind == "string":
        return texts.to_list()
    plain = texts.str.strip_chars()
    plain = plain.set(plain.is_in(NO_NUMBER), None)
    if kind == "boolean":
        return [_TRUTHS.get(text.lower(), text) if text else None for text in plain]
    if kind in ("datetime", "date"):
        return plain.to_list()
    if comma:
        plain = plain.str.replace(r"^([+-]?\d+),(\d+)$", "$1.$2")
    numbers = plain.cast(pl.Int64 if kind == "integer" else pl.Float64, strict=False)
    values: list[Any] = numbers.to_list()
    unread = numbers.is_null() & plain.is_not_null()
    if kind == "number":
        unread |= numbers.is_infinite()  # which is refused where it is not what the text says
    for place in unread.arg_true():
        values[place] = _number_or_text(plain[place])
    return values


def _number_or_text(text: str) -> float | str:
    """``5.0`` where whole numbers are wanted is one; what is no number is refused as it stands."""
    try:
        return real(text)
    except ValueError:
        return text
