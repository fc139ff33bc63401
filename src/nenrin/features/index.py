"""One view over one dataset, indexed: its features for any key at any instant, for many rows or for one.

The many and the one read the same arrays, and what they answer is equal: the training value is what a
perfect online store would have answered at the instant it was asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from nenrin.data.times import EVENT, KNOWN
from nenrin.features import archive
from nenrin.features.arrays import NO_INSTANT, Ints
from nenrin.features.keys import KeyTable, repeated
from nenrin.features.kinds import physical
from nenrin.features.newest import Newest, is_young, seconds
from nenrin.features.one_row import OneRow
from nenrin.features.polars_expr import feature_columns
from nenrin.features.traced import Traced
from nenrin.features.tree import Column, walk
from nenrin.features.windows import Events, SlidingWindow, superseded

UNTIL = "__until__"
"""A column that says when each row's next version became known, where the frame lacks some versions."""


class ViewIndex:
    """The features of a traced view with ``by=`` columns, point in time.

    Attributes:
        traced: the view.
        keys: the different keys.
        frame: the physical columns that the features read of the newest row.
        newest: finds that row, by which the age of what is read is told, too; None in states that an earlier
            nenrin kept of windows alone.
        windows: the sums, by length of the window.
    """

    def __init__(
        self,
        traced: Traced,
        keys: KeyTable,
        frame: pl.DataFrame,
        newest: Newest | None,
        windows: Mapping[int, SlidingWindow],
    ) -> None:
        self.traced = traced
        self.keys = keys
        self.frame = frame
        self.newest = newest
        self.windows = windows

    @property
    def names(self) -> tuple[str, ...]:
        """The features, in declared order."""
        return tuple(self.traced.features)

    @classmethod
    def build(cls, traced: Traced, frame: pl.DataFrame) -> ViewIndex:
        """Index a dataset's frame (with ``__event__`` and ``__known__``, int64 microseconds).

        Rows with a null event, or a null in their key, are never chosen. A null known instant is earlier
        than all others.

        Raises:
            DataError: an integer does not fit in 64 bits, the sum over a window not in 62.
        """
        ends = until(traced, frame)
        usable = pl.all_horizontal(pl.col(EVENT, *traced.by).is_not_null())
        chosen = np.flatnonzero(frame.select(usable).to_series().to_numpy())
        frame, ends = frame[chosen], ends[chosen]
        keys = KeyTable.of(traced.by, frame)
        groups = keys.numbers(frame)
        event = frame[EVENT].to_numpy()
        known = frame[KNOWN].fill_null(NO_INSTANT).to_numpy()
        newest = Newest.build(len(keys), groups, event, known)
        events = Events(groups, event, known, ends)
        windows = _windows(traced, frame, len(keys), events)
        return cls(traced, keys, physical(frame, traced.columns), newest, windows)

    def at(self, keys: pl.DataFrame, asked: Ints) -> pl.DataFrame:
        """The features of n rows, in their order: nothing dropped, doubled or moved.

        Args:
            keys: the ``by`` columns, n rows.
            asked: int64[n] microseconds; ``NO_INSTANT`` for a row without an instant, whose features are
                null.
        """
        traced = self.traced
        groups = self.keys.numbers(keys)
        leaves: list[pl.Series] = [pl.Series("__asked__", asked)]
        found = pl.Series(np.zeros(asked.size, dtype=np.bool_))
        if self.newest is not None and traced.columns:
            rows = self.newest.rows_at(groups, asked, traced.ttl)
            found = pl.Series(rows >= 0)
            picked = pl.Series(rows).set(~found, None)
            leaves += [column.gather(picked) for column in self.frame]
        for i, window in enumerate(traced.windows):
            sums = self.windows[window.span].column(i, window, groups, asked)
            leaves.append(sums.alias(f"__window_{i}__"))
        features = feature_columns(pl.DataFrame(leaves), traced.features)
        nulls = pl.Series(asked == NO_INSTANT)
        for name in traced.by:
            nulls |= keys[name].is_null()
        gone = {
            name: nulls | ~found if name in self._one_row.of_row else nulls
            for name in traced.features
        }
        return features.select(_emptied(features[name], gone[name]) for name in traced.features)

    def row(self, keys: Mapping[str, Any], asked: int) -> dict[str, Any]:
        """The features of one row: what :meth:`at` answers, in about 10 us; see :meth:`read`."""
        return self.read(keys, asked)[0]

    def read(self, keys: Mapping[str, Any], asked: int) -> tuple[dict[str, Any], float | None]:
        """The features of one row, and the age in seconds of the newest row of its key.

        Args:
            keys: the ``by`` columns' physical values (an instant in microseconds).
            asked: microseconds.

        Returns:
            the features, and how long before ``asked`` the newest row known then had happened, also where it
            is older than the view's ``ttl``; None: nothing was found.
        """
        traced = self.traced
        key = [keys[name] for name in traced.by]
        if None in key or asked == NO_INSTANT:
            return dict.fromkeys(traced.features), None
        group = self.keys.number(key)
        sums = [
            self.windows[window.span].value(i, window, group, asked)
            for i, window in enumerate(traced.windows)
        ]
        found = -1 if self.newest is None else self.newest.row_at(group, asked)
        age = None if self.newest is None or found < 0 else asked - int(self.newest.event[found])
        young = is_young(age, traced.ttl)
        values = [column[found] for column in self.frame] if young else None
        return self._one_row.features(values, sums), seconds(age)

    def prepare(self) -> None:
        """Make now what the first :meth:`read` would have to make."""
        _ = self.keys.of_one, self._one_row

    @cached_property
    def _one_row(self) -> OneRow:
        return OneRow(self.traced)

    def dumps(self) -> bytes:
        """The index as bytes, for the process that answers requests."""
        frames = {"keys": self.keys.keys, "frame": self.frame}
        if self.newest is not None:
            frames |= self.newest.frames()
        for span, window in self.windows.items():
            frames |= window.frames(f"window {span}")
        return archive.pack(self.traced.stored(), frames)

    @classmethod
    def loads(cls, data: bytes) -> ViewIndex:
        """The index that :meth:`dumps` wrote.

        Raises:
            IntegrityError: the bytes are something else.
        """
        traced, frames = archive.unpack(data, Traced)
        newest = Newest.of_frames(frames) if "newest steps" in frames else None
        windows = {
            span: SlidingWindow.of_frames(f"window {span}", frames)
            for span in dict.fromkeys(window.span for window in traced.windows)
        }
        return cls(traced, KeyTable(traced.by, frames["keys"]), frames["frame"], newest, windows)


def until(traced: Traced, frame: pl.DataFrame) -> Ints:
    """When the next version of each row of a view's dataset became known, int64[n]; only windows ask."""
    if UNTIL in frame.columns:
        return np.asarray(frame[UNTIL].to_numpy())
    known = frame[KNOWN].fill_null(NO_INSTANT).to_numpy()
    same = repeated(frame, traced.key) if traced.windows else None
    return superseded(same, known)


def _windows(
    traced: Traced, frame: pl.DataFrame, groups: int, events: Events
) -> dict[int, SlidingWindow]:
    inner = {str(i): window.of for i, window in enumerate(traced.windows) if window.of is not None}
    read = {n.name: n.kind for of in inner.values() for n in walk(of) if isinstance(n, Column)}
    values = feature_columns(physical(frame, {**read}), inner)
    built: dict[int, SlidingWindow] = {}
    for span in dict.fromkeys(window.span for window in traced.windows):
        wanted = {
            i: values[str(i)] if window.of is not None else None
            for i, window in enumerate(traced.windows)
            if window.span == span
        }
        built[span] = SlidingWindow.build(span, traced.hop, groups, events, wanted)
    return built


def _emptied(feature: pl.Series, where: pl.Series) -> pl.Series:
    return feature.set(where, None) if where.any() else feature
