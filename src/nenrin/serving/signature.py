"""What a request for a deployment holds: the row's keys, its time and the raw columns needed.

Never the label, and never a computed feature. Version 2 metadata, OpenAPI, the examples and the
checks of what clients send all come from here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

import msgspec
import polars as pl

from nenrin.core.errors import ProjectError
from nenrin.features import kinds
from nenrin.features.entities import Lookup

Kind = Literal["number", "integer", "boolean", "string", "datetime", "date"]

DATATYPES: dict[Kind, str] = {
    "number": "FP64",
    "integer": "INT64",
    "boolean": "BOOL",
    "string": "BYTES",
    "datetime": "BYTES",
    "date": "BYTES",
}
"""How each kind is called in the Open Inference Protocol, version 2."""

_OF_FEATURES: dict[kinds.Kind | None, Kind] = {
    "number": "number",
    "integer": "integer",
    "boolean": "boolean",
    "text": "string",
    "instant": "datetime",
    "date": "date",
}


class RequestField(msgspec.Struct, frozen=True, kw_only=True):
    """One column of a request. ``required`` is false for those that the features do without, or that are
    looked up by the key: keys, times, what rows stick by; see :attr:`RequestSignature.required`."""

    name: str
    kind: Kind
    required: bool = True


class RequestSignature(msgspec.Struct, frozen=True, kw_only=True):
    """The columns of a request, and what its answer is called.

    Attributes:
        fields: every column that a client may send, keys first.
        key: names of the columns that identify a row; requests stick to a version by them.
        sticky: the column, or else the header, that requests stick by instead; empty: the key.
        time: the column that says when the row is asked; without it the calendar's now counts.
        shift: microseconds from that column's instant to the instant asked (``at=time - "2h"``).
        zone: IANA time zone of naive times; UTC when it is None.
        output: ``probability`` or ``prediction``.
        datatype: of the output: ``FP64``, or ``BYTES`` for text.
        lookup: what a request that sends its whole key may leave out; None: nothing is looked up.
        unseen: a text that a version's training had not seen is ``null`` to it, or ``refuse``.
    """

    fields: tuple[RequestField, ...]
    key: tuple[str, ...] = ()
    time: str | None = None
    shift: int = 0
    zone: str | None = None
    output: str = "prediction"
    datatype: str = "FP64"
    sticky: str = ""
    lookup: Lookup | None = None
    unseen: str = "null"

    @property
    def required(self) -> tuple[str, ...]:
        """The columns that every row sends: those that nothing stands for, and the one that rows stick by.

        A row is dealt before anything is looked up: left out, that column would deal it by another value.
        """
        return tuple(each.name for each in self.fields if each.required or each.name == self.sticky)

    @property
    def looked_up(self) -> tuple[str, ...]:
        """The columns that a row may leave out once it sends its key."""
        columns = self.lookup.columns if self.lookup else ()
        return tuple(name for name in columns if name != self.sticky)

    def lacking(self, names: Collection[str]) -> list[str]:
        """The columns that a table lacks; of its rows by their key alone it needs no other.

        One that has some of the columns that are looked up must have them all: a misspelt one would else
        become what is stored.
        """
        given, looked_up = {*names}, {*self.looked_up}
        others = looked_up - {self.time, *self.key}
        by_key = self.lookup is not None and given >= {*self.key} and given.isdisjoint(others)
        needed = {*self.required} if by_key else {*self.required, *looked_up}
        return [each.name for each in self.fields if each.name in needed - given]

    @property
    def sticky_header(self) -> str:
        """The header that requests stick by; empty: they stick by a column."""
        if not self.sticky:
            return ""
        columns = {field.name for field in self.fields}
        return "" if self.sticky in columns else self.sticky

    @property
    def optional(self) -> tuple[str, ...]:
        """Columns that only some of the versions read, so that clients may leave them out."""
        beside = {*self.key, self.time, self.sticky, *(self.lookup.columns if self.lookup else ())}
        return tuple(
            field.name for field in self.fields if not field.required and field.name not in beside
        )

    @classmethod
    def of(
        cls,
        needed: Mapping[str, pl.DataType],
        *,
        known: Mapping[str, pl.DataType],
        key: tuple[str, ...] = (),
        time: str | None = None,
        shift: int = 0,
        zone: str | None = None,
        output: str = "prediction",
        datatype: str = "FP64",
        sticky: str = "",
        lookup: Lookup | None = None,
        unseen: str = "null",
    ) -> RequestSignature:
        """The signature of a model.

        Args:
            needed: raw columns that its features read, with their types.
            known: types of all columns of the rows' dataset; ``key`` and ``time`` are among them.
            key: the dataset's key.
            time: the column that says when a row is asked.
            shift: microseconds from its instant to the instant asked.
            zone: the dataset's time zone.
            output: what the answer is called.
            datatype: version 2 datatype of the answer.
            sticky: the column or header that requests stick by.
            lookup: what is looked up by the key.
            unseen: what a text is that training had not seen.

        Raises:
            ProjectError: a column has a type that JSON requests do not carry.
        """
        by = [sticky] if sticky in known else []
        names = dict.fromkeys([*key, *([time] if time else []), *by, *needed])
        types = {**known, **needed}
        required = needed.keys() - set(lookup.columns if lookup else ())
        fields = tuple(
            RequestField(name=name, kind=kind_of(name, types[name]), required=name in required)
            for name in names
        )
        return cls(
            fields=fields,
            key=key,
            time=time,
            shift=shift,
            zone=zone,
            output=output,
            datatype=datatype,
            sticky=sticky,
            lookup=lookup,
            unseen=unseen,
        )

    def widened(self, other: RequestSignature) -> RequestSignature:
        """This signature with the columns that only ``other`` has, which may be left out."""
        known = {field.name for field in self.fields}
        more = [
            msgspec.structs.replace(field, required=False)
            for field in other.fields
            if field.name not in known
        ]
        return msgspec.structs.replace(self, fields=(*self.fields, *more))

    def example(self, deployment: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """One request for ``deployment`` in every dialect, from a raw row of plain JSON values.

        Returns:
            ``path`` and ``body`` of a version 2 request, ``records`` for ``POST /invocations``.
        """
        needed = {*self.looked_up, *self.required}
        fields = [
            field
            for field in self.fields
            if field.name in needed or row.get(field.name) is not None
        ]
        inputs = [
            {
                "name": field.name,
                "datatype": DATATYPES[field.kind],
                "shape": [1],
                "data": [row.get(field.name)],
            }
            for field in fields
        ]
        return {
            "path": f"/v2/models/{deployment}/infer",
            "body": {"inputs": inputs},
            "records": [{field.name: row.get(field.name) for field in fields}],
        }


def kind_of(name: str, dtype: pl.DataType) -> Kind:
    """The kind of a stored column of a polars type.

    Raises:
        ProjectError: no JSON value stands for that type.
    """
    kind = kinds.kind_of(dtype)
    if kind in _OF_FEATURES:
        return _OF_FEATURES[kind]
    raise ProjectError(
        f"the column {name!r} of type {dtype} cannot be sent in a request",
        hint="turn it into a number, a text, a Boolean or a time in the dataset's function",
    )
