"""What an online store keeps of one key: the part of a view's index that answers from an instant on.

A slice holds the arrays of the index, cut: the steps of the newest row, and the running sums of the windows.
So what it answers is what the index answers, bit for bit, at every instant that is not earlier than its
beginning; earlier ones it refuses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from nenrin.core.errors import IntegrityError, RequestError
from nenrin.core.instants import iso
from nenrin.features.arrays import NO_INSTANT, Ints
from nenrin.features.index import ViewIndex
from nenrin.features.newest import Newest, is_young, seconds
from nenrin.features.one_row import OneRow
from nenrin.features.timeline import Timeline
from nenrin.features.traced import Traced
from nenrin.features.windows import SlidingWindow, Sums

_WORD: np.dtype[np.int64] = np.dtype("<i8")


class _Rows(msgspec.Struct, frozen=True, array_like=True):
    """From when on which row counts: int64[n] instants, int64[n] events, n values a column."""

    times: bytes
    events: bytes
    values: list[list[Any]]


class _Sums(msgspec.Struct, frozen=True, array_like=True):
    """:class:`Sums`, int64[n + 1] each: before the first end, and after each."""

    seen: bytes
    parts: list[bytes]
    odd: bytes | None


class _Window(msgspec.Struct, frozen=True, array_like=True):
    """The interval ends of windows of one length, int64[n], and the sums by number of the window."""

    times: bytes
    sums: dict[int, _Sums]


class _Slice(msgspec.Struct, frozen=True, array_like=True):
    since: int
    newest: _Rows | None
    windows: dict[int, _Window]


_decode = msgspec.msgpack.Decoder(_Slice).decode


def key_bytes(key: Sequence[Any]) -> bytes:
    """A key of physical values as an online store knows it: an array of msgpack, never empty."""
    return msgspec.msgpack.encode(list(key))


def slices(index: ViewIndex, keys: Ints, since: int) -> list[bytes]:
    """What a store keeps of each key.

    Args:
        index: the view over its data.
        keys: int64[n], numbers of keys of the index.
        since: the earliest instant that will be asked about, microseconds.
    """
    newest = [None] * keys.size if index.newest is None else _newest(index, keys, since)
    windows = {span: _window(window, keys, since) for span, window in index.windows.items()}
    return [
        msgspec.msgpack.encode(
            _Slice(since, rows, {span: found[i] for span, found in windows.items()})
        )
        for i, rows in enumerate(newest)
    ]


def _newest(index: ViewIndex, keys: Ints, since: int) -> list[_Rows]:
    newest = index.newest
    assert newest is not None
    low, high = newest.timeline.starts[keys], newest.timeline.starts[keys + 1]
    begin = np.maximum(newest.timeline.upto(keys, np.full(keys.size, since)) - 1, low)
    owner = np.repeat(np.arange(keys.size), high - begin)
    starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(high - begin)])
    steps = np.arange(owner.size) - starts[owner] + begin[owner]
    rows = newest.rows[steps]
    moved = np.ones(rows.size, dtype=np.bool_)  # a row that came late and lost is no step
    moved[1:] = (rows[1:] != rows[:-1]) | (owner[1:] != owner[:-1])
    rows, owner = rows[moved], owner[moved]
    times, events = _words(newest.timeline.times[steps[moved]]), _words(newest.event[rows])
    values = [column.gather(rows).to_list() for column in index.frame]
    ends = np.searchsorted(owner, np.arange(keys.size), side="right").tolist()
    return [
        _Rows(times[a:b].tobytes(), events[a:b].tobytes(), [column[a:b] for column in values])
        for a, b in zip([0, *ends[:-1]], ends, strict=True)
    ]


def _window(window: SlidingWindow, keys: Ints, since: int) -> list[_Window]:
    timeline = window.timeline
    begins = timeline.upto(keys, np.full(keys.size, since)).tolist()
    ends = timeline.starts[keys + 1].tolist()
    return [
        _Window(
            _words(timeline.times[a:b]).tobytes(),
            {number: _cut(sums, a, b + 1) for number, sums in window.sums.items()},
        )
        for a, b in zip(begins, ends, strict=True)
    ]


def _cut(sums: Sums, a: int, b: int) -> _Sums:
    odd = None if sums.odd is None else _words(sums.odd[a:b]).tobytes()
    parts = [_words(part[a:b]).tobytes() for part in sums.parts]
    return _Sums(_words(sums.seen[a:b]).tobytes(), parts, odd)


class SliceReader:
    """Answers from slices of one view what its index answers."""

    def __init__(self, traced: Traced) -> None:
        self._traced = traced
        self._one_row = OneRow(traced)

    def key(self, row: Mapping[str, Any], asked: int) -> bytes | None:
        """The key to look for, of a row of physical values; None: nothing is found for it."""
        key = [row[name] for name in self._traced.by]
        return None if None in key or asked == NO_INSTANT else key_bytes(key)

    def nothing(self) -> dict[str, Any]:
        """The features of a row that has no :meth:`key`."""
        return dict.fromkeys(self._traced.features)

    def read(self, stored: bytes | None, asked: int) -> tuple[dict[str, Any], float | None]:
        """The features of one row, and how old what they were read from was (:meth:`ViewIndex.read`).

        Args:
            stored: the slice of its key; None: the data has no such key.
            asked: microseconds.

        Raises:
            RequestError: ``asked`` is earlier than what the slice begins with.
            IntegrityError: the bytes are no slice.
        """
        if stored is None:
            windows = [_nothing(w.op, w.kind) for w in self._traced.windows]
            return self._one_row.features(None, windows), None
        try:
            found = _decode(stored)
        except msgspec.MsgspecError as error:
            raise IntegrityError(
                f"the online store holds something else: {error}",
                where=self._traced.view,
                hint="give nenrin a database of its own; emptied, `nenrin up` fills it again",
            ) from error
        if asked < found.since:
            raise _too_early(self._traced.view, asked, found.since)
        spans = {span: _sliding(window) for span, window in found.windows.items()}
        sums = [
            spans[window.span].value(number, window, 0, asked)
            for number, window in enumerate(self._traced.windows)
        ]
        values, age = self._values(found.newest, asked)
        return self._one_row.features(values, sums), seconds(age)

    def _values(self, rows: _Rows | None, asked: int) -> tuple[list[Any] | None, int | None]:
        """The row that counts, and its age in microseconds."""
        if rows is None:
            return None, None
        events = _ints(rows.events)
        newest = Newest(_timeline(rows.times), np.arange(events.size), events)
        step = newest.row_at(0, asked)
        age = None if step < 0 else asked - int(events[step])
        young = is_young(age, self._traced.ttl)
        return [column[step] for column in rows.values] if young else None, age


def _sliding(window: _Window) -> SlidingWindow:
    sums = {
        number: Sums(
            _ints(each.seen),
            tuple(_ints(part) for part in each.parts),
            None if each.odd is None else _ints(each.odd),
        )
        for number, each in window.sums.items()
    }
    return SlidingWindow(_timeline(window.times), sums)


def _timeline(times: bytes) -> Timeline:
    found = _ints(times)
    return Timeline(np.array([0, found.size]), found)


def _nothing(op: str, kind: str) -> int | float | None:
    """A window of a key without events."""
    if op == "mean":
        return None
    return 0 if op == "count" or kind == "integer" else 0.0


def _too_early(view: str, asked: int, since: int) -> RequestError:
    return RequestError(
        f"{view} is asked about {iso(asked)}; the online store answers from {iso(since)} on",
        where=view,
        hint="ask about a later instant; without NENRIN_ONLINE all instants are answered",
    )


def _ints(stored: bytes) -> Ints:
    return np.frombuffer(stored, dtype=_WORD)


def _words(array: Ints) -> Ints:
    return array.astype(_WORD, copy=False)
