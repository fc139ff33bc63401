"""Windows over events: exact counts, sums and means of the last W, as known at T.

A version of an event counts at the instants T of one interval. It begins when the event has happened and is
known; it ends when a newer version of the event becomes known, or when the event falls out of the window,
whose start is moved back to the hop's grid: at floor(event to hop) + hop + W. So a window is a running sum
over interval ends: +x where one begins, -x where it ends. One sort builds it, one binary search reads it,
and a stream that adds and takes away the same numbers has the same sums, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from nenrin.core.instants import NEVER
from nenrin.features.arrays import Ints
from nenrin.features.fixed_point import check_range, joined, joined_one, split
from nenrin.features.timeline import Timeline
from nenrin.features.tree import Window


class Events:
    """Versions of events: int64[n] each.

    Attributes:
        groups: the number of the key that the window is by.
        event: when it happened.
        known: when this version became known (``NO_INSTANT``: always was).
        until: when a newer version of the same event became known, else ``NEVER``.
    """

    def __init__(self, groups: Ints, event: Ints, known: Ints, until: Ints) -> None:
        self.groups = groups
        self.event = event
        self.known = known
        self.until = until


def superseded(same: Ints | None, known: Ints) -> Ints:
    """When each version's successor became known; ``NEVER`` for the newest of its event.

    Args:
        same: equal numbers for versions of one event, int64[n]; None: every event has one version.
        known: int64[n]; of versions known at once the later in order wins.
    """
    until = np.full(known.size, NEVER, dtype=np.int64)
    if same is not None:
        order = np.lexsort((known, same))
        followed = same[order[:-1]] == same[order[1:]]
        until[order[:-1][followed]] = known[order[1:][followed]]
    return until


class Sums:
    """Running sums of one expression over the interval ends, int64[2m + 1] each.

    Attributes:
        seen: values that are not null (of events, if there is no expression).
        parts: int64[parts, 2m + 1]: one part for integers, three for floats, none for events.
        odd: values that are NaN or infinite.
    """

    def __init__(self, seen: Ints, parts: Ints, odd: Ints) -> None:
        self.seen = seen
        self.parts = parts
        self.odd = odd


class SlidingWindow:
    """All sums over the windows of one length."""

    def __init__(self, timeline: Timeline, sums: Mapping[int, Sums]) -> None:
        self.timeline = timeline
        self.sums = sums

    @classmethod
    def build(
        cls,
        span: int,
        hop: int,
        groups: int,
        events: Events,
        values: Mapping[int, pl.Series | None],
    ) -> SlidingWindow:
        """The window of ``span`` microseconds, its start on the grid of ``hop``.

        Args:
            groups: how many keys there are.
            events: n versions.
            values: by number of the window, its expression's value for each version; None counts events.
        """
        begin = np.maximum(events.event, events.known)
        end = np.minimum(events.event // hop * hop + hop + span, events.until)
        counted = np.flatnonzero(begin < end)
        times = np.concatenate([begin[counted], end[counted]])
        timeline, order = Timeline.sort(np.tile(events.groups[counted], 2), times, groups)
        sums = {i: _sums(series, counted, order) for i, series in values.items()}
        return cls(timeline, sums)

    def column(self, number: int, window: Window, groups: Ints, at: Ints) -> pl.Series:
        """The window of each pair (group, instant); a group of -1 has no events."""
        known = groups >= 0
        ends = np.zeros(groups.size, dtype=np.int64)
        ends[known] = self.timeline.upto(groups[known], at[known])
        sums = self.sums[number]
        seen = sums.seen[ends]
        if window.op == "count":
            return pl.Series(seen)
        if len(sums.parts) == 1:
            total: np.ndarray[Any, Any] = sums.parts[0][ends]
        else:
            total = np.where(sums.odd[ends] > 0, np.nan, joined(sums.parts[:, ends]))
        if window.op == "sum":
            return pl.Series(total)
        means = total.astype(np.float64) / np.maximum(seen, 1)
        return pl.Series(means).set(pl.Series(seen == 0), None)

    def value(self, number: int, window: Window, group: int, at: int) -> int | float | None:
        """:meth:`column` for one pair."""
        end = self.timeline.upto_one(group, at) if group >= 0 else 0
        sums = self.sums[number]
        seen = int(sums.seen[end])
        if window.op == "count":
            return seen
        if window.op == "mean" and not seen:
            return None
        total: int | float
        if len(sums.parts) == 1:
            total = int(sums.parts[0, end])
        elif sums.odd[end]:
            total = float("nan")
        else:
            whole, high, low = sums.parts[:, end].tolist()
            total = joined_one((whole, high, low))
        return total if window.op == "sum" else float(total) / seen


def _sums(series: pl.Series | None, counted: Ints, order: Ints) -> Sums:
    ones = np.ones(counted.size, dtype=np.int64)
    if series is None:
        return Sums(_running(ones, order), np.empty((0, 0), np.int64), np.empty(0, np.int64))
    chosen = series[counted]
    there = chosen.is_not_null().to_numpy()
    seen = _running(there.astype(np.int64), order)
    if chosen.dtype != pl.Float64:
        whole = chosen.cast(pl.Int64).fill_null(0).to_numpy()
        return Sums(seen, _running(whole, order, check=True)[None, :], np.empty(0, np.int64))
    floats = chosen.fill_null(0.0).to_numpy()
    finite = np.isfinite(floats)
    parts = split(np.where(finite, floats, 0.0))
    running = [_running(part, order, check=i == 0) for i, part in enumerate(parts)]
    return Sums(seen, np.stack(running), _running((~finite).astype(np.int64), order))


def _running(values: Ints, order: Ints, *, check: bool = False) -> Ints:
    """Sums up to each interval end: +values where intervals begin, -values where they end.

    Every group takes away all that it added, so the running sum is 0 where the next group begins.
    """
    changes = np.concatenate([values, -values])[order]
    if check:
        check_range(changes)
    running = np.zeros(changes.size + 1, dtype=np.int64)
    np.cumsum(changes, out=running[1:])
    return running
