"""What a worker does for a join in partitions: count, spill, follow versions, answer.

Every order names what it reads by digest and gives plain values; what it spills is Parquet in the content
store. Orders of one kind do not wait for each other, and done again they give the same rows.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import polars as pl

from nenrin.core.store import ContentStore
from nenrin.data.files import Manifest, Stretch, read_header, read_stretch
from nenrin.data.times import EVENT, KNOWN
from nenrin.features.arrays import Ints
from nenrin.features.hashing import key_words
from nenrin.features.index import UNTIL, ViewIndex, until
from nenrin.features.kinds import Kind, kinds
from nenrin.features.traced import Traced
from nenrin.features.tree import Column, walk

BUCKETS = 4096
ROW = "__row__"
ASKED = "__asked__"

_PLACE = "__place__"
_BITS = 12  # of BUCKETS


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What all orders of one join share, itself kept in the content store.

    Attributes:
        traced: the view.
        manifest: the version of its dataset.
        identity: columns that tell its events apart, where versions of one may have different keys.
        mark: written into every file, so that no other join's has the same digest.
    """

    traced: Traced
    manifest: Manifest
    identity: dict[str, Kind]
    mark: str

    @classmethod
    def of(cls, traced: Traced, manifest: Manifest, schema: pl.Schema, mark: str) -> View:
        """The join of a view over a version of its dataset, whose columns are of ``schema``."""
        moves = bool(traced.windows) and not set(traced.by) <= set(traced.key)
        identity = {name: kind for name, kind in kinds(schema).items() if name in traced.key}
        return cls(traced=traced, manifest=manifest, identity=identity if moves else {}, mark=mark)

    @property
    def columns(self) -> list[str]:
        """The columns of the dataset that the view reads."""
        traced = self.traced
        inner = [window.of for window in traced.windows if window.of is not None]
        read = [node.name for of in inner for node in walk(of) if isinstance(node, Column)]
        key = traced.key if traced.windows else ()
        return list(dict.fromkeys([*traced.by, *traced.columns, *read, *key, EVENT, KNOWN]))

    def row_bytes(self, sample: pl.DataFrame) -> int:
        """About how many bytes of memory a row takes while its partition is answered.

        Args:
            sample: rows of these columns.
        """
        traced = self.traced
        spans = {window.span for window in traced.windows}
        width = sample.estimated_size() / max(sample.height, 1)
        newest = 100 if traced.columns else 0
        return int(100 + 2 * width + newest + 50 * len(spans) + 80 * len(traced.windows))


class Packing(msgspec.Struct, frozen=True, kw_only=True):
    """The partition of each bucket, ``<i4[BUCKETS]``, and the mark of whoever joins (see :class:`View`)."""

    mark: str
    partitions: bytes


class Count(msgspec.Struct, frozen=True, tag="count"):
    """How many rows of a stretch fall into each bucket: of their key, and of their event."""

    view: str
    stretch: Stretch


class Spill(msgspec.Struct, frozen=True, tag="spill"):
    """Write a stretch to its partitions: of events where the view has ``identity``, else of keys."""

    view: str
    stretch: Stretch
    packing: str


class Follow(msgspec.Struct, frozen=True, tag="follow"):
    """Write a partition of events to those of their keys, each row with what became of it."""

    view: str
    parts: tuple[str, ...]
    packing: str


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """Index a partition and answer the rows that ask it."""

    view: str
    parts: tuple[str, ...]
    rows: tuple[str, ...]


Order = Count | Spill | Follow | Answer


def work(store: ContentStore, order: Order) -> Any:
    """What an order gives, as plain values.

    Returns:
        of :class:`Count` two lists of numbers of rows a bucket, of keys and of events; of :class:`Spill` and
        :class:`Follow` the digest of a file a partition, empty where no row falls; of :class:`Answer` the
        digest of a file with the features and ``__row__``.

    Raises:
        DataError: as :meth:`ViewIndex.build`.
    """
    view = msgspec.msgpack.decode(store.get(order.view), type=View)
    match order:
        case Count():
            return _count(store, view, order.stretch)
        case Spill():
            frame = read_stretch(view.manifest, store, order.stretch, view.columns)
            if not view.identity:
                return spill(store, view.mark, _keyed(view, frame), view.traced.by, order.packing)
            place = np.arange(order.stretch.place, order.stretch.place + frame.height)
            placed = frame.with_columns(pl.Series(_PLACE, place))
            return spill(store, view.mark, placed, view.identity, order.packing)
        case Follow():
            frame = _sorted(read_spilled(store, order.parts))
            followed = frame.with_columns(pl.Series(UNTIL, until(view.traced, frame)))
            return spill(store, view.mark, _keyed(view, followed), view.traced.by, order.packing)
        case Answer():
            return _answer(store, view, order)


def buckets(frame: pl.DataFrame, columns: Mapping[str, Kind]) -> Ints:
    """The bucket of every row by its ``columns``, int64[n] below ``BUCKETS``."""
    return (key_words(frame, columns) >> np.uint64(64 - _BITS)).astype(np.int64)


def packed(counts: Ints, most: int) -> Ints:
    """The partition of each bucket, ascending from 0: neighbours together, up to ``most`` rows."""
    found, number, held = [], 0, 0
    for count in counts.tolist():
        if held and held + count > most:
            number, held = number + 1, 0
        held += count
        found.append(number)
    return np.array(found)


def spill(
    store: ContentStore, mark: str, frame: pl.DataFrame, by: Mapping[str, Kind], packing: str
) -> list[str]:
    """Write rows to their partitions, in their order; the digest of each file, empty without a row.

    Args:
        by: columns that decide.
        packing: digest of a :class:`Packing`.
    """
    kept = msgspec.msgpack.decode(store.get(packing), type=Packing)
    partitions = np.frombuffer(kept.partitions, dtype="<i4")
    numbers = partitions[buckets(frame, by)]
    order = np.argsort(numbers, kind="stable")
    frame = frame[order]
    ends = np.cumsum(np.bincount(numbers, minlength=int(partitions[-1]) + 1)).tolist()
    return [
        write_spilled(store, mark, frame[start:end]) if end > start else ""
        for start, end in zip([0, *ends[:-1]], ends, strict=True)
    ]


def write_spilled(store: ContentStore, mark: str, frame: pl.DataFrame) -> str:
    """Keep rows as Parquet that is soon read once."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="lz4", statistics=False, metadata={"join": mark})
    return store.put(buffer.getvalue())


def read_spilled(store: ContentStore, parts: Sequence[str]) -> pl.DataFrame:
    """The rows of some files, one below the other; past the copies that a remote store keeps here."""
    return pl.concat(pl.read_parquet(b"".join(store.chunks(part))) for part in parts)


def _count(store: ContentStore, view: View, stretch: Stretch) -> list[list[int]]:
    names = list(dict.fromkeys([*view.traced.by, *view.identity]))
    frame = read_stretch(view.manifest, store, stretch, names)
    keyed = _keyed(view, frame)
    return [
        np.bincount(buckets(rows, by), minlength=BUCKETS).tolist()
        for rows, by in ((keyed, view.traced.by), (frame, view.identity))
        if by
    ]


def _keyed(view: View, frame: pl.DataFrame) -> pl.DataFrame:
    """The rows that can be chosen at all: a null in a key equals nothing."""
    return frame.drop_nulls(list(view.traced.by))


def _answer(store: ContentStore, view: View, order: Answer) -> str:
    rows = read_spilled(store, order.rows)
    if order.parts:
        frame = _sorted(read_spilled(store, order.parts))
    else:
        frame = read_header(view.manifest, store).select(view.columns)
    index = ViewIndex.build(view.traced, frame)
    found = index.at(rows, rows[ASKED].to_numpy())
    return write_spilled(store, view.mark, found.with_columns(rows[ROW]))


def _sorted(frame: pl.DataFrame) -> pl.DataFrame:
    """In the order of the dataset: by known instant, and then as they were stored."""
    place = [_PLACE] if _PLACE in frame.columns else []
    return frame.sort(KNOWN, *place, maintain_order=True)
