"""The newest row of a key, as known at T: rules R2-R5 and R9 of ``docs/features.md``.

A row becomes visible at max(event, known). Of the visible rows the one with the newest (event, known) wins,
so the winner after each step is the running maximum of the rows' rank over visible time, and "what was
known then" costs one sort more than "what had happened then".
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from nenrin.core.instants import SECOND
from nenrin.features.arrays import Ints
from nenrin.features.timeline import Timeline


class Newest:
    """Which row counts at T, for each key.

    Args:
        timeline: visible instants of the rows, by key.
        rows: int64[n], the row that counts from each of those instants.
        event: int64[n], the event instants of the rows.
    """

    def __init__(self, timeline: Timeline, rows: Ints, event: Ints) -> None:
        self.timeline = timeline
        self.rows = rows
        self.event = event

    @classmethod
    def build(cls, count: int, groups: Ints, event: Ints, known: Ints) -> Newest:
        """Of n rows in ``count`` groups; of rows equal in event and known the later in order wins."""
        timeline, order = Timeline.sort(groups, np.maximum(event, known), count)
        by_rank = np.lexsort((known, event, groups))
        rank = np.empty_like(by_rank)
        rank[by_rank] = np.arange(by_rank.size)
        # ranks of a later group are all higher, so one running maximum serves all groups
        return cls(timeline, by_rank[np.maximum.accumulate(rank[order])], event)

    def rows_at(self, groups: Ints, at: Ints, ttl: int | None) -> Ints:
        """The row for each pair (group, instant), int64; -1 if there is none, or it is older than ``ttl``."""
        found = np.full(groups.size, -1, dtype=np.int64)
        asked = np.flatnonzero(groups >= 0)
        ends = self.timeline.upto(groups[asked], at[asked])
        some = ends > self.timeline.starts[groups[asked]]
        asked, ends = asked[some], ends[some]
        rows = self.rows[ends - 1]
        if ttl is not None:
            young = at[asked] - ttl <= self.event[rows]
            asked, rows = asked[young], rows[young]
        found[asked] = rows
        return found

    def row_at(self, group: int, at: int) -> int:
        """:meth:`rows_at` for one pair, however old the row is."""
        if group < 0:
            return -1
        end = self.timeline.upto_one(group, at)
        if end == self.timeline.starts[group]:
            return -1
        return int(self.rows[end - 1])

    def frames(self) -> dict[str, pl.DataFrame]:
        """Everything as frames, for the archive."""
        steps = pl.DataFrame({"row": self.rows})
        rows = pl.DataFrame({"event": self.event})
        return self.timeline.frames("newest") | {"newest steps": steps, "newest rows": rows}

    @classmethod
    def of_frames(cls, frames: Mapping[str, pl.DataFrame]) -> Newest:
        """What :meth:`frames` gave."""
        rows, event = frames["newest steps"]["row"], frames["newest rows"]["event"]
        return cls(Timeline.of_frames("newest", frames), rows.to_numpy(), event.to_numpy())


def is_young(age: int | None, ttl: int | None) -> bool:
    """Whether a row of that age (microseconds; None: there is no row) may be used."""
    return age is not None and (ttl is None or age <= ttl)


def seconds(age: int | None) -> float | None:
    """An age in microseconds, in seconds."""
    return None if age is None else age / SECOND
