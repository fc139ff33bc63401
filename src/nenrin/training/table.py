"""The row table: the point-in-time rows of one model, built once and sliced ever after.

A row's features are what was known when it was asked and never change; its label becomes known later
and may be corrected. Every training, twin, day of a backtest and replay is a slice of one table by asked
instant and by what was known of the labels. Its bytes are arrays that a worker maps and does not copy.
"""

from __future__ import annotations

import io
import mmap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
from blake3 import blake3

from nenrin.core.digest import digest, digest_arrays
from nenrin.core.errors import IntegrityError
from nenrin.training.asking import AskedRows
from nenrin.training.columns import FeatureColumn, encode
from nenrin.training.declare import Model
from nenrin.training.labels import Labels, join_labels

FOLDS = 5
_MAGIC = b"nenrin-rows-1\n\0\0"
_ALIGN = 64


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows a training takes, and what they weigh.

    Attributes:
        cutoff: the end of the last closed block: rows asked before it.
        known_by: the look: labels, and their corrections, known by then.
        since: rows asked at or after it; ``None`` for all history.
        half_life: microseconds of age before ``cutoff`` at which a row weighs half; ``None``: all alike.
        without_folds: of the :data:`FOLDS` folds by key, those to leave out; where rows have no time.
    """

    cutoff: int
    known_by: int
    since: int | None = None
    half_life: int | None = None
    without_folds: tuple[int, ...] = ()


class Selected(msgspec.Struct, frozen=True):
    """The rows of a selection: places in the table (int64), labels and weights (float64, mean 1)."""

    indices: np.ndarray
    y: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True, eq=False)
class RowTable:
    """n rows sorted by (asked, key), as numpy arrays.

    Attributes:
        zone: IANA time zone of the rows, in which blocks and days are cut.
        asked: int64 (n,): when each prediction is made.
        known: int64 (n,): when each row could be known.
        labels: what became known of the labels, and when.
        columns: the encoded features, in declared order.
        fold: int8 (n,): 0 … 4 by the hash of the key.
        keys: String (n,): what identifies each row; read from its bytes when first asked for.
    """

    zone: str
    asked: np.ndarray
    known: np.ndarray
    labels: Labels
    columns: tuple[FeatureColumn, ...]
    fold: np.ndarray
    _keys: pl.Series | memoryview = field(repr=False)

    @classmethod
    def build(
        cls, model: Model, rows: AskedRows, label_frame: pl.DataFrame, features: pl.DataFrame
    ) -> RowTable:
        """Join the labels to the asked rows and encode their features.

        Args:
            model: the declared model.
            rows: what :func:`nenrin.training.asking.ask` gave.
            label_frame: every version of every row of the label's dataset.
            features: one column a feature, its rows those of ``rows.frame``.

        Raises:
            ProjectError: labels cannot be joined, or a feature is of a kind that no model takes.
        """
        return cls(
            zone=model.rows.declared.tz or "UTC",
            asked=rows.asked,
            known=rows.known,
            labels=join_labels(model, rows, label_frame),
            columns=encode(features, model.declared.where),
            fold=_folds(rows.keys) if model.rows.declared.time is None else _no_folds(rows.keys),
            _keys=rows.keys,
        )

    def __len__(self) -> int:
        return len(self.asked)

    @property
    def keys(self) -> pl.Series:
        """What identifies each row, String of shape (n,)."""
        if isinstance(self._keys, pl.Series):
            return self._keys
        return pl.read_ipc(io.BytesIO(self._keys)).to_series()

    @property
    def y(self) -> np.ndarray:
        """float64 (n,): the first label of each row, NaN without one."""
        return self.labels.y

    @property
    def answered(self) -> np.ndarray:
        """int64 (n,): when the first label became known; ``NEVER`` without one."""
        return self.labels.answered

    def between(self, start: int, end: int) -> tuple[int, int]:
        """The places ``(lo, hi)`` of the rows asked in ``[start, end)``."""
        lo, hi = np.searchsorted(self.asked, (start, end), side="left")
        return int(lo), int(max(lo, hi))

    def labels_at(self, instant: int, lo: int = 0, hi: int | None = None) -> np.ndarray:
        """The labels of rows ``lo`` to ``hi`` as they were known at ``instant``, NaN where none was.

        Returns:
            float64 of shape (hi - lo,).
        """
        hi = len(self) if hi is None else hi
        labels = self.labels
        y = np.where(labels.answered[lo:hi] <= instant, labels.y[lo:hi], np.nan)
        known = int(np.searchsorted(labels.corrected_at, instant, side="right"))
        row = labels.corrected[:known]
        here = (row >= lo) & (row < hi)
        y[row[here] - lo] = labels.corrected_y[:known][
            here
        ]  # of one row's corrections the last stays
        return y

    def select(self, selection: Selection) -> Selected:
        """The labelled rows of a selection, in the table's order."""
        start = selection.since if selection.since is not None else np.iinfo(np.int64).min
        lo, hi = self.between(start, selection.cutoff)
        y = self.labels_at(selection.known_by, lo, hi)
        wanted = ~np.isnan(y)
        if selection.without_folds:
            wanted &= ~np.isin(self.fold[lo:hi], selection.without_folds)
        indices = np.flatnonzero(wanted)
        indices += lo
        return Selected(indices, y[wanted], self._weights(indices, selection))

    def _weights(self, indices: np.ndarray, selection: Selection) -> np.ndarray:
        if selection.half_life is None or len(indices) == 0:
            return np.ones(len(indices))
        # Age before the newest row, not before the cut-off: the mean is 1 all the same, never 0 / 0.
        asked = self.asked[indices]
        age = (asked[-1] - asked) / selection.half_life
        weight = np.exp2(-age)
        return np.asarray(weight / weight.mean())

    def digest_before(self, cutoff: int, known_by: int) -> str:
        """Digest of what a training sees: rows asked before ``cutoff``, labels known by ``known_by``.

        Rows and labels that come later change nothing, nor do texts that only they bring.
        """
        n = self.between(np.iinfo(np.int64).min, cutoff)[1]
        return self._digest(
            slice(0, n), self.asked[:n], self.fold[:n], self.labels_at(known_by, 0, n)
        )

    def digest_within(self, lo: int, hi: int) -> str:
        """Digest of what a model sees of the rows ``lo`` to ``hi``: their features, and nothing else."""
        return self._digest(slice(lo, hi))

    def _digest(self, rows: slice, *others: np.ndarray) -> str:
        columns = [column.take(rows).narrowed(slice(None)) for column in self.columns]
        arrays = [*others, *(column.values for column in columns)]
        arrays += [column.mask for column in columns if column.mask is not None]
        specs = [[c.name, c.kind, c.mask is not None, list(c.vocabulary)] for c in columns]
        return digest([specs, digest_arrays(*arrays)])

    def dumps(self) -> bytes:
        """The table as bytes: a header, then every array at a multiple of 64."""
        arrays = [getattr(self, name) for name in _INSTANTS]
        arrays += [getattr(self.labels, name) for name in _LABELS]
        arrays += [self.fold, np.frombuffer(_key_bytes(self.keys), dtype=np.uint8)]
        for column in self.columns:
            arrays.append(column.values)
            if column.mask is not None:
                arrays.append(column.mask)
        return _pack(self.zone, self.columns, arrays)

    @classmethod
    def loads(cls, data: bytes | memoryview | mmap.mmap) -> RowTable:
        """The table of :meth:`dumps`; its arrays are views on ``data``.

        Raises:
            IntegrityError: the bytes are no row table.
        """
        header, arrays = _unpack(memoryview(data))
        asked, known = arrays[:2]
        labels = Labels(*arrays[2:7])
        fold, keys = arrays[7:9]
        rest = iter(arrays[9:])
        columns = tuple(
            FeatureColumn(
                name=column.name,
                kind=column.kind,
                values=next(rest),
                mask=next(rest) if column.masked else None,
                vocabulary=column.vocabulary,
            )
            for column in header.columns
        )
        return cls(header.zone, asked, known, labels, columns, fold, keys.data)

    @classmethod
    def open(cls, path: Path) -> RowTable:
        """The table in a file, mapped: processes that open the same file share its memory."""
        with path.open("rb") as file:
            return cls.loads(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


_INSTANTS = ("asked", "known")
_LABELS = ("answered", "y", "corrected", "corrected_at", "corrected_y")


class _Column(msgspec.Struct, frozen=True):
    name: str
    kind: str
    masked: bool
    vocabulary: tuple[str, ...]


class _Header(msgspec.Struct, frozen=True):
    """``arrays`` are (dtype, length) in the order in which they follow."""

    zone: str
    columns: tuple[_Column, ...]
    arrays: tuple[tuple[str, int], ...]


def _pack(zone: str, columns: Sequence[FeatureColumn], arrays: Sequence[np.ndarray]) -> bytes:
    header = msgspec.msgpack.encode(
        _Header(
            zone,
            tuple(_Column(c.name, c.kind, c.mask is not None, c.vocabulary) for c in columns),
            tuple((array.dtype.str, len(array)) for array in arrays),
        )
    )
    out = io.BytesIO()
    out.write(_MAGIC + len(header).to_bytes(8, "little") + header)
    for array in arrays:
        out.write(b"\0" * (-out.tell() % _ALIGN))
        out.write(np.ascontiguousarray(array).view(np.uint8).data)
    return out.getvalue()


def _unpack(data: memoryview) -> tuple[_Header, list[np.ndarray]]:
    start = len(_MAGIC) + 8
    if bytes(data[: len(_MAGIC)]) != _MAGIC:
        raise IntegrityError("these bytes are no row table", hint="build the rows again")
    size = int.from_bytes(data[len(_MAGIC) : start], "little")
    header = msgspec.msgpack.decode(data[start : start + size], type=_Header)
    offset, arrays = start + size, []
    for dtype, length in header.arrays:
        offset += -offset % _ALIGN
        array = np.frombuffer(data, dtype=np.dtype(dtype), count=length, offset=offset)
        arrays.append(array)
        offset += array.nbytes
    return header, arrays


def _key_bytes(keys: pl.Series) -> bytes:
    out = io.BytesIO()
    pl.DataFrame([keys]).write_ipc(out, compression="uncompressed")
    return out.getvalue()


def _folds(keys: pl.Series) -> np.ndarray:
    return np.array([blake3(key.encode()).digest()[0] % FOLDS for key in keys], dtype=np.int8)


def _no_folds(keys: pl.Series) -> np.ndarray:
    return np.zeros(len(keys), dtype=np.int8)
