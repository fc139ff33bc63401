"""A model's own rows by their key: what a request may leave out once it sends the key.

Kept are, of every key, the columns that requests bring and the one that says when a row is asked, at each
instant at which a version of the row became known. What answers is the newest version known when asked; the
first one counts before it was known, too, for a training reads it so (:func:`nenrin.training.asking.ask`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import polars as pl

from nenrin.core.errors import RequestError, UnknownKeyError
from nenrin.data.declare import Dataset
from nenrin.data.times import EVENT, KNOWN
from nenrin.features.arrays import NO_INSTANT
from nenrin.features.index import ViewIndex
from nenrin.features.kinds import Kind, kind_of
from nenrin.features.request import RequestColumn, physical_row
from nenrin.features.traced import Traced
from nenrin.features.tree import Column

Values = dict[str, Any]
Find = Callable[[Sequence[Values], Sequence[int]], Sequence[Values | None]]
"""The stored columns of keys at instants (physical values, microseconds); None: no row has that key."""


class Lookup(msgspec.Struct, frozen=True, kw_only=True):
    """How rows that leave columns out are filled in.

    Attributes:
        columns: what may be left out by a row that sends its key.
        time: the column that says when a row is asked; left out, it is looked up with the others.
        shift: microseconds from its instant to the instant asked.
        missing: what a key that no row has is answered with, raw values by column, null where it names
            none; None: it is refused.
    """

    columns: tuple[str, ...]
    time: str | None = None
    shift: int = 0
    missing: dict[str, Any] | None = None


class Entities(msgspec.Struct, frozen=True):
    """The rows of one dataset.

    Attributes:
        dataset: its name.
        key: the columns of its key.
        columns: those that are kept.
    """

    dataset: str
    key: tuple[RequestColumn, ...]
    columns: tuple[RequestColumn, ...]

    def completed(
        self,
        needed: Sequence[RequestColumn],
        raw: Sequence[Mapping[str, Any]],
        asked: Sequence[int],
        lookup: Lookup,
        find: Find,
    ) -> tuple[list[Values], Sequence[int]]:
        """The physical values of n rows, and the instants (us) at which they are asked in the end.

        What a row brings counts, null too; what it lacks is looked up. Where it does not say when it is
        asked, the row that was found does, and is read once more as it was known then.

        Raises:
            RequestError: a row lacks a column and its key, or a value is not of its kind.
            UnknownKeyError: no row has its key, and nothing is declared to stand for it.
        """
        names = {column.name for column in needed}
        gaps = [place for place, row in enumerate(raw) if not names <= row.keys()]
        if not gaps:
            return [physical_row(needed, row) for row in raw], asked
        keys = [self._key(raw[place], names) for place in gaps]
        ends = [asked[place] for place in gaps]
        stored = [
            self._missing(lookup, key) if found is None else found
            for key, found in zip(keys, find(keys, ends), strict=True)
        ]
        instants = list(asked)
        for place, values in zip(gaps, stored, strict=True):
            instants[place] = self._asked(raw[place], values, asked[place], lookup)
        earlier = [n for n, place in enumerate(gaps) if instants[place] < asked[place]]
        if earlier:
            again = find([keys[n] for n in earlier], [instants[gaps[n]] for n in earlier])
            for n, found in zip(earlier, again, strict=True):
                stored[n] = stored[n] if found is None else found
        filled = dict(zip(gaps, stored, strict=True))
        return [
            _joined(needed, row, filled[place]) if place in filled else physical_row(needed, row)
            for place, row in enumerate(raw)
        ], instants

    def _key(self, row: Mapping[str, Any], names: set[str]) -> Values:
        key = {column.name: column.physical(row.get(column.name)) for column in self.key}
        lacking = [name for name, value in key.items() if value is None]
        if lacking:
            left_out = ", ".join(sorted(names - row.keys()))
            raise RequestError(
                f"the request has no {left_out}, and no {', '.join(lacking)} to look it up by",
                hint=f"send {', '.join(key)}, or the columns themselves",
                where=lacking[0],
            )
        return key

    def _missing(self, lookup: Lookup, key: Values) -> Values:
        if lookup.missing is None:
            named = ", ".join(f"{name} {value!r}" for name, value in key.items())
            raise UnknownKeyError(
                f"no row of {self.dataset} has {named}",
                hint=f"send its columns ({', '.join(lookup.columns)}), load it (nenrin data load "
                f"{self.dataset}), or say in nr.deployment what stands for it: missing={{…}}",
                where=next(iter(key)),
            )
        given = lookup.missing
        return {column.name: column.physical(given.get(column.name)) for column in self.columns}

    def _asked(self, row: Mapping[str, Any], stored: Values, end: int, lookup: Lookup) -> int:
        moment = None if lookup.time in row else stored.get(lookup.time or "")
        if moment is None:
            return end
        column = next(column for column in self.columns if column.name == lookup.time)
        return min(column.instant(moment) + lookup.shift, end)


def rows_by_key(
    rows: Dataset, frame: pl.DataFrame, needed: Sequence[RequestColumn], time: str | None
) -> tuple[Entities, ViewIndex] | None:
    """The index of a dataset's rows; None where they have no key, or requests bring nothing else.

    Args:
        rows: the dataset.
        frame: every version of every row, in the order of becoming known.
        needed: the raw columns of a request.
        time: the column that says when a row is asked.
    """
    spec = rows.declared
    kinds = {name: kind_of(frame.schema[name]) for name in spec.key}
    by: dict[str, Kind] = {
        name: kind for name, kind in kinds.items() if kind is not None and kind != "number"
    }
    columns = [column for column in needed if column.name not in by]
    if not columns or not by or len(by) < len(kinds):
        return None
    if time is not None and time not in {*by, *(column.name for column in columns)}:
        kind = kind_of(frame.schema[time])
        if kind is not None:
            columns.append(RequestColumn(name=time, kind=kind, zone=spec.tz or "UTC"))
    traced = Traced(
        view=spec.name,
        dataset=spec.name,
        by=by,
        features={each.name: Column(name=each.name, kind=each.kind) for each in columns},
        columns={each.name: each.kind for each in columns},
    )
    # what counts is when a version was known, not when its event is: a flight's row is there before it
    first = pl.struct(spec.key).is_first_distinct()
    known = pl.when(first).then(NO_INSTANT).otherwise(KNOWN)
    versions = frame.with_columns(known.alias(KNOWN), known.alias(EVENT))
    key = tuple(
        RequestColumn(name=name, kind=kind, zone=spec.tz or "UTC") for name, kind in by.items()
    )
    return Entities(spec.name, key, tuple(columns)), ViewIndex.build(traced, versions)


def found_in(index: ViewIndex, keys: Sequence[Values], asked: Sequence[int]) -> list[Values | None]:
    """:data:`Find` in an index of :func:`rows_by_key`."""
    read = (index.read(*each) for each in zip(keys, asked, strict=True))
    return [None if age is None else values for values, age in read]


def _joined(needed: Sequence[RequestColumn], row: Mapping[str, Any], stored: Values) -> Values:
    return {
        each.name: each.physical(row[each.name]) if each.name in row else stored[each.name]
        for each in needed
    }
