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
    """Running sums of one expression after each interval end, int64[ends + 1] each.

    Attributes:
        seen: values that are not null (events, if there is no expression).
        parts: one array for integers, three for floats (:mod:`nenrin.features.fixed_point`).
        odd: values that are NaN or infinite; None if there is none at all.
    """

    def __init__(self, seen: Ints, parts: tuple[Ints, ...] = (), odd: Ints | None = None) -> None:
        self.seen = seen
        self.parts = parts
        self.odd = odd

    def totals(self, ends: Ints) -> np.ndarray[Any, Any]:
        """The sums at positions int64[n]: int64[n] or float64[n], NaN with a NaN or infinity in it."""
        if len(self.parts) == 1:
            return self.parts[0][ends]
        total = joined(*(part[ends] for part in self.parts))
        return total if self.odd is None else np.where(self.odd[ends] > 0, np.nan, total)

    def total(self, end: int) -> int | float:
        """:meth:`totals` at one position."""
        if len(self.parts) == 1:
            return int(self.parts[0][end])
        if self.odd is not None and self.odd[end]:
            return float("nan")
        whole, high, low = self.parts
        return joined_one(int(whole[end]), int(high[end]), int(low[end]))

    def frame(self) -> pl.DataFrame:
        """The sums as one frame, for the archive."""
        columns = {"seen": self.seen} | {f"part {i}": part for i, part in enumerate(self.parts)}
        return pl.DataFrame(columns if self.odd is None else columns | {"odd": self.odd})

    @classmethod
    def of_frame(cls, frame: pl.DataFrame) -> Sums:
        """What :meth:`frame` gave."""
        columns = {name: frame[name].to_numpy() for name in frame.columns}
        parts = tuple(column for name, column in columns.items() if name.startswith("part"))
        return cls(columns["seen"], parts, columns.get("odd"))


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
        ends, order = Timeline.sort(np.tile(events.groups[counted], 2), times, groups)
        timeline, last = ends.without_ties()
        sums = {i: _sums(series, counted, order, last) for i, series in values.items()}
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
        total = sums.totals(ends)
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
        total = sums.total(end)
        return total if window.op == "sum" else float(total) / seen

    def frames(self, name: str) -> dict[str, pl.DataFrame]:
        """The timeline and the sums as frames, for the archive."""
        sums = {f"{name} sums {i}": sums.frame() for i, sums in self.sums.items()}
        return self.timeline.frames(name) | sums

    @classmethod
    def of_frames(cls, name: str, frames: Mapping[str, pl.DataFrame]) -> SlidingWindow:
        """What :meth:`frames` gave."""
        start = f"{name} sums "
        sums = {
            int(key.removeprefix(start)): Sums.of_frame(frame)
            for key, frame in frames.items()
            if key.startswith(start)
        }
        return cls(Timeline.of_frames(name, frames), sums)


def _sums(series: pl.Series | None, counted: Ints, order: Ints, last: Ints) -> Sums:
    def running(values: Ints) -> Ints:
        """Sums up to each interval end: +values where intervals begin, -values where they end.

        Every group takes away all that it added, so the sum is 0 again where the next group begins.
        """
        sums = np.cumsum(np.concatenate([values, -values])[order])[last]
        return np.concatenate([np.zeros(1, dtype=np.int64), sums])

    if series is None:
        return Sums(running(np.ones(counted.size, dtype=np.int64)))
    chosen = series[counted]
    seen = running(chosen.is_not_null().to_numpy().astype(np.int64))
    if chosen.dtype != pl.Float64:
        whole = chosen.cast(pl.Int64).fill_null(0).to_numpy()
        check_range(whole, order)
        return Sums(seen, (running(whole),))
    floats = chosen.fill_null(0.0).to_numpy()
    finite = np.isfinite(floats)
    parts = split(np.where(finite, floats, 0.0))
    check_range(parts[0], order)
    odd = running((~finite).astype(np.int64))
    return Sums(seen, tuple(running(part) for part in parts), odd if odd.any() else None)
