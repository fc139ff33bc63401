"""The features of a model: all its views over one dataset's rows, for training and for the live request."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from threading import Lock
from typing import Any, ClassVar, Protocol

import msgspec
import polars as pl

from nenrin.core.errors import IntegrityError, NotFoundError, ProjectError, UnavailableError
from nenrin.data.declare import Dataset
from nenrin.features.arrays import Ints
from nenrin.features.by_row import RowFunction
from nenrin.features.declare import FeatureView
from nenrin.features.entities import Entities, Lookup, found_in, rows_by_key
from nenrin.features.every_column import every_column
from nenrin.features.index import ViewIndex
from nenrin.features.kinds import Kind, kind_of
from nenrin.features.partitioned import PartitionedView
from nenrin.features.request import RequestColumn, physical_row
from nenrin.features.request_view import RequestView
from nenrin.features.trace import trace
from nenrin.features.traced import Traced
from nenrin.features.tree import Column

_AS_SENT = ("number", "text", "boolean", "integer")
"""Kinds whose values are to a view what a request's reader makes of them."""


class Part(Protocol):
    """One view, ready to answer for many rows and for one."""

    @property
    def traced(self) -> Traced:
        """The view as it was traced."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """The features, in declared order."""
        ...

    def at(self, rows: pl.DataFrame, asked: Ints, /) -> pl.DataFrame:
        """The features of n rows asked at int64[n] microseconds, in the rows' order."""
        ...

    def row(self, row: Mapping[str, Any], asked: int, /) -> dict[str, Any]:
        """The features of one row of physical values."""
        ...

    def dumps(self) -> bytes:
        """The part as bytes."""
        ...


class Seen(msgspec.Struct, frozen=True):
    """What a model sees of n requests.

    Attributes:
        features: its columns, a dict each.
        ages: by feature view with ``by=`` columns, how long before the question the newest row that it was
            read from had happened, seconds; None: nothing was found.
        asked: the instants of the questions, microseconds: of a row that was looked up, its own.
    """

    features: list[dict[str, Any]]
    ages: list[dict[str, float | None]]
    asked: Sequence[int]


class _Stored(msgspec.Struct, frozen=True):
    columns: tuple[RequestColumn, ...]
    views: tuple[tuple[str, str, bytes], ...]
    rows: tuple[Entities, bytes] | None = None


class FeatureSet:
    """All features of a model. Made by :meth:`build` from declarations, or by :meth:`loads` from bytes.

    Args:
        columns: the raw columns that a request brings.
        parts: the views by name, in the model's order.
        rows: the model's own rows by their key, and their index, which may be bytes that are read when it is
            first asked; None: requests bring all columns.
    """

    waits = False
    _KINDS: ClassVar[Mapping[str, Any]] = {
        kind.__name__: kind for kind in (ViewIndex, RequestView, RowFunction, PartitionedView)
    }

    def __init__(
        self,
        columns: Sequence[RequestColumn],
        parts: Mapping[str, Part],
        rows: tuple[Entities, ViewIndex | bytes] | None = None,
    ) -> None:
        self.columns_read = tuple(columns)
        self.parts = dict(parts)
        self._rows = None if rows is None else _RowsByKey(*rows)
        _refuse_doubles(self.parts)

    @classmethod
    def build(
        cls,
        views: Sequence[FeatureView] | None,
        rows: Dataset,
        frames: Mapping[str, pl.DataFrame],
        *,
        label: str | None = None,
        drop: Sequence[str] = (),
        time: str | None = None,
        apart: Collection[str] = (),
    ) -> FeatureSet:
        """Trace the views and index their datasets.

        Args:
            views: the model's feature views; None: every column of the rows but key, time, ``label`` and
                ``drop``, times as days since 1970.
            rows: the dataset whose rows are predicted.
            frames: the loaded frames by dataset name, with ``__event__`` and ``__known__``.
            label: the column of ``rows`` that is the label, which no request has.
            drop: columns that are no features, if ``views`` is None.
            time: the column of ``rows`` that says when a row is asked.
            apart: datasets that are too large to be indexed; of their frames, only the columns are read, and
                rows of theirs are not looked up by key.

        Raises:
            ProjectError: a declaration does not fit the data; ``where`` is the user's line.
            DataError: a value does not fit in 64 bits.
            NotFoundError: a dataset's frame is not among ``frames``.
        """
        own = _frame(rows, frames)
        if views is None:
            views = [every_column(rows, own.schema, {*drop, *([label] if label else [])})]
        if not views:
            raise ProjectError(
                f"a model over {rows.declared.name} has an empty list of features",
                hint="leave features= out to take every column",
                where=rows.declared.where,
            )
        traced = {view: _traced(view, rows, frames) for view in dict.fromkeys(views)}
        for view in views:
            _check(view, traced[view], rows, own, label)
        read = _columns_read(traced.values(), rows, own.schema)
        parts: dict[str, Part] = {}
        for view in views:
            name = view.declared.name
            if name in parts:
                raise _given_twice(name, view)
            parts[name] = (
                PartitionedView(traced[view])
                if traced[view].by and traced[view].dataset in apart
                else _part(view, traced[view], rows, frames)
            )
        large = rows.declared.name in apart
        return cls(read, parts, None if large else rows_by_key(rows, own, read, time))

    def without(self, names: Collection[str]) -> FeatureSet:
        """The same, but for the views all of whose features are among ``names``."""
        parts = {view: part for view, part in self.parts.items() if not {*part.names} <= {*names}}
        found = FeatureSet(self.columns_read, parts)
        found._rows = self._rows
        return found

    @property
    def by_key(self) -> tuple[Entities, ViewIndex] | None:
        """The model's own rows by their key, and their index."""
        return None if self._rows is None else (self._rows.entities, self._rows.index)

    @property
    def unread(self) -> bool:
        """Whether the index of the model's own rows is to be read still, which may take long."""
        return self._rows is not None and not self._rows.is_read

    def read(self) -> None:
        """Read that index now; else the first row that leaves columns out has it read.

        Raises:
            IntegrityError: its bytes are something else.
        """
        if self._rows is not None:
            self._rows.read()

    @property
    def names(self) -> tuple[str, ...]:
        """All features, in declared order."""
        return tuple(name for part in self.parts.values() for name in part.names)

    @cached_property
    def passes(self) -> tuple[str, ...] | None:
        """The request's columns that are the features as they are; None: some feature is computed."""
        if any(column.single for column in self.columns_read):
            return None
        for part in self.parts.values():
            if not isinstance(part, RequestView):
                return None
            for name, tree in part.traced.features.items():
                as_it_is = isinstance(tree, Column) and tree.name == name and tree.kind in _AS_SENT
                if not as_it_is:
                    return None
        return self.names

    @property
    def too_large(self) -> UnavailableError | None:
        """Why no request is answered: the dataset of a view is not indexed. None: they are answered."""
        apart = (part for part in self.parts.values() if isinstance(part, PartitionedView))
        return next((part.too_large() for part in apart), None)

    @property
    def request_columns(self) -> dict[str, pl.DataType]:
        """The raw columns that a request brings: what request views read, and the keys of the others."""
        return {column.name: column.dtype for column in self.columns_read}

    @property
    def indexes(self) -> dict[str, ViewIndex]:
        """What is read by key, by name: views with ``by=`` columns, and the model's own rows."""
        found = {name: part for name, part in self.parts.items() if isinstance(part, ViewIndex)}
        if self.by_key is not None:
            found[f"rows of {self.by_key[0].dataset}"] = self.by_key[1]
        return found

    @property
    def by_row(self) -> dict[str, str]:
        """The views that could not be traced and run row by row, with the reason and its line."""
        parts = self.parts.items()
        return {name: part.reason for name, part in parts if isinstance(part, RowFunction)}

    def columns(
        self, rows: pl.DataFrame, asked: Ints, joined: Mapping[str, pl.DataFrame] | None = None
    ) -> pl.DataFrame:
        """All features of n rows: one column each, in declared order, rows in their order.

        Args:
            rows: the request columns at least, as the dataset's frame has them.
            asked: int64[n] microseconds; ``NO_INSTANT`` for a row without an instant.
            joined: by view, what was joined in partitions.
        """
        given = joined or {}
        found = [
            given[name] if name in given else part.at(rows, asked)
            for name, part in self.parts.items()
        ]
        return pl.concat(found, how="horizontal")

    def row(self, raw: Mapping[str, Any], asked: int) -> dict[str, Any]:
        """All features of one request, as :meth:`columns` has them.

        Args:
            raw: JSON values (times as ISO 8601 texts) or Python values, by column; more are ignored.
            asked: microseconds.

        Raises:
            RequestError: a column is missing, or its value is not of its kind.
        """
        return self.rows([raw], [asked])[0]

    def rows(self, raw: Sequence[Mapping[str, Any]], asked: Sequence[int]) -> list[dict[str, Any]]:
        """:meth:`row` of each of n requests."""
        return self.seen(raw, asked).features

    def seen(
        self,
        raw: Sequence[Mapping[str, Any]],
        asked: Sequence[int],
        lookup: Lookup | None = None,
    ) -> Seen:
        """:meth:`rows`, with the age of what was read; with ``lookup``, rows may send their key alone.

        Raises:
            RequestError: as :meth:`row`.
            UnknownKeyError: no row has the key of a request that leaves columns out.
        """
        rows, asked = self.completed(raw, asked, lookup)
        seen = Seen([], [], asked)
        for values, at in zip(rows, asked, strict=True):
            found: dict[str, Any] = {}
            ages: dict[str, float | None] = {}
            for name, part in self.parts.items():
                if isinstance(part, ViewIndex):
                    more, ages[name] = part.read(values, at)
                else:
                    more = part.row(values, at)
                found |= more
            seen.features.append(found)
            seen.ages.append(ages)
        return seen

    def completed(
        self, raw: Sequence[Mapping[str, Any]], asked: Sequence[int], lookup: Lookup | None
    ) -> tuple[list[dict[str, Any]], Sequence[int]]:
        """The request columns of n requests as physical values, and the instants they are asked at."""
        if self._rows is None or lookup is None:
            return [physical_row(self.columns_read, row) for row in raw], asked
        rows = self._rows
        return rows.entities.completed(self.columns_read, raw, asked, lookup, rows.find)

    def dumps(self) -> bytes:
        """Everything that answers requests, as bytes; the same bytes for the same data and declarations."""
        views = [(name, type(part).__name__, part.dumps()) for name, part in self.parts.items()]
        rows = None if self._rows is None else (self._rows.entities, self._rows.dumps())
        return msgspec.msgpack.encode(_Stored(self.columns_read, tuple(views), rows))

    @classmethod
    def loads(cls, data: bytes) -> FeatureSet:
        """The set that :meth:`dumps` wrote. A view that runs row by row is code: read trusted bytes only.

        Raises:
            IntegrityError: the bytes are something else.
        """
        try:
            stored = msgspec.msgpack.decode(data, type=_Stored)
            parts = {name: cls._KINDS[kind].loads(view) for name, kind, view in stored.views}
        except (msgspec.MsgspecError, KeyError) as error:
            raise IntegrityError(
                f"stored features cannot be read: {error}", hint="build them again: nenrin run"
            ) from error
        return cls(stored.columns, parts, stored.rows)


class _RowsByKey:
    """Rows by their key, and their index: as large as the dataset, and asked by few."""

    def __init__(self, entities: Entities, index: ViewIndex | bytes) -> None:
        self.entities = entities
        self.is_read = isinstance(index, ViewIndex)
        self._index = index
        self._reading = Lock()

    @property
    def index(self) -> ViewIndex:
        if not isinstance(self._index, ViewIndex):
            self._index = ViewIndex.loads(self._index)
        return self._index

    def read(self) -> ViewIndex:
        """The index, ready for single keys; whoever asks meanwhile waits."""
        if not self.is_read:
            with self._reading:
                self.index.prepare()
                self.is_read = True
        return self.index

    def find(
        self, keys: Sequence[dict[str, Any]], asked: Sequence[int]
    ) -> list[dict[str, Any] | None]:
        return found_in(self.read(), keys, asked)

    def dumps(self) -> bytes:
        return self._index.dumps() if isinstance(self._index, ViewIndex) else self._index


def _frame(dataset: Dataset, frames: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    name = dataset.declared.name
    if name not in frames:
        raise NotFoundError(
            f"dataset {name!r} is not loaded", hint=f"load it: nenrin data load {name}"
        )
    return frames[name]


def _traced(view: FeatureView, rows: Dataset, frames: Mapping[str, pl.DataFrame]) -> Traced:
    spec, source = view.declared, view.dataset
    if not spec.by and source is not rows:
        raise ProjectError(
            f"feature view {spec.name} is over {source.declared.name}, the model's rows are"
            f" {rows.declared.name}",
            hint=f"say how they are joined: @nr.feature_view({source.declared.name}, by=…)",
            where=spec.where,
        )
    return trace(view, _frame(source, frames).schema, source.declared.tz)


def _check(
    view: FeatureView, traced: Traced, rows: Dataset, own: pl.DataFrame, label: str | None
) -> None:
    """The request must be able to bring what the view needs."""
    where = view.declared.where
    if not traced.by and label in traced.columns:
        raise ProjectError(
            f"feature view {traced.view} reads {label}, which is the label",
            hint="no request knows it: leave it out",
            where=where,
        )
    for name in traced.by:
        kind = kind_of(own.schema[name]) if name in own.schema else None
        theirs = traced.by[name]
        if kind != theirs:
            has = (
                f"{rows.declared.name}.{name} is {kind}"
                if kind
                else f"{rows.declared.name} has no such column"
            )
            raise ProjectError(
                f"feature view {traced.view} joins by {name} ({theirs}), but {has}",
                hint="give the column the same name and type in both loaders",
                where=where,
            )


def _columns_read(traced: Any, rows: Dataset, schema: pl.Schema) -> list[RequestColumn]:
    wanted: dict[str, Kind] = {}
    for view in traced:
        wanted |= view.by or view.columns
    zone = rows.declared.tz or "UTC"
    return [
        RequestColumn(name=name, kind=wanted[name], single=schema[name] == pl.Float32, zone=zone)
        for name in schema
        if name in wanted
    ]


def _part(
    view: FeatureView, traced: Traced, rows: Dataset, frames: Mapping[str, pl.DataFrame]
) -> Part:
    frame = _frame(view.dataset, frames)
    if traced.by:
        return ViewIndex.build(traced, frame)
    if not traced.python:
        return RequestView(traced)
    function = RowFunction(traced, rows.declared.tz or "UTC", view.function)
    function.learn(frame)
    return function


def _given_twice(name: str, view: FeatureView) -> ProjectError:
    return ProjectError(
        f"two feature views of the model are named {name}",
        hint="list a view once, and name its function differently from the others",
        where=view.declared.where,
    )


def _refuse_doubles(parts: Mapping[str, Part]) -> None:
    owner: dict[str, str] = {}
    for view, part in parts.items():
        for name in part.names:
            if name in owner:
                raise ProjectError(
                    f"feature {name} is given by two views, {owner[name]} and {view}",
                    hint="rename it in one of them",
                    where=view,
                )
            owner[name] = view
