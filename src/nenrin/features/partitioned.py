"""The point-in-time join of data larger than memory: partitioned by key, one partition after another.

The rows of a view's dataset are read in stretches and spilled to Parquet by the hash of their key; so are the
rows that ask. Then each partition is indexed and answered by itself, by the same code as a whole dataset, and
the answers are put back in the order of the rows that asked. What is spilled goes through the content store,
so that any process of any machine can do any part.

A window needs all versions of an event, which may have moved from one key to another. Where they may have,
rows are spilled by the event first, and note when the next version became known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import polars as pl

from nenrin.core.errors import DataError, IntegrityError, UnavailableError
from nenrin.core.store import ContentStore
from nenrin.data.files import Manifest, Stretch, read_header, read_stretch, stretches
from nenrin.features.arrays import Ints
from nenrin.features.index import ViewIndex
from nenrin.features.partition_work import (
    ASKED,
    ROW,
    Answer,
    Count,
    Follow,
    Order,
    Packing,
    Spill,
    View,
    buckets,
    packed,
    read_spilled,
    spill,
)
from nenrin.features.traced import Traced

INDEXED = 400
"""About how many bytes of memory a row takes in an index (170 to 700, by its windows)."""

_STRETCHES = 2  # to a partition: a stretch is not indexed, but sorted and copied
_SAMPLE = 10_000  # rows by which the size of all is told

Run = Callable[[Sequence[Order]], list[Any]]
"""Has orders worked off, side by side where that is possible; what each gave, in order."""


class PartitionedView:
    """A view whose dataset is too large to be indexed whole: it answers by :class:`Join` alone."""

    def __init__(self, traced: Traced) -> None:
        self.traced = traced

    @property
    def names(self) -> tuple[str, ...]:
        """The features, in declared order."""
        return tuple(self.traced.features)

    def at(self, rows: pl.DataFrame, asked: Ints) -> pl.DataFrame:
        """Nothing: many rows are asked of :class:`Join`."""
        raise self.too_large()

    def row(self, row: Any, asked: int) -> dict[str, Any]:
        """Nothing: there is no index.

        Raises:
            UnavailableError: always.
        """
        raise self.too_large()

    def dumps(self) -> bytes:
        """The view as bytes."""
        return msgspec.msgpack.encode(self.traced.stored())

    @classmethod
    def loads(cls, data: bytes) -> PartitionedView:
        """What :meth:`dumps` wrote.

        Raises:
            IntegrityError: the bytes are something else.
        """
        try:
            return cls(msgspec.msgpack.decode(data, type=Traced))
        except msgspec.MsgspecError as error:
            raise IntegrityError(
                f"stored features cannot be read: {error}", hint="build them again: nenrin run"
            ) from error

    def too_large(self) -> UnavailableError:
        """Why no request is answered, and what to do."""
        return UnavailableError(
            f"{self.traced.dataset} is too large for feature view {self.traced.view} to answer requests",
            hint="set NENRIN_JOIN_MEMORY above what its index takes, then nenrin run; or keep fewer rows",
            where=self.traced.view,
        )


class Join:
    """Joins one view to rows.

    Args:
        store: where partitions are spilled; what is spilled is gone when the join has ended.
        run: has orders worked off.
        memory: bytes that a process may take for a partition.
        mark: of whoever asks: two joins with different marks share no file.
    """

    def __init__(self, store: ContentStore, run: Run, memory: int, mark: str) -> None:
        self._store = store
        self._run = run
        self._memory = memory
        self._mark = mark
        self._spilled: set[str] = set()

    def columns(
        self, traced: Traced, manifest: Manifest, rows: pl.DataFrame, asked: Ints
    ) -> pl.DataFrame:
        """The features of n rows, as :meth:`ViewIndex.at` of the whole dataset has them, bit for bit.

        Args:
            traced: the view.
            manifest: the version of its dataset.
            rows: the ``by`` columns, n rows.
            asked: int64[n] microseconds; ``NO_INSTANT`` for a row without an instant.

        Raises:
            DataError: the rows of one key do not fit into the memory; as :meth:`ViewIndex.build`.
        """
        try:
            return self._joined(traced, manifest, rows, asked)
        finally:
            for digest in self._spilled:
                self._store.remove(digest)
            self._spilled.clear()

    def _joined(
        self, traced: Traced, manifest: Manifest, rows: pl.DataFrame, asked: Ints
    ) -> pl.DataFrame:
        header = read_header(manifest, self._store)
        view = View.of(traced, manifest, header.schema, self._mark)
        if not asked.size:
            return ViewIndex.build(traced, header).at(rows, asked)
        size = view.row_bytes(_sample(view, self._store))
        kept = self._kept(msgspec.msgpack.encode(view))
        most = max(1, self._memory // size)
        parts = stretches(manifest, max(1, most // _STRETCHES))
        packing, *follows = self._packings(view, kept, parts, most)
        files = self._spill([Spill(kept, part, *(follows or [packing])) for part in parts])
        if follows:
            files = self._spill([Follow(kept, tuple(each), packing) for each in files if each])
        numbered = rows.select(*traced.by).with_columns(
            pl.Series(ASKED, asked), pl.Series(ROW, np.arange(asked.size))
        )
        asking = spill(self._store, self._mark, numbered, traced.by, packing)
        self._spilled.update(filter(None, asking))
        orders = [
            Answer(kept, tuple(events), (question,))
            for events, question in zip(files, asking, strict=True)
            if question
        ]
        return self._gathered(traced, orders)

    def _kept(self, data: bytes) -> str:
        digest = self._store.put(data)
        self._spilled.add(digest)
        return digest

    def _packings(self, view: View, kept: str, parts: Sequence[Stretch], most: int) -> list[str]:
        """Digests of the partition of each bucket: of keys, then of events where the view needs them."""
        counted = self._run([Count(kept, part) for part in parts])
        found = []
        for by, counts in zip(
            (view.traced.by, view.identity), map(np.array, zip(*counted, strict=True)), strict=False
        ):
            total = counts.sum(axis=0)
            if total.max() > most:
                raise self._too_many(view, parts, list(by), int(total.argmax()), most)
            partitions = packed(total, most).astype("<i4").tobytes()
            packing = Packing(mark=self._mark, partitions=partitions)
            found.append(self._kept(msgspec.msgpack.encode(packing)))
        return found

    def _spill(self, orders: Sequence[Order]) -> list[list[str]]:
        """The files of each partition, in the order of the orders."""
        spilled = self._run(orders)
        self._spilled.update(name for each in spilled for name in each if name)
        return [[name for name in names if name] for names in zip(*spilled, strict=True)]

    def _gathered(self, traced: Traced, orders: Sequence[Order]) -> pl.DataFrame:
        answers = self._run(orders)
        self._spilled.update(answers)
        found = read_spilled(self._store, answers).sort(ROW)
        return found.select(*traced.features)

    def _too_many(
        self, view: View, parts: Sequence[Stretch], by: list[str], bucket: int, most: int
    ) -> DataError:
        """The error for a bucket that is too large: names its largest key."""
        kinds = view.traced.by if by == list(view.traced.by) else view.identity
        seen = []
        for part in parts:
            frame = read_stretch(view.manifest, self._store, part, by).drop_nulls()
            some = frame.filter(pl.Series(buckets(frame, kinds) == bucket))
            seen.append(some.group_by(by).len())
        largest = (
            pl.concat(seen)
            .group_by(by)
            .agg(pl.col("len").sum())
            .sort("len", *by)
            .row(-1, named=True)
        )
        rows = largest.pop("len")
        key = ", ".join(f"{name}={value!r}" for name, value in largest.items())
        name = view.traced.dataset
        return DataError(
            f"{rows:,} rows of dataset {name} have {key}; {most:,} rows of a key fit into "
            f"{self._memory:,} bytes of memory",
            hint="raise NENRIN_JOIN_MEMORY, keep fewer rows of that key, or name further columns in by=",
            where=view.traced.where,
        )


def _sample(view: View, store: ContentStore) -> pl.DataFrame:
    """The first rows of the dataset."""
    first = stretches(view.manifest, _SAMPLE)[0]
    return read_stretch(view.manifest, store, first, view.columns)
